//! The graceful stop.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::exec::{Input, JobStatus, PauseFlag};
use crate::ids::JobId;
use crate::time::Now;

use super::core::{Core, Stopping, Timer};
use super::live::Running;

/// How long ended attempts may take to be recorded before the thread returns without them; their
/// guards finish the work and the next start reads their records.
const GIVE_UP: Duration = Duration::from_secs(15);

impl Core {
    /// Starts nothing new; running attempts may end within `shutdown_timeout_seconds`, or are ended
    /// at once. Asking again with `graceful: false` escalates; asking the same again changes nothing.
    pub(super) fn stop(&mut self, now: Now, graceful: bool) {
        match self.stopping {
            Some(stopping) if graceful || stopping.ending => return,
            Some(_) => return self.stop_deadline(now),
            None => (),
        }
        let running = self.running_jobs();
        let timeout = Duration::from_secs_f64(self.config.shutdown_timeout_seconds);
        log::info!(
            "manager.shutting_down graceful={graceful} timeout={} running_jobs={}",
            timeout.as_secs(),
            running.len()
        );
        self.view.stopping.store(true, Ordering::Release);
        self.vital.set_shutting_down();
        self.stopping = Some(Stopping { ending: false, give_up: None });
        for id in &running {
            self.step(now, id, Input::Pause { flag: PauseFlag::Shutdown, now: false });
        }
        if graceful {
            self.arm(now.mono.after(timeout), Timer::StopDeadline);
        } else {
            self.stop_deadline(now);
        }
    }

    /// What still runs is told to end; if it does not get recorded in time, the next start does it.
    pub(super) fn stop_deadline(&mut self, now: Now) {
        let Some(stopping) = &mut self.stopping else { return };
        if stopping.ending {
            return;
        }
        stopping.ending = true;
        let give_up = now.mono.after(GIVE_UP);
        stopping.give_up = Some(give_up);
        self.end_around();
        self.arm(give_up, Timer::StopDeadline);
        for id in self.running_jobs() {
            self.step(now, &id, Input::Pause { flag: PauseFlag::Shutdown, now: true });
        }
    }

    fn running_jobs(&self) -> Vec<JobId> {
        let at_work = [JobStatus::Running, JobStatus::Finishing];
        let running = |live: &&super::live::Live| at_work.contains(&live.exec.status());
        self.jobs.values().filter(running).map(|live| live.id.clone()).collect()
    }

    /// Nothing runs any more and everything is written, or the time is over.
    pub(super) fn is_stopped(&self) -> bool {
        let Some(stopping) = self.stopping else { return false };
        if stopping.give_up.is_some_and(|due| due <= self.clock.now().mono) {
            return true;
        }
        self.is_at_rest() && self.notifier.is_flushed(self.clock.now())
    }

    /// Nothing runs any more that could be ended, and everything is written.
    pub(super) fn is_at_rest(&self) -> bool {
        // What cannot be ended is found again by the next start.
        let over = |running: &Running| matches!(running, Running::Leftover(left) if !left.alive.is_empty());
        let at_rest = |live: &super::live::Live| live.running.values().all(over) && live.dirty.is_clean();
        self.around.is_at_rest() && self.jobs.values().all(at_rest)
    }

    /// Last words: streams end, answers leave.
    pub(super) fn finish(mut self) {
        let untold = self.notifier.abandon();
        if untold > 0 {
            log::warn!("notify.abandoned count={untold}");
        }
        self.stop_listening();
        let mut final_answers = Vec::new();
        for live in self.jobs.values_mut() {
            live.watchers.stop_all();
            for (_, exchange) in live.cancel_waiters.drain(..) {
                final_answers
                    .push((exchange, serde_json::json!({ "cancelled": true, "still_ending": true })));
            }
        }
        for (exchange, result) in final_answers {
            self.answer(exchange, Ok(result));
        }
        if let Err(error) = self.store.close() {
            log::warn!("manager.shutdown_flush_failed error={:?}", error.to_string());
        }
        log::info!("manager.shutdown_complete jobs={}", self.jobs.len());
    }
}
