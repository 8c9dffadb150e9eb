//! Orders for a job: what the state machine needs to know of a score. Never changes during a run.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use crate::ids::SheetNo;
use crate::score::expr::Expr;
use crate::score::value::Value;

/// Orders for one job, made from its score and the conductor's settings. Never changes during a run.
#[derive(Debug, Clone)]
pub struct JobSpec {
    /// Name of the score, for conditions.
    pub name: Arc<str>,
    /// Absolute, for conditions.
    pub workspace: Arc<str>,
    /// Position `n-1` is sheet `n`.
    pub sheets: Vec<SheetSpec>,
    /// Names of stages (movements), of those that have one.
    pub movements: BTreeMap<u32, Arc<str>>,
    /// Most sheets of this job that run at once (1 unless `parallel.enabled`).
    pub max_parallel: u32,
    /// After the first failed sheet start no new one.
    pub fail_fast: bool,
    /// Retry budget and delays.
    pub retry: RetryPolicy,
    /// Budgets and lengths of rate-limit waits.
    pub rate_limit: RateLimitPolicy,
    /// Wait after a sheet before the next one of a job that has nothing else running.
    pub pause_between: Duration,
    /// Least time between two starts of this job.
    pub stagger: Duration,
    /// Whole job, paused time excluded; `None` = no limit.
    pub timeout: Option<Duration>,
    /// Sheets below are skipped.
    pub start_sheet: Option<SheetNo>,
    /// Where jitter comes from: the same seed gives the same delays.
    pub seed: u64,
    /// What the job and its sheets may spend.
    pub budget: Budget,
    /// Healing attempts per sheet; 0 = off.
    pub healing: u32,
    /// Ask a person when a sheet has used up everything else; `None` = fail it.
    pub escalation: Option<Escalation>,
    /// How long an answer is waited for when a sheet itself wants a person (`grounding`); `None` = for ever.
    pub patience: Option<Duration>,
    /// When an instrument that fails again and again is left alone; `None` = never.
    pub breaker: Option<BreakerPolicy>,
    /// Something must be done before the first sheet of a run: archive, worktree, preconditions.
    pub set_up: bool,
    /// What is done after the last sheet.
    pub hooks: Hooks,
    /// Places where a person is asked first. The first that matches wins.
    pub breakpoints: Vec<Breakpoint>,
}

/// `cost_limits` of a score. Nothing is limited when every limit is `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Budget {
    /// Micro-dollars per sheet, all attempts together.
    pub sheet_cost: Option<u64>,
    /// Micro-dollars per job.
    pub job_cost: Option<u64>,
    /// Input and output tokens per sheet.
    pub sheet_tokens: Option<u64>,
    /// Input and output tokens per job.
    pub job_tokens: Option<u64>,
    /// Share of a job limit that is remarked, above 0 to 100; 90 and 100 are remarked too.
    pub warn_at_percent: f64,
    /// Only what has been spent counts: nothing is kept back for sheets that run.
    pub no_reserve: bool,
}

/// How a person is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Escalation {
    /// How long an answer is waited for; `None` = for ever.
    pub patience: Option<Duration>,
}

/// `circuit_breaker` of a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerPolicy {
    /// Failures in a row that open it, 1-100.
    pub threshold: u32,
    /// Longest time until the next probe.
    pub recovery: Duration,
}

/// What is done after the last sheet, one at a time and in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Hooks {
    /// After success, when at least one sheet was completed in this run.
    pub on_success: Vec<Hook>,
    /// After a failure.
    pub on_failure: Vec<Hook>,
    /// Wait before each chained job.
    pub cooldown: Duration,
    /// Every failing hook ends the remaining ones, whatever it says itself.
    pub abort_on_failure: bool,
}

/// A hook as the state machine needs it; what it runs is in the score, at the same position.
#[derive(Debug, Clone, PartialEq)]
pub struct Hook {
    /// `run_job run_command run_script`.
    pub hook_type: &'static str,
    /// It submits another job (the others run a program).
    pub chains: bool,
    /// Of a chained job: success means accepted, its end is not waited for.
    pub detached: bool,
    /// Of a chained job: a person says when.
    pub pause_before: bool,
    /// Its failure ends the remaining hooks and fails the job.
    pub abort_on_failure: bool,
    /// Longest run time.
    pub timeout: Duration,
    /// For people.
    pub description: Option<Arc<str>>,
}

