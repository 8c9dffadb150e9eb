//! Puts a whole prompt together: what is the same for many attempts first, what is new last.
//!
//! Reads nothing: rendered body, injected texts and earlier results are handed in.

use crate::exec::{PreviousFailure, RuleResult};
use crate::util::text::{cut, head_chars, tail_chars};

/// Everything that can be part of a prompt.
#[derive(Debug, Clone, Default)]
pub struct PromptParts<'a> {
    /// The instrument takes the body alone, byte for byte (`raw_prompt` of its profile).
    pub raw: bool,
    /// Number of the sheet, from 1.
    pub sheet: u32,
    /// Sheets of the job.
    pub total: u32,
    /// Absolute path.
    pub workspace: &'a str,
    /// Attempts of this sheet before this one.
    pub retry_count: u32,
    /// Other sheets of the job may run at the same time.
    pub concurrent: bool,
    /// Injected skills, techniques included.
    pub skills: &'a [String],
    /// Injected tools.
    pub tools: &'a [String],
    /// Injected context.
    pub context: &'a [String],
    /// The rendered template or [`default_body`].
    pub body: &'a str,
    /// Fragments of the specification.
    pub specs: &'a [String],
    /// Rules that will be checked after this sheet, in stage order.
    pub requirements: &'a [Requirement],
    /// Directives of the score, then of the sheet.
    pub extensions: &'a [String],
    /// What the attempt before failed at.
    pub previous: Option<&'a PreviousFailure>,
    /// `(k, m)`: this is completion attempt k of m; `None` for a normal attempt.
    pub completion: Option<(u32, u32)>,
    /// Something in the surroundings was mended since the attempt before.
    pub healing: bool,
    /// What a person has to add.
    pub note: Option<&'a str>,
}

/// One rule as the prompt shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requirement {
    /// `file_exists`, ...
    pub rule_type: String,
    /// From the score.
    pub description: Option<String>,
    /// Expanded path.
    pub path: Option<String>,
    /// Pattern as it is checked.
    pub pattern: Option<String>,
    /// Command.
    pub command: Option<String>,
}

/// Size of a prompt, as recorded and checked before a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metrics {
    /// Characters.
    pub characters: u64,
    /// A quarter of the characters, rounded up.
    pub estimated_tokens: u64,
    /// Lines.
    pub lines: u64,
    /// Words.
    pub words: u64,
}

/// Measures a prompt.
#[must_use]
pub fn measure(prompt: &str) -> Metrics {
    let characters = prompt.chars().count() as u64;
    Metrics {
        characters,
        estimated_tokens: characters.div_ceil(4),
        lines: prompt.lines().count() as u64,
        words: prompt.split_whitespace().count() as u64,
    }
}

/// The body of a sheet whose score gives no template.
#[must_use]
pub fn default_body(
    sheet: u32,
    total: u32,
    items: (u64, u64),
    stakes: &str,
    thinking_method: &str,
) -> String {
    let first = format!("Processing sheet {sheet} of {total} (items {}-{})", items.0, items.1);
    joined([first, stakes.to_owned(), thinking_method.to_owned()])
}

/// The whole prompt. Parts are separated by one blank line; empty parts leave no trace.
#[must_use]
pub fn assemble(parts: &PromptParts<'_>) -> String {
    if parts.raw {
        return parts.body.to_owned();
    }
    let normal_retry = parts.previous.filter(|_| parts.completion.is_none());
    joined([
        preamble(parts),
        section("## Injected Skills", parts.skills),
        section("## Injected Tools", parts.tools),
        section("## Injected Context", parts.context),
        parts.body.to_owned(),
        section("## Injected Specs", parts.specs),
        normal_retry.map(failure).unwrap_or_default(),
        requirements(parts.requirements),
        joined(parts.extensions.iter().cloned()),
        parts.completion.map(|round| completion(round, parts.previous)).unwrap_or_default(),
        if parts.healing { HEALED.to_owned() } else { String::new() },
        parts.note.map(|note| format!("---\n## Note From A Person\n\n{}", note.trim())).unwrap_or_default(),
    ])
}

