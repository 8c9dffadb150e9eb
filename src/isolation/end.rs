//! The end of a worktree: what is in it is kept, then it goes, if its job says so.

use std::fs;
use std::path::{Path, PathBuf};

use super::lock::{self, Holder};
use super::place::Owner;
use super::{Git, GitError, MOST_BESIDE, text};
use crate::exec::Worktree;
use crate::ids::JobId;
use crate::score::Isolation;

/// What became of a worktree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removal {
    /// It is gone. Otherwise `kept` or `warnings` say why not.
    pub removed: bool,
    /// The branch that keeps its commits.
    pub branch: Option<String>,
    /// Why it was kept on purpose.
    pub kept: Option<String>,
    /// What went wrong. Never fatal.
    pub warnings: Vec<String>,
}

/// Removes the worktree of a job that is over. Commits that no branch holds get one, `<branch_prefix>/<job>`; a
/// worktree with changes that are not committed stays, unless the score says `cleanup_discard_dirty`.
#[must_use]
pub fn remove(git: &Git<'_>, settings: &Isolation, job: &JobId, worktree: &Worktree) -> Removal {
    let mut removal = Removal { branch: worktree.branch.clone(), ..Removal::default() };
    if let Err(error) = try_remove(git, settings, job, worktree, &mut removal) {
        removal.warnings.push(format!("worktree {} was not removed: {error}", worktree.path));
    }
    removal
}

fn try_remove(
    git: &Git<'_>,
    settings: &Isolation,
    job: &JobId,
    worktree: &Worktree,
    removal: &mut Removal,
) -> Result<(), GitError> {
    let (path, repository) = (PathBuf::from(&worktree.path), PathBuf::from(&worktree.repository));
    if path.symlink_metadata().is_err() {
        forget(git, &repository, &path, &mut removal.warnings)?;
        removal.removed = true;
        return Ok(());
    }
    // An empty leftover of a start that was cut short has nothing to keep, and git knows nothing of it.
    let known = lock::record(git, &repository, &path)?.is_some();
    if !known && fs::remove_dir(&path).is_ok() {
        Owner::forget(&path);
        removal.removed = true;
        return Ok(());
    }
    // Without its own link to the repository, git would speak of the repository around it.
    if !known || !git.is_top_level(&path)? {
        removal.kept = Some(format!(
            "{} is no worktree of {} any more: look what is in it and remove it by hand",
            path.display(),
            repository.display()
        ));
        return Ok(());
    }
    let holder = lock::holder(git, &repository, &path)?;
    match holder {
        Holder::Nobody => (),
        Holder::Us | Holder::Dead | Holder::Unfinished => {
            git.run(&repository, &["worktree", "unlock", text(&path)?])?;
        }
        Holder::Living(pid) => {
            removal.kept = Some(format!("{} is in use by process {pid}", path.display()));
            return Ok(());
        }
        Holder::Stranger(ref reason) => {
            removal.kept = Some(format!("{} was locked by somebody: {reason}", path.display()));
            return Ok(());
        }
    }
    // One that git did not finish lacks files, which is not a change of anybody.
    let finished = holder != Holder::Unfinished;
    let dirty = finished && !git.run(&path, &["status", "--porcelain"])?.trim().is_empty();
    if let Some(head) = git.commit(&path, "HEAD")?
        && (head != worktree.base_commit || dirty)
    {
        removal.branch = Some(keep(git, settings, job, &path, &head, removal.branch.as_deref())?);
    }
    if dirty && !settings.cleanup_discard_dirty {
        removal.kept = Some(format!(
            "{} has changes that are not committed: commit or drop them, then `git worktree remove` it",
            path.display()
        ));
        return Ok(());
    }
    if let Err(error) = git.run(&repository, &["worktree", "remove", "--force", text(&path)?]) {
        let ours = Owner::read(&path).is_some_and(|owner| owner.job == *job);
        if !ours || path == repository || fs::remove_dir_all(&path).is_err() {
            return Err(error);
        }
        git.run(&repository, &["worktree", "prune"])?;
    }
    Owner::forget(&path);
    removal.removed = true;
    Ok(())
}

