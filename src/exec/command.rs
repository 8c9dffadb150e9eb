//! What people and the conductor ask of a job: pause, resume, cancel, fail.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;

use super::index::Index;
use super::out::Out;
use super::{
    Effect, EndReason, Ending, Execution, JobStatus, PauseFlag, Rerun, Sheet, SheetState, SkipReason, event,
};
use crate::ids::SheetNo;
use crate::time::{Now, Wall};

/// Sheets that are named in one message.
const MOST_SHOWN: usize = 10;

impl Execution {
    pub(super) fn pause(&mut self, flag: PauseFlag, at_once: bool, out: &mut Out) {
        if self.job.status.is_terminal() || self.job.ending.is_some() {
            return;
        }
        if self.job.pause_flags.insert(flag) {
            out.job();
        }
        if at_once {
            let reason = match flag {
                PauseFlag::User
                | PauseFlag::Cost
                | PauseFlag::Escalation
                | PauseFlag::Checkpoint
                | PauseFlag::Pressure => EndReason::Pause,
                PauseFlag::Shutdown => EndReason::Shutdown,
            };
            self.end_attempts(reason, false, out);
        }
    }

    pub(super) fn unpause(&mut self, flag: PauseFlag, out: &mut Out) {
        if self.job.pause_flags.remove(&flag) {
            out.job();
            self.queue_if_unpaused("unpaused", out);
        }
    }

    pub(super) fn resume(&mut self, now: Now, rerun: Rerun, out: &mut Out) {
        if self.job.ending.is_some() || self.job.status == JobStatus::Completed {
            return;
        }
        self.go_on(now, rerun, out);
        if let Some(outdated) = self.outdated() {
            self.remark(now, None, outdated, out);
        }
    }

    fn go_on(&mut self, now: Now, rerun: Rerun, out: &mut Out) {
        match self.job.status {
            JobStatus::Completed | JobStatus::Queued => {}
            // Still draining: the pause is called off, the permit was never given back.
            JobStatus::Running | JobStatus::Finishing => self.lift_pauses(out),
            JobStatus::Paused => {
                // A recovery goes on; otherwise what did not succeed runs again.
                if self.job.ledger.recovery.is_none() {
                    self.reopen(rerun, now.wall, out);
                }
                self.lift_pauses(out);
                out.job();
                if self.job.pause_flags.is_empty() {
                    self.job.ledger.run_epoch += 1;
                    self.job.ledger.budget_remarks.clear();
                    self.queue_if_unpaused("resumed", out);
                }
            }
            JobStatus::PausedAtChain => {
                // What the person says is when the chain goes on, not that failed sheets run again.
                if !self.job.ledger.finishing.as_ref().is_some_and(|finishing| finishing.failed) {
                    self.reopen(rerun, now.wall, out);
                }
                self.lift_pauses(out);
                out.job();
                if self.index.counts.unfinished() > 0 {
                    // The score has changed meanwhile: there is work before the chain goes on.
                    self.job.ledger.finishing = None;
                    self.job.status = JobStatus::Paused;
                    self.job.ledger.run_epoch += 1;
                    self.queue_if_unpaused("resumed", out);
                    return;
                }
                self.job.status = JobStatus::Finishing;
                if let Some(finishing) = &mut self.job.ledger.finishing {
                    finishing.confirmed = true;
                    finishing.cooled = true;
                }
            }
            JobStatus::Failed | JobStatus::Cancelled => self.restart(rerun, now.wall, out),
        }
    }

    /// What a person who resumes lifts: everything but questions that are open, and a budget that
    /// is still exceeded.
    fn lift_pauses(&mut self, out: &mut Out) {
        let before = self.job.pause_flags.len();
        let open = self.index.counts.fermata > 0;
        let dear = self.is_over_budget();
        self.job.pause_flags.retain(|flag| match flag {
            PauseFlag::Escalation => open,
            PauseFlag::Cost => dear,
            PauseFlag::User | PauseFlag::Checkpoint | PauseFlag::Pressure | PauseFlag::Shutdown => false,
        });
        let at_checkpoint = self.job.ledger.checkpoint.take().is_some();
        if at_checkpoint || self.job.pause_flags.len() != before {
            out.job();
        }
    }

