//! What an instrument said: its result, its error message, its tokens. Reads the output file, within fixed limits.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::lines::Lines;
use super::path::DotPath;
use super::profile::{Format, Output, Profile};
use super::usage;
use crate::classify::ErrorCode;
use crate::cost::Reported;
use crate::file;

/// A larger JSON document is read as text.
const MAX_JSON: u64 = 16 * 1024 * 1024;
/// Longest result kept.
const MAX_RESULT: usize = 1024 * 1024;
/// Starts of lines that are tried when a JSON document stands behind a banner.
const MAX_STARTS: usize = 50;

/// What was found in an instrument's output.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Extracted {
    /// The result text, at most 1 MiB. Not redacted yet.
    pub result: String,
    /// The message of a failure.
    pub error: Option<String>,
    /// The output says that the run failed, whatever the exit code says.
    pub marked: bool,
    /// Tokens and cost, as far as the program reports them.
    pub usage: Reported,
    /// Its code, when our own program was the one that failed.
    pub code: Option<ErrorCode>,
    /// stdout had the shape that the profile promises; always false for plain text.
    pub structured: bool,
    /// An event that reports a rate limit, as JSON text.
    pub rate_limit_event: Option<String>,
    /// Remarks for the attempt's record.
    pub warnings: Vec<String>,
}

/// Reads the output of an ended program. `text` forces plain text (the score asks for `output_format: text`);
/// `success` is what its exit code says.
#[must_use]
pub fn extract(profile: &Profile, text: bool, success: bool, stdout: &Path) -> Extracted {
    let format = if text && profile.http.is_none() { Format::Text } else { profile.output.format };
    match format {
        Format::Text => plain(stdout),
        Format::Json => json(&profile.output, success, stdout),
        Format::Jsonl => jsonl(&profile.output, success, stdout),
    }
}

fn plain(stdout: &Path) -> Extracted {
    Extracted { result: head(stdout), ..Extracted::default() }
}

/// A file that does not exist is a program that printed nothing.
fn head(stdout: &Path) -> String {
    let mut bytes = Vec::new();
    if let Ok(file) = file::open(stdout) {
        // What was read before an error is what there is.
        _ = file.take(MAX_RESULT as u64).read_to_end(&mut bytes);
    }
    lossy(bytes)
}

fn lossy(bytes: Vec<u8>) -> String {
    let text = String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    crate::util::text::head_bytes(&text, MAX_RESULT).to_owned()
}

fn json(output: &Output, success: bool, stdout: &Path) -> Extracted {
    let mut bytes = Vec::new();
    if let Ok(file) = file::open(stdout) {
        _ = file.take(MAX_JSON + 1).read_to_end(&mut bytes);
    }
    if bytes.len() as u64 > MAX_JSON {
        let warnings =
            vec![format!("stdout is larger than {} MiB: read as text instead of JSON", MAX_JSON >> 20)];
        return Extracted { warnings, ..plain(stdout) };
    }
    let Some(root) = document(&bytes) else {
        let warnings =
            if bytes.is_empty() { Vec::new() } else { vec!["stdout is not JSON: read as text".to_owned()] };
        return Extracted { result: lossy(bytes), warnings, ..Extracted::default() };
    };
    let marked = match &output.error_marker {
        Some(marker) => marker_of(marker, &root) == Some(true),
        None => is_error(&root),
    };
    let error = error_of(output, &root, marked).filter(|_| marked || !success);
    let usage = usage::of_document(output, &root);
    let result = match output.result_path.as_ref().map(|path| path.first(&root)) {
        Some(Some(value)) => as_text(value),
        // Nothing to look for, or not there: the document itself.
        Some(None) | None => lossy(bytes),
    };
    let code = (!success).then(|| output.code_path.as_ref()?.first(&root)).flatten();
    let code = code.and_then(|code| ErrorCode::deserialize(code).ok());
    Extracted { result, error, code, marked, usage, structured: true, ..Extracted::default() }
}

/// All of stdout, or what follows a banner: the last start of a line from which an object can be read.
fn document(bytes: &[u8]) -> Option<Value> {
    if let Ok(root) = serde_json::from_slice(bytes) {
        return Some(root);
    }
    let mut starts: Vec<usize> = memchr::memchr_iter(b'\n', bytes)
        .map(|at| at + 1)
        .filter(|at| bytes.get(*at) == Some(&b'{'))
        .collect();
    if bytes.first() == Some(&b'{') {
        starts.insert(0, 0);
    }
    starts.iter().rev().take(MAX_STARTS).find_map(|start| {
        let mut stream = serde_json::Deserializer::from_slice(&bytes[*start..]).into_iter::<Value>();
        stream.next()?.ok().filter(Value::is_object)
    })
}

