//! Lines of JSON over the socket, with deadlines and without threads.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use serde_json::{Value, json};

/// Longest line that a conductor sends.
const LINE: usize = 16 * 1024 * 1024;

/// A connection that reads and writes whole lines.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: UnixStream,
    buffer: Vec<u8>,
    next_id: u64,
}

impl Wire {
    /// Connects within `timeout`.
    pub(crate) fn connect(path: &Path, timeout: Duration) -> io::Result<Self> {
        let address = UnixAddr::new(path)?;
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
        let until = Instant::now() + timeout;
        loop {
            match connect(std::os::fd::AsRawFd::as_raw_fd(&fd), &address) {
                Ok(()) => break,
                // The queue of the listener is full: it lives but does not accept.
                Err(nix::errno::Errno::EAGAIN) if Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(nix::errno::Errno::EAGAIN) => return Err(io::ErrorKind::TimedOut.into()),
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(Self { stream: UnixStream::from(fd), buffer: Vec::new(), next_id: 0 })
    }

    /// Sends one request.
    pub(crate) fn send(&mut self, method: &str, params: &Value) -> io::Result<()> {
        self.next_id += 1;
        let mut line = json!({"jsonrpc": "2.0", "method": method, "params": params, "id": self.next_id}).to_string();
        line.push('\n');
        let mut rest = line.as_bytes();
        let until = Instant::now() + Duration::from_secs(30);
        while !rest.is_empty() {
            match self.stream.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !self.ready(PollFlags::POLLOUT, Some(until))? {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The next message; `None` when the moment came first. What has arrived is read even when the
    /// moment is over.
    pub(crate) fn receive(&mut self, until: Option<Instant>) -> io::Result<Option<Value>> {
        let mut searched = 0;
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.buffer[searched..]) {
                let line: Vec<u8> = self.buffer.drain(..=searched + end).collect();
                return serde_json::from_slice(&line).map(Some).map_err(io::Error::from);
            }
            searched = self.buffer.len();
            if searched > LINE {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let mut chunk = [0; 16 * 1024];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.buffer.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !self.ready(PollFlags::POLLIN, until)? {
                        return Ok(None);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The socket, for `poll`.
    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    fn ready(&self, flags: PollFlags, until: Option<Instant>) -> io::Result<bool> {
        let mut fds = [PollFd::new(self.stream.as_fd(), flags)];
        wait_for(&mut fds, until)
    }
}

/// Waits until one of the descriptors is ready; false when the moment came first.
pub(crate) fn wait_for(fds: &mut [PollFd<'_>], until: Option<Instant>) -> io::Result<bool> {
    loop {
        let timeout = match until {
            None => PollTimeout::NONE,
            // Rounded up, so that a wait never ends a fraction of a millisecond early and spins.
            Some(until) => {
                let left = until.saturating_duration_since(Instant::now());
                let millis = left.as_millis() + u128::from(left.subsec_nanos() % 1_000_000 != 0);
                PollTimeout::try_from(i32::try_from(millis).unwrap_or(i32::MAX)).unwrap_or(PollTimeout::MAX)
            }
        };
        match poll(fds, timeout) {
            Ok(0) if until.is_some_and(|until| Instant::now() < until) => {}
            Ok(count) => return Ok(count > 0),
            Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}
