//! Timers, late orders, stops, restarts: I7, I9, I18, I20, I22, I24, I51-I53, I64, I68, I70, I81.

use super::*;
use crate::checkpoint::StoredState;

// Invariant I7
#[test]
fn i7_success_counts_whatever_was_printed_about_limits() {
    let mut world = World::begun(spec(&[&[]]));
    let said = "429 rate limit exceeded, retry after 3600 seconds".to_owned();
    let evidence = Evidence { stderr_tail: said.clone(), stdout_tail: said, ..Evidence::default() };
    let effects = world.run_with(1, ran(1, 1), evidence);
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Limited { .. })));
    assert_eq!(world.line(), "completed completed");
    assert_eq!(world.ledger(1).rate_limit_waits, 0);
}

// Invariant I9
#[test]
fn i9_the_time_of_a_sheet_is_the_sum_of_its_attempts() {
    let mut world = World::begun(spec(&[&[]]));
    let took = |seconds| Evidence { duration_seconds: seconds, ..Evidence::default() };
    world.run_with(1, limited(ErrorCode::E101, Some(20)), took(1.5));
    world.wait();
    world.run_with(1, failure(ErrorCode::E009, true), took(2.0));
    world.wait();
    world.run_with(1, interrupted(), took(0.25));
    world.run_with(1, ran(1, 1), took(4.0));
    assert!((world.ledger(1).total_duration_seconds - 7.75).abs() < 1e-9);
}

// Invariant I18
#[test]
fn i18_delays_begin_with_the_base_never_shrink_and_end_at_the_longest() {
    let mut spec = spec(&[&[]]);
    spec.retry.max_retries = 12;
    spec.retry.max_delay = seconds(100);
    let mut world = World::begun(spec);
    let delays: Vec<Duration> = (0..12)
        .map(|_| {
            world.run(1, failure(ErrorCode::E009, true));
            world.wait()
        })
        .collect();
    assert_eq!((delays[0], delays[11]), (seconds(10), seconds(100)));
    assert!(delays.is_sorted(), "{delays:?}");
}

// Invariant I20
#[test]
fn i20_the_moment_of_a_retry_that_nobody_waits_for_any_more_changes_nothing() {
    let mut world = World::begun(spec(&[&[], &[]]));
    world.run(1, failure(ErrorCode::E009, true));
    world.step(Input::Skip { sheet: SheetNo(1) });
    assert_eq!(world.exec.next_deadline(), None);
    world.pass(seconds(3600));
    assert_eq!(world.step(Input::Tick), []);
    assert_eq!(world.line(), "running operator pending");
}

// Invariant I22
#[test]
fn i22_a_cancelled_job_forgets_its_waits_and_questions() {
    let mut spec = spec(&[&[], &[], &[]]);
    spec.escalation = Some(Escalation { patience: Some(seconds(300)) });
    spec.max_parallel = 3;
    let mut world = World::begun(spec);
    for sheet in 1..=3 {
        world.dispatch(sheet);
    }
    world.end(1, limited(ErrorCode::E101, Some(20)));
    world.end(2, failure(ErrorCode::E009, true));
    world.end(3, failure(ErrorCode::E003, false));
    world.step(Input::Cancel);
    assert_eq!(world.line(), "cancelled cancelled cancelled cancelled");
    assert_eq!(world.exec.next_deadline(), None);
    world.pass(seconds(7200));
    assert_eq!(world.step(Input::Tick), []);
    assert_eq!(world.step(Input::LimitCleared { instrument: None }), []);
    assert_eq!(world.decide(3, Decision::Retry), []);
    for sheet in 1..=3 {
        assert_eq!(world.step(Input::Lost { sheet: SheetNo(sheet), attempt: AttemptNo(sheet) }), []);
        assert_eq!(world.dispatch(sheet), []);
    }
    assert_eq!((world.runnable(), world.permits), (Vec::new(), 0));
}

// Invariant I24
#[test]
fn i24_what_has_begun_does_not_begin_again() {
    let mut world = World::begun(spec(&[&[], &[1]]));
    world.dispatch(1);
    let (line, ledger) = (world.line(), world.exec.job().ledger.clone());
    assert_eq!(world.step(Input::Begin), []);
    assert_eq!(world.dispatch(1), [], "it runs already");
    assert_eq!(world.dispatch(2), [], "it waits for the first");
    assert_eq!((world.line(), &world.exec.job().ledger), (line, &ledger));
    assert_eq!(world.exec.active().collect::<Vec<_>>(), [(SheetNo(1), AttemptNo(1))]);
}

// Invariant I51
#[test]
fn i51_an_attempt_that_cannot_be_made_is_one_attempt_and_not_a_loop() {
    for retriable in [false, true] {
        let mut world = World::begun(spec(&[&[]]));
        world.attempts = 40;
        world.run(1, failure(ErrorCode::E505, retriable));
        let ledger = world.ledger(1);
        assert_eq!(
            (ledger.attempt_count, ledger.attempts.len(), ledger.normal_attempts),
            (1, 1, u32::from(retriable))
        );
        assert_eq!(ledger.attempts[0].attempt, AttemptNo(41));
        assert_eq!(ledger.error.as_ref().unwrap().code, ErrorCode::E505);
        assert_eq!(world.runnable(), [0; 0]);
        assert_eq!(world.dispatch(1), [], "not before its delay is over");
        assert_eq!(world.state(1), if retriable { "retry_scheduled" } else { "failed" });
    }
}

