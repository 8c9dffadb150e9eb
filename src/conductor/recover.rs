//! What a conductor finds at its start: jobs of its predecessor, and their attempts.
//!
//! Before the socket opens every open attempt is classified by its lock, nothing else is done.
//! Adopted attempts go on; the records of ended ones are judged by sheet workers; what an
//! interrupted one left behind is ended on the side lane, and nothing of its sheet starts before.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::config::Recovery;
use crate::exec::{AttemptRecord, AttemptReport, Evidence, Input, JobStatus, Outcome, PauseFlag};
use crate::executor::{self, Adopted, Found, Leftovers, Taken};
use crate::guard::record::{BY_TERM, Exit};
use crate::ids::{AttemptKey, JobId};
use crate::store::{StoredJob, Write};
use crate::time::Now;
use crate::worker::attempt::{Task, TaskKind, interrupted};

use super::core::Core;
use super::live::{Live, Running};
use super::prepared::{Prepared, Snapshot};
use super::requests::Instruments;
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
    pub(super) fn recover(&mut self, now: Now, stored: Vec<StoredJob>, instruments: &mut Instruments) {
        self.restore_instruments(now);
        let mut tally = Tally::default();
        let mut known = HashSet::new();
        for job in stored {
            self.recover_job(now, job, instruments, &mut known, &mut tally);
        }
        for stray in executor::sweep(&self.state_dir, &known) {
            self.errand(Errand::EndStray(stray));
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
        self.prune_worktrees();
        self.sched.settle(now);
        self.tell_adopted_guards();
        self.view.recovering.store(self.sweeping > 0, Ordering::Release);
        // As after every turn: committed first, then seen. Nobody is answered before.
        self.swap_scores(now);
        self.flush(now);
    }

    /// The monitor counts what is below guards that are not our children, too.
    fn tell_adopted_guards(&self) {
        let running = self.jobs.values().flat_map(|live| live.running.values());
        let pid = |running: &Running| if let Running::Adopted(_, pid) = running { *pid } else { None };
        self.view.set_adopted_guards(running.filter_map(pid).collect());
    }

    fn recover_job(
        &mut self,
        now: Now,
        stored: StoredJob,
        instruments: &mut Instruments,
        known: &mut HashSet<PathBuf>,
        tally: &mut Tally,
    ) {
        let id = stored.row.summary.job_id.clone();
        let was_active = stored.row.summary.status != JobStatus::Paused.as_str();
        tally.jobs += usize::from(was_active);
        let (live, open) = match revive(&stored, instruments, now) {
            Ok(revived) => revived,
            Err(reason) => {
                tally.failed += 1;
                return self.unreadable(now, stored, &reason);
            }
        };
        self.enlist(live);
        self.revive_modification(stored.row.request_json.as_deref(), &id, instruments);
        if let Some(live) = self.jobs.get_mut(&id)
            && live.exec.status() == JobStatus::Running
        {
            live.permit = Some(self.permits.acquire_over_limit());
            self.take_part(&id);
        }
        let mut orphaned = false;
        for record in &open {
            orphaned |= self.recover_attempt(now, &id, record, known, tally);
        }
        self.apply_policy(now, &id, was_active, orphaned, tally);
        self.recover_next_run(&id);
    }

    /// A job whose records cannot be read is failed as it is; its attempts are strays.
    fn unreadable(&mut self, now: Now, stored: StoredJob, reason: &str) {
        let mut row = stored.row;
        log::error!("manager.job_unreadable job_id={} error={reason:?}", row.summary.job_id);
        row.summary.status = JobStatus::Failed.as_str().to_owned();
        row.summary.completed_at = Some(now.wall);
        row.summary.error_message = Some(format!(
            "What was stored about the job cannot be read: {reason} [E401]; \
             restore a backup of the state database, or start the job with --fresh"
        ));
        self.further_writes.push(Write::UpsertJob(Box::new(row)));
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
        let Some(live) = self.jobs.get_mut(id) else { return false };
        if !live.is_current(record.sheet, record.attempt) {
            // The verdict was committed without closing the row, or the row is of another run.
            return false;
        }
        known.insert(dir.clone());
        let instrument = live.exec.occupies(record.sheet).clone();
        self.sched.adopted(id, record.sheet, &instrument);
        self.watch_over(now, &key, now.wall.since(record.opened));
        let found = executor::examine(&dir, &record.token).unwrap_or_else(|error| {
            // Not knowing is no reason to start it a second time: its lock is tried until it answers.
            log::error!("attempt.unreadable attempt={key} error={:?}", error.to_string());
            (Found::Held(Adopted::unseen(&dir, &record.token)), None)
        });
        match found {
            (Found::Held(adopted), _) => {
                if let Some(pid) = adopted.child_pid() {
                    self.step(now, id, Input::Spawned { sheet: key.sheet, attempt: key.attempt, pid });
                }
                tally.adopted += 1;
                self.adopted += 1;
                let guard = adopted.guard_pid();
                let adopted = Arc::new(adopted);
                self.place(&key, Running::Adopted(Arc::clone(&adopted), guard));
                if self.jobs.get(id).is_some_and(|live| live.is_ending(key.sheet)) {
                    // Whether the guard was told before our predecessor died is not known.
                    self.errand(Errand::End(adopted));
                }
                false
            }
            (Found::Over(exit), taken) => self.judge(now, &key, exit, taken),
            (Found::Interrupted(leftovers), taken) => {
                self.sweep(&key, leftovers, taken, false);
                true
            }
            (Found::NeverStarted, taken) => {
                let leftovers = Leftovers::marked(&record.token);
                if !dir.exists() && !leftovers.find().is_empty() {
                    // Its directory was deleted while nobody looked, and it lives.
                    log::error!("attempt.directory_gone attempt={key}");
                    self.sweep(&key, leftovers, taken, false);
                    return true;
                }
                let message = "the conductor stopped before it was started".to_owned();
                let report =
                    AttemptReport { outcome: Outcome::NotStarted { message }, evidence: Evidence::default() };
                self.place(&key, Running::Sweeping(taken));
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
        if self.config.auto_resume {
            // What waits for a person goes on waiting. Pressure, if it still is there, is met anew.
            let flags = &live.exec.job().pause_flags;
            let ours: Vec<PauseFlag> = [PauseFlag::Pressure, PauseFlag::Shutdown]
                .into_iter()
                .filter(|flag| flags.contains(flag))
                .collect();
            for flag in ours {
                self.step(now, id, Input::Unpause(flag));
            }
        }
        tally.paused +=
            usize::from(self.jobs.get(id).is_some_and(|live| live.exec.status() == JobStatus::Paused));
    }

    fn orphan_message(&self) -> String {
        format!("{} restarted while job was active", self.title)
    }

    /// Hands the record of an ended attempt to a sheet worker. Says whether it counts as interrupted.
    fn judge(&mut self, now: Now, key: &AttemptKey, exit: Exit, taken: Option<Taken>) -> bool {
        let Some(live) = self.jobs.get(&key.job) else { return false };
        if exit.killed_by.as_deref() == Some(BY_TERM) && !live.is_ending(key.sheet) {
            // A TERM that no committed request explains: somebody ended the guard from outside.
            self.place(key, Running::Sweeping(taken));
            self.reported(now, key, Box::new(interrupted("ended by a signal that nobody asked for")));
            return true;
        }
        let Some(token) = live.token_of(key.sheet) else { return false };
        let control = executor::Control::new();
        let task = Task {
            key: key.clone(),
            prepared: Arc::clone(&live.prepared),
            sheets: Vec::new(),
            directory: live.directory(),
            permit: live.permit.clone(),
            control: control.clone(),
            kind: TaskKind::Judge { exit, instrument_index: live.instrument_index(key.sheet), token },
        };
        self.place(key, Running::Judging(control, taken));
        self.hand_over(now, task);
        false
    }

    pub(super) fn place(&mut self, key: &AttemptKey, running: Running) {
        if let Some(live) = self.jobs.get_mut(&key.job) {
            live.running.insert(key.attempt, running);
        }
    }

    /// Tries the locks of all adopted attempts.
    pub(super) fn try_adopted(&mut self, now: Now) {
        let mut attempts = Vec::new();
        for live in self.jobs.values() {
            for (attempt, running) in &live.running {
                if let Running::Adopted(adopted, _) = running
                    && let Some(sheet) = live.sheet_of(*attempt)
                {
                    let key = AttemptKey { job: live.id.clone(), sheet, attempt: *attempt };
                    attempts.push((key, Arc::clone(adopted)));
                }
            }
        }
        if !attempts.is_empty() {
            self.errand(Errand::TryAdopted(attempts));
        }
        self.arm_adopted(now);
    }

    /// An adopted attempt has let go of its lock.
    pub(super) fn adopted_over(&mut self, now: Now, key: &AttemptKey, found: Found, taken: Option<Taken>) {
        let Some(live) = self.jobs.get_mut(&key.job) else { return };
        if !matches!(live.running.get(&key.attempt), Some(Running::Adopted(..))) {
            return;
        }
        live.running.remove(&key.attempt);
        self.adopted -= 1;
        self.tell_adopted_guards();
        let orphaned = match found {
            Found::Over(exit) => self.judge(now, key, exit, taken),
            Found::Interrupted(leftovers) => {
                self.sweep(key, leftovers, taken, false);
                true
            }
            Found::NeverStarted => {
                self.place(key, Running::Sweeping(taken));
                self.reported(now, key, Box::new(interrupted("its guard ended before it started anything")));
                true
            }
            // Only a lock that was taken is reported.
            Found::Held(_) => false,
        };
        if orphaned && self.config.recovery == Recovery::Adopt {
            let message = self.orphan_message();
            self.step(now, &key.job, Input::Orphaned { message });
        }
    }

    /// Somebody deleted the directory of an adopted attempt: there will be no record, so what runs of it
    /// is of no use. Found by its token, it is ended.
    pub(super) fn adopted_gone(&mut self, now: Now, key: &AttemptKey, leftovers: Leftovers) {
        log::error!("attempt.directory_gone attempt={key}");
        self.adopted_over(now, key, Found::Interrupted(leftovers), None);
    }
}

/// The job of a database row, and its attempts without a verdict.
fn revive(
    stored: &StoredJob,
    instruments: &mut Instruments,
    now: Now,
) -> Result<(Live, Vec<AttemptRecord>), String> {
    let text = stored.snapshot.as_deref().ok_or("its score is missing in the database")?;
    let snapshot: Snapshot = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let registry = instruments.for_directory(&snapshot.source.base);
    let prepared = Prepared::new(snapshot, &registry).map_err(|issues| {
        issues.first().map_or_else(|| "its score does not load".into(), ToString::to_string)
    })?;
    let open = stored
        .open_attempts
        .iter()
        .map(|row| {
            serde_json::from_str(&row.data).map_err(|error| format!("attempt {}: {error}", row.attempt))
        })
        .collect::<Result<_, _>>()?;
    Ok((Live::stored(stored, Arc::new(prepared), now)?, open))
}
