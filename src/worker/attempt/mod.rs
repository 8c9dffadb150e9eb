//! One attempt on a sheet worker: render, start the guard, wait, classify, validate, report once.
//!
//! A worker never decides about retries; it says what it saw. It reports exactly once, also when it
//! panics, and gives its job permit back before it does.

mod after;
mod context;
mod feedback;
mod hide;
mod judge;
mod preflight;
mod reports;
mod rules;
mod run;
mod skip;
mod spending;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crossbeam_channel::Sender;

use crate::classify::ErrorCode;
use crate::conductor::{Event, Prepared};
use crate::config::Config;
use crate::exec::{AttemptReport, Evidence, Mode, Order, Sheet};
use crate::executor::{self, Control};
use crate::guard::record::Exit;
use crate::ids::{AttemptKey, Token};
use crate::instrument::{Environment, Profile};
use crate::plan::{InstrumentChoice, SheetPlan};
use crate::template::Vars;
use crate::worker::Permit;
use crate::worker::brief::{Brief, Limits};

pub(crate) use reports::{ended, interrupted, not_started};
use rules::Rules;

/// Where the snapshot for `file_modified` rules is kept, for the conductor after this one.
const SNAPSHOT: &str = "snapshot.json";

/// What a sheet worker is handed.
pub(crate) struct Task {
    pub(crate) key: AttemptKey,
    pub(crate) prepared: Arc<Prepared>,
    /// All sheets of the job when the score quotes earlier ones, else empty.
    pub(crate) sheets: Vec<Arc<Sheet>>,
    /// Where the programs of the job work when it is not the workspace: its git worktree.
    pub(crate) directory: Option<PathBuf>,
    /// Held while the attempt runs.
    pub(crate) permit: Option<Permit>,
    pub(crate) control: Control,
    pub(crate) kind: TaskKind,
}

/// What is to be done.
pub(crate) enum TaskKind {
    /// A whole attempt.
    Run(Order),
    /// Only the verdict on one that is over, which a conductor before this one has started. Its
    /// token finds a validation command that was running when that conductor died.
    Judge { exit: Exit, instrument_index: usize, token: Token },
}

/// What every attempt of this conductor has in common. One per sheet worker.
#[derive(Debug, Clone)]
pub(crate) struct Worker {
    events: Sender<Event>,
    state_dir: PathBuf,
    guard_program: PathBuf,
    limits: Limits,
    ours: Arc<Environment>,
    /// Instruments and models about whose missing price a line was logged. Shared by all workers, because the
    /// line is wanted once; nothing waits for it.
    unpriced: Arc<Mutex<BTreeSet<String>>>,
}

/// One attempt as its steps see it.
struct Attempt<'a> {
    worker: &'a Worker,
    key: &'a AttemptKey,
    prepared: &'a Prepared,
    sheet: &'a SheetPlan,
    choice: &'a InstrumentChoice,
    profile: &'a Arc<Profile>,
    control: &'a Control,
    /// Git worktree of the job.
    directory: Option<PathBuf>,
    token: Token,
    dir: PathBuf,
    vars: Vars,
}

impl Worker {
    pub(crate) fn new(
        events: Sender<Event>,
        state_dir: PathBuf,
        guard_program: PathBuf,
        config: &Config,
        ours: Arc<Environment>,
    ) -> Self {
        Self {
            events,
            state_dir,
            guard_program,
            limits: Limits {
                warn_tokens: config.preflight.token_warning_threshold,
                refuse_tokens: config.preflight.token_error_threshold,
            },
            ours,
            unpriced: Arc::default(),
        }
    }

    pub(crate) fn run(&mut self, task: Task) {
        let key = task.key.clone();
        let mut report = ReportOnDrop { events: &self.events, key: &key, permit: None, report: None };
        let Task { prepared, sheets, directory, permit, control, kind, .. } = task;
        report.permit = permit;
        report.report = Some(self.attempt(&key, &prepared, &sheets, directory, &control, kind));
    }

