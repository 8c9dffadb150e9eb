//! The command line as clap sees it: options and help, no work.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::cli::format::parse_duration;
use crate::cli::style::ColorChoice;
use crate::cli::{
    approve, cancel, conductor_status, cost, errors, explain, history, init, instruments, limits, list, logs,
    modify, pause, ping, recover, render, restart, resume, run, schema, start, status, stop, validate,
};

const HELP: &str = "\
{about}

{usage-heading} {usage}

Jobs:
  run               Submit a score to the conductor
  validate          Check scores without running them
  render            Show the prompts that the sheets would get
  pause             Stop a job at the next sheet boundary
  resume            Let a paused, failed or cancelled job go on
  cancel            End a job at once
  modify            Let a job go on with another score
  approve           Decide about a sheet that waits for a person
  reject            Let a sheet that waits for a person fail
  recover           Check the rules of failed sheets again, without running them

Scores:
  init              Write a first score
  instruments       Show the programs that sheets can be given to
  schema            Print the JSON Schema of a kind of document, for editors

Monitoring:
  status            Show the conductor's jobs, or one job in full
  list              List jobs
  cost              Show what a job has spent
  history           List the attempts of a job

Diagnostics:
  logs              Show the output of sheets, or the conductor's log
  explain           Say what a code means and what to do
  errors            Show what went wrong in a job, and what helps
  help              Explain a command

Conductor:
  start             Start the conductor
  stop              Stop the conductor
  restart           Stop the conductor and start it again
  conductor-status  Show the conductor's health and load
  ping              Measure a round trip to the conductor
  rate-limits       Show which instruments have asked to wait
  clear-rate-limits Let sheets that wait for a rate limit go on at once

Options:
{options}{after-help}";

/// `mozart`.
#[derive(Debug, Parser)]
#[command(
    name = "mozart",
    about = "Runs long, multi-step jobs made of command-line programs, and finishes them",
    help_template = HELP,
    after_help = "\nStart with: mozart start, then: mozart run SCORE.yaml",
    disable_version_flag = true,
    arg_required_else_help = true,
    subcommand_required = false
)]
pub(crate) struct Mozart {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(flatten)]
    pub(crate) root: Root,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// `mozartd`, the older name of the conductor program.
#[derive(Debug, Parser)]
#[command(
    name = "mozartd",
    about = "The conductor of Mozart under its older name",
    after_help = "mozartd is kept for older scripts; the same commands are part of mozart: mozart start, mozart stop, mozart conductor-status.",
    disable_version_flag = true,
    arg_required_else_help = true
)]
pub(crate) struct Mozartd {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(flatten)]
    pub(crate) root: Root,
    #[command(subcommand)]
    pub(crate) command: Option<DaemonCommand>,
}

/// Options that every command takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Show more detail
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    /// Print only errors and the essential result
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Print one JSON document (watching commands: one per line)
    #[arg(short, long, global = true)]
    pub(crate) json: bool,
    /// When to use colour [env: NO_COLOR, CLICOLOR_FORCE]
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t)]
    pub(crate) color: ColorChoice,
    /// Unix socket of the conductor [env: MOZART_SOCKET]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) socket: Option<PathBuf>,
    /// Time for one answer of the conductor [env: MOZART_RPC_TIMEOUT] [default: 30s]
    #[arg(long = "rpc-timeout", global = true, value_name = "DURATION", hide = true, value_parser = parse_duration)]
    pub(crate) timeout: Option<Duration>,
    /// Use an isolated second conductor [env: MOZART_CLONE]
    #[arg(
        long = "conductor-clone",
        global = true,
        value_name = "NAME",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = ""
    )]
    pub(crate) clone: Option<String>,
}

/// Options before the command.
#[derive(Debug, Clone, Args)]
pub(crate) struct Root {
    /// Print the version; with -v also build features and protocol
    #[arg(short = 'V', long)]
    pub(crate) version: bool,
    /// Diagnostics of this program: debug, info, warning or error [env: MOZART_LOG_LEVEL] [default: warning]
    #[arg(short = 'L', long, value_name = "LEVEL")]
    pub(crate) log_level: Option<Level>,
    /// File for diagnostics of this program [env: MOZART_LOG_FILE]
    #[arg(long, value_name = "FILE")]
    pub(crate) log_file: Option<PathBuf>,
    /// Form of diagnostics [env: MOZART_LOG_FORMAT] [default: console]
    #[arg(long, value_name = "FORMAT", value_enum, ignore_case = true)]
    pub(crate) log_format: Option<LogFormat>,
}

