//! What `run --dry-run` shows: the sheets of a score without running them.

use serde_json::{Value, json};

use crate::cli::format;
use crate::cli::score_file::ScoreFile;
use crate::cli::style::Style;
use crate::cli::table::Table;
use crate::plan::SheetPlan;

/// The block before a run: name, description, instrument, sheets, workspace.
pub(crate) fn summary(file: &ScoreFile, workspace: &str) -> String {
    let score = &file.score;
    let instruments = instruments(file);
    let sheets = file.plan.sheets.len();
    let size = score.sheet.size;
    format!(
        "{}\n  {}\n  Instrument: {}\n  Sheets: {sheets} ({size} item(s) per sheet)\n  Workspace: {workspace}\n",
        score.name,
        format::one_line(score.description.as_deref().unwrap_or("No description"), Some(200)),
        instruments.join(", "),
    )
}

/// Names of all instruments that the sheets use, each once, in order.
pub(crate) fn instruments(file: &ScoreFile) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for sheet in &file.plan.sheets {
        if !names.contains(&sheet.instrument.name) {
            names.push(sheet.instrument.name.clone());
        }
    }
    names
}

/// The plan for people.
pub(crate) fn text(file: &ScoreFile, style: Style) -> String {
    let mut table = Table::new(&["Sheet", "Items", "Validations"]);
    for sheet in &file.plan.sheets {
        table.row(vec![
            sheet.num.to_string().into(),
            items(sheet).into(),
            sheet.rules.len().to_string().into(),
        ]);
    }
    let mut text = format!("Dry run - not executing\n\n{}", table.render(style));
    let mut edges = String::new();
    for sheet in file.plan.sheets.iter().filter(|sheet| !sheet.after.is_empty()) {
        let before: Vec<String> = sheet.after.iter().map(ToString::to_string).collect();
        edges.push_str(&format!("Sheet {} depends on: {}\n", sheet.num, before.join(", ")));
    }
    if !edges.is_empty() {
        text.push('\n');
        text.push_str(&edges);
    }
    text
}

/// The plan for programs.
pub(crate) fn document(file: &ScoreFile, workspace: &str) -> Value {
    let sheets: Vec<Value> = file
        .plan
        .sheets
        .iter()
        .map(|sheet| {
            let fallbacks: Vec<&str> = sheet.fallbacks.iter().map(|choice| choice.name.as_str()).collect();
            json!({
                "sheet_num": sheet.num,
                "items": items(sheet),
                "stage": sheet.stage,
                "instance": sheet.instance,
                "fan_count": sheet.fan_count,
                "depends_on": sheet.after,
                "instrument": sheet.instrument.name,
                "fallbacks": fallbacks,
                "validations": sheet.rules.len(),
                "description": sheet.description,
            })
        })
        .collect();
    json!({
        "dry_run": true,
        "job_name": file.score.name,
        "total_sheets": file.plan.sheets.len(),
        "total_stages": file.plan.total_stages,
        "workspace": workspace,
        "sheets": sheets,
    })
}

fn items(sheet: &SheetPlan) -> String {
    format!("{}-{}", sheet.start_item, sheet.end_item)
}

/// Levels of the dependency graph: everything in one can run at the same time.
pub(crate) fn levels(file: &ScoreFile) -> Vec<Vec<u32>> {
    let mut level_of: Vec<usize> = vec![0; file.plan.sheets.len()];
    // Edges may point to higher numbers, so it takes as many rounds as there are levels.
    loop {
        let mut changed = false;
        for (index, sheet) in file.plan.sheets.iter().enumerate() {
            let level = sheet.after.iter().map(|before| level_of[before.index()] + 1).max().unwrap_or(0);
            if level > level_of[index] && level <= file.plan.sheets.len() {
                level_of[index] = level;
                changed = true;
            }
        }
        if !changed {
            break;
        }
    }
    let mut levels: Vec<Vec<u32>> = Vec::new();
    for (index, sheet) in file.plan.sheets.iter().enumerate() {
        let level = level_of[index];
        if levels.len() <= level {
            levels.resize(level + 1, Vec::new());
        }
        levels[level].push(sheet.num.0);
    }
    levels
}
