//! The rows as values, and how they are read.
//!
//! Rows of older programs are read leniently: a cell of another type counts as absent, so that one
//! odd row never hides all the others.

use rusqlite::Row;
use rusqlite::types::ValueRef;
use serde::{Serialize, Serializer};

use crate::ids::{AttemptNo, JobId, SheetNo, Token};
use crate::time::Wall;

/// What a listing shows of a job. Serializes to an entry of `job.list`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JobSummary {
    /// Name of the job.
    pub job_id: JobId,
    /// Word of the wire: `queued running paused completed failed cancelled`; rows of older programs
    /// may say something else.
    pub status: String,
    /// Absolute path of the score.
    pub config_path: String,
    /// Absolute path of the workspace.
    pub workspace: String,
    /// When it was accepted.
    #[serde(serialize_with = "seconds")]
    pub submitted_at: Wall,
    /// When it first ran.
    #[serde(serialize_with = "maybe_seconds")]
    pub started_at: Option<Wall>,
    /// When it ended.
    #[serde(serialize_with = "maybe_seconds")]
    pub completed_at: Option<Wall>,
    /// Conductor that runs or ran it.
    pub pid: Option<u32>,
    /// Lowest sheet that runs.
    pub current_sheet: Option<u32>,
    /// Sheets of the job.
    pub total_sheets: Option<u32>,
    /// Sheets that are done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress_completed: Option<u32>,
    /// Sheets to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress_total: Option<u32>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// More about why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_traceback: Option<String>,
    /// How many jobs started each other before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain_depth: Option<u32>,
    /// Log of the job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_path: Option<String>,
    /// Snapshot of its workspace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_path: Option<String>,
    /// `name` of the score.
    #[serde(skip)]
    pub name: Option<String>,
    /// Priority among jobs.
    #[serde(skip)]
    pub priority: i32,
    /// Why it is paused, as words.
    #[serde(skip)]
    pub pause_reason: Option<String>,
    /// Last change.
    #[serde(skip)]
    pub last_event_at: Option<Wall>,
}

/// The whole row of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct JobRow {
    /// What listings show.
    pub summary: JobSummary,
    /// Hooks of the score.
    pub hook_config_json: Option<String>,
    /// What the hooks did.
    pub hook_results_json: Option<String>,
    /// What submitted it, and what its hooks have submitted.
    pub held_chain_json: Option<String>,
    /// The request that submitted it.
    pub request_json: Option<String>,
    /// Last attempt number given for this job id. A write never lowers it.
    pub attempt_seq: u32,
    /// The job's own record (`checkpoint`). `None` in rows of older programs.
    pub state_json: Option<String>,
}

impl JobRow {
    /// A job as it is when it has just been accepted.
    #[must_use]
    pub fn new(job_id: JobId, config_path: String, workspace: String, submitted_at: Wall) -> Self {
        Self {
            summary: JobSummary {
                job_id,
                status: "queued".to_owned(),
                config_path,
                workspace,
                submitted_at,
                started_at: None,
                completed_at: None,
                pid: None,
                current_sheet: None,
                total_sheets: None,
                progress_completed: None,
                progress_total: None,
                error_message: None,
                error_traceback: None,
                chain_depth: None,
                log_path: None,
                snapshot_path: None,
                name: None,
                priority: 0,
                pause_reason: None,
                last_event_at: None,
            },
            hook_config_json: None,
            hook_results_json: None,
            held_chain_json: None,
            request_json: None,
            attempt_seq: 0,
            state_json: None,
        }
    }
}

/// A sheet as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SheetRow {
    /// Its number.
    pub num: SheetNo,
    /// Its status word.
    pub status: String,
    /// Its record as JSON (`checkpoint`).
    pub data: String,
}

