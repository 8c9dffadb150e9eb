//! Builders of the lines that go to a client. All of them return one line without its LF.

use serde::Serialize;
use serde_json::Value;

use super::{Id, RpcError};
use crate::ndjson::RESPONSE_LIMIT;

/// Most bytes of a line without its LF.
const MAX_LINE: usize = RESPONSE_LIMIT - 1;

impl Serialize for Id {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Integer(number) => number.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

/// The reply to a request that succeeded. A result above the hard limit becomes an error, never a torn line.
#[must_use]
pub fn result(id: &Id, result: &impl Serialize) -> Vec<u8> {
    let mut line = Vec::with_capacity(256);
    line.extend_from_slice(br#"{"jsonrpc":"2.0","result":"#);
    if let Err(cause) = serde_json::to_writer(&mut line, result) {
        return error(
            Some(id),
            &RpcError::Internal(format!("the result cannot be written as JSON: {cause}")),
        );
    }
    close(line, id)
}

/// As [`result`], for a result that is JSON text already (strict, without LF).
#[must_use]
pub fn result_text(id: &Id, json: &[u8]) -> Vec<u8> {
    let mut line = Vec::with_capacity(json.len() + 64);
    line.extend_from_slice(br#"{"jsonrpc":"2.0","result":"#);
    line.extend_from_slice(json);
    close(line, id)
}

fn close(mut line: Vec<u8>, id: &Id) -> Vec<u8> {
    line.extend_from_slice(br#","id":"#);
    write(&mut line, id);
    line.push(b'}');
    if line.len() > MAX_LINE {
        return error(Some(id), &RpcError::ResponseTooLarge { bytes: line.len() + 1 });
    }
    line
}

/// The reply to a request that failed; `id` is `None` where the request's id is not known.
#[must_use]
pub fn error(id: Option<&Id>, error: &RpcError) -> Vec<u8> {
    #[derive(Serialize)]
    struct Body<'a> {
        code: i32,
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        data: Option<Value>,
    }
    let message = error.to_string();
    let body = Body { code: error.code(), message: &message, data: error.data() };
    let mut line = Vec::with_capacity(256);
    line.extend_from_slice(br#"{"jsonrpc":"2.0","error":"#);
    write(&mut line, &body);
    line.extend_from_slice(br#","id":"#);
    write(&mut line, &id);
    line.push(b'}');
    line
}

/// What a request is answered with: nothing at all when it is a notification.
#[must_use]
pub fn answer(id: Option<&Id>, outcome: &Result<impl Serialize, RpcError>) -> Option<Vec<u8>> {
    let id = id?;
    Some(match outcome {
        Ok(value) => result(id, value),
        Err(cause) => error(Some(id), cause),
    })
}

/// A message of a stream: never has an `id`.
#[must_use]
pub fn notification(method: &str, params: &impl Serialize) -> Vec<u8> {
    let mut line = Vec::with_capacity(256);
    line.extend_from_slice(br#"{"jsonrpc":"2.0","method":"#);
    write(&mut line, method);
    line.extend_from_slice(br#","params":"#);
    let params_at = line.len();
    if serde_json::to_writer(&mut line, params).is_err() || line.len() + 1 > MAX_LINE {
        line.truncate(params_at);
        line.extend_from_slice(b"{}");
    }
    line.push(b'}');
    line
}

/// The reply to a batch from the replies to its entries; `None` when all were notifications.
#[must_use]
pub fn batch(replies: &[Vec<u8>]) -> Option<Vec<u8>> {
    if replies.is_empty() {
        return None;
    }
    let size = replies.iter().map(|reply| reply.len() + 1).sum::<usize>() + 1;
    if size > MAX_LINE {
        return Some(error(None, &RpcError::ResponseTooLarge { bytes: size + 1 }));
    }
    let mut line = Vec::with_capacity(size + 1);
    line.push(b'[');
    line.extend_from_slice(&replies.join(&b','));
    line.push(b']');
    Some(line)
}

/// Appends a value that is always representable.
fn write(line: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    serde_json::to_writer(line, value)
        .expect("strings, numbers and JSON values can always be written to memory");
}
