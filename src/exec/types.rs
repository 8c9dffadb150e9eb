//! The words of the state machine: what a job is made of, what can happen to it, what follows.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::classify::ErrorCode;
use crate::ids::{AttemptNo, SheetNo, Token};
use crate::time::{Deadline, Wall};

/// Orders for one job, made from its score and the conductor's settings. Never changes during a run.
#[derive(Debug, Clone)]
pub struct JobSpec {
    /// Position `n-1` is sheet `n`.
    pub sheets: Vec<SheetSpec>,
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
}

/// A resolved instrument of a sheet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstrumentRef {
    /// Profile name.
    pub name: Arc<str>,
    /// Model, when the score or the profile names one.
    pub model: Option<Arc<str>>,
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
}

/// State of the whole job. What is derived from the sheets is not stored here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobStatus {
    /// Accepted or resumed; waits for a job permit.
    Queued,
    /// Has a permit (or keeps it until its last attempt let go).
    Running,
    /// A pause flag is set and nothing runs.
    Paused,
    /// Every sheet succeeded or was skipped on purpose.
    Completed,
    /// Ended without that.
    Failed,
    /// A person ended it.
    Cancelled,
}

/// Why a job is paused. Independent bits: clearing one never clears another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseFlag {
    /// `mozart pause`.
    User,
    /// The monitor shed it.
    Pressure,
    /// A graceful stop left work over; the next start goes on by itself.
    Shutdown,
}

/// State of one sheet, with the data that belongs to it.
#[derive(Debug, Clone, PartialEq)]
pub enum SheetState {
    /// Not started, or ready to run again.
    Pending,
    /// Given to a worker, which renders and prepares.
    Dispatched(Active),
    /// Its program runs.
    InProgress(Active),
    /// Waits for its instrument, not for us: consumes no retry budget.
    Waiting {
        /// When it is tried again.
        until: Deadline,
    },
    /// Backoff timer runs.
    RetryScheduled {
        /// When it goes back to pending.
        until: Deadline,
    },
    /// Validated.
    Completed {
        /// When.
        at: Wall,
    },
    /// All recovery used up, or not retriable. Message and code are in the sheet's `error`.
    Failed {
        /// When.
        at: Wall,
    },
    /// Not run.
    Skipped {
        /// When.
        at: Wall,
        /// Why.
        reason: SkipReason,
    },
    /// Ended by a person or by the end of its job.
    Cancelled {
        /// When.
        at: Wall,
    },
}

/// The attempt that holds a slot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Active {
    /// Its number; reports of any other number are ignored.
    pub attempt: AttemptNo,
    /// Its mark.
    pub token: Token,
    /// When the slot was taken.
    pub since: Wall,
    /// Pid of the program once known.
    pub pid: Option<u32>,
    /// We asked for its end: why. The first reason stays.
    pub ending: Option<EndReason>,
}

/// Why a sheet was not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// `skip_when` was true.
    Condition,
    /// `skip_when_command` exited 0.
    Command,
    /// A person said so.
    Operator,
    /// `--start-sheet` is above it.
    StartSheet,
    /// A dependency did not succeed. The only reason that satisfies nobody.
    UpstreamFailed,
}

/// Why we end an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// The job is cancelled.
    Cancel,
    /// The job is paused at once.
    Pause,
    /// The job ran too long.
    JobTimeout,
    /// The conductor stops.
    Shutdown,
    /// The job failed as a whole.
    JobFailed,
}

/// How an attempt is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The whole prompt.
    #[default]
    Normal,
    /// The whole prompt and a suffix that names what is still missing.
    Completion,
}

/// What a worker says of one attempt. Exactly one per dispatched attempt.
#[derive(Debug, Clone)]
pub struct AttemptReport {
    /// What it means for the sheet.
    pub outcome: Outcome,
    /// What was seen, for the record.
    pub evidence: Evidence,
}

/// What an attempt means for its sheet.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The program succeeded; so many of the executed validations passed.
    Ran {
        /// Rules that passed.
        passed: u32,
        /// Rules that were executed.
        executed: u32,
        /// Rules that apply, skipped ones included.
        total: u32,
    },
    /// The program failed, or could not be started.
    Failed(Failure),
    /// The instrument asks to wait.
    RateLimited {
        /// E101-E104.
        code: ErrorCode,
        /// As read from its output.
        wait: Option<Duration>,
        /// One line.
        message: String,
    },
    /// Its guard is gone without a record, or ended by a TERM nobody committed: nothing counted, run again.
    Interrupted {
        /// One line.
        message: String,
    },
    /// It was never started, because its directory could not be written: the sheet is pending again
    /// after a delay, no attempt is counted (E403).
    NotStarted {
        /// One line.
        message: String,
    },
    /// We ended it for the reason in [`Active::ending`].
    Ended,
}

