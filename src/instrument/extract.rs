//! What an instrument said: its result, its error message, its tokens. Reads the output file, within fixed limits.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::path::DotPath;
use super::profile::{Format, Output, Profile};
use crate::classify::ErrorCode;
use crate::file;

/// Longer lines of a jsonl stream are not parsed.
const MAX_LINE: usize = 1024 * 1024;
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
    /// Its code, when our own program was the one that failed.
    pub code: Option<ErrorCode>,
    /// Tokens read.
    pub input_tokens: Option<u64>,
    /// Tokens written.
    pub output_tokens: Option<u64>,
    /// stdout had the shape that the profile promises; always false for plain text.
    pub structured: bool,
    /// An event that reports a rate limit, as JSON text.
    pub rate_limit_event: Option<String>,
    /// Remarks for the attempt's record.
    pub warnings: Vec<String>,
}

/// Reads the output of an ended program. `text` forces plain text (the score asks for `output_format: text`).
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
    let mut found = Extracted { structured: true, ..Extracted::default() };
    found.result = match output.result_path.as_ref().map(|path| path.first(&root)) {
        Some(Some(value)) => as_text(value),
        // Nothing to look for, or not there: the document itself.
        Some(None) | None => lossy(bytes),
    };
    if !success {
        found.error = error_of(output, &root);
        let code = output.code_path.as_ref().and_then(|path| path.first(&root));
        found.code = code.and_then(|code| ErrorCode::deserialize(code).ok());
    }
    let tokens = |path: &Option<DotPath>| {
        let counts: Vec<u64> = path.as_ref()?.all(&root).into_iter().filter_map(count).collect();
        if output.aggregate_tokens { total(&counts) } else { counts.first().copied() }
    };
    found.input_tokens = tokens(&output.input_tokens_path);
    found.output_tokens = tokens(&output.output_tokens_path);
    found
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

/// The error message; a result that is marked as an error counts as one.
fn error_of(output: &Output, root: &Value) -> Option<String> {
    if let Some(value) = output.error_path.as_ref().and_then(|path| path.first(root)) {
        return Some(as_text(value));
    }
    let marked = root.get("is_error") == Some(&Value::Bool(true));
    output.result_path.as_ref().filter(|_| marked)?.first(root).map(as_text)
}

fn jsonl(output: &Output, success: bool, stdout: &Path) -> Extracted {
    let mut found = Extracted::default();
    let mut dropped = 0u64;
    let mut results: Vec<String> = Vec::new();
    let mut size = 0;
    if let Ok(file) = file::open(stdout) {
        each_line(BufReader::with_capacity(64 * 1024, file), &mut dropped, |line| {
            let Ok(event) = serde_json::from_slice::<Value>(line) else { return };
            if !event.is_object() {
                return;
            }
            found.structured = true;
            if is_event(&event, output.completion_event_type.as_deref(), &output.completion_event_filter) {
                let text = match &output.result_path {
                    Some(path) => path.first(&event).map(as_text),
                    None => Some(event.to_string()),
                };
                if let Some(text) = text.filter(|_| size < MAX_RESULT) {
                    size = if output.collect { size + text.len() } else { 0 };
                    if !output.collect {
                        results.clear();
                    }
                    results.push(text);
                }
            }
            if !success && let Some(error) = error_of(output, &event) {
                found.error = Some(error);
            }
            if let Some(kind) = output.rate_limit_event_type.as_deref()
                && is_event(&event, Some(kind), &output.rate_limit_event_filter)
            {
                found.rate_limit_event =
                    Some(crate::util::text::head_bytes(&event.to_string(), 4096).to_owned());
            }
            add_tokens(
                &mut found.input_tokens,
                output.input_tokens_path.as_ref(),
                &event,
                output.aggregate_tokens,
            );
            add_tokens(
                &mut found.output_tokens,
                output.output_tokens_path.as_ref(),
                &event,
                output.aggregate_tokens,
            );
        });
    }
    if dropped > 0 {
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

fn is_event(event: &Value, kind: Option<&str>, filter: &std::collections::BTreeMap<DotPath, Value>) -> bool {
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

fn add_tokens(sum: &mut Option<u64>, path: Option<&DotPath>, event: &Value, aggregate: bool) {
    let Some(path) = path else { return };
    let counts: Vec<u64> = path.all(event).into_iter().filter_map(count).collect();
    let here = if aggregate { total(&counts) } else { counts.first().copied() };
    if let Some(here) = here {
        *sum = Some(if aggregate { sum.unwrap_or(0).saturating_add(here) } else { here });
    }
}

fn total(counts: &[u64]) -> Option<u64> {
    (!counts.is_empty()).then(|| counts.iter().fold(0u64, |sum, count| sum.saturating_add(*count)))
}

/// A number of tokens; negative, endless or absurd ones are ignored.
fn count(value: &Value) -> Option<u64> {
    let number = value.as_f64().filter(|number| (0.0..=1e12).contains(number))?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 10^12")]
    let whole = number as u64;
    Some(whole)
}

fn as_text(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    crate::util::text::head_bytes(&text, MAX_RESULT).to_owned()
}

/// Calls `line` for every line that is not longer than [`MAX_LINE`]; counts the others.
fn each_line(mut from: impl BufRead, dropped: &mut u64, mut line: impl FnMut(&[u8])) {
    let mut kept: Vec<u8> = Vec::new();
    let mut too_long = false;
    // What was read before an error is what there is.
    while let Ok(chunk) = from.fill_buf() {
        if chunk.is_empty() {
            break;
        }
        let end = memchr::memchr(b'\n', chunk);
        let part = &chunk[..end.unwrap_or(chunk.len())];
        if kept.len() + part.len() > MAX_LINE {
            too_long = true;
            kept.clear();
        }
        if !too_long {
            kept.extend_from_slice(part);
        }
        let used = part.len() + usize::from(end.is_some());
        from.consume(used);
        if end.is_some() {
            if too_long {
                *dropped += 1;
            } else {
                line(&kept);
            }
            kept.clear();
            too_long = false;
        }
    }
    if too_long {
        *dropped += 1;
    } else if !kept.is_empty() {
        line(&kept);
    }
}
