//! A job that is queued, running or paused: its state machine and what belongs to it in this process.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::checkpoint::{JobRecord, SheetRecord};
use crate::exec::{AttemptRecord, EndReason, Ending, Execution, JobStatus, Sheet};
use crate::executor::{Adopted, Control, Taken};
use crate::ids::{AttemptNo, JobId, SheetNo, Token};
use crate::joblog::JobLog;
use crate::store::{JobRow, StoredJob, Write};
use crate::time::{Mono, Now};
use crate::worker::Permit;

use super::around::{self, Chains};
use super::card::{Card, People};
use super::exchange::Exchange;
use super::leftovers::Leftover;
use super::messages::Submission;
use super::modify::Waiting;
use super::prepared::Prepared;
use super::view::JobView;
use super::watch::Watchers;

/// One job in memory.
pub(crate) struct Live {
    pub(crate) id: JobId,
    pub(crate) card: Arc<Card>,
    pub(crate) prepared: Arc<Prepared>,
    pub(crate) exec: Execution,
    pub(crate) permit: Option<Permit>,
    /// Number of the newest attempt, fresh runs included.
    pub(crate) attempt_seq: u32,
    pub(crate) running: HashMap<AttemptNo, Running>,
    pub(crate) watchers: Watchers,
    pub(crate) cancel_waiters: Vec<(Mono, Exchange)>,
    pub(crate) dirty: Dirty,
    /// Queued: the job because of whose workspace it has to wait.
    pub(crate) waits_for: Option<JobId>,
    /// A score that replaces the present one when nothing runs any more.
    pub(crate) modify: Option<Waiting>,
    /// The deadline that is in the timer index for this job.
    pub(crate) timer: Option<Mono>,
    /// What its hooks have submitted.
    pub(crate) chains: Chains,
    /// Its next run, when a hook chains it to itself, once its score is read.
    pub(crate) next: Option<Box<Submission>>,
    /// The log that its score asks for, once it has something to say.
    pub(crate) log: Option<Arc<JobLog>>,
}

/// Where an attempt is.
pub(crate) enum Running {
    /// A sheet worker has it.
    Here(Control),
    /// Its guard, with this pid, was started by a conductor that is gone.
    Adopted(Arc<Adopted>, Option<u32>),
    /// It is over; its lock is kept until the verdict is committed.
    Judging(Control, Option<Taken>),
    /// Its guard or its worker is gone; what it left behind is being ended.
    Leftover(Box<Leftover>),
    /// It is over and about to be reported.
    Sweeping(Option<Taken>),
}

/// What the database does not have yet.
#[derive(Default)]
pub(crate) struct Dirty {
    pub(crate) job: bool,
    pub(crate) snapshot: bool,
    /// What earlier runs left in the database goes first.
    pub(crate) earlier: Earlier,
    pub(crate) sheets: BTreeSet<SheetNo>,
    pub(crate) attempts: Vec<AttemptRecord>,
    /// Something was promised to somebody: must be on the disk, not only in the kernel.
    pub(crate) promised: bool,
}

/// What becomes of the rows that a job has in the database.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Earlier {
    /// They are brought up to date.
    #[default]
    Stay,
    /// The sheets are replaced as a whole; the history of attempts stays.
    Continued,
    /// Nothing of them is kept.
    Forgotten,
}

impl Dirty {
    pub(crate) fn is_clean(&self) -> bool {
        !self.job
            && !self.snapshot
            && self.earlier == Earlier::Stay
            && self.sheets.is_empty()
            && self.attempts.is_empty()
    }

    /// Everything of a job, over whatever the database has under its name.
    pub(crate) fn everything(sheets: usize, earlier: Earlier) -> Self {
        Self {
            job: true,
            snapshot: true,
            earlier,
            sheets: (0..sheets).map(SheetNo::from_index).collect(),
            attempts: Vec::new(),
            promised: true,
        }
    }
}

impl Live {
    pub(crate) fn new(
        card: Arc<Card>,
        prepared: Arc<Prepared>,
        exec: Execution,
        attempt_seq: u32,
        dirty: Dirty,
    ) -> Self {
        Self {
            id: card.id.clone(),
            card,
            prepared,
            exec,
            permit: None,
            attempt_seq,
            running: HashMap::new(),
            watchers: Watchers::default(),
            cancel_waiters: Vec::new(),
            dirty,
            waits_for: None,
            modify: None,
            timer: None,
            chains: Chains::default(),
            next: None,
            log: None,
        }
    }

