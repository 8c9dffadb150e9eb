//! From the end of a program and what it printed to an error code.
//!
//! Pure functions, defined for any bytes. Not here: what follows from a code (`exec`).
//!
//! Rules of evidence: our own record of why a program was ended counts before anything it printed; what
//! it says of its failure (error output, the error field of its result, the last lines of plain output) is
//! searched for known phrases; what it merely printed while working is not.

mod code;
mod exit;
mod patterns;
pub mod reset;
mod structured;
mod table;
#[cfg(test)]
mod tests;
mod words;

use std::time::Duration;

use jiff::Zoned;
use regex::Regex;

pub use code::ErrorCode;
pub use patterns::{PatternList, Patterns};
pub use table::{Category, Meaning, Severity};

use crate::exec::Failure;
use crate::util::redact;
use crate::util::text::{cut, first_line, strip_controls, tail_chars};

/// Of plain output, so much is read as a statement about the failure, and of it the last lines.
const LIMIT_TAIL: usize = 4096;
const LIMIT_LINES: usize = 5;
/// Longest message, in characters.
const MAX_MESSAGE: usize = 500;

/// What was seen of an ended attempt.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// Exit code.
    pub exit_code: Option<i32>,
    /// Signal that ended the program.
    pub signal: Option<i32>,
    /// Why we ended it: `timeout`, `idle`, `term`, ... Our own record, not a guess.
    pub killed_by: Option<&'a str>,
    /// It could not be started.
    pub spawn_error: Option<SpawnError<'a>>,
    /// The system ended something of it for lack of memory.
    pub oom_killed: bool,
    /// Tail of stdout.
    pub stdout_tail: &'a str,
    /// Tail of stderr.
    pub stderr_tail: &'a str,
    /// The error message in its structured output.
    pub extracted_error: Option<&'a str>,
    /// The code that our own program (of an instrument of kind http) gives its failure.
    pub reported: Option<ErrorCode>,
    /// stdout had the structure that the profile promises; false for plain text.
    pub structured: bool,
    /// An event that reports a rate limit.
    pub rate_limit_event: Option<&'a str>,
    /// What the profile says.
    pub patterns: &'a Patterns,
    /// `rate_limit.detection_patterns` that the score itself writes.
    pub score_patterns: &'a [Regex],
    /// For reset times; its zone is the local one.
    pub now: &'a Zoned,
}

/// Why a program could not be started.
#[derive(Debug, Clone, Copy)]
pub struct SpawnError<'a> {
    /// System call.
    pub call: &'a str,
    /// Its error number.
    pub errno: i32,
    /// Its text.
    pub message: &'a str,
}

/// What the end of an attempt means.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// The program succeeded; the rules decide about the sheet.
    Success,
    /// It failed.
    Failed(Failure),
    /// The instrument asks to wait.
    RateLimited {
        /// E101-E104.
        code: ErrorCode,
        /// As read from its output, at most a day.
        wait: Option<Duration>,
        /// One line.
        message: String,
    },
}

/// One error that was found.
#[derive(Debug, Clone, PartialEq)]
struct Finding {
    code: ErrorCode,
    retriable: bool,
    delay_seconds: u32,
    message: String,
}

impl Finding {
    fn new(code: ErrorCode, message: String) -> Self {
        let row = code.meaning();
        Self { code, retriable: row.retriable, delay_seconds: row.delay_seconds, message }
    }
}

/// Judges the end of an attempt.
#[must_use]
pub fn classify(seen: &Seen<'_>) -> Verdict {
    if let Some(error) = &seen.spawn_error {
        return failed(exit::spawn(error));
    }
    if let Some(reason) = seen.killed_by {
        return failed(ended_by_us(reason));
    }
    let success = seen.signal.is_none()
        && seen.exit_code.is_some_and(|code| seen.patterns.success_exit_codes.contains(&code));
    if success {
        return Verdict::Success;
    }
    let text = Statement::of(seen);
    let root = root_cause(findings(seen, &text));
    if root.code.is_rate_limit() {
        let wait = [seen.rate_limit_event.unwrap_or_default(), &text.said, &text.shown, seen.stdout_tail]
            .into_iter()
            .find_map(|source| reset::parse(source, seen.now));
        return Verdict::RateLimited { code: root.code, wait, message: one_line(&root.message) };
    }
    failed(root)
}

fn failed(finding: Finding) -> Verdict {
    Verdict::Failed(Failure {
        code: finding.code,
        message: one_line(&finding.message),
        retriable: finding.retriable,
        delay: Duration::from_secs(u64::from(finding.delay_seconds)),
    })
}

fn one_line(text: &str) -> String {
    let clean = strip_controls(&redact(text));
    let words: Vec<&str> = clean.split_whitespace().collect();
    cut(&words.join(" "), MAX_MESSAGE)
}

fn ended_by_us(reason: &str) -> Finding {
    match reason {
        "timeout" => Finding::new(ErrorCode::E001, "ended after its timeout".to_owned()),
        "idle" => Finding::new(ErrorCode::E006, "ended because it was silent for too long".to_owned()),
        "cost" => Finding::new(ErrorCode::E007, "ended at its cost limit".to_owned()),
        other => Finding::new(ErrorCode::E008, format!("ended on request ({other})")),
    }
}

/// What a failed program says of its failure.
struct Statement {
    /// stderr and the extracted error.
    said: String,
    /// The last lines of plain stdout.
    shown: String,
}

