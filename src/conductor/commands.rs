//! Requests that change a job. One request, one function.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::exec::{Execution, Input, JobStatus, PauseFlag, Rerun};
use crate::ids::{AttemptKey, JobId};
use crate::rpc::{RpcError, params};
use crate::store::StoredJob;
use crate::time::Now;

use super::around::{Origin, nothing_to_do};
use super::card::Card;
use super::core::{Accepted, Core, Timer};
use super::exchange::Exchange;
use super::live::{Dirty, Earlier, Live, records};
use super::messages::{Command, Resumption, Submission};
use super::prepared::Prepared;

/// Longest that `job.cancel` waits for the end of what runs.
const CANCEL_WAIT: Duration = Duration::from_secs(10);

impl Core {
    pub(super) fn command(&mut self, now: Now, command: Command, exchange: Exchange) {
        match command {
            Command::Submit(submission) => self.submit(now, *submission, exchange),
            Command::Pause { id, now: at_once } => self.pause(now, &id, at_once, exchange),
            Command::Resume(resumption) => self.resume(now, *resumption, exchange),
            Command::Cancel { id } => self.cancel(now, &id, exchange),
            Command::Modify(modification) => self.modify(now, *modification, exchange),
            Command::Decide(ruling) => self.decide(now, *ruling, exchange),
            Command::Recover(recovery) => self.recover_job_again(now, *recovery, exchange),
            Command::Watch(watch, printed) => self.watch(now, &watch, printed, exchange),
            Command::ClearRateLimits { instrument } => {
                self.clear_rate_limits(now, instrument.as_deref(), exchange);
            }
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
        let Some((submission, exchange)) = self.check_chained(now, submission, exchange) else { return };
        if let Some(live) = self.jobs.get(&id) {
            let status = live.exec.status();
            if status != JobStatus::Paused || !live.running.is_empty() {
                let status = status.as_str();
                let message = format!(
                    "Job '{id}' is already {status}. Use 'mozart pause' or 'mozart cancel' first, or wait for it to \
                     finish."
                );
                return self.rejected(exchange, id.as_str(), "already_active", message);
            }
        } else if !self.still_current(&id, submission.earlier.as_deref()) {
            return self.changed_meanwhile(&id, exchange);
        }
        let moved = self.moved(&submission);
        let live = self.jobs.get(&id);
        if let (Some(live), Some(_)) = (live, &moved) {
            let message = paused_elsewhere(live, &submission.prepared);
            return self.rejected(exchange, id.as_str(), "workspace", message);
        }
        let attempt_seq = live
            .map(|live| live.attempt_seq)
            .or(submission.earlier.as_ref().map(|stored| stored.row.attempt_seq))
            .unwrap_or(0);
        let (exec, continued) = self.execution(now, &submission, moved.is_some());
        if exchange.link().is_some() && continued && exec.status() == JobStatus::Completed {
            return self.rejected(exchange, id.as_str(), "nothing_to_do", nothing_to_do(&id));
        }
        if let Some(link) = exchange.link() {
            self.note_chained(now, link, &submission);
        }
        let mut message = format!("Job queued (concurrency limit: {})", self.config.max_concurrent_jobs);
        if let Some(first) = exec.sheets().iter().find(|sheet| !sheet.state.satisfies()).filter(|_| continued)
        {
            _ = write!(message, "; continuing from sheet {}", first.num);
        }
        if let Some(outdated) = exec.outdated() {
            _ = write!(message, "; {outdated}");
        }
        if let Some(moved) = moved {
            _ = write!(message, "; {moved}");
        }
        if let Some(remark) = &submission.remark {
            _ = write!(message, "; {remark}");
        }
        let origin = Origin { fresh: submission.fresh, chain: exchange.link().cloned() };
        let card = Arc::new(Card::of_submission(&submission, now.wall, origin));
        let Submission { prepared, fresh, warnings, .. } = submission;
        log::info!(
            "job.submitted job_id={id} config_path={:?} sheets={}",
            card.config_path,
            exec.sheets().len()
        );
        let mut answer = json!({
            "job_id": id.as_str(), "status": "accepted", "message": message,
            "workspace": card.workspace, "fresh": fresh,
        });
        super::requests::warn(&mut answer, &warnings);
        let earlier = if continued { Earlier::Continued } else { Earlier::Forgotten };
        let dirty = Dirty::everything(exec.sheets().len(), earlier);
        let mut live = Live::new(card, prepared, exec, attempt_seq, dirty);
        let mut replaced = self.forget(&id);
        if let Some(replaced) = &mut replaced {
            live.watchers = std::mem::take(&mut replaced.watchers);
            if continued {
                live.dirty.attempts.clone_from(&replaced.dirty.attempts);
            }
        }
        self.enlist(live);
        self.outbox.accepted.push(Accepted { id, exchange, answer, replaced });
    }

    /// The state machine of a submission: a new one, or one that goes on where an earlier run of the
    /// same name stopped.
    fn execution(&self, now: Now, submission: &Submission, moved: bool) -> (Execution, bool) {
        let spec = &submission.prepared.spec;
        let fresh = || (Execution::new(Arc::clone(spec), now), false);
        if submission.fresh || moved {
            return fresh();
        }
        let mut exec = match (self.jobs.get(&submission.id), &submission.earlier) {
            (Some(live), _) => live.exec.rescored(Arc::clone(spec), now),
            (None, Some(stored)) => match records(stored) {
                Ok((job, sheets)) => Execution::restore(Arc::clone(spec), job, sheets, now),
                Err(reason) => {
                    log::warn!("job.earlier_run_unreadable job_id={} error={reason:?}", submission.id);
                    return fresh();
                }
            },
            (None, None) => return fresh(),
        };
        if exec.status() == JobStatus::Completed && exec.sheets().iter().any(|sheet| !sheet.state.satisfies())
        {
            // The score has grown since.
            return fresh();
        }
        // Everything is saved anew, so what follows from this step needs no bookkeeping.
        let rerun = Rerun { start: spec.start_sheet, ..Rerun::default() };
        _ = exec.step(now, Input::ResumeWith(rerun));
        (exec, true)
    }

    /// What is to be said when the earlier run of that name worked in another workspace. What it did is not there,
    /// so the job begins anew; with `fresh` it does so anyhow.
    fn moved(&self, submission: &Submission) -> Option<String> {
        let prepared = &submission.prepared;
        let (place, workspace, status) = match (self.jobs.get(&submission.id), &submission.earlier) {
            (Some(live), _) => {
                (&live.prepared.place, live.card.workspace.display().to_string(), live.exec.status().as_str())
            }
            (None, Some(stored)) => {
                let summary = &stored.row.summary;
                (submission.earlier_place.as_ref()?, summary.workspace.clone(), summary.status.as_str())
            }
            (None, None) => return None,
        };
        (!submission.fresh && *place != prepared.place).then(|| {
            format!(
                "starting from the first sheet in {}: the earlier run of this name, which is {status}, worked in \
                 {workspace}, and its files stay there",
                prepared.workspace.display()
            )
        })
    }

    /// Takes a job out of memory without a word to anybody.
    pub(super) fn forget(&mut self, id: &JobId) -> Option<Live> {
        let mut live = self.jobs.remove(id)?;
        if let Some(due) = live.timer.take() {
            self.timers.remove(&(due, Timer::Job(id.clone())));
        }
        self.sched.deregister(self.clock.now(), id);
        self.workspaces.release(id);
        self.queue.retain(|queued| queued != id);
        Some(live)
    }

    /// Takes a job into memory: known to the scheduler, queued when it wants a permit.
    pub(super) fn enlist(&mut self, mut live: Live) {
        let id = live.id.clone();
        if live.exec.status() == JobStatus::Queued {
            self.queue.push_back(id.clone());
        }
        live.timer = live.exec.next_deadline();
        if let Some(due) = live.timer {
            self.arm(due, Timer::Job(id.clone()));
        }
        self.jobs.insert(id.clone(), live);
        self.hold_workspace(&id);
        self.touched.insert(id);
    }

    /// `job.pause`: stops after the sheets now running; idempotent.
    fn pause(&mut self, now: Now, id: &JobId, at_once: bool, exchange: Exchange) {
        let status = match self.jobs.get(id) {
            Some(live) => Some(live.exec.status()),
            None => self.view.ended(id).map(|ended| ended.status),
        };
        let refusal = match status {
            Some(JobStatus::Running) => None,
            Some(status) => Some(format!("Job '{id}' is {}, not running", status.as_str())),
            None => Some(format!("Job '{id}' not found")),
        };
        if let Some(error) = refusal {
            let answer = json!({ "paused": false, "error": error });
            return self.outbox.answers.push((exchange, Ok(answer)));
        }
        log::info!("job.paused job_id={id}");
        self.hold_modification(id, true);
        self.step(now, id, Input::Pause { flag: PauseFlag::User, now: at_once });
        self.outbox.changed.push((exchange, json!({ "paused": true })));
    }

    /// `job.resume`.
    pub(super) fn resume(&mut self, now: Now, resumption: Resumption, exchange: Exchange) {
        let id = resumption.id.clone();
        if self.stopping.is_some() {
            return self.rejected(exchange, id.as_str(), "shutdown", "Daemon is shutting down".into());
        }
        let Resumption { stored, prepared, config_path, rerun, .. } = resumption;
        let held = self.jobs.get(&id).is_some_and(|live| live.exec.status() == JobStatus::PausedAtChain);
        if let Some(live) = self.jobs.get_mut(&id) {
            let status = live.exec.status();
            let stops = !live.exec.job().pause_flags.is_empty() || live.modify.is_some();
            let pausing = status == JobStatus::Running && stops;
            // An ended job is still here when it could not be written yet.
            let stands = matches!(
                status,
                JobStatus::Paused | JobStatus::PausedAtChain | JobStatus::Failed | JobStatus::Cancelled
            );
            if !stands && !pausing {
                let message = not_resumable(&id, status.as_str());
                return self.rejected(exchange, id.as_str(), "not_resumable", message);
            }
            // A job that still drains goes on with the score that its attempts were made from.
            if stands && live.running.is_empty() && status != JobStatus::PausedAtChain {
                live.replace_score(prepared, config_path, now);
            }
        } else {
            let Some(stored) = stored else {
                return self.rejected(exchange, id.as_str(), "not_found", format!("Score '{id}' not found"));
            };
            if !self.still_current(&id, Some(&stored)) {
                return self.changed_meanwhile(&id, exchange);
            }
            let live = match Live::stored(&stored, Arc::clone(&prepared), now) {
                Ok(mut live) => {
                    live.replace_score(prepared, config_path, now);
                    live
                }
                Err(reason) => {
                    let message =
                        format!("No state found for job '{id}' ({reason}); run it again with --fresh");
                    return self.rejected(exchange, id.as_str(), "state", message);
                }
            };
            let status = live.exec.status();
            if !matches!(
                status,
                JobStatus::Failed | JobStatus::Cancelled | JobStatus::Paused | JobStatus::PausedAtChain
            ) {
                let message = not_resumable(&id, status.as_str());
                return self.rejected(exchange, id.as_str(), "not_resumable", message);
            }
            self.enlist(live);
        }
        self.hold_modification(&id, false);
        log::info!("job.resumed job_id={id}");
        self.step(now, &id, Input::ResumeWith(rerun));
        let mut message = match self.jobs.get(&id).and_then(still_paused) {
            Some(refusal) => return self.rejected_change(exchange, id.as_str(), "cost_limit", refusal),
            None if held => "Chain resumed".to_owned(),
            None => "Job resume queued".to_owned(),
        };
        if let Some(outdated) = self.jobs.get(&id).and_then(|live| live.exec.outdated()) {
            _ = write!(message, "; {outdated}");
        }
        let answer = json!({ "job_id": id.as_str(), "status": "accepted", "message": message });
        self.outbox.changed.push((exchange, answer));
    }

    /// `job.cancel`: answered when nothing of the job runs any more, or after 10 s.
    fn cancel(&mut self, now: Now, id: &JobId, exchange: Exchange) {
        let Some(live) = self.jobs.get_mut(id).filter(|live| !live.is_over()) else {
            return self.outbox.answers.push((exchange, Ok(json!({ "cancelled": false }))));
        };
        let due = now.mono.after(CANCEL_WAIT);
        live.cancel_waiters.push((due, exchange));
        live.dirty.promised = true;
        log::info!("job.cancelled job_id={id}");
        self.step(now, id, Input::Cancel);
        self.arm(due, Timer::CancelWait(id.clone()));
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

    fn watch(
        &mut self,
        now: Now,
        watch: &params::Watch,
        printed: Vec<(AttemptKey, [u64; 2])>,
        exchange: Exchange,
    ) {
        let id = &watch.job_id;
        if let Some(live) = self.jobs.get_mut(id) {
            match self.audience.join(&mut live.watchers, id, watch, exchange) {
                Ok(()) if watch.output => self.listen(now, id, &printed),
                Ok(()) => {}
                Err(refused) => {
                    let (exchange, error) = *refused;
                    self.outbox.answers.push((exchange, Err(error)));
                }
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
    pub(super) fn still_current(&self, id: &JobId, stored: Option<&StoredJob>) -> bool {
        match (self.view.ended(id), stored) {
            (Some(ended), Some(stored)) => stored.row.summary.last_event_at == Some(ended.updated),
            (Some(_), None) => false,
            (None, _) => true,
        }
    }

    pub(super) fn changed_meanwhile(&mut self, id: &JobId, exchange: Exchange) {
        let message = format!("Job '{id}' changed while this request was prepared; try again");
        self.rejected(exchange, id.as_str(), "changed", message);
    }

    pub(super) fn rejected(&mut self, exchange: Exchange, id: &str, reason: &str, message: String) {
        self.outbox.answers.push((exchange, Ok(rejection(id, reason, &message))));
    }

    /// A refusal of something that has changed the job all the same.
    fn rejected_change(&mut self, exchange: Exchange, id: &str, reason: &str, message: String) {
        self.outbox.changed.push((exchange, rejection(id, reason, &message)));
    }
}

/// The result of a refused submission or resumption.
pub(crate) fn rejection(id: &str, reason: &str, message: &str) -> Value {
    json!({ "job_id": id, "status": "rejected", "message": message, "reason": reason })
}

/// Why a job cannot be resumed.
pub(crate) fn not_resumable(id: &JobId, status: &str) -> String {
    format!(
        "Score '{id}' is {status}, only PAUSED, PAUSED_AT_CHAIN, FAILED, or CANCELLED scores can be resumed"
    )
}

/// Why a paused job is not replaced by a run in another workspace: what it has done would be forgotten.
fn paused_elsewhere(live: &Live, prepared: &Prepared) -> String {
    let id = &live.id;
    format!(
        "Job '{id}' is paused in {}, and this submission wants {}. Go on with 'mozart resume {id}', or end it with \
         'mozart cancel {id}'; a run with --fresh forgets it, and one with another --name leaves it alone",
        live.card.workspace.display(),
        prepared.workspace.display()
    )
}

/// Why a job is paused although it was resumed: it has spent more than its score allows.
fn still_paused(live: &Live) -> Option<String> {
    if live.exec.status() != JobStatus::Paused || !live.exec.job().pause_flags.contains(&PauseFlag::Cost) {
        return None;
    }
    let (budget, spent) = (&live.exec.spec().budget, &live.exec.job().ledger.spent);
    let tokens = spent.input_tokens.saturating_add(spent.output_tokens);
    let mut limits = Vec::new();
    if let Some(limit) = budget.job_cost.filter(|limit| spent.cost_micro > *limit) {
        limits.push(format!(
            "it has spent ${} of `cost_limits.max_cost_per_job` ${}",
            dollars(spent.cost_micro),
            dollars(limit)
        ));
    }
    if let Some(limit) = budget.job_tokens.filter(|limit| tokens > *limit) {
        limits.push(format!("it has used {tokens} tokens of `cost_limits.max_tokens_per_job` {limit}"));
    }
    if limits.is_empty() {
        limits.push("its budget is used up".to_owned());
    }
    Some(format!(
        "Job '{}' stays paused: {}. Raise the limit in {} and resume it again",
        live.id,
        limits.join(", and "),
        live.card.config_path
    ))
}

/// Micro-dollars with four decimals, rounded up, so that more than a limit never looks like the limit.
fn dollars(micro: u64) -> String {
    let rounded = micro.div_ceil(100);
    format!("{}.{:04}", rounded / 10_000, rounded % 10_000)
}
