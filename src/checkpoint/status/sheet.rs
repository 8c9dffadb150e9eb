//! A sheet in the checkpoint object.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::exec::{
    AttemptEnd, AttemptSummary, JobSpec, Mode, OPTIONS, OutcomeCategory, Sheet, SheetSpec, SheetState,
    SkipReason, background, dollars,
};
use crate::time::Now;

use super::attempt::{add_evidence, category, context, summary, time};
use super::cost_of;

/// The sheet object of a checkpoint.
#[must_use]
pub fn sheet_json(spec: &JobSpec, sheet: &Sheet, now: Now) -> Value {
    let planned = &spec.sheets[sheet.num.index()];
    let ledger = &sheet.ledger;
    let (passed, executed) = match ledger.pass_percentage {
        Some(share) => (Some(share >= 100.0), Some(share)),
        None => (None, None),
    };
    let started = ledger.attempt_count > 0;
    let mut object = json!({
        "sheet_num": sheet.num,
        "status": sheet.state.as_str(),
        "display_status": display(sheet, now),
        "skip_reason": skip_reason(&sheet.state).map(SkipReason::as_str),
        "description": *planned.description,
        "movement": planned.stage,
        "voice": planned.instance,
        "started_at": time(ledger.started),
        "completed_at": time(sheet.state.ended_at()),
        "last_activity_at": time(ledger.last_activity),
        "attempt_count": ledger.attempt_count,
        "normal_attempts": ledger.normal_attempts,
        "completion_attempts": ledger.completion_attempts,
        "healing_attempts": ledger.healing_attempts,
        "crash_interruptions": ledger.crash_interruptions,
        "max_retries": spec.retry.max_retries,
        "max_completion": spec.retry.max_completion_attempts,
        "attempt_id": ledger.last_attempt.map(|attempt| attempt.to_string()),
        "execution_mode": started.then_some(ledger.mode),
        "error_message": ledger.error.as_ref().map(|error| error.message.as_str()).or(ledger.note.as_deref()),
        "error_code": ledger.error.as_ref().map(|error| error.code),
        "error_category": ledger.error.as_ref().map(|error| category(error.code)),
        "total_duration_seconds": ledger.total_duration_seconds,
        "validation_passed": passed,
        "last_pass_percentage": executed,
        "outcome_category": outcome(sheet).map(OutcomeCategory::as_str),
        "success_without_retry": outcome(sheet) == Some(OutcomeCategory::SuccessFirstTry),
        "sheet_timeout_seconds": limit(planned, sheet).as_secs_f64(),
        "estimated_cost": cost_of(&ledger.spent),
        "total_cost_usd": dollars(ledger.spent.cost_micro),
        "cost_confidence": ledger.spent.confidence,
        "escalation": escalation(sheet),
        "skip_requested": ledger.skip_queued,
        "fingerprint": *planned.fingerprint,
        "changed_since_run": ledger.changed_since_run,
    });
    let members = object.as_object_mut().expect("built as an object just above");
    for part in [instrument_json(planned, sheet), history_json(sheet)] {
        if let Value::Object(part) = part {
            members.extend(part);
        }
    }
    match &sheet.state {
        SheetState::Waiting { until } => {
            members.insert("rate_limit_expires_at".to_owned(), time(Some(until.wall)));
        }
        SheetState::RetryScheduled { until } => {
            members.insert("fire_at".to_owned(), time(Some(until.wall)));
        }
        SheetState::Dispatched(active) | SheetState::InProgress(active) => {
            members.insert("process".to_owned(), json!({ "pid": active.pid, "token": active.token }));
        }
        SheetState::Pending
        | SheetState::Fermata(_)
        | SheetState::Completed { .. }
        | SheetState::Failed { .. }
        | SheetState::Skipped { .. }
        | SheetState::Cancelled { .. } => {}
    }
    if let Some(evidence) = &ledger.evidence {
        add_evidence(members, evidence);
    }
    object
}

/// How long the program of a sheet may run, on the instrument that it is on.
fn limit(planned: &SheetSpec, sheet: &Sheet) -> Duration {
    let at = (sheet.ledger.instrument_index as usize).min(planned.limits.len().saturating_sub(1));
    planned.limits.get(at).copied().unwrap_or(planned.timeout)
}

/// The last question to a person about a sheet, and the answer.
fn escalation(sheet: &Sheet) -> Option<Value> {
    let entry = sheet.ledger.escalation.as_ref()?;
    let options: &[&str] = if entry.decision.is_none() { &OPTIONS } else { &[] };
    let mut object = json!({
        "reason": entry.reason,
        "options": options,
        "since": time(Some(entry.since)),
        "deadline": time(entry.deadline),
        "decision": entry.decision,
        "by": entry.by,
        "note": entry.note,
        "decided_at": time(entry.decided),
    });
    if entry.decision.is_none() {
        for (name, value) in background(&sheet.ledger) {
            object[name] = value;
        }
    }
    Some(object)
}

