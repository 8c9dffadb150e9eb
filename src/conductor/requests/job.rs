//! `job.*` that only read, and the checks before those that do not.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::checkpoint;
use crate::exec::{Budget, Execution, JobStatus};
use crate::executor;
use crate::ids::{AttemptKey, JobId};
use crate::rpc::{RpcError, budget, params};
use crate::sched::{BreakerRecord, BreakerState, LimitRecord};
use crate::store::{JobSummary, ReadError, StoredJob};
use crate::time::Now;

use super::{Desk, Outcome};
use crate::conductor::around;
use crate::conductor::card::Card;
use crate::conductor::live;
use crate::conductor::messages::Command;
use crate::conductor::modify::waiting_path;
use crate::conductor::prepared::{Prepared, Snapshot};
use crate::conductor::view::JobView;

impl Desk {
    /// From memory while the job is queued, running or paused, else from the database.
    pub(super) fn job_status(&mut self, status: &params::Status) -> Result<Outcome, RpcError> {
        let limit = if status.full { budget::HARD } else { budget::PREFERRED };
        let value = self.status_value(&status.job_id)?;
        // The text is made once; only a result that is too long is looked at again.
        let text = serde_json::to_vec(&value).map_err(|error| RpcError::Internal(error.to_string()))?;
        if text.len() <= limit {
            return Ok(Outcome::Text(text));
        }
        Outcome::text(&budget::fit(value, limit))
    }

    /// All that is known of a job.
    pub(super) fn status_value(&mut self, id: &JobId) -> Result<Value, RpcError> {
        if let Some(live) = self.view.live(id) {
            return Ok(self.live_status(&live));
        }
        let Some(stored) = self.reader.job_state(id.as_str()).map_err(unreadable)? else {
            return Err(RpcError::JobNotFound(id.clone()));
        };
        match self.stored_status(&stored) {
            Ok(value) => Ok(value),
            Err(reason) => {
                // A row of an older program, or one that cannot be read: what the listing knows.
                log::debug!("job.status_from_row job_id={id} reason={reason:?}");
                to_value(&stored.row.summary)
            }
        }
    }

    fn live_status(&self, view: &JobView) -> Value {
        let meta = view.card.meta(Some(self.vital.pid()), &self.boot_id, &view.config_hash);
        let now = self.clock.now();
        let mut status = checkpoint::status_json(&meta, &view.spec, &view.job, &view.sheets, None, now);
        if view.status == JobStatus::Running
            && let Some(blocked) = view.blocked
        {
            status["blocked"] = blocked.to_string().into();
        }
        status["job_name"] = view.card.name.clone().into();
        view.card.people.put_into(&mut status);
        view.waits(&self.view.standing(), now).put_into(&mut status);
        status["cost_limits"] = cost_limits(&view.spec.budget);
        status["modify_pending"] = view.modify.as_deref().into();
        status["rate_limits"] = self.limits_of(view, now);
        status["circuit_breakers"] = self.breakers_of(view, now);
        self.name_live_output(&mut status, view);
        status
    }

    /// Rate limits of the instruments that sheets of this job are to run on.
    fn limits_of(&self, view: &JobView, now: Now) -> Value {
        let limits = self.view.limits();
        let wanted = |limit: &LimitRecord| {
            view.wants(|on| on.name == limit.instrument && (limit.model.is_none() || on.model == limit.model))
        };
        let active = limits.active.iter().filter(|limit| limit.until > now.wall && wanted(limit));
        active.map(|limit| super::daemon::limit_json(limit, now)).collect()
    }

    /// Circuit breakers of these instruments that are not closed, when the job obeys them.
    fn breakers_of(&self, view: &JobView, now: Now) -> Value {
        if view.spec.breaker.is_none() {
            return json!([]);
        }
        let records = self.view.standing().breakers().records();
        let wanted = |record: &&BreakerRecord| {
            record.state != BreakerState::Closed
                && view.wants(|on| on.name == record.instrument && on.model == record.model)
        };
        let shown = records.iter().filter(wanted).map(|record| {
            json!({
                "instrument": *record.instrument,
                "model": record.model.as_deref(),
                "state": record.state,
                "consecutive_failures": record.failures,
                "seconds_remaining": record.until.map(|until| until.since(now.wall).as_secs_f64()),
            })
        });
        shown.collect()
    }

