//! A job that chains itself: its next run takes the place of this one in the turn in which this one ends.
//!
//! The end of a run and the registration of the next are one commit, so a crash loses neither and
//! makes neither twice. Until then the wish for it is part of the job's row.

use std::sync::Arc;

use serde_json::json;

use super::Doing;
use super::chain::{nothing_to_do, text};
use super::origin::{Chained, Link, NextRun, Origin};
use crate::conductor::card::Card;
use crate::conductor::core::{Core, Timer};
use crate::conductor::exchange::Exchange;
use crate::conductor::live::{Dirty, Earlier, Live};
use crate::conductor::messages::{Answer, Submission};
use crate::conductor::watch::Watchers;
use crate::exec::{Execution, JobEvent, JobStatus};
use crate::ids::JobId;
use crate::time::Now;

/// The last events of a run that was followed by the next one, and who watched it.
pub(crate) struct Farewell {
    id: JobId,
    status: JobStatus,
    events: Vec<JobEvent>,
    watchers: Watchers,
}

impl Core {
    /// The job of a hook is the job itself.
    pub(super) fn chain_itself(&mut self, now: Now, link: Link, submission: Submission, exchange: Exchange) {
        let id = submission.id.clone();
        if !submission.fresh {
            return self.rejected(exchange, id.as_str(), "nothing_to_do", nothing_to_do(&id));
        }
        // The result of the hook is the answer to this.
        drop(exchange);
        let again = self.jobs.get(&id).is_some_and(|live| live.chains.next.is_some());
        if !again {
            let params = match self.around.doing.get(&id) {
                Some(Doing::Chain(chain)) => chain.params(),
                _ => return,
            };
            self.note_chained(now, &link, &submission);
            self.tell_concert(now, &link, id.as_str(), "submitted", None);
            if let Some(live) = self.jobs.get_mut(&id) {
                live.chains.next = Some(NextRun { link, params });
            }
        }
        let Some(live) = self.jobs.get_mut(&id) else { return };
        live.next = Some(Box::new(submission));
        live.dirty.job = true;
        let note: Option<Chained> = live.chains.last.clone();
        self.touched.insert(id.clone());
        if let Some(note) = note.filter(|_| !again) {
            self.chain_over(now, &id, &note, None);
        }
    }

    /// Reads the score of a next run again, which a conductor before this one had accepted.
    pub(in crate::conductor) fn recover_next_run(&self, id: &JobId) {
        let Some(next) = self.jobs.get(id).and_then(|live| live.chains.next.as_ref()) else { return };
        if !self.request(next.link.clone(), "job.submit", next.params.clone()) {
            log::error!("hook.next_run_lost job_id={id} reason={:?}", "the conductor is busy");
        }
    }

    /// The score of a next run could not be read again.
    pub(super) fn next_run_answered(&mut self, link: &Link, answer: Answer) {
        let Some(live) = self.jobs.get_mut(&link.parent) else { return };
        if live.chains.next.as_ref().is_none_or(|next| next.link != *link) || live.next.is_some() {
            return;
        }
        let reason = answer.map_or_else(|error| error.to_string(), |answer| text(&answer, "message"));
        if self.stopping.is_some() && !live.is_over() {
            // The next conductor asks again.
            return;
        }
        log::error!("hook.next_run_lost job_id={} reason={reason:?}", link.parent);
        live.chains.next = None;
        live.dirty.job = true;
        self.touched.insert(link.parent.clone());
        self.unsettled.insert(link.parent.clone());
    }

    /// Runs that ended in this turn and have a next one. Before the commit.
    pub(in crate::conductor) fn begin_next_runs(&mut self, now: Now) {
        let over = |id: &&JobId| self.jobs.get(*id).is_some_and(|live| live.is_over() && live.next.is_some());
        let over: Vec<JobId> = self.touched.iter().filter(over).cloned().collect();
        for id in over {
            self.begin_next_run(now, &id);
        }
    }

    fn begin_next_run(&mut self, now: Now, id: &JobId) {
        let Some(live) = self.jobs.get_mut(id) else { return };
        let Some(submission) = live.next.take() else { return };
        let Some(next) = live.chains.next.take() else { return };
        live.dirty.job = true;
        let status = live.exec.status();
        if status == JobStatus::Cancelled {
            log::info!("hook.next_run_dropped job_id={id}");
            return;
        }
        let Some(mut old) = self.forget(id) else { return };
        for (due, exchange) in old.cancel_waiters.drain(..) {
            self.timers.remove(&(due, Timer::CancelWait(id.clone())));
            self.outbox.changed.push((exchange, json!({ "cancelled": false })));
        }
        let (events, others) =
            std::mem::take(&mut self.outbox.events).into_iter().partition(|(of, _)| of == id);
        self.outbox.events = others;
        self.around.farewells.push(Farewell {
            id: id.clone(),
            status,
            events: Vec::into_iter(events).map(|(_, event)| event).collect(),
            watchers: std::mem::take(&mut old.watchers),
        });
        self.tear_down(&old);
        let origin = Origin { fresh: true, chain: Some(next.link) };
        let card = Arc::new(Card::of_submission(&submission, now.wall, origin));
        let prepared = submission.prepared;
        let exec = Execution::new(Arc::clone(&prepared.spec), now);
        log::info!(
            "job.submitted job_id={id} config_path={:?} sheets={}",
            card.config_path,
            exec.sheets().len()
        );
        let dirty = Dirty::everything(exec.sheets().len(), Earlier::Forgotten);
        self.enlist(Live::new(card, prepared, exec, old.attempt_seq, dirty));
        // No event will announce that it waits for a permit.
        self.again = true;
    }

    /// The watchers of runs that were followed by the next one learn that theirs is over.
    pub(in crate::conductor) fn say_farewell(&mut self, now: Now) {
        for mut farewell in std::mem::take(&mut self.around.farewells) {
            let logged = self.is_logged(&farewell.id);
            for event in farewell.events {
                let watchers = Some(&mut farewell.watchers);
                let told = self.audience.publish(now, &farewell.id, event, watchers, logged);
                if let Some(told) = told.filter(|_| logged) {
                    self.log_event(&farewell.id, &told);
                }
            }
            farewell.watchers.end_all(farewell.status);
        }
    }
}
