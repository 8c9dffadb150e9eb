//! What to do about a problem, where the place that found it does not say: read from its message.
//!
//! Every error of a score ends up with advice; the reader has the message and the line already.

use super::issue::Issue;

/// Gives every issue that has no advice some.
pub(crate) fn complete(issues: &mut [Issue]) {
    for issue in issues.iter_mut().filter(|issue| issue.hint.is_none()) {
        issue.hint = advice(issue);
    }
}

/// Messages by what they contain, and the advice. `{}` stands for the key that is meant.
const ADVICE: [(&str, &str); 49] = [
    ("unable to interpret input", "write `{}: true` or `{}: false`"),
    ("valid boolean", "write `{}: true` or `{}: false`"),
    ("fractional part", "write a whole number without a decimal point"),
    ("valid integer", "write a whole number, such as `{}: 3`"),
    ("valid number", "write a number, such as `{}: 30`"),
    ("finite number", "write an ordinary number, such as `{}: 30`"),
    ("smaller number", "write a smaller number"),
    ("at least 1 character", "write something between the quotes, or remove the key"),
    ("at most", "shorten it"),
    ("valid string", "put the value into quotes"),
    ("Input should be '", "choose one of the values listed"),
    ("nothing stands after this key", "remove the key, or write a value after it"),
    ("a number is read as text", "put it into quotes"),
    ("a name must not", "write a name such as `my-score`"),
    ("requires 'path'", "add `path: \"{workspace}/file\"` to the rule"),
    ("requires 'pattern'", "add `pattern: text` to the rule"),
    ("requires 'command'", "add `command: \"test -f done\"`, with the command that is meant"),
    ("requires 'job_path'", "add `job_path: other-score.yaml`"),
    (
        "requires 'url'",
        "add below `config:`: `url: https://...`, or `url_env` with the name of a variable that holds it",
    ),
    (
        "requires 'webhook_url'",
        "add below `config:`: `webhook_url: https://...`, or `webhook_url_env` with the name of a variable that holds it",
    ),
    ("cannot depend on itself", "remove its own number from its list"),
    ("must be positive integer", "sheets and stages are numbered from 1"),
    ("must be a positive integer", "sheets and stages are numbered from 1"),
    ("must be >= 1", "write at least 1, or remove the entry"),
    ("start_item (", "lower start_item or raise total_items, which is the number of the last item"),
    ("must not exceed", "lower the first or raise the second"),
    ("duplicate key", "keep one of the two"),
    ("cannot parse expression", "for example: sheets[1].status == \"completed\" and stage == 2"),
    ("not both", "remove one of the two"),
    ("One of 'file' or 'directory'", "add `file: notes.md`, or `directory: notes`"),
    ("file_path is required", "add `file_path: job.log`, or write `format: console`"),
    ("multiple instruments", "leave the sheet in one of the lists"),
    ("preserve_patterns must not", "remove the empty text"),
    ("must not be empty", "write a name, or remove the entry"),
    ("the template is empty", "write the text of the prompt below `template: |`, indented"),
    ("default prompt is used", "add `template: |` with the text of the prompt"),
    ("share one worktree", "switch one of the two off"),
    ("no longer supported", "write `instrument: NAME` with one of `mozart instruments list`"),
    ("will be ignored", "remove these fields"),
    ("must be less than", "lower the first or raise the second"),
    ("must be <=", "lower the first or raise the second"),
    ("no hooks configured", "add a hook, or switch the section off"),
    ("no limits set", "add `max_cost_per_job: 5`, or remove `enabled: true`"),
    ("no triggers configured", "add:\ntriggers:\n  - name: review\n    sheet_nums: [2]"),
    ("at least one non-empty condition", "add `sheet_nums: [2]` to it, for example"),
    ("must be a directory below the workspace", "write a relative path without `..`, such as `archive`"),
    ("pattern needs a group", "put the part that is the feedback into brackets: `START(.+?)END`"),
    ("security-sensitive variable", "remove the variable; programs get this one from the conductor"),
    ("ceiling (", "choose three numbers that rise: floor, initial_budget, ceiling"),
];

