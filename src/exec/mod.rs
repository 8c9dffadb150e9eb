//! One job as a pure state machine: `step(now, input) -> effects`.
//!
//! [`Execution::step`] is the only place where a job changes. It never blocks, fails, reads a
//! clock or draws randomness; time and the seed for jitter are handed in.
//! It does not decide which ready sheet runs first (that is [`crate::sched`]) and knows nothing
//! of processes, files or storage.
//!
//! Invariants, each of them a property test:
//! - an unfinished job that is neither queued nor paused has an active sheet, a runnable sheet, a deadline,
//!   or a set-up or hook that runs;
//! - at most one attempt of a sheet is in flight, and only its own report ends it;
//! - a terminal sheet or job changes by [`Input::Resume`] and [`Input::Recover`] alone;
//! - for each [`Input::Begin`] that took a permit there is exactly one [`Effect::Released`];
//! - a job restored from its records goes on as the one that was recorded.

mod account;
mod ask;
mod close;
mod command;
mod condition;
mod dispatch;
mod event;
mod evidence;
mod exhaust;
mod finish;
mod index;
mod job;
mod out;
mod ready;
mod recover;
mod report;
mod restore;
mod retry;
mod settle;
mod sheet;
mod spec;
#[cfg(test)]
mod tests;
mod types;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::ids::{AttemptNo, SheetNo};
use crate::time::{Deadline, Mono, Now};

use index::Index;
use out::Out;

pub(crate) use account::dollars;
pub(crate) use ask::{OPTIONS, background};
pub use event::{Attempted, Facts, JobEvent, Started};
pub use evidence::*;
pub use index::Counts;
pub use job::{AtCheckpoint, Ending, Finishing, JobLedger, JobState, Recovery, Remark, Spent};
pub use ready::Head;
pub use sheet::{
    AttemptEnd, AttemptSummary, ErrorEntry, EscalationEntry, FallbackEntry, Ledger, MAX_ATTEMPTS_KEPT,
    MAX_HISTORY, OutcomeCategory, Seen, Sheet,
};
pub use spec::*;
pub use types::*;

/// One job. See the module.
#[derive(Debug)]
pub struct Execution {
    spec: Arc<JobSpec>,
    job: JobState,
    sheets: Vec<Arc<Sheet>>,
    index: Index,
    /// Sheets that restoring has changed; the next step saves them.
    unsaved: Vec<SheetNo>,
    /// Just made or restored: the next step may find the job already over.
    unsettled: bool,
    /// The set-up was asked for in this life of the process and has not answered.
    set_up_runs: bool,
    /// A hook was asked for in this life of the process and has not answered.
    hook_runs: bool,
}

/// Why a job starts nothing now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blocked {
    /// It has not begun, or has ended.
    NotRunning,
    /// A pause flag is set.
    Paused,
    /// It is about to end.
    Ending,
    /// As many of its sheets run as it allows.
    Parallel,
    /// Pause between sheets or stagger between starts.
    Pacing(Deadline),
    /// What the score wants before the first sheet is being done.
    SettingUp,
    /// What the running sheets will spend is left of the budget.
    Budget,
    /// No sheet is ready: all wait for others, for a timer, or run.
    NothingReady,
}

/// The words of dispatch diagnostics.
impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotRunning => "not_running",
            Self::Paused => "paused",
            Self::Ending => "ending",
            Self::Parallel => "job_concurrency",
            Self::Pacing(_) => "pacing",
            Self::SettingUp => "setting_up",
            Self::Budget => "budget",
            Self::NothingReady => "nothing_ready",
        })
    }
}

impl Execution {
    /// A new job: queued, every sheet pending, those below the start sheet skipped.
    #[must_use]
    pub fn new(spec: Arc<JobSpec>, now: Now) -> Self {
        let sheets: Vec<Arc<Sheet>> = (0..spec.sheets.len())
            .map(|at| {
                let mut sheet = Sheet::pending(SheetNo::from_index(at));
                if spec.start_sheet.is_some_and(|start| sheet.num < start) {
                    sheet.state = SheetState::Skipped { at: now.wall, reason: SkipReason::StartSheet };
                }
                Arc::new(sheet)
            })
            .collect();
        let ledger =
            JobLedger { created: now.wall, updated: now.wall, random: spec.seed, ..JobLedger::default() };
        let job = JobState {
            status: JobStatus::Queued,
            pause_flags: std::collections::BTreeSet::new(),
            ending: None,
            hold: None,
            clock: None,
            ledger,
        };
        let index = Index::build(&spec, &sheets);
        Self {
            spec,
            job,
            sheets,
            index,
            unsaved: Vec::new(),
            unsettled: false,
            set_up_runs: false,
            hook_runs: false,
        }
    }

