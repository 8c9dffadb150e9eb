//! The end of a turn: commit, publish, answer, hand out.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;

use crate::exec::JobStatus;
use crate::ids::JobId;
use crate::time::Now;
use crate::worker::attempt::{Task, TaskKind, not_started};

use super::core::{Accepted, Core, Timer};
use super::exchange::Exchange;
use super::live::{Dirty, Live, Running};
use super::messages::Answer;
use super::view::{Ended, LimitsView};

/// Grace of an attempt that we end, unless its score sets `kill_grace_seconds`; a second TERM then
/// skips what is left of the guard's own, which is meant for timeouts.
const END_GRACE: Duration = Duration::from_secs(2);
/// After this a failure does not count any more.
const FAILURE_WINDOW: Duration = Duration::from_secs(61);

impl Core {
    pub(super) fn flush(&mut self, now: Now) {
        self.end_unstarted(now);
        self.begin_next_runs(now);
        self.unsettled.extend(self.touched.iter().cloned());
        self.commit(now);
        self.publish(now);
        self.tell(now);
        if !self.registry.is_failing() {
            self.hand_out(now);
            self.around_act(now);
        }
        for (id, attempt) in std::mem::take(&mut self.outbox.ends) {
            self.end_attempt(&id, attempt);
            if self.jobs.get(&id).is_some_and(|live| live.has_usual_grace(attempt)) {
                self.arm(now.mono.after(END_GRACE), Timer::Grace(id, attempt));
            }
        }
        for id in std::mem::take(&mut self.outbox.released) {
            self.release(now, &id);
        }
        self.retire_ended(now);
        self.arm_adopted(now);
    }

    /// One transaction for everything that changed. What cannot be written stays dirty.
    fn commit(&mut self, now: Now) {
        let promised_now = !self.outbox.accepted.is_empty() || !self.outbox.changed.is_empty();
        if !self.registry.may_try() && !promised_now {
            return;
        }
        let mut batch = std::mem::take(&mut self.further_writes);
        let further = batch.len();
        let mut promised = promised_now || further > 0;
        for live in self.unsettled.iter().filter_map(|id| self.jobs.get(id)) {
            if !live.dirty.is_clean() {
                promised |= live.dirty.promised;
                live.writes(&mut batch);
            }
        }
        let instruments = self.instruments_unstored();
        let with_instruments = instruments.is_some();
        batch.extend(instruments);
        if batch.is_empty() && !self.registry.is_failing() {
            self.verdicts.clear();
            return;
        }
        match self.store.commit(&batch, promised) {
            Ok(()) => {
                // What was held back while nothing could be written may start now.
                self.again |= self.registry.is_failing();
                self.registry.succeeded();
                if with_instruments {
                    self.sched.stored();
                }
                for id in &self.unsettled {
                    if let Some(live) = self.jobs.get_mut(id) {
                        live.dirty = Dirty::default();
                    }
                }
                // The verdicts are in the database: the locks of their attempts may go.
                self.verdicts.clear();
            }
            Err(error) => {
                batch.truncate(further);
                self.further_writes = batch;
                let due = self.registry.failed(now, error.to_string());
                self.timers.retain(|(_, timer)| *timer != Timer::Registry);
                self.arm(due, Timer::Registry);
                self.refuse_accepted();
            }
        }
        self.view.registry_failed.store(self.registry.is_failing(), Ordering::Release);
    }

    /// A submission that is not on the disk was never accepted.
    fn refuse_accepted(&mut self) {
        for Accepted { id, exchange, replaced, .. } in std::mem::take(&mut self.outbox.accepted) {
            let refused = self.forget(&id);
            self.touched.remove(&id);
            match (replaced, refused) {
                (Some(mut before), Some(refused)) => {
                    before.watchers = refused.watchers;
                    self.enlist(before);
                }
                _ => self.view.withdraw(&id),
            }
            self.outbox.orders.retain(|(job, _)| *job != id);
            self.outbox.events.retain(|(job, _)| *job != id);
            let message = format!("Cannot record job '{id}': {}", self.registry.error());
            let answer = super::commands::rejection(id.as_str(), "registry", &message);
            self.outbox.answers.push((exchange, Ok(answer)));
        }
    }

    fn publish(&mut self, now: Now) {
        let touched = std::mem::take(&mut self.touched);
        for id in &touched {
            if let Some(live) = self.jobs.get(id) {
                self.view.publish(id, live.view(now));
            }
        }
        if touched.is_empty() && self.outbox.orders.is_empty() {
            return;
        }
        let (mut queued, mut running, mut attempts) = (0, 0, 0);
        for live in self.jobs.values() {
            match live.exec.status() {
                JobStatus::Queued => queued += 1,
                JobStatus::Running => running += 1,
                JobStatus::Paused
                | JobStatus::Finishing
                | JobStatus::PausedAtChain
                | JobStatus::Completed
                | JobStatus::Failed
                | JobStatus::Cancelled => (),
            }
            attempts += u32::try_from(live.running.len()).unwrap_or(u32::MAX);
        }
        let attempts = attempts + u32::try_from(self.outbox.orders.len()).unwrap_or(u32::MAX);
        self.view.queued.store(queued, Ordering::Release);
        self.view.running.store(running, Ordering::Release);
        self.view.attempts.store(attempts, Ordering::Release);
        self.publish_figures(now);
    }

