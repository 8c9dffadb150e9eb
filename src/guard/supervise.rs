//! One program under supervision: start it, read its output, keep its limits, end its tree.
//!
//! One thread, one poll. What is done with the output and the news of the start is the business
//! of the [`Keeper`].

use std::io::{self, PipeReader, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::Signal;
use nix::sys::time::TimeValLike;
use nix::unistd::Pid;

use super::idle::Idle;
use super::record::{BY_IDLE, BY_TERM, BY_TIMEOUT, SpawnError};
use super::signals::Signals;
use super::tree;
use crate::process;
use crate::time::Wall;

/// How long output is still read after the end of everything below: somebody outside may hold the pipe.
const DRAIN: Duration = Duration::from_secs(5);
/// Reads of one stream before signals and deadlines are looked at again.
const READS_IN_A_ROW: u32 = 16;
/// Size of the read buffer.
const CHUNK: usize = 64 * 1024;

/// What is to be run, and how long.
#[derive(Debug)]
pub(super) struct Orders<'a> {
    pub(super) argv: &'a [String],
    pub(super) cwd: &'a Path,
    pub(super) stdin: Stdio,
    /// Both streams in one pipe, in the order of writing.
    pub(super) merged: bool,
    pub(super) timeout: Option<Duration>,
    /// Longest silence, and whether CPU time counts as activity.
    pub(super) idle: Option<(Duration, bool)>,
    pub(super) grace: Duration,
    /// When this closes, the conductor is gone and everything ends.
    pub(super) leash: Option<BorrowedFd<'a>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

/// Who supervises for whom.
pub(super) trait Keeper {
    fn spawned(&mut self, pid: u32);
    fn output(&mut self, stream: Stream, bytes: &[u8]);
}

/// How it went.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) exit_code: Option<i32>,
    pub(super) signal: Option<i32>,
    pub(super) spawn_error: Option<SpawnError>,
    pub(super) killed_by: Option<&'static str>,
    pub(super) started: Wall,
    pub(super) ended: Wall,
    pub(super) duration: Duration,
    pub(super) cpu_user: Duration,
    pub(super) cpu_system: Duration,
    pub(super) max_rss_kib: u64,
    pub(super) reaped: u32,
    pub(super) unkillable: Vec<u32>,
}

impl Report {
    pub(super) fn not_started(
        started: Wall,
        spawn_error: Option<SpawnError>,
        killed_by: Option<&'static str>,
    ) -> Self {
        Self {
            exit_code: None,
            signal: None,
            spawn_error,
            killed_by,
            started,
            ended: wall(),
            duration: Duration::ZERO,
            cpu_user: Duration::ZERO,
            cpu_system: Duration::ZERO,
            max_rss_kib: 0,
            reaped: 0,
            unkillable: Vec::new(),
        }
    }
}

/// The end was asked for.
#[derive(Debug, Clone, Copy)]
struct Ending {
    by: &'static str,
    kill_at: Instant,
    /// Requests until then; one more skips the grace.
    asked: u32,
}

struct Pipe {
    stream: Stream,
    reader: PipeReader,
}

