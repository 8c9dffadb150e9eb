//! `mozart status`: all jobs at a glance, or one job in full.

mod json;
mod text;
mod waits;

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use crate::cli::conductor_status;
use crate::cli::context::Context;
use crate::cli::failure::{Done, FAILED, Failure, Stop};
use crate::cli::format::{self, parse_duration};
use crate::cli::job::{self, Doc};
use crate::cli::list::now;
use crate::cli::rpc::Rpc;
use crate::cli::style::{Style, Tone};
use crate::cli::watch::{Refresh, Seen, Watch};

/// Ended jobs in the overview.
const RECENT: usize = 5;

/// Options of `status`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Job to show in full; its name may be cut short
    job: Option<String>,
    /// Only this sheet, in full
    #[arg(long, value_name = "N", requires = "job", value_parser = clap::value_parser!(u32).range(1..))]
    sheet: Option<u32>,
    /// Refresh until the job ends or Ctrl+C
    #[arg(short = 'W', long)]
    watch: bool,
    /// Longest time between refreshes
    #[arg(short, long, default_value = "5", value_parser = parse_duration, value_name = "DURATION")]
    interval: Duration,
    /// Exit with 1 unless the job completed
    #[arg(long, requires = "job")]
    exit_status: bool,
}

/// Runs the command.
pub(crate) fn run(cx: &Context, options: &Options) -> Done {
    match &options.job {
        None if options.watch => {
            let mut refresh = Refresh::new(cx, options.interval)?;
            refresh.every(|| {
                let seen = overview(cx)?;
                Ok(if cx.out.json {
                    seen.document(cx).to_string() + "\n"
                } else {
                    seen.text(cx.out.style, now())
                })
            })
        }
        None => {
            let seen = overview(cx)?;
            if cx.out.json {
                cx.out.document(&seen.document(cx))?;
            } else {
                cx.out.text(&seen.text(cx.out.style, now()))?;
            }
            Ok(0)
        }
        Some(name) if options.watch => watch(cx, options, name),
        Some(name) => {
            let doc = Rpc::connect(cx)?.find_job(name)?;
            show(cx, options, &doc)?;
            Ok(exit(options, Doc(&doc).text("status")))
        }
    }
}

fn exit(options: &Options, status: &str) -> u8 {
    if options.exit_status && status != "completed" { FAILED } else { 0 }
}

fn show(cx: &Context, options: &Options, doc: &Value) -> Result<(), Stop> {
    if cx.out.json { cx.out.document(&view(options, doc)?) } else { cx.out.text(&render(cx, options, doc)?) }
}

fn view(options: &Options, doc: &Value) -> Result<Value, Stop> {
    let whole = json::document(Doc(doc));
    match options.sheet {
        None => Ok(whole),
        Some(number) => {
            let sheet = sheet(doc, number)?;
            let mut one = sheet.0.clone();
            one["job_id"] = json!(Doc(doc).text("job_id"));
            one["sheet_num"] = json!(number);
            Ok(one)
        }
    }
}

fn render(cx: &Context, options: &Options, doc: &Value) -> Result<String, Stop> {
    if cx.out.quiet {
        return Ok(format!("{}\n", Doc(doc).shown_status()));
    }
    Ok(match options.sheet {
        None => text::job(Doc(doc), cx.out.style, now(), cx.out.verbose),
        Some(number) => text::sheet(Doc(doc), number, sheet(doc, number)?, cx.out.style, now()),
    })
}

fn sheet(doc: &Value, number: u32) -> Result<Doc<'_>, Stop> {
    let found = Doc(doc).sheets().into_iter().find(|(num, _)| *num == number);
    found.map(|(_, sheet)| sheet).ok_or_else(|| {
        let id = Doc(doc).text("job_id");
        Failure::new("job_not_found", format!("Sheet {number} not found in job '{id}'"))
            .with("job_id", id)
            .into()
    })
}

/// One job, drawn again at every event of it. The interval only keeps elapsed times moving.
fn watch(cx: &Context, options: &Options, name: &str) -> Done {
    let mut refresh = Refresh::new(cx, options.interval)?;
    let first = Rpc::connect(cx)?.find_job(name)?;
    let id = Doc(&first).text("job_id").to_owned();
    let mut stream = Watch::open(cx, &id)?;
    loop {
        let doc = Rpc::connect(cx)?.job(&id)?;
        if cx.out.json {
            cx.out.document_line(&view(options, &doc)?)?;
        } else {
            refresh.draw(&render(cx, options, &doc)?)?;
        }
        let status = Doc(&doc).text("status").to_owned();
        if job::is_terminal(&status) {
            if !cx.out.json {
                cx.out.say(&format!("Score {status} - exiting watch mode"))?;
            }
            return Ok(exit(options, &status));
        }
        match stream.next(Some(Instant::now() + options.interval))? {
            // Events come in bursts; one drawing shows them all.
            Seen::Event(_) => while matches!(stream.waiting()?, Seen::Event(_)) {},
            Seen::Timeout | Seen::Ended(_) => {}
            Seen::Closed => {
                let text = format!("The conductor stopped while job '{id}' was watched.");
                return Err(Failure::new("conductor_not_running", text)
                    .hint(format!("Start it with: {}", cx.command("start")))
                    .exit(crate::cli::failure::UNAVAILABLE)
                    .into());
            }
        }
    }
}

