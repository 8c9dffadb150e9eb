//! One code of any kind: reading it, what is said about it, and which ones are like a wrong one.

use std::fmt;

use serde_json::{Value, json};

use crate::classify::{Category, ErrorCode, Meaning};
use crate::cli::format;
use crate::cli::job::near as near_names;
use crate::cli::style::{Style, Tone};
use crate::rpc::{self, RpcCode};
use crate::score::checks::{self, CheckCode};

/// A code that a person may have met.
#[derive(Debug, Clone, Copy)]
pub(super) enum Code {
    /// Of a failed sheet or job: `E101`.
    Error(ErrorCode),
    /// Of a check of scores: `V101`.
    Check(&'static CheckCode),
    /// Of an answer of the conductor: `-32001`.
    Rpc(&'static RpcCode),
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(code) => code.fmt(f),
            Self::Check(row) => f.write_str(row.code),
            Self::Rpc(row) => row.code.fmt(f),
        }
    }
}

impl Code {
    /// All of them.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let errors = ErrorCode::ALL.into_iter().map(Self::Error);
        errors.chain(checks::CODES.iter().map(Self::Check)).chain(rpc::CODES.iter().map(Self::Rpc))
    }

    /// Reads one as people write it, with or without its letter or sign, or its name.
    pub(super) fn parse(written: &str) -> Option<Self> {
        let error = ErrorCode::parse(written).map(Self::Error);
        error
            .or_else(|| CheckCode::parse(written).map(Self::Check))
            .or_else(|| RpcCode::parse(written).map(Self::Rpc))
    }

    fn name(self) -> Option<&'static str> {
        match self {
            Self::Error(code) => Some(code.meaning().name),
            Self::Check(_) => None,
            Self::Rpc(row) => Some(row.name),
        }
    }

    /// What to do, in a line.
    pub(super) fn hint(self) -> &'static str {
        match self {
            Self::Error(code) => code.meaning().hint,
            Self::Check(row) => row.hint,
            Self::Rpc(row) => row.hint,
        }
    }

    /// The page about it.
    pub(super) fn text(self, style: Style) -> String {
        let code = style.paint(Tone::Bold, &self.to_string());
        match self {
            Self::Error(error) => error_page(error, &code),
            Self::Check(row) => {
                let mends = if row.hint.is_empty() {
                    String::new()
                } else {
                    format!("\nWhat mends it: {}.\n", row.hint)
                };
                format!("{code} {}\n\nFound by mozart validate: {}.\n{mends}", row.severity, row.about)
            }
            Self::Rpc(row) => {
                format!("{code} {}\n\n{}\n\nWhat to do: {}.\n", row.name, row.about, row.hint)
            }
        }
    }

    /// The one document of a code.
    pub(super) fn document(self) -> Value {
        match self {
            Self::Error(code) => {
                let row = code.meaning();
                json!({
                    "code": code.to_string(), "kind": "error", "name": row.name,
                    "category": row.category.to_string(), "severity": row.severity.to_string(),
                    "retry": word(row), "retriable": row.retriable, "delay_seconds": row.delay_seconds,
                    "root_priority": row.priority, "about": code.about(), "what_to_do": row.hint,
                    "variants": code.variants(),
                })
            }
            Self::Check(row) => json!({
                "code": row.code, "kind": "check", "severity": row.severity, "about": row.about,
                "what_to_do": row.hint,
            }),
            Self::Rpc(row) => json!({
                "code": row.code.to_string(), "kind": "rpc", "name": row.name, "about": row.about,
                "what_to_do": row.hint,
            }),
        }
    }

    /// Kind and number, for what is close to what.
    fn place(self) -> (char, i64) {
        let text = self.to_string();
        let kind = text.chars().next().unwrap_or_default();
        (kind, text[1..].parse().unwrap_or(i64::MAX))
    }
}

fn error_page(code: ErrorCode, shown: &str) -> String {
    let row = code.meaning();
    let mut text = format!("{shown} {}\n\n", row.name);
    for (label, value) in [
        ("Category", row.category.to_string()),
        ("Severity", row.severity.to_string()),
        ("Retry", retry(row).to_owned()),
        ("Delay", delay(row)),
    ] {
        text.push_str(&format!("{label:<10}{value}\n"));
    }
    text.push_str(&format!("\n{}\n\nWhat to do: {}.\n", code.about(), row.hint));
    let variants = code.variants();
    if !variants.is_empty() {
        text.push_str("\nIt may differ:\n");
        for variant in variants {
            text.push_str(&format!("- {variant}\n"));
        }
    }
    text
}

/// Codes of the same kind whose number is close to what was written, those of the same hundred first; else codes
/// whose name looks like it.
pub(super) fn near(written: &str) -> Vec<String> {
    let written = written.trim();
    let digits = written.trim_start_matches(|c: char| !c.is_ascii_digit());
    let kind = match written.chars().next() {
        Some('V' | 'v') => 'V',
        Some('-') => '-',
        _ if digits.len() > 3 => '-',
        _ => 'E',
    };
    if let (true, Ok(number)) = (written.len() <= digits.len() + 1, digits.parse::<i64>()) {
        let mut codes: Vec<Code> = Code::all().filter(|code| code.place().0 == kind).collect();
        codes.sort_by_key(|code| {
            let (_, other) = code.place();
            (other / 100 != number / 100, other.abs_diff(number))
        });
        return codes.into_iter().take(3).map(|code| code.to_string()).collect();
    }
    let named = || Code::all().filter_map(|code| Some((code.name()?, code)));
    near_names(written, named().map(|(name, _)| name))
        .iter()
        .filter_map(|near| named().find(|(name, _)| name == near))
        .map(|(_, code)| code.to_string())
        .collect()
}

/// One word, as the page on errors has it.
pub(super) fn word(row: Meaning) -> &'static str {
    match (row.retriable, row.category) {
        (_, Category::RateLimit) => "wait",
        (true, _) => "yes",
        (false, _) => "no",
    }
}

fn retry(row: Meaning) -> &'static str {
    match word(row) {
        "wait" => "waited out, costs no retry",
        "yes" => "tried again while retries are left",
        _ => "not tried again: next fallback instrument, else the sheet fails",
    }
}

/// How long is waited before the next attempt.
pub(super) fn delay(row: Meaning) -> String {
    match row.delay_seconds {
        0 => "none".to_owned(),
        seconds => format::duration(f64::from(seconds)),
    }
}
