//! Registrations, limits and slots (docs/invariants.md), and that no sheet is left behind.

use super::*;

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(minutes * 60)
}

// Invariant I23, I24, I25, I66
#[test]
fn leaving_gives_back_what_the_job_held_and_nothing_else_once() {
    let mut bounds = limits(4);
    bounds.instruments.insert("x".to_owned(), 3);
    let (mut scheduler, mut offers) = world(bounds, &[("a", 2, "x"), ("b", 2, "x"), ("c", 1, "x")]);
    scheduler.limited(now(0), &on("y"), minutes(10), &id("a"), SheetNo(1));
    assert_eq!(drain(&mut scheduler, &mut offers, now(0)).0, "a1 b1 c1");
    // Registered again: what runs of it stays counted.
    scheduler.register(id("a"), plain(5, Wall(0)));
    assert_eq!((scheduler.stats().jobs, scheduler.running(&id("a")), scheduler.stats().active), (3, 1, 3));
    assert_eq!(drain(&mut scheduler, &mut offers, now(0)).0, "");
    for _ in 0..2 {
        scheduler.deregister(now(1), &id("a"));
        let running = ["a", "b", "c"].map(|job| scheduler.running(&id(job)));
        assert_eq!((running, scheduler.stats().active, scheduler.stats().jobs), ([0, 1, 1], 2, 2));
    }
    // What is known of an instrument is nobody's own.
    assert!(scheduler.rates().query(now(1), "y", None).0);
    // Late and strange reports give nothing back a second time.
    scheduler.ended(now(1), &id("a"), SheetNo(1));
    scheduler.ended(now(1), &id("nobody"), SheetNo(1));
    scheduler.ended(now(1), &id("b"), SheetNo(77));
    scheduler.started(now(1), &id("nobody"), SheetNo(1), &on("x"));
    scheduler.deregister(now(1), &id("nobody"));
    assert_eq!(scheduler.stats().active, 2);
    assert_eq!(drain(&mut scheduler, &mut offers, now(1)), ("b2".to_owned(), Pick::Nothing));
}

// Invariant I66
#[test]
fn a_slot_is_given_back_once_in_every_limit() {
    let mut bounds = limits(2);
    bounds.instruments.insert("x".to_owned(), 2);
    let (mut scheduler, mut offers) = world(bounds, &[("a", 9, "x/big")]);
    scheduler.set_models("x", vec![("big".into(), 2)]);
    assert_eq!(drain(&mut scheduler, &mut offers, now(0)).0, "a1 a2");
    for _ in 0..3 {
        scheduler.ended(now(1), &id("a"), SheetNo(1));
    }
    assert_eq!(scheduler.stats().active, 1);
    assert_eq!(drain(&mut scheduler, &mut offers, now(1)).0, "a3", "one slot is free, not three");
}

// Invariant I33
#[test]
fn a_job_that_offers_nothing_keeps_nobody_else_waiting() {
    let (mut scheduler, mut offers) = world(limits(9), &[("a", 3, "x"), ("b", 2, "x")]);
    let paused = offers.0.insert(id("a"), Vec::new()).unwrap();
    assert_eq!(drain(&mut scheduler, &mut offers, now(0)), ("b1 b2".to_owned(), Pick::Nothing));
    offers.0.insert(id("a"), paused);
    scheduler.touched(&id("a"));
    assert_eq!(drain(&mut scheduler, &mut offers, now(1)).0, "a1 a2 a3");
}

