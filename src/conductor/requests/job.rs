//! `job.*` that only read, and the checks before those that do not.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::checkpoint;
use crate::exec::{Execution, JobStatus};
use crate::executor;
use crate::ids::{AttemptKey, JobId};
use crate::rpc::{RpcError, budget, params};
use crate::store::{JobSummary, ReadError, StoredJob};

use super::{Desk, Outcome};
use crate::conductor::card::Card;
use crate::conductor::live;
use crate::conductor::messages::Command;
use crate::conductor::prepared::{Prepared, Snapshot};
use crate::conductor::view::JobView;

impl Desk {
    /// From memory while the job is queued, running or paused, else from the database.
    pub(super) fn job_status(&mut self, status: &params::Status) -> Result<Value, RpcError> {
        let id = &status.job_id;
        let limit = if status.full { budget::HARD } else { budget::PREFERRED };
        if let Some(live) = self.view.live(id) {
            return Ok(budget::fit(self.live_status(&live), limit));
        }
        let Some(stored) = self.reader.job_state(id.as_str()).map_err(unreadable)? else {
            return Err(RpcError::JobNotFound(id.clone()));
        };
        let value = match self.stored_status(&stored) {
            Ok(value) => value,
            Err(reason) => {
                // A row of an older program, or one that cannot be read: what the listing knows.
                log::debug!("job.status_from_row job_id={id} reason={reason:?}");
                to_value(&stored.row.summary)?
            }
        };
        Ok(budget::fit(value, limit))
    }

    fn live_status(&self, view: &JobView) -> Value {
        let meta = view.card.meta(Some(self.vital.pid()));
        let now = self.clock.now();
        let mut status = checkpoint::status_json(&meta, &view.spec, &view.job, &view.sheets, None, now);
        if view.status == JobStatus::Running
            && let Some(blocked) = view.blocked
        {
            status["blocked"] = blocked.to_string().into();
        }
        status["job_name"] = view.card.name.clone().into();
        view.waits(&self.view.standing(), now).put_into(&mut status);
        self.name_live_output(&mut status, view);
        status
    }

    /// The files of attempts that run: what a sheet knows by itself is those of its last ended one.
    fn name_live_output(&self, status: &mut Value, view: &JobView) {
        let state_dir = self.config.state_dir();
        for sheet in &view.sheets {
            let Some(active) = sheet.state.active() else { continue };
            let key = AttemptKey { job: view.card.id.clone(), sheet: sheet.num, attempt: active.attempt };
            let dir = executor::dir(&state_dir, &key);
            let shown = &mut status["sheets"][sheet.num.to_string()];
            shown["output_log"] = executor::stdout_log(&dir).to_string_lossy().into();
            shown["error_log"] = executor::stderr_log(&dir).to_string_lossy().into();
        }
    }

    /// An ended job: its records, read with its score.
    fn stored_status(&mut self, stored: &StoredJob) -> Result<Value, String> {
        let (job, sheets) = live::records(stored)?;
        let text = stored.snapshot.as_deref().ok_or("its score is missing")?;
        let snapshot: Snapshot = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let registry = self.instruments.for_directory(&snapshot.source.base);
        let prepared = Prepared::new(snapshot, &registry).map_err(|_| "its score does not load")?;
        let now = self.clock.now();
        let exec = Execution::restore(Arc::clone(&prepared.spec), job, sheets, now);
        let card = Card::of_row(&stored.row, prepared.score.parallel.enabled);
        let mut status =
            checkpoint::status_json(&card.meta(None), &prepared.spec, exec.job(), exec.sheets(), None, now);
        status["job_name"] = card.name.into();
        Ok(status)
    }

    /// Newest submission first. Rows come from the database; what is live is shown as it is now.
    pub(super) fn job_list(&mut self, list: params::List) -> Result<Outcome, RpcError> {
        let mut live: HashMap<JobId, Arc<JobView>> =
            self.view.all_live().into_iter().map(|view| (view.card.id.clone(), view)).collect();
        let wanted =
            |status: &str| list.status.as_ref().is_none_or(|all| all.iter().any(|one| one == status));
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
        let mut entries: Vec<JobSummary> =
            rows.into_iter().map(|row| live.remove(&row.job_id).map_or(row, |view| summary(&view))).collect();
        // Jobs whose rows have not been written yet, or whose status has moved into the filter.
        entries.extend(live.values().map(|view| summary(view)));
        entries.retain(|entry| wanted(&entry.status));
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.submitted_at));
        entries.truncate(list.limit);
        Outcome::text(&entries)
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

fn to_value(summary: &impl serde::Serialize) -> Result<Value, RpcError> {
    serde_json::to_value(summary).map_err(|error| RpcError::Internal(error.to_string()))
}

fn summary(view: &JobView) -> JobSummary {
    let mut summary = crate::store::JobRow::new(
        view.card.id.clone(),
        view.card.config_path.clone(),
        view.card.workspace.display().to_string(),
        view.card.submitted,
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
    summary.chain_depth = view.card.chain_depth;
    summary
}
