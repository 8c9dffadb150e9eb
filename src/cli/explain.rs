//! `mozart explain CODE`: what a code means and what to do about it. Needs no conductor.
//!
//! Not here: the texts, which stand beside the codes (`classify`, `score::checks`, `rpc`).

mod code;

use clap::Args;
use serde_json::{Value, json};

use crate::classify::ErrorCode;
use crate::cli::context::Context;
use crate::cli::failure::{Done, Failure};
use crate::cli::format;
use crate::cli::style::Tone;
use crate::cli::table::{Cell, Table};
use crate::rpc;
use crate::score::checks;

use code::{Code, delay, near, word};

/// Options of `explain`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Code, as E101, V213 or -32001; without one all codes are listed
    #[arg(value_name = "CODE", allow_negative_numbers = true)]
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
    let Some(code) = Code::parse(written) else { return Err(unknown(written).into()) };
    if cx.out.json {
        cx.out.document(&code.document())?;
    } else if cx.out.quiet {
        cx.out.line(code.hint())?;
    } else {
        cx.out.text(&code.text(cx.out.style))?;
    }
    Ok(0)
}

fn all(cx: &Context) -> Done {
    if cx.out.json {
        let codes: Vec<Value> = Code::all().map(|code| code.document()).collect();
        cx.out.document(&json!({ "codes": codes }))?;
        return Ok(0);
    }
    if cx.out.quiet {
        for code in Code::all() {
            cx.out.line(&code.to_string())?;
        }
        return Ok(0);
    }
    let mut errors = Table::new(&["CODE", "NAME", "CATEGORY", "RETRY", "DELAY", "WHAT TO DO"]);
    for code in ErrorCode::ALL {
        let row = code.meaning();
        let cells = [row.name.to_owned(), row.category.to_string(), word(row).to_owned(), delay(row)];
        let mut line = vec![Cell::toned(code.to_string(), Tone::Bold)];
        line.extend(cells.map(Cell::from));
        line.push(row.hint.into());
        errors.row(line);
    }
    let mut found = Table::new(&["CODE", "SEVERITY", "WHAT IS WRONG"]);
    for row in checks::CODES {
        found.row(vec![Cell::toned(row.code, Tone::Bold), row.severity.into(), row.about.into()]);
    }
    let mut answers = Table::new(&["CODE", "NAME", "WHAT HAS HAPPENED"]);
    for row in rpc::CODES {
        answers.row(vec![Cell::toned(row.code.to_string(), Tone::Bold), row.name.into(), row.about.into()]);
    }
    let style = cx.out.style;
    cx.out.text(&format!(
        "Errors of sheets and jobs\n{}\nChecks of scores (mozart validate)\n{}\nAnswers of the conductor\n{}",
        errors.render(style),
        found.render(style),
        answers.render(style),
    ))?;
    Ok(0)
}

fn unknown(written: &str) -> Failure {
    let near = near(written);
    let failure = Failure::new("unknown_code", format!("There is no code `{}`", format::clean(written)));
    let failure =
        if near.is_empty() { failure } else { failure.hint(format!("Did you mean {}?", near.join(", "))) };
    failure.hint("All codes: mozart explain").with("similar", near)
}
