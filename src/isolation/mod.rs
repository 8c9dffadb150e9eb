//! A git worktree of its own for a job: made before its first sheet, kept or removed after its last.
//!
//! For: `isolation` of a score, by the real `git` and nothing else. Not for: deciding when a job is isolated or
//! cleaned up (`conductor`), or where a sheet that names its own directory runs.
//!
//! Invariants: every call of git runs under a bound guard, so it ends with the conductor, and has a time limit; a
//! worktree with work that exists nowhere else is never removed, unless the score says `cleanup_discard_dirty`; a
//! directory that is not known as this job's is never touched.

mod end;
mod git;
mod lock;
mod place;

use std::fs;
use std::path::{Path, PathBuf};

use crate::exec::Worktree;
use crate::ids::JobId;
use crate::score::Isolation;

pub use end::{Removal, prune, remove, unlock};
pub use git::{Git, GitError};
pub use place::inside;

use lock::Holder;
use place::Owner;

/// Oldest git that can do it.
const LEAST_VERSION: (u32, u32) = (2, 15);
/// Most worktrees and branches of one job that lie beside each other.
const MOST_BESIDE: u32 = 99;

/// What is wanted for a job.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// `isolation` of its score.
    pub settings: &'a Isolation,
    /// Absolute. It need not exist yet.
    pub workspace: &'a Path,
    /// `working_directory` of the score's instrument, absolute; the repository is looked for here first.
    pub working_directory: Option<&'a Path>,
    /// The job.
    pub job: &'a JobId,
    /// The worktree of its run before, when it is resumed.
    pub earlier: Option<&'a Worktree>,
}

/// A worktree that a job can use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// To be recorded with the job.
    pub worktree: Worktree,
    /// It is the one of the run before, with everything that is in it.
    pub reused: bool,
    /// Remarks for the job.
    pub warnings: Vec<String>,
}

/// Why a job has no worktree. With `fallback_on_error` it runs in place and this is a warning, else it fails (E603).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IsolationError {
    /// Neither the directory nor one above it is in a repository.
    #[error("Worktree isolation requires a git repository: {}", .0.display())]
    NotARepository(PathBuf),
    /// Everything else.
    #[error("Failed to create worktree: {0}")]
    Create(Obstacle),
}

