//! Running a command of the conductor's own: validations, skip commands, hooks, git.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use memchr::memchr;

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
    ended(guard_program, spec, None, control)
}

/// As [`bound`], with these bytes on the command's standard input. They are never on a disk.
#[must_use]
pub fn bound_with_input(guard_program: &Path, spec: &BoundSpec, input: &[u8], control: &Control) -> BoundEnd {
    ended(guard_program, spec, Some(input), control)
}

fn ended(guard_program: &Path, spec: &BoundSpec, input: Option<&[u8]>, control: &Control) -> BoundEnd {
    if control.is_cancelled() {
        return BoundEnd { cancelled: true, ..BoundEnd::default() };
    }
    run(guard_program, spec, input, control).unwrap_or_else(|error| BoundEnd {
        spawn_error: Some(SpawnError::new("start guard", &guard_program.to_string_lossy(), &error)),
        ..BoundEnd::default()
    })
}

fn run(
    guard_program: &Path,
    spec: &BoundSpec,
    input: Option<&[u8]>,
    control: &Control,
) -> io::Result<BoundEnd> {
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
    let pid = pid_of(&guard);
    control.attach(pid);
    // Kept open until the end: for the guard, its closing is the death of the conductor.
    let mut leash = guard.stdin.take();
    let mut answer = Vec::new();
    // A guard that is gone cannot read or answer; its missing header says so.
    _ = leash.as_mut().map(|leash| leash.write_all(&line));
    _ = guard.stdout.take().map(|mut stdout| stdout.read_to_end(&mut answer));
    wait_unreaped(pid);
    control.detach();
    let end = match parse(answer) {
        Some(end) => end,
        None => {
            let unkillable = Leftovers::of_bound(guard.id(), spec.token.as_ref()).end();
            BoundEnd { lost: true, cancelled: control.is_cancelled(), unkillable, ..BoundEnd::default() }
        }
    };
    drop(leash);
    process::reap(&mut guard)?;
    Ok(end)
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
