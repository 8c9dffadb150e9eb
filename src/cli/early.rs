//! The first moments of a job: a score that cannot work usually shows at once, and then the person
//! who submitted it should hear so from the same command.

use std::time::{Duration, Instant};

use crate::cli::context::Context;
use crate::cli::failure::{Failure, Stop};
use crate::cli::format;
use crate::cli::job::Doc;
use crate::cli::rpc::Rpc;
use crate::cli::watch::{Seen, Watch};

/// How long the first moments last.
const MOMENTS: Duration = Duration::from_millis(1500);

/// Follows a new job until its first sheet is done or the first moments are over. A job that failed
/// by then is a failure; anything that prevents looking is not.
pub(crate) fn watch(cx: &Context, id: &str) -> Result<(), Stop> {
    let until = Instant::now() + MOMENTS;
    // From 0: events between the submission and this line count too.
    let Ok(mut watch) = Watch::open_from(cx, id, Some(0)) else { return Ok(()) };
    loop {
        match watch.next(Some(until)) {
            Ok(Seen::Ended(status)) if status == "failed" => return Err(failed(cx, id)),
            Ok(Seen::Event(event)) if is_settled(Doc(&event).text("event")) => return Ok(()),
            Ok(Seen::Event(_)) => {}
            Ok(Seen::Ended(_) | Seen::Closed | Seen::Timeout) | Err(_) => return Ok(()),
        }
    }
}

/// Once a sheet has come to a good end, the score works.
fn is_settled(event: &str) -> bool {
    matches!(event, "sheet.completed" | "sheet.partial" | "job.paused" | "rate_limit.active")
}

fn failed(cx: &Context, id: &str) -> Stop {
    let failure =
        Failure::new("internal", format!("Job failed: {id}")).with("job_id", id).with("status", "failed");
    let why = Rpc::connect(cx)
        .and_then(|mut rpc| rpc.job(id))
        .ok()
        .map(|doc| reason(Doc(&doc)))
        .unwrap_or_default();
    let failure = if why.is_empty() { failure } else { failure.hint(why) };
    failure.hint(format!("Run: {}", cx.command(&format!("status {id}")))).into()
}

/// Why a job failed: its own message, else that of the first failed sheet.
pub(crate) fn reason(doc: Doc<'_>) -> String {
    let own = doc.text("error_message");
    if !own.is_empty() {
        return format::one_line(own, None);
    }
    let sheets = doc.sheets();
    let failed = sheets
        .iter()
        .find(|(_, sheet)| sheet.text("status") == "failed" && !sheet.text("error_message").is_empty());
    failed.map_or_else(String::new, |(number, sheet)| {
        format!("Sheet {number}: {}", format::one_line(sheet.text("error_message"), None))
    })
}
