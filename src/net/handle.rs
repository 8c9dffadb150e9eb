//! How other threads talk to the reactor: answers, streams, and the waker that is written only when needed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::ConnId;

/// What the reactor is told.
#[derive(Debug)]
pub(super) enum Command {
    /// The final answer of a request or a stream.
    Reply(ConnId, Vec<u8>),
    /// The request was a notification and is done.
    NoReply(ConnId),
    /// The request is a stream from now on.
    StartStream(ConnId, Arc<StreamQueue>),
    /// A message of a stream.
    Notify(ConnId, Vec<u8>, Arc<StreamQueue>),
    /// Stop accepting, flush until then, close everything, return.
    Shutdown(Instant),
}

/// The sending side's view of the reactor.
#[derive(Debug)]
struct Shared {
    waker: mio::Waker,
    /// Whether the reactor sleeps or is about to, so that it needs the waker.
    parked: AtomicBool,
    streams: AtomicUsize,
    max_streams: usize,
    stream_queue: usize,
    stream_bytes: usize,
}

/// Sends answers to clients. Cheap to clone; no method blocks, whatever clients do.
/// Answers to connections that are gone are dropped.
#[derive(Debug, Clone)]
pub struct Handle {
    commands: Sender<Command>,
    shared: Arc<Shared>,
}

/// The limit of streams is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there are {max} streams already")]
pub struct TooManyStreams {
    /// The limit.
    pub max: usize,
}

impl Handle {
    /// Answers the request in flight of a connection, or ends its stream: one line without LF.
    pub fn reply(&self, conn: ConnId, line: Vec<u8>) {
        self.send(Command::Reply(conn, line));
    }

    /// The request in flight is done and is not answered, because it was a notification.
    pub fn no_reply(&self, conn: ConnId) {
        self.send(Command::NoReply(conn));
    }

    /// Turns the request in flight into a stream, which holds no request slot. When the limit of streams is
    /// reached nothing happens; the request still has to be answered.
    pub fn start_stream(&self, conn: ConnId) -> Result<Stream, TooManyStreams> {
        let max = self.shared.max_streams;
        let admit = |count: usize| (count < max).then_some(count + 1);
        self.shared
            .streams
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, admit)
            .map_err(|_| TooManyStreams { max })?;
        let queue = Arc::new(StreamQueue::default());
        self.send(Command::StartStream(conn, Arc::clone(&queue)));
        Ok(Stream { conn, queue, handle: self.clone() })
    }

    /// Streams that are open now.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.shared.streams.load(Ordering::Acquire)
    }

    pub(super) fn send(&self, command: Command) {
        // A reactor that has returned needs no answers any more.
        if self.commands.send(command).is_ok() {
            self.wake();
        }
    }

    fn wake(&self) {
        // Pairs with the fence in `Inbox::park`: either we see that it parks, or it sees our command.
        fence(Ordering::SeqCst);
        if self.shared.parked.swap(false, Ordering::SeqCst)
            && let Err(cause) = self.shared.waker.wake()
        {
            log::error!("ipc.waker_failed error={cause}");
        }
    }
}

/// A request that became a stream. Ends with [`Stream::end`]; a stream that is dropped without it keeps its
/// connection open until the client closes it. Not `Clone`, so that it ends once.
#[derive(Debug)]
pub struct Stream {
    conn: ConnId,
    queue: Arc<StreamQueue>,
    handle: Handle,
}

impl Stream {
    /// Its connection, as in [`super::Event::StreamClosed`].
    #[must_use]
    pub const fn conn(&self) -> ConnId {
        self.conn
    }

    /// Sends a message: one line without LF and without an `id`. `false` when the queue of the stream was
    /// full: the message is dropped and counted.
    pub fn notify(&self, line: Vec<u8>) -> bool {
        let shared = &self.handle.shared;
        let fits = |queued: usize| (queued < shared.stream_queue).then_some(queued + 1);
        let full = self.queue.bytes.load(Ordering::Relaxed) > shared.stream_bytes as u64
            || self.queue.queued.fetch_update(Ordering::AcqRel, Ordering::Acquire, fits).is_err();
        if full {
            self.queue.dropped.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        self.queue.bytes.fetch_add(line.len() as u64, Ordering::Relaxed);
        self.queue.delivered.fetch_add(1, Ordering::Relaxed);
        self.handle.send(Command::Notify(self.conn, line, Arc::clone(&self.queue)));
        true
    }

    /// Whether at least half of its queue is free: then bulk data leaves room for what must not be lost.
    #[must_use]
    pub fn is_half_empty(&self) -> bool {
        let shared = &self.handle.shared;
        self.queue.queued.load(Ordering::Acquire) * 2 <= shared.stream_queue
            && self.queue.bytes.load(Ordering::Relaxed) * 2 <= shared.stream_bytes as u64
    }

    /// Messages that were taken for delivery so far.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.queue.delivered.load(Ordering::Relaxed)
    }

    /// Messages that were dropped so far.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.queue.dropped.load(Ordering::Relaxed)
    }

    /// Ends the stream with the reply to its request; the connection goes on with its next line.
    pub fn end(self, line: Vec<u8>) {
        self.handle.reply(self.conn, line);
    }
}

/// Counters of one stream, shared by the sender and the reactor.
#[derive(Debug, Default)]
pub(super) struct StreamQueue {
    queued: AtomicUsize,
    /// Bytes of all queued messages.
    bytes: AtomicU64,
    delivered: AtomicU64,
    dropped: AtomicU64,
}

impl StreamQueue {
    /// One message is written.
    pub(super) fn written(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.queued.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The reactor's end.
#[derive(Debug)]
pub(super) struct Inbox {
    commands: Receiver<Command>,
    shared: Arc<Shared>,
}

impl Inbox {
    /// Both ends.
    pub(super) fn new(waker: mio::Waker, limits: &super::Limits) -> (Handle, Self) {
        // Unbounded, because senders must never block. What is in it is bounded by the requests in flight
        // and by the queues of the streams.
        let (sender, receiver) = unbounded();
        let shared = Arc::new(Shared {
            waker,
            parked: AtomicBool::new(false),
            streams: AtomicUsize::new(0),
            max_streams: limits.max_streams,
            stream_queue: limits.stream_queue,
            stream_bytes: limits.outbound_bytes,
        });
        (Handle { commands: sender, shared: Arc::clone(&shared) }, Self { commands: receiver, shared })
    }

    /// The next command.
    pub(super) fn next(&self) -> Option<Command> {
        self.commands.try_recv().ok()
    }

    /// Announces sleep. `false` when there is something to do first.
    pub(super) fn park(&self) -> bool {
        self.shared.parked.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if self.commands.is_empty() {
            return true;
        }
        self.unpark();
        false
    }

    /// Awake again: senders need not write the waker.
    pub(super) fn unpark(&self) {
        self.shared.parked.store(false, Ordering::SeqCst);
    }

    /// A stream is over.
    pub(super) fn stream_over(&self) {
        self.shared.streams.fetch_sub(1, Ordering::AcqRel);
    }
}
