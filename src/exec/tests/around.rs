//! What is before the sheets and after them: set-up, hooks, recovery of a failed job.

use super::*;

fn hook(hook_type: &'static str) -> Hook {
    Hook {
        hook_type,
        chains: hook_type == "run_job",
        detached: false,
        pause_before: false,
        abort_on_failure: false,
        timeout: seconds(300),
        description: None,
    }
}

fn hooked(on_success: Vec<Hook>) -> JobSpec {
    let mut spec = spec(&[&[]]);
    spec.hooks = Hooks { on_success, ..Hooks::default() };
    spec
}

/// The hooks that a step asks for: position, after a failure, run.
fn asked(effects: &[Effect]) -> Vec<(usize, bool, u32)> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Hook { hook, on_failure, epoch } => Some((*hook, *on_failure, *epoch)),
            _ => None,
        })
        .collect()
}

fn hook_ended(hook: usize, success: bool) -> Input {
    let error_message = (!success).then(|| "exit code 3".to_owned());
    let result = HookResult { success: Some(success), error_message, ..HookResult::default() };
    Input::HookEnded { hook, epoch: 1, result: Box::new(result) }
}

#[test]
fn hooks_run_one_after_the_other_before_the_job_is_completed() {
    let mut world = World::begun(hooked(vec![hook("run_command"), hook("run_script")]));
    let effects = world.run(1, ran(1, 1));
    assert_eq!(asked(&effects), [(0, false, 1)]);
    let position = |wanted: &Effect| effects.iter().position(|effect| effect == wanted).unwrap();
    let act = effects.iter().position(|effect| matches!(effect, Effect::Hook { .. })).unwrap();
    assert!(position(&Effect::SaveJob) < act, "stored before it acts");
    assert_eq!(effects.last(), Some(&Effect::Released));
    assert_eq!((world.line().as_str(), world.permits), ("finishing completed", 0));
    assert_eq!(world.exec.job().ledger.hook_results[0].success, None);
    let effects = world.step(hook_ended(0, false));
    assert_eq!(asked(&effects), [(1, false, 1)]);
    assert_eq!(events(&effects), ["hook.failed", "hook.started"]);
    assert_eq!(world.step(hook_ended(0, true)), [], "told twice");
    let effects = world.step(hook_ended(1, true));
    assert_eq!(events(&effects), ["hook.completed", "job.completed"]);
    assert_eq!((world.line().as_str(), world.exec.failed_hooks()), ("completed completed", 1));
}

#[test]
fn a_hook_that_aborts_fails_the_job_and_ends_the_rest() {
    for all in [false, true] {
        let mut first = hook("run_command");
        first.abort_on_failure = !all;
        let mut spec = hooked(vec![first, hook("run_command")]);
        spec.hooks.abort_on_failure = all;
        let mut world = World::begun(spec);
        world.run(1, ran(1, 1));
        world.step(hook_ended(0, false));
        assert_eq!(world.line(), "failed completed");
        let ledger = &world.exec.job().ledger;
        assert_eq!(ledger.error.as_deref(), Some("Hook 1 failed: exit code 3"));
        assert_eq!((ledger.error_code, ledger.hook_results.len()), (Some(ErrorCode::E701), 1));
    }
}

#[test]
fn a_job_without_new_work_runs_no_hooks() {
    let mut world = World::begun(hooked(vec![hook("run_job")]));
    let effects = world.step(Input::Skip { sheet: SheetNo(1) });
    assert_eq!(asked(&effects), []);
    assert_eq!(world.line(), "completed operator");
}

#[test]
fn a_failed_job_runs_its_own_hooks_and_stays_failed() {
    let mut spec = hooked(vec![hook("run_command")]);
    spec.hooks.on_failure = vec![hook("run_command")];
    let mut world = World::begun(spec);
    let effects = world.run(1, failure(ErrorCode::E003, false));
    assert_eq!(asked(&effects), [(0, true, 1)]);
    world.step(hook_ended(0, true));
    assert_eq!(world.line(), "failed failed");
    assert!(world.exec.job().ledger.error.as_ref().unwrap().contains("E003"));
}

#[test]
fn a_cancelled_job_ends_its_hook_and_runs_no_further_one() {
    let mut world = World::begun(hooked(vec![hook("run_command"), hook("run_command")]));
    world.run(1, ran(1, 1));
    let effects = world.step(Input::Cancel);
    assert!(effects.contains(&Effect::EndHook));
    assert_eq!(world.line(), "cancelling completed");
    let effects = world.step(hook_ended(0, false));
    assert_eq!(asked(&effects), []);
    assert_eq!(world.line(), "cancelled completed");
}

