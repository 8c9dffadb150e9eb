//! The methods that are answered on the I/O thread: `daemon.health` and `daemon.ping`.
//!
//! Every line passes here, so a line that is something else must cost next to nothing, and the line that
//! clients send before everything else must not cost a JSON tree.

use memchr::memmem;

use super::Vital;
use crate::rpc::{Incoming, Params, reply};

/// Lines longer than this are not looked at.
const MAX_LINE: usize = 1024;

/// Finds and answers inline methods.
#[derive(Debug)]
pub(super) struct Inline(memmem::Finder<'static>);

impl Inline {
    pub(super) fn new() -> Self {
        Self(memmem::Finder::new("\"daemon.").into_owned())
    }

    /// The answer of an inline method, `Some(None)` for one that is a notification; `None` for every other
    /// line, whatever is wrong with it.
    pub(super) fn answer(&self, line: &[u8], vital: &Vital) -> Option<Option<Vec<u8>>> {
        if line.len() > MAX_LINE {
            return None;
        }
        if let Some((method, id)) = usual(line) {
            let result = vital.answer(method)?;
            let mut answer = Vec::with_capacity(result.len() + id.len() + 48);
            answer.extend_from_slice(br#"{"jsonrpc":"2.0","result":"#);
            answer.extend_from_slice(&result);
            answer.extend_from_slice(br#","id":"#);
            answer.extend_from_slice(id);
            answer.push(b'}');
            return Some(Some(answer));
        }
        let after = self.0.needle().len();
        let named = |at: usize| {
            let rest = &line[at + after..];
            rest.starts_with(b"health\"") || rest.starts_with(b"ping\"")
        };
        if !self.0.find_iter(line).any(named) {
            return None;
        }
        let Incoming::Single(Ok(call)) = Incoming::parse(line) else { return None };
        if call.params == Params::Positional {
            return None;
        }
        let result = vital.answer(&call.method)?;
        Some(call.id.map(|id| reply::result_text(&id, &result)))
    }
}

/// Method and id of a line that looks exactly as all our clients write it. Anything else is not wrong, it
/// only takes the longer way.
fn usual(line: &[u8]) -> Option<(&'static str, &[u8])> {
    let rest = line.strip_prefix(br#"{"jsonrpc":"2.0","method":"daemon."#)?;
    let (method, rest) = match rest.strip_prefix(b"health\"") {
        Some(rest) => ("daemon.health", rest),
        None => ("daemon.ping", rest.strip_prefix(b"ping\"")?),
    };
    let rest = rest.strip_prefix(br#","params":"#)?;
    let rest = rest.strip_prefix(b"null").or_else(|| rest.strip_prefix(b"{}"))?;
    let id = rest.strip_prefix(br#","id":"#)?.strip_suffix(b"}")?;
    let is_number =
        id.iter().all(u8::is_ascii_digit) && (id == b"0" || id.first().is_some_and(|&digit| digit != b'0'));
    is_number.then_some((method, id))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::Value;

    use super::*;

    #[test]
    fn both_ways_give_the_same_answer() {
        let vital = Vital::new();
        let inline = Inline::new();
        let answer = |line: &str| {
            let line = inline.answer(line.as_bytes(), &vital).unwrap().unwrap();
            let mut value: Value = serde_json::from_slice(&line).unwrap();
            // The two things that depend on the moment.
            let result = value["result"].as_object_mut().unwrap();
            result.retain(|name, _| name != "uptime_seconds" && name != "timestamp");
            value.to_string()
        };
        for method in ["health", "ping"] {
            for params in ["null", "{}"] {
                for id in ["0", "7", "123456789012345678901234567890"] {
                    let tight = format!(
                        r#"{{"jsonrpc":"2.0","method":"daemon.{method}","params":{params},"id":{id}}}"#
                    );
                    assert!(usual(tight.as_bytes()).is_some(), "{tight}");
                    let loose = tight.replace(',', " , ");
                    assert!(usual(loose.as_bytes()).is_none(), "{loose}");
                    assert_eq!(answer(&tight), answer(&loose));
                }
            }
        }
    }

    #[test]
    fn other_lines_are_left_to_others() {
        let inline = Inline::new();
        for line in [
            r#"{"jsonrpc":"2.0","method":"daemon.status","params":null,"id":1}"#,
            r#"{"jsonrpc":"2.0","method":"daemon.health","params":null,"id":01}"#,
            r#"{"jsonrpc":"2.0","method":"daemon.health","params":null,"id":}"#,
            r#"{"jsonrpc":"2.0","method":"daemon.health","params":[],"id":1}"#,
            r#"{"jsonrpc":"2.0","method":"daemon.healthy","params":null,"id":1}"#,
            r#"{"jsonrpc":"1.0","method":"daemon.health","params":null,"id":1}"#,
            r#"[{"jsonrpc":"2.0","method":"daemon.health","params":null,"id":1}]"#,
            r#"{"id":"daemon.health","method":"job.list"}"#,
            r#"{"method":"daemon.health","id":1"#,
            "",
        ] {
            assert_eq!(inline.answer(line.as_bytes(), &Vital::new()), None, "{line}");
        }
    }

    #[test]
    fn a_name_that_stands_twice_is_still_found() {
        let line = br#"{"params":{"x":"daemon.health"},"method":"daemon.ping"}"#;
        assert_eq!(Inline::new().answer(line, &Vital::new()), Some(None));
        let line = br#"{"id":"daemon.x","method":"daemon.ping"}"#;
        assert!(matches!(Inline::new().answer(line, &Vital::new()), Some(Some(_))));
    }
}
