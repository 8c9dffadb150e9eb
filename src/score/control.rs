//! How often, how fast and for how much: `retry`, `parallel`, `rate_limit`, `circuit_breaker`, `cost_limits`,
//! `cross_sheet`, `stale_detection`.

use super::decode::{Bound, Fields};
use super::issue::Issue;
use super::pattern;

const ABOVE_ZERO: Bound = Bound::Above(0.0);
const PERCENT: Bound = Bound::AboveTo(0.0, 100.0);

/// `retry`.
#[derive(Debug, Clone, PartialEq)]
pub struct Retry {
    /// Further attempts after the first, per sheet and instrument. Default 3.
    pub max_retries: u32,
    /// Seconds before the first retry, > 0, default 10.
    pub base_delay_seconds: f64,
    /// Longest delay in seconds, default 3600.
    pub max_delay_seconds: f64,
    /// Growth per retry, > 1, default 2.
    pub exponential_base: f64,
    /// The score itself says `base_delay_seconds` or `exponential_base`.
    pub explicit_delay: bool,
    /// Vary delays by chance, default true.
    pub jitter: bool,
    /// Attempts that only finish what is missing. Default 5.
    pub max_completion_attempts: u32,
    /// Seconds before one, default 5.
    pub completion_delay_seconds: f64,
    /// A pass percentage strictly above this asks for completion, above 0 to 100, default 50.
    pub completion_threshold_percent: f64,
    /// Accept a failed program whose validations pass. Default false.
    pub accept_if_validated: bool,
}

impl Retry {
    pub(super) fn decode(f: &mut Fields<'_>) -> Self {
        let explicit_delay = f.peek("base_delay_seconds").is_some() || f.peek("exponential_base").is_some();
        let retry = Self {
            max_retries: f.int("max_retries", 0..=i64::MAX, 3),
            base_delay_seconds: f.seconds("base_delay_seconds", ABOVE_ZERO, 10.0),
            max_delay_seconds: f.seconds("max_delay_seconds", ABOVE_ZERO, 3600.0),
            exponential_base: f.float("exponential_base", Bound::Above(1.0), 2.0),
            explicit_delay,
            jitter: f.boolean("jitter", true),
            max_completion_attempts: f.int("max_completion_attempts", 0..=i64::MAX, 5),
            completion_delay_seconds: f.seconds("completion_delay_seconds", Bound::Least(0.0), 5.0),
            completion_threshold_percent: f.float("completion_threshold_percent", PERCENT, 50.0),
            accept_if_validated: f.boolean("accept_if_validated", false),
        };
        let (base, max) = (retry.base_delay_seconds, retry.max_delay_seconds);
        if base > max {
            // The one that would be wrong by itself.
            let mut keys = ["base_delay_seconds", "max_delay_seconds"];
            if max < 10.0 {
                keys.reverse();
            }
            f.error_about(
                &keys,
                format!("base_delay_seconds ({base}) must not exceed max_delay_seconds ({max})"),
            );
        }
        retry
    }
}

/// `parallel`.
#[derive(Debug, Clone, PartialEq)]
pub struct Parallel {
    /// Run ready sheets side by side. Default false: one at a time.
    pub enabled: bool,
    /// Most sheets of the job at once, 1-20, default 3.
    pub max_concurrent: u32,
    /// After a sheet failed for good start no new one. Default true.
    pub fail_fast: bool,
    /// Least time between two starts, 0-5000, default 0.
    pub stagger_delay_ms: u32,
    /// Keep back of the job's cost limit what running sheets will cost, going by the average. Default true.
    pub budget_partition: bool,
}

impl Parallel {
    pub(super) fn decode(f: &mut Fields<'_>) -> Self {
        Self {
            enabled: f.boolean("enabled", false),
            max_concurrent: f.int("max_concurrent", 1..=20, 3),
            fail_fast: f.boolean("fail_fast", true),
            stagger_delay_ms: f.int("stagger_delay_ms", 0..=5000, 0),
            budget_partition: f.boolean("budget_partition", true),
        }
    }
}

/// Used on the error output of failed runs when neither the profile nor the score names patterns.
pub const DEFAULT_DETECTION_PATTERNS: [&str; 7] =
    ["rate.?limit", "usage.?limit", "quota", "too many requests", "429", "capacity", "try again later"];

