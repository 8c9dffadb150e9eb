//! From the queue to a permit: which job begins.
//!
//! First come, first served, but a job whose workspace is taken never keeps those behind it waiting.
//! A workspace for which somebody waits goes to him next: who could share it with the present holder
//! but not with the one who waits stays behind.

use std::path::PathBuf;

use crate::exec::{Input, JobStatus};
use crate::ids::JobId;
use crate::sched::Registration;
use crate::time::Now;

use super::core::Core;

impl Core {
    /// Queued jobs start as permits and workspaces are free.
    pub(super) fn begin_queued(&mut self, now: Now) {
        if self.stopping.is_some() || self.registry.is_failing() {
            return;
        }
        let mut wanted: Vec<(JobId, PathBuf, bool)> = Vec::new();
        let mut at = 0;
        while let Some(id) = self.queue.get(at).cloned() {
            let Some(live) = self.jobs.get_mut(&id).filter(|live| live.exec.status() == JobStatus::Queued)
            else {
                self.queue.remove(at);
                continue;
            };
            let (place, shares) = (&live.prepared.place, live.prepared.score.allow_shared_workspace);
            let ahead = || {
                let before = wanted.iter().find(|(_, other, shared)| other == place && !(shares && *shared));
                before.map(|(job, ..)| job)
            };
            let holder = self.workspaces.conflict(&id, place, shares).or_else(ahead).cloned();
            if live.waits_for != holder {
                if let Some(holder) = &holder {
                    log::info!("scheduler.workspace_taken job_id={id} by={holder} workspace={place:?}");
                }
                live.waits_for.clone_from(&holder);
                self.touched.insert(id.clone());
            }
            if holder.is_some() {
                wanted.push((id, place.clone(), shares));
                at += 1;
                continue;
            }
            // Its last attempt may still hold the permit of the run before.
            if live.permit.is_none() {
                let Some(permit) = self.permits.try_acquire() else { return };
                live.permit = Some(permit);
            }
            self.workspaces.hold(&id, place, shares);
            self.queue.remove(at);
            self.take_part(&id);
            self.step(now, &id, Input::Begin);
        }
    }

    /// A job that has a permit gets its turns of the scheduler.
    pub(super) fn take_part(&mut self, id: &JobId) {
        let Some(live) = self.jobs.get(id) else { return };
        for (name, profile) in &live.prepared.profiles {
            let models =
                profile.models.iter().map(|model| (model.name.as_str().into(), model.max_concurrent));
            self.sched.set_models(name, models.collect());
        }
        let registration = Registration::of(live.exec.spec(), live.card.priority, live.card.submitted);
        self.sched.register(id.clone(), registration);
    }

    /// The sheets of a job are over, or none of them runs because it is paused.
    pub(super) fn release(&mut self, now: Now, id: &JobId) {
        let Some(live) = self.jobs.get_mut(id) else { return };
        let status = live.exec.status();
        if status == JobStatus::Running {
            // It has a new permit already.
            return;
        }
        live.permit = None;
        self.sched.deregister(now, id);
        if !matches!(status, JobStatus::Paused | JobStatus::Queued) {
            self.workspaces.release(id);
        }
        self.again |= !self.queue.is_empty();
    }

    /// A job that comes into memory and has begun has its workspace.
    pub(super) fn hold_workspace(&mut self, id: &JobId) {
        let Some(live) = self.jobs.get(id) else { return };
        let begun = match live.exec.status() {
            JobStatus::Running => true,
            JobStatus::Paused => live.exec.job().ledger.started.is_some(),
            JobStatus::Queued
            | JobStatus::Finishing
            | JobStatus::PausedAtChain
            | JobStatus::Completed
            | JobStatus::Failed
            | JobStatus::Cancelled => false,
        };
        if begun {
            self.workspaces.hold(id, &live.prepared.place, live.prepared.score.allow_shared_workspace);
        }
    }
}
