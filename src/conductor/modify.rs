//! `job.modify`: a job goes on with another score, as soon as nothing of it runs.
//!
//! The new score was read and checked by a request worker. What runs ends by itself, nothing new is
//! started meanwhile ([`Live::modify`] keeps the job away from the scheduler), then the scores are
//! swapped and the job goes on as after a resume. The waiting score is part of the job's row, so it
//! survives the conductor. No pause flag is set: a person who pauses the job meanwhile means it.
//!
//! Not for: checking the score (`requests`), matching old and new sheets (`exec`).

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::exec::{Input, JobEvent, JobStatus, PauseFlag, Rerun};
use crate::ids::JobId;
use crate::time::Now;

use super::core::Core;
use super::exchange::Exchange;
use super::live::Live;
use super::messages::{Modification, Resumption};
use super::prepared::{Prepared, Snapshot};
use super::requests::Instruments;

/// A score that waits until nothing of its job runs.
#[derive(Debug)]
pub(crate) struct Waiting {
    prepared: Arc<Prepared>,
    pub(crate) config_path: Arc<str>,
    /// Somebody paused the job after asking for this: it stays paused with the new score.
    pub(crate) hold: bool,
}

/// A [`Waiting`] score in the row of its job.
#[derive(Serialize, Deserialize)]
struct Stored {
    modify: StoredScore,
}

#[derive(Serialize, Deserialize)]
struct StoredScore {
    config_path: String,
    hold: bool,
    snapshot: Snapshot,
}

impl Waiting {
    /// For the row of the job.
    pub(crate) fn encode(&self) -> String {
        let (config_path, snapshot) = (self.config_path.to_string(), self.prepared.snapshot.clone());
        let stored = Stored { modify: StoredScore { config_path, hold: self.hold, snapshot } };
        serde_json::to_string(&stored).expect("a snapshot is plain data")
    }

    fn decode(text: &str, instruments: &mut Instruments) -> Result<Self, String> {
        let stored: Stored = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let StoredScore { config_path, hold, snapshot } = stored.modify;
        let registry = instruments.for_directory(&snapshot.source.base);
        let prepared = Prepared::new(snapshot, &registry).map_err(|issues| {
            issues.first().map_or_else(|| "it does not load".to_owned(), ToString::to_string)
        })?;
        Ok(Self { prepared: Arc::new(prepared), config_path: config_path.into(), hold })
    }
}

/// Where the score is that waits, from the row of its job.
pub(crate) fn waiting_path(request: &str) -> Option<String> {
    serde_json::from_str::<Stored>(request).ok().map(|stored| stored.modify.config_path)
}

/// What a drained job does with the score that waits for it.
enum Swap {
    /// Something of it still runs, or its hooks do.
    NotYet,
    /// It goes on with the new score.
    Now,
    /// It ended in a way that leaves nothing to go on with.
    Never,
}

impl Live {
    fn swap(&self) -> Swap {
        if !self.running.is_empty() || self.exec.active().next().is_some() {
            return Swap::NotYet;
        }
        match self.exec.status() {
            JobStatus::Finishing => Swap::NotYet,
            JobStatus::Queued | JobStatus::Running | JobStatus::Paused | JobStatus::Failed => Swap::Now,
            JobStatus::PausedAtChain | JobStatus::Completed | JobStatus::Cancelled => Swap::Never,
        }
    }
}

impl Core {
    /// `job.modify`.
    pub(super) fn modify(&mut self, now: Now, modification: Modification, exchange: Exchange) {
        let Modification { id, stored, prepared, config_path } = modification;
        if self.stopping.is_some() {
            return self.rejected(exchange, id.as_str(), "shutdown", "Daemon is shutting down".into());
        }
        let status = match (self.jobs.get(&id), self.view.ended(&id), &stored) {
            (Some(live), ..) => live.exec.status().as_str().to_owned(),
            (None, Some(ended), _) => ended.status.as_str().to_owned(),
            (None, None, Some(stored)) => stored.row.summary.status.clone(),
            (None, None, None) => {
                return self.rejected(exchange, id.as_str(), "not_found", format!("Job '{id}' not found"));
            }
        };
        let at_rest = self.jobs.get(&id).is_none_or(|live| live.running.is_empty());
        match status.as_str() {
            "paused" | "failed" | "cancelled" if at_rest => {
                let config_path = Some(config_path);
                let resumption = Resumption { id, stored, prepared, config_path, rerun: Rerun::default() };
                self.resume(now, resumption, exchange);
            }
            "running" | "failed" | "paused" => self.modify_later(&id, prepared, &config_path, exchange),
            _ => {
                let message = format!("Job '{id}' is {status}, cannot modify");
                self.rejected(exchange, id.as_str(), "not_modifiable", message);
            }
        }
    }

