//! Money: I8, I9, I37-I39, and what is reserved for running sheets.

use super::*;

fn budgeted(after: &[&[u32]], budget: Budget) -> World {
    let mut spec = spec(after);
    spec.max_parallel = 4;
    spec.budget = Budget { warn_at_percent: 80.0, ..budget };
    World::begun(spec)
}

fn job_limit(micro: u64) -> Budget {
    Budget { job_cost: Some(micro), ..Budget::default() }
}

// Invariant I8, I9
#[test]
fn i8_i9_every_attempt_is_paid_and_the_job_is_the_sum_of_its_sheets() {
    let mut world = budgeted(&[&[], &[]], Budget::default());
    world.run_with(1, limited(ErrorCode::E101, Some(20)), cost(5));
    world.wait();
    world.run_with(1, failure(ErrorCode::E009, true), cost(7));
    world.wait();
    world.run_with(1, interrupted(), cost(11));
    world.dispatch(1);
    world.dispatch(2);
    world.end_with(1, ran(1, 1), cost(13));
    world.step(Input::Cancel);
    world.end_with(2, Outcome::Ended, cost(17));
    let sheets: u64 = world.exec.sheets().iter().map(|sheet| sheet.ledger.spent.cost_micro).sum();
    let ledger = &world.exec.job().ledger;
    assert_eq!((world.ledger(1).spent.cost_micro, sheets, ledger.spent.cost_micro), (36, 53, 53));
    assert_eq!(ledger.instruments["a"], ledger.spent);
    assert_eq!((ledger.spent.attempts, ledger.spent.tokens()), (5, 550));
}

// Invariant I38
#[test]
fn i38_as_much_as_the_limit_is_allowed_and_a_bit_more_is_not() {
    for (limit, spent, flags) in [(100, 100, vec![]), (100, 101, vec!["cost"]), (0, 1, vec!["cost"])] {
        let mut world = budgeted(&[&[], &[]], job_limit(limit));
        world.run_with(1, ran(1, 1), cost(spent));
        assert_eq!(world.flags(), flags, "{spent} of {limit}");
    }
}

#[test]
fn what_running_sheets_will_cost_is_kept_back_unless_the_score_says_otherwise() {
    for no_reserve in [false, true] {
        let mut world = budgeted(&[&[], &[], &[]], Budget { no_reserve, ..job_limit(100) });
        world.run_with(1, ran(1, 1), cost(60));
        world.dispatch(2);
        assert_eq!(!world.runnable().is_empty(), no_reserve);
    }
}

// Invariant I37
#[test]
fn i37_a_resumed_job_that_may_not_spend_more_stays_paused() {
    let mut world = budgeted(&[&[], &[]], job_limit(100));
    world.run_with(1, failure(ErrorCode::E009, true), cost(150));
    assert_eq!(world.line(), "paused retry_scheduled pending");
    world.step(Input::Resume);
    assert_eq!((world.flags(), world.exec.status()), (vec!["cost"], JobStatus::Paused));
    let obstacle = world.exec.budget_obstacle().unwrap();
    assert_eq!(obstacle, "the job has cost $0.0002 and may cost $0.0001: raise cost_limits.max_cost_per_job");
    let mut richer = JobSpec::clone(world.exec.spec());
    richer.budget.job_cost = Some(200);
    world.exec = world.exec.rescored(Arc::new(richer), world.now);
    world.step(Input::Resume);
    assert_eq!(world.exec.status(), JobStatus::Queued);
}

// Invariant I37
#[test]
fn i37_an_ended_job_over_its_budget_is_paused_before_anything_is_dispatched() {
    let mut world = budgeted(&[&[]], job_limit(100));
    world.run_with(1, failure(ErrorCode::E003, false), cost(150));
    assert_eq!(world.line(), "failed failed");
    world.step(Input::Resume);
    assert_eq!((world.line().as_str(), world.flags()), ("paused pending", vec!["cost"]));
}

// Invariant I39
#[test]
fn i39_a_sheet_over_its_limit_fails_before_a_retry_but_keeps_a_success() {
    let budget = Budget { sheet_cost: Some(100), ..Budget::default() };
    let mut world = budgeted(&[&[], &[1], &[]], budget.clone());
    let effects = world.dispatch(1);
    assert_eq!(order(&effects).map(|order| order.left.cost), Some(Some(100)));
    world.end_with(1, failure(ErrorCode::E009, true), cost(101));
    assert_eq!(world.line(), "running failed upstream_failed pending");
    assert_eq!(world.ledger(1).error.as_ref().unwrap().code, ErrorCode::E007);
    let effects = world.run_with(3, ran(1, 1), cost(500));
    assert!(events(&effects).contains(&"cost.warning"));
    assert_eq!(world.state(3), "completed");

    // Without a higher limit it is not even started again.
    world.step(Input::Resume);
    world.step(Input::Begin);
    assert!(order(&world.dispatch(1)).is_none());
    assert_eq!(world.state(1), "failed");
}

#[test]
fn tokens_have_limits_too() {
    let budget = Budget { sheet_tokens: Some(100), job_tokens: Some(300), ..Budget::default() };
    let mut world = budgeted(&[&[], &[]], budget);
    world.run_with(1, ran(0, 2), cost(0));
    assert_eq!(world.ledger(1).error.as_ref().unwrap().code, ErrorCode::E007);
    let evidence = Evidence { input_tokens: Some(191), ..Evidence::default() };
    world.run_with(2, ran(0, 2), evidence);
    assert_eq!(world.exec.job().ledger.spent.tokens(), 301);
    assert!(world.exec.budget_obstacle().unwrap().contains("max_tokens_per_job"));
}

#[test]
fn each_level_is_remarked_once_per_run() {
    let mut world = budgeted(&[&[], &[], &[], &[]], job_limit(1000));
    let mut levels = Vec::new();
    for (sheet, spent) in [(1, 700), (2, 150), (3, 60), (4, 90)] {
        for effect in world.run_with(sheet, ran(1, 1), cost(spent)) {
            if let Effect::Event(event) = effect
                && event.name == "cost.warning"
            {
                levels.push((sheet, event.facts.to_json()["level"].as_f64().unwrap()));
            }
        }
    }
    assert_eq!(levels, [(2, 80.0), (3, 90.0), (4, 100.0)]);
}

#[test]
fn what_running_sheets_will_cost_is_reserved() {
    let mut world = budgeted(&[&[], &[], &[], &[]], job_limit(100));
    world.run_with(1, ran(1, 1), cost(40));
    world.dispatch(2);
    // 40 spent and 40 expected: less than 100.
    world.dispatch(3);
    assert_eq!(world.exec.blocked(world.now), Some(Blocked::Budget), "40 and twice 40 is too much");
    world.end_with(2, ran(1, 1), cost(10));
    // 50 spent, 25 expected.
    assert_eq!(world.runnable(), [4]);
}

#[test]
fn an_instrument_without_a_price_is_named_once() {
    let mut world = budgeted(&[&[], &[]], job_limit(100));
    let free = || Evidence { started: Some(Wall(1)), ..Evidence::default() };
    let effects = world.run_with(1, ran(1, 1), free());
    assert!(events(&effects).contains(&"cost.unpriced"));
    let effects = world.run_with(2, ran(1, 1), free());
    assert!(!events(&effects).contains(&"cost.unpriced"));
    assert_eq!(world.exec.job().ledger.spent.unpriced, 2);
}