/// What Claude Code and its relatives write into a result that is none.
fn is_error(root: &Value) -> bool {
    root.get("is_error") == Some(&Value::Bool(true))
}

/// Whether all pairs of a marker hold; `None` when the value has not all of its keys, or the marker none.
fn marker_of(marker: &BTreeMap<DotPath, Value>, root: &Value) -> Option<bool> {
    let found: Option<Vec<bool>> =
        marker.iter().map(|(path, wanted)| path.first(root).map(|value| same(value, wanted))).collect();
    found.filter(|found| !found.is_empty()).map(|found| found.into_iter().all(|holds| holds))
}

/// The error message; a result that is marked as an error counts as one.
fn error_of(output: &Output, root: &Value, marked: bool) -> Option<String> {
    if let Some(value) = output.error_path.as_ref().and_then(|path| path.first(root)) {
        return Some(as_text(value));
    }
    output.result_path.as_ref().filter(|_| marked || is_error(root))?.first(root).map(as_text)
}

/// What the lines of a stream have said so far.
#[derive(Default)]
struct Stream {
    found: Extracted,
    /// The last message of a failure, which counts when there was one.
    error: Option<String>,
    results: Vec<String>,
    size: usize,
}

impl Stream {
    fn line(&mut self, output: &Output, line: &[u8]) {
        let Ok(event) = serde_json::from_slice::<Value>(line) else { return };
        if !event.is_object() {
            return;
        }
        self.found.structured = true;
        let completion =
            is_event(&event, output.completion_event_type.as_deref(), &output.completion_event_filter);
        if completion {
            self.result(output, &event);
        }
        let marked = match &output.error_marker {
            Some(marker) => marker_of(marker, &event),
            None => (completion && output.completion_event_type.is_some()).then(|| is_error(&event)),
        };
        // The last event that says anything about it decides: a stream may fail and go on.
        self.found.marked = marked.unwrap_or(self.found.marked);
        if let Some(error) = error_of(output, &event, marked == Some(true)) {
            self.error = Some(error);
        }
        if let Some(kind) = output.rate_limit_event_type.as_deref()
            && is_event(&event, Some(kind), &output.rate_limit_event_filter)
        {
            let text = event.to_string();
            self.found.rate_limit_event = Some(crate::util::text::head_bytes(&text, 4096).to_owned());
        }
        usage::add(&mut self.found.usage, output, &event);
    }

    fn result(&mut self, output: &Output, event: &Value) {
        let text = match &output.result_path {
            Some(path) => path.first(event).map(as_text),
            None => Some(event.to_string()),
        };
        if let Some(text) = text.filter(|_| self.size < MAX_RESULT) {
            self.size = if output.collect { self.size + text.len() } else { 0 };
            if !output.collect {
                self.results.clear();
            }
            self.results.push(text);
        }
    }
}

fn jsonl(output: &Output, success: bool, stdout: &Path) -> Extracted {
    let mut stream = Stream::default();
    let mut lines = Lines::default();
    if let Ok(file) = file::open(stdout) {
        let mut from = BufReader::with_capacity(64 * 1024, file);
        // What was read before an error is what there is.
        while let Ok(piece) = from.fill_buf() {
            if piece.is_empty() {
                break;
            }
            lines.feed(piece, |line| stream.line(output, line));
            let used = piece.len();
            from.consume(used);
        }
        lines.finish(|line| stream.line(output, line));
    }
    let Stream { mut found, error, results, .. } = stream;
    found.error = error.filter(|_| found.marked || !success);
    if lines.dropped > 0 {
        let dropped = lines.dropped;
        found.warnings.push(format!("{dropped} lines of stdout are longer than 1 MiB and were not parsed"));
    }
    found.result = match results.is_empty() {
        false => crate::util::text::head_bytes(&results.concat(), MAX_RESULT).to_owned(),
        true => {
            if success {
                found.warnings.push("no event with a result in stdout: all of it is the result".to_owned());
            }
            head(stdout)
        }
    };
    found
}

fn is_event(event: &Value, kind: Option<&str>, filter: &BTreeMap<DotPath, Value>) -> bool {
    let typed = kind.is_none_or(|kind| event.get("type").and_then(Value::as_str) == Some(kind));
    typed && filter.iter().all(|(path, wanted)| path.first(event).is_some_and(|value| same(value, wanted)))
}

fn same(value: &Value, wanted: &Value) -> bool {
    match (value.as_f64(), wanted.as_f64()) {
        (Some(value), Some(wanted)) => value.total_cmp(&wanted).is_eq(),
        (Some(_), None) | (None, Some(_)) => false,
        (None, None) => value == wanted,
    }
}

fn as_text(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    crate::util::text::head_bytes(&text, MAX_RESULT).to_owned()
}
