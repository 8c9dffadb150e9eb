//! Events of jobs on their way to the log that a score asks for (`logging`): written by the side lane.

use std::sync::Arc;

use serde_json::Value;

use crate::ids::JobId;
use crate::joblog::{JobLog, Target};

use super::core::Core;
use super::live::Live;
use super::side::Errand;

impl Core {
    /// Whether a job writes a log.
    pub(super) fn is_logged(&self, id: &JobId) -> bool {
        let asks = |live: &Live| live.prepared.score.written.iter().any(|key| key == "logging");
        self.jobs.get(id).is_some_and(asks)
    }

    /// Keeps an event for the log of a job that has one, and sends somebody to write it.
    pub(super) fn log_event(&mut self, id: &JobId, event: &Value) {
        let Some(live) = self.jobs.get_mut(id) else { return };
        let score = &live.prepared.score;
        let log = live.log.get_or_insert_with(|| {
            let directory = self.state_dir.join("jobs").join(id.as_str());
            Arc::new(JobLog::new(Target::of(&score.logging, &directory)))
        });
        if log.tell(event)
            && let Err((errand, error)) = self.side.submit(Errand::JobLog(Arc::clone(log)))
        {
            log::warn!("worker.errand_refused error={:?}", error.to_string());
            if let Errand::JobLog(log) = errand {
                log.unsent();
            }
        }
    }
}