    /// An ended job runs again: what did not succeed is pending with fresh budgets.
    fn restart(&mut self, rerun: Rerun, at: Wall, out: &mut Out) {
        self.reopen(rerun, at, out);
        self.new_run("resumed", out);
    }

    /// Another run of an ended job. It waits for a permit, or for more money.
    pub(super) fn new_run(&mut self, reason: &str, out: &mut Out) {
        self.job.pause_flags = BTreeSet::new();
        self.job.status = JobStatus::Queued;
        let ledger = &mut self.job.ledger;
        ledger.completed = None;
        ledger.error = None;
        ledger.error_code = None;
        ledger.ran_ms = 0;
        ledger.run_epoch += 1;
        ledger.budget_remarks.clear();
        ledger.completed_in_run = 0;
        ledger.finishing = None;
        ledger.checkpoint = None;
        out.job();
        if self.is_over_budget() && self.job.ledger.recovery.is_none() {
            self.job.pause_flags.insert(PauseFlag::Cost);
            self.job.status = JobStatus::Paused;
            out.event(event::job("job.paused", json!({ "reason": PauseFlag::Cost.as_str() })));
            return;
        }
        out.event(event::job("job.queued", json!({ "reason": reason })));
    }

    /// Makes the sheets pending that run again. Nothing of the job runs.
    fn reopen(&mut self, rerun: Rerun, at: Wall, out: &mut Out) {
        let below = |limit: Option<SheetNo>, num: SheetNo| limit.is_some_and(|limit| num < limit);
        let changed = if rerun.changed { self.changed_and_dependents() } else { BTreeSet::new() };
        for sheet in &mut self.sheets {
            let num = sheet.num;
            let unsuccessful = sheet.state.is_terminal() && !sheet.state.satisfies();
            let completed = matches!(sheet.state, SheetState::Completed { .. });
            if !sheet.state.satisfies() && below(rerun.start, num) {
                let sheet = Arc::make_mut(sheet);
                sheet.reset();
                sheet.state = SheetState::Skipped { at, reason: SkipReason::StartSheet };
                out.sheet(num);
            } else if (unsuccessful && !below(rerun.from, num)) || (completed && changed.contains(&num)) {
                let sheet = Arc::make_mut(sheet);
                sheet.reset();
                sheet.ledger.last_activity = Some(at);
                out.sheet(num);
            }
        }
        self.index = Index::build(&self.spec, &self.sheets);
        self.block_dependents(at, out);
    }

    /// Completed sheets whose part of the score has changed since, in words; `None` without any.
    #[must_use]
    pub fn outdated(&self) -> Option<String> {
        let changed = |sheet: &&Arc<Sheet>| {
            sheet.ledger.changed_since_run && matches!(sheet.state, SheetState::Completed { .. })
        };
        let nums: Vec<String> = self.sheets.iter().filter(changed).map(|it| it.num.to_string()).collect();
        let (shown, more) = nums.split_at(nums.len().min(MOST_SHOWN));
        let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
        let way = if self.job.status == JobStatus::Completed {
            "start the job with --fresh to run it again from its first sheet"
        } else {
            "resume with --rerun-changed to run them and what depends on them again"
        };
        (!nums.is_empty()).then(|| {
            format!(
                "the score has changed what completed sheets are made of, and they keep their results: {}{more}; {way}",
                shown.join(", ")
            )
        })
    }

    /// What is unsuccessful blocks what depends on it.
    pub(super) fn block_dependents(&mut self, at: Wall, out: &mut Out) {
        for index in 0..self.sheets.len() {
            let state = &self.sheets[index].state;
            if state.is_terminal() && !state.satisfies() {
                self.cascade(SheetNo::from_index(index), at, out);
            }
        }
    }

