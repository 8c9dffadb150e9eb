//! What a status says of the stages of a job, for scores that name any of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::exec::{JobSpec, Sheet, SheetState};

/// One entry for each stage, in their order.
pub(super) fn movements(spec: &JobSpec, sheets: &[Arc<Sheet>]) -> Value {
    let mut stages: BTreeMap<u32, Vec<&Sheet>> = BTreeMap::new();
    for sheet in sheets {
        stages.entry(spec.sheets[sheet.num.index()].stage).or_default().push(sheet);
    }
    stages.iter().map(|(&stage, of_stage)| movement(spec, stage, of_stage)).collect()
}

fn movement(spec: &JobSpec, stage: u32, sheets: &[&Sheet]) -> Value {
    let instruments: BTreeSet<&str> = sheets
        .iter()
        .map(|sheet| {
            let chain = &spec.sheets[sheet.num.index()].instruments;
            chain[(sheet.ledger.instrument_index as usize).min(chain.len() - 1)].name.as_ref()
        })
        .collect();
    let voices: BTreeSet<u32> = sheets.iter().map(|sheet| spec.sheets[sheet.num.index()].instance).collect();
    let completed = sheets.iter().filter(|it| matches!(it.state, SheetState::Completed { .. })).count();
    let name = spec.movements.get(&stage).map(AsRef::as_ref);
    json!({
        "movement": stage,
        "name": name,
        // The word of older clients for the same.
        "description": name,
        "status": status(sheets),
        "sheet_count": sheets.len(),
        "voice_count": voices.len(),
        "completed_count": completed,
        "instrument": instruments.first().filter(|_| instruments.len() == 1),
        "instruments": instruments,
        "sheets": sheets.iter().map(|sheet| sheet.num.0).collect::<Vec<_>>(),
    })
}

/// The stage as a whole, in the words of a sheet or a job.
fn status(sheets: &[&Sheet]) -> &'static str {
    let any = |test: fn(&SheetState) -> bool| sheets.iter().any(|sheet| test(&sheet.state));
    let open = any(|state| !state.is_terminal());
    let begun = any(|state| state.is_terminal() || state.active().is_some() || state.held_until().is_some());
    match (open, begun) {
        (true, true) => "running",
        (true, false) => "pending",
        (false, _) if any(|state| matches!(state, SheetState::Failed { .. })) => "failed",
        (false, _) if any(|state| matches!(state, SheetState::Cancelled { .. })) => "cancelled",
        (false, _) if any(|state| !state.satisfies()) => "skipped",
        (false, _) if any(|state| matches!(state, SheetState::Completed { .. })) => "completed",
        (false, _) => "skipped",
    }
}