#[test]
fn a_chained_job_waits_its_cooldown_and_survives_restarts() {
    let mut spec = hooked(vec![hook("run_job")]);
    spec.hooks.cooldown = seconds(5);
    let mut world = World::begun(spec);
    assert_eq!(asked(&world.run(1, ran(1, 1))), []);
    world.pass(seconds(2));
    let mut world = world.restored(world.now);
    world.step(Input::Tick);
    assert_eq!(world.wait(), seconds(3));
    let effects = world.step(Input::Tick);
    assert_eq!(asked(&effects), [], "asked once");
    assert_eq!(world.exec.job().ledger.hook_results.len(), 1);
    let mut world = world.restored(world.now);
    assert_eq!(asked(&world.step(Input::Tick)), [(0, false, 1)], "asked again under the same key");
    world.step(hook_ended(0, true));
    assert_eq!(world.line(), "completed completed");
}

#[test]
fn a_program_whose_result_was_lost_is_not_run_again() {
    let mut world = World::begun(hooked(vec![hook("run_command"), hook("run_script")]));
    world.run(1, ran(1, 1));
    let mut world = world.restored(world.now);
    let effects = world.step(Input::Tick);
    assert_eq!(asked(&effects), [(1, false, 1)]);
    let ledger = &world.exec.job().ledger;
    assert_eq!((ledger.hook_results[0].success, ledger.remarks.len()), (None, 1));
}

#[test]
fn a_person_says_when_the_chain_goes_on() {
    let mut held = hook("run_job");
    held.pause_before = true;
    let mut world = World::begun(hooked(vec![held]));
    let effects = world.run(1, ran(1, 1));
    assert_eq!((asked(&effects), world.line().as_str()), (vec![], "paused_at_chain completed"));
    let mut world = world.restored(world.now);
    world.step(Input::Tick);
    assert_eq!(asked(&world.step(Input::Resume)), [(0, false, 1)]);
    world.step(hook_ended(0, false));
    assert_eq!(world.line(), "paused_at_chain completed", "refused: the person is asked again");
    world.step(Input::Resume);
    let result =
        HookResult { success: Some(true), chained_job_id: Some("next".to_owned()), ..HookResult::default() };
    world.step(Input::HookEnded { hook: 0, epoch: 1, result: Box::new(result) });
    assert_eq!(world.line(), "completed completed");
}

#[test]
fn a_pause_holds_the_next_hook() {
    let mut world = World::begun(hooked(vec![hook("run_command"), hook("run_command")]));
    world.run(1, ran(1, 1));
    world.step(pause(PauseFlag::Shutdown, false));
    assert_eq!(asked(&world.step(hook_ended(0, true))), []);
    assert_eq!(world.exec.status(), JobStatus::Finishing);
    assert_eq!(asked(&world.step(Input::Unpause(PauseFlag::Shutdown))), [(1, false, 1)]);
}

fn prepared() -> JobSpec {
    let mut spec = spec(&[&[]]);
    spec.set_up = true;
    spec
}

#[test]
fn nothing_starts_before_the_set_up_is_done() {
    let mut world = World::new(prepared());
    assert!(world.step(Input::Begin).contains(&Effect::SetUp));
    assert_eq!(world.exec.blocked(world.now), Some(Blocked::SettingUp));
    assert!(!world.step(Input::Tick).contains(&Effect::SetUp), "asked once");
    let mut world = world.restored(world.now);
    assert!(world.step(Input::Tick).contains(&Effect::SetUp), "and once in each life");
    let done = SetUp { isolation_fallback: true, warnings: vec!["no git".to_owned()], ..SetUp::default() };
    world.step(Input::SetUpDone(Ok(done.clone())));
    assert_eq!(world.runnable(), [1]);
    assert_eq!(world.exec.job().ledger.set_up, Some(done));
    assert_eq!(world.exec.job().ledger.remarks[0].message, "no git");
    world.run(1, failure(ErrorCode::E003, false));
    world.step(Input::Resume);
    assert!(world.step(Input::Begin).contains(&Effect::SetUp), "every run has its own");
}

#[test]
fn a_set_up_that_fails_fails_the_job() {
    let mut world = World::begun(prepared());
    let error = SheetError { code: ErrorCode::E601, message: "precondition 1 does not hold".to_owned() };
    world.step(Input::SetUpDone(Err(error.into())));
    assert_eq!(world.line(), "failed cancelled");
    let ledger = &world.exec.job().ledger;
    assert_eq!(ledger.error.as_deref(), Some("precondition 1 does not hold"));
    assert_eq!(ledger.error_code, Some(ErrorCode::E601));
    assert_eq!(world.ledger(1).note.as_deref(), Some("Not run: precondition 1 does not hold"));
}

#[test]
fn a_cancelled_or_paused_job_waits_for_its_set_up() {
    let mut world = World::begun(prepared());
    world.step(pause(PauseFlag::User, false));
    assert_eq!((world.line().as_str(), world.permits), ("pausing pending", 1));
    assert!(world.step(Input::Cancel).contains(&Effect::EndHook));
    assert_eq!(world.line(), "cancelling cancelled");
    world.step(Input::SetUpDone(Ok(SetUp::default())));
    assert_eq!((world.line().as_str(), world.permits), ("cancelled cancelled", 0));
}

