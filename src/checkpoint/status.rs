//! The checkpoint object that `job.status` serves, and the clients of every generation read.
//!
//! Member names and the words of the states never change; members are only added.
//! Trimming it to the size of an answer is the server's business.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::classify::ErrorCode;
use crate::exec::{
    AttemptEnd, AttemptRecord, AttemptSummary, Counts, Evidence, HookResult, JobSpec, JobState, JobStatus,
    Mode, OPTIONS, OutcomeCategory, PauseFlag, RuleResult, Seen, Sheet, SheetSpec, SheetState, SkipReason,
    Spent, background, display_status, dollars,
};
use crate::ids::JobId;
use crate::time::{Now, Wall};

/// What the conductor knows of a job beyond its execution.
#[derive(Debug, Clone)]
pub struct Meta {
    /// Name of the job; also its `job_name`.
    pub job_id: JobId,
    /// Absolute path of the score.
    pub config_path: String,
    /// Absolute path of the workspace.
    pub workspace: String,
    /// When it was submitted.
    pub submitted: Wall,
    /// Process that runs it, while one does.
    pub pid: Option<u32>,
    /// The boot of the machine in which that process runs; "" where the system names none.
    pub boot_id: String,
    /// SHA-256 of the score's text.
    pub config_hash: String,
    /// How many jobs of its chain came before.
    pub chain_depth: u32,
    /// The job whose hook submitted it.
    pub parent: Option<JobId>,
    /// The chain as a whole.
    pub concert: Option<String>,
    /// `parallel.enabled` of the score.
    pub parallel: bool,
}

/// The checkpoint object. `attempts` are the stored attempts of the job, when they were asked for:
/// each sheet then has them in full as `attempt_records`.
#[must_use]
pub fn status_json(
    meta: &Meta,
    spec: &JobSpec,
    job: &JobState,
    sheets: &[Arc<Sheet>],
    attempts: Option<&[AttemptRecord]>,
    now: Now,
) -> Value {
    let counts = Counts::of(sheets);
    let active: Vec<u32> =
        sheets.iter().filter(|sheet| sheet.state.active().is_some()).map(|sheet| sheet.num.0).collect();
    let in_order = sheets.iter().take_while(|sheet| sheet.state.satisfies()).count();
    let resume_at = sheets.iter().filter_map(|sheet| sheet.state.held_until()).map(|until| until.wall).min();
    let used: BTreeSet<&str> = sheets
        .iter()
        .flat_map(|sheet| sheet.ledger.attempts.iter().map(|attempt| attempt.instrument.as_ref()))
        .collect();
    let tokens = |of: fn(&Sheet) -> Option<u64>| sheets.iter().filter_map(|sheet| of(sheet)).sum::<u64>();
    let mut map = Map::new();
    for sheet in sheets {
        let mut value = sheet_json(spec, sheet, now);
        if let Some(attempts) = attempts {
            let of_sheet = attempts.iter().filter(|attempt| attempt.sheet == sheet.num);
            value["attempt_records"] = of_sheet.map(attempt_json).collect();
        }
        map.insert(sheet.num.to_string(), value);
    }
    let ledger = &job.ledger;
    let movements = spec.sheets.iter().map(|sheet| sheet.stage).max();
    let mut object = json!({
        "schema_version": super::SCHEMA_VERSION,
        "job_id": meta.job_id,
        "job_name": meta.job_id,
        "status": wire_status(job.status),
        "display_status": display_status(job),
        "pause_flags": pause_flags(job),
        "config_path": meta.config_path,
        "workspace": meta.workspace,
        "created_at": time(Some(meta.submitted)),
        "updated_at": time(Some(ledger.updated)),
        "started_at": time(ledger.started),
        "run_started_at": time(ledger.run_started),
        "completed_at": time(ledger.completed),
        "total_sheets": sheets.len(),
        "total_movements": movements,
        "last_completed_sheet": in_order,
        "completed_count": counts.completed,
        "failed_count": counts.failed,
        "skipped_count": counts.skipped + counts.blocked,
        "cancelled_count": counts.cancelled,
        "fermata_count": counts.fermata,
        "current_sheet": active.first(),
        "sheets_in_progress": active,
        "run_epoch": ledger.run_epoch,
        "error_message": ledger.error,
        "error_code": error_code(job, sheets),
        "total_retry_count": ledger.total_retry_count,
        "rate_limit_waits": ledger.rate_limit_waits,
        "quota_waits": ledger.quota_waits,
        "resume_at": time(resume_at),
        "instruments_used": used,
        "total_input_tokens": tokens(|sheet| sheet.ledger.input_tokens),
        "total_output_tokens": tokens(|sheet| sheet.ledger.output_tokens),
        "parallel_enabled": meta.parallel,
        "parallel_max_concurrent": spec.max_parallel,
        "parallel_batches_executed": ledger.waves,
        "sheets": map,
    });
    let members = object.as_object_mut().expect("built as an object just above");
    for part in [identity(meta, job), job_cost(spec, job), surroundings(spec, job)] {
        if let Value::Object(part) = part {
            members.extend(part);
        }
    }
    if !spec.movements.is_empty() {
        members.insert("movements".to_owned(), super::movements::movements(spec, sheets));
    }
    object
}

/// What the job was made from, by whom it was submitted and who runs it.
fn identity(meta: &Meta, job: &JobState) -> Value {
    let runs = matches!(job.status, JobStatus::Running | JobStatus::Finishing);
    json!({
        "config_hash": meta.config_hash,
        "pid": meta.pid.filter(|_| runs),
        "conductor_boot_id": runs.then_some(meta.boot_id.as_str()).filter(|id| !id.is_empty()),
        "chain_depth": meta.chain_depth,
        "parent_job_id": meta.parent,
        "concert_id": meta.concert,
    })
}