/// Default of `rate_limit.fallback_min_wait_seconds`.
pub(super) const FALLBACK_MIN_WAIT: f64 = 30.0;

/// `rate_limit`.
#[derive(Debug, Clone, PartialEq)]
pub struct RateLimit {
    /// Regular expressions, without regard to case, used besides those of the profile. `None` = the score names none,
    /// see [`DEFAULT_DETECTION_PATTERNS`].
    pub detection_patterns: Option<Vec<String>>,
    /// Wait when no reset time could be read. `None` = not written (the documented default is 60).
    pub wait_minutes: Option<u32>,
    /// Waits in a row before the sheet fails, default 24.
    pub max_waits: u32,
    /// The same when a quota is used up, default 48.
    pub max_quota_waits: u32,
    /// With fallbacks: shorter waits are waited out, longer ones take the fallback. Default 30.
    pub fallback_min_wait_seconds: f64,
}

impl RateLimit {
    pub(super) fn decode(f: &mut Fields<'_>) -> Self {
        let detection_patterns = f.present("detection_patterns").and_then(|list| {
            let mut index = 0;
            list.list(|at| {
                let text = at.text()?;
                if text.is_empty() {
                    // It is found in everything: each failure would be waited out as a rate limit.
                    at.error("String should have at least 1 character");
                }
                if let Err(why) = pattern::compile_caseless(text) {
                    let message = format!("detection_patterns[{index}] is not valid regex: '{text}' - {why}");
                    at.report(Issue::error("V007", &at.path, message).hint(pattern::advice(text)));
                }
                index += 1;
                Some(text.to_owned())
            })
        });
        Self {
            detection_patterns,
            wait_minutes: f.raw("wait_minutes").and_then(|at| at.int(1..=i64::MAX)),
            max_waits: f.int("max_waits", 1..=i64::MAX, 24),
            max_quota_waits: f.int("max_quota_waits", 1..=i64::MAX, 48),
            fallback_min_wait_seconds: f.seconds(
                "fallback_min_wait_seconds",
                Bound::Least(0.0),
                FALLBACK_MIN_WAIT,
            ),
        }
    }
}

/// `circuit_breaker`: stop using an instrument that fails again and again.
#[derive(Debug, Clone, PartialEq)]
pub struct CircuitBreaker {
    /// Default true.
    pub enabled: bool,
    /// Failures in a row that open it, 1-100, default 5.
    pub failure_threshold: u32,
    /// Seconds until it is tried again, above 0 to 3600, default 300.
    pub recovery_timeout_seconds: f64,
    /// Default true.
    pub cross_workspace_coordination: bool,
    /// Default true; false when the coordination is.
    pub honor_other_jobs_rate_limits: bool,
}

impl CircuitBreaker {
    pub(super) fn decode(f: &mut Fields<'_>) -> Self {
        let coordination = f.boolean("cross_workspace_coordination", true);
        Self {
            enabled: f.boolean("enabled", true),
            failure_threshold: f.int("failure_threshold", 1..=100, 5),
            recovery_timeout_seconds: f.float("recovery_timeout_seconds", Bound::AboveTo(0.0, 3600.0), 300.0),
            cross_workspace_coordination: coordination,
            honor_other_jobs_rate_limits: f.boolean("honor_other_jobs_rate_limits", true) && coordination,
        }
    }
}

/// `cost_limits`.
#[derive(Debug, Clone, PartialEq)]
pub struct CostLimits {
    /// On when a limit is there, unless the score says otherwise.
    pub enabled: bool,
    /// Dollars.
    pub max_cost_per_sheet: Option<f64>,
    /// Dollars.
    pub max_cost_per_job: Option<f64>,
    /// Tokens.
    pub max_tokens_per_sheet: Option<u64>,
    /// Tokens.
    pub max_tokens_per_job: Option<u64>,
    /// Dollars; the price of models whose profile names none. `None` = not written: then the price is not known.
    pub cost_per_1k_input_tokens: Option<f64>,
    /// Dollars, as above.
    pub cost_per_1k_output_tokens: Option<f64>,
    /// Share of a limit that is remarked, above 0 to 100, default 80.
    pub warn_at_percent: f64,
}

