//! What must hold at the end of every step: nobody waits for a failed sheet, and a job that is
//! over, or drained for a pause, says so in the same turn.

use std::sync::Arc;

use serde_json::json;

use super::out::Out;
use super::{Ending, Execution, JobStatus, Sheet, SheetError, SheetState, SkipReason, event};
use crate::classify::ErrorCode;
use crate::ids::SheetNo;
use crate::time::{Now, Wall};

impl Execution {
    pub(super) fn settle(&mut self, now: Now, out: &mut Out) {
        if self.job.status.is_terminal() {
            return;
        }
        if matches!(self.job.status, JobStatus::Finishing | JobStatus::PausedAtChain) {
            return self.run_hooks(now, out);
        }
        if self.job.ledger.recovery.is_none() {
            self.skip_rest_after_failure(now.wall, out);
        }
        self.end_escalation(out);
        if !self.index.active.is_empty() || self.set_up(out) {
            return;
        }
        if self.job.status == JobStatus::Running && self.job.ending.is_none() {
            self.end_recovery(now, out);
            if self.job.status.is_terminal() {
                return;
            }
        }
        let running = self.job.status == JobStatus::Running;
        match self.job.ending.take() {
            Some(Ending::Cancel) => self.finish(now, JobStatus::Cancelled, None, out),
            Some(Ending::Timeout { message } | Ending::Fail { message }) => {
                self.after_sheets(now, Some(message), true, out);
            }
            Some(Ending::Orphaned { message }) if self.index.counts.unfinished() > 0 => {
                self.give_recovery_up(now.wall, out);
                self.free_held(out);
                self.finish(now, JobStatus::Failed, Some(message), out);
            }
            Some(Ending::Orphaned { .. }) | None if running && self.index.counts.unfinished() == 0 => {
                self.finish_by_sheets(now, out);
            }
            Some(Ending::Orphaned { .. }) | None => {
                if !self.job.pause_flags.is_empty() && self.job.status != JobStatus::Paused {
                    self.pause_drained(now, out);
                }
            }
        }
    }

    /// Sheets of a job that ends with work left wait for nothing any more.
    fn free_held(&mut self, out: &mut Out) {
        for at in 0..self.sheets.len() {
            let held = matches!(
                self.sheets[at].state,
                SheetState::Waiting { .. } | SheetState::RetryScheduled { .. } | SheetState::Fermata(_)
            );
            if held {
                self.set_state(SheetNo::from_index(at), SheetState::Pending, out);
            }
        }
    }

    /// `fail_fast`: after the first failure everything that does not run is skipped, but for what a person is
    /// asked about: its work is done, and the answer decides.
    pub(super) fn skip_rest_after_failure(&mut self, at: Wall, out: &mut Out) {
        let counts = self.index.counts;
        if !self.spec.fail_fast || counts.failed == 0 || counts.unfinished() == counts.active + counts.fermata
        {
            return;
        }
        let first = self
            .sheets
            .iter()
            .filter_map(|sheet| match sheet.state {
                SheetState::Failed { at } => Some((at, sheet.num)),
                _ => None,
            })
            .min();
        let Some((_, failed)) = first else { return };
        let note = format!("fail_fast after sheet {failed}");
        for at_index in 0..self.sheets.len() {
            let state = &self.sheets[at_index].state;
            if !state.is_terminal() && state.active().is_none() && !matches!(state, SheetState::Fermata(_)) {
                self.block(SheetNo::from_index(at_index), at, &note, out);
            }
        }
    }

    /// Fails a sheet and skips everything that can no longer run because of it.
    pub(super) fn fail_sheet(&mut self, num: SheetNo, at: Wall, out: &mut Out) {
        self.ledger(num).error.get_or_insert_with(no_reason);
        self.set_state(num, SheetState::Failed { at }, out);
        self.cascade(num, at, out);
    }

