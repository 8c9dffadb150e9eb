//! What rules need to be checked: expanded paths, and the commands they run.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use crate::instrument::find_program;
use crate::score::{Rule, RuleKind, pattern};
use crate::template::{Vars, placeholders};

/// A rule that cannot be checked whatever the program does: why, in one line. Loading a score finds most of this; what
/// depends on the variables of a sheet is found here, before its program starts.
#[must_use]
pub fn broken(rule: &Rule, vars: &Vars, workspace: &Path) -> Option<String> {
    let paths = [("path", &rule.path), ("working_directory", &rule.working_directory)];
    let wrong_path = paths.into_iter().find_map(|(field, text)| {
        let error = expand_path(text.as_deref()?, vars, workspace).err()?;
        Some(format!("{field}: {error}"))
    });
    wrong_path.or_else(|| {
        let regex = (rule.kind == RuleKind::ContentRegex).then_some(rule.pattern.as_deref()).flatten()?;
        pattern::compile(regex).err().map(|why| format!("pattern: {why}"))
    })
}

/// A command of a rule, ready to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Shell, `-c`, text.
    pub argv: Vec<String>,
    /// Absolute, exists.
    pub cwd: PathBuf,
    /// After which it is ended.
    pub timeout: Duration,
}

/// How a command ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandEnd {
    /// Exit code.
    pub exit_code: Option<i32>,
    /// Signal.
    pub signal: Option<i32>,
    /// It was ended after its timeout.
    pub timed_out: bool,
    /// It could not be started: why.
    pub spawn_error: Option<String>,
    /// What it printed to both streams; the middle may be missing.
    pub output: Vec<u8>,
    /// How much it printed.
    pub total_bytes: u64,
}

/// The shell for commands: `bash`, or `sh` where there is no bash, on a `PATH`.
#[must_use]
pub fn shell(path: Option<&str>) -> String {
    let found = ["bash", "sh"].iter().find_map(|name| find_program(name, path, Path::new("/")));
    found.map_or_else(|| "/bin/sh".to_owned(), |file| file.to_string_lossy().into_owned())
}

/// A path of a rule: placeholders replaced, relative to the workspace, without `.` and `..`.
///
/// # Errors
/// An unknown placeholder, or a path that no file can have; in one line.
pub fn expand_path(text: &str, vars: &Vars, workspace: &Path) -> Result<PathBuf, String> {
    let text = placeholders::expand_path(text, vars)?;
    if text.contains('\0') {
        return Err("the path contains a NUL character".to_owned());
    }
    Ok(normalised(&workspace.join(text)))
}

pub(super) fn expand_command(text: &str, vars: &Vars) -> String {
    placeholders::expand_command(text, vars)
}

/// Without `.` and `..`, by the text alone: the path need not exist.
fn normalised(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => (),
            Component::ParentDir => _ = out.pop(),
            Component::RootDir | Component::Prefix(_) | Component::Normal(_) => out.push(part),
        }
    }
    out
}
