//! What happens around the sheets: hooks, chains of jobs, worktrees, archives.

use std::path::{Path, PathBuf};

use super::decode::{At, Bound, Fields};
use super::paths::resolve;

const ABOVE_ZERO: Bound = Bound::Above(0.0);

/// `workspace_lifecycle`.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkspaceLifecycle {
    /// Move the old content away on a fresh run. Default false.
    pub archive_on_fresh: bool,
    /// Directory below the workspace, default `archive`.
    pub archive_dir: String,
    /// Names of archives.
    pub archive_naming: ArchiveNaming,
    /// Newest archives kept; 0 (default) = all.
    pub max_archives: u32,
    /// Patterns of what stays.
    pub preserve_patterns: Vec<String>,
    /// A fresh run fails when the archive does. Default false.
    pub archive_required: bool,
}

/// Names of archives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArchiveNaming {
    /// `iteration-<N>` from the file `.iteration`.
    Iteration,
    /// `archive-<time>`.
    Timestamp,
}

const PRESERVED: [&str; 6] =
    [".iteration", ".mozart-*", ".marianne-*", ".coverage", "archive/**", ".worktrees/**"];

impl WorkspaceLifecycle {
    pub(super) fn decode(f: &mut Fields<'_>) -> Self {
        let naming = [("iteration", ArchiveNaming::Iteration), ("timestamp", ArchiveNaming::Timestamp)];
        let archive_dir = f.raw("archive_dir").and_then(|at| {
            let text = at.filled_text()?;
            if text.starts_with('/') || text.split('/').any(|part| part == "..") {
                at.error("archive_dir must be a directory below the workspace");
            }
            Some(text.to_owned())
        });
        let preserve = f.present("preserve_patterns").and_then(|at| {
            at.list(|at| {
                let text = at.text()?;
                if text.is_empty() {
                    at.error("preserve_patterns must not contain empty strings");
                }
                Some(text.to_owned())
            })
        });
        Self {
            archive_on_fresh: f.boolean("archive_on_fresh", false),
            archive_dir: archive_dir.unwrap_or_else(|| "archive".to_owned()),
            archive_naming: f.word("archive_naming", &naming, ArchiveNaming::Iteration),
            max_archives: f.int("max_archives", 0..=i64::MAX, 0),
            preserve_patterns: preserve.unwrap_or_else(|| PRESERVED.map(str::to_owned).to_vec()),
            archive_required: f.boolean("archive_required", false),
        }
    }
}

/// A hook after the job: `on_success`, `on_failure`.
#[derive(Debug, Clone, PartialEq)]
pub struct Hook {
    /// What is run.
    pub action: HookAction,
    /// Default: the workspace.
    pub working_directory: Option<PathBuf>,
    /// For people.
    pub description: Option<String>,
    /// A failure ends the remaining hooks. Default false (`on_failure: continue`).
    pub abort_on_failure: bool,
    /// Default 300.
    pub timeout_seconds: f64,
}

/// What a hook runs. Paths and commands may hold `{workspace}`, `{job_id}` and `{sheet_count}`.
#[derive(Debug, Clone, PartialEq)]
pub enum HookAction {
    /// Another job.
    Job {
        /// Its score; a relative path is relative to this score.
        path: String,
        /// Its workspace.
        workspace: Option<String>,
        /// Do not wait for its end.
        detached: bool,
        /// It starts with a clean state.
        fresh: bool,
        /// Wait for a person before it.
        pause_before_chain: bool,
        /// Without effect.
        inherit_learning: bool,
    },
    /// A shell command.
    Command(String),
    /// A program and its arguments, without a shell.
    Script(String),
}

#[derive(Clone, Copy, PartialEq)]
enum HookKind {
    Job,
    Command,
    Script,
}