/// Runs a program to its end. Returns when nothing is left below this process.
pub(super) fn supervise(orders: Orders<'_>, mut signals: Signals, keeper: &mut dyn Keeper) -> Report {
    let started = wall();
    let clock = Instant::now();
    let Orders { argv, cwd, stdin, merged, timeout, idle, grace, leash } = orders;
    if let Err(error) = std::env::set_current_dir(cwd) {
        let error = SpawnError::new("chdir", &cwd.to_string_lossy(), &error);
        return Report::not_started(started, Some(error), None);
    }
    let (mut child, pipes) = match spawn(argv, stdin, merged, &mut signals) {
        Ok(Some(both)) => both,
        Ok(None) => return Report::not_started(started, None, Some(BY_TERM)),
        Err(error) => return Report::not_started(started, Some(error), None),
    };
    keeper.spawned(child.id());
    let mut run = Run {
        pid: Pid::from_raw(child.id().cast_signed()),
        pipes,
        buffer: vec![0; CHUNK].into_boxed_slice(),
        signals,
        keeper,
        leash,
        deadline: timeout.and_then(|timeout| clock.checked_add(timeout)),
        idle: idle.map(|(limit, count_cpu)| Idle::new(limit, count_cpu, clock)),
        grace,
        ending: None,
        reaped: 0,
    };
    run.until_end();
    let (ended, duration) = (wall(), clock.elapsed());
    let tree = tree::end(&mut child, &run.signals);
    run.drain();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).ok();
    let micros =
        |time: nix::sys::time::TimeVal| Duration::from_micros(time.num_microseconds().unsigned_abs());
    Report {
        exit_code: tree.status.and_then(|status| status.code()),
        signal: tree.status.and_then(|status| status.signal()),
        spawn_error: None,
        killed_by: run.ending.map(|ending| ending.by),
        started,
        ended,
        duration,
        cpu_user: usage.map_or(Duration::ZERO, |usage| micros(usage.user_time())),
        cpu_system: usage.map_or(Duration::ZERO, |usage| micros(usage.system_time())),
        max_rss_kib: usage.map_or(0, |usage| usage.max_rss().unsigned_abs()),
        reaped: run.reaped + tree.reaped,
        unkillable: tree.unkillable,
    }
}

