//! What to do about a template that does not parse or does not render, read from the message of the engine.

use super::alike;
use super::blocks::{self, Fault};
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

/// What `loop` has.
const LOOP: [&str; 12] = [
    "index",
    "index0",
    "revindex",
    "revindex0",
    "first",
    "last",
    "length",
    "depth",
    "depth0",
    "previtem",
    "nextitem",
    "cycle",
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

/// About a template that does not parse: what to do, and the line of the mistake when that is another one. `line` is
/// where the engine noticed it.
pub(super) fn of_syntax(message: &str, text: &str, line: Option<usize>) -> (String, Option<usize>) {
    let noticed = line.unwrap_or(usize::MAX);
    match blocks::fault(text) {
        Some(Fault::Quote(line)) if line <= noticed => {
            let hint = "close the quotes: this text has no end on its line";
            return (hint.to_owned(), Some(line));
        }
        Some(Fault::NotClosed(open)) if ends_early(message) && open.name == "#" => {
            return ("close the comment that begins here with `#}`".to_owned(), Some(open.line));
        }
        Some(Fault::NotClosed(open)) if ends_early(message) && open.name.starts_with('{') => {
            let close = if open.name == "{{" { "}}" } else { "%}" };
            return (format!("close the `{}` that begins here with `{close}`", open.name), Some(open.line));
        }
        Some(Fault::NotClosed(open)) if ends_early(message) => {
            let name = open.name;
            return (
                format!("close the `{{% {name} %}}` that begins here: `{{% end{name} %}}` is missing"),
                Some(open.line),
            );
        }
        Some(Fault::Crossed { name, line, open })
            if line <= noticed && message.contains("unknown statement") =>
        {
            let inner = &open.name;
            let hint = format!(
                "`{{% {name} %}}` stands inside of the `{{% {inner} %}}` of line {}: write `{{% end{inner} %}}` before it",
                open.line
            );
            return (hint, Some(line));
        }
        _ => {}
    }
    let written = line.and_then(|line| text.lines().nth(line.checked_sub(1)?)).unwrap_or_default();
    (of_tag(message, written), None)
}

/// The template ends before a block does.
fn ends_early(message: &str) -> bool {
    ["end of input", "end of raw", "end of comment", "unexpected end of its text"]
        .iter()
        .any(|end| message.contains(end))
}

/// About one tag that cannot be read; `written` is its line.
fn of_tag(message: &str, written: &str) -> String {
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
    // What other languages write, as far as it is on the line.
    let foreign = [
        ("&&", "write `and` instead of `&&`"),
        ("||", "write `or` instead of `||`"),
        ("===", "equality is `==`"),
        ("{{{", "two braces are enough: `{{ name }}`"),
        ("{{ {", "a name stands between the braces by itself: `{{ name }}`"),
    ];
    if let Some((_, hint)) = foreign.iter().find(|(sign, _)| written.contains(sign)) {
        return (*hint).to_owned();
    }
    if message.contains("unexpected character") && written.contains('!') && !written.contains("!=") {
        return "write `not` instead of `!`".to_owned();
    }
    if message.contains("unexpected character") && written.contains('?') {
        return "write `{{ a if condition else b }}` instead of `condition ? a : b`".to_owned();
    }
    if message.contains("unexpected `=`") {
        return "equality is `==`; a value is set with `{% set name = value %}`".to_owned();
    }
    if message.contains("expected assignment operator") {
        return "write `{% set name = value %}`".to_owned();
    }
    if message.contains("expected `]`")
        || message.contains("expected `)`")
        || message.contains("expected `,`")
    {
        return "close the bracket before the braces: every `(` needs a `)`, every `[` a `]`".to_owned();
    }
    if message.contains("unexpected end of") {
        return "something is missing before the end of this tag: a value, a name or a closing bracket"
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
    if let Some(name) = cause.strip_suffix(" is unknown") {
        return Some(function(name));
    }
    if cause.contains("template loading") {
        return Some(
            "write the text here, or list the file: `sheet: {prelude: [{file: notes.md, as: context}]}`"
                .to_owned(),
        );
    }
    if cause.contains("is not iterable") && !cause.contains("unpack") {
        return Some(
            "loop over a list, a mapping or `range(5)`; a number or a single value has no items".to_owned(),
        );
    }
    if cause.contains("cannot unpack") {
        return Some("two names need pairs: a mapping gives them with `.items()`".to_owned());
    }
    if cause.contains("missing argument") || cause.contains("too many arguments") {
        return Some(
            "check what stands between the brackets of the filter or the call on this line".to_owned(),
        );
    }
    if cause.contains("unable to calculate") && cause.ends_with("/ 0") {
        return Some("nothing can be divided by 0".to_owned());
    }
    if cause.contains("format spec") || cause.contains("cannot convert") || cause.contains("is required, not")
    {
        return Some("convert the value first: `| int`, `| float` or `| string`".to_owned());
    }
    if cause.contains("use % operator on unsupported types string") {
        return Some("write `\"%s\" | format(value)` instead of `\"%s\" % value`".to_owned());
    }
    if let Some((_, undefined)) =
        cause.split_once("types undefined and").and_then(|_| cause.split_once(" (`"))
    {
        return part_of(&format!("`{undefined}"), &variable)
            .or_else(|| Some("give it a value, or write `| default(0)` behind it".to_owned()));
    }
    if cause.contains("operator on unsupported types") {
        return Some("join texts with `~`, or convert one side: `| string`, `| int`, `| float`".to_owned());
    }
    if cause.contains("too many elements") || cause.contains("steps: is a loop") {
        return Some("use a smaller range".to_owned());
    }
    part_of(cause, &variable)
}

/// What functions of Python are called here.
fn function(name: &str) -> String {
    let other = match name {
        "len" => "`value | length`",
        "str" => "`value | string`",
        "int" | "float" | "list" | "round" | "sum" | "min" | "max" | "abs" | "upper" | "lower" | "join"
        | "sorted" | "reversed" | "first" | "last" => {
            let filter = name.trim_end_matches("ed");
            let filter = if filter == "revers" { "reverse" } else { filter };
            return format!("`{name}` is a filter here: write `value | {filter}`");
        }
        "enumerate" => "`loop.index` (from 1) or `loop.index0` inside of the loop",
        "print" => "`{{ value }}`",
        "zip" => "`list[loop.index0]` inside of the loop",
        "now" | "date" | "time" | "datetime" => {
            return "a template knows no time: let a sheet ask for it, or use `--set NAME=VALUE`".to_owned();
        }
        _ => {
            return format!(
                "there is no function `{name}`; there are range, dict, namespace, cycler, joiner and your own macros"
            );
        }
    };
    format!("there is no function `{name}` here: write {other}")
}

fn suggestion(name: &str, known: &[&str], what: &str) -> String {
    match alike(name, known.iter().copied()) {
        Some(near) => format!("Did you mean '{near}'?"),
        None => format!("there is no {what} '{name}'; there are {}", known.join(", ")),
    }
}

/// `name.part` or `name[...]` is undefined although the name is known.
fn part_of(cause: &str, variable: &impl Fn(&str) -> Option<Value>) -> Option<String> {
    let shown = cause.strip_prefix('`')?.split('`').next()?;
    if shown.starts_with('(') {
        return Some(
            "what stands in the brackets is no key and no number of an item there: correct it, or test it with `is defined`"
                .to_owned(),
        );
    }
    if let Some(part) = shown.strip_prefix("loop.") {
        return Some(match alike(part, LOOP.into_iter()) {
            Some(near) => format!("Did you mean 'loop.{near}'?"),
            None => format!("`loop` has {}", LOOP.join(", ")),
        });
    }
    let end = shown.find(['.', '['])?;
    let (mut name, mut part) = (shown[..end].to_owned(), shown[end..].to_owned());
    let mut value = variable(&name)?;
    // Down to the part that is not there; what the engine does not show is one of the entries.
    while let Some((step, rest)) = first_step(&part) {
        if rest.is_empty() {
            part = step.trim_matches(['\'', '"']).to_owned();
            break;
        }
        let below = match (&value, step) {
            (Value::Map(map), "...") => map.iter().next().map(|(_, value)| value.clone()),
            (Value::Seq(list), "...") => list.first().cloned(),
            (Value::Map(map), step) => {
                let step = step.trim_matches(['\'', '"']);
                map.iter().find(|(key, _)| key.to_string() == step).map(|(_, value)| value.clone())
            }
            (Value::Seq(list), step) => step.parse::<usize>().ok().and_then(|index| list.get(index).cloned()),
            _ => None,
        };
        name = format!("{name}{}", &part[..part.len() - rest.len()]);
        let rest = rest.to_owned();
        let Some(below) = below else {
            return Some(format!("`{name}` has no parts: look at what it is in `prompt.variables`"));
        };
        (value, part) = (below, rest);
    }
    let part = part.as_str();
    Some(match value {
        Value::Map(map) => {
            let keys: Vec<String> = map.iter().map(|(key, _)| key.to_string()).collect();
            match alike(part, keys.iter().map(String::as_str)) {
                _ if keys.iter().any(|key| key == part) => {
                    format!(
                        "not every entry has `{part}`: add it where it is missing, or write `| default(...)` behind it"
                    )
                }
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

/// The first step of `.a.b`, `[0][1]`, and what stands behind it.
fn first_step(path: &str) -> Option<(&str, &str)> {
    if let Some(inside) = path.strip_prefix('[') {
        let end = inside.find(']')?;
        return Some((&inside[..end], &inside[end + 1..]));
    }
    let rest = path.strip_prefix('.')?;
    let end = rest.find(['.', '[']).unwrap_or(rest.len());
    Some((&rest[..end], &rest[end..]))
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
            of("`d[...].beta` is undefined").contains("has no parts")
                || of("`d[...].beta` is undefined").contains("number")
        );
        assert!(of("`(...)[...]` is undefined").contains("is defined"));
        assert!(of("`d.alpha` is undefined").contains("not every entry"));
        assert_eq!(of("`loop.idx` is undefined"), "Did you mean 'loop.index'?");
        assert!(of("len is unknown").contains("| length"));
        assert!(of("sorted is unknown").contains("value | sort"));
        assert!(of("nothing_such is unknown").contains("macros"));
        assert!(
            of("tried to use + operator on unsupported types undefined and number (`d.alpa` is undefined)")
                .contains("'d.alpha'")
        );
    }

    #[test]
    fn syntax_is_explained_where_it_is_wrong() {
        for (text, message, line, words) in [
            ("a\n{% endif %}", "unknown statement endif", 2, "no `{% if %}` is open"),
            ("{% fro x in y %}", "unknown statement fro", 1, "Did you mean '{% for %}'?"),
            (
                "{% for a in b %}\n\nc",
                "unexpected end of input, expected end of block",
                1,
                "`{% endfor %}` is missing",
            ),
            (
                "{% for a in b %}\n{% if c %}\n{% endfor %}",
                "unknown statement endfor",
                3,
                "`{% endif %}` before it",
            ),
            ("{{ a && b }}", "unexpected character", 1, "`and`"),
            ("{{ !a }}", "unexpected character", 1, "`not`"),
            ("{{ a ? 1 : 2 }}", "unexpected character", 1, "if condition"),
            ("{% if a = 2 %}{% endif %}", "unexpected `=`, expected end of block", 1, "`==`"),
            ("{% set a 2 %}", "unexpected integer, expected assignment operator", 1, "set name = value"),
            ("{{ a[3 }}", "unexpected `}`, expected `]`", 1, "close the bracket"),
            ("{% if a and %}{% endif %}", "unexpected end of block", 1, "something is missing"),
            ("{{{ a }}}", "unexpected `}`, expected `:`", 1, "two braces"),
        ] {
            let noticed = if message.contains("end of input") { text.lines().count() } else { line };
            let (hint, moved) = of_syntax(&format!("template syntax error: {message}"), text, Some(noticed));
            assert!(hint.contains(words), "{text:?}: {hint}");
            assert_eq!(moved.unwrap_or(noticed), line, "{text:?}");
        }
    }
}
