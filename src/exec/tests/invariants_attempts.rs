//! What an attempt counts for: I1-I7, I10, I18-I20, I41, I54, I70, I72, I78.

use super::*;

fn one() -> World {
    World::begun(spec(&[&[]]))
}

// Invariant I1
#[test]
fn i1_success_without_rules_completes_at_once() {
    let mut world = one();
    world.run(1, ran(0, 0));
    assert_eq!(world.line(), "completed completed");
    assert_eq!(world.ledger(1).outcome, Some(OutcomeCategory::SuccessFirstTry));
}

// Invariant I2
#[test]
fn i2_a_failure_without_rules_completes_nothing() {
    let mut world = one();
    world.run(1, failure(ErrorCode::E009, true));
    assert_eq!(world.line(), "running retry_scheduled");
}

// Invariant I3
#[test]
fn i3_only_all_rules_complete_a_sheet() {
    for (passed, executed, state) in
        [(9_999, 10_000, "retry_scheduled"), (1, 1, "completed"), (3, 2, "completed")]
    {
        let mut world = one();
        world.run(1, ran(passed, executed));
        assert_eq!(world.state(1), state, "{passed}/{executed}");
    }
}

// Invariant I4
#[test]
fn i4_nothing_passed_consumes_one_retry_and_a_failure_is_counted_once() {
    for outcome in [ran(0, 4), failure(ErrorCode::E009, true)] {
        let mut world = one();
        world.run(1, outcome);
        assert_eq!((world.ledger(1).normal_attempts, world.ledger(1).errors.len()), (1, 1));
    }
}

// Invariant I5
#[test]
fn i5_a_partial_success_uses_the_completion_budget_only() {
    let mut world = one();
    world.run(1, ran(3, 4));
    assert_eq!((world.ledger(1).completion_attempts, world.ledger(1).normal_attempts), (1, 0));
    assert_eq!(world.wait(), seconds(5));
    let effects = world.dispatch(1);
    assert_eq!(order(&effects).map(|order| order.mode), Some(Mode::Completion));
}

// Invariant I6
#[test]
fn i6_rate_limits_consume_no_retry() {
    let mut world = one();
    for _ in 0..3 {
        world.run(1, limited(ErrorCode::E101, Some(20)));
        assert_eq!((world.state(1), world.ledger(1).normal_attempts), ("waiting", 0));
        world.wait();
    }
    world.run(1, failure(ErrorCode::E009, true));
    assert_eq!((world.ledger(1).normal_attempts, world.ledger(1).rate_limit_waits), (1, 0));
}

// Invariant I10
#[test]
fn i10_no_retries_means_one_attempt_and_n_means_n_more() {
    for retries in [0, 2] {
        let mut spec = spec(&[&[]]);
        spec.retry.max_retries = retries;
        let mut world = World::begun(spec);
        let mut attempts = 0;
        while !world.exec.status().is_terminal() {
            if world.runnable().is_empty() {
                world.wait();
            }
            world.run(1, failure(ErrorCode::E009, true));
            attempts += 1;
        }
        assert_eq!(attempts, retries + 1);
        assert_eq!(world.ledger(1).outcome, Some(OutcomeCategory::FailedExhausted));
    }
}

// Invariant I18, I19, I20
#[test]
fn i18_i19_i20_a_retry_waits_its_delay_and_is_never_lost() {
    let mut world = one();
    world.run(1, failure(ErrorCode::E009, true));
    assert_eq!(world.state(1), "retry_scheduled");
    world.pass(seconds(9));
    assert_eq!(world.step(Input::Tick), [], "not due yet");
    world.pass(seconds(1));
    world.step(Input::Tick);
    assert_eq!(world.state(1), "pending");
    assert_eq!(world.step(Input::Tick), [], "there is no retry that could be due");
}

// Invariant I41
#[test]
fn i41_a_rate_limit_leaves_running_sheets_alone() {
    let mut spec = spec(&[&[], &[]]);
    spec.max_parallel = 2;
    let mut world = World::begun(spec);
    world.dispatch(1);
    world.dispatch(2);
    let effects = world.end(1, limited(ErrorCode::E101, Some(20)));
    assert_eq!(world.line(), "running waiting dispatched");
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::End { .. })));
    world.step(Input::LimitCleared { instrument: Some("a".into()) });
    assert_eq!(world.line(), "running pending dispatched");
}

