//! One connection: what has been read, what is owed, and what it waits for.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::UnixStream;
use mio::{Interest, Registry, Token};

use super::handle::StreamQueue;
use super::outbound::Outbound;
use super::{ConnId, Limits, Peer};
use crate::ndjson::{Decoder, Frame};
use crate::rpc::{Incoming, RpcError, reply};

/// What a connection is doing.
#[derive(Debug)]
pub(super) enum Phase {
    /// Its next line may be taken.
    Ready,
    /// This line waits for a request slot.
    Held(Vec<u8>),
    /// A request is being handled by others.
    InFlight,
    /// Its request became a stream.
    Stream(Arc<StreamQueue>),
}

/// How far its input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    /// Everything the socket had was read; an event will come.
    Drained,
    /// There may be more to read.
    Readable,
    /// The client sends nothing any more; the decoder may still hold lines.
    Ended,
}

/// State of one connection. Lives on the reactor thread.
#[derive(Debug)]
pub(super) struct Conn {
    pub(super) id: ConnId,
    pub(super) peer: Peer,
    pub(super) phase: Phase,
    pub(super) out: Outbound,
    pub(super) input: Input,
    /// Close as soon as everything owed is written.
    pub(super) closing: bool,
    /// The client is gone for good, not only done with sending.
    pub(super) hangup: bool,
    /// In the list of connections that get a turn.
    pub(super) queued: bool,
    /// Last time a byte came or went.
    pub(super) last_active: Instant,
    /// Earliest wake-up that the timers hold for it.
    pub(super) armed: Option<Instant>,
    socket: UnixStream,
    decoder: Decoder,
    /// The client has announced the end of its input, so a short read does not mean that all was read.
    end_announced: bool,
    /// The socket takes nothing at the moment; the registration waits for it.
    blocked: bool,
    partial_since: Option<Instant>,
    skipping_since: Option<Instant>,
    stalled_since: Option<Instant>,
}

