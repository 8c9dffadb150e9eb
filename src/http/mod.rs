//! HTTP as a client: one request, one bounded answer.
//!
//! The conductor never opens a connection itself: [`ask`] hands a request to a child process
//! (`mozart __http request`) under a bound guard. So a name server that never answers costs a process
//! that is ended at its deadline and not a thread; and the code and the memory of TLS exist only while
//! something is sent. Instruments of kind http are the same program (`mozart __http prompt`).
//!
//! Not for servers, and not for keeping connections: whoever sends once a minute does not need them.
//!
//! Invariants: http and https only; at most [`MAX_REDIRECTS`] redirects, and what the caller set as a
//! header goes to no other host; an answer is read up to its limit and no further; an error never
//! contains a path, a query, a header or a body, because each of them may be a secret.

mod address;
mod child;
#[cfg(feature = "http")]
mod client;
#[cfg(feature = "http")]
mod redirect;
mod remote;
mod service;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(crate) use address::check;
pub use address::origin;
pub use child::ARGUMENT;
pub(crate) use child::PROMPT;
pub(crate) use child::run as run_child;
pub use remote::ask;
pub use service::Family;

/// This build can send requests.
pub const BUILT_IN: bool = cfg!(feature = "http");

/// What to say when it cannot.
pub const HOW_TO_GET_IT: &str =
    "this mozart was built without the feature `http`: build it with `cargo build --release --features http`";

/// Redirects that are followed.
pub const MAX_REDIRECTS: u32 = 3;

/// Sends a request and reads the answer, in this process. Blocks for at most the request's timeout.
///
/// # Errors
/// When there is no answer. An answer with an error status is an answer.
#[cfg(feature = "http")]
pub fn request(request: &Request) -> Result<Reply, HttpError> {
    client::request(request)
}

/// Without the feature nothing is sent.
///
/// # Errors
/// Always.
#[cfg(not(feature = "http"))]
pub fn request(_: &Request) -> Result<Reply, HttpError> {
    Err(HttpError::new(Trouble::NotBuilt, HOW_TO_GET_IT))
}

/// A request.
#[derive(Clone, Serialize, Deserialize)]
pub struct Request {
    /// GET when there is no body, else POST.
    pub body: Option<String>,
    /// `http://…` or `https://…`.
    pub url: String,
    /// Further headers. `Content-Type` is JSON unless it is among them.
    pub headers: Vec<(String, String)>,
    /// Secret with which the body is signed: `X-Mozart-Signature: sha256=<HMAC in hex>`.
    pub secret: Option<String>,
    /// For everything together: name, connection, redirects, answer.
    pub timeout: Duration,
    /// Bytes of the answer that are read.
    pub limit: usize,
}

impl Request {
    /// Posts a JSON text.
    #[must_use]
    pub fn post(url: impl Into<String>, body: String, timeout: Duration, limit: usize) -> Self {
        Self { body: Some(body), url: url.into(), headers: Vec::new(), secret: None, timeout, limit }
    }

    /// Gets.
    #[must_use]
    pub fn get(url: impl Into<String>, timeout: Duration, limit: usize) -> Self {
        Self { body: None, url: url.into(), headers: Vec::new(), secret: None, timeout, limit }
    }
}

/// Shows where it goes and how large it is, never what is in it.
impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request")
            .field("to", &origin(&self.url))
            .field("bytes", &self.body.as_ref().map_or(0, String::len))
            .finish_non_exhaustive()
    }
}

/// An answer, whatever its status.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// 100-599.
    pub status: u16,
    /// `Retry-After`, as it came.
    pub retry_after: Option<String>,
    /// The body as text, at most the limit of the request.
    pub body: String,
    /// There was more.
    pub cut: bool,
}

/// Why there is no answer. One line for people, without secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct HttpError {
    /// What kind.
    pub trouble: Trouble,
    /// What failed, with whom, and why.
    pub message: String,
}

impl HttpError {
    pub(crate) fn new(trouble: Trouble, message: impl Into<String>) -> Self {
        Self { trouble, message: message.into() }
    }
}

/// Kinds of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Trouble {
    /// The address or a header cannot be used.
    Address,
    /// Nobody by that name.
    Name,
    /// Nobody listens, or the connection broke.
    Connection,
    /// Certificates, handshakes.
    Tls,
    /// No answer in time.
    Timeout,
    /// The answer is none, or redirects without end.
    Protocol,
    /// This program cannot send requests.
    NotBuilt,
    /// The process that was to send it did not live to tell.
    Lost,
}

impl Trouble {
    /// Another try may do better.
    #[must_use]
    pub const fn may_pass(self) -> bool {
        match self {
            Self::Name | Self::Connection | Self::Timeout | Self::Lost => true,
            Self::Address | Self::Tls | Self::Protocol | Self::NotBuilt => false,
        }
    }
}
