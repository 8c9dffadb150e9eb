//! The end of what the set-up made: the worktree of a job is removed, or unlocked and kept.
//!
//! A note beside the attempts of a job says which worktree it has. It outlives the job, so that a
//! conductor that starts can settle what its predecessor could not, and a resumed job finds the
//! branch that keeps its commits.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::News;
use crate::conductor::core::Core;
use crate::conductor::live::Live;
use crate::conductor::messages::Event;
use crate::conductor::prepared::Prepared;
use crate::conductor::side::{Errand, Side};
use crate::exec::{JobStatus, SetUp, Worktree};
use crate::executor::Control;
use crate::ids::JobId;
use crate::isolation::{self, Git};

/// Name of the note, in the folder of the job.
const NOTE: &str = "worktree.json";

/// A tear-down to be done.
pub(crate) struct TearDown {
    job: JobId,
    prepared: Arc<Prepared>,
    worktree: Worktree,
    remove: bool,
}

/// What is known of the worktree of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Note {
    pub(super) worktree: Worktree,
    /// Nothing is left to be done about it.
    pub(super) settled: bool,
    /// It is gone; its branch, if it has one, is not.
    #[serde(default)]
    pub(super) removed: bool,
}

impl Note {
    pub(super) fn read(state_dir: &Path, job: &JobId) -> Option<Self> {
        let text = crate::file::read(&Self::file(state_dir, job), 1 << 20).ok()?;
        serde_json::from_slice(&text).ok()
    }

    pub(super) fn write(&self, state_dir: &Path, job: &JobId) {
        let file = Self::file(state_dir, job);
        let text = serde_json::to_vec(self).expect("a note is plain data");
        let folder = file.parent().unwrap_or(state_dir);
        let fresh = file.with_extension("json.tmp");
        let written = fs::create_dir_all(folder)
            .and_then(|()| fs::write(&fresh, text))
            .and_then(|()| fs::rename(&fresh, &file));
        if let Err(error) = written {
            log::warn!("job.worktree_not_noted job_id={job} error={:?}", error.to_string());
        }
    }

    fn file(state_dir: &Path, job: &JobId) -> PathBuf {
        state_dir.join("jobs").join(job.as_str()).join(NOTE)
    }
}

impl Core {
    /// A job is over: its worktree goes as its score says, or is given back.
    pub(in crate::conductor) fn tear_down(&mut self, live: &Live) {
        let set_up = live.exec.job().ledger.set_up.as_ref();
        let Some(worktree) = set_up.and_then(|set_up| set_up.worktree.clone()) else { return };
        let settings = &live.prepared.score.isolation;
        let remove = match live.exec.status() {
            JobStatus::Completed => settings.cleanup_on_success,
            JobStatus::Failed => settings.cleanup_on_failure,
            JobStatus::Cancelled
            | JobStatus::Queued
            | JobStatus::Running
            | JobStatus::Paused
            | JobStatus::Finishing
            | JobStatus::PausedAtChain => false,
        };
        let order = TearDown { job: live.id.clone(), prepared: Arc::clone(&live.prepared), worktree, remove };
        self.push_long(&live.id, Errand::TearDown(Box::new(order)));
        self.start_long();
    }

    /// Settles what is left of worktrees of jobs that are over. Once, at the start.
    pub(in crate::conductor) fn prune_worktrees(&self) {
        self.errand(Errand::Prune(self.jobs.keys().cloned().collect()));
    }
}

/// Says that a side worker is free again, whatever happened.
struct Freed<'a>(&'a Side, &'a JobId);

impl Drop for Freed<'_> {
    fn drop(&mut self) {
        self.0.report(Event::Around(News::Freed(self.1.clone())));
    }
}

/// Does it, on a side worker.
pub(in crate::conductor) fn run(side: &Side, order: &TearDown) {
    let _freed = Freed(side, &order.job);
    let (control, id) = (Control::new(), &order.job);
    let git = Git { guard_program: &side.guard_program, ours: &side.ours, control: &control };
    let mut worktree = order.worktree.clone();
    let mut removed = false;
    if order.remove {
        let removal = isolation::remove(&git, &order.prepared.score.isolation, id, &worktree);
        if let Some(kept) = &removal.kept {
            log::warn!("job.worktree_kept job_id={id} reason={kept:?}");
        }
        if removal.removed {
            log::info!(
                "job.worktree_removed job_id={id} branch={:?}",
                removal.branch.as_deref().unwrap_or("")
            );
        }
        for warning in &removal.warnings {
            log::warn!("job.worktree_warning job_id={id} warning={warning:?}");
        }
        removed = removal.removed;
        worktree.branch = removal.branch;
    } else if let Err(error) = isolation::unlock(&git, &worktree) {
        log::warn!("job.worktree_warning job_id={id} warning={:?}", error.to_string());
    }
    worktree.locked = false;
    Note { worktree, settled: true, removed }.write(&side.state_dir, id);
}

/// What a status says of the worktree of a job that is over: its record is as old as its end.
pub(in crate::conductor) fn put_worktree_into(
    status: &mut Value,
    state_dir: &Path,
    job: &JobId,
    known: Option<&SetUp>,
) {
    let Some(known) = known.and_then(|set_up| set_up.worktree.as_ref()) else { return };
    let Some(note) = Note::read(state_dir, job).filter(|it| it.settled && it.worktree.path == known.path)
    else {
        return;
    };
    if note.removed {
        status["worktree_path"] = Value::Null;
    }
    status["worktree_locked"] = note.worktree.locked.into();
    status["worktree_branch"] = note.worktree.branch.into();
}

/// Settles the worktrees of all jobs but these, on a side worker.
pub(in crate::conductor) fn prune(side: &Side, active: &HashSet<JobId>) {
    let Ok(folders) = fs::read_dir(side.state_dir.join("jobs")) else { return };
    let control = Control::new();
    let git = Git { guard_program: &side.guard_program, ours: &side.ours, control: &control };
    for folder in folders.flatten() {
        let Ok(job) = JobId::new(&folder.file_name().to_string_lossy()) else { continue };
        if active.contains(&job) {
            continue;
        }
        let Some(note) = Note::read(&side.state_dir, &job).filter(|note| !note.settled) else { continue };
        for warning in isolation::prune(&git, &[(&job, &note.worktree)]) {
            log::warn!("job.worktree_warning job_id={job} warning={warning:?}");
        }
        Note { settled: true, ..note }.write(&side.state_dir, &job);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_note_outlives_its_job() {
        let dir = tempfile::tempdir().unwrap();
        let job = JobId::new("nightly").unwrap();
        assert_eq!(Note::read(dir.path(), &job), None);
        let worktree =
            Worktree { path: "/w".into(), branch: Some("mozart/nightly".into()), ..Worktree::default() };
        let note = Note { worktree, settled: false, removed: false };
        note.write(dir.path(), &job);
        assert_eq!(Note::read(dir.path(), &job), Some(note));
    }
}
