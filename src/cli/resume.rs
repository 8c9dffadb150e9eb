//! `mozart resume`.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::failure::{Done, Failure, Stop};
use crate::cli::job::{self, Doc};
use crate::cli::rpc::Rpc;
use crate::cli::run::{ESCALATION, refuse_escalation};

/// Options of `resume`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Job to go on with
    job: String,
    /// Go on with this score instead of the stored one
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Use the stored copy of the score even if its file changed
    #[arg(long, conflicts_with = "config")]
    no_reload: bool,
    /// Diagnose and try remedies after the retries are used up
    #[arg(short = 'H', long)]
    self_healing: bool,
    /// Apply suggested remedies without asking
    #[arg(short, long)]
    yes: bool,
    /// Run failed, cancelled and skipped sheets again only from this one on
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    from_sheet: Option<u32>,
    /// Run completed sheets again whose part of the score changed
    #[arg(long)]
    rerun_changed: bool,
    #[arg(short, long, help = ESCALATION)]
    escalation: bool,
    /// Another workspace
    #[arg(short, long, hide = true, value_name = "DIR")]
    workspace: Option<PathBuf>,
    /// Accepted and without effect: reloading is the default
    #[arg(long, hide = true)]
    reload_config: bool,
}

/// Runs the command.
pub(crate) fn run(cx: &Context, options: &Options) -> Done {
    if options.escalation {
        return Err(refuse_escalation());
    }
    let id = options.job.as_str();
    job::check_id(id)?;
    let absolute = |path: &PathBuf| cx.absolute(path).to_string_lossy().into_owned();
    let mut rpc = Rpc::connect(cx)?;
    let answer = rpc.call(
        "job.resume",
        json!({
            "job_id": id,
            "config_path": options.config.as_ref().map(absolute),
            "no_reload": options.no_reload,
            "workspace": options.workspace.as_ref().map(absolute),
            "self_healing": options.self_healing,
            "from_sheet": options.from_sheet,
            "rerun_changed": options.rerun_changed,
            "client_cwd": std::env::current_dir().ok().map(|directory| directory.to_string_lossy().into_owned()),
        }),
    )?;
    let doc = Doc(&answer);
    if doc.text("status") != "accepted" {
        return Err(refusal(&mut rpc, id, &answer));
    }
    if cx.out.json {
        cx.out.document(&answer)?;
        return Ok(0);
    }
    cx.out.say(&format!("Resume accepted for job '{id}'."))?;
    if !doc.text("message").is_empty() {
        cx.out.say(doc.text("message"))?;
    }
    cx.out.say(&format!("Monitor progress: {}", cx.command(&format!("status {id}"))))?;
    super::pause::durability(cx, &answer);
    Ok(0)
}

/// The refusal in the words of the command line. The state is read again only to choose the words.
fn refusal(rpc: &mut Rpc, id: &str, answer: &Value) -> Stop {
    let message = Doc(answer).text("message");
    if message.contains("not found") {
        return rpc.unknown_job(id);
    }
    let lower = message.to_lowercase();
    let failure = if lower.contains("no config") {
        Failure::new("job_not_resumable", "Cannot resume: No config available.")
            .hint("Provide a config file with --config.")
    } else if lower.contains("config") {
        Failure::new("config_invalid", format!("Error reloading config: {message}"))
            .hint("Give another file with --config.")
            .hint("Use the stored copy with --no-reload.")
    } else {
        let status = rpc.job(id).map(|doc| Doc(&doc).text("status").to_owned()).unwrap_or_default();
        match status.as_str() {
            "completed" => Failure::new("job_not_resumable", format!("Job '{id}' is already completed"))
                .hint("Run it again from the start with: mozart run SCORE.yaml --fresh"),
            "running" | "queued" | "pending" => Failure::new("job_not_resumable", message_about_job(message))
                .hint(format!("See what it does: mozart status {id}")),
            _ => Failure::new("job_not_resumable", message_about_job(message)),
        }
    };
    failure.with("status", "rejected").with("job_id", id).into()
}

/// Earlier conductors say score where they mean the job.
fn message_about_job(message: &str) -> String {
    message.replacen("Score '", "Job '", 1).replace("scores can be resumed", "jobs can be resumed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_speak_of_jobs() {
        let text =
            "Score 'x' is running, only PAUSED, PAUSED_AT_CHAIN, FAILED, or CANCELLED scores can be resumed";
        assert_eq!(
            message_about_job(text),
            "Job 'x' is running, only PAUSED, PAUSED_AT_CHAIN, FAILED, or CANCELLED jobs can be resumed"
        );
    }
}