/// One of `checkpoints.triggers`, for the sheets whose prompt it matches.
#[derive(Debug, Clone, PartialEq)]
pub struct Breakpoint {
    /// For people.
    pub name: Arc<str>,
    /// Sheets whose number and prompt match, ascending; `None` = all.
    pub sheets: Option<Vec<SheetNo>>,
    /// Retries of the sheet so far, at least.
    pub min_retries: Option<u32>,
    /// Pause the job until a person resumes it; else only remark it.
    pub confirm: bool,
    /// Shown.
    pub message: Arc<str>,
}

/// One sheet as the state machine needs it.
#[derive(Debug, Clone)]
pub struct SheetSpec {
    /// Sheets that must be satisfied first, ascending.
    pub after: Vec<SheetNo>,
    /// The instrument, then its fallbacks in order. Never empty.
    pub instruments: Vec<InstrumentRef>,
    /// Shown in status; "" when the score gives none.
    pub description: Arc<str>,
    /// What the sheet is made of; another value after a change of the score means "another sheet".
    pub fingerprint: Arc<str>,
    /// Stage (movement) and instance (voice) of the sheet.
    pub stage: u32,
    /// Instance within the stage, from 1.
    pub instance: u32,
    /// Skipped when this holds right before its first attempt of a run.
    pub skip_when: Option<Arc<SkipRule>>,
    /// A worker asks a command right before the first attempt of a run whether the sheet is skipped.
    pub skip_command: bool,
    /// Least time that its limit keeps a sheet for the backstop: sheet timeout and grace.
    pub timeout: Duration,
    /// Longest run time of the program on each of [`Self::instruments`].
    pub limits: Vec<Duration>,
}

/// `skip_when` of a sheet.
#[derive(Debug, Clone, PartialEq)]
pub struct SkipRule {
    /// As written.
    pub text: Arc<str>,
    /// Parsed.
    pub expr: Expr,
    /// The values of its names that do not change during a run: `stage`, `instance`, ...
    pub values: Vec<(String, Value)>,
}

/// A resolved instrument of a sheet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InstrumentRef {
    /// Profile name.
    pub name: Arc<str>,
    /// Model, when the score or the profile names one.
    pub model: Option<Arc<str>>,
}

impl InstrumentRef {
    /// Stands for the instrument of an attempt that runs no program (`mozart recover`): no rate limit and no breaker
    /// is about it. No profile can have its name.
    #[must_use]
    pub fn rules_alone() -> &'static Self {
        static RULES: LazyLock<InstrumentRef> =
            LazyLock::new(|| InstrumentRef { name: "(rules only)".into(), model: None });
        &RULES
    }
}

/// `retry` of a score.
#[derive(Debug, Clone)]
pub struct RetryPolicy {
    /// Further attempts after the first.
    pub max_retries: u32,
    /// Delay before the first retry.
    pub base_delay: Duration,
    /// No delay is longer.
    pub max_delay: Duration,
    /// Growth per retry, > 1.
    pub exponential_base: f64,
    /// Whether the score itself gave `base_delay_seconds` or `exponential_base`; otherwise the delay of the error code is used.
    pub explicit: bool,
    /// Multiply by a factor in [0.5, 1.5).
    pub jitter: bool,
    /// Attempts that only finish what is missing.
    pub max_completion_attempts: u32,
    /// Delay before one.
    pub completion_delay: Duration,
    /// A pass percentage strictly above this asks for completion instead of a retry.
    pub completion_threshold: f64,
}

/// `rate_limit` of a score.
#[derive(Debug, Clone)]
pub struct RateLimitPolicy {
    /// Consecutive waits of a sheet for E101-E103.
    pub max_waits: u32,
    /// Consecutive waits of a sheet for E104.
    pub max_quota_waits: u32,
    /// Wait when none could be read from the output; `None` = probe after 60 s, 120 s, ...
    pub wait: Option<Duration>,
    /// A sheet with an unused fallback changes to it at once when the wait is at least this long.
    pub fallback_min_wait: Duration,
}
