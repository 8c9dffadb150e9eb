//! `job.errors` and `job.history`: what the attempts of a job were like, from their records.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::checkpoint::JobRecord;
use crate::classify::ErrorCode;
use crate::exec::{AttemptRecord, SheetError};
use crate::ids::{JobId, SheetNo};
use crate::rpc::{RpcError, budget, params};
use crate::store::AttemptRow;
use crate::util::redact::redact;
use crate::util::text::{head_bytes, tail, tail_chars};

use super::Desk;
use super::job::unreadable;

/// Longest prompt and longest output of a record, bytes.
const EXCERPT: usize = 10 * 1024;
/// Characters of an output's end beside an error, unless everything is asked for.
const SHORT_TAIL: usize = 500;
/// Records keep their prompts and outputs up to this size of all together.
const EXCERPTS: usize = 1024 * 1024;

impl Desk {
    /// Every error of every attempt, by sheet and time, each with what showed it and what helps.
    pub(super) fn job_errors(&mut self, asked: &params::Status) -> Result<Value, RpcError> {
        let id = &asked.job_id;
        let state = self.status_value(id)?;
        let rows = self.reader.attempts(id, None).map_err(unreadable)?;
        let mut errors = Vec::new();
        let mut told: Vec<(u32, Value)> = Vec::new();
        for (nth, row) in numbered(&rows) {
            let Some(record) = decode(row) else { continue };
            if let Some(error) = error_of(&record, nth, asked.full) {
                told.push((record.sheet.0, error["error_code"].clone()));
                errors.push((record.sheet.0, error));
            }
        }
        // What no attempt says: a budget that was spent, a decision, a sheet of an older program.
        let sheets = state["sheets"].as_object().into_iter().flatten();
        for (_, sheet) in sheets.filter(|(_, sheet)| sheet["status"] == "failed") {
            let num = sheet["sheet_num"].as_u64().and_then(|num| u32::try_from(num).ok()).unwrap_or(0);
            let known = told.iter().any(|(of, code)| *of == num && *code == sheet["error_code"]);
            if !known && !sheet["error_message"].is_null() {
                errors.push((num, of_sheet(num, sheet)));
            }
        }
        // A job that failed because of its sheets repeats what they say.
        let own = |message: &&str| errors.is_empty() || !message.starts_with("Sheet ");
        if state["error_message"].as_str().filter(own).is_some() {
            errors.push((0, of_job(&state)));
        }
        errors.sort_by_key(|(sheet, _)| *sheet);
        let errors = errors.into_iter().map(|(_, error)| error).collect();
        let limit = if asked.full { budget::HARD } else { budget::PREFERRED };
        Ok(fit(state, errors, limit))
    }

    /// The newest attempts first.
    pub(super) fn job_history(&mut self, asked: &params::History) -> Result<Value, RpcError> {
        let id = &asked.job_id;
        let row = self.reader.job(id.as_str()).map_err(unreadable)?;
        if row.is_none() && self.view.live(id).is_none() {
            return Err(RpcError::JobNotFound(id.clone()));
        }
        let runs = row
            .and_then(|row| row.state_json)
            .and_then(|state| JobRecord::decode(&state).ok())
            .map_or(1, |record| record.ledger.run_epoch);
        let rows = self.reader.attempts(id, asked.sheet_num).map_err(unreadable)?;
        let mut room = EXCERPTS;
        let mut records = Vec::new();
        for (nth, row) in numbered(&rows).into_iter().rev().take(asked.limit) {
            let Some(record) = decode(row) else { continue };
            records.push(history_of(id, &record, nth, &mut room));
        }
        let mut answer = json!({
            "job_id": id, "records": records, "has_history": true, "total_attempts": rows.len(), "runs": runs,
        });
        if room == 0 {
            answer["trimmed"] = true.into();
        }
        Ok(answer)
    }
}

/// Attempts with their number among those of their sheet, from 1.
fn numbered(rows: &[AttemptRow]) -> Vec<(u32, &AttemptRow)> {
    let mut counts: HashMap<SheetNo, u32> = HashMap::new();
    rows.iter()
        .map(|row| {
            let count = counts.entry(row.sheet).or_default();
            *count += 1;
            (*count, row)
        })
        .collect()
}

