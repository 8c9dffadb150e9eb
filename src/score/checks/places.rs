//! Checks over the whole document: what was left to be filled in, and what has no effect.

use super::{Report, Subject, alike};
use crate::score::{Issue, Value, inert_keys};

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
        let open = text.to_ascii_uppercase().contains("[CHANGE THIS") || text.contains("/path/to/");
        let home = text.starts_with("~/") && key != "prompt_extensions" && PATH_KEYS.contains(&key);
        if home {
            let message = format!("'{text}' begins with `~`, which is not the home directory here");
            let hint = "write the whole path, such as /home/me/..., or one relative to the score";
            found.push(Issue::warning("V216", path, message).hint(hint));
        }
        if open && PATH_KEYS.contains(&key) && !text.contains('\n') {
            let message = format!("'{text}' looks like a placeholder that was never filled in");
            found.push(Issue::warning("V216", path, message).hint("write the path that is meant"));
        }
    });
    for issue in found {
        report.add(subject, issue);
    }
}

/// V221 for `notifications[].config`, which differs by kind.
pub(super) fn notifications(subject: &Subject<'_>, report: &mut Report) {
    for (index, notification) in subject.score.notifications.iter().enumerate() {
        let known: &[&str] = match notification.kind {
            "webhook" => {
                &["url", "url_env", "headers", "timeout", "max_retries", "retry_delay", "include_metadata"]
            }
            "slack" => &["webhook_url", "webhook_url_env", "channel", "username", "icon_emoji", "timeout"],
            _ => &["app_name", "timeout"],
        };
        for (key, value) in notification.config.iter() {
            let name = key.to_string();
            let path = format!("notifications.{index}.config.{name}");
            if !known.contains(&name.as_str()) {
                let hint = match alike(&name, known.iter().copied()) {
                    Some(near) => format!("Did you mean '{near}'?"),
                    None => format!("a {} knows {}", notification.kind, known.join(", ")),
                };
                let message = format!("unknown key '{name}' for a {}, it has no effect", notification.kind);
                let place = subject.document.key(&path);
                report.add(subject, Issue::warning("V221", &path, message).at(place).hint(hint));
                continue;
            }
            let fits = match name.as_str() {
                "timeout" | "retry_delay" | "max_retries" => {
                    matches!(value, Value::Int(number) if *number >= 0)
                        || matches!(value, Value::Float(number) if *number >= 0.0)
                }
                "headers" => value.as_map().is_some(),
                "include_metadata" => matches!(value, Value::Bool(_)),
                _ => value.as_str().is_some(),
            };
            if !fits {
                let what = match name.as_str() {
                    "headers" => "a mapping of names and texts",
                    "include_metadata" => "true or false",
                    "timeout" | "retry_delay" | "max_retries" => "a number",
                    _ => "a text",
                };
                let message = format!("'{name}' should be {what}; the value is not used");
                let hint = format!("write {what}");
                report.add(subject, Issue::warning("V221", &path, message).hint(hint));
            }
        }
    }
}

/// V230: keys that are accepted and do nothing, in one line.
pub(super) fn inert(subject: &Subject<'_>, report: &mut Report) {
    let keys = inert_keys(subject.score);
    let Some(first) = keys.first() else { return };
    let message = format!("Accepted, but without effect in this version: {}", keys.join(", "));
    let hint = "they may stay; do not rely on them";
    report.add(subject, Issue::info("V230", first, message).hint(hint).detail("keys", keys));
}
