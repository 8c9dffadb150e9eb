//! Attempts in the checkpoint object: what was seen of them and what came of their rules.

use serde_json::{Map, Value, json};

use crate::classify::ErrorCode;
use crate::exec::{AttemptRecord, AttemptSummary, Evidence, RuleResult, Seen, dollars};
use crate::time::Wall;

/// How and where an error was seen.
pub(super) fn context(seen: &Seen) -> Value {
    json!({
        "method": seen.method,
        "evidence": seen.evidence,
        "exit_code": seen.exit_code,
        "exit_signal": seen.exit_signal,
        "further_errors": seen.further,
        "remedies": seen.remedies,
    })
}

/// What was seen of the last attempt that has ended.
pub(super) fn add_evidence(members: &mut Map<String, Value>, evidence: &Evidence) {
    let rules = &evidence.validations;
    let names = |passed: bool| -> Vec<String> {
        let of = rules.iter().filter(|rule| rule.passed == passed);
        of.map(|rule| rule.description.clone().unwrap_or_else(|| rule.rule_type.clone())).collect()
    };
    let log = |name: &str| {
        let known = !evidence.directory.is_empty();
        known.then(|| format!("{}/{name}", evidence.directory.trim_end_matches('/')))
    };
    let reason = match (&evidence.killed_by, evidence.exit_code) {
        (Some(by), _) if by == "timeout" || by == "idle" => Some("timeout"),
        (Some(_), _) => Some("killed"),
        (None, Some(0)) => Some("completed"),
        (None, Some(_)) => Some("error"),
        (None, None) => evidence.exit_signal.map(|_| "killed"),
    };
    let grounding = evidence.grounding.as_ref();
    let healing = (!evidence.remedies.is_empty()).then(|| json!({ "healing": evidence.remedies }));
    let tails = (evidence.stdout_tail.len() + evidence.stderr_tail.len()) as u64;
    for (name, value) in [
        ("exit_code", json!(evidence.exit_code)),
        ("exit_signal", json!(evidence.exit_signal)),
        ("exit_reason", json!(reason)),
        ("killed_by", json!(evidence.killed_by)),
        ("execution_duration_seconds", json!(evidence.duration_seconds)),
        ("cpu_seconds", json!(evidence.cpu_seconds)),
        ("max_rss_kib", json!(evidence.max_rss_kib)),
        ("stdout_tail", json!(evidence.stdout_tail)),
        ("stderr_tail", json!(evidence.stderr_tail)),
        ("output_truncated", json!(evidence.stdout_bytes.max(evidence.stderr_bytes) > tails)),
        ("output_log", json!(log("stdout.log"))),
        ("error_log", json!(log("stderr.log"))),
        ("validation_details", rules.iter().map(rule_json).collect()),
        ("passed_validations", json!(names(true))),
        ("failed_validations", json!(names(false))),
        ("preflight_warnings", json!(evidence.warnings)),
        ("prompt_metrics", json!(evidence.prompt)),
        ("agent_feedback", json!(evidence.feedback)),
        ("grounding_passed", json!(grounding.map(|it| it.passed))),
        ("grounding_confidence", json!(grounding.map(|it| it.confidence))),
        ("grounding_guidance", json!(grounding.and_then(|it| it.guidance.as_deref()))),
        ("outcome_data", json!(healing)),
    ] {
        members.insert(name.to_owned(), value);
    }
}

/// A rule and what came of it.
fn rule_json(rule: &RuleResult) -> Value {
    let mut object = json!(rule);
    let expected = match rule.rule_type.as_str() {
        "file_exists" => Some("a regular file"),
        "file_modified" => Some("a file that this attempt has changed"),
        "content_contains" | "content_regex" => rule.pattern.as_deref(),
        "command_succeeds" => Some("exit 0"),
        _ => None,
    };
    let broken = matches!(rule.failure_category.as_deref(), Some("error" | "timeout"));
    object["expected_value"] = expected.into();
    object["error_message"] = rule.failure_reason.as_deref().filter(|_| broken).into();
    object
}

/// One stored attempt in full.
#[must_use]
pub fn attempt_json(record: &AttemptRecord) -> Value {
    let closed = record.closed.as_ref();
    json!({
        "sheet_num": record.sheet,
        "attempt": record.attempt,
        "mode": record.mode,
        "instrument": record.instrument,
        "model": record.model,
        "started_at": time(Some(record.opened)),
        "ended_at": time(closed.map(|closed| closed.at)),
        "ending": record.ending,
        "outcome": closed.map(|closed| closed.outcome.as_ref()),
        "error_code": closed.and_then(|closed| closed.error.as_ref()).map(|error| error.code),
        "error_message": closed.and_then(|closed| closed.error.as_ref()).map(|error| error.message.as_str()),
        "pass_percentage": closed.and_then(|closed| closed.pass_percentage),
        "evidence": closed.map(|closed| &closed.evidence),
    })
}

pub(super) fn summary(attempt: &AttemptSummary) -> Value {
    json!({
        "attempt": attempt.attempt,
        "mode": attempt.mode,
        "instrument": *attempt.instrument,
        "model": attempt.model.as_deref(),
        "started_at": attempt.started.to_string(),
        "ended_at": attempt.ended.to_string(),
        "outcome": attempt.outcome.as_str(),
        "error_code": attempt.error_code,
        "exit_code": attempt.exit_code,
        "signal": attempt.signal,
        "input_tokens": attempt.input_tokens,
        "output_tokens": attempt.output_tokens,
        "cost_usd": attempt.cost_micro.map(dollars),
        "pass_percentage": attempt.pass_percentage,
        "log": *attempt.log,
    })
}

/// Category of a code by its first digit.
pub(super) fn category(code: ErrorCode) -> &'static str {
    match code.to_string().as_bytes().get(1) {
        Some(b'0') => "execution",
        Some(b'1') => "rate_limit",
        Some(b'2') => "validation",
        Some(b'3') => "configuration",
        Some(b'4') => "state",
        Some(b'5') => "backend",
        Some(b'6') => "preflight",
        Some(b'7') => "hook",
        Some(b'9') => "transient",
        _ => "unknown",
    }
}

pub(super) fn time(at: Option<Wall>) -> Value {
    at.map_or(Value::Null, |at| Value::String(at.to_string()))
}