/// Maps whose keys are numbers of stages or sheets; below every other key a number is the index of a list.
const BY_NUMBER: [&str; 13] = [
    "dependencies",
    "fan_out",
    "skip_when",
    "skip_when_command",
    "descriptions",
    "cadenzas",
    "per_sheet_instruments",
    "per_sheet_instrument_config",
    "per_sheet_fallbacks",
    "spec_tags",
    "timeout_overrides",
    "sheet_overrides",
    "movements",
];

/// Sections that are switched on by a key.
const SWITCHED: [&str; 11] = [
    "parallel",
    "isolation",
    "stale_detection",
    "circuit_breaker",
    "feedback",
    "grounding",
    "learning",
    "checkpoints",
    "ai_review",
    "concert",
    "bridge",
];

fn advice(issue: &Issue) -> Option<String> {
    let message = issue.message.as_str();
    if message == "Field required" {
        return Some(required(&issue.path));
    }
    if issue.code == "V212" {
        let range = message.split_once("valid: ").and_then(|(_, rest)| rest.split(')').next());
        let range = range.map_or(String::new(), |range| format!(" ({range})"));
        return Some(format!("use numbers of stages{range}, or remove the entry"));
    }
    if let Some(rest) = message.find("valid: 1-").map(|at| &message[at + "valid: ".len()..]) {
        return Some(format!("use numbers {}, or raise total_items", rest.split(')').next().unwrap_or(rest)));
    }
    let key = key(&issue.path);
    if let Some(name) = is_item(&issue.path).then(|| list_of(&issue.path)) {
        if message.starts_with("Input should be a valid integer") {
            return Some(format!("write whole numbers into the list, such as `{name}: [1, 2]`"));
        }
        if let Some(text) = range(message, "") {
            return Some(text);
        }
    }
    if let Some(text) = range(message, key) {
        return Some(text);
    }
    if message.starts_with("Input should be a valid list") {
        return Some(list(&issue.path, key));
    }
    if message.starts_with("Input should be a valid mapping") {
        return Some(mapping(&issue.path, key));
    }
    let by_text = ADVICE.iter().find(|(part, _)| message.contains(part));
    let text = match by_text {
        Some((_, text)) => *text,
        None if message.starts_with("Circular") => "remove one of the dependencies that close the circle",
        None if message.starts_with("fan_out requires") => "fan-out needs `size: 1` and `start_item: 1`",
        None if message.starts_with("score expands to") => "raise `size`, or lower `total_items`",
        None if message.contains("conflicts with") => "keep one of the two",
        None if message.contains("should match pattern") => {
            "begin with a letter; letters, digits, `-` and `_` follow"
        }
        None if message.contains("but the score has") => {
            let stages = message.rsplit("has ").next().unwrap_or_default().trim_end_matches(" stages");
            return Some(format!("use movements 1-{stages}, or raise total_items"));
        }
        None if message.contains("not valid regex") => {
            "test the pattern by itself; write `\\(` for a bracket that is meant"
        }
        None if message.starts_with("read as backend") => {
            "write:\ninstrument_config:\n  working_directory: ..."
        }
        None if message.starts_with("condition cannot be decided") => {
            "conditions know sheet_num, stage, instance, fan_count, total_sheets and the variables of the prompt"
        }
        None if issue.code == "yaml" => "a score begins with `name: my-score`, `sheet:` and `prompt:`",
        None if issue.is_error() => "`mozart schema score --markdown` has every key with its type and range",
        None => return None,
    };
    Some(text.replace("{}", key))
}