/// The branch that holds a commit of the worktree: the one that is checked out in it, the one of before when it is
/// at this very commit, or a new one.
fn keep(
    git: &Git<'_>,
    settings: &Isolation,
    job: &JobId,
    path: &Path,
    head: &str,
    before: Option<&str>,
) -> Result<String, GitError> {
    let (on_branch, name) = git.ask(path, &["symbolic-ref", "--quiet", "--short", "HEAD"])?;
    if on_branch && !name.trim().is_empty() {
        return Ok(name.trim().to_owned());
    }
    let stem = format!("{}/{}", settings.branch_prefix, branch_word(job));
    let numbered = (1..=MOST_BESIDE).map(|number| match number {
        1 => stem.clone(),
        _ => format!("{stem}-{number}"),
    });
    for name in before.map(str::to_owned).into_iter().chain(numbered) {
        match git.commit(path, &format!("refs/heads/{name}"))? {
            Some(there) if there == head => return Ok(name),
            Some(_) => (),
            None => {
                git.run(path, &["branch", "--no-track", &name, head])?;
                return Ok(name);
            }
        }
    }
    let said = format!("there are {MOST_BESIDE} branches {stem}-N already: delete some");
    Err(GitError::Failed { command: format!("branch {stem}"), said })
}

/// A job's name as git allows it in the name of a branch.
fn branch_word(job: &JobId) -> String {
    let mut word = job.as_str().trim_end_matches('.').to_owned();
    while word.contains("..") {
        word = word.replace("..", ".");
    }
    if word.ends_with(".lock") { format!("{word}-") } else { word }
}

/// Gives the lock of a worktree back that its job does not need for now.
///
/// # Errors
/// When git cannot do it; the lock is then stale as soon as this process is gone.
pub fn unlock(git: &Git<'_>, worktree: &Worktree) -> Result<(), GitError> {
    let (path, repository) = (PathBuf::from(&worktree.path), PathBuf::from(&worktree.repository));
    match lock::holder(git, &repository, &path)? {
        Holder::Us | Holder::Dead | Holder::Unfinished => {
            git.run(&repository, &["worktree", "unlock", text(&path)?])?;
        }
        Holder::Nobody | Holder::Living(_) | Holder::Stranger(_) => (),
    }
    Ok(())
}

/// Cleans up after finished jobs, at the start of a conductor: stale locks, and what git remembers of worktrees
/// that somebody deleted. What could not be done is returned; a repository that is gone is nothing to do.
#[must_use]
pub fn prune(git: &Git<'_>, finished: &[(&JobId, &Worktree)]) -> Vec<String> {
    let mut warnings = Vec::new();
    for (job, worktree) in finished {
        let (path, repository) = (PathBuf::from(&worktree.path), PathBuf::from(&worktree.repository));
        if !path.is_absolute() || !repository.is_dir() {
            continue;
        }
        let done = if path.symlink_metadata().is_ok() {
            unlock(git, worktree)
        } else {
            forget(git, &repository, &path, &mut warnings)
        };
        if let Err(error) = done {
            warnings.push(format!("worktree {} of job `{job}`: {error}", path.display()));
        }
    }
    warnings
}

/// Makes git forget a worktree whose directory is gone.
pub(super) fn forget(
    git: &Git<'_>,
    repository: &Path,
    path: &Path,
    warnings: &mut Vec<String>,
) -> Result<(), GitError> {
    Owner::forget(path);
    if lock::record(git, repository, path)?.is_none() {
        return Ok(());
    }
    match lock::holder(git, repository, path)? {
        Holder::Nobody => (),
        Holder::Us | Holder::Dead | Holder::Unfinished => {
            git.run(repository, &["worktree", "unlock", text(path)?])?;
        }
        Holder::Living(_) | Holder::Stranger(_) => {
            warnings.push(format!("git keeps its record of {}: somebody locked it", path.display()));
            return Ok(());
        }
    }
    if git.run(repository, &["worktree", "remove", "--force", text(path)?]).is_err() {
        // Before git 2.18 only all of them together.
        git.run(repository, &["worktree", "prune"])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_job_makes_a_name_that_git_takes() {
        let word = |job: &str| branch_word(&JobId::new(job).unwrap());
        assert_eq!(word("nightly-2"), "nightly-2");
        assert_eq!(word("a...b."), "a.b");
        assert_eq!(word("x.lock"), "x.lock-");
    }
}