    fn attempt(
        &self,
        key: &AttemptKey,
        prepared: &Prepared,
        sheets: &[Arc<Sheet>],
        directory: Option<PathBuf>,
        control: &Control,
        kind: TaskKind,
    ) -> AttemptReport {
        let (index, token) = match &kind {
            TaskKind::Run(order) => (order.instrument_index, &order.token),
            TaskKind::Judge { instrument_index, token, .. } => (*instrument_index, token),
        };
        let token = *token;
        let sheet = &prepared.plan.sheets[key.sheet.index()];
        let choice = index.checked_sub(1).and_then(|at| sheet.fallbacks.get(at)).unwrap_or(&sheet.instrument);
        let Some(profile) = prepared.profiles.get(&choice.name) else {
            let message = format!(
                "there is no instrument `{}`; see docs/instruments.md for what is built in",
                choice.name
            );
            return reports::failed(reports::refusal(ErrorCode::E505, message), Evidence::default());
        };
        let mut attempt = Attempt {
            worker: self,
            key,
            prepared,
            sheet,
            choice,
            profile,
            control,
            directory,
            token,
            dir: executor::dir(&self.state_dir, key),
            vars: Vars::new(),
        };
        attempt.vars = attempt.brief().vars();
        match kind {
            TaskKind::Run(order) if order.mode == Mode::Recover => attempt.recover(),
            TaskKind::Run(order) => attempt.run(&order, sheets),
            TaskKind::Judge { exit, .. } => {
                // Its rules are checked again, and not beside the check that was cut off.
                let left = executor::Leftovers::marked(&attempt.token).end();
                if !left.is_empty() {
                    log::error!("attempt.leftovers_alive attempt={key} pids={left:?}");
                }
                let snapshot = attempt.stored_snapshot();
                let rules = Rules::of(&attempt);
                attempt.judge(&exit, &rules, &snapshot, run::Seen::default())
            }
        }
    }
}

/// Reports when it is dropped, whatever happened in between.
struct ReportOnDrop<'a> {
    events: &'a Sender<Event>,
    key: &'a AttemptKey,
    permit: Option<Permit>,
    report: Option<AttemptReport>,
}

impl Drop for ReportOnDrop<'_> {
    fn drop(&mut self) {
        // The conductor gives the job's permit on when it has read the report, so ours goes first.
        self.permit = None;
        let report = self.report.take().unwrap_or_else(reports::panicked);
        // The conductor may already be gone during shutdown; its successor reads the attempt directory.
        _ = self.events.send(Event::Reported(self.key.clone(), Box::new(report)));
    }
}

impl<'a> Attempt<'a> {
    fn brief(&self) -> Brief<'a> {
        Brief {
            score: &self.prepared.score,
            plan: &self.prepared.plan,
            sheet: self.sheet,
            choice: self.choice,
            profile: self.profile,
            workspace: &self.prepared.workspace,
            home: self.worker.ours.get("HOME").map(Path::new),
            thinking_method: self.prepared.snapshot.thinking_method.as_deref(),
            limits: self.worker.limits,
        }
    }

    /// Variables that say for whom a program runs.
    fn identity(&self) -> Vec<(String, String)> {
        let pairs = [
            ("MOZART_JOB_ID", self.key.job.to_string()),
            ("MOZART_SHEET_NUM", self.key.sheet.to_string()),
            ("MOZART_ATTEMPT", self.key.attempt.to_string()),
            ("MOZART_WORKSPACE", self.prepared.workspace.display().to_string()),
        ];
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// Creates or replaces a file that nobody else may read.
fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let options = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).clone();
    options.open(path)?.write_all(bytes)
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::exec::Outcome;
    use crate::ids::{AttemptNo, JobId, SheetNo};
    use crate::worker::Semaphore;

    // Invariant I83
    #[test]
    fn a_worker_that_panics_has_failed_and_gives_its_permit_back_first() {
        let (events, inbox) = crossbeam_channel::bounded(0);
        let semaphore = Semaphore::new(1);
        let job = JobId::new("job").expect("a job id");
        let key = AttemptKey { job, sheet: SheetNo(2), attempt: AttemptNo(3) };
        let (told, report, held) = std::thread::scope(|scope| {
            let conductor = scope.spawn(|| {
                let Ok(Event::Reported(told, report)) = inbox.recv() else { panic!("it reports") };
                let held = semaphore.held();
                assert!(inbox.recv().is_err(), "it reports once");
                (told, report, held)
            });
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                let permit = semaphore.try_acquire();
                assert!(permit.is_some());
                let _report = ReportOnDrop { events: &events, key: &key, permit, report: None };
                panic!("this panic is part of the test");
            }));
            assert!(panicked.is_err());
            drop(events);
            conductor.join().expect("what it was told is as expected")
        });
        assert_eq!((told, held), (key, 0));
        let Outcome::Failed(failure) = &report.outcome else { panic!("{:?}", report.outcome) };
        assert_eq!((failure.code, failure.retriable), (ErrorCode::E999, true));
    }
}
