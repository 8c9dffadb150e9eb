//! `mozart stop`.

use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use clap::Args;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::failure::{Done, Failure, Stop, TIMED_OUT};
use crate::cli::format::{self, parse_duration};
use crate::cli::guard_sweep;
use crate::cli::job::Doc;
use crate::cli::rpc::Rpc;
use crate::cli::target::Target;
use crate::daemon::liveness::{self, Liveness};
use crate::daemon::pidfile;

/// How long a stop is always awaited.
const ALWAYS: Duration = Duration::from_secs(2);
/// Time for the answer of the guard question.
const GUARD: Duration = Duration::from_secs(5);

/// Options of `stop`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// PID file of the conductor [env: MOZART_PID_FILE]
    #[arg(long, value_name = "FILE")]
    pub(crate) pid_file: Option<PathBuf>,
    /// Kill it at once, and what its jobs left running
    #[arg(long)]
    pub(crate) force: bool,
    /// Do not ask even if jobs are running
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Wait until it is gone, at most this long [default: its shutdown timeout + 5s]
    #[arg(long, value_name = "DURATION", num_args = 0..=1, default_missing_value = "", value_parser = wait_argument)]
    pub(crate) wait: Option<Wait>,
}

/// `--wait`, with or without a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// As long as the conductor takes by its own setting.
    Default,
    /// This long.
    For(Duration),
}

fn wait_argument(text: &str) -> Result<Wait, String> {
    if text.is_empty() { Ok(Wait::Default) } else { parse_duration(text).map(Wait::For) }
}

/// What a stop did.
#[derive(Debug)]
pub(crate) struct Stopped {
    pid: u32,
    signal: Signal,
    /// Whether it is gone.
    pub(crate) gone: bool,
    waited: Duration,
    running_jobs: u64,
    /// Attempts that were ended after a kill.
    swept: usize,
}

/// Runs the command.
pub(crate) fn run(cx: &Context, options: &Options) -> Done {
    let target = cx.target_with(options.pid_file.as_deref());
    let limit = match options.wait {
        None => ALWAYS,
        Some(Wait::For(limit)) => limit,
        Some(Wait::Default) => {
            Duration::try_from_secs_f64(target.shutdown_timeout + 5.0).unwrap_or(Duration::from_secs(305))
        }
    };
    let Some(stopped) = stop(cx, options, &target, limit)? else { return Err(not_running(&target).into()) };
    if cx.out.json {
        cx.out.document(&document(&stopped))?;
    } else if stopped.gone && stopped.signal == Signal::SIGTERM {
        cx.out.say(&format!("{} stopped gracefully", target.subject))?;
    }
    if options.wait.is_some() && !stopped.gone {
        let waited = format::wait(limit.as_secs_f64());
        return Err(Failure::new("timeout", format!("{} did not stop within {waited}.", target.subject))
            .hint(format!("End it at once with: {}", cx.command("stop --force")))
            .exit(TIMED_OUT)
            .into());
    }
    Ok(0)
}

/// The plain sentence with exit status 1.
pub(crate) fn not_running(target: &Target) -> Failure {
    Failure::new("conductor_not_running", format!("{} is not running", target.subject)).plain()
}

/// Stops the conductor and waits up to `limit`; `None` when there is none.
pub(crate) fn stop(
    cx: &Context,
    options: &Options,
    target: &Target,
    limit: Duration,
) -> Result<Option<Stopped>, Stop> {
    let pid = match liveness::judge(&target.pid_file, &target.socket) {
        Liveness::Running(Some(pid)) => pid,
        Liveness::Running(None) | Liveness::Starting => {
            let text = format!("{} is starting up (PID file locked)", target.subject);
            return Err(Failure::new("conductor_not_responding", text)
                .hint("Wait a moment and try again.")
                .into());
        }
        Liveness::Stale(_) | Liveness::None => {
            liveness::clean_up(&target.pid_file);
            return Ok(None);
        }
    };
    let running_jobs = if options.force { 0 } else { guard(cx, options, target)? };
    let signal = if options.force { Signal::SIGKILL } else { Signal::SIGTERM };
    let begin = Instant::now();
    send(pid, signal)?;
    cx.out.say(&format!("Sent {} to {} (PID {pid})", signal.as_str(), target.subject))?;
    let gone = wait_gone(target, pid, limit);
    let mut swept = 0;
    if options.force && gone {
        liveness::clean_up(&target.pid_file);
        remove_dead_socket(target);
        swept = guard_sweep::end_all(cx, &target.state_dir);
    }
    Ok(Some(Stopped { pid, signal, gone, waited: begin.elapsed(), running_jobs, swept }))
}

