//! Errors that a program reports as JSON: `{"errors": [{"type", "message", ...}]}` somewhere in its output.

use serde_json::Value;

use super::{ErrorCode, Finding, Method};

/// Objects that are looked at in one text.
const MAX_OBJECTS: usize = 200;
/// Errors that are taken from one text.
const MAX_ERRORS: usize = 20;

/// The errors of both streams, without repeated messages.
///
/// stderr is the program's own voice: the object may stand anywhere in it. In stdout an object counts only where
/// nobody but the program itself can have put it: for `structured` output as an event of its own line, else as the
/// last thing that was printed. A file that an agent printed while it worked is not a report.
pub(super) fn errors(stdout: &str, stderr: &str, structured: bool) -> Vec<Finding> {
    let place = if structured { Place::OwnLine } else { Place::Last };
    let mut found: Vec<Finding> = Vec::new();
    for (stream, text, place) in [("stdout", stdout, place), ("stderr", stderr, Place::Anywhere)] {
        for item in first_list(text, place).into_iter().take(MAX_ERRORS) {
            let finding = classify(&item, stream);
            if !found.iter().any(|known| known.message == finding.message) {
                found.push(finding);
            }
        }
    }
    found
}

/// Where an object must stand.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Anywhere,
    /// At the beginning of a line.
    OwnLine,
    /// At the beginning of a line, and nothing follows it.
    Last,
}

/// The first non-empty `errors` list of an object that stands where it must.
fn first_list(text: &str, place: Place) -> Vec<Value> {
    if !text.contains("\"errors\"") {
        return Vec::new();
    }
    let begins_line = |at: &usize| {
        let before = text[..*at].rsplit('\n').next();
        before.is_none_or(|before| before.trim().is_empty())
    };
    let braces = text.match_indices('{').map(|(at, _)| at);
    match place {
        Place::Last => {
            let starts = braces.rev().filter(begins_line).take(MAX_OBJECTS);
            let objects = starts.filter_map(|at| object(&text[at..]));
            // What is nested in the object stands before its end, so that something follows it.
            let mut last = objects.filter(|(_, rest)| rest.trim().is_empty());
            last.next().map(|(value, _)| reports(&value)).unwrap_or_default()
        }
        Place::Anywhere | Place::OwnLine => {
            let mut end = 0;
            for at in braces.filter(|at| place == Place::Anywhere || begins_line(at)).take(MAX_OBJECTS) {
                if at < end {
                    continue;
                }
                let Some((value, rest)) = object(&text[at..]) else { continue };
                end = text.len() - rest.len();
                let list = reports(&value);
                if !list.is_empty() {
                    return list;
                }
            }
            Vec::new()
        }
    }
}

/// The object at the beginning of a text, and what follows it.
fn object(text: &str) -> Option<(Value, &str)> {
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let value = stream.next()?.ok()?;
    Some((value, &text[stream.byte_offset()..]))
}

/// The entries that have the form of an error: an object with a message.
fn reports(value: &Value) -> Vec<Value> {
    let list = value.get("errors").and_then(Value::as_array);
    let entry = |item: &&Value| item.get("message").is_some_and(|message| !message.is_null());
    list.into_iter().flatten().filter(entry).cloned().collect()
}

fn classify(item: &Value, stream: &'static str) -> Finding {
    let message = match item.get("message").unwrap_or(item) {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let kind = item.get("type").and_then(Value::as_str).unwrap_or_default().to_lowercase();
    let (code, retriable, delay) = meaning(&kind, &message.to_lowercase());
    let row = code.meaning();
    let finding = Finding {
        retriable: retriable.unwrap_or(row.retriable),
        delay_seconds: delay.unwrap_or(row.delay_seconds),
        ..Finding::new(code, Method::Structured, message)
    };
    let text = finding.message.clone();
    finding.proved(stream, "errors[]", &text)
}

/// Code, and where it differs from the table: whether it is tried again, and after how many seconds.
fn meaning(kind: &str, text: &str) -> (ErrorCode, Option<bool>, Option<u32>) {
    let any = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let limit = [
        "rate limit",
        "rate_limit",
        "quota",
        "too many requests",
        "429",
        "hit your limit",
        "limit exceeded",
        "daily limit",
    ];
    let plain = |code| (code, None, None);
    match kind {
        "system" if any(&limit) && any(&["capacity", "overloaded", "try again later", "unavailable"]) => {
            plain(ErrorCode::E103)
        }
        "system" if any(&limit) => plain(super::words::limit_kind_of_error(text)),
        "system" if any(&["unauthorized", "authentication", "invalid api key", "401", "403"]) => {
            plain(ErrorCode::E502)
        }
        "user" if any(&["enoent", "command not found"]) => (ErrorCode::E505, Some(true), Some(30)),
        "user" if any(&["permission denied", "access denied"]) => plain(ErrorCode::E502),
        "user" if any(&["no such file", "not found"]) => plain(ErrorCode::E303),
        "tool" if any(&["mcp", "server"]) => plain(ErrorCode::E305),
        "tool" => (ErrorCode::E203, None, Some(10)),
        _ if any(&[
            "connection refused",
            "connection reset",
            "econnrefused",
            "etimedout",
            "network unreachable",
            "network is unreachable",
        ]) =>
        {
            plain(ErrorCode::E901)
        }
        _ if any(&["dns", "getaddrinfo", "enotfound", "resolve"]) => plain(ErrorCode::E902),
        _ if any(&["ssl", "tls", "certificate", "handshake"]) => plain(ErrorCode::E903),
        _ if any(&["timeout", "timed out"]) => plain(ErrorCode::E001),
        _ => (ErrorCode::E999, Some(true), Some(30)),
    }
}
