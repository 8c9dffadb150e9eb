//! `mozart render`: the prompt that a sheet's instrument would get, byte for byte. Needs no conductor.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};

use crate::cli::context::Context;
use crate::cli::failure::{Done, Failure, Stop};
use crate::cli::prompts::{Desk, Prompt, Rule};
use crate::cli::run::{self, assignment};
use crate::cli::score_file::{self, ScoreFile};
use crate::ids::SheetNo;
use crate::plan::SheetPlan;
use crate::util::text::shell_quote;

/// Options of `render`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Score file
    score: PathBuf,
    /// Only this sheet (repeatable) [default: all]
    #[arg(long = "sheet", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    sheets: Vec<u32>,
    /// Set a variable of the prompt (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = assignment)]
    variables: Vec<(String, Value)>,
    /// Workspace, instead of the score's
    #[arg(short, long, value_name = "DIR")]
    workspace: Option<PathBuf>,
    /// Only the rendered template, without preamble, injections and requirements
    #[arg(long)]
    body: bool,
}

/// Runs the command.
pub(crate) fn run(cx: &Context, options: &Options) -> Done {
    let source = score_file::read(cx, &options.score)?;
    let path = cx.absolute(&options.score);
    let overrides = run::overrides(cx, options.workspace.as_deref(), None, &options.variables);
    let file = score_file::load(&source, &overrides).map_err(|issues| run::load_failure(&path, &issues))?;
    let desk = Desk::new(cx, score_file::registry(cx, &source.base));
    let sheets = chosen(&file, &options.sheets)?;
    let single = sheets.len() == 1;
    let mut documents = Vec::new();
    for sheet in sheets {
        let failure = |message: String| {
            Failure::new("render_failed", format!("Sheet {}: {message}", sheet.num))
                .hint(format!("See all problems with: mozart validate {}", path.display()))
                .with("sheet_num", sheet.num.0)
        };
        if options.body {
            let body = desk.body(&file, sheet).map_err(failure)?;
            if cx.out.json {
                documents.push(json!({"sheet_num": sheet.num, "prompt": body}));
            } else {
                show(cx, sheet, &body, single)?;
            }
            continue;
        }
        let prompt = desk.prompt(&file, sheet).map_err(failure)?;
        if cx.out.json {
            documents.push(document(sheet, &prompt));
            continue;
        }
        show(cx, sheet, &prompt.text, single)?;
        for warning in &prompt.warnings {
            cx.out.warn(&format!("sheet {}: {warning}", sheet.num));
        }
        if !cx.out.quiet {
            let tokens = prompt.estimated_tokens;
            cx.out.remark(&format!(
                "Sheet {}: {}  (about {tokens} tokens)",
                sheet.num,
                command_line(&prompt)
            ));
        }
    }
    if cx.out.json {
        cx.out.document(&json!({ "sheets": documents }))?;
    }
    Ok(0)
}

/// One prompt goes out as it is; several are told apart by a line each.
fn show(cx: &Context, sheet: &SheetPlan, text: &str, single: bool) -> Result<(), Stop> {
    if single {
        return cx.out.text(text);
    }
    let end = if text.ends_with('\n') { "" } else { "\n" };
    cx.out.text(&format!(
        "=== Sheet {} (stage {}, instance {} of {}) ===\n{text}{end}\n",
        sheet.num, sheet.stage, sheet.instance, sheet.fan_count
    ))
}

fn chosen<'a>(file: &'a ScoreFile, wanted: &[u32]) -> Result<Vec<&'a SheetPlan>, Stop> {
    if wanted.is_empty() {
        return Ok(file.plan.sheets.iter().collect());
    }
    let total = file.plan.sheets.len();
    wanted
        .iter()
        .map(|number| {
            file.plan.sheet(SheetNo(*number)).ok_or_else(|| {
                Failure::usage(format!("The score has no sheet {number} (valid: 1-{total})."))
                    .hint("See its sheets with: mozart run --dry-run SCORE")
                    .into()
            })
        })
        .collect()
}

/// The command for people: a prompt among the arguments is named, not repeated.
pub(crate) fn command_line(prompt: &Prompt) -> String {
    let word = |argument: &String| {
        if prompt.as_argument && *argument == prompt.text {
            "PROMPT".to_owned()
        } else {
            shell_quote(argument)
        }
    };
    let line = prompt.command.iter().map(word).collect::<Vec<_>>().join(" ");
    let file = prompt.command.iter().any(|argument| argument == "PROMPT-FILE");
    if prompt.as_argument || file { line } else { format!("{line} < PROMPT") }
}

fn document(sheet: &SheetPlan, prompt: &Prompt) -> Value {
    let rules: Vec<Value> = prompt.rules.iter().map(rule).collect();
    json!({
        "sheet_num": sheet.num,
        "stage": sheet.stage,
        "instance": sheet.instance,
        "instrument": sheet.instrument.name,
        "prompt": prompt.text,
        "command": prompt.command,
        "timeout_seconds": prompt.timeout.as_secs_f64(),
        "estimated_tokens": prompt.estimated_tokens,
        "validations": rules,
        "warnings": prompt.warnings,
    })
}

/// A rule for programs.
pub(crate) fn rule(rule: &Rule) -> Value {
    let mut document = Map::new();
    document.insert("index".into(), rule.index.into());
    document.insert("type".into(), rule.kind.into());
    document.insert("stage".into(), rule.stage.into());
    let optional = [
        ("description", &rule.description),
        ("path", &rule.path),
        ("pattern", &rule.pattern),
        ("command", &rule.command),
    ];
    for (key, value) in optional {
        if let Some(value) = value {
            document.insert(key.into(), value.as_str().into());
        }
    }
    Value::Object(document)
}
