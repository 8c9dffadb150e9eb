//! The stored form of a job and of a sheet.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::classify::ErrorCode;
use crate::exec::{
    Active, Ending, JobLedger, JobState, JobStatus, Ledger, PauseFlag, Question, Sheet, SheetError,
    SheetSpec, SheetState, SkipReason,
};
use crate::ids::SheetNo;
use crate::time::{Deadline, Now, Wall};

/// Version written into every record. Records of a higher one are refused.
pub const SCHEMA_VERSION: u32 = 1;

/// Why a stored record cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// Not JSON, or not of the form of a record; an unknown state is this too.
    #[error(
        "the stored {what} is not readable; restore a backup of the database or run the job with --fresh"
    )]
    Unreadable {
        /// `job` or `sheet`.
        what: &'static str,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// Written by a newer version of this program.
    #[error(
        "the stored {what} has version {found}, this program reads up to {SCHEMA_VERSION}; use the program that wrote it"
    )]
    Newer {
        /// `job` or `sheet`.
        what: &'static str,
        /// Its version.
        found: u32,
    },
}

/// A job without its sheets, as stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobRecord {
    /// Version of this form.
    pub schema_version: u32,
    /// State.
    pub status: JobStatus,
    /// Pause flags.
    #[serde(default)]
    pub pause_flags: BTreeSet<PauseFlag>,
    /// How it is about to end.
    #[serde(default)]
    pub ending: Option<Ending>,
    /// Nothing is started before.
    #[serde(default)]
    pub hold: Option<StoredDeadline>,
    /// Since when its time runs.
    #[serde(default)]
    pub clock: Option<Wall>,
    /// Times and totals.
    #[serde(default)]
    pub ledger: JobLedger,
}

/// A sheet as stored, with what identifies it when the score changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SheetRecord {
    /// Version of this form.
    pub schema_version: u32,
    /// Number.
    pub num: SheetNo,
    /// Stage (movement).
    pub stage: u32,
    /// Instance (voice) within the stage.
    pub instance: u32,
    /// What the sheet was made of.
    #[serde(default)]
    pub fingerprint: Arc<str>,
    /// State.
    pub state: StoredState,
    /// What it has used up and what was seen of it.
    #[serde(default)]
    pub ledger: Ledger,
}

/// A deadline of the wall clock, and the wait as it was first set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredDeadline {
    /// When it is due.
    pub at: Wall,
    /// The whole wait in milliseconds.
    pub delay_ms: u64,
}

/// The state of a sheet as stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the states are those of `exec::SheetState`")]
pub enum StoredState {
    #[serde(alias = "ready")]
    Pending,
    Dispatched(Active),
    InProgress(Active),
    Waiting(StoredDeadline),
    RetryScheduled(StoredDeadline),
    Fermata {
        #[serde(default)]
        reason: String,
        since: Wall,
        #[serde(default)]
        deadline: Option<StoredDeadline>,
    },
    Completed {
        #[serde(default)]
        at: Option<Wall>,
    },
    Failed {
        #[serde(default)]
        at: Option<Wall>,
    },
    Skipped {
        #[serde(default)]
        at: Option<Wall>,
        reason: SkipReason,
    },
    Cancelled {
        #[serde(default)]
        at: Option<Wall>,
    },
}

impl From<Deadline> for StoredDeadline {
    fn from(deadline: Deadline) -> Self {
        Self { at: deadline.wall, delay_ms: u64::try_from(deadline.delay.as_millis()).unwrap_or(u64::MAX) }
    }
}

impl StoredDeadline {
    fn restored(self, now: Now) -> Deadline {
        Deadline::restored(now, self.at, Duration::from_millis(self.delay_ms))
    }
}

impl JobRecord {
    /// What is stored of a job.
    #[must_use]
    pub fn new(job: &JobState) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            status: job.status,
            pause_flags: job.pause_flags.clone(),
            ending: job.ending.clone(),
            hold: job.hold.map(StoredDeadline::from),
            clock: job.clock.map(|since| since.wall),
            ledger: job.ledger.clone(),
        }
    }

    /// As JSON text.
    #[must_use]
    pub fn encode(&self) -> String {
        serde_json::to_string(self).expect("a record has only text keys and finite numbers")
    }

    /// Reads JSON text and repairs what a half-written predecessor may have left out.
    pub fn decode(text: &str) -> Result<Self, RecordError> {
        let mut record: Self =
            serde_json::from_str(text).map_err(|source| RecordError::Unreadable { what: "job", source })?;
        if record.schema_version > SCHEMA_VERSION {
            return Err(RecordError::Newer { what: "job", found: record.schema_version });
        }
        let ledger = &mut record.ledger;
        if record.status.is_terminal() {
            ledger.completed.get_or_insert(ledger.updated);
        } else {
            ledger.completed = None;
        }
        if record.status == JobStatus::Running {
            ledger.started.get_or_insert(ledger.updated);
        }
        Ok(record)
    }

    /// The state in a new process life.
    #[must_use]
    pub fn into_state(self, now: Now) -> JobState {
        let mut ledger = self.ledger;
        // The time that passed while nobody looked counts: adopted attempts went on running.
        let clock = self.clock.map(|since| {
            let passed = u64::try_from(now.wall.since(since).as_millis()).unwrap_or(u64::MAX);
            ledger.ran_ms = ledger.ran_ms.saturating_add(passed);
            now
        });
        let hold = self.hold.map(|hold| hold.restored(now)).filter(|hold| !hold.is_due(now));
        JobState {
            status: self.status,
            pause_flags: self.pause_flags,
            ending: self.ending,
            hold,
            clock,
            ledger,
        }
    }
}

