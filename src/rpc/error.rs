//! Every error a client can receive, and the one place where codes and texts are assigned.

use serde_json::{Value, json};

use crate::ids::JobId;
use crate::ndjson::{REQUEST_LIMIT, RESPONSE_LIMIT};

/// Code that an early generation gave to an oversized request; some of its clients still look for it.
const LEGACY_TOO_LARGE: u32 = 1004;

/// Why a request was not answered with a result.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RpcError {
    /// The line is not strict JSON.
    #[error("Parse error: malformed JSON")]
    Parse,
    /// The line is JSON but not a request.
    #[error("Invalid request: {0}")]
    InvalidRequest(String),
    /// The line was longer than [`REQUEST_LIMIT`].
    #[error("Request too large: {bytes} bytes exceeds maximum of {REQUEST_LIMIT} bytes (1MB)")]
    RequestTooLarge {
        /// Length of the line, or what was counted before the connection was given up.
        bytes: u64,
    },
    /// No such method.
    #[error("Method not found: {0}")]
    MethodNotFound(String),
    /// A required parameter is absent or null.
    #[error("Invalid params: missing required field '{0}'")]
    MissingParam(&'static str),
    /// A parameter has the wrong type or an impossible value.
    #[error("Invalid params: {detail}")]
    InvalidParams {
        /// What is wrong and what is expected.
        detail: String,
        /// Name of the parameter, when it is about one.
        field: Option<&'static str>,
    },
    /// Something of ours failed; the text says what, without secrets.
    #[error("Internal error: {0}")]
    Internal(String),
    /// A handler panicked or failed in a way that has no text for others.
    #[error("Internal error")]
    Unexpected,
    /// The reply would not fit a line.
    #[error("Internal error: response exceeds {RESPONSE_LIMIT} bytes")]
    ResponseTooLarge {
        /// Length the reply line would have had.
        bytes: usize,
    },
    /// No such job.
    #[error("Job '{0}' not found")]
    JobNotFound(JobId),
    /// A refusal about one job that the method reports as an error.
    #[error("{message}")]
    Job {
        /// Text for people.
        message: String,
        /// The job.
        job: JobId,
        /// Word for programs.
        reason: &'static str,
    },
    /// A limit is reached.
    #[error("{0}")]
    ResourceExhausted(String),
    /// The job runs already.
    #[error("{0}")]
    JobAlreadyRunning(String),
    /// The conductor takes no more work.
    #[error("Conductor is shutting down")]
    ShuttingDown,
    /// The job cannot be resumed.
    #[error("{0}")]
    JobNotResumable(String),
    /// The workspace does not exist.
    #[error("{0}")]
    WorkspaceNotFound(String),
    /// A configuration could not be loaded.
    #[error("{message}")]
    ConfigInvalid {
        /// Text for people.
        message: String,
        /// `file`, `line`, `column`, `field`, as far as they are known.
        data: Box<Value>,
    },
    /// The limit of streams is reached.
    #[error("Too many streams")]
    TooManyStreams {
        /// The limit.
        max: usize,
    },
}

impl RpcError {
    /// An [`RpcError::InvalidParams`] about one parameter.
    pub fn param(field: &'static str, detail: impl Into<String>) -> Self {
        Self::InvalidParams { detail: detail.into(), field: Some(field) }
    }

    /// What a streaming method inside a batch is answered with.
    #[must_use]
    pub fn stream_in_batch() -> Self {
        let detail = "a streaming method cannot be part of a batch, send it alone".to_owned();
        Self::InvalidParams { detail, field: None }
    }

    /// An [`RpcError::InvalidRequest`].
    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self::InvalidRequest(detail.into())
    }

    /// The number in `error.code`.
    #[must_use]
    pub const fn code(&self) -> i32 {
        match self {
            Self::Parse => -32700,
            Self::InvalidRequest(_) | Self::RequestTooLarge { .. } => -32600,
            Self::MethodNotFound(_) => -32601,
            Self::MissingParam(_) | Self::InvalidParams { .. } => -32602,
            Self::Internal(_) | Self::Unexpected | Self::ResponseTooLarge { .. } => -32603,
            Self::JobNotFound(_) | Self::Job { .. } => -32000,
            Self::ResourceExhausted(_) => -32001,
            Self::JobAlreadyRunning(_) => -32002,
            Self::ShuttingDown => -32003,
            Self::JobNotResumable(_) => -32004,
            Self::WorkspaceNotFound(_) => -32005,
            Self::ConfigInvalid { .. } => -32006,
            Self::TooManyStreams { .. } => -32007,
        }
    }

    /// The object in `error.data`; `None` leaves the member out.
    #[must_use]
    pub fn data(&self) -> Option<Value> {
        match self {
            Self::RequestTooLarge { bytes } => Some(json!({
                "request_size": bytes,
                "max_size": REQUEST_LIMIT,
                "security": "Request rejected to prevent memory exhaustion",
                "legacy_code": LEGACY_TOO_LARGE,
            })),
            Self::MethodNotFound(method) => Some(json!({ "method": method })),
            Self::MissingParam(field) | Self::InvalidParams { field: Some(field), .. } => {
                Some(json!({ "field": field }))
            }
            Self::ResponseTooLarge { bytes } => Some(json!({ "response_size": bytes })),
            Self::JobNotFound(job) => Some(json!({ "job_id": job, "reason": "not_found" })),
            Self::Job { job, reason, .. } => Some(json!({ "job_id": job, "reason": reason })),
            Self::ConfigInvalid { data, .. } => Some(Value::clone(data)),
            Self::TooManyStreams { max } => Some(json!({ "max": max })),
            Self::Parse
            | Self::InvalidRequest(_)
            | Self::InvalidParams { field: None, .. }
            | Self::Internal(_)
            | Self::Unexpected
            | Self::ResourceExhausted(_)
            | Self::JobAlreadyRunning(_)
            | Self::ShuttingDown
            | Self::JobNotResumable(_)
            | Self::WorkspaceNotFound(_) => None,
        }
    }
}
