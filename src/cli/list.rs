//! `mozart list`.

use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::failure::{Done, Failure, Stop};
use crate::cli::format::{self, parse_duration};
use crate::cli::job::{self, Doc};
use crate::cli::rpc::Rpc;
use crate::cli::style::Style;
use crate::cli::table::{Cell, Table};
use crate::cli::watch::Refresh;

/// Most entries that the conductor sends at once.
const MOST: u32 = 10_000;

/// Options of `list`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Show ended jobs too
    #[arg(short, long)]
    all: bool,
    /// Only jobs in this state (repeatable)
    #[arg(short, long, value_enum, value_name = "STATUS")]
    status: Vec<Status>,
    /// Most jobs to show; 0 = all
    #[arg(short, long, default_value_t = 20, value_name = "N")]
    limit: u32,
    /// Order
    #[arg(long, value_enum, default_value_t, value_name = "BY")]
    sort: Sort,
    /// Refresh until Ctrl+C
    #[arg(short = 'W', long)]
    watch: bool,
    /// Time between refreshes
    #[arg(short, long, default_value = "5", value_parser = parse_duration, value_name = "DURATION")]
    interval: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Status {
    Queued,
    Running,
    Completed,
    Failed,
    Paused,
    Cancelled,
    Pending,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Sort {
    /// Newest first
    #[default]
    Submitted,
    /// By state
    Status,
    /// By name
    Id,
}

impl Status {
    fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Paused => "paused",
            Self::Cancelled => "cancelled",
            Self::Pending => "pending",
        }
    }
}

/// Runs the command.
pub(crate) fn run(cx: &Context, options: &Options) -> Done {
    if options.watch {
        let mut refresh = Refresh::new(cx, options.interval)?;
        return refresh.every(|| match fetch(cx, options) {
            Ok(jobs) if cx.out.json => Ok(Value::Array(jobs).to_string() + "\n"),
            Ok(jobs) => Ok(text(cx, options, &jobs, now())),
            Err(stop) => Err(stop),
        });
    }
    let jobs = fetch(cx, options)?;
    if cx.out.json {
        cx.out.document(&Value::Array(jobs))?;
    } else {
        cx.out.text(&text(cx, options, &jobs, now()))?;
    }
    Ok(0)
}

fn fetch(cx: &Context, options: &Options) -> Result<Vec<Value>, Stop> {
    let words: Vec<&str> = match (options.status.as_slice(), options.all) {
        ([], true) => Vec::new(),
        ([], false) => vec!["queued", "pending", "running", "paused", "paused_at_chain"],
        (asked, _) => asked.iter().map(|status| status.word()).collect(),
    };
    let limit = if options.limit == 0 { MOST } else { options.limit.min(MOST) };
    // Another order than the conductor's needs all entries before it can be cut.
    let asked = if options.sort == Sort::Submitted { limit } else { MOST };
    let status = if words.is_empty() { Value::Null } else { json!(words) };
    let answer =
        Rpc::connect(cx)?.call("job.list", json!({"status": status, "limit": asked, "full": true}))?;
    let Value::Array(mut jobs) = answer else {
        return Err(Failure::new("protocol", "the conductor sent a list of jobs that is not a list").into());
    };
    match options.sort {
        Sort::Submitted => {}
        Sort::Status => jobs.sort_by(|a, b| Doc(a).text("status").cmp(Doc(b).text("status"))),
        Sort::Id => jobs.sort_by(|a, b| Doc(a).text("job_id").cmp(Doc(b).text("job_id"))),
    }
    jobs.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(jobs)
}

fn text(cx: &Context, options: &Options, jobs: &[Value], now: f64) -> String {
    if cx.out.quiet {
        return jobs.iter().map(|entry| format!("{}\n", Doc(entry).text("job_id"))).collect();
    }
    if jobs.is_empty() {
        return match options.status.as_slice() {
            [] if options.all => "No jobs found.\n".to_owned(),
            [] => "No active jobs. Use --all to see job history.\n".to_owned(),
            asked => {
                let words: Vec<_> = asked.iter().map(|status| status.word()).collect();
                format!("No {} jobs found.\n", words.join(" or "))
            }
        };
    }
    table(jobs, now, cx.out.style, cx.out.verbose)
}

fn table(jobs: &[Value], now: f64, style: Style, verbose: bool) -> String {
    let mut headings = vec!["JOB ID", "STATUS", "PROGRESS", "SUBMITTED"];
    if verbose {
        headings.extend(["WORKSPACE", "CONFIG"]);
    }
    let mut table = Table::new(&headings);
    for entry in jobs.iter().map(Doc) {
        let status = entry.shown_status();
        let submitted =
            entry.moment("submitted_at").map_or_else(|| "-".to_owned(), |at| format::ago(now - at));
        let mut row = vec![
            entry.text("job_id").into(),
            Cell::toned(status.to_uppercase(), job::job_tone(status)),
            progress(entry).into(),
            submitted.into(),
        ];
        if verbose {
            row.push(entry.text("workspace").into());
            row.push(entry.text("config_path").into());
        }
        table.row(row);
    }
    format!("{}\n{} job(s)\n", table.render(style), jobs.len())
}

/// `4/10 (40%)`.
fn progress(entry: Doc<'_>) -> String {
    match entry.progress() {
        (_, 0) => "-".to_owned(),
        (done, total) => format!("{done}/{total} ({}%)", done * 100 / total),
    }
}

/// The wall clock in Unix seconds.
pub(crate) fn now() -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds fit a double until the year 287396")]
    let millis = jiff::Timestamp::now().as_millisecond() as f64;
    millis / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_per_job() {
        let jobs = [json!({"job_id": "nightly-docs", "status": "running", "submitted_at": 1000.0,
            "progress_completed": 4, "progress_total": 10})];
        assert_eq!(
            table(&jobs, 1720.0, Style::PLAIN, false),
            "JOB ID         STATUS    PROGRESS     SUBMITTED\n\
             nightly-docs   RUNNING   4/10 (40%)   12m ago\n\n1 job(s)\n"
        );
    }
}
