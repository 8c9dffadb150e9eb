//! What is remembered between decisions never changes a decision.

use super::*;

#[test]
fn blocked_sheets_in_front_do_not_hide_those_behind() {
    let mut bounds = limits(10);
    bounds.instruments.insert("x".to_owned(), 0);
    let (mut scheduler, mut offers) = world(bounds, &[("a", 5000, "x")]);
    offers.0.get_mut(&id("a")).unwrap().push((SheetNo(5001), on("y"), 0, 0));
    let (said, last) = drain(&mut scheduler, &mut offers, now(0));
    assert_eq!((said.as_str(), last), ("a5001", Pick::Wait(None)));
}

#[test]
fn more_instruments_than_are_remembered_are_all_found() {
    let mut bounds = limits(10);
    for num in 0..300 {
        bounds.instruments.insert(format!("i{num}"), u32::from(num == 299));
    }
    let (mut scheduler, mut offers) = world(bounds, &[("a", 1, "none")]);
    let sheets = (0..300).map(|num| (SheetNo(num + 1), on(&format!("i{num}")), 0, 0));
    offers.0.insert(id("a"), sheets.collect());
    assert_eq!(drain(&mut scheduler, &mut offers, now(0)).0, "a300");
}

#[test]
fn a_sheet_on_another_instrument_is_not_kept_back_by_a_long_wait() {
    let (mut scheduler, mut offers) = world(limits(10), &[("a", 2, "x"), ("b", 1, "y")]);
    scheduler.limited(now(0), &on("x"), Duration::from_secs(600), &id("z"), SheetNo(1));
    assert_eq!(drain(&mut scheduler, &mut offers, now(1)).0, "b1");
    // A second hit does not shorten it, a longer one stretches it.
    scheduler.limited(now(1), &on("x"), Duration::from_secs(5), &id("z"), SheetNo(1));
    assert_eq!(scheduler.pick(now(10), Throttle::Free, &offers), Pick::Wait(Some(now(600).mono)));
    scheduler.limited(now(1), &on("x"), Duration::from_secs(900), &id("z"), SheetNo(1));
    assert_eq!(scheduler.pick(now(10), Throttle::Free, &offers), Pick::Wait(Some(now(901).mono)));
    assert_eq!(scheduler.rates_mut().clear(now(11), Some("")), 0);
    assert_eq!(scheduler.rates_mut().clear(now(11), Some("y")), 0);
    assert_eq!(scheduler.rates_mut().clear(now(11), Some("x")), 1);
    assert_eq!(drain(&mut scheduler, &mut offers, now(11)).0, "a1 a2");
}

#[test]
fn the_last_job_in_line_gets_its_turn_although_others_keep_coming() {
    let mut scheduler = Scheduler::new(limits(1));
    scheduler.register(id("patient"), plain(10, Wall(0)));
    let mut offers = Offers::default();
    offers.0.insert(id("patient"), vec![(SheetNo(1), on("x"), 40, 0)]);
    let mut served = None;
    // A new, most urgent job every minute, each busy until the next one comes.
    for minute in 0..1000_u64 {
        let job = id(&format!("urgent{minute}"));
        scheduler.register(job.clone(), plain(1, Wall(i64::try_from(minute).unwrap())));
        offers.0.insert(job.clone(), vec![(SheetNo(1), on("x"), 0, 10)]);
        let Pick::Run(picked, sheet) = scheduler.pick(now(minute * 60), Throttle::Free, &offers) else {
            panic!("a slot is free");
        };
        if picked == id("patient") {
            served = Some(minute);
            break;
        }
        scheduler.started(now(minute * 60), &picked, sheet, &on("x"));
        scheduler.ended(now(minute * 60), &picked, sheet);
        offers.0.remove(&picked);
        scheduler.deregister(now(minute * 60), &picked);
    }
    assert!(served.is_some_and(|minute| minute < 120), "{served:?}");
}

// Invariant I80
#[test]
fn a_single_sheet_gets_the_first_slot_beside_fifty() {
    let (mut scheduler, mut offers) = world(limits(4), &[("a", 50, "x")]);
    assert_eq!(drain(&mut scheduler, &mut offers, now(0)).0, "a1 a2 a3 a4");
    scheduler.register(id("b"), plain(5, Wall(9)));
    offers.0.insert(id("b"), vec![(SheetNo(1), on("x"), 0, 0)]);
    assert_eq!(drain(&mut scheduler, &mut offers, now(1)).0, "");
    scheduler.ended(now(2), &id("a"), SheetNo(1));
    assert_eq!(drain(&mut scheduler, &mut offers, now(2)).0, "b1");
}

// Invariant I24, I25
#[test]
fn registering_and_leaving_twice_changes_nothing() {
    let (mut scheduler, mut offers) = world(limits(3), &[("a", 5, "x")]);
    assert_eq!(drain(&mut scheduler, &mut offers, now(0)).0, "a1 a2 a3");
    scheduler.register(id("a"), plain(5, Wall(0)));
    scheduler.register(id("a"), plain(5, Wall(0)));
    assert_eq!((scheduler.stats().active, scheduler.running(&id("a"))), (3, 3));
    assert_eq!(drain(&mut scheduler, &mut offers, now(0)).0, "");
    scheduler.deregister(now(0), &id("a"));
    scheduler.deregister(now(0), &id("a"));
    scheduler.ended(now(0), &id("a"), SheetNo(1));
    scheduler.started(now(0), &id("a"), SheetNo(1), &on("x"));
    assert_eq!((scheduler.stats().active, scheduler.stats().jobs), (0, 0));
}

