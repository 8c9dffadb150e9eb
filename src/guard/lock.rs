//! `flock` on a descriptor that two processes share.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;
use nix::fcntl::FlockArg;

/// Takes the exclusive lock of the open file, or keeps it where it is already held through this
/// open file. `false`: somebody else holds it.
///
/// Not [`nix::fcntl::Flock`], which unlocks when it is dropped: the lock belongs to the open file
/// that worker and guard share, so dropping the worker's copy would free it under the guard.
pub(crate) fn try_exclusive(file: impl AsFd) -> io::Result<bool> {
    #[expect(deprecated, reason = "the replacement unlocks on drop; see above")]
    let result = nix::fcntl::flock(file.as_fd().as_raw_fd(), FlockArg::LockExclusiveNonblock);
    match result {
        Ok(()) => Ok(true),
        Err(Errno::EWOULDBLOCK) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}
