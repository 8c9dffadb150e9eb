//! One attempt on a sheet worker: render, start the guard, wait, classify, validate, report once.
//!
//! A worker never decides about retries; it says what it saw. It reports exactly once, also when it
//! panics, and gives its job permit back before it does.

mod context;
mod judge;
mod rules;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;

use crate::classify::ErrorCode;
use crate::conductor::{Event, Prepared};
use crate::config::Config;
use crate::exec::{AttemptReport, Evidence, Failure, Mode, Order, Outcome, Sheet};
use crate::executor::{self, Control, End, Spec, StartError, Stdin};
use crate::guard::record::Exit;
use crate::ids::{AttemptKey, AttemptNo, Token};
use crate::instrument::{self, Call, Environment, Invocation, Profile, StdinSource};
use crate::plan::{InstrumentChoice, SheetPlan};
use crate::template::Vars;
use crate::validate::Snapshot;
use crate::worker::Permit;
use crate::worker::brief::{Brief, Limits, Round};

use rules::Rules;

/// Bytes of each output stream that are kept in the attempt directory, but for the tail.
const OUTPUT_CAP: u64 = 64 << 20;
/// Between TERM and KILL when a sheet is ended and its score does not say.
const GRACE: Duration = Duration::from_secs(5);
/// Where the snapshot for `file_modified` rules is kept, for the conductor after this one.
const SNAPSHOT: &str = "snapshot.json";

