//! The guard of a sheet: outlives the conductor, reports through its attempt directory.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::unistd::{getppid, setsid};

use super::lock::try_exclusive;
use super::log_file::LogFile;
use super::record::{
    EXIT, Exit, LOCK, LockLines, PROMPT, Record, Reserve, STDERR, STDOUT, SpawnError, SpecFile,
};
use super::signals::Signals;
use super::supervise::{Keeper, Orders, Report, Stream, supervise, wall};
use crate::process::{Identity, start_ticks};

/// Runs the attempt of a directory. What it returns is the exit code of the guard: 0 when there is
/// a record, 1 when there is none because nothing was started, 2 when it could not be written.
pub(super) fn run(dir: Option<OsString>) -> i32 {
    // First of all: a TERM before this point ends a guard that has started nothing.
    let signals = Signals::install();
    let Some(dir) = dir.map(PathBuf::from).filter(|dir| dir.is_absolute()) else {
        return refuse("the attempt directory is not an absolute path");
    };
    let ready = signals.and_then(|signals| Ok((signals, prepare(&dir)?)));
    match ready {
        Ok((signals, ready)) => ready.run(signals),
        Err(error) => refuse(&error.to_string()),
    }
}

/// Tells the worker why nothing was started.
fn refuse(why: &str) -> i32 {
    // The worker may be gone, and then nobody wants to know.
    _ = writeln!(io::stdout(), "error {why}");
    1
}

struct Prepared {
    dir: PathBuf,
    spec: SpecFile,
    reserve: Reserve,
}

/// Everything that must succeed before something is started.
fn prepare(dir: &Path) -> io::Result<Prepared> {
    let failed = |what: &str, error: io::Error| {
        io::Error::new(error.kind(), format!("cannot {what} in `{}`: {error}", dir.display()))
    };
    hold_lock(dir).map_err(|error| failed("hold the lock", error))?;
    if fs::exists(dir.join(EXIT)).map_err(|error| failed("look for a record", error))? {
        return Err(failed("start", io::Error::other("the attempt is already over")));
    }
    let text = fs::read(dir.join(super::record::SPEC)).map_err(|error| failed("read the orders", error))?;
    let spec: SpecFile =
        serde_json::from_slice(&text).map_err(|error| failed("understand the orders", error.into()))?;
    setsid().map_err(|errno| failed("open a session", errno.into()))?;
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_child_subreaper(true).map_err(|errno| failed("become subreaper", errno.into()))?;
    let reserve = Reserve::take(dir).map_err(|error| failed("reserve room for the result", error))?;
    let me = Identity::of(std::process::id())
        .ok_or_else(|| failed("identify itself", io::Error::other("no entry in /proc")))?;
    write_lock(&LockLines::guard_line(&me)).map_err(|error| failed("write the lock", error))?;
    Ok(Prepared { dir: dir.to_owned(), spec, reserve })
}

/// Our standard input is the lock of this very directory, and it is held.
fn hold_lock(dir: &Path) -> io::Result<()> {
    let stdin = nix::sys::stat::fstat(io::stdin())?;
    let lock = nix::sys::stat::stat(&dir.join(LOCK))?;
    if (stdin.st_dev, stdin.st_ino) != (lock.st_dev, lock.st_ino) {
        return Err(io::Error::other("standard input is not the lock file"));
    }
    if try_exclusive(io::stdin())? { Ok(()) } else { Err(io::Error::other("another process holds it")) }
}

fn write_lock(line: &str) -> io::Result<()> {
    // One write per line, so that a reader sees a whole line or none.
    match nix::unistd::write(io::stdin(), line.as_bytes()) {
        Ok(count) if count == line.len() => Ok(()),
        Ok(_) => Err(io::ErrorKind::WriteZero.into()),
        Err(errno) => Err(errno.into()),
    }
}

impl Prepared {
    fn run(self, signals: Signals) -> i32 {
        let Self { dir, spec, reserve } = self;
        let cap = spec.output_cap;
        let mut logs =
            Logs { stdout: LogFile::new(dir.join(STDOUT), cap), stderr: LogFile::new(dir.join(STDERR), cap) };
        let stdin = match spec.prompt {
            true => File::open(dir.join(PROMPT)).map(Stdio::from),
            false => Ok(Stdio::null()),
        };
        let millis = Duration::from_millis;
        let report = match stdin {
            Ok(stdin) => {
                let orders = Orders {
                    argv: &spec.argv,
                    cwd: &spec.cwd,
                    stdin,
                    merged: false,
                    timeout: spec.timeout_ms.map(millis),
                    idle: spec.idle.map(|idle| (millis(idle.limit_ms), idle.count_cpu)),
                    grace: millis(spec.grace_ms),
                    leash: None,
                };
                supervise(orders, signals, &mut logs)
            }
            Err(error) => {
                let error = SpawnError::new("open prompt", &dir.to_string_lossy(), &error);
                Report::not_started(wall(), Some(error), None)
            }
        };
        let record = Record::Exit(logs.finish(report));
        // With the conductor gone nobody else makes the result durable.
        let durable = getppid().as_raw().cast_unsigned() != spec.conductor;
        match reserve.commit(&record, durable) {
            Ok(()) => 0,
            Err(_) => 2,
        }
    }
}

struct Logs {
    stdout: LogFile,
    stderr: LogFile,
}

impl Logs {
    fn finish(self, report: Report) -> Exit {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Exit {
            exit_code: report.exit_code,
            signal: report.signal,
            spawn_error: report.spawn_error,
            killed_by: report.killed_by.map(str::to_owned),
            started: report.started,
            ended: report.ended,
            duration_ms: millis(report.duration),
            cpu_user_ms: millis(report.cpu_user),
            cpu_system_ms: millis(report.cpu_system),
            max_rss_kib: report.max_rss_kib,
            stdout: self.stdout.finish(),
            stderr: self.stderr.finish(),
            descendants_reaped: report.reaped,
            unkillable: report.unkillable,
        }
    }
}

impl Keeper for Logs {
    fn spawned(&mut self, pid: u32) {
        // Without this line leftovers are still found by their token.
        _ = write_lock(&LockLines::child_line(pid, start_ticks(pid).unwrap_or(0)));
        // The worker may be gone; the lock says the same to the next one.
        let mut stdout = io::stdout();
        _ = writeln!(stdout, "pid {pid}").and_then(|()| stdout.flush());
    }

    fn output(&mut self, stream: Stream, bytes: &[u8]) {
        match stream {
            Stream::Stdout => self.stdout.push(bytes),
            Stream::Stderr => self.stderr.push(bytes),
        }
    }
}
