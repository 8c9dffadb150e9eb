//! Where worktrees lie, whose they are, and how they stay out of the way of the repository they belong to.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::{Git, GitError};
use crate::exec::Worktree;
use crate::ids::JobId;
use crate::score::Isolation;

/// Directory of the worktrees when the score does not say.
const USUAL: &str = ".worktrees";

/// Whose a worktree is: a small file beside it, written before it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) job: JobId,
    pub(super) base_commit: String,
}

impl Owner {
    pub(super) fn write(&self, worktree: &Path) -> io::Result<()> {
        fs::write(owner_file(worktree), format!("job={}\nbase={}\n", self.job, self.base_commit))
    }

    pub(super) fn read(worktree: &Path) -> Option<Self> {
        let bytes = crate::file::read(&owner_file(worktree), 4096).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key));
        Some(Self { job: JobId::new(value("job=")?).ok()?, base_commit: value("base=")?.to_owned() })
    }

    pub(super) fn forget(worktree: &Path) {
        // Without it a leftover is merely not known as ours.
        _ = fs::remove_file(owner_file(worktree));
    }
}

pub(super) fn owner_file(worktree: &Path) -> PathBuf {
    let name = worktree.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    worktree.with_file_name(format!(".{name}.owner"))
}

/// Directory in which the worktrees of a score are made.
pub(super) fn base(settings: &Isolation, workspace: &Path, repository: &Path) -> PathBuf {
    if let Some(base) = &settings.worktree_base {
        return base.clone();
    }
    if real(workspace).starts_with(repository) { repository.join(USUAL) } else { workspace.join(USUAL) }
}

/// The same directory with its links resolved, as far as it exists.
fn real(path: &Path) -> PathBuf {
    for above in path.ancestors() {
        if let Ok(real) = above.canonicalize() {
            let rest = path.strip_prefix(above).unwrap_or(Path::new(""));
            return if rest.as_os_str().is_empty() { real } else { real.join(rest) };
        }
    }
    path.to_owned()
}

/// Keeps a directory of worktrees out of `git status`, without touching a file that is committed.
pub(super) fn hide(git: &Git<'_>, repository: &Path, base: &Path) -> Result<(), HideError> {
    let Some(inside) = base.strip_prefix(repository).ok().filter(|inside| !inside.as_os_str().is_empty())
    else {
        return Ok(());
    };
    let line = pattern(&inside.to_string_lossy());
    let info = git.common_dir(repository)?.join("info");
    let file = info.join("exclude");
    let known = fs::read_to_string(&file).unwrap_or_default();
    if known.lines().any(|other| other == line) {
        return Ok(());
    }
    fs::create_dir_all(&info)?;
    let gap = if known.is_empty() || known.ends_with('\n') { "" } else { "\n" };
    let mut file = fs::OpenOptions::new().create(true).append(true).open(file)?;
    file.write_all(format!("{gap}{line}\n").as_bytes())?;
    Ok(())
}

/// Why worktrees could not be hidden.
#[derive(Debug, thiserror::Error)]
pub(super) enum HideError {
    #[error(transparent)]
    Git(#[from] GitError),
    #[error("cannot write `info/exclude` of the repository: {0}")]
    File(#[from] io::Error),
}

/// A directory as a line of an exclude file.
fn pattern(inside: &str) -> String {
    let mut line = String::from("/");
    for c in inside.chars() {
        if matches!(c, '\\' | '*' | '?' | '[') {
            line.push('\\');
        }
        line.push(c);
    }
    line.push('/');
    line
}

/// The directory of a worktree that stands for a directory of its repository: the same one below, when it is in
/// the worktree too, else its top level.
#[must_use]
pub fn inside(worktree: &Worktree, directory: &Path) -> PathBuf {
    let top = PathBuf::from(&worktree.path);
    let below = real(directory);
    match below.strip_prefix(&worktree.repository) {
        Ok(below) if top.join(below).is_dir() => top.join(below),
        _ => top,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_owner_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("nightly");
        assert_eq!(Owner::read(&path), None);
        let owner = Owner { job: JobId::new("nightly").unwrap(), base_commit: "abc".into() };
        owner.write(&path).unwrap();
        assert_eq!(Owner::read(&path), Some(owner));
        Owner::forget(&path);
        assert_eq!(Owner::read(&path), None);
    }

    #[test]
    fn special_characters_of_a_directory_are_escaped() {
        assert_eq!(pattern(".worktrees"), "/.worktrees/");
        assert_eq!(pattern("a b/[x]*"), r"/a b/\[x]\*/");
    }

    #[test]
    fn a_directory_of_the_repository_is_found_in_the_worktree() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let (repository, top) = (root.join("repo"), root.join("tree"));
        for path in [repository.join("src"), repository.join("ws"), top.join("src")] {
            fs::create_dir_all(path).unwrap();
        }
        let worktree = Worktree {
            path: top.display().to_string(),
            repository: repository.display().to_string(),
            ..Worktree::default()
        };
        assert_eq!(inside(&worktree, &repository.join("src")), top.join("src"));
        assert_eq!(inside(&worktree, &repository), top);
        assert_eq!(inside(&worktree, &repository.join("ws")), top);
        assert_eq!(inside(&worktree, Path::new("/usr")), top);
    }
}