    fn modify_later(&mut self, id: &JobId, prepared: Arc<Prepared>, config_path: &str, exchange: Exchange) {
        let Some(live) = self.jobs.get_mut(id) else { return };
        let name = config_path.rsplit('/').next().unwrap_or(config_path);
        log::info!("job.modify_requested job_id={id} config_path={config_path:?}");
        live.modify = Some(Waiting { prepared, config_path: config_path.into(), hold: false });
        live.dirty.job = true;
        live.dirty.promised = true;
        self.touched.insert(id.clone());
        self.modifying.insert(id.clone());
        let message = format!("Pause signal sent. Will resume with {name} when paused.");
        let answer = json!({ "job_id": id.as_str(), "status": "accepted", "message": message });
        self.outbox.changed.push((exchange, answer));
    }

    /// Swaps the scores of jobs that have drained. Once a turn, before queued jobs begin.
    pub(super) fn swap_scores(&mut self, now: Now) {
        if self.modifying.is_empty() {
            return;
        }
        for id in self.modifying.clone() {
            let swap = match self.jobs.get(&id) {
                Some(live) if live.modify.is_some() => live.swap(),
                Some(_) | None => {
                    self.modifying.remove(&id);
                    continue;
                }
            };
            match swap {
                Swap::NotYet => {}
                Swap::Now => self.swap_score(now, &id),
                Swap::Never => self.drop_modification(&id),
            }
        }
    }

    fn swap_score(&mut self, now: Now, id: &JobId) {
        self.modifying.remove(id);
        let running = self.jobs.get(id).is_some_and(|live| live.exec.status() == JobStatus::Running);
        if running {
            // Nothing of it runs, so it is paused at once; in the same turn it goes on.
            self.step(now, id, Input::Pause { flag: PauseFlag::User, now: false });
        }
        let Some(live) = self.jobs.get_mut(id) else { return };
        let Some(Waiting { prepared, config_path, hold }) = live.modify.take() else { return };
        log::info!("job.modified job_id={id} config_path={config_path:?} resumed={}", !hold);
        let data = json!({
            "config_path": &*config_path, "sheet_count": prepared.spec.sheets.len(), "resumed": !hold,
        });
        live.replace_score(prepared, Some(config_path.to_string()), now);
        self.touched.insert(id.clone());
        self.outbox.events.push((id.clone(), JobEvent::of_job("job.modified", data)));
        if !hold {
            self.step(now, id, Input::ResumeWith(Rerun::default()));
        }
    }

    fn drop_modification(&mut self, id: &JobId) {
        self.modifying.remove(id);
        let Some(live) = self.jobs.get_mut(id) else { return };
        let Some(waiting) = live.modify.take() else { return };
        let status = live.exec.status().as_str();
        log::warn!("job.modify_dropped job_id={id} config_path={:?} status={status}", &*waiting.config_path);
        live.dirty.job = true;
        self.touched.insert(id.clone());
        let data = json!({ "config_path": &*waiting.config_path, "reason": status });
        self.outbox.events.push((id.clone(), JobEvent::of_job("job.modify_dropped", data)));
    }

    /// A score that waited when the conductor before this one ended.
    pub(super) fn revive_modification(
        &mut self,
        stored: Option<&str>,
        id: &JobId,
        instruments: &mut Instruments,
    ) {
        let (Some(text), Some(live)) = (stored, self.jobs.get_mut(id)) else { return };
        match Waiting::decode(text, instruments) {
            Ok(waiting) => {
                live.modify = Some(waiting);
                self.modifying.insert(id.clone());
            }
            Err(reason) => log::error!("job.modify_unreadable job_id={id} reason={reason:?}"),
        }
    }

    /// What a pause or a resume means for a score that waits. Says whether there is one.
    pub(super) fn hold_modification(&mut self, id: &JobId, hold: bool) -> bool {
        let Some(live) = self.jobs.get_mut(id) else { return false };
        let Some(waiting) = &mut live.modify else { return false };
        waiting.hold = hold;
        live.dirty.job = true;
        self.touched.insert(id.clone());
        true
    }
}
