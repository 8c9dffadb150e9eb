//! The words of the state machine: the states, what can happen to a job, what follows.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{AttemptRecord, AttemptReport, HookResult, JobEvent, PreviousFailure, SetUp, SetUpFailure};
use crate::classify::ErrorCode;
use crate::ids::{AttemptNo, SheetNo, Token};
use crate::time::{Deadline, Wall};

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
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
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
    SetUpDone(Result<SetUp, Box<SetUpFailure>>),
    /// A hook has ended, or was refused.
    HookEnded {
        /// Position in [`Hooks::on_success`](super::Hooks::on_success) or [`Hooks::on_failure`](super::Hooks::on_failure).
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
    /// Something for people that is no error; the same is kept once.
    Remark {
        /// One line.
        message: String,
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
        /// Of [`Hooks::on_failure`](super::Hooks::on_failure), else of [`Hooks::on_success`](super::Hooks::on_success).
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
    /// Position in [`SheetSpec::instruments`](super::SheetSpec::instruments).
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