impl Hook {
    pub(super) fn decode(at: &At<'_>, dir: &Path) -> Option<Self> {
        let kinds = [
            ("run_job", HookKind::Job),
            ("run_command", HookKind::Command),
            ("run_script", HookKind::Script),
        ];
        let mut f = at.fields()?;
        let kind = f.required("type").and_then(|at| at.one_of(&kinds));
        let path = f.opt_text("job_path");
        let workspace = f.opt_text("job_workspace");
        let command = f.nullable("command").and_then(|at| {
            let text = at.text()?;
            if text.len() > 4096 {
                at.error("String should have at most 4096 characters");
            }
            Some(text.to_owned())
        });
        let working_directory = f.opt_text("working_directory").map(|text| resolve(dir, &text));
        let description = f.nullable("description").and_then(|at| at.label());
        let abort_on_failure = f.word("on_failure", &[("continue", false), ("abort", true)], false);
        let timeout_seconds = f.seconds("timeout_seconds", ABOVE_ZERO, 300.0);
        let detached = f.boolean("detached", false);
        let fresh = f.boolean("fresh", false);
        let pause_before_chain = f.boolean("pause_before_chain", false);
        let inherit_learning = f.boolean("inherit_learning", true);
        let (word, field, value) = match kind {
            Some(HookKind::Job) => ("run_job", "job_path", &path),
            Some(HookKind::Command) => ("run_command", "command", &command),
            Some(HookKind::Script) => ("run_script", "command", &command),
            None => ("", "", &None),
        };
        // A value of the wrong type has been reported already.
        let absent = value.is_none() && f.peek(field).is_none_or(|at| at.is_null());
        if kind.is_some() && (absent || value.as_deref().is_some_and(|text| text.trim().is_empty())) {
            f.error_about(&[field], format!("Hook type '{word}' requires '{field}' field"));
        }
        f.finish();
        let action = match kind? {
            HookKind::Job => HookAction::Job {
                path: path?,
                workspace,
                detached,
                fresh,
                pause_before_chain,
                inherit_learning,
            },
            HookKind::Command => HookAction::Command(command?),
            HookKind::Script => HookAction::Script(command?),
        };
        Some(Self { action, working_directory, description, abort_on_failure, timeout_seconds })
    }
}

/// `concert`: chains of jobs.
#[derive(Debug, Clone, PartialEq)]
pub struct Concert {
    /// Default false; the limit on the depth applies always.
    pub enabled: bool,
    /// 1-100, default 5.
    pub max_chain_depth: u32,
    /// Seconds before the next job is submitted, default 5.
    pub cooldown_between_jobs_seconds: f64,
    /// The next job works in the same workspace. Default true.
    pub inherit_workspace: bool,
    /// Default `<workspace>/concert.log`.
    pub concert_log_path: Option<PathBuf>,
    /// Default false.
    pub abort_concert_on_hook_failure: bool,
}

impl Concert {
    pub(super) fn decode(f: &mut Fields<'_>, dir: &Path) -> Self {
        Self {
            enabled: f.boolean("enabled", false),
            max_chain_depth: f.int("max_chain_depth", 1..=100, 5),
            cooldown_between_jobs_seconds: f.seconds("cooldown_between_jobs_seconds", Bound::Least(0.0), 5.0),
            inherit_workspace: f.boolean("inherit_workspace", true),
            concert_log_path: f.opt_text("concert_log_path").map(|text| resolve(dir, &text)),
            abort_concert_on_hook_failure: f.boolean("abort_concert_on_hook_failure", false),
        }
    }
}

/// `isolation`: a git worktree per job.
#[derive(Debug, Clone, PartialEq)]
pub struct Isolation {
    /// Default false; `mode: none` switches it off too.
    pub enabled: bool,
    /// Where worktrees are made.
    pub worktree_base: Option<PathBuf>,
    /// Default `mozart`.
    pub branch_prefix: String,
    /// Default: HEAD.
    pub source_branch: Option<String>,
    /// Remove the worktree of a completed job. Default true.
    pub cleanup_on_success: bool,
    /// Remove the worktree of a failed job. Default false.
    pub cleanup_on_failure: bool,
    /// Lock the worktree while the job runs. Default true.
    pub lock_during_execution: bool,
    /// Go on without isolation when it is not possible. Default true.
    pub fallback_on_error: bool,
    /// Remove a worktree with changes that were not committed. Default false.
    pub cleanup_discard_dirty: bool,
}

impl Isolation {
    pub(super) fn decode(f: &mut Fields<'_>, dir: &Path) -> Self {
        let enabled = f.boolean("enabled", false);
        let worktree = f.word("mode", &[("none", false), ("worktree", true)], true);
        let branch_prefix = f.raw("branch_prefix").and_then(|at| {
            let text = at.text()?;
            let inner = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            if !text.starts_with(|c: char| c.is_ascii_alphabetic()) || !text.chars().all(inner) {
                at.error("String should match pattern '^[a-zA-Z][a-zA-Z0-9_-]*$'");
            }
            Some(text.to_owned())
        });
        Self {
            enabled: enabled && worktree,
            worktree_base: f.opt_text("worktree_base").map(|text| resolve(dir, &text)),
            branch_prefix: branch_prefix.unwrap_or_else(|| "mozart".to_owned()),
            source_branch: f.opt_text("source_branch"),
            cleanup_on_success: f.boolean("cleanup_on_success", true),
            cleanup_on_failure: f.boolean("cleanup_on_failure", false),
            lock_during_execution: f.boolean("lock_during_execution", true),
            fallback_on_error: f.boolean("fallback_on_error", true),
            cleanup_discard_dirty: f.boolean("cleanup_discard_dirty", false),
        }
    }
}
