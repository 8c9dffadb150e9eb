//! What to do about a template that does not parse or does not render, read from the message of the engine.

use super::alike;
use crate::score::Value;
use crate::template::{FILTERS, TESTS};

/// Statements of the language.
const STATEMENTS: [&str; 20] = [
    "if",
    "elif",
    "else",
    "endif",
    "for",
    "endfor",
    "set",
    "endset",
    "macro",
    "endmacro",
    "call",
    "endcall",
    "filter",
    "endfilter",
    "with",
    "endwith",
    "raw",
    "endraw",
    "autoescape",
    "endautoescape",
];

/// Methods of texts, lists and mappings that templates have.
const METHODS: [&str; 20] = [
    "upper",
    "lower",
    "title",
    "capitalize",
    "strip",
    "lstrip",
    "rstrip",
    "split",
    "rsplit",
    "splitlines",
    "replace",
    "startswith",
    "endswith",
    "join",
    "format",
    "find",
    "count",
    "items",
    "keys",
    "values",
];

/// About a template that does not parse.
pub(super) fn of_syntax(message: &str) -> String {
    if let Some((_, name)) = message.split_once("unknown statement ") {
        let name = name.trim();
        if name == "do" || name == "break" || name == "continue" {
            return format!(
                "`{name}` is not available; write the loop with a condition: `{{% for x in list if ... %}}`"
            );
        }
        if let Some(opened) = name.strip_prefix("end").filter(|_| STATEMENTS.contains(&name)) {
            return format!("no `{{% {opened} %}}` is open here: remove it, or close an inner block before");
        }
        if matches!(name, "elif" | "else") {
            return format!("no `{{% if %}}` is open here that `{name}` could belong to");
        }
        return match alike(name, STATEMENTS.into_iter()) {
            Some(near) => format!("Did you mean '{{% {near} %}}'?"),
            None => format!("check the spelling of the tag; there are {}", STATEMENTS.join(", ")),
        };
    }
    if message.contains("end of input") || message.contains("unexpected end") {
        return "close the block that begins here: `{% endif %}`, `{% endfor %}`, `{% endmacro %}`, or `}}`, `%}`, `#}`"
            .to_owned();
    }
    "close every `{{` with `}}` and every `{%` with `%}`; for a literal brace write `{{ '{' }}`".to_owned()
}

/// About a template that does not render; `variable` knows the values of names.
pub(super) fn of_rendering(cause: &str, variable: impl Fn(&str) -> Option<Value>) -> Option<String> {
    let between = |before: &str, after: &str| {
        let (_, rest) = cause.split_once(before)?;
        rest.split_once(after).map(|(name, _)| name.trim_matches('`'))
    };
    if let Some(name) = between("filter ", " is unknown") {
        return Some(suggestion(name, FILTERS, "filter"));
    }
    if let Some(name) = between("test ", " is unknown") {
        return Some(suggestion(name, TESTS, "test"));
    }
    if let Some((_, name)) = cause.split_once("has no method named ") {
        return Some(suggestion(name, &METHODS, "method"));
    }
    if cause.contains("use % operator on unsupported types string") {
        return Some("write `\"%s\" | format(value)` instead of `\"%s\" % value`".to_owned());
    }
    if cause.contains("operator on unsupported types") {
        return Some("join texts with `~`, or convert one side: `| string`, `| int`, `| float`".to_owned());
    }
    if cause.contains("too many elements") || cause.contains("steps: is a loop") {
        return Some("use a smaller range".to_owned());
    }
    part_of(cause, variable)
}

fn suggestion(name: &str, known: &[&str], what: &str) -> String {
    match alike(name, known.iter().copied()) {
        Some(near) => format!("Did you mean '{near}'?"),
        None => format!("there is no {what} '{name}'; there are {}", known.join(", ")),
    }
}

/// `name.part` or `name[...]` is undefined although the name is known.
fn part_of(cause: &str, variable: impl Fn(&str) -> Option<Value>) -> Option<String> {
    let shown = cause.strip_prefix('`')?.split('`').next()?;
    let end = shown.find(['.', '['])?;
    let name = &shown[..end];
    let part = shown[end + 1..].trim_end_matches(']');
    Some(match variable(name)? {
        Value::Map(map) => {
            let keys: Vec<String> = map.iter().map(|(key, _)| key.to_string()).collect();
            match alike(part, keys.iter().map(String::as_str)) {
                Some(near) => format!("Did you mean '{name}.{near}'?"),
                None if keys.is_empty() => format!("`{name}` is an empty mapping"),
                None => {
                    let list = keys.iter().take(12).map(String::as_str).collect::<Vec<_>>().join(", ");
                    let more = if keys.len() > 12 { ", ..." } else { "" };
                    format!(
                        "`{name}` has the keys {list}{more}; test with `is defined`, or use .get(key, other)"
                    )
                }
            }
        }
        Value::Seq(list) => match list.len() {
            0 => format!("`{name}` is an empty list"),
            1 => format!("`{name}` has one item: {name}[0]"),
            n => format!("`{name}` has {n} items: {name}[0] to {name}[{}]", n - 1),
        },
        Value::Str(_) => format!("`{name}` is a text and has no part `{part}`"),
        Value::Int(_) | Value::Float(_) => format!("`{name}` is a number and has no part `{part}`"),
        Value::Bool(_) | Value::Null => format!("`{name}` is a single value and has no part `{part}`"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_leads_to_the_mend() {
        let variable = |name: &str| match name {
            "n" => Some(Value::Int(3)),
            "d" => Some(Value::Map([("alpha", Value::Int(1))].into_iter().collect())),
            "l" => Some(Value::from(vec![1_i64, 2])),
            _ => None,
        };
        let of = |cause: &str| of_rendering(cause, variable).unwrap_or_default();
        assert_eq!(of("filter uper is unknown"), "Did you mean 'upper'?");
        assert!(of("filter zzz is unknown").contains("truncate"));
        assert_eq!(of("test defned is unknown"), "Did you mean 'defined'?");
        assert_eq!(of("`n.foo` is undefined"), "`n` is a number and has no part `foo`");
        assert_eq!(of("`d.alpa` is undefined"), "Did you mean 'd.alpha'?");
        assert!(of("`d[...]` is undefined").contains("has the keys alpha"));
        assert!(of("`l[...]` is undefined").contains("l[0] to l[1]"));
        assert!(of("tried to use + operator on unsupported types number and string").contains('~'));
        assert!(of("tried to use % operator on unsupported types string and number").contains("format"));
        assert_eq!(of("something else"), "");
        assert!(
            of_syntax("template syntax error: unknown statement endif").contains("no `{% if %}` is open")
        );
        assert_eq!(of_syntax("template syntax error: unknown statement fro"), "Did you mean '{% for %}'?");
    }
}
