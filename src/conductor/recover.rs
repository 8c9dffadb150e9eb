//! What a conductor finds at its start: jobs of its predecessor, and their attempts.
//!
//! Before the socket opens every open attempt is classified by its lock, nothing else is done.
//! Adopted attempts go on; the records of ended ones are judged by sheet workers; what an
//! interrupted one left behind is ended on the side lane, and nothing of its job is dispatched before.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::checkpoint;
use crate::config::Recovery;
use crate::exec::{AttemptRecord, AttemptReport, Evidence, Execution, Input, JobStatus, Outcome, PauseFlag};
use crate::executor::{self, Found, Taken};
use crate::ids::{AttemptKey, JobId};
use crate::instrument::Registry as Instruments;
use crate::store::StoredJob;
use crate::time::Now;
use crate::worker::attempt::{Task, TaskKind, interrupted};

use super::core::Core;
use super::live::{Live, Running};
use super::prepared::{Prepared, Snapshot};
use super::side::Errand;

/// Counts for the log.
#[derive(Debug, Default)]
struct Tally {
    jobs: usize,
    failed: usize,
    paused: usize,
    adopted: usize,
}

impl Core {
    /// Takes over what the database calls queued, running or paused.
    pub(super) fn recover(&mut self, now: Now, stored: Vec<StoredJob>, instruments: &Instruments) {
        let mut tally = Tally::default();
        let mut known = HashSet::new();
        for job in stored {
            self.recover_job(now, job, instruments, &mut known, &mut tally);
        }
        for dir in executor::held_directories(&self.state_dir) {
            if !known.contains(&dir) {
                log::warn!("attempt.unknown_ended directory={dir:?}");
                self.errand(Errand::EndUnknown(dir));
            }
        }
        if tally.jobs > 0 {
            log::info!(
                "manager.orphans_recovered count={} failed={} paused={} adopted={}",
                tally.jobs,
                tally.failed,
                tally.paused,
                tally.adopted
            );
        }
        self.view.recovering.store(self.sweeping > 0, Ordering::Release);
    }

    fn recover_job(
        &mut self,
        now: Now,
        stored: StoredJob,
        instruments: &Instruments,
        known: &mut HashSet<PathBuf>,
        tally: &mut Tally,
    ) {
        let id = stored.row.job_id.clone();
        let was_active = stored.row.is_active();
        if was_active {
            tally.jobs += 1;
        }
        let open: Vec<AttemptRecord> = stored.open_attempts.clone();
        let live = stored
            .snapshot
            .as_deref()
            .ok_or_else(|| "its score is missing in the database".to_owned())
            .and_then(|text| serde_json::from_str::<Snapshot>(text).map_err(|error| error.to_string()))
            .and_then(|snapshot| Prepared::new(snapshot, instruments).map_err(|issues| first_issue(&issues)))
            .and_then(|prepared| Live::stored(stored, Arc::new(prepared), now));
        let live = match live {
            Ok(live) => live,
            Err(reason) => {
                tally.failed += 1;
                log::error!("manager.job_unreadable job_id={id} error={reason:?}");
                self.unreadable.push((id, reason));
                return;
            }
        };
        self.enlist(now, live);
        if let Some(live) = self.jobs.get_mut(&id)
            && live.exec.status() == JobStatus::Running
        {
            live.permit = Some(self.permits.acquire_over_limit());
        }
        let mut orphaned = false;
        for record in &open {
            orphaned |= self.recover_attempt(now, &id, record, known, tally);
        }
        self.apply_policy(now, &id, was_active, orphaned, tally);
    }

    /// One attempt that has no verdict. Says whether it was interrupted.
    fn recover_attempt(
        &mut self,
        now: Now,
        id: &JobId,
        record: &AttemptRecord,
        known: &mut HashSet<PathBuf>,
        tally: &mut Tally,
    ) -> bool {
        let key = AttemptKey { job: id.clone(), sheet: record.sheet, attempt: record.attempt };
        let dir = executor::dir(&self.state_dir, &key);
        known.insert(dir.clone());
        let Some(live) = self.jobs.get_mut(id) else { return false };
        if !live.exec.is_current(record.sheet, record.attempt) {
            return false;
        }
        let instrument = live.exec.instrument(record.sheet).clone();
        self.sched.started(id, record.sheet, &instrument, now);
        let found = match executor::examine(&dir, &record.token) {
            Ok(found) => found,
            Err(error) => {
                log::error!("attempt.unreadable attempt={key} error={:?}", error.to_string());
                Found::NeverStarted
            }
        };
        match found {
            Found::Held(adopted) => {
                if let Some(pid) = adopted.child_pid() {
                    self.step(now, id, Input::Spawned { sheet: key.sheet, attempt: key.attempt, pid });
                }
                tally.adopted += 1;
                self.adopted += 1;
                if let Some(live) = self.jobs.get_mut(id) {
                    live.running.insert(key.attempt, Running::Adopted(Arc::new(adopted)));
                }
                false
            }
            Found::Over(taken) => self.judge(now, &key, taken),
            Found::Interrupted(taken) => {
                self.sweep(&key, record, taken);
                true
            }
            Found::NeverStarted => {
                let report = AttemptReport {
                    outcome: Outcome::NotStarted { message: "the conductor stopped before it was started".into() },
                    evidence: Evidence::default(),
                };
                self.reported(now, &key, Box::new(report));
                false
            }
        }
    }