// Invariant I40, I42
#[test]
fn a_limit_holds_every_job_on_its_instrument_and_its_end_frees_them_all() {
    let jobs = [("a", 1, "x"), ("b", 1, "x"), ("c", 1, "y"), ("d", 1, "z")];
    let (mut scheduler, mut offers) = world(limits(9), &jobs);
    scheduler.limited(now(0), &on("x"), minutes(1), &id("a"), SheetNo(9));
    scheduler.limited(now(0), &on("y"), minutes(2), &id("c"), SheetNo(9));
    let (said, last) = drain(&mut scheduler, &mut offers, now(1));
    assert_eq!((said.as_str(), last), ("d1", Pick::Wait(Some(now(60).mono))));
    assert_eq!([why(&scheduler, "a"), why(&scheduler, "b")], ["rate_limited:x 1", "rate_limited:x 1"]);
    // One goes first; its success lets the others follow, on this instrument only.
    assert_eq!(drain(&mut scheduler, &mut offers, now(60)).0, "a1");
    scheduler.ended(now(61), &id("a"), SheetNo(1));
    assert_eq!(drain(&mut scheduler, &mut offers, now(61)).0, "b1");
    assert_eq!(drain(&mut scheduler, &mut offers, now(120)).0, "c1");
}

// Invariant I43
#[test]
fn clearing_concerns_the_named_instrument_and_counts_what_it_lifted() {
    let (mut scheduler, mut offers) = world(limits(9), &[("a", 1, "x"), ("b", 1, "y"), ("c", 1, "z")]);
    for name in ["x", "y", "z"] {
        scheduler.limited(now(0), &on(name), minutes(10), &id("a"), SheetNo(9));
    }
    for unknown in ["", "X", "x/", "nothing"] {
        assert_eq!(scheduler.rates_mut().clear(now(1), Some(unknown)), 0, "{unknown:?}");
    }
    assert_eq!(drain(&mut scheduler, &mut offers, now(1)).0, "");
    assert_eq!(scheduler.rates_mut().clear(now(1), Some("y")), 1);
    assert_eq!(scheduler.rates_mut().clear(now(1), Some("y")), 0);
    assert_eq!(drain(&mut scheduler, &mut offers, now(1)).0, "b1");
    assert_eq!(scheduler.rates_mut().clear(now(1), None), 2);
    assert_eq!(scheduler.rates_mut().clear(now(1), None), 0);
    assert_eq!(drain(&mut scheduler, &mut offers, now(1)).0, "a1 c1");
}

// Invariant I44
#[test]
fn the_end_of_the_first_wait_frees_nothing_when_a_second_one_was_asked_for() {
    let (mut scheduler, mut offers) = world(limits(9), &[("a", 1, "x")]);
    scheduler.limited(now(0), &on("x"), minutes(1), &id("a"), SheetNo(9));
    scheduler.limited(now(30), &on("x"), minutes(1), &id("a"), SheetNo(9));
    let (said, last) = drain(&mut scheduler, &mut offers, now(60));
    assert_eq!((said.as_str(), last), ("", Pick::Wait(Some(now(90).mono))));
    assert_eq!(scheduler.rates().next_expiry(now(60)), Some(now(90).mono), "one moment, not two");
    assert_eq!(drain(&mut scheduler, &mut offers, now(90)).0, "a1");
}

// Invariant I49
#[test]
fn a_limit_of_zero_starts_nothing_and_asks_for_no_wake_up() {
    let mut of_x = limits(9);
    of_x.instruments.insert("x".to_owned(), 0);
    for (bounds, instrument) in [(limits(0), "x"), (of_x, "x"), (limits(9), "x/big")] {
        let (mut scheduler, mut offers) = world(bounds, &[("a", 3, instrument)]);
        scheduler.set_models("x", vec![("big".into(), 0)]);
        for second in 0..3 {
            let said = drain(&mut scheduler, &mut offers, now(second));
            assert_eq!(said, (String::new(), Pick::Wait(None)), "waits for a change, not for a moment");
        }
        assert_eq!(scheduler.stats().active, 0);
    }
}

