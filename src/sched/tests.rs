#![allow(clippy::unwrap_used)]

mod breaker;
mod invariants;
mod ready;

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// What each job offers.
#[derive(Debug, Default, Clone)]
struct Offers(BTreeMap<JobId, Vec<(SheetNo, InstrumentRef, u32, u32)>>);

impl Candidates for Offers {
    fn offer(&self, job: &JobId, visit: &mut dyn FnMut(Candidate<'_>)) {
        for (sheet, instrument, depth, retries) in self.0.get(job).into_iter().flatten() {
            let candidate = Candidate {
                sheet: *sheet,
                count: 1,
                instrument,
                fallbacks: &[],
                depth: *depth,
                retries: *retries,
            };
            visit(candidate);
        }
    }
}

fn id(name: &str) -> JobId {
    JobId::new(name).unwrap()
}

/// `a` or `a/model`.
fn on(name: &str) -> InstrumentRef {
    match name.split_once('/') {
        Some((name, model)) => InstrumentRef { name: name.into(), model: Some(model.into()) },
        None => InstrumentRef { name: name.into(), model: None },
    }
}

fn now(seconds: u64) -> Now {
    Now {
        mono: Mono(seconds * 1_000_000_000),
        wall: Wall(1_700_000_000_000 + i64::try_from(seconds).unwrap() * 1000),
    }
}

/// A scheduler with jobs, each with so many sheets on one instrument, all of priority 5.
fn world(limits: Limits, jobs: &[(&str, u32, &str)]) -> (Scheduler, Offers) {
    let mut scheduler = Scheduler::new(limits);
    let mut offers = Offers::default();
    for (at, &(job, sheets, instrument)) in jobs.iter().enumerate() {
        scheduler.register(id(job), plain(5, Wall(i64::try_from(at).unwrap())));
        let sheets = (1..=sheets).map(|num| (SheetNo(num), on(instrument), 0, 0));
        offers.0.insert(id(job), sheets.collect());
    }
    (scheduler, offers)
}

/// Starts what is picked until nothing more is; says it as `a1 b1`, and what the last answer was.
fn drain(scheduler: &mut Scheduler, offers: &mut Offers, now: Now) -> (String, Pick) {
    let mut said = Vec::new();
    loop {
        match scheduler.pick(now, Throttle::Free, offers) {
            Pick::Run(job, sheet) => {
                let list = offers.0.get_mut(&job).unwrap();
                let at = list.iter().position(|(num, ..)| *num == sheet).unwrap();
                let (_, instrument, ..) = list.remove(at);
                scheduler.started(now, &job, sheet, &instrument);
                said.push(format!("{job}{sheet}"));
            }
            last => return (said.join(" "), last),
        }
    }
}

/// A job without a breaker.
fn plain(priority: u8, submitted: Wall) -> Registration {
    Registration {
        priority,
        submitted,
        breaker: None,
        instruments: BTreeSet::new(),
        patience: Duration::from_secs(30),
    }
}

/// Why a job got nothing, without pressure.
fn why(scheduler: &Scheduler, job: &str) -> String {
    let reasons = scheduler.reasons(now(1), Throttle::Free, &id(job));
    reasons.into_iter().map(|(reason, sheets)| format!("{reason} {sheets}")).collect::<Vec<_>>().join(", ")
}

fn limits(max_sheets: u32) -> Limits {
    Limits { max_sheets, per_instrument: 100, ..Limits::default() }
}

#[test]
fn a_wide_job_does_not_keep_a_narrow_one_waiting() {
    let (mut scheduler, mut offers) = world(limits(4), &[("a", 50, "x"), ("b", 1, "x")]);
    let (said, last) = drain(&mut scheduler, &mut offers, now(0));
    assert_eq!(said, "a1 b1 a2 a3");
    assert_eq!(last, Pick::Wait(None));
    assert_eq!(why(&scheduler, "a"), "global_concurrency 47");
    assert_eq!(why(&scheduler, "b"), "");
}

#[test]
fn no_job_exceeds_twice_its_share() {
    let (mut scheduler, mut offers) =
        world(limits(10), &[("a", 50, "x"), ("b", 0, "x"), ("c", 0, "x"), ("d", 0, "x")]);
    let (_, last) = drain(&mut scheduler, &mut offers, now(0));
    assert_eq!((scheduler.running(&id("a")), last), (5, Pick::Wait(None)));
    assert!(why(&scheduler, "a").starts_with("job_share "));
}

#[test]
fn priority_comes_first_then_depth_and_retries() {
    let mut scheduler = Scheduler::new(limits(100));
    let mut offers = Offers::default();
    for (job, priority, depth, retries) in
        [("deep", 5, 3, 0), ("again", 5, 0, 1), ("urgent", 1, 9, 0), ("usual", 5, 0, 0)]
    {
        scheduler.register(id(job), plain(priority, Wall(0)));
        offers.0.insert(id(job), vec![(SheetNo(1), on("x"), depth, retries)]);
    }
    let (said, last) = drain(&mut scheduler, &mut offers, now(0));
    assert_eq!((said.as_str(), last), ("urgent1 again1 usual1 deep1", Pick::Nothing));
}

#[test]
fn equal_jobs_take_turns_and_the_oldest_begins() {
    let (mut scheduler, mut offers) = world(limits(100), &[("b", 2, "x"), ("a", 2, "x")]);
    assert_eq!(drain(&mut scheduler, &mut offers, now(0)).0, "b1 a1 b2 a2");
}

#[test]
fn long_waiting_decides_between_equals() {
    let (mut scheduler, mut offers) = world(limits(1), &[("a", 5, "x"), ("b", 1, "x")]);
    assert_eq!(drain(&mut scheduler, &mut offers, now(0)).0, "a1");
    scheduler.ended(now(0), &id("a"), SheetNo(1));
    // Both have waited, b for longer: a has been served.
    assert_eq!(drain(&mut scheduler, &mut offers, now(400)).0, "b1");
}

// Invariant I50
#[test]
fn a_full_instrument_blocks_only_its_own_sheets() {
    let mut bounds = limits(10);
    bounds.instruments.insert("x".to_owned(), 1);
    let (mut scheduler, mut offers) = world(bounds, &[("a", 3, "x"), ("b", 2, "y")]);
    offers.0.get_mut(&id("a")).unwrap().push((SheetNo(4), on("y"), 0, 0));
    let (said, last) = drain(&mut scheduler, &mut offers, now(0));
    assert_eq!((said.as_str(), last), ("a1 b1 a4 b2", Pick::Wait(None)));
    assert!(why(&scheduler, "a").starts_with("instrument_concurrency:x "));
}

#[test]
fn models_count_for_their_instrument_too() {
    let mut bounds = limits(10);
    bounds.instruments.insert("x".to_owned(), 3);
    let (mut scheduler, mut offers) = world(bounds, &[("a", 2, "x/big"), ("b", 5, "x/small")]);
    scheduler.set_models("x", vec![("big".into(), 1)]);
    assert_eq!(drain(&mut scheduler, &mut offers, now(0)).0, "a1 b1 b2");
    assert!(why(&scheduler, "a").starts_with("instrument_concurrency:x "));
    scheduler.ended(now(0), &id("b"), SheetNo(1));
    assert_eq!(drain(&mut scheduler, &mut offers, now(0)).0, "b3");
    scheduler.ended(now(0), &id("b"), SheetNo(2));
    scheduler.ended(now(0), &id("b"), SheetNo(2));
    assert_eq!(scheduler.stats().active, 2);
}

#[test]
fn a_model_that_allows_more_than_is_usual_gets_it_unless_the_operator_says_otherwise() {
    let (mut scheduler, mut offers) = world(limits(20), &[("a", 9, "x/fast"), ("b", 9, "y/fast")]);
    scheduler.set_models("x", vec![("fast".into(), 6), ("slow".into(), 1)]);
    let mut bounds = limits(20);
    bounds.instruments.insert("y".to_owned(), 2);
    scheduler.set_limits(bounds);
    scheduler.set_models("y", vec![("fast".into(), 6)]);
    let started = drain(&mut scheduler, &mut offers, now(0)).0;
    let of = |job: &str| started.split(' ').filter(|name| name.starts_with(job)).count();
    assert_eq!((of("a"), of("b")), (6, 2));
}

#[test]
fn zero_starts_nothing_and_limits_change_at_run_time() {
    let (mut scheduler, mut offers) = world(limits(0), &[("a", 2, "x")]);
    assert_eq!(drain(&mut scheduler, &mut offers, now(0)), (String::new(), Pick::Wait(None)));
    scheduler.set_limits(limits(1));
    assert_eq!(drain(&mut scheduler, &mut offers, now(0)).0, "a1");
}

#[test]
fn pressure_spaces_starts_and_stops_them() {
    let (mut scheduler, offers) = world(limits(9), &[("a", 3, "x")]);
    let run = Pick::Run(id("a"), SheetNo(1));
    assert_eq!(scheduler.pick(now(5), Throttle::CRITICAL, &offers), Pick::Wait(None));
    assert_eq!(
        scheduler.reasons(now(5), Throttle::CRITICAL, &id("a")).keys().next(),
        Some(&Reason::Pressure)
    );
    assert_eq!(scheduler.pick(now(5), Throttle::MEDIUM, &offers), run);
    scheduler.started(now(5), &id("a"), SheetNo(1), &on("x"));
    let ten_later = Pick::Wait(Some(now(15).mono));
    assert_eq!(scheduler.pick(now(6), Throttle::MEDIUM, &offers), ten_later);
    assert_eq!(scheduler.pick(now(7), Throttle::LOW, &offers), run);
    assert_eq!(scheduler.pick(now(15), Throttle::MEDIUM, &offers), run);
    scheduler.touched(&id("a"));
    assert_eq!(scheduler.pick(now(15), Throttle::CRITICAL, &Offers::default()), Pick::Nothing);
}

// Invariant I40
#[test]
fn a_rate_limit_holds_its_scope_and_is_then_probed_by_one() {
    let (mut scheduler, mut offers) = world(limits(9), &[("a", 3, "x"), ("b", 1, "y")]);
    scheduler.limited(now(0), &on("x"), Duration::from_secs(60), &id("a"), SheetNo(9));
    let (said, last) = drain(&mut scheduler, &mut offers, now(1));
    assert_eq!((said.as_str(), last), ("b1", Pick::Wait(Some(now(60).mono))));
    assert_eq!(why(&scheduler, "a"), "rate_limited:x 3");
    // Over: one goes first, the rest follow after five seconds.
    let (said, last) = drain(&mut scheduler, &mut offers, now(60));
    assert_eq!((said.as_str(), last), ("a1", Pick::Wait(Some(now(65).mono))));
    assert_eq!(drain(&mut scheduler, &mut offers, now(65)).0, "a2 a3");
}

#[test]
fn a_probe_that_succeeds_opens_the_way_and_one_that_fails_does_not() {
    for (limited_again, expected) in [(false, "a2 a3"), (true, "")] {
        let (mut scheduler, mut offers) = world(limits(9), &[("a", 3, "x")]);
        scheduler.limited(now(0), &on("x"), Duration::from_secs(60), &id("a"), SheetNo(9));
        assert_eq!(drain(&mut scheduler, &mut offers, now(61)).0, "a1");
        if limited_again {
            scheduler.limited(now(62), &on("x"), Duration::from_secs(60), &id("a"), SheetNo(1));
        }
        scheduler.ended(now(0), &id("a"), SheetNo(1));
        assert_eq!(drain(&mut scheduler, &mut offers, now(62)).0, expected);
    }
}

#[test]
fn a_limit_of_one_model_leaves_the_others_alone() {
    let mut rates = RateLimits::default();
    rates.report(now(0), &on("x/big"), Duration::from_secs(60), &id("a"), SheetNo(1));
    assert_eq!(rates.held_until(now(1).mono, &on("x/small")), None);
    assert_eq!(rates.held_until(now(1).mono, &on("x/big")), Some(now(60).mono));
    assert_eq!(rates.query(now(1), "x", Some("big")), (true, 59.0));
    assert_eq!(rates.query(now(1), "x", None), (false, 0.0));
    rates.report(now(0), &on("x"), Duration::from_secs(30), &id("a"), SheetNo(1));
    assert_eq!(rates.query(now(1), "x", Some("small")), (true, 29.0));
}

#[test]
fn reports_are_clamped_never_shorten_and_are_remembered_for_an_hour() {
    let mut rates = RateLimits::default();
    let report = |rates: &mut RateLimits, at: u64, wait: u64| {
        rates.report(now(at), &on("x"), Duration::from_secs(wait), &id("a"), SheetNo(1));
    };
    report(&mut rates, 0, 90_000);
    assert_eq!(rates.query(now(0), "x", None), (true, 3600.0));
    report(&mut rates, 10, 20);
    assert_eq!(rates.query(now(10), "x", None), (true, 3590.0));
    report(&mut rates, 11, 0);
    assert_eq!(rates.recent(now(11)).count(), 3);
    assert_eq!(rates.recent(now(3605)).count(), 2);
    assert_eq!(rates.prune(now(3605)), 1);
    assert_eq!((rates.clear(now(20), Some("")), rates.clear(now(20), Some("y"))), (0, 0));
    assert_eq!((rates.clear(now(20), Some("x")), rates.clear(now(20), None)), (1, 0));
    assert!(!rates.any(now(20)));
}

#[test]
fn limits_survive_a_restart_and_a_clock_that_was_set_back() {
    let mut rates = RateLimits::default();
    rates.report(now(0), &on("x"), Duration::from_secs(60), &id("a"), SheetNo(1));
    let text = serde_json::to_string(&rates.all_records()).unwrap();
    let mut again = RateLimits::default();
    let back = Now { mono: Mono(0), wall: Wall(0) };
    again.restore(back, serde_json::from_str(&text).unwrap());
    assert_eq!(again.query(back, "x", None), (true, 60.0));
    assert_eq!(again.active(back)[0].seconds_remaining.to_string(), "60");
}

// Invariant I73
#[test]
fn ten_thousand_sheets_in_a_hundred_jobs_are_all_started_once() {
    let names: Vec<String> = (0..100).map(|at| format!("job{at}")).collect();
    let jobs: Vec<(&str, u32, &str)> = names.iter().map(|name| (name.as_str(), 100, "x")).collect();
    let (mut scheduler, offers) = world(Limits { per_instrument: 10, ..limits(10) }, &jobs);
    let mut left: BTreeMap<JobId, BTreeSet<SheetNo>> = offers
        .0
        .iter()
        .map(|(job, sheets)| (job.clone(), sheets.iter().map(|(num, ..)| *num).collect()))
        .collect();
    struct Left<'a>(&'a BTreeMap<JobId, BTreeSet<SheetNo>>, &'a InstrumentRef);
    impl Candidates for Left<'_> {
        fn offer(&self, job: &JobId, visit: &mut dyn FnMut(Candidate<'_>)) {
            for &sheet in &self.0[job] {
                let candidate =
                    Candidate { sheet, count: 1, instrument: self.1, fallbacks: &[], depth: 0, retries: 0 };
                visit(candidate);
            }
        }
    }
    let x = on("x");
    for _ in 0..10_000 {
        let Pick::Run(job, sheet) = scheduler.pick(now(0), Throttle::Free, &Left(&left, &x)) else {
            panic!("something is left");
        };
        assert!(left.get_mut(&job).unwrap().remove(&sheet));
        scheduler.started(now(0), &job, sheet, &x);
        scheduler.ended(now(0), &job, sheet);
    }
    assert_eq!(scheduler.pick(now(0), Throttle::Free, &Left(&left, &x)), Pick::Nothing);
}

proptest! {
    // Invariant I50, I66
    #[test]
    fn limits_hold_and_everything_is_started_in_the_end(
        jobs in proptest::collection::vec((1_u8..=10, proptest::collection::vec(0_u8..4, 0..12)), 1..6),
        max in 1_u32..5,
        per_instrument in 1_u32..3,
        ends in proptest::collection::vec(any::<u8>(), 1..20),
    ) {
        let bounds = Limits { max_sheets: max, per_instrument, ..Limits::default() };
        let mut scheduler = Scheduler::new(bounds);
        let mut offers = Offers::default();
        for (at, (priority, sheets)) in jobs.iter().enumerate() {
            let job = id(&format!("j{at}"));
            scheduler.register(job.clone(), plain(*priority, Wall(0)));
            let sheets = sheets.iter().enumerate().map(|(num, of)| {
                (SheetNo::from_index(num), on(["a", "b", "c/m", "c/n"][usize::from(*of)]), u32::from(*of), 0)
            });
            offers.0.insert(job, sheets.collect());
        }
        let mut running: Vec<(JobId, SheetNo, Arc<str>)> = Vec::new();
        let mut ends = ends.into_iter().cycle();
        loop {
            match scheduler.pick(now(0), Throttle::Free, &offers) {
                Pick::Run(job, sheet) => {
                    let list = offers.0.get_mut(&job).unwrap();
                    let at = list.iter().position(|(num, ..)| *num == sheet).unwrap();
                    let (_, instrument, ..) = list.remove(at);
                    scheduler.started(now(0), &job, sheet, &instrument);
                    running.push((job, sheet, instrument.name));
                }
                Pick::Wait(_) => {
                    prop_assert!(!running.is_empty(), "waits for something");
                    let at = usize::from(ends.next().unwrap()) % running.len();
                    let (job, sheet, _) = running.swap_remove(at);
                    scheduler.ended(now(0), &job, sheet);
                }
                Pick::Nothing => break,
                Pick::FallBack(..) => prop_assert!(false, "nothing has a fallback"),
            }
            prop_assert_eq!(scheduler.stats().active as usize, running.len());
            prop_assert!(running.len() <= max as usize);
            for name in ["a", "b", "c"] {
                let used = running.iter().filter(|(.., on)| **on == *name).count();
                prop_assert!(used <= per_instrument as usize);
            }
        }
        prop_assert!(offers.0.values().all(Vec::is_empty), "everything was started");
    }
}
