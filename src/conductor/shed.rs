//! What the conductor does when the machine runs out of memory or processes.

use crate::exec::{Input, JobStatus, PauseFlag};
use crate::ids::JobId;
use crate::pressure::{Level, Pressure};
use crate::time::Now;

use super::core::Core;

/// What was shed so far.
#[derive(Debug, Default)]
pub(super) struct Shedding {
    /// The job that was paused at the check before, which was critical.
    paused: Option<JobId>,
}

impl Core {
    /// The monitor reports another level, or a further check that was critical.
    pub(super) fn pressure_changed(&mut self, now: Now, reading: &Pressure) {
        log::info!("daemon.pressure level={}", reading.level.word());
        self.dispatch_at = None;
        match reading.level {
            // Nothing is shed because a probe failed: that says nothing about any job.
            Level::Critical if reading.breached().is_empty() => (),
            Level::Critical => self.shed(now),
            Level::High | Level::Medium => self.shed.paused = None,
            Level::None | Level::Low => self.relax(now),
        }
    }

    /// Pauses the oldest running job at once; the one that was paused at the check before is
    /// cancelled, because pausing it did not help.
    fn shed(&mut self, now: Now) {
        if self.stopping.is_some() {
            return;
        }
        if let Some(id) = self.shed.paused.take() {
            log::warn!("monitor.job_cancelled job_id={id} level=critical");
            self.step(now, &id, Input::Cancel);
        }
        let oldest = self
            .jobs
            .values()
            .filter(|live| live.exec.status() == JobStatus::Running && live.exec.job().ending.is_none())
            .min_by_key(|live| (live.card.submitted, live.id.clone()))
            .map(|live| live.id.clone());
        let Some(id) = oldest else { return };
        log::warn!("monitor.job_shed job_id={id} level=critical");
        self.step(now, &id, Input::Pause { flag: PauseFlag::Pressure, now: true });
        self.shed.paused = Some(id);
    }

    /// Jobs that were paused for pressure go on.
    fn relax(&mut self, now: Now) {
        self.shed.paused = None;
        let shed: Vec<JobId> = self
            .jobs
            .values()
            .filter(|live| live.exec.job().pause_flags.contains(&PauseFlag::Pressure))
            .map(|live| live.id.clone())
            .collect();
        for id in shed {
            self.step(now, &id, Input::Unpause(PauseFlag::Pressure));
        }
    }
}