/// What a sheet worker is handed.
pub(crate) struct Task {
    pub(crate) key: AttemptKey,
    pub(crate) prepared: Arc<Prepared>,
    /// All sheets of the job when the score quotes earlier ones, else empty.
    pub(crate) sheets: Vec<Arc<Sheet>>,
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
        }
    }

    pub(crate) fn run(&mut self, task: Task) {
        let Task { key, prepared, sheets, permit, control, kind } = task;
        let mut report = ReportOnDrop { events: &self.events, key: &key, permit, report: None };
        report.report = Some(self.attempt(&key, &prepared, &sheets, &control, kind));
    }

    fn attempt(
        &self,
        key: &AttemptKey,
        prepared: &Prepared,
        sheets: &[Arc<Sheet>],
        control: &Control,
        kind: TaskKind,
    ) -> AttemptReport {
        let (index, token) = match &kind {
            TaskKind::Run(order) => (order.instrument_index, &order.token),
            TaskKind::Judge { instrument_index, token, .. } => (*instrument_index, token),
        };
        let token = token.clone();
        let sheet = &prepared.plan.sheets[key.sheet.index()];
        let choice = index.checked_sub(1).and_then(|at| sheet.fallbacks.get(at)).unwrap_or(&sheet.instrument);
        let Some(profile) = prepared.profiles.get(&choice.name) else {
            let message = format!(
                "there is no instrument `{}`; see docs/instruments.md for what is built in",
                choice.name
            );
            return failed(ErrorCode::E505, message);
        };
        let mut attempt = Attempt {
            worker: self,
            key,
            prepared,
            sheet,
            choice,
            profile,
            control,
            token,
            dir: executor::dir(&self.state_dir, key),
            vars: Vars::new(),
        };
        attempt.vars = attempt.brief().vars();
        match kind {
            TaskKind::Run(order) => attempt.run(&order, sheets),
            TaskKind::Judge { exit, .. } => {
                // Its rules are checked again, and not beside the check that was cut off.
                let left = executor::Leftovers::marked(&attempt.token).end();
                if !left.is_empty() {
                    log::error!("attempt.leftovers_alive attempt={key} pids={left:?}");
                }
                let snapshot = attempt.stored_snapshot();
                let rules = Rules::of(&attempt);
                attempt.judge(&exit, &rules, &snapshot, Vec::new())
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
        let report = self.report.take().unwrap_or_else(|| {
            failed(ErrorCode::E999, "the worker panicked; please report this with the conductor's log".into())
        });
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
}

impl Attempt<'_> {
    fn run(mut self, order: &Order, sheets: &[Arc<Sheet>]) -> AttemptReport {
        let mut warnings = Vec::new();
        self.add_context(order, sheets, &mut warnings);
        let rules = Rules::of(&self);
        let round = Round {
            retry_count: order.retry_count,
            previous: order.previous.as_deref(),
            completion: (order.mode == Mode::Completion).then_some(order.completion),
        };
        let brief = self.brief();
        let prompt = match brief.prompt(&mut self.vars, &round, rules.requirements(), &mut warnings) {
            Ok(ready) => {
                for path in ready.missing {
                    let path = path.display().to_string();
                    log::error!("attempt.injection_missing attempt={} path={path:?}", self.key);
                }
                log::debug!(
                    "attempt.prompt attempt={} estimated_tokens={}",
                    self.key,
                    ready.estimated_tokens
                );
                ready.text
            }
            Err(failure) => return report_failure(failure, warnings),
        };
        let cwd = match self.working_directory() {
            Ok(cwd) => cwd,
            Err(failure) => return report_failure(failure, warnings),
        };
        let settings = self.brief().settings();
        let identity = self.identity_of(order.attempt);
        let prompt_file = self.dir.with_extension("prompt");
        let call = Call {
            profile: self.profile,
            settings: &settings,
            prompt: &prompt,
            cwd: &cwd,
            prompt_file: &prompt_file,
            ours: &self.worker.ours,
            client: &[],
            identity: &identity,
        };
        let invocation = match instrument::command(&call) {
            Ok(invocation) => invocation,
            Err(error) => {
                let failure = Failure {
                    code: error.code(),
                    message: error.to_string(),
                    retriable: false,
                    delay: Duration::ZERO,
                };
                return report_failure(failure, warnings);
            }
        };
        warnings.extend(invocation.warnings.iter().cloned());
        let snapshot = rules.snapshot(&self);
        match self.start(order, invocation, cwd, &prompt_file, &snapshot) {
            Ok(exit) => self.judge(&exit, &rules, &snapshot, warnings),
            Err(report) => *report,
        }
    }

    /// Starts the guard and waits for its record.
    fn start(
        &self,
        order: &Order,
        invocation: Invocation,
        cwd: PathBuf,
        prompt_file: &Path,
        snapshot: &Snapshot,
    ) -> Result<Exit, Box<AttemptReport>> {
        if let Some(text) = &invocation.prompt_file {
            write_private(prompt_file, text.as_bytes())
                .map_err(|error| not_started(&format!("cannot write {}: {error}", prompt_file.display())))?;
        }
        let config = &self.choice.config;
        let mut argv = invocation.argv;
        if let Some(nice) = config.nice.filter(|&nice| nice > 0) {
            // `nice` becomes the program, so pid and signals are those of the program.
            let path = self.worker.ours.get("PATH").map(String::as_str);
            let program = instrument::find_program("nice", path, &cwd).ok_or_else(|| {
                not_started("`nice` is not on PATH; remove `nice` from the instrument's settings")
            })?;
            argv.splice(0..0, [program.display().to_string(), "-n".to_owned(), nice.to_string()]);
        }
        let stale = &self.prepared.score.stale_detection;
        let spec = Spec {
            argv,
            cwd,
            env: invocation.env,
            stdin: match invocation.stdin {
                StdinSource::Null => Stdin::Null,
                StdinSource::Prompt(bytes) => Stdin::Prompt(bytes),
            },
            timeout: Some(invocation.timeout),
            idle: stale
                .enabled
                .then(|| (Duration::from_secs_f64(stale.idle_timeout_seconds), stale.count_cpu)),
            grace: config.kill_grace_seconds.map_or(GRACE, Duration::from_secs_f64),
            output_cap: OUTPUT_CAP,
            token: order.token.clone(),
        };
        let running = executor::start(&self.worker.guard_program, &self.dir, &spec, self.control);
        let running = running.map_err(|error| match error {
            StartError::Cancelled => ended(),
            error => not_started(&chain(&error)),
        })?;
        if !snapshot.is_empty() {
            let text = serde_json::to_vec(snapshot).expect("a snapshot is plain data");
            if let Err(error) = write_private(&self.dir.join(SNAPSHOT), &text) {
                log::warn!("attempt.snapshot_not_kept attempt={} error={:?}", self.key, error.to_string());
            }
        }
        let events = &self.worker.events;
        let end = running.wait(|pid| _ = events.send(Event::Spawned(self.key.clone(), pid)));
        match end {
            End::Over(exit) => Ok(exit),
            End::Lost { left } => {
                if !left.is_empty() {
                    log::error!("attempt.leftovers_alive attempt={} pids={left:?}", self.key);
                }
                Err(Box::new(interrupted("its guard was killed")))
            }
            End::NotStarted { .. } if self.control.is_cancelled() => Err(Box::new(ended())),
            End::NotStarted { message } => Err(Box::new(not_started(&message))),
        }
    }

    /// The snapshot that the worker of an earlier conductor took.
    fn stored_snapshot(&self) -> Snapshot {
        let read = crate::file::read(&self.dir.join(SNAPSHOT), u64::MAX).ok();
        read.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    /// Where the program works; made when it is the workspace.
    fn working_directory(&self) -> Result<PathBuf, Failure> {
        let failure = |code, message| Failure { code, message, retriable: false, delay: Duration::ZERO };
        let workspace = &self.prepared.workspace;
        if let Some(dir) = &self.choice.config.working_directory {
            if dir.is_dir() {
                return Ok(dir.clone());
            }
            let message = format!("the working directory {} does not exist or is none", dir.display());
            return Err(failure(ErrorCode::E603, message));
        }
        fs::create_dir_all(workspace).map_err(|error| {
            let message = format!("cannot create the workspace {}: {error}", workspace.display());
            failure(ErrorCode::E601, message)
        })?;
        Ok(workspace.clone())
    }

    fn identity_of(&self, attempt: AttemptNo) -> Vec<(String, String)> {
        let pairs = [
            ("MOZART_JOB_ID", self.key.job.to_string()),
            ("MOZART_SHEET_NUM", self.key.sheet.to_string()),
            ("MOZART_ATTEMPT", attempt.to_string()),
            ("MOZART_WORKSPACE", self.prepared.workspace.display().to_string()),
        ];
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// Creates or replaces a file that nobody else may read.
fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

fn failed(code: ErrorCode, message: String) -> AttemptReport {
    report_failure(Failure { code, message, retriable: false, delay: Duration::ZERO }, Vec::new())
}

fn report_failure(failure: Failure, warnings: Vec<String>) -> AttemptReport {
    AttemptReport {
        outcome: Outcome::Failed(failure),
        evidence: Evidence { warnings, ..Evidence::default() },
    }
}

/// Nothing was started; the sheet is tried again without counting.
pub(crate) fn not_started(message: &str) -> AttemptReport {
    AttemptReport {
        outcome: Outcome::NotStarted { message: message.to_owned() },
        evidence: Evidence::default(),
    }
}

/// It ran, and how it ended is not known.
pub(crate) fn interrupted(message: &str) -> AttemptReport {
    AttemptReport {
        outcome: Outcome::Interrupted { message: message.to_owned() },
        evidence: Evidence::default(),
    }
}

/// It was asked to end before anything was started.
pub(crate) fn ended() -> AttemptReport {
    AttemptReport { outcome: Outcome::Ended, evidence: Evidence::default() }
}