fn decode(row: &AttemptRow) -> Option<AttemptRecord> {
    serde_json::from_str(&row.data)
        .inspect_err(|error| log::warn!("job.attempt_unreadable attempt={} error={error}", row.attempt.0))
        .ok()
}

/// The error of an attempt, if it had one.
fn error_of(record: &AttemptRecord, nth: u32, full: bool) -> Option<Value> {
    let closed = record.closed.as_ref()?;
    let error = closed.error.as_ref()?;
    let evidence = &closed.evidence;
    let end = |text: &str| if full { text.to_owned() } else { tail_chars(text, SHORT_TAIL).to_owned() };
    let failed: Vec<Value> = evidence
        .validations
        .iter()
        .filter(|rule| !rule.passed)
        .map(|rule| {
            json!({
                "rule": rule.description.as_ref().or(rule.path.as_ref()).unwrap_or(&rule.rule_type),
                "reason": rule.failure_reason, "suggested_fix": rule.suggested_fix,
            })
        })
        .collect();
    let mut value = described(record.sheet.0, error);
    let more = json!({
        "attempt": nth,
        "attempt_number": nth,
        "attempt_id": record.attempt,
        "timestamp": closed.at.to_string(),
        "outcome": closed.outcome,
        "mode": record.mode,
        "instrument": record.instrument,
        "model": record.model,
        "exit_code": evidence.exit_code,
        "exit_signal": evidence.exit_signal,
        "killed_by": evidence.killed_by,
        "method": evidence.error_method,
        "evidence": evidence.error_evidence,
        "further_errors": evidence.further_errors.iter().map(|error| described(record.sheet.0, error)).collect::<Vec<_>>(),
        "remedies": evidence.remedies,
        "failed_validations": failed,
        "stdout_tail": end(&evidence.stdout_tail),
        "stderr_tail": end(&evidence.stderr_tail),
    });
    if let (Value::Object(value), Value::Object(more)) = (&mut value, more) {
        value.extend(more);
    }
    Some(value)
}

/// What the code of an error says.
fn described(sheet: u32, error: &SheetError) -> Value {
    let meaning = error.code.meaning();
    json!({
        "sheet_num": sheet,
        "error_code": error.code,
        "error_name": meaning.name,
        "category": meaning.category.to_string(),
        "error_type": error.code.kind(),
        "retriable": meaning.retriable,
        "severity": meaning.severity.to_string(),
        "message": error.message,
        "error_message": error.message,
        "hint": meaning.hint,
    })
}

/// The error that a status object has of a sheet or of the job (`num` 0), with what its code says.
fn of_state(num: u32, state: &Value, more: Value) -> Value {
    let code = ErrorCode::deserialize(&state["error_code"]).unwrap_or(ErrorCode::E999);
    let message = state["error_message"].as_str().unwrap_or_default().to_owned();
    let mut value = described(num, &SheetError { code, message });
    value["timestamp"] = state["completed_at"].clone();
    if let (Value::Object(value), Value::Object(more)) = (&mut value, more) {
        value.extend(more);
    }
    value
}

fn of_sheet(num: u32, sheet: &Value) -> Value {
    let attempt = &sheet["attempt_count"];
    of_state(num, sheet, json!({ "attempt": attempt, "attempt_number": attempt }))
}

fn of_job(state: &Value) -> Value {
    of_state(0, state, json!({ "attempt": null, "category": "job" }))
}

/// Both parts in at most `limit` bytes where that is possible: tails go first, then the details of
/// the state, then the oldest errors.
fn fit(state: Value, mut errors: Vec<Value>, limit: usize) -> Value {
    let size = |errors: &[Value]| errors.iter().map(|error| budget::size(error) + 1).sum::<usize>();
    let mut trimmed = false;
    if size(&errors) * 2 > limit {
        trimmed = true;
        for error in errors.iter_mut().filter_map(Value::as_object_mut) {
            error.shift_remove("stdout_tail");
            error.shift_remove("stderr_tail");
        }
        let mut left = size(&errors);
        let mut gone = 0;
        while left * 2 > limit && gone + 1 < errors.len() {
            left -= budget::size(&errors[gone]) + 1;
            gone += 1;
        }
        errors.drain(..gone);
    }
    let rest = limit.saturating_sub(size(&errors) + 64);
    let mut answer = json!({ "state": budget::fit(state, rest), "errors": errors });
    if trimmed {
        answer["trimmed"] = true.into();
    }
    answer
}

