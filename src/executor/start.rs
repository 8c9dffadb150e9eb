//! Starting an attempt under its guard, and waiting for its end.

use std::fs::DirBuilder;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

use super::control::Control;
use super::examine::{Taken, settle};
use super::leftovers::Leftovers;
use crate::guard::lock::try_exclusive;
use crate::guard::record::{
    Exit, IdleSpec, LOCK, LockLines, PROMPT, Record, SPEC, SpecFile, TOKEN_VARIABLE, create_private,
    read_record,
};
use crate::ids::Token;
use crate::process;

/// How long reading a record is tried again before the attempt counts as lost.
const RECORD_PATIENCE: Duration = Duration::from_secs(5);
/// Longest line that a guard writes to its worker.
const GUARD_LINE: u64 = 4096;

/// What is to be run.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Program, as an absolute path, and its arguments.
    pub argv: Vec<String>,
    /// Working directory, absolute. It must exist.
    pub cwd: PathBuf,
    /// The whole environment. The token is added. Values are never written to disk.
    pub env: Vec<(String, String)>,
    /// Standard input.
    pub stdin: Stdin,
    /// Longest run time; `None` = no limit.
    pub timeout: Option<Duration>,
    /// Longest silence, and whether CPU time (1 % of one processor or more) counts as activity.
    pub idle: Option<(Duration, bool)>,
    /// Between TERM and KILL.
    pub grace: Duration,
    /// Bytes kept of each stream; of what is above, the last 256 KiB are kept too.
    pub output_cap: u64,
    /// Mark of the attempt.
    pub token: Token,
}

/// Standard input of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stdin {
    /// Nothing: the program sees the end of the file.
    Null,
    /// These bytes, through the file `prompt`.
    Prompt(Vec<u8>),
}

