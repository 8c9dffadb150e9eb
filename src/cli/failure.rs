//! How a command ends when it does not succeed: one value that becomes two lines for people or one
//! JSON document for programs. Codes and exit statuses are chosen here and nowhere else.

use std::io;

use serde_json::{Map, Value, json};

/// Exit status of a refused or failed operation.
pub(crate) const FAILED: u8 = 1;
/// Exit status of a usage error, and of `validate` when a score cannot be checked at all.
pub(crate) const USAGE: u8 = 2;
/// Exit status of a command that needs the conductor and finds none.
pub(crate) const UNAVAILABLE: u8 = 69;
/// Exit status when the conductor asks to try again later.
pub(crate) const TRY_LATER: u8 = 75;
/// Exit status when a wait ran out of time.
pub(crate) const TIMED_OUT: u8 = 124;

/// What every command returns: its exit status, or why it stopped.
pub(crate) type Done = Result<u8, Stop>;

/// Why a command stopped early.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Something to tell the user.
    Failure(Box<Failure>),
    /// Whoever read our output is gone: nothing to say, and nothing went wrong.
    ClosedPipe,
}

/// A failure in the words of the command line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Failure {
    /// One sentence.
    pub(crate) message: String,
    /// What to do next; a single one is printed as a plain second line.
    pub(crate) hints: Vec<String>,
    /// Machine word, `error_code` of the JSON document.
    pub(crate) word: &'static str,
    /// Exit status.
    pub(crate) exit: u8,
    /// The JSON-RPC error it came from.
    pub(crate) rpc: Option<Value>,
    /// Further members of the JSON document.
    pub(crate) extra: Map<String, Value>,
    /// Printed as it is, without `Error: `, on standard output (the status sentences of `stop`).
    pub(crate) plain: bool,
}

impl Failure {
    /// A failure with exit status 1.
    pub(crate) fn new(word: &'static str, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hints: Vec::new(),
            word,
            exit: FAILED,
            rpc: None,
            extra: Map::new(),
            plain: false,
        }
    }

    /// Wrong use of the command line: exit status 2.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new("usage", message).exit(USAGE)
    }

    /// Adds a hint.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Sets the exit status.
    pub(crate) fn exit(mut self, exit: u8) -> Self {
        self.exit = exit;
        self
    }

    /// Adds a member to the JSON document.
    pub(crate) fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.extra.insert(key.to_owned(), value.into());
        self
    }

    /// Keeps the JSON-RPC error.
    pub(crate) fn rpc(mut self, error: Value) -> Self {
        self.rpc = Some(error);
        self
    }

    /// The sentence is a result, not an error text.
    pub(crate) fn plain(mut self) -> Self {
        self.plain = true;
        self
    }

    /// The document that `--json` prints.
    pub(crate) fn document(&self) -> Value {
        let mut document = json!({
            "success": false,
            "error": self.message,
            "message": self.message,
            "error_code": self.word,
            "hints": self.hints,
            "exit_code": self.exit,
        });
        if let Some(members) = document.as_object_mut() {
            if let Some(rpc) = &self.rpc {
                members.insert("rpc".to_owned(), rpc.clone());
            }
            for (key, value) in &self.extra {
                members.insert(key.clone(), value.clone());
            }
        }
        document
    }

    /// The lines for people, without the leading word `Error: `.
    pub(crate) fn hint_lines(&self) -> String {
        match self.hints.as_slice() {
            [] => String::new(),
            [one] => format!("{one}\n"),
            several => {
                let mut text = "\nHints:\n".to_owned();
                for hint in several {
                    text.push_str(&format!("  - {hint}\n"));
                }
                text
            }
        }
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failure(Box::new(failure))
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::ClosedPipe
        } else {
            Failure::new("internal", format!("cannot write the result: {error}")).into()
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn one_hint_is_a_plain_line_and_several_are_a_list() {
        let one = Failure::new("internal", "no").hint("Start it with: mozart start");
        assert_eq!(one.hint_lines(), "Start it with: mozart start\n");
        let two = one.hint("b");
        assert_eq!(two.hint_lines(), "\nHints:\n  - Start it with: mozart start\n  - b\n");
    }

    #[test]
    fn the_document_says_the_same_twice_and_carries_the_exit_status() {
        let document = Failure::new("timeout", "late").exit(TIMED_OUT).with("job_id", "x").document();
        assert_eq!(
            document.to_string(),
            r#"{"success":false,"error":"late","message":"late","error_code":"timeout","hints":[],"exit_code":124,"job_id":"x"}"#
        );
    }

    #[test]
    fn a_closed_pipe_is_not_a_failure() {
        let stop = Stop::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(matches!(stop, Stop::ClosedPipe));
    }
}
