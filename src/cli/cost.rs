//! `mozart cost`: what a job has spent, how well that is known, and what it may spend.

use clap::Args;
use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::failure::Done;
use crate::cli::job::{self, Doc};
use crate::cli::rpc::Rpc;
use crate::cli::style::Style;
use crate::cli::table::{Cell, Table};

/// Options of `cost`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Job to look at; its name may be cut short
    job: String,
}

/// Runs the command.
pub(crate) fn run(cx: &Context, options: &Options) -> Done {
    let status = Rpc::connect(cx)?.find_job(&options.job)?;
    let doc = Doc(&status);
    if cx.out.json {
        cx.out.document(&document(doc))?;
        return Ok(0);
    }
    cx.out.text(&text(doc, cx.out.style))?;
    Ok(0)
}

/// Dollars as they are known: `$1.2400`, `~$1.2400 (est.)`, or `unknown`.
pub(crate) fn dollars(cost: Option<f64>, confidence: f64) -> String {
    match cost {
        Some(cost) if confidence >= 1.0 => format!("${cost:.4}"),
        Some(cost) if confidence > 0.0 => format!("~${cost:.4} (est.)"),
        Some(cost) if cost > 0.0 => format!("${cost:.4} and more (unknown prices)"),
        Some(_) | None => "unknown".to_owned(),
    }
}

/// A limit in dollars: to the cent, smaller ones in full.
pub(crate) fn budget(limit: f64) -> String {
    if limit >= 0.01 { format!("${limit:.2}") } else { format!("${limit}") }
}

fn spent(sheet: Doc<'_>) -> bool {
    sheet.get("input_tokens").is_u64()
        || sheet.get("output_tokens").is_u64()
        || sheet.number("total_cost_usd").is_some_and(|cost| cost > 0.0)
}

fn sheet_cost(sheet: Doc<'_>) -> Option<f64> {
    sheet.number("total_cost_usd").or_else(|| sheet.number("estimated_cost"))
}

fn document(doc: Doc<'_>) -> Value {
    let sheets: Vec<Value> = doc
        .sheets()
        .into_iter()
        .filter(|(_, sheet)| spent(*sheet))
        .map(|(number, sheet)| {
            json!({
                "sheet_num": number, "cost_usd": sheet_cost(sheet), "cost_confidence": sheet.get("cost_confidence"),
                "input_tokens": sheet.get("input_tokens"), "output_tokens": sheet.get("output_tokens"),
                "attempt_count": sheet.get("attempt_count"), "instrument_name": sheet.get("instrument_name"),
                "model": sheet.get("model"),
            })
        })
        .collect();
    json!({
        "job_id": doc.text("job_id"),
        "total_estimated_cost": doc.get("total_estimated_cost"),
        "cost_confidence": doc.get("cost_confidence"),
        "total_input_tokens": doc.get("total_input_tokens"),
        "total_output_tokens": doc.get("total_output_tokens"),
        "cost_limits": doc.get("cost_limits"),
        "cost_limit_reached": doc.get("cost_limit_reached"),
        "sheets": sheets,
    })
}

fn text(doc: Doc<'_>, style: Style) -> String {
    let mut text = format!("{}\n", doc.text("job_id"));
    let confidence = doc.number("cost_confidence").unwrap_or(1.0);
    let limits = Doc(doc.get("cost_limits"));
    let limit = limits
        .number("max_cost_per_job")
        .map_or_else(String::new, |limit| format!(" (limit: {})", budget(limit)));
    text.push_str(&format!("Cost: {}{limit}\n", dollars(doc.number("total_estimated_cost"), confidence)));
    let (input, output) = (doc.count("total_input_tokens"), doc.count("total_output_tokens"));
    let limit = limits
        .get("max_tokens_per_job")
        .as_u64()
        .map_or_else(String::new, |limit| format!(" (limit: {limit})"));
    text.push_str(&format!("Tokens: {} ({input} in, {output} out){limit}\n", input + output));
    if let Some(limit) = limits.number("max_cost_per_sheet") {
        text.push_str(&format!("Limit of a sheet: {}\n", budget(limit)));
    }
    if let Some(limit) = limits.get("max_tokens_per_sheet").as_u64() {
        text.push_str(&format!("Limit of a sheet: {limit} tokens\n"));
    }
    if doc.get("cost_limit_reached") == &Value::Bool(true) {
        text.push_str("The limit is reached: raise it in the score, then resume the job.\n");
    }
    let sheets: Vec<_> = doc.sheets().into_iter().filter(|(_, sheet)| spent(*sheet)).collect();
    if sheets.is_empty() {
        return text;
    }
    let mut table =
        Table::new(&["Sheet", "Status", "Instrument", "Attempts", "Tokens in", "Tokens out", "Cost"]);
    for (number, sheet) in sheets {
        let confidence = sheet.number("cost_confidence").unwrap_or(1.0);
        let name = match (sheet.text("instrument_name"), sheet.text("model")) {
            (name, "") => name.to_owned(),
            (name, model) => format!("{name} ({model})"),
        };
        table.row(vec![
            number.to_string().into(),
            Cell::toned(job::sheet_label(sheet), job::sheet_tone(sheet.text("status"))),
            name.into(),
            sheet.count("attempt_count").to_string().into(),
            sheet.count("input_tokens").to_string().into(),
            sheet.count("output_tokens").to_string().into(),
            dollars(sheet_cost(sheet), confidence).into(),
        ]);
    }
    text.push('\n');
    text.push_str(&table.render(style));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guesses_are_not_presented_as_facts() {
        assert_eq!(dollars(Some(1.24), 1.0), "$1.2400");
        assert_eq!(dollars(Some(1.24), 0.7), "~$1.2400 (est.)");
        assert_eq!(dollars(None, 0.0), "unknown");
        assert_eq!(dollars(Some(0.0), 0.0), "unknown");
    }

    #[test]
    fn a_job_with_limits() {
        let doc = json!({"job_id": "docs", "total_estimated_cost": 0.5, "cost_confidence": 0.7,
            "total_input_tokens": 100, "total_output_tokens": 20, "cost_limit_reached": true,
            "cost_limits": {"max_cost_per_job": 0.4, "max_tokens_per_sheet": 1000},
            "sheets": {"1": {"status": "completed", "input_tokens": 100, "output_tokens": 20, "attempt_count": 1,
                "instrument_name": "agent", "total_cost_usd": 0.5, "cost_confidence": 0.7},
                "2": {"status": "pending"}}});
        assert_eq!(
            text(Doc(&doc), Style::PLAIN),
            "docs\nCost: ~$0.5000 (est.) (limit: $0.40)\nTokens: 120 (100 in, 20 out)\n\
             Limit of a sheet: 1000 tokens\nThe limit is reached: raise it in the score, then resume the job.\n\n\
             Sheet   Status      Instrument   Attempts   Tokens in   Tokens out   Cost\n\
             1       completed   agent        1          100         20           ~$0.5000 (est.)\n"
        );
    }
}
