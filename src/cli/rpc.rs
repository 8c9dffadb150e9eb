//! One connection to the conductor, and what its errors mean on the command line.
//!
//! Every connection is checked with `daemon.health` first, so that "not running" and "not
//! responding" are told apart before anything is asked. An error that a running conductor sends is
//! shown as it is; it never becomes "not running".

use std::io;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollTimeout, poll};
use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::failure::{Failure, Stop, TRY_LATER, UNAVAILABLE};
use crate::cli::job::{self, Doc};
use crate::cli::target::Target;
use crate::client::{Client, ClientError};

/// Time to connect.
const CONNECT: Duration = Duration::from_secs(2);
/// Time for the answer of `daemon.health`.
const HEALTH: Duration = Duration::from_secs(5);

/// A connection.
#[derive(Debug)]
pub(crate) struct Rpc {
    target: Target,
    client: Client,
}

/// Why a call has no result.
#[derive(Debug)]
pub(crate) enum CallError {
    /// The conductor answered with an error.
    Rpc {
        /// JSON-RPC code.
        code: i64,
        /// The whole error object.
        error: Value,
    },
    /// It did not answer.
    Lost,
}

impl Rpc {
    /// Connects to the conductor that is meant.
    pub(crate) fn connect(cx: &Context) -> Result<Self, Stop> {
        Self::connect_to(cx, cx.target())
    }

    /// Connects to this conductor.
    pub(crate) fn connect_to(cx: &Context, target: &Target) -> Result<Self, Stop> {
        Ok(Self { target: target.clone(), client: connect(cx, target)? })
    }

    /// Another time for each answer.
    pub(crate) fn within(mut self, timeout: Duration) -> Self {
        self.client.set_timeout(timeout);
        self
    }

    /// Calls a method. An error becomes a failure in the usual words.
    pub(crate) fn call(&mut self, method: &str, params: Value) -> Result<Value, Stop> {
        self.try_call(method, params).map_err(|error| self.failed(error))
    }

    /// Calls a method and leaves the error to the caller.
    pub(crate) fn try_call(&mut self, method: &str, params: Value) -> Result<Value, CallError> {
        self.client.call(method, params).map_err(|error| match error_object(&error) {
            Some((code, error)) => CallError::Rpc { code, error },
            None => CallError::Lost,
        })
    }

    /// An error in the usual words.
    pub(crate) fn failed(&self, error: CallError) -> Stop {
        match error {
            CallError::Lost => not_responding(&self.target).into(),
            CallError::Rpc { error, .. } => failure_of(&error).into(),
        }
    }

