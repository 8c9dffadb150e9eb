//! Pause, resume, cancel, fail, time out.

use super::*;

fn two_wide() -> JobSpec {
    let mut spec = spec(&[&[], &[], &[1]]);
    spec.max_parallel = 2;
    spec
}

#[test]
fn a_pause_lets_running_sheets_end_and_gives_the_permit_back() {
    let mut world = World::begun(two_wide());
    world.dispatch(1);
    world.step(pause(PauseFlag::User, false));
    assert_eq!(world.line(), "pausing dispatched pending pending");
    assert_eq!(world.runnable(), [0; 0]);
    assert_eq!(world.exec.status(), JobStatus::Running);
    world.end(1, ran(1, 1));
    assert_eq!(world.line(), "paused completed pending pending");
    assert_eq!(world.permits, 0);
    world.step(Input::Resume);
    assert_eq!(world.line(), "queued completed pending pending");
    world.step(Input::Begin);
    assert_eq!(world.runnable(), [2, 3]);
}

#[test]
fn a_pause_can_be_called_off_before_it_is_one() {
    let mut world = World::begun(two_wide());
    world.dispatch(1);
    world.step(pause(PauseFlag::User, false));
    world.step(Input::Resume);
    assert_eq!(world.line(), "running dispatched pending pending");
    assert_eq!((world.runnable(), world.permits), (vec![2], 1));
}

#[test]
fn clearing_one_flag_never_clears_another() {
    let mut world = World::begun(two_wide());
    world.step(pause(PauseFlag::User, false));
    world.step(pause(PauseFlag::Pressure, false));
    world.step(Input::Unpause(PauseFlag::Pressure));
    assert_eq!(world.exec.status(), JobStatus::Paused);
    world.step(Input::Unpause(PauseFlag::User));
    assert_eq!(world.exec.status(), JobStatus::Queued);
}

// Invariant I53
#[test]
fn pause_now_costs_nothing_and_keeps_finished_work() {
    let mut world = World::begun(two_wide());
    world.dispatch(1);
    world.dispatch(2);
    let effects = world.step(pause(PauseFlag::Shutdown, true));
    let ended = effects
        .iter()
        .filter(|effect| matches!(effect, Effect::End { reason: EndReason::Shutdown, .. }))
        .count();
    assert_eq!(ended, 2);
    let saved = effects.iter().any(
        |effect| matches!(effect, Effect::SaveAttempt(record) if record.ending == Some(EndReason::Shutdown)),
    );
    assert!(saved, "the request is stored before the signal");
    world.end(1, Outcome::Ended);
    world.end(2, ran(1, 1));
    assert_eq!(world.line(), "paused pending completed pending");
    assert_eq!(world.ledger(1).normal_attempts, 0);
    assert_eq!(world.ledger(1).attempts[0].outcome, AttemptEnd::Interrupted);
}

#[test]
fn a_cancelled_job_is_over_when_its_last_sheet_has_let_go() {
    let mut world = World::begun(two_wide());
    world.dispatch(1);
    world.step(Input::Cancel);
    assert_eq!(world.line(), "cancelling dispatched cancelled cancelled");
    let again = world.step(Input::Cancel);
    assert_eq!(
        again,
        [Effect::End { sheet: SheetNo(1), attempt: AttemptNo(1), reason: EndReason::Cancel }],
        "a second request skips the grace"
    );
    let effects = world.end(1, Outcome::Ended);
    assert_eq!(world.line(), "cancelled cancelled cancelled cancelled");
    assert_eq!(effects.last(), Some(&Effect::Released));
    assert_eq!(world.step(Input::Cancel), []);
}

#[test]
fn jobs_without_a_permit_are_cancelled_without_giving_one_back() {
    let mut queued = World::new(two_wide());
    queued.step(Input::Cancel);
    assert_eq!((queued.exec.status(), queued.permits), (JobStatus::Cancelled, 0));
    let mut paused = World::begun(two_wide());
    paused.step(pause(PauseFlag::User, false));
    paused.step(Input::Cancel);
    assert_eq!((paused.exec.status(), paused.permits), (JobStatus::Cancelled, 0));
}

#[test]
fn the_time_limit_leaves_pauses_out() {
    let mut spec = two_wide();
    spec.timeout = Some(seconds(100));
    let mut world = World::begun(spec);
    world.pass(seconds(500));
    assert_eq!(world.exec.next_deadline(), None, "the clock starts with the first sheet");
    world.dispatch(1);
    world.pass(seconds(60));
    world.step(pause(PauseFlag::User, true));
    world.end(1, Outcome::Ended);
    assert_eq!(world.exec.next_deadline(), None);
    world.pass(seconds(1000));
    world.step(Input::Resume);
    world.step(Input::Begin);
    world.dispatch(1);
    assert_eq!(world.wait(), seconds(40));
    assert_eq!(world.line(), "failing dispatched cancelled cancelled");
    world.end(1, Outcome::Ended);
    assert_eq!(world.line(), "failed cancelled cancelled cancelled");
    let error = world.exec.job().ledger.error.as_deref();
    assert_eq!(error, Some("Job exceeded timeout of 100s (ran for 100s)"));
}

#[test]
fn resuming_a_failed_job_runs_only_what_did_not_succeed() {
    let mut spec = two_wide();
    spec.retry.max_retries = 0;
    let mut world = World::begun(spec);
    world.run(2, ran(1, 1));
    world.run(1, failure(ErrorCode::E009, true));
    assert_eq!(world.line(), "failed failed completed upstream_failed");
    world.step(Input::Resume);
    assert_eq!(world.line(), "queued pending completed pending");
    assert_eq!((world.ledger(1).normal_attempts, world.ledger(1).attempt_count), (0, 1));
    let job = &world.exec.job().ledger;
    assert_eq!((job.completed, job.error.as_deref(), job.run_epoch), (None, None, 2));
    world.step(Input::Begin);
    world.run(1, ran(1, 1));
    world.run(3, ran(1, 1));
    assert_eq!(world.line(), "completed completed completed completed");
    assert_eq!(world.permits, 0);
    assert_eq!(world.step(Input::Resume), []);
}

#[test]
fn a_failing_job_ends_what_runs() {
    let mut world = World::begun(two_wide());
    world.dispatch(1);
    world.step(Input::FailJob { message: "the score is gone".to_owned() });
    world.end(1, ran(1, 1));
    assert_eq!(world.line(), "failed cancelled cancelled cancelled");
    assert_eq!(world.exec.job().ledger.error.as_deref(), Some("the score is gone"));
}

#[test]
fn timers_run_on_under_a_pause_and_land_in_pending() {
    let mut world = World::begun(two_wide());
    world.run(1, failure(ErrorCode::E009, true));
    world.step(pause(PauseFlag::User, false));
    assert_eq!(world.line(), "paused retry_scheduled pending pending");
    world.wait();
    assert_eq!(world.line(), "paused pending pending pending");
    assert_eq!(world.runnable(), [0; 0]);
}
