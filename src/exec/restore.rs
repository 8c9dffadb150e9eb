//! A job from what is stored of it, after a restart or with a changed score.

use std::collections::HashMap;
use std::sync::Arc;

use super::index::Index;
use super::out::Out;
use super::{Execution, JobSpec, JobStatus, PauseFlag, Sheet, SheetState, SkipReason};
use crate::checkpoint::{JobRecord, SheetRecord};
use crate::ids::SheetNo;
use crate::time::Now;

impl Execution {
    /// The job as its records say. Waits go on with what remains of them; running attempts stay
    /// running, their fate is told by the inputs that follow.
    ///
    /// Sheets are matched by stage and instance, so a score that has changed since may be used
    /// when nothing runs: a sheet whose part of the score is the same keeps its state; one that
    /// is completed or was skipped on purpose stays so and is marked; every other is pending
    /// with fresh budgets. Sheets that the score no longer has are left out.
    #[must_use]
    pub fn restore(spec: Arc<JobSpec>, job: JobRecord, sheets: Vec<SheetRecord>, now: Now) -> Self {
        let mut stored: HashMap<(u32, u32), SheetRecord> =
            sheets.into_iter().map(|record| ((record.stage, record.instance), record)).collect();
        let mut out = Out::default();
        let sheets: Vec<Arc<Sheet>> = spec
            .sheets
            .iter()
            .enumerate()
            .map(|(at, wanted)| {
                let num = SheetNo::from_index(at);
                let Some(record) = stored.remove(&(wanted.stage, wanted.instance)) else {
                    out.sheet(num);
                    return Arc::new(Sheet::pending(num));
                };
                let same = record.fingerprint == wanted.fingerprint;
                let moved = record.num != num;
                let mut sheet = record.into_sheet(now);
                sheet.num = num;
                let last = u32::try_from(wanted.instruments.len()).unwrap_or(u32::MAX).saturating_sub(1);
                sheet.ledger.instrument_index = sheet.ledger.instrument_index.min(last);
                if !same {
                    adapt(&mut sheet);
                }
                if moved || !same {
                    out.sheet(num);
                }
                Arc::new(sheet)
            })
            .collect();
        let job = job.into_state(now);
        let index = Index::build(&spec, &sheets);
        let mut exec = Self {
            spec,
            job,
            sheets,
            index,
            unsaved: Vec::new(),
            unsettled: false,
            set_up_runs: false,
            hook_runs: false,
        };
        // A crash may have come between a failure and what follows from it.
        for at in 0..exec.sheets.len() {
            let state = &exec.sheets[at].state;
            if state.is_terminal() && !state.satisfies() {
                exec.cascade(SheetNo::from_index(at), now.wall, &mut out);
            }
        }
        exec.take_stock();
        exec.unsaved = out.into_sheets();
        exec.unsettled = !exec.job.status.is_terminal();
        exec
    }

    /// Sums that records of older programs do not have, and a budget that the score has changed.
    fn take_stock(&mut self) {
        let ledger = &mut self.job.ledger;
        if ledger.spent.attempts == 0 {
            for sheet in &self.sheets {
                let (input, output) = (sheet.ledger.input_tokens, sheet.ledger.output_tokens);
                ledger.spent.input_tokens += input.unwrap_or(0);
                ledger.spent.output_tokens += output.unwrap_or(0);
            }
        }
        let open = matches!(self.job.status, JobStatus::Queued | JobStatus::Running | JobStatus::Paused);
        if open && self.job.ending.is_none() && self.job.ledger.recovery.is_none() && self.is_over_budget() {
            self.job.pause_flags.insert(PauseFlag::Cost);
        }
    }

    /// What is stored of the job itself.
    #[must_use]
    pub fn job_record(&self) -> JobRecord {
        JobRecord::new(&self.job)
    }

    /// What is stored of one sheet.
    ///
    /// # Panics
    /// When the job has no such sheet.
    #[must_use]
    pub fn sheet_record(&self, num: SheetNo) -> SheetRecord {
        SheetRecord::new(&self.sheets[num.index()], &self.spec.sheets[num.index()])
    }

    /// The same job under a changed score (see [`Self::restore`]). Every sheet is saved by the next step.
    /// Only for a job of which nothing runs.
    #[must_use]
    pub fn rescored(&self, spec: Arc<JobSpec>, now: Now) -> Self {
        let records = self.sheets.iter().map(|sheet| self.sheet_record(sheet.num)).collect();
        let mut changed = Self::restore(spec, self.job_record(), records, now);
        changed.unsaved = changed.sheets.iter().map(|sheet| sheet.num).collect();
        changed
    }
}

/// A sheet whose part of the score has changed.
fn adapt(sheet: &mut Sheet) {
    match &sheet.state {
        SheetState::Completed { .. } => sheet.ledger.changed_since_run = true,
        SheetState::Skipped { reason, .. } if *reason != SkipReason::UpstreamFailed => {}
        SheetState::Dispatched(_) | SheetState::InProgress(_) => {}
        SheetState::Skipped { .. }
        | SheetState::Pending
        | SheetState::Waiting { .. }
        | SheetState::RetryScheduled { .. }
        | SheetState::Fermata(_)
        | SheetState::Failed { .. }
        | SheetState::Cancelled { .. } => sheet.reset(),
    }
}
