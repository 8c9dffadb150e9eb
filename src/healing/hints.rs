//! Remedies that only say what a person can do: credentials, missing programs, full disks, stale locks.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Context, Finding, Options};
use crate::classify::ErrorCode;
use crate::instrument::find_program;
use crate::process;
use crate::util::text::human_bytes;

/// Words of a program whose credentials are refused, in lower case.
const AUTH: [&str; 10] = [
    "unauthorized",
    "authentication failed",
    "authentication_error",
    "invalid api key",
    "invalid x-api-key",
    "not logged in",
    "please log in",
    "please run /login",
    "login expired",
    "token has expired",
];
/// Words of a full disk, in lower case.
const FULL: [&str; 5] =
    ["no space left on device", "disk quota exceeded", "enospc", "edquot", "os error 28)"];
/// Files that are counted before a size is only a lower bound.
const MOST_COUNTED: usize = 50_000;

/// `diagnose_auth_error`: the key variables of the instrument, and whether they are set.
pub(super) fn auth(context: &Context<'_>, _: &Options<'_>) -> Option<Finding> {
    let by_code = context.code == ErrorCode::E502;
    if !by_code && !context.says(&AUTH) {
        return None;
    }
    let instrument = context.instrument;
    let set = |name: &&String| context.ours.get(*name).is_some_and(|value| !value.is_empty());
    let (there, missing): (Vec<&String>, Vec<&String>) = context.key_variables.iter().partition(set);
    let list = |names: &[&String]| names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
    let (message, confidence) = match (there.is_empty(), missing.is_empty()) {
        (true, true) => (
            format!(
                "`{instrument}` is not logged in: log in with the program itself, as the user of the conductor"
            ),
            if by_code { 0.85 } else { 0.75 },
        ),
        (false, _) => (
            format!(
                "`{instrument}` refuses its credentials although {} is set: is the key valid?",
                list(&there)
            ),
            if by_code { 0.90 } else { 0.75 },
        ),
        (true, false) => (
            format!(
                "`{instrument}` has no credentials: {} is not set in the environment of the conductor; \
                 set it and restart the conductor, or log in with the program itself",
                list(&missing)
            ),
            if by_code { 0.95 } else { 0.80 },
        ),
    };
    Some(Finding { applied: false, message, confidence })
}

/// `diagnose_missing_cli`: which program, where it was looked for.
pub(super) fn missing_program(context: &Context<'_>, _: &Options<'_>) -> Option<Finding> {
    if context.code != ErrorCode::E505 {
        return None;
    }
    let instrument = context.instrument;
    let Some(program) = context.executable else {
        let message =
            format!("there is no program for `{instrument}`; `mozart instruments list` shows what there is");
        return Some(Finding { applied: false, message, confidence: 0.80 });
    };
    let path = context.ours.get("PATH").map(String::as_str);
    if let Some(found) = find_program(program, path, context.working_directory) {
        let message = format!(
            "`{program}` is at {} now: resume the job, or look whether its first line names a missing interpreter",
            found.display()
        );
        return Some(Finding { applied: false, message, confidence: 0.70 });
    }
    let message = format!(
        "`{program}` of `{instrument}` is in none of {}: install it, or restart the conductor with its \
         directory in PATH",
        path.unwrap_or("/usr/local/bin:/usr/bin:/bin")
    );
    Some(Finding { applied: false, message, confidence: 0.95 })
}

/// `free_disk_hint`: what takes the room.
pub(super) fn full_disk(context: &Context<'_>, _: &Options<'_>) -> Option<Finding> {
    if !context.says(&FULL) {
        return None;
    }
    let mut parts = vec![format!("workspace {}: {}", context.workspace.display(), size(context.workspace))];
    let archives = context.workspace.join("archive");
    if archives.is_dir() {
        parts.push(format!("of which archives: {}", size(&archives)));
    }
    if let Some(state) = context.state_dir {
        parts.push(format!("logs of all jobs in {}: {}", state.display(), size(&state.join("jobs"))));
    }
    let message = format!(
        "the disk is full or a quota is used up; {}; `mozart clear` removes finished jobs with their logs",
        parts.join(", ")
    );
    Some(Finding { applied: false, message, confidence: 0.95 })
}

/// Bytes of all files below a directory, as far as they are counted.
fn size(dir: &Path) -> String {
    let (mut open, mut bytes, mut counted) = (vec![dir.to_owned()], 0_u64, 0_usize);
    while let Some(dir) = open.pop() {
        let Ok(entries) = fs::read_dir(&dir) else { continue };
        for entry in entries.flatten() {
            counted += 1;
            if counted > MOST_COUNTED {
                return format!("more than {}", human_bytes(bytes));
            }
            match entry.metadata() {
                Ok(data) if data.is_dir() => open.push(entry.path()),
                Ok(data) => bytes = bytes.saturating_add(data.len()),
                Err(_) => (),
            }
        }
    }
    human_bytes(bytes)
}

/// `stale_lock_hint`: a lock of git that nobody holds.
pub(super) fn stale_lock(context: &Context<'_>, _: &Options<'_>) -> Option<Finding> {
    let lock = left_lock(context)?;
    if git_runs() {
        return None;
    }
    let message = format!(
        "{} exists and no git process runs: a git that was killed left it; remove it",
        lock.display()
    );
    Some(Finding { applied: false, message, confidence: 0.80 })
}

/// A lock of a git index that is there, whoever holds it.
pub(super) fn left_lock(context: &Context<'_>) -> Option<PathBuf> {
    [context.working_directory, context.workspace].into_iter().find_map(index_lock)
}

/// The index lock of the repository that a directory is in, when there is one.
fn index_lock(dir: &Path) -> Option<PathBuf> {
    let git = dir.ancestors().map(|above| above.join(".git")).find(|git| git.symlink_metadata().is_ok())?;
    let git = if git.is_dir() {
        git
    } else {
        // A worktree: its `.git` is a file that says where its own part of the repository is.
        let text = String::from_utf8(crate::file::read(&git, 4096).ok()?).ok()?;
        git.parent()?.join(text.strip_prefix("gitdir:")?.trim())
    };
    Some(git.join("index.lock")).filter(|lock| lock.symlink_metadata().is_ok())
}

fn git_runs() -> bool {
    let is_git = |pid: u32| {
        fs::read_to_string(format!("/proc/{pid}/comm"))
            .is_ok_and(|name| name.trim_end() == "git" || name.starts_with("git-"))
    };
    process::list().iter().any(|stat| !stat.is_dead() && is_git(stat.pid))
}
