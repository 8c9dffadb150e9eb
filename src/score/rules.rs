//! `validations` and `preconditions`: what must be true of the workspace.

use serde::Serialize;

use super::decode::{At, Bound, Fields};
use super::issue::{Issue, Severity};
use super::pattern;
use super::sheet::Condition;
use super::yaml::Kind;

/// One rule. The fields that its kind needs are there: loading checks it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rule {
    /// What is checked.
    pub kind: RuleKind,
    /// File, with placeholders. Needed by all kinds but commands.
    pub path: Option<String>,
    /// Text or regular expression. Needed by the kinds that look at content; never empty there.
    pub pattern: Option<String>,
    /// Shell command, with placeholders. Needed by commands.
    pub command: Option<String>,
    /// Directory of the command, with placeholders; default the workspace.
    pub working_directory: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// Validation stage 1-10, default 1; not the stage of the sheet.
    pub stage: u8,
    /// The sheets it applies to; all without one.
    pub condition: Option<Condition>,
    /// The one concrete sheet it applies to; together with a condition both must hold.
    pub sheet: Option<u32>,
    /// Further checks after a failed one, 0-10: 3, but 0 for a command whose rule does not say.
    pub retry_count: u32,
    /// Pause between them in milliseconds, 0-5000, default 200.
    pub retry_delay_ms: u32,
    /// Longest run of a command, default 3600.
    pub timeout_seconds: f64,
    /// Run the command with `set -o pipefail`.
    pub pipefail: bool,
}

/// Kind of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleKind {
    /// A regular file is there.
    FileExists,
    /// The attempt changed the file.
    FileModified,
    /// The file contains a text.
    ContentContains,
    /// The file matches a regular expression.
    ContentRegex,
    /// A shell command exits with 0.
    CommandSucceeds,
}

impl RuleKind {
    const WORDS: &[(&str, Self)] = &[
        ("file_exists", Self::FileExists),
        ("file_modified", Self::FileModified),
        ("content_contains", Self::ContentContains),
        ("content_regex", Self::ContentRegex),
        ("command_succeeds", Self::CommandSucceeds),
    ];

    /// As written in a score.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FileExists => "file_exists",
            Self::FileModified => "file_modified",
            Self::ContentContains => "content_contains",
            Self::ContentRegex => "content_regex",
            Self::CommandSucceeds => "command_succeeds",
        }
    }
}

impl Rule {
    pub(super) fn decode(at: &At<'_>) -> Option<Self> {
        let mut f = at.fields()?;
        let kind = f.required("type").and_then(|at| at.one_of(RuleKind::WORDS));
        let path = f.opt_text("path");
        let pattern = f.opt_text("pattern");
        let command = f.opt_text("command");
        let working_directory = f.opt_text("working_directory");
        let description = f.nullable("description").and_then(|at| at.label());
        let stage = f.int("stage", 1..=10, 1);
        let condition = f.nullable("condition").and_then(|at| condition(&at));
        let sheet = f.opt_int("sheet", 1..=i64::MAX);
        let retries = f.opt_int("retry_count", 0..=10);
        let retry_delay_ms = f.int("retry_delay_ms", 0..=5000, 200);
        let timeout_seconds = f.opt_seconds("timeout_seconds", Bound::Above(0.0)).unwrap_or(3600.0);
        let pipefail = f.boolean("pipefail", false);

        f.report_unknown(|_| false, |_| None);
        let kind = kind?;
        let is_command = kind == RuleKind::CommandSucceeds;
        let looks_inside = matches!(kind, RuleKind::ContentContains | RuleKind::ContentRegex);
        let needs = [
            ("path", !is_command, &path),
            ("pattern", looks_inside, &pattern),
            ("command", is_command, &command),
        ];
        let (mut absent, mut blank) = (Vec::new(), Vec::new());
        for (name, _, value) in needs.into_iter().filter(|(_, needed, _)| *needed) {
            let empty = value.as_deref().is_some_and(|text| text.trim().is_empty());
            // A value of the wrong type has been reported already.
            if f.peek(name).is_none_or(|at| at.is_null()) {
                absent.push(name);
            } else if name == "pattern" && empty {
                empty_pattern(&f, value.as_deref() == Some(""));
            } else if empty {
                blank.push(name);
            }
        }
        for name in absent {
            let message = format!("Validation type '{}' requires '{name}' field", kind.as_str());
            f.error_about(&[name], message);
        }
        if let Some(at) = blank.first().and_then(|name| f.peek(name)) {
            let (kind, list) = (kind.as_str(), blank.join(", "));
            let message =
                format!("Validation rule {} ({kind}) missing required fields: {list}", number(&at.path));
            at.report(Issue::error("V008", &at.path, message).hint(format!("give a value to {list}")));
        }
        if kind == RuleKind::ContentRegex
            && let Some(text) = &pattern
            && let Err(message) = pattern::check(text)
            && let Some(at) = f.peek("pattern")
        {
            let message = format!("Invalid regex pattern for content_regex validation: {message}");
            at.report(Issue::error("V007", &at.path, message).hint(pattern::advice(text)));
        }
        Some(Self {
            kind,
            path,
            pattern,
            command,
            working_directory,
            description,
            stage,
            condition,
            sheet,
            retry_count: retries.unwrap_or(if is_command { 0 } else { 3 }),
            retry_delay_ms,
            timeout_seconds,
            pipefail,
        })
    }
}

fn condition(at: &At<'_>) -> Option<Condition> {
    if let Kind::Bool(true) = at.node.kind {
        let hint = "remove the key: a rule without a condition applies to every sheet";
        at.error_hint("Input should be a valid string", hint);
        return None;
    }
    match Condition::parse(at.text()?) {
        Ok(condition) => Some(condition),
        Err(message) => {
            let issue = Issue::error("V213", &at.path, format!("cannot parse condition: {message}"));
            at.report(issue.hint("for example: stage == 2 and instance in [1, 3]"));
            None
        }
    }
}

/// Any content has the empty text in it; blanks may be meant.
fn empty_pattern(f: &Fields<'_>, empty: bool) {
    let Some(at) = f.peek("pattern") else { return };
    let number = number(&at.path);
    let message = format!("Empty pattern in validation rule {number} will match any content");
    let mut issue = Issue::error("V106", &at.path, message);
    if !empty {
        issue.severity = Severity::Warning;
    }
    at.report(issue.hint("write the text that the file must contain, or use file_exists"));
}

/// The number of the rule that a path leads into, from 1.
pub(super) fn number(path: &str) -> usize {
    path.split('.').find_map(|step| step.parse::<usize>().ok()).map_or(0, |index| index + 1)
}
