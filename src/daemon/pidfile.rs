//! The PID file and its lock. The lock is the authority: held means running, whatever the number
//! in the file says; a number alone proves nothing, because numbers are used again.
//!
//! Invariant: the lock is taken before the first byte is written and kept for life, and the file is
//! removed only by the process that holds the lock on that very inode.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};

/// How often a held lock is tried: whoever looks at the file holds a shared lock for a moment.
const TRIES: u32 = 5;
const BETWEEN_TRIES: Duration = Duration::from_millis(10);

/// The PID file of this process, locked.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    lock: Flock<File>,
}

/// Why the PID file could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum PidFileError {
    /// Following it could overwrite a file of somebody else.
    #[error("PID file is a symlink (possible attack): {}", .0.display())]
    Symlink(PathBuf),
    /// Somebody holds the lock.
    #[error("Cannot acquire PID file lock ({}): {source}. Another daemon instance may be starting.", path.display())]
    Locked {
        /// The PID file.
        path: PathBuf,
        /// What the lock call said.
        source: io::Error,
    },
    /// Not allowed.
    #[error("Permission denied: {}", .0.display())]
    Permission(PathBuf),
    /// Anything else.
    #[error("cannot write the PID file {}: {source}", path.display())]
    Io {
        /// The PID file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What a look at the PID file showed. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// There is none, or it cannot be read.
    Nothing,
    /// Its lock is held: a conductor lives, or is just starting when there is no number yet.
    Held(Option<u32>),
    /// Nobody holds it. The number may belong to a process that lives.
    Free(Option<u32>),
}

impl PidFile {
    /// Creates and locks the file and writes our pid.
    pub fn acquire(path: &Path) -> Result<Self, PidFileError> {
        let io_error = |source: io::Error| match source.kind() {
            io::ErrorKind::PermissionDenied => PidFileError::Permission(path.to_owned()),
            _ => PidFileError::Io { path: path.to_owned(), source },
        };
        if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
            fs::create_dir_all(directory).map_err(io_error)?;
        }
        let mut tries = 0;
        loop {
            refuse_symlink(path)?;
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o644)
                .custom_flags(OFlag::O_NOFOLLOW.bits())
                .open(path)
                .map_err(|error| match error.raw_os_error() {
                    Some(code) if code == Errno::ELOOP as i32 => PidFileError::Symlink(path.to_owned()),
                    _ => io_error(error),
                })?;
            tries += 1;
            let lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => lock,
                Err((_, Errno::EWOULDBLOCK)) if tries < TRIES => {
                    std::thread::sleep(BETWEEN_TRIES);
                    continue;
                }
                Err((_, errno)) => {
                    return Err(PidFileError::Locked { path: path.to_owned(), source: errno.into() });
                }
            };
            // Between opening and locking another process may have removed or replaced it.
            if !is_same_file(&lock, path) {
                continue;
            }
            let mut pid_file = Self { path: path.to_owned(), lock };
            pid_file.write_pid().map_err(io_error)?;
            return Ok(pid_file);
        }
    }

    fn write_pid(&mut self) -> io::Result<()> {
        self.lock.set_len(0)?;
        self.lock.rewind()?;
        writeln!(self.lock, "{}", std::process::id())
    }

    /// Removes the file if it is still ours, then lets the lock go. Dropping does the same.
    pub fn remove(self) {}
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if is_same_file(&self.lock, &self.path) && read_pid(&self.path) == Some(std::process::id()) {
            // Gone already is as good.
            _ = fs::remove_file(&self.path);
        }
    }
}

/// Looks at a PID file without changing it.
#[must_use]
pub fn look(path: &Path) -> Seen {
    let opened = OpenOptions::new().read(true).custom_flags(OFlag::O_NOFOLLOW.bits()).open(path);
    let Ok(mut file) = opened else { return Seen::Nothing };
    let mut text = String::new();
    // What is not text has no number; whether it is locked still counts.
    _ = (&mut file).take(64).read_to_string(&mut text);
    let pid = parse(&text);
    match Flock::lock(file, FlockArg::LockSharedNonblock) {
        Ok(_) => Seen::Free(pid),
        Err((_, Errno::EWOULDBLOCK)) => Seen::Held(pid),
        // A file system without locks: the number is all there is.
        Err((_, _)) => Seen::Free(pid),
    }
}

