//! Writes two operators as calls before a template is compiled, because the engine's own differ from Python's:
//! `a < b` as `__compare(a, '<', b)`, and `"text %s" % b` as `"text %s"|__percent(b)`.
//!
//! A reading of tokens, not a parser: where it is not sure of the bounds of an operand it leaves the text as it is, and
//! the engine's operator acts. Lines stay where they are.

use super::{compare, nesting};

/// Deeper brackets are left alone: every call is depth for the compiler.
const MAX_DEPTH: usize = 6;
/// The filter that stands for `%` behind a text.
pub(super) const PERCENT: &str = "__percent";

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Text,
    Number,
    Name,
    /// An opening bracket, with the position of the token that closes it.
    Open(usize),
    Close,
    Other,
}

#[derive(Debug, Clone, Copy)]
struct Token<'t> {
    kind: Kind,
    text: &'t str,
    start: usize,
}

impl Token<'_> {
    const fn end(&self) -> usize {
        self.start + self.text.len()
    }
}

/// Replacements: from, to, text. Sorted by position in the end.
type Edits = Vec<(usize, usize, String)>;

/// The template with both operators written as calls; `None` when it has neither.
pub(super) fn operators(text: &str) -> Option<String> {
    let mut edits = Edits::new();
    nesting::each_tag(text, |start, body| {
        if !body.contains(['<', '>', '%']) {
            return;
        }
        if let Some(mut tokens) = tokens(body, start) {
            // The mark for white space at the beginning of a tag.
            if tokens.first().is_some_and(|token| matches!(token.text, "-" | "+") && token.start == start) {
                tokens.remove(0);
                reposition(&mut tokens);
            }
            group(&tokens, 0, tokens.len(), 0, &mut edits);
            percents(&tokens, &mut edits);
        }
    });
    if edits.is_empty() {
        return None;
    }
    // At one place what ends comes before what begins.
    edits.sort_by_key(|(from, to, text)| (*from, *to, text != ")"));
    let mut out = String::with_capacity(text.len() + edits.len() * 16);
    let mut at = 0;
    for (from, to, new) in &edits {
        out.push_str(&text[at..*from]);
        out.push_str(new);
        at = *to;
    }
    out.push_str(&text[at..]);
    Some(out)
}

fn reposition(tokens: &mut [Token<'_>]) {
    for token in tokens {
        if let Kind::Open(close) = &mut token.kind {
            *close -= 1;
        }
    }
}

/// `None` when the brackets do not match or a string is open.
fn tokens(body: &str, start: usize) -> Option<Vec<Token<'_>>> {
    let bytes = body.as_bytes();
    let mut found: Vec<Token<'_>> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let from = at;
        let kind = match bytes[at] {
            byte if byte.is_ascii_whitespace() => {
                at += 1;
                continue;
            }
            b'"' | b'\'' => {
                at = nesting::string_end(bytes, at) + 1;
                Kind::Text
            }
            byte if byte.is_ascii_digit() => {
                let word = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_alphanumeric);
                let fraction = |at: usize| {
                    bytes.get(at) == Some(&b'.') && bytes.get(at + 1).is_some_and(u8::is_ascii_digit)
                };
                while word(at) || fraction(at) || bytes.get(at) == Some(&b'_') {
                    at += 1;
                }
                Kind::Number
            }
            byte if byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80 => {
                while at < bytes.len()
                    && (bytes[at].is_ascii_alphanumeric() || bytes[at] == b'_' || bytes[at] >= 0x80)
                {
                    at += 1;
                }
                Kind::Name
            }
            b'(' | b'[' | b'{' => {
                open.push(found.len());
                at += 1;
                Kind::Open(0)
            }
            b')' | b']' | b'}' => {
                let opened = open.pop()?;
                found[opened].kind = Kind::Open(found.len());
                at += 1;
                Kind::Close
            }
            _ => {
                let two = ["<=", ">=", "==", "!=", "//", "**"];
                at += if two.iter().any(|two| body[from..].starts_with(two)) { 2 } else { 1 };
                Kind::Other
            }
        };
        found.push(Token { kind, text: body.get(from..at)?, start: start + from });
    }
    open.is_empty().then_some(found)
}

fn ordering(token: &Token<'_>) -> bool {
    token.kind == Kind::Other && matches!(token.text, "<" | ">" | "<=" | ">=")
}