/// One thing that happens to a scheduler.
#[derive(Debug, Clone)]
enum Act {
    Pick,
    End(u8),
    Limit(u8, u8),
    Fail(u8),
    Work(u8),
    Touch(u8),
    Leave(u8),
    Pass(u8),
    Resize(u8),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        5 => Just(Act::Pick),
        3 => any::<u8>().prop_map(Act::End),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(of, wait)| Act::Limit(of, wait)),
        2 => any::<u8>().prop_map(Act::Fail),
        1 => any::<u8>().prop_map(Act::Work),
        1 => any::<u8>().prop_map(Act::Touch),
        1 => any::<u8>().prop_map(Act::Leave),
        2 => any::<u8>().prop_map(Act::Pass),
        1 => (0_u8..6).prop_map(Act::Resize),
    ]
}

const INSTRUMENTS: [&str; 5] = ["a", "b", "c/m", "c/n", "d"];

proptest! {
    // Invariant I66
    /// A scheduler that remembers decides as one that looks at everything anew, whatever happens; no
    /// limit is exceeded and no slot is lost.
    #[test]
    fn remembering_changes_no_decision(acts in proptest::collection::vec(act(), 1..120)) {
        let bounds = Limits { max_sheets: 4, per_instrument: 2, ..Limits::default() };
        let mut scheduler = Scheduler::new(bounds);
        let mut offers = Offers::default();
        let jobs: Vec<JobId> = (0..4).map(|num| id(&format!("j{num}"))).collect();
        for (at, job) in jobs.iter().enumerate() {
            let breaker = (at != 3).then_some(BreakerPolicy { threshold: 2, recovery: Duration::from_secs(60) });
            let instruments = ["a", "b", "c", "d"].into_iter().map(Arc::from).collect();
            scheduler.register(job.clone(), Registration { breaker, instruments, ..plain(5, Wall(0)) });
            let sheets = (0..12_usize).map(|num| {
                (SheetNo::from_index(num), on(INSTRUMENTS[(num / 2 + at) % 5]), u32::try_from(num % 3).unwrap(), 0)
            });
            offers.0.insert(job.clone(), sheets.collect());
        }
        let mut running: Vec<(JobId, SheetNo, InstrumentRef)> = Vec::new();
        let (mut at, mut most) = (0_u64, 4_usize);
        for act in acts {
            let of = |num: u8| on(INSTRUMENTS[usize::from(num) % 5]);
            match act {
                Act::Pick => {
                    let remembered = scheduler.pick(now(at), Throttle::Free, &offers);
                    jobs.iter().for_each(|job| scheduler.touched(job));
                    let anew = scheduler.pick(now(at), Throttle::Free, &offers);
                    prop_assert_eq!(&remembered, &anew);
                    if let Pick::Run(job, sheet) = anew {
                        let list = offers.0.get_mut(&job).unwrap();
                        let place = list.iter().position(|(num, ..)| *num == sheet).unwrap();
                        let (_, instrument, ..) = list.remove(place);
                        scheduler.started(now(at), &job, sheet, &instrument);
                        running.push((job, sheet, instrument));
                        prop_assert!(running.len() <= most);
                    }
                }
                Act::End(num) | Act::Fail(num) | Act::Work(num) if !running.is_empty() => {
                    let (job, sheet, instrument) = running.swap_remove(usize::from(num) % running.len());
                    if let Act::Fail(_) | Act::Work(_) = act {
                        let works = matches!(act, Act::Work(_));
                        scheduler.instrument_said(now(at), &instrument, works, &job, sheet);
                    }
                    scheduler.ended(now(at), &job, sheet);
                    scheduler.ended(now(at), &job, sheet);
                }
                Act::End(_) | Act::Fail(_) | Act::Work(_) => (),
                Act::Limit(num, wait) => {
                    let wait = Duration::from_secs(u64::from(wait));
                    scheduler.limited(now(at), &of(num), wait, &jobs[0], SheetNo(1));
                }
                Act::Touch(num) => scheduler.touched(&jobs[usize::from(num) % 4]),
                Act::Leave(num) => {
                    let job = &jobs[usize::from(num) % 4];
                    scheduler.deregister(now(at), job);
                    running.retain(|(of, ..)| of != job);
                    scheduler.register(job.clone(), plain(5, Wall(0)));
                }
                Act::Pass(seconds) => at += u64::from(seconds),
                Act::Resize(to) => {
                    most = usize::from(to).max(running.len());
                    scheduler.set_limits(Limits { max_sheets: u32::from(to), per_instrument: 2, ..Limits::default() });
                }
            }
            prop_assert_eq!(scheduler.stats().active as usize, running.len(), "no slot is lost");
            for name in ["a", "b", "c", "d"] {
                prop_assert!(running.iter().filter(|(.., on)| *on.name == *name).count() <= 2);
            }
        }
    }
}
