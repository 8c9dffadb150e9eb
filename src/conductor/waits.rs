//! Why sheets are not started, for `job.status`: computed by who asks, from what is published.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::view::JobView;
use crate::exec::{Blocked, InstrumentRef, JobStatus, Mode, Sheet, SheetState};
use crate::ids::SheetNo;
use crate::sched::Standing;
use crate::time::Now;

/// Sheets whose reasons are looked up; a person sees the picture before.
const MAX_SHEETS: usize = 1000;

/// What is not started, and why.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Waits {
    /// Sheets that wait for each reason.
    pub(crate) counts: BTreeMap<String, u32>,
    /// The reason of each sheet, with details where there are some.
    pub(crate) sheets: BTreeMap<SheetNo, String>,
}

impl Waits {
    fn add(&mut self, sheet: SheetNo, reason: &str, shown: String) {
        *self.counts.entry(reason.to_owned()).or_insert(0) += 1;
        self.sheets.insert(sheet, shown);
    }

    /// As members `held_back` of a status object, where something is held back: of the job the counts, of
    /// each sheet its reason.
    pub(crate) fn put_into(self, status: &mut Value) {
        for (sheet, reason) in self.sheets {
            status["sheets"][sheet.to_string()]["held_back"] = reason.into();
        }
        if !self.counts.is_empty() {
            status["held_back"] = json!(self.counts);
        }
    }
}

impl JobView {
    /// Why what could run of this job does not.
    pub(crate) fn waits(&self, standing: &Standing, now: Now) -> Waits {
        let mut waits = Waits::default();
        for (sheet, pids) in &self.leftovers {
            waits.add(*sheet, "blocked_by_orphan", format!("blocked_by_orphan: {pids:?}"));
        }
        let running = self.sheets.iter().filter(|sheet| sheet.state.active().is_some()).count();
        let obeys = self.spec.breaker.is_some();
        let whole = self.whole_job(now);
        for sheet in self.sheets.iter().filter(|sheet| self.is_ready(sheet)).take(MAX_SHEETS) {
            let on = match sheet.ledger.mode {
                Mode::Recover => InstrumentRef::rules_alone(),
                Mode::Normal | Mode::Completion | Mode::Healing => self.instrument(sheet),
            };
            if let SheetState::Waiting { .. } = sheet.state {
                let reason = format!("rate_limited:{}", on.name);
                waits.add(sheet.num, &reason, reason.clone());
            } else if let Some(reason) = &whole {
                waits.add(sheet.num, reason, reason.clone());
            } else if let Some(held) = standing.held(now.mono, on, running, obeys) {
                waits.add(sheet.num, &held.reason.to_string(), held.describe(now.mono));
            }
        }
        waits
    }

    /// What holds the job as a whole.
    fn whole_job(&self, now: Now) -> Option<String> {
        match self.status {
            JobStatus::Queued => Some(match &self.waits_for {
                Some(holder) => format!("workspace_lock:{holder}"),
                None => "job_limit".to_owned(),
            }),
            JobStatus::Paused => Some(Blocked::Paused.to_string()),
            JobStatus::Running => match self.blocked? {
                Blocked::Pacing(until) if until.is_due(now) => None,
                blocked => Some(blocked.to_string()),
            },
            JobStatus::Finishing
            | JobStatus::PausedAtChain
            | JobStatus::Completed
            | JobStatus::Failed
            | JobStatus::Cancelled => None,
        }
    }

    /// Whether a sheet waits for nothing of its own job but a rate limit.
    fn is_ready(&self, sheet: &Sheet) -> bool {
        let satisfied =
            |on: &SheetNo| self.sheets.get(on.index()).is_some_and(|sheet| sheet.state.satisfies());
        match sheet.state {
            SheetState::Waiting { .. } => true,
            SheetState::Pending => self.spec.sheets[sheet.num.index()].after.iter().all(satisfied),
            SheetState::Dispatched(_)
            | SheetState::InProgress(_)
            | SheetState::RetryScheduled { .. }
            | SheetState::Fermata(_)
            | SheetState::Completed { .. }
            | SheetState::Failed { .. }
            | SheetState::Skipped { .. }
            | SheetState::Cancelled { .. } => false,
        }
    }

    /// Whether a sheet that is not over is to run on such an instrument.
    pub(crate) fn wants(&self, on: impl Fn(&InstrumentRef) -> bool) -> bool {
        self.sheets.iter().filter(|sheet| !sheet.state.is_terminal()).any(|sheet| on(self.instrument(sheet)))
    }

    fn instrument(&self, sheet: &Sheet) -> &InstrumentRef {
        let chain = &self.spec.sheets[sheet.num.index()].instruments;
        &chain[(sheet.ledger.instrument_index as usize).min(chain.len() - 1)]
    }
}
