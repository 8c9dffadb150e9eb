//! Results go to standard output, everything else to standard error.

use std::io::{self, IsTerminal, Write};

use serde_json::Value;

use crate::cli::failure::{Failure, Stop};
use crate::cli::format;
use crate::cli::style::{ColorChoice, Style, Tone};

/// Both streams of a command and how it was asked to speak.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    /// `--json`: one document, or one per line for watching commands, and nothing else.
    pub(crate) json: bool,
    /// `--quiet`: only the essential result.
    pub(crate) quiet: bool,
    /// `--verbose`.
    pub(crate) verbose: bool,
    /// How standard output is written.
    pub(crate) style: Style,
    /// How standard error is written.
    pub(crate) error_style: Style,
}

impl Output {
    /// Looks at both streams once.
    pub(crate) fn new(json: bool, quiet: bool, verbose: bool, color: ColorChoice) -> Self {
        let env = |name: &str| std::env::var(name).ok();
        Self {
            json,
            quiet,
            verbose,
            style: Style::stdout(color, &env),
            error_style: Style::stderr(color, &env),
        }
    }

    /// Writes text as it is to standard output.
    pub(crate) fn text(&self, text: &str) -> Result<(), Stop> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()?;
        Ok(())
    }

    /// Writes one line to standard output.
    pub(crate) fn line(&self, text: &str) -> Result<(), Stop> {
        let mut out = io::stdout().lock();
        writeln!(out, "{text}")?;
        out.flush()?;
        Ok(())
    }

    /// A line that `--quiet` and `--json` leave out, about what the command does. A reader that has gone away does
    /// not keep the command from doing the rest: `mozart restart | head -1` still starts.
    pub(crate) fn say(&self, text: &str) -> Result<(), Stop> {
        if self.quiet || self.json {
            return Ok(());
        }
        match self.line(text) {
            Err(Stop::ClosedPipe) => Ok(()),
            other => other,
        }
    }

    /// Writes bytes of a program, cleaned of what would act on a terminal when it is one.
    pub(crate) fn program_text(&self, bytes: &[u8]) -> Result<(), Stop> {
        let mut out = io::stdout().lock();
        if out.is_terminal() {
            out.write_all(format::clean(&String::from_utf8_lossy(bytes)).as_bytes())?;
        } else {
            out.write_all(bytes)?;
        }
        out.flush()?;
        Ok(())
    }

    /// The one document of `--json`.
    pub(crate) fn document(&self, value: &Value) -> Result<(), Stop> {
        let value = cleaned(value);
        let text = if io::stdout().is_terminal() { format!("{value:#}") } else { value.to_string() };
        self.line(&text)
    }

    /// One document of a watching command.
    pub(crate) fn document_line(&self, value: &Value) -> Result<(), Stop> {
        self.line(&cleaned(value).to_string())
    }

    /// A remark on standard error. A closed standard error is nobody's problem.
    pub(crate) fn remark(&self, text: &str) {
        _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// `Warning: …` on standard error; left out with `--quiet`.
    pub(crate) fn warn(&self, text: &str) {
        if !self.quiet {
            let word = self.error_style.paint(Tone::Yellow, "Warning:");
            self.remark(&format!("{word} {text}"));
        }
    }

    /// Says why a command failed, in the form that was asked for.
    pub(crate) fn failure(&self, failure: &Failure) -> Result<(), Stop> {
        if self.json {
            return self.document(&failure.document());
        }
        if failure.plain {
            return self.line(&failure.message);
        }
        let word = self.error_style.paint(Tone::Red, "Error:");
        let text = format!("{word} {}\n{}", format::clean(&failure.message), failure.hint_lines());
        _ = io::stderr().lock().write_all(text.as_bytes());
        Ok(())
    }
}

/// The same document without terminal sequences in any text.
fn cleaned(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(format::clean(text)),
        Value::Array(items) => Value::Array(items.iter().map(cleaned).collect()),
        Value::Object(members) => {
            Value::Object(members.iter().map(|(key, value)| (key.clone(), cleaned(value))).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn documents_carry_no_terminal_sequences() {
        let dirty = json!({"a": ["\u{1b}[31mx"], "n": 1});
        assert_eq!(cleaned(&dirty), json!({"a": ["x"], "n": 1}));
    }
}
