//! The words of the state machine: what a job is made of, what can happen to it, what follows.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::classify::ErrorCode;
use crate::ids::{AttemptNo, SheetNo, Token};
use crate::score::expr::Expr;
use crate::score::value::Value;
use crate::time::{Deadline, Wall};

/// Orders for one job, made from its score and the conductor's settings. Never changes during a run.
#[derive(Debug, Clone)]
pub struct JobSpec {
    /// Name of the score, for conditions.
    pub name: Arc<str>,
    /// Absolute, for conditions.
    pub workspace: Arc<str>,
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
    /// A sheet with an unused fallback changes to it at once when the wait is at least this long.
    pub fallback_min_wait: Duration,
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
    /// All sheets are over; its hooks run. Needs no permit.
    Finishing,
    /// All sheets succeeded; a chained job waits for a person to resume.
    PausedAtChain,
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
    /// It has spent more than its score allows. Cleared when a resumed job may spend more.
    Cost,
    /// A sheet waits for a person. Cleared with the last such sheet.
    Escalation,
    /// A checkpoint of the score asks for confirmation.
    Checkpoint,
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
    /// Waits for a person.
    Fermata(Box<Question>),
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

/// What a person is asked about a sheet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Why, one line.
    pub reason: String,
    /// Since when.
    pub since: Wall,
    /// Without an answer until then the sheet fails (E999); `None` = waits for ever.
    pub deadline: Option<Deadline>,
}

/// What a person decides about a sheet that waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// One more attempt, whatever the budgets say.
    Retry,
    /// Skipped; satisfies its dependents.
    Skip,
    /// Completed as it is.
    Accept,
    /// Failed; cascades.
    Fail,
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
    /// Its sheet has spent more than the score allows.
    Cost,
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
    /// The whole prompt, and a note on what was mended in between.
    Healing,
    /// No program runs: the rules of the sheet are checked again.
    Recover,
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
    /// The program failed, yet every rule of the sheet passes, and the score accepts that.
    Accepted {
        /// What failed; kept in the history.
        failure: Failure,
        /// Rules that were executed, all passed.
        executed: u32,
    },
    /// `skip_when_command` says that the sheet is not needed; no program was started.
    Skip {
        /// One line.
        message: String,
    },
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
    /// Micro-dollars of this attempt; `None` = no price is known, or no program ran.
    pub cost_micro: Option<u64>,
    /// How well tokens and cost are known: 1 exact, 0.85 total only, 0.7 estimated, 0 unknown.
    pub cost_confidence: f64,
    /// How the error was found: `structured`, `exit_code`, `regex_fallback`, ...; "" without one.
    pub error_method: String,
    /// What in which stream showed it, redacted, at most 500 characters.
    pub error_evidence: Option<String>,
    /// Other errors seen, after the one that counts.
    pub further_errors: Vec<SheetError>,
    /// Remedies that were tried after this attempt.
    pub remedies: Vec<Remedy>,
    /// Size of the prompt.
    pub prompt: Option<PromptMetrics>,
    /// What `feedback` found in the output.
    pub feedback: Option<serde_json::Value>,
    /// Result of `grounding`: `None` without it.
    pub grounding: Option<GroundingResult>,
    /// One entry per applicable rule.
    pub validations: Vec<RuleResult>,
    /// Non-fatal remarks: preflight, parse warnings.
    pub warnings: Vec<String>,
}

/// One remedy of self-healing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Remedy {
    /// `create_missing_parent_dirs`, ...
    pub name: String,
    /// It has changed something, so another attempt may do better.
    pub applied: bool,
    /// What was done, or what a person can do; one line.
    pub message: String,
    /// 0-1.
    pub confidence: f64,
}

/// Size of a prompt.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PromptMetrics {
    /// Unicode characters.
    pub character_count: u64,
    /// Characters over four, rounded up.
    pub estimated_tokens: u64,
    /// Lines.
    pub line_count: u64,
    /// Words.
    pub word_count: u64,
    /// It names files.
    pub has_file_references: bool,
    /// The files that it names, at most 50.
    pub referenced_paths: Vec<String>,
}

