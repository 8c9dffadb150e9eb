//! `mozart start`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use crate::cli::args::Level;
use crate::cli::context::Context;
use crate::cli::failure::{Done, Failure, Stop};
use crate::cli::format;
use crate::cli::job::Doc;
use crate::daemon::detach::{self, Outcome, Report, Stage};
use crate::daemon::liveness::{self, Liveness};
use crate::daemon::pidfile;
use crate::daemon::run::{self, BootError};
use crate::daemon::settings::{self, Overrides, Settings, SettingsError};
use crate::process::Stat;

/// How long the front process waits for a conductor to answer.
const READY: Duration = Duration::from_secs(10);

/// Options of `start`.
#[derive(Debug, Clone, Args)]
#[group(skip)]
pub(crate) struct Options {
    /// Configuration file [env: MOZART_CONFIG] [default: ~/.mozart/conductor.yaml if it exists]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Stay attached and log to standard error
    #[arg(short, long)]
    pub(crate) foreground: bool,
    /// What to log: debug, info, warning or error [default: the configuration's]
    #[arg(short, long, value_name = "LEVEL")]
    pub(crate) log_level: Option<Level>,
    /// Settings for a purpose: dev, intensive or minimal
    #[arg(short, long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Do not wait until the conductor answers
    #[arg(long)]
    pub(crate) no_wait: bool,
}

/// Runs the command, or the part of it that this process is.
pub(crate) fn run(cx: &Context, options: &Options) -> Done {
    start(cx, options, None)
}

/// Starts a conductor; with a PID file that a command was given.
pub(crate) fn start(cx: &Context, options: &Options, pid_file: Option<PathBuf>) -> Done {
    match cx.stage {
        Stage::Front if options.foreground => {
            let settings = load(cx, options, pid_file)?;
            refuse_second(cx, &settings)?;
            // Starting also means saying so when a warning is due: the log is the console here.
            run::run(&settings, None).map_err(|error| boot_failure(&error))?;
            Ok(0)
        }
        Stage::Front => background(cx, options, pid_file),
        Stage::Detach => {
            let args = stage_args(cx, options, pid_file);
            detach::second_stage(cx.brand, &args)
                .map_err(|error| Failure::new("internal", format!("cannot start the conductor: {error}")))?;
            Ok(0)
        }
        Stage::Daemon => daemon(cx, options, pid_file),
    }
}

fn background(cx: &Context, options: &Options, pid_file: Option<PathBuf>) -> Done {
    let settings = load(cx, options, pid_file.clone())?;
    refuse_second(cx, &settings)?;
    let begin = Instant::now();
    let reader = detach::launch(cx.brand, &stage_args(cx, options, pid_file))
        .map_err(|error| Failure::new("internal", format!("cannot start the conductor: {error}")))?;
    if options.no_wait {
        cx.out.say(&format!("{} is starting", subject(cx, &settings)))?;
        if cx.out.json {
            cx.out.document(&json!({"success": true, "waited": false}))?;
        }
        return Ok(0);
    }
    let outcome = detach::wait(reader, begin + READY);
    let log = format!("See the log: {}", settings.config.background_log().display());
    let foreground = format!("Run in the foreground: {}", cx.command("start --foreground"));
    match outcome {
        Outcome::Ready(mut about) => {
            about["startup_ms"] = json!(u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX));
            if cx.out.json {
                cx.out.document(&about)?;
                return Ok(0);
            }
            let pid = Doc(&about).count("pid");
            cx.out.say(&format!("{} started (PID {pid})", subject(cx, &settings)))?;
            if cx.out.verbose {
                cx.out.say(&format!("  Socket: {}", settings.config.socket.path.display()))?;
            }
            Ok(0)
        }
        Outcome::Failed(document) => {
            let text = match Doc(&document).text("error") {
                "" => "the conductor did not start",
                text => text,
            };
            Err(Failure::new("internal", text).hint(log).into())
        }
        Outcome::Silent => Err(Failure::new("internal", "The conductor ended while it started.")
            .hint(log)
            .hint(foreground)
            .into()),
        Outcome::TimedOut => {
            let seconds = format::wait(READY.as_secs_f64()).replace('s', " seconds");
            Err(Failure::new("timeout", format!("Conductor did not become ready within {seconds}."))
                .hint(log)
                .hint(foreground)
                .into())
        }
    }
}

