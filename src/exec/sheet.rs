//! One sheet: where it stands, what it has used up, what was seen of it.
//!
//! A [`Sheet`] is shared with readers behind an `Arc` and copied on write, so everything big in
//! it (output tails, validation results) is itself shared.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    Active, Decision, Evidence, Mode, PreviousFailure, Remedy, SheetError, SheetState, SkipReason, Spent,
};
use crate::classify::ErrorCode;
use crate::ids::{AttemptNo, SheetNo};
use crate::time::{Deadline, Wall};

/// Attempts kept in [`Ledger::attempts`]; the oldest go first.
pub const MAX_ATTEMPTS_KEPT: usize = 100;
/// Entries kept in [`Ledger::errors`] and [`Ledger::fallbacks`]; the oldest go first.
pub const MAX_HISTORY: usize = 50;

/// One sheet of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct Sheet {
    /// Its number.
    pub num: SheetNo,
    /// Where it stands.
    pub state: SheetState,
    /// What it has used up and what was seen of it.
    pub ledger: Ledger,
}

/// What a sheet has used up, and what was seen of it. Stored as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ledger {
    /// Attempts that were started, over all runs of the job.
    pub attempt_count: u32,
    /// Attempts that consumed the retry budget of the present instrument.
    pub normal_attempts: u32,
    /// Completion prompts asked for with the present instrument.
    pub completion_attempts: u32,
    /// Interruptions in a row; any result resets it.
    pub crash_interruptions: u32,
    /// Rate-limit waits in a row (E101-E103).
    pub rate_limit_waits: u32,
    /// Quota waits in a row (E104).
    pub quota_waits: u32,
    /// Times in a row that an attempt could not be begun at all.
    pub not_started: u32,
    /// Mode of the running attempt, or of the next one.
    pub mode: Mode,
    /// Position in the instruments of the sheet; never decreases within a run.
    pub instrument_index: u32,
    /// The last error; cleared when an attempt starts or succeeds.
    pub error: Option<SheetError>,
    /// Why a skipped sheet was skipped, for people.
    pub note: Option<String>,
    /// What was seen of the last attempt that has ended.
    pub evidence: Option<Arc<Evidence>>,
    /// What the next prompt says about the attempt before.
    pub previous: Option<Arc<PreviousFailure>>,
    /// The last attempt, running or ended.
    pub last_attempt: Option<AttemptNo>,
    /// Passed share of the rules that the last ended attempt executed, 0-100.
    pub pass_percentage: Option<f64>,
    /// First start of a program of this sheet.
    pub started: Option<Wall>,
    /// Last time anything happened to the sheet.
    pub last_activity: Option<Wall>,
    /// Run time of all attempts in seconds.
    pub total_duration_seconds: f64,
    /// Tokens over all attempts; `None` when no attempt reported any.
    pub input_tokens: Option<u64>,
    /// Tokens over all attempts; `None` when no attempt reported any.
    pub output_tokens: Option<u64>,
    /// The newest attempts, oldest first.
    pub attempts: Vec<AttemptSummary>,
    /// The newest errors, oldest first.
    pub errors: Vec<ErrorEntry>,
    /// Changes of the instrument, oldest first.
    pub fallbacks: Vec<FallbackEntry>,
    /// It is completed, but its part of the score has changed since.
    pub changed_since_run: bool,
    /// Healing attempts of this run.
    pub healing_attempts: u32,
    /// What its attempts have spent.
    pub spent: Spent,
    /// An attempt of this run has got a result, so it is not asked any more whether it is skipped.
    pub skip_checked: bool,
    /// A person has skipped it while it ran.
    pub skip_queued: bool,
    /// Positions of the checkpoints of the score that were met in this run.
    pub checkpoints_met: Vec<u32>,
    /// The next attempt is made whatever the budgets say: a person wants it.
    pub granted: bool,
    /// What that person adds to the prompt.
    pub person_note: Option<Arc<str>>,
    /// The last question to a person, and the answer.
    pub escalation: Option<Box<EscalationEntry>>,
    /// While it is recovered: the error that it had.
    pub before_recovery: Option<SheetError>,
    /// How it ended; `None` while it has not, and in records of older programs.
    pub outcome: Option<OutcomeCategory>,
}

/// A question to a person, and the answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EscalationEntry {
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: Wall,
    /// Until when an answer is waited for.
    pub deadline: Option<Wall>,
    /// `None` = none yet.
    pub decision: Option<Decision>,
    /// `person` or `timeout`.
    pub by: Option<String>,
    /// What was said to it.
    pub note: Option<String>,
    /// When.
    pub decided: Option<Wall>,
}

