//! `mozart history`: every attempt of a job, the newest first.

use clap::Args;
use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::failure::Done;
use crate::cli::format;
use crate::cli::job::Doc;
use crate::cli::rpc::Rpc;
use crate::cli::style::Style;
use crate::cli::table::{Cell, Table};

/// Options of `history`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Job to look at; its name may be cut short
    job: String,
    /// Only this sheet
    #[arg(short = 'b', long, visible_short_alias = 's', value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    sheet: Option<u32>,
    /// Most attempts to show, the newest ones
    #[arg(short = 'n', long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
}

/// Runs the command.
pub(crate) fn run(cx: &Context, options: &Options) -> Done {
    let params = json!({ "sheet_num": options.sheet, "limit": options.limit });
    let (id, answer) = Rpc::connect(cx)?.find("job.history", &options.job, params)?;
    let records = Doc(&answer).list("records");
    if cx.out.json {
        let mut document = json!({
            "job_id": id, "total_records": records.len(), "records": records, "runs": Doc(&answer).get("runs"),
        });
        if let Some(sheet) = options.sheet {
            document["sheet_filter"] = sheet.into();
        }
        cx.out.document(&document)?;
        return Ok(0);
    }
    if records.is_empty() {
        cx.out.line(&format!("No execution history found for job: {id}"))?;
        return Ok(0);
    }
    cx.out.text(&text(records, cx.out.style, cx.out.verbose))?;
    let runs = match Doc(&answer).count("runs") {
        0 | 1 => String::new(),
        runs => format!(" in {runs} runs"),
    };
    cx.out.line(&format!("\nTotal: {} record(s){runs}", records.len()))?;
    Ok(0)
}

fn text(records: &[Value], style: Style, verbose: bool) -> String {
    let mut headings =
        vec!["Sheet", "Attempt", "Exit Code", "Duration", "Timestamp", "Outcome", "Instrument"];
    if verbose {
        headings.extend(["Mode", "Tokens", "Cost"]);
    }
    headings.push("Error");
    let mut table = Table::new(&headings);
    for record in records.iter().map(Doc) {
        let exit = match (record.get("exit_code").as_i64(), record.get("exit_signal").as_i64()) {
            (Some(code), _) => code.to_string(),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "-".to_owned(),
        };
        let instrument = match (record.text("instrument"), record.text("model")) {
            (name, "") => name.to_owned(),
            (name, model) => format!("{name} ({model})"),
        };
        let mut row: Vec<Cell> = vec![
            record.count("sheet_num").to_string().into(),
            record.count("attempt_num").to_string().into(),
            exit.into(),
            record.number("duration_seconds").map_or_else(|| "-".to_owned(), format::duration).into(),
            record.moment("executed_at").map_or_else(|| "-".to_owned(), format::moment).into(),
            record.text("outcome").replace('_', " ").into(),
            instrument.into(),
        ];
        if verbose {
            row.push(record.text("mode").into());
            row.push(tokens(record).into());
            row.push(
                record.number("cost_usd").map_or_else(|| "-".to_owned(), |cost| format!("${cost:.4}")).into(),
            );
        }
        let error = format!("{} {}", record.text("error_code"), record.text("error_message"));
        row.push(format::one_line(error.trim(), style.width.map(|_| 60)).into());
        table.row(row);
    }
    table.render(style)
}

fn tokens(record: Doc<'_>) -> String {
    match (record.get("input_tokens").as_u64(), record.get("output_tokens").as_u64()) {
        (None, None) => "-".to_owned(),
        (input, output) => format!("{} in, {} out", input.unwrap_or(0), output.unwrap_or(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_rows() {
        let records = [json!({
            "sheet_num": 2, "attempt_num": 3, "exit_code": 4, "duration_seconds": 1.25, "outcome": "failed",
            "executed_at": "2026-02-14T09:30:00Z", "instrument": "agent", "error_code": "E009", "error_message": "no",
        })];
        assert_eq!(
            text(&records, Style::PLAIN, false),
            "Sheet   Attempt   Exit Code   Duration   Timestamp                 Outcome   Instrument   Error\n\
             2       3         4           1.2s       2026-02-14 09:30:00 UTC   failed    agent        E009 no\n"
        );
    }
}
