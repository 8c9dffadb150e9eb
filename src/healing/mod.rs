//! Self-healing: after a failure, look for causes that can be mended or named.
//!
//! For: the sheet worker, when the retries of a sheet are used up, and `mozart validate --self-healing`. Not for:
//! deciding whether the sheet is tried again (`exec`: only when a remedy was applied).
//!
//! Invariants: what a remedy changes by itself lies in the workspace or the working directory of the sheet; a score
//! or template is changed only after a person agreed, with a copy beside it; values of the environment are neither
//! read nor shown, only whether a variable is set; a remedy that panics is reported and the others go on.

mod directories;
mod facts;
mod hints;
mod score_file;
mod templates;

use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};

use crate::classify::ErrorCode;
use crate::exec::Remedy;
use crate::instrument::Environment;

pub use facts::{key_variables, known_names, written_paths};
pub use score_file::{Subject, mend};

/// Characters of each output stream that remedies are shown.
pub const CONTEXT_CHARS: usize = 10_000;

/// What is known of a failure.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The error that counts.
    pub code: ErrorCode,
    /// Its message.
    pub message: &'a str,
    /// Exit code.
    pub exit_code: Option<i32>,
    /// Signal.
    pub signal: Option<i32>,
    /// The last [`CONTEXT_CHARS`] of it; more is not looked at.
    pub stdout_tail: &'a str,
    /// The last [`CONTEXT_CHARS`] of it.
    pub stderr_tail: &'a str,
    /// Absolute.
    pub workspace: &'a Path,
    /// Where the program works, absolute.
    pub working_directory: &'a Path,
    /// Expanded paths of the rules that failed.
    pub failed_paths: &'a [PathBuf],
    /// Paths and placeholders as the score writes them, with the key: rules, injections, working directories.
    pub written_paths: &'a [(String, String)],
    /// Names that the template may use, for misspelt ones.
    pub known_names: &'a [String],
    /// Name of the instrument.
    pub instrument: &'a str,
    /// Its program; `None` for one that is none.
    pub executable: Option<&'a str>,
    /// Variables that hold its credentials.
    pub key_variables: &'a [String],
    /// Environment of the conductor. Values are not shown, but for `PATH` and `HOME`.
    pub ours: &'a Environment,
    /// Attempts so far.
    pub retry_count: u32,
    /// Errors of the attempts before.
    pub previous_codes: &'a [ErrorCode],
    /// State directory of the conductor, for its size.
    pub state_dir: Option<&'a Path>,
}

/// How remedies are used.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// Names of remedies that are not tried.
    pub disabled: &'a [String],
    /// Say what would be done and do nothing.
    pub dry_run: bool,
    /// A person has agreed to what is only suggested otherwise (`--yes`).
    pub confirmed: bool,
}

/// One remedy: its name, and what it says of a failure; `None` = not its subject.
type Row = (&'static str, fn(&Context<'_>, &Options<'_>) -> Option<Finding>);

/// What a remedy did or found.
#[derive(Debug, Clone, PartialEq)]
struct Finding {
    applied: bool,
    message: String,
    confidence: f64,
}

const ROWS: [Row; 8] = [
    ("create_missing_workspace", directories::workspace),
    ("create_missing_parent_dirs", directories::parents),
    ("fix_path_separators", directories::separators),
    ("suggest_jinja_fix", templates::suggest),
    ("diagnose_auth_error", hints::auth),
    ("diagnose_missing_cli", hints::missing_program),
    ("free_disk_hint", hints::full_disk),
    ("stale_lock_hint", hints::stale_lock),
];

/// Names of all remedies.
#[must_use]
pub fn names() -> Vec<&'static str> {
    ROWS.map(|(name, _)| name).to_vec()
}

/// Tries all remedies. Those that had something to say, the most confident first. Another attempt is worth it when
/// one of them was applied.
#[must_use]
pub fn heal(context: &Context<'_>, options: &Options<'_>) -> Vec<Remedy> {
    let context = Context {
        stdout_tail: crate::util::text::tail_chars(context.stdout_tail, CONTEXT_CHARS),
        stderr_tail: crate::util::text::tail_chars(context.stderr_tail, CONTEXT_CHARS),
        ..*context
    };
    run(&ROWS, &context, options)
}

fn run(rows: &[Row], context: &Context<'_>, options: &Options<'_>) -> Vec<Remedy> {
    let enabled = rows.iter().filter(|(name, _)| !options.disabled.iter().any(|other| other == name));
    let found = enabled.filter_map(|(name, remedy)| {
        let result = panic::catch_unwind(AssertUnwindSafe(|| remedy(context, options)));
        let finding = result.unwrap_or_else(|_| {
            log::error!("healing.remedy_panicked remedy={name}");
            let message = "this remedy panicked; please report it with the conductor's log".to_owned();
            Some(Finding { applied: false, message, confidence: 0.0 })
        })?;
        Some(named(name, finding))
    });
    sorted(found.collect())
}

fn named(name: &str, finding: Finding) -> Remedy {
    let Finding { applied, message, confidence } = finding;
    Remedy { name: name.to_owned(), applied, message, confidence }
}

fn sorted(mut remedies: Vec<Remedy>) -> Vec<Remedy> {
    remedies.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    remedies
}

impl Context<'_> {
    /// Everything that was said about the failure, in the order of its weight.
    fn said(&self) -> [&str; 3] {
        [self.message, self.stderr_tail, self.stdout_tail]
    }

    fn says(&self, phrases: &[&str]) -> bool {
        self.said().iter().any(|text| {
            let text = text.to_lowercase();
            phrases.iter().any(|phrase| text.contains(phrase))
        })
    }
}

#[cfg(test)]
mod tests;
