//! Making the socket file: who may own it, who may use it, and what to do with one that is there already.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
#[cfg(not(target_os = "linux"))]
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{self, AddressFamily, Backlog, SockFlag, SockType, UnixAddr};

/// Longest socket path in bytes that every platform accepts.
pub const MAX_PATH: usize = 107;

/// Largest backlog that is passed on; kernels cut it to their own limit anyway.
const MAX_BACKLOG: u32 = 4096;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The path does not fit a socket address.
    #[error(
        "Socket path is too long: {path} ({length} bytes, at most {MAX_PATH}); set a shorter `socket.path`"
    )]
    PathTooLong {
        /// The path.
        path: PathBuf,
        /// Its length.
        length: usize,
    },
    /// Somebody put a symbolic link where the socket belongs.
    #[error("Socket path is a symlink (possible attack): {0}")]
    Symlink(PathBuf),
    /// A file that is not ours to remove.
    #[error("Socket path exists and is not a socket: {0}; move it away or set another `socket.path`")]
    NotASocket(PathBuf),
    /// Another conductor answers there.
    #[error("Socket is in use: {0}")]
    InUse(PathBuf),
    /// The system refused a step.
    #[error("cannot {step} `{path}`")]
    System {
        /// What was tried.
        step: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// A listening socket and the file that leads to it. Dropping it removes the file, if it is still this one.
#[derive(Debug)]
pub struct Listener {
    pub(super) socket: UnixListener,
    path: PathBuf,
    mode: u32,
    /// Device and inode of the file.
    identity: (u64, u64),
}

impl Listener {
    /// Where clients connect.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether users other than the owner may connect, as the mode of the file says.
    pub(super) const fn admits_others(&self) -> bool {
        self.mode & 0o022 != 0
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Remove before the descriptor closes: as long as it is open its inode number cannot be used again.
        let ours =
            fs::symlink_metadata(&self.path).is_ok_and(|meta| (meta.dev(), meta.ino()) == self.identity);
        if ours && let Err(cause) = fs::remove_file(&self.path) {
            log::warn!("ipc.socket_not_removed path={} error={cause}", self.path.display());
        }
    }
}

/// Binds and listens. `mode` is the mode of the socket file (`0o660`), `backlog` the argument of `listen`.
///
/// A stale socket, one where nobody answers, is replaced; anything else that is in the way is an error.
/// The parent directory is made with mode 0700 when it is missing.
pub fn bind(path: &Path, mode: u32, backlog: u32) -> Result<Listener, BindError> {
    let length = path.as_os_str().len();
    if length > MAX_PATH {
        return Err(BindError::PathTooLong { path: path.to_owned(), length });
    }
    let failed = |step: &'static str| {
        move |source: io::Error| BindError::System { step, path: path.to_owned(), source }
    };
    let parent = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    prepare_parent(parent)?;
    clear_way(path)?;

    let address = UnixAddr::new(path).map_err(|errno| failed("use the socket path")(errno.into()))?;
    let fd = stream_socket().map_err(|errno| failed("make a socket for")(errno.into()))?;
    bind_private(&fd, &address).map_err(|errno| failed("bind the socket")(errno.into()))?;
    let identity = fs::symlink_metadata(path).map_err(failed("look at the socket"))?;
    // From here on a failure removes the file through the guard's drop.
    let listener = Listener {
        socket: UnixListener::from(fd),
        path: path.to_owned(),
        mode,
        identity: (identity.dev(), identity.ino()),
    };
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(failed("set the mode of"))?;
    let backlog = i32::try_from(backlog.clamp(1, MAX_BACKLOG)).expect("clamped to a small number");
    let backlog = Backlog::new(backlog).unwrap_or(Backlog::MAXCONN);
    socket::listen(&listener.socket, backlog).map_err(|errno| failed("listen on")(errno.into()))?;
    Ok(listener)
}

fn prepare_parent(parent: &Path) -> Result<(), BindError> {
    let failed = |step| move |source| BindError::System { step, path: parent.to_owned(), source };
    match fs::metadata(parent) {
        Ok(meta) if meta.is_dir() => {
            if meta.mode() & 0o1002 == 0o002 {
                log::warn!(
                    "ipc.socket_directory_writable path={} hint=anybody can replace the socket; use a private directory",
                    parent.display()
                );
            }
            Ok(())
        }
        Ok(_) => Err(failed("use as a directory")(io::ErrorKind::NotADirectory.into())),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)
            .map_err(failed("create the directory")),
        Err(cause) => Err(failed("look at")(cause)),
    }
}

/// Removes a socket that nobody listens on; refuses everything else that is in the way.
fn clear_way(path: &Path) -> Result<(), BindError> {
    let failed = |step| move |source| BindError::System { step, path: path.to_owned(), source };
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(cause) => return Err(failed("look at")(cause)),
    };
    if meta.file_type().is_symlink() {
        return Err(BindError::Symlink(path.to_owned()));
    }
    if !meta.file_type().is_socket() {
        return Err(BindError::NotASocket(path.to_owned()));
    }
    match probe(path) {
        // Connected, or a full queue: somebody listens.
        Ok(()) | Err(Errno::EAGAIN | Errno::EINPROGRESS) => Err(BindError::InUse(path.to_owned())),
        Err(Errno::ECONNREFUSED) => {
            log::info!("ipc.stale_socket_removed path={}", path.display());
            fs::remove_file(path).map_err(failed("remove the stale socket"))
        }
        Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(failed("find out who uses")(errno.into())),
    }
}

/// Connects without ever waiting and closes again.
fn probe(path: &Path) -> Result<(), Errno> {
    let fd = stream_socket()?;
    socket::connect(fd.as_raw_fd(), &UnixAddr::new(path.as_os_str().as_bytes())?)
}

/// A non-blocking socket that no child inherits.
#[cfg(target_os = "linux")]
fn stream_socket() -> Result<OwnedFd, Errno> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    socket::socket(AddressFamily::Unix, SockType::Stream, flags, None)
}

#[cfg(not(target_os = "linux"))]
fn stream_socket() -> Result<OwnedFd, Errno> {
    let fd = socket::socket(AddressFamily::Unix, SockType::Stream, SockFlag::empty(), None)?;
    fcntl(&fd, FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC))?;
    fcntl(&fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok(fd)
}

/// Binds so that the file is never, not for a moment, open to others.
///
/// On Linux the mode of the unbound socket is the mode its file is born with. That is what a umask around
/// the call would do, without changing the umask under the feet of other threads of an embedder.
#[cfg(target_os = "linux")]
fn bind_private(fd: &OwnedFd, address: &UnixAddr) -> Result<(), Errno> {
    nix::sys::stat::fchmod(fd, nix::sys::stat::Mode::S_IRUSR | nix::sys::stat::Mode::S_IWUSR)?;
    socket::bind(fd.as_raw_fd(), address)
}

#[cfg(not(target_os = "linux"))]
fn bind_private(fd: &OwnedFd, address: &UnixAddr) -> Result<(), Errno> {
    let before = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o177));
    let bound = socket::bind(fd.as_raw_fd(), address);
    nix::sys::stat::umask(before);
    bound
}