/// Blocks until nobody holds the lock of the file that names `pid`, or the file is another one.
pub fn wait_released(path: &Path, pid: u32) {
    let opened = OpenOptions::new().read(true).custom_flags(OFlag::O_NOFOLLOW.bits()).open(path);
    let Ok(file) = opened else { return };
    if read_pid(path) != Some(pid) || !is_same_file(&file, path) {
        return;
    }
    // Whatever the call says, there is nothing more to wait for.
    _ = Flock::lock(file, FlockArg::LockShared);
}

/// Removes a PID file that nobody holds and that still names `pid`. Taking the lock first keeps a
/// conductor that starts right now from losing its file.
pub fn remove_stale(path: &Path, pid: Option<u32>) {
    let opened = OpenOptions::new().read(true).custom_flags(OFlag::O_NOFOLLOW.bits()).open(path);
    let Ok(file) = opened else { return };
    let Ok(lock) = Flock::lock(file, FlockArg::LockExclusiveNonblock) else { return };
    if is_same_file(&lock, path) && read_pid(path) == pid {
        _ = fs::remove_file(path);
    }
}

/// Fails when the path is a symbolic link.
pub fn refuse_symlink(path: &Path) -> Result<(), PidFileError> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.file_type().is_symlink() => Err(PidFileError::Symlink(path.to_owned())),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Whether a process with this number exists; one of another user does.
#[must_use]
pub fn is_alive(pid: u32) -> bool {
    let Ok(pid) = i32::try_from(pid) else { return false };
    if pid <= 0 {
        return false;
    }
    match nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None) {
        Ok(()) | Err(Errno::EPERM) => true,
        Err(_) => false,
    }
}

fn read_pid(path: &Path) -> Option<u32> {
    fs::read_to_string(path).ok().and_then(|text| parse(&text))
}

fn parse(text: &str) -> Option<u32> {
    text.trim().parse().ok().filter(|pid| *pid > 0)
}

fn is_same_file(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(ours), Ok(there)) => ours.dev() == there.dev() && ours.ino() == there.ino(),
        (Ok(_) | Err(_), Ok(_) | Err(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_lock_decides_and_the_file_goes_with_its_owner() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sub/mozart.pid");
        let own = PidFile::acquire(&path).unwrap();
        assert_eq!(look(&path), Seen::Held(Some(std::process::id())));
        assert!(matches!(PidFile::acquire(&path), Err(PidFileError::Locked { .. })));
        remove_stale(&path, Some(std::process::id()));
        assert!(path.exists(), "a held file is never stale");
        own.remove();
        assert!(!path.exists());
        assert_eq!(look(&path), Seen::Nothing);
    }

    #[test]
    fn a_file_that_somebody_replaced_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mozart.pid");
        let own = PidFile::acquire(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, format!("{}\n", std::process::id())).unwrap();
        own.remove();
        assert!(path.exists());
    }

    #[test]
    fn stale_files_are_found_and_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mozart.pid");
        for (text, pid) in [("  12345 \n", Some(12345)), ("", None), ("abc", None), ("-4", None)] {
            fs::write(&path, text).unwrap();
            assert_eq!(look(&path), Seen::Free(pid), "{text:?}");
        }
        fs::write(&path, "77\n").unwrap();
        remove_stale(&path, Some(78));
        assert!(path.exists(), "another number: not the file that was judged");
        remove_stale(&path, Some(77));
        assert!(!path.exists());
    }

    #[test]
    fn a_symlink_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mozart.pid");
        std::os::unix::fs::symlink(directory.path().join("victim"), &path).unwrap();
        let error = PidFile::acquire(&path).unwrap_err().to_string();
        assert_eq!(error, format!("PID file is a symlink (possible attack): {}", path.display()));
        assert_eq!(look(&path), Seen::Nothing);
        assert!(!directory.path().join("victim").exists());
    }

    #[test]
    fn we_are_alive_and_nobody_is_zero() {
        assert!(is_alive(std::process::id()));
        assert!(!is_alive(0));
        assert!(!is_alive(u32::MAX));
    }
}
