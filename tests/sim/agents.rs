//! What the simulated agents do: finish, half finish, fail in all the ways, hit limits, vanish.

use std::time::Duration;

use mozart::classify::ErrorCode;
use mozart::exec::{AttemptReport, Evidence, Failure, Mode, Order, Outcome, Remedy, RuleResult};

use crate::random::Random;

/// How an attempt will end, decided when it starts.
pub(crate) fn report(random: &mut Random, order: &Order, calm: bool) -> AttemptReport {
    let outcome = outcome(random, order, calm);
    let mut evidence = Evidence { duration_seconds: 1.0, ..Evidence::default() };
    let ran =
        !matches!(outcome, Outcome::Skip { .. } | Outcome::NotStarted { .. }) && order.mode != Mode::Recover;
    if ran && random.chance(70) {
        evidence.cost_micro = Some(random.below(900_000));
        evidence.cost_confidence = 1.0;
        evidence.input_tokens = Some(random.below(5_000));
        evidence.output_tokens = Some(random.below(5_000));
    }
    if matches!(outcome, Outcome::Failed(_)) && random.chance(40) {
        evidence.remedies =
            vec![Remedy { name: "mend".into(), applied: random.chance(60), ..Remedy::default() }];
    }
    if let Outcome::Ran { passed, total, .. } = outcome {
        evidence.validations = (0..total)
            .map(|at| RuleResult { passed: at < passed, stage: 1, ..RuleResult::default() })
            .collect();
    }
    AttemptReport { outcome, evidence }
}

fn outcome(random: &mut Random, order: &Order, calm: bool) -> Outcome {
    if order.skip_command && random.chance(30) {
        return Outcome::Skip { message: "not needed".into() };
    }
    let total = random.range(0, 4);
    let whole = Outcome::Ran { passed: total, executed: total, total };
    if calm && random.chance(70) {
        return whole;
    }
    if order.mode == Mode::Recover {
        let passed = random.range(0, total);
        return Outcome::Ran { passed, executed: total, total };
    }
    match random.below(100) {
        0..40 => whole,
        40..55 => Outcome::Ran { passed: random.range(0, total), executed: total, total },
        55..75 => failed(random),
        75..85 => limited(random),
        85..90 => Outcome::Interrupted { message: "its guard was killed".into() },
        90..94 => Outcome::NotStarted { message: "no room".into() },
        94..97 => Outcome::Accepted { failure: failure(ErrorCode::E009, true), executed: total.max(1) },
        _ => Outcome::Ended,
    }
}

fn failed(random: &mut Random) -> Outcome {
    let kinds = [
        (ErrorCode::E001, true),
        (ErrorCode::E002, true),
        (ErrorCode::E003, false),
        (ErrorCode::E006, true),
        (ErrorCode::E007, false),
        (ErrorCode::E009, true),
        (ErrorCode::E502, false),
        (ErrorCode::E505, false),
        (ErrorCode::E501, true),
        (ErrorCode::E602, false),
        (ErrorCode::E901, true),
        (ErrorCode::E999, true),
    ];
    let &(code, retriable) = random.pick(&kinds);
    Outcome::Failed(failure(code, retriable))
}

fn failure(code: ErrorCode, retriable: bool) -> Failure {
    Failure { code, message: "it failed".into(), retriable, delay: Duration::from_secs(10) }
}

fn limited(random: &mut Random) -> Outcome {
    let codes = [ErrorCode::E101, ErrorCode::E102, ErrorCode::E103, ErrorCode::E104];
    Outcome::RateLimited {
        code: *random.pick(&codes),
        wait: random.chance(60).then(|| random.wait(Duration::from_secs(7200))),
        message: "come back later".into(),
    }
}
