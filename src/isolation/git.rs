//! Calls of git: arguments and never a shell, a time limit, no questions, no outer repository.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::executor::{self, BOUND_OUTPUT, BoundSpec, Control};
use crate::instrument::{Environment, environment, find_program};
use crate::score::paths::resolve;
use crate::util::text::first_line;

/// Longest run time of one call.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Between TERM and KILL.
const GRACE: Duration = Duration::from_secs(2);
/// Variables that would send git to another repository than the one it is called in.
const ELSEWHERE: [&str; 14] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_CEILING_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_WORK_TREE",
];

/// How git is called.
#[derive(Debug, Clone, Copy)]
pub struct Git<'a> {
    /// Program whose guard git runs under.
    pub guard_program: &'a Path,
    /// Environment of the conductor.
    pub ours: &'a Environment,
    /// Ends a running call when the job is cancelled.
    pub control: &'a Control,
}

/// Why a call of git failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GitError {
    /// There is none.
    #[error("git is not on the PATH of the conductor: install it, or restart the conductor with it")]
    Missing,
    /// It could not be run to its end.
    #[error("`git {command}` did not run: {why}")]
    NotRun {
        /// Arguments.
        command: String,
        /// One line.
        why: String,
    },
    /// It said no.
    #[error("`git {command}` failed: {said}")]
    Failed {
        /// Arguments.
        command: String,
        /// What it printed, one line.
        said: String,
    },
    /// A path that cannot be an argument.
    #[error("the path {} is not UTF-8", .0.display())]
    NotText(PathBuf),
}

impl Git<'_> {
    /// Runs git in a directory; what it printed, both streams mixed.
    pub(super) fn run(&self, cwd: &Path, arguments: &[&str]) -> Result<String, GitError> {
        let (success, output) = self.ask(cwd, arguments)?;
        if success {
            return Ok(output);
        }
        Err(GitError::Failed { command: arguments.join(" "), said: complaint(&output) })
    }

    /// As [`Self::run`], for questions that git answers by its exit code.
    pub(super) fn ask(&self, cwd: &Path, arguments: &[&str]) -> Result<(bool, String), GitError> {
        let mut env = environment::for_command(self.ours);
        env.retain(|name, _| !ELSEWHERE.contains(&name.as_str()));
        for (name, value) in [
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_OPTIONAL_LOCKS", "0"),
            ("GIT_EDITOR", "true"),
            ("LC_ALL", "C"),
        ] {
            env.insert(name.to_owned(), value.to_owned());
        }
        let program =
            find_program("git", env.get("PATH").map(String::as_str), cwd).ok_or(GitError::Missing)?;
        let mut argv = vec![program.display().to_string()];
        // A monitor that git would start is a program of its own and outlives the call.
        argv.extend(["-c", "core.fsmonitor=false"].map(str::to_owned));
        argv.extend(arguments.iter().map(|&argument| argument.to_owned()));
        let spec = BoundSpec {
            argv,
            cwd: cwd.to_owned(),
            env: env.into_iter().collect(),
            token: None,
            timeout: Some(TIMEOUT),
            grace: GRACE,
            output_cap: BOUND_OUTPUT,
            log: None,
        };
        let end = executor::bound(self.guard_program, &spec, self.control);
        let not_run = |why: String| GitError::NotRun { command: arguments.join(" "), why };
        if let Some(error) = end.spawn_error {
            return Err(not_run(error.message));
        }
        if end.timed_out {
            return Err(not_run(format!("it took more than {} s", TIMEOUT.as_secs())));
        }
        if end.cancelled {
            return Err(not_run("the job was cancelled".to_owned()));
        }
        let Some(code) = end.exit_code else {
            let why = end.signal.map_or("its guard was killed".to_owned(), |it| format!("signal {it}"));
            return Err(not_run(why));
        };
        Ok((code == 0, String::from_utf8_lossy(&end.output).into_owned()))
    }

    /// Its version, as it says it and in numbers.
    pub(super) fn version(&self) -> Result<(String, Option<(u32, u32)>), GitError> {
        let said = self.run(Path::new("/"), &["--version"])?;
        let text = said.trim().trim_start_matches("git version ").to_owned();
        let mut parts = text.split(|c: char| !c.is_ascii_digit()).map(str::parse);
        let numbers = match (parts.next(), parts.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => Some((major, minor)),
            _ => None,
        };
        Ok((text, numbers))
    }

    /// Top level of the repository that a directory is in; the directory need not exist yet.
    pub(super) fn repository(&self, directory: &Path) -> Result<Option<PathBuf>, GitError> {
        let Some(there) = directory.ancestors().find(|dir| dir.is_dir()) else { return Ok(None) };
        let arguments = ["rev-parse", "--show-toplevel"];
        let (success, output) = self.ask(there, &arguments)?;
        if success {
            return Ok(last_line(&output, |line| line.starts_with('/')).map(PathBuf::from));
        }
        if output.contains("not a git repository") || output.contains("must be run in a work tree") {
            return Ok(None);
        }
        Err(GitError::Failed { command: arguments.join(" "), said: complaint(&output) })
    }

    /// Whether a directory is itself the top level of a repository or worktree, not merely inside one.
    pub(super) fn is_top_level(&self, path: &Path) -> Result<bool, GitError> {
        let Ok(real) = path.canonicalize() else { return Ok(false) };
        Ok(self.repository(&real)?.is_some_and(|top| top == real))
    }

    /// Where a repository keeps what all its worktrees share.
    pub(super) fn common_dir(&self, repository: &Path) -> Result<PathBuf, GitError> {
        let output = self.run(repository, &["rev-parse", "--git-common-dir"])?;
        Ok(resolve(repository, last_line(&output, |_| true).unwrap_or(".git")))
    }

    /// The commit that a name stands for.
    pub(super) fn commit(&self, repository: &Path, name: &str) -> Result<Option<String>, GitError> {
        let (success, output) =
            self.ask(repository, &["rev-parse", "--verify", "--quiet", &format!("{name}^{{commit}}")])?;
        let hash = |line: &str| line.len() >= 40 && line.bytes().all(|byte| byte.is_ascii_hexdigit());
        Ok(last_line(&output, hash).filter(|_| success).map(str::to_owned))
    }
}

fn last_line(output: &str, wanted: impl Fn(&str) -> bool) -> Option<&str> {
    output.lines().map(str::trim_end).rfind(|line| !line.is_empty() && wanted(line))
}

/// The line that says what is wrong.
fn complaint(output: &str) -> String {
    let line = output.lines().find(|line| line.starts_with("fatal:") || line.starts_with("error:"));
    let text = first_line(line.unwrap_or(output), 300);
    if text.is_empty() { "it said nothing".to_owned() } else { text }
}
