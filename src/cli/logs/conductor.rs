//! The conductor's log file: JSON lines shown for people, filtered by job, level and age.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags};
use serde_json::Value;

use crate::cli::context::Context;
use crate::cli::failure::{Done, Failure, Stop};
use crate::cli::format;
use crate::cli::job::{self, Doc};
use crate::cli::list::now;
use crate::cli::rpc::{Rpc, wait_for};
use crate::cli::style::{Style, Tone};
use crate::cli::tail::{Changes, Tail, last_lines};

use super::Options;

/// How long a rotated file may stay away.
const ROTATION: Duration = Duration::from_secs(10);
const LEVELS: [&str; 5] = ["debug", "info", "warning", "error", "critical"];

/// What a line must have to be shown.
struct Filter {
    job: Option<String>,
    level: usize,
    since: Option<f64>,
}

impl Filter {
    fn new(options: &Options) -> Result<Self, Stop> {
        let level = match &options.level {
            None => 0,
            Some(word) => match LEVELS.iter().position(|level| level.eq_ignore_ascii_case(word)) {
                Some(level) => level,
                None => {
                    return Err(Failure::new("usage", format!("Invalid log level: {word}"))
                        .hint("Valid levels: DEBUG, INFO, WARNING, ERROR, CRITICAL")
                        .into());
                }
            },
        };
        if let Some(job) = &options.job {
            job::check_id(job)?;
        }
        let since = options.since.map(|age| now() - age.as_secs_f64());
        Ok(Self { job: options.job.clone(), level, since })
    }

    fn is_active(&self) -> bool {
        self.job.is_some() || self.level > 0 || self.since.is_some()
    }

    /// Lines that are not JSON pass when nothing is asked for.
    fn admits(&self, line: &str) -> bool {
        let Ok(value) = serde_json::from_str::<Value>(line) else { return !self.is_active() };
        let doc = Doc(&value);
        let level = LEVELS.iter().position(|level| *level == doc.text("level")).unwrap_or(1);
        let named = |job: &String| doc.text("job_id") == job || doc.text("job") == job;
        level >= self.level
            && self.job.as_ref().is_none_or(named)
            && self.since.is_none_or(|since| doc.moment("ts").is_some_and(|at| at >= since))
    }
}

/// Shows the end of the log, and what is appended if asked.
pub(super) fn show(cx: &Context, options: &Options, lines: Option<usize>) -> Done {
    let filter = Filter::new(options)?;
    let path = file(cx, options)?;
    if options.file.is_none() {
        remark_on_age(cx, &path);
    }
    // A filter picks among all lines; without one only the end has to be read.
    let read = if filter.is_active() { None } else { lines };
    let text = last_lines(&path, read).map_err(|error| unreadable(&path, &error))?;
    let text = String::from_utf8_lossy(&text);
    let admitted: Vec<&str> = text.lines().filter(|line| filter.admits(line)).collect();
    let skip = lines.map_or(0, |lines| admitted.len().saturating_sub(lines));
    if admitted.is_empty() && !options.follow && !cx.out.json {
        let why = if text.is_empty() {
            "No log entries found."
        } else {
            "No log entries match the specified filters."
        };
        cx.out.remark(why);
        if let Some(job) = &options.job {
            let command = cx.command(&format!("logs {job} --sheet N"));
            cx.out.remark(&format!("No sheet plays now; see what one has printed with: {command}"));
        }
    }
    for line in &admitted[skip..] {
        print(cx, line)?;
    }
    if options.follow {
        follow(cx, &path, &filter)?;
    }
    Ok(0)
}

/// `--file`, else the file of the conductor that is meant, else its newest rotated one.
fn file(cx: &Context, options: &Options) -> Result<PathBuf, Stop> {
    if let Some(path) = &options.file {
        return Ok(cx.absolute(path));
    }
    let path = cx.target().log_file.clone();
    let mut rotated = path.clone().into_os_string();
    rotated.push(".1");
    let found = [path.clone(), rotated.into()].into_iter().find(|path| path.exists());
    found.ok_or_else(|| {
        Failure::new("internal", format!("No log files found at: {}", path.display()))
            .hint(
                "A conductor in the foreground writes a file only when log_file is set in its configuration.",
            )
            .into()
    })
}

/// A conductor in the foreground writes to its terminal unless `log_file` is set: then the file at the
/// usual place is that of an earlier one in the background, and says nothing about what runs now.
fn remark_on_age(cx: &Context, path: &Path) {
    let Ok(mut rpc) = Rpc::connect(cx) else { return };
    let health = rpc.try_call("daemon.health", serde_json::json!({})).unwrap_or_default();
    let Some(uptime) = Doc(&health).number("uptime_seconds") else { return };
    let written = std::fs::metadata(path).and_then(|meta| meta.modified()).ok();
    let age = written.and_then(|written| written.elapsed().ok()).map_or(0.0, |age| age.as_secs_f64());
    // A conductor writes its first line before it answers; a second is for the clocks of file systems.
    if age > uptime + 1.0 {
        cx.out.warn(&format!(
            "{} was written by an earlier conductor; the one that runs now (PID {}) logs to its terminal. Set \
             log_file in its configuration to have a file.",
            path.display(),
            Doc(&health).count("pid")
        ));
    }
}

