//! `mozart errors`: what went wrong in a job, what showed it, and what helps.

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::failure::Done;
use crate::cli::format;
use crate::cli::job::Doc;
use crate::cli::rpc::Rpc;
use crate::cli::style::{Style, Tone};
use crate::cli::table::{Cell, Table};

/// Width of a message in the table on a terminal.
const MESSAGE: usize = 60;
/// Lines of an output's end that are shown.
const TAIL_LINES: usize = 20;

/// Options of `errors`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Job to look at; its name may be cut short
    job: String,
    /// Only this sheet
    #[arg(short = 'b', long, visible_short_alias = 's', value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    sheet: Option<u32>,
    /// Only this kind
    #[arg(short = 't', long = "type", value_enum, value_name = "TYPE")]
    kind: Option<Kind>,
    /// Only this code
    #[arg(short, long, value_name = "CODE")]
    code: Option<String>,
    /// Most errors to show, the newest ones; 0 = all
    #[arg(long, default_value_t = 0, value_name = "N")]
    limit: usize,
}

/// What becomes of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Worth another attempt
    Transient,
    /// Waits for the instrument
    #[value(name = "rate_limit", alias = "rate-limit")]
    RateLimit,
    /// Needs a change first
    Permanent,
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::RateLimit => "rate_limit",
            Self::Permanent => "permanent",
        }
    }
}

impl Options {
    fn admits(&self, error: Doc<'_>) -> bool {
        self.sheet.is_none_or(|sheet| error.count("sheet_num") == u64::from(sheet))
            && self.kind.is_none_or(|kind| error.text("error_type") == kind.word())
            && self.code.as_ref().is_none_or(|code| error.text("error_code").eq_ignore_ascii_case(code))
    }

    fn filters(&self) -> String {
        let mut filters = Vec::new();
        filters.extend(self.sheet.map(|sheet| format!("sheet {sheet}")));
        filters.extend(self.kind.map(|kind| format!("type {}", kind.word())));
        filters.extend(self.code.as_ref().map(|code| format!("code {code}")));
        if filters.is_empty() { String::new() } else { format!(" ({})", filters.join(", ")) }
    }
}

/// Runs the command.
pub(crate) fn run(cx: &Context, options: &Options) -> Done {
    let (id, answer) = Rpc::connect(cx)?.find("job.errors", &options.job, json!({ "full": true }))?;
    let mut errors: Vec<Value> = Doc(&answer).list("errors").to_vec();
    errors.retain(|error| options.admits(Doc(error)));
    if options.limit > 0 && errors.len() > options.limit {
        errors.sort_by(|a, b| {
            let at = |error: &Value| Doc(error).moment("timestamp").unwrap_or(0.0);
            at(a).total_cmp(&at(b))
        });
        errors.drain(..errors.len() - options.limit);
    }
    if cx.out.json {
        if !cx.out.verbose {
            for error in &mut errors {
                error["stdout_tail"] = Value::Null;
                error["stderr_tail"] = Value::Null;
            }
        }
        cx.out.document(&json!({ "job_id": id, "total_errors": errors.len(), "errors": errors }))?;
        return Ok(0);
    }
    if errors.is_empty() {
        cx.out.line(&format!("No errors found for job: {id}{}", options.filters()))?;
        return Ok(0);
    }
    cx.out.text(&text(&errors, cx.out.style, cx.out.verbose))?;
    if !cx.out.verbose {
        let command = cx.command(&format!("errors {id} -v"));
        cx.out.remark(&format!("What showed each error: {command}"));
    }
    Ok(0)
}

fn text(errors: &[Value], style: Style, verbose: bool) -> String {
    let mut table = Table::new(&["Sheet", "Time", "Type", "Code", "Attempt", "Message"]);
    let mut hints: BTreeMap<&str, &str> = BTreeMap::new();
    for error in errors.iter().map(Doc) {
        let width = if verbose { None } else { style.width.map(|_| MESSAGE) };
        table.row(vec![
            sheet(error).into(),
            error.moment("timestamp").map_or_else(|| "-".to_owned(), format::moment).into(),
            Cell::toned(error.text("error_type"), tone(error)),
            code(error).into(),
            error.get("attempt").as_u64().map_or_else(|| "-".to_owned(), |nth| nth.to_string()).into(),
            format::one_line(error.text("message"), width).into(),
        ]);
        if !error.text("hint").is_empty() {
            hints.insert(code(error), error.text("hint"));
        }
    }
    let mut text = table.render(style);
    text.push_str(&format!("\nTotal: {} error(s)\n", errors.len()));
    if verbose {
        for error in errors.iter().map(Doc) {
            text.push('\n');
            text.push_str(&block(error, style));
        }
    } else if !hints.is_empty() {
        text.push('\n');
        for (code, hint) in hints {
            text.push_str(&format!("{code} {} {hint}\n", style.dash()));
        }
    }
    text
}

fn sheet(error: Doc<'_>) -> String {
    match error.count("sheet_num") {
        0 => "job".to_owned(),
        number => number.to_string(),
    }
}

