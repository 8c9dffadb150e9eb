//! Processes that outlived the guard of an attempt.
//!
//! They are ended on the side lane. While any of them is alive the attempt stays open: nothing of its
//! sheet is started, here or after a restart, and it is tried again every [`RETRY`]. Only a job that is
//! to end anyway does not wait for them.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;

use crate::exec::{Ending, Input, JobEvent};
use crate::executor::{Leftovers, Taken};
use crate::ids::{AttemptKey, AttemptNo, JobId};
use crate::time::Now;
use crate::worker::attempt::interrupted;

use super::core::{Core, Timer};
use super::live::Running;
use super::side::Errand;

/// Between two tries to end what cannot be ended.
const RETRY: Duration = Duration::from_secs(30);

/// An attempt whose guard is gone and whose leftovers are being ended.
pub(crate) struct Leftover {
    leftovers: Leftovers,
    /// Its lock, where there still is one.
    taken: Option<Taken>,
    /// Who survived the last try.
    pub(crate) alive: Vec<u32>,
    /// Its worker has lost it, as opposed to its guard having been killed.
    lost: bool,
    /// The first try is over.
    tried: bool,
}

impl Core {
    /// Ends what an attempt left behind, before anything else of its sheet starts.
    pub(super) fn sweep(&mut self, key: &AttemptKey, leftovers: Leftovers, taken: Option<Taken>, lost: bool) {
        self.sweeping += 1;
        let errand = Errand::Sweep(key.clone(), leftovers.clone());
        let left = Leftover { leftovers, taken, alive: Vec::new(), lost, tried: false };
        self.place(key, Running::Leftover(Box::new(left)));
        self.errand(errand);
    }

    /// What an attempt left behind is gone, but for these.
    pub(super) fn swept(&mut self, now: Now, key: &AttemptKey, alive: &[u32]) {
        let Some(live) = self.jobs.get_mut(&key.job) else { return };
        let Some(Running::Leftover(left)) = live.running.get_mut(&key.attempt) else { return };
        if !std::mem::replace(&mut left.tried, true) {
            self.sweeping = self.sweeping.saturating_sub(1);
            self.view.recovering.store(self.sweeping > 0, Ordering::Release);
        }
        let changed = left.alive != alive;
        left.alive = alive.to_vec();
        if alive.is_empty() || live.exec.job().ending.as_ref().is_some_and(Ending::ends_attempts) {
            return self.leftovers_over(now, key);
        }
        if changed {
            log::error!("attempt.leftovers_alive attempt={key} pids={alive:?}");
            let data = json!({ "pids": alive, "retry_seconds": RETRY.as_secs() });
            let event = JobEvent::of_sheet("sheet.blocked_by_orphan", key.sheet, data);
            self.outbox.events.push((key.job.clone(), event));
            self.touched.insert(key.job.clone());
        }
        self.arm_leftovers(now, &key.job, key.attempt);
    }

    fn arm_leftovers(&mut self, now: Now, job: &JobId, attempt: AttemptNo) {
        let timer = Timer::Leftovers(job.clone(), attempt);
        self.timers.retain(|(_, other)| *other != timer);
        self.arm(now.mono.after(RETRY), timer);
    }

    /// Tries again, unless the job does not wait for them any more.
    pub(super) fn leftovers_due(&mut self, now: Now, job: &JobId, attempt: AttemptNo) {
        let Some(live) = self.jobs.get(job) else { return };
        let (Some(sheet), Some(Running::Leftover(left))) =
            (live.sheet_of(attempt), live.running.get(&attempt))
        else {
            return;
        };
        let key = AttemptKey { job: job.clone(), sheet, attempt };
        if live.exec.job().ending.as_ref().is_some_and(Ending::ends_attempts) && left.tried {
            return self.leftovers_over(now, &key);
        }
        self.errand(Errand::Sweep(key, left.leftovers.clone()));
        // The errand may be refused by a full lane.
        self.arm_leftovers(now, job, attempt);
    }

    fn leftovers_over(&mut self, now: Now, key: &AttemptKey) {
        let Some(live) = self.jobs.get_mut(&key.job) else { return };
        self.timers.retain(|(_, timer)| *timer != Timer::Leftovers(key.job.clone(), key.attempt));
        let Some(Running::Leftover(left)) = live.running.remove(&key.attempt) else { return };
        // Kept until the verdict is committed.
        self.verdicts.extend(left.taken);
        if left.lost {
            self.step(now, &key.job, Input::Lost { sheet: key.sheet, attempt: key.attempt });
        }
        let current = self.jobs.get(&key.job).is_some_and(|live| live.is_current(key.sheet, key.attempt));
        if current {
            let message = if left.lost { "its worker was lost" } else { "its guard was killed" };
            self.reported(now, key, Box::new(interrupted(message)));
        } else {
            self.sched.ended(now, &key.job, key.sheet);
            self.touched.insert(key.job.clone());
        }
    }
}