    /// Skips all sheets that depend on an unsuccessful one, directly or through others. Idempotent.
    pub(super) fn cascade(&mut self, root: SheetNo, at: Wall, out: &mut Out) {
        let note = format!("Blocked by failed dependency: sheet {root}");
        let mut todo = vec![root];
        while let Some(num) = todo.pop() {
            let dependents: Vec<SheetNo> = self.index.dependents(num).collect();
            for dependent in dependents {
                let state = &self.sheets[dependent.index()].state;
                if !state.is_terminal() && state.active().is_none() {
                    self.block(dependent, at, &note, out);
                    todo.push(dependent);
                }
            }
        }
    }

    fn block(&mut self, num: SheetNo, at: Wall, note: &str, out: &mut Out) {
        self.ledger(num).note = Some(note.to_owned());
        self.set_state(num, SheetState::Skipped { at, reason: SkipReason::UpstreamFailed }, out);
        out.event(event::sheet("sheet.skipped", num, json!({ "reason": note })));
    }

    fn finish_by_sheets(&mut self, now: Now, out: &mut Out) {
        let all = self.index.counts.satisfied() as usize == self.sheets.len();
        if all && !self.sheets.is_empty() {
            self.after_sheets(now, None, false, out);
            return;
        }
        let message = self.blemish();
        self.after_sheets(now, Some(message), true, out);
    }

    /// What the job's error says about its first sheet that did not succeed.
    pub(super) fn blemish(&self) -> String {
        let first = self.sheets.iter().find_map(first_blemish);
        first.unwrap_or_else(|| "The job has no sheet that could run".to_owned())
    }

    pub(super) fn finish(&mut self, now: Now, status: JobStatus, error: Option<String>, out: &mut Out) {
        if self.job.status == JobStatus::Running {
            out.released();
        }
        self.job.stop_clock(now);
        self.job.status = status;
        self.job.ending = None;
        self.job.hold = None;
        self.job.pause_flags.clear();
        let ledger = &mut self.job.ledger;
        ledger.completed = Some(now.wall);
        ledger.error.clone_from(&error);
        if error.is_none() {
            ledger.error_code = None;
        }
        ledger.finishing = None;
        ledger.recovery = None;
        ledger.checkpoint = None;
        let hooks_failed = ledger.failed_hooks();
        out.job();
        let seconds = self.job.ran(now).as_secs_f64();
        let data = |all_success: bool| {
            json!({
                "all_success": all_success,
                "error_message": error,
                "duration_seconds": seconds,
                "hooks_failed": hooks_failed,
            })
        };
        out.event(match status {
            JobStatus::Completed => event::job("job.completed", data(true)),
            JobStatus::Cancelled => event::job("job.cancelled", json!({ "reason": "user" })),
            JobStatus::Failed
            | JobStatus::Queued
            | JobStatus::Running
            | JobStatus::Paused
            | JobStatus::Finishing
            | JobStatus::PausedAtChain => event::job("job.failed", data(false)),
        });
    }

    fn pause_drained(&mut self, now: Now, out: &mut Out) {
        if self.job.status == JobStatus::Running {
            out.released();
        }
        self.job.stop_clock(now);
        self.job.status = JobStatus::Paused;
        out.job();
        let reason: Vec<&str> = self.job.pause_flags.iter().map(|flag| flag.as_str()).collect();
        out.event(event::job("job.paused", json!({ "reason": reason.join(", ") })));
    }
}

/// The error of a sheet that failed without one of its own: a person decided so, or it was cancelled.
pub(super) fn no_reason() -> SheetError {
    SheetError { code: ErrorCode::E999, message: "It failed without an error of its own".to_owned() }
}

/// What the job's error says about a sheet that did not succeed.
fn first_blemish(sheet: &Arc<Sheet>) -> Option<String> {
    match &sheet.state {
        SheetState::Failed { .. } => Some(match &sheet.ledger.error {
            Some(error) => format!("Sheet {} failed: {} [{}]", sheet.num, error.message, error.code),
            None => format!("Sheet {} failed", sheet.num),
        }),
        SheetState::Cancelled { .. } => Some(format!("Sheet {} was cancelled", sheet.num)),
        _ => None,
    }
}