// Invariant I52, I53
#[test]
fn i52_i53_a_stop_starts_nothing_and_a_patient_one_ends_nothing() {
    let mut spec = spec(&[&[], &[], &[], &[]]);
    spec.max_parallel = 4;
    let mut world = World::begun(spec);
    world.run(1, ran(1, 1));
    world.run(2, failure(ErrorCode::E009, true));
    world.dispatch(3);
    let effects = world.step(pause(PauseFlag::Shutdown, false));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::End { .. })), "{effects:?}");
    assert_eq!(world.dispatch(4), []);
    assert!(world.line().ends_with("completed retry_scheduled dispatched pending"), "{}", world.line());
    world.wait();
    assert_eq!(world.dispatch(2), [], "nor a retry that has become due");
    world.end(3, ran(1, 1));
    assert_eq!(world.line(), "paused completed pending completed pending");
    assert_eq!(world.permits, 0);
}

// Invariant I64
#[test]
fn i64_a_restart_keeps_every_end_and_makes_up_what_is_missing() {
    let mut spec = spec(&[&[], &[], &[], &[], &[], &[]]);
    spec.max_parallel = 6;
    spec.retry.max_retries = 0;
    let mut world = World::begun(spec);
    world.run(1, ran(1, 1));
    world.run(2, failure(ErrorCode::E009, true));
    world.step(Input::Skip { sheet: SheetNo(3) });
    world.dispatch(4);
    let mut records: Vec<_> = (1..=5).map(|num| world.exec.sheet_record(SheetNo(num))).collect();
    records[4].state = StoredState::Cancelled { at: None };
    let job = world.exec.job_record();
    let exec = Execution::restore(Arc::clone(world.exec.spec()), job, records, world.now);
    let mut world = World { exec, ..world };
    world.step(Input::Tick);
    let line = "running completed failed operator dispatched cancelled pending";
    assert_eq!(world.line(), line, "the sixth was never stored");
    world.end(4, interrupted());
    assert_eq!(world.state(4), "pending", "what ran and was lost runs again");
    assert_eq!(world.runnable(), [4, 6], "without anything from outside");
}

// Invariant I64
#[test]
fn i64_a_restored_job_of_which_all_is_over_is_over_with_its_first_turn() {
    let mut world = World::begun(spec(&[&[], &[1]]));
    world.run(1, ran(1, 1));
    world.dispatch(2);
    let mut records: Vec<_> = (1..=2).map(|num| world.exec.sheet_record(SheetNo(num))).collect();
    records[1].state = StoredState::Failed { at: None };
    let job = world.exec.job_record();
    let mut exec = Execution::restore(Arc::clone(world.exec.spec()), job, records, world.now);
    assert!(exec.next_deadline().is_some(), "it asks for a turn");
    exec.step(world.now, Input::Tick);
    assert_eq!(exec.status(), JobStatus::Failed);
}

// Invariant I68
#[test]
fn i68_timers_fire_in_order_and_what_was_taken_back_is_gone() {
    let mut spec = spec(&[&[], &[], &[]]);
    spec.max_parallel = 3;
    let mut world = World::begun(spec);
    world.dispatch(1);
    world.dispatch(2);
    world.dispatch(3);
    world.end(3, limited(ErrorCode::E101, Some(60)));
    let far = world.exec.next_deadline().unwrap();
    world.end(2, failure(ErrorCode::E009, true));
    world.end(1, failure(ErrorCode::E009, true));
    let near = world.exec.next_deadline().unwrap();
    assert!(near < far, "an earlier one comes first although it was set later");
    world.step(Input::Skip { sheet: SheetNo(3) });
    // Two at the same moment: one turn, in the order of their numbers.
    assert_eq!(world.wait(), seconds(10));
    assert_eq!((world.line().as_str(), world.runnable()), ("running pending pending operator", vec![1, 2]));
    assert_eq!(world.exec.next_deadline(), None, "fired ones and those taken back are forgotten");

    // A moment that is long over counts as now.
    world.run(1, failure(ErrorCode::E009, true));
    world.pass(seconds(86_400));
    assert!(world.exec.next_deadline().unwrap() < world.now.mono);
    world.step(Input::Tick);
    assert_eq!(world.state(1), "pending");
}

// Invariant I70
#[test]
fn i70_no_job_has_run_for_less_than_nothing() {
    let mut world = World::begun(spec(&[&[]]));
    world.dispatch(1);
    let before = Now { mono: Mono(0), wall: Wall(0) };
    assert_eq!(world.exec.job().ran(before), Duration::ZERO);
    world.pass(seconds(7));
    assert_eq!(world.exec.job().ran(world.now), seconds(7));
    world.end(1, ran(1, 1));
    assert_eq!(world.exec.job().ran(world.now), seconds(7));
    let ended = world.exec.sheet(SheetNo(1)).unwrap().state.ended_at();
    assert_eq!(ended, Some(world.now.wall));
}

// Invariant I81
#[test]
fn i81_eased_pressure_answers_no_question() {
    let mut spec = spec(&[&[]]);
    spec.escalation = Some(Escalation { patience: None });
    let mut world = World::begun(spec);
    world.run(1, failure(ErrorCode::E003, false));
    world.step(pause(PauseFlag::Pressure, false));
    world.step(Input::Unpause(PauseFlag::Pressure));
    assert_eq!((world.line().as_str(), world.flags()), ("paused fermata", vec!["escalation"]));
}
