//! Makes a `job.status` result fit a line that older clients can read.
//!
//! Members are removed or shortened in a fixed order until the result fits, never renamed; what is lost
//! first is what helps least. A result that still does not fit is sent whole.

use std::io;

use serde_json::{Map, Value};

use crate::ndjson::RESPONSE_LIMIT;

/// Size that a result should have unless the caller asked for everything: 64 KiB less room for the envelope.
pub const PREFERRED: usize = 65_536 - ENVELOPE;

/// Size that a result may have at most: the hard limit of a line less room for the envelope.
pub const HARD: usize = RESPONSE_LIMIT - ENVELOPE;

/// `{"jsonrpc":"2.0","result":,"id":}`, an id of usual length and an LF.
const ENVELOPE: usize = 128;

/// Characters of an output tail that survive the first shortening.
const SHORT_TAIL: usize = 500;

/// One step; says how many bytes it has removed.
type Step = fn(&mut Map<String, Value>) -> usize;

/// The steps in their order.
const STEPS: &[Step] = &[
    |job| remove(job, "config_snapshot"),
    |job| {
        let names = ["progress_snapshots", "prompt_metrics", "synthesis_results", "circuit_breaker_history"];
        names.iter().map(|name| remove(job, name) + each_sheet(job, |sheet| remove(sheet, name))).sum()
    },
    |job| each_sheet(job, |sheet| shorten_tails(sheet, SHORT_TAIL)),
    |job| each_sheet(job, |sheet| shorten_tails(sheet, 0)),
    |job| keep_last_error(job) + each_sheet(job, keep_last_error),
    |job| each_sheet(job, drop_passed_details),
    |job| remove(job, "movements"),
    |job| each_sheet(job, drop_defaults),
];

/// Least bytes of a sheet when everything that can go has gone.
const LEAST_SHEET: usize = 48;

/// The result in at most `limit` bytes of JSON where that is possible, with `"trimmed": true` when
/// something had to go. `full` results use [`HARD`], others [`PREFERRED`].
#[must_use]
pub fn fit(mut result: Value, limit: usize) -> Value {
    let Value::Object(job) = &mut result else { return result };
    let sheets = job.get("sheets").and_then(Value::as_object).map_or(0, Map::len);
    // So many sheets never fit; nothing has to be measured to know how that ends.
    let hopeless = sheets * LEAST_SHEET > limit;
    let mut bytes = if hopeless { usize::MAX } else { size(&result) };
    if bytes <= limit {
        return result;
    }
    let Value::Object(job) = &mut result else { return result };
    job.insert("trimmed".to_owned(), Value::Bool(true));
    bytes = bytes.saturating_add(r#""trimmed":true,"#.len());
    for step in STEPS {
        bytes = bytes.saturating_sub(step(job));
        if bytes <= limit {
            break;
        }
    }
    result
}

/// Length of a value as compact JSON, without building it.
#[must_use]
pub fn size(value: &Value) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    serde_json::to_writer(&mut count, value)
        .expect("a JSON value can always be written, and counting never fails");
    count.0
}

/// Removes a member. Returns the bytes of it, its key, colon and comma.
fn remove(object: &mut Map<String, Value>, name: &str) -> usize {
    object.shift_remove(name).map_or(0, |value| size(&value) + name.len() + 4)
}

fn each_sheet(job: &mut Map<String, Value>, change: impl Fn(&mut Map<String, Value>) -> usize) -> usize {
    let Some(Value::Object(sheets)) = job.get_mut("sheets") else { return 0 };
    sheets.values_mut().filter_map(Value::as_object_mut).map(change).sum()
}

/// Keeps the last characters: the end of an output says why it ended.
fn shorten_tails(sheet: &mut Map<String, Value>, keep: usize) -> usize {
    let mut removed = 0;
    for name in ["stdout_tail", "stderr_tail"] {
        let Some(value) = sheet.get_mut(name) else { continue };
        let before = size(value);
        let Value::String(tail) = value else { continue };
        if keep == 0 {
            tail.clear();
        } else if let Some((from, _)) = tail.char_indices().rev().nth(keep - 1) {
            tail.drain(..from);
        }
        removed += before - size(value);
    }
    removed
}

fn keep_last_error(object: &mut Map<String, Value>) -> usize {
    let Some(Value::Array(errors)) = object.get_mut("error_history") else { return 0 };
    errors.drain(..errors.len().saturating_sub(1)).map(|error| size(&error) + 1).sum()
}

fn drop_passed_details(sheet: &mut Map<String, Value>) -> usize {
    if sheet.get("validation_passed") == Some(&Value::Bool(true)) {
        remove(sheet, "validation_details")
    } else {
        0
    }
}

/// Members that say nothing; the three that clients require stay.
fn drop_defaults(sheet: &mut Map<String, Value>) -> usize {
    let mut removed = 0;
    sheet.retain(|name, value| {
        let stays = matches!(name.as_str(), "sheet_num" | "status" | "attempt_count") || !says_nothing(value);
        if !stays {
            removed += size(value) + name.len() + 4;
        }
        stays
    });
    removed
}

fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
    }
}
