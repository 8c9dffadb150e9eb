//! Refuses templates whose expressions are so deep that compiling them would overflow a small stack.
//!
//! The engine compiles recursively: brackets, chains of operators and open blocks all become depth.
//! This is a count over the text, not a parser; it may refuse a monster that would just have fitted.

/// Brackets inside brackets, and blocks inside blocks.
const MAX_DEPTH: usize = 30;
/// Operators, attribute and filter steps of one tag.
const MAX_OPERATORS: usize = 250;
/// `elif` branches under one outermost block: for the compiler each is an `if` inside the one before.
const MAX_BRANCHES: usize = 250;

/// The first tag that is too deep: its line, and whether another tag begins inside it, so that it was never closed.
pub(super) fn too_deep(text: &str) -> Option<(usize, bool)> {
    let (mut blocks, mut branches) = (0usize, 0usize);
    let mut at = 0;
    while let Some(found) = text[at..].find('{') {
        let start = at + found;
        let rest = &text[start..];
        let line = || 1 + text[..start].matches('\n').count();
        at = start + 1;
        if rest.starts_with("{#") {
            at = rest.find("#}").map_or(text.len(), |end| start + end + 2);
        } else if rest.starts_with("{{") || rest.starts_with("{%") {
            let (length, too_many) = tag(&rest[2..], rest.as_bytes()[1]);
            if too_many {
                let inside = &rest[2..2 + length];
                return Some((line(), inside.contains("{{") || inside.contains("{%")));
            }
            let body = &rest[2..2 + length];
            at = start + 2 + length;
            if rest.starts_with("{%") {
                match block(body) {
                    Block::Raw => at = raw_end(text, at),
                    Block::Opens => blocks += 1,
                    Block::Branch => branches += 1,
                    Block::Closes => blocks = blocks.saturating_sub(1),
                    Block::Other => (),
                }
            }
            if blocks == 0 {
                branches = 0;
            }
            if blocks > MAX_DEPTH || branches > MAX_BRANCHES {
                return Some((line(), false));
            }
        }
    }
    None
}

/// Every filter that a template names, whether it is reached or not, with its line.
pub(super) fn filters(text: &str) -> Vec<(&str, usize)> {
    let mut found = Vec::new();
    each_tag(text, |start, body| {
        for (offset, name) in piped(body) {
            found.push((name, 1 + text[..start + offset].matches('\n').count()));
        }
    });
    found
}

/// Calls with every `{{ }}` and `{% %}`: where its text begins, and the text between the delimiters.
pub(super) fn each_tag<'t>(text: &'t str, mut visit: impl FnMut(usize, &'t str)) {
    let mut at = 0;
    while let Some(next) = text[at..].find('{') {
        let start = at + next;
        let rest = &text[start..];
        at = start + 1;
        if rest.starts_with("{#") {
            at = rest.find("#}").map_or(text.len(), |end| start + end + 2);
        } else if rest.starts_with("{{") || rest.starts_with("{%") {
            let (length, _) = tag(&rest[2..], rest.as_bytes()[1]);
            let body = &rest[2..2 + length];
            at = start + 2 + length;
            visit(start + 2, body);
            if rest.starts_with("{%") && matches!(block(body), Block::Raw) {
                at = raw_end(text, at);
            }
        }
    }
}

/// Names behind `|` outside of strings, with where they stand.
fn piped(body: &str) -> Vec<(usize, &str)> {
    let bytes = body.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' | b'\'' => at = string_end(bytes, at),
            b'|' => {
                let rest = &body[at + 1..];
                let name = rest.trim_start();
                let end = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
                if end > 0 {
                    found.push((at + 1 + rest.len() - name.len(), &name[..end]));
                }
            }
            _ => (),
        }
        at += 1;
    }
    found
}

enum Block {
    Raw,
    Opens,
    Branch,
    Closes,
    Other,
}

