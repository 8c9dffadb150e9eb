//! `mozart approve` and `mozart reject`: what becomes of a sheet that waits for a person.

use clap::Args;
use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::failure::{Done, Failure, Stop};
use crate::cli::job::{self, Doc};
use crate::cli::pause::durability;
use crate::cli::rpc::Rpc;

/// Options of `approve`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Job with a sheet that waits for a decision
    job: String,
    /// The sheet; not needed when only one waits
    #[arg(value_name = "SHEET", value_parser = clap::value_parser!(u32).range(1..))]
    sheet: Option<u32>,
    /// The same as SHEET
    #[arg(long = "sheet", value_name = "N", conflicts_with = "sheet", value_parser = clap::value_parser!(u32).range(1..))]
    number: Option<u32>,
    /// Count it as completed, as it is (the default)
    #[arg(long, group = "decision")]
    accept: bool,
    /// Give it one more attempt
    #[arg(long, group = "decision")]
    retry: bool,
    /// Skip it; what depends on it goes on. Also for a sheet that does not wait for a decision
    #[arg(long, group = "decision")]
    skip: bool,
    /// Let it fail, as `reject` does
    #[arg(long, group = "decision")]
    fail: bool,
    /// Say this to the instrument after the prompt; means --retry
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["accept", "skip", "fail"])]
    prompt: Option<String>,
    /// Keep this with the decision
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Show what waits for a decision, and decide nothing
    #[arg(long, conflicts_with_all = ["decision", "prompt", "note"])]
    list: bool,
}

/// Options of `reject`.
#[derive(Debug, Args)]
pub(crate) struct Rejection {
    /// Job with a sheet that waits for a decision
    job: String,
    /// The sheet; not needed when only one waits
    #[arg(value_name = "SHEET", value_parser = clap::value_parser!(u32).range(1..))]
    sheet: Option<u32>,
    /// The same as SHEET
    #[arg(long = "sheet", value_name = "N", conflicts_with = "sheet", value_parser = clap::value_parser!(u32).range(1..))]
    number: Option<u32>,
    /// Let the whole job fail
    #[arg(long = "job", conflicts_with = "retry")]
    whole: bool,
    /// Do not let it fail: give it one more attempt
    #[arg(long)]
    retry: bool,
    /// Keep this with the decision
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

/// Runs `approve`.
pub(crate) fn run(cx: &Context, options: &Options) -> Done {
    if options.list {
        return list(cx, &options.job);
    }
    let decision = if options.retry || options.prompt.is_some() {
        "retry"
    } else if options.skip {
        "skip"
    } else if options.fail {
        "fail"
    } else {
        "accept"
    };
    let more = json!({ "decision": decision, "prompt": options.prompt, "note": options.note });
    decide(cx, &options.job, options.sheet.or(options.number), more)
}

/// Runs `reject`.
pub(crate) fn reject(cx: &Context, options: &Rejection) -> Done {
    let decision = if options.retry { "retry" } else { "fail" };
    let more = json!({ "decision": decision, "note": options.note, "fail_job": options.whole });
    decide(cx, &options.job, options.sheet.or(options.number), more)
}

fn decide(cx: &Context, id: &str, sheet: Option<u32>, mut params: Value) -> Done {
    job::check_id(id)?;
    let mut rpc = Rpc::connect(cx)?;
    let sheet = match sheet {
        Some(sheet) => sheet,
        None => only_waiting(cx, &mut rpc, id)?,
    };
    params["job_id"] = id.into();
    params["sheet_num"] = sheet.into();
    let answer = rpc.call("job.approve", params)?;
    let doc = Doc(&answer);
    if doc.text("status") != "accepted" {
        let (message, reason) = (doc.text("message"), doc.text("reason"));
        if reason == "not_found" {
            return Err(rpc.unknown_job(id));
        }
        return Err(Failure::new("job_not_waiting", message)
            .hint(format!("See what it waits for: {}", cx.command(&format!("status {id}"))))
            .with("status", "rejected")
            .with("reason", reason)
            .with("job_id", id)
            .into());
    }
    if cx.out.json {
        cx.out.document(&answer)?;
        return Ok(0);
    }
    cx.out.say(&format!("{}.", doc.text("message")))?;
    cx.out.say(&format!("Monitor progress: {}", cx.command(&format!("status {id}"))))?;
    durability(cx, &answer);
    Ok(0)
}

/// The sheets of a job that wait for a decision, and why.
fn waiting(status: &Value) -> Vec<(u32, String)> {
    let sheets = Doc(status).sheets().into_iter();
    sheets
        .filter(|(_, sheet)| sheet.text("status") == "fermata")
        .map(|(number, sheet)| (number, Doc(sheet.get("escalation")).text("reason").to_owned()))
        .collect()
}

fn only_waiting(cx: &Context, rpc: &mut Rpc, id: &str) -> Result<u32, Stop> {
    let waiting = waiting(&rpc.job(id)?);
    match waiting.as_slice() {
        [(one, _)] => Ok(*one),
        [] => Err(Failure::new("job_not_waiting", format!("No sheet of job '{id}' waits for a decision"))
            .hint(format!("See what it does: {}", cx.command(&format!("status {id}"))))
            .with("job_id", id)
            .into()),
        several => {
            let numbers: Vec<String> = several.iter().map(|(number, _)| number.to_string()).collect();
            let text = format!("Sheets {} of job '{id}' wait for decisions: name one", numbers.join(", "));
            Err(Failure::usage(text).with("job_id", id).into())
        }
    }
}

fn list(cx: &Context, id: &str) -> Done {
    let status = Rpc::connect(cx)?.find_job(id)?;
    let id = Doc(&status).text("job_id").to_owned();
    let waiting = waiting(&status);
    if cx.out.json {
        let sheets: Vec<Value> = waiting
            .iter()
            .map(|(number, _)| {
                let mut asked = status["sheets"][number.to_string()]["escalation"].clone();
                asked["sheet_num"] = (*number).into();
                asked
            })
            .collect();
        cx.out.document(&json!({ "job_id": id, "waiting": sheets }))?;
        return Ok(0);
    }
    if waiting.is_empty() {
        cx.out.line(&format!("No sheet of job '{id}' waits for a decision."))?;
    }
    for (number, reason) in waiting {
        let reason = crate::cli::format::one_line(&reason, None);
        cx.out.line(&format!("Sheet {number} {} {reason}", cx.out.style.dot()))?;
        cx.out.line(&format!(
            "  {}",
            cx.command(&format!("approve {id} {number} [--retry|--skip|--accept]"))
        ))?;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sheets_in_fermata_wait() {
        let status = json!({"sheets": {
            "1": {"status": "completed"},
            "10": {"status": "fermata", "escalation": {"reason": "tired"}},
            "2": {"status": "fermata", "escalation": {"reason": "stuck"}},
        }});
        assert_eq!(waiting(&status), [(2, "stuck".to_owned()), (10, "tired".to_owned())]);
    }
}
