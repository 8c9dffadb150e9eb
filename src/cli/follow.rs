//! Staying with a job until it ends: `run --wait` and `run --follow`.

use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::early::reason;
use crate::cli::failure::{Done, FAILED, Failure, Stop};
use crate::cli::format;
use crate::cli::job::{self, Doc};
use crate::cli::output::Output;
use crate::cli::rpc::Rpc;
use crate::cli::style::{Style, Tone};
use crate::cli::watch::{Seen, Watch};

/// Follows a job to its end. Exit status 0 when it completed, else 1.
pub(crate) fn to_the_end(cx: &Context, out: Output, id: &str, lines: bool) -> Done {
    // From 0: events between the submission and this line count too.
    let mut watch = Watch::open_from(cx, id, Some(0))?;
    let status = loop {
        match watch.next(None)? {
            Seen::Event(event) if lines && out.json => out.document_line(&event)?,
            Seen::Event(event) if lines => out.text(&(line(Doc(&event), out.style) + "\n"))?,
            Seen::Event(_) | Seen::Timeout => {}
            Seen::Ended(status) => break status,
            Seen::Closed => return Err(closed(cx, id)),
        }
    };
    let doc = Rpc::connect(cx).and_then(|mut rpc| rpc.job(id)).unwrap_or(Value::Null);
    let why = reason(Doc(&doc));
    let seconds = duration(Doc(&doc));
    let exit = if status == "completed" { 0 } else { FAILED };
    if out.json {
        let end = json!({
            "job_id": id, "status": status, "success": exit == 0, "duration_seconds": seconds,
            "error": if why.is_empty() { Value::Null } else { why.into() },
        });
        if lines {
            out.document_line(&end)?
        } else {
            out.document(&end)?
        }
        return Ok(exit);
    }
    let took = seconds.map_or_else(String::new, |seconds| format!(" after {}", format::duration(seconds)));
    let shown = out.style.paint(job::job_tone(&status), &status);
    out.say(&format!("Job '{id}' {shown}{took}"))?;
    if exit != 0 && !why.is_empty() {
        out.remark(&format!("  {why}"));
    }
    Ok(exit)
}

fn closed(cx: &Context, id: &str) -> Stop {
    Failure::new("conductor_not_running", format!("The conductor stopped while job '{id}' was active."))
        .hint(format!("Start it with: {}", cx.command("start")))
        .hint("The job goes on at the next start.")
        .exit(crate::cli::failure::UNAVAILABLE)
        .into()
}

fn duration(doc: Doc<'_>) -> Option<f64> {
    Some((doc.moment("completed_at")? - doc.moment("started_at")?).max(0.0))
}

/// `09:30:01 my-score sheet 3  sheet.completed  12.4s`.
pub(crate) fn line(event: Doc<'_>, style: Style) -> String {
    let clock = event.moment("timestamp").map_or_else(|| "--:--:--".to_owned(), format::clock);
    let name = event.text("event");
    let sheet = match event.count("sheet_num") {
        0 => String::new(),
        number => format!(" sheet {number}"),
    };
    let tone = match name {
        _ if name.ends_with(".completed") => Tone::Green,
        _ if name.ends_with(".failed") || name.ends_with(".cancelled") => Tone::Red,
        _ if name.ends_with(".retrying") || name.starts_with("rate_limit") => Tone::Yellow,
        _ => Tone::Plain,
    };
    let data = Doc(event.get("data"));
    let mut detail = Vec::new();
    if let Some(seconds) = data.number("duration_seconds") {
        detail.push(format::duration(seconds));
    }
    if let Some(seconds) = data.number("delay_seconds") {
        detail.push(format!("in {}", format::wait(seconds)));
    }
    if let (Some(done), Some(total)) = (data.get("completed").as_u64(), data.get("total").as_u64()) {
        detail.push(format!("{done}/{total}"));
    }
    for key in ["reason", "error_message"] {
        if !data.text(key).is_empty() {
            detail.push(format::one_line(data.text(key), Some(200)));
        }
    }
    let detail = if detail.is_empty() { String::new() } else { format!("  {}", detail.join("  ")) };
    format!("{clock} {}{sheet}  {}{detail}", event.text("job_id"), style.paint(tone, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line() {
        let event = json!({"job_id": "my-score", "sheet_num": 3, "event": "sheet.completed",
            "data": {"duration_seconds": 12.4}, "timestamp": 1_763_719_200.5});
        assert_eq!(line(Doc(&event), Style::PLAIN), "10:00:00 my-score sheet 3  sheet.completed  12.4s");
    }
}
