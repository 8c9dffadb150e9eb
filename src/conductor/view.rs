//! What requests may read: an immutable snapshot per job, replaced in the turn that changed it.
//!
//! This is the second shared thing beside the pressure level. Reads must not queue behind commands,
//! so they get it from here instead of asking the conductor. The lock is held for a lookup or a
//! replacement, never while anything is computed or written.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::exec::{Blocked, JobSpec, JobState, JobStatus, Sheet};
use crate::ids::{JobId, SheetNo};
use crate::sched::{LimitRecord, Standing};
use crate::time::Wall;

use super::card::Card;

/// One job that is queued, running or paused, as it was at the end of a turn.
#[derive(Debug, Clone)]
pub(crate) struct JobView {
    pub(crate) card: Arc<Card>,
    /// SHA-256 of its score.
    pub(crate) config_hash: Arc<str>,
    pub(crate) spec: Arc<JobSpec>,
    pub(crate) job: JobState,
    pub(crate) sheets: Vec<Arc<Sheet>>,
    pub(crate) status: JobStatus,
    /// Why nothing of it is started.
    pub(crate) blocked: Option<Blocked>,
    /// Queued: the job because of whose workspace it has to wait.
    pub(crate) waits_for: Option<JobId>,
    /// Sheets that wait for the end of these processes, left by an attempt.
    pub(crate) leftovers: Vec<(SheetNo, Vec<u32>)>,
    /// A score that takes over when nothing of it runs any more.
    pub(crate) modify: Option<Arc<str>>,
}

/// An ended job that is still remembered without asking the database.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    pub(crate) status: JobStatus,
    /// Version of its rows: what was read from the database is only used when this still matches.
    pub(crate) updated: Wall,
}

/// The published state of the conductor.
#[derive(Debug, Default)]
pub(crate) struct View {
    jobs: RwLock<Jobs>,
    pub(crate) queued: AtomicU32,
    pub(crate) running: AtomicU32,
    pub(crate) stopping: AtomicBool,
    pub(crate) recovering: AtomicBool,
    /// The database could not be written at the last try.
    pub(crate) registry_failed: AtomicBool,
    pub(crate) failure_rate_elevated: AtomicBool,
    /// Notifications fail again and again.
    pub(crate) notifications_degraded: AtomicBool,
    /// Some instrument has asked to wait.
    pub(crate) rate_limited: AtomicBool,
    /// Attempts that run, adopted ones included.
    pub(crate) attempts: AtomicU32,
    /// Guards that are not our children.
    adopted_guards: RwLock<Vec<u32>>,
    /// How instruments stand.
    standing: RwLock<Arc<Standing>>,
    /// What holds instruments back.
    limits: RwLock<Arc<LimitsView>>,
}

/// Rate limits as they were at the end of a turn.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct LimitsView {
    pub(crate) active: Vec<LimitRecord>,
    /// When limits were reported, newest first.
    pub(crate) reports: Vec<Wall>,
}

#[derive(Debug, Default)]
struct Jobs {
    live: HashMap<JobId, Arc<JobView>>,
    ended: HashMap<JobId, Ended>,
    /// Ended jobs, oldest first, for eviction.
    order: VecDeque<JobId>,
}

impl View {
    pub(crate) fn live(&self, id: &JobId) -> Option<Arc<JobView>> {
        self.read().live.get(id).cloned()
    }

    pub(crate) fn all_live(&self) -> Vec<Arc<JobView>> {
        self.read().live.values().cloned().collect()
    }

    pub(crate) fn ended(&self, id: &JobId) -> Option<Ended> {
        self.read().ended.get(id).copied()
    }

    pub(crate) fn publish(&self, id: &JobId, view: JobView) {
        let view = Arc::new(view);
        let mut jobs = self.write();
        jobs.ended.remove(id);
        // The old snapshot is dropped after the lock is released: it may be the last one.
        let old = jobs.live.insert(id.clone(), view);
        drop(jobs);
        drop(old);
    }

    /// Forgets a job that was never accepted.
    pub(crate) fn withdraw(&self, id: &JobId) {
        let old = self.write().live.remove(id);
        drop(old);
    }

    /// Moves a job from the live ones to at most `keep` remembered ended ones.
    pub(crate) fn end(&self, id: &JobId, ended: Ended, keep: usize) {
        let mut jobs = self.write();
        let old = jobs.live.remove(id);
        if jobs.ended.insert(id.clone(), ended).is_some() {
            jobs.order.retain(|other| other != id);
        }
        jobs.order.push_back(id.clone());
        while jobs.order.len() > keep {
            if let Some(oldest) = jobs.order.pop_front() {
                jobs.ended.remove(&oldest);
            }
        }
        drop(jobs);
        drop(old);
    }

    pub(crate) fn flag(&self, flag: &AtomicBool) -> bool {
        flag.load(Ordering::Acquire)
    }

    pub(crate) fn standing(&self) -> Arc<Standing> {
        Arc::clone(&self.standing.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_standing(&self, standing: Standing) {
        *self.standing.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(standing);
    }

    /// Rate limits, those that have run out meanwhile left out by whoever reads.
    pub(crate) fn limits(&self) -> Arc<LimitsView> {
        Arc::clone(&self.limits.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_limits(&self, limits: LimitsView) {
        *self.limits.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(limits);
    }

    pub(crate) fn adopted_guards(&self) -> Vec<u32> {
        self.adopted_guards.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_adopted_guards(&self, pids: Vec<u32>) {
        *self.adopted_guards.write().unwrap_or_else(PoisonError::into_inner) = pids;
    }

    // A panic while the lock is held cannot leave the maps half-written in a way that matters.
    fn read(&self) -> RwLockReadGuard<'_, Jobs> {
        self.jobs.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Jobs> {
        self.jobs.write().unwrap_or_else(PoisonError::into_inner)
    }
}