/// Why nothing was started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The end was asked for before the start.
    #[error("the attempt was cancelled before its start")]
    Cancelled,
    /// The attempt directory could not be prepared: disk full, no permission, or it exists already.
    #[error("cannot {call} `{path}` for the attempt")]
    Directory {
        /// What was tried.
        call: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The guard program could not be started.
    #[error("cannot start the guard program `{program}`")]
    Guard {
        /// The program.
        program: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// How an attempt ended.
#[derive(Debug)]
pub enum End {
    /// Its guard wrote a record.
    Over(Exit),
    /// Its guard is gone without a record. What it left behind is ended; `left` are the processes
    /// that could not be.
    Lost {
        /// Still alive after KILL.
        left: Vec<u32>,
    },
    /// The guard started nothing: no room for the result, or it was ended before it could begin.
    NotStarted {
        /// One line.
        message: String,
    },
}

/// An attempt whose guard was started by this process. Dropping it does not end the attempt.
#[derive(Debug)]
pub struct Running {
    guard: Child,
    dir: PathBuf,
    token: Token,
    control: Control,
}

/// Makes the directory of an attempt and starts its guard in it. Blocks for a few milliseconds.
///
/// On an error nothing was started and nothing will be.
pub fn start(
    guard_program: &Path,
    dir: &Path,
    spec: &Spec,
    control: &Control,
) -> Result<Running, StartError> {
    if control.is_cancelled() {
        return Err(StartError::Cancelled);
    }
    let failed = |call, path: &Path| {
        let path = path.to_owned();
        move |source| StartError::Directory { call, path, source }
    };
    let dir = std::path::absolute(dir).map_err(failed("find", dir))?;
    make_dir(&dir).map_err(failed("create", &dir))?;
    let path = dir.join(LOCK);
    let lock = create_private(&path).map_err(failed("create", &path))?;
    // Nobody else can hold the lock of a file that we have just created.
    if !try_exclusive(&lock).map_err(failed("lock", &path))? {
        return Err(failed("lock", &path)(io::ErrorKind::WouldBlock.into()));
    }
    if let Stdin::Prompt(bytes) = &spec.stdin {
        let path = dir.join(PROMPT);
        create_private(&path).and_then(|mut file| file.write_all(bytes)).map_err(failed("write", &path))?;
    }
    let path = dir.join(SPEC);
    let text =
        serde_json::to_vec(&spec_file(spec)).map_err(|error| failed("describe", &path)(error.into()))?;
    create_private(&path).and_then(|mut file| file.write_all(&text)).map_err(failed("write", &path))?;

    let mut command = Command::new(guard_program);
    command.arg(crate::guard::SHEET).arg(&dir).env_clear();
    command.envs(spec.env.iter().map(|(name, value)| (name, value))).env(TOKEN_VARIABLE, spec.token.as_str());
    command.stdin(lock).stdout(Stdio::piped()).stderr(Stdio::null());
    let started = process::spawn(&mut command);
    // Our copy of the lock goes with the command: from here on the guard alone holds it.
    drop(command);
    let guard = started.map_err(|source| StartError::Guard { program: guard_program.to_owned(), source })?;
    control.attach(pid_of(&guard));
    Ok(Running { guard, dir, token: spec.token, control: control.clone() })
}

/// The directory must be new: no attempt ever continues in the directory of another.
fn make_dir(dir: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    match (builder.create(dir), dir.parent()) {
        (Err(error), Some(parent)) if error.kind() == io::ErrorKind::NotFound => {
            DirBuilder::new().mode(0o700).recursive(true).create(parent)?;
            builder.create(dir)
        }
        (result, _) => result,
    }
}

fn spec_file(spec: &Spec) -> SpecFile {
    SpecFile {
        token: spec.token,
        conductor: std::process::id(),
        argv: spec.argv.clone(),
        env: spec.env.iter().map(|(name, _)| name.clone()).collect(),
        cwd: spec.cwd.clone(),
        prompt: matches!(spec.stdin, Stdin::Prompt(_)),
        timeout_ms: spec.timeout.map(millis),
        idle: spec.idle.map(|(limit, count_cpu)| IdleSpec { limit_ms: millis(limit), count_cpu }),
        grace_ms: millis(spec.grace),
        output_cap: spec.output_cap,
    }
}

/// Whole milliseconds, rounded up so that a short limit does not become none at all.
pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

pub(super) fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(child.id().cast_signed())
}

/// Waits for the end of a child and does not reap it: its number stays taken until the caller is
/// done with it.
pub(super) fn wait_unreaped(child: Pid) {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
    while waitid(Id::Pid(child), flags) == Err(Errno::EINTR) {}
}

impl Running {
    /// Process id of the guard.
    #[must_use]
    pub fn guard_pid(&self) -> u32 {
        self.guard.id()
    }

    /// Waits for the end. `on_spawned` is called once, with the pid of the program, when it runs.
    pub fn wait(mut self, on_spawned: impl FnOnce(u32)) -> End {
        let mut said = String::new();
        if let Some(stdout) = self.guard.stdout.take() {
            // An unreadable line is as good as none: the record and the lock decide.
            _ = BufReader::new(stdout.take(GUARD_LINE)).read_line(&mut said);
        }
        if let Some(pid) = said.strip_prefix("pid ").and_then(|pid| pid.trim_end().parse().ok()) {
            on_spawned(pid);
        }
        let guard = pid_of(&self.guard);
        wait_unreaped(guard);
        self.control.detach();
        let end = match self.record() {
            Some(Record::Exit(exit)) => End::Over(exit),
            // While the guard is a zombie its session cannot be anybody else's.
            Some(Record::Interrupted { .. } | Record::Void { .. }) | None => self.without_record(&said),
        };
        if let Err(error) = process::reap(&mut self.guard) {
            log::warn!("guard.reap pid={guard} error={error}");
        }
        end
    }

    /// The guard has ended. A passing lack of descriptors must not turn a result into a loss.
    fn record(&self) -> Option<Record> {
        let until = Instant::now() + RECORD_PATIENCE;
        loop {
            match read_record(&self.dir) {
                Ok(record) => return record,
                Err(error) if error.kind() == io::ErrorKind::InvalidData || Instant::now() >= until => {
                    log::error!("attempt.record_unreadable dir={} error={error}", self.dir.display());
                    return None;
                }
                Err(_) => process::wait_for(&mut [], Some(Duration::from_millis(50))),
            }
        }
    }

    fn without_record(&self, said: &str) -> End {
        let taken = Taken::wait(&self.dir, RECORD_PATIENCE);
        let lines = LockLines::read(&self.dir).unwrap_or_default();
        // A program may have removed the directory that it was recorded in. It has run all the same: to call that
        // "not started" would run it again and again without an end.
        let started = lines.guard.is_some() || said.starts_with("pid ");
        let mut leftovers = Leftovers::new(&self.token, lines);
        leftovers.session = Some(self.guard.id());
        let left = if started { leftovers.end() } else { Vec::new() };
        let at = crate::guard::wall();
        settle(&self.dir, &if started { Record::Interrupted { at } } else { Record::Void { at } });
        drop(taken);
        if started {
            return End::Lost { left };
        }
        let message = match said.trim().strip_prefix("error ") {
            Some(why) => format!("the guard started nothing: {why}"),
            None => "the guard was ended before it started anything".to_owned(),
        };
        End::NotStarted { message }
    }
}