fn follow(cx: &Context, path: &Path, filter: &Filter) -> Result<(), Stop> {
    let failed = |error: std::io::Error| Stop::from(unreadable(path, &error));
    let mut changes = Changes::new().map_err(failed)?;
    changes.add(path).map_err(failed)?;
    let mut tail = Tail::open(path, Some(0)).map_err(failed)?;
    let mut partial = Vec::new();
    let mut missing: Option<Instant> = None;
    loop {
        partial.extend(tail.read().map_err(failed)?);
        while let Some(end) = memchr::memchr(b'\n', &partial) {
            let line: Vec<u8> = partial.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end();
            if filter.admits(line) {
                print(cx, line)?;
            }
        }
        missing = match (path.exists(), missing) {
            (true, _) => None,
            (false, None) => {
                cx.out.remark("Log file rotated. Waiting for new file...");
                Some(Instant::now() + ROTATION)
            }
            (false, until) => until,
        };
        let mut fds = [PollFd::new(changes.descriptor(), PollFlags::POLLIN)];
        let woken = wait_for(&mut fds, missing).map_err(failed)?;
        changes.clear();
        if !woken && !path.exists() {
            cx.out.remark("Log file not recreated. Stopping.");
            return Ok(());
        }
    }
}

fn print(cx: &Context, line: &str) -> Result<(), Stop> {
    if cx.out.json {
        return match serde_json::from_str::<Value>(line) {
            Ok(value) => cx.out.document_line(&value),
            Err(_) => cx.out.document_line(&serde_json::json!({"message": line})),
        };
    }
    cx.out.line(&readable(line, cx.out.style))
}

/// `09:30:01 INFO    event job sheet:3 k=v`.
fn readable(line: &str, style: Style) -> String {
    let Ok(Value::Object(members)) = serde_json::from_str::<Value>(line) else { return format::clean(line) };
    let text = |key: &str| members.get(key).and_then(Value::as_str).unwrap_or("");
    let clock =
        members.get("ts").and_then(format::unix_seconds).map_or_else(|| "--:--:--".to_owned(), format::clock);
    let level = text("level").to_uppercase();
    let tone = match level.as_str() {
        "ERROR" | "CRITICAL" => Tone::Red,
        "WARNING" => Tone::Yellow,
        "DEBUG" => Tone::Dim,
        _ => Tone::Green,
    };
    let mut shown = format!("{clock} {} {}", style.paint(tone, &format!("{level:<7}")), text("event"));
    if !text("job_id").is_empty() {
        shown.push_str(&format!(" {}", text("job_id")));
    }
    if let Some(sheet) = members.get("sheet_num").or_else(|| members.get("sheet")) {
        shown.push_str(&format!(" sheet:{sheet}"));
    }
    for (key, value) in &members {
        if matches!(key.as_str(), "ts" | "level" | "event" | "job_id" | "sheet_num" | "sheet") {
            continue;
        }
        match value.as_str() {
            Some(text) if key == "message" => shown.push_str(&format!(" {text}")),
            Some(text) if !text.contains(char::is_whitespace) => shown.push_str(&format!(" {key}={text}")),
            Some(_) | None => shown.push_str(&format!(" {key}={value}")),
        }
    }
    format::clean(&shown)
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    if error.kind() == std::io::ErrorKind::NotFound {
        return Failure::new("internal", format!("No log files found at: {}", path.display()));
    }
    Failure::new("internal", format!("cannot read {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"ts":"2025-11-21T10:00:00.500Z","level":"warning","event":"sheet.failed","job_id":"x","sheet_num":3,"code":"E001"}"#;

    #[test]
    fn a_line_for_people() {
        assert_eq!(readable(LINE, Style::PLAIN), "10:00:00 WARNING sheet.failed x sheet:3 code=E001");
        assert_eq!(readable("plain \u{1b}[1mtext", Style::PLAIN), "plain text");
    }

    #[test]
    fn filters_by_job_level_and_age() {
        let filter = |job: Option<&str>, level, since| Filter { job: job.map(str::to_owned), level, since };
        assert!(filter(Some("x"), 2, None).admits(LINE));
        assert!(!filter(Some("y"), 0, None).admits(LINE));
        assert!(!filter(None, 3, None).admits(LINE));
        assert!(filter(None, 0, Some(0.0)).admits(LINE));
        assert!(!filter(None, 0, Some(2e9)).admits(LINE));
        assert!(filter(None, 0, None).admits("not json"));
    }
}
