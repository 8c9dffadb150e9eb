//! `mozart cancel`.

use clap::Args;
use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::failure::{Done, FAILED, Failure, Stop};
use crate::cli::job;
use crate::cli::pause::durability;
use crate::cli::rpc::Rpc;

/// Options of `cancel`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Jobs to end
    #[arg(required = true, value_name = "JOB")]
    jobs: Vec<String>,
    /// Stay until everything the jobs started is gone (always so, for at most 10 s)
    #[arg(long)]
    wait: bool,
    /// Accepted for scripts: there is no question
    #[arg(short, long)]
    yes: bool,
}

/// Runs the command.
pub(crate) fn run(cx: &Context, options: &Options) -> Done {
    cancel(cx, &options.jobs, options.wait)
}

/// Ends jobs. The conductor answers when what ran is gone, or after 10 s.
pub(crate) fn cancel(cx: &Context, ids: &[String], wait: bool) -> Done {
    let mut documents = Vec::new();
    let mut exit = 0;
    let mut rpc = Rpc::connect(cx)?;
    for id in ids {
        match one(cx, &mut rpc, id, wait) {
            Ok(document) => documents.push(document),
            Err(Stop::ClosedPipe) => return Err(Stop::ClosedPipe),
            Err(Stop::Failure(failure)) if ids.len() == 1 => return Err(Stop::Failure(failure)),
            Err(Stop::Failure(failure)) => {
                exit = FAILED;
                if cx.out.json {
                    documents.push(failure.document());
                } else {
                    cx.out.failure(&failure)?;
                }
            }
        }
    }
    if cx.out.json {
        match documents.as_slice() {
            [one] if ids.len() == 1 => cx.out.document(one)?,
            several => cx.out.document(&Value::Array(several.to_vec()))?,
        }
    }
    Ok(exit)
}

fn one(cx: &Context, rpc: &mut Rpc, id: &str, wait: bool) -> Result<Value, Stop> {
    job::check_id(id)?;
    let mut answer = rpc.call("job.cancel", json!({"job_id": id}))?;
    // Asking again waits again: the method is idempotent while something is still ending.
    while wait && answer.get("still_ending") == Some(&Value::Bool(true)) {
        let next = rpc.call("job.cancel", json!({"job_id": id}))?;
        if next["cancelled"] != json!(true) {
            break;
        }
        answer = next;
    }
    if answer["cancelled"] != json!(true) {
        return Err(Failure::new("job_not_running", format!("Job '{id}' not found or already stopped."))
            .hint("Run 'mozart list' to see available jobs.")
            .with("job_id", id)
            .into());
    }
    cx.out.say(&format!("Job '{id}' cancelled."))?;
    if answer.get("still_ending") == Some(&Value::Bool(true)) {
        cx.out.warn(&format!(
            "some processes of job '{id}' have not ended yet; the conductor goes on ending them"
        ));
    }
    durability(cx, &answer);
    Ok(json!({"success": true, "job_id": id}))
}
