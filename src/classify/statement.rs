//! What a failed program says of its failure, apart from what it printed while it worked.

use regex::Regex;

use super::{MAX_MESSAGE, Seen, words};
use crate::util::text::{cut, first_line, strip_controls, tail_chars};

/// Of plain output, so much is read as a statement about the failure, and of it the last lines.
const LIMIT_TAIL: usize = 4096;
const LIMIT_LINES: usize = 5;
/// Programs that work in the open print their whole session to stderr: its last lines are about the failure.
const SAID_LINES: usize = 40;

/// The places where the reason of a failure is looked for.
pub(super) struct Statement {
    /// The extracted error, then stderr.
    pub(super) said: String,
    /// Bytes of `said` that are the extracted error.
    extracted: usize,
    /// `said` byte for byte, but blank where it quotes: source lines, names, and all but the end of stderr.
    meant: String,
    /// The last lines of plain stdout.
    pub(super) shown: String,
    /// Those lines are all that it printed: it gave up before it did anything.
    pub(super) curt: bool,
}

impl Statement {
    pub(super) fn of(seen: &Seen<'_>) -> Self {
        let extracted = strip_controls(seen.extracted_error.unwrap_or_default());
        let stderr = strip_controls(seen.stderr_tail);
        let (said, meant) = (format!("{extracted}\n{stderr}"), format!("{extracted}\n{}", meant(&stderr)));
        let plain = if seen.structured { "" } else { seen.stdout_tail };
        let shown = strip_controls(&last_lines(plain));
        let curt = plain.lines().filter(|line| !line.trim().is_empty()).count() <= LIMIT_LINES;
        Self { said, extracted: extracted.len(), meant, shown, curt }
    }

    /// Where the first line is found that `holds` is true of and that is no quotation.
    pub(super) fn meant_where(&self, holds: impl Fn(&str) -> bool) -> Option<(&'static str, String)> {
        let (at, _) = self.meant_lines().find(|(_, line)| holds(line))?;
        Some((self.stream_at(at), line_at(&self.said, at)))
    }

    /// The same for patterns, which may span lines.
    pub(super) fn meant_by(&self, patterns: &[Regex]) -> Option<(&'static str, String)> {
        let at = patterns.iter().find_map(|pattern| pattern.find(&self.meant))?.start();
        Some((self.stream_at(at), line_at(&self.said, at)))
    }

    fn meant_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut at = 0;
        self.meant.split('\n').map(move |line| {
            let start = at;
            at += line.len() + 1;
            (start, line)
        })
    }

    /// The line of plain output that says that a limit was met: no quotation, with no failure of the work itself
    /// after it or in the error output, and after some work only one that says that something is over.
    pub(super) fn shown_limit(&self, speaks: impl Fn(&str) -> bool) -> Option<(&'static str, String)> {
        if self.meant_lines().any(|(_, line)| words::failed_work(line)) {
            return None;
        }
        let lines: Vec<&str> = self.shown.lines().collect();
        let last_failure = lines.iter().rposition(|line| words::failed_work(line));
        let open = &lines[last_failure.map_or(0, |at| at + 1)..];
        open.iter()
            .find(|line| {
                let line = without_names(line);
                !words::quoted(&line) && speaks(&line) && (self.curt || words::asserts(&line))
            })
            .map(|line| ("stdout", line.trim().to_owned()))
    }

    /// Stream and line in which one of the patterns matches what the program said.
    pub(super) fn said_by(&self, patterns: &[Regex]) -> Option<(&'static str, String)> {
        let at = patterns.iter().find_map(|pattern| pattern.find(&self.said))?.start();
        Some((self.stream_at(at), line_at(&self.said, at)))
    }

    /// The same for the last lines of plain output.
    pub(super) fn shown_by(&self, patterns: &[Regex]) -> Option<(&'static str, String)> {
        let at = patterns.iter().find_map(|pattern| pattern.find(&self.shown))?.start();
        Some(("stdout", line_at(&self.shown, at)))
    }

    /// The first of the last lines of plain output that `holds` is true of.
    pub(super) fn shown_where(&self, holds: impl Fn(&str) -> bool) -> Option<(&'static str, String)> {
        self.shown.lines().find(|line| holds(line)).map(|line| ("stdout", line.trim().to_owned()))
    }

    /// Where the first line of `said` is found that `holds` is true of.
    pub(super) fn said_where(&self, holds: impl Fn(&str) -> bool) -> Option<(&'static str, String)> {
        let mut at = 0;
        for line in self.said.split('\n') {
            if holds(line) {
                return Some((self.stream_at(at), line.trim().to_owned()));
            }
            at += line.len() + 1;
        }
        None
    }

    fn stream_at(&self, at: usize) -> &'static str {
        if at < self.extracted { "result" } else { "stderr" }
    }

    /// One line for people: the first of the extracted error, else the last of stderr, else of stdout.
    pub(super) fn line(&self, seen: &Seen<'_>) -> String {
        let error = first_line(seen.extracted_error.unwrap_or_default(), MAX_MESSAGE);
        if !error.is_empty() {
            return error;
        }
        let last = |text: &str| {
            text.lines().map(str::trim).rfind(|line| !line.is_empty()).map(|line| cut(line, MAX_MESSAGE))
        };
        last(&self.said).or_else(|| last(&self.shown)).unwrap_or_default()
    }
}

/// A text with everything blank that it quotes, and all but its last lines. As long as before.
fn meant(text: &str) -> String {
    let full = |line: &&str| !line.trim().is_empty();
    let skip = text.split('\n').filter(full).count().saturating_sub(SAID_LINES);
    let mut seen = 0;
    let lines: Vec<String> = text
        .split('\n')
        .map(|line| {
            seen += usize::from(full(&line));
            if seen <= skip || words::quoted(line) { " ".repeat(line.len()) } else { without_names(line) }
        })
        .collect();
    lines.join("\n")
}

/// A line with blanks for the names of files, tests and functions: `rate_limit.rs` is no limit.
fn without_names(line: &str) -> String {
    let blank = |found: &regex::Captures<'_>| " ".repeat(found[0].len());
    words::names().replace_all(line, blank).into_owned()
}

/// The line around a place in a text.
fn line_at(text: &str, at: usize) -> String {
    let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    // A match may begin with the line end before it.
    text[start..].lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_owned()
}

fn last_lines(text: &str) -> String {
    let tail = tail_chars(text, LIMIT_TAIL);
    let mut lines: Vec<&str> =
        tail.lines().rev().filter(|line| !line.trim().is_empty()).take(LIMIT_LINES).collect();
    lines.reverse();
    lines.join("\n")
}