    fn changed_and_dependents(&self) -> BTreeSet<SheetNo> {
        let changed = self.sheets.iter().filter(|sheet| sheet.ledger.changed_since_run);
        let mut todo: Vec<SheetNo> = changed.map(|sheet| sheet.num).collect();
        let mut all = BTreeSet::new();
        while let Some(num) = todo.pop() {
            if all.insert(num) {
                todo.extend(self.index.dependents(num));
            }
        }
        all
    }

    fn queue_if_unpaused(&mut self, reason: &str, out: &mut Out) {
        if self.job.status == JobStatus::Paused && self.job.pause_flags.is_empty() {
            self.job.status = JobStatus::Queued;
            out.job();
            out.event(event::job("job.queued", json!({ "reason": reason })));
        }
    }

    /// Cancels or fails the job: what does not run is cancelled at once, what runs is ended.
    /// Asked again, the running attempts are told again, which skips their grace.
    pub(super) fn end_job(&mut self, now: Now, ending: Ending, out: &mut Out) {
        if self.job.status.is_terminal() {
            return;
        }
        let Some(reason) = ending.reason() else { return };
        let why = match &ending {
            Ending::Timeout { message } | Ending::Fail { message } => Some(format!("Not run: {message}")),
            Ending::Cancel | Ending::Orphaned { .. } => None,
        };
        if self.job.ending.as_ref().is_some_and(|first| first.reason().is_some()) {
            self.end_attempts(reason, true, out);
            return;
        }
        self.job.ending = Some(ending);
        out.job();
        if self.set_up_runs || self.hook_runs {
            out.act(Effect::EndHook);
        }
        self.give_recovery_up(now.wall, out);
        for at in 0..self.sheets.len() {
            let state = &self.sheets[at].state;
            if !state.is_terminal() && state.active().is_none() {
                let num = SheetNo::from_index(at);
                // A sheet says why it never ran; one that has failed before keeps its own error.
                self.ledger(num).note.clone_from(&why);
                self.set_state(num, SheetState::Cancelled { at: now.wall }, out);
            }
        }
        self.end_attempts(reason, false, out);
    }

    pub(super) fn orphaned(&mut self, message: String, out: &mut Out) {
        // A job that was pausing starts nothing new anyway: it becomes paused, not failed.
        let paused = !self.job.pause_flags.is_empty();
        if self.job.status == JobStatus::Running && self.job.ending.is_none() && !paused {
            self.job.ending = Some(Ending::Orphaned { message });
            out.job();
        }
    }

    pub(super) fn limit_cleared(&mut self, now: Now, instrument: Option<&str>, out: &mut Out) {
        let held: Vec<SheetNo> = self.index.timers.iter().map(|&(_, num)| num).collect();
        for num in held {
            let waits = matches!(self.sheets[num.index()].state, SheetState::Waiting { .. });
            let concerned = instrument.is_none_or(|name| *self.instrument(num).name == *name);
            if waits && concerned {
                self.ledger(num).last_activity = Some(now.wall);
                self.set_state(num, SheetState::Pending, out);
            }
        }
    }

    /// Asks for the end of every running attempt. The first reason of an attempt stays.
    fn end_attempts(&mut self, reason: EndReason, again: bool, out: &mut Out) {
        let running: Vec<SheetNo> = self.index.active.iter().copied().collect();
        for num in running {
            let sheet = Arc::make_mut(&mut self.sheets[num.index()]);
            let Some(active) = sheet.state.active_mut() else { continue };
            let fresh = active.ending.is_none();
            let first = *active.ending.get_or_insert(reason);
            let active = *active;
            if fresh {
                out.sheet(num);
                out.attempt(self.attempt_record(num, &active, None));
            }
            if fresh || again {
                out.act(Effect::End { sheet: num, attempt: active.attempt, reason: first });
            }
        }
    }
}