/// Now, by the wall clock.
pub(crate) fn wall() -> Wall {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Wall(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Starts the program in its own group. `None`: the end was asked for before.
fn spawn(
    argv: &[String],
    stdin: Stdio,
    merged: bool,
    signals: &mut Signals,
) -> Result<Option<(Child, Vec<Pipe>)>, SpawnError> {
    let program = argv.first().map_or("", String::as_str);
    let pipe = |stream| -> io::Result<(Pipe, io::PipeWriter)> {
        let (reader, writer) = io::pipe()?;
        fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok((Pipe { stream, reader }, writer))
    };
    let failed = |error: io::Error| SpawnError::new("pipe", program, &error);
    let (first, stdout) = pipe(Stream::Stdout).map_err(failed)?;
    let mut pipes = vec![first];
    let stderr = if merged {
        stdout.try_clone().map_err(failed)?
    } else {
        let (second, stderr) = pipe(Stream::Stderr).map_err(failed)?;
        pipes.push(second);
        stderr
    };
    let mut command = Command::new(program);
    command.args(&argv[1.min(argv.len())..]).stdin(stdin).stdout(stdout).stderr(stderr).process_group(0);
    let mut again = process::SPAWN_AGAIN.into_iter();
    loop {
        if signals.asked() > 0 {
            return Ok(None);
        }
        let error = match command.spawn() {
            Ok(child) => return Ok(Some((child, pipes))),
            Err(error) => error,
        };
        let errno = error.raw_os_error().map(Errno::from_raw);
        let fork_failed = matches!(errno, Some(Errno::EAGAIN | Errno::ENOMEM));
        // A script that was just written may still be open for writing in somebody who is forking.
        let may_pass = fork_failed || errno == Some(Errno::ETXTBSY);
        match again.next().filter(|_| may_pass) {
            Some(pause) => {
                process::wait_for(&mut [PollFd::new(signals.ends(), PollFlags::POLLIN)], Some(pause));
            }
            None => return Err(SpawnError::new(if fork_failed { "fork" } else { "exec" }, program, &error)),
        }
    }
}

struct Run<'a> {
    pid: Pid,
    pipes: Vec<Pipe>,
    buffer: Box<[u8]>,
    signals: Signals,
    keeper: &'a mut dyn Keeper,
    leash: Option<BorrowedFd<'a>>,
    deadline: Option<Instant>,
    idle: Option<Idle>,
    grace: Duration,
    ending: Option<Ending>,
    reaped: u32,
}

impl Run<'_> {
    /// Returns when the program has ended, or is to be killed.
    fn until_end(&mut self) {
        // Before the first wait: the program may have ended before anybody could notice.
        while !tree::has_ended(self.pid) {
            let now = Instant::now();
            if self.is_time_to_kill(now) {
                return;
            }
            let ready = self.wait(self.next_moment().map(|at| at.saturating_duration_since(now)));
            if ready.children {
                self.signals.clear_children();
                self.reaped += tree::reap_adopted(self.pid);
            }
            if ready.output
                && self.pump()
                && let Some(idle) = &mut self.idle
            {
                idle.active(Instant::now());
            }
            if ready.leash && self.leash_is_gone() {
                self.leash = None;
                self.begin("conductor", Instant::now());
            }
        }
    }

    fn is_time_to_kill(&mut self, now: Instant) -> bool {
        let asked = self.signals.asked();
        match self.ending {
            Some(ending) => now >= ending.kill_at || asked > ending.asked,
            None => {
                if asked > 0 {
                    self.begin(BY_TERM, now);
                } else if self.deadline.is_some_and(|at| now >= at) {
                    self.begin(BY_TIMEOUT, now);
                } else if self.idle.as_mut().is_some_and(|idle| idle.is_over(now)) {
                    self.begin(BY_IDLE, now);
                }
                asked > 1
            }
        }
    }

    /// TERM to the program's group; the first reason stays.
    fn begin(&mut self, by: &'static str, now: Instant) {
        if self.ending.is_some() {
            return;
        }
        let asked = self.signals.asked();
        let kill_at = now.checked_add(self.grace).unwrap_or(now);
        self.ending = Some(Ending { by, kill_at, asked });
        _ = process::signal_group(self.pid, Signal::SIGTERM);
        // A stopped program could not react before its grace is over.
        _ = process::signal_group(self.pid, Signal::SIGCONT);
    }

    fn next_moment(&self) -> Option<Instant> {
        match self.ending {
            Some(ending) => Some(ending.kill_at),
            None => {
                let idle = self.idle.as_ref().map(Idle::next_look);
                self.deadline.into_iter().chain(idle).min()
            }
        }
    }

    fn wait(&self, limit: Option<Duration>) -> Ready {
        let mut fds = Vec::with_capacity(5);
        fds.push(PollFd::new(self.signals.ends(), PollFlags::POLLIN));
        fds.push(PollFd::new(self.signals.children(), PollFlags::POLLIN));
        for pipe in &self.pipes {
            fds.push(PollFd::new(pipe.reader.as_fd(), PollFlags::POLLIN));
        }
        if let Some(leash) = self.leash {
            fds.push(PollFd::new(leash, PollFlags::POLLIN));
        }
        process::wait_for(&mut fds, limit);
        let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(false)).collect();
        let (pipes, leash) = ready[2..].split_at(self.pipes.len());
        Ready { children: ready[1], output: pipes.contains(&true), leash: leash.contains(&true) }
    }

    /// Reads what there is. `true` when there was something.
    fn pump(&mut self) -> bool {
        let Self { pipes, buffer, keeper, .. } = self;
        let mut any = false;
        pipes.retain_mut(|pipe| {
            for _ in 0..READS_IN_A_ROW {
                match pipe.reader.read(buffer) {
                    Ok(0) => return false,
                    Ok(count) => {
                        any = true;
                        keeper.output(pipe.stream, &buffer[..count]);
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
                    Err(_) => return false,
                }
            }
            true
        });
        any
    }

    /// Reads what is left in the pipes after the end of everything below us.
    fn drain(&mut self) {
        let until = Instant::now() + DRAIN;
        let asked = self.signals.asked();
        self.leash = None;
        loop {
            while self.pump() {
                if Instant::now() >= until {
                    return;
                }
            }
            let left = until.saturating_duration_since(Instant::now());
            if self.pipes.is_empty() || left.is_zero() || self.signals.asked() > asked {
                return;
            }
            if self.wait(Some(left)).children {
                self.signals.clear_children();
            }
        }
    }

    fn leash_is_gone(&self) -> bool {
        let mut byte = [0];
        self.leash.is_some_and(|leash| {
            !matches!(nix::unistd::read(leash, &mut byte), Ok(1..) | Err(Errno::EINTR | Errno::EAGAIN))
        })
    }
}

struct Ready {
    children: bool,
    output: bool,
    leash: bool,
}
