//! The job as a whole: its state, its flags, its clock and its totals.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{EndReason, Evidence, HookResult, JobStatus, PauseFlag, SetUp};
use crate::classify::ErrorCode;
use crate::ids::SheetNo;
use crate::time::{Deadline, Now, Wall};

/// What a job knows beyond its sheets.
#[derive(Debug, Clone, PartialEq)]
pub struct JobState {
    /// Where it stands. `Running` means that it holds a job permit.
    pub status: JobStatus,
    /// Why it is paused, or will be once its last attempt has ended.
    pub pause_flags: BTreeSet<PauseFlag>,
    /// It is about to end: nothing new starts, and when its last attempt has let go, it ends so.
    pub ending: Option<Ending>,
    /// Nothing is started before (pacing after a sheet, stagger between starts).
    pub hold: Option<Deadline>,
    /// Since when its time runs; it stands still while the job is queued or paused.
    pub clock: Option<Now>,
    /// What is stored as it is.
    pub ledger: JobLedger,
}

/// Times and totals of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct JobLedger {
    /// When it was accepted.
    pub created: Wall,
    /// When it last changed.
    pub updated: Wall,
    /// When it first got a permit.
    pub started: Option<Wall>,
    /// When the present run got its permit.
    pub run_started: Option<Wall>,
    /// When it ended; `None` for every job that has not.
    pub completed: Option<Wall>,
    /// 1, and one more for each resume.
    pub run_epoch: u32,
    /// Why it failed.
    pub error: Option<String>,
    /// State of the generator behind every jitter.
    pub random: u64,
    /// Time of this run before [`JobState::clock`], in milliseconds.
    pub ran_ms: u64,
    /// Retries of all sheets, completion attempts included.
    pub total_retry_count: u64,
    /// Rate-limit waits of all sheets (E101-E103).
    pub rate_limit_waits: u64,
    /// Quota waits of all sheets (E104).
    pub quota_waits: u64,
    /// Times that a sheet was started while none ran.
    pub waves: u64,
    /// Code of [`Self::error`], when it is not that of a sheet.
    pub error_code: Option<ErrorCode>,
    /// What was done before the first sheet.
    pub set_up: Option<SetUp>,
    /// Run for which that was done last; 0 = none.
    pub set_up_epoch: u32,
    /// What came of the hooks, in order. The last one may still run.
    pub hook_results: Vec<HookResult>,
    /// What all attempts have spent, those of dropped sheets included.
    pub spent: Spent,
    /// The same per instrument, by name.
    pub instruments: BTreeMap<Arc<str>, Spent>,
    /// Shares of a budget in percent that were remarked in this run.
    pub budget_remarks: Vec<u32>,
    /// Where the job stands after its sheets.
    pub finishing: Option<Finishing>,
    /// Sheets completed in this run.
    pub completed_in_run: u32,
    /// The newest remarks for people, oldest first.
    pub remarks: Vec<Remark>,
    /// Sheets that have cost anything.
    pub sheets_charged: u32,
    /// A failed job is being recovered.
    pub recovery: Option<Recovery>,
    /// The checkpoint of the score that it is paused at.
    pub checkpoint: Option<AtCheckpoint>,
}

/// A failed job whose rules are checked again.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Recovery {
    /// Sheets that passed.
    pub recovered: u32,
    /// The job's error so far.
    pub error: Option<String>,
    /// Its code.
    pub code: Option<ErrorCode>,
}

/// A checkpoint of the score at which a person is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AtCheckpoint {
    /// Before which sheet.
    pub sheet: SheetNo,
    /// Its name in the score.
    pub name: String,
    /// What is asked.
    pub message: String,
}

/// What attempts have used up.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Spent {
    /// Attempts.
    pub attempts: u32,
    /// Micro-dollars, of the attempts whose price is known.
    pub cost_micro: u64,
    /// Attempts that ran a program whose price is not known.
    pub unpriced: u32,
    /// Lowest confidence of any attempt, 0-1; 1 without attempts.
    pub confidence: f64,
    /// Input tokens.
    pub input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
}

/// Where a job stands after its sheets.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Finishing {
    /// Some sheet did not succeed, or the job failed as a whole.
    pub failed: bool,
    /// The job's error.
    pub error: Option<String>,
    /// Code of the job's error, when it is not that of a sheet.
    pub code: Option<ErrorCode>,
    /// Position of the hook that runs, or is next.
    pub hook: usize,
    /// It is begun; its result is the last one of [`JobLedger::hook_results`] and still open.
    pub running: bool,
    /// A person has agreed to it.
    pub confirmed: bool,
    /// The wait before it has begun; [`JobState::hold`] says until when.
    pub cooled: bool,
}

