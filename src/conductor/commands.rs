//! Requests that change a job. One request, one function.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::checkpoint::Meta;
use crate::exec::{Execution, Input, JobStatus, PauseFlag};
use crate::ids::JobId;
use crate::rpc::RpcError;
use crate::time::Now;

use super::core::{Core, Timer};
use super::exchange::Exchange;
use super::live::{Dirty, Live};
use super::messages::{Command, Resumption, Submission};
use super::watch::Watchers;

/// Longest that `job.cancel` waits for the end of what runs.
const CANCEL_WAIT: Duration = Duration::from_secs(10);

impl Core {
    pub(super) fn command(&mut self, now: Now, command: Command, exchange: Exchange) {
        match command {
            Command::Submit(submission) => self.submit(now, *submission, exchange),
            Command::Pause { id, now: at_once } => self.pause(now, &id, at_once, exchange),
            Command::Resume(resumption) => self.resume(now, *resumption, exchange),
            Command::Cancel { id } => self.cancel(now, id, exchange),
            Command::Watch { id, from_seq } => self.watch(&id, from_seq, exchange),
            Command::Shutdown { graceful } => {
                self.outbox.answers.push((exchange, Ok(json!({ "shutting_down": true }))));
                self.stop(now, graceful);
            }
        }
    }

    /// `job.submit`: the duplicate check and the registration are one turn; the answer leaves when
    /// the job is on the disk.
    fn submit(&mut self, now: Now, submission: Submission, exchange: Exchange) {
        let id = submission.id.clone();
        if self.stopping.is_some() {
            return self.rejected(exchange, "", "shutdown", "Daemon is shutting down".into());
        }
        if self.registry.is_failing() {
            let message = format!("Cannot record job '{id}': {}", self.registry.error());
            return self.rejected(exchange, id.as_str(), "registry", message);
        }
        let live = self.jobs.get(&id);
        if let Some(status) = live.map(|live| live.exec.status())
            && status != JobStatus::Paused
        {
            let status = status.as_str();
            let message = format!(
                "Job '{id}' is already {status}. Use 'mozart pause' or 'mozart cancel' first, or wait for it to finish."
            );
            return self.rejected(exchange, id.as_str(), "already_active", message);
        }
        if live.is_none() && !self.still_current(&id, submission.earlier.as_deref()) {
            return self.changed_meanwhile(&id, exchange);
        }
        let replaced = self.jobs.remove(&id);
        let mut message = format!("Job queued (concurrency limit: {})", self.config.max_concurrent_jobs);
        let earlier = match &replaced {
            Some(live) => Some(live.records()),
            None => submission.earlier.as_ref().and_then(|stored| stored.records().ok()),
        };
        let attempt_seq = replaced
            .as_ref()
            .map(|live| live.attempt_seq)
            .or(submission.earlier.as_ref().map(|stored| stored.row.attempt_seq))
            .unwrap_or(0);
        let kept = if submission.fresh { None } else { earlier };
        let spec = Arc::clone(&submission.prepared.spec);
        let exec = match kept {
            Some((job, sheets)) => {
                let exec = Execution::continued(Arc::clone(&spec), job, sheets, now);
                if let Some(first) = exec.first_open() {
                    message.push_str(&format!("; continuing from sheet {first}"));
                }
                exec
            }
            None => Execution::new(Arc::clone(&spec), now),
        };
        if let Some(remark) = &submission.remark {
            message.push_str(&format!("; {remark}"));
        }
        let meta = Arc::new(Meta {
            job_id: id.clone(),
            job_name: submission.prepared.score.name.clone(),
            config_path: submission.config_path.clone(),
            workspace: submission.prepared.workspace.display().to_string(),
            submitted: now.wall,
            priority: submission.priority,
            chain_depth: submission.chain_depth,
        });
        log::info!("job.submitted job_id={id} config_path={:?} sheets={}", meta.config_path, spec.sheets.len());
        let answer = json!({
            "job_id": id.as_str(), "status": "accepted", "message": message,
            "workspace": meta.workspace, "fresh": submission.fresh,
        });
        let watchers = replaced.map(|live| live.watchers).unwrap_or_default();
        let dirty = Dirty::everything(spec.sheets.len(), true);
        self.enlist(now, Live::new(meta, submission.prepared, exec, attempt_seq, watchers, dirty));
        self.outbox.accepted.push((id, exchange, Ok(answer)));
    }

    /// Takes a job into memory: known to the scheduler, queued when it wants a permit.
    pub(super) fn enlist(&mut self, now: Now, live: Live) {
        let id = live.id.clone();
        self.sched.register(&id, live.meta.priority, live.meta.submitted);
        if live.exec.status() == JobStatus::Queued {
            self.queue.push_back(id.clone());
        }
        let due = live.exec.next_deadline();
        self.jobs.insert(id.clone(), live);
        if let Some(due) = due {
            self.arm(due, Timer::Job(id.clone()));
            if let Some(live) = self.jobs.get_mut(&id) {
                live.timer = Some(due);
            }
        }
        self.touched.insert(id);
        _ = now;
    }

