//! The steps of an attempt until its program is over.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::classify::ErrorCode;
use crate::conductor::Event;
use crate::exec::{AttemptReport, Evidence, Failure, Mode, Order, Outcome, PromptMetrics, Sheet};
use crate::executor::{self, End, Spec, StartError, Stdin};
use crate::guard::record::Exit;
use crate::instrument::{self, Call, Invocation, StdinSource};
use crate::process;
use crate::validate::Snapshot;
use crate::worker::brief::{Ready, Round};

use super::reports::{ended, interrupted, not_started, refusal};
use super::rules::{self, Rules};
use super::skip::Skip;
use super::{Attempt, SNAPSHOT, reports, write_private};

/// Bytes of each output stream that are kept in the attempt directory, but for the tail.
const OUTPUT_CAP: u64 = 64 << 20;
/// Between TERM and KILL when a sheet is ended and its score does not say.
const GRACE: Duration = Duration::from_secs(5);

/// What was seen of an attempt before its program ended.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) warnings: Vec<String>,
    /// Size of the prompt; `None` when another conductor made it.
    pub(super) prompt: Option<PromptMetrics>,
    /// It was ended because it had used up what was left: which limit, and what to do.
    pub(super) spent: Option<String>,
    /// How often the system had killed for lack of memory when the program was started.
    pub(super) oom_kills: Option<u64>,
}

impl Seen {
    fn evidence(self) -> Evidence {
        Evidence { warnings: self.warnings, prompt: self.prompt, ..Evidence::default() }
    }

    fn failed(self, failure: Failure) -> AttemptReport {
        reports::failed(failure, self.evidence())
    }
}

impl Attempt<'_> {
    pub(super) fn run(mut self, order: &Order, sheets: &[Arc<Sheet>]) -> AttemptReport {
        let mut report = self.steps(order, sheets);
        self.mend(order, &mut report);
        report
    }

    fn steps(&mut self, order: &Order, sheets: &[Arc<Sheet>]) -> AttemptReport {
        let mut seen = Seen::default();
        if order.skip_command {
            match self.skip_command() {
                Skip::Yes(message) => return reports::plain(Outcome::Skip { message }),
                Skip::No(remark) => seen.warnings.extend(remark),
            }
        }
        self.add_context(order, sheets, &mut seen.warnings);
        let rules = Rules::of(self);
        if let Some(failure) = rules.broken(self) {
            return seen.failed(failure);
        }
        let prompt = match self.prompt(order, &rules, &mut seen) {
            Ok(prompt) => prompt,
            Err(failure) => return seen.failed(failure),
        };
        let cwd = match self.working_directory() {
            Ok(cwd) => cwd,
            Err(failure) => return seen.failed(failure),
        };
        let settings = self.brief().settings();
        let identity = self.identity();
        let prompt_file = self.dir.with_extension("prompt");
        let call = Call {
            profile: self.profile,
            settings: &settings,
            prompt: &prompt,
            cwd: &cwd,
            prompt_file: &prompt_file,
            ours: &self.worker.ours,
            own_program: &self.worker.guard_program,
            identity: &identity,
        };
        let invocation = match instrument::command(&call) {
            Ok(invocation) => invocation,
            Err(error) => return seen.failed(refusal(error.code(), error.to_string())),
        };
        seen.warnings.extend(invocation.warnings.iter().cloned());
        let snapshot = rules.snapshot(self);
        seen.oom_kills = process::oom_kills();
        let start = || self.start(order, invocation, cwd, &prompt_file, &snapshot);
        let (end, spent) = self.metered(order.left, start);
        seen.spent = spent;
        match end {
            Ok(exit) => self.judge(&exit, &rules, &snapshot, seen),
            Err(report) => *report,
        }
    }

    /// Only the rules: no program runs.
    pub(super) fn recover(self) -> AttemptReport {
        let rules = Rules::of(&self);
        if let Some(failure) = rules.broken(&self) {
            return Seen::default().failed(failure);
        }
        let snapshot = if rules.needs_snapshot() { self.last_snapshot() } else { Snapshot::default() };
        let mut evidence = Evidence::default();
        self.check(&rules, &snapshot, &mut evidence);
        let outcome = self.unless_cut_off(&evidence, |evidence| rules::ran(&evidence.validations));
        AttemptReport { outcome, evidence }
    }

    /// The whole prompt, measured and found acceptable.
    fn prompt(&mut self, order: &Order, rules: &Rules, seen: &mut Seen) -> Result<String, Failure> {
        let round = Round {
            retry_count: order.retry_count,
            previous: order.previous.as_deref(),
            completion: (order.mode == Mode::Completion).then_some(order.completion),
            healing: order.mode == Mode::Healing,
            note: order.note.as_deref(),
        };
        let brief = self.brief();
        let Ready { text, estimated_tokens, missing } =
            brief.prompt(&mut self.vars, &round, rules.requirements(), &mut seen.warnings)?;
        for path in missing {
            let path = path.display().to_string();
            log::error!("attempt.injection_missing attempt={} path={path:?}", self.key);
        }
        log::debug!("attempt.prompt attempt={} estimated_tokens={estimated_tokens}", self.key);
        let written: Vec<PathBuf> =
            rules.requirements().iter().filter_map(|rule| rule.path.as_ref().map(PathBuf::from)).collect();
        let (metrics, fits) = self.preflight(&text, &written, &mut seen.warnings);
        seen.prompt = Some(metrics);
        fits.map(|()| text)
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
            token: order.token,
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

    /// Where the program works: the worktree of its job, which isolates the whole job, so that a directory of the
    /// instrument outside of it would undo that; else that directory; else the workspace.
    pub(super) fn place(&self) -> (&'static str, PathBuf) {
        match (&self.directory, &self.choice.config.working_directory) {
            (Some(tree), _) => ("git worktree of the job", tree.clone()),
            (None, Some(dir)) => ("working directory", dir.clone()),
            (None, None) => ("workspace", self.prepared.workspace.clone()),
        }
    }

    /// That directory, there. The workspace is made even when the program works elsewhere: prompts and rules name it.
    fn working_directory(&self) -> Result<PathBuf, Failure> {
        let workspace = &self.prepared.workspace;
        std::fs::create_dir_all(workspace).map_err(|error| {
            let message = format!("cannot create the workspace {}: {error}", workspace.display());
            refusal(ErrorCode::E601, message)
        })?;
        let (what, dir) = self.place();
        if !dir.is_dir() {
            let message = format!("the {what} {} does not exist or is none", dir.display());
            return Err(refusal(ErrorCode::E603, message));
        }
        Ok(dir)
    }
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
