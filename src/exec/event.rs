//! What is told about a job: names and fields of its events.

use serde_json::{Map, Value, json};

use super::{Counts, Execution, JobEvent, account};
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
    job("job.progress", object([("completed", counts.satisfied().into()), ("total", total.into())]))
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
    let cost = ledger.evidence.as_ref().and_then(|evidence| evidence.cost_micro);
    let seconds = ledger.evidence.as_ref().map_or(0.0, |evidence| evidence.duration_seconds);
    object([
        ("instrument", instrument.name.as_ref().into()),
        ("attempt", ledger.attempt_count.into()),
        ("success", success.into()),
        ("validation_pass_rate", ledger.pass_percentage.into()),
        ("cost_usd", cost.map(account::dollars).into()),
        ("duration_seconds", seconds.into()),
        ("rate_limited", rate_limited.into()),
        ("error_classification", ledger.error.as_ref().map(|error| error.code.to_string()).into()),
        ("model_used", instrument.model.as_deref().into()),
        ("total_sheets", exec.sheets.len().into()),
    ])
}

/// What an attempt has cost, and its job so far.
pub(super) fn cost_update(num: SheetNo, cost: u64, total: u64) -> JobEvent {
    let data =
        [("cost_usd", account::dollars(cost).into()), ("total_cost_usd", account::dollars(total).into())];
    sheet("job.cost_update", num, object(data))
}

/// How the rules of an attempt went.
pub(super) fn rules(name: &'static str, num: SheetNo, share: f64, passed: u32, executed: u32) -> JobEvent {
    let data = [("pass_rate", share.into()), ("passed", passed.into()), ("executed", executed.into())];
    sheet(name, num, object(data))
}

/// An object whose map never grows: results are made for every attempt, and a step is short.
fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    let mut map = Map::with_capacity(N + 1);
    for (name, value) in members {
        map.insert(name.to_owned(), value);
    }
    Value::Object(map)
}
