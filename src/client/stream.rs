//! The messages of a streaming method, until its final reply.

use std::os::fd::{AsFd, BorrowedFd};

use serde_json::Value;

use super::{Client, ClientError, Message};

/// A message of a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Notification {
    /// As `job.event`.
    pub method: String,
    /// Its content; an empty object when it has none.
    pub params: Value,
}

/// What a stream has at the moment.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// A message.
    Notification(Notification),
    /// The stream is over; this is its result.
    End(Value),
    /// Nothing yet; poll the descriptor.
    Waiting,
}

/// A stream, as an iterator of messages. After the last one [`result`](Self::result) is the final result.
#[derive(Debug)]
pub struct Stream {
    client: Client,
    id: Value,
    result: Option<Value>,
    failed: bool,
}

impl Stream {
    pub(super) const fn new(client: Client, id: Value) -> Self {
        Self { client, id, result: None, failed: false }
    }

    /// The final result, once the stream has ended.
    #[must_use]
    pub const fn result(&self) -> Option<&Value> {
        self.result.as_ref()
    }

    /// What there is without waiting. For programs that poll several descriptors: after the descriptor is
    /// readable call this until it says [`Step::Waiting`].
    pub fn try_next(&mut self) -> Result<Step, ClientError> {
        if let Some(result) = &self.result {
            return Ok(Step::End(result.clone()));
        }
        let mut message = self.client.buffered()?;
        if message.is_none() {
            self.client.fill()?;
            message = self.client.buffered()?;
        }
        message.map_or(Ok(Step::Waiting), |message| self.take(message))
    }

    /// Takes the connection back after the end.
    #[must_use]
    pub fn into_client(self) -> Client {
        self.client
    }

    fn take(&mut self, message: Message) -> Result<Step, ClientError> {
        match message {
            Message::Notification(message) => Ok(Step::Notification(message)),
            Message::Reply { id, outcome } if id == self.id || id.is_null() => {
                let result = outcome?;
                self.result = Some(result.clone());
                Ok(Step::End(result))
            }
            Message::Reply { id, .. } => {
                Err(self.client.protocol(format!("a reply to {id} instead of {}", self.id)))
            }
        }
    }
}

impl Iterator for Stream {
    type Item = Result<Notification, ClientError>;

    /// Waits for the next message. `None` after the final result or after an error was told.
    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.result.is_some() {
            return None;
        }
        let step = self.client.receive(None).and_then(|message| self.take(message));
        match step {
            Ok(Step::Notification(message)) => Some(Ok(message)),
            Ok(Step::End(_) | Step::Waiting) => None,
            Err(cause) => {
                self.failed = true;
                Some(Err(cause))
            }
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.client.as_fd()
    }
}
