//! Rules as they are checked, and the commands they run.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use crate::instrument::find_program;
use crate::template::{Vars, placeholders};

/// Kind of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleKind {
    /// A regular file is there.
    FileExists,
    /// A file is there and differs from before the attempt.
    FileModified,
    /// A file contains a text.
    ContentContains,
    /// A file matches a regular expression.
    ContentRegex,
    /// A command exits with 0.
    CommandSucceeds,
}

impl RuleKind {
    /// As scores write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::FileExists => "file_exists",
            Self::FileModified => "file_modified",
            Self::ContentContains => "content_contains",
            Self::ContentRegex => "content_regex",
            Self::CommandSucceeds => "command_succeeds",
        }
    }

    /// Reads the name that scores write.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [
            Self::FileExists,
            Self::FileModified,
            Self::ContentContains,
            Self::ContentRegex,
            Self::CommandSucceeds,
        ]
        .into_iter()
        .find(|kind| kind.name() == name)
    }
}

/// One rule that applies to a sheet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Kind.
    pub kind: RuleKind,
    /// File, with `{name}` placeholders.
    pub path: Option<String>,
    /// Text or regular expression, as written.
    pub pattern: Option<String>,
    /// Shell text, with `{name}` placeholders.
    pub command: Option<String>,
    /// Where a command runs; default the workspace.
    pub working_directory: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// 1-10; later stages run only when earlier ones passed.
    pub stage: u8,
    /// Further checks after a failed one, 0-10. `None` = not written: 3 for files, none for commands.
    pub retry_count: Option<u32>,
    /// Wait between them, up to 5 s. Default 200 ms.
    pub retry_delay: Duration,
    /// Of a command. Default one hour.
    pub timeout: Duration,
}

impl Rule {
    /// A rule of a kind with all defaults.
    #[must_use]
    pub fn new(kind: RuleKind) -> Self {
        Self {
            kind,
            path: None,
            pattern: None,
            command: None,
            working_directory: None,
            description: None,
            stage: 1,
            retry_count: None,
            retry_delay: Duration::from_millis(200),
            timeout: Duration::from_secs(3600),
        }
    }

    /// Further checks after a failed one. A command is only repeated when the score says so: a test suite
    /// that fails after ten minutes should not run four times.
    pub(super) fn repetitions(&self) -> u32 {
        let default = if self.kind == RuleKind::CommandSucceeds { 0 } else { 3 };
        self.retry_count.unwrap_or(default).min(10)
    }
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
pub(super) fn expand_path(text: &str, vars: &Vars, workspace: &Path) -> Result<PathBuf, String> {
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