impl SheetRecord {
    /// What is stored of a sheet.
    #[must_use]
    pub fn new(sheet: &Sheet, spec: &SheetSpec) -> Self {
        let state = match &sheet.state {
            SheetState::Pending => StoredState::Pending,
            SheetState::Dispatched(active) => StoredState::Dispatched(*active),
            SheetState::InProgress(active) => StoredState::InProgress(*active),
            SheetState::Waiting { until } => StoredState::Waiting((*until).into()),
            SheetState::RetryScheduled { until } => StoredState::RetryScheduled((*until).into()),
            SheetState::Fermata(question) => StoredState::Fermata {
                reason: question.reason.clone(),
                since: question.since,
                deadline: question.deadline.map(StoredDeadline::from),
            },
            SheetState::Completed { at } => StoredState::Completed { at: Some(*at) },
            SheetState::Failed { at } => StoredState::Failed { at: Some(*at) },
            SheetState::Skipped { at, reason } => StoredState::Skipped { at: Some(*at), reason: *reason },
            SheetState::Cancelled { at } => StoredState::Cancelled { at: Some(*at) },
        };
        Self {
            schema_version: SCHEMA_VERSION,
            num: sheet.num,
            stage: spec.stage,
            instance: spec.instance,
            fingerprint: Arc::clone(&spec.fingerprint),
            state,
            ledger: sheet.ledger.clone(),
        }
    }

    /// As JSON text.
    #[must_use]
    pub fn encode(&self) -> String {
        serde_json::to_string(self).expect("a record has only text keys and finite numbers")
    }

    /// Reads JSON text and repairs what a half-written predecessor may have left out.
    pub fn decode(text: &str) -> Result<Self, RecordError> {
        let mut record: Self =
            serde_json::from_str(text).map_err(|source| RecordError::Unreadable { what: "sheet", source })?;
        if record.schema_version > SCHEMA_VERSION {
            return Err(RecordError::Newer { what: "sheet", found: record.schema_version });
        }
        let ledger = &mut record.ledger;
        let known = ledger.last_activity.or(ledger.started).unwrap_or(Wall(0));
        match &mut record.state {
            StoredState::Failed { at } => {
                at.get_or_insert(known);
                ledger.error.get_or_insert_with(|| SheetError {
                    code: ErrorCode::E999,
                    message: "Unknown failure (no error message recorded)".to_owned(),
                });
            }
            StoredState::Completed { at }
            | StoredState::Skipped { at, .. }
            | StoredState::Cancelled { at } => {
                at.get_or_insert(known);
            }
            StoredState::InProgress(active) => {
                ledger.started.get_or_insert(active.since);
            }
            StoredState::Pending
            | StoredState::Dispatched(_)
            | StoredState::Waiting(_)
            | StoredState::RetryScheduled(_)
            | StoredState::Fermata { .. } => {}
        }
        Ok(record)
    }

    /// The sheet in a new process life: waits go on with what remains of them.
    #[must_use]
    pub fn into_sheet(self, now: Now) -> Sheet {
        let known = |at: Option<Wall>| at.unwrap_or(now.wall);
        let state = match self.state {
            StoredState::Pending => SheetState::Pending,
            StoredState::Dispatched(active) => SheetState::Dispatched(active),
            StoredState::InProgress(active) => SheetState::InProgress(active),
            StoredState::Waiting(until) => SheetState::Waiting { until: until.restored(now) },
            StoredState::RetryScheduled(until) => SheetState::RetryScheduled { until: until.restored(now) },
            StoredState::Fermata { reason, since, deadline } => SheetState::Fermata(Box::new(Question {
                reason,
                since,
                deadline: deadline.map(|deadline| deadline.restored(now)),
            })),
            StoredState::Completed { at } => SheetState::Completed { at: known(at) },
            StoredState::Failed { at } => SheetState::Failed { at: known(at) },
            StoredState::Skipped { at, reason } => SheetState::Skipped { at: known(at), reason },
            StoredState::Cancelled { at } => SheetState::Cancelled { at: known(at) },
        };
        Sheet { num: self.num, state, ledger: self.ledger }
    }
}
