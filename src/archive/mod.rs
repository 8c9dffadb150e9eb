//! The old content of a workspace, moved away before a fresh run (`workspace_lifecycle` of a score).
//!
//! For: deciding what moves where ([`plan`], pure) and moving it. Not for: deciding whether a run is fresh.
//!
//! Invariants: nothing outside the workspace is moved or deleted; what cannot be moved stays and is remarked; a
//! directory that is more than a workspace (a home, a repository, a system directory) is refused whole; only
//! directories that are named as archives are ever deleted.

mod plan;
mod transfer;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::score::WorkspaceLifecycle;
use crate::time::Wall;

use plan::Kept;

/// Put into a workspace that is the top level of a git repository, this file allows to archive it all the same.
pub const ALLOWED: &str = ".mozart-workspace";
/// Says which iteration a workspace is in.
const ITERATION: &str = ".iteration";
/// Directories that no job owns.
const SYSTEM: [&str; 21] = [
    "/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/media", "/mnt", "/opt", "/proc",
    "/root", "/run", "/sbin", "/srv", "/sys", "/tmp", "/usr", "/var", "/var/tmp",
];

/// What is to be archived.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// `workspace_lifecycle` of the score. Whether it asks for an archive is for the caller to see.
    pub settings: &'a WorkspaceLifecycle,
    /// Absolute.
    pub workspace: &'a Path,
    /// The user's home directory.
    pub home: Option<&'a Path>,
    /// Files and directories that stay where they are should they be in the workspace: the score, the state directory.
    pub keep: &'a [&'a Path],
    /// For the name.
    pub now: Wall,
}

/// What was done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Archived {
    /// The new archive; `None` when there was nothing to move.
    pub path: Option<PathBuf>,
    /// Names of what moved, sorted.
    pub moved: Vec<String>,
    /// Older archives that were deleted.
    pub deleted: Vec<PathBuf>,
    /// What could not be moved or deleted, and why.
    pub warnings: Vec<String>,
}

/// Why nothing was archived. A warning, or with `archive_required` the end of the job.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The workspace is not a job's alone.
    #[error("the workspace {} is not archived: it is {why}; {advice}", workspace.display())]
    Refused {
        /// The workspace.
        workspace: PathBuf,
        /// What it is.
        why: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// The file system says no.
    #[error("the workspace is not archived: cannot {action} {}: {source}", path.display())]
    Folder {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Moves what a fresh run should not see into `<workspace>/<archive_dir>/<name>` and deletes the oldest archives.
///
/// # Errors
/// When the workspace must not be archived, cannot be read, or has no room for an archive.
pub fn archive(request: &Request<'_>) -> Result<Archived, ArchiveError> {
    let workspace = match request.workspace.canonicalize() {
        Ok(path) => path,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Archived::default()),
        Err(source) => return Err(folder("read", request.workspace, source)),
    };
    refuse(&workspace, request.home)?;
    let mut names: Vec<OsString> = fs::read_dir(&workspace)
        .map_err(|source| folder("read", &workspace, source))?
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    names.sort();
    let kept = Kept::new(request.settings, &inside(&workspace, request.keep));
    names.retain(|name| !kept.holds(&name.to_string_lossy()));
    let mut archived = Archived::default();
    if names.is_empty() {
        return Ok(archived);
    }
    let archives = workspace.join(&request.settings.archive_dir);
    fs::create_dir_all(&archives).map_err(|source| folder("create", &archives, source))?;
    let iteration = fs::read_to_string(workspace.join(ITERATION)).ok();
    let name = plan::name(request.settings.archive_naming, iteration.as_deref(), request.now, |name| {
        archives.join(name).symlink_metadata().is_ok()
    });
    let target = archives.join(&name);
    fs::create_dir(&target).map_err(|source| folder("create", &target, source))?;
    for name in names {
        let shown = name.to_string_lossy().into_owned();
        match transfer::transfer(&workspace.join(&name), &target.join(&name)) {
            Ok(()) => archived.moved.push(shown),
            Err(error) => archived.warnings.push(format!("`{shown}` stays in the workspace: {error}")),
        }
    }
    // Fails when something is in it, which is what is hoped for.
    if archived.moved.is_empty() && fs::remove_dir(&target).is_ok() {
        return Ok(archived);
    }
    archived.path = Some(target.clone());
    rotate(request.settings, &archives, &target, &mut archived);
    Ok(archived)
}

fn folder(action: &'static str, path: &Path, source: io::Error) -> ArchiveError {
    ArchiveError::Folder { action, path: path.to_owned(), source }
}

fn refuse(workspace: &Path, home: Option<&Path>) -> Result<(), ArchiveError> {
    let refused = |why, advice| Err(ArchiveError::Refused { workspace: workspace.to_owned(), why, advice });
    const OWN: &str = "give the job a directory of its own (`workspace`)";
    if SYSTEM.iter().any(|system| workspace == Path::new(system)) {
        return refused("a directory of the system", OWN);
    }
    let home = home.and_then(|home| home.canonicalize().ok());
    if home.is_some_and(|home| home.starts_with(workspace)) {
        return refused("a home directory or holds one", OWN);
    }
    let repository = workspace.join(".git").symlink_metadata().is_ok();
    if repository && workspace.join(ALLOWED).symlink_metadata().is_err() {
        return refused(
            "the top level of a git repository",
            "put an empty file `.mozart-workspace` into it when it is the job's alone, or choose another `workspace`",
        );
    }
    Ok(())
}

/// Top-level names of a workspace in which something lies that must stay.
fn inside(workspace: &Path, keep: &[&Path]) -> BTreeSet<String> {
    keep.iter()
        .filter_map(|path| path.canonicalize().ok())
        .filter_map(|path| {
            let first = path.strip_prefix(workspace).ok()?.components().next()?;
            Some(first.as_os_str().to_string_lossy().into_owned())
        })
        .collect()
}

/// Deletes the oldest archives, as many as are too many.
fn rotate(settings: &WorkspaceLifecycle, archives: &Path, newest: &Path, archived: &mut Archived) {
    let Ok(entries) = fs::read_dir(archives) else { return };
    let found: Vec<(SystemTime, PathBuf)> = entries
        .flatten()
        .filter(|entry| entry.path() != newest && plan::is_archive(&entry.file_name().to_string_lossy()))
        .filter_map(|entry| {
            // Not of what a link points to: a link is never an archive of ours.
            let data = entry.path().symlink_metadata().ok().filter(fs::Metadata::is_dir)?;
            Some((data.modified().ok()?, entry.path()))
        })
        .collect();
    for path in plan::too_many(found, settings.max_archives) {
        match fs::remove_dir_all(&path) {
            Ok(()) => archived.deleted.push(path),
            Err(error) => {
                archived.warnings.push(format!("the old archive {} stays: {error}", path.display()));
            }
        }
    }
}

#[cfg(test)]
mod tests;
