//! `mozart validate`: checks scores without a conductor.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::failure::{Done, FAILED, Stop, USAGE};
use crate::cli::plan_view;
use crate::cli::score_file::{self, ScoreFile};
use crate::cli::style::{Style, Tone};
use crate::plan::Overrides;
use crate::score::{Issue, Severity, Source};

/// Options of `validate`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Score files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Warnings fail too
    #[arg(long)]
    strict: bool,
}

/// What was found about one file.
struct Verdict {
    name: String,
    file: Option<ScoreFile>,
    issues: Vec<Issue>,
    exit: u8,
    fleet: bool,
}

/// Runs the command.
pub(crate) fn run(cx: &Context, options: &Options) -> Done {
    let mut exit = 0;
    let mut documents = Vec::new();
    for path in &options.files {
        let shown = path.display().to_string();
        match score_file::read(cx, path) {
            Ok(source) => {
                let verdict = check(&source, options.strict);
                exit = exit.max(verdict.exit);
                if cx.out.json {
                    documents.push(document(&shown, &verdict));
                } else if !cx.out.quiet || verdict.exit != 0 {
                    cx.out.text(&text(&source, &verdict, cx.out.style, cx.out.verbose))?;
                }
            }
            Err(Stop::Failure(failure)) if options.files.len() > 1 => {
                exit = exit.max(failure.exit);
                if cx.out.json {
                    documents.push(failure.with("file", shown).document());
                } else {
                    cx.out.failure(&failure)?;
                }
            }
            Err(stop) => return Err(stop),
        }
    }
    if cx.out.json {
        match documents.as_slice() {
            [one] => cx.out.document(one)?,
            several => cx.out.document(&Value::Array(several.to_vec()))?,
        }
    }
    Ok(exit)
}

fn check(source: &Source, strict: bool) -> Verdict {
    let stem = source.path.as_deref().and_then(|path| path.file_stem());
    let stem = stem.map_or_else(|| "score".to_owned(), |stem| stem.to_string_lossy().into_owned());
    let (file, issues) = match score_file::load(source, &Overrides::default()) {
        Ok(mut file) => {
            let issues = std::mem::take(&mut file.issues);
            (Some(file), issues)
        }
        Err(issues) => (None, issues),
    };
    let name = file.as_ref().map_or(stem, |file| file.score.name.clone());
    let fleet = issues.iter().any(|issue| issue.code == "fleet");
    let errors = count(&issues, Severity::Error);
    // Structure that cannot be read is another matter than a score that says something wrong.
    let unreadable =
        issues.iter().any(|issue| issue.is_error() && (issue.code == "yaml" || issue.code == "schema"));
    let exit = match (fleet, unreadable, errors) {
        (true, _, _) => 0,
        (false, true, _) => USAGE,
        (false, false, 1..) => FAILED,
        (false, false, 0) if strict && count(&issues, Severity::Warning) > 0 => FAILED,
        (false, false, 0) => 0,
    };
    Verdict { name, file, issues, exit, fleet }
}

fn count(issues: &[Issue], severity: Severity) -> usize {
    issues.iter().filter(|issue| issue.severity == severity).count()
}

fn document(shown: &str, verdict: &Verdict) -> Value {
    if verdict.fleet {
        return json!({
            "type": "fleet", "valid": true, "skipped": true,
            "message": "fleet files are not checked here; validate the scores that they list", "file": shown,
        });
    }
    let issues: Vec<Value> = verdict.issues.iter().map(issue_document).collect();
    let mut document = json!({
        "valid": verdict.exit == 0,
        "file": shown,
        "name": verdict.name,
        "error_count": count(&verdict.issues, Severity::Error),
        "warning_count": count(&verdict.issues, Severity::Warning),
        "info_count": count(&verdict.issues, Severity::Info),
        "issues": issues,
    });
    if let Some(file) = &verdict.file {
        document["total_sheets"] = json!(file.plan.sheets.len());
        document["levels"] = json!(plan_view::levels(file));
    }
    document
}

fn issue_document(issue: &Issue) -> Value {
    json!({
        "check_id": issue.code, "severity": issue.severity, "message": issue.message, "path": issue.path,
        "line": issue.line, "column": issue.column, "suggestion": issue.hint, "auto_fixable": false, "metadata": {},
    })
}

