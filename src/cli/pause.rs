//! `mozart pause`.

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use crate::cli::cancel;
use crate::cli::context::Context;
use crate::cli::failure::{Done, Failure, Stop, TIMED_OUT};
use crate::cli::format::{self, parse_duration};
use crate::cli::job::{self, Doc};
use crate::cli::rpc::Rpc;
use crate::cli::watch::{Seen, Watch};

/// Options of `pause`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Job to pause
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    job: Option<String>,
    /// Pause every running job
    #[arg(long)]
    all: bool,
    /// Stay until the job is paused
    #[arg(long)]
    wait: bool,
    /// How long --wait waits
    #[arg(short, long, default_value = "60", value_parser = parse_duration, value_name = "DURATION")]
    timeout: Duration,
    /// End the job at once instead: the same as `cancel`
    #[arg(short, long, conflicts_with_all = ["all", "wait"])]
    force: bool,
}

/// Runs the command.
pub(crate) fn run(cx: &Context, options: &Options) -> Done {
    match &options.job {
        Some(id) if options.force => cancel::cancel(cx, std::slice::from_ref(id), true),
        Some(id) => {
            let document = pause(cx, options, id)?;
            if cx.out.json {
                cx.out.document(&document)?;
            }
            Ok(0)
        }
        None => all(cx, options),
    }
}

fn all(cx: &Context, options: &Options) -> Done {
    let jobs =
        Rpc::connect(cx)?.call("job.list", json!({"status": ["running"], "limit": 10_000, "full": true}))?;
    let ids: Vec<String> =
        jobs.as_array().into_iter().flatten().map(|entry| Doc(entry).text("job_id").to_owned()).collect();
    let mut documents = Vec::new();
    let mut exit = 0;
    if ids.is_empty() {
        cx.out.say("No running jobs.")?;
    }
    for id in ids {
        match pause(cx, options, &id) {
            Ok(document) => documents.push(document),
            Err(Stop::ClosedPipe) => return Err(Stop::ClosedPipe),
            Err(Stop::Failure(failure)) => {
                exit = failure.exit;
                if cx.out.json {
                    documents.push(failure.with("job_id", id).document());
                } else {
                    cx.out.failure(&failure)?;
                }
            }
        }
    }
    if cx.out.json {
        cx.out.document(&Value::Array(documents))?;
    }
    Ok(exit)
}

fn pause(cx: &Context, options: &Options, id: &str) -> Result<Value, Stop> {
    job::check_id(id)?;
    // The stream tells what was before, too, so that the moment of the pause cannot be missed.
    let watch = if options.wait { Some(Watch::open_from(cx, id, Some(0))?) } else { None };
    let mut rpc = Rpc::connect(cx)?;
    let answer = rpc.call("job.pause", json!({"job_id": id}))?;
    if answer["paused"] != json!(true) {
        return Err(refusal(&mut rpc, id, Doc(&answer).text("error")));
    }
    cx.out.say(&format!("Pause signal sent to job '{id}'."))?;
    cx.out.say("Job will pause at next sheet boundary.")?;
    let acknowledged = match watch {
        Some(watch) => {
            wait(&mut rpc, watch, id, options.timeout)?;
            cx.out.say(&format!("Job '{id}' paused."))?;
            true
        }
        None => rpc.job(id).is_ok_and(|doc| Doc(&doc).text("status") == "paused"),
    };
    cx.out.say(&format!("To resume: {}", cx.command(&format!("resume {id}"))))?;
    cx.out.say(&format!(
        "To resume with new config: {}",
        cx.command(&format!("resume {id} --config new.yaml"))
    ))?;
    durability(cx, &answer);
    Ok(json!({
        "success": true, "job_id": id, "status": if acknowledged { "paused" } else { "pausing" },
        "message": "Pause signal sent", "acknowledged": acknowledged,
        "durable": answer.get("durable").cloned().unwrap_or(Value::Bool(true)),
    }))
}

/// Waits until the job is paused. Events say when to look; the status says what is true.
fn wait(rpc: &mut Rpc, mut watch: Watch, id: &str, timeout: Duration) -> Result<(), Stop> {
    let until = Instant::now() + timeout;
    loop {
        let status = rpc.job(id)?;
        let doc = Doc(&status);
        match doc.text("status") {
            "paused" => return Ok(()),
            ended if job::is_terminal(ended) => {
                let text =
                    format!("Job '{id}' is {ended}, not paused: it ended before the pause took effect.");
                return Err(Failure::new("job_not_pausable", text).with("job_id", id).into());
            }
            _ => {}
        }
        if matches!(watch.changed(until)?, Seen::Timeout) {
            let playing: Vec<String> = doc
                .sheets()
                .iter()
                .filter(|(_, sheet)| job::is_playing(sheet.text("status")))
                .map(|(number, _)| number.to_string())
                .collect();
            let which = if playing.is_empty() {
                String::new()
            } else {
                format!(" (still finishing sheet {})", playing.join(", "))
            };
            #[expect(clippy::cast_precision_loss, reason = "seconds of a wait")]
            let waited = timeout.as_millis() as f64 / 1000.0;
            let text = format!("Job '{id}' did not pause within {}{which}.", format::wait(waited));
            return Err(Failure::new("timeout", text).exit(TIMED_OUT).with("job_id", id).into());
        }
    }
}

fn refusal(rpc: &mut Rpc, id: &str, error: &str) -> Stop {
    if error.contains("not found") {
        return rpc.unknown_job(id);
    }
    let failure = if error.contains("no running process") {
        Failure::new("job_not_running", error)
    } else {
        Failure::new("job_not_pausable", error).hint("Only running jobs can be paused.")
    };
    failure.with("job_id", id).into()
}

/// Says so when a change is not on the disk yet.
pub(crate) fn durability(cx: &Context, answer: &Value) {
    if answer.get("durable") == Some(&Value::Bool(false)) {
        cx.out.warn("the conductor's database cannot be written now; the change takes effect and is written as soon as it can be");
    }
}