/// What a sheet runs on, and what it ran on before.
fn instrument_json(planned: &SheetSpec, sheet: &Sheet) -> Value {
    let at = (sheet.ledger.instrument_index as usize).min(planned.instruments.len() - 1);
    let instrument = &planned.instruments[at];
    // A sheet that is over ran on what it ran on, whatever a changed score says by now.
    let ran_on = sheet.ledger.attempts.last().filter(|_| sheet.state.is_terminal());
    let (name, model) = match ran_on {
        Some(attempt) => (&attempt.instrument, &attempt.model),
        None => (&instrument.name, &instrument.model),
    };
    let chain: Vec<&str> = planned.instruments.iter().skip(1).map(|one| one.name.as_ref()).collect();
    let changes = sheet.ledger.fallbacks.iter().map(|entry| {
        json!({
            "from": *entry.from,
            "to": *entry.to,
            "reason": entry.reason,
            "timestamp": entry.at.to_string(),
        })
    });
    json!({
        "instrument_name": **name,
        "instrument_model": model.as_deref(),
        "model": model.as_deref(),
        "fallback_chain": chain,
        "current_instrument_index": at,
        "fallback_attempts": fallback_attempts(sheet),
        "instrument_fallback_history": changes.collect::<Vec<_>>(),
    })
}

/// What a sheet has been through.
fn history_json(sheet: &Sheet) -> Value {
    let ledger = &sheet.ledger;
    let errors = ledger.errors.iter().map(|entry| {
        json!({
            "timestamp": entry.at.to_string(),
            "error_type": entry.error.code.kind(),
            "error_code": entry.error.code,
            "error_message": entry.error.message,
            "attempt_number": entry.attempt_count,
            "attempt": entry.attempt,
            "context": entry.seen.as_ref().map_or_else(|| json!({}), |seen| context(seen)),
            "stdout_tail": entry.seen.as_ref().map(|seen| seen.stdout_tail.as_str()),
            "stderr_tail": entry.seen.as_ref().map(|seen| seen.stderr_tail.as_str()),
        })
    });
    json!({
        "input_tokens": ledger.input_tokens,
        "output_tokens": ledger.output_tokens,
        "error_history": errors.collect::<Vec<_>>(),
        "attempts": ledger.attempts.iter().map(summary).collect::<Vec<_>>(),
    })
}

const fn skip_reason(state: &SheetState) -> Option<SkipReason> {
    match state {
        SheetState::Skipped { reason, .. } => Some(*reason),
        _ => None,
    }
}

/// `retry in 45s`, `rate limited, clears in 12m`.
fn display(sheet: &Sheet, now: Now) -> Option<String> {
    let left = |until: crate::time::Deadline| {
        let seconds = until.wall.since(now.wall).as_secs();
        match seconds {
            0..60 => format!("{seconds}s"),
            60..7200 => format!("{}m", seconds.div_ceil(60)),
            _ => format!("{}h {}m", seconds / 3600, seconds % 3600 / 60),
        }
    };
    match &sheet.state {
        SheetState::Waiting { until } => Some(format!("rate limited, clears in {}", left(*until))),
        SheetState::RetryScheduled { until } => Some(format!("retry in {}", left(*until))),
        SheetState::Fermata(question) => {
            let seconds = now.wall.since(question.since).as_secs();
            let since = if seconds < 60 { format!("{seconds}s") } else { format!("{}m", seconds / 60) };
            Some(format!("waiting {since} for a decision: {}", question.reason))
        }
        _ => None,
    }
}

/// How a sheet ended; for records of older programs as well as can be told.
fn outcome(sheet: &Sheet) -> Option<OutcomeCategory> {
    let ledger = &sheet.ledger;
    match &sheet.state {
        SheetState::Completed { .. } => {
            Some(ledger.outcome.unwrap_or(match (ledger.mode, ledger.attempt_count) {
                (Mode::Completion, _) => OutcomeCategory::SuccessCompletion,
                (Mode::Normal, 0 | 1) => OutcomeCategory::SuccessFirstTry,
                (Mode::Normal | Mode::Healing, _) => OutcomeCategory::SuccessRetry,
                (Mode::Recover, _) => OutcomeCategory::SuccessValidated,
            }))
        }
        SheetState::Failed { .. } => Some(ledger.outcome.unwrap_or(if ledger.normal_attempts <= 1 {
            OutcomeCategory::FailedFatal
        } else {
            OutcomeCategory::FailedExhausted
        })),
        SheetState::Skipped { .. } => ledger.outcome,
        _ => None,
    }
}

fn fallback_attempts(sheet: &Sheet) -> Map<String, Value> {
    let mut map = Map::new();
    let real = |attempt: &&AttemptSummary| attempt.outcome != AttemptEnd::NotStarted;
    for attempt in sheet.ledger.attempts.iter().filter(real) {
        let count = map.entry(attempt.instrument.as_ref()).or_insert_with(|| json!(0));
        *count = json!(count.as_u64().unwrap_or(0) + 1);
    }
    map
}