/// The last part of a healing attempt.
const HEALED: &str = "---\n## Mended Since The Last Attempt\n\n\
    Something around this sheet was repaired after the last attempt failed, a missing directory or a wrong setting \
    for example. Do not take over what the last attempt concluded about it: look again.";

fn joined(parts: impl IntoIterator<Item = String>) -> String {
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.trim().is_empty()).collect();
    parts.join("\n\n")
}

fn section(heading: &str, texts: &[String]) -> String {
    let body = joined(texts.iter().cloned());
    if body.is_empty() { body } else { format!("{heading}\n\n{body}") }
}

fn preamble(parts: &PromptParts<'_>) -> String {
    let mut lines = vec![
        format!(
            "You work on sheet {} of {} of a job that runs unattended; nobody can answer questions.",
            parts.sheet, parts.total
        ),
        format!("Workspace: {}", parts.workspace),
        "Put everything you produce into the workspace.".to_owned(),
        "Leave no process running in the background when you are done.".to_owned(),
    ];
    if !parts.requirements.is_empty() {
        lines.push("The requirements at the end are checked by a program when you finish.".to_owned());
    }
    if parts.concurrent {
        lines.push(
            "Other sheets may work in the same workspace at this moment: change only what is yours."
                .to_owned(),
        );
    }
    if parts.retry_count > 0 {
        lines.push(format!(
            "RETRY #{}: an earlier attempt at this sheet did not finish it. Look at what it left in the workspace before you begin.",
            parts.retry_count
        ));
    }
    format!("<mozart-preamble>\n{}\n</mozart-preamble>", lines.join("\n"))
}

fn requirements(rules: &[Requirement]) -> String {
    if rules.is_empty() {
        return String::new();
    }
    let mut out = "---\n## Success Requirements (Validated Automatically)\n".to_owned();
    for (number, rule) in (1..).zip(rules) {
        let title = rule.description.clone().filter(|text| !text.trim().is_empty());
        let title = title.unwrap_or_else(|| format!("Requirement {number}"));
        out.push_str(&format!("\n{number}. **{title}**\n   {}", requirement(rule)));
    }
    out
}

fn requirement(rule: &Requirement) -> String {
    let path = rule.path.as_deref().unwrap_or("?");
    let pattern = rule.pattern.as_deref().unwrap_or_default();
    match rule.rule_type.as_str() {
        "file_exists" => format!("This file must exist: `{path}`"),
        "file_modified" => format!("This file must be changed by you: `{path}`"),
        "content_contains" => format!("File `{path}` must contain this text: `{pattern}`"),
        "content_regex" => format!("File `{path}` must match this regular expression: `{pattern}`"),
        _ => format!("This command must succeed: `{}`", cut(rule.command.as_deref().unwrap_or_default(), 60)),
    }
}

/// Why the attempt before this one counts as failed.
fn failure(previous: &PreviousFailure) -> String {
    let mut parts = Vec::new();
    if let Some(error) = &previous.error {
        parts.push(format!("It ended with {}: {}", error.code, head_chars(&error.message, 1000)));
    }
    let failed = failed_rules(&previous.validations);
    if !failed.is_empty() {
        parts.push(format!("These checks failed:\n{failed}"));
    }
    let tail = tail_chars(previous.stderr_tail.trim(), 2000);
    if !tail.is_empty() {
        parts.push(format!("The end of its error output:\n```\n{tail}\n```"));
    }
    if parts.is_empty() {
        return String::new();
    }
    format!("## What The Previous Attempt Failed At\n\n{}", parts.join("\n\n"))
}

fn failed_rules(results: &[RuleResult]) -> String {
    let lines: Vec<String> = results.iter().filter(|rule| !rule.passed).map(failed_rule).collect();
    lines.join("\n")
}

