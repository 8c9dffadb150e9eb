//! The socket side of the conductor: one thread that accepts, frames, limits and writes.
//!
//! Not for: what a request means. `daemon.health` and `daemon.ping` are answered here because they must be
//! answered whatever the workers do; every other line goes out as a [`Request`], unparsed, and comes back
//! as a reply through the [`Handle`].
//!
//! Invariants:
//! - No client can hold up another one: every connection has bounded buffers, a bounded share of each turn
//!   and deadlines for half a line and for output that it does not take.
//! - At most one request of a connection is in flight; its further lines wait in its buffer or in the socket.
//! - A slot of `max_concurrent_requests` is held from the dispatch of a request until its reply, its end
//!   without a reply or the start of its stream, whether its client is still there or not.
//! - Methods of [`Handle`] and [`Stream`] never block.
//! - The thread sleeps without a timeout when no deadline runs.

mod bind;
mod conn;
mod handle;
mod inline;
mod outbound;
mod reactor;
mod table;
#[cfg(test)]
mod tests;
mod timers;
mod vital;

use std::time::Duration;

use crossbeam_channel::{Sender, TrySendError};

pub use bind::{BindError, Listener, MAX_PATH, bind};
pub use handle::{Handle, Stream, TooManyStreams};
pub use reactor::Reactor;
pub use vital::Vital;

/// Name of a connection. Never used twice in the life of a reactor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId {
    pub(crate) slot: u32,
    pub(crate) serial: u64,
}

/// Who is at the other end, as the kernel said when the connection was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// User.
    pub uid: u32,
    /// Process, where the platform tells it.
    pub pid: Option<i32>,
}

/// One line of a client that somebody has to answer with [`Handle::reply`], end with
/// [`Handle::no_reply`], or turn into a stream with [`Handle::start_stream`]: exactly one of them, once.
#[derive(Debug)]
pub struct Request {
    /// Where the answer goes.
    pub conn: ConnId,
    /// Who asks.
    pub peer: Peer,
    /// The line without its line end, not parsed yet. Not longer than [`Limits::request_bytes`].
    pub line: Vec<u8>,
}

/// Where the reactor puts lines: a channel of requests, or one of something that a request becomes.
pub struct Dispatch(Box<dyn Fn(Request) -> Result<(), TrySendError<Request>> + Send>);

impl Dispatch {
    /// `send` must not block, and gives the request back when it does not take it.
    pub fn new(send: impl Fn(Request) -> Result<(), TrySendError<Request>> + Send + 'static) -> Self {
        Self(Box::new(send))
    }

    fn send(&self, request: Request) -> Result<(), TrySendError<Request>> {
        (self.0)(request)
    }
}

impl From<Sender<Request>> for Dispatch {
    fn from(channel: Sender<Request>) -> Self {
        Self::new(move |request| channel.try_send(request))
    }
}

/// What the owner of streams has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The client of a stream is gone, or its connection was closed for another reason. Told once for a
    /// stream that its owner has not ended itself.
    StreamClosed(ConnId),
}

/// Bounds of everything a client can make grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Simultaneous connections, 1-10,000. Above it the one that has been idle longest is closed.
    pub max_connections: usize,
    /// Requests in flight over all connections, 1-1,000.
    pub max_concurrent_requests: usize,
    /// Simultaneous streams, 1-1,000.
    pub max_streams: usize,
    /// Longest request line in bytes.
    pub request_bytes: usize,
    /// Output that a connection may owe, in bytes, before it is not read any more.
    pub outbound_bytes: usize,
    /// Messages of one stream that are not written yet; further ones are dropped and counted.
    pub stream_queue: usize,
    /// A line that has begun and gets no byte for this long closes the connection.
    pub partial_idle: Duration,
    /// An oversized line must end within this time.
    pub discard_time: Duration,
    /// Bytes of an oversized line that are read before the connection is given up.
    pub discard_bytes: u64,
    /// Output of which nothing can be written for this long closes the connection.
    pub write_stall: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 500,
            max_concurrent_requests: 50,
            max_streams: 64,
            request_bytes: crate::ndjson::REQUEST_LIMIT,
            outbound_bytes: crate::ndjson::RESPONSE_LIMIT,
            stream_queue: 100,
            partial_idle: Duration::from_secs(60),
            discard_time: Duration::from_secs(10),
            discard_bytes: 67_108_864,
            write_stall: Duration::from_secs(30),
        }
    }
}
