//! Circuit breakers: by themselves, and in decisions.

use super::*;

fn policy(threshold: u32, recovery: u64) -> BreakerPolicy {
    BreakerPolicy { threshold, recovery: Duration::from_secs(recovery) }
}

/// A job with a breaker that uses these instruments.
fn careful(threshold: u32, instruments: &[&str]) -> Registration {
    Registration {
        breaker: Some(policy(threshold, 300)),
        instruments: instruments.iter().map(|name| Arc::from(*name)).collect(),
        ..plain(5, Wall(0))
    }
}

/// Fails an attempt by the instrument's fault.
fn fail(breakers: &mut Breakers, at: u64, sheet: u32) {
    breakers.failed(now(at), &on("x"), &id("a"), SheetNo(sheet), policy(3, 100));
}

fn held(breakers: &Breakers, at: u64) -> Option<Option<Mono>> {
    breakers.hold(now(at).mono, &on("x")).map(reason::Hold::until)
}

// Invariant I46
#[test]
fn it_opens_at_the_threshold_and_a_success_before_resets() {
    let mut breakers = Breakers::default();
    fail(&mut breakers, 0, 1);
    fail(&mut breakers, 0, 2);
    breakers.succeeded(now(0), &on("x"), &id("a"), SheetNo(3));
    fail(&mut breakers, 1, 4);
    fail(&mut breakers, 1, 5);
    assert_eq!(held(&breakers, 1), None);
    fail(&mut breakers, 1, 6);
    assert_eq!(held(&breakers, 1), Some(Some(now(31).mono)));
    assert_eq!(held(&breakers, 31), None, "the next one is the probe");
    assert_eq!(breakers.hold(now(1).mono, &on("x/big")), None, "another model");
}

// Invariant I46
#[test]
fn a_failed_probe_doubles_the_wait_up_to_the_recovery() {
    let mut breakers = Breakers::default();
    (1..=3).for_each(|sheet| fail(&mut breakers, 0, sheet));
    let mut at = 30;
    for wait in [60, 100, 100] {
        breakers.probe_started(now(at), &on("x"), &id("a"), SheetNo(9));
        assert_eq!(held(&breakers, at), Some(None), "one probe, nobody else");
        fail(&mut breakers, at, 9);
        assert_eq!(held(&breakers, at), Some(Some(now(at + wait).mono)));
        at += wait;
    }
    breakers.probe_started(now(at), &on("x"), &id("a"), SheetNo(9));
    breakers.succeeded(now(at), &on("x"), &id("a"), SheetNo(9));
    assert_eq!(held(&breakers, at), None);
    (1..=3).for_each(|sheet| fail(&mut breakers, at, sheet));
    assert_eq!(held(&breakers, at), Some(Some(now(at + 30).mono)), "the row of openings was broken");
}

// Invariant I46
#[test]
fn late_results_neither_close_it_nor_move_its_timer() {
    let mut breakers = Breakers::default();
    (1..=3).for_each(|sheet| fail(&mut breakers, 0, sheet));
    breakers.succeeded(now(1), &on("x"), &id("a"), SheetNo(7));
    fail(&mut breakers, 20, 8);
    assert_eq!(held(&breakers, 20), Some(Some(now(30).mono)));
    assert_eq!(breakers.records()[0].failures, 4, "counted all the same");
    breakers.probe_started(now(30), &on("x"), &id("a"), SheetNo(9));
    breakers.succeeded(now(31), &on("x"), &id("a"), SheetNo(7));
    fail(&mut breakers, 31, 8);
    assert_eq!(held(&breakers, 31), Some(None), "only the probe decides");
    breakers.probe_ended(now(32), &on("x"), &id("a"), SheetNo(9));
    assert_eq!(held(&breakers, 32), None, "it said nothing: the next one tries");
    breakers.succeeded(now(0), &on("unknown"), &id("a"), SheetNo(1));
}

#[test]
fn it_survives_a_restart_with_its_probe() {
    let mut breakers = Breakers::default();
    (1..=3).for_each(|sheet| fail(&mut breakers, 0, sheet));
    let store = |breakers: &Breakers| serde_json::to_string(&breakers.records()).unwrap();
    let restart = |text: &str, at: Now| {
        let mut again = Breakers::default();
        again.restore(at, serde_json::from_str(text).unwrap());
        again
    };
    let later = Now { mono: Mono(0), wall: now(10).wall };
    let again = restart(&store(&breakers), later);
    assert_eq!(again.hold(Mono(0), &on("x")).unwrap().until(), Some(Mono(0).after(Duration::from_secs(20))));
    assert_eq!(again.records()[0].history, breakers.records()[0].history);
    // A clock that was set back does not stretch the wait.
    let back = Now { mono: Mono(0), wall: Wall(0) };
    let again = restart(&store(&breakers), back);
    assert_eq!(again.hold(Mono(0), &on("x")).unwrap().until(), Some(Mono(0).after(FIRST_DELAY)));
    breakers.probe_started(now(30), &on("x"), &id("a"), SheetNo(9));
    for runs in [true, false] {
        let mut again = restart(&store(&breakers), now(31));
        again.settle(now(31), |_, _| runs);
        assert_eq!(held(&again, 31).is_some(), runs);
    }
}

