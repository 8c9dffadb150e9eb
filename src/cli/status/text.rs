//! One job, or one sheet of it, for people. Empty sections are left out.

use std::collections::BTreeMap;

use serde_json::Value;

use super::waits;
use crate::cli::cost::dollars;
use crate::cli::format;
use crate::cli::job::{self, Doc};
use crate::cli::style::{Style, Tone};
use crate::cli::table::{Cell, Table};

/// From so many sheets on the table is a summary.
const MANY: usize = 50;
/// Sheets that a summary names.
const INTERESTING: usize = 20;
/// Sheets under "Now Playing".
const PLAYING: usize = 10;

/// The whole job.
pub(super) fn job(doc: Doc<'_>, style: Style, now: f64, verbose: bool) -> String {
    if !doc.get("sheets").is_object() {
        return bare(doc, style, now);
    }
    let mut sections = vec![header(doc, style, now)];
    sections.push(movements(doc, style));
    sections.push(playing(doc, style, now));
    sections.push(waits::section(doc, style, now));
    sections.push(sheets(doc, style, verbose));
    sections.push(note(doc, style));
    sections.push(stats(doc, style, now));
    sections.push(cost(doc, style));
    sections.push(waits::hooks(doc, style));
    if verbose {
        sections.push(waits::details(doc, style));
    }
    sections.push(errors(doc, style));
    sections.retain(|section| !section.is_empty());
    sections.join("\n")
}

/// A job that has no state yet.
fn bare(doc: Doc<'_>, style: Style, now: f64) -> String {
    let status = doc.shown_status();
    let mut text = format!("{}\n", style.paint(Tone::Bold, doc.text("job_id")));
    text.push_str(&format!("Status: {}\n", style.paint(job::job_tone(status), &status.to_uppercase())));
    text.push_str(&format!("Config: {}\n", doc.text("config_path")));
    if let Some(at) = doc.moment("submitted_at") {
        text.push_str(&format!("Submitted: {}\n", format::ago(now - at)));
    }
    if !doc.text("error_message").is_empty() {
        text.push_str(&format!("Error: {}\n", format::one_line(doc.text("error_message"), None)));
    }
    text.push_str(&format!(
        "\nFull status unavailable {} the job has not written its first checkpoint yet.\n",
        style.dash()
    ));
    text
}

fn header(doc: Doc<'_>, style: Style, now: f64) -> String {
    let (id, name) = (doc.text("job_id"), doc.text("job_name"));
    let mut text = format!("{}\n", style.paint(Tone::Bold, if name.is_empty() { id } else { name }));
    if id != name {
        text.push_str(&format!("ID: {id}\n"));
    }
    let status = doc.shown_status();
    let mut line = format!("Status: {}", style.paint(job::job_tone(status), &status.to_uppercase()));
    if let Some(started) = doc.moment("run_started_at").or_else(|| doc.moment("started_at")) {
        let (until, word) = match doc.moment("completed_at") {
            Some(completed) => (completed, ""),
            None => (now, " elapsed"),
        };
        line.push_str(&format!(" {} {}{word}", style.dot(), format::duration((until - started).max(0.0))));
    }
    let flags: Vec<&str> = doc.list("pause_flags").iter().filter_map(Value::as_str).collect();
    if !flags.is_empty() {
        line.push_str(&format!(" {} paused by: {}", style.dot(), flags.join(", ")));
    }
    text.push_str(&line);
    let (done, total) = doc.progress();
    #[expect(clippy::cast_precision_loss, reason = "counts of sheets")]
    let percent = if total == 0 { 0.0 } else { done as f64 * 100.0 / total as f64 };
    text.push_str(&format!("\nSheets  {}  {percent:.0}% ({done}/{total})\n", style.bar(percent, 12)));
    text
}

