//! The words of one tag: names, numbers, strings, brackets and operators, with where they stand.

use super::nesting;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Text,
    Number,
    Name,
    /// An opening bracket, with the position of the token that closes it.
    Open(usize),
    Close,
    Other,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Token<'t> {
    pub(super) kind: Kind,
    pub(super) text: &'t str,
    pub(super) start: usize,
}

impl Token<'_> {
    pub(super) const fn end(&self) -> usize {
        self.start + self.text.len()
    }
}

/// `None` when the brackets do not match or a string is open.
pub(super) fn tokens(body: &str, start: usize) -> Option<Vec<Token<'_>>> {
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
                // `1e-5`, but not `0xe-5`.
                let exponent = |at: usize| {
                    matches!(bytes.get(at), Some(b'+' | b'-'))
                        && matches!(bytes[at - 1], b'e' | b'E')
                        && bytes.get(at + 1).is_some_and(u8::is_ascii_digit)
                        && !matches!(bytes.get(from + 1), Some(b'x' | b'X'))
                };
                while word(at) || fraction(at) || bytes.get(at) == Some(&b'_') || exponent(at) {
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
