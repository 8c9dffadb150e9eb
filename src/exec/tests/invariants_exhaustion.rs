//! What comes when nothing is left to try: I11-I17, I48.

use super::*;

/// A job of two sheets in a row with everything that can come after the retries.
fn everything() -> JobSpec {
    let mut spec = spec(&[&[], &[1]]);
    spec.sheets[0].instruments.push(instrument("b"));
    spec.healing = 1;
    spec.escalation = Some(Escalation { patience: Some(seconds(300)) });
    spec
}

// Invariant I11, I12
#[test]
fn i11_i12_fallback_then_healing_once_then_a_person_then_the_end() {
    let mut world = World::begun(everything());
    let fatal = || failure(ErrorCode::E003, false);
    let effects = world.dispatch(1);
    assert_eq!(order(&effects).map(|order| order.heal), Some(Heal::Never), "a fallback comes first");
    let effects = world.end_with(1, fatal(), mended());
    assert!(events(&effects).contains(&"sheet.fallback"));
    assert_eq!(world.line(), "running pending pending");

    let effects = world.dispatch(1);
    assert_eq!(order(&effects).map(|order| order.heal), Some(Heal::IfHopeless));
    let effects = world.end_with(1, fatal(), mended());
    assert_eq!(events(&effects), ["sheet.failed", "sheet.retrying"]);
    assert_eq!((world.ledger(1).healing_attempts, world.wait()), (1, Duration::ZERO));

    let effects = world.dispatch(1);
    assert_eq!(order(&effects).map(|order| (order.mode, order.heal)), Some((Mode::Healing, Heal::Never)));
    let effects = world.end_with(1, fatal(), mended());
    assert_eq!(events(&effects), ["sheet.failed", "escalation.needed", "job.paused"]);
    assert_eq!(world.line(), "paused fermata pending");

    world.decide(1, Decision::Fail);
    assert_eq!(world.line(), "queued failed upstream_failed");
    world.step(Input::Begin);
    assert_eq!(world.line(), "failed failed upstream_failed");
    assert_eq!(world.ledger(1).error.as_ref().unwrap().code, ErrorCode::E003);
}

// Invariant I11
#[test]
fn i11_completion_without_success_goes_on_with_the_retries_that_are_left() {
    let mut spec = spec(&[&[]]);
    spec.retry.max_completion_attempts = 1;
    spec.retry.max_retries = 1;
    let mut world = World::begun(spec);
    world.run(1, ran(3, 4));
    world.wait();
    world.run(1, ran(3, 4));
    assert_eq!((world.state(1), world.ledger(1).normal_attempts), ("retry_scheduled", 1));
    assert_eq!(world.ledger(1).mode, Mode::Normal);
    world.wait();
    world.run(1, ran(3, 4));
    assert_eq!(world.line(), "failed failed");
}

// Invariant I12
#[test]
fn i12_without_an_applied_remedy_there_is_no_healing() {
    let mut spec = spec(&[&[]]);
    spec.healing = 2;
    let mut world = World::begun(spec);
    let hint = Remedy { name: "diagnose_missing_cli".to_owned(), ..Remedy::default() };
    let evidence = Evidence { remedies: vec![hint], ..Evidence::default() };
    world.run_with(1, failure(ErrorCode::E003, false), evidence);
    assert_eq!(world.line(), "failed failed");
    assert_eq!(world.ledger(1).outcome, Some(OutcomeCategory::FailedFatal));
}

// Invariant I13
#[test]
fn i13_a_question_blocks_nobody_only_the_final_failure_does() {
    let mut spec = everything();
    spec.sheets[0].instruments.truncate(1);
    let mut world = World::begun(spec);
    world.run(1, failure(ErrorCode::E003, false));
    assert_eq!(world.line(), "paused fermata pending");
    world.decide(1, Decision::Accept);
    assert_eq!(world.line(), "queued completed pending");
    assert_eq!(world.ledger(1).outcome, Some(OutcomeCategory::SuccessAccepted));
    world.step(Input::Begin);
    assert_eq!(world.runnable(), [2]);
}

// Invariant I14, I15
#[test]
fn i14_i15_every_instrument_has_fresh_budgets_and_its_own_model() {
    let mut spec = spec(&[&[]]);
    spec.retry.max_retries = 0;
    spec.sheets[0].instruments = vec![
        InstrumentRef { name: "a".into(), model: Some("large".into()) },
        instrument("b"),
        instrument("c"),
    ];
    let mut world = World::begun(spec);
    for at in 0..3 {
        assert_eq!(world.ledger(1).instrument_index, at);
        assert_eq!(world.ledger(1).normal_attempts, 0);
        let effects = world.dispatch(1);
        assert_eq!(order(&effects).map(|order| order.instrument_index), Some(at as usize));
        world.end(1, failure(ErrorCode::E001, true));
    }
    assert_eq!(world.line(), "failed failed");
    let models: Vec<_> = world.ledger(1).attempts.iter().map(|attempt| attempt.model.as_deref()).collect();
    assert_eq!(models, [Some("large"), None, None]);
}

// Invariant I16
#[test]
fn i16_the_history_of_instruments_keeps_its_newest_entries_and_says_why() {
    let mut spec = spec(&[&[]]);
    spec.sheets[0].instruments = (0..60).map(|at| instrument(&format!("i{at}"))).collect();
    let mut world = World::begun(spec);
    for _ in 0..59 {
        world.run(1, failure(ErrorCode::E502, false));
    }
    let fallbacks = &world.ledger(1).fallbacks;
    assert_eq!(fallbacks.len(), MAX_HISTORY);
    assert_eq!((&*fallbacks[49].to, fallbacks[49].reason.as_str()), ("i59", "auth_failure"));
}

// Invariant I17
#[test]
fn i17_a_missing_login_fails_at_once_and_blocks_what_depends_on_it() {
    let mut spec = everything();
    spec.sheets[0].instruments.truncate(1);
    let mut world = World::begun(spec);
    world.run_with(1, failure(ErrorCode::E502, false), mended());
    assert_eq!(world.line(), "failed failed upstream_failed");
}

// Invariant I14, I48
#[test]
fn i48_a_sheet_without_a_usable_instrument_stays_pending() {
    let mut world = World::begun(everything());
    let unusable = Input::FallBack { sheet: SheetNo(1), reason: "unavailable" };
    let effects = world.step(unusable.clone());
    assert_eq!(events(&effects), ["sheet.fallback"]);
    assert_eq!(&*world.exec.instrument(SheetNo(1)).name, "b");
    assert_eq!(world.step(unusable), [], "there is no further one");
    assert_eq!(world.runnable(), [1]);
}
