//! What `validate` prints for people.

use super::document;
use super::verdict::{Kind, Verdict};
use crate::cli::format::clean;
use crate::cli::plan_view;
use crate::cli::style::{Style, Tone};
use crate::config::Problem;
use crate::lint::Findings;
use crate::plan::{Plan, SheetPlan};
use crate::score::{Issue, Score, Severity};
use crate::template::placeholders::expand_path;

/// Most characters of a line that is quoted.
const MAX_EXCERPT: usize = 120;

pub(super) fn of(verdict: &Verdict, style: Style, verbose: bool) -> String {
    let head = format!("Validating {}...\n\n", clean(&verdict.name));
    match &verdict.kind {
        Kind::Fleet(issues) => head + &fleet(verdict, issues, style),
        Kind::Other => format!("{head}Passed over: {} is not a score.\n", verdict.file),
        Kind::Config(problems) => head + &config(problems, style),
        Kind::Score(findings) => head + &score(verdict, findings, style, verbose),
    }
}

fn config(problems: &[Problem], style: Style) -> String {
    if problems.is_empty() {
        return format!("{} Config is valid\nNo errors detected\n", style.paint(Tone::Green, style.ok()));
    }
    let mut text = format!("{} Config validation failed:\n", style.paint(Tone::Red, style.bad()));
    for problem in problems {
        text.push_str(&format!("  {}\n", clean(&problem.to_string())));
    }
    text
}

fn fleet(verdict: &Verdict, issues: &[Issue], style: Style) -> String {
    let mut text = String::new();
    for issue in issues {
        let mark = if issue.is_error() { style.paint(Tone::Red, style.bad()) } else { "!".to_owned() };
        text.push_str(&issue_text(verdict, issue, &mark));
    }
    if verdict.exit == 0 {
        text.push_str(&format!(
            "{} Fleet file is valid; validate the scores that it lists by themselves\n",
            style.paint(Tone::Green, style.ok())
        ));
    }
    text
}

fn score(verdict: &Verdict, findings: &Findings, style: Style, verbose: bool) -> String {
    let mut text = String::new();
    let issues = &findings.issues;
    let not_yaml = issues.iter().any(|issue| issue.is_error() && issue.code == "yaml");
    let structural = issues.iter().any(Issue::is_structural);
    if structural {
        text.push_str(&format!("{} Config validation failed:\n", style.paint(Tone::Red, style.bad())));
    }
    if !not_yaml {
        text.push_str(&format!("{} YAML syntax valid\n", style.ok()));
    }
    if !structural {
        text.push_str(&format!("{} Schema validation passed\n", style.ok()));
    }
    for (severity, heading, mark, tone) in [
        (Severity::Error, "ERRORS (must fix before running)", style.bad(), Tone::Red),
        (Severity::Warning, "WARNINGS (may cause issues)", "!", Tone::Yellow),
        (Severity::Info, "INFO (consider reviewing)", style.dot(), Tone::Blue),
    ] {
        let mut found = issues.iter().filter(|issue| issue.severity == severity).peekable();
        if found.peek().is_some() {
            text.push_str(&format!("\n{}\n", style.paint(tone, heading)));
        }
        for issue in found {
            text.push_str(&issue_text(verdict, issue, style.paint(tone, mark).as_str()));
        }
    }
    text.push_str(&summary(verdict, style));
    if let (Some(score), Some(plan), 0) = (&findings.score, &findings.plan, verdict.exit) {
        text.push_str(&overview(score, plan, verbose));
        text.push_str(&previews(score, plan, findings, verbose));
    }
    text
}

/// `✗ [V001] Line 12: message`, where that is, the line itself with a caret, and what to do.
fn issue_text(verdict: &Verdict, issue: &Issue, mark: &str) -> String {
    let place = issue.line.map_or_else(String::new, |line| format!("Line {line}: "));
    // The message of a check names what it is about; that of the structure needs the path.
    let said = if issue.code.starts_with('V') { issue.message.clone() } else { issue.headline() };
    let mut text = format!("  {mark} [{}] {place}{}\n", issue.code, clean(&said));
    if let Some(line) = issue.line.filter(|_| issue.severity != Severity::Info) {
        let column = issue.column.unwrap_or(1);
        text.push_str(&format!("      --> {}:{line}:{column}\n", verdict.file));
        text.push_str(&excerpt(&verdict.source.text, line, column));
    }
    let mut lines = issue.hint.iter().flat_map(|hint| hint.lines());
    if let Some(first) = lines.next() {
        text.push_str(&format!("      Suggestion: {first}\n"));
    }
    for line in lines {
        text.push_str(&format!("        {line}\n"));
    }
    text
}