    /// `job.status`, whole. For commands that change a job: the name must be complete.
    pub(crate) fn job(&mut self, id: &str) -> Result<Value, Stop> {
        match self.try_call("job.status", json!({"job_id": id, "full": true})) {
            Ok(status) => Ok(status),
            Err(error) if is_unknown_job(&error) => Err(self.unknown_job(id)),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// `job.status` of a job whose name may be cut short as long as only one fits: for commands
    /// that only read. The whole name is in the document.
    pub(crate) fn find_job(&mut self, name: &str) -> Result<Value, Stop> {
        Ok(self.find("job.status", name, json!({"full": true}))?.1)
    }

    /// A method about one job. For commands that change it: the name must be complete.
    pub(crate) fn call_job(&mut self, method: &str, id: &str, mut params: Value) -> Result<Value, Stop> {
        params["job_id"] = id.into();
        match self.try_call(method, params) {
            Err(error) if is_unknown_job(&error) => Err(self.unknown_job(id)),
            other => other.map_err(|error| self.failed(error)),
        }
    }

    /// A reading method about a job whose name may be cut short. Gives the whole name, too.
    pub(crate) fn find(
        &mut self,
        method: &str,
        name: &str,
        mut params: Value,
    ) -> Result<(String, Value), Stop> {
        job::check_id(name)?;
        params["job_id"] = name.into();
        match self.try_call(method, params.clone()) {
            Ok(answer) => return Ok((name.to_owned(), answer)),
            Err(error) if is_unknown_job(&error) => {}
            Err(error) => return Err(self.failed(error)),
        }
        let names = self.names();
        let fitting: Vec<&String> = names.iter().filter(|known| known.starts_with(name)).collect();
        match fitting.as_slice() {
            [one] => Ok(((*one).clone(), self.call_job(method, one, params)?)),
            _ => Err(unknown_job(name, &names)),
        }
    }

    /// The failure for a job that does not exist, with names that are close.
    pub(crate) fn unknown_job(&mut self, name: &str) -> Stop {
        let names = self.names();
        unknown_job(name, &names)
    }

    fn names(&mut self) -> Vec<String> {
        // Only for a better message: without the list the message is shorter.
        let jobs = self.try_call("job.list", json!({"limit": 10_000, "full": true})).unwrap_or_default();
        jobs.as_array().into_iter().flatten().map(|entry| Doc(entry).text("job_id").to_owned()).collect()
    }
}

fn unknown_job(name: &str, names: &[String]) -> Stop {
    let mut failure = Failure::new("job_not_found", format!("Job not found: {name}")).with("job_id", name);
    let near = job::near(name, names.iter().map(String::as_str));
    if !near.is_empty() {
        failure = failure.hint(format!("Did you mean: {}", near.join(", ")));
    }
    failure.hint("Run 'mozart list' to see available jobs.").into()
}

fn is_unknown_job(error: &CallError) -> bool {
    match error {
        CallError::Rpc { code: -32000, error } => match error["data"]["reason"].as_str() {
            Some(reason) => reason == "not_found",
            None => Doc(error).text("message").contains("not found"),
        },
        CallError::Rpc { .. } | CallError::Lost => false,
    }
}

/// The error object of an answer.
pub(crate) fn error_object(error: &ClientError) -> Option<(i64, Value)> {
    match error {
        ClientError::Rpc { code, message, data } => {
            let mut object = json!({"code": code, "message": message});
            if let Some(data) = data {
                object["data"] = data.clone();
            }
            Some((*code, object))
        }
        _ => None,
    }
}

/// Connects and checks that somebody answers.
pub(crate) fn connect(cx: &Context, target: &Target) -> Result<Client, Stop> {
    let unanswered = |error: &ClientError| match error {
        ClientError::NotResponding { .. } => not_responding(target),
        ClientError::Symlink { path } => {
            let text = format!("Socket path is a symlink (possible attack): {}", path.display());
            Failure::new("permission_denied", text)
        }
        ClientError::System { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            let text = format!("Permission denied: {}", target.socket.display());
            Failure::new("permission_denied", text)
                .hint("The conductor belongs to another user; socket.permissions decides who may use it.")
        }
        _ => not_running(cx, target),
    };
    let mut client = Client::connect(&target.socket, CONNECT).map_err(|error| unanswered(&error))?;
    client.set_timeout(HEALTH.min(cx.timeout));
    match client.call("daemon.health", json!({})) {
        // Even an error is an answer.
        Ok(_) | Err(ClientError::Rpc { .. }) => {}
        Err(error) => return Err(unanswered(&error).into()),
    }
    client.set_timeout(cx.timeout);
    Ok(client)
}

/// Waits until one of the descriptors is ready; false when the moment came first.
pub(crate) fn wait_for(fds: &mut [PollFd<'_>], until: Option<Instant>) -> io::Result<bool> {
    loop {
        let timeout = match until {
            None => PollTimeout::NONE,
            Some(until) => {
                let left = until.saturating_duration_since(Instant::now());
                // Rounded up, so that a wait never ends a fraction of a millisecond early and spins.
                let millis = left.as_micros().div_ceil(1000);
                PollTimeout::try_from(i32::try_from(millis).unwrap_or(i32::MAX)).unwrap_or(PollTimeout::MAX)
            }
        };
        match poll(fds, timeout) {
            Ok(0) if until.is_some_and(|until| Instant::now() < until) => {}
            Ok(count) => return Ok(count > 0),
            Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Nobody is there.
pub(crate) fn not_running(cx: &Context, target: &Target) -> Failure {
    Failure::new("conductor_not_running", format!("{} is not running.", target.subject))
        .hint(format!("Start it with: {}", cx.command("start")))
        .exit(UNAVAILABLE)
}

/// Somebody is there and says nothing.
pub(crate) fn not_responding(target: &Target) -> Failure {
    let text = format!("{} is not responding (socket {}).", target.subject, target.socket.display());
    Failure::new("conductor_not_responding", text)
        .hint("Check it with: mozart conductor-status")
        .hint("Stop it with: mozart stop --force")
        .exit(UNAVAILABLE)
}

/// A JSON-RPC error in the words of the command line.
pub(crate) fn failure_of(error: &Value) -> Failure {
    let code = error["code"].as_i64().unwrap_or(-32603);
    let message = match Doc(error).text("message") {
        "" => "Unknown error",
        message => message,
    };
    let failure = match code {
        -32601 => {
            let method = error["data"]["method"]
                .as_str()
                .map_or_else(|| message.to_owned(), |m| format!("Method not found: {m}"));
            Failure::new("protocol", method)
                .hint("The conductor is older than this client. Restart the conductor: mozart restart")
        }
        -32600 | -32602 | -32700 => Failure::new("protocol", message),
        -32000 if message.contains("not found") => {
            Failure::new("job_not_found", message).hint("Run 'mozart list' to see available jobs.")
        }
        -32003 => Failure::new("rejected_shutdown", message)
            .hint("Wait for shutdown to complete, then: mozart start")
            .exit(TRY_LATER),
        -32006 => Failure::new("config_invalid", message),
        -32007 | -32001 => Failure::new("rejected_pressure", message).exit(TRY_LATER),
        _ => Failure::new("internal", format!("Conductor error: {message}"))
            .hint("Check conductor logs: mozart logs --conductor"),
    };
    failure.rpc(error.clone())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn errors_of_a_running_conductor_are_shown_as_they_are() {
        let failure = failure_of(&json!({"code": -32603, "message": "Internal error: x"}));
        assert_eq!(failure.message, "Conductor error: Internal error: x");
        let failure = failure_of(&json!({"code": -32601, "message": "?", "data": {"method": "a.b"}}));
        assert_eq!(failure.message, "Method not found: a.b");
        assert_eq!(failure_of(&json!({"code": -32003, "message": "m"})).exit, TRY_LATER);
        assert_eq!(failure_of(&json!({})).message, "Conductor error: Unknown error");
    }
}
