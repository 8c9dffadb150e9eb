//! A blocking client of the conductor, for programs: one connection, one request at a time.
//!
//! Not for: many requests at once (open several clients), printing.
//!
//! Invariants: no call lasts longer than its timeout; a reply line longer than 16 MiB is refused while it is
//! read; a symbolic link at the socket path is never followed.

mod connect;
mod stream;
#[cfg(test)]
mod tests;

use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, send};
use serde_json::Value;

pub use stream::{Notification, Step, Stream};

use crate::ndjson::{Decoder, Frame, RESPONSE_LIMIT};

/// How long a connection attempt may take unless the caller says otherwise.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a call may take unless the caller says otherwise.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// No socket, or nobody listens on it.
    #[error("no conductor is running at `{path}`")]
    NotRunning {
        /// The socket.
        path: PathBuf,
    },
    /// Somebody listens but does not answer in time.
    #[error("the conductor at `{path}` did not answer within {} s", after.as_secs_f64())]
    NotResponding {
        /// The socket.
        path: PathBuf,
        /// The time it had.
        after: Duration,
    },
    /// Somebody put a symbolic link where the socket belongs.
    #[error("socket path is a symlink (possible attack): {path}")]
    Symlink {
        /// The path.
        path: PathBuf,
    },
    /// The connection was closed before the answer. Whether the request was carried out is not known.
    #[error("the conductor at `{path}` closed the connection before it answered")]
    Closed {
        /// The socket.
        path: PathBuf,
    },
    /// The system refused a step: no permission, no memory.
    #[error("cannot talk to the conductor at `{path}`")]
    System {
        /// The socket.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The conductor answered with an error.
    #[error("{message}")]
    Rpc {
        /// Its number; -32603 when the answer had none.
        code: i64,
        /// Its text.
        message: String,
        /// Details for programs.
        data: Option<Value>,
    },
    /// The other side does not speak this protocol.
    #[error("unexpected answer from `{path}`: {detail}")]
    Protocol {
        /// The socket.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
}

/// A connection to a conductor.
#[derive(Debug)]
pub struct Client {
    socket: UnixStream,
    path: PathBuf,
    decoder: Decoder,
    ended: bool,
    chunk: Box<[u8]>,
    next_id: u64,
    timeout: Duration,
}

/// One line of the conductor.
enum Message {
    Notification(Notification),
    Reply { id: Value, outcome: Result<Value, ClientError> },
}

impl Client {
    /// Connects within `timeout`; 2-5 s are usual, [`CONNECT_TIMEOUT`] when in doubt.
    pub fn connect(path: impl AsRef<Path>, timeout: Duration) -> Result<Self, ClientError> {
        let path = path.as_ref();
        let socket = connect::connect(path, timeout)?;
        Ok(Self {
            socket,
            path: path.to_owned(),
            decoder: Decoder::new(RESPONSE_LIMIT - 1),
            ended: false,
            chunk: vec![0; 64 * 1024].into_boxed_slice(),
            next_id: 1,
            timeout: CALL_TIMEOUT,
        })
    }

    /// Sets how long each call may take; [`CALL_TIMEOUT`] at first.
    pub const fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// The socket it is connected to.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Calls a method and waits for its result. `Value::Null` as `params` means none.
    ///
    /// After any error but [`ClientError::Rpc`] the connection is in an unknown state: open a new one.
    pub fn call(&mut self, method: &str, params: Value) -> Result<Value, ClientError> {
        let deadline = Instant::now() + self.timeout;
        let id = self.send(method, &params, deadline)?;
        match self.receive(Some(deadline))? {
            Message::Reply { id: got, outcome } if got == id || got.is_null() => outcome,
            Message::Reply { id: got, .. } => Err(self.protocol(format!("a reply to {got} instead of {id}"))),
            Message::Notification(message) => {
                Err(self.protocol(format!("a message `{}` outside of a stream", message.method)))
            }
        }
    }

    /// Calls a streaming method. The stream has no timeout of its own: messages come when there are some.
    pub fn stream(mut self, method: &str, params: Value) -> Result<Stream, ClientError> {
        let deadline = Instant::now() + self.timeout;
        let id = self.send(method, &params, deadline)?;
        Ok(Stream::new(self, id))
    }

    fn send(&mut self, method: &str, params: &Value, deadline: Instant) -> Result<Value, ClientError> {
        let id = self.next_id;
        self.next_id += 1;
        let mut line = Vec::with_capacity(256);
        // Member order and `params: null` are those of every client before this one.
        line.extend_from_slice(br#"{"jsonrpc":"2.0","method":"#);
        line.extend_from_slice(Value::from(method).to_string().as_bytes());
        line.extend_from_slice(format!(r#","params":{params},"id":{id}}}"#).as_bytes());
        line.push(b'\n');
        let mut rest = line.as_slice();
        while !rest.is_empty() {
            // NOSIGNAL, because a program may have put SIGPIPE back to its deadly default.
            match send(self.socket.as_raw_fd(), rest, MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT) {
                Ok(count) => rest = &rest[count..],
                Err(Errno::EINTR) => (),
                Err(Errno::EAGAIN) => self.wait(PollFlags::POLLOUT, Some(deadline))?,
                Err(Errno::EPIPE | Errno::ECONNRESET) => break,
                Err(errno) => return Err(self.system(errno.into())),
            }
        }
        // A conductor that closed while we were sending may have said why: the answer is read in any case.
        Ok(id.into())
    }

    /// The next line as a message; waits for it until the deadline.
    fn receive(&mut self, deadline: Option<Instant>) -> Result<Message, ClientError> {
        loop {
            if let Some(message) = self.buffered()? {
                return Ok(message);
            }
            self.wait(PollFlags::POLLIN, deadline)?;
            self.fill()?;
        }
    }

    /// The next line that has been read already.
    fn buffered(&mut self) -> Result<Option<Message>, ClientError> {
        let parsed = self.decoder.next_frame().map(|frame| match frame {
            Frame::Line(line) => parse(line),
            Frame::TooLong { bytes } => Err(format!("a line of {bytes} bytes")),
        });
        match parsed {
            Some(message) => message.map(Some).map_err(|detail| self.protocol(detail)),
            None if self.decoder.skipping().is_some() => {
                Err(self.protocol(format!("a line of more than {RESPONSE_LIMIT} bytes")))
            }
            None if self.ended => Err(ClientError::Closed { path: self.path.clone() }),
            None => Ok(None),
        }
    }

    /// Reads what is there, without waiting.
    fn fill(&mut self) -> Result<(), ClientError> {
        match self.socket.read(&mut self.chunk) {
            Ok(0) => self.ended = true,
            Ok(count) => self.decoder.feed(&self.chunk[..count]),
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => (),
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => (),
            Err(cause) if cause.kind() == io::ErrorKind::ConnectionReset => self.ended = true,
            Err(cause) => return Err(self.system(cause)),
        }
        Ok(())
    }

    fn wait(&self, what: PollFlags, deadline: Option<Instant>) -> Result<(), ClientError> {
        loop {
            let timeout = match deadline {
                None => PollTimeout::NONE,
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Err(self.not_responding());
                    }
                    // Rounded up, so that the last part of a millisecond is not spent in a busy loop.
                    PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
                }
            };
            match poll(&mut [PollFd::new(self.socket.as_fd(), what)], timeout) {
                Ok(0) | Err(Errno::EINTR) => (),
                Ok(_) => return Ok(()),
                Err(errno) => return Err(self.system(errno.into())),
            }
        }
    }

    fn not_responding(&self) -> ClientError {
        ClientError::NotResponding { path: self.path.clone(), after: self.timeout }
    }

    fn protocol(&self, detail: String) -> ClientError {
        ClientError::Protocol { path: self.path.clone(), detail }
    }

    fn system(&self, source: io::Error) -> ClientError {
        ClientError::System { path: self.path.clone(), source }
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// One line of the conductor. The key `error` decides, not its value.
fn parse(line: &[u8]) -> Result<Message, String> {
    let value: Value = serde_json::from_slice(line).map_err(|cause| format!("not JSON: {cause}"))?;
    let Value::Object(mut members) = value else { return Err("not an object".to_owned()) };
    let mut take = |name: &str| members.swap_remove(name);
    if let Some(error) = take("error") {
        let code = error["code"].as_i64().unwrap_or(-32603);
        let message = error["message"].as_str().unwrap_or("Unknown error").to_owned();
        let data = error.get("data").filter(|data| !data.is_null()).cloned();
        let id = take("id").unwrap_or_default();
        return Ok(Message::Reply { id, outcome: Err(ClientError::Rpc { code, message, data }) });
    }
    match (take("id"), take("method")) {
        (Some(id), _) if !id.is_null() => {
            Ok(Message::Reply { id, outcome: Ok(take("result").unwrap_or_default()) })
        }
        (_, Some(Value::String(method))) => {
            let params = take("params").unwrap_or_else(|| Value::Object(serde_json::Map::new()));
            Ok(Message::Notification(Notification { method, params }))
        }
        _ => Err("neither a reply nor a message".to_owned()),
    }
}
