//! Where the blocks of a template begin and end, for a template that does not parse: the engine complains at its end,
//! or at the first tag that does not fit, and the mistake stands above that.

/// A block that is open: what its tag is called, and the line of it, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Open {
    pub(super) name: String,
    pub(super) line: usize,
}

/// The first thing that is wrong with the tags of a template.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A block, `raw`, a comment (`#`) or a tag (`{{`, `{%`) without an end.
    NotClosed(Open),
    /// An end, `else` or `elif` that does not belong to the innermost open block.
    Crossed { name: String, line: usize, open: Open },
    /// A text inside a tag that goes on into the next line.
    Quote(usize),
}

/// Looks for it; nothing when all blocks are closed in order.
pub(super) fn fault(text: &str) -> Option<Fault> {
    let mut open: Vec<Open> = Vec::new();
    let mut at = 0;
    while let Some(found) = text[at..].find('{').map(|found| at + found) {
        let line = text[..found].matches('\n').count() + 1;
        let rest = &text[found + 1..];
        at = found + 1;
        match rest.chars().next() {
            Some('#') => match rest.find("#}") {
                Some(end) => at += end + 2,
                None => return Some(Fault::NotClosed(Open { name: "#".to_owned(), line })),
            },
            Some(kind @ ('{' | '%')) => {
                let close = if kind == '{' { "}}" } else { "%}" };
                let end = match end_of_tag(&rest[1..], close) {
                    Ok(Some(end)) => end,
                    Ok(None) => {
                        return Some(Fault::NotClosed(Open { name: format!("{{{kind}"), line }));
                    }
                    Err(quote) => return Some(Fault::Quote(line + quote)),
                };
                let tag = rest[1..1 + end].trim_matches(['-', '+']).trim();
                at += 1 + end + close.len();
                if kind == '{' {
                    continue;
                }
                let name = tag.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
                if name == "raw" {
                    match end_of_raw(&text[at..]) {
                        Some(end) => at += end,
                        None => return Some(Fault::NotClosed(Open { name: "raw".to_owned(), line })),
                    }
                } else if let Some(fault) = step(&mut open, name, tag, line) {
                    return Some(fault);
                }
            }
            _ => {}
        }
    }
    open.pop().map(Fault::NotClosed)
}

/// Opens or closes a block.
fn step(open: &mut Vec<Open>, name: &str, tag: &str, line: usize) -> Option<Fault> {
    let crossed = |open: Open| Fault::Crossed { name: name.to_owned(), line, open };
    match name {
        "if" | "for" | "macro" | "call" | "filter" | "with" | "autoescape" => {
            open.push(Open { name: name.to_owned(), line });
        }
        "set" if !tag.contains('=') && !tag.contains('"') => open.push(Open { name: name.to_owned(), line }),
        "elif" | "else" => {
            let last = open.last()?;
            let fits = last.name == "if" || (name == "else" && last.name == "for");
            return (!fits).then(|| crossed(last.clone()));
        }
        _ => {
            let ended = name.strip_prefix("end").filter(|ended| !ended.is_empty())?;
            let last = open.pop()?;
            // An end that is misspelt is told as an unknown tag.
            let known =
                ["if", "for", "macro", "call", "filter", "with", "autoescape", "set"].contains(&ended);
            return (known && last.name != ended).then(|| crossed(last));
        }
    }
    None
}

/// The length of a tag up to its closing signs, if there are any; those inside of quotes do not count. `Err` with the number of lines
/// up to a quote that is not closed on its line.
fn end_of_tag(rest: &str, close: &str) -> Result<Option<usize>, usize> {
    let mut quote: Option<char> = None;
    let mut lines = 0;
    let mut escaped = false;
    for (at, c) in rest.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) if c == '\n' => return Err(lines),
            Some(_) => {}
            None if rest[at..].starts_with(close) => return Ok(Some(at)),
            None if c == '"' || c == '\'' => quote = Some(c),
            None => lines += usize::from(c == '\n'),
        }
    }
    if quote.is_some() { Err(lines) } else { Ok(None) }
}

/// The length of what stands between `{% raw %}` and its end, that included.
fn end_of_raw(rest: &str) -> Option<usize> {
    let mut at = 0;
    loop {
        let found = at + rest[at..].find("{%")?;
        let tag = &rest[found + 2..];
        let name = tag.trim_start_matches(['-', '+']).trim_start();
        if name.starts_with("endraw") {
            return Some(found + 2 + tag.find("%}").map_or(tag.len(), |end| end + 2));
        }
        at = found + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(name: &str, line: usize) -> Open {
        Open { name: name.to_owned(), line }
    }

    #[test]
    fn the_block_that_is_open_is_found() {
        let not_closed = |name, line| Some(Fault::NotClosed(open(name, line)));
        for (text, expected) in [
            ("a\n{% for x in y %}\n{% if x %}\n{% endif %}\nb", not_closed("for", 2)),
            (
                "{% if a %}\n{% for x in y %}{% endfor %}\n{%- macro m() -%}{% endmacro %}",
                not_closed("if", 1),
            ),
            (
                "{% for x in y %}\n{% if x %}\n{% endfor %}",
                Some(Fault::Crossed { name: "endfor".to_owned(), line: 3, open: open("if", 2) }),
            ),
            ("a\n{# never\nends {% if %}", not_closed("#", 2)),
            ("a\n{% raw %}{{ x\n", not_closed("raw", 2)),
            ("{% raw %}{% if %}{{{% endraw %}{% if a %}", not_closed("if", 1)),
            ("a\n{{ \"abc }}\n{{ \"d\" }}", Some(Fault::Quote(2))),
            ("{{ \"%}\" }}{% if '}}' %}{% else %}{% endif %}", None),
            ("{% set x %}\nb", not_closed("set", 1)),
            ("{% set x = 1 %}{% for a in b %}{% else %}{% endfor %}", None),
            ("{% if a %}{{ {'b': {'c': 1}} }}{% endif %}", None),
            ("{", None),
            ("{% if", not_closed("{%", 1)),
            ("é{{", not_closed("{{", 1)),
        ] {
            assert_eq!(fault(text), expected, "{text:?}");
        }
    }
}
