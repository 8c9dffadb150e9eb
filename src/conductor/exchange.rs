//! One line of a client on its way: calls still to be answered, answers so far, the way back.
//!
//! It travels from the reactor to a request worker, with a command on to the conductor, and back:
//! whoever answered the last call sends the reply. So a request that waits for something holds its
//! slot in the reactor, but no thread.

use std::collections::VecDeque;

use crossbeam_channel::Sender;

use crate::net::{ConnId, Handle, Stream};
use crate::rpc::{Call, Entry, Id, Incoming, Params, RpcError, reply};

use super::around::{Link, News};
use super::messages::{Answer, Event};
use super::requests::Job;

/// A request or a batch that is being answered.
pub(crate) struct Exchange {
    to: ReplyTo,
    calls: VecDeque<Entry>,
    replies: Vec<Vec<u8>>,
    batch: bool,
    /// Id of the call that is being answered; `None` for a notification.
    current: Option<Id>,
}

/// Where the answer goes.
enum ReplyTo {
    /// A client on the socket.
    Connection(ConnId),
    /// A caller in this process, who waits for exactly one answer.
    Local(Sender<Answer>),
    /// A hook of a job.
    Chain(Sender<Event>, Box<Link>),
}

/// What there is to do next.
pub(crate) enum Next {
    /// Answer this call.
    Call { method: String, params: Params },
    /// All calls are answered.
    Done,
}

impl Exchange {
    /// A line of a client.
    pub(crate) fn of_line(conn: ConnId, line: &[u8]) -> Self {
        let (calls, batch) = match Incoming::parse(line) {
            Incoming::Single(entry) => (VecDeque::from([entry]), false),
            Incoming::Batch(entries) => (entries.into(), true),
        };
        Self { to: ReplyTo::Connection(conn), calls, replies: Vec::new(), batch, current: None }
    }

    /// A call from this process.
    pub(crate) fn local(call: Call, answer: Sender<Answer>) -> Self {
        let calls = VecDeque::from([Ok(call)]);
        Self { to: ReplyTo::Local(answer), calls, replies: Vec::new(), batch: false, current: None }
    }

    /// A call for a hook.
    pub(crate) fn chained(call: Call, events: Sender<Event>, link: Link) -> Self {
        let (to, calls) = (ReplyTo::Chain(events, Box::new(link)), VecDeque::from([Ok(call)]));
        Self { to, calls, replies: Vec::new(), batch: false, current: None }
    }

    /// The hook that asks.
    pub(crate) fn link(&self) -> Option<&Link> {
        if let ReplyTo::Chain(_, link) = &self.to { Some(link) } else { None }
    }

    /// Takes the next call; answers entries that are none on the way.
    pub(crate) fn next(&mut self) -> Next {
        while let Some(entry) = self.calls.pop_front() {
            match entry {
                Ok(call) => {
                    self.current = call.id;
                    return Next::Call { method: call.method, params: call.params };
                }
                Err(rejection) => self.replies.push(reply::error(rejection.id.as_ref(), &rejection.error)),
            }
        }
        Next::Done
    }

    /// Answers the call that was taken last.
    pub(crate) fn answer(&mut self, answer: Answer) {
        match &self.to {
            ReplyTo::Connection(_) => {
                self.replies.extend(reply::answer(self.current.take().as_ref(), &answer));
            }
            // The caller may have stopped waiting.
            ReplyTo::Local(caller) => _ = caller.send(answer),
            ReplyTo::Chain(events, link) => {
                // During a stop nobody listens; the next conductor asks again.
                _ = events.send(Event::Around(News::Answered(link.clone(), answer)));
            }
        }
    }

    /// Answers the call that was taken last with a result that is JSON text already.
    pub(crate) fn answer_text(&mut self, json: &[u8]) {
        match &self.to {
            ReplyTo::Connection(_) => {
                self.replies.extend(self.current.take().map(|id| reply::result_text(&id, json)));
            }
            ReplyTo::Local(_) | ReplyTo::Chain(..) => {
                let value =
                    serde_json::from_slice(json).map_err(|error| RpcError::Internal(error.to_string()));
                self.answer(value);
            }
        }
    }

    /// Sends the reply once every call is answered. Answering nothing tells the reactor that the
    /// connection is free for its next line.
    pub(crate) fn finish(self, net: Option<&Handle>) {
        let ReplyTo::Connection(conn) = self.to else { return };
        let Some(net) = net else { return };
        let line = if self.batch { reply::batch(&self.replies) } else { self.replies.into_iter().next() };
        match line {
            Some(line) => net.reply(conn, line),
            None => net.no_reply(conn),
        }
    }

    /// Answers the current call from the conductor thread: sends the reply, or hands the rest of a
    /// batch back to the request lane.
    pub(crate) fn resolve(mut self, answer: Answer, net: Option<&Handle>, requests: &Sender<Job>) {
        self.answer(answer);
        if self.calls.is_empty() {
            return self.finish(net);
        }
        // The slot of this exchange in the lane is its own since the reactor counted it.
        if let Err(refused) = requests.try_send(Job::Continue(self))
            && let Job::Continue(mut exchange) = refused.into_inner()
        {
            exchange.calls.clear();
            exchange.replies.push(reply::error(None, &RpcError::ShuttingDown));
            exchange.finish(net);
        }
    }

    /// Turns the call that was taken last into a stream, with the id of its final answer.
    pub(crate) fn into_stream(self, net: &Handle) -> Result<(Stream, Id), Box<(Self, RpcError)>> {
        let ReplyTo::Connection(conn) = self.to else {
            let error = RpcError::Internal("streams need a socket; subscribe with `Builder::events`".into());
            return Err(Box::new((self, error)));
        };
        let Some(id) = self.current.clone() else {
            let error =
                RpcError::InvalidRequest("a stream needs an id, which its final answer repeats".into());
            return Err(Box::new((self, error)));
        };
        match net.start_stream(conn) {
            Ok(stream) => Ok((stream, id)),
            Err(full) => Err(Box::new((self, RpcError::TooManyStreams { max: full.max }))),
        }
    }

    /// Whether it is a batch, which may not hold streams.
    pub(crate) fn is_batch(&self) -> bool {
        self.batch
    }
}
