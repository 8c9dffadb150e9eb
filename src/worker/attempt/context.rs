//! What a prompt may quote of earlier sheets: their results, kept beside their attempts.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use crate::exec::{Order, Sheet, SheetState};
use crate::ids::SheetNo;
use crate::score::CrossSheet;
use crate::template::Item;
use crate::util::{redact, text};
use crate::worker::brief::quote;

use super::Attempt;

/// Name of the file that holds the result of a sheet, beside its attempts.
const RESULT: &str = "result.txt";
/// What stands for the output of a sheet that was skipped on purpose.
const SKIPPED: &str = "[SKIPPED]";

impl Attempt<'_> {
    /// Fills `previous_outputs`, `synthesis`, `previous_files` and `skipped_upstream`.
    pub(super) fn add_context(&mut self, order: &Order, sheets: &[Arc<Sheet>], warnings: &mut Vec<String>) {
        let brief = self.brief();
        brief.add_round(&mut self.vars, order.retry_count, warnings);
        let skipped = self
            .dependencies()
            .into_iter()
            .filter(|num| sheets.get(num.index()).is_some_and(|sheet| sheet.state.is_skipped_on_purpose()));
        let skipped = skipped.map(|num| Item::Int(num.0.into())).collect();
        self.vars.set("skipped_upstream", Item::List(skipped));
        let Some(cross) = &self.prepared.score.cross_sheet else { return };
        if cross.auto_capture_stdout {
            let limit = usize::try_from(cross.max_output_chars).unwrap_or(usize::MAX);
            let outputs = self.outputs(cross, sheets, limit, warnings);
            self.vars.set("synthesis", self.synthesis(sheets, limit));
            self.vars.set("previous_outputs", Item::Map(outputs));
        }
    }

    fn outputs(
        &self,
        cross: &CrossSheet,
        sheets: &[Arc<Sheet>],
        limit: usize,
        warnings: &mut Vec<String>,
    ) -> Vec<(Item, Item)> {
        let mut outputs = Vec::new();
        for num in self.quoted(cross.lookback_sheets) {
            let Some(sheet) = sheets.get(num.index()) else { continue };
            let text = match &sheet.state {
                SheetState::Completed { .. } => match self.stored_result(sheet) {
                    Some(text) => quote(&text, limit),
                    None => {
                        warnings
                            .push(format!("the output of sheet {num} is gone; it is left out of the prompt"));
                        continue;
                    }
                },
                state if state.is_skipped_on_purpose() => SKIPPED.to_owned(),
                SheetState::Pending
                | SheetState::Dispatched(_)
                | SheetState::InProgress(_)
                | SheetState::Waiting { .. }
                | SheetState::RetryScheduled { .. }
                | SheetState::Fermata(_)
                | SheetState::Failed { .. }
                | SheetState::Skipped { .. }
                | SheetState::Cancelled { .. } => continue,
            };
            outputs.push((Item::Int(num.0.into()), Item::Str(text)));
        }
        outputs
    }

    /// The window before this sheet, and everything that it depends on even outside the window.
    fn quoted(&self, lookback: u32) -> BTreeSet<SheetNo> {
        let mut wanted = self.dependencies();
        wanted.extend(window(self.sheet.num, lookback).map(SheetNo));
        wanted.remove(&self.sheet.num);
        wanted
    }

    /// Everything that this sheet depends on, directly or not.
    fn dependencies(&self) -> BTreeSet<SheetNo> {
        let mut open: Vec<SheetNo> = self.sheet.after.clone();
        let mut seen = BTreeSet::new();
        while let Some(num) = open.pop() {
            if seen.insert(num) {
                let above = self.prepared.plan.sheets.get(num.index());
                open.extend(above.into_iter().flat_map(|sheet| &sheet.after));
            }
        }
        seen
    }

    /// The kept result of a sheet, else the tail of what its program printed.
    pub(super) fn stored_result(&self, sheet: &Sheet) -> Option<String> {
        let path = self.sheet_dir(sheet.num).join(RESULT);
        crate::file::read(&path, u64::MAX)
            .ok()
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .or_else(|| sheet.ledger.evidence.as_ref().map(|evidence| evidence.stdout_tail.clone()))
    }

    /// Keeps the result text of this sheet for those that come after it.
    pub(super) fn keep_result(&self, result: &str) {
        let Some(cross) = &self.prepared.score.cross_sheet else { return };
        if !cross.auto_capture_stdout {
            return;
        }
        let most = usize::try_from(cross.max_output_chars.max(16_384)).unwrap_or(usize::MAX);
        let path = self.sheet_dir(self.sheet.num).join(RESULT);
        let text = text::head_chars(result, most.saturating_add(1));
        if let Err(error) = super::write_private(&path, redact(text).as_bytes()) {
            log::warn!("attempt.result_not_kept attempt={} error={:?}", self.key, error.to_string());
        }
    }

    fn sheet_dir(&self, num: SheetNo) -> PathBuf {
        self.worker.state_dir.join("jobs").join(self.key.job.as_str()).join(format!("sheet-{num}"))
    }
}

/// The sheets before one that it may quote, at most `lookback` of them; 0 = all.
fn window(own: SheetNo, lookback: u32) -> Range<u32> {
    let first = if lookback == 0 { 1 } else { own.0.saturating_sub(lookback).max(1) };
    first..own.0
}

#[cfg(test)]
mod tests {
    use super::*;

    // Invariant I63
    #[test]
    fn the_window_ends_before_the_sheet_and_is_no_wider_than_asked_for() {
        for (own, lookback, sheets) in
            [(5, 0, 1..5), (5, 2, 3..5), (5, 9, 1..5), (5, u32::MAX, 1..5), (1, 0, 1..1), (1, 3, 1..1)]
        {
            assert_eq!(window(SheetNo(own), lookback), sheets, "{own} {lookback}");
        }
    }
}
