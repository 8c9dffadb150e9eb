//! Regular expressions that people wrote for Python, compiled for a linear-time engine.

use regex::{Regex, RegexBuilder};

/// Memory that one compiled pattern may take. Scores and profiles are checked against it when they are loaded.
const MAX_SIZE: usize = 4 * 1024 * 1024;

/// How a pattern is searched.
#[derive(Debug, Clone, Copy, Default)]
pub struct Flags {
    /// `^` and `$` match at every line.
    pub multi_line: bool,
    /// Upper and lower case are the same.
    pub ignore_case: bool,
}

/// Compiles a pattern. The error is one line and says what to do.
pub fn compile(pattern: &str, flags: Flags) -> Result<Regex, String> {
    build(pattern, flags).map_err(|error| explain(pattern, &error))
}

/// As [`compile`], for callers that explain errors in their own words.
pub(crate) fn build(pattern: &str, flags: Flags) -> Result<Regex, regex::Error> {
    RegexBuilder::new(&translated(pattern))
        .multi_line(flags.multi_line)
        .case_insensitive(flags.ignore_case)
        .size_limit(MAX_SIZE)
        .build()
}

/// `\Z` is Python's end of text, which is `\z` here.
pub(crate) fn translated(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        out.push(c);
        if c == '\\' {
            match chars.next() {
                Some('Z') => out.push('z'),
                Some(next) => out.push(next),
                None => (),
            }
        }
    }
    out
}

fn explain(pattern: &str, error: &regex::Error) -> String {
    let text = error.to_string();
    if text.contains("look-around") || text.contains("backreference") || pattern.contains("(?P=") {
        return format!(
            "pattern `{pattern}` uses look-around/back-references, which this build does not support: \
             match the surrounding text too, or use a command_succeeds rule with grep -P"
        );
    }
    let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
    format!("pattern `{pattern}` is not a valid regular expression: {last}")
}

/// A shell pattern (`*`, `?`, `[..]`) over a whole name; `*` matches everything, slashes and leading dots too.
#[must_use]
pub fn glob(pattern: &str) -> Option<Regex> {
    let mut expression = String::from("(?s)^");
    let mut rest = pattern.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '*' => expression.push_str(".*"),
            '?' => expression.push('.'),
            '[' => {
                expression.push('[');
                if rest.peek() == Some(&'!') {
                    rest.next();
                    expression.push('^');
                }
                for inner in rest.by_ref() {
                    if inner == '\\' || inner == '[' || inner == '&' || inner == '~' {
                        expression.push('\\');
                    }
                    expression.push(inner);
                    if inner == ']' {
                        break;
                    }
                }
            }
            c => expression.push_str(&regex::escape(&c.to_string())),
        }
    }
    expression.push('$');
    Regex::new(&expression).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn python_spellings_work() {
        let lines = Flags { multi_line: true, ignore_case: false };
        assert!(compile(r"^b(?P<x>c)$", lines).unwrap().is_match("a\nbc\nd"));
        assert!(!compile(r"a\Z", lines).unwrap().is_match("a\nb"));
        assert!(compile(r"\\Z", lines).unwrap().is_match(r"\Z"));
        assert!(compile(r"(?i)DONE", Flags::default()).unwrap().is_match("done"));
    }

    #[test]
    fn what_cannot_work_is_explained() {
        for pattern in [r"a(?=b)", r"(?<!x)y", r"(a)\1", r"(?P<q>a)(?P=q)"] {
            let error = compile(pattern, Flags::default()).unwrap_err();
            assert!(error.contains("look-around/back-references"), "{error}");
        }
        assert!(compile("(", Flags::default()).unwrap_err().contains("unclosed group"));
        assert!(compile(r"(\w{1,1000}){1,1000}", Flags::default()).is_err());
    }
}
