//! Errors that a program reports as JSON: `{"errors": [{"type", "message", ...}]}` somewhere in its output.

use serde_json::Value;

use super::ErrorCode;
use super::Finding;

/// Objects that are looked at in one text.
const MAX_OBJECTS: usize = 200;
/// Errors that are taken from one text.
const MAX_ERRORS: usize = 20;

/// The errors of both streams, without repeated messages.
pub(super) fn errors(stdout: &str, stderr: &str) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    for text in [stdout, stderr] {
        for item in first_list(text).into_iter().flatten().take(MAX_ERRORS) {
            let finding = classify(&item);
            if !found.iter().any(|known| known.message == finding.message) {
                found.push(finding);
            }
        }
    }
    found
}

/// The first non-empty `errors` list of any object in the text.
fn first_list(text: &str) -> Option<Vec<Value>> {
    if !text.contains("\"errors\"") {
        return None;
    }
    let mut at = 0;
    for _ in 0..MAX_OBJECTS {
        at += text[at..].find('{')?;
        let mut stream = serde_json::Deserializer::from_str(&text[at..]).into_iter::<Value>();
        match stream.next() {
            Some(Ok(value)) => {
                if let Some(list) =
                    value.get("errors").and_then(Value::as_array).filter(|list| !list.is_empty())
                {
                    return Some(list.clone());
                }
                at += stream.byte_offset().max(1);
            }
            Some(Err(_)) | None => at += 1,
        }
    }
    None
}

fn classify(item: &Value) -> Finding {
    let message = match item.get("message").unwrap_or(item) {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let kind = item.get("type").and_then(Value::as_str).unwrap_or_default().to_lowercase();
    let (code, retriable, delay) = meaning(&kind, &message.to_lowercase());
    let row = code.meaning();
    Finding {
        code,
        retriable: retriable.unwrap_or(row.retriable),
        delay_seconds: delay.unwrap_or(row.delay_seconds),
        message,
    }
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