/// A failed attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// What kind.
    pub code: ErrorCode,
    /// One line for people.
    pub message: String,
    /// May be tried again.
    pub retriable: bool,
    /// Wait that the kind asks for; zero = none of its own.
    pub delay: Duration,
}

/// What was seen of an attempt. Text is redacted and cut before it gets here.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Evidence {
    /// Exit code.
    pub exit_code: Option<i32>,
    /// Signal that ended the program.
    pub exit_signal: Option<i32>,
    /// `timeout`, `idle`, `cancel`, ... when the guard or we ended it.
    pub killed_by: Option<String>,
    /// When the program started and ended.
    pub started: Option<Wall>,
    /// End.
    pub ended: Option<Wall>,
    /// Run time of the program in seconds.
    pub duration_seconds: f64,
    /// CPU seconds, user and system, of the program and everything below it.
    pub cpu_seconds: f64,
    /// Peak resident memory of the largest process, KiB.
    pub max_rss_kib: u64,
    /// Tail of stdout, at most 51,200 bytes.
    pub stdout_tail: String,
    /// Tail of stderr, at most 51,200 bytes.
    pub stderr_tail: String,
    /// Bytes written to stdout and stderr.
    pub stdout_bytes: u64,
    /// Bytes written to stderr.
    pub stderr_bytes: u64,
    /// Absolute path of the attempt directory.
    pub directory: String,
    /// Tokens that the program reported.
    pub input_tokens: Option<u64>,
    /// Tokens that the program reported.
    pub output_tokens: Option<u64>,
    /// One entry per applicable rule.
    pub validations: Vec<RuleResult>,
    /// Non-fatal remarks: preflight, parse warnings.
    pub warnings: Vec<String>,
}

/// Result of one validation rule.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RuleResult {
    /// `file_exists`, ...
    pub rule_type: String,
    /// From the score.
    pub description: Option<String>,
    /// Expanded path or command.
    pub path: Option<String>,
    /// Pattern as written.
    pub pattern: Option<String>,
    /// Result; false for skipped ones.
    pub passed: bool,
    /// Its stage.
    pub stage: u8,
    /// Why it failed, one line.
    pub failure_reason: Option<String>,
    /// `missing malformed incomplete stale error skipped`.
    pub failure_category: Option<String>,
    /// What to do.
    pub suggested_fix: Option<String>,
    /// Milliseconds.
    pub check_duration_ms: u64,
    /// What a command printed: first 500 and last 2,000 characters.
    pub output: Option<String>,
}

/// Everything that can happen to a job.
#[derive(Debug, Clone)]
pub enum Input {
    /// The job got its permit: queued becomes running.
    Begin,
    /// The scheduler picked a runnable sheet; number and token are new.
    Dispatch {
        /// Sheet, which must be in [`super::Execution::runnable`].
        sheet: SheetNo,
        /// Its new attempt.
        attempt: AttemptNo,
        /// Its mark.
        token: Token,
    },
    /// The program of an attempt runs.
    Spawned {
        /// Sheet.
        sheet: SheetNo,
        /// Attempt.
        attempt: AttemptNo,
        /// Pid of the program.
        pid: u32,
    },
    /// The one report of an attempt.
    AttemptEnded {
        /// Sheet.
        sheet: SheetNo,
        /// Attempt.
        attempt: AttemptNo,
        /// What happened.
        report: Box<AttemptReport>,
    },
    /// [`super::Execution::next_deadline`] has come.
    Tick,
    /// Start nothing new; with `now`, end what runs as interrupted (no retry consumed).
    Pause {
        /// Which bit.
        flag: PauseFlag,
        /// End running attempts too.
        now: bool,
    },
    /// Clear one pause bit (the others stay).
    Unpause(PauseFlag),
    /// A person resumes: every pause bit is cleared; of an ended job what did not succeed becomes
    /// pending with new budgets. The job is queued again.
    Resume,
    /// The same, and more sheets run again or fewer.
    ResumeWith(Rerun),
    /// A person cancels.
    Cancel,
    /// A rate limit of an instrument (and model) is over or was cleared: waiting sheets of it are pending again.
    LimitCleared {
        /// `None` = all.
        instrument: Option<Arc<str>>,
    },
    /// The job fails as a whole at once: running attempts are ended.
    FailJob {
        /// Shown as the job's error.
        message: String,
    },
    /// Recovery found an interrupted attempt under `recovery: adopt`: nothing new starts; when the
    /// last adopted attempt has been recorded the job is failed with this message and can be resumed.
    Orphaned {
        /// `Conductor restarted while job was active`.
        message: String,
    },
}

