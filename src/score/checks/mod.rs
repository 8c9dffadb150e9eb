//! Static checks of a score that loads: what will go wrong when it runs, and what is probably not meant.
//!
//! Pure: files are looked at in [`crate::lint`], instruments come through [`Instruments`]. Every check runs,
//! whatever the others find; one that crashes becomes an issue itself. `docs/checks.md` lists the codes.

mod advice;
mod blocks;
mod conditions;
mod instruments;
mod keys;
mod placeholders;
mod places;
mod rules;
mod shared;
mod templates;
mod version;

#[cfg(test)]
mod cases;
#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub(crate) use instruments::config_path;

use super::document::Document;
use super::{Issue, Score, Source};
use crate::ids::SheetNo;
use crate::plan::Plan;

/// What is known about an instrument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// It asks for permissions unless it is told not to.
    pub asks: bool,
    /// It has tool servers that can be switched off.
    pub tool_servers: bool,
    /// A configuration of tool servers can be handed to it.
    pub takes_tool_servers: bool,
    /// It is a service that is reached over HTTP.
    pub over_http: bool,
}

/// The instruments that a score may name.
pub trait Instruments {
    /// What is known about one; `None` when there is none of that name.
    fn facts(&self, name: &str) -> Option<Facts>;
    /// All names, sorted.
    fn names(&self) -> Vec<String>;
}

/// What is checked.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) source: &'a Source,
    pub(crate) document: &'a Document,
    pub(crate) score: &'a Score,
    pub(crate) plan: &'a Plan,
    pub(crate) instruments: &'a dyn Instruments,
}

/// A prompt body as it would be now, with what earlier sheets will have written left open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The sheet.
    pub sheet: SheetNo,
    /// The text, or why there is none.
    pub body: Result<String, String>,
}

/// What the checks found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) issues: Vec<Issue>,
    pub(crate) rendered: Vec<Rendered>,
}

/// One check: its code, and what it does.
pub(crate) type Check = (&'static str, fn(&Subject<'_>, &mut Report));

/// All of them, in the order of their codes. V003, V007, V008, V106 and V221 are found while loading, V212 while
/// expanding, V002, V004, V005, V107, V108 and V301 where files can be looked at.
const CHECKS: &[Check] = &[
    ("V001", templates::syntax),
    ("V001", templates::path_templates),
    ("V009", version::check),
    ("V101", templates::undefined),
    ("V103", instruments::timeouts),
    ("V201", rules::template_syntax),
    ("V202", templates::single_braces),
    ("V203", rules::none),
    ("V204", instruments::permissions),
    ("V205", rules::only_existence),
    ("V206", keys::fan_out_without_dependencies),
    ("V207", keys::fan_out_without_parallel),
    ("V208", templates::shadowing),
    ("V209", instruments::tool_servers),
    ("V210", instruments::unknown),
    ("V211", instruments::unknown_fallbacks),
    ("V213", conditions::unknown_names),
    ("V214", placeholders::unknown),
    ("V214", placeholders::odd_commands),
    ("V215", rules::never),
    ("V216", places::left_to_fill_in),
    ("V217", templates::rendering),
    ("V218", shared::paths),
    ("V219", rules::sheets_without),
    ("V220", places::dangerous),
    ("V222", keys::sheets_not_stages),
    ("V223", keys::out_of_range),
    ("V230", places::inert),
    ("V302", instruments::techniques),
];

/// Runs all checks. The issues are in the order of the checks.
pub(crate) fn run(subject: &Subject<'_>) -> Report {
    let mut report = Report::default();
    run_more(subject, CHECKS, &mut report);
    report
}

/// Runs checks of somebody else after these.
pub(crate) fn run_more(subject: &Subject<'_>, checks: &[Check], report: &mut Report) {
    for (code, check) in checks {
        guarded(code, *check, subject, report);
    }
}

fn guarded(code: &str, check: fn(&Subject<'_>, &mut Report), subject: &Subject<'_>, report: &mut Report) {
    let outcome = catch_unwind(AssertUnwindSafe(|| check(subject, report)));
    if let Err(panic) = outcome {
        report.issues.push(crashed(code, panic.as_ref()));
    }
}

/// What is said about a check that did not come to its end.
fn crashed(code: &str, panic: &(dyn std::any::Any + Send)) -> Issue {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    let message = format!("Check {code} failed to execute: {text}");
    Issue::error(code, "", message).hint("this is a mistake of the program: please report it with the score")
}

/// Errors, then warnings, then remarks; each with those of the structure first, then by code, then as they were found.
pub(crate) fn sort(issues: &mut [Issue]) {
    issues.sort_by(|one, other| {
        let numbered = |issue: &Issue| issue.code.starts_with('V');
        let key = |issue: &Issue| (issue.severity, numbered(issue));
        let by_code = || if numbered(one) { one.code.cmp(&other.code) } else { std::cmp::Ordering::Equal };
        key(one).cmp(&key(other)).then_with(by_code)
    });
}

impl Subject<'_> {
    /// The issue at the place of its path.
    pub(crate) fn located(&self, issue: Issue) -> Issue {
        let place = self.document.place(&issue.path);
        issue.at(place)
    }

    /// A way to speak of a rule: `validation rule 2`.
    fn rule(index: usize) -> String {
        format!("validation rule {}", index + 1)
    }
}

impl Report {
    /// Adds an issue at the place of its path, unless it has a place already.
    pub(crate) fn add(&mut self, subject: &Subject<'_>, issue: Issue) {
        self.issues.push(if issue.line.is_some() { issue } else { subject.located(issue) });
    }
}

/// `1-3, 5`: numbers in ascending order with runs put together.
pub(crate) fn ranges(numbers: &[u32]) -> String {
    let mut parts: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => parts.push((*number, *number)),
        }
    }
    let shown = |(first, last): &(u32, u32)| match last - first {
        0 => first.to_string(),
        1 => format!("{first}, {last}"),
        _ => format!("{first}-{last}"),
    };
    let mut texts: Vec<String> = parts.iter().take(20).map(shown).collect();
    if parts.len() > texts.len() {
        texts.push("...".to_owned());
    }
    texts.join(", ")
}

/// `sheet 3`, `sheets 1-3, 5`.
pub(crate) fn sheets(numbers: &[u32]) -> String {
    format!("sheet{} {}", if numbers.len() == 1 { "" } else { "s" }, ranges(numbers))
}

/// The candidate that is most alike, when it is alike enough to be meant.
pub(crate) fn alike<'c>(word: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let close = |candidate: &&str| {
        let longest = word.chars().count().max(candidate.chars().count());
        let distance = super::decode::distance(word, candidate);
        // Six characters of ten are the same.
        *candidate != word && distance.saturating_mul(10) <= longest * 4
    };
    candidates.filter(close).min_by_key(|candidate| super::decode::distance(word, candidate))
}
