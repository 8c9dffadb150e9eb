//! How long to wait before the next attempt. Numbers only; decides nothing.

use std::time::Duration;

use super::{Evidence, RetryPolicy, RuleResult};
use crate::classify::ErrorCode;
use crate::util::text::cut;

/// No rate-limit wait is longer: one day.
const MAX_LIMIT_WAIT: Duration = Duration::from_secs(86_400);
/// Interruptions in a row after which a sheet fails.
pub(super) const MAX_INTERRUPTIONS: u32 = 3;

/// SplitMix64: the same state gives the same sequence, on every machine, for ever.
fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// A number in [0, 1).
#[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
pub(super) fn next_unit(state: &mut u64) -> f64 {
    (next_random(state) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Delay before retry `nth` (1 = the first), in whole milliseconds, so that its stored form is the same.
///
/// `own` is the delay that the kind of error asks for (zero = none), `rapid` says that the last
/// three failures came within a minute. `unit` in [0, 1) is the jitter.
pub(super) fn retry_delay(policy: &RetryPolicy, nth: u32, own: Duration, rapid: bool, unit: f64) -> Duration {
    let power = f64::from(nth.saturating_sub(1));
    let base = policy.base_delay.as_secs_f64();
    let raw = if policy.explicit || own.is_zero() {
        base * policy.exponential_base.powf(power)
    } else {
        own.as_secs_f64() * 1.5_f64.powf(power)
    };
    // A base of nonsense (NaN, negative) must not become a wait of nonsense; an overflow to
    // infinity is cut by the longest delay below.
    let raw = if raw.is_nan() || raw < 0.0 { base } else { raw };
    let raw = if rapid { raw * 2.0 } else { raw };
    let most = policy.max_delay.as_secs_f64();
    let cut = raw.min(most);
    let delay = if policy.jitter { (cut * (0.5 + unit)).min(most) } else { cut };
    millis(delay)
}

/// Wait for a rate limit: what the instrument said, else what the score says, else probes that
/// double from a minute up to what is usual for the code. `nth` is the wait in a row, from 1.
pub(super) fn limit_wait(
    code: ErrorCode,
    parsed: Option<Duration>,
    scored: Option<Duration>,
    nth: u32,
) -> Duration {
    let probe = || {
        let usual = match code {
            ErrorCode::E102 => 900,
            ErrorCode::E103 => 300,
            _ => 3600,
        };
        Duration::from_secs((60_u64 << nth.saturating_sub(1).min(10)).min(usual))
    };
    parsed.or(scored).unwrap_or_else(probe).clamp(Duration::from_secs(1), MAX_LIMIT_WAIT)
}

/// Longest reason of a rule in the message of its sheet, characters.
const MAX_REASON: usize = 300;
/// Longest spread, seconds: what was asked for in hours is not to be waited for half an hour longer.
const MAX_SPREAD: f64 = 60.0;

/// Up to a tenth longer, a minute at most, so that sheets which wait for the same moment do not start at once.
pub(super) fn spread(wait: Duration, unit: f64) -> Duration {
    let wait = wait.as_secs_f64();
    millis(wait + (wait / 10.0).min(MAX_SPREAD) * unit)
}

/// Wait after an attempt that could not be begun (disk full, directory not writable).
pub(super) const fn not_started_delay(nth: u32) -> Duration {
    Duration::from_secs(match nth {
        0 | 1 => 1,
        2 => 5,
        _ => 30,
    })
}

/// Code of an attempt whose rules did not pass, by the first rule that failed, and the wait it asks for.
pub(super) fn validation_code(evidence: &Evidence) -> (ErrorCode, Duration) {
    let failed = evidence.validations.iter().find(|rule| !rule.passed);
    let code = failed.map_or(ErrorCode::E209, RuleResult::code);
    (code, code.delay())
}

/// What the first rule that failed says, and how many more there are; none of them says everything in one line.
pub(super) fn first_failed(evidence: &Evidence) -> Option<String> {
    let mut failed = evidence.validations.iter().filter(|rule| !rule.passed);
    let first = failed.next()?;
    let said = cut(first.failure_reason.as_deref()?, MAX_REASON);
    let said = match &first.description {
        Some(name) => format!("{name}: {said}"),
        None => said,
    };
    Some(match failed.count() {
        0 => said,
        more => format!("{said} (and {more} more)"),
    })
}

/// Whether a code says that rules did not pass.
pub(super) const fn is_validation(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::E201 | ErrorCode::E202 | ErrorCode::E203 | ErrorCode::E204 | ErrorCode::E209)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to years above and to zero below; NaN becomes zero"
)]
fn millis(seconds: f64) -> Duration {
    Duration::from_millis((seconds.clamp(0.0, 1e9) * 1000.0).round() as u64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn policy(explicit: bool) -> RetryPolicy {
        RetryPolicy {
            max_retries: 3,
            base_delay: Duration::from_secs(10),
            max_delay: Duration::from_secs(3600),
            exponential_base: 2.0,
            explicit,
            jitter: false,
            max_completion_attempts: 5,
            completion_delay: Duration::from_secs(5),
            completion_threshold: 50.0,
        }
    }

    // Invariant I18
    #[test]
    fn delays_of_the_formula() {
        let own = Duration::from_secs(60);
        for (explicit, nth, own, rapid, seconds) in [
            (false, 1, Duration::ZERO, false, 10.0),
            (false, 2, Duration::ZERO, false, 20.0),
            (false, 4, Duration::ZERO, true, 160.0),
            (false, 1, own, false, 60.0),
            (false, 3, own, false, 135.0),
            (true, 1, own, false, 10.0),
            (true, 3, own, false, 40.0),
            (true, 40, own, false, 3600.0),
            (true, u32::MAX, own, true, 3600.0),
            (true, 0, own, false, 10.0),
        ] {
            let delay = retry_delay(&policy(explicit), nth, own, rapid, 0.0);
            assert_eq!(delay, Duration::from_secs_f64(seconds), "{explicit} {nth} {own:?} {rapid}");
        }
    }

    #[test]
    fn probes_double_up_to_what_the_code_allows() {
        for (code, nth, seconds) in [
            (ErrorCode::E101, 1, 60),
            (ErrorCode::E101, 3, 240),
            (ErrorCode::E101, 90, 3600),
            (ErrorCode::E103, 4, 300),
            (ErrorCode::E102, 9, 900),
        ] {
            assert_eq!(limit_wait(code, None, None, nth), Duration::from_secs(seconds));
        }
        assert_eq!(
            limit_wait(ErrorCode::E101, Some(Duration::from_secs(20)), None, 1),
            Duration::from_secs(20)
        );
        assert_eq!(limit_wait(ErrorCode::E101, Some(Duration::MAX), None, 1), MAX_LIMIT_WAIT);
    }

    proptest! {
        // Invariant I45
        #[test]
        fn waits_for_limits_are_bounded_and_bounding_them_again_changes_nothing(
            parsed: Option<u64>, scored: Option<u64>, nth: u32, code in 0_usize..4, unit in 0.0_f64..1.0,
        ) {
            let code = [ErrorCode::E101, ErrorCode::E102, ErrorCode::E103, ErrorCode::E104][code];
            let wait = limit_wait(code, parsed.map(Duration::from_secs), scored.map(Duration::from_secs), nth);
            prop_assert!(wait >= Duration::from_secs(1) && wait <= MAX_LIMIT_WAIT);
            prop_assert_eq!(limit_wait(code, Some(wait), None, nth), wait);
            let spread = spread(wait, unit);
            prop_assert!(spread >= wait && spread <= wait + wait / 10 + Duration::from_millis(1));
        }

        // Invariant I18
        #[test]
        fn delays_are_bounded_and_never_shrink(nth in 1_u32..200, base in 0.0_f64..4000.0, growth in 1.0_f64..50.0) {
            let mut policy = policy(true);
            policy.base_delay = Duration::from_secs_f64(base);
            policy.exponential_base = growth;
            let one = retry_delay(&policy, nth, Duration::ZERO, false, 0.0);
            let two = retry_delay(&policy, nth + 1, Duration::ZERO, false, 0.0);
            prop_assert!(one <= two && two <= policy.max_delay);
        }

        #[test]
        fn jitter_stays_within_half_and_the_longest(seed: u64, nth in 1_u32..50) {
            let mut policy = policy(true);
            policy.jitter = true;
            let mut state = seed;
            let unit = next_unit(&mut state);
            prop_assert!((0.0..1.0).contains(&unit));
            let delay = retry_delay(&policy, nth, Duration::ZERO, false, unit);
            policy.jitter = false;
            let plain = retry_delay(&policy, nth, Duration::ZERO, false, 0.0);
            prop_assert!(delay >= plain / 2 - Duration::from_millis(1) && delay <= policy.max_delay);
        }
    }
}
