//! The set-up phase of a job: what its score wants before the first sheet of a run.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Doing, News};
use crate::classify::ErrorCode;
use crate::conductor::core::Core;
use crate::conductor::messages::Event;
use crate::conductor::prepared::Prepared;
use crate::conductor::side::{Errand, Side};
use crate::exec::{Input, SetUp, SheetError};
use crate::executor::Control;
use crate::ids::JobId;
use crate::time::Now;

/// A set-up to be done.
pub(crate) struct SetUpOrder {
    pub(super) job: JobId,
    pub(super) epoch: u32,
    pub(super) prepared: Arc<Prepared>,
    pub(super) workspace: PathBuf,
    /// A fresh run whose workspace has not been archived yet.
    pub(super) archive: bool,
    /// Nothing of the job has been tried yet.
    pub(super) first: bool,
    /// What was done for the run before.
    pub(super) earlier: Option<SetUp>,
    pub(super) control: Control,
}

impl Core {
    pub(super) fn begin_set_up(&mut self, id: &JobId) {
        let Some(live) = self.jobs.get(id) else { return };
        let ledger = &live.exec.job().ledger;
        let untried = live.exec.sheets().iter().all(|sheet| sheet.ledger.attempt_count == 0);
        let first = untried && ledger.completed_in_run == 0;
        let order = SetUpOrder {
            job: id.clone(),
            epoch: ledger.run_epoch,
            prepared: Arc::clone(&live.prepared),
            workspace: live.card.workspace.clone(),
            archive: first && live.card.origin.fresh && ledger.set_up.is_none(),
            first,
            earlier: ledger.set_up.clone(),
            control: Control::new(),
        };
        let doing = Doing::SetUp { epoch: order.epoch, control: order.control.clone() };
        self.around.doing.insert(id.clone(), doing);
        self.push_long(id, Errand::SetUp(Box::new(order)));
    }

    pub(super) fn set_up_done(&mut self, now: Now, id: &JobId, of: u32, result: Result<SetUp, SheetError>) {
        let Some(Doing::SetUp { epoch, control }) = self.around.doing.get(id) else { return };
        if *epoch != of {
            return;
        }
        let cancelled = control.is_cancelled();
        self.around.doing.remove(id);
        let stopped = self.stopping.is_some_and(|stopping| stopping.ending) && cancelled;
        if stopped && result.is_err() {
            // Ended by our own stop; the next conductor does it again.
            return;
        }
        match &result {
            Ok(set_up) => {
                for warning in &set_up.warnings {
                    log::warn!("job.set_up_warning job_id={id} warning={warning:?}");
                }
            }
            Err(error) => log::warn!("job.set_up_failed job_id={id} error={:?}", error.message),
        }
        self.step(now, id, Input::SetUpDone(result));
    }
}

/// Tells the result when it is dropped, whatever happened in between.
struct Report<'a> {
    side: &'a Side,
    job: JobId,
    epoch: u32,
    result: Option<Result<SetUp, SheetError>>,
}

impl Drop for Report<'_> {
    fn drop(&mut self) {
        let panicked = || {
            let message = "the set-up panicked; please report this with the conductor's log".to_owned();
            Err(SheetError { code: ErrorCode::E999, message })
        };
        let result = self.result.take().unwrap_or_else(panicked);
        let news = News::SetUpDone(self.job.clone(), self.epoch, Box::new(result));
        self.side.report(Event::Around(news));
        self.side.report(Event::Around(News::Freed(self.job.clone())));
    }
}

/// Does it, on a side worker.
pub(in crate::conductor) fn run(side: &Side, order: &SetUpOrder) {
    let mut report = Report { side, job: order.job.clone(), epoch: order.epoch, result: None };
    report.result = Some(prepare(side, order));
}

fn prepare(_side: &Side, order: &SetUpOrder) -> Result<SetUp, SheetError> {
    Ok(order.earlier.clone().unwrap_or_default())
}