/// The key that a path leads to: its last step, of an item of a list the name of the list.
fn key(path: &str) -> &str {
    let mut steps = path.rsplit('.');
    let number = |step: &str| step.parse::<u64>().is_ok();
    let Some(last) = steps.next().filter(|step| !step.is_empty()) else { return "value" };
    if !number(last) {
        return last;
    }
    match steps.next() {
        Some(parent) if BY_NUMBER.contains(&parent) => last,
        Some(parent) if number(parent) => steps.next().unwrap_or(parent),
        parent => parent.unwrap_or(last),
    }
}

/// The last step of a path is the number of an item.
pub(super) fn is_item(path: &str) -> bool {
    let last = path.rsplit('.').next().unwrap_or(path);
    last.parse::<u64>().is_ok() && key(path) != last
}

/// The key of the list that a path of an item leads to.
fn list_of(path: &str) -> &str {
    path.rsplit('.').nth(1).unwrap_or(path)
}

/// A number outside its range: which numbers are inside. Without a key it is the item of a list.
fn range(message: &str, key: &str) -> Option<String> {
    let after = |text: &str| message.split_once(text).map(|(_, number)| number.trim());
    let example =
        |number: &str| if key.is_empty() { String::new() } else { format!(", such as `{key}: {number}`") };
    if let Some(least) = after("greater than or equal to") {
        return Some(format!("write {least} or more{}", example(least)));
    }
    if let Some(above) = after("should be greater than") {
        return Some(format!("write a number above {above}"));
    }
    after("less than or equal to").map(|most| format!("write {most} or less{}", example(most)))
}

/// A single value where a list is expected: with brackets, unless the items are sections.
pub(super) fn single(path: &str, written: &str) -> Option<String> {
    if item(path).is_some() {
        return None;
    }
    let key = if is_item(path) { list_of(path) } else { key(path) };
    if path.starts_with("sheet.instrument_map.") && key.parse::<u32>().is_ok() {
        return Some(format!("the instrument comes first, then its sheets: `{written}: [{key}]`"));
    }
    Some(format!("write a list: `{key}: [{written}]`"))
}

/// How an item of a list of sections begins.
fn item(path: &str) -> Option<&'static str> {
    let steps: Vec<&str> = path.split('.').filter(|step| step.parse::<u64>().is_err()).collect();
    Some(match steps.last().copied()? {
        "validations" | "preconditions" => "- type: file_exists\n    path: \"{workspace}/result.md\"",
        "prelude" | "cadenzas" => "- file: notes.md\n    as: context",
        "on_success" | "on_failure" => "- type: run_command\n    command: echo done",
        "notifications" => "- type: desktop\n    on_events: [job_failed]",
        "triggers" => "- name: review\n    sheet_nums: [2]",
        "mcp_servers" => "- name: files\n    command: server",
        "hooks" => "- type: file_checksum\n    expected_checksums: {file.txt: ...}",
        "skills" => "- id: review\n    description: ...",
        _ => return None,
    })
}

fn list(path: &str, key: &str) -> String {
    match item(path) {
        Some(item) => format!("write a list:\n{key}:\n  {item}"),
        None if path.starts_with("sheet.dependencies.") => format!("write a list: `{key}: [1]`"),
        None => format!("write a list: `{key}: [a, b]`, or one `- item` a line"),
    }
}

fn mapping(path: &str, key: &str) -> String {
    if let Some(item) = item(path).filter(|_| is_item(path)) {
        return format!("write an item with keys:\n  {item}");
    }
    let example = match path.rsplit_once('.').map_or("", |(parent, _)| parent) {
        "sheet.skip_when_command" => format!("{key}: {{command: \"test -f done\"}}"),
        "movements" => format!("{key}: {{name: first}}"),
        "instruments" => format!("{key}: {{profile: claude-code}}"),
        "sheet.per_sheet_instrument_config" => format!("{key}: {{model: ...}}"),
        _ => match path {
            "sheet" => "sheet:\n  size: 1\n  total_items: 3".to_owned(),
            "prompt" => "prompt:\n  template: |\n    your text".to_owned(),
            "retry" => "retry:\n  max_retries: 3".to_owned(),
            "sheet.dependencies" => "dependencies:\n  2: [1]".to_owned(),
            "sheet.fan_out" => "fan_out:\n  2: 3".to_owned(),
            "prompt.variables" => "variables:\n  name: value".to_owned(),
            "instrument_config" => "instrument_config:\n  timeout_seconds: 1800".to_owned(),
            switched if SWITCHED.contains(&switched) => format!("{switched}:\n  enabled: true"),
            _ => return format!("write `key: value` pairs below `{key}:`, indented by two spaces"),
        },
    };
    format!("write:\n{example}")
}