    /// A job of the database comes back to life.
    pub(crate) fn stored(stored: &StoredJob, prepared: Arc<Prepared>, now: Now) -> Result<Self, String> {
        let (job, sheets) = records(stored)?;
        let card = Arc::new(Card::of_row(&stored.row, &prepared.score));
        let exec = Execution::restore(Arc::clone(&prepared.spec), job, sheets, now);
        let chains = Chains::of_row(stored.row.held_chain_json.as_deref());
        let live = Self::new(card, prepared, exec, stored.row.attempt_seq, Dirty::default());
        Ok(Self { chains, ..live })
    }

    /// Goes on with another version of the score. Nothing of the job runs.
    pub(crate) fn replace_score(&mut self, prepared: Arc<Prepared>, config_path: Option<String>, now: Now) {
        self.exec = self.exec.rescored(Arc::clone(&prepared.spec), now);
        let mut card = Card::clone(&self.card);
        card.name.clone_from(&prepared.score.name);
        card.workspace.clone_from(&prepared.workspace);
        card.parallel = prepared.score.parallel.enabled;
        card.people = People::of(&prepared.score);
        self.log = None;
        if let Some(path) = config_path {
            card.config_path = path;
        }
        self.card = Arc::new(card);
        self.prepared = prepared;
        // A fresh run or ends of attempts that could not be written yet are still to be written.
        let earlier = match self.dirty.earlier {
            Earlier::Forgotten => Earlier::Forgotten,
            Earlier::Stay | Earlier::Continued => Earlier::Continued,
        };
        let attempts = std::mem::take(&mut self.dirty.attempts);
        self.dirty = Dirty { attempts, ..Dirty::everything(self.exec.sheets().len(), earlier) };
    }

    /// Whether it must stay in memory until its next run is known.
    pub(crate) fn awaits_next_run(&self) -> bool {
        self.chains.next.is_some() && self.exec.status() != JobStatus::Cancelled
    }

    pub(crate) fn is_over(&self) -> bool {
        self.exec.status().is_terminal()
    }

    /// Whether this attempt is the one that holds the slot of its sheet.
    pub(crate) fn is_current(&self, sheet: SheetNo, attempt: AttemptNo) -> bool {
        let active = self.exec.sheet(sheet).and_then(|sheet| sheet.state.active());
        active.is_some_and(|active| active.attempt == attempt)
    }

    /// Why the attempt of a sheet was asked to end.
    pub(crate) fn ending_of(&self, sheet: SheetNo) -> Option<EndReason> {
        self.exec.sheet(sheet)?.state.active()?.ending
    }

    /// Whether the attempt of a sheet was asked to end, by itself or with its job.
    pub(crate) fn is_ending(&self, sheet: SheetNo) -> bool {
        let whole = self.exec.job().ending.as_ref().is_some_and(Ending::ends_attempts);
        whole || self.ending_of(sheet).is_some()
    }

    /// The mark of the attempt of a sheet.
    pub(crate) fn token_of(&self, sheet: SheetNo) -> Option<Token> {
        Some(self.exec.sheet(sheet)?.state.active()?.token)
    }

    /// The sheet that an attempt runs for.
    pub(crate) fn sheet_of(&self, attempt: AttemptNo) -> Option<SheetNo> {
        self.exec.active().find(|(_, active)| *active == attempt).map(|(sheet, _)| sheet)
    }

    /// Position of the instrument that a sheet runs on.
    pub(crate) fn instrument_index(&self, sheet: SheetNo) -> usize {
        self.exec.sheet(sheet).map_or(0, |sheet| sheet.ledger.instrument_index as usize)
    }

    /// Whether the score leaves the grace of this attempt to us.
    pub(crate) fn has_usual_grace(&self, attempt: AttemptNo) -> bool {
        let Some(sheet) = self.sheet_of(attempt) else { return false };
        let plan = &self.prepared.plan.sheets[sheet.index()];
        let fallback = self.instrument_index(sheet).checked_sub(1).and_then(|at| plan.fallbacks.get(at));
        fallback.unwrap_or(&plan.instrument).config.kill_grace_seconds.is_none()
    }

    /// Where the programs of its sheets work when it is not the workspace.
    pub(crate) fn directory(&self) -> Option<std::path::PathBuf> {
        let tree = self.exec.job().ledger.set_up.as_ref()?.worktree.as_ref()?;
        Some(tree.path.as_str().into())
    }

    /// The other sheets as a prompt may quote them or learn that they were skipped; empty when there is nothing of it.
    pub(crate) fn context(&self) -> Vec<Arc<Sheet>> {
        let wanted = self.prepared.score.cross_sheet.is_some() || self.exec.counts().skipped > 0;
        if wanted { self.exec.sheets().to_vec() } else { Vec::new() }
    }

