//! The bound guard: runs a command of the conductor's own and ends with the conductor.
//!
//! Its standard input first carries the orders as one line of JSON and then stays open: when it
//! closes, the conductor is gone and everything below is ended. Its standard output carries one
//! line of JSON and, after it, the captured bytes.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use nix::errno::Errno;
use nix::unistd::setsid;
use serde::{Deserialize, Serialize};

use super::log_file::{LogFile, Tail, omitted_line};
use super::record::SpawnError;
use super::signals::Signals;
use super::supervise::{Keeper, Orders, Stream, supervise};

/// Bytes of the beginning that are kept when there is more output than fits.
const HEAD: usize = 8 * 1024;
/// Cap of the optional log file.
const LOG_CAP: u64 = 64 * 1024 * 1024;
/// Longest orders: more than any system takes as arguments.
const ORDERS_LIMIT: usize = 8 * 1024 * 1024;

/// What a bound guard is to run. The environment is inherited.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct BoundOrders {
    pub(crate) argv: Vec<String>,
    pub(crate) cwd: PathBuf,
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) grace_ms: u64,
    /// Bytes of output that are handed back.
    pub(crate) output_cap: usize,
    /// File that gets the whole output.
    pub(crate) log: Option<PathBuf>,
    /// What the command reads on its standard input; `None` = nothing.
    #[serde(default)]
    pub(crate) input: Option<String>,
}

/// What a bound guard answers, before the captured bytes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct BoundHeader {
    pub(crate) exit_code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) killed_by: Option<String>,
    pub(crate) spawn_error: Option<SpawnError>,
    pub(crate) duration_ms: u64,
    /// Bytes that the command wrote.
    pub(crate) total_bytes: u64,
    pub(crate) unkillable: Vec<u32>,
}

/// Runs the command of the orders on standard input. The result is the guard's exit code.
pub(super) fn run() -> i32 {
    let Ok(signals) = Signals::install() else { return 1 };
    let Some(orders) = read_orders() else { return 1 };
    if setsid().is_err() {
        return 1;
    }
    #[cfg(target_os = "linux")]
    if nix::sys::prctl::set_child_subreaper(true).is_err() {
        return 1;
    }
    let leash = io::stdin();
    let Ok(stdin) = orders.input.as_deref().map_or_else(|| Ok(Stdio::null()), input) else { return 1 };
    let head_limit = HEAD.min(orders.output_cap);
    let mut capture = Capture {
        head: Vec::new(),
        head_limit,
        tail: Tail::default(),
        tail_limit: orders.output_cap - head_limit,
        total: 0,
        log: orders.log.map(|path| LogFile::new(path, LOG_CAP)),
    };
    let report = supervise(
        Orders {
            argv: &orders.argv,
            cwd: &orders.cwd,
            stdin,
            merged: true,
            timeout: orders.timeout_ms.map(Duration::from_millis),
            idle: None,
            grace: Duration::from_millis(orders.grace_ms),
            leash: Some(leash.as_fd()),
        },
        signals,
        &mut capture,
    );
    let header = BoundHeader {
        exit_code: report.exit_code,
        signal: report.signal,
        killed_by: report.killed_by.map(str::to_owned),
        spawn_error: report.spawn_error,
        duration_ms: u64::try_from(report.duration.as_millis()).unwrap_or(u64::MAX),
        total_bytes: capture.total,
        unkillable: report.unkillable,
    };
    // Nobody reads when the conductor is gone; then there is nobody to tell either.
    match capture.answer(&header) {
        Ok(()) => 0,
        Err(_) => 2,
    }
}

/// Standard input with this text, in memory: it may be a secret.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
fn input(text: &str) -> io::Result<Stdio> {
    use nix::sys::memfd::{MFdFlags, memfd_create};
    use std::io::Seek;
    let mut file = std::fs::File::from(memfd_create("input", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(text.as_bytes())?;
    file.rewind()?;
    Ok(file.into())
}

/// Standard input with this text, through a pipe: a thread writes what does not fit into it at once.
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
fn input(text: &str) -> io::Result<Stdio> {
    let (reader, mut writer) = io::pipe()?;
    let text = text.to_owned();
    // A command that does not read all of it is no error.
    std::thread::Builder::new().spawn(move || _ = writer.write_all(text.as_bytes()))?;
    Ok(reader.into())
}

/// Everything up to the first line break. Nothing follows it: the pipe only stays open.
fn read_orders() -> Option<BoundOrders> {
    let stdin = io::stdin();
    let mut text = Vec::new();
    let mut chunk = vec![0; 16 * 1024];
    while text.last() != Some(&b'\n') {
        match nix::unistd::read(&stdin, &mut chunk) {
            Ok(count @ 1..) if text.len() + count <= ORDERS_LIMIT => text.extend_from_slice(&chunk[..count]),
            Err(Errno::EINTR) => (),
            Ok(_) | Err(_) => return None,
        }
    }
    serde_json::from_slice(&text).ok()
}

struct Capture {
    head: Vec<u8>,
    head_limit: usize,
    tail: Tail,
    tail_limit: usize,
    total: u64,
    log: Option<LogFile>,
}

impl Capture {
    fn answer(self, header: &BoundHeader) -> io::Result<()> {
        if let Some(log) = self.log {
            log.finish();
        }
        let mut line = serde_json::to_vec(header)?;
        line.push(b'\n');
        // Straight to the descriptor: the buffer of `Stdout` would cut at line breaks.
        let mut out = std::fs::File::from(io::stdout().as_fd().try_clone_to_owned()?);
        out.write_all(&line)?;
        out.write_all(&self.head)?;
        if self.tail.dropped > 0 {
            out.write_all(omitted_line(self.tail.dropped).as_bytes())?;
        }
        let (first, second) = self.tail.parts();
        out.write_all(first)?;
        out.write_all(second)
    }
}

impl Keeper for Capture {
    fn spawned(&mut self, _pid: u32) {}

    fn output(&mut self, _stream: Stream, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        if let Some(log) = &mut self.log {
            log.push(bytes);
        }
        let (head, rest) = bytes.split_at((self.head_limit - self.head.len()).min(bytes.len()));
        self.head.extend_from_slice(head);
        self.tail.push(rest, self.tail_limit);
    }
}