/// What to add for a key that must be there.
fn required(path: &str) -> String {
    match path {
        "name" => "add `name: my-score` at the top".to_owned(),
        "sheet" => "add:\nsheet:\n  size: 1\n  total_items: 3".to_owned(),
        "prompt" => "add:\nprompt:\n  template: |\n    your text".to_owned(),
        "sheet.size" => "add `size: 1` below `sheet:`".to_owned(),
        "sheet.total_items" => "add `total_items: 3` below `sheet:`".to_owned(),
        _ => {
            let (parent, key) = path.rsplit_once('.').unwrap_or(("", path));
            let list = parent.split('.').find(|step| *step != "sheet" && step.parse::<u64>().is_err());
            let example = match (key, list.unwrap_or("")) {
                ("as", _) => "context",
                ("type", "validations" | "preconditions") => "file_exists",
                ("type", "on_success" | "on_failure") => "run_command",
                ("type", "notifications") => "desktop",
                ("type", "grounding") => "file_checksum",
                ("profile", _) => "claude-code",
                ("kind", "techniques") => "skill",
                ("phases", "techniques") => "[all]",
                _ => "...",
            };
            format!("add `{key}: {example}` to {parent}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_get_advice_about_their_key() {
        let mut issues = [
            Issue::error("schema", "parallel.enabled", "Input should be a valid boolean"),
            Issue::error("schema", "sheet", "Field required"),
            Issue::error("schema", "x", "something new"),
            Issue::error("schema", "x", "kept").hint("mine"),
        ];
        complete(&mut issues);
        let hints: Vec<&str> = issues.iter().filter_map(|issue| issue.hint.as_deref()).collect();
        assert_eq!(hints.len(), 4);
        assert_eq!(hints[0], "write `enabled: true` or `enabled: false`");
        assert!(hints[1].contains("total_items: 3"));
        assert_eq!(hints[3], "mine");
    }

    #[track_caller]
    fn check(path: &str, message: &str, expected: &str) {
        let found = advice(&Issue::error("schema", path, message)).unwrap_or_default();
        assert!(found.contains(expected), "{path}: {message}: {found}");
        assert!(!found.contains("{}"), "{found}");
    }

    #[test]
    fn advice_names_the_key_that_is_meant() {
        check("sheet.dependencies.2", "Input should be a valid list", "`2: [1]`");
        check("sheet.prelude.4", "Input should be a valid mapping", "- file: notes.md");
        check("sheet.cadenzas.1", "Input should be a valid list", "- file: notes.md");
        check("sheet.skip_when_command.2", "Input should be a valid mapping", "2: {command:");
        check("movements.2", "Input should be a valid mapping", "2: {name: first}");
        check("parallel", "Input should be a valid mapping", "enabled: true");
        check("validations", "Input should be a valid list", "- type: file_exists");
        check("retry.max_retries", "Input should be greater than or equal to 0", "`max_retries: 0`");
        check("instrument_config.timeout_overrides.1", "Input should be greater than 0", "above 0");
        check("validations.0.stage", "Input should be less than or equal to 10", "`stage: 10`");
        check("on_success.3.type", "Field required", "run_command");
        check("notifications.0.type", "Field required", "desktop");
        check("rate_limit.detection_patterns.1", "Input should be a valid string", "quotes");
    }
}
