//! What the conductor does when the machine runs out of memory or processes.

use crate::exec::{Input, JobStatus, PauseFlag};
use crate::ids::JobId;
use crate::pressure::{Chatter, Level, Pressure, Relief};
use crate::time::Now;

use super::core::{Core, Timer};
use super::live::Live;

/// What was shed so far.
#[derive(Debug, Default)]
pub(super) struct Shedding {
    /// The job that was paused at the check before, which was critical.
    paused: Option<JobId>,
    /// How often jobs were paused.
    chatter: Chatter,
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
            // Below the level of warnings, whatever dispatch makes of the rest.
            Level::None | Level::Low | Level::Medium | Level::High if reading.accepting() => self.relax(now),
            Level::None | Level::Low | Level::Medium | Level::High => self.shed.paused = None,
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
        self.shed.chatter.record(now.mono);
        self.timers.retain(|(_, timer)| *timer != Timer::Relief);
    }

    /// Jobs that were paused for pressure go on: at once, or later when that has happened too often.
    fn relax(&mut self, now: Now) {
        self.shed.paused = None;
        if self.paused_for_pressure().is_empty()
            || self.timers.iter().any(|(_, timer)| *timer == Timer::Relief)
        {
            return;
        }
        match self.shed.chatter.relief(now.mono) {
            Relief::AtOnce => self.relieve(now),
            Relief::After(wait) => self.arm(now.mono.after(wait), Timer::Relief),
            Relief::ByHand => {
                let jobs = self.paused_for_pressure();
                log::warn!("monitor.needs_attention jobs={jobs:?}");
                for id in jobs {
                    let message = format!(
                        "needs attention: paused for pressure again and again, so it does not go on by itself; \
                         `mozart resume {id}` when the machine has room"
                    );
                    self.step(now, &id, Input::Remark { message });
                }
            }
        }
    }

    fn paused_for_pressure(&self) -> Vec<JobId> {
        let paused = |live: &&Live| live.exec.job().pause_flags.contains(&PauseFlag::Pressure);
        self.jobs.values().filter(paused).map(|live| live.id.clone()).collect()
    }

    /// Jobs that were paused for pressure go on.
    pub(super) fn relieve(&mut self, now: Now) {
        for id in self.paused_for_pressure() {
            self.step(now, &id, Input::Unpause(PauseFlag::Pressure));
        }
    }
}
