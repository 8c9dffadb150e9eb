//! `validate --json`: one documented object a file.

use serde_json::{Map, Value, json};

use super::verdict::{Kind, Verdict};
use crate::cli::plan_view;
use crate::lint::Findings;
use crate::plan::{Plan, SheetPlan};
use crate::score::checks::Rendered;
use crate::score::{Issue, Score, Severity, Source};
use crate::template::placeholders::expand_path;
use crate::template::{Item, Vars};
use crate::util::text::head_chars;

/// Lines of a prompt that a preview shows.
pub(super) const PREVIEW: usize = 15;

pub(super) fn of(verdict: &Verdict) -> Value {
    let file = verdict.file.as_str();
    match &verdict.kind {
        Kind::Fleet(issues) => {
            let issues: Vec<Value> = issues.iter().map(|found| issue(found, &verdict.source)).collect();
            json!({
                "type": "fleet", "valid": verdict.exit == 0, "skipped": false, "issues": issues,
                "message": "the scores of a fleet are validated by themselves", "file": file,
            })
        }
        Kind::Other => json!({
            "type": "other", "valid": true, "skipped": true, "message": "this is not a score", "file": file,
        }),
        Kind::Config(problems) => {
            let problems: Vec<Value> = problems
                .iter()
                .map(|problem| json!({"line": problem.line, "field": problem.field, "message": problem.message}))
                .collect();
            json!({"type": "config", "valid": problems.is_empty(), "file": file, "problems": problems})
        }
        Kind::Score(findings) => score(verdict, findings),
    }
}

fn score(verdict: &Verdict, findings: &Findings) -> Value {
    let issues: Vec<Value> = findings.issues.iter().map(|found| issue(found, &verdict.source)).collect();
    let mut document = json!({
        "valid": verdict.exit == 0,
        "file": verdict.file,
        "name": verdict.name,
        "error_count": verdict.count(Severity::Error),
        "warning_count": verdict.count(Severity::Warning),
        "info_count": verdict.count(Severity::Info),
        "issues": issues,
    });
    if let (Some(score), Some(plan)) = (&findings.score, &findings.plan) {
        document["total_sheets"] = json!(plan.sheets.len());
        document["levels"] = json!(plan_view::levels(plan));
        document["rendering"] = rendering(score, plan, &findings.rendered);
    }
    document
}

/// Keys that have no value are left out.
fn issue(issue: &Issue, source: &Source) -> Value {
    let mut document = issue.document();
    if let Some(line) = context(issue, source) {
        document.insert("context".to_owned(), line.into());
    }
    Value::Object(document)
}

/// The line that an issue is about.
fn context(issue: &Issue, source: &Source) -> Option<String> {
    let own = || {
        let line = source.text.lines().nth(issue.line? as usize - 1)?;
        Some(head_chars(line.trim_end(), 80).to_owned())
    };
    issue.context.clone().or_else(own)
}

fn rendering(score: &Score, plan: &Plan, rendered: &[Rendered]) -> Value {
    let fans_out = plan.sheets.iter().any(|sheet| sheet.fan_count > 1);
    let errors: Vec<&String> = rendered.iter().filter_map(|sheet| sheet.body.as_ref().err()).collect();
    let sheets: Vec<Value> =
        plan.sheets.iter().map(|one| sheet(score, plan, one, rendered, fans_out)).collect();
    json!({
        "total_sheets": plan.sheets.len(),
        "has_fan_out": fans_out,
        "has_dependencies": plan.declared_dependencies,
        "render_errors": errors,
        "sheets": sheets,
    })
}

fn sheet(score: &Score, plan: &Plan, sheet: &SheetPlan, rendered: &[Rendered], fans_out: bool) -> Value {
    let body = rendered.get(sheet.num.index()).map(|rendered| &rendered.body);
    let vars = vars(score, plan, sheet);
    let rules: Vec<Value> = score
        .validations
        .iter()
        .enumerate()
        .map(|(index, rule)| {
            let mut document = Map::new();
            document.insert("index".into(), index.into());
            document.insert("type".into(), rule.kind.as_str().into());
            document.insert("applicable".into(), sheet.rules.contains(&index).into());
            let path = rule.path.as_ref().and_then(|path| expand_path(path, &vars).ok());
            let optional = [
                ("description", rule.description.clone()),
                ("expanded_path", path),
                ("pattern", rule.pattern.clone()),
                ("condition", rule.condition.as_ref().map(|condition| condition.text.clone())),
            ];
            for (key, value) in optional {
                if let Some(value) = value {
                    document.insert(key.into(), value.into());
                }
            }
            Value::Object(document)
        })
        .collect();
    let fan = |number: u32| fans_out.then_some(number);
    json!({
        "sheet_num": sheet.num,
        "item_range": [sheet.start_item, sheet.end_item],
        "stage": fan(sheet.stage),
        "instance": fan(sheet.instance),
        "fan_count": fan(sheet.fan_count),
        "prompt_snippet": body.and_then(|body| body.as_ref().ok()).map(|body| snippet(body)),
        "render_error": body.and_then(|body| body.as_ref().err()),
        "validations": rules,
    })
}

/// What the paths of rules know.
pub(super) fn vars(score: &Score, plan: &Plan, sheet: &SheetPlan) -> Vars {
    let mut vars = Vars::new();
    for (key, value) in plan.variables(score, sheet.num).iter() {
        vars.set(&key.to_string(), Item::from(value));
    }
    vars
}

/// The beginning of a prompt.
pub(super) fn snippet(body: &str) -> String {
    let mut lines = body.lines();
    let mut text = lines.by_ref().take(PREVIEW).collect::<Vec<_>>().join("\n");
    if lines.next().is_some() {
        text.push_str("\n...");
    }
    text
}
