//! Checks of `validations`: which rules there are, and which sheets they apply to.

use std::collections::BTreeSet;

use super::{Report, Subject, sheets};
use crate::score::{Issue, Rule, RuleKind};

/// V203: nothing is checked.
pub(super) fn none(subject: &Subject<'_>, report: &mut Report) {
    if subject.score.validations.is_empty() {
        let issue = Issue::warning("V203", "validations", "No validation rules configured");
        let place = subject.document.place("validations").or_else(|| subject.document.place("name"));
        let hint = "a sheet then counts as done when its program says so; add\n\
                    validations:\n  - type: file_exists\n    path: \"{workspace}/result.md\"";
        report.add(subject, issue.at(place).hint(hint));
    }
}

/// V201: template syntax in a path.
pub(super) fn template_syntax(subject: &Subject<'_>, report: &mut Report) {
    each(subject, |index, rule| {
        for (key, text) in [("path", &rule.path), ("working_directory", &rule.working_directory)] {
            let Some(text) = text.as_ref().filter(|text| text.contains("{{")) else { continue };
            let path = format!("validations.{index}.{key}");
            let message = format!("Validation rule {} uses Jinja syntax in {key}: {text}", index + 1);
            let hint = "rules know placeholders with single braces: use {workspace}, {sheet_num}, {instance}";
            report.add(subject, Issue::warning("V201", &path, message).hint(hint));
        }
    });
}

/// V205: files of an earlier run satisfy everything.
pub(super) fn only_existence(subject: &Subject<'_>, report: &mut Report) {
    let rules = &subject.score.validations;
    if !rules.is_empty() && rules.iter().all(|rule| rule.kind == RuleKind::FileExists) {
        let message = "All rules are file_exists: stale files from previous runs will pass";
        let hint = "add a file_modified or a content rule";
        report.add(subject, Issue::info("V205", "validations", message).hint(hint));
    }
}

/// V215: a rule for no sheet.
pub(super) fn never(subject: &Subject<'_>, report: &mut Report) {
    let used: BTreeSet<usize> =
        subject.plan.sheets.iter().flat_map(|sheet| sheet.rules.iter().copied()).collect();
    let total = subject.plan.sheets.len();
    each(subject, |index, rule| {
        if used.contains(&index) {
            return;
        }
        let name = Subject::rule(index);
        let beyond = rule.sheet.filter(|sheet| *sheet as usize > total);
        let (key, message) = match (beyond, &rule.condition) {
            (Some(sheet), _) => {
                ("sheet", format!("{name} never applies: sheet {sheet} is out of range (valid: 1-{total})"))
            }
            (None, Some(condition)) => {
                ("condition", format!("{name} never applies: no sheet satisfies `{}`", condition.text))
            }
            (None, None) => ("sheet", format!("{name} never applies to any sheet")),
        };
        let last = subject.plan.total_stages;
        let hint =
            format!("there are {total} sheets in {last} stages: correct the number, or remove the rule");
        let path = format!("validations.{index}.{key}");
        report.add(subject, Issue::warning("V215", &path, message).hint(hint));
    });
}

/// V219: sheets that nothing is asked of.
pub(super) fn sheets_without(subject: &Subject<'_>, report: &mut Report) {
    if subject.score.validations.is_empty() {
        return;
    }
    let without: Vec<u32> =
        subject.plan.sheets.iter().filter(|sheet| sheet.rules.is_empty()).map(|sheet| sheet.num.0).collect();
    if !without.is_empty() {
        let verb = if without.len() == 1 { "has" } else { "have" };
        let message = format!("No validation rule applies to {}", sheets(&without));
        let hint = format!(
            "{} {verb} nothing to satisfy and count as done when the program ends well; add a rule, or widen a condition",
            sheets(&without)
        );
        report.add(subject, Issue::info("V219", "validations", message).hint(hint).detail("sheets", without));
    }
}

/// Every rule with its position.
pub(super) fn each(subject: &Subject<'_>, mut check: impl FnMut(usize, &Rule)) {
    for (index, rule) in subject.score.validations.iter().enumerate() {
        check(index, rule);
    }
}
