//! Who follows a job, and the events that they get.

use std::collections::{HashMap, VecDeque};

use crossbeam_channel::{Sender, TrySendError};
use serde_json::{Value, json};

use crate::exec::{JobEvent, JobStatus};
use crate::ids::JobId;
use crate::net::{ConnId, Handle, Stream};
use crate::rpc::{Id, RpcError, reply};
use crate::time::Now;

use super::exchange::Exchange;
use super::live::Live;

/// Events of a live job that a late watcher can still ask for with `from_seq`.
const REMEMBERED: usize = 200;
/// Events that an in-process subscriber may be behind before it misses some.
pub(crate) const SUBSCRIBER_BOUND: usize = 1000;

/// The watchers of one job and its newest events.
#[derive(Default)]
pub(crate) struct Watchers {
    streams: Vec<(Stream, Id)>,
    recent: VecDeque<(u64, Vec<u8>)>,
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
    pub(crate) fn publish(&mut self, now: Now, id: &JobId, event: JobEvent, watchers: Option<&mut Watchers>) {
        self.seq += 1;
        let params = json!({
            "job_id": id.as_str(), "sheet_num": event.sheet, "event": event.name, "data": event.data,
            "timestamp": now.wall.unix_seconds(), "seq": self.seq, "schema": 1,
        });
        if let Some(watchers) = watchers {
            watchers.tell(self.seq, reply::notification("job.event", &params));
        }
        self.subscribers.retain(|subscriber| match subscriber.try_send(params.clone()) {
            Ok(()) | Err(TrySendError::Full(_)) => true,
            Err(TrySendError::Disconnected(_)) => false,
        });
    }

    /// `job.watch`: from now on, or from a number that is still remembered. Gives the exchange back
    /// with the reason when it cannot become a stream.
    pub(crate) fn join(
        &self,
        watchers: &mut Watchers,
        from_seq: Option<u64>,
        exchange: Exchange,
    ) -> Result<(), Box<(Exchange, RpcError)>> {
        let Some(net) = &self.net else {
            let error = RpcError::Internal("there is no socket; subscribe with `Builder::events`".into());
            return Err(Box::new((exchange, error)));
        };
        let (stream, id) = exchange.into_stream(net)?;
        if let Some(from) = from_seq {
            for (_, line) in watchers.recent.iter().filter(|(seq, _)| *seq >= from) {
                stream.notify(line.clone());
            }
        }
        watchers.streams.push((stream, id));
        Ok(())
    }

    /// A watcher closed its connection.
    pub(crate) fn left(conn: ConnId, jobs: &mut HashMap<JobId, Live>) {
        for live in jobs.values_mut() {
            live.watchers.streams.retain(|(stream, _)| stream.conn() != conn);
        }
    }
}

impl Watchers {
    fn tell(&mut self, seq: u64, line: Vec<u8>) {
        for (stream, _) in &self.streams {
            // What a slow client does not take is counted by the stream.
            stream.notify(line.clone());
        }
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back((seq, line));
    }

    /// The job is over: every stream gets its final answer.
    pub(crate) fn end_all(&mut self, status: JobStatus) {
        self.finish(&json!({ "reason": "terminal", "status": status.as_str() }));
    }

    /// The conductor stops: every stream gets its final answer.
    pub(crate) fn stop_all(&mut self) {
        self.finish(&json!({ "reason": "shutdown" }));
    }

    fn finish(&mut self, result: &Value) {
        for (stream, id) in self.streams.drain(..) {
            let mut result = result.clone();
            result["delivered"] = stream.delivered().into();
            result["dropped"] = stream.dropped().into();
            stream.end(reply::result(&id, &result));
        }
    }
}
