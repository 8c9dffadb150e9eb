//! `mozart logs`: what the programs of sheets print, and the conductor's own log.

mod conductor;
mod sheets;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::cli::context::Context;
use crate::cli::failure::Done;
use crate::cli::format::parse_duration;
use crate::cli::job::{self, Doc};
use crate::cli::rpc::Rpc;
use crate::cli::watch;

/// Options of `logs`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Job whose output to show; its name may be cut short
    job: Option<String>,
    /// Only this sheet
    #[arg(long, value_name = "N", requires = "job", value_parser = clap::value_parser!(u32).range(1..))]
    sheet: Option<u32>,
    /// The conductor's log, with JOB only what names it
    #[arg(long, conflicts_with_all = ["sheet", "file"])]
    conductor: bool,
    /// Another log file of a conductor
    #[arg(short, long, value_name = "PATH", conflicts_with = "sheet")]
    file: Option<PathBuf>,
    /// Go on with what is written from now on; ends with the job
    #[arg(short = 'F', long)]
    follow: bool,
    /// Last lines to begin with; 0 = all
    #[arg(short = 'n', long, default_value_t = 50, value_name = "N")]
    lines: usize,
    /// Only this level and above: debug, info, warning, error or critical
    #[arg(short, long, value_name = "LEVEL")]
    level: Option<String>,
    /// Only what is newer
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    since: Option<Duration>,
}

/// Runs the command.
pub(crate) fn run(cx: &Context, options: &Options) -> Done {
    if options.follow {
        watch::leave_on_interrupt()?;
    }
    let lines = if options.lines == 0 { None } else { Some(options.lines) };
    if options.conductor || options.file.is_some() {
        return conductor::show(cx, options, lines);
    }
    let Some(name) = &options.job else { return conductor::show(cx, options, lines) };
    let doc = Rpc::connect(cx)?.find_job(name)?;
    let view = Doc(&doc);
    let plays = view.sheets().iter().any(|(_, sheet)| job::is_playing(sheet.text("status")));
    if options.sheet.is_none() && !plays && !options.follow {
        return conductor::show(cx, options, lines);
    }
    sheets::show(cx, options, &doc, lines)
}