impl CostLimits {
    /// Dollars per thousand tokens, read and written, when the score itself gives a price: what it leaves out of the
    /// two has the documented default.
    #[must_use]
    pub fn own_price(&self) -> Option<(f64, f64)> {
        let (input, output) = (self.cost_per_1k_input_tokens, self.cost_per_1k_output_tokens);
        (input.is_some() || output.is_some()).then(|| (input.unwrap_or(0.003), output.unwrap_or(0.015)))
    }

    pub(super) fn decode(f: &mut Fields<'_>) -> Self {
        let enabled = f.raw("enabled").map(|at| at.boolean().unwrap_or(false));
        let mut limits = Self {
            enabled: false,
            max_cost_per_sheet: f.opt_float("max_cost_per_sheet", ABOVE_ZERO),
            max_cost_per_job: f.opt_float("max_cost_per_job", ABOVE_ZERO),
            max_tokens_per_sheet: f.opt_int("max_tokens_per_sheet", 1..=i64::MAX),
            max_tokens_per_job: f.opt_int("max_tokens_per_job", 1..=i64::MAX),
            cost_per_1k_input_tokens: f.opt_float("cost_per_1k_input_tokens", ABOVE_ZERO),
            cost_per_1k_output_tokens: f.opt_float("cost_per_1k_output_tokens", ABOVE_ZERO),
            warn_at_percent: f.float("warn_at_percent", PERCENT, 80.0),
        };
        let keys = ["max_cost_per_sheet", "max_cost_per_job", "max_tokens_per_sheet", "max_tokens_per_job"];
        let some_limit = keys.iter().any(|key| f.peek(key).is_some_and(|at| !at.is_null()));
        limits.enabled = enabled.unwrap_or(some_limit);
        if limits.enabled && !some_limit {
            f.error_about(
                &["enabled"],
                "CostLimitConfig has enabled=True but no limits set. \
                 Set max_cost_per_sheet and/or max_cost_per_job, or disable cost limits.",
            );
        }
        limits
    }
}

/// `cross_sheet`: what a sheet sees of earlier ones.
#[derive(Debug, Clone, PartialEq)]
pub struct CrossSheet {
    /// Fill `previous_outputs`. Default false.
    pub auto_capture_stdout: bool,
    /// Characters per entry, > 0, default 2000.
    pub max_output_chars: u64,
    /// How many sheets back; 0 = all. Default 3.
    pub lookback_sheets: u32,
    /// Patterns of files for `previous_files`; templates.
    pub capture_files: Vec<String>,
}

impl CrossSheet {
    pub(super) fn decode(f: &mut Fields<'_>) -> Self {
        Self {
            auto_capture_stdout: f.boolean("auto_capture_stdout", false),
            max_output_chars: f.int("max_output_chars", 1..=i64::MAX, 2000),
            lookback_sheets: f.int("lookback_sheets", 0..=i64::MAX, 3),
            capture_files: f.texts("capture_files"),
        }
    }
}

/// `stale_detection`: end a program that shows no life.
#[derive(Debug, Clone, PartialEq)]
pub struct StaleDetection {
    /// Default false.
    pub enabled: bool,
    /// Seconds without output, default 300.
    pub idle_timeout_seconds: f64,
    /// Seconds between looks, default 30.
    pub check_interval_seconds: f64,
    /// Work of the processor counts as life. Default true.
    pub count_cpu: bool,
}

impl StaleDetection {
    pub(super) fn decode(f: &mut Fields<'_>) -> Self {
        let stale = Self {
            enabled: f.boolean("enabled", false),
            idle_timeout_seconds: f.seconds("idle_timeout_seconds", ABOVE_ZERO, 300.0),
            check_interval_seconds: f.seconds("check_interval_seconds", ABOVE_ZERO, 30.0),
            count_cpu: f.boolean("count_cpu", true),
        };
        let (check, idle) = (stale.check_interval_seconds, stale.idle_timeout_seconds);
        if check >= idle {
            // The one that would be wrong by itself.
            let mut keys = ["check_interval_seconds", "idle_timeout_seconds"];
            if idle <= 30.0 {
                keys.reverse();
            }
            f.error_about(
                &keys,
                format!("check_interval_seconds ({check}) must be less than idle_timeout_seconds ({idle})"),
            );
        }
        stale
    }
}