/// What is in the way of a worktree, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Obstacle {
    /// git says no, or cannot be run.
    #[error(transparent)]
    Git(#[from] GitError),
    /// An old git.
    #[error("git {found} is too old: install git {}.{} or newer", LEAST_VERSION.0, LEAST_VERSION.1)]
    TooOld {
        /// Its version as it says it.
        found: String,
    },
    /// There is something else at the place of the worktree.
    #[error("{} exists and is not a worktree of this job: move it away, or choose another `isolation.worktree_base`", .0.display())]
    Taken(PathBuf),
    /// Too many leftovers of the same job.
    #[error("{} holds too many worktrees of job `{job}`: look what is in them and remove them with `git worktree remove`", base.display())]
    Crowded {
        /// Where they are.
        base: PathBuf,
        /// The job.
        job: JobId,
    },
    /// Another living conductor uses the worktree.
    #[error("worktree {} is in use by process {pid}: let it end, or submit this job under another name", path.display())]
    InUse {
        /// The worktree.
        path: PathBuf,
        /// Its user.
        pid: u32,
    },
    /// The start is not a commit.
    #[error("`{name}` is not a commit of {}: correct `isolation.source_branch`, or make the first commit", repository.display())]
    Source {
        /// As the score writes it.
        name: String,
        /// Where it was looked for.
        repository: PathBuf,
    },
    /// The file system says no.
    #[error("cannot write {}: {source}", path.display())]
    Folder {
        /// What should be written.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

impl From<Obstacle> for IsolationError {
    fn from(obstacle: Obstacle) -> Self {
        Self::Create(obstacle)
    }
}

impl From<GitError> for IsolationError {
    fn from(error: GitError) -> Self {
        Self::Create(Obstacle::Git(error))
    }
}

/// Makes the worktree of a job, or takes up the one of its run before. Blocks for as long as git needs.
///
/// # Errors
/// When there is no repository, or git, the file system or what already lies there is in the way.
pub fn create(git: &Git<'_>, request: &Request<'_>) -> Result<Created, IsolationError> {
    let version = git.version()?;
    if version.1.is_none_or(|version| version < LEAST_VERSION) {
        return Err(Obstacle::TooOld { found: version.0 }.into());
    }
    let directory = request.working_directory.unwrap_or(request.workspace);
    let repository =
        git.repository(directory)?.ok_or_else(|| IsolationError::NotARepository(directory.to_owned()))?;
    let mut warnings = Vec::new();
    if let Some(earlier) = request.earlier
        && let Some(worktree) = reuse(git, request, earlier)?
    {
        return Ok(Created { worktree, reused: true, warnings });
    }
    let commit = start(git, request, &repository, &mut warnings)?;
    let base = place::base(request.settings, request.workspace, &repository);
    let folder = |source| Obstacle::Folder { path: base.clone(), source };
    fs::create_dir_all(&base).map_err(folder)?;
    let base = base.canonicalize().map_err(folder)?;
    if let Err(error) = place::hide(git, &repository, &base) {
        warnings.push(format!("{} shows up in `git status`: {error}", base.display()));
    }
    let path = free(git, request, &repository, &base, &mut warnings)?;
    let owner = Owner { job: request.job.clone(), base_commit: commit.clone() };
    // Before git makes the directory: after a crash in between it is known whose it is.
    owner.write(&path).map_err(|source| Obstacle::Folder { path: place::owner_file(&path), source })?;
    if let Err(error) = git.run(&repository, &["worktree", "add", "--detach", text(&path)?, &commit]) {
        // Nothing of it is of use. What cannot be cleared away now is still known as this job's.
        _ = fs::remove_dir_all(&path);
        if path.symlink_metadata().is_err() {
            _ = end::forget(git, &repository, &path, &mut warnings);
        }
        return Err(error.into());
    }
    let mut worktree = Worktree {
        path: path.display().to_string(),
        repository: repository.display().to_string(),
        base_commit: commit,
        branch: None,
        locked: false,
    };
    take(git, request, &mut worktree, &mut warnings)?;
    Ok(Created { worktree, reused: false, warnings })
}

/// The recorded worktree when it is still there; `None` when it is gone.
fn reuse(
    git: &Git<'_>,
    request: &Request<'_>,
    earlier: &Worktree,
) -> Result<Option<Worktree>, IsolationError> {
    let path = Path::new(&earlier.path);
    let there = path.is_absolute() && git.is_top_level(path)?;
    if !there {
        return Ok(None);
    }
    let mut worktree = Worktree { locked: false, ..earlier.clone() };
    take(git, request, &mut worktree, &mut Vec::new())?;
    Ok(Some(worktree))
}

/// Locks the worktree for this process, if the score wants it.
fn take(
    git: &Git<'_>,
    request: &Request<'_>,
    worktree: &mut Worktree,
    warnings: &mut Vec<String>,
) -> Result<(), IsolationError> {
    let (repository, path) = (PathBuf::from(&worktree.repository), PathBuf::from(&worktree.path));
    match lock::holder(git, &repository, &path)? {
        Holder::Nobody => (),
        Holder::Us => {
            worktree.locked = true;
            return Ok(());
        }
        Holder::Dead | Holder::Unfinished => {
            drop(git.run(&repository, &["worktree", "unlock", text(&path)?])?)
        }
        Holder::Living(pid) => return Err(Obstacle::InUse { path, pid }.into()),
        // A person's own lock keeps it from being removed, which is what ours is for.
        Holder::Stranger(_) => return Ok(()),
    }
    if !request.settings.lock_during_execution {
        return Ok(());
    }
    let reason = lock::reason(request.job);
    match git.run(&repository, &["worktree", "lock", "--reason", &reason, text(&path)?]) {
        Ok(_) => worktree.locked = true,
        Err(error) => warnings.push(format!("worktree {} is not locked: {error}", path.display())),
    }
    Ok(())
}

/// The commit to begin with: where the run before left off when its worktree is gone, else what the score names.
fn start(
    git: &Git<'_>,
    request: &Request<'_>,
    repository: &Path,
    warnings: &mut Vec<String>,
) -> Result<String, IsolationError> {
    if let Some(earlier) = request.earlier {
        let kept = match &earlier.branch {
            Some(branch) => git.commit(repository, &format!("refs/heads/{branch}"))?,
            None => None,
        };
        let path = &earlier.path;
        match (kept, &earlier.branch) {
            (Some(commit), Some(branch)) => {
                warnings.push(format!("worktree {path} is gone; the job goes on from branch `{branch}`"));
                return Ok(commit);
            }
            _ => warnings.push(format!(
                "worktree {path} is gone, with what earlier sheets changed in it; a new one was made"
            )),
        }
    }
    let name = request.settings.source_branch.as_deref().filter(|name| !name.is_empty()).unwrap_or("HEAD");
    // A name that begins with a hyphen would be an option; git itself allows no branch of that name.
    let commit = if name.starts_with('-') { None } else { git.commit(repository, name)? };
    commit.ok_or_else(|| Obstacle::Source { name: name.to_owned(), repository: repository.to_owned() }.into())
}

/// A place for the worktree. What an earlier run of the job left at it is removed, or left when it has changes.
fn free(
    git: &Git<'_>,
    request: &Request<'_>,
    repository: &Path,
    base: &Path,
    warnings: &mut Vec<String>,
) -> Result<PathBuf, IsolationError> {
    for number in 1..=MOST_BESIDE {
        let path = match number {
            1 => base.join(request.job.as_str()),
            _ => base.join(format!("{}-{number}", request.job)),
        };
        if path.symlink_metadata().is_err() {
            // git still may have a record of one that was here.
            end::forget(git, repository, &path, warnings)?;
            return Ok(path);
        }
        let Some(owner) = Owner::read(&path).filter(|owner| owner.job == *request.job) else {
            if number == 1 {
                return Err(Obstacle::Taken(path).into());
            }
            continue;
        };
        let old = Worktree {
            path: path.display().to_string(),
            repository: repository.display().to_string(),
            base_commit: owner.base_commit,
            ..Worktree::default()
        };
        let removal = remove(git, request.settings, request.job, &old);
        warnings.extend(removal.warnings);
        if let Some(branch) = &removal.branch {
            warnings.push(format!("the commits of an earlier run are kept as branch `{branch}`"));
        }
        if removal.removed {
            return Ok(path);
        }
    }
    Err(Obstacle::Crowded { base: base.to_owned(), job: request.job.clone() }.into())
}

fn text(path: &Path) -> Result<&str, GitError> {
    path.to_str().ok_or_else(|| GitError::NotText(path.to_owned()))
}
