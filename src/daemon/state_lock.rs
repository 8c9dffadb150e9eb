//! The lock of the state directory: two conductors over one directory would run every job twice.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};

/// Name of the lock file in the state directory.
const NAME: &str = "conductor.lock";

/// The held lock; dropping lets go. The file stays: removing it would let two holders meet.
#[derive(Debug)]
pub(crate) struct StateLock {
    _lock: Flock<File>,
}

/// Why the state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateLockError {
    /// Another conductor has it.
    #[error("State directory is in use by another conductor: {}", .0.display())]
    InUse(PathBuf),
    /// Not allowed.
    #[error("Permission denied: {}", .0.display())]
    Permission(PathBuf),
    /// Anything else.
    #[error("cannot use the state directory {}: {source}", directory.display())]
    Io {
        /// The directory.
        directory: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl StateLock {
    /// Creates the directory (0700) if it is missing and takes its lock.
    pub(crate) fn acquire(directory: &Path) -> Result<Self, StateLockError> {
        let failed = |path: &Path, source: io::Error| match source.kind() {
            io::ErrorKind::PermissionDenied => StateLockError::Permission(path.to_owned()),
            _ => StateLockError::Io { directory: directory.to_owned(), source },
        };
        if !fs::metadata(directory).is_ok_and(|meta| meta.is_dir()) {
            let mut builder = DirBuilder::new();
            builder.recursive(true).mode(0o700);
            builder.create(directory).map_err(|error| failed(directory, error))?;
        }
        let path = directory.join(NAME);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(OFlag::O_NOFOLLOW.bits())
            .open(&path)
            .map_err(|error| failed(&path, error))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Self { _lock: lock }),
            Err((_, Errno::EWOULDBLOCK)) => Err(StateLockError::InUse(directory.to_owned())),
            Err((_, errno)) => Err(failed(&path, errno.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn one_conductor_per_directory() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("state");
        let lock = StateLock::acquire(&directory).unwrap();
        let error = StateLock::acquire(&directory).unwrap_err();
        assert!(matches!(&error, StateLockError::InUse(path) if path == &directory));
        drop(lock);
        StateLock::acquire(&directory).unwrap();
    }
}
