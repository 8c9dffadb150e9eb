//! V213, the warnings: what conditions ask for that does not exist. That they parse is seen when they are loaded.

use super::rules::each;
use super::{Report, Subject, alike};
use crate::plan::BUILT_IN;
use crate::score::document::find_word;
use crate::score::expr::{JOB_FIELDS, SHEET_FIELDS};
use crate::score::{Condition, Issue, Value};

/// Words of `sheets[n].status`, those of the checkpoint.
const SHEET_STATUS: [&str; 10] = [
    "pending",
    "dispatched",
    "in_progress",
    "waiting",
    "retry_scheduled",
    "fermata",
    "completed",
    "failed",
    "skipped",
    "cancelled",
];
/// Words of `job.status` that a job can have while a sheet is about to start.
const JOB_STATUS: [&str; 8] =
    ["queued", "running", "paused", "paused_at_chain", "finishing", "completed", "failed", "cancelled"];

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
        asked(subject, report, &path, condition);
    }
}

/// V213 for `skip_when`: entries and fields of `sheets` and `job` that do not exist.
fn asked(subject: &Subject<'_>, report: &mut Report, path: &str, condition: &Condition) {
    let total = subject.plan.sheets.len();
    for one in condition.expr.uses() {
        let fields: &[&str] = match one.name {
            "sheets" => &SHEET_FIELDS,
            "job" => &JOB_FIELDS,
            _ => continue,
        };
        let mut warn = |needle: &str, message: String, hint: String| {
            let place = subject.document.within(&subject.source.text, path, Some(1), needle);
            let message = format!("{message}, so the sheet runs");
            report.add(subject, Issue::warning("V213", path, message).at(place).hint(hint));
        };
        let number = one.index.and_then(|key| match key {
            Value::Int(number) => Some(*number),
            Value::Str(text) => text.parse().ok(),
            _ => None,
        });
        let inside =
            number.is_none_or(|number| usize::try_from(number).is_ok_and(|n| (1..=total).contains(&n)));
        if one.name == "sheets" && !inside {
            let number = number.unwrap_or_default();
            warn(
                &number.to_string(),
                format!("The condition asks for sheet {number}, which does not exist (valid: 1-{total})"),
                format!("there are {total} sheets: correct the number"),
            );
        }
        let Some(field) = one.attributes.first() else { continue };
        if one.name == "sheets" && !one.indexed {
            warn(
                field,
                format!("`sheets.{field}` does not say which sheet"),
                format!("name the sheet: sheets[1].{field}"),
            );
        } else if !fields.contains(field) {
            let hint = match alike(field, fields.iter().copied()) {
                Some(near) => format!("Did you mean '{near}'?"),
                None => format!("there are {}", fields.join(", ")),
            };
            warn(field, format!("`{}` has no field '{field}'", one.name), hint);
        } else if *field == "status" {
            let words: &[&str] = if one.name == "job" { &JOB_STATUS } else { &SHEET_STATUS };
            for word in one.compared.iter().filter(|word| !words.contains(word)) {
                let hint = match alike(word, words.iter().copied()) {
                    Some(near) => format!("Did you mean '{near}'?"),
                    None => format!("the words are {}", words.join(", ")),
                };
                let message = format!("No {} has the status '{word}'", one.name.trim_end_matches('s'));
                let place = subject.document.within(&subject.source.text, path, Some(1), word);
                report.add(subject, Issue::warning("V213", path, message).at(place).hint(hint));
            }
        }
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
        // What something is compared with is often a text without its quotes.
        let compared = ["==", "!="].iter().any(|sign| {
            condition.text.split(sign).skip(1).any(|right| find_word(right.trim_start(), name) == Some(0))
        });
        let hint = match alike(name, known()) {
            _ if compared => format!("a text stands between quotes: '{name}'"),
            _ if name == "sheet" && !more.contains(&"sheets") => "Did you mean 'sheet_num'?".to_owned(),
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