/// How a sheet ended, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeCategory {
    /// The first attempt did it.
    SuccessFirstTry,
    /// A later one did.
    SuccessRetry,
    /// One that only finished what was missing.
    SuccessCompletion,
    /// The program failed or was not run, but every rule passes.
    SuccessValidated,
    /// A person accepted it as it is.
    SuccessAccepted,
    /// Nothing was left to try.
    FailedExhausted,
    /// The error was not worth a retry.
    FailedFatal,
    /// A person decided to skip it.
    SkippedByEscalation,
}

impl OutcomeCategory {
    /// The word as shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SuccessFirstTry => "success_first_try",
            Self::SuccessRetry => "success_retry",
            Self::SuccessCompletion => "success_completion",
            Self::SuccessValidated => "success_validated",
            Self::SuccessAccepted => "success_accepted",
            Self::FailedExhausted => "failed_exhausted",
            Self::FailedFatal => "failed_fatal",
            Self::SkippedByEscalation => "skipped_by_escalation",
        }
    }
}

/// How an attempt ended, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptEnd {
    /// Every executed rule passed.
    Completed,
    /// The program succeeded, some rule did not pass.
    Partial,
    /// The program failed.
    Failed,
    /// The instrument asked to wait.
    RateLimited,
    /// It was interrupted; nothing is counted.
    Interrupted,
    /// It could not be begun.
    NotStarted,
    /// We ended it for good: its job was cancelled, failed or ran too long.
    Ended,
    /// A command said that the sheet is not needed.
    Skipped,
}

impl AttemptEnd {
    /// The word as stored and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::RateLimited => "rate_limited",
            Self::Interrupted => "interrupted",
            Self::NotStarted => "not_started",
            Self::Ended => "ended",
            Self::Skipped => "skipped",
        }
    }
}

/// One line of the list of attempts of a sheet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttemptSummary {
    /// Attempt.
    pub attempt: AttemptNo,
    /// How it was made.
    pub mode: Mode,
    /// Instrument.
    pub instrument: Arc<str>,
    /// Model, if known.
    pub model: Option<Arc<str>>,
    /// When the slot was taken.
    pub started: Wall,
    /// When it was recorded.
    pub ended: Wall,
    /// How it ended.
    pub outcome: AttemptEnd,
    /// Its error.
    pub error_code: Option<ErrorCode>,
    /// Exit code.
    pub exit_code: Option<i32>,
    /// Signal.
    pub signal: Option<i32>,
    /// Tokens.
    pub input_tokens: Option<u64>,
    /// Tokens.
    pub output_tokens: Option<u64>,
    /// Micro-dollars; `None` = not known.
    #[serde(default)]
    pub cost_micro: Option<u64>,
    /// Passed share of executed rules, 0-100.
    pub pass_percentage: Option<f64>,
    /// Absolute path of the attempt directory; "" when there is none.
    pub log: Arc<str>,
}

/// One error of a sheet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ErrorEntry {
    /// When it was recorded.
    pub at: Wall,
    /// Attempt of the job.
    pub attempt: AttemptNo,
    /// Attempt of the sheet, from 1.
    pub attempt_count: u32,
    /// Code and text.
    pub error: SheetError,
    /// Whether it consumed the retry budget.
    pub counted: bool,
    /// How and where it was seen; `None` for what we found out without a program.
    #[serde(default)]
    pub seen: Option<Box<Seen>>,
}

/// How and where an error was seen.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Seen {
    /// `structured`, `exit_code`, ...; "" when it was not found in a program's output.
    pub method: String,
    /// The text that showed it.
    pub evidence: Option<String>,
    /// Exit code.
    pub exit_code: Option<i32>,
    /// Signal.
    pub exit_signal: Option<i32>,
    /// Errors that count less.
    pub further: Vec<SheetError>,
    /// Remedies that were tried.
    pub remedies: Vec<Remedy>,
    /// End of the output.
    pub stdout_tail: String,
    /// End of the error output.
    pub stderr_tail: String,
}

/// One change of the instrument of a sheet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FallbackEntry {
    /// Before.
    pub from: Arc<str>,
    /// After.
    pub to: Arc<str>,
    /// `rate_limit validation_failed execution_timeout ...`
    pub reason: String,
    /// When.
    pub at: Wall,
}

impl Sheet {
    pub(super) fn pending(num: SheetNo) -> Self {
        Self { num, state: SheetState::Pending, ledger: Ledger::default() }
    }

    /// What a sheet gets for a new run: every budget is fresh, the history stays.
    pub(super) fn reset(&mut self) {
        let ledger = &mut self.ledger;
        ledger.normal_attempts = 0;
        ledger.completion_attempts = 0;
        ledger.crash_interruptions = 0;
        ledger.rate_limit_waits = 0;
        ledger.quota_waits = 0;
        ledger.not_started = 0;
        ledger.mode = Mode::Normal;
        ledger.instrument_index = 0;
        ledger.error = None;
        ledger.note = None;
        ledger.previous = None;
        ledger.changed_since_run = false;
        ledger.healing_attempts = 0;
        ledger.skip_checked = false;
        ledger.skip_queued = false;
        ledger.checkpoints_met.clear();
        ledger.granted = false;
        ledger.person_note = None;
        ledger.before_recovery = None;
        ledger.outcome = None;
        self.state = SheetState::Pending;
    }
}