fn block(body: &str) -> Block {
    let body = body.trim_start_matches(['-', '+']).trim_start();
    let word: &str = body.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
    match word {
        "raw" => Block::Raw,
        "if" | "for" | "macro" | "call" | "filter" | "with" | "block" | "autoescape" => Block::Opens,
        "set" if !body.contains('=') => Block::Opens,
        "elif" => Block::Branch,
        word if word.starts_with("end") => Block::Closes,
        _ => Block::Other,
    }
}

fn raw_end(text: &str, from: usize) -> usize {
    let mut at = from;
    while let Some(found) = text[at..].find("{%") {
        at += found + 2;
        if text[at..].trim_start_matches(['-', '+']).trim_start().starts_with("endraw") {
            return at;
        }
    }
    text.len()
}

/// Length of a tag up to its end, and whether it is too deep.
fn tag(text: &str, opened_by: u8) -> (usize, bool) {
    let close = if opened_by == b'{' { b'}' } else { b'%' };
    let bytes = text.as_bytes();
    let (mut depth, mut operators, mut at) = (0usize, 0usize, 0);
    while at < bytes.len() {
        let byte = bytes[at];
        if depth == 0 && byte == close && bytes.get(at + 1) == Some(&b'}') {
            return (at, false);
        }
        match byte {
            b'"' | b'\'' => at = string_end(bytes, at),
            b'(' | b'[' | b'{' => {
                depth += 1;
                operators += 1;
            }
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b'.' | b'|' | b'+' | b'-' | b'*' | b'/' | b'%' | b'~' | b'<' | b'>' | b'=' | b'!' => {
                operators += 1
            }
            b'n' | b'a' | b'o' | b'i' if starts_word(bytes, at) => operators += 1,
            _ => (),
        }
        if depth > MAX_DEPTH || operators > MAX_OPERATORS {
            return (at, true);
        }
        at += 1;
    }
    (bytes.len(), false)
}

fn starts_word(bytes: &[u8], at: usize) -> bool {
    let inside = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let before = at.checked_sub(1).and_then(|at| bytes.get(at));
    [&b"not"[..], b"and", b"or", b"in", b"is", b"if"]
        .iter()
        .any(|word| bytes[at..].starts_with(word) && !inside(before) && !inside(bytes.get(at + word.len())))
}

/// Where a string ends that begins here: its closing quote, or beyond the text.
pub(super) fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() && bytes[at] != bytes[start] {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_templates_pass_and_monsters_name_their_line() {
        let long_list = format!("{{{{ [{}] }}}}", "'a', ".repeat(5000));
        for good in [
            "",
            "{{ {'a': {'b': '}}('}} }}",
            "{% raw %}{{ ((((((((((",
            "{# ((((( #}{",
            "{{ '(' }} ((((",
            &long_list,
        ] {
            assert_eq!(too_deep(good), None, "{good}");
        }
        for bad in [
            format!("\n{{{{ {}1 }}}}", "(".repeat(40)),
            format!("\n{{{{ 1{} }}}}", "+1".repeat(300)),
            format!("\n{{{{ {} x }}}}", "not ".repeat(300)),
            format!("\n{}", "{% if a %}".repeat(40)),
        ] {
            assert_eq!(too_deep(&bad), Some((2, false)), "{bad}");
        }
        let open = format!("\n{{{{ a }} b\n{}", "{{ c.d|e }}".repeat(200));
        assert_eq!(too_deep(&open), Some((2, true)));
    }

    #[test]
    fn filters_are_found_wherever_they_stand() {
        let text = "{{ a|b | c('|x') }}|no\n{% for q in z|d %}{# |e #}{% raw %}{{ x|f }}{% endraw %}\n{{ {'k': '|g'}|h(1)|é }}";
        let names: Vec<(&str, usize)> = filters(text);
        assert_eq!(names, [("b", 1), ("c", 1), ("d", 2), ("h", 3), ("é", 3)]);
        assert_eq!(filters("{{ a | }} {{ |"), []);
    }
}
