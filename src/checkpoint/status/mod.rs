//! The checkpoint object that `job.status` serves, and the clients of every generation read.
//!
//! Member names and the words of the states never change; members are only added.
//! Trimming it to the size of an answer is the server's business.

mod attempt;
mod sheet;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::classify::ErrorCode;
use crate::exec::{
    AttemptRecord, Counts, HookResult, JobSpec, JobState, JobStatus, PauseFlag, Sheet, SheetState, Spent,
    display_status, dollars,
};
use crate::ids::JobId;
use crate::time::{Now, Wall};

use attempt::time;

pub use attempt::attempt_json;
pub use sheet::sheet_json;

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
pub(super) fn cost_of(spent: &Spent) -> Option<f64> {
    let known = spent.attempts == 0 || spent.unpriced < spent.attempts || spent.cost_micro > 0;
    known.then(|| dollars(spent.cost_micro))
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