/// Something about a job that people should know and that is no error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Remark {
    /// When.
    pub at: Wall,
    /// Of which sheet; `None` = of the job.
    pub sheet: Option<SheetNo>,
    /// One line.
    pub message: String,
}

impl Spent {
    /// Adds one attempt.
    pub(super) fn add(&mut self, evidence: &Evidence) {
        self.attempts += 1;
        match evidence.cost_micro {
            Some(cost) => self.cost_micro = self.cost_micro.saturating_add(cost),
            None => self.unpriced += 1,
        }
        self.confidence = self.confidence.min(evidence.cost_confidence.clamp(0.0, 1.0));
        self.input_tokens = self.input_tokens.saturating_add(evidence.input_tokens.unwrap_or(0));
        self.output_tokens = self.output_tokens.saturating_add(evidence.output_tokens.unwrap_or(0));
    }

    /// Input and output tokens.
    #[must_use]
    pub const fn tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }
}

impl Default for Spent {
    fn default() -> Self {
        Self { attempts: 0, cost_micro: 0, unpriced: 0, confidence: 1.0, input_tokens: 0, output_tokens: 0 }
    }
}

impl Default for JobLedger {
    fn default() -> Self {
        Self {
            created: Wall(0),
            updated: Wall(0),
            started: None,
            run_started: None,
            completed: None,
            run_epoch: 1,
            error: None,
            random: 0,
            ran_ms: 0,
            total_retry_count: 0,
            rate_limit_waits: 0,
            quota_waits: 0,
            waves: 0,
            error_code: None,
            set_up: None,
            set_up_epoch: 0,
            hook_results: Vec::new(),
            spent: Spent::default(),
            instruments: BTreeMap::new(),
            budget_remarks: Vec::new(),
            finishing: None,
            completed_in_run: 0,
            remarks: Vec::new(),
            sheets_charged: 0,
            recovery: None,
            checkpoint: None,
        }
    }
}

/// How a job that is about to end will end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// A person cancelled it.
    Cancel,
    /// It ran too long.
    Timeout {
        /// The job's error.
        message: String,
    },
    /// It fails as a whole.
    Fail {
        /// The job's error.
        message: String,
    },
    /// It was active when the conductor died: what runs may end by itself, nothing new starts.
    Orphaned {
        /// The job's error.
        message: String,
    },
}

impl Ending {
    /// Whether running attempts are told to end.
    #[must_use]
    pub const fn ends_attempts(&self) -> bool {
        self.reason().is_some()
    }

    /// Why its attempts are ended; `None` when they run to their natural end.
    pub(super) const fn reason(&self) -> Option<EndReason> {
        match self {
            Self::Cancel => Some(EndReason::Cancel),
            Self::Timeout { .. } => Some(EndReason::JobTimeout),
            Self::Fail { .. } => Some(EndReason::JobFailed),
            Self::Orphaned { .. } => None,
        }
    }
}

impl JobState {
    /// Time of this run so far; queued and paused time is not in it.
    #[must_use]
    pub fn ran(&self, now: Now) -> Duration {
        let before = Duration::from_millis(self.ledger.ran_ms);
        self.clock.map_or(before, |since| before + now.mono.since(since.mono))
    }

    pub(super) fn stop_clock(&mut self, now: Now) {
        self.ledger.ran_ms = u64::try_from(self.ran(now).as_millis()).unwrap_or(u64::MAX);
        self.clock = None;
    }
}

impl JobLedger {
    /// Hooks of the present run that failed.
    #[must_use]
    pub fn failed_hooks(&self) -> usize {
        let failed = |result: &&HookResult| result.epoch == self.run_epoch && result.success == Some(false);
        self.hook_results.iter().filter(failed).count()
    }
}

impl JobStatus {
    /// Ended; only a resume changes it.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::Completed | Self::Failed | Self::Cancelled => true,
            Self::Queued | Self::Running | Self::Paused | Self::Finishing | Self::PausedAtChain => false,
        }
    }

    /// The word as stored and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Finishing => "finishing",
            Self::PausedAtChain => "paused_at_chain",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl PauseFlag {
    /// The word as stored and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Cost => "cost",
            Self::Escalation => "escalation",
            Self::Checkpoint => "checkpoint",
            Self::Pressure => "pressure",
            Self::Shutdown => "shutdown",
        }
    }
}