fn history_of(id: &JobId, record: &AttemptRecord, nth: u32, room: &mut usize) -> Value {
    let closed = record.closed.as_ref();
    let evidence = closed.map(|closed| &closed.evidence);
    let mut excerpt = |text: Option<String>| {
        let text = text.map(|text| redact(head_bytes(&text, EXCERPT)))?;
        let fits = text.len() <= *room;
        *room = if fits { *room - text.len() } else { 0 };
        fits.then_some(text)
    };
    let prompt = excerpt(evidence.and_then(|evidence| prompt(&evidence.directory)));
    let output = excerpt(evidence.map(|evidence| tail(evidence.stdout_tail.as_bytes(), EXCERPT)));
    let error = closed.and_then(|closed| closed.error.as_ref());
    json!({
        "id": record.attempt,
        "job_id": id,
        "sheet_num": record.sheet,
        "attempt_num": nth,
        "prompt": prompt,
        "output": output,
        "exit_code": evidence.and_then(|evidence| evidence.exit_code),
        "exit_signal": evidence.and_then(|evidence| evidence.exit_signal),
        "duration_seconds": evidence.map(|evidence| evidence.duration_seconds),
        "executed_at": record.opened.to_string(),
        "ended_at": closed.map(|closed| closed.at.to_string()),
        "outcome": closed.map_or("running", |closed| closed.outcome.as_ref()),
        "mode": record.mode,
        "instrument": record.instrument,
        "model": record.model,
        "error_code": error.map(|error| error.code),
        "error_message": error.map(|error| error.message.as_str()),
        "pass_percentage": closed.and_then(|closed| closed.pass_percentage),
        "input_tokens": evidence.and_then(|evidence| evidence.input_tokens),
        "output_tokens": evidence.and_then(|evidence| evidence.output_tokens),
        "cost_usd": evidence.and_then(|evidence| evidence.cost_micro).map(dollars),
        "cost_confidence": evidence.map(|evidence| evidence.cost_confidence),
        "directory": evidence.map(|evidence| evidence.directory.as_ref()),
    })
}

/// Micro-dollars as dollars.
#[expect(clippy::cast_precision_loss, reason = "exact up to nine billion dollars")]
pub(super) fn dollars(micro: u64) -> f64 {
    micro as f64 / 1e6
}

/// The prompt of an attempt whose instrument got it by stdin or file.
fn prompt(directory: &str) -> Option<String> {
    if directory.is_empty() {
        return None;
    }
    let bytes = crate::file::read(&Path::new(directory).join("prompt"), EXCERPT as u64).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_errors_lose_their_tails_first_and_then_the_oldest_go() {
        let error =
            |n: usize| json!({"sheet_num": n, "message": "x".repeat(300), "stdout_tail": "y".repeat(500)});
        let errors: Vec<Value> = (0..200).map(error).collect();
        let answer = fit(json!({"job_id": "x", "sheets": {}}), errors, 40_000);
        assert!(budget::size(&answer) <= 40_000, "{}", budget::size(&answer));
        assert_eq!(answer["trimmed"], true);
        let kept = answer["errors"].as_array().map_or(&[][..], Vec::as_slice);
        assert_eq!(kept.last().map(|last| &last["sheet_num"]), Some(&json!(199)));
        assert!(kept.iter().all(|error| error.get("stdout_tail").is_none()));
        let small = fit(json!({}), vec![error(1)], 40_000);
        assert!(small.get("trimmed").is_none() && small["errors"][0]["stdout_tail"].is_string());
    }

    #[test]
    fn attempts_are_counted_per_sheet() {
        let row = |attempt, sheet| AttemptRow {
            attempt: crate::ids::AttemptNo(attempt),
            sheet: SheetNo(sheet),
            token: String::new(),
            open: false,
            data: String::new(),
        };
        let rows = [row(1, 1), row(2, 2), row(3, 1)];
        let nth: Vec<u32> = numbered(&rows).iter().map(|(nth, _)| *nth).collect();
        assert_eq!(nth, [1, 1, 2]);
    }
}
