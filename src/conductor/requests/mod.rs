//! The request lane: parses lines, checks parameters, answers reads from the published view, and
//! turns the rest into commands for the conductor.
//!
//! One table ([`crate::rpc::METHODS`]) says which method goes where; decoding, unknown methods,
//! panics and error codes are dealt with here, once.

mod change;
mod daemon;
mod history;
mod job;
mod read_score;
mod submit;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crossbeam_channel::Sender;
use serde::Serialize;
use serde_json::Value;

use crate::config::Config;
use crate::monitor::Gauge;
use crate::net::{self, Vital};
use crate::rpc::{self, Lane, Params, RpcError, params};
use crate::store::Reader;

use super::clock::Clock;
use super::exchange::{Exchange, Next};
use super::messages::{Answer, Command, Event};
use super::view::View;

pub(crate) use read_score::Instruments;
pub(crate) use submit::warn;

/// What a request worker is given.
pub(crate) enum Job {
    /// A line that a client sent.
    Line(net::Request),
    /// The rest of a batch whose command has been answered.
    Continue(Exchange),
}

/// What a request worker reads from. One per worker.
pub(crate) struct Desk {
    pub(crate) view: Arc<View>,
    pub(crate) reader: Reader,
    pub(crate) config: Arc<Config>,
    pub(crate) gauge: Gauge,
    pub(crate) clock: Clock,
    pub(crate) instruments: Instruments,
    pub(crate) events: Sender<Event>,
    pub(crate) net: Option<net::Handle>,
    pub(crate) vital: Arc<Vital>,
    /// Name of this boot of the machine.
    pub(crate) boot_id: Arc<str>,
}

/// Answer now, or let the conductor answer.
enum Outcome {
    Answer(Answer),
    /// A result that is asked for often or is long: written as JSON text without a tree in between.
    Text(Vec<u8>),
    Command(Command),
}

impl Outcome {
    fn text(result: &impl Serialize) -> Result<Self, RpcError> {
        serde_json::to_vec(result).map(Self::Text).map_err(|error| RpcError::Internal(error.to_string()))
    }
}

impl Desk {
    /// Answers one line, or as much of it as needs no conductor.
    pub(crate) fn serve(&mut self, job: Job) {
        let mut exchange = match job {
            Job::Line(request) => Exchange::of_line(request.conn, &request.line),
            Job::Continue(exchange) => exchange,
        };
        loop {
            let (method, params) = match exchange.next() {
                Next::Call { method, params } => (method, params),
                Next::Done => return exchange.finish(self.net.as_ref()),
            };
            // A bug in one handler costs one answer.
            let handled = catch_unwind(AssertUnwindSafe(|| self.handle(&exchange, &method, params)));
            match handled {
                Ok(Ok(Outcome::Answer(answer))) => exchange.answer(answer),
                Ok(Ok(Outcome::Text(json))) => exchange.answer_text(&json),
                Ok(Ok(Outcome::Command(command))) => return self.command(command, exchange),
                Ok(Err(error)) => exchange.answer(Err(error)),
                Err(_) => {
                    log::error!("rpc.handler_panicked method={method}");
                    exchange.answer(Err(RpcError::Unexpected));
                }
            }
        }
    }

    fn command(&self, command: Command, exchange: Exchange) {
        if let Err(refused) = self.events.send(Event::Command(command, exchange))
            && let Event::Command(_, mut exchange) = refused.into_inner()
        {
            exchange.answer(Err(RpcError::ShuttingDown));
            exchange.finish(self.net.as_ref());
        }
    }

    fn handle(&mut self, exchange: &Exchange, method: &str, params: Params) -> Result<Outcome, RpcError> {
        let answer = |value: Value| Ok(Outcome::Answer(Ok(value)));
        match rpc::lane(method) {
            None => return Err(RpcError::MethodNotFound(method.to_owned())),
            Some(Lane::Stream) if exchange.is_batch() => {
                return Err(RpcError::InvalidParams {
                    detail: format!("{method} is a stream and cannot be part of a batch"),
                    field: None,
                });
            }
            Some(_) => (),
        }
        match method {
            "daemon.config" => answer(self.daemon_config(params)?),
            "daemon.rate_limits" => answer(self.daemon_rate_limits(params)?),
            "daemon.clear_rate_limits" => {
                let instrument = params::ClearRateLimits::try_from(params)?.instrument;
                Ok(Outcome::Command(Command::ClearRateLimits { instrument }))
            }
            "daemon.health" => answer(self.daemon_health(params)?),
            "daemon.ping" => answer(self.daemon_ping(params)?),
            "daemon.ready" => answer(self.daemon_ready(params)?),
            "daemon.status" => self.daemon_status(params),
            "rpc.discover" => {
                params::none(params)?;
                answer(rpc::discover())
            }
            "daemon.shutdown" => {
                let shutdown = params::Shutdown::try_from(params)?;
                Ok(Outcome::Command(Command::Shutdown { graceful: shutdown.graceful }))
            }
            "job.list" => self.job_list(params::List::try_from(params)?),
            "job.status" => self.job_status(&params::Status::try_from(params)?),
            "job.errors" => answer(self.job_errors(&params::Status::try_from(params)?)?),
            "job.history" => answer(self.job_history(&params::History::try_from(params)?)?),
            "job.modify" => self.job_modify(params::Modify::try_from(params)?),
            "job.approve" => self.job_approve(params::Approve::try_from(params)?),
            "job.recover" => self.job_recover(params::Recover::try_from(params)?),
            "job.watch" => self.job_watch(params::Watch::try_from(params)?),
            "job.submit" => self.job_submit(params::Submit::try_from(params)?),
            "job.resume" => self.job_resume(params::Resume::try_from(params)?),
            "job.pause" => {
                let pause = params::Pause::try_from(params)?;
                self.job_pause(pause)
            }
            "job.cancel" => {
                let cancel = params::Cancel::try_from(params)?;
                Ok(Outcome::Command(Command::Cancel { id: cancel.job_id }))
            }
            // The table and this match are compared by a test.
            _ => Err(RpcError::MethodNotFound(method.to_owned())),
        }
    }
}