    /// The only place where a job changes. Inputs that do not fit the state change nothing.
    pub fn step(&mut self, now: Now, input: Input) -> Vec<Effect> {
        let mut out = Out::new(std::mem::take(&mut self.unsaved));
        self.unsettled = false;
        let satisfied = self.index.counts.satisfied();
        match input {
            Input::Begin => self.begin(now, &mut out),
            Input::Dispatch { sheet, attempt, token } => self.dispatch(now, sheet, attempt, token, &mut out),
            Input::Spawned { sheet, attempt, pid } => self.spawned(now, sheet, attempt, pid, &mut out),
            Input::AttemptEnded { sheet, attempt, report } => {
                self.attempt_ended(now, sheet, attempt, *report, &mut out);
            }
            Input::Tick => self.tick(now, &mut out),
            Input::Pause { flag, now: at_once } => self.pause(flag, at_once, &mut out),
            Input::Unpause(flag) => self.unpause(flag, &mut out),
            Input::Resume => self.resume(now, Rerun::default(), &mut out),
            Input::ResumeWith(rerun) => self.resume(now, rerun, &mut out),
            Input::Cancel => self.end_job(now, Ending::Cancel, &mut out),
            Input::LimitCleared { instrument } => self.limit_cleared(now, instrument.as_deref(), &mut out),
            Input::Remark { message } => self.remark(now, None, message, &mut out),
            Input::FailJob { message } => self.end_job(now, Ending::Fail { message }, &mut out),
            Input::Orphaned { message } => self.orphaned(message, &mut out),
            Input::Recover { from } => self.recover(from, &mut out),
            Input::SetUpDone(result) => self.set_up_done(now, result, &mut out),
            Input::HookEnded { hook, epoch, result } => {
                self.hook_ended(now, hook, epoch, *result, &mut out);
            }
            Input::Skip { sheet } => self.skip(now, sheet, &mut out),
            Input::Decide { sheet, decision, prompt, note } => {
                self.decide(now, sheet, decision, (prompt, note), &mut out);
            }
            Input::FallBack { sheet, reason } => self.fall_back_unused(now, sheet, reason, &mut out),
            Input::Lost { sheet, attempt } => self.lost(now, sheet, attempt, &mut out),
        }
        if self.index.counts.satisfied() > satisfied {
            out.event(event::progress(&self.index.counts, self.sheets.len()));
        }
        self.settle(now, &mut out);
        if !out.is_empty() {
            self.job.ledger.updated = now.wall;
        }
        out.into_effects()
    }

