//! What others report to the state machine, and what is stored of an attempt.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{EndReason, Mode};
use crate::classify::ErrorCode;
use crate::ids::{AttemptNo, SheetNo, Token};
use crate::time::Wall;

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
    /// We ended it for the reason in [`Active::ending`](super::Active::ending).
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
    /// The program was a script of the sheet's own (`raw_prompt` of the profile): how it ended is the script's doing
    /// and says nothing about the instrument. Only asked when the attempt ends, not stored.
    #[serde(skip)]
    pub scripted: bool,
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
    /// Tail of stdout, at most 51,200 bytes unless the score says otherwise.
    pub stdout_tail: String,
    /// Tail of stderr, as long as that of stdout.
    pub stderr_tail: String,
    /// Bytes written to stdout and stderr.
    pub stdout_bytes: u64,
    /// Bytes written to stderr.
    pub stderr_bytes: u64,
    /// Absolute path of the attempt directory.
    pub directory: Arc<str>,
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
    /// How sure it is that this error is the root of the further ones: 0-1; 0 without an error.
    pub error_confidence: f64,
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
    /// `missing malformed incomplete stale error timeout skipped`.
    pub failure_category: Option<String>,
    /// What to do.
    pub suggested_fix: Option<String>,
    /// What was there instead of what is wanted, where that is a word: `exit 3`, `missing`.
    pub actual_value: Option<String>,
    /// Milliseconds.
    pub check_duration_ms: u64,
    /// What a command printed: first 500 and last 2,000 characters.
    pub output: Option<String>,
}

impl RuleResult {
    /// Code of an attempt whose first failed rule this is.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match (self.failure_category.as_deref(), self.rule_type.as_str()) {
            (Some("timeout"), _) => ErrorCode::E204,
            (Some("missing"), _) | (_, "file_exists" | "file_modified") => ErrorCode::E201,
            (_, "content_contains" | "content_regex") => ErrorCode::E202,
            (_, "command_succeeds") => ErrorCode::E203,
            _ => ErrorCode::E209,
        }
    }
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

/// A set-up that failed.
#[derive(Debug, Clone, PartialEq)]
pub struct SetUpFailure {
    /// Why.
    pub error: SheetError,
    /// What was made until then. `None` when the next try has to begin with the archive of the workspace.
    pub made: Option<SetUp>,
}

impl From<SheetError> for Box<SetUpFailure> {
    fn from(error: SheetError) -> Self {
        Box::new(SetUpFailure { error, made: None })
    }
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
    pub instrument: Arc<str>,
    /// Model.
    pub model: Option<Arc<str>>,
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
    pub outcome: Cow<'static, str>,
    /// Error, if any.
    pub error: Option<SheetError>,
    /// Passed share of executed rules, 0-100.
    pub pass_percentage: Option<f64>,
    /// What was seen; shared with the sheet, which shows the last one.
    pub evidence: Arc<Evidence>,
}
