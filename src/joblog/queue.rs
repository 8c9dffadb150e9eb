//! Events on their way to the log of a job: from the thread that has them to one that may write.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::Target;

/// Events that may wait for a slow disk; then the oldest is lost.
const WAITING: usize = 10_000;

/// The log of one job. At most one thread writes at a time, so lines are in order.
#[derive(Debug)]
pub struct JobLog {
    target: Target,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Value>,
    /// Events that were given up since the last writing.
    lost: u64,
    /// A writer is on its way or writes.
    writing: bool,
    /// The last writing failed: said once, until one succeeds.
    failing: bool,
}

impl JobLog {
    /// A log that has not said anything yet.
    #[must_use]
    pub fn new(target: Target) -> Self {
        Self { target, state: Mutex::default() }
    }

    /// Keeps an event, if it is important enough. True: somebody must call [`Self::write`], and nobody else will.
    #[must_use]
    pub fn tell(&self, event: &Value) -> bool {
        if !self.target.wants(event) {
            return false;
        }
        let mut state = self.state();
        if state.waiting.len() == WAITING {
            state.waiting.pop_front();
            state.lost += 1;
        }
        state.waiting.push_back(event.clone());
        !std::mem::replace(&mut state.writing, true)
    }

    /// Nobody could be sent to write; the next event asks again.
    pub fn unsent(&self) {
        self.state().writing = false;
    }

    /// Writes what waits. May block for as long as the disk does. What cannot be written is remarked in the conductor's
    /// log and given up.
    pub fn write(&self) {
        loop {
            let mut state = self.state();
            if state.waiting.is_empty() {
                state.writing = false;
                return;
            }
            let events: Vec<Value> = std::mem::take(&mut state.waiting).into();
            let lost = std::mem::take(&mut state.lost);
            drop(state);
            let path = self.target.path().display().to_string();
            if lost > 0 {
                log::warn!("joblog.lost path={path:?} count={lost}");
            }
            let written = self.target.append(&events);
            let failed_before = std::mem::replace(&mut self.state().failing, written.is_err());
            if let Err(error) = written
                && !failed_before
            {
                log::warn!("joblog.failed path={path:?} error={:?}", error.to_string());
            }
        }
    }

    // A panic while it is held leaves nothing half done: it is held for single moves only.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;

    use serde_json::json;

    use super::*;
    use crate::score::Logging;

    fn event(number: u32) -> Value {
        json!({ "job_id": "a", "sheet_num": number, "event": "sheet.started", "data": {}, "timestamp": 0.0 })
    }

    fn log(dir: &Path) -> JobLog {
        let logging = Logging {
            level: "INFO",
            format: "console",
            file_path: None,
            max_file_size_mb: 50.0,
            backup_count: 1,
            include_timestamps: false,
            include_context: true,
        };
        JobLog::new(Target::of(&logging, dir))
    }

    #[test]
    fn one_writer_is_asked_for_and_writes_everything_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let log = log(dir.path());
        let asked: Vec<bool> = (1..=3).map(|number| log.tell(&event(number))).collect();
        assert_eq!(asked, [true, false, false]);
        assert!(!log.tell(&json!({ "event": "job.cost_update" })), "below the level");
        log.write();
        assert!(log.tell(&event(4)), "the writer is gone");
        log.unsent();
        assert!(log.tell(&event(5)));
        log.write();
        let text = std::fs::read_to_string(dir.path().join("job.log")).unwrap();
        let sheets: Vec<&str> = text.lines().map(|line| line.rsplit('=').next().unwrap()).collect();
        assert_eq!(sheets, ["1", "2", "3", "4", "5"]);
    }

    #[test]
    fn the_oldest_is_lost_and_a_pipe_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        nix::unistd::mkfifo(&dir.path().join("job.log"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let log = log(dir.path());
        for number in 0..=u32::try_from(WAITING).unwrap() {
            _ = log.tell(&event(number));
        }
        let seen = |state: &State| (state.waiting.len(), state.lost, state.failing);
        assert_eq!(seen(&log.state()), (WAITING, 1, false));
        log.write();
        assert_eq!(seen(&log.state()), (0, 0, true));
    }
}
