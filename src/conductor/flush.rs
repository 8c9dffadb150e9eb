//! The end of a turn: commit, publish, answer, hand out.

use std::sync::atomic::Ordering;

use serde_json::json;

use crate::checkpoint;
use crate::exec::{JobStatus, Order};
use crate::ids::JobId;
use crate::store::Write;
use crate::time::Now;

use super::core::{Core, Timer};
use super::live::{Live, Running};
use crate::worker::attempt::{Task, TaskKind};

impl Core {
    pub(super) fn flush(&mut self, now: Now) {
        self.commit(now);
        self.publish();
        self.tell(now);
        if !self.registry.is_failing() {
            self.hand_out(now);
        }
        for (id, attempt, reason) in std::mem::take(&mut self.outbox.ends) {
            self.end_attempt(&id, attempt, reason);
        }
        for id in std::mem::take(&mut self.outbox.released) {
            if let Some(live) = self.jobs.get_mut(&id)
                && live.exec.status() != JobStatus::Running
            {
                live.permit = None;
            }
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
        let mut batch = Vec::new();
        let mut promised = promised_now;
        for live in self.jobs.values().filter(|live| !live.dirty.is_clean()) {
            promised |= live.dirty.promised;
            writes(live, &mut batch);
        }
        if batch.is_empty() && !self.registry.is_failing() {
            return;
        }
        match self.store.commit(&batch, promised) {
            Ok(()) => {
                self.registry.succeeded();
                for live in self.jobs.values_mut() {
                    if !live.dirty.is_clean() {
                        live.dirty = super::live::Dirty::default();
                    }
                    // The verdict is on the disk: the lock of the attempt may go.
                }
            }
            Err(error) => {
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
        for (id, exchange, _) in std::mem::take(&mut self.outbox.accepted) {
            self.jobs.remove(&id);
            self.sched.deregister(&id);
            self.queue.retain(|queued| *queued != id);
            self.timers.retain(|(_, timer)| *timer != Timer::Job(id.clone()));
            self.touched.remove(&id);
            self.view.withdraw(&id);
            self.outbox.orders.retain(|(job, _)| *job != id);
            self.outbox.events.retain(|(job, _)| *job != id);
            let message = format!("Cannot record job '{id}': {}", self.registry.error());
            let answer = json!({ "job_id": id.as_str(), "status": "rejected", "message": message, "reason": "registry" });
            self.outbox.answers.push((exchange, Ok(answer)));
        }
    }

    fn publish(&mut self) {
        let touched = std::mem::take(&mut self.touched);
        for id in &touched {
            if let Some(live) = self.jobs.get(id) {
                let held_by = self.sched.held_by(id);
                self.view.publish(id, live.view(held_by));
            }
        }
        let (mut queued, mut running) = (0, 0);
        for live in self.jobs.values() {
            match live.exec.status() {
                JobStatus::Queued => queued += 1,
                JobStatus::Running => running += 1,
                JobStatus::Paused | JobStatus::Completed | JobStatus::Failed | JobStatus::Cancelled => (),
            }
        }
        self.view.queued.store(queued, Ordering::Release);
        self.view.running.store(running, Ordering::Release);
    }

    fn tell(&mut self, now: Now) {
        for (id, event) in std::mem::take(&mut self.outbox.events) {
            self.audience.publish(now, &id, event, self.jobs.get_mut(&id).map(|live| &mut live.watchers));
        }
        let durable = !self.registry.is_failing();
        for (_, exchange, answer) in std::mem::take(&mut self.outbox.accepted) {
            self.answer(exchange, answer);
        }
        for (exchange, mut value) in std::mem::take(&mut self.outbox.changed) {
            if !durable && let Some(members) = value.as_object_mut() {
                members.insert("durable".into(), false.into());
            }
            self.answer(exchange, Ok(value));
        }
        for (exchange, answer) in std::mem::take(&mut self.outbox.answers) {
            self.answer(exchange, answer);
        }
    }

    pub(super) fn answer(&self, exchange: super::exchange::Exchange, answer: super::messages::Answer) {
        exchange.resolve(answer, self.net.as_ref(), &self.requests);
    }

    fn hand_out(&mut self, now: Now) {
        for (id, order) in std::mem::take(&mut self.outbox.orders) {
            self.hand_out_one(now, &id, order);
        }
    }

    fn hand_out_one(&mut self, now: Now, id: &JobId, order: Order) {
        let Some(live) = self.jobs.get_mut(id) else { return };
        let (sheet, attempt) = (order.sheet, order.attempt);
        // Asked to end in the same turn: it never starts.
        if !live.exec.is_current(sheet, attempt) {
            return;
        }
        let control = Core::new_control();
        live.running.insert(attempt, Running::Here(control.clone()));
        let task = Task {
            key: Core::key(id, sheet, attempt),
            prepared: live.prepared.clone(),
            sheets: live.context_for(sheet),
            permit: live.permit.clone(),
            control,
            kind: TaskKind::Run(order),
        };
        if let Err((task, error)) = self.sheets.submit(task) {
            // The scheduler hands out at most as many as the lane has threads, so this is a bug of
            // ours; the sheet must not hang because of it.
            log::error!("worker.order_refused attempt={} error={:?}", task.key, error.to_string());
            let report = crate::worker::attempt::not_started("no sheet worker took the attempt");
            self.reported(now, &task.key, Box::new(report));
        }
    }

    fn retire_ended(&mut self, now: Now) {
        let ended: Vec<JobId> = self
            .jobs
            .values()
            .filter(|live| live.is_over() && live.running.is_empty() && live.dirty.is_clean())
            .map(|live| live.id.clone())
            .collect();
        for id in ended {
            self.retire(now, &id);
        }
        let changed = std::mem::take(&mut self.outbox.changed);
        for (exchange, value) in changed {
            self.answer(exchange, Ok(value));
        }
    }
}

fn writes(live: &Live, batch: &mut Vec<Write>) {
    let dirty = &live.dirty;
    if dirty.fresh {
        batch.push(Write::DropState(live.id.clone()));
    }
    if dirty.job || dirty.fresh || !dirty.sheets.is_empty() {
        batch.push(Write::UpsertJob(Box::new(live.row())));
    }
    if dirty.snapshot {
        let data = serde_json::to_string(&live.prepared.snapshot).expect("a snapshot is plain data");
        batch.push(Write::Snapshot { job: live.id.clone(), data });
    }
    for sheet in &dirty.sheets {
        let record = checkpoint::sheet_record(&live.exec.sheets()[sheet.index()]);
        batch.push(Write::Sheet { job: live.id.clone(), sheet: *sheet, status: record.status(), data: record.encode() });
    }
    for attempt in &dirty.attempts {
        batch.push(Write::Attempt { job: live.id.clone(), record: attempt.clone() });
    }
}
