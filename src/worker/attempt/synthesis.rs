//! `synthesis`: what the sheets before a sheet have said, in one text.

use std::sync::Arc;

use crate::exec::{Sheet, SheetState};
use crate::worker::brief::quote;

use super::Attempt;

/// Longest text, in characters.
const MOST: usize = 1 << 20;

impl Attempt<'_> {
    /// The results of the completed sheets that this one waits for itself, in order, each under its number and with
    /// at most `limit` characters. Nothing of those that were skipped: there is nothing to put together.
    pub(super) fn synthesis(&self, sheets: &[Arc<Sheet>], limit: usize) -> String {
        let mut before = self.sheet.after.clone();
        before.sort_unstable();
        let results = before.into_iter().filter_map(|num| {
            let sheet = sheets.get(num.index())?;
            let completed = matches!(sheet.state, SheetState::Completed { .. });
            // One that is gone is remarked with `previous_outputs`.
            let text = completed.then(|| self.stored_result(sheet)).flatten()?;
            Some((num.0, quote(&text, limit)))
        });
        merge(results)
    }
}

fn merge(results: impl Iterator<Item = (u32, String)>) -> String {
    let mut merged = String::new();
    for (num, text) in results {
        if merged.len() > MOST {
            break;
        }
        if !merged.is_empty() {
            merged.push('\n');
        }
        merged.push_str(&format!("--- Sheet {num} ---\n{}\n", text.trim_end()));
    }
    quote(&merged, MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_stand_under_their_numbers_and_stay_small() {
        let results = [(2, "two\n".to_owned()), (5, "five".to_owned())];
        assert_eq!(merge(results.into_iter()), "--- Sheet 2 ---\ntwo\n\n--- Sheet 5 ---\nfive\n");
        assert_eq!(merge(std::iter::empty()), "");
        let large = (1..100).map(|num| (num, "x".repeat(100_000)));
        assert!(merge(large).chars().count() < MOST + 100);
    }
}