// Invariant I71
#[test]
fn a_job_is_registered_with_its_fallbacks() {
    use crate::exec::{Budget, Hooks, RateLimitPolicy, RetryPolicy, SheetSpec};
    let sheet = |instruments: &[&str]| SheetSpec {
        after: Vec::new(),
        instruments: instruments.iter().map(|name| on(name)).collect(),
        description: "".into(),
        fingerprint: "".into(),
        stage: 1,
        instance: 1,
        skip_when: None,
        skip_command: false,
        timeout: minutes(30),
        limits: vec![Duration::from_secs(1800)],
    };
    let spec = JobSpec {
        name: "test".into(),
        workspace: "/w".into(),
        sheets: vec![sheet(&["x/big", "y"]), sheet(&["x", "z"]), sheet(&["x"]), sheet(&["y"])],
        movements: std::collections::BTreeMap::new(),
        max_parallel: 1,
        fail_fast: false,
        retry: RetryPolicy {
            max_retries: 0,
            base_delay: minutes(1),
            max_delay: minutes(1),
            exponential_base: 2.0,
            explicit: true,
            jitter: false,
            max_completion_attempts: 0,
            completion_delay: minutes(1),
            completion_threshold: 50.0,
        },
        rate_limit: RateLimitPolicy {
            max_waits: 1,
            max_quota_waits: 1,
            wait: None,
            fallback_min_wait: minutes(1),
        },
        pause_between: Duration::ZERO,
        stagger: Duration::ZERO,
        timeout: None,
        start_sheet: None,
        seed: 0,
        budget: Budget::default(),
        healing: 0,
        escalation: None,
        patience: None,
        breaker: Some(BreakerPolicy { threshold: 1, recovery: minutes(5) }),
        set_up: false,
        hooks: Hooks::default(),
        breakpoints: Vec::new(),
    };
    let registration = Registration::of(&spec, 5, Wall(0));
    let names: Vec<&str> = registration.instruments.iter().map(|name| &**name).collect();
    assert_eq!(names, ["x", "y", "z"]);
    // What a fallback of it does counts for the breakers, however often the job is registered.
    let mut scheduler = Scheduler::new(limits(9));
    scheduler.register(id("a"), registration.clone());
    scheduler.register(id("a"), registration);
    scheduler.instrument_said(now(0), &on("z"), false, &id("a"), SheetNo(2));
    assert_eq!(scheduler.breakers().records().len(), 1);
    assert_eq!(scheduler.breakers().records()[0].state, BreakerState::Open);
}

/// Sheets with a chain of instruments, and where in it they are.
#[derive(Debug, Clone, Default)]
struct Chains(BTreeMap<JobId, BTreeMap<SheetNo, (Vec<InstrumentRef>, usize)>>);

