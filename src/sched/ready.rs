//! What a job has to run, by instrument: looked up once after each change of the job, so that a
//! decision costs a few comparisons per job and not one per sheet.

use std::ops::ControlFlow;

use super::{Candidate, Candidates};
use crate::exec::InstrumentRef;
use crate::ids::{JobId, SheetNo};

/// Sheets of one job that are looked at; the rest only when none of these can start.
const LOOKED_AT: u32 = 256;
/// Different instruments (with their fallbacks) that are told apart in one job.
const MAX_GROUPS: usize = 64;

/// The runnable sheets of one job.
#[derive(Debug, Default)]
pub(super) struct Ready {
    pub(super) groups: Vec<Group>,
    /// Nothing was left out.
    pub(super) complete: bool,
}

/// Sheets of one job that want the same instrument and have the same fallbacks.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) instrument: InstrumentRef,
    pub(super) fallbacks: Vec<InstrumentRef>,
    /// The most urgent of them.
    pub(super) sheet: SheetNo,
    pub(super) depth: u32,
    pub(super) retries: u32,
    /// How many there are, as far as looked at.
    pub(super) count: u32,
}

impl Ready {
    /// Looks at the first sheets of a job.
    pub(super) fn look(candidates: &dyn Candidates, job: &JobId) -> Self {
        let mut ready = Self { groups: Vec::new(), complete: true };
        let mut seen = 0;
        candidates.offer(job, &mut |candidate| {
            if seen == LOOKED_AT {
                ready.complete = false;
                return ControlFlow::Break(());
            }
            seen += 1;
            ready.add(&candidate);
            ControlFlow::Continue(())
        });
        ready
    }

    /// Looks at all sheets of a job until one is found that `may_start`.
    pub(super) fn look_further(
        candidates: &dyn Candidates,
        job: &JobId,
        mut may_start: impl FnMut(&InstrumentRef, &[InstrumentRef]) -> bool,
    ) -> Self {
        let mut ready = Self { groups: Vec::new(), complete: true };
        candidates.offer(job, &mut |candidate| {
            let news = ready.add(&candidate);
            if news == News::Known {
                return ControlFlow::Continue(());
            }
            let free = may_start(candidate.instrument, candidate.fallbacks);
            if news == News::NoRoom {
                ready.complete = false;
                if free {
                    ready.groups.push(Group::of(&candidate));
                }
            }
            if free {
                ready.complete = false;
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        ready
    }

    fn add(&mut self, candidate: &Candidate<'_>) -> News {
        // Sheets in a row mostly share their instrument, so the newest group comes first.
        if let Some(group) = self.groups.iter_mut().rev().find(|group| group.takes(candidate)) {
            group.add(candidate);
            News::Known
        } else if self.groups.len() < MAX_GROUPS {
            self.groups.push(Group::of(candidate));
            News::Group
        } else {
            self.complete = false;
            News::NoRoom
        }
    }
}

/// What a candidate was to the groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    Known,
    Group,
    NoRoom,
}

impl Group {
    fn of(candidate: &Candidate<'_>) -> Self {
        Self {
            instrument: candidate.instrument.clone(),
            fallbacks: candidate.fallbacks.to_vec(),
            sheet: candidate.sheet,
            depth: candidate.depth,
            retries: candidate.retries,
            count: 1,
        }
    }

    fn takes(&self, candidate: &Candidate<'_>) -> bool {
        self.instrument == *candidate.instrument && self.fallbacks == candidate.fallbacks
    }

    fn add(&mut self, candidate: &Candidate<'_>) {
        self.count += 1;
        // Everything else that decides is the same for all sheets of a job. Ties go to the lower number.
        let urgency = |depth: u32, retries: u32| i64::from(depth) - i64::from(retries.min(10)) * 5;
        if urgency(candidate.depth, candidate.retries) < urgency(self.depth, self.retries) {
            (self.sheet, self.depth, self.retries) = (candidate.sheet, candidate.depth, candidate.retries);
        }
    }
}
