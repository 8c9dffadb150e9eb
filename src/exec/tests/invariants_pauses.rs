//! Pauses do not touch each other: I33-I36, I52, I81; checkpoints of the score.

use super::*;

/// Two sheets side by side that ask a person when they fail.
fn asking() -> World {
    let mut spec = spec(&[&[], &[]]);
    spec.max_parallel = 2;
    spec.escalation = Some(Escalation { patience: Some(seconds(300)) });
    World::begun(spec)
}

fn fatal() -> Outcome {
    failure(ErrorCode::E003, false)
}

// Invariant I33, I52
#[test]
fn i33_i52_a_paused_job_starts_nothing_and_can_be_paused_again() {
    let mut world = World::begun(spec(&[&[]]));
    for _ in 0..2 {
        world.step(pause(PauseFlag::User, false));
        assert!(order(&world.dispatch(1)).is_none());
        assert_eq!(world.line(), "paused pending");
        world.step(Input::Resume);
        world.step(Input::Begin);
        assert_eq!(world.runnable(), [1]);
    }
}

// Invariant I34
#[test]
fn i34_a_persons_pause_survives_answers_timeouts_and_limits() {
    let mut world = asking();
    world.run(1, fatal());
    world.step(pause(PauseFlag::User, false));
    assert_eq!(world.flags(), ["user", "escalation"]);
    world.decide(1, Decision::Skip);
    assert_eq!((world.flags(), world.exec.status()), (vec!["user"], JobStatus::Paused));

    let mut world = asking();
    world.dispatch(1);
    world.dispatch(2);
    world.end(1, fatal());
    world.end(2, limited(ErrorCode::E101, Some(20)));
    world.step(pause(PauseFlag::User, false));
    world.wait();
    assert_eq!(world.line(), "paused fermata pending", "the limit is over");
    world.wait();
    assert_eq!(world.line(), "paused failed pending", "nobody answered");
    assert_eq!(world.flags(), ["user"]);
}

// Invariant I35
#[test]
fn i35_the_last_of_two_questions_ends_the_pause_unless_the_cost_says_no() {
    for limit in [None, Some(100)] {
        let mut world = asking();
        let mut spec = JobSpec::clone(world.exec.spec());
        spec.budget.job_cost = limit;
        world = World::begun(spec);
        world.dispatch(1);
        world.dispatch(2);
        world.end_with(1, fatal(), cost(60));
        world.end_with(2, fatal(), cost(60));
        assert_eq!(world.line(), "paused fermata fermata");
        world.decide(1, Decision::Retry);
        assert_eq!(world.line(), "paused pending fermata");
        world.decide(2, Decision::Retry);
        let expected = if limit.is_some() { "paused pending pending" } else { "queued pending pending" };
        assert_eq!(world.line(), expected);
    }
}

// Invariant I36
#[test]
fn i36_answers_that_come_late_or_twice_are_ignored() {
    let mut world = asking();
    world.run(1, fatal());
    world.wait();
    assert_eq!(world.state(1), "failed");
    assert_eq!(world.decide(1, Decision::Accept), []);
    let mut world = asking();
    world.run(1, fatal());
    world.decide(1, Decision::Retry);
    assert_eq!(world.decide(1, Decision::Fail), []);
    assert_eq!(world.state(1), "pending");
}

#[test]
fn a_retry_that_a_person_wants_is_made_once_with_what_the_person_says() {
    let mut world = asking();
    world.run(1, fatal());
    let prompt = Some("mind the gap".to_owned());
    let sheet = SheetNo(1);
    world.step(Input::Decide { sheet, decision: Decision::Retry, prompt, note: None });
    world.step(Input::Begin);
    let effects = world.dispatch(1);
    assert_eq!(order(&effects).and_then(|order| order.note.as_deref()), Some("mind the gap"));
    world.end(1, fatal());
    assert_eq!(world.state(1), "fermata", "asked again");
    assert_eq!(world.ledger(1).person_note, None);
}

#[test]
fn resuming_does_not_answer_a_question() {
    let mut world = asking();
    world.run(1, fatal());
    world.step(pause(PauseFlag::User, false));
    world.step(Input::Resume);
    assert_eq!((world.line().as_str(), world.flags()), ("paused fermata pending", vec!["escalation"]));
}

// Invariant I81
#[test]
fn i81_eased_pressure_frees_neither_cost_nor_questions() {
    let mut spec = spec(&[&[], &[]]);
    spec.budget.job_cost = Some(10);
    let mut world = World::begun(spec);
    world.run_with(1, ran(1, 1), cost(11));
    world.step(pause(PauseFlag::Pressure, false));
    world.step(Input::Unpause(PauseFlag::Pressure));
    assert_eq!((world.line().as_str(), world.flags()), ("paused completed pending", vec!["cost"]));
}

#[test]
fn grounding_that_wants_a_person_asks_one_without_the_scores_consent_for_others() {
    let mut spec = spec(&[&[]]);
    spec.retry.max_retries = 0;
    spec.patience = Some(seconds(60));
    let mut world = World::begun(spec);
    let grounding = GroundingResult { escalate: true, ..GroundingResult::default() };
    let evidence = Evidence { grounding: Some(grounding), ..Evidence::default() };
    world.run_with(1, ran(0, 1), evidence);
    assert_eq!(world.line(), "paused fermata");
    assert_eq!(world.wait(), seconds(60));
    assert_eq!(world.line(), "queued failed");
}

fn breakpoint(sheets: &[u32], min_retries: Option<u32>, confirm: bool) -> Breakpoint {
    Breakpoint {
        name: "deploy".into(),
        sheets: Some(sheets.iter().copied().map(SheetNo).collect()),
        min_retries,
        confirm,
        message: "sure?".into(),
    }
}

#[test]
fn a_checkpoint_pauses_before_its_sheet_once() {
    let mut spec = spec(&[&[], &[1]]);
    spec.breakpoints = vec![breakpoint(&[2], None, true)];
    let mut world = World::begun(spec);
    world.run(1, ran(1, 1));
    let effects = world.dispatch(2);
    assert_eq!(events(&effects), ["checkpoint.reached", "job.paused"]);
    assert_eq!((world.line().as_str(), world.flags()), ("paused completed pending", vec!["checkpoint"]));
    assert_eq!(world.exec.job().ledger.checkpoint.as_ref().unwrap().name, "deploy");
    let mut world = world.restored(world.now);
    world.step(Input::Unpause(PauseFlag::Pressure));
    assert_eq!(world.exec.status(), JobStatus::Paused);
    world.step(Input::Resume);
    world.step(Input::Begin);
    world.run(2, ran(1, 1));
    assert_eq!(world.line(), "completed completed completed");
}

#[test]
fn a_checkpoint_without_confirmation_is_only_remarked() {
    let mut spec = spec(&[&[]]);
    spec.breakpoints = vec![breakpoint(&[1], Some(1), false)];
    let mut world = World::begun(spec);
    world.run(1, failure(ErrorCode::E009, true));
    assert!(world.exec.job().ledger.remarks.is_empty(), "no retry yet");
    world.wait();
    let effects = world.dispatch(1);
    assert!(events(&effects).contains(&"checkpoint.reached") && order(&effects).is_some());
    assert_eq!(world.exec.job().ledger.remarks[0].message, "checkpoint `deploy`: sure?");
}
