//! Settings of the conductor: from the text of a file, a profile, a clone, the environment and the
//! command line to one checked [`Config`].
//!
//! For: knowing every field with its type, default, range and moment of effect; reporting all
//! problems of a file at once with their lines; saying what a reload changes. Not for: reading
//! files or variables, which is done by the caller and handed in, and applying anything.
//!
//! Invariants:
//! - A [`Config`] that exists is within all ranges.
//! - Later layers win: defaults, file, profile, clone paths, environment, command line.
//! - An unknown key is an error, at every level.
//! - [`FIELDS`] is the only list of fields; parsing, diff and documentation follow it.

mod check;
mod diff;
mod fields;
mod layers;
mod parse;
mod types;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;

pub use diff::{Change, Diff, after_reload, diff};
pub use fields::{Apply, FIELDS, Field, Kind, Range, not_acting};
pub use layers::{Environment, FileChoice, Loaded, Options, choose_file, clone_tag, load};
pub use parse::{ConfigFile, MAX_FILE_BYTES, parse};
pub use types::{
    Anomaly, Config, Correlation, InstrumentLimit, Key, Keyring, Keys, Learning, LogLevel, McpPool,
    McpServer, MemoryScope, Notifications, Observer, Place, Preflight, Profiler, ProfilerRetention, Recovery,
    ResourceLimits, Retention, Snapshots, Socket, Workers,
};

/// Names of the built-in profiles.
pub const PROFILES: [&str; 3] = ["dev", "intensive", "minimal"];

/// One thing that is wrong with the settings.
///
/// Shown as `<file>:<line>: <field>: <message>`, each part only when it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, as it was named.
    pub file: Option<PathBuf>,
    /// Line, from 1.
    pub line: Option<u32>,
    /// Dotted path of the field or section; the name of a variable or option; "" for the whole file.
    pub field: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}", file.display())?;
            if let Some(line) = self.line {
                write!(f, ":{line}")?;
            }
            f.write_str(": ")?;
        }
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)
    }
}

/// Everything that is wrong with the settings, one line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

/// Something that is accepted and has no effect. Logged once at the start and after a reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Name of the log event.
    pub event: &'static str,
    /// Dotted path of the field.
    pub field: String,
    /// For people.
    pub message: String,
}