impl Conn {
    pub(super) fn new(id: ConnId, peer: Peer, socket: UnixStream, limits: &Limits, now: Instant) -> Self {
        Self {
            id,
            peer,
            phase: Phase::Ready,
            out: Outbound::default(),
            input: Input::Readable,
            closing: false,
            hangup: false,
            queued: false,
            last_active: now,
            armed: None,
            socket,
            decoder: Decoder::new(limits.request_bytes),
            end_announced: false,
            blocked: false,
            partial_since: None,
            skipping_since: None,
            stalled_since: None,
        }
    }

    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.socket, token, Interest::READABLE)
    }

    pub(super) fn deregister(&mut self, registry: &Registry) {
        if let Err(cause) = registry.deregister(&mut self.socket) {
            log::debug!("ipc.deregister_failed error={cause}");
        }
    }

    /// Takes note of what the poll said.
    pub(super) fn on_event(&mut self, event: &mio::event::Event) {
        if event.is_read_closed() {
            self.end_announced = true;
        }
        if (event.is_readable() || event.is_read_closed()) && self.input == Input::Drained {
            self.input = Input::Readable;
        }
        if event.is_write_closed() || event.is_error() {
            self.hangup = true;
        }
        if event.is_writable() || self.hangup {
            self.blocked = false;
        }
    }

    /// The next line, or the last one without LF after the end of the input.
    pub(super) fn next_frame(&mut self) -> Option<Frame<'_>> {
        // Asked first, because a frame that is returned in one branch would be borrowed in the other one too.
        if self.input == Input::Ended && self.decoder.is_partial() && !self.decoder.has_frame() {
            return self.decoder.finish();
        }
        self.decoder.next_frame()
    }

    /// Whether a line is waiting in the buffer.
    pub(super) fn has_line(&self) -> bool {
        self.decoder.has_frame() || (self.input == Input::Ended && self.decoder.is_partial())
    }

    /// Refuses a line that nobody is there to handle.
    pub(super) fn out_refusal(&mut self, line: &[u8]) {
        let id = match Incoming::parse(line) {
            Incoming::Single(Ok(call)) if call.id.is_none() => return,
            Incoming::Single(Ok(call)) => call.id,
            Incoming::Single(Err(_)) | Incoming::Batch(_) => None,
        };
        self.out.line(reply::error(id.as_ref(), &RpcError::ShuttingDown));
    }

    /// Reads one chunk. Errors mean that the connection is of no more use.
    pub(super) fn read(&mut self, chunk: &mut [u8], now: Instant) -> io::Result<()> {
        match self.socket.read(chunk) {
            Ok(0) => self.input = Input::Ended,
            Ok(count) => {
                self.decoder.feed(&chunk[..count]);
                self.last_active = now;
                self.partial_since = None;
                // A short read has emptied the socket (epoll(7), question 9): no second call to learn that.
                if count < chunk.len() && !self.end_announced {
                    self.input = Input::Drained;
                }
            }
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => self.input = Input::Drained,
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => (),
            Err(cause) => return Err(cause),
        }
        Ok(())
    }

    /// Writes what the client takes and waits for it with the rest.
    pub(super) fn flush(&mut self, registry: &Registry, token: Token, now: Instant) -> io::Result<()> {
        if self.out.is_empty() || self.blocked {
            return Ok(());
        }
        let waiting = self.stalled_since.is_some();
        if self.out.write_to(&mut self.socket)? > 0 {
            self.last_active = now;
            self.stalled_since = None;
        }
        if self.out.is_empty() {
            self.stalled_since = None;
            if waiting {
                registry.reregister(&mut self.socket, token, Interest::READABLE)?;
            }
        } else {
            self.blocked = true;
            self.stalled_since.get_or_insert(now);
            if !waiting {
                registry.reregister(&mut self.socket, token, Interest::READABLE | Interest::WRITABLE)?;
            }
        }
        Ok(())
    }

    /// Whether more output may be taken on, which is the condition for reading.
    pub(super) const fn has_room(&self, limits: &Limits) -> bool {
        self.out.len() <= limits.outbound_bytes
    }

    /// Nothing in flight, no stream, nothing to write, nothing to read: may be closed for a new client.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Ready)
            && self.out.is_empty()
            && self.input == Input::Drained
            && !self.queued
    }

    /// Everything that was asked is answered and nothing will be asked any more.
    pub(super) fn is_done(&self) -> bool {
        let ended = self.input == Input::Ended && !self.decoder.is_partial();
        self.out.is_empty() && (self.closing || (ended && matches!(self.phase, Phase::Ready)))
    }

    /// Bytes of an oversized line so far.
    pub(super) fn skipping(&self) -> Option<u64> {
        self.decoder.skipping()
    }

    /// Starts and stops the clocks that depend on what it waits for. Once at the end of each turn.
    pub(super) fn update_clocks(&mut self, limits: &Limits, now: Instant) {
        let waits_for_input = matches!(self.phase, Phase::Ready)
            && !self.closing
            && self.input == Input::Drained
            && self.has_room(limits);
        if !waits_for_input || !self.decoder.is_partial() {
            self.partial_since = None;
        } else {
            self.partial_since.get_or_insert(now);
        }
        if self.decoder.skipping().is_none() || self.closing {
            self.skipping_since = None;
        } else {
            self.skipping_since.get_or_insert(now);
        }
    }

    /// When it has to be looked at if nothing happens until then.
    pub(super) fn deadline(&self, limits: &Limits) -> Option<Instant> {
        let after = |since: Option<Instant>, wait: Duration| since.map(|since| since + wait);
        [
            after(self.partial_since, limits.partial_idle),
            after(self.skipping_since, limits.discard_time),
            after(self.stalled_since, limits.write_stall),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Whether the oversized line, and not something else, is what took too long.
    pub(super) fn skipped_too_long(&self, limits: &Limits, now: Instant) -> bool {
        self.skipping_since.is_some_and(|since| now >= since + limits.discard_time)
    }

    /// Whether the client takes nothing of what it is owed.
    pub(super) fn is_stalled(&self, limits: &Limits, now: Instant) -> bool {
        self.stalled_since.is_some_and(|since| now >= since + limits.write_stall)
    }
}
