//! Retries, completion, fallbacks and rate limits.

use super::*;

/// A job of one sheet with fallbacks `b` and `c` on request.
fn one(fallbacks: usize) -> JobSpec {
    let mut spec = spec(&[&[]]);
    spec.sheets[0].instruments.extend(["b", "c"].into_iter().take(fallbacks).map(instrument));
    spec
}

/// Feeds outcomes to one sheet until it is terminal, repeating the last; waits as often as needed.
/// Says what happened: the state after each attempt.
fn check(spec: JobSpec, outcomes: &[Outcome], expected: &str) -> World {
    let mut world = World::begun(spec);
    let mut said = Vec::new();
    let mut outcomes = outcomes.iter();
    let mut last = None;
    while !world.exec.status().is_terminal() {
        assert!(said.len() < 100, "it does not come to an end: {}", said.join(" "));
        let mut wait = None;
        for turn in 0.. {
            if !world.runnable().is_empty() {
                break;
            }
            assert!(turn < 10, "its timers pass and nothing can run: {}", said.join(" "));
            wait = Some(world.wait());
        }
        last = outcomes.next().or(last);
        if let Some(wait) = wait {
            said.push(format!("{}s", wait.as_secs()));
        }
        let name = world.exec.instrument(SheetNo(1)).name.clone();
        world.run(1, last.cloned().unwrap());
        let mode = match (world.exec.sheet(SheetNo(1)).unwrap().state.is_terminal(), world.ledger(1).mode) {
            (false, Mode::Completion) => "+",
            _ => "",
        };
        let code = world.ledger(1).error.as_ref().map_or("ok".to_owned(), |error| error.code.to_string());
        said.push(format!("{name}:{code}{mode}"));
    }
    said.push(world.exec.sheet(SheetNo(1)).unwrap().state.as_str().to_owned());
    assert_eq!(said.join(" "), expected);
    world
}

#[test]
fn success_without_rules_completes_whatever_the_rate() {
    check(one(0), &[ran(0, 0)], "a:ok completed");
}

#[test]
fn n_retries_mean_n_more_attempts() {
    let crash = failure(ErrorCode::E009, true);
    for (retries, expected) in [
        (0, "a:E009 failed"),
        (1, "a:E009 10s a:E009 failed"),
        (3, "a:E009 10s a:E009 20s a:E009 80s a:E009 failed"),
    ] {
        let mut spec = one(0);
        spec.retry.max_retries = retries;
        // The third failure comes within a minute of the first: its delay is doubled.
        check(spec, std::slice::from_ref(&crash), expected);
    }
}

#[test]
fn what_cannot_be_retried_is_not() {
    check(one(0), &[failure(ErrorCode::E003, false)], "a:E003 failed");
    check(one(0), &[failure(ErrorCode::E502, false)], "a:E502 failed");
}

// Invariant I17
#[test]
fn a_missing_login_goes_to_the_fallback_at_once() {
    let world = check(one(1), &[failure(ErrorCode::E502, false), ran(1, 1)], "a:E502 b:ok completed");
    assert_eq!(world.ledger(1).fallbacks[0].reason, "auth_failure");
}

// Invariant I14, I16
#[test]
fn every_fallback_has_fresh_budgets_and_the_chain_ends() {
    let mut spec = one(2);
    spec.retry.max_retries = 1;
    let world = check(
        spec,
        &[failure(ErrorCode::E001, true)],
        "a:E001 10s a:E001 b:E001 10s b:E001 c:E001 10s c:E001 failed",
    );
    let reasons: Vec<&str> = world.ledger(1).fallbacks.iter().map(|entry| entry.reason.as_str()).collect();
    assert_eq!(reasons, ["execution_timeout", "execution_timeout"]);
}

#[test]
fn three_equal_failures_give_up_early_only_when_there_is_a_fallback() {
    let mut spec = one(1);
    spec.retry.max_retries = 9;
    let crash = failure(ErrorCode::E009, true);
    check(
        spec,
        &[crash.clone(), crash.clone(), crash, ran(1, 1)],
        "a:E009 10s a:E009 20s a:E009 b:ok completed",
    );
}

#[test]
fn most_rules_passed_asks_for_completion() {
    check(one(0), &[ran(3, 4), ran(4, 4)], "a:E209+ 5s a:ok completed");
}

#[test]
fn the_threshold_itself_is_a_retry() {
    let world = check(one(0), &[ran(1, 2), ran(2, 2)], "a:E209 10s a:ok completed");
    assert_eq!(world.ledger(1).completion_attempts, 0);
    assert_eq!(world.ledger(1).normal_attempts, 1);
}

#[test]
fn used_up_completion_goes_on_with_what_is_left_of_the_retries() {
    let mut spec = one(0);
    spec.retry.max_retries = 1;
    let world = check(spec, &[ran(3, 4)], "a:E209+ 5s a:E209+ 5s a:E209 10s a:E209 failed");
    assert_eq!(world.ledger(1).attempt_count, 4);
    let error = world.ledger(1).error.clone().unwrap();
    assert_eq!(error.message, "Validation failed (75.0% pass rate) after 4 attempts");
}