    /// The files and the guards of attempts that run: what a sheet knows by itself is of its last ended one.
    fn name_live_output(&self, status: &mut Value, view: &JobView) {
        let state_dir = self.config.state_dir();
        let Some(sheets) = status.get_mut("sheets") else { return };
        for sheet in &view.sheets {
            let Some(active) = sheet.state.active() else { continue };
            let key = AttemptKey { job: view.card.id.clone(), sheet: sheet.num, attempt: active.attempt };
            let dir = executor::dir(&state_dir, &key);
            let shown = &mut sheets[sheet.num.to_string()];
            shown["output_log"] = executor::stdout_log(&dir).to_string_lossy().into();
            shown["error_log"] = executor::stderr_log(&dir).to_string_lossy().into();
            if let Some(guard) = executor::guard_of(&dir) {
                let process = &mut shown["process"];
                process["guard_pid"] = guard.pid.into();
                process["start_ticks"] = guard.start_ticks.into();
                process["boot_id"] = guard.boot_id.into();
            }
        }
    }

    /// An ended job: its records, read with its score.
    fn stored_status(&mut self, stored: &StoredJob) -> Result<Value, String> {
        let (job, sheets) = live::records(stored)?;
        let prepared = self.prepared_of(stored)?;
        let now = self.clock.now();
        let exec = Execution::restore(Arc::clone(&prepared.spec), job, sheets, now);
        let card = Card::of_row(&stored.row, &prepared.score);
        let meta = card.meta(None, "", &prepared.config_hash);
        let mut status = checkpoint::status_json(&meta, &prepared.spec, exec.job(), exec.sheets(), None, now);
        status["job_name"] = card.name.clone().into();
        card.people.put_into(&mut status);
        around::put_worktree_into(
            &mut status,
            &self.config.state_dir(),
            &card.id,
            exec.job().ledger.set_up.as_ref(),
        );
        status["cost_limits"] = cost_limits(&prepared.spec.budget);
        // An ended job waits for no instrument.
        status["rate_limits"] = json!([]);
        status["circuit_breakers"] = json!([]);
        status["modify_pending"] = stored.row.request_json.as_deref().and_then(waiting_path).into();
        Ok(status)
    }

    /// The score that an ended job was played from.
    pub(super) fn prepared_of(&mut self, stored: &StoredJob) -> Result<Prepared, String> {
        let text = stored.snapshot.as_deref().ok_or("its score is missing")?;
        let snapshot: Snapshot = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let registry = self.instruments.for_directory(&snapshot.source.base);
        Prepared::new(snapshot, &registry).map_err(|_| "its score does not load".to_owned())
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
        let id = &watch.job_id;
        if self.view.live(id).is_none() {
            let status = match self.view.ended(id) {
                Some(ended) => Some(ended.status.as_str().to_owned()),
                None => self.reader.job(id.as_str()).map_err(unreadable)?.map(|row| row.summary.status),
            };
            return match status {
                Some(status) => Ok(Outcome::Answer(Ok(json!({ "reason": "terminal", "status": status })))),
                None => Err(RpcError::JobNotFound(id.clone())),
            };
        }
        let printed = if watch.output && watch.from_seq.is_none() { self.printed(id) } else { Vec::new() };
        Ok(Outcome::Command(Command::Watch(watch, printed)))
    }

    /// How much the attempts that run have printed by now: a listener hears what follows.
    fn printed(&self, id: &JobId) -> Vec<(AttemptKey, [u64; 2])> {
        let Some(view) = self.view.live(id) else { return Vec::new() };
        let state_dir = self.config.state_dir();
        let size = |path: std::path::PathBuf| std::fs::metadata(path).map_or(0, |meta| meta.len());
        view.sheets
            .iter()
            .filter_map(|sheet| {
                let active = sheet.state.active()?;
                let key = AttemptKey { job: id.clone(), sheet: sheet.num, attempt: active.attempt };
                let dir = executor::dir(&state_dir, &key);
                Some((key, [size(executor::stdout_log(&dir)), size(executor::stderr_log(&dir))]))
            })
            .collect()
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

pub(super) fn unreadable(error: ReadError) -> RpcError {
    RpcError::Internal(error.to_string())
}

fn to_value(summary: &impl serde::Serialize) -> Result<Value, RpcError> {
    serde_json::to_value(summary).map_err(|error| RpcError::Internal(error.to_string()))
}

/// `cost_limits` of the score; `null` without any.
fn cost_limits(budget: &Budget) -> Value {
    if budget.job_cost.or(budget.sheet_cost).or(budget.job_tokens).or(budget.sheet_tokens).is_none() {
        return Value::Null;
    }
    json!({
        "max_cost_per_job": budget.job_cost.map(super::history::dollars),
        "max_cost_per_sheet": budget.sheet_cost.map(super::history::dollars),
        "max_tokens_per_job": budget.job_tokens,
        "max_tokens_per_sheet": budget.sheet_tokens,
    })
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
