//! From the end of a program and what it printed to an error code.
//!
//! Pure functions, defined for any bytes. Not here: what follows from a code (`exec`).
//!
//! Rules of evidence: our own record of why a program was ended counts before anything it printed; what
//! it says of its failure (error output, the error field of its result, the last lines of plain output) is
//! searched for known phrases; what it merely printed while working is not.

mod about;
mod cause;
mod code;
mod exit;
mod patterns;
pub mod reset;
mod statement;
mod structured;
mod table;
#[cfg(test)]
mod tests;
mod words;

use std::fmt;
use std::time::Duration;

use jiff::Zoned;
use regex::Regex;

pub use code::ErrorCode;
pub use patterns::{PatternList, Patterns};
pub use table::{Category, Meaning, Severity};

use crate::exec::{Failure, SheetError};
use crate::util::redact;
use crate::util::text::{cut, strip_controls};
use statement::Statement;

/// Longest message and longest piece of evidence, in characters.
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
    /// While it ran, the system has killed something for lack of memory.
    pub oom_killed: bool,
    /// Tail of stdout.
    pub stdout_tail: &'a str,
    /// Tail of stderr.
    pub stderr_tail: &'a str,
    /// The error message in its structured output.
    pub extracted_error: Option<&'a str>,
    /// Its structured output says that it failed (`cli.output.error_marker`), whatever the exit code says.
    pub marked: bool,
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

/// How an error was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Our own record: a timeout, a request to end it, a program that could not be started.
    Record,
    /// The program reported it in a form made for programs.
    Structured,
    /// Its exit code or the signal that ended it.
    ExitCode,
    /// A phrase in what it says of its failure.
    RegexFallback,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Record => "record",
            Self::Structured => "structured",
            Self::ExitCode => "exit_code",
            Self::RegexFallback => "regex_fallback",
        })
    }
}

/// A verdict and what it rests on.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// What the end means.
    pub verdict: Verdict,
    /// How the error was found; `None` for a success.
    pub method: Option<Method>,
    /// How sure it is that this error is the root of the others: 0-1, 1 for a single one.
    pub confidence: f64,
    /// Stream, rule and text that showed it, redacted, at most 500 characters: `stderr, auth: login required`.
    pub evidence: Option<String>,
    /// Other errors that were seen, without repeated ones.
    pub further: Vec<SheetError>,
}

/// What showed an error.
#[derive(Debug, Clone, PartialEq)]
struct Proof {
    /// `stdout`, `stderr`, `result`, ...
    stream: &'static str,
    /// Which rule matched.
    rule: &'static str,
    /// The line or message.
    text: String,
}

/// One error that was found.
#[derive(Debug, Clone, PartialEq)]
struct Finding {
    code: ErrorCode,
    retriable: bool,
    delay_seconds: u32,
    message: String,
    method: Method,
    proof: Option<Proof>,
    /// The instrument said so in a way that leaves no doubt: counts before everything else.
    certain: bool,
}

impl Finding {
    fn new(code: ErrorCode, method: Method, message: String) -> Self {
        let row = code.meaning();
        Self {
            code,
            retriable: row.retriable,
            delay_seconds: row.delay_seconds,
            message,
            method,
            proof: None,
            certain: false,
        }
    }

    fn proved(self, stream: &'static str, rule: &'static str, text: &str) -> Self {
        Self { proof: Some(Proof { stream, rule, text: text.to_owned() }), ..self }
    }
}

/// Judges the end of an attempt.
#[must_use]
pub fn classify(seen: &Seen<'_>) -> Judgement {
    if let Some(error) = &seen.spawn_error {
        return judgement(vec![exit::spawn(error)], None);
    }
    if let Some(reason) = seen.killed_by {
        return judgement(vec![ended_by_us(reason)], None);
    }
    if seen.is_success() {
        return Judgement {
            verdict: Verdict::Success,
            method: None,
            confidence: 1.0,
            evidence: None,
            further: Vec::new(),
        };
    }
    let text = Statement::of(seen);
    let found = cause::findings(seen, &text);
    judgement(found, Some((seen, &text)))
}

impl Seen<'_> {
    fn is_success(&self) -> bool {
        self.signal.is_none()
            && !self.marked
            && self.exit_code.is_some_and(|code| self.patterns.success_exit_codes.contains(&code))
    }
}

fn judgement(found: Vec<Finding>, said: Option<(&Seen<'_>, &Statement)>) -> Judgement {
    let (root, others, confidence) = cause::root(found);
    let mut further: Vec<SheetError> = Vec::new();
    for other in others {
        let error = SheetError { code: other.code, message: one_line(&other.message) };
        if error.code != root.code && !further.contains(&error) {
            further.push(error);
        }
    }
    let evidence = root.proof.as_ref().map(|proof| {
        let text = one_line(&proof.text);
        cut(&format!("{}, {}: {text}", proof.stream, proof.rule), MAX_MESSAGE)
    });
    let message = one_line(&root.message);
    let verdict = if root.code.is_rate_limit() {
        let wait = said.and_then(|(seen, text)| {
            let line = root.proof.as_ref().map_or("", |proof| proof.text.as_str());
            [seen.rate_limit_event.unwrap_or_default(), line, &root.message, &text.said, &text.shown]
                .into_iter()
                .find_map(|source| reset::parse(source, seen.now))
        });
        Verdict::RateLimited { code: root.code, wait, message }
    } else {
        Verdict::Failed(Failure {
            code: root.code,
            message,
            retriable: root.retriable,
            delay: Duration::from_secs(u64::from(root.delay_seconds)),
        })
    };
    Judgement { verdict, method: Some(root.method), confidence, evidence, further }
}

fn one_line(text: &str) -> String {
    let clean = strip_controls(&redact(text));
    let words: Vec<&str> = clean.split_whitespace().collect();
    cut(&words.join(" "), MAX_MESSAGE)
}

fn ended_by_us(reason: &str) -> Finding {
    let (code, message) = match reason {
        "timeout" => (ErrorCode::E001, "ended after its timeout".to_owned()),
        "idle" => (ErrorCode::E006, "ended because it was silent for too long".to_owned()),
        "cost" => (ErrorCode::E007, "ended at its cost limit".to_owned()),
        other => (ErrorCode::E008, format!("ended on request ({other})")),
    };
    Finding::new(code, Method::Record, message)
}