/// Asks before running jobs are touched. Without a terminal there is nobody to ask: the stop is a
/// graceful one, which keeps every job resumable.
fn guard(cx: &Context, options: &Options, target: &Target) -> Result<u64, Stop> {
    let running = running_jobs(cx, target);
    if running == 0 || options.yes {
        return Ok(running);
    }
    let warning = format!(
        "⚠ Warning: {running} job(s) currently running. Stopping the conductor will orphan active agents and may corrupt job state."
    );
    cx.out.remark(&warning);
    if !std::io::stdin().is_terminal() {
        return Ok(running);
    }
    if ask("Proceed with stop? [y/N]") {
        Ok(running)
    } else {
        Err(Failure::new("aborted", "Aborted.").plain().into())
    }
}

fn running_jobs(cx: &Context, target: &Target) -> u64 {
    // A conductor that does not answer has no say.
    let answer = Rpc::connect_to(cx, target)
        .ok()
        .and_then(|rpc| rpc.within(GUARD).try_call("daemon.ready", json!({})).ok());
    answer.map_or(0, |ready| Doc(&ready).count("running_jobs"))
}

/// A question on standard error with the answer from standard input; anything but yes is no.
fn ask(question: &str) -> bool {
    let mut error = std::io::stderr().lock();
    // Without a terminal to show it on there is no answer either.
    _ = write!(error, "{question} ");
    _ = error.flush();
    let mut answer = String::new();
    match std::io::stdin().lock().read_line(&mut answer) {
        Ok(0) | Err(_) => false,
        Ok(_) => matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"),
    }
}

fn send(pid: u32, signal: Signal) -> Result<(), Stop> {
    let raw =
        i32::try_from(pid).map_err(|_| Failure::new("internal", format!("{pid} is not a process number")))?;
    match kill(Pid::from_raw(raw), signal) {
        // Gone in this very moment: what was wanted.
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(Errno::EPERM) => {
            let text = format!("Permission denied: the conductor (PID {pid}) belongs to another user.");
            Err(Failure::new("permission_denied", text).into())
        }
        Err(errno) => {
            Err(Failure::new("internal", format!("cannot signal PID {pid}: {}", errno.desc())).into())
        }
    }
}

/// Waits for the lock of the PID file, which the kernel releases at the very end of the process.
pub(crate) fn wait_gone(target: &Target, pid: u32, limit: Duration) -> bool {
    let (sender, receiver) = mpsc::channel();
    let path = target.pid_file.clone();
    // The thread may outlive the wait; it holds nothing and ends with the program.
    let waiter = std::thread::Builder::new().name("mz-stop-wait".to_owned()).spawn(move || {
        pidfile::wait_released(&path, pid);
        // The receiver is gone when the time is over.
        _ = sender.send(());
    });
    waiter.is_ok() && receiver.recv_timeout(limit).is_ok()
}

/// Removes the socket that a killed conductor left, if nobody listens on it.
fn remove_dead_socket(target: &Target) {
    let refused = |error: &std::io::Error| error.kind() == std::io::ErrorKind::ConnectionRefused;
    let dead = std::os::unix::net::UnixStream::connect(&target.socket).is_err_and(|error| refused(&error));
    if dead {
        // The next start removes it too.
        _ = std::fs::remove_file(&target.socket);
    }
}

fn document(stopped: &Stopped) -> Value {
    json!({
        "success": true, "pid": stopped.pid, "signal": stopped.signal.as_str(), "stopped": stopped.gone,
        "waited_ms": u64::try_from(stopped.waited.as_millis()).unwrap_or(u64::MAX),
        "running_jobs": stopped.running_jobs, "attempts_ended": stopped.swept,
    })
}
