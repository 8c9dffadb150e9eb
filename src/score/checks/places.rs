//! Checks over the whole document: what was left to be filled in, and what has no effect.

use super::instruments::switched;
use super::{Report, Subject};
use crate::score::{HookAction, InstrumentConfig, Issue, danger, inert_keys};

/// Keys whose values are paths.
const PATH_KEYS: [&str; 16] = [
    "workspace",
    "path",
    "file",
    "directory",
    "working_directory",
    "template_file",
    "system_prompt_file",
    "job_path",
    "job_workspace",
    "worktree_base",
    "file_path",
    "state_path",
    "spec_dir",
    "concert_log_path",
    "outcome_store_path",
    "prompt_extensions",
];

/// V216: a path that an example left open.
pub(super) fn left_to_fill_in(subject: &Subject<'_>, report: &mut Report) {
    let mut found = Vec::new();
    subject.document.texts(|path, key, text| {
        if !PATH_KEYS.contains(&key) {
            return;
        }
        let angle = text.starts_with('<') && text[1..].contains('>');
        let open = text.to_ascii_uppercase().contains("[CHANGE THIS") || text.contains("/path/to/") || angle;
        let home = text.starts_with("~/") && key != "prompt_extensions";
        if home {
            let message = format!("'{text}' begins with `~`, which is not the home directory here");
            let hint = "write the whole path, such as /home/me/..., or one relative to the score";
            found.push(Issue::warning("V216", path, message).hint(hint));
        }
        if open && !text.contains('\n') {
            let message = format!("'{text}' looks like a placeholder that was never filled in");
            found.push(Issue::warning("V216", path, message).hint("write the path that is meant"));
        }
    });
    for issue in found {
        report.add(subject, issue);
    }
}

/// V220: a command that can destroy the machine. The engine never runs one of a hook; one of a rule it would run.
pub(super) fn dangerous(subject: &Subject<'_>, report: &mut Report) {
    let hint = "write the directory that is meant, such as {workspace}/build";
    for (list, hooks) in
        [("on_success", &subject.score.on_success), ("on_failure", &subject.score.on_failure)]
    {
        for (index, hook) in hooks.iter().enumerate() {
            let (HookAction::Command(command) | HookAction::Script(command)) = &hook.action else { continue };
            if let Some(pattern) = danger::pattern(command) {
                let path = format!("{list}.{index}.command");
                let message = format!(
                    "The command matches `{pattern}`, which can destroy the machine; it is never run"
                );
                report.add(subject, Issue::error("V220", &path, message).hint(hint));
            }
        }
    }
    let rules =
        [("validations", &subject.score.validations), ("preconditions", &subject.score.preconditions)];
    for (list, rules) in rules {
        for (index, rule) in rules.iter().enumerate() {
            if let Some(pattern) = rule.command.as_deref().and_then(danger::pattern) {
                let path = format!("{list}.{index}.command");
                let message = format!("The command matches `{pattern}`, which can destroy the machine");
                report.add(subject, Issue::warning("V220", &path, message).hint(hint));
            }
        }
    }
}

/// V230: keys that are accepted and do nothing, in one line; and settings of services that are given to programs.
pub(super) fn inert(subject: &Subject<'_>, report: &mut Report) {
    let keys = inert_keys(subject.score);
    if let Some(first) = keys.first() {
        let message = format!("Accepted, but without effect in this version: {}", keys.join(", "));
        let hint = "they may stay; do not rely on them";
        report.add(subject, Issue::info("V230", first, message).hint(hint).detail("keys", keys.clone()));
    }
    for (key, set) in FOR_SERVICES {
        let programs: Vec<_> = switched(subject, key, set, |facts| !facts.over_http);
        // A level that also reaches a service does its work there.
        let services = switched(subject, key, set, |facts| facts.over_http);
        for (path, name) in programs.into_iter().filter(|(path, _)| services.iter().all(|(it, _)| it != path))
        {
            let message = format!("{key} is without effect: '{name}' is a program, not a service over HTTP");
            let hint = "remove it, give it to the program with cli_extra_args or env, or use an instrument of kind http";
            report.add(subject, Issue::info("V230", &path, message).hint(hint).detail("keys", vec![key]));
        }
    }
}

/// A setting of an instrument, and whether it is made.
type Setting = (&'static str, fn(&InstrumentConfig) -> bool);

/// What only an instrument of kind http takes.
const FOR_SERVICES: [Setting; 4] = [
    ("max_tokens", |config| config.max_tokens.is_some()),
    ("temperature", |config| config.temperature.is_some()),
    ("api_key_env", |config| config.api_key_env.is_some()),
    ("base_url", |config| config.base_url.is_some()),
];
