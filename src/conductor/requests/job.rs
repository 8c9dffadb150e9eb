//! `job.*` that only read, and the checks before those that do not.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::checkpoint;
use crate::exec::JobStatus;
use crate::ids::JobId;
use crate::rpc::{RpcError, budget, params};
use crate::store::{JobSummary, ReadError};

use super::{Desk, Outcome};
use crate::conductor::live;
use crate::conductor::messages::Command;
use crate::conductor::view::JobView;

impl Desk {
    /// From memory while the job is queued, running or paused, else from the database.
    pub(super) fn job_status(&mut self, status: &params::Status) -> Result<Value, RpcError> {
        let id = &status.job_id;
        let limit = if status.full { budget::HARD } else { budget::PREFERRED };
        if let Some(live) = self.view.live(id) {
            return Ok(budget::fit(live_status(&live), limit));
        }
        let Some(stored) = self.reader.job_state(id.as_str()).map_err(unreadable)? else {
            return Err(RpcError::JobNotFound(id.clone()));
        };
        let Ok((job, sheets)) = live::records(&stored) else {
            // A row of an older program, or one that cannot be read: what the listing knows.
            return serde_json::to_value(&stored.row.summary).map_err(|error| RpcError::Internal(error.to_string()));
        };

    }

    /// Newest submission first. Rows come from the database; what is live is shown as it is now.
    pub(super) fn job_list(&mut self, list: params::List) -> Result<Value, RpcError> {
        let mut live: HashMap<JobId, Arc<JobView>> =
            self.view.all_live().into_iter().map(|view| (view.meta.job_id.clone(), view)).collect();
        let wanted = |status: &str| list.status.as_ref().is_none_or(|all| all.iter().any(|one| one == status));
        let statuses: Vec<&str> = list.status.iter().flatten().map(String::as_str).collect();
        let limit = u32::try_from(list.limit).unwrap_or(u32::MAX);
        let rows = match self.reader.list(&statuses, limit, 0) {
            Ok(rows) => rows,
            // What is in memory can still be told.
            Err(error) if !live.is_empty() => {
                log::warn!("registry.read_failed error={:?}", error.to_string());
                Vec::new()
            }
            Err(error) => return Err(unreadable(error)),
        };
        let mut entries: Vec<JobSummary> = rows
            .into_iter()
            .map(|row| live.remove(&row.job_id).map_or(row, |view| summary(&view)))
            .chain(Vec::new())
            .collect();
        // Jobs whose rows have not been written yet, or whose status has moved into the filter.
        entries.extend(live.values().map(|view| summary(view)));
        entries.retain(|entry| wanted(&entry.status));
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.submitted_at));
        entries.truncate(list.limit);
        serde_json::to_value(entries).map_err(|error| RpcError::Internal(error.to_string()))
    }

    pub(super) fn job_watch(&mut self, watch: params::Watch) -> Result<Outcome, RpcError> {
        let id = watch.job_id;
        if self.view.live(&id).is_none() {
            let status = match self.view.ended(&id) {
                Some(ended) => Some(ended.status.as_str().to_owned()),
                None => self.reader.job(id.as_str()).map_err(unreadable)?.map(|row| row.summary.status),
            };
            return match status {
                Some(status) => Ok(Outcome::Answer(Ok(json!({ "reason": "terminal", "status": status })))),
                None => Err(RpcError::JobNotFound(id)),
            };
        }
        Ok(Outcome::Command(Command::Watch { id, from_seq: watch.from_seq }))
    }

    pub(super) fn job_pause(&mut self, pause: params::Pause) -> Result<Outcome, RpcError> {
        let id = pause.job_id;
        if self.view.live(&id).is_none() && self.view.ended(&id).is_none() {
            let error = match self.reader.job(id.as_str()).map_err(unreadable)? {
                Some(row) => format!("Job '{id}' is {}, not running", row.summary.status),
                None => format!("Job '{id}' not found"),
            };
            return Ok(Outcome::Answer(Ok(json!({ "paused": false, "error": error }))));
        }
        Ok(Outcome::Command(Command::Pause { id, now: pause.now }))
    }
}

fn unreadable(error: ReadError) -> RpcError {
    RpcError::Internal(error.to_string())
}

fn live_status(view: &JobView) -> Value {
    let mut status = checkpoint::status_json(&view.meta, &view.job, &view.sheets);
    if let Some(reason) = &view.blocked
        && view.status == JobStatus::Running
    {
        status["blocked"] = reason.to_string().into();
    }
    status
}

fn summary(view: &JobView) -> JobSummary {
    let mut summary = crate::store::JobRow::new(
        view.meta.job_id.clone(),
        view.meta.config_path.clone(),
        view.meta.workspace.clone(),
        view.meta.submitted,
    )
    .summary;
    let done = view.sheets.iter().filter(|sheet| sheet.state.satisfies()).count();
    let total = u32::try_from(view.sheets.len()).ok();
    summary.status = view.status.as_str().to_owned();
    summary.started_at = view.job.ledger.started;
    summary.completed_at = view.job.ledger.completed;
    summary.pid = Some(std::process::id());
    summary.current_sheet =
        view.sheets.iter().find(|sheet| sheet.state.active().is_some()).map(|sheet| sheet.num.0);
    summary.total_sheets = total;
    summary.progress_completed = u32::try_from(done).ok();
    summary.progress_total = total;
    summary.error_message.clone_from(&view.job.ledger.error);
    summary.chain_depth = view.meta.chain_depth;
    summary
}
