//! Running a command of the conductor's own: validations, skip commands, hooks, git.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use memchr::memchr;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::control::Control;
use super::leftovers::Leftovers;
use super::start::{millis, pid_of, wait_unreaped};
use crate::guard::record::{BY_TERM, SpawnError, TOKEN_VARIABLE};
use crate::guard::{BOUND, BoundHeader, BoundOrders};
use crate::ids::Token;
use crate::process;

/// Usual bytes of output that are handed back: 8 KiB of the beginning and 64 KiB of the end.
pub const BOUND_OUTPUT: usize = 72 * 1024;

/// A command that must not outlive the conductor.
#[derive(Debug, Clone)]
pub struct BoundSpec {
    /// Program, as an absolute path, and its arguments.
    pub argv: Vec<String>,
    /// Working directory, absolute.
    pub cwd: PathBuf,
    /// The whole environment, the token excepted.
    pub env: Vec<(String, String)>,
    /// Mark of the attempt that the command belongs to, put into its environment.
    pub token: Option<Token>,
    /// Longest run time; `None` = no limit.
    pub timeout: Option<Duration>,
    /// Between TERM and KILL.
    pub grace: Duration,
    /// Bytes of output that are handed back, usually [`BOUND_OUTPUT`].
    pub output_cap: usize,
    /// File that gets the whole output; it must not exist. Created with the first byte, mode 0600,
    /// 64 MiB of the beginning and 256 KiB of the end.
    pub log: Option<PathBuf>,
}

/// How a bound command ended. Nothing of it is left, `unkillable` excepted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BoundEnd {
    /// Exit code.
    pub exit_code: Option<i32>,
    /// Signal that ended it.
    pub signal: Option<i32>,
    /// It ran too long.
    pub timed_out: bool,
    /// The end was asked for through the [`Control`].
    pub cancelled: bool,
    /// It could not be started.
    pub spawn_error: Option<SpawnError>,
    /// Its guard was killed; how the command ended is unknown.
    pub lost: bool,
    /// Standard output and standard error as they came: the beginning and the end, with a line
    /// between them when something was left out.
    pub output: Vec<u8>,
    /// Bytes that the command wrote.
    pub total_bytes: u64,
    /// Run time.
    pub duration: Duration,
    /// Processes that did not go away after KILL.
    pub unkillable: Vec<u32>,
}

/// Runs a command to its end and captures its output. Blocks so long. Its standard input is empty.
#[must_use]
pub fn bound(guard_program: &Path, spec: &BoundSpec, control: &Control) -> BoundEnd {
    begin_bound(guard_program, spec, control).map_or_else(|end| *end, BoundRun::wait)
}

/// As [`bound`], with these bytes on the command's standard input. They are never on a disk.
#[must_use]
pub fn bound_with_input(guard_program: &Path, spec: &BoundSpec, input: &[u8], control: &Control) -> BoundEnd {
    begin(guard_program, spec, Some(input), control).map_or_else(|end| *end, BoundRun::wait)
}

/// Starts a command, so that no thread is held while it runs: [`BoundRun::end_within`] looks after it.
///
/// # Errors
/// How it ended already: it was cancelled before it started, or there is no guard.
pub fn begin_bound(
    guard_program: &Path,
    spec: &BoundSpec,
    control: &Control,
) -> Result<BoundRun, Box<BoundEnd>> {
    begin(guard_program, spec, None, control)
}

fn begin(
    guard_program: &Path,
    spec: &BoundSpec,
    input: Option<&[u8]>,
    control: &Control,
) -> Result<BoundRun, Box<BoundEnd>> {
    if control.is_cancelled() {
        return Err(Box::new(BoundEnd { cancelled: true, ..BoundEnd::default() }));
    }
    start(guard_program, spec, input, control).map_err(|error| {
        let error = SpawnError::new("start guard", &guard_program.to_string_lossy(), &error);
        Box::new(BoundEnd { spawn_error: Some(error), ..BoundEnd::default() })
    })
}

/// A command that runs under its guard. Who drops it before its end lets go of the leash: the guard
/// then ends everything below it, and nobody learns how.
#[derive(Debug)]
pub struct BoundRun {
    guard: Child,
    // Kept open until the end: for the guard, its closing is the death of the conductor.
    leash: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    /// What the guard has said so far.
    answer: Vec<u8>,
    token: Option<Token>,
    control: Control,
}