/// What `grounding` found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GroundingResult {
    /// Every hook passed.
    pub passed: bool,
    /// 0-1.
    pub confidence: f64,
    /// What is wrong and what to do; one line a hook.
    pub guidance: Option<String>,
    /// It failed, and the score asks for a person then.
    pub escalate: bool,
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
    /// A person recovers a failed job: the rules of what did not succeed are checked again, no
    /// program runs. What passes is completed; then the job is paused, or over.
    Recover {
        /// Only sheets from this number on; `None` = all.
        from: Option<SheetNo>,
    },
    /// What had to be done before the first sheet is done.
    SetUpDone(Result<SetUp, SheetError>),
    /// A hook has ended, or was refused.
    HookEnded {
        /// Position in [`Hooks::on_success`] or [`Hooks::on_failure`].
        hook: usize,
        /// Run of the job that it belongs to.
        epoch: u32,
        /// What came of it.
        result: Box<HookResult>,
    },
    /// A sheet is skipped by a person. Of a running one: when its attempt ends without success.
    Skip {
        /// Sheet.
        sheet: SheetNo,
    },
    /// A person answers.
    Decide {
        /// Sheet in fermata.
        sheet: SheetNo,
        /// What.
        decision: Decision,
        /// Of a retry: shown to the instrument after the prompt.
        prompt: Option<String>,
        /// Kept with the decision.
        note: Option<String>,
    },
    /// The instrument of a ready sheet cannot be used (its breaker is open): it changes to its next one.
    /// Without a next one nothing happens and the sheet stays pending.
    FallBack {
        /// Sheet.
        sheet: SheetNo,
        /// `unavailable`, ...
        reason: &'static str,
    },
    /// The report of an attempt is overdue and nothing of it lives (T15): as a crash.
    Lost {
        /// Sheet.
        sheet: SheetNo,
        /// Attempt.
        attempt: AttemptNo,
    },
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
    /// What an attempt says about its instrument: `Ok` worked, `Err` failed by its own fault with this code.
    /// Attempts that say nothing about it have no such effect.
    Instrument {
        /// Instrument.
        instrument: Arc<str>,
        /// Model, if known.
        model: Option<Arc<str>>,
        /// Sheet.
        sheet: SheetNo,
        /// What.
        result: Result<(), ErrorCode>,
    },
    /// Do what the score wants before the first sheet, then tell [`Input::SetUpDone`].
    SetUp,
    /// Run this hook once it is committed, then tell [`Input::HookEnded`].
    Hook {
        /// Position.
        hook: usize,
        /// Of [`Hooks::on_failure`], else of [`Hooks::on_success`].
        on_failure: bool,
        /// Run of the job.
        epoch: u32,
    },
    /// End the set-up or the hook that runs: the job is cancelled or fails. Its result is still told.
    EndHook,
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
    /// Ask `skip_when_command` first.
    pub skip_command: bool,
    /// Should it fail for good, try remedies: always after an error that is not worth a retry, and
    /// after every failure when this is the last attempt of its budget.
    pub heal: Heal,
    /// What a person added to the prompt.
    pub note: Option<Arc<str>>,
    /// Micro-dollars and tokens that the sheet may still spend.
    pub left: Left,
}

/// Whether remedies are tried after a failed attempt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Heal {
    /// No.
    #[default]
    Never,
    /// After an error that is not worth a retry.
    IfHopeless,
    /// After every failure.
    Always,
}

/// What a sheet may still spend; `None` = as much as it likes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Left {
    /// Micro-dollars.
    pub cost: Option<u64>,
    /// Tokens.
    pub tokens: Option<u64>,
}

/// What was done before the first sheet.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SetUp {
    /// The git worktree in which the sheets run.
    pub worktree: Option<Worktree>,
    /// Isolation was asked for and is not possible; the sheets run in place.
    pub isolation_fallback: bool,
    /// Where the old content of the workspace went.
    pub archive: Option<String>,
    /// Remarks.
    pub warnings: Vec<String>,
}

/// A git worktree of a job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Worktree {
    /// Absolute.
    pub path: String,
    /// The repository that it belongs to, absolute.
    pub repository: String,
    /// Commit that it started from.
    pub base_commit: String,
    /// Branch that keeps its commits, once there is one.
    pub branch: Option<String>,
    /// It is locked.
    pub locked: bool,
}

/// What came of a hook.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HookResult {
    /// `run_job run_command run_script`.
    pub hook_type: String,
    /// From the score.
    pub description: Option<String>,
    /// `None` while it runs, and for ever when the conductor died meanwhile and it cannot be known.
    pub success: Option<bool>,
    /// Exit code.
    pub exit_code: Option<i32>,
    /// Why it failed.
    pub error_message: Option<String>,
    /// Seconds.
    pub duration_seconds: f64,
    /// Last 2,000 characters of its output.
    pub output: String,
    /// Its whole output.
    pub log_path: Option<String>,
    /// The job that it submitted.
    pub chained_job_id: Option<String>,
    /// Its score.
    pub chained_job_path: Option<String>,
    /// Its workspace.
    pub chained_job_workspace: Option<String>,
    /// Run of the job.
    pub epoch: u32,
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
