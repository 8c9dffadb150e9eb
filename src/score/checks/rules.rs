//! Checks of `validations` and of conditions.

use std::collections::BTreeSet;

use super::templates::vars;
use super::{Report, Subject, alike, sheets};
use crate::plan::BUILT_IN;
use crate::score::{Condition, Issue, Rule, RuleKind};
use crate::template::Stand;
use crate::template::placeholders::expand_path;

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

/// V213, the warning: a condition asks for a name that nothing defines.
pub(super) fn unknown_names(subject: &Subject<'_>, report: &mut Report) {
    each(subject, |index, rule| {
        if let Some(condition) = &rule.condition {
            let path = format!("validations.{index}.condition");
            names(subject, report, &path, condition, &[], "so the rule applies");
        }
    });
    for (stage, condition) in &subject.score.sheet.skip_when {
        let path = format!("sheet.skip_when.{stage}");
        names(subject, report, &path, condition, &["sheets", "job"], "so the sheet runs");
    }
}

fn names(
    subject: &Subject<'_>,
    report: &mut Report,
    path: &str,
    condition: &Condition,
    more: &[&str],
    effect: &str,
) {
    let own = || {
        let scalar = subject.plan.user_variables.iter().filter(|(_, value)| value.is_scalar());
        scalar.filter_map(|(key, _)| key.as_str())
    };
    let known = || BUILT_IN.into_iter().chain(more.iter().copied()).chain(own());
    for name in condition.expr.names() {
        if known().any(|known| known == name) {
            continue;
        }
        let hint = match alike(name, known()) {
            Some(near) => format!("Did you mean '{near}'?"),
            None => {
                "conditions know sheet_num, stage, instance, fan_count, total_sheets and the variables of \
                     the prompt that are neither lists nor mappings"
                    .to_owned()
            }
        };
        let message = format!("Unknown variable '{name}' in condition, {effect}");
        let place = subject.document.within(&subject.source.text, path, Some(1), name);
        report.add(subject, Issue::warning("V213", path, message).at(place).hint(hint));
    }
}

/// V214: a placeholder that nothing fills.
pub(super) fn unknown_placeholders(subject: &Subject<'_>, report: &mut Report) {
    // Which names there are does not depend on the sheet.
    let Some(sheet) = subject.plan.sheets.first() else { return };
    let vars = vars(subject, sheet, Stand::Text);
    each(subject, |index, rule| {
        for (key, text) in [("path", &rule.path), ("working_directory", &rule.working_directory)] {
            let Some(text) = text else { continue };
            let Err(why) = expand_path(text, &vars) else { continue };
            let why = if key == "path" { why } else { why.replace(" in path", &format!(" in {key}")) };
            let path = format!("validations.{index}.{key}");
            let name = why.strip_prefix("unknown placeholder {").and_then(|rest| rest.split('}').next());
            let name = name.unwrap_or_default();
            let scalars =
                || vars.iter().filter(|(_, item)| item.scalar_text().is_some()).map(|(name, _)| name);
            let hint = match alike(name, scalars()) {
                Some(near) => format!("Did you mean '{{{near}}}'?"),
                None if why.starts_with("unknown") => {
                    "placeholders are {workspace}, {sheet_num}, {stage}, {instance} and the variables of the prompt \
                     that are neither lists nor mappings"
                        .to_owned()
                }
                None => "give the placeholder a name, as {sheet_num}; write a literal brace twice: {{ or }}".to_owned(),
            };
            let needle = format!("{{{name}");
            let needle = if name.is_empty() { text } else { &needle };
            let place = subject.document.within(&subject.source.text, &path, Some(1), needle);
            let message = format!("Validation rule {}: {why}", index + 1);
            report.add(subject, Issue::error("V214", &path, message).at(place).hint(hint));
        }
    });
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

fn each(subject: &Subject<'_>, mut check: impl FnMut(usize, &Rule)) {
    for (index, rule) in subject.score.validations.iter().enumerate() {
        check(index, rule);
    }
}
