//! Sheets that are not needed: conditions (I82), commands, persons; failed programs whose rules pass.

use super::*;

fn with_condition(text: &str) -> World {
    let mut spec = spec(&[&[], &[1]]);
    spec.sheets[1].skip_when = Some(Arc::new(SkipRule {
        text: text.into(),
        expr: crate::score::expr::parse(text).unwrap(),
        values: vec![("stage".to_owned(), 2_i64.into())],
    }));
    World::begun(spec)
}

#[test]
fn conditions_see_sheets_job_and_numbers() {
    for (text, skipped) in [
        ("sheets[1].status == 'completed'", true),
        ("sheets[1].attempt_count == 1 and sheets[1].validation_passed", true),
        ("sheets.get(7) is None and sheets['1'].error_message is None", true),
        ("sheets[1].exit_code == 0", true),
        ("'done' in sheets[1].stdout_tail", true),
        ("job.completed_sheets == 1 and job.total_sheets == 2 and job.name == 'test'", true),
        ("stage == 2 and job.workspace == '/w' and job.total_cost_usd == 0", true),
        ("job.status != 'running'", false),
    ] {
        let mut world = with_condition(text);
        let evidence =
            Evidence { exit_code: Some(0), stdout_tail: "all done".to_owned(), ..Evidence::default() };
        world.run_with(1, ran(1, 1), evidence);
        world.dispatch(2);
        assert_eq!(world.state(2) == "skipped", skipped, "{text}: {}", world.line());
        if skipped {
            assert_eq!(world.line(), "completed completed condition", "no attempt is opened");
            assert_eq!(world.ledger(2).attempt_count, 0);
        }
    }
}

// Invariant I82
#[test]
fn i82_a_condition_that_cannot_be_evaluated_skips_nothing() {
    let mut world = with_condition("sheets[9].status == 'completed'");
    world.run(1, ran(1, 1));
    let effects = world.dispatch(2);
    assert!(order(&effects).is_some() && events(&effects).contains(&"sheet.warning"));
    let remark = &world.exec.job().ledger.remarks[0];
    assert!(remark.message.contains("the sheet runs: no key 9"), "{}", remark.message);
}

#[test]
fn a_condition_is_not_asked_on_retries() {
    let mut world = with_condition("sheets[2].attempt_count > 0");
    world.run(1, ran(1, 1));
    world.run(2, failure(ErrorCode::E009, true));
    world.wait();
    assert!(order(&world.dispatch(2)).is_some());
}

#[test]
fn a_command_skips_before_the_first_attempt_only_and_counts_nothing() {
    let mut spec = spec(&[&[]]);
    spec.sheets[0].skip_command = true;
    let mut world = World::begun(spec.clone());
    assert_eq!(order(&world.dispatch(1)).map(|order| order.skip_command), Some(true));
    world.end(1, Outcome::Skip { message: "already there".to_owned() });
    assert_eq!(world.line(), "completed command");
    let ledger = world.ledger(1);
    assert_eq!((ledger.attempt_count, ledger.attempts.len()), (0, 0));
    assert_eq!(ledger.note.as_deref(), Some("already there"));

    let mut world = World::begun(spec);
    world.run(1, interrupted());
    assert_eq!(order(&world.dispatch(1)).map(|order| order.skip_command), Some(true), "no result yet");
    world.end(1, failure(ErrorCode::E009, true));
    world.wait();
    assert_eq!(order(&world.dispatch(1)).map(|order| order.skip_command), Some(false));
}

#[test]
fn a_running_sheet_is_skipped_when_it_does_not_succeed() {
    for (outcome, line) in [
        (ran(1, 1), "completed completed"),
        (failure(ErrorCode::E009, true), "completed operator"),
        (ran(1, 2), "completed operator"),
        (limited(ErrorCode::E101, None), "completed operator"),
        (interrupted(), "completed operator"),
        (Outcome::NotStarted { message: "full".to_owned() }, "completed operator"),
    ] {
        let mut world = World::begun(spec(&[&[]]));
        world.dispatch(1);
        assert_eq!(world.step(Input::Skip { sheet: SheetNo(1) }), [Effect::SaveSheet(SheetNo(1))]);
        world.end(1, outcome);
        assert_eq!(world.line(), line);
    }
}

#[test]
fn a_failed_program_whose_rules_pass_is_accepted_and_remembered() {
    let mut world = World::begun(spec(&[&[]]));
    let failure = Failure {
        code: ErrorCode::E001,
        message: "too slow".to_owned(),
        retriable: true,
        delay: Duration::ZERO,
    };
    world.run(1, Outcome::Accepted { failure, executed: 2 });
    assert_eq!(world.line(), "completed completed");
    let ledger = world.ledger(1);
    assert_eq!(ledger.outcome, Some(OutcomeCategory::SuccessValidated));
    assert_eq!((ledger.error.as_ref(), ledger.errors[0].error.code), (None, ErrorCode::E001));
}