/// An error without a code is shown as an unknown one.
fn code(error: Doc<'_>) -> &str {
    match error.text("error_code") {
        "" => "E999",
        code => code,
    }
}

fn tone(error: Doc<'_>) -> Tone {
    match error.text("error_type") {
        "permanent" => Tone::Red,
        "transient" => Tone::Yellow,
        "rate_limit" => Tone::Blue,
        _ => Tone::Plain,
    }
}

/// Everything about one error.
fn block(error: Doc<'_>, style: Style) -> String {
    let title = match error.count("sheet_num") {
        0 => "Job".to_owned(),
        number => format!("Sheet {number}"),
    };
    let mut lines = vec![style.paint(Tone::Bold, &format!("{title} {} {}", style.dot(), code(error)))];
    let mut put = |name: &str, text: String| {
        if !text.is_empty() {
            lines.push(format!("  {name}: {text}"));
        }
    };
    let number = |key: &str| error.get(key).as_i64().map_or_else(String::new, |number| number.to_string());
    put("Message", format::clean(error.text("message")).replace('\n', "\n    "));
    put("Type", kind(error));
    put("Name", error.text("error_name").to_owned());
    put("Attempt", number("attempt"));
    put("Time", error.moment("timestamp").map_or_else(String::new, format::moment));
    put("Instrument", instrument(error));
    put("Exit code", number("exit_code"));
    put("Signal", number("exit_signal"));
    put("Ended by", error.text("killed_by").to_owned());
    put("Found by", error.text("method").replace('_', " "));
    put("Evidence", format::one_line(error.text("evidence"), None));
    for further in error.list("further_errors").iter().map(Doc) {
        put("Also seen", format!("{} {}", code(further), format::one_line(further.text("message"), None)));
    }
    for rule in error.list("failed_validations").iter().map(Doc) {
        let mut text = format::one_line(rule.text("rule"), None);
        for key in ["reason", "suggested_fix"] {
            let more = format::one_line(rule.text(key), None);
            if !more.is_empty() {
                text.push_str(&format!(" {} {more}", style.dash()));
            }
        }
        put("Failed rule", text);
    }
    for remedy in error.list("remedies").iter().map(Doc) {
        let done = if remedy.get("applied") == &Value::Bool(true) { "applied" } else { "not applied" };
        put(
            "Remedy",
            format!("{} ({done}): {}", remedy.text("name"), format::one_line(remedy.text("message"), None)),
        );
    }
    put("Advice", error.text("hint").to_owned());
    let mut text = lines.join("\n") + "\n";
    for (name, key) in [("Stdout (tail)", "stdout_tail"), ("Stderr (tail)", "stderr_tail")] {
        text.push_str(&end_of(name, error.text(key)));
    }
    text
}

fn kind(error: Doc<'_>) -> String {
    match (error.text("error_type"), error.text("category")) {
        (kind, "") => kind.to_owned(),
        (kind, category) if kind == category => kind.to_owned(),
        (kind, category) => format!("{kind} ({category})"),
    }
}

fn instrument(error: Doc<'_>) -> String {
    match (error.text("instrument"), error.text("model")) {
        (name, "") => name.to_owned(),
        (name, model) => format!("{name} ({model})"),
    }
}

fn end_of(name: &str, text: &str) -> String {
    let text = format::clean(text);
    let lines: Vec<&str> = text.trim_end().lines().collect();
    if lines.is_empty() {
        return String::new();
    }
    let shown = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    let indented: Vec<String> = shown.iter().map(|line| format!("    {line}")).collect();
    format!("  {name}:\n{}\n", indented.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_a_table_with_advice_and_in_full_when_asked() {
        let errors = [json!({
            "sheet_num": 2, "attempt": 1, "error_code": "E101", "error_type": "rate_limit", "category": "rate_limit",
            "message": "429 Too Many Requests", "timestamp": "2026-02-14T09:30:00Z", "hint": "wait",
            "method": "regex_fallback", "evidence": "stderr: 429", "instrument": "agent", "model": "big",
            "further_errors": [{"error_code": "E901", "message": "reset by peer"}], "stderr_tail": "a\nb\n",
        })];
        let short = text(&errors, Style::PLAIN, false);
        assert_eq!(
            short,
            "Sheet   Time                      Type         Code   Attempt   Message\n\
             2       2026-02-14 09:30:00 UTC   rate_limit   E101   1         429 Too Many Requests\n\n\
             Total: 1 error(s)\n\nE101 — wait\n"
        );
        let long = text(&errors, Style::PLAIN, true);
        for line in [
            "Sheet 2 · E101",
            "  Found by: regex fallback",
            "  Evidence: stderr: 429",
            "  Also seen: E901 reset by peer",
            "  Instrument: agent (big)",
            "  Stderr (tail):\n    a\n    b\n",
        ] {
            assert!(long.contains(line), "{line:?} is missing in\n{long}");
        }
    }
}