#[test]
fn a_threshold_of_a_hundred_switches_completion_off() {
    let mut spec = one(0);
    spec.retry.completion_threshold = 100.0;
    spec.retry.max_retries = 0;
    check(spec, &[ran(99, 100)], "a:E209 failed");
}

#[test]
fn rate_limits_cost_no_retry() {
    let mut world = World::begun(one(0));
    for nth in 1..=5 {
        let effects = world.run(1, limited(ErrorCode::E101, Some(20)));
        assert!(
            effects
                .iter()
                .any(|effect| matches!(effect, Effect::Limited { wait, .. } if *wait == seconds(20)))
        );
        assert_eq!(world.line(), "running waiting");
        assert_eq!((world.ledger(1).normal_attempts, world.ledger(1).rate_limit_waits), (0, nth));
        let waited = world.wait();
        assert!(waited >= seconds(20) && waited <= seconds(22), "{waited:?}");
    }
    world.run(1, failure(ErrorCode::E009, true));
    assert_eq!((world.ledger(1).normal_attempts, world.ledger(1).rate_limit_waits), (1, 0));
    assert_eq!(world.exec.job().ledger.rate_limit_waits, 5);
}

#[test]
fn waits_are_bounded_and_then_the_fallback_takes_over() {
    let mut spec = one(1);
    spec.rate_limit.max_quota_waits = 2;
    let quota = limited(ErrorCode::E104, Some(10));
    let mut world = World::begun(spec);
    for _ in 0..2 {
        world.run(1, quota.clone());
        assert_eq!(world.line(), "running waiting");
        world.wait();
    }
    world.run(1, quota);
    assert_eq!(world.ledger(1).fallbacks[0].reason, "rate_limit_exhausted");
    assert_eq!(world.runnable(), [1]);
    world.run(1, ran(1, 1));
    assert_eq!(world.line(), "completed completed");
}

#[test]
fn a_long_wait_switches_at_once_when_there_is_a_fallback() {
    for (wait, fallbacks, line) in
        [(29, 1, "running waiting"), (30, 1, "running pending"), (30, 0, "running waiting")]
    {
        let mut world = World::begun(one(fallbacks));
        world.run(1, limited(ErrorCode::E101, Some(wait)));
        assert_eq!(world.line(), line, "{wait} {fallbacks}");
    }
}

#[test]
fn a_cleared_limit_wakes_only_its_instrument() {
    for (instrument, line) in
        [(Some("b"), "running waiting"), (Some("a"), "running pending"), (None, "running pending")]
    {
        let mut world = World::begun(one(0));
        world.run(1, limited(ErrorCode::E101, None));
        world.step(Input::LimitCleared { instrument: instrument.map(Into::into) });
        assert_eq!(world.line(), line);
    }
}

#[test]
fn three_interruptions_in_a_row_fail_the_sheet() {
    let mut world = World::begun(one(1));
    for _ in 0..2 {
        world.run(1, interrupted());
        assert_eq!(world.runnable(), [1]);
    }
    world.run(1, failure(ErrorCode::E009, true));
    assert_eq!(world.ledger(1).crash_interruptions, 0);
    world.wait();
    for _ in 0..3 {
        world.run(1, interrupted());
    }
    let error = world.ledger(1).error.clone().unwrap();
    assert_eq!(error.code, ErrorCode::E008);
    assert!(error.message.starts_with("interrupted 3 times while this sheet ran: "), "{}", error.message);
    assert_eq!(world.line(), "failed failed");
    assert_eq!(world.ledger(1).normal_attempts, 1);
}

#[test]
fn what_was_never_started_is_not_counted() {
    let mut world = World::begun(one(0));
    for wait in [1, 5, 30, 30] {
        world.run(1, Outcome::NotStarted { message: "no space left".to_owned() });
        assert_eq!(world.ledger(1).attempt_count, 0);
        assert_eq!(world.wait(), seconds(wait));
    }
    world.run(1, ran(1, 1));
    assert_eq!(world.ledger(1).attempts.len(), 1);
}

#[test]
fn the_next_prompt_is_told_what_went_wrong() {
    let mut world = World::begun(one(0));
    world.run(1, ran(3, 4));
    world.wait();
    let effects = world.dispatch(1);
    let order = effects
        .iter()
        .find_map(|effect| match effect {
            Effect::Run(order) => Some(order.clone()),
            _ => None,
        })
        .unwrap();
    assert_eq!((order.mode, order.completion, order.retry_count), (Mode::Completion, (1, 2), 1));
    assert_eq!(order.previous.unwrap().error.as_ref().unwrap().code, ErrorCode::E209);
}

#[test]
fn histories_are_bounded() {
    let mut spec = one(0);
    spec.retry.max_retries = 300;
    spec.retry.max_delay = seconds(10);
    let mut world = World::begun(spec);
    for _ in 0..150 {
        world.run(1, failure(ErrorCode::E009, true));
        world.wait();
    }
    let ledger = world.ledger(1);
    assert_eq!((ledger.attempts.len(), ledger.errors.len()), (MAX_ATTEMPTS_KEPT, MAX_HISTORY));
    assert_eq!(ledger.attempts.last().unwrap().attempt, AttemptNo(150));
    assert_eq!(ledger.attempts[0].attempt, AttemptNo(51));
}