fn text(source: &Source, verdict: &Verdict, style: Style, verbose: bool) -> String {
    let mut text = format!("Validating {}...\n\n", verdict.name);
    if verdict.fleet {
        text.push_str("Fleet file: not checked here; validate the scores that it lists.\n");
        return text;
    }
    let has = |code: &str| verdict.issues.iter().any(|issue| issue.is_error() && issue.code == code);
    if has("yaml") || has("schema") {
        text.push_str(&format!("{} Config validation failed:\n", style.paint(Tone::Red, style.bad())));
    }
    if !has("yaml") {
        text.push_str(&format!("{} YAML syntax valid\n", style.ok()));
    }
    if verdict.file.is_some() || !(has("yaml") || has("schema")) {
        text.push_str(&format!("{} Schema validation passed\n", style.ok()));
    }
    for (severity, heading, mark, tone) in [
        (Severity::Error, "ERRORS (must fix before running)", style.bad(), Tone::Red),
        (Severity::Warning, "WARNINGS (may cause issues)", "!", Tone::Yellow),
        (Severity::Info, "INFO (consider reviewing)", style.dot(), Tone::Blue),
    ] {
        let issues: Vec<&Issue> = verdict.issues.iter().filter(|issue| issue.severity == severity).collect();
        if issues.is_empty() {
            continue;
        }
        text.push_str(&format!("\n{}\n", style.paint(tone, heading)));
        for issue in issues {
            text.push_str(&issue_text(source, issue, mark));
        }
    }
    text.push_str(&summary(verdict, style));
    if let Some(file) = verdict.file.as_ref().filter(|_| verdict.exit == 0) {
        text.push_str(&overview(file, verbose));
    }
    text
}

fn issue_text(source: &Source, issue: &Issue, mark: &str) -> String {
    let place = issue.line.map_or_else(String::new, |line| format!("Line {line}: "));
    let mut text = format!("  {mark} [{}] {place}{}\n", issue.code, issue.headline());
    let line = issue.line.and_then(|line| source.text.lines().nth(line as usize - 1));
    if let (true, Some(line)) = (issue.is_error(), line) {
        text.push_str(&format!("      {}\n", crate::cli::format::clean(line)));
        if let Some(column) = issue.column {
            let before: String =
                line.chars().take(column as usize - 1).map(|c| if c == '\t' { c } else { ' ' }).collect();
            text.push_str(&format!("      {before}^\n"));
        }
    }
    for hint in issue.hint.iter().flat_map(|hint| hint.lines()) {
        text.push_str(&format!("      Suggestion: {hint}\n"));
    }
    text
}

fn summary(verdict: &Verdict, style: Style) -> String {
    let errors = count(&verdict.issues, Severity::Error);
    let warnings = count(&verdict.issues, Severity::Warning);
    if errors == 0 && warnings == 0 {
        return format!("\n{} Configuration valid: {}\n", style.paint(Tone::Green, style.ok()), verdict.name);
    }
    let mut parts = Vec::new();
    let plural = |n: usize, word: &str| if n == 1 { format!("1 {word}") } else { format!("{n} {word}s") };
    if errors > 0 {
        parts.push(format!("{} (must fix)", plural(errors, "error")));
    }
    if warnings > 0 {
        parts.push(format!("{} (should fix)", plural(warnings, "warning")));
    }
    let word = if verdict.exit == 0 { "PASSED (with warnings)" } else { "FAILED" };
    format!("\nSummary: {}\nValidation: {word}\n", parts.join(", "))
}

fn overview(file: &ScoreFile, verbose: bool) -> String {
    let score = &file.score;
    let mut text = format!(
        "\n  Sheets: {}\n  Instrument: {}\n  Validations: {}\n  Notifications: {}\n\n",
        file.plan.sheets.len(),
        plan_view::instruments(file).join(", "),
        score.validations.len(),
        score.notifications.len(),
    );
    let levels = plan_view::levels(file);
    // A chain of single sheets is not worth a line each.
    if verbose || levels.len() <= 20 {
        for (number, level) in levels.iter().enumerate() {
            let sheets: Vec<String> = level.iter().map(ToString::to_string).collect();
            let side = if level.len() > 1 { " (parallel)" } else { "" };
            text.push_str(&format!("  Level {number}: {}{side}\n", sheets.join(", ")));
        }
    } else {
        text.push_str(&format!("  {} levels\n", levels.len()));
    }
    let widest = levels.iter().map(Vec::len).max().unwrap_or(0);
    let most = if score.parallel.enabled {
        widest.min(score.parallel.max_concurrent as usize)
    } else {
        widest.min(1)
    };
    text.push_str(&format!("  Max concurrency: {most} sheet(s)\n"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(text: &str) -> Verdict {
        let source = Source { text: text.to_owned(), base: "/".into(), ..Source::default() };
        check(&source, false)
    }

    #[test]
    fn what_cannot_be_checked_exits_with_2() {
        assert_eq!(verdict("a: [").exit, USAGE);
        assert_eq!(verdict("- a").exit, USAGE);
        assert_eq!(verdict("name: x\n").exit, USAGE);
        assert_eq!(verdict("type: fleet\nscores: []\n").exit, 0);
    }
}
