//! What lives outside the conductor and survives its death: the database and the attempts with their guards.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mozart::exec::{AttemptRecord, AttemptReport, JobSpec};
use mozart::ids::{AttemptNo, JobId, SheetNo};
use mozart::sched::{BreakerRecord, LimitRecord};
use mozart::time::Mono;

/// What is committed. Records are kept as text, as they are stored.
#[derive(Debug, Default)]
pub(crate) struct Database {
    pub(crate) jobs: BTreeMap<JobId, Stored>,
    pub(crate) instruments: (Vec<LimitRecord>, Vec<BreakerRecord>),
    /// Commits fail.
    pub(crate) failing: bool,
}

/// One job.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) spec: Arc<JobSpec>,
    pub(crate) job: String,
    pub(crate) sheets: BTreeMap<SheetNo, String>,
    pub(crate) attempt_seq: u32,
    /// Opened and not closed.
    pub(crate) open: BTreeSet<AttemptNo>,
    /// Closed, with what each has cost.
    pub(crate) closed: BTreeMap<AttemptNo, u64>,
}

impl Stored {
    /// Writes what is known of an attempt. An attempt is closed once.
    pub(crate) fn attempt(&mut self, record: &AttemptRecord) {
        let Some(closed) = &record.closed else {
            assert!(!self.closed.contains_key(&record.attempt), "a closed attempt is opened again");
            self.open.insert(record.attempt);
            return;
        };
        self.open.remove(&record.attempt);
        let cost = closed.evidence.cost_micro.unwrap_or(0);
        let twice = self.closed.insert(record.attempt, cost);
        assert!(twice.is_none(), "the result of attempt {} is recorded twice", record.attempt);
    }
}

/// One attempt under its guard.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) sheet: SheetNo,
    pub(crate) instrument: String,
    pub(crate) ends: Mono,
    pub(crate) report: AttemptReport,
    pub(crate) state: Fate,
    /// Taken over by a conductor that did not start it.
    pub(crate) adopted: bool,
}

/// Where an attempt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It runs.
    Runs,
    /// Its record is written.
    Over,
    /// Guard and record are gone, and nobody reports.
    Vanished,
}

/// All attempts that were ever handed out.
#[derive(Debug, Default)]
pub(crate) struct Ground {
    pub(crate) programs: BTreeMap<(JobId, AttemptNo), Program>,
}

impl Ground {
    pub(crate) fn running(&self) -> impl Iterator<Item = (&(JobId, AttemptNo), &Program)> {
        self.programs.iter().filter(|(_, program)| program.state == Fate::Runs)
    }
}
