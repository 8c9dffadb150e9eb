//! Makes a `job.status` result fit a line that older clients can read.
//!
//! Members are removed or shortened in a fixed order until the result fits, never renamed; what is lost
//! first is what helps least. A result that still does not fit is sent whole.

use std::io;

use serde_json::{Map, Value, json};

use crate::ndjson::RESPONSE_LIMIT;

/// Size that a result should have unless the caller asked for everything: 64 KiB less room for the envelope.
pub const PREFERRED: usize = 65_536 - ENVELOPE;

/// Size that a result may have at most: the hard limit of a line less room for the envelope.
pub const HARD: usize = RESPONSE_LIMIT - ENVELOPE;

/// `{"jsonrpc":"2.0","result":,"id":}`, an id of usual length and an LF.
const ENVELOPE: usize = 128;

/// Characters of an output tail that survive the first shortening.
const SHORT_TAIL: usize = 500;

/// The steps in their order.
const STEPS: &[fn(&mut Map<String, Value>)] = &[
    |job| drop(job.shift_remove("config_snapshot")),
    |job| {
        for name in ["progress_snapshots", "prompt_metrics", "synthesis_results", "circuit_breaker_history"] {
            job.shift_remove(name);
            each_sheet(job, |sheet| drop(sheet.shift_remove(name)));
        }
    },
    |job| each_sheet(job, |sheet| shorten_tails(sheet, SHORT_TAIL)),
    |job| each_sheet(job, |sheet| shorten_tails(sheet, 0)),
    |job| {
        keep_last_error(job);
        each_sheet(job, keep_last_error);
    },
    |job| each_sheet(job, drop_passed_details),
    |job| each_sheet(job, drop_defaults),
];

/// The result in at most `limit` bytes of JSON where that is possible, with `"trimmed": true` when
/// something had to go. `full` results use [`HARD`], others [`PREFERRED`].
#[must_use]
pub fn fit(mut result: Value, limit: usize) -> Value {
    if size(&result) <= limit {
        return result;
    }
    let Value::Object(job) = &mut result else { return result };
    job.insert("trimmed".to_owned(), Value::Bool(true));
    for step in STEPS {
        let Value::Object(job) = &mut result else { break };
        step(job);
        if size(&result) <= limit {
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

fn each_sheet(job: &mut Map<String, Value>, change: impl Fn(&mut Map<String, Value>)) {
    let Some(Value::Object(sheets)) = job.get_mut("sheets") else { return };
    sheets.values_mut().filter_map(Value::as_object_mut).for_each(change);
}

/// Keeps the last characters: the end of an output says why it ended.
fn shorten_tails(sheet: &mut Map<String, Value>, keep: usize) {
    for name in ["stdout_tail", "stderr_tail"] {
        let Some(Value::String(tail)) = sheet.get_mut(name) else { continue };
        if keep == 0 {
            tail.clear();
        } else if let Some((from, _)) = tail.char_indices().rev().nth(keep - 1) {
            tail.drain(..from);
        }
    }
}

fn keep_last_error(object: &mut Map<String, Value>) {
    if let Some(Value::Array(errors)) = object.get_mut("error_history") {
        errors.drain(..errors.len().saturating_sub(1));
    }
}

fn drop_passed_details(sheet: &mut Map<String, Value>) {
    if sheet.get("validation_passed") == Some(&Value::Bool(true)) {
        sheet.shift_remove("validation_details");
    }
}

/// Members that say nothing; the three that clients require stay.
fn drop_defaults(sheet: &mut Map<String, Value>) {
    let empty = [json!(null), json!(false), json!(0), json!(0.0), json!(""), json!([]), json!({})];
    sheet.retain(|name, value| {
        matches!(name.as_str(), "sheet_num" | "status" | "attempt_count") || !empty.contains(value)
    });
}
