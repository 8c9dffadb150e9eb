//! Regular expressions of scores and profiles: written for Python, run by the `regex` crate.

use regex::Regex;

use crate::util::pattern::{Flags, build as compiled, translated};

/// Compiles a pattern: `^` and `$` match at every line, `\Z` is the end of the text.
///
/// # Errors
/// Why it is not a regular expression, or which construct is not supported, one line.
pub fn compile(pattern: &str) -> Result<Regex, String> {
    build(pattern, false)
}

/// Whether [`compile`] takes a pattern, without the work of compiling when that cannot fail: reading it is enough for
/// a short one without counted repetitions, which never becomes too large.
///
/// # Errors
/// As [`compile`].
pub fn check(pattern: &str) -> Result<(), String> {
    let small = pattern.len() <= 64 && !pattern.contains('{');
    let reads = || {
        let mut parser = regex_syntax::ParserBuilder::new().multi_line(true).build();
        parser.parse(&translated(pattern)).is_ok()
    };
    if small && reads() { Ok(()) } else { compile(pattern).map(drop) }
}

/// As [`compile`], without regard to case.
///
/// # Errors
/// As [`compile`].
pub fn compile_caseless(pattern: &str) -> Result<Regex, String> {
    build(pattern, true)
}

fn build(pattern: &str, caseless: bool) -> Result<Regex, String> {
    compiled(pattern, Flags { multi_line: true, ignore_case: caseless }).map_err(|error| {
        let text = error.to_string();
        if ["look-around", "backreferences"].iter().any(|what| text.contains(what)) {
            return "pattern uses look-around/back-references, which this build does not support".to_owned();
        }
        if text.contains("size limit") {
            return "pattern is too large when compiled: repeat less, or use content_contains".to_owned();
        }
        let place = position(&text).map_or_else(String::new, |at| format!(" at position {at}"));
        let last = text.lines().last().unwrap_or("").trim();
        format!("{}{place}", last.strip_prefix("error: ").unwrap_or(last))
    })
}

/// The character, from 0, at which a pattern of one line goes wrong: the error draws a caret below it.
fn position(error: &str) -> Option<usize> {
    let caret = |line: &&str| !line.trim().is_empty() && line.trim().chars().all(|c| c == '^');
    let line = error.lines().find(caret)?;
    line.find('^')?.checked_sub(4)
}

/// What usually mends a pattern that does not compile.
pub(super) fn advice(pattern: &str) -> &'static str {
    let why = compile(pattern).err().unwrap_or_default();
    if why.contains("look-around") {
        "match the text itself and check the rest with a second rule, or use command_succeeds with grep -P"
    } else if why.contains("size limit") || why.contains("too large") {
        "repeat less: `{1,20}` instead of `{1,1000}`, `\\S` instead of `\\w`; a text letter by letter needs only content_contains"
    } else if why.contains("repetition count range") || why.contains("class range") {
        "the first of the two must not be greater than the second: `{1,3}`, `[a-z]`"
    } else if why.contains("duplicate capture group") {
        "give each group a name of its own"
    } else if why.contains("flag") {
        "a group that begins with `(?` is `(?i)`, `(?:...)` or `(?P<name>...)`; write `\\(` for the character itself"
    } else if why.contains("repetition") {
        "`*`, `+`, `?` and `{n}` repeat what stands before them: write `\\*` for the character itself"
    } else if why.contains("group") || why.contains("parenthes") {
        "close every `(` with `)`; write `\\(` for the character itself"
    } else if why.contains("class") {
        "close every `[` with `]`; write `\\[` for the character itself"
    } else if why.contains("escape") {
        "write `\\\\` for a backslash; in YAML use single quotes around patterns"
    } else {
        "test the pattern by itself; a text that stands there letter by letter needs only content_contains"
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn checking_says_what_compiling_says() {
        for pattern in [
            "a",
            "(",
            "[a",
            "a**",
            "*a",
            r"a\",
            r"(?P<n>x)\Z",
            "(?=a)",
            r"(a)\1",
            r"\w+@\d",
            "(?i)x|y$",
            "a{2}",
            r"(\w{1,1000}){1,1000}",
            r"\p{Greek}",
            r"\p{Nope}",
            "(?x) a # b",
            r"\xff",
            r"(?-u)\xff",
            r"\w\w\w\w\w\w\w\w\w\w\w\w\w\w\w\w\w\w\w\w\w\w\w\w\w\w\w\w\w\w\w\w",
        ] {
            assert_eq!(check(pattern), compile(pattern).map(drop), "{pattern}");
        }
    }

    #[test]
    fn patterns_of_python() {
        assert!(compile(r"^b$").unwrap().is_match("a\nb\nc"));
        assert!(!compile(r"a\Z").unwrap().is_match("a\nb"));
        assert!(compile(r"(?P<n>x)\\Z").unwrap().is_match(r"x\Z"));
        assert!(compile_caseless("Rate").unwrap().is_match("RATE"));
        assert_eq!(compile("(").unwrap_err(), "unclosed group at position 0");
        assert!(compile("(?=a)").unwrap_err().contains("look-around"));
        assert!(compile(r"(a)\1").unwrap_err().contains("back-references"));
        assert!(compile(r"(\w{1,1000}){1,1000}").unwrap_err().contains("too large"));
    }
}