/// The stages of a score that names them. Of many, those that are neither done nor still to come.
fn movements(doc: Doc<'_>, style: Style) -> String {
    let all = doc.list("movements");
    let open = |it: &&Value| !matches!(Doc(it).text("status"), "completed" | "pending" | "skipped");
    let shown: Vec<&Value> = if all.len() > INTERESTING {
        all.iter().filter(open).take(INTERESTING).collect()
    } else {
        all.iter().collect()
    };
    if shown.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["#", "Movement", "Status", "Sheets"]);
    for movement in shown.into_iter().map(Doc) {
        let status = movement.text("status");
        table.row(vec![
            movement.count("movement").to_string().into(),
            format::one_line(movement.text("name"), Some(60)).into(),
            Cell::toned(status.to_owned(), job::job_tone(status)),
            format!("{}/{}", movement.count("completed_count"), movement.count("sheet_count")).into(),
        ]);
    }
    table.render(style)
}

fn playing(doc: Doc<'_>, style: Style, now: f64) -> String {
    let all = doc.sheets();
    let active: Vec<_> = all.iter().filter(|(_, sheet)| job::is_playing(sheet.text("status"))).collect();
    if active.is_empty() {
        return String::new();
    }
    let mut text = format!("{}\n", style.paint(Tone::Bold, "Now Playing"));
    for (number, sheet) in active.iter().take(PLAYING) {
        let mut parts = vec![format!("{} Sheet {number}", style.note())];
        if let Some(movement) = sheet.get("movement").as_u64() {
            parts.push(format!("M{movement}"));
        }
        if !sheet.text("description").is_empty() {
            parts.push(format::one_line(sheet.text("description"), Some(60)));
        }
        let instrument = instrument(*sheet);
        if !instrument.is_empty() {
            parts.push(instrument);
        }
        if let Some(started) = sheet.moment("started_at") {
            parts.push(format::duration((now - started).max(0.0)));
        }
        text.push_str(&format!("  {}\n", parts.join(&format!(" {} ", style.dot()))));
    }
    if active.len() > PLAYING {
        text.push_str(&format!("  ... and {} more\n", active.len() - PLAYING));
    }
    text
}

fn instrument(sheet: Doc<'_>) -> String {
    let name = sheet.text("instrument_name");
    let model = sheet.text("model");
    let mut text = if model.is_empty() { name.to_owned() } else { format!("{name} ({model})") };
    if let Some(last) = sheet.list("instrument_fallback_history").last().map(Doc) {
        text.push_str(&format!(" (was {}: {})", last.text("from"), last.text("reason")));
    }
    text
}

fn sheets(doc: Doc<'_>, style: Style, verbose: bool) -> String {
    let all = doc.sheets();
    if all.is_empty() {
        return String::new();
    }
    if all.len() >= MANY && !verbose {
        return many(&all, style);
    }
    table(&all, style)
}