/// A log level in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Level {
    /// Everything.
    #[value(alias = "DEBUG", alias = "Debug")]
    Debug,
    /// What an operator acts on.
    #[value(alias = "INFO", alias = "Info")]
    Info,
    /// What went wrong but was handled.
    #[value(alias = "WARNING", alias = "Warning", alias = "warn", alias = "WARN")]
    Warning,
    /// What failed.
    #[value(alias = "ERROR", alias = "Error")]
    Error,
}

impl Level {
    /// The word of the configuration.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// `--log-format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// JSON lines.
    Json,
    /// Lines for people.
    Console,
    /// Lines for people on standard error and JSON lines in the file.
    Both,
}

/// Commands of `mozart`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Submit a score to the conductor
    Run(run::Options),
    /// Check scores without running them
    Validate(validate::Options),
    /// Write a first score
    Init(init::Options),
    /// Show the programs that sheets can be given to
    Instruments(instruments::Options),
    /// Print the JSON Schema of a kind of document, for editors
    Schema(schema::Options),
    /// Show the prompts that the sheets would get
    Render(render::Options),
    /// Stop a job at the next sheet boundary
    Pause(pause::Options),
    /// Let a paused, failed or cancelled job go on
    Resume(resume::Options),
    /// End a job at once
    Cancel(cancel::Options),
    /// Let a job go on with another score
    Modify(modify::Options),
    /// Decide about a sheet that waits for a person
    Approve(approve::Options),
    /// Let a sheet that waits for a person fail
    Reject(approve::Rejection),
    /// Check the rules of failed sheets again, without running them
    Recover(recover::Options),
    /// Show the conductor's jobs, or one job in full
    Status(status::Options),
    /// List jobs
    List(list::Options),
    /// Show the output of sheets, or the conductor's log
    Logs(logs::Options),
    /// Say what a code means and what to do
    Explain(explain::Options),
    /// Show what went wrong in a job, and what helps
    Errors(errors::Options),
    /// List the attempts of a job
    History(history::Options),
    /// Show what a job has spent
    Cost(cost::Options),
    /// Show which instruments have asked to wait
    RateLimits(limits::Options),
    /// Let sheets that wait for a rate limit go on at once
    ClearRateLimits(limits::Clearing),
    /// Start the conductor
    Start(start::Options),
    /// Stop the conductor
    Stop(stop::Options),
    /// Stop the conductor and start it again
    Restart(restart::Options),
    /// Show the conductor's health and load
    ConductorStatus(conductor_status::Options),
    /// Measure a round trip to the conductor
    Ping(ping::Options),
}

/// Commands of `mozartd`.
#[derive(Debug, Subcommand)]
pub(crate) enum DaemonCommand {
    /// Start the daemon
    Start(start::Options),
    /// Stop the daemon
    Stop(stop::Options),
    /// Show the daemon's health and load
    Status(conductor_status::Options),
    /// Stop the daemon and start it again
    Restart(restart::Options),
    /// Measure a round trip to the daemon
    Ping(ping::Options),
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definitions_are_consistent() {
        Mozart::command().debug_assert();
        Mozartd::command().debug_assert();
    }

    #[test]
    fn the_help_names_every_command() {
        let mut command = Mozart::command();
        let help = command.render_help().to_string();
        for sub in Mozart::command().get_subcommands() {
            let line = format!("  {} ", sub.get_name());
            assert!(help.contains(&line), "{line} is missing in\n{help}");
        }
    }

    #[test]
    fn the_documentation_names_every_command_and_option() {
        let text = include_str!("../../docs/cli.md");
        for command in [Mozart::command(), Mozartd::command()] {
            let all = command.get_subcommands().chain(std::iter::once(&command));
            for sub in all {
                assert!(text.contains(sub.get_name()), "command {}", sub.get_name());
                for option in sub.get_arguments().filter_map(clap::Arg::get_long) {
                    assert!(text.contains(&format!("--{option}")), "{} --{option}", sub.get_name());
                }
            }
        }
    }

    #[test]
    fn clone_names_need_an_equals_sign() {
        let parse = |args: &[&str]| Mozart::try_parse_from(args).unwrap().global.clone;
        assert_eq!(parse(&["mozart", "list"]), None);
        assert_eq!(parse(&["mozart", "list", "--conductor-clone"]), Some(String::new()));
        assert_eq!(parse(&["mozart", "--conductor-clone=a b", "list"]), Some("a b".to_owned()));
    }
}