/// Why the job is paused, in words; a chain that waits for a person is one of them.
fn pause_flags(job: &JobState) -> Vec<&'static str> {
    let chain = (job.status == JobStatus::PausedAtChain).then_some("chain");
    job.pause_flags.iter().map(|flag| flag.as_str()).chain(chain).collect()
}

/// The code of the job's error: its own, else that of the first sheet that failed.
fn error_code(job: &JobState, sheets: &[Arc<Sheet>]) -> Option<ErrorCode> {
    job.ledger.error.as_ref()?;
    let failed = sheets.iter().find(|sheet| matches!(sheet.state, SheetState::Failed { .. }));
    let of_sheet = || failed.and_then(|sheet| sheet.ledger.error.as_ref()).map(|error| error.code);
    job.ledger.error_code.or_else(of_sheet)
}

/// What the job has spent, and what it may spend.
fn job_cost(spec: &JobSpec, job: &JobState) -> Value {
    let ledger = &job.ledger;
    let instruments: Map<String, Value> = ledger
        .instruments
        .iter()
        .map(|(name, spent)| (name.as_ref().to_owned(), spent_json(spent)))
        .collect();
    let budget = &spec.budget;
    let over = budget.job_cost.is_some_and(|limit| ledger.spent.cost_micro > limit)
        || budget.job_tokens.is_some_and(|limit| ledger.spent.tokens() > limit);
    json!({
        "total_estimated_cost": cost_of(&ledger.spent),
        "cost_confidence": ledger.spent.confidence,
        "cost_limit_reached": over || job.pause_flags.contains(&PauseFlag::Cost),
        "cost_by_instrument": instruments,
        "cost_limits": {
            "max_cost_per_sheet": budget.sheet_cost.map(dollars),
            "max_cost_per_job": budget.job_cost.map(dollars),
            "max_tokens_per_sheet": budget.sheet_tokens,
            "max_tokens_per_job": budget.job_tokens,
        },
    })
}

/// What was done before the sheets and is done after them.
fn surroundings(spec: &JobSpec, job: &JobState) -> Value {
    let ledger = &job.ledger;
    let set_up = ledger.set_up.as_ref();
    let worktree = set_up.and_then(|set_up| set_up.worktree.as_ref());
    let held = match (&ledger.finishing, job.status) {
        (Some(finishing), JobStatus::PausedAtChain) => {
            let hooks = if finishing.failed { &spec.hooks.on_failure } else { &spec.hooks.on_success };
            let description = hooks.get(finishing.hook).and_then(|hook| hook.description.as_deref());
            Some(json!({ "hook": finishing.hook, "description": description }))
        }
        _ => None,
    };
    let results = |all: &[HookResult]| all.iter().map(|result| json!(result)).collect::<Vec<_>>();
    let remarks = ledger.remarks.iter().map(|remark| {
        json!({ "timestamp": remark.at.to_string(), "sheet_num": remark.sheet, "message": remark.message })
    });
    let failed = ledger.failed_hooks();
    json!({
        "worktree_path": worktree.map(|it| it.path.as_str()),
        "worktree_branch": worktree.and_then(|it| it.branch.as_deref()),
        "worktree_base_commit": worktree.map(|it| it.base_commit.as_str()),
        "worktree_locked": worktree.is_some_and(|it| it.locked),
        "isolation_fallback_used": set_up.is_some_and(|it| it.isolation_fallback),
        "isolation_mode": set_up.map(|_| if worktree.is_some() { "worktree" } else { "none" }),
        "archive_path": set_up.and_then(|it| it.archive.as_deref()),
        "hook_results": results(&ledger.hook_results),
        "hooks_failed": failed > 0,
        "hook_failures": failed,
        "held_chain_hook": held,
        "checkpoint": ledger.checkpoint.as_ref().map(|at| {
            json!({ "sheet_num": at.sheet, "name": at.name, "message": at.message })
        }),
        "recovering": ledger.recovery.is_some(),
        "warnings": remarks.collect::<Vec<_>>(),
    })
}

fn spent_json(spent: &Spent) -> Value {
    json!({
        "attempts": spent.attempts,
        "cost_usd": cost_of(spent),
        "cost_confidence": spent.confidence,
        "input_tokens": spent.input_tokens,
        "output_tokens": spent.output_tokens,
    })
}

/// Dollars; `None` when no attempt had a price, which is not the same as nothing.
fn cost_of(spent: &Spent) -> Option<f64> {
    let known = spent.attempts == 0 || spent.unpriced < spent.attempts || spent.cost_micro > 0;
    known.then(|| dollars(spent.cost_micro))
}

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

/// How and where an error was seen.
fn context(seen: &Seen) -> Value {
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
fn add_evidence(members: &mut Map<String, Value>, evidence: &Evidence) {
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

fn summary(attempt: &AttemptSummary) -> Value {
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

/// Clients of the first generation know no `queued`.
const fn wire_status(status: JobStatus) -> &'static str {
    match status {
        JobStatus::Queued => "pending",
        // They know no phase after the sheets either.
        JobStatus::Finishing => "running",
        JobStatus::Running
        | JobStatus::PausedAtChain
        | JobStatus::Paused
        | JobStatus::Completed
        | JobStatus::Failed
        | JobStatus::Cancelled => status.as_str(),
    }
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

/// Category of a code by its first digit.
fn category(code: ErrorCode) -> &'static str {
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

fn time(at: Option<Wall>) -> Value {
    at.map_or(Value::Null, |at| Value::String(at.to_string()))
}
