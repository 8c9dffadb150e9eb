//! The command line: arguments become plain structs, then one file per command does the work.
//!
//! Results go to standard output, everything else to standard error; `failure` decides exit
//! statuses. This layer talks to a conductor only through its socket (`rpc`).

mod approve;
mod args;
mod cancel;
mod conductor_status;
mod context;
mod cost;
mod early;
mod errors;
mod explain;
mod failure;
mod follow;
mod format;
mod guard_sweep;
mod history;
mod init;
mod instruments;
mod job;
mod limits;
mod list;
mod logs;
mod modify;
mod output;
mod pause;
mod ping;
mod plan_view;
mod prompts;
mod recover;
mod render;
mod restart;
mod resume;
mod rpc;
mod run;
mod schema;
mod score_file;
mod start;
mod status;
mod stop;
mod style;
mod table;
mod tail;
mod target;
mod validate;
mod version;
mod watch;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use crate::cli::args::{Command, DaemonCommand, Global, Mozart, Mozartd, Root};
use crate::cli::context::Context;
use crate::cli::failure::{Done, Failure, Stop, USAGE};
use crate::cli::output::Output;
use crate::cli::style::ColorChoice;
use crate::daemon::Brand;
use crate::daemon::detach::Stage;

/// What both programs do: `argv[0]` decides which of the two this is.
#[must_use]
pub fn main() -> ExitCode {
    crate::guard::run_if_asked();
    let mut args: Vec<OsString> = std::env::args_os().collect();
    let brand = brand_of(args.first());
    let stage = Stage::take(&mut args);
    let json = args.iter().skip(1).any(|arg| arg == "--json" || arg == "-j");
    let done = match brand {
        Brand::Mozart => match Mozart::try_parse_from(&args) {
            Ok(mozart) => dispatch(mozart, stage),
            Err(error) => return misuse(&error, json),
        },
        Brand::Mozartd => match Mozartd::try_parse_from(&args) {
            Ok(mozartd) => dispatch_daemon(mozartd, stage),
            Err(error) => return misuse(&error, json),
        },
    };
    ExitCode::from(done)
}

fn brand_of(program: Option<&OsString>) -> Brand {
    let stem = program.and_then(|program| Path::new(program).file_stem());
    if stem.is_some_and(|stem| stem == "mozartd") { Brand::Mozartd } else { Brand::Mozart }
}

fn dispatch(mozart: Mozart, stage: Stage) -> u8 {
    let Mozart { global, root, command } = mozart;
    let cx = Context::new(Brand::Mozart, &global, stage);
    finish(&cx.out, || {
        if root.version {
            return version::print(&cx);
        }
        let Some(command) = command else { return Err(no_command(Brand::Mozart).into()) };
        if !matches!(command, Command::Start(_) | Command::Restart(_)) {
            diagnostics(&root, &cx)?;
        }
        match command {
            Command::Run(options) => run::run(&cx, options),
            Command::Validate(options) => validate::run(&cx, &options),
            Command::Init(options) => init::run(&cx, &options),
            Command::Instruments(options) => instruments::run(&cx, &options),
            Command::Schema(options) => schema::run(&cx, &options),
            Command::Render(options) => render::run(&cx, &options),
            Command::Pause(options) => pause::run(&cx, &options),
            Command::Resume(options) => resume::run(&cx, &options),
            Command::Cancel(options) => cancel::run(&cx, &options),
            Command::Modify(options) => modify::run(&cx, &options),
            Command::Approve(options) => approve::run(&cx, &options),
            Command::Reject(options) => approve::reject(&cx, &options),
            Command::Recover(options) => recover::run(&cx, &options),
            Command::Status(options) => status::run(&cx, &options),
            Command::List(options) => list::run(&cx, &options),
            Command::Logs(options) => logs::run(&cx, &options),
            Command::Explain(options) => explain::run(&cx, &options),
            Command::Errors(options) => errors::run(&cx, &options),
            Command::History(options) => history::run(&cx, &options),
            Command::Cost(options) => cost::run(&cx, &options),
            Command::RateLimits(options) => limits::run(&cx, &options),
            Command::ClearRateLimits(options) => limits::clear(&cx, &options),
            Command::Start(options) => start::run(&cx, &options),
            Command::Stop(options) => stop::run(&cx, &options),
            Command::Restart(options) => restart::run(&cx, &options),
            Command::ConductorStatus(options) => conductor_status::run(&cx, &options),
            Command::Ping(options) => ping::run(&cx, &options),
        }
    })
}