/// The line of a text with a caret below the column. A long line is cut around it.
fn excerpt(source: &str, line: u32, column: u32) -> String {
    let Some(written) = source.lines().nth(line as usize - 1) else { return String::new() };
    let column = column.saturating_sub(1) as usize;
    let skipped = if column > MAX_EXCERPT * 3 / 4 { column - MAX_EXCERPT / 2 } else { 0 };
    // One character stays one character, so that the caret stands below the right one.
    let shown = |c: char| if c == '\t' || c.is_control() { ' ' } else { c };
    let mut part: String = written.chars().skip(skipped).take(MAX_EXCERPT).map(shown).collect();
    let mut at = column - skipped;
    if skipped > 0 {
        part.insert_str(0, "...");
        at += 3;
    }
    if written.chars().count() > skipped + MAX_EXCERPT {
        part.push_str("...");
    }
    let number = line.to_string();
    format!(
        "      {number} | {}\n      {} | {}^\n",
        part.trim_end(),
        " ".repeat(number.len()),
        " ".repeat(at)
    )
}

fn summary(verdict: &Verdict, style: Style) -> String {
    let errors = verdict.count(Severity::Error);
    let warnings = verdict.count(Severity::Warning);
    if errors == 0 && warnings == 0 {
        let name = clean(&verdict.name);
        return format!("\n{} Configuration valid: {name}\n", style.paint(Tone::Green, style.ok()));
    }
    let mut parts = Vec::new();
    if errors > 0 {
        parts.push(format!("{} (must fix)", plural(errors, "error")));
    }
    if warnings > 0 {
        parts.push(format!("{} (should fix)", plural(warnings, "warning")));
    }
    let word = if verdict.exit == 0 { "PASSED (with warnings)" } else { "FAILED" };
    format!("\nSummary: {}\nValidation: {word}\n", parts.join(", "))
}

pub(super) fn plural(n: usize, word: &str) -> String {
    if n == 1 { format!("1 {word}") } else { format!("{n} {word}s") }
}

fn overview(score: &Score, plan: &Plan, verbose: bool) -> String {
    let mut text = format!(
        "\n  Sheets: {}\n  Instrument: {}\n  Validations: {}\n  Notifications: {}\n\n",
        plan.sheets.len(),
        plan_view::instruments(plan).join(", "),
        score.validations.len(),
        score.notifications.len(),
    );
    let levels = plan_view::levels(plan);
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
    let most = if score.parallel.enabled { score.parallel.max_concurrent as usize } else { 1 };
    text.push_str(&format!("  Max concurrency: {}\n", plural(widest.min(most), "sheet")));
    text
}

/// The prompt of sheet 1 as it would be now, or of all sheets.
fn previews(score: &Score, plan: &Plan, findings: &Findings, verbose: bool) -> String {
    let mut text = String::new();
    let shown = if verbose { plan.sheets.len() } else { 1 };
    for (sheet, rendered) in plan.sheets.iter().zip(&findings.rendered).take(shown) {
        let Ok(body) = &rendered.body else { continue };
        text.push_str(&format!("\n  Prompt of {}:\n", place(sheet, plan)));
        for line in document::snippet(body).lines() {
            text.push_str(&format!("    {}\n", clean(line)).replace("    \n", "\n"));
        }
        let vars = document::vars(score, plan, sheet);
        for index in &sheet.rules {
            let rule = &score.validations[*index];
            let path =
                rule.path.as_ref().map(|path| expand_path(path, &vars).unwrap_or_else(|_| path.clone()));
            let what = path.or_else(|| rule.command.clone()).unwrap_or_default();
            let what = crate::cli::format::one_line(&what, Some(100));
            text.push_str(&format!("    - {}: {what}\n", rule.kind.as_str()));
        }
    }
    text
}

fn place(sheet: &SheetPlan, plan: &Plan) -> String {
    let of = plan.sheets.len();
    if sheet.fan_count > 1 {
        format!(
            "sheet {} of {of} (stage {}, instance {} of {})",
            sheet.num, sheet.stage, sheet.instance, sheet.fan_count
        )
    } else {
        format!("sheet {} of {of}", sheet.num)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_below_the_column() {
        assert_eq!(excerpt("a\n\tb: cd\n", 2, 5), "      2 |  b: cd\n        |     ^\n");
        let long = format!("{}x{}", "-".repeat(300), "-".repeat(300));
        let text = excerpt(&long, 1, 301);
        let (first, second) = text.trim_end().split_once('\n').unwrap_or_default();
        assert_eq!(first.find('x'), second.find('^'));
        assert!(first.len() < 160 && first.ends_with("..."));
        assert_eq!(excerpt("a", 7, 1), "");
    }
}
