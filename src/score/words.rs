//! Which key of a level is meant by one that does not exist: another spelling of it, or another word for it.

use super::decode::nearest;

/// What people write, and the keys that may be meant; the first one that the level has is taken.
const OTHER_WORDS: &[(&str, &[&str])] = &[
    ("after", &["dependencies"]),
    ("agent", &["instrument"]),
    ("args", &["cli_extra_args"]),
    ("attempts", &["max_retries", "retry_count"]),
    ("batch_size", &["size"]),
    ("body", &["template"]),
    ("budget", &["max_cost_per_job"]),
    ("chunk_size", &["size"]),
    ("cmd", &["command"]),
    ("concurrency", &["max_concurrent"]),
    ("contains", &["pattern"]),
    ("content", &["pattern", "template"]),
    ("count", &["voices"]),
    ("cwd", &["working_directory"]),
    ("delay", &["base_delay_seconds", "retry_delay_ms"]),
    ("depends", &["dependencies"]),
    ("depends_on", &["dependencies"]),
    ("deps", &["dependencies"]),
    ("desc", &["description"]),
    ("dir", &["directory", "working_directory"]),
    ("environment", &["env"]),
    ("events", &["on_events"]),
    ("exec", &["command"]),
    ("extra_args", &["cli_extra_args"]),
    ("fallbacks", &["instrument_fallbacks"]),
    ("file", &["path"]),
    ("filename", &["path", "file"]),
    ("folder", &["directory"]),
    ("if", &["condition"]),
    ("items", &["total_items"]),
    ("job", &["job_path"]),
    ("kind", &["type", "as"]),
    ("match", &["pattern"]),
    ("max_attempts", &["max_retries"]),
    ("max_cost", &["max_cost_per_job"]),
    ("max_parallel", &["max_concurrent"]),
    ("needs", &["dependencies"]),
    ("only_if", &["condition"]),
    ("output_dir", &["workspace"]),
    ("path", &["file", "job_path"]),
    ("prompt", &["template"]),
    ("regex", &["pattern"]),
    ("regexp", &["pattern"]),
    ("retries", &["max_retries", "retry_count"]),
    ("run", &["command"]),
    ("score", &["job_path"]),
    ("script", &["command"]),
    ("shell", &["command"]),
    ("sheet_num", &["sheet"]),
    ("sheets", &["sheet_nums"]),
    ("skip_if", &["skip_when"]),
    ("start", &["start_item"]),
    ("text", &["pattern", "template"]),
    ("title", &["name"]),
    ("total", &["total_items"]),
    ("url", &["webhook_url"]),
    ("vars", &["variables"]),
    ("when", &["condition"]),
    ("workdir", &["working_directory"]),
    ("workers", &["max_concurrent"]),
];

/// How times and amounts end.
const UNITS: [&str; 4] = ["_seconds", "_ms", "_minutes", "_percent"];

/// The key among `known` that is most likely meant: misspelt, in another case or with other separators, with another
/// unit or without one, or another word.
pub(super) fn meant<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    let all = || known.iter().copied();
    let plain = letters(key);
    all()
        .find(|candidate| letters(candidate) == plain)
        .or_else(|| nearest(key, all()))
        .or_else(|| {
            let (_, words) = OTHER_WORDS.iter().find(|(word, _)| letters(word) == plain)?;
            words.iter().find_map(|word| all().find(|candidate| candidate == word))
        })
        .or_else(|| unit(key, known))
}

/// The word of a list that is most likely meant: in another case, misspelt, or cut short.
pub(super) fn of<'k>(written: &str, words: &[&'k str]) -> Option<&'k str> {
    let all = || words.iter().copied();
    let plain = letters(written);
    let part = |word: &&str| {
        let word = letters(word);
        plain.len() >= 3 && (word.contains(&plain) || plain.contains(&word))
    };
    let mut parts = all().filter(part);
    all()
        .find(|word| !plain.is_empty() && letters(word) == plain)
        .or_else(|| nearest(written, all()))
        .or_else(|| parts.next().filter(|_| parts.next().is_none()))
}

/// `timeout` and `timeout_minutes` for `timeout_seconds`.
fn unit<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    let ends = ["_minutes", "_mins", "_min", "_seconds", "_secs", "_sec", "_s", "_ms", "_hours"];
    let stem = ends.iter().find_map(|end| key.strip_suffix(end)).unwrap_or(key);
    if stem.is_empty() {
        return None;
    }
    let with_unit = |candidate: &&str| {
        candidate.strip_prefix(stem).is_some_and(|end| UNITS.contains(&end)) && **candidate != *key
    };
    known.iter().copied().find(with_unit)
}

/// A key without what joins its words, in one case, one thing instead of several.
fn letters(key: &str) -> String {
    let plain: String = key.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    match (plain.strip_suffix("ies"), plain.strip_suffix('s')) {
        (Some(stem), _) => format!("{stem}y"),
        (None, Some(stem)) if stem.len() >= 3 => stem.to_owned(),
        _ => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_found_by_a_part_of_it() {
        let words = ["file_exists", "file_modified", "content_regex"];
        for (written, word) in [
            ("exists", Some("file_exists")),
            ("FILE-MODIFIED", Some("file_modified")),
            ("regex", Some("content_regex")),
            ("file", None),
            ("content_regexp", Some("content_regex")),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(of(written, &words), word, "{written}");
        }
    }

    #[test]
    fn a_key_is_found_by_what_it_is_called_elsewhere() {
        let known = [
            "type",
            "path",
            "pattern",
            "command",
            "condition",
            "retry_count",
            "timeout_seconds",
            "pause_between_sheets_seconds",
        ];
        for (written, key) in [
            ("comand", Some("command")),
            ("cmd", Some("command")),
            ("Retry-Count", Some("retry_count")),
            ("retries", Some("retry_count")),
            ("conditions", Some("condition")),
            ("when", Some("condition")),
            ("regex", Some("pattern")),
            ("kind", Some("type")),
            ("timeout", Some("timeout_seconds")),
            ("timeout_minutes", Some("timeout_seconds")),
            ("pauseBetweenSheetsSeconds", Some("pause_between_sheets_seconds")),
            ("pause-between-sheets-seconds", Some("pause_between_sheets_seconds")),
            ("colour", None),
            ("", None),
            ("_s", None),
        ] {
            assert_eq!(meant(written, &known), key, "{written}");
        }
    }
}
