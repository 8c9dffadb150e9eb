//! Getting a connection within a time.

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, connect as connect_to, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;

use super::ClientError;

/// Children of the program do not inherit the connection; elsewhere there is no flag for it.
#[cfg(target_os = "linux")]
const CLOEXEC: SockFlag = SockFlag::SOCK_CLOEXEC;
#[cfg(not(target_os = "linux"))]
const CLOEXEC: SockFlag = SockFlag::empty();

/// A connected socket that does not block on reads.
pub(super) fn connect(path: &Path, timeout: Duration) -> Result<UnixStream, ClientError> {
    let system = |source: io::Error| ClientError::System { path: path.to_owned(), source };
    let not_running = || ClientError::NotRunning { path: path.to_owned() };
    match std::fs::symlink_metadata(path) {
        Ok(meta) if meta.file_type().is_symlink() => {
            return Err(ClientError::Symlink { path: path.to_owned() });
        }
        Ok(_) => (),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Err(not_running()),
        Err(cause) => return Err(system(cause)),
    }
    let address = UnixAddr::new(path).map_err(|errno| system(errno.into()))?;
    let fd =
        socket(AddressFamily::Unix, SockType::Stream, CLOEXEC, None).map_err(|errno| system(errno.into()))?;
    // A connection to a full queue waits as long as a send would.
    let seconds = i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX);
    // Zero would mean for ever.
    let micros = i64::from(timeout.subsec_micros()).max(i64::from(seconds == 0));
    setsockopt(&fd, sockopt::SendTimeout, &TimeVal::new(seconds, micros))
        .map_err(|errno| system(errno.into()))?;
    loop {
        match connect_to(fd.as_raw_fd(), &address) {
            Ok(()) => break,
            Err(Errno::EINTR) => (),
            Err(Errno::ENOENT | Errno::ECONNREFUSED) => return Err(not_running()),
            Err(Errno::EAGAIN | Errno::ETIMEDOUT | Errno::EINPROGRESS) => {
                return Err(ClientError::NotResponding { path: path.to_owned(), after: timeout });
            }
            Err(errno) => return Err(system(errno.into())),
        }
    }
    let socket = UnixStream::from(fd);
    socket.set_nonblocking(true).map_err(system)?;
    Ok(socket)
}