fn start(
    guard_program: &Path,
    spec: &BoundSpec,
    input: Option<&[u8]>,
    control: &Control,
) -> io::Result<BoundRun> {
    let orders = BoundOrders {
        argv: spec.argv.clone(),
        cwd: spec.cwd.clone(),
        timeout_ms: spec.timeout.map(millis),
        grace_ms: millis(spec.grace),
        output_cap: spec.output_cap,
        log: spec.log.clone(),
        input: input.map(|bytes| String::from_utf8_lossy(bytes).into_owned()),
    };
    let mut line = serde_json::to_vec(&orders)?;
    line.push(b'\n');
    let mut command = Command::new(guard_program);
    command.arg(BOUND).env_clear().envs(spec.env.iter().map(|(name, value)| (name, value)));
    match &spec.token {
        Some(token) => command.env(TOKEN_VARIABLE, token.as_str()),
        // One that came with the environment is that of a sheet in which we ourselves run.
        None => command.env_remove(TOKEN_VARIABLE),
    };
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut guard = process::spawn(&mut command)?;
    drop(command);
    control.attach(pid_of(&guard));
    let mut leash = guard.stdin.take();
    let stdout = guard.stdout.take();
    // A guard that is gone cannot read or answer; its missing header says so.
    _ = leash.as_mut().map(|leash| leash.write_all(&line));
    let (token, control) = (spec.token, control.clone());
    Ok(BoundRun { guard, leash, stdout, answer: Vec::new(), token, control })
}

impl BoundRun {
    /// Waits for the end.
    fn wait(mut self) -> BoundEnd {
        _ = self.stdout.take().map(|mut stdout| stdout.read_to_end(&mut self.answer));
        self.end()
    }

    /// Waits for the end, but not longer than this.
    ///
    /// # Errors
    /// It still runs.
    pub fn end_within(mut self, time: Duration) -> Result<BoundEnd, Self> {
        let until = Instant::now() + time;
        while let Some(stdout) = &mut self.stdout {
            let left = until.saturating_duration_since(Instant::now());
            let mut fds = [PollFd::new(stdout.as_fd(), PollFlags::POLLIN)];
            // Cut to the range of poll, which is longer than anybody waits here.
            let limit = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            match poll(&mut fds, limit) {
                Ok(0) => return Err(self),
                Ok(_) => {
                    let mut chunk = [0; 16 * 1024];
                    match stdout.read(&mut chunk) {
                        Ok(count @ 1..) => self.answer.extend_from_slice(&chunk[..count]),
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
                        Ok(_) | Err(_) => self.stdout = None,
                    }
                }
                Err(Errno::EINTR) => (),
                Err(_) => self.stdout = None,
            }
        }
        Ok(self.end())
    }

    /// Its guard has said its last word.
    fn end(mut self) -> BoundEnd {
        wait_unreaped(pid_of(&self.guard));
        self.control.detach();
        let end = parse(std::mem::take(&mut self.answer)).unwrap_or_else(|| {
            let unkillable = Leftovers::of_bound(self.guard.id(), self.token.as_ref()).end();
            BoundEnd { lost: true, cancelled: self.control.is_cancelled(), unkillable, ..BoundEnd::default() }
        });
        drop(self.leash.take());
        // It is there to be reaped, as the wait above has seen.
        _ = process::reap(&mut self.guard);
        end
    }
}

/// A line of JSON, then the captured bytes. `None`: the guard did not get so far.
fn parse(mut answer: Vec<u8>) -> Option<BoundEnd> {
    let line_end = memchr(b'\n', &answer)?;
    let header: BoundHeader = serde_json::from_slice(&answer[..line_end]).ok()?;
    answer.drain(..=line_end);
    let by = |who| header.killed_by.as_deref() == Some(who);
    Some(BoundEnd {
        exit_code: header.exit_code,
        signal: header.signal,
        timed_out: by("timeout"),
        cancelled: by(BY_TERM),
        spawn_error: header.spawn_error.clone(),
        lost: false,
        output: answer,
        total_bytes: header.total_bytes,
        duration: Duration::from_millis(header.duration_ms),
        unkillable: header.unkillable,
    })
}
