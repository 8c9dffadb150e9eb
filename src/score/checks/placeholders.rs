//! V214: placeholders that nothing fills, in paths and in commands.

use super::rules::each;
use super::templates::vars;
use super::{Report, Subject, alike};
use crate::plan::BUILT_IN;
use crate::score::{HookAction, Issue, Rule};
use crate::template::Stand;
use crate::template::placeholders::expand_path;

/// V214: a placeholder that nothing fills.
pub(super) fn unknown(subject: &Subject<'_>, report: &mut Report) {
    // Which names there are does not depend on the sheet.
    let Some(sheet) = subject.plan.sheets.first() else { return };
    let vars = vars(subject, sheet, Stand::Text);
    each(subject, |index, rule| {
        for (key, text) in [("path", &rule.path), ("working_directory", &rule.working_directory)] {
            let Some(text) = text else { continue };
            if let Some(at) = text.find("${") {
                dollar(subject, report, (index, key), &text[at..]);
            }
            let Err(why) = expand_path(text, &vars) else { continue };
            let why = if key == "path" { why } else { why.replace(" in path", &format!(" in {key}")) };
            let path = format!("validations.{index}.{key}");
            let name = why.strip_prefix("unknown placeholder {").and_then(|rest| rest.split('}').next());
            let name = name.unwrap_or_default();
            let scalars =
                || vars.iter().filter(|(_, item)| item.scalar_text().is_some()).map(|(name, _)| name);
            let hint = match alike(name, scalars()) {
                Some(near) => format!("Did you mean '{{{near}}}'?"),
                None if text.contains(&format!("${{{name}}}")) && !name.is_empty() => {
                    "variables of the environment are not expanded in paths: put the directory into prompt.variables"
                        .to_owned()
                }
                None if why.starts_with("unknown") => {
                    "placeholders are {workspace}, {sheet_num}, {stage}, {instance} and the variables of the prompt \
                     that are neither lists nor mappings"
                        .to_owned()
                }
                None if why.contains("can be formatted") => {
                    "write {name}, or {name:03d} for a number with leading zeros".to_owned()
                }
                None if why.contains("without") => {
                    "close the placeholder as {workspace}; write a literal brace twice: {{ or }}".to_owned()
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

/// V214, the warning: `${workspace}` in a path, where no shell takes the `$` away.
fn dollar(subject: &Subject<'_>, report: &mut Report, (index, key): (usize, &str), rest: &str) {
    let Some((name, _)) = rest.trim_start_matches("${").split_once('}') else { return };
    if !BUILT_IN.contains(&name) {
        return;
    }
    let path = format!("validations.{index}.{key}");
    let message = format!("Validation rule {}: the `$` of `${{{name}}}` stays in the {key}", index + 1);
    let place = subject.document.within(&subject.source.text, &path, Some(1), "${");
    report.add(subject, Issue::warning("V214", &path, message).at(place).hint(format!("write {{{name}}}")));
}

/// V214, the warning: braces in a command that look like a placeholder and are none, so the shell gets them.
pub(super) fn odd_commands(subject: &Subject<'_>, report: &mut Report) {
    let own = subject.plan.user_variables.iter().filter(|(_, value)| value.is_scalar());
    let known: Vec<&str> = BUILT_IN.into_iter().chain(own.filter_map(|(key, _)| key.as_str())).collect();
    let rules = |key: &str, rules: &[Rule]| {
        let command =
            |(index, rule): (usize, &Rule)| Some((format!("{key}.{index}.command"), rule.command.clone()?));
        rules.iter().enumerate().filter_map(command).collect::<Vec<_>>()
    };
    let score = subject.score;
    let skips = score.sheet.skip_when_command.iter();
    let skips =
        skips.map(|(key, skip)| (format!("sheet.skip_when_command.{key}.command"), skip.command.clone()));
    let mut commands = rules("validations", &score.validations);
    commands.append(&mut rules("preconditions", &score.preconditions));
    commands.extend(skips);
    for (path, command) in commands {
        odd(subject, report, &path, &command, &known, false);
    }
    for (key, hooks) in [("on_success", &score.on_success), ("on_failure", &score.on_failure)] {
        for (index, hook) in hooks.iter().enumerate() {
            let (field, text) = match &hook.action {
                HookAction::Job { path, .. } => ("job_path", path),
                HookAction::Command(text) | HookAction::Script(text) => ("command", text),
            };
            odd(subject, report, &format!("{key}.{index}.{field}"), text, &HOOK_NAMES, true);
        }
    }
}

/// What hooks know.
const HOOK_NAMES: [&str; 3] = ["workspace", "job_id", "sheet_count"];

fn odd(subject: &Subject<'_>, report: &mut Report, path: &str, text: &str, known: &[&str], hook: bool) {
    for (at, _) in text.match_indices('{') {
        let before = text[..at].chars().next_back();
        let rest = &text[at + 1..];
        let double = rest.starts_with('{');
        if before == Some('$') || before == Some('{') {
            continue;
        }
        let inner = rest.trim_start_matches('{');
        let Some((name, after)) = inner.split_once('}') else { continue };
        let (name, written) = (name.trim(), format!("{{{name}"));
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(word) || double && !after.starts_with('}') {
            continue;
        }
        let (message, hint) = if double {
            if !known.contains(&name) {
                continue;
            }
            (format!("`{{{{ {name} }}}}` in a command is not replaced"), format!("write {{{name}}}"))
        } else if known.contains(&name) {
            continue;
        } else if hook && BUILT_IN.contains(&name) {
            let hint = format!("hooks know {{{}}}", known.join("}, {"));
            (format!("placeholder {{{name}}} is not known to hooks, it stays as it is"), hint)
        } else if let Some(near) = alike(name, known.iter().copied()) {
            (
                format!("unknown placeholder {{{name}}} in a command, it stays as it is"),
                format!("Did you mean '{{{near}}}'?"),
            )
        } else {
            continue;
        };
        let needle = if double { name } else { &written };
        let place = subject.document.within(&subject.source.text, path, Some(1), needle);
        report.add(subject, Issue::warning("V214", path, message).at(place).hint(hint));
    }
}
