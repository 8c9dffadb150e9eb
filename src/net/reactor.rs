//! The event loop: one thread, one blocking point.
//!
//! A turn is: wait, note what the sockets said, take the answers of others, give every connection that has
//! something to do a bounded share, close what is overdue, accept. Output of a turn is written once per
//! connection.

mod accept;

use std::collections::{HashSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, TrySendError};
use mio::{Events, Interest, Poll, Token};

use self::accept::Accept;
use super::conn::{Conn, Input, Phase};
use super::handle::{Command, Handle, Inbox};
use super::inline::Inline;
use super::table::Table;
use super::timers::Timers;
use super::{ConnId, Dispatch, Event, Limits, Listener, Peer, Request, Vital};
use crate::ndjson::Frame;
use crate::rpc::{RpcError, reply};

const WAKER: Token = Token(0);
const LISTENER: Token = Token(1);
/// Token of the connection in slot 0.
const FIRST: usize = 2;

/// Bytes read at once.
const CHUNK: usize = 64 * 1024;
/// Chunks that one connection may read in one turn.
const READS_PER_TURN: usize = 8;
/// Lines that one connection may have taken in one turn.
const LINES_PER_TURN: usize = 64;

/// The running event loop. Owns its thread: dropping it closes all connections at once and joins.
#[derive(Debug)]
pub struct Reactor {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Reactor {
    /// Starts the thread `mz-net`. It returns after [`Reactor::shutdown`] or drop.
    ///
    /// `requests` should hold at least [`Limits::max_concurrent_requests`] lines; when it is full the
    /// connection waits as if there were no slot. `events` must not block: give an unbounded channel.
    pub fn spawn(
        listener: Listener,
        limits: Limits,
        vital: Arc<Vital>,
        requests: impl Into<Dispatch>,
        events: Sender<Event>,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut acceptor = mio::net::UnixListener::from_std(listener.socket.try_clone()?);
        poll.registry().register(&mut acceptor, LISTENER, Interest::READABLE)?;
        let (handle, inbox) = Inbox::new(mio::Waker::new(poll.registry(), WAKER)?, &limits);
        let state = State {
            poll,
            inbox,
            listener: Some((acceptor, listener)),
            accept: Accept::Ready,
            parked: None,
            room: true,
            conns: Table::default(),
            turns: VecDeque::new(),
            starved: VecDeque::new(),
            in_flight: 0,
            orphans: HashSet::new(),
            timers: Timers::default(),
            stop_at: None,
            now: Instant::now(),
            chunk: vec![0; CHUNK].into_boxed_slice(),
            inline: Inline::new(),
            limits,
            vital,
            requests: requests.into(),
            events,
        };
        let thread = std::thread::Builder::new().name("mz-net".to_owned()).spawn(move || state.run())?;
        Ok(Self { handle, thread: Some(thread) })
    }

    /// For everyone who answers.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Stops accepting and removes the socket file, waits up to `flush` until requests in flight and streams
    /// are answered and everything is written, closes all connections, joins the thread.
    pub fn shutdown(mut self, flush: Duration) {
        self.stop(flush);
    }