impl SheetState {
    /// Nothing but a resume changes it any more.
    #[must_use]
    pub const fn is_terminal(&self) -> bool {
        match self {
            Self::Completed { .. } | Self::Failed { .. } | Self::Skipped { .. } | Self::Cancelled { .. } => {
                true
            }
            Self::Pending
            | Self::Dispatched(_)
            | Self::InProgress(_)
            | Self::Waiting { .. }
            | Self::RetryScheduled { .. }
            | Self::Fermata(_) => false,
        }
    }

    /// Skipped because the score or a person wants it, not because something before it failed.
    #[must_use]
    pub const fn is_skipped_on_purpose(&self) -> bool {
        matches!(self, Self::Skipped { .. }) && self.satisfies()
    }

    /// Whether sheets that depend on it may run.
    #[must_use]
    pub const fn satisfies(&self) -> bool {
        match self {
            Self::Completed { .. } => true,
            Self::Skipped { reason, .. } => !matches!(reason, SkipReason::UpstreamFailed),
            Self::Pending
            | Self::Dispatched(_)
            | Self::InProgress(_)
            | Self::Waiting { .. }
            | Self::RetryScheduled { .. }
            | Self::Fermata(_)
            | Self::Failed { .. }
            | Self::Cancelled { .. } => false,
        }
    }

    /// The attempt that holds a slot.
    #[must_use]
    pub const fn active(&self) -> Option<&Active> {
        match self {
            Self::Dispatched(active) | Self::InProgress(active) => Some(active),
            Self::Pending
            | Self::Waiting { .. }
            | Self::RetryScheduled { .. }
            | Self::Fermata(_)
            | Self::Completed { .. }
            | Self::Failed { .. }
            | Self::Skipped { .. }
            | Self::Cancelled { .. } => None,
        }
    }

    pub(super) const fn active_mut(&mut self) -> Option<&mut Active> {
        match self {
            Self::Dispatched(active) | Self::InProgress(active) => Some(active),
            _ => None,
        }
    }

    /// When a held sheet goes on, or a question is answered by nobody.
    #[must_use]
    pub const fn held_until(&self) -> Option<Deadline> {
        match self {
            Self::Waiting { until } | Self::RetryScheduled { until } => Some(*until),
            Self::Fermata(question) => question.deadline,
            Self::Pending
            | Self::Dispatched(_)
            | Self::InProgress(_)
            | Self::Completed { .. }
            | Self::Failed { .. }
            | Self::Skipped { .. }
            | Self::Cancelled { .. } => None,
        }
    }

    /// The word of the checkpoint.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Dispatched(_) => "dispatched",
            Self::InProgress(_) => "in_progress",
            Self::Waiting { .. } => "waiting",
            Self::RetryScheduled { .. } => "retry_scheduled",
            Self::Fermata(_) => "fermata",
            Self::Completed { .. } => "completed",
            Self::Failed { .. } => "failed",
            Self::Skipped { .. } => "skipped",
            Self::Cancelled { .. } => "cancelled",
        }
    }

    /// When a terminal state was reached.
    #[must_use]
    pub const fn ended_at(&self) -> Option<Wall> {
        match self {
            Self::Completed { at }
            | Self::Failed { at }
            | Self::Skipped { at, .. }
            | Self::Cancelled { at } => Some(*at),
            Self::Pending
            | Self::Dispatched(_)
            | Self::InProgress(_)
            | Self::Waiting { .. }
            | Self::RetryScheduled { .. }
            | Self::Fermata(_) => None,
        }
    }
}

impl SkipReason {
    /// The word as stored and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Condition => "condition",
            Self::Command => "command",
            Self::Operator => "operator",
            Self::StartSheet => "start_sheet",
            Self::UpstreamFailed => "upstream_failed",
        }
    }
}

impl Ledger {
    /// Adds to the history of errors, which keeps the newest.
    pub(super) fn keep_error(
        &mut self,
        at: Wall,
        attempt: AttemptNo,
        error: SheetError,
        counted: bool,
        seen: Option<Box<Seen>>,
    ) {
        let entry = ErrorEntry { at, attempt, attempt_count: self.attempt_count, error, counted, seen };
        push_bounded(&mut self.errors, entry, MAX_HISTORY);
    }
}

/// Appends to a list that keeps only its newest `keep` entries.
pub(super) fn push_bounded<T>(list: &mut Vec<T>, entry: T, keep: usize) {
    if list.is_empty() {
        // Most sheets need one attempt, and there may be ten thousand sheets.
        list.reserve_exact(1);
    } else if list.len() >= keep {
        list.drain(..=list.len() - keep);
    }
    list.push(entry);
}