    pub(crate) fn view(&self, now: Now) -> JobView {
        JobView {
            card: Arc::clone(&self.card),
            config_hash: Arc::clone(&self.prepared.config_hash),
            spec: Arc::clone(self.exec.spec()),
            job: self.exec.job().clone(),
            sheets: self.exec.sheets().to_vec(),
            status: self.exec.status(),
            blocked: self.exec.blocked(now),
            waits_for: self.waits_for.clone(),
            leftovers: self.leftovers(),
            modify: self.modify.as_ref().map(|waiting| Arc::clone(&waiting.config_path)),
        }
    }

    /// Sheets that wait for the end of processes that cannot be ended.
    fn leftovers(&self) -> Vec<(SheetNo, Vec<u32>)> {
        let alive = |(attempt, running): (&AttemptNo, &Running)| match running {
            Running::Leftover(left) if !left.alive.is_empty() => {
                Some((self.sheet_of(*attempt)?, left.alive.clone()))
            }
            _ => None,
        };
        self.running.iter().filter_map(alive).collect()
    }

    /// Everything that the database does not have yet, in the order in which it must be written.
    pub(crate) fn writes(&self, batch: &mut Vec<Write>) {
        let dirty = &self.dirty;
        let job = || self.id.clone();
        batch.push(Write::UpsertJob(Box::new(self.row())));
        match dirty.earlier {
            Earlier::Stay => (),
            Earlier::Continued => batch.push(Write::DropSheets(job())),
            Earlier::Forgotten => batch.push(Write::DropState(job())),
        }
        if dirty.snapshot {
            let data = serde_json::to_string(&self.prepared.snapshot).expect("a snapshot is plain data");
            batch.push(Write::Snapshot { job: job(), data });
        }
        for &num in dirty.sheets.iter().filter(|num| num.index() < self.exec.sheets().len()) {
            let status = self.exec.sheets()[num.index()].state.as_str().to_owned();
            let data = self.exec.sheet_record(num).encode();
            batch.push(Write::Sheet { job: job(), num, status, data });
        }
        for record in &dirty.attempts {
            let data = serde_json::to_string(record).expect("an attempt record is plain data");
            let (attempt, sheet, token) = (record.attempt, record.sheet, record.token);
            batch.push(if record.closed.is_some() {
                Write::CloseAttempt { job: job(), attempt, sheet, token, data }
            } else {
                Write::OpenAttempt { job: job(), attempt, sheet, token, data }
            });
        }
    }

    fn row(&self) -> JobRow {
        let (card, state) = (&self.card, self.exec.job());
        let total = u32::try_from(self.exec.sheets().len()).ok();
        let mut row = JobRow::new(
            self.id.clone(),
            card.config_path.clone(),
            card.workspace.display().to_string(),
            card.submitted,
        );
        let summary = &mut row.summary;
        summary.status = state.status.as_str().to_owned();
        summary.started_at = state.ledger.started;
        summary.completed_at = state.ledger.completed;
        summary.pid = state.ledger.started.map(|_| std::process::id());
        summary.current_sheet = self.exec.active().map(|(sheet, _)| sheet.0).min();
        summary.total_sheets = total;
        summary.progress_completed = Some(self.exec.counts().satisfied());
        summary.progress_total = total;
        summary.error_message.clone_from(&state.ledger.error);
        summary.chain_depth = card.chain_depth;
        summary.name = Some(card.name.clone());
        summary.priority = i32::from(card.priority);
        let flags: Vec<&str> = state.pause_flags.iter().map(|flag| flag.as_str()).collect();
        summary.pause_reason = (!flags.is_empty()).then(|| flags.join(","));
        summary.last_event_at = Some(state.ledger.updated);
        row.held_chain_json = around::encode(&card.origin, &self.chains);
        row.attempt_seq = self.attempt_seq;
        row.request_json = self.modify.as_ref().map(Waiting::encode);
        row.state_json = Some(self.exec.job_record().encode());
        row
    }
}

/// The records of a job in the database.
pub(crate) fn records(stored: &StoredJob) -> Result<(JobRecord, Vec<SheetRecord>), String> {
    let state = stored.row.state_json.as_deref().ok_or("its state is missing in the database")?;
    let job = JobRecord::decode(state).map_err(|error| error.to_string())?;
    let sheets = stored
        .sheets
        .iter()
        .map(|row| SheetRecord::decode(&row.data).map_err(|error| format!("sheet {}: {error}", row.num)))
        .collect::<Result<_, _>>()?;
    Ok((job, sheets))
}