/// What follows from an input. The conductor carries it out in this order, after its commit.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// The job's own record changed.
    SaveJob,
    /// A sheet's record changed.
    SaveSheet(SheetNo),
    /// An attempt was opened (before it runs) or closed.
    SaveAttempt(Box<AttemptRecord>),
    /// Hand this attempt to a sheet worker once it is committed.
    Run(Order),
    /// TERM to the guard of this attempt; a second one skips the grace.
    End {
        /// Sheet.
        sheet: SheetNo,
        /// Attempt.
        attempt: AttemptNo,
        /// Why.
        reason: EndReason,
    },
    /// The instrument asked to wait: hold sheets of all jobs that want it.
    Limited {
        /// Instrument.
        instrument: Arc<str>,
        /// Model, if known.
        model: Option<Arc<str>>,
        /// For how long.
        wait: Duration,
        /// By which sheet.
        sheet: SheetNo,
    },
    /// The job needs no permit any more: it is paused or ended and nothing of it runs.
    Released,
    /// Something to tell whoever watches.
    Event(JobEvent),
}

/// What a sheet worker is asked to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// Sheet.
    pub sheet: SheetNo,
    /// Attempt.
    pub attempt: AttemptNo,
    /// Mark.
    pub token: Token,
    /// How.
    pub mode: Mode,
    /// Position in [`SheetSpec::instruments`].
    pub instrument_index: usize,
    /// Attempts of this sheet so far (0 for the first).
    pub retry_count: u32,
    /// Which completion attempt this is, and of how many (0 in normal mode).
    pub completion: (u32, u32),
    /// What the attempt before failed at, for the prompt.
    pub previous: Option<Arc<PreviousFailure>>,
}

/// Why the attempt before did not finish the sheet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PreviousFailure {
    /// Code and message, when the program failed.
    pub error: Option<SheetError>,
    /// Last 2,000 characters of its stderr.
    pub stderr_tail: String,
    /// Rules, passed ones included.
    pub validations: Vec<RuleResult>,
}

/// The last error of a sheet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SheetError {
    /// Kind.
    pub code: ErrorCode,
    /// One line, at most 4 KiB.
    pub message: String,
}

/// One attempt as stored: opened before it runs, closed when it is reported.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// Sheet.
    pub sheet: SheetNo,
    /// Attempt.
    pub attempt: AttemptNo,
    /// Mark.
    pub token: Token,
    /// How.
    pub mode: Mode,
    /// Instrument.
    pub instrument: String,
    /// Model.
    pub model: Option<String>,
    /// When the slot was taken.
    pub opened: Wall,
    /// Why we ended it, once asked for: committed before the TERM is sent.
    pub ending: Option<EndReason>,
    /// `None` while it is open.
    pub closed: Option<Closed>,
}

/// End of an attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Closed {
    /// When it was recorded.
    pub at: Wall,
    /// `completed partial failed rate_limited interrupted not_started ended`.
    pub outcome: String,
    /// Error, if any.
    pub error: Option<SheetError>,
    /// Passed share of executed rules, 0-100.
    pub pass_percentage: Option<f64>,
    /// What was seen; shared with the sheet, which shows the last one.
    pub evidence: Arc<Evidence>,
}

/// An event of a job, before the conductor adds job id, sequence number and time.
#[derive(Debug, Clone, PartialEq)]
pub struct JobEvent {
    /// `sheet.completed`, ... (conductor 8.1).
    pub name: &'static str,
    /// 0 = the job itself.
    pub sheet: u32,
    /// Its fields.
    pub data: serde_json::Value,
}

/// Which sheets a resumed job runs again, beside those that have not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rerun {
    /// Unsuccessful sheets with a lower number stay unsuccessful; `None` = all of them run again.
    pub from: Option<SheetNo>,
    /// What has not succeeded of the sheets with a lower number is skipped.
    pub start: Option<SheetNo>,
    /// Completed sheets whose part of the score has changed run again, with all that depend on them.
    pub changed: bool,
}