/// Sheets 1 and 2 have failed; 3 depends on both, 4 on the second.
fn failed() -> World {
    let mut spec = spec(&[&[], &[], &[1, 2], &[2]]);
    spec.max_parallel = 2;
    let mut world = World::begun(spec);
    world.run(1, failure(ErrorCode::E003, false));
    world.run(2, failure(ErrorCode::E005, false));
    assert_eq!(world.line(), "failed failed failed upstream_failed upstream_failed");
    world
}

#[test]
fn recovery_completes_what_passes_and_frees_what_waited_for_it() {
    let mut world = failed();
    world.step(Input::Recover { from: None });
    assert_eq!(world.line(), "queued pending pending upstream_failed upstream_failed");
    world.step(Input::Begin);
    let effects = world.dispatch(1);
    assert_eq!(order(&effects).map(|order| (order.mode, order.heal)), Some((Mode::Recover, Heal::Never)));
    world.end(1, ran(0, 1));
    let mut world = world.restored(world.now);
    world.step(Input::Tick);
    world.run(2, ran(2, 2));
    assert_eq!(world.line(), "paused failed completed upstream_failed pending");
    assert_eq!((world.flags(), world.permits), (vec!["user"], 0));
    assert_eq!(world.ledger(1).error.as_ref().unwrap().code, ErrorCode::E003, "its old error");
    let two = world.ledger(2);
    assert_eq!((two.attempt_count, two.outcome), (1, Some(OutcomeCategory::SuccessValidated)));
    assert_eq!(world.exec.job().ledger.run_epoch, 2);
}

#[test]
fn a_recovery_without_success_fails_as_before() {
    let mut world = failed();
    let error = world.exec.job().ledger.error.clone();
    world.step(Input::Recover { from: Some(SheetNo(2)) });
    world.step(Input::Begin);
    assert_eq!(world.runnable(), [2]);
    world.run(2, failure(ErrorCode::E009, true));
    assert_eq!(world.line(), "failed failed failed upstream_failed upstream_failed");
    assert_eq!(world.exec.job().ledger.error, error);
    assert_eq!(world.ledger(2).error.as_ref().unwrap().code, ErrorCode::E005);
}

#[test]
fn a_recovery_that_leaves_nothing_over_completes_the_job() {
    let mut world = World::begun(spec(&[&[]]));
    world.run(1, failure(ErrorCode::E003, false));
    world.step(Input::Recover { from: None });
    world.step(Input::Begin);
    world.run(1, ran(1, 1));
    assert_eq!(world.line(), "completed completed");
    assert_eq!(world.step(Input::Recover { from: None }), [], "only failed jobs are recovered");
}

#[test]
fn a_recovery_waits_for_no_instrument() {
    let mut world = World::begun(spec(&[&[]]));
    assert_eq!(world.exec.occupies(SheetNo(1)), world.exec.instrument(SheetNo(1)));
    world.run(1, failure(ErrorCode::E003, false));
    world.step(Input::Recover { from: None });
    world.step(Input::Begin);
    assert_eq!(world.exec.occupies(SheetNo(1)), InstrumentRef::rules_alone());
    world.run(1, failure(ErrorCode::E201, false));
    world.step(Input::Resume);
    assert_eq!(world.exec.occupies(SheetNo(1)), world.exec.instrument(SheetNo(1)));
}

#[test]
fn a_recovery_can_be_cancelled_and_keeps_the_errors() {
    let mut world = failed();
    world.step(Input::Recover { from: None });
    world.step(Input::Begin);
    world.dispatch(1);
    world.step(Input::Cancel);
    world.end(1, Outcome::Ended);
    assert_eq!(world.line(), "cancelled failed failed upstream_failed upstream_failed");
    assert_eq!(world.ledger(2).error.as_ref().unwrap().code, ErrorCode::E005);
}

#[test]
fn a_recovery_takes_no_rules_for_no_success() {
    let mut world = World::begun(spec(&[&[]]));
    world.run(1, failure(ErrorCode::E003, false));
    world.step(Input::Recover { from: None });
    world.step(Input::Begin);
    world.run(1, ran(0, 0));
    assert_eq!(world.line(), "failed failed");
    assert_eq!(world.ledger(1).error.as_ref().unwrap().code, ErrorCode::E003);
    let remarks = &world.exec.job().ledger.remarks;
    assert!(remarks.iter().any(|remark| remark.message.contains("no rule")), "{remarks:?}");
}

#[test]
fn a_failure_ends_no_question_about_another_sheet() {
    let mut spec = spec(&[&[], &[], &[]]);
    spec.fail_fast = true;
    spec.escalation = Some(Escalation { patience: None });
    spec.max_parallel = 2;
    let mut world = World::begun(spec);
    world.dispatch(1);
    world.dispatch(2);
    world.end(1, failure(ErrorCode::E003, false));
    world.end(2, failure(ErrorCode::E003, false));
    let no =
        |sheet| Input::Decide { sheet: SheetNo(sheet), decision: Decision::Fail, prompt: None, note: None };
    world.step(no(1));
    assert_eq!(world.line(), "paused failed fermata upstream_failed");
    world.step(no(2));
    world.step(Input::Begin);
    assert_eq!(world.line(), "failed failed failed upstream_failed");
}
