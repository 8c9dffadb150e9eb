//! What is told about a job: names and fields of its events.

use serde_json::{Value, json};

use super::{Counts, Execution, JobEvent};
use crate::ids::SheetNo;

/// An event of the job itself.
pub(super) const fn job(name: &'static str, data: Value) -> JobEvent {
    JobEvent { name, sheet: 0, data }
}

/// An event of one sheet.
pub(super) const fn sheet(name: &'static str, num: SheetNo, data: Value) -> JobEvent {
    JobEvent { name, sheet: num.0, data }
}

pub(super) fn begun(epoch: u32, sheets: usize, instrument: &str) -> JobEvent {
    if epoch > 1 {
        job("job.resuming", json!({ "sheet_count": sheets, "run_epoch": epoch }))
    } else {
        job("job.started", json!({ "sheet_count": sheets, "instrument": instrument }))
    }
}

pub(super) fn progress(counts: &Counts, total: usize) -> JobEvent {
    job("job.progress", json!({ "completed": counts.satisfied(), "total": total }))
}

pub(super) fn sheet_started(exec: &Execution, num: SheetNo, pid: u32) -> JobEvent {
    let instrument = exec.instrument(num);
    let data = json!({
        "attempt": exec.sheets[num.index()].ledger.attempt_count,
        "instrument": *instrument.name,
        "model": instrument.model.as_deref(),
        "pid": pid,
        "total_sheets": exec.sheets.len(),
    });
    sheet("sheet.started", num, data)
}

/// The fields that every result of an attempt has. Read before the sheet changes its instrument.
pub(super) fn result(exec: &Execution, num: SheetNo, success: bool, rate_limited: bool) -> Value {
    let ledger = &exec.sheets[num.index()].ledger;
    let instrument = exec.instrument(num);
    json!({
        "instrument": *instrument.name,
        "attempt": ledger.attempt_count,
        "success": success,
        "validation_pass_rate": ledger.pass_percentage,
        "cost_usd": null,
        "duration_seconds": ledger.evidence.as_ref().map_or(0.0, |evidence| evidence.duration_seconds),
        "rate_limited": rate_limited,
        "error_classification": ledger.error.as_ref().map(|error| error.code.to_string()),
        "model_used": instrument.model.as_deref(),
        "total_sheets": exec.sheets.len(),
    })
}