/// Comparisons of one group: the tokens between two brackets, or a whole tag.
fn group(all: &[Token<'_>], from: usize, to: usize, depth: usize, edits: &mut Edits) {
    if depth > MAX_DEPTH {
        return;
    }
    let in_for = depth == 0 && all.first().is_some_and(|token| token.text == "for");
    let mut bound_in = in_for;
    // Of the segment that is read: where it begins, and its comparisons.
    let (mut begin, mut found, mut other) = (from, Vec::new(), false);
    let mut at = from;
    while at < to {
        let token = &all[at];
        let after_is = at > 0 && all[at - 1].text == "is";
        let after_dot = at > 0 && all[at - 1].text == ".";
        let bound = match token.kind {
            Kind::Open(close) => {
                group(all, at + 1, close, depth + 1, edits);
                at = close + 1;
                continue;
            }
            Kind::Name if after_dot => false,
            Kind::Name => match token.text {
                "and" | "or" | "if" | "else" | "elif" | "set" => true,
                "not" => !after_is,
                "in" if bound_in => {
                    bound_in = false;
                    true
                }
                "in" => {
                    other = true;
                    false
                }
                "recursive" => in_for && at + 1 == to,
                _ => false,
            },
            Kind::Other if matches!(token.text, "==" | "!=") => {
                other = true;
                false
            }
            Kind::Other if ordering(token) => {
                found.push(at);
                false
            }
            Kind::Other => matches!(token.text, "," | ":" | "="),
            Kind::Text | Kind::Number | Kind::Close => false,
        };
        if bound {
            segment(all, begin, at, &found, other, edits);
            (begin, found, other) = (at + 1, Vec::new(), false);
        }
        at += 1;
    }
    let mut end = to;
    // The mark for white space at the end of a tag.
    if depth == 0 && end > begin && matches!(all[end - 1].text, "-" | "+") {
        end -= 1;
    }
    segment(all, begin, end, &found, other, edits);
}

/// One comparison between two operands; chains are left to the engine.
fn segment(all: &[Token<'_>], from: usize, to: usize, found: &[usize], other: bool, edits: &mut Edits) {
    let &[op] = found else { return };
    if other || op == from || op + 1 >= to || all[from].text.starts_with('*') {
        return;
    }
    let operator = &all[op];
    edits.push((all[from].start, all[from].start, format!("{}(", compare::NAME)));
    edits.push((operator.start, operator.end(), format!(", '{}', ", operator.text)));
    edits.push((all[to - 1].end(), all[to - 1].end(), ")".to_owned()));
}

/// `"text" % operand`, unless something before the text binds as tightly.
fn percents(all: &[Token<'_>], edits: &mut Edits) {
    for (at, token) in all.iter().enumerate().skip(1) {
        let text = &all[at - 1];
        if token.text != "%" || token.kind != Kind::Other || text.kind != Kind::Text {
            continue;
        }
        let before = at.checked_sub(2).map(|at| &all[at]);
        let tight = before.is_some_and(|before| {
            before.kind == Kind::Text
                || matches!(before.text, "*" | "/" | "//" | "%" | "**" | "-" | "|" | "is")
        });
        if tight {
            continue;
        }
        if let Some(end) = operand(all, at + 1) {
            edits.push((token.start, token.end(), format!("|{PERCENT}(")));
            edits.push((end, end, ")".to_owned()));
        }
    }
}

/// Where the operand ends that begins here: a value with everything that binds to it.
fn operand(all: &[Token<'_>], mut at: usize) -> Option<usize> {
    let first = all.get(at)?;
    let mut end = match first.kind {
        Kind::Text | Kind::Number | Kind::Name => first.end(),
        Kind::Open(close) => {
            at = close;
            all[close].end()
        }
        Kind::Close | Kind::Other => return None,
    };
    at += 1;
    while let Some(token) = all.get(at) {
        match (token.kind, token.text) {
            (Kind::Open(close), "(" | "[") => {
                end = all[close].end();
                at = close + 1;
            }
            (Kind::Other, "." | "|") => {
                end = all.get(at + 1)?.end();
                at += 2;
            }
            (Kind::Other, "**") | (Kind::Name, "is") | (Kind::Text, _) => return None,
            _ => break,
        }
    }
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(operators(text).as_deref().unwrap_or(text), expected);
    }

    #[test]
    fn comparisons_become_calls_and_keep_their_bounds() {
        check("{{ a < b }}", "{{ __compare(a , '<',  b) }}");
        check("{%- if not a.b|f(1) >= 2 and c %}", "{%- if not __compare(a.b|f(1) , '>=',  2) and c %}");
        check("{% for x in l if x > 1 -%}", "{% for x in l if __compare(x , '>',  1) -%}");
        check("{{ f(a<b, k=c>d)[1] }}", "{{ f(__compare(a, '<', b), k=__compare(c, '>', d))[1] }}");
        check("{{ 'y' if a > -1 else z }}", "{{ 'y' if __compare(a , '>',  -1) else z }}");
        check("{{ a < b is odd }}", "{{ __compare(a , '<',  b is odd) }}");
        for same in [
            "{{ 1 < x < 3 }}",
            "{{ a < b == c }}",
            "a < b",
            "{# a < b #}",
            "{% raw %}{{ a < b }}{% endraw %}",
            "{{ '<' }}",
            "{{ a < ( }}",
        ] {
            assert_eq!(operators(same), None, "{same}");
        }
    }

    #[test]
    fn a_text_before_a_percent_sign_is_filled_in() {
        check("{{ '%s' % x }}", "{{ '%s' |__percent( x) }}");
        check("{{ '%s' % x.y[0]|upper ~ z }}", "{{ '%s' |__percent( x.y[0]|upper) ~ z }}");
        check("{{ '%s' % (a, b) < 'c' }}", "{{ __compare('%s' |__percent( (a, b)) , '<',  'c') }}");
        for same in ["{{ x % 2 }}", "{{ 2 * 'a' % 3 }}", "{{ '%s' % a ** 2 }}", "{% if a %}"] {
            assert_eq!(operators(same), None, "{same}");
        }
    }
}