    /// Sheets that may be dispatched now, ascending.
    pub fn runnable(&self, now: Now) -> impl Iterator<Item = SheetNo> + '_ {
        let most = if self.blocked(now).is_none() { usize::MAX } else { 0 };
        self.ready().take(most)
    }

    /// Of the sheets that may be dispatched now, the most urgent on each instrument, those with other
    /// instruments after it apart. In no order.
    pub fn heads(&self, now: Now) -> impl Iterator<Item = Head> + '_ {
        let most = if self.blocked(now).is_none() { usize::MAX } else { 0 };
        let checked = self.rechecked().map(|sheet| Head { sheet, count: 1 });
        checked.chain(self.index.ready.heads().take(self.unless_recovering())).take(most)
    }

    /// Pending sheets whose dependencies are satisfied; while a failed job is recovered, those that
    /// are checked again.
    fn ready(&self) -> impl Iterator<Item = SheetNo> + '_ {
        self.rechecked().chain(self.index.ready.iter().take(self.unless_recovering()))
    }

    fn is_ready(&self, num: SheetNo) -> bool {
        if self.job.ledger.recovery.is_some() {
            self.rechecked().any(|ready| ready == num)
        } else {
            self.sheet(num).is_some() && self.index.ready.contains(num)
        }
    }

    /// While a failed job is recovered: what is still to be checked, dependencies or not.
    fn rechecked(&self) -> impl Iterator<Item = SheetNo> + '_ {
        let most = if self.job.ledger.recovery.is_some() { usize::MAX } else { 0 };
        let wanted = |num: &SheetNo| self.sheets[num.index()].ledger.mode == Mode::Recover;
        self.index.pending.iter().copied().take(most).filter(wanted)
    }

    const fn unless_recovering(&self) -> usize {
        if self.job.ledger.recovery.is_some() { 0 } else { usize::MAX }
    }

    /// Why nothing may be dispatched now; `None` when something may.
    #[must_use]
    pub fn blocked(&self, now: Now) -> Option<Blocked> {
        if self.job.status != JobStatus::Running {
            return Some(Blocked::NotRunning);
        }
        if self.job.ending.is_some() {
            return Some(Blocked::Ending);
        }
        if !self.job.pause_flags.is_empty() {
            return Some(Blocked::Paused);
        }
        if self.needs_set_up() {
            return Some(Blocked::SettingUp);
        }
        if self.index.active.len() >= self.spec.max_parallel.max(1) as usize {
            return Some(Blocked::Parallel);
        }
        if self.ready().next().is_none() {
            return Some(Blocked::NothingReady);
        }
        if self.is_reserved() {
            return Some(Blocked::Budget);
        }
        self.job.hold.filter(|hold| !hold.is_due(now)).map(Blocked::Pacing)
    }

    /// When [`Input::Tick`] is due; one timer per job is enough. May lie in the past.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Mono> {
        if self.unsettled {
            return Some(Mono(0));
        }
        if self.job.status.is_terminal() {
            return None;
        }
        let timer = self.index.timers.first().map(|&(at, _)| at);
        let working = matches!(self.job.status, JobStatus::Running | JobStatus::Finishing);
        let paced = working && self.job.pause_flags.is_empty() && self.job.ending.is_none();
        let hold = self.job.hold.filter(|_| paced).map(|hold| hold.mono);
        [timer, hold, self.times_out()].into_iter().flatten().min()
    }

    /// When the job has run too long; `None` while its time stands still or it ends anyway.
    fn times_out(&self) -> Option<Mono> {
        let (since, timeout) = (self.job.clock?, self.spec.timeout?);
        if self.job.ending.as_ref().is_some_and(|ending| ending.reason().is_some()) {
            return None;
        }
        let before = Duration::from_millis(self.job.ledger.ran_ms);
        Some(since.mono.after(timeout.saturating_sub(before)))
    }

    /// State of the job.
    #[must_use]
    pub const fn status(&self) -> JobStatus {
        self.job.status
    }

    /// State of the job as people see it: also says when it is about to pause or to end.
    #[must_use]
    pub fn display_status(&self) -> &'static str {
        display_status(&self.job)
    }

    /// The attempts in flight, by sheet.
    pub fn active(&self) -> impl Iterator<Item = (SheetNo, AttemptNo)> + '_ {
        self.index.active.iter().filter_map(|&num| {
            let active = self.sheets[num.index()].state.active()?;
            Some((num, active.attempt))
        })
    }

    /// All sheets; position `n-1` is sheet `n`.
    #[must_use]
    pub fn sheets(&self) -> &[Arc<Sheet>] {
        &self.sheets
    }

    /// One sheet; `None` for a number that the job does not have.
    #[must_use]
    pub fn sheet(&self, num: SheetNo) -> Option<&Arc<Sheet>> {
        self.sheets.get((num.0 as usize).checked_sub(1)?)
    }

    /// The job as a whole.
    #[must_use]
    pub const fn job(&self) -> &JobState {
        &self.job
    }

    /// What the job was made from.
    #[must_use]
    pub const fn spec(&self) -> &Arc<JobSpec> {
        &self.spec
    }

    /// How many sheets are in which state.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.index.counts
    }

    /// The instrument that a sheet runs on, or would run on next.
    ///
    /// # Panics
    /// When the job has no such sheet.
    #[must_use]
    pub fn instrument(&self, num: SheetNo) -> &InstrumentRef {
        let chain = &self.spec.sheets[num.index()].instruments;
        let at = self.sheets[num.index()].ledger.instrument_index as usize;
        &chain[at.min(chain.len() - 1)]
    }

    /// What an attempt of a sheet takes a place on, and must wait for: its instrument, or nothing but a place among
    /// those who only check rules again.
    ///
    /// # Panics
    /// When the job has no such sheet.
    #[must_use]
    pub fn occupies(&self, num: SheetNo) -> &InstrumentRef {
        if self.sheets[num.index()].ledger.mode == Mode::Recover {
            InstrumentRef::rules_alone()
        } else {
            self.instrument(num)
        }
    }

    /// Longest chain of dependencies above a sheet; 0 for one that has none.
    ///
    /// # Panics
    /// When the job has no such sheet.
    #[must_use]
    pub fn depth(&self, num: SheetNo) -> u32 {
        self.index.depth(num)
    }

    /// Changes the state of a sheet and everything that is read off it.
    fn set_state(&mut self, num: SheetNo, state: SheetState, out: &mut Out) {
        let old = std::mem::replace(&mut Arc::make_mut(&mut self.sheets[num.index()]).state, state);
        self.index.moved(&self.sheets, num, &old);
        out.sheet(num);
    }

    fn ledger(&mut self, num: SheetNo) -> &mut Ledger {
        &mut Arc::make_mut(&mut self.sheets[num.index()]).ledger
    }

    /// The running attempt of a sheet, if it is the one that is asked for.
    fn current(&self, num: SheetNo, attempt: AttemptNo) -> Option<Active> {
        self.sheet(num)?.state.active().filter(|active| active.attempt == attempt).copied()
    }

    /// What is stored of an attempt.
    fn attempt_record(&self, num: SheetNo, active: &Active, closed: Option<Closed>) -> AttemptRecord {
        let instrument = self.instrument(num);
        AttemptRecord {
            sheet: num,
            attempt: active.attempt,
            token: active.token,
            mode: self.sheets[num.index()].ledger.mode,
            instrument: Arc::clone(&instrument.name),
            model: instrument.model.clone(),
            opened: active.since,
            ending: active.ending,
            closed,
        }
    }

    fn begin(&mut self, now: Now, out: &mut Out) {
        if self.job.status != JobStatus::Queued {
            return;
        }
        self.job.status = JobStatus::Running;
        let ledger = &mut self.job.ledger;
        let again = ledger.started.is_some();
        ledger.started.get_or_insert(now.wall);
        ledger.run_started = Some(now.wall);
        out.job();
        let instrument = self.spec.sheets.first().map_or("", |sheet| sheet.instruments[0].name.as_ref());
        let epoch = self.job.ledger.run_epoch;
        out.event(event::begun(again, epoch, self.sheets.len(), instrument));
    }

    fn tick(&mut self, now: Now, out: &mut Out) {
        while let Some(&(at, num)) = self.index.timers.first() {
            if at > now.mono {
                break;
            }
            if matches!(self.sheets[num.index()].state, SheetState::Fermata(_)) {
                self.unanswered(now, num, out);
            } else {
                if matches!(self.sheets[num.index()].state, SheetState::Waiting { .. }) {
                    out.event(event::cleared(self, num));
                }
                self.set_state(num, SheetState::Pending, out);
            }
        }
        if self.job.hold.is_some_and(|hold| hold.is_due(now)) {
            self.job.hold = None;
        }
        if self.times_out().is_some_and(|at| at <= now.mono) {
            let limit = self.spec.timeout.unwrap_or_default().as_secs();
            let ran = self.job.ran(now).as_secs();
            let message = format!("Job exceeded timeout of {limit}s (ran for {ran}s)");
            out.event(event::job("job.timeout", serde_json::json!({ "reason": message })));
            self.end_job(now, Ending::Timeout { message }, out);
        }
    }
}

/// State of a job as people see it, from its state alone.
#[must_use]
pub fn display_status(job: &JobState) -> &'static str {
    match (job.status, &job.ending) {
        (JobStatus::Running, Some(Ending::Cancel)) => "cancelling",
        (
            JobStatus::Running,
            Some(Ending::Timeout { .. } | Ending::Fail { .. } | Ending::Orphaned { .. }),
        ) => "failing",
        (JobStatus::Running, None) if !job.pause_flags.is_empty() => "pausing",
        (JobStatus::Finishing, Some(Ending::Cancel)) => "cancelling",
        (status, _) => status.as_str(),
    }
}
