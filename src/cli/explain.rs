//! `mozart explain CODE`: what an error code means and what to do about it. Needs no conductor.

use clap::Args;
use serde_json::{Value, json};

use crate::classify::{Category, ErrorCode, Meaning};
use crate::cli::context::Context;
use crate::cli::failure::{Done, Failure};
use crate::cli::format;
use crate::cli::job::near as near_names;
use crate::cli::style::Tone;
use crate::cli::table::{Cell, Table};

/// Options of `explain`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Code, as E101; without one all codes are listed
    #[arg(value_name = "CODE")]
    code: Option<String>,
}

/// Runs the command.
pub(crate) fn run(cx: &Context, options: &Options) -> Done {
    match &options.code {
        Some(written) => one(cx, written),
        None => all(cx),
    }
}

fn one(cx: &Context, written: &str) -> Done {
    let Some(code) = ErrorCode::parse(written) else { return Err(unknown(written).into()) };
    if cx.out.json {
        cx.out.document(&document(code))?;
        return Ok(0);
    }
    let row = code.meaning();
    if cx.out.quiet {
        cx.out.line(row.hint)?;
        return Ok(0);
    }
    let mut text = format!("{} {}\n\n", cx.out.style.paint(Tone::Bold, &code.to_string()), row.name);
    for (label, value) in [
        ("Category", row.category.to_string()),
        ("Severity", row.severity.to_string()),
        ("Retry", retry(row).to_owned()),
        ("Delay", delay(row)),
    ] {
        text.push_str(&format!("{label:<10}{value}\n"));
    }
    text.push_str(&format!("\n{}\n\nWhat to do: {}.\n", code.about(), row.hint));
    let variants = code.variants();
    if !variants.is_empty() {
        text.push_str("\nIt may differ:\n");
        for variant in variants {
            text.push_str(&format!("- {variant}\n"));
        }
    }
    cx.out.text(&text)?;
    Ok(0)
}

fn all(cx: &Context) -> Done {
    if cx.out.json {
        let codes: Vec<Value> = ErrorCode::ALL.into_iter().map(document).collect();
        cx.out.document(&json!({ "codes": codes }))?;
        return Ok(0);
    }
    if cx.out.quiet {
        for code in ErrorCode::ALL {
            cx.out.line(&code.to_string())?;
        }
        return Ok(0);
    }
    let mut table = Table::new(&["CODE", "NAME", "CATEGORY", "RETRY", "DELAY", "WHAT TO DO"]);
    for code in ErrorCode::ALL {
        let row = code.meaning();
        let cells = [row.name.to_owned(), row.category.to_string(), word(row).to_owned(), delay(row)];
        let mut line = vec![Cell::toned(code.to_string(), Tone::Bold)];
        line.extend(cells.map(Cell::from));
        line.push(row.hint.into());
        table.row(line);
    }
    cx.out.text(&table.render(cx.out.style))?;
    Ok(0)
}

fn unknown(written: &str) -> Failure {
    let near = near(written);
    let failure = Failure::usage(format!("There is no error code `{}`", format::clean(written)));
    let failure =
        if near.is_empty() { failure } else { failure.hint(format!("Did you mean {}?", near.join(", "))) };
    failure.hint("All codes: mozart explain").with("similar", near)
}

/// Codes whose number is close to what was written, of the same kind first; else names that look like it.
fn near(written: &str) -> Vec<String> {
    let number: Option<i64> = written.trim().trim_start_matches(['E', 'e']).parse().ok();
    if let Some(number) = number.filter(|number| (0..1000).contains(number)) {
        let distance = |code: &ErrorCode| {
            let other: i64 = code.to_string()[1..].parse().unwrap_or(i64::MAX);
            (other / 100 != number / 100, (other - number).abs())
        };
        let mut codes = ErrorCode::ALL.to_vec();
        codes.sort_by_key(distance);
        return codes.into_iter().take(3).map(|code| code.to_string()).collect();
    }
    near_names(written, ErrorCode::ALL.iter().map(|code| code.meaning().name))
        .iter()
        .filter_map(|name| ErrorCode::ALL.into_iter().find(|code| code.meaning().name == name))
        .map(|code| code.to_string())
        .collect()
}

/// The one document of a code.
fn document(code: ErrorCode) -> Value {
    let row = code.meaning();
    json!({
        "code": code.to_string(), "name": row.name, "category": row.category.to_string(),
        "severity": row.severity.to_string(), "retry": word(row), "retriable": row.retriable,
        "delay_seconds": row.delay_seconds, "root_priority": row.priority,
        "about": code.about(), "what_to_do": row.hint, "variants": code.variants(),
    })
}

/// One word, as the page on errors has it.
fn word(row: Meaning) -> &'static str {
    match (row.retriable, row.category) {
        (_, Category::RateLimit) => "wait",
        (true, _) => "yes",
        (false, _) => "no",
    }
}

fn retry(row: Meaning) -> &'static str {
    match word(row) {
        "wait" => "waited out, costs no retry",
        "yes" => "tried again while retries are left",
        _ => "not tried again: next fallback instrument, else the sheet fails",
    }
}

fn delay(row: Meaning) -> String {
    match row.delay_seconds {
        0 => "none".to_owned(),
        seconds => format::duration(f64::from(seconds)),
    }
}