fn dispatch_daemon(mozartd: Mozartd, stage: Stage) -> u8 {
    let Mozartd { global, root, command } = mozartd;
    let cx = Context::new(Brand::Mozartd, &global, stage);
    finish(&cx.out, || {
        if root.version {
            return version::print(&cx);
        }
        let Some(command) = command else { return Err(no_command(Brand::Mozartd).into()) };
        match command {
            DaemonCommand::Start(options) => start::run(&cx, &options),
            DaemonCommand::Stop(options) => stop::run(&cx, &options),
            DaemonCommand::Status(options) => conductor_status::run(&cx, &options),
            DaemonCommand::Restart(options) => restart::run(&cx, &options),
            DaemonCommand::Ping(options) => ping::run(&cx, &options),
        }
    })
}

fn no_command(brand: Brand) -> Failure {
    let name = brand.program();
    Failure::usage("No command given.").hint(format!("See the commands: {name} --help"))
}

/// Runs a command and says why it stopped, if it did.
fn finish(out: &Output, command: impl FnOnce() -> Done) -> u8 {
    let stop = match command() {
        Ok(exit) => return exit,
        Err(stop) => stop,
    };
    match stop {
        Stop::ClosedPipe => 0,
        Stop::Failure(failure) => match out.failure(&failure) {
            // A reader that is gone does not turn a failure into a success.
            Ok(()) | Err(_) => failure.exit,
        },
    }
}

/// Help that was asked for, or wrong use.
fn misuse(error: &clap::Error, json: bool) -> ExitCode {
    let asked = matches!(
        error.kind(),
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    if json && !asked {
        let text = error.to_string();
        let message = text.trim().trim_start_matches("error: ").to_owned();
        let out = Output::new(true, false, false, ColorChoice::Never);
        _ = out.failure(&Failure::usage(message));
        return ExitCode::from(USAGE);
    }
    // Printing can only fail because nobody reads.
    _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
        _ => ExitCode::from(USAGE),
    }
}

/// Starts the diagnostics of this program as the options before the command ask.
fn diagnostics(root: &Root, cx: &Context) -> Result<(), Stop> {
    use crate::cli::args::LogFormat;
    use crate::daemon::logging::{self, LogFile, Sink};
    let level = match (root.log_level, cx.env("MOZART_LOG_LEVEL")) {
        (Some(level), _) => level.word().to_owned(),
        (None, Some(word)) => word,
        (None, None) => "warning".to_owned(),
    };
    let Some(filter) = logging::level(&level) else {
        return Err(Failure::usage(format!("Invalid log level: {level}"))
            .hint("Valid levels: debug, info, warning, error")
            .into());
    };
    let file = root.log_file.clone().or_else(|| cx.env("MOZART_LOG_FILE").map(Into::into));
    let format = match (root.log_format, cx.env("MOZART_LOG_FORMAT")) {
        (Some(format), _) => format,
        (None, Some(word)) => match word.to_ascii_lowercase().as_str() {
            "json" => LogFormat::Json,
            "console" => LogFormat::Console,
            "both" => LogFormat::Both,
            _ => return Err(Failure::usage(format!("Invalid log format: {word}")).into()),
        },
        (None, None) => LogFormat::Console,
    };
    let color = cx.out.error_style.color;
    let open = |path: &Path| -> Result<LogFile, Stop> {
        LogFile::open(path).map_err(|error| {
            Failure::new("internal", format!("cannot open the log file {}: {error}", path.display())).into()
        })
    };
    let sink = match (format, file) {
        (LogFormat::Both, None) => {
            return Err(Failure::usage("--log-format both needs --log-file").into());
        }
        (LogFormat::Both, Some(path)) => Sink::Both { color, file: open(&path)? },
        (LogFormat::Json, None) => Sink::Lines,
        (LogFormat::Json | LogFormat::Console, Some(path)) => Sink::File(open(&path)?),
        (LogFormat::Console, None) => Sink::Console { color },
    };
    logging::start(sink, filter);
    Ok(())
}

/// Options that both programs share, for the stages of a background start.
pub(crate) fn global_args(global: &Global) -> Vec<OsString> {
    let mut args = Vec::new();
    if let Some(socket) = &global.socket {
        args.push("--socket".into());
        args.push(socket.into());
    }
    if let Some(clone) = &global.clone {
        args.push(format!("--conductor-clone={clone}").into());
    }
    args
}