#[test]
fn history_is_bounded() {
    let mut breakers = Breakers::default();
    for round in 0..100 {
        fail(&mut breakers, round, 1);
        breakers.probe_started(now(round * 200), &on("x"), &id("a"), SheetNo(1));
    }
    assert_eq!(breakers.records()[0].history.len(), HISTORY);
    for name in 0..1000 {
        breakers.failed(now(0), &on(&format!("i{name}")), &id("a"), SheetNo(1), policy(3, 100));
    }
    assert!(breakers.records().len() <= 256);
}

/// Offers of sheets on `x` that may fall back.
struct Chain {
    sheets: BTreeMap<SheetNo, usize>,
    chain: Vec<InstrumentRef>,
}

impl Candidates for Chain {
    fn offer(&self, _: &JobId, visit: &mut dyn FnMut(Candidate<'_>)) {
        for (&sheet, &at) in &self.sheets {
            let (instrument, fallbacks) = (&self.chain[at], &self.chain[at + 1..]);
            visit(Candidate { sheet, count: 1, instrument, fallbacks, depth: 0, retries: 0 });
        }
    }
}

fn chain(instruments: &[&str], sheets: u32) -> Chain {
    Chain {
        sheets: (1..=sheets).map(|num| (SheetNo(num), 0)).collect(),
        chain: instruments.iter().map(|name| on(name)).collect(),
    }
}

fn open(scheduler: &mut Scheduler, at: u64, instrument: &str) {
    scheduler.instrument_said(now(at), &on(instrument), false, &id("a"), SheetNo(99));
}

// Invariant I46
#[test]
fn an_open_instrument_is_skipped_along_the_chain() {
    let mut scheduler = Scheduler::new(limits(9));
    scheduler.register(id("a"), careful(1, &["x", "y", "z"]));
    let mut offers = chain(&["x", "y", "z"], 1);
    open(&mut scheduler, 0, "x");
    open(&mut scheduler, 0, "y");
    for next in [1, 2] {
        let pick = scheduler.pick(now(1), Throttle::Free, &offers);
        assert_eq!(pick, Pick::FallBack(id("a"), SheetNo(1), Unusable::Broken));
        offers.sheets.insert(SheetNo(1), next);
        scheduler.touched(&id("a"));
    }
    assert_eq!(scheduler.pick(now(1), Throttle::Free, &offers), Pick::Run(id("a"), SheetNo(1)));
}

/// The instrument of the first sheet is limited for so many seconds.
fn limit(scheduler: &mut Scheduler, instrument: &str, seconds: u64) {
    scheduler.limited(now(0), &on(instrument), Duration::from_secs(seconds), &id("z"), SheetNo(9));
}

#[test]
fn a_long_limit_sends_sheets_on_to_the_first_instrument_that_is_free() {
    let mut scheduler = Scheduler::new(limits(9));
    scheduler.register(id("a"), plain(5, Wall(0)));
    let mut offers = chain(&["x", "y", "z"], 1);
    limit(&mut scheduler, "x", 600);
    limit(&mut scheduler, "y", 10);
    for next in [1, 2] {
        let pick = scheduler.pick(now(1), Throttle::Free, &offers);
        if next == 1 {
            assert_eq!(pick, Pick::FallBack(id("a"), SheetNo(1), Unusable::Limited));
        } else {
            // Nine seconds are worth waiting for.
            assert_eq!(pick, Pick::Wait(Some(now(10).mono)));
        }
        offers.sheets.insert(SheetNo(1), next);
        scheduler.touched(&id("a"));
    }
    assert_eq!(scheduler.pick(now(1), Throttle::Free, &offers), Pick::Run(id("a"), SheetNo(1)));
}

#[test]
fn with_every_instrument_limited_a_sheet_waits_for_the_first_to_be_free() {
    let mut scheduler = Scheduler::new(limits(9));
    scheduler.register(id("a"), plain(5, Wall(0)));
    let offers = chain(&["x", "y"], 1);
    limit(&mut scheduler, "x", 600);
    limit(&mut scheduler, "y", 100);
    assert_eq!(scheduler.pick(now(1), Throttle::Free, &offers), Pick::Wait(Some(now(100).mono)));
    let there = Pick::FallBack(id("a"), SheetNo(1), Unusable::Limited);
    assert_eq!(scheduler.pick(now(100), Throttle::Free, &offers), there);
    assert_eq!(scheduler.pick(now(571), Throttle::Free, &offers), Pick::Wait(Some(now(600).mono)), "29 s");
    // While one sheet tries whether the limit is over, nobody leaves.
    scheduler.started(now(600), &id("a"), SheetNo(2), &on("x"));
    assert_eq!(scheduler.pick(now(601), Throttle::Free, &offers), Pick::Wait(Some(now(605).mono)));
}

// Invariant I47, I48
#[test]
fn with_every_instrument_open_a_sheet_waits_and_then_one_probes() {
    let mut scheduler = Scheduler::new(limits(9));
    scheduler.register(id("a"), careful(1, &["x", "y"]));
    let offers = chain(&["x", "y"], 2);
    open(&mut scheduler, 5, "y");
    open(&mut scheduler, 0, "x");
    assert_eq!(scheduler.pick(now(6), Throttle::Free, &offers), Pick::Wait(Some(now(30).mono)));
    let standing = scheduler.standing(now(6), Throttle::Free);
    let why = standing.held(now(6).mono, &on("x"), 0, true).unwrap();
    assert_eq!(why.describe(now(6).mono), "circuit_breaker:x, probe in 24s");
    assert_eq!(standing.held(now(6).mono, &on("x"), 0, false), None, "its job has no breaker");
    let probe = Pick::Run(id("a"), SheetNo(1));
    assert_eq!(scheduler.pick(now(30), Throttle::Free, &offers), probe);
    scheduler.started(now(30), &id("a"), SheetNo(1), &on("x"));
    let mut rest = chain(&["x"], 2);
    rest.sheets.remove(&SheetNo(1));
    assert_eq!(scheduler.pick(now(31), Throttle::Free, &rest), Pick::Wait(None), "exactly one");
    scheduler.instrument_said(now(32), &on("x"), true, &id("a"), SheetNo(1));
    scheduler.ended(now(32), &id("a"), SheetNo(1));
    assert_eq!(scheduler.pick(now(32), Throttle::Free, &rest), Pick::Run(id("a"), SheetNo(2)));
}

#[test]
fn the_strictest_policy_counts_and_jobs_without_one_do_not() {
    let mut scheduler = Scheduler::new(limits(9));
    scheduler.register(id("a"), careful(2, &["x"]));
    scheduler.register(id("b"), careful(1, &["other"]));
    scheduler.register(id("c"), plain(5, Wall(0)));
    let say = |scheduler: &mut Scheduler, job: &str| {
        scheduler.instrument_said(now(0), &on("x"), false, &id(job), SheetNo(1)).map(|change| change.to)
    };
    assert_eq!(say(&mut scheduler, "c"), None);
    assert_eq!(say(&mut scheduler, "a"), None);
    assert_eq!(say(&mut scheduler, "c"), None);
    assert_eq!(say(&mut scheduler, "a"), Some(BreakerState::Open));
    // A job without a breaker is not held.
    let offers = chain(&["x"], 1);
    assert_eq!(scheduler.pick(now(1), Throttle::Free, &offers), Pick::Run(id("c"), SheetNo(1)));
}

proptest! {
    // Invariant I46, I47
    /// Whatever is said in whatever order: half-open has one probe, and the wait stays within bounds.
    #[test]
    fn half_open_lets_one_through_and_waits_are_bounded(
        acts in proptest::collection::vec((0_u8..5, 0_u32..4, 0_u64..40), 0..200),
        threshold in 1_u32..5,
        recovery in 0_u64..200,
    ) {
        let mut breakers = Breakers::default();
        let policy = policy(threshold, recovery);
        let (mut at, mut probe) = (0, None);
        for (act, sheet, pass) in acts {
            at += pass;
            let (when, x, a, sheet) = (now(at), on("x"), id("a"), SheetNo(sheet + 1));
            match act {
                0 | 1 => _ = breakers.failed(when, &x, &a, sheet, policy),
                2 => _ = breakers.succeeded(when, &x, &a, sheet),
                3 => {
                    let free = held(&breakers, at).is_none();
                    let was_open = breakers.records().first().is_some_and(|it| it.state == BreakerState::Open);
                    breakers.probe_started(when, &x, &a, sheet);
                    if was_open && free {
                        prop_assert_eq!(held(&breakers, at), Some(None));
                        probe = Some(sheet);
                    }
                }
                _ => breakers.probe_ended(when, &x, &a, sheet),
            }
            if let Some(record) = breakers.records().first() {
                let is_half_open = record.state == BreakerState::HalfOpen;
                prop_assert_eq!(is_half_open, record.probe.is_some());
                if is_half_open {
                    prop_assert_eq!(record.probe.as_ref().map(|(_, sheet)| *sheet), probe);
                }
                prop_assert!(record.delay_ms <= recovery * 1000);
                prop_assert!(record.state != BreakerState::Closed || record.failures < threshold);
            }
            if let Some(Some(until)) = held(&breakers, at) {
                prop_assert!(until.since(when.mono) <= Duration::from_secs(recovery));
            }
        }
    }
}