    /// What is shown and ends by itself as time goes by.
    pub(super) fn publish_figures(&self, now: Now) {
        self.view.failure_rate_elevated.store(self.failures.elevated(now.mono), Ordering::Release);
        let (rates, limited) = (self.sched.rates(), self.sched.rates().any(now));
        if self.view.rate_limited.swap(limited, Ordering::AcqRel) || limited {
            let reports = rates.recent(now).map(|report| report.detected_at).collect();
            self.view.set_limits(LimitsView { active: rates.records(now), reports });
        }
    }

    fn tell(&mut self, now: Now) {
        self.say_farewell(now);
        for (id, event) in std::mem::take(&mut self.outbox.events) {
            self.notice(now, &id, &event);
            let logged = self.is_logged(&id);
            let watchers = self.jobs.get_mut(&id).map(|live| &mut live.watchers);
            let told = self.audience.publish(now, &id, event, watchers, logged);
            if let Some(told) = told.filter(|_| logged) {
                self.log_event(&id, &told);
            }
        }
        for Accepted { exchange, answer, .. } in std::mem::take(&mut self.outbox.accepted) {
            self.answer(exchange, Ok(answer));
        }
        self.send_notices(now);
        self.tell_changes();
        for (exchange, answer) in std::mem::take(&mut self.outbox.answers) {
            self.answer(exchange, answer);
        }
    }

    /// Answers of commands that act even when they cannot be written.
    fn tell_changes(&mut self) {
        let durable = !self.registry.is_failing();
        for (exchange, mut value) in std::mem::take(&mut self.outbox.changed) {
            if !durable && let Some(members) = value.as_object_mut() {
                members.insert("durable".into(), false.into());
            }
            self.answer(exchange, Ok(value));
        }
    }

    pub(super) fn answer(&self, exchange: Exchange, answer: Answer) {
        exchange.resolve(answer, self.net.as_ref(), &self.requests);
    }

    fn hand_out(&mut self, now: Now) {
        for (id, order) in std::mem::take(&mut self.outbox.orders) {
            let Some(live) = self.jobs.get_mut(&id) else { continue };
            // Asked to end before it was handed out: it never starts.
            if !live.is_current(order.sheet, order.attempt) {
                continue;
            }
            let key = crate::ids::AttemptKey { job: id, sheet: order.sheet, attempt: order.attempt };
            self.listening.begun(live.watchers.listen(), &key);
            let control = crate::executor::Control::new();
            live.running.insert(order.attempt, Running::Here(control.clone()));
            let task = Task {
                key,
                prepared: live.prepared.clone(),
                sheets: live.context(),
                directory: live.directory(),
                permit: live.permit.clone(),
                control,
                kind: TaskKind::Run(order),
            };
            self.hand_over(now, task);
        }
    }

    pub(super) fn hand_over(&mut self, now: Now, task: Task) {
        if let Err((task, error)) = self.sheets.submit(task) {
            // The lane has room for everything that the scheduler can hand out, so this is a bug of
            // ours; the sheet must not hang because of it.
            log::error!("worker.task_refused attempt={} error={:?}", task.key, error.to_string());
            self.reported(now, &task.key, Box::new(not_started("no sheet worker took the attempt")));
        }
    }

    /// Ended jobs leave the memory once nothing of them runs and everything of them is written.
    fn retire_ended(&mut self, now: Now) {
        for id in std::mem::take(&mut self.unsettled) {
            let Some(live) = self.jobs.get(&id) else { continue };
            let clean = live.dirty.is_clean();
            let at_rest = live.running.is_empty() && self.is_left_alone(live);
            if clean && live.is_over() && at_rest {
                self.retire(now, &id);
            } else if !clean || live.is_over() {
                self.unsettled.insert(id);
            }
        }
        if self.registry.is_failing() {
            self.answer_cancels();
        }
        self.tell_changes();
    }

    /// Jobs that are over but cannot be written stay in memory; who cancelled them need not wait.
    fn answer_cancels(&mut self) {
        let over = |live: &&mut Live| live.is_over() && live.running.is_empty();
        for live in self.jobs.values_mut().filter(over) {
            let cancelled = live.exec.status() == JobStatus::Cancelled;
            for (due, exchange) in live.cancel_waiters.drain(..) {
                self.timers.remove(&(due, Timer::CancelWait(live.id.clone())));
                self.outbox.changed.push((exchange, json!({ "cancelled": cancelled })));
            }
        }
    }

    /// The view, the audience and the memory of a job that ended.
    fn retire(&mut self, now: Now, id: &JobId) {
        let Some(mut live) = self.forget(id) else { return };
        // Its permit is free for the next job.
        self.again |= !self.queue.is_empty();
        let status = live.exec.status();
        for (due, exchange) in live.cancel_waiters.drain(..) {
            self.timers.remove(&(due, Timer::CancelWait(id.clone())));
            let cancelled = status == JobStatus::Cancelled;
            self.outbox.changed.push((exchange, json!({ "cancelled": cancelled })));
        }
        if status == JobStatus::Failed && live.exec.job().ledger.error.is_some() {
            // Failed as a whole (time, error), not sheet by sheet in an orderly way.
            self.failures.record(now.mono);
            self.publish_figures(now);
            self.arm(now.mono.after(FAILURE_WINDOW), Timer::Figures);
        }
        self.tear_down(&live);
        let updated = live.exec.job().ledger.updated;
        self.view.end(id, Ended { status, updated }, self.config.max_job_history as usize);
        self.end_watchers(now, id, live.watchers, status);
        self.child_ended(now, id, status);
    }
}
