//! `mozart modify`: a job goes on with another score.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::failure::{Done, Failure, Stop, TIMED_OUT};
use crate::cli::format::{self, parse_duration};
use crate::cli::job::{self, Doc};
use crate::cli::pause::durability;
use crate::cli::rpc::Rpc;
use crate::cli::score_file;
use crate::cli::watch::{Seen, Watch};
use crate::plan::Overrides;

/// Options of `modify`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Job to change
    job: String,
    /// Its new score
    #[arg(value_name = "SCORE", required_unless_present = "config", conflicts_with = "config")]
    score: Option<PathBuf>,
    /// The same as SCORE
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Another workspace, when the new score has one
    #[arg(short, long, value_name = "DIR")]
    workspace: Option<PathBuf>,
    /// Accepted for scripts: the job always goes on
    #[arg(short, long)]
    resume: bool,
    /// Stay until the job goes on with the new score
    #[arg(long)]
    wait: bool,
    /// How long --wait waits
    #[arg(short, long, default_value = "60", value_parser = parse_duration, value_name = "DURATION")]
    timeout: Duration,
}

/// Runs the command.
pub(crate) fn run(cx: &Context, options: &Options) -> Done {
    let id = options.job.as_str();
    job::check_id(id)?;
    let path =
        options.score.as_ref().or(options.config.as_ref()).map(|path| cx.absolute(path)).unwrap_or_default();
    check(cx, &path)?;
    let mut rpc = Rpc::connect(cx)?;
    // The stream tells what was before, too, so that the moment of the change cannot be missed. A job
    // that has ended has no stream worth opening; what it was is in the answer.
    let watch = match options.wait && !job::is_terminal(Doc(&rpc.job(id)?).text("status")) {
        true => Some(Watch::open_from(cx, id, Some(0))?),
        false => None,
    };
    let answer = rpc.call(
        "job.modify",
        json!({
            "job_id": id,
            "config_path": path.to_string_lossy(),
            "workspace": options.workspace.as_ref().map(|dir| cx.absolute(dir).to_string_lossy().into_owned()),
            "client_cwd": std::env::current_dir().ok().map(|dir| dir.to_string_lossy().into_owned()),
        }),
    )?;
    let doc = Doc(&answer);
    if doc.text("status") != "accepted" {
        return Err(refusal(cx, &mut rpc, id, &path, &answer));
    }
    let later = doc.text("message").starts_with("Pause signal");
    cx.out.say(doc.text("message"))?;
    durability(cx, &answer);
    if let Some(watch) = watch
        && later
    {
        wait(&mut rpc, id, &path, watch, options.timeout)?;
        cx.out.say(&format!("Job '{id}' goes on with {}.", path.display()))?;
    }
    cx.out.say(&format!("Monitor: {}", cx.command(&format!("status {id}"))))?;
    if cx.out.json {
        cx.out.document(&answer)?;
    }
    Ok(0)
}

/// A score that cannot work is refused before the conductor is asked.
fn check(cx: &Context, path: &std::path::Path) -> Result<(), Stop> {
    let source = score_file::read(cx, path)?;
    let loaded = score_file::load(&source, &Overrides::default());
    loaded.map(drop).map_err(|issues| {
        let mut failure = crate::cli::run::load_failure(path, &issues);
        failure.message = format!("Invalid config file: {}", failure.message);
        failure.word = "config_invalid";
        failure.into()
    })
}

/// Waits until the scores are swapped. Events say when to look; the status says what is true.
fn wait(
    rpc: &mut Rpc,
    id: &str,
    path: &std::path::Path,
    mut watch: Watch,
    timeout: Duration,
) -> Result<(), Stop> {
    let until = Instant::now() + timeout;
    loop {
        let status = rpc.job(id)?;
        if status["modify_pending"].is_null() {
            let swapped = Doc(&status).text("config_path") == path.to_string_lossy();
            return if swapped { Ok(()) } else { Err(too_late(id, Doc(&status).text("status"))) };
        }
        match watch.changed(until)? {
            Seen::Event(_) => {}
            Seen::Ended(status) => return Err(too_late(id, &status)),
            Seen::Closed => {
                let text =
                    format!("The conductor stopped before job '{id}' was modified; the next one does it.");
                return Err(Failure::new("conductor_not_running", text)
                    .exit(crate::cli::failure::UNAVAILABLE)
                    .with("job_id", id)
                    .into());
            }
            Seen::Timeout => {
                let waited = format::wait(timeout.as_secs_f64());
                let text = format!(
                    "Job '{id}' still finishes what runs after {waited}; it goes on with the new score afterwards."
                );
                return Err(Failure::new("timeout", text).exit(TIMED_OUT).with("job_id", id).into());
            }
        }
    }
}

fn too_late(id: &str, status: &str) -> Stop {
    let text = format!("Job '{id}' is {status}: it ended before the new score took effect.");
    Failure::new("job_not_modifiable", text).with("job_id", id).into()
}

fn refusal(cx: &Context, rpc: &mut Rpc, id: &str, path: &std::path::Path, answer: &Value) -> Stop {
    let doc = Doc(answer);
    let message = doc.text("message");
    let failure = match doc.text("reason") {
        "not_found" => return rpc.unknown_job(id),
        "not_modifiable" => Failure::new("job_not_modifiable", format!("{message}."))
            .hint(format!("See what it does: {}", cx.command(&format!("status {id}")))),
        "config_invalid" | "config_not_found" => Failure::new("rejected_config", message)
            .hint(format!("Validate it with: mozart validate {}", path.display())),
        "workspace" => Failure::new("rejected_workspace", message),
        "shutdown" => Failure::new("rejected_shutdown", message)
            .hint("Wait for shutdown to complete, then: mozart start")
            .exit(crate::cli::failure::TRY_LATER),
        _ => Failure::new("job_not_modifiable", message),
    };
    failure.with("status", "rejected").with("job_id", id).into()
}
