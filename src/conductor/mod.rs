//! The conductor: one thread that owns every job, and the lanes and the reactor around it.
//!
//! [`Conductor::builder`] starts one in this process, with or without a socket. The daemon is a
//! conductor with a socket, a PID file and signals.
//!
//! Not for: what a job does next (`exec`), which sheet runs first (`sched`), processes (`executor`).

mod around;
mod backstop;
mod begin;
mod builder;
mod card;
mod clock;
mod commands;
mod control;
mod core;
mod dispatch;
mod exchange;
mod flush;
mod instruments;
mod job_log;
mod leftovers;
mod live;
mod messages;
mod modify;
mod notices;
mod output;
mod prepared;
mod recover;
mod registry;
mod requests;
mod shed;
mod side;
mod stop;
mod view;
mod waits;
mod watch;
mod workspaces;

use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use serde_json::Value;

use crate::monitor::Monitor;
use crate::net::{self, Vital};
use crate::rpc::{Call, Id, Params, RpcError};
use crate::worker::Lane;

pub use builder::{Builder, ConductorError};
pub(crate) use messages::Event;
pub(crate) use prepared::Prepared;

use exchange::Exchange;
use messages::Answer;

/// Time that answers in flight get to leave when everything else has stopped.
const FLUSH_TIME: Duration = Duration::from_secs(1);

/// A running conductor. Dropping it stops it at once, as [`Conductor::stop`] with `false`: running
/// sheets are ended, their jobs go on at the next start.
///
/// ```no_run
/// use mozart::conductor::Conductor;
/// use serde_json::json;
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     // Attempts are supervised by this very program, so this comes first.
///     mozart::guard::run_if_asked();
///     let conductor = Conductor::builder().state_dir("/var/tmp/my-jobs").start()?;
///     let answer = conductor.call("job.submit", &json!({ "config_path": "/srv/scores/nightly.yaml" }))?;
///     println!("{answer}");
///     conductor.stop(true);
///     conductor.wait()?;
///     Ok(())
/// }
/// ```
pub struct Conductor {
    events: Sender<Event>,
    // `None` only while it ends: the lane's threads return when the last sender is gone.
    requests: Option<Sender<requests::Job>>,
    request_lane: Option<Lane<requests::Job>>,
    vital: std::sync::Arc<Vital>,
    thread: Option<JoinHandle<()>>,
    reactor: Option<net::Reactor>,
    monitor: Option<Monitor>,
    finished: Receiver<()>,
}

impl Conductor {
    /// Settings of a conductor that is to be started.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Calls a method of the protocol in this process, without a socket. Waits for the answer;
    /// `job.cancel` may take 10 s, everything else well under a second. Streams are not to be had
    /// here: see [`Builder::events`].
    ///
    /// # Errors
    /// What a client would get as an error object.
    pub fn call(&self, method: &str, params: &Value) -> Result<Value, RpcError> {
        let params = match params {
            Value::Null => Params::Named(serde_json::Map::new()),
            Value::Object(members) => Params::Named(members.clone()),
            _ => Params::Positional,
        };
        let call = Call { id: Some(Id::number(1)), method: method.to_owned(), params };
        let (sender, answer) = crossbeam_channel::bounded::<Answer>(1);
        let job = requests::Job::Continue(Exchange::local(call, sender));
        let requests = self.requests.as_ref().ok_or(RpcError::ShuttingDown)?;
        requests.send(job).map_err(|_| RpcError::ShuttingDown)?;
        // The exchange is dropped unanswered only when the conductor is gone.
        answer.recv().unwrap_or(Err(RpcError::ShuttingDown))
    }

    /// Asks for a stop and returns at once. `graceful`: running sheets may end within
    /// `shutdown_timeout_seconds`; else they are ended now. Asking with `false` after `true`
    /// escalates; every other repetition changes nothing.
    pub fn stop(&self, graceful: bool) {
        self.vital.set_shutting_down();
        // A conductor that is gone has stopped.
        _ = self.events.send(Event::Stop { graceful });
    }

    /// Closed when the conductor has stopped, whoever asked for it; for `select!`.
    #[must_use]
    pub fn finished(&self) -> &Receiver<()> {
        &self.finished
    }

    /// Waits until the conductor has stopped and everything of it has been joined.
    ///
    /// # Errors
    /// When its thread panicked; jobs are as their last commit left them.
    pub fn wait(mut self) -> Result<(), ConductorError> {
        self.join()
    }

    fn join(&mut self) -> Result<(), ConductorError> {
        let Some(thread) = self.thread.take() else { return Ok(()) };
        let ended = thread.join();
        self.vital.set_shutting_down();
        if let Some(reactor) = self.reactor.take() {
            reactor.shutdown(FLUSH_TIME);
        }
        // The reactor has dropped its sender; with ours gone the request workers end.
        self.requests = None;
        self.request_lane = None;
        self.monitor = None;
        ended.map_err(|_| ConductorError::Panicked)
    }
}

impl Drop for Conductor {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.stop(false);
            if let Err(error) = self.join() {
                log::error!("conductor.panicked error={:?}", error.to_string());
            }
        }
    }
}
