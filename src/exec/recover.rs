//! Recovery of a failed job: the rules of its unsuccessful sheets are checked again, no program runs.
//!
//! What passes is completed, what does not keeps its old error. Then the sheets that were blocked
//! only by what is completed now are pending, and the job is paused, so that a person says when
//! it goes on; without such sheets it is over.

use std::sync::Arc;

use serde_json::json;

use super::close::End;
use super::index::Index;
use super::out::Out;
use super::retry::{self, MAX_INTERRUPTIONS};
use super::{
    Active, AttemptEnd, Evidence, Execution, JobStatus, Mode, Outcome, OutcomeCategory, PauseFlag, Recovery,
    SheetState, SkipReason, event,
};
use crate::ids::SheetNo;
use crate::time::{Deadline, Now, Wall};

impl Execution {
    pub(super) fn recover(&mut self, from: Option<SheetNo>, out: &mut Out) {
        if self.job.status != JobStatus::Failed {
            return;
        }
        let wanted = |sheet: &super::Sheet| {
            let began = sheet.ledger.attempt_count > 0;
            let open = matches!(sheet.state, SheetState::Failed { .. })
                || (matches!(sheet.state, SheetState::Cancelled { .. }) && began);
            open && from.is_none_or(|from| sheet.num >= from)
        };
        let mut some = false;
        for sheet in &mut self.sheets {
            if !wanted(sheet) {
                continue;
            }
            let sheet = Arc::make_mut(sheet);
            let ledger = &mut sheet.ledger;
            ledger.before_recovery = ledger.error.take();
            ledger.mode = Mode::Recover;
            ledger.outcome = None;
            ledger.crash_interruptions = 0;
            ledger.not_started = 0;
            sheet.state = SheetState::Pending;
            out.sheet(sheet.num);
            some = true;
        }
        if !some {
            return;
        }
        self.index = Index::build(&self.spec, &self.sheets);
        let ledger = &mut self.job.ledger;
        ledger.recovery =
            Some(Recovery { recovered: 0, error: ledger.error.take(), code: ledger.error_code.take() });
        self.new_run("recovering", out);
    }

    /// What checking the rules of a sheet again has shown.
    pub(super) fn recovered(
        &mut self,
        now: Now,
        num: SheetNo,
        active: &Active,
        outcome: Outcome,
        evidence: &Arc<Evidence>,
        out: &mut Out,
    ) {
        let ruleless = matches!(outcome, Outcome::Ran { executed: 0, .. });
        let whole = !ruleless
            && matches!(outcome, Outcome::Ran { passed, executed, .. } if passed >= executed)
            || matches!(outcome, Outcome::Accepted { .. });
        let (kind, share) = match &outcome {
            _ if whole => (AttemptEnd::Completed, Some(100.0)),
            _ if ruleless => (AttemptEnd::Failed, None),
            Outcome::Ran { passed, executed, .. } => {
                (AttemptEnd::Partial, Some(f64::from(*passed) * 100.0 / f64::from((*executed).max(1))))
            }
            Outcome::NotStarted { .. } => (AttemptEnd::NotStarted, None),
            Outcome::Interrupted { .. } | Outcome::Ended => (AttemptEnd::Interrupted, None),
            _ => (AttemptEnd::Failed, None),
        };
        let end = End { outcome: kind, error: None, counted: false, share };
        self.close(now, num, active, end, evidence, out);
        // No program was started.
        self.uncount(num);
        if ruleless {
            let message = "no rule says what it has to leave behind, so nothing shows that it succeeded: \
                           resume the job, or skip the sheet"
                .to_owned();
            self.remark(now, Some(num), message, out);
        }
        let ledger = self.ledger(num);
        match kind {
            AttemptEnd::Completed => {
                ledger.previous = None;
                ledger.outcome = Some(OutcomeCategory::SuccessValidated);
                if let Some(recovery) = &mut self.job.ledger.recovery {
                    recovery.recovered += 1;
                }
                self.complete(now, num, out);
                let data = event::result(self, num, true);
                out.event(event::sheet("sheet.completed", num, data));
            }
            AttemptEnd::NotStarted => {
                ledger.not_started = ledger.not_started.saturating_add(1);
                let delay = retry::not_started_delay(ledger.not_started);
                self.set_state(num, SheetState::RetryScheduled { until: Deadline::after(now, delay) }, out);
            }
            AttemptEnd::Interrupted if ledger.crash_interruptions + 1 < MAX_INTERRUPTIONS => {
                ledger.crash_interruptions += 1;
                self.set_state(num, SheetState::Pending, out);
            }
            _ => self.not_recovered(num, now.wall, out),
        }
    }

    /// The sheet is failed as it was.
    pub(super) fn not_recovered(&mut self, num: SheetNo, at: Wall, out: &mut Out) {
        let ledger = self.ledger(num);
        ledger.error = Some(ledger.before_recovery.take().unwrap_or_else(super::settle::no_reason));
        ledger.mode = Mode::Normal;
        ledger.outcome = Some(OutcomeCategory::FailedExhausted);
        self.set_state(num, SheetState::Failed { at }, out);
        let data = event::result(self, num, false);
        out.event(event::sheet("sheet.failed", num, data));
    }

    /// Sheets that are still to be checked are failed as they were: the job ends before.
    pub(super) fn give_recovery_up(&mut self, at: Wall, out: &mut Out) {
        if self.job.ledger.recovery.is_none() {
            return;
        }
        for index in 0..self.sheets.len() {
            let sheet = &self.sheets[index];
            let open = sheet.ledger.mode == Mode::Recover && !sheet.state.is_terminal();
            if open && sheet.state.active().is_none() {
                self.not_recovered(SheetNo::from_index(index), at, out);
            }
        }
    }

    /// Nothing is left to check: what was blocked by recovered sheets is pending again.
    pub(super) fn end_recovery(&mut self, now: Now, out: &mut Out) {
        let open =
            self.index.timers.iter().any(|&(_, num)| self.sheets[num.index()].ledger.mode == Mode::Recover);
        if self.job.ledger.recovery.is_none() || open || self.ready().next().is_some() {
            return;
        }
        let Some(recovery) = self.job.ledger.recovery.take() else { return };
        out.job();
        if recovery.recovered == 0 {
            self.job.ledger.error_code = recovery.code;
            return self.finish(now, JobStatus::Failed, recovery.error, out);
        }
        for sheet in &mut self.sheets {
            let blocked =
                matches!(sheet.state, SheetState::Skipped { reason: SkipReason::UpstreamFailed, .. });
            let never =
                matches!(sheet.state, SheetState::Cancelled { .. }) && sheet.ledger.attempt_count == 0;
            if blocked || never {
                let sheet = Arc::make_mut(sheet);
                sheet.reset();
                out.sheet(sheet.num);
            }
        }
        self.index = Index::build(&self.spec, &self.sheets);
        self.block_dependents(now.wall, out);
        self.skip_rest_after_failure(now.wall, out);
        if self.index.counts.unfinished() == 0 {
            if self.index.counts.satisfied() as usize != self.sheets.len() {
                // Its hooks ran when it failed the first time.
                let error = self.blemish();
                self.finish(now, JobStatus::Failed, Some(error), out);
            }
        } else {
            self.job.pause_flags.insert(PauseFlag::User);
            let data = json!({ "recovered": recovery.recovered });
            out.event(event::job("job.recovered", data));
        }
    }
}