impl Statement {
    fn of(seen: &Seen<'_>) -> Self {
        let said = format!("{}\n{}", seen.extracted_error.unwrap_or_default(), seen.stderr_tail);
        let shown = if seen.structured { String::new() } else { last_lines(seen.stdout_tail) };
        Self { said: strip_controls(&said), shown: strip_controls(&shown) }
    }

    fn matches(&self, patterns: &[Regex]) -> bool {
        patterns.iter().any(|pattern| pattern.is_match(&self.said) || pattern.is_match(&self.shown))
    }

    /// One line for people: the first of the extracted error, else the last of stderr, else of stdout.
    fn line(&self, seen: &Seen<'_>) -> String {
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

fn last_lines(text: &str) -> String {
    let tail = tail_chars(text, LIMIT_TAIL);
    let mut lines: Vec<&str> =
        tail.lines().rev().filter(|line| !line.trim().is_empty()).take(LIMIT_LINES).collect();
    lines.reverse();
    lines.join("\n")
}

/// Everything that is known to be wrong, in the order it was found. Never empty.
fn findings(seen: &Seen<'_>, text: &Statement) -> Vec<Finding> {
    if let Some(code) = seen.reported {
        return vec![Finding::new(code, text.line(seen))];
    }
    let mut found = structured::errors(seen.stdout_tail, seen.stderr_tail);
    if let Some(number) = seen.signal {
        found.push(exit::signal(number, seen));
        return found;
    }
    let said = text.line(seen);
    if let Some(code) = by_profile(seen.patterns, text) {
        found.push(Finding::new(code, said.clone()));
    }
    if found.is_empty()
        && let Some((code, delay)) = words::cause(&text.said)
    {
        let mut finding = Finding::new(code, said.clone());
        if let Some(delay) = delay {
            (finding.retriable, finding.delay_seconds) = (true, delay);
        }
        found.push(finding);
    }
    if found.is_empty() {
        found.push(exit::code(seen.exit_code, seen, &said));
    }
    if seen.exit_code.is_some()
        && !found.iter().any(|finding| finding.code.is_rate_limit())
        && let Some(code) = rate_limit(seen, text)
    {
        found.push(Finding::new(code, limit_line(seen, text)));
    }
    found
}

/// The first kind of failure that the profile's own patterns recognise.
fn by_profile(patterns: &Patterns, text: &Statement) -> Option<ErrorCode> {
    [
        (&patterns.auth, ErrorCode::E502),
        (&patterns.crash, ErrorCode::E003),
        (&patterns.stale, ErrorCode::E006),
        (&patterns.timeout, ErrorCode::E001),
        (&patterns.capacity, ErrorCode::E103),
    ]
    .into_iter()
    .find(|(list, _)| text.matches(list))
    .map(|(_, code)| code)
}

/// Whether the failure is a rate limit. Our own phrases are searched in what the program said only; the
/// patterns of profile and score also in the last lines of its plain output.
fn rate_limit(seen: &Seen<'_>, text: &Statement) -> Option<ErrorCode> {
    let by_code = seen.exit_code.is_some_and(|code| seen.patterns.rate_limit_exit_codes.contains(&code));
    let by_pattern = text.matches(&seen.patterns.rate_limit) || text.matches(seen.score_patterns);
    let by_phrase = words::quota(&text.said) || words::rate_limit(&text.said);
    if let Some(event) = seen.rate_limit_event {
        return Some(words::limit_kind(event));
    }
    if by_pattern || by_code {
        return Some(words::limit_kind(&format!("{}\n{}", text.said, text.shown)));
    }
    by_phrase.then(|| words::limit_kind(&text.said))
}

/// The line that speaks of the limit.
fn limit_line(seen: &Seen<'_>, text: &Statement) -> String {
    let patterns = || seen.patterns.rate_limit.iter().chain(seen.score_patterns);
    let speaks = |line: &&str| {
        patterns().any(|pattern| pattern.is_match(line)) || words::quota(line) || words::rate_limit(line)
    };
    text.said
        .lines()
        .chain(text.shown.lines())
        .find(speaks)
        .map_or_else(|| text.line(seen), |line| line.trim().to_owned())
}

/// The most basic of several errors.
fn root_cause(found: Vec<Finding>) -> Finding {
    let codes: Vec<ErrorCode> = found.iter().map(|finding| finding.code).collect();
    // `min_by_key` takes the first of equals.
    found
        .into_iter()
        .min_by_key(|finding| priority(finding.code, &codes))
        .unwrap_or_else(|| Finding::new(ErrorCode::E999, "nothing is known of its end".to_owned()))
}

fn priority(code: ErrorCode, all: &[ErrorCode]) -> i32 {
    use ErrorCode::{E001, E101, E102, E203, E303, E305, E306, E502, E504, E505, E901, E902, E903};
    let has = |codes: &[ErrorCode]| codes.iter().any(|other| all.contains(other));
    let execution = || all.iter().any(|other| *other != code && *other <= ErrorCode::E009);
    let adjustment = match code {
        E505 if all.iter().any(|other| *other != E505) => -10,
        E303 => -5,
        E502 if has(&[E101, E102]) => -5,
        E901 | E902 | E903 if has(&[E504, E101]) => -3,
        E305 if has(&[E203]) => -3,
        E306 if execution() => -3,
        E001 if has(&[E101]) => 5,
        _ => 0,
    };
    i32::from(code.meaning().priority) + adjustment
}
