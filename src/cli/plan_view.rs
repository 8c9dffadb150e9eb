//! What `run --dry-run` shows: the sheets of a score without running them.

use serde_json::{Value, json};

use crate::cli::format;
use crate::cli::prompts::Desk;
use crate::cli::render::command_line;
use crate::cli::score_file::ScoreFile;
use crate::cli::style::Style;
use crate::cli::table::Table;
use crate::ids::SheetNo;
use crate::plan::{Plan, SheetPlan};

/// The block before a run: name, description, instrument, sheets, workspace.
pub(crate) fn summary(file: &ScoreFile, workspace: &str) -> String {
    let score = &file.score;
    let instruments = instruments(&file.plan);
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
pub(crate) fn instruments(plan: &Plan) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for sheet in &plan.sheets {
        if !names.contains(&sheet.instrument.name) {
            names.push(sheet.instrument.name.clone());
        }
    }
    names
}

/// The plan for people: a table of the sheets, then the stages with their instances and what they wait for.
pub(crate) fn text(file: &ScoreFile, style: Style) -> String {
    let mut table = Table::new(&["Sheet", "Items", "Validations", "Instrument"]);
    for sheet in &file.plan.sheets {
        table.row(vec![
            sheet.num.to_string().into(),
            items(sheet).into(),
            sheet.rules.len().to_string().into(),
            instrument(sheet).into(),
        ]);
    }
    let mut text = format!("Dry run - not executing\n\n{}\n{}", table.render(style), tree(file, style));
    let mut edges = String::new();
    for sheet in file.plan.sheets.iter().filter(|sheet| !sheet.after.is_empty()) {
        edges.push_str(&format!("Sheet {} depends on: {}\n", sheet.num, numbers(&sheet.after)));
    }
    if !edges.is_empty() {
        text.push('\n');
        text.push_str(&edges);
    }
    text
}

/// Stages, and below those with several instances a line each.
fn tree(file: &ScoreFile, style: Style) -> String {
    let (middle, last) = if style.unicode { ("├─", "└─") } else { ("|-", "`-") };
    let mut text = String::new();
    for instances in file.plan.sheets.chunk_by(|one, other| one.stage == other.stage) {
        let first = &instances[0];
        let name = file.score.movements.get(&first.stage).and_then(|movement| movement.name.as_deref());
        let name = name.map_or_else(String::new, |name| format!(" {}", format::one_line(name, Some(60))));
        if let [sheet] = instances {
            text.push_str(&format!("Stage {}{name}: {}\n", sheet.stage, leaf(sheet)));
            continue;
        }
        text.push_str(&format!("Stage {}{name}: {} instances\n", first.stage, instances.len()));
        for sheet in instances {
            let branch = if sheet.instance == sheet.fan_count { last } else { middle };
            text.push_str(&format!("  {branch} {} instance {}\n", leaf(sheet), sheet.instance));
        }
    }
    text
}

/// `sheet 4 (title) after 1, 2`.
fn leaf(sheet: &SheetPlan) -> String {
    let label = sheet
        .description
        .as_deref()
        .map_or_else(String::new, |label| format!(" ({})", format::one_line(label, Some(60))));
    let after =
        if sheet.after.is_empty() { String::new() } else { format!(" after {}", numbers(&sheet.after)) };
    format!("sheet {}{label}{after}", sheet.num)
}

fn numbers(sheets: &[SheetNo]) -> String {
    sheets.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Name and model.
fn instrument(sheet: &SheetPlan) -> String {
    match &sheet.instrument.config.model {
        Some(model) => format!("{} ({model})", sheet.instrument.name),
        None => sheet.instrument.name.clone(),
    }
}

/// The prompt of the first sheet, or of all, with the rules that are checked after it.
pub(crate) fn prompts(file: &ScoreFile, desk: &Desk, all: bool) -> String {
    let mut text = String::new();
    let shown = if all { file.plan.sheets.len() } else { 1 };
    for sheet in file.plan.sheets.iter().take(shown) {
        text.push_str(&format!("\nPrompt of sheet {}:\n", sheet.num));
        let prompt = match desk.prompt(file, sheet) {
            Ok(prompt) => prompt,
            Err(why) => {
                text.push_str(&format!("  not available: {}\n", format::clean(&why)));
                continue;
            }
        };
        for line in format::clean(&prompt.text).lines() {
            text.push_str(format!("  {line}").trim_end());
            text.push('\n');
        }
        let tokens = prompt.estimated_tokens;
        text.push_str(&format!(
            "Command: {}  (about {tokens} tokens)\n",
            format::clean(&command_line(&prompt))
        ));
        for rule in &prompt.rules {
            let what = rule.path.as_deref().or(rule.command.as_deref()).unwrap_or_default();
            text.push_str(&format!("Checked: {} {}\n", rule.kind, format::one_line(what, Some(160))));
        }
    }
    text
}

/// The plan for programs.
pub(crate) fn document(file: &ScoreFile, workspace: &str) -> Value {
    let warnings: Vec<Value> = file.warnings.iter().map(|issue| Value::Object(issue.document())).collect();
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
        "warnings": warnings,
    })
}

fn items(sheet: &SheetPlan) -> String {
    format!("{}-{}", sheet.start_item, sheet.end_item)
}

/// Levels of the dependency graph: everything in one can run at the same time.
pub(crate) fn levels(plan: &Plan) -> Vec<Vec<u32>> {
    let mut level_of: Vec<usize> = vec![0; plan.sheets.len()];
    // Edges may point to higher numbers, so it takes as many rounds as there are levels.
    loop {
        let mut changed = false;
        for (index, sheet) in plan.sheets.iter().enumerate() {
            let level = sheet.after.iter().map(|before| level_of[before.index()] + 1).max().unwrap_or(0);
            if level > level_of[index] && level <= plan.sheets.len() {
                level_of[index] = level;
                changed = true;
            }
        }
        if !changed {
            break;
        }
    }
    let mut levels: Vec<Vec<u32>> = Vec::new();
    for (index, sheet) in plan.sheets.iter().enumerate() {
        let level = level_of[index];
        if levels.len() <= level {
            levels.resize(level + 1, Vec::new());
        }
        levels[level].push(sheet.num.0);
    }
    levels
}
