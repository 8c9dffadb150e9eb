//! What is over stays over, and what depends on it: I21-I23, I26-I32, I53, I64, I65.

use super::*;

/// Everything that can be told about sheet 1, as if it still mattered.
fn late() -> Vec<Input> {
    let sheet = SheetNo(1);
    let attempt = AttemptNo(1);
    let report = |outcome| Box::new(AttemptReport { outcome, evidence: cost(5) });
    let mut all: Vec<Input> = [
        ran(1, 1),
        failure(ErrorCode::E009, true),
        limited(ErrorCode::E101, None),
        interrupted(),
        Outcome::Ended,
        Outcome::Skip { message: "not needed".to_owned() },
    ]
    .into_iter()
    .map(|outcome| Input::AttemptEnded { sheet, attempt, report: report(outcome) })
    .collect();
    all.extend([
        Input::Spawned { sheet, attempt, pid: 4 },
        Input::Lost { sheet, attempt },
        Input::Skip { sheet },
        Input::Decide { sheet, decision: Decision::Accept, prompt: None, note: None },
        Input::FallBack { sheet, reason: "unavailable" },
        Input::LimitCleared { instrument: None },
        Input::Tick,
        Input::Cancel,
        Input::FailJob { message: "late".to_owned() },
        Input::Orphaned { message: "late".to_owned() },
        Input::SetUpDone(Ok(SetUp::default())),
        Input::HookEnded { hook: 0, epoch: 1, result: Box::default() },
        Input::Unpause(PauseFlag::User),
        pause(PauseFlag::User, true),
    ]);
    all
}

// Invariant I21, I22
#[test]
fn i21_i22_terminal_sheets_and_jobs_resist_everything() {
    let ends: [fn(&mut World); 3] = [
        |world| _ = world.run(1, ran(1, 1)),
        |world| _ = world.run(1, failure(ErrorCode::E003, false)),
        |world| {
            world.dispatch(1);
            world.step(Input::Cancel);
            world.end(1, Outcome::Ended);
        },
    ];
    for end in ends {
        let mut world = World::begun(spec(&[&[]]));
        end(&mut world);
        assert!(world.exec.status().is_terminal());
        let (line, ledger) = (world.line(), world.exec.job().ledger.clone());
        for input in late() {
            assert_eq!(world.step(input.clone()), [], "{line}: {input:?}");
        }
        assert_eq!((world.line(), &world.exec.job().ledger), (line, &ledger));
    }
}

// Invariant I23
#[test]
fn i23_inputs_for_sheets_that_do_not_exist_are_harmless() {
    let mut world = World::begun(spec(&[&[]]));
    for num in [0, 2, u32::MAX] {
        let (sheet, attempt) = (SheetNo(num), AttemptNo(1));
        let report = Box::new(AttemptReport { outcome: ran(1, 1), evidence: Evidence::default() });
        for input in [
            Input::Dispatch { sheet, attempt, token: Token::from_bytes([0; 16]) },
            Input::AttemptEnded { sheet, attempt, report },
            Input::Spawned { sheet, attempt, pid: 4 },
            Input::Lost { sheet, attempt },
            Input::Skip { sheet },
            Input::Decide { sheet, decision: Decision::Fail, prompt: None, note: None },
            Input::FallBack { sheet, reason: "unavailable" },
        ] {
            assert_eq!(world.step(input.clone()), [], "{input:?}");
        }
    }
}

// Invariant I26, I27, I28
#[test]
fn i26_i28_a_failure_blocks_all_that_depends_on_it_and_nothing_else() {
    // A diamond below 1, a chain below that, and 6 beside it.
    let mut world = World::begun(spec(&[&[], &[1], &[1], &[2, 3], &[4], &[]]));
    world.run(1, failure(ErrorCode::E003, false));
    assert_eq!(
        world.line(),
        "running failed upstream_failed upstream_failed upstream_failed upstream_failed pending"
    );
    world.run(6, ran(1, 1));
    assert!(world.line().ends_with("completed"));
    let mut world = World::begun(spec(&[&[], &[], &[1, 2]]));
    world.run(1, ran(1, 1));
    assert_eq!(world.runnable(), [2], "the fan-in waits for both");
}

// Invariant I27, I32
#[test]
fn i27_i32_what_a_person_skips_satisfies_and_the_job_succeeds() {
    let mut world = World::begun(spec(&[&[], &[1]]));
    let effects = world.step(Input::Skip { sheet: SheetNo(1) });
    assert_eq!(events(&effects), ["sheet.skipped", "job.progress"]);
    assert_eq!((world.line().as_str(), world.runnable()), ("running operator pending", vec![2]));
    world.run(2, ran(1, 1));
    assert_eq!(world.line(), "completed operator completed");
}

// Invariant I30
#[test]
fn i30_a_job_whose_last_sheets_are_blocked_ends_in_the_same_turn() {
    let mut world = World::begun(spec(&[&[], &[1], &[2]]));
    let effects = world.run(1, failure(ErrorCode::E003, false));
    assert_eq!(effects.last(), Some(&Effect::Released));
    assert_eq!(world.line(), "failed failed upstream_failed upstream_failed");
}

// Invariant I31
#[test]
fn i31_waits_and_questions_are_not_the_end() {
    let mut spec = spec(&[&[], &[], &[]]);
    spec.escalation = Some(Escalation { patience: None });
    spec.max_parallel = 3;
    let mut world = World::begun(spec);
    for sheet in 1..=3 {
        world.dispatch(sheet);
    }
    world.end(1, limited(ErrorCode::E101, Some(20)));
    world.end(2, failure(ErrorCode::E009, true));
    world.end(3, failure(ErrorCode::E003, false));
    assert_eq!(world.line(), "paused waiting retry_scheduled fermata");
    assert_eq!(world.exec.counts().unfinished(), 3);
}

// Invariant I53
#[test]
fn i53_a_stop_keeps_what_is_done_and_makes_the_rest_pending() {
    let mut spec = spec(&[&[], &[], &[]]);
    spec.max_parallel = 3;
    let mut world = World::begun(spec);
    world.run(1, ran(1, 1));
    world.dispatch(2);
    world.step(pause(PauseFlag::Shutdown, true));
    world.end(2, Outcome::Ended);
    assert_eq!(world.line(), "paused completed pending pending");
    assert_eq!(world.runnable(), [0; 0]);
}

// Invariant I64, I65
#[test]
fn i64_i65_a_restart_keeps_budgets_questions_and_decisions() {
    let mut spec = spec(&[&[], &[]]);
    spec.escalation = Some(Escalation { patience: Some(seconds(300)) });
    spec.max_parallel = 2;
    let mut world = World::begun(spec);
    world.run(2, failure(ErrorCode::E009, true));
    world.run(1, failure(ErrorCode::E003, false));
    world.pass(seconds(100));
    let mut world = world.restored(world.now);
    world.step(Input::Tick);
    assert_eq!(world.line(), "paused fermata pending");
    assert_eq!(world.ledger(2).normal_attempts, 1);
    assert_eq!(world.ledger(1).escalation.as_ref().unwrap().decision, None);
    assert_eq!(world.wait(), seconds(200), "the question is as old as it was");
    assert_eq!(world.state(1), "failed");
    assert_eq!(world.ledger(1).error.as_ref().unwrap().code, ErrorCode::E999);
}