fn table(all: &[(u32, Doc<'_>)], style: Style) -> String {
    let described = all.iter().any(|(_, sheet)| !sheet.text("description").is_empty());
    let played = all.iter().any(|(_, sheet)| !sheet.text("instrument_name").is_empty());
    let mut headings = vec!["#"];
    if described {
        headings.push("Description");
    }
    if played {
        headings.push("Instrument");
    }
    headings.extend(["Status", "Attempts", "Validation", "Error"]);
    let mut table = Table::new(&headings);
    for (number, sheet) in all {
        let label = job::sheet_label(*sheet);
        let waiting = sheet.text("display_status");
        let label =
            if waiting.is_empty() || waiting == sheet.text("status") { label } else { waiting.to_owned() };
        let mut row: Vec<Cell> = vec![number.to_string().into()];
        if described {
            row.push(format::one_line(sheet.text("description"), Some(40)).into());
        }
        if played {
            row.push(instrument(*sheet).into());
        }
        row.push(Cell::toned(label, job::sheet_tone(sheet.text("status"))));
        row.push(sheet.count("attempt_count").to_string().into());
        row.push(validation(*sheet, style).into());
        let width = style.width.map(|_| 50);
        row.push(format::one_line(sheet.text("error_message"), width).into());
        table.row(row);
    }
    table.render(style)
}

fn validation(sheet: Doc<'_>, style: Style) -> String {
    match sheet.get("validation_passed") {
        Value::Bool(true) => format!("{} Pass", style.ok()),
        Value::Bool(false) => format!("{} Fail", style.bad()),
        _ => "-".to_owned(),
    }
}

fn many(all: &[(u32, Doc<'_>)], style: Style) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for (_, sheet) in all {
        *counts.entry(job::sheet_label(*sheet)).or_default() += 1;
    }
    let parts: Vec<String> = counts.iter().map(|(label, count)| format!("{count} {label}")).collect();
    let mut text = format!("{} sheets: {}\n", all.len(), parts.join(", "));
    let interesting: Vec<(u32, Doc<'_>)> = all
        .iter()
        .filter(|(_, sheet)| !matches!(sheet.text("status"), "completed" | "pending" | "skipped"))
        .copied()
        .collect();
    if !interesting.is_empty() {
        let shown = &interesting[..interesting.len().min(INTERESTING)];
        text.push_str(&table(shown, style));
        if interesting.len() > INTERESTING {
            text.push_str(&format!("... and {} more\n", interesting.len() - INTERESTING));
        }
    }
    text
}

fn note(doc: Doc<'_>, style: Style) -> String {
    match format::one_line(doc.text("error_message"), None) {
        text if text.is_empty() => text,
        text => format!("{} {text}\n", style.paint(Tone::Red, "Error:")),
    }
}

fn stats(doc: Doc<'_>, style: Style, now: f64) -> String {
    let dot = style.dot();
    let mut lines = Vec::new();
    let mut times = Vec::new();
    if let Some(started) = doc.moment("started_at") {
        times.push(format!("Started: {}", format::ago(now - started)));
    }
    let last = doc.moment("last_activity").or_else(|| doc.moment("updated_at"));
    if let Some(last) = last {
        times.push(format!("Last activity: {}", format::ago(now - last)));
    }
    if !times.is_empty() {
        lines.push(times.join(&format!(" {dot} ")));
    }
    let (done, total) = doc.progress();
    let (retries, waits) =
        (doc.count("total_retry_count"), doc.count("rate_limit_waits") + doc.count("quota_waits"));
    lines.push(format!("Sheets: {done}/{total} {dot} Retries: {retries} {dot} Rate waits: {waits}"));
    if let Some(completed) = doc.moment("completed_at") {
        lines.push(format!("Completed: {}", format::moment(completed)));
    }
    if !doc.text("workspace").is_empty() {
        lines.push(format!("Workspace: {}", doc.text("workspace")));
    }
    lines.join("\n") + "\n"
}

/// What was spent, how well that is known, and what may be spent.
fn cost(doc: Doc<'_>, style: Style) -> String {
    let tokens = doc.count("total_input_tokens") + doc.count("total_output_tokens");
    let cost = doc.number("total_estimated_cost");
    let limits = Doc(doc.get("cost_limits"));
    if cost.unwrap_or(0.0) <= 0.0 && tokens == 0 {
        return String::new();
    }
    let confidence = doc.number("cost_confidence").unwrap_or(1.0);
    let mut text = format!("Cost: {}", dollars(cost, confidence));
    if let Some(limit) = limits.number("max_cost_per_job") {
        text.push_str(&format!(" (limit: {})", crate::cli::cost::budget(limit)));
    }
    text.push_str(&format!(" {} Tokens: {tokens}", style.dot()));
    if let Some(limit) = limits.get("max_tokens_per_job").as_u64() {
        text.push_str(&format!(" (limit: {limit})"));
    }
    text.push('\n');
    if doc.get("cost_limit_reached") == &Value::Bool(true) {
        let paused = doc.list("pause_flags").iter().any(|flag| flag == "cost");
        let what = if paused { "the job was paused" } else { "what had finished was kept" };
        text.push_str(&format!("Cost limit reached {} {what}\n", style.dash()));
    }
    text
}

fn errors(doc: Doc<'_>, style: Style) -> String {
    let errors = super::json::recent_errors(doc);
    if errors.is_empty() {
        return String::new();
    }
    let mut text = format!("{}\n", style.paint(Tone::Bold, "Recent Errors"));
    for error in errors.iter().take(3).map(Doc) {
        let code = match error.text("error_code") {
            "" => "E999",
            code => code,
        };
        let attempt =
            error.get("attempt_number").as_u64().map_or_else(String::new, |n| format!(", attempt {n}"));
        let message = format::one_line(error.text("error_message"), style.width.map(|_| 160));
        text.push_str(&format!(
            "  {} {code} (Sheet {}{attempt}) - {message}\n",
            style.dot(),
            error.count("sheet_num")
        ));
    }
    text.push_str(&format!("Use 'mozart errors {}' for complete error history\n", doc.text("job_id")));
    text
}

/// One sheet in full.
pub(super) fn sheet(doc: Doc<'_>, number: u32, sheet: Doc<'_>, style: Style, now: f64) -> String {
    let label = job::sheet_label(sheet);
    let shown = style.paint(job::sheet_tone(sheet.text("status")), &label);
    let mut lines =
        vec![format!("{} {} Sheet {number}", doc.text("job_id"), style.dot()), format!("Status: {shown}")];
    let mut put = |name: &str, text: String| {
        if !text.is_empty() {
            lines.push(format!("{name}: {text}"));
        }
    };
    put("Description", format::one_line(sheet.text("description"), None));
    put("Instrument", instrument(sheet));
    put("Attempts", sheet.count("attempt_count").to_string());
    let waiting = sheet.text("display_status");
    put("Waiting", if waiting == sheet.text("status") { String::new() } else { waiting.to_owned() });
    put("Asked", format::one_line(Doc(sheet.get("escalation")).text("reason"), None));
    put(
        "Cost",
        match sheet.number("total_cost_usd").filter(|cost| *cost > 0.0) {
            Some(cost) => dollars(Some(cost), sheet.number("cost_confidence").unwrap_or(1.0)),
            None => String::new(),
        },
    );
    put("Started", sheet.moment("started_at").map_or_else(String::new, |at| format::ago(now - at)));
    put("Completed", sheet.moment("completed_at").map_or_else(String::new, format::moment));
    put("Duration", sheet.number("execution_duration_seconds").map_or_else(String::new, format::duration));
    put("Exit code", sheet.get("exit_code").as_i64().map_or_else(String::new, |code| code.to_string()));
    put("Signal", sheet.get("exit_signal").as_i64().map_or_else(String::new, |signal| signal.to_string()));
    put("Ended by", sheet.text("killed_by").to_owned());
    put("Validation", validation(sheet, style));
    let code = sheet.text("error_code");
    let message = format::one_line(sheet.text("error_message"), None);
    put("Error", if code.is_empty() { message } else { format!("{code} {message}") });
    put(
        "Feedback",
        match sheet.get("agent_feedback") {
            Value::Null => String::new(),
            feedback => format::one_line(&feedback.to_string(), None),
        },
    );
    put("Output", sheet.text("output_log").to_owned());
    put("Error output", sheet.text("error_log").to_owned());
    let mut text = lines.join("\n") + "\n";
    for rule in sheet.list("validation_details").iter().map(Doc) {
        let passed = rule.get("passed") == &Value::Bool(true);
        let mark = if passed { style.ok() } else { style.bad() };
        let name = match (rule.text("description"), rule.text("path")) {
            ("", "") => rule.text("rule_type"),
            ("", path) => path,
            (description, _) => description,
        };
        let why = match format::one_line(rule.text("failure_reason"), None) {
            reason if reason.is_empty() || passed => String::new(),
            reason => format!(" {} {reason}", style.dash()),
        };
        text.push_str(&format!("  {mark} {}{why}\n", format::one_line(name, None)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_running_job() {
        let doc = json!({"job_id": "docs", "job_name": "docs", "status": "running", "total_sheets": 2,
            "started_at": 0.0, "total_retry_count": 1, "sheets": {
                "1": {"status": "completed", "attempt_count": 2, "validation_passed": true},
                "2": {"status": "in_progress", "attempt_count": 1, "started_at": 60.0, "instrument_name": "sh"}}});
        let text = job(Doc(&doc), Style::PLAIN, 192.0, false);
        assert_eq!(
            text,
            "docs\nStatus: RUNNING · 3m 12s elapsed\nSheets  ██████──────  50% (1/2)\n\n\
             Now Playing\n  ♪ Sheet 2 · sh · 2m 12s\n\n\
             #   Instrument   Status      Attempts   Validation   Error\n\
             1                completed   2          ✓ Pass\n\
             2   sh           playing     1          -\n\n\
             Started: 3m ago\nSheets: 1/2 · Retries: 1 · Rate waits: 0\n"
        );
    }
}