/// An attempt as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRow {
    /// Its number.
    pub attempt: AttemptNo,
    /// Its sheet.
    pub sheet: SheetNo,
    /// Its mark.
    pub token: String,
    /// Not yet recorded as ended.
    pub open: bool,
    /// Its record as JSON (`checkpoint`).
    pub data: String,
}

/// Everything stored of one job that is needed to go on with it or to show it.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredJob {
    /// The job.
    pub row: JobRow,
    /// Its sheets, ascending.
    pub sheets: Vec<SheetRow>,
    /// Its attempts that have not been recorded as ended, ascending.
    pub open_attempts: Vec<AttemptRow>,
    /// Source of its score as JSON.
    pub snapshot: Option<String>,
}

/// Something that is known of an instrument over all jobs: a rate limit, a circuit breaker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstrumentRow {
    /// What it is: `limit` or `breaker`.
    pub kind: String,
    /// Instrument.
    pub instrument: String,
    /// Model; "" = none.
    pub model: String,
    /// Record as JSON.
    pub data: String,
}

/// One change. Changes of sheets, attempts and snapshots of a job that has no row do nothing.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// Insert or replace the row of a job; its sheets and attempts stay.
    UpsertJob(Box<JobRow>),
    /// Insert or replace a sheet.
    Sheet {
        /// Job.
        job: JobId,
        /// Sheet.
        num: SheetNo,
        /// Status word.
        status: String,
        /// Record as JSON.
        data: String,
    },
    /// Insert or replace an attempt that is about to run or runs.
    OpenAttempt {
        /// Job.
        job: JobId,
        /// Attempt.
        attempt: AttemptNo,
        /// Its sheet.
        sheet: SheetNo,
        /// Its mark.
        token: Token,
        /// Record as JSON.
        data: String,
    },
    /// The same attempt, ended.
    CloseAttempt {
        /// Job.
        job: JobId,
        /// Attempt.
        attempt: AttemptNo,
        /// Its sheet.
        sheet: SheetNo,
        /// Its mark.
        token: Token,
        /// Record as JSON.
        data: String,
    },
    /// Keep the source of a job's score.
    Snapshot {
        /// Job.
        job: JobId,
        /// Source as JSON.
        data: String,
    },
    /// A fresh run begins: sheets and attempts of the job are deleted; its row and the number of
    /// its last attempt stay.
    DropState(JobId),
    /// A job goes on with another version of its score: its sheets are deleted, because it may have
    /// fewer now; its attempts stay.
    DropSheets(JobId),
    /// What is known of all instruments; replaces what was known before.
    Instruments(Vec<InstrumentRow>),
    /// Keep a value for the conductor itself.
    Meta {
        /// Name.
        key: String,
        /// Value.
        value: String,
    },
}

/// Statuses of jobs that are not over. Anything else, unknown words included, counts as ended.
pub(super) const ACTIVE: [&str; 7] =
    ["queued", "running", "paused", "pausing", "pending", "finishing", "paused_at_chain"];

/// Whether a status word means that the job is not over. Unknown words count as ended.
#[must_use]
pub fn is_active(status: &str) -> bool {
    ACTIVE.contains(&status)
}

pub(super) const SUMMARY_COLUMNS: &str = "job_id, status, config_path, workspace, submitted_at, started_at, \
     completed_at, pid, current_sheet, total_sheets, progress_completed, progress_total, error_message, \
     error_traceback, chain_depth, log_path, snapshot_path, name, priority, pause_reason, last_event_at";

pub(super) const ROW_COLUMNS: &str = "job_id, status, config_path, workspace, submitted_at, started_at, \
     completed_at, pid, current_sheet, total_sheets, progress_completed, progress_total, error_message, \
     error_traceback, chain_depth, log_path, snapshot_path, name, priority, pause_reason, last_event_at, \
     hook_config_json, hook_results_json, held_chain_json, request_json, attempt_seq, state_json";

