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

/// Messages by what they contain, and the advice. `{}` stands for the last key of the path.
const ADVICE: [(&str, &str); 39] = [
    ("unable to interpret input", "write `{}: true` or `{}: false`"),
    ("valid boolean", "write `{}: true` or `{}: false`"),
    ("fractional part", "write a whole number without a decimal point"),
    ("valid integer", "write a whole number, such as `{}: 3`"),
    ("valid number", "write a number, such as `{}: 30`"),
    ("finite number", "write an ordinary number, such as `{}: 30`"),
    ("smaller number", "write a smaller number"),
    ("greater than", "raise `{}`"),
    ("less than or equal to", "lower `{}`"),
    ("at least 1 character", "write something between the quotes, or remove the key"),
    ("at most", "shorten it"),
    ("valid list", "write a list: `{}: [a, b]`, or one `- item` a line"),
    ("valid mapping", "write `key: value` pairs below `{}:`, indented by two spaces"),
    ("valid string", "put the value into quotes"),
    ("Input should be '", "choose one of the values listed"),
    ("nothing stands after this key", "remove the key, or write a value after it"),
    ("a number is read as text", "put it into quotes"),
    ("requires 'path'", "add `path: \"{workspace}/file\"` to the rule"),
    ("requires 'pattern'", "add `pattern: text` to the rule"),
    ("requires 'command'", "add `command: ...`"),
    ("requires 'job_path'", "add `job_path: other-score.yaml`"),
    ("in config", "add the address below `config:`, or the name of a variable that holds it"),
    ("cannot depend on itself", "remove its own number from its list"),
    ("must be positive integer", "sheets and stages are numbered from 1"),
    ("must be a positive integer", "sheets and stages are numbered from 1"),
    ("must be >= 1", "write at least 1, or remove the entry"),
    ("must not exceed", "lower the first or raise the second"),
    ("duplicate key", "keep one of the two"),
    ("cannot parse expression", "for example: stage == 2 and instance in [1, 3]"),
    ("not both", "remove one of the two"),
    ("is required", "add one of the two"),
    ("multiple instruments", "leave the sheet in one of the lists"),
    ("must not be empty", "write a name, or remove the entry"),
    ("default prompt is used", "add `template: |` with the text of the prompt"),
    ("share one worktree", "switch one of the two off"),
    ("no longer supported", "write `instrument: NAME` with one of `mozart instruments list`"),
    ("will be ignored", "remove these fields"),
    ("must be less than", "lower the first or raise the second"),
    ("no hooks configured", "add a hook, or switch the section off"),
];

fn advice(issue: &Issue) -> Option<String> {
    let message = issue.message.as_str();
    let key = issue.path.rsplit('.').find(|step| step.parse::<u64>().is_err()).unwrap_or("value");
    if message == "Field required" {
        return Some(required(&issue.path));
    }
    if let Some(rest) = message.find("valid: 1-").map(|at| &message[at + "valid: ".len()..]) {
        return Some(format!("use numbers {}, or raise total_items", rest.trim_end_matches(')')));
    }
    let by_text = ADVICE.iter().find(|(part, _)| message.contains(part));
    let text = match by_text {
        Some((_, text)) => *text,
        None if message.starts_with("Circular") => "remove one of the dependencies that close the circle",
        None if message.starts_with("fan_out requires") => "fan-out needs `size: 1` and `start_item: 1`",
        None if message.contains("conflicts with") => "keep one of the two",
        None if message.contains("but the score has") || message.contains("limit is") => {
            "correct the number, or change total_items"
        }
        None if message.starts_with("condition cannot be decided") => {
            "conditions know sheet_num, stage, instance, fan_count, total_sheets and the variables of the prompt"
        }
        None if issue.code == "V212" => "use numbers of stages, or remove the entry",
        None if issue.code == "yaml" => "a score begins with `name: my-score`, `sheet:` and `prompt:`",
        None if issue.is_error() => "docs/score-keys.md has every key with its type and range",
        None => return None,
    };
    Some(text.replace("{}", key))
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
            let example = match key {
                "as" => "context",
                "type" => "file_exists",
                _ => "...",
            };
            format!("add `{key}: {example}` to {parent}")
        }
    }
}

/// What usually mends a text that is not YAML.
pub(super) fn syntax(message: &str) -> &'static str {
    if message.starts_with("duplicate key") {
        "keep one of the two"
    } else if message.contains("tab") {
        "indent with spaces; YAML does not allow tabs"
    } else if message.contains("alias") || message.contains("anchor") {
        "define the anchor (&name) before it is used (*name)"
    } else if message.contains("quote") || message.contains("scalar") {
        "close the quotes; a text with `: `, `#` or a leading special character needs quotes"
    } else if message.contains("flow") || message.contains("',' or ']'") || message.contains("',' or '}'") {
        "close every `[` with `]` and every `{` with `}`; a template text that begins with `{{` needs quotes"
    } else if message.contains("limit") || message.contains("more than") || message.contains("nested") {
        "make the document smaller"
    } else {
        "check the indentation and the colon of this line and of the one before it"
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
}