    /// `job.pause`: stops after the sheets now running; idempotent.
    fn pause(&mut self, now: Now, id: &JobId, at_once: bool, exchange: Exchange) {
        let refusal = match self.jobs.get(id) {
            None => match self.view.ended(id) {
                Some(ended) => format!("Job '{id}' is {}, not running", ended.status.as_str()),
                None => format!("Job '{id}' not found"),
            },
            Some(live) => match live.exec.status() {
                JobStatus::Running => String::new(),
                status => format!("Job '{id}' is {}, not running", status.as_str()),
            },
        };
        if !refusal.is_empty() {
            let answer = json!({ "paused": false, "error": refusal });
            return self.outbox.answers.push((exchange, Ok(answer)));
        }
        log::info!("job.paused job_id={id}");
        self.step(now, id, Input::Pause { flag: PauseFlag::User, now: at_once });
        self.outbox.changed.push((exchange, json!({ "paused": true })));
    }

    /// `job.resume`.
    fn resume(&mut self, now: Now, resumption: Resumption, exchange: Exchange) {
        let id = resumption.id.clone();
        if self.stopping.is_some() {
            return self.rejected(exchange, id.as_str(), "shutdown", "Daemon is shutting down".into());
        }
        if let Some(live) = self.jobs.get(&id) {
            let status = live.exec.status();
            let pausing = live.exec.is_pausing();
            if status != JobStatus::Paused && !pausing {
                let message = not_resumable(&id, status);
                return self.rejected(exchange, id.as_str(), "not_resumable", message);
            }
        } else {
            let Some(stored) = resumption.stored else {
                return self.rejected(exchange, id.as_str(), "not_found", format!("Score '{id}' not found"));
            };
            if !self.still_current(&id, Some(&stored)) {
                return self.changed_meanwhile(&id, exchange);
            }
            let Some(prepared) = resumption.prepared.clone() else {
                let message = "Cannot resume: no config available".to_owned();
                return self.rejected(exchange, id.as_str(), "no_config", message);
            };
            match Live::stored(*stored, prepared, now) {
                Ok(live) => self.enlist(now, live),
                Err(message) => return self.rejected(exchange, id.as_str(), "state", message),
            }
        }
        if let Some(prepared) = resumption.prepared
            && let Some(live) = self.jobs.get_mut(&id)
        {
            live.replace_score(prepared, resumption.config_path, now);
        }
        log::info!("job.resumed job_id={id}");
        self.step(now, &id, Input::Resume);
        let answer = json!({ "job_id": id.as_str(), "status": "accepted", "message": "Job resume queued" });
        self.outbox.changed.push((exchange, answer));
    }

    /// `job.cancel`: answered when nothing of the job runs any more, or after 10 s.
    fn cancel(&mut self, now: Now, id: JobId, exchange: Exchange) {
        let Some(live) = self.jobs.get_mut(&id) else {
            return self.outbox.answers.push((exchange, Ok(json!({ "cancelled": false }))));
        };
        let due = now.mono.after(CANCEL_WAIT);
        live.cancel_waiters.push((due, exchange));
        live.dirty.promised = true;
        log::info!("job.cancelled job_id={id}");
        self.step(now, &id, Input::Cancel);
        self.arm(due, Timer::CancelWait(id));
    }

    /// What runs did not end in time: the request stands, the client is not kept waiting.
    pub(super) fn cancel_waited(&mut self, now: Now, id: &JobId) {
        let Some(live) = self.jobs.get_mut(id) else { return };
        let (due, waiting): (Vec<_>, Vec<_>) =
            std::mem::take(&mut live.cancel_waiters).into_iter().partition(|(due, _)| *due <= now.mono);
        live.cancel_waiters = waiting;
        for (_, exchange) in due {
            self.outbox.changed.push((exchange, json!({ "cancelled": true, "still_ending": true })));
        }
    }

    fn watch(&mut self, id: &JobId, from_seq: Option<u64>, exchange: Exchange) {
        if let Some(live) = self.jobs.get_mut(id) {
            if let Err((exchange, error)) = self.audience.join(&mut live.watchers, from_seq, exchange) {
                self.outbox.answers.push((exchange, Err(error)));
            }
            return;
        }
        let answer = match self.view.ended(id) {
            Some(ended) => Ok(json!({ "reason": "terminal", "status": ended.status.as_str() })),
            None => Err(RpcError::JobNotFound(id.clone())),
        };
        self.outbox.answers.push((exchange, answer));
    }

    /// Whether what a request worker read from the database is still what the job is.
    fn still_current(&self, id: &JobId, stored: Option<&crate::store::StoredJob>) -> bool {
        match (self.view.ended(id), stored) {
            (Some(ended), Some(stored)) => stored.updated() == ended.updated,
            (Some(_), None) => false,
            (None, _) => true,
        }
    }

    fn changed_meanwhile(&mut self, id: &JobId, exchange: Exchange) {
        let message = format!("Job '{id}' changed while this request was prepared; try again");
        self.rejected(exchange, id.as_str(), "changed", message);
    }

    fn rejected(&mut self, exchange: Exchange, id: &str, reason: &str, message: String) {
        self.outbox.answers.push((exchange, Ok(rejection(id, reason, &message))));
    }
}

/// The result of a refused submission or resumption.
pub(crate) fn rejection(id: &str, reason: &str, message: &str) -> Value {
    json!({ "job_id": id, "status": "rejected", "message": message, "reason": reason })
}

/// Why a job cannot be resumed.
pub(crate) fn not_resumable(id: &JobId, status: JobStatus) -> String {
    let status = status.as_str();
    format!("Score '{id}' is {status}, only PAUSED, PAUSED_AT_CHAIN, FAILED, or CANCELLED scores can be resumed")
}