impl Candidates for Chains {
    fn offer(&self, job: &JobId, visit: &mut dyn FnMut(Candidate<'_>)) {
        for (&sheet, (chain, at)) in self.0.get(job).into_iter().flatten() {
            let (instrument, fallbacks) = (&chain[*at], &chain[*at + 1..]);
            visit(Candidate { sheet, count: 1, instrument, fallbacks, depth: 0, retries: 0 });
        }
    }
}

/// How an attempt ends in the model.
#[derive(Debug, Clone, Copy)]
enum EndsBy {
    Success,
    /// The instrument asked to wait so long; the sheet runs again.
    Limit(u8),
    /// The instrument is at fault; the sheet runs again.
    Fault,
    /// Nothing is known of it; the sheet runs again.
    Silence,
}

fn ends_by() -> impl Strategy<Value = EndsBy> {
    prop_oneof![
        4 => Just(EndsBy::Success),
        1 => any::<u8>().prop_map(EndsBy::Limit),
        2 => Just(EndsBy::Fault),
        1 => Just(EndsBy::Silence),
    ]
}

proptest! {
    // Invariant I42, I47, I48, I66
    /// No zombie: whatever instruments say, every sheet is started in the end, nothing waits without a
    /// moment or a running sheet to wait for, and when all is over every slot is back.
    #[test]
    fn no_sheet_waits_for_ever_and_every_slot_comes_back(
        jobs in proptest::collection::vec((any::<bool>(), proptest::collection::vec(0_usize..5, 1..8)), 1..5),
        max in 1_u32..5,
        ends in proptest::collection::vec((any::<u8>(), ends_by()), 1..60),
    ) {
        const CHAINS: [&[&str]; 5] = [&["a"], &["b", "a"], &["c/m", "c/n"], &["c/n", "b", "a"], &["d"]];
        let bounds = Limits { max_sheets: max, per_instrument: 2, ..Limits::default() };
        let mut scheduler = Scheduler::new(bounds);
        let mut left = Chains::default();
        for (at, (careful, sheets)) in jobs.iter().enumerate() {
            let job = id(&format!("j{at}"));
            let breaker = careful.then_some(BreakerPolicy { threshold: 2, recovery: minutes(2) });
            let instruments = ["a", "b", "c", "d"].into_iter().map(Arc::from).collect();
            scheduler.register(job.clone(), Registration { breaker, instruments, ..plain(5, Wall(0)) });
            let sheets = sheets.iter().enumerate();
            let sheets = sheets.map(|(num, of)| {
                (SheetNo::from_index(num), (CHAINS[*of].iter().map(|name| on(name)).collect(), 0))
            });
            left.0.insert(job, sheets.collect());
        }
        let mut running: Vec<(JobId, SheetNo, Vec<InstrumentRef>, usize)> = Vec::new();
        let (mut clock, mut moment) = (0_u64, now(0));
        // After these everything succeeds, so that there is an end.
        let mut ends = ends.into_iter();
        for _ in 0..2000 {
            match scheduler.pick(moment, Throttle::Free, &left) {
                Pick::Run(job, sheet) => {
                    let (chain, at) = left.0.get_mut(&job).unwrap().remove(&sheet).unwrap();
                    scheduler.started(moment, &job, sheet, &chain[at]);
                    running.push((job, sheet, chain, at));
                    prop_assert!(running.len() <= max as usize);
                }
                Pick::FallBack(job, sheet, _) => {
                    let (chain, at) = left.0.get_mut(&job).unwrap().get_mut(&sheet).unwrap();
                    *at += 1;
                    prop_assert!(*at < chain.len(), "there is a further instrument");
                    scheduler.touched(&job);
                }
                Pick::Wait(until) if running.is_empty() => {
                    let Some(until) = until else {
                        return Err(TestCaseError::fail("nothing runs and no moment is waited for"));
                    };
                    prop_assert!(until > moment.mono, "no busy waiting");
                    clock = until.0.div_ceil(1_000_000_000).max(clock + 1);
                    moment = now(clock);
                }
                Pick::Wait(_) | Pick::Nothing if !running.is_empty() => {
                    let (which, how) = ends.next().unwrap_or((0, EndsBy::Success));
                    let (job, sheet, chain, at) = running.swap_remove(usize::from(which) % running.len());
                    match how {
                        EndsBy::Success => _ = scheduler.instrument_said(moment, &chain[at], true, &job, sheet),
                        EndsBy::Fault => _ = scheduler.instrument_said(moment, &chain[at], false, &job, sheet),
                        EndsBy::Limit(wait) => {
                            let wait = Duration::from_secs(wait.into());
                            scheduler.limited(moment, &chain[at], wait, &job, sheet);
                        }
                        EndsBy::Silence => {}
                    }
                    scheduler.ended(moment, &job, sheet);
                    if !matches!(how, EndsBy::Success) {
                        left.0.get_mut(&job).unwrap().insert(sheet, (chain, at));
                        scheduler.touched(&job);
                    }
                }
                Pick::Wait(_) | Pick::Nothing => break,
            }
            prop_assert_eq!(scheduler.stats().active as usize, running.len(), "permits are conserved");
            let told: usize = (0..jobs.len()).map(|at| scheduler.running(&id(&format!("j{at}")))).sum();
            prop_assert_eq!(told, running.len());
        }
        prop_assert!(left.0.values().all(BTreeMap::is_empty), "left behind: {:?}", left);
        prop_assert_eq!(scheduler.stats().active, 0);
    }
}
