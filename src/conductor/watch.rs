//! Who follows a job, and the events that they get.

use std::collections::{HashMap, VecDeque};

use crossbeam_channel::{Sender, TrySendError};
use serde_json::{Value, json};

use crate::exec::{JobEvent, JobStatus};
use crate::ids::JobId;
use crate::net::{ConnId, Handle, Stream};
use crate::rpc::{Id, RpcError, params, reply};
use crate::time::{Now, Wall};

use super::exchange::Exchange;
use super::live::Live;

/// Events of a live job that a late watcher can still ask for with `from_seq`.
const REMEMBERED: usize = 200;
/// Events that an in-process subscriber may be behind before it misses some.
pub(crate) const SUBSCRIBER_BOUND: usize = 1000;

/// Pieces of output that wait for a slow listener; then the oldest is lost.
pub(super) const BACKLOG: usize = 100;

/// The watchers of one job and its newest events.
#[derive(Default)]
pub(crate) struct Watchers {
    streams: Vec<Watcher>,
    recent: VecDeque<Told>,
}

/// An event as it was told.
struct Told {
    seq: u64,
    at: Wall,
    event: JobEvent,
}

/// One stream.
struct Watcher {
    stream: Stream,
    /// Id of the request that its final answer repeats.
    id: Id,
    /// Output that waits, when it was asked for.
    output: Option<Backlog>,
}

/// Output that a stream has not taken yet.
#[derive(Default)]
struct Backlog {
    lines: VecDeque<Vec<u8>>,
    dropped: u64,
}

/// Everybody who is told about events.
pub(crate) struct Audience {
    seq: u64,
    net: Option<Handle>,
    subscribers: Vec<Sender<Value>>,
}

impl Audience {
    pub(crate) fn new(net: Option<Handle>, subscribers: Vec<Sender<Value>>) -> Self {
        Self { seq: 0, net, subscribers }
    }

    /// Numbers an event and sends it to whoever listens. Never blocks: who is too slow misses it.
    /// What was told, if anybody listens or `wanted`.
    pub(crate) fn publish(
        &mut self,
        now: Now,
        id: &JobId,
        event: JobEvent,
        watchers: Option<&mut Watchers>,
        wanted: bool,
    ) -> Option<Value> {
        self.seq += 1;
        let told = Told { seq: self.seq, at: now.wall, event };
        let watched = watchers.as_ref().is_some_and(|watchers| !watchers.streams.is_empty());
        let params = (wanted || watched || !self.subscribers.is_empty()).then(|| told.params(id));
        if let Some(params) = &params {
            self.subscribers.retain(|subscriber| match subscriber.try_send(params.clone()) {
                Ok(()) | Err(TrySendError::Full(_)) => true,
                Err(TrySendError::Disconnected(_)) => false,
            });
        }
        if let Some(watchers) = watchers {
            watchers.tell(told, params.as_ref());
        }
        params
    }

    /// Numbers a piece of output for whoever listens to its job. It is not remembered.
    pub(super) fn publish_output(&mut self, now: Now, id: &JobId, event: JobEvent, watchers: &mut Watchers) {
        self.seq += 1;
        let told = Told { seq: self.seq, at: now.wall, event };
        watchers.hear(&reply::notification("job.event", &told.params(id)));
    }

    /// `job.watch`: from now on, or from a number that is still remembered. Gives the exchange back
    /// with the reason when it cannot become a stream.
    pub(crate) fn join(
        &self,
        watchers: &mut Watchers,
        id: &JobId,
        watch: &params::Watch,
        exchange: Exchange,
    ) -> Result<(), Box<(Exchange, RpcError)>> {
        let Some(net) = &self.net else {
            let error = RpcError::Internal("there is no socket; subscribe with `Builder::events`".into());
            return Err(Box::new((exchange, error)));
        };
        let (stream, request) = exchange.into_stream(net)?;
        if let Some(from) = watch.from_seq {
            for told in watchers.recent.iter().filter(|told| told.seq >= from) {
                stream.notify(reply::notification("job.event", &told.params(id)));
            }
        }
        let output = watch.output.then(Backlog::default);
        watchers.streams.push(Watcher { stream, id: request, output });
        Ok(())
    }

    /// A watcher closed its connection.
    pub(crate) fn left(conn: ConnId, jobs: &mut HashMap<JobId, Live>) {
        for live in jobs.values_mut() {
            live.watchers.streams.retain(|watcher| watcher.stream.conn() != conn);
        }
    }
}

impl Told {
    fn params(&self, id: &JobId) -> Value {
        json!({
            "job_id": id.as_str(), "sheet_num": self.event.sheet, "event": self.event.name,
            "data": self.event.facts.to_json(), "timestamp": self.at.unix_seconds(), "seq": self.seq,
            "schema": 1,
        })
    }
}

impl Watchers {
    fn tell(&mut self, told: Told, params: Option<&Value>) {
        if let Some(params) = params.filter(|_| !self.streams.is_empty()) {
            let line = reply::notification("job.event", params);
            for watcher in &self.streams {
                // What a slow client does not take is counted by the stream.
                watcher.stream.notify(line.clone());
            }
        }
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back(told);
    }

    /// Whether somebody wants the output of the job's sheets.
    pub(super) fn listen(&self) -> bool {
        self.streams.iter().any(|watcher| watcher.output.is_some())
    }

    /// A piece of output for whoever listens; a listener that is too slow loses its oldest one.
    fn hear(&mut self, line: &[u8]) {
        for backlog in self.streams.iter_mut().filter_map(|watcher| watcher.output.as_mut()) {
            if backlog.lines.len() == BACKLOG {
                backlog.lines.pop_front();
                backlog.dropped += 1;
            }
            backlog.lines.push_back(line.to_vec());
        }
    }

    /// Sends output that waits, as far as it fits into half of each stream's queue.
    pub(super) fn push_output(&mut self) {
        for watcher in &mut self.streams {
            let Some(backlog) = &mut watcher.output else { continue };
            while watcher.stream.is_half_empty()
                && let Some(line) = backlog.lines.pop_front()
            {
                watcher.stream.notify(line);
            }
        }
    }

    /// The job is over: every stream gets its final answer.
    pub(super) fn end_all(&mut self, status: JobStatus) {
        self.finish(&terminal(status), |_| true);
    }

    /// The same for the streams that do not listen.
    pub(super) fn end_silent(&mut self, status: JobStatus) {
        self.finish(&terminal(status), |watcher| watcher.output.is_none());
    }

    /// The conductor stops: every stream gets its final answer.
    pub(crate) fn stop_all(&mut self) {
        self.finish(&json!({ "reason": "shutdown" }), |_| true);
    }

    fn finish(&mut self, result: &Value, which: impl Fn(&Watcher) -> bool) {
        let (ending, staying) = std::mem::take(&mut self.streams).into_iter().partition(which);
        self.streams = staying;
        let ending: Vec<Watcher> = ending;
        for Watcher { stream, id, output } in ending {
            let mut dropped = 0;
            if let Some(backlog) = output {
                dropped = backlog.dropped;
                for line in backlog.lines {
                    stream.notify(line);
                }
            }
            let mut result = result.clone();
            result["delivered"] = stream.delivered().into();
            result["dropped"] = (stream.dropped() + dropped).into();
            stream.end(reply::result(&id, &result));
        }
    }
}

fn terminal(status: JobStatus) -> Value {
    json!({ "reason": "terminal", "status": status.as_str() })
}
