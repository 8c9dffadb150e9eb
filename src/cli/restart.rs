//! `mozart restart`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use crate::cli::context::Context;
use crate::cli::failure::{Done, Failure};
use crate::cli::job::Doc;
use crate::cli::rpc::Rpc;
use crate::cli::{start, stop};

/// How long the old conductor may take.
const LIMIT: Duration = Duration::from_secs(30);

/// Options of `restart`: those of `start`, and who is to be stopped.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    start: start::Options,
    /// PID file of the conductor [env: MOZART_PID_FILE]
    #[arg(long, value_name = "FILE")]
    pid_file: Option<PathBuf>,
    /// Kill the old conductor at once
    #[arg(long)]
    force: bool,
    /// Do not ask even if jobs are running
    #[arg(short, long)]
    yes: bool,
}

/// Runs the command.
pub(crate) fn run(cx: &Context, options: &Options) -> Done {
    let mut begin = options.start.clone();
    if start::is_stage(cx) {
        return start::start(cx, &begin, options.pid_file.clone());
    }
    let target = cx.target_with(options.pid_file.as_deref());
    if begin.config.is_none() {
        begin.config = config_in_use(cx, &target);
    }
    // A configuration that does not load would leave nothing running at all.
    start::load(cx, &begin, options.pid_file.clone())?;
    let end = stop::Options {
        pid_file: options.pid_file.clone(),
        force: options.force,
        yes: options.yes,
        wait: None,
    };
    if let Some(stopped) = stop::stop(cx, &end, &target, LIMIT)?
        && !stopped.gone
    {
        return Err(Failure::new("timeout", "Old conductor did not exit within 30 seconds.")
            .hint("Try 'mozart stop --force' to send SIGKILL.")
            .into());
    }
    start::start(cx, &begin, options.pid_file.clone())
}

/// The file that the running conductor was started with, if it can be asked.
fn config_in_use(cx: &Context, target: &crate::cli::target::Target) -> Option<PathBuf> {
    let status = Rpc::connect_to(cx, target).ok()?.try_call("daemon.status", json!({})).ok()?;
    match Doc(&status).text("config_path") {
        "" => None,
        path => Some(PathBuf::from(path)),
    }
}