/// Reads [`SUMMARY_COLUMNS`]; `None` when the name is not one that this program would accept.
pub(super) fn summary(row: &Row<'_>) -> rusqlite::Result<Option<JobSummary>> {
    let id = text(row, 0)?.unwrap_or_default();
    let Ok(job_id) = JobId::new(&id) else {
        log::debug!("registry.row_skipped job={id:?} reason=name");
        return Ok(None);
    };
    Ok(Some(JobSummary {
        job_id,
        status: text(row, 1)?.unwrap_or_default(),
        config_path: text(row, 2)?.unwrap_or_default(),
        workspace: text(row, 3)?.unwrap_or_default(),
        submitted_at: wall(row, 4)?.unwrap_or(Wall(0)),
        started_at: wall(row, 5)?,
        completed_at: wall(row, 6)?,
        pid: number(row, 7)?,
        current_sheet: number(row, 8)?,
        total_sheets: number(row, 9)?,
        progress_completed: number(row, 10)?,
        progress_total: number(row, 11)?,
        error_message: text(row, 12)?,
        error_traceback: text(row, 13)?,
        chain_depth: number(row, 14)?,
        log_path: text(row, 15)?,
        snapshot_path: text(row, 16)?,
        name: text(row, 17)?,
        priority: integer(row, 18)?.and_then(|n| i32::try_from(n).ok()).unwrap_or(0),
        pause_reason: text(row, 19)?,
        last_event_at: wall(row, 20)?,
    }))
}

/// Reads [`ROW_COLUMNS`].
pub(super) fn job(row: &Row<'_>) -> rusqlite::Result<Option<JobRow>> {
    let Some(summary) = summary(row)? else { return Ok(None) };
    Ok(Some(JobRow {
        summary,
        hook_config_json: text(row, 21)?,
        hook_results_json: text(row, 22)?,
        held_chain_json: text(row, 23)?,
        request_json: text(row, 24)?,
        attempt_seq: number(row, 25)?.unwrap_or(0),
        state_json: text(row, 26)?,
    }))
}

/// Reads `attempt, sheet_num, token, status, data`.
pub(super) fn attempt(row: &Row<'_>) -> rusqlite::Result<AttemptRow> {
    Ok(AttemptRow {
        attempt: AttemptNo(number(row, 0)?.unwrap_or(0)),
        sheet: SheetNo(number(row, 1)?.unwrap_or(0)),
        token: text(row, 2)?.unwrap_or_default(),
        open: text(row, 3)?.as_deref() == Some("open"),
        data: text(row, 4)?.unwrap_or_default(),
    })
}

fn text(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<String>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Text(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) | ValueRef::Blob(_) => None,
    })
}

fn integer(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<i64>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Integer(n) => Some(n),
        ValueRef::Null | ValueRef::Text(_) | ValueRef::Real(_) | ValueRef::Blob(_) => None,
    })
}

fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<u32>> {
    Ok(integer(row, column)?.and_then(|n| u32::try_from(n).ok()))
}

/// Unix seconds with a fraction, as every generation of the table keeps them.
fn wall(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Wall>> {
    #[expect(clippy::cast_precision_loss, reason = "seconds of a clock are far below 2^53")]
    let seconds = match row.get_ref(column)? {
        ValueRef::Real(seconds) => seconds,
        ValueRef::Integer(seconds) => seconds as f64,
        ValueRef::Null | ValueRef::Text(_) | ValueRef::Blob(_) => return Ok(None),
    };
    #[expect(clippy::cast_possible_truncation, reason = "`as` saturates, which is what is wanted")]
    let millis = (seconds * 1000.0).round() as i64;
    Ok(Some(Wall(millis)))
}

fn seconds<S: Serializer>(wall: &Wall, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(wall.unix_seconds())
}

fn maybe_seconds<S: Serializer>(wall: &Option<Wall>, serializer: S) -> Result<S::Ok, S::Error> {
    match wall {
        Some(wall) => serializer.serialize_some(&wall.unix_seconds()),
        None => serializer.serialize_none(),
    }
}