fn failed_rule(rule: &RuleResult) -> String {
    let mut line = format!("- {}", name_of(rule));
    if let Some(path) = &rule.path {
        line.push_str(&format!("\n  - checked: `{}`", cut(path, 200)));
    }
    if let Some(pattern) = &rule.pattern {
        line.push_str(&format!("\n  - expected: `{}`", cut(pattern, 200)));
    }
    let category = rule.failure_category.as_deref().unwrap_or("failed");
    line.push_str(&format!(
        "\n  - {category}: {}",
        rule.failure_reason.as_deref().unwrap_or("no reason recorded")
    ));
    if let Some(fix) = &rule.suggested_fix {
        line.push_str(&format!("\n  - try: {fix}"));
    }
    line
}

fn name_of(rule: &RuleResult) -> String {
    rule.description.clone().unwrap_or_else(|| rule.rule_type.clone())
}

/// Its name; without one what it looks at, since a score may have many rules of a kind.
fn told_apart(rule: &RuleResult) -> String {
    match (&rule.description, &rule.path) {
        (None, Some(path)) => format!("{} `{path}`", rule.rule_type),
        _ => name_of(rule),
    }
}

/// The last part of a completion attempt: what is done, what is missing.
fn completion((attempt, most): (u32, u32), previous: Option<&PreviousFailure>) -> String {
    let results: &[RuleResult] = previous.map_or(&[], |previous| &previous.validations);
    let passed: Vec<String> =
        results.iter().filter(|rule| rule.passed).map(|rule| format!("- {}", told_apart(rule))).collect();
    let mut hints: Vec<&str> = Vec::new();
    for hint in results.iter().filter(|rule| !rule.passed).filter_map(|rule| rule.suggested_fix.as_deref()) {
        let hint = head_chars(hint, 100);
        if !hints.contains(&hint) && hints.len() < 3 {
            hints.push(hint);
        }
    }
    let mut parts = vec![
        "---\n## Finish What Is Missing".to_owned(),
        format!(
            "This is completion attempt {attempt} of {most}. Most of the work above is already done and checked. \
             Do only what is still missing; do not redo or undo the rest."
        ),
    ];
    if !passed.is_empty() {
        parts.push(format!("Already passing, leave alone:\n{}", passed.join("\n")));
    }
    let failed = failed_rules(results);
    if !failed.is_empty() {
        parts.push(format!("Still failing:\n{failed}"));
    }
    if !hints.is_empty() {
        parts.push(format!("Hints: {}", hints.join("; ")));
    }
    parts.join("\n\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use expect_test::{Expect, expect};

    use super::*;
    use crate::classify::ErrorCode;
    use crate::exec::SheetError;

    fn check(parts: &PromptParts<'_>, expected: Expect) {
        expected.assert_eq(&assemble(parts));
    }

    fn parts() -> PromptParts<'static> {
        PromptParts { sheet: 2, total: 3, workspace: "/w", body: "Do it.", ..PromptParts::default() }
    }

    fn results() -> Vec<RuleResult> {
        let passed = RuleResult { rule_type: "file_exists".into(), passed: true, ..RuleResult::default() };
        let failed = RuleResult {
            rule_type: "content_contains".into(),
            description: Some("report says done".into()),
            path: Some("/w/report.md".into()),
            pattern: Some("DONE".into()),
            failure_category: Some("incomplete".into()),
            failure_reason: Some("text not found".into()),
            suggested_fix: Some("write DONE".into()),
            ..RuleResult::default()
        };
        vec![passed, failed]
    }

    #[test]
    fn raw_instruments_get_the_body_alone() {
        let extensions = ["more".to_owned()];
        let parts = PromptParts { raw: true, extensions: &extensions, body: " body\n\n", ..parts() };
        assert_eq!(assemble(&parts), " body\n\n");
    }

    // Invariant I61
    #[test]
    fn parts_stand_in_order() {
        let requirements = [
            Requirement {
                rule_type: "file_exists".into(),
                path: Some("/w/a".into()),
                ..Requirement::default()
            },
            Requirement {
                rule_type: "command_succeeds".into(),
                description: Some("tests pass".into()),
                command: Some("x".repeat(70)),
                ..Requirement::default()
            },
        ];
        let (skills, context, extensions) =
            (["skill".to_owned()], ["c1".to_owned(), String::new(), "c2".to_owned()], ["ext".to_owned()]);
        let parts = PromptParts {
            skills: &skills,
            context: &context,
            requirements: &requirements,
            extensions: &extensions,
            concurrent: true,
            ..parts()
        };
        check(
            &parts,
            expect![[r#"
            <mozart-preamble>
            You work on sheet 2 of 3 of a job that runs unattended; nobody can answer questions.
            Workspace: /w
            Put everything you produce into the workspace.
            Leave no process running in the background when you are done.
            The requirements at the end are checked by a program when you finish.
            Other sheets may work in the same workspace at this moment: change only what is yours.
            </mozart-preamble>

            ## Injected Skills

            skill

            ## Injected Context

            c1

            c2

            Do it.

            ---
            ## Success Requirements (Validated Automatically)

            1. **Requirement 1**
               This file must exist: `/w/a`
            2. **tests pass**
               This command must succeed: `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...`

            ext"#]],
        );
    }

    #[test]
    fn a_retry_says_what_failed() {
        let previous = PreviousFailure {
            error: Some(SheetError { code: ErrorCode::E209, message: "1 of 2 checks failed".into() }),
            stderr_tail: "warning: x\n".into(),
            validations: results(),
        };
        let parts = PromptParts { retry_count: 1, previous: Some(&previous), ..parts() };
        check(
            &parts,
            expect![[r#"
            <mozart-preamble>
            You work on sheet 2 of 3 of a job that runs unattended; nobody can answer questions.
            Workspace: /w
            Put everything you produce into the workspace.
            Leave no process running in the background when you are done.
            RETRY #1: an earlier attempt at this sheet did not finish it. Look at what it left in the workspace before you begin.
            </mozart-preamble>

            Do it.

            ## What The Previous Attempt Failed At

            It ended with E209: 1 of 2 checks failed

            These checks failed:
            - report says done
              - checked: `/w/report.md`
              - expected: `DONE`
              - incomplete: text not found
              - try: write DONE

            The end of its error output:
            ```
            warning: x
            ```"#]],
        );
    }

    // Invariant I61
    #[test]
    fn a_completion_attempt_ends_with_what_is_missing() {
        let previous = PreviousFailure { error: None, stderr_tail: String::new(), validations: results() };
        let parts = PromptParts { previous: Some(&previous), completion: Some((1, 5)), ..parts() };
        let prompt = assemble(&parts);
        assert!(!prompt.contains("Previous Attempt Failed"));
        let suffix = prompt.split("---\n").last().unwrap();
        expect![[r#"
            ## Finish What Is Missing

            This is completion attempt 1 of 5. Most of the work above is already done and checked. Do only what is still missing; do not redo or undo the rest.

            Already passing, leave alone:
            - file_exists

            Still failing:
            - report says done
              - checked: `/w/report.md`
              - expected: `DONE`
              - incomplete: text not found
              - try: write DONE

            Hints: write DONE"#]]
        .assert_eq(suffix);
    }

    #[test]
    fn repairs_and_people_have_the_last_word() {
        let parts = PromptParts { healing: true, note: Some(" use the other file\n"), ..parts() };
        let prompt = assemble(&parts);
        let (_, end) = prompt.split_once("Do it.\n\n---\n").unwrap();
        assert!(end.starts_with("## Mended Since The Last Attempt\n\n"), "{end}");
        assert!(end.ends_with("---\n## Note From A Person\n\nuse the other file"), "{end}");
    }

    #[test]
    fn sizes() {
        assert_eq!(measure("äöü xy\nz"), Metrics { characters: 8, estimated_tokens: 2, lines: 2, words: 3 });
        assert_eq!(default_body(1, 2, (1, 5), "", "think"), "Processing sheet 1 of 2 (items 1-5)\n\nthink");
    }
}
