//! The set-up phase of a job: what its score wants before the first sheet of a run.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::tear_down::Note;
use super::{Doing, News};
use crate::archive;
use crate::classify::ErrorCode;
use crate::conductor::clock::wall;
use crate::conductor::core::Core;
use crate::conductor::messages::Event;
use crate::conductor::prepared::Prepared;
use crate::conductor::side::{Errand, Side};
use crate::exec::{Input, SetUp, SetUpFailure, SheetError};
use crate::executor::Control;
use crate::ids::JobId;
use crate::isolation::{self, Git};
use crate::time::Now;
use crate::worker::{Runner, preconditions};

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

    /// The job is cancelled, or failed as a whole: its set-up ends, or never begins.
    pub(super) fn end_set_up(&mut self, now: Now, id: &JobId) {
        let Some(Doing::SetUp { epoch, control }) = self.around.doing.get(id) else { return };
        control.cancel();
        let epoch = *epoch;
        let queue = &mut self.around.long.queue;
        let before = queue.len();
        queue.retain(|(job, errand)| job != id || !matches!(errand, Errand::SetUp(_)));
        if queue.len() < before {
            let error = refused(ErrorCode::E999, "cancelled before the set-up began".to_owned());
            self.set_up_done(now, id, epoch, Err(error.into()));
            self.again = true;
        }
    }

    pub(super) fn set_up_done(
        &mut self,
        now: Now,
        id: &JobId,
        of: u32,
        result: Result<SetUp, Box<SetUpFailure>>,
    ) {
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
            Err(_) if cancelled => (),
            Err(failure) => log::warn!("job.set_up_failed job_id={id} error={:?}", failure.error.message),
        }
        self.step(now, id, Input::SetUpDone(result));
    }
}

/// Tells the result when it is dropped, whatever happened in between.
struct Report<'a> {
    side: &'a Side,
    job: JobId,
    epoch: u32,
    result: Option<Result<SetUp, Box<SetUpFailure>>>,
}

impl Drop for Report<'_> {
    fn drop(&mut self) {
        let panicked = || {
            let message = "the set-up panicked; please report this with the conductor's log".to_owned();
            Err(refused(ErrorCode::E999, message).into())
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
    let mut made = None;
    report.result = Some(match prepare(side, order, &mut made) {
        Ok(()) => Ok(made.unwrap_or_default()),
        Err(error) => Err(Box::new(SetUpFailure { error, made })),
    });
}

/// Leaves in `made` what there is, whether or not all of it could be done.
fn prepare(side: &Side, order: &SetUpOrder, made: &mut Option<SetUp>) -> Result<(), SheetError> {
    let mut set_up =
        SetUp { archive: order.earlier.as_ref().and_then(|it| it.archive.clone()), ..SetUp::default() };
    if order.archive && order.prepared.score.workspace_lifecycle.archive_on_fresh {
        archive(side, order, &mut set_up)?;
    }
    // From here on a later try must not archive again: it would take away what a person has put right.
    let set_up = made.insert(set_up);
    fs::create_dir_all(&order.workspace).map_err(|error| {
        refused(
            ErrorCode::E601,
            format!("cannot create the workspace {}: {error}", order.workspace.display()),
        )
    })?;
    if order.prepared.score.isolation.enabled {
        isolate(side, order, set_up)?;
    }
    if order.first {
        let identity = [
            ("MOZART_JOB_ID".to_owned(), order.job.to_string()),
            ("MOZART_WORKSPACE".to_owned(), order.workspace.display().to_string()),
        ];
        let runner = Runner {
            guard_program: &side.guard_program,
            ours: &side.ours,
            identity: &identity,
            token: None,
            control: &order.control,
        };
        preconditions(&order.prepared, &runner)?;
    }
    Ok(())
}

/// The old content of the workspace goes away before the first sheet of a fresh run.
fn archive(side: &Side, order: &SetUpOrder, set_up: &mut SetUp) -> Result<(), SheetError> {
    let settings = &order.prepared.score.workspace_lifecycle;
    let score = order.prepared.snapshot.source.path.as_deref();
    let keep: Vec<&Path> = score.into_iter().chain([side.state_dir.as_path()]).collect();
    let request = archive::Request {
        settings,
        workspace: &order.workspace,
        home: side.ours.get("HOME").map(Path::new),
        keep: &keep,
        now: wall(),
    };
    match archive::archive(&request) {
        Ok(archived) => {
            set_up.archive = archived.path.map(|path| path.display().to_string());
            set_up.warnings.extend(archived.warnings);
            Ok(())
        }
        Err(error) if settings.archive_required => Err(refused(ErrorCode::E601, error.to_string())),
        Err(error) => {
            set_up.warnings.push(error.to_string());
            Ok(())
        }
    }
}

/// The worktree in which the sheets run.
fn isolate(side: &Side, order: &SetUpOrder, set_up: &mut SetUp) -> Result<(), SheetError> {
    let score = &order.prepared.score;
    let own = score.instrument_config.working_directory.as_deref();
    let mut earlier = order.earlier.as_ref().and_then(|it| it.worktree.clone());
    if let Some(earlier) = &mut earlier
        && let Some(kept) = Note::read(&side.state_dir, &order.job)
        && kept.worktree.path == earlier.path
    {
        // Removed after the run before; its commits are on a branch that only this note knows.
        earlier.branch = kept.worktree.branch;
    }
    let git = Git { guard_program: &side.guard_program, ours: &side.ours, control: &order.control };
    let request = isolation::Request {
        settings: &score.isolation,
        workspace: &order.workspace,
        working_directory: own.or(score.backend.config.working_directory.as_deref()),
        job: &order.job,
        earlier: earlier.as_ref(),
    };
    match isolation::create(&git, &request) {
        Ok(created) => {
            Note { worktree: created.worktree.clone(), settled: false, removed: false }
                .write(&side.state_dir, &order.job);
            set_up.worktree = Some(created.worktree);
            set_up.warnings.extend(created.warnings);
            Ok(())
        }
        Err(error) if score.isolation.fallback_on_error && !order.control.is_cancelled() => {
            set_up.isolation_fallback = true;
            set_up.warnings.push(format!("{error}; the sheets run in place"));
            Ok(())
        }
        Err(error) => Err(refused(ErrorCode::E603, error.to_string())),
    }
}

fn refused(code: ErrorCode, message: String) -> SheetError {
    SheetError { code, message }
}
