//! Restarts, orphans and changed scores.

use super::*;

// Invariant I19, I79
#[test]
fn waits_go_on_with_what_remains_even_after_a_clock_jump() {
    let mut world = World::begun(spec(&[&[]]));
    world.run(1, failure(ErrorCode::E009, true));
    world.pass(seconds(4));
    let other_life = Now { mono: Mono(5), wall: world.now.wall };
    let restored = world.restored(other_life);
    assert_eq!(restored.line(), "running retry_scheduled");
    let mut settled = restored;
    settled.step(Input::Tick);
    assert_eq!(settled.wait(), seconds(6));
    let back = Now { mono: Mono(5), wall: Wall(world.now.wall.0 - 3_600_000) };
    let mut jumped = world.restored(back);
    jumped.step(Input::Tick);
    assert_eq!(jumped.wait(), seconds(10), "never longer than it was");
}

// Invariant I29
#[test]
fn a_cascade_that_was_not_stored_is_made_up_for() {
    let mut world = World::begun(spec(&[&[], &[1], &[]]));
    world.run(1, failure(ErrorCode::E003, false));
    let job = world.exec.job_record();
    let mut sheets: Vec<_> = (1..=3).map(|num| world.exec.sheet_record(SheetNo(num))).collect();
    sheets[1].state = crate::checkpoint::StoredState::Pending;
    let mut exec = Execution::restore(Arc::clone(world.exec.spec()), job, sheets, world.now);
    assert_eq!(exec.next_deadline(), Some(Mono(0)), "it asks for a turn");
    let effects = exec.step(world.now, Input::Tick);
    assert!(effects.contains(&Effect::SaveSheet(SheetNo(2))));
    assert_eq!(exec.sheets()[1].state.as_str(), "skipped");
    assert_eq!(exec.next_deadline(), None);
}

#[test]
fn a_restored_job_that_is_over_ends_with_its_first_tick() {
    let mut world = World::begun(spec(&[&[]]));
    world.dispatch(1);
    let mut records = vec![world.exec.sheet_record(SheetNo(1))];
    records[0].state = crate::checkpoint::StoredState::Completed { at: None };
    let job = world.exec.job_record();
    let mut exec = Execution::restore(Arc::clone(world.exec.spec()), job, records, world.now);
    let effects = exec.step(world.now, Input::Tick);
    assert_eq!(exec.status(), JobStatus::Completed);
    assert_eq!(effects.last(), Some(&Effect::Released));
}

#[test]
fn an_orphaned_job_records_what_still_runs_and_then_fails() {
    let mut spec = spec(&[&[], &[], &[1]]);
    spec.max_parallel = 2;
    let mut world = World::begun(spec);
    world.dispatch(1);
    world.dispatch(2);
    let mut world = world.restored(world.now);
    world.end(1, interrupted());
    world.step(Input::Orphaned { message: "Conductor restarted while job was active".to_owned() });
    assert_eq!(world.line(), "failing pending dispatched pending");
    assert_eq!(world.runnable(), [0; 0]);
    world.end(2, ran(1, 1));
    assert_eq!(world.line(), "failed pending completed pending");
    assert_eq!(world.permits, 0);
    world.step(Input::Resume);
    world.step(Input::Begin);
    assert_eq!(world.runnable(), [1]);
}

#[test]
fn a_job_that_was_pausing_becomes_paused_and_not_an_orphan() {
    let mut world = World::begun(spec(&[&[], &[]]));
    world.dispatch(1);
    world.step(pause(PauseFlag::User, false));
    let mut world = world.restored(world.now);
    world.step(Input::Orphaned { message: "restarted".to_owned() });
    world.end(1, interrupted());
    assert_eq!(world.line(), "paused pending pending");
    assert_eq!(world.exec.job().ledger.error, None);
}

#[test]
fn a_changed_score_keeps_what_is_the_same() {
    let mut spec = spec(&[&[], &[1], &[2]]);
    spec.retry.max_retries = 0;
    let mut world = World::begun(spec.clone());
    world.run(1, ran(1, 1));
    world.run(2, failure(ErrorCode::E009, true));
    // Another sheet comes first; the completed one has changed, and so has the failed one.
    spec.sheets[0].fingerprint = "g".into();
    spec.sheets[1].fingerprint = "g".into();
    let new = SheetSpec { stage: 9, after: Vec::new(), ..spec.sheets[0].clone() };
    for sheet in &mut spec.sheets {
        sheet.after = sheet.after.iter().map(|num| SheetNo(num.0 + 1)).collect();
    }
    spec.sheets.insert(0, new);
    world.exec = world.exec.rescored(Arc::new(spec), world.now);
    assert_eq!(world.line(), "failed pending completed pending upstream_failed");
    assert!(world.ledger(2).changed_since_run);
    world.step(Input::Resume);
    let said = world.exec.outdated().unwrap();
    assert!(said.contains("keep their results: 2;") && said.contains("--rerun-changed"), "{said}");
    assert_eq!(world.exec.job().ledger.remarks[0].message, said);
    world.step(Input::Begin);
    assert_eq!(world.runnable(), [1, 3]);
}