/// What the overview shows.
struct Overview {
    active: Vec<Value>,
    recent: Vec<Value>,
    uptime: Option<f64>,
}

fn overview(cx: &Context) -> Result<Overview, Stop> {
    let mut rpc = Rpc::connect(cx)?;
    let health = rpc.call("daemon.health", json!({}))?;
    let states = ["queued", "pending", "running", "paused", "paused_at_chain"];
    let active = rpc.call("job.list", json!({"status": states, "limit": 10_000, "full": true}))?;
    let ended = ["completed", "failed", "cancelled"];
    let recent = rpc.call("job.list", json!({"status": ended, "limit": RECENT, "full": true}))?;
    let list = |value: Value| value.as_array().cloned().unwrap_or_default();
    Ok(Overview { active: list(active), recent: list(recent), uptime: Doc(&health).number("uptime_seconds") })
}

impl Overview {
    fn document(&self, cx: &Context) -> Value {
        let target = cx.target();
        let probes = conductor_status::probe(cx, target);
        let mut document = conductor_status::document(target, None, &probes);
        document["conductor"] = json!("running");
        document["active_count"] = json!(self.active.len());
        document["active"] = json!(self.active);
        document["recent_count"] = json!(self.recent.len());
        document["recent"] = json!(self.recent);
        document
    }

    fn text(&self, style: Style, now: f64) -> String {
        let uptime = self.uptime.map_or_else(|| "?".to_owned(), format::uptime);
        let running = style.paint(Tone::Green, "RUNNING");
        let mut text = format!("Mozart Conductor: {running}  (uptime {uptime})\n");
        if self.active.is_empty() {
            text.push_str("\nNo active jobs.\n");
        } else {
            text.push_str(&format!("\n{}\n", style.paint(Tone::Bold, "ACTIVE")));
        }
        for entry in self.active.iter().map(Doc) {
            let elapsed = match (entry.text("status"), entry.moment("started_at")) {
                ("running", Some(started)) => format!("{} elapsed", format::duration(now - started)),
                (_, _) => String::new(),
            };
            let progress = match entry.progress() {
                (_, 0) => String::new(),
                (done, total) => format!("{done}/{total}"),
            };
            text.push_str(&line(entry, &format!("{elapsed:<18} {progress}"), style));
        }
        if !self.recent.is_empty() {
            text.push_str(&format!("\n{}\n", style.paint(Tone::Bold, "RECENT")));
        }
        for entry in self.recent.iter().map(Doc) {
            let when = entry.moment("completed_at").or_else(|| entry.moment("submitted_at"));
            text.push_str(&line(entry, &when.map_or_else(|| "-".to_owned(), format::minute), style));
        }
        let count = self.active.len();
        let jobs = if count == 1 { "1 job".to_owned() } else { format!("{count} jobs") };
        text.push_str(&format!("\n{jobs} active. Use 'mozart status <job>' for details.\n"));
        text
    }
}

fn line(entry: Doc<'_>, rest: &str, style: Style) -> String {
    let status = entry.shown_status();
    let word = status.to_uppercase();
    let pad = " ".repeat(10_usize.saturating_sub(word.chars().count()));
    let shown = style.paint(job::job_tone(status), &word);
    let text = format!("  {:<24} {shown}{pad} {rest}", entry.text("job_id"));
    text.trim_end().to_owned() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_overview_shows_what_runs_and_what_ended() {
        let overview = Overview {
            active: vec![
                json!({"job_id": "nightly-docs", "status": "running", "started_at": 275.0, "progress_completed": 4, "progress_total": 10}),
                json!({"job_id": "issue-solver", "status": "paused", "started_at": 275.0, "progress_completed": 7, "progress_total": 9}),
            ],
            recent: vec![json!({"job_id": "hello", "status": "completed", "completed_at": 1_771_061_400.0})],
            uptime: Some(8100.0),
        };
        let text = overview.text(Style::PLAIN, 1000.0);
        assert_eq!(
            text,
            "Mozart Conductor: RUNNING  (uptime 2h 15m 0s)\n\nACTIVE\n\
             \x20 nightly-docs             RUNNING    12m 5s elapsed     4/10\n\
             \x20 issue-solver             PAUSED                        7/9\n\nRECENT\n\
             \x20 hello                    COMPLETED  2026-02-14 09:30\n\n\
             2 jobs active. Use 'mozart status <job>' for details.\n"
        );
    }
}
