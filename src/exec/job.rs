//! The job as a whole: its state, its flags, its clock and its totals.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{EndReason, JobStatus, PauseFlag};
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

impl JobStatus {
    /// Ended; only a resume changes it.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::Completed | Self::Failed | Self::Cancelled => true,
            Self::Queued | Self::Running | Self::Paused => false,
        }
    }

    /// The word as stored and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Paused => "paused",
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
            Self::Pressure => "pressure",
            Self::Shutdown => "shutdown",
        }
    }
}