    fn stop(&mut self, flush: Duration) {
        let Some(thread) = self.thread.take() else { return };
        self.handle.send(Command::Shutdown(Instant::now() + flush));
        if thread.join().is_err() {
            log::error!("ipc.reactor_panicked");
        }
    }
}

impl Drop for Reactor {
    fn drop(&mut self) {
        self.stop(Duration::ZERO);
    }
}

/// Everything the thread owns.
struct State {
    poll: Poll,
    inbox: Inbox,
    /// What accepts, and the file that leads to it.
    listener: Option<(mio::net::UnixListener, Listener)>,
    accept: Accept,
    /// An accepted client for which there was no room; not read until there is.
    parked: Option<(mio::net::UnixStream, Peer)>,
    /// A connection was closed or has become idle since there was no room.
    room: bool,
    conns: Table,
    /// Connections that have something to do.
    turns: VecDeque<ConnId>,
    /// Connections whose line waits for a slot, in the order they came.
    starved: VecDeque<ConnId>,
    in_flight: usize,
    /// Requests in flight whose clients are gone.
    orphans: HashSet<ConnId>,
    timers: Timers,
    /// Set by the shutdown: the latest moment to leave.
    stop_at: Option<Instant>,
    now: Instant,
    chunk: Box<[u8]>,
    inline: Inline,
    limits: Limits,
    vital: Arc<Vital>,
    requests: Dispatch,
    events: Sender<Event>,
}

impl State {
    fn run(mut self) {
        let mut events = Events::with_capacity(256);
        loop {
            let mut timeout = self.timeout();
            if timeout != Some(Duration::ZERO) && !self.inbox.park() {
                timeout = Some(Duration::ZERO);
            }
            if let Err(cause) = self.poll.poll(&mut events, timeout)
                && cause.kind() != io::ErrorKind::Interrupted
            {
                // Nothing that we do wrong or that a client can cause; without it there is no service.
                log::error!("ipc.poll_failed error={cause}");
                break;
            }
            self.inbox.unpark();
            self.now = Instant::now();
            for event in &events {
                self.note(event);
            }
            while let Some(command) = self.inbox.next() {
                self.command(command);
            }
            for _ in 0..self.turns.len() {
                if let Some(id) = self.turns.pop_front() {
                    self.turn(id);
                }
            }
            self.expire();
            self.accept();
            if let Some(at) = self.stop_at
                && (self.conns.len() == 0 || self.now >= at)
            {
                break;
            }
        }
        self.close_all();
    }