/// The last stage: standard output is the way back to the front process.
fn daemon(cx: &Context, options: &Options, pid_file: Option<PathBuf>) -> Done {
    let report = Report::take()
        .map_err(|error| Failure::new("internal", format!("cannot leave the terminal: {error}")))?;
    let settings = match load(cx, options, pid_file) {
        Ok(settings) => settings,
        Err(Stop::Failure(failure)) => {
            report.failed(&failure.document());
            return Ok(failure.exit);
        }
        Err(Stop::ClosedPipe) => return Ok(1),
    };
    match run::run(&settings, Some(report)) {
        Ok(()) => Ok(0),
        // The front process has been told, or has stopped listening; the log has it too.
        Err(_) => Ok(1),
    }
}

/// The settings of the conductor that the options mean.
pub(crate) fn load(cx: &Context, options: &Options, pid_file: Option<PathBuf>) -> Result<Settings, Stop> {
    let overrides = Overrides {
        config: options.config.clone(),
        profile: options.profile.clone(),
        clone: cx.global.clone.clone(),
        socket: cx.global.socket.clone(),
        pid_file,
        log_level: options.log_level.map(|level| level.word().to_owned()),
    };
    settings::load(cx.brand, &overrides).map_err(|error| settings_failure(&error).into())
}

/// Problems of the configuration in the words of the command line.
pub(crate) fn settings_failure(error: &SettingsError) -> Failure {
    let word = match error {
        SettingsError::Missing(_) => "config_not_found",
        SettingsError::Unreadable { .. } | SettingsError::Invalid(_) => "config_invalid",
    };
    Failure::new(word, error.to_string())
}

/// Says why there cannot be a second conductor; cleans up after a dead one.
fn refuse_second(cx: &Context, settings: &Settings) -> Result<(), Stop> {
    let pid_file = &settings.config.pid_file;
    pidfile::refuse_symlink(pid_file)
        .map_err(|error| Failure::new("permission_denied", error.to_string()))?;
    let subject = subject(cx, settings);
    match liveness::settled(pid_file, &settings.config.socket.path) {
        Liveness::Running(Some(pid)) => Err(Failure::new(
            "conductor_already_running",
            format!("{subject} is already running (PID {pid})"),
        )
        .with("pid", pid)
        .into()),
        Liveness::Running(None) => {
            Err(Failure::new("conductor_already_running", format!("{subject} is already running")).into())
        }
        Liveness::Starting => Err(Failure::new(
            "conductor_already_running",
            format!("{subject} is starting up (PID file locked)"),
        )
        .into()),
        Liveness::Stale(pid) => {
            liveness::clean_up(pid_file);
            let ended = Stat::read(pid).is_some_and(|stat| matches!(stat.state, b'Z' | b'X'));
            let why = if pidfile::is_alive(pid) && !ended {
                "now belongs to another program"
            } else {
                "is no longer running"
            };
            cx.out.remark(&format!("Cleaned up stale PID file (PID {pid} {why})"));
            Ok(())
        }
        Liveness::None => Ok(()),
    }
}

fn subject(cx: &Context, settings: &Settings) -> &'static str {
    cx.brand.subject(settings.clone.as_deref())
}

fn boot_failure(error: &BootError) -> Failure {
    let text = run::error_text(error);
    let word = if text.starts_with("Permission denied") { "permission_denied" } else { "internal" };
    Failure::new(word, text)
}

/// The same start for the next stage. Environment variables are inherited and need no option.
fn stage_args(cx: &Context, options: &Options, pid_file: Option<PathBuf>) -> Vec<OsString> {
    let mut args: Vec<OsString> = Vec::new();
    // A given PID file has no option of `start`; the variable says the same to the next stage.
    let word = if pid_file.is_some() { "restart" } else { "start" };
    args.push(word.into());
    if let Some(path) = pid_file {
        args.extend(["--pid-file".into(), cx.absolute(&path).into()]);
    }
    if let Some(config) = &options.config {
        args.extend(["--config".into(), config.into()]);
    }
    if let Some(level) = options.log_level {
        args.extend(["--log-level".into(), level.word().into()]);
    }
    if let Some(profile) = &options.profile {
        args.extend(["--profile".into(), profile.into()]);
    }
    args.extend(cx.selection());
    args
}

/// Whether this process is one of the stages of a background start.
pub(crate) fn is_stage(cx: &Context) -> bool {
    cx.stage != Stage::Front
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_problems_have_their_own_words() {
        let failure = settings_failure(&SettingsError::Missing("/x/y.yaml".into()));
        assert_eq!((failure.word, failure.exit), ("config_not_found", 1));
    }
}
