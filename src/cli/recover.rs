//! `mozart recover`: the rules of what failed are checked again; no program of a sheet is run.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::failure::{Done, Failure, Stop, TIMED_OUT};
use crate::cli::format::{self, parse_duration};
use crate::cli::job::{self, Doc};
use crate::cli::rpc::Rpc;
use crate::cli::watch::{Seen, Watch};

/// Options of `recover`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Failed job
    job: String,
    /// Only sheets from this one on
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    from_sheet: Option<u32>,
    /// Show what would be checked, and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// With --dry-run: only this sheet
    #[arg(short, long, value_name = "N", requires = "dry_run", value_parser = clap::value_parser!(u32).range(1..))]
    sheet: Option<u32>,
    /// Longest time to wait for the checks
    #[arg(short, long, default_value = "10m", value_parser = parse_duration, value_name = "DURATION")]
    timeout: Duration,
}

/// Runs the command.
pub(crate) fn run(cx: &Context, options: &Options) -> Done {
    job::check_id(&options.job)?;
    let mut rpc = Rpc::connect(cx)?;
    let shown = rpc.call_job(
        "job.recover",
        &options.job,
        json!({
            "from_sheet": options.from_sheet, "sheet_num": options.sheet, "dry_run": options.dry_run, "full": true,
        }),
    )?;
    let failed: Vec<Value> = Doc(&shown).list("sheets").to_vec();
    if options.dry_run {
        return dry_run(cx, &options.job, &shown, &failed);
    }
    apply(cx, &mut rpc, options, &shown, failed.len())
}

fn dry_run(cx: &Context, id: &str, shown: &Value, failed: &[Value]) -> Done {
    if cx.out.json {
        let still: Vec<Value> = failed.iter().map(failing).collect();
        cx.out.document(&json!({
            "job_id": id, "dry_run": true, "validated": [], "reset": [], "still_failing": still,
            "job_status": shown["state"]["status"],
        }))?;
        return Ok(0);
    }
    if failed.is_empty() {
        cx.out.say("No failed sheets to recover")?;
        return Ok(0);
    }
    cx.out.line(&format!("Would check the rules of {} sheet(s) again:", failed.len()))?;
    for sheet in failed.iter().map(Doc) {
        let why = format::one_line(sheet.text("error_message"), None);
        cx.out.line(&format!("  Sheet {}: {} {why}", sheet.count("sheet_num"), sheet.text("error_code")))?;
    }
    cx.out.line("Dry run — no changes made")?;
    Ok(0)
}

fn failing(sheet: &Value) -> Value {
    let rules = sheet["failed"].as_array().or(sheet["failed_validations"].as_array());
    json!({ "sheet_num": sheet["sheet_num"], "failed": rules.cloned().unwrap_or_default() })
}

fn apply(cx: &Context, rpc: &mut Rpc, options: &Options, shown: &Value, failed: usize) -> Done {
    let id = options.job.as_str();
    let params = json!({ "job_id": id, "from_sheet": options.from_sheet, "apply": true });
    let answer = rpc.call("job.recover", params)?;
    let doc = Doc(&answer);
    match (doc.text("status"), doc.text("reason")) {
        ("accepted", _) => {}
        (_, "nothing_failed") => {
            if cx.out.json {
                cx.out.document(&json!({
                    "job_id": id, "dry_run": false, "validated": [], "reset": [], "still_failing": [],
                    "job_status": shown["state"]["status"],
                }))?;
            } else {
                cx.out.say("No failed sheets to recover")?;
            }
            return Ok(0);
        }
        (_, reason) => {
            return Err(Failure::new("job_not_recoverable", doc.text("message"))
                .hint(format!("See what it does: {}", cx.command(&format!("status {id}"))))
                .with("status", "rejected")
                .with("reason", reason)
                .with("job_id", id)
                .into());
        }
    }
    let asked: Vec<u64> = doc.list("sheets").iter().filter_map(Value::as_u64).collect();
    let after = settled(cx, rpc, id, options.timeout)?;
    let of = |passed: bool| -> Vec<(u32, Value)> {
        let sheets = Doc(&after).sheets().into_iter();
        let asked = sheets.filter(|(number, _)| asked.contains(&u64::from(*number)));
        asked
            .filter(|(_, sheet)| (sheet.text("status") == "completed") == passed)
            .map(|(number, sheet)| (number, sheet.0.clone()))
            .collect()
    };
    let (validated, still) = (of(true), of(false));
    let status = Doc(&after).text("status");
    if cx.out.json {
        let numbers: Vec<u32> = validated.iter().map(|(number, _)| *number).collect();
        let still: Vec<Value> = still.iter().map(|(_, sheet)| failing(sheet)).collect();
        cx.out.document(&json!({
            "job_id": id, "dry_run": false, "validated": numbers, "reset": [], "still_failing": still,
            "job_status": status,
        }))?;
        return Ok(0);
    }
    cx.out.say(&format!("Before: {}", counts(&shown["state"])))?;
    cx.out.say(&format!("After:  {}", counts(&after)))?;
    cx.out.say(&format!("Validated: {} of {failed}", validated.len()))?;
    for (number, sheet) in &still {
        let rules: Vec<&str> =
            Doc(sheet).list("failed_validations").iter().filter_map(Value::as_str).collect();
        let why =
            if rules.is_empty() { Doc(sheet).text("error_message").to_owned() } else { rules.join("; ") };
        cx.out.say(&format!("  Sheet {number} still fails: {}", format::one_line(&why, None)))?;
    }
    match status {
        "paused" => {
            cx.out.say(&format!("Recovered {} sheet(s). Resume with:", validated.len()))?;
            cx.out.say(&format!("  {}", cx.command(&format!("resume {id}"))))?;
        }
        "completed" => cx.out.say(&format!("Job '{id}' is completed."))?,
        _ if validated.is_empty() => {
            cx.out.say(&format!(
                "Nothing was recovered. Run what failed again: {}",
                cx.command(&format!("resume {id}"))
            ))?;
        }
        other => cx.out.say(&format!("Job '{id}' is {other}."))?,
    }
    Ok(0)
}

/// Waits until the checks are over. Events say when to look; the status says what is true.
fn settled(cx: &Context, rpc: &mut Rpc, id: &str, timeout: Duration) -> Result<Value, Stop> {
    let until = Instant::now() + timeout;
    let mut watch = Watch::open_from(cx, id, Some(0))?;
    loop {
        let status = rpc.job(id)?;
        let word = Doc(&status).text("status");
        if word == "paused" || job::is_terminal(word) {
            return Ok(status);
        }
        if matches!(watch.changed(until)?, Seen::Timeout) {
            let waited = format::wait(timeout.as_secs_f64());
            let text = format!("The rules of job '{id}' are still being checked after {waited}.");
            return Err(Failure::new("timeout", text).exit(TIMED_OUT).with("job_id", id).into());
        }
    }
}

/// `{completed: 4, failed: 2}`.
fn counts(status: &Value) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, sheet) in Doc(status).sheets() {
        *counts.entry(sheet.text("status")).or_default() += 1;
    }
    let parts: Vec<String> = counts.iter().map(|(word, count)| format!("{word}: {count}")).collect();
    format!("{{{}}}", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_by_state() {
        let status = json!({"sheets": {"1": {"status": "completed"}, "2": {"status": "failed"}, "3": {"status": "failed"}}});
        assert_eq!(counts(&status), "{completed: 1, failed: 2}");
    }
}