    /// How long the next wait may last; `None` is for ever.
    fn timeout(&mut self) -> Option<Duration> {
        if !self.turns.is_empty() || (self.accept == Accept::Ready && self.parked.is_none()) {
            return Some(Duration::ZERO);
        }
        let rest = match self.accept {
            Accept::Rest(until) => Some(until),
            Accept::Drained | Accept::Ready => None,
        };
        let next = [self.next_deadline(), self.stop_at, rest].into_iter().flatten().min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    /// The earliest deadline that is still real; forgets those that are not.
    fn next_deadline(&mut self) -> Option<Instant> {
        loop {
            let (at, id) = self.timers.peek()?;
            let Some(conn) = self.conns.get(id).filter(|conn| conn.armed == Some(at)) else {
                self.timers.pop();
                continue;
            };
            match conn.deadline(&self.limits) {
                Some(deadline) if deadline <= at => return Some(at),
                later => {
                    conn.armed = later;
                    self.timers.pop();
                    if let Some(deadline) = later {
                        self.timers.arm(deadline, id);
                    }
                }
            }
        }
    }

    fn note(&mut self, event: &mio::event::Event) {
        match event.token() {
            WAKER => (),
            LISTENER => self.accept = Accept::Ready,
            Token(token) => {
                let Some(conn) = self.conns.in_slot(token - FIRST) else { return };
                conn.on_event(event);
                enqueue(&mut self.turns, conn);
            }
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Reply(id, line) => {
                if self.finish(id)
                    && let Some(conn) = self.conns.get(id)
                {
                    conn.out.line(line);
                }
            }
            Command::NoReply(id) => _ = self.finish(id),
            Command::StartStream(id, queue) => {
                if self.finish(id)
                    && let Some(conn) = self.conns.get(id)
                {
                    conn.phase = Phase::Stream(queue);
                } else {
                    self.inbox.stream_over();
                    self.tell(Event::StreamClosed(id));
                }
            }
            Command::Notify(id, line, queue) => {
                if let Some(conn) = self.conns.get(id)
                    && matches!(&conn.phase, Phase::Stream(current) if Arc::ptr_eq(current, &queue))
                {
                    conn.out.message(line, queue);
                    enqueue(&mut self.turns, conn);
                }
            }
            Command::Shutdown(at) => {
                self.listener = None;
                self.accept = Accept::Drained;
                self.parked = None;
                self.stop_at = Some(self.stop_at.map_or(at, |before| before.min(at)));
                for conn in self.conns.iter_mut() {
                    enqueue(&mut self.turns, conn);
                }
            }
        }
    }

    /// Ends the request in flight or the stream of a connection and frees what it held.
    /// `false` when the connection is gone or had neither.
    fn finish(&mut self, id: ConnId) -> bool {
        let Some(conn) = self.conns.get(id) else {
            if self.orphans.remove(&id) {
                self.free_slot();
            }
            return false;
        };
        let was = std::mem::replace(&mut conn.phase, Phase::Ready);
        enqueue(&mut self.turns, conn);
        match was {
            Phase::InFlight => self.free_slot(),
            Phase::Stream(_) => self.inbox.stream_over(),
            Phase::Ready | Phase::Held(_) => {
                conn.phase = was;
                // A mistake of ours, but no reason to leave all clients without service.
                log::error!("ipc.answer_without_request");
                return false;
            }
        }
        true
    }

    fn free_slot(&mut self) {
        self.in_flight -= 1;
        self.vital.requests_in_flight.store(self.in_flight as u64, Ordering::Relaxed);
        while self.in_flight < self.limits.max_concurrent_requests
            && let Some(id) = self.starved.pop_front()
        {
            let Some(mut conn) = self.conns.take(id) else { continue };
            if let Phase::Held(line) = std::mem::replace(&mut conn.phase, Phase::Ready) {
                self.dispatch(&mut conn, line, Place::First);
                enqueue(&mut self.turns, &mut conn);
            }
            let waits = matches!(conn.phase, Phase::Held(_));
            self.conns.put(conn);
            if waits {
                break;
            }
        }
    }

    /// One connection's share: write, take lines, read, write.
    fn turn(&mut self, id: ConnId) {
        let Some(mut conn) = self.conns.take(id) else { return };
        conn.queued = false;
        let more = match self.serve(&mut conn) {
            Ok(more) => more,
            Err(cause) => {
                log::debug!("ipc.connection_lost pid={:?} error={cause}", conn.peer.pid);
                return self.close(conn);
            }
        };
        let stream_lost = conn.hangup && matches!(conn.phase, Phase::Stream(_));
        let stopped = self.stop_at.is_some()
            && conn.out.is_empty()
            && matches!(conn.phase, Phase::Ready | Phase::Held(_));
        if conn.is_done() || stream_lost || stopped {
            return self.close(conn);
        }
        if more {
            enqueue(&mut self.turns, &mut conn);
        }
        conn.update_clocks(&self.limits, self.now);
        self.arm(&mut conn);
        self.room |= conn.is_idle();
        self.conns.put(conn);
    }

    /// `Ok(true)` when the connection should get another turn soon.
    fn serve(&mut self, conn: &mut Conn) -> io::Result<bool> {
        let token = token_of(conn.id);
        conn.flush(self.poll.registry(), token, self.now)?;
        let (mut lines, mut reads) = (LINES_PER_TURN, READS_PER_TURN);
        let may_take = |conn: &Conn, state: &Self| {
            matches!(conn.phase, Phase::Ready)
                && !conn.closing
                && state.stop_at.is_none()
                && conn.has_room(&state.limits)
        };
        while may_take(conn, self) && lines > 0 {
            if let Some(frame) = conn.next_frame() {
                lines -= 1;
                // Either a line for others or an answer of our own.
                let step = match frame {
                    Frame::Line(line) => match self.inline.answer(line, &self.vital) {
                        Some(answer) => {
                            self.vital.requests_total.fetch_add(1, Ordering::Relaxed);
                            Ok(answer)
                        }
                        None => Err(line.to_vec()),
                    },
                    Frame::TooLong { bytes } => {
                        let line = reply::error(None, &RpcError::RequestTooLarge { bytes });
                        log_too_large(conn.peer, bytes);
                        Ok(Some(line))
                    }
                };
                match step {
                    Ok(answer) => answer.into_iter().for_each(|line| conn.out.line(line)),
                    Err(line) => self.dispatch(conn, line, Place::Last),
                }
            } else if conn.input == Input::Readable && reads > 0 {
                reads -= 1;
                conn.read(&mut self.chunk, self.now)?;
                if conn.skipping().is_some_and(|bytes| bytes >= self.limits.discard_bytes) {
                    give_up(conn);
                }
            } else {
                break;
            }
        }
        conn.flush(self.poll.registry(), token, self.now)?;
        Ok(may_take(conn, self) && (lines == 0 || conn.input == Input::Readable || conn.has_line()))
    }

    /// Hands a line to the workers, or keeps it until there is a slot.
    fn dispatch(&mut self, conn: &mut Conn, line: Vec<u8>, place: Place) {
        let line = if self.in_flight < self.limits.max_concurrent_requests {
            match self.requests.send(Request { conn: conn.id, peer: conn.peer, line }) {
                Ok(()) => {
                    conn.phase = Phase::InFlight;
                    self.in_flight += 1;
                    self.vital.requests_in_flight.store(self.in_flight as u64, Ordering::Relaxed);
                    self.vital.requests_total.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                Err(TrySendError::Full(request)) => request.line,
                Err(TrySendError::Disconnected(request)) => {
                    conn.out_refusal(&request.line);
                    return;
                }
            }
        } else {
            line
        };
        conn.phase = Phase::Held(line);
        match place {
            Place::First => self.starved.push_front(conn.id),
            Place::Last => self.starved.push_back(conn.id),
        }
    }

    fn arm(&mut self, conn: &mut Conn) {
        if let Some(deadline) = conn.deadline(&self.limits)
            && conn.armed.is_none_or(|armed| deadline < armed)
        {
            conn.armed = Some(deadline);
            self.timers.arm(deadline, conn.id);
        }
    }

    /// Closes what has let a deadline pass.
    fn expire(&mut self) {
        while let Some(at) = self.next_deadline()
            && at <= self.now
        {
            let Some((_, id)) = self.timers.peek() else { return };
            self.timers.pop();
            let Some(mut conn) = self.conns.take(id) else { continue };
            conn.armed = None;
            if conn.skipped_too_long(&self.limits, self.now) && !conn.is_stalled(&self.limits, self.now) {
                give_up(&mut conn);
                enqueue(&mut self.turns, &mut conn);
                conn.update_clocks(&self.limits, self.now);
                self.arm(&mut conn);
                self.conns.put(conn);
            } else {
                let why =
                    if conn.is_stalled(&self.limits, self.now) { "output not taken" } else { "half a line" };
                log::info!(
                    "ipc.connection_timeout pid={:?} uid={} reason={why}",
                    conn.peer.pid,
                    conn.peer.uid
                );
                self.close(conn);
            }
        }
    }

    fn close(&mut self, mut conn: Box<Conn>) {
        conn.deregister(self.poll.registry());
        match conn.phase {
            Phase::Ready | Phase::Held(_) => (),
            Phase::InFlight => _ = self.orphans.insert(conn.id),
            Phase::Stream(_) => {
                self.inbox.stream_over();
                self.tell(Event::StreamClosed(conn.id));
            }
        }
        self.conns.release(conn.id);
        self.room = true;
        self.vital.connections.store(self.conns.len() as u64, Ordering::Relaxed);
    }

    fn close_all(&mut self) {
        self.listener = None;
        let ids: Vec<_> = self.conns.iter_mut().map(|conn| conn.id).collect();
        for id in ids {
            if let Some(conn) = self.conns.take(id) {
                self.close(conn);
            }
        }
    }

    fn tell(&self, event: Event) {
        // Whoever owns the streams may be gone already at the end; then nobody needs to know.
        _ = self.events.try_send(event);
    }
}

/// Where a line that has to wait goes in the queue.
#[derive(Clone, Copy)]
enum Place {
    /// It was first before.
    First,
    /// It is new.
    Last,
}

fn token_of(id: ConnId) -> Token {
    Token(id.slot as usize + FIRST)
}

fn enqueue(turns: &mut VecDeque<ConnId>, conn: &mut Conn) {
    if !conn.queued {
        conn.queued = true;
        turns.push_back(conn.id);
    }
}

/// Answers an oversized line that does not end, and closes after the answer.
fn give_up(conn: &mut Conn) {
    let bytes = conn.skipping().unwrap_or_default();
    log_too_large(conn.peer, bytes);
    conn.out.line(reply::error(None, &RpcError::RequestTooLarge { bytes }));
    conn.closing = true;
}

fn log_too_large(peer: Peer, bytes: u64) {
    log::warn!("ipc.request_too_large bytes={bytes} pid={:?} uid={}", peer.pid, peer.uid);
}