// Invariant I40
#[test]
fn i40_clearing_one_instrument_leaves_the_others_waiting() {
    let mut spec = spec(&[&[], &[]]);
    spec.max_parallel = 2;
    spec.sheets[1].instruments = vec![instrument("b")];
    let mut world = World::begun(spec);
    world.run(1, limited(ErrorCode::E101, Some(20)));
    world.run(2, limited(ErrorCode::E101, Some(20)));
    world.step(Input::LimitCleared { instrument: Some("b".into()) });
    assert_eq!(world.line(), "running waiting pending");
    world.step(Input::LimitCleared { instrument: None });
    assert_eq!(world.line(), "running pending pending");
}

// Invariant I46
#[test]
fn i46_only_what_is_the_instruments_own_fault_is_blamed_on_it() {
    let said = |outcome: Outcome, output: u64| {
        let mut world = one();
        let evidence = Evidence { stdout_bytes: output, ..Evidence::default() };
        let effects = world.run_with(1, outcome, evidence);
        effects.iter().find_map(|effect| match effect {
            Effect::Instrument { result, .. } => Some(result.is_ok()),
            _ => None,
        })
    };
    for code in [ErrorCode::E002, ErrorCode::E003, ErrorCode::E501, ErrorCode::E505, ErrorCode::E904] {
        assert_eq!(said(failure(code, true), 9), Some(false), "{code}");
    }
    for code in [ErrorCode::E001, ErrorCode::E006, ErrorCode::E502, ErrorCode::E602] {
        assert_eq!(said(failure(code, false), 0), None, "{code}");
    }
    assert_eq!(said(failure(ErrorCode::E009, true), 0), Some(false), "it said nothing");
    assert_eq!(said(failure(ErrorCode::E009, true), 9), None, "it said what is wrong");
    assert_eq!(said(ran(0, 4), 0), Some(true), "rules say nothing about the instrument");
    assert_eq!(said(limited(ErrorCode::E101, None), 0), None);
    assert_eq!(said(interrupted(), 0), None);
}

// Invariant I54
#[test]
fn i54_a_lost_attempt_counts_once_is_remembered_and_costs_nothing() {
    let mut world = one();
    world.dispatch(1);
    let lost = Input::Lost { sheet: SheetNo(1), attempt: AttemptNo(1) };
    world.step(lost.clone());
    assert_eq!(world.line(), "running retry_scheduled");
    let ledger = world.ledger(1);
    assert_eq!((ledger.normal_attempts, ledger.attempts.len(), ledger.spent.cost_micro), (1, 1, 0));
    assert_eq!(world.step(lost), [], "it acts on active sheets only");
}

// Invariant I70
#[test]
fn i70_running_jobs_have_no_end_and_ended_ones_have() {
    let mut world = one();
    assert_eq!(world.exec.job().ledger.completed, None);
    world.run(1, failure(ErrorCode::E003, false));
    assert!(world.exec.job().ledger.completed.is_some());
    world.step(Input::Resume);
    assert_eq!(world.exec.job().ledger.completed, None);
    world.step(Input::Begin);
    world.run(1, ran(1, 1));
    assert!(world.exec.sheet(SheetNo(1)).unwrap().state.ended_at().is_some());
}

// Invariant I72
#[test]
fn i72_the_pause_between_sheets_is_not_armed_while_siblings_run() {
    let mut spec = spec(&[&[], &[], &[]]);
    spec.max_parallel = 2;
    spec.pause_between = seconds(30);
    let mut world = World::begun(spec);
    world.dispatch(1);
    world.dispatch(2);
    world.end(1, ran(1, 1));
    assert_eq!(world.runnable(), [3]);
    world.end(2, ran(1, 1));
    assert!(matches!(world.exec.blocked(world.now), Some(Blocked::Pacing(_))));
    assert_eq!(world.wait(), seconds(30));
    assert_eq!(world.runnable(), [3]);
}

// Invariant I78
#[test]
fn i78_the_result_of_an_earlier_attempt_is_ignored() {
    let mut world = one();
    world.run(1, failure(ErrorCode::E009, true));
    world.wait();
    world.dispatch(1);
    let report = Box::new(AttemptReport { outcome: ran(1, 1), evidence: Evidence::default() });
    let late = Input::AttemptEnded { sheet: SheetNo(1), attempt: AttemptNo(1), report };
    assert_eq!(world.step(late), []);
    assert_eq!(world.state(1), "dispatched");
}
