//! Parameters of the `job.*` methods.

use std::path::PathBuf;

use serde_json::{Map, Value};

use super::{Fields, Params, RpcError, absolute_cwd, wrong_type};
use crate::ids::{JobId, SheetNo};

/// Words that `job.list` filters by.
const STATUSES: [&str; 8] =
    ["pending", "queued", "running", "paused", "paused_at_chain", "completed", "failed", "cancelled"];

/// Entries of `job.list` when no limit is given.
const LIST_DEFAULT: u64 = 500;

/// `job.submit`.
#[derive(Debug, Clone, PartialEq)]
pub struct Submit {
    /// Score file, absolute or relative to `client_cwd`.
    pub config_path: PathBuf,
    /// Overrides the workspace of the score.
    pub workspace: Option<PathBuf>,
    /// Ignore and delete an existing checkpoint. Default false.
    pub fresh: bool,
    /// Default false.
    pub self_healing: bool,
    /// Default false.
    pub self_healing_auto_confirm: bool,
    /// Sheets below are skipped; from 1.
    pub start_sheet: Option<SheetNo>,
    /// Validate only. Default false.
    pub dry_run: bool,
    /// How many jobs of a chain came before.
    pub chain_depth: Option<u32>,
    /// Absolute directory of the caller.
    pub client_cwd: Option<PathBuf>,
    /// Job id; the file stem when absent. Checked by the submission, whose answer is a rejection.
    pub name: Option<String>,
    /// 1 (first) to 10, default 5. 0, which an early table of the protocol allowed, counts as 1.
    pub priority: Option<u8>,
    /// Overrides of `prompt.variables`.
    pub variables: Map<String, Value>,
}

impl TryFrom<Params> for Submit {
    type Error = RpcError;

    fn try_from(params: Params) -> Result<Self, RpcError> {
        let mut fields = Fields::new(params)?;
        let client_cwd = absolute_cwd(&mut fields)?;
        Ok(Self {
            config_path: fields.path("config_path")?.ok_or(RpcError::MissingParam("config_path"))?,
            workspace: fields.path("workspace")?,
            fresh: fields.flag("fresh", false)?,
            self_healing: fields.flag("self_healing", false)?,
            self_healing_auto_confirm: fields.flag("self_healing_auto_confirm", false)?,
            start_sheet: fields.integer32("start_sheet", 1)?.map(SheetNo),
            dry_run: fields.flag("dry_run", false)?,
            chain_depth: fields.integer32("chain_depth", 0)?,
            client_cwd,
            name: fields.text("name")?.filter(|name| !name.is_empty()),
            priority: fields
                .integer("priority", 0..=10)?
                .map(|value| u8::try_from(value).unwrap_or(10).max(1)),
            variables: match fields.take("variables") {
                None => Map::new(),
                Some(Value::Object(members)) => members,
                Some(other) => return Err(wrong_type("variables", "an object", &other)),
            },
        })
    }
}

/// `job.status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The job.
    pub job_id: JobId,
    /// Send everything up to the hard limit of a line. Default false: up to 64 KiB.
    pub full: bool,
}

impl TryFrom<Params> for Status {
    type Error = RpcError;

    fn try_from(params: Params) -> Result<Self, RpcError> {
        let mut fields = Fields::new(params)?;
        Ok(Self { job_id: fields.job_id()?, full: fields.flag("full", false)? })
    }
}

/// `job.pause`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// The job.
    pub job_id: JobId,
    /// End the active sheets instead of letting them finish. Default false.
    pub now: bool,
}

impl TryFrom<Params> for Pause {
    type Error = RpcError;

    fn try_from(params: Params) -> Result<Self, RpcError> {
        let mut fields = Fields::new(params)?;
        Ok(Self { job_id: fields.job_id()?, now: fields.flag("now", false)? })
    }
}

/// `job.resume`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resume {
    /// The job.
    pub job_id: JobId,
    /// Another workspace.
    pub workspace: Option<PathBuf>,
    /// Another score file.
    pub config_path: Option<PathBuf>,
    /// Use the stored snapshot instead of the file. Default false.
    pub no_reload: bool,
    /// Default false.
    pub self_healing: bool,
    /// Sheets below are skipped; from 1.
    pub start_sheet: Option<SheetNo>,
    /// Sheets from here that did not complete run again; from 1.
    pub from_sheet: Option<SheetNo>,
    /// Completed sheets whose definition changed run again, with all that depend on them. Default false.
    pub rerun_changed: bool,
    /// Absolute directory of the caller.
    pub client_cwd: Option<PathBuf>,
}

impl TryFrom<Params> for Resume {
    type Error = RpcError;

    fn try_from(params: Params) -> Result<Self, RpcError> {
        let mut fields = Fields::new(params)?;
        Ok(Self {
            job_id: fields.job_id()?,
            workspace: fields.path("workspace")?,
            config_path: fields.path("config_path")?,
            no_reload: fields.flag("no_reload", false)?,
            self_healing: fields.flag("self_healing", false)?,
            start_sheet: fields.integer32("start_sheet", 1)?.map(SheetNo),
            from_sheet: fields.integer32("from_sheet", 1)?.map(SheetNo),
            rerun_changed: fields.flag("rerun_changed", false)?,
            client_cwd: absolute_cwd(&mut fields)?,
        })
    }
}

/// `job.cancel`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancel {
    /// The job.
    pub job_id: JobId,
}

impl TryFrom<Params> for Cancel {
    type Error = RpcError;

    fn try_from(params: Params) -> Result<Self, RpcError> {
        Ok(Self { job_id: Fields::new(params)?.job_id()? })
    }
}

/// `job.list`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// Only jobs with one of these statuses; `None` is all.
    pub status: Option<Vec<String>>,
    /// Most entries, newest first: 1-10,000, default 500.
    pub limit: usize,
    /// Send everything up to the hard limit of a line. Default false.
    pub full: bool,
}

impl TryFrom<Params> for List {
    type Error = RpcError;

    fn try_from(params: Params) -> Result<Self, RpcError> {
        let mut fields = Fields::new(params)?;
        let status = match fields.take("status") {
            None => None,
            Some(Value::String(word)) => Some(vec![status_word(&Value::String(word))?]),
            Some(Value::Array(words)) => Some(words.iter().map(status_word).collect::<Result<_, _>>()?),
            Some(other) => return Err(wrong_type("status", "a string or an array of strings", &other)),
        };
        let limit = fields.integer("limit", 1..=10_000)?.unwrap_or(LIST_DEFAULT);
        Ok(Self {
            status,
            limit: usize::try_from(limit).expect("at most 10,000"),
            full: fields.flag("full", false)?,
        })
    }
}

fn status_word(value: &Value) -> Result<String, RpcError> {
    match value {
        Value::String(word) if STATUSES.contains(&word.as_str()) => Ok(word.clone()),
        Value::String(word) => {
            let detail = format!("unknown status '{word}', expected one of {}", STATUSES.join(", "));
            Err(RpcError::param("status", detail))
        }
        other => Err(wrong_type("status", "a string or an array of strings", other)),
    }
}
