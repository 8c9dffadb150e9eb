//! What a job has to run, by instrument: looked up once after each change of the job, so that a
//! decision costs a few comparisons per job and not one per sheet.

use super::{Candidate, Candidates};
use crate::exec::InstrumentRef;
use crate::ids::{JobId, SheetNo};

/// Sheets of one job that want the same instrument and have the same fallbacks.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) instrument: InstrumentRef,
    pub(super) fallbacks: Vec<InstrumentRef>,
    /// The most urgent of them.
    pub(super) sheet: SheetNo,
    pub(super) depth: u32,
    pub(super) retries: u32,
    /// How many there are.
    pub(super) count: u32,
}

impl Group {
    fn of(candidate: &Candidate<'_>) -> Self {
        Self {
            instrument: candidate.instrument.clone(),
            fallbacks: candidate.fallbacks.to_vec(),
            sheet: candidate.sheet,
            depth: candidate.depth,
            retries: candidate.retries,
            count: candidate.count,
        }
    }
}

/// Everything that a job offers.
pub(super) fn look(candidates: &dyn Candidates, job: &JobId) -> Vec<Group> {
    let mut groups = Vec::new();
    candidates.offer(job, &mut |candidate| groups.push(Group::of(&candidate)));
    groups
}
