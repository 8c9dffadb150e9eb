//! One life of the conductor program: locks, log, signals, conductor, and the way back.
//!
//! Order matters: signals before the PID file, so that an early TERM still cleans up; the PID file's
//! lock before any other side effect; the socket last, so that no client sees half a conductor.

use std::io;
use std::path::PathBuf;
use std::time::Instant;

use crossbeam_channel::{Receiver, select};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::stat::{Mode, umask};
use serde_json::{Value, json};

use crate::conductor::{Conductor, ConductorError};
use crate::daemon::detach::Report;
use crate::daemon::logging::{self, Reopen, Sink};
use crate::daemon::pidfile::{PidFile, PidFileError};
use crate::daemon::settings::Settings;
use crate::daemon::signals::{Signal, Signals};
use crate::daemon::state_lock::{StateLock, StateLockError};
use crate::net::{self, BindError};
use crate::process;

/// Why the conductor did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BootError {
    /// The log file cannot be opened.
    #[error("cannot open the log file {}: {source}", path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Signal handlers cannot be installed.
    #[error("cannot install signal handlers: {0}")]
    Signals(#[source] io::Error),
    /// The PID file.
    #[error(transparent)]
    PidFile(#[from] PidFileError),
    /// The state directory.
    #[error(transparent)]
    State(#[from] StateLockError),
    /// The socket.
    #[error(transparent)]
    Socket(#[from] BindError),
    /// This program cannot be found, so that no guard could be started.
    #[error("cannot find this program on the disk: {0}")]
    Program(#[source] io::Error),
    /// The conductor itself.
    #[error(transparent)]
    Conductor(#[from] ConductorError),
}

/// Runs the conductor until it is stopped. `report` is the way back to a waiting front process;
/// without one this is the foreground.
pub fn run(settings: &Settings, report: Option<Report>) -> Result<(), BootError> {
    let background = report.is_some();
    let mut report = report;
    let result = live(settings, background, &mut report);
    if let (Err(error), Some(report)) = (&result, report) {
        log::error!("daemon.start_failed error={:?}", error.to_string());
        report.failed(&json!({"error": error_text(error)}));
    }
    result
}

/// The whole chain of causes as one line.
#[must_use]
pub fn error_text(error: &BootError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        source = cause.source();
    }
    text
}

fn live(settings: &Settings, background: bool, report: &mut Option<Report>) -> Result<(), BootError> {
    let begin = Instant::now();
    let reopen = start_log(settings, background)?;
    log_panics();
    if background {
        leave_traces_to_nobody();
    }
    let signals = Signals::install().map_err(BootError::Signals)?;
    log::info!(
        "daemon.starting pid={} foreground={} clone={:?} version={}",
        std::process::id(),
        !background,
        settings.clone,
        env!("CARGO_PKG_VERSION")
    );
    let config = &settings.config;
    let pid_file = PidFile::acquire(&config.pid_file)?;
    let state_lock = StateLock::acquire(&settings.config.state_dir())?;
    if let Err(error) = process::become_subreaper() {
        // Only what a killed guard leaves behind with an emptied environment escapes then.
        log::warn!("daemon.subreaper_failed error={:?}", error.to_string());
    }
    settings.log_warnings();
    let guard = std::env::current_exe().map_err(BootError::Program)?;
    let listener = net::bind(&config.socket.path, config.socket.permissions, config.socket.backlog)?;
    let conductor = Conductor::builder()
        .config(config.clone())
        .instruments_home(&config.place.base)
        .title(settings.brand.title())
        .socket(listener)
        .guard_program(guard)
        .start()?;
    let (sender, arrived) = crossbeam_channel::unbounded();
    // Signals can only be lost after the conductor has ended, when nobody reads them.
    let listener = signals.listen(move |signal| _ = sender.send(signal)).map_err(BootError::Signals)?;
    log::info!(
        "daemon.started pid={} socket={:?}",
        std::process::id(),
        config.socket.path.display().to_string()
    );
    if let Some(report) = report.take() {
        report.ready(&about(settings, begin));
    }
    serve(&conductor, &arrived, &reopen);
    let ended = conductor.wait();
    drop(listener);
    drop(state_lock);
    match &ended {
        Ok(()) => log::info!("daemon.stopped pid={}", std::process::id()),
        Err(error) => log::error!("daemon.failed error={:?}", error.to_string()),
    }
    pid_file.remove();
    Ok(ended?)
}

/// What a front process prints about a conductor that is ready.
#[must_use]
pub fn about(settings: &Settings, begin: Instant) -> Value {
    json!({
        "success": true,
        "pid": std::process::id(),
        "socket": settings.config.socket.path.to_string_lossy(),
        "pid_file": settings.config.pid_file.to_string_lossy(),
        "config_path": settings.source.as_ref().map(|path| path.to_string_lossy().into_owned()),
        "log_file": settings.config.background_log().to_string_lossy(),
        "startup_ms": u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}

fn start_log(settings: &Settings, background: bool) -> Result<Reopen, BootError> {
    let level = settings.log_level();
    let file =
        if background { Some(settings.config.background_log()) } else { settings.config.log_file.clone() };
    let sink = match (file, background) {
        (None, _) => Sink::console(),
        (Some(path), background) => {
            let file = logging::LogFile::open(&path).map_err(|source| BootError::Log { path, source })?;
            match (background, Sink::console()) {
                (false, Sink::Console { color }) => Sink::Both { color, file },
                (_, _) => Sink::File(file),
            }
        }
    };
    Ok(logging::start(sink, level))
}

/// A panic is one line of the log; in the background nobody sees standard error.
fn log_panics() {
    let earlier = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current().name().unwrap_or("?").to_owned();
        let payload = panic.payload();
        let text =
            payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str));
        let text = text.unwrap_or("?");
        log::error!("daemon.panic thread={thread:?} place={place:?} message={text:?}");
        earlier(panic);
    }));
}

/// No core dumps, which would hold secrets of environments, and nothing group-writable.
fn leave_traces_to_nobody() {
    if let Err(errno) = setrlimit(Resource::RLIMIT_CORE, 0, 0) {
        log::warn!("daemon.core_limit_failed error={:?}", errno.desc());
    }
    let before = umask(Mode::from_bits_truncate(0o022));
    umask(before | Mode::from_bits_truncate(0o022));
}

/// Acts on signals until the conductor has stopped, whoever asked for it. The first TERM or INT
/// stops, further ones do nothing (`mozart stop --force` is the way out), HUP opens the log anew.
fn serve(conductor: &Conductor, arrived: &Receiver<Signal>, reopen: &Reopen) {
    let mut stopping = false;
    loop {
        let signal = select! {
            recv(arrived) -> signal => signal,
            // Never sent to: it closes when the conductor's thread ends.
            recv(conductor.finished()) -> _ => return,
        };
        match signal {
            Ok(signal @ (Signal::Term | Signal::Int)) if stopping => {
                log::info!("daemon.signal_ignored_already_shutting_down signal={}", signal.name());
            }
            Ok(signal @ (Signal::Term | Signal::Int)) => {
                log::info!("daemon.signal_received signal={}", signal.name());
                stopping = true;
                conductor.stop(true);
            }
            Ok(Signal::Hup) => {
                reopen.ask();
                log::warn!("daemon.sighup_log_reopened hint=\"settings are read at the start only\"");
            }
            // The thread for signals is gone; the conductor still stops by `daemon.shutdown`.
            Err(_) => {
                _ = conductor.finished().recv();
                return;
            }
        }
    }
}