    fn apply_policy(&mut self, now: Now, id: &JobId, was_active: bool, orphaned: bool, tally: &mut Tally) {
        let message = self.orphan_message();
        match self.config.recovery {
            Recovery::Fail if was_active => {
                tally.failed += 1;
                self.step(now, id, Input::FailJob { message });
            }
            Recovery::Adopt if orphaned => {
                tally.failed += 1;
                self.step(now, id, Input::Orphaned { message });
            }
            Recovery::Adopt | Recovery::Resume | Recovery::Fail => (),
        }
        let Some(live) = self.jobs.get(id) else { return };
        if live.exec.job().pause_flags.contains(&PauseFlag::Shutdown) {
            if self.config.auto_resume {
                self.step(now, id, Input::Unpause(PauseFlag::Shutdown));
            }
        } else if live.exec.status() == JobStatus::Paused {
            tally.paused += 1;
        }
    }

    fn orphan_message(&self) -> String {
        format!("{} restarted while job was active", self.title)
    }

    /// Hands the record of an ended attempt to a sheet worker. Says whether it counts as interrupted.
    pub(super) fn judge(&mut self, now: Now, key: &AttemptKey, taken: Taken) -> bool {
        let Some(live) = self.jobs.get_mut(&key.job) else { return false };
        let explained = live.exec.ending_of(key.sheet).is_some();
        if taken.was_terminated() && !explained {
            // A TERM that no committed request explains: somebody ended the guard from outside.
            live.running.insert(key.attempt, Running::Sweeping(taken));
            self.reported(now, key, Box::new(interrupted("ended by a signal that nobody asked for")));
            return true;
        }
        let control = Core::new_control();
        let exit = taken.exit().clone();
        let task = Task {
            key: key.clone(),
            prepared: live.prepared.clone(),
            sheets: Vec::new(),
            permit: live.permit.clone(),
            control: control.clone(),
            kind: TaskKind::Judge { exit, instrument_index: live.exec.instrument_index(key.sheet) },
        };
        live.running.insert(key.attempt, Running::Judging(control, taken));
        if let Err((task, error)) = self.sheets.submit(task) {
            log::error!("worker.judge_refused attempt={} error={:?}", task.key, error.to_string());
            self.reported(now, key, Box::new(interrupted("no sheet worker took its record")));
        }
        false
    }

    /// Ends what an interrupted attempt left behind, before anything else of its sheet starts.
    fn sweep(&mut self, key: &AttemptKey, record: &AttemptRecord, taken: Taken) {
        self.sweeping += 1;
        let errand = Errand::Sweep { key: key.clone(), dir: taken.dir().to_owned(), token: record.token.clone() };
        if let Some(live) = self.jobs.get_mut(&key.job) {
            live.running.insert(key.attempt, Running::Sweeping(taken));
        }
        self.errand(errand);
    }

    /// Tries the locks of all adopted attempts.
    pub(super) fn try_adopted(&mut self, now: Now) {
        let mut attempts = Vec::new();
        for live in self.jobs.values() {
            for (attempt, running) in &live.running {
                if let Running::Adopted(adopted) = running
                    && let Some(sheet) = live.exec.sheet_of(*attempt)
                {
                    attempts.push((Core::key(&live.id, sheet, *attempt), Arc::clone(adopted)));
                }
            }
        }
        if !attempts.is_empty() {
            self.errand(Errand::TryAdopted(attempts));
        }
        self.arm_adopted(now);
    }

    /// An adopted attempt has let go of its lock.
    pub(super) fn adopted_over(&mut self, now: Now, key: &AttemptKey, taken: Taken) {
        let Some(live) = self.jobs.get_mut(&key.job) else { return };
        if !matches!(live.running.get(&key.attempt), Some(Running::Adopted(_))) {
            return;
        }
        live.running.remove(&key.attempt);
        self.adopted -= 1;
        if taken.has_record() {
            if self.judge(now, key, taken) {
                self.orphan_again(now, &key.job);
            }
        } else {
            let token = taken.token().clone();
            self.sweeping += 1;
            let dir = taken.dir().to_owned();
            live.running.insert(key.attempt, Running::Sweeping(taken));
            self.errand(Errand::Sweep { key: key.clone(), dir, token });
            self.orphan_again(now, &key.job);
        }
    }

    fn orphan_again(&mut self, now: Now, id: &JobId) {
        if self.config.recovery == Recovery::Adopt {
            let message = self.orphan_message();
            self.step(now, id, Input::Orphaned { message });
        }
    }

    /// What an interrupted attempt left behind is gone, or cannot be ended.
    pub(super) fn swept(&mut self, now: Now, key: &AttemptKey, alive: &[u32]) {
        self.sweeping = self.sweeping.saturating_sub(1);
        self.view.recovering.store(self.sweeping > 0, Ordering::Release);
        if !alive.is_empty() {
            log::error!("attempt.leftovers_alive attempt={key} pids={alive:?}");
        }
        self.reported(now, key, Box::new(interrupted("its guard was killed")));
    }
}

fn first_issue(issues: &[crate::score::Issue]) -> String {
    issues.first().map_or_else(|| "its score does not load".to_owned(), ToString::to_string)
}
