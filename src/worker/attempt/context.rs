//! What a prompt may quote of earlier sheets: their results, and files that they wrote.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::exec::{Order, Sheet, SheetState, SkipReason};
use crate::ids::SheetNo;
use crate::score::CrossSheet;
use crate::template::{self, Item};
use crate::util::{redact, text};

use super::Attempt;

/// Most files that `capture_files` reads.
const MAX_FILES: usize = 100;
/// Most bytes that `capture_files` reads in all.
const MAX_BYTES: u64 = 1 << 20;
/// Name of the file that holds the result of a sheet, beside its attempts.
const RESULT: &str = "result.txt";
/// What stands for the output of a sheet that was skipped on purpose.
const SKIPPED: &str = "[SKIPPED]";

impl Attempt<'_> {
    /// Fills `previous_outputs`, `previous_files` and `skipped_upstream`.
    pub(super) fn add_context(&mut self, order: &Order, sheets: &[Arc<Sheet>], warnings: &mut Vec<String>) {
        self.vars.set("job_name", self.prepared.score.name.as_str());
        self.vars.set("attempt", order.retry_count + 1);
        self.vars.set("retry_count", order.retry_count);
        let Some(cross) = &self.prepared.score.cross_sheet else { return };
        let limit = usize::try_from(cross.max_output_chars).unwrap_or(usize::MAX);
        if cross.auto_capture_stdout {
            let (outputs, skipped) = self.outputs(cross, sheets, limit, warnings);
            self.vars.set("previous_outputs", Item::Map(outputs));
            self.vars.set("skipped_upstream", Item::List(skipped));
        }
        if !cross.capture_files.is_empty() {
            let files = self.files(cross, limit, warnings);
            self.vars.set("previous_files", Item::Map(files));
        }
    }

    fn outputs(
        &self,
        cross: &CrossSheet,
        sheets: &[Arc<Sheet>],
        limit: usize,
        warnings: &mut Vec<String>,
    ) -> (Vec<(Item, Item)>, Vec<Item>) {
        let (mut outputs, mut skipped) = (Vec::new(), Vec::new());
        for num in self.quoted(cross.lookback_sheets) {
            let Some(sheet) = sheets.get(num.index()) else { continue };
            let text = match &sheet.state {
                SheetState::Completed { .. } => match self.stored_result(sheet) {
                    Some(text) => cut(&redact(&text), limit),
                    None => {
                        warnings
                            .push(format!("the output of sheet {num} is gone; it is left out of the prompt"));
                        continue;
                    }
                },
                SheetState::Skipped { reason, .. } if *reason != SkipReason::UpstreamFailed => {
                    skipped.push(Item::Int(num.0.into()));
                    SKIPPED.to_owned()
                }
                SheetState::Pending
                | SheetState::Dispatched(_)
                | SheetState::InProgress(_)
                | SheetState::Waiting { .. }
                | SheetState::RetryScheduled { .. }
                | SheetState::Failed { .. }
                | SheetState::Skipped { .. }
                | SheetState::Cancelled { .. } => continue,
            };
            outputs.push((Item::Int(num.0.into()), Item::Str(text)));
        }
        (outputs, skipped)
    }

    /// The window before this sheet, and everything that it depends on even outside the window.
    fn quoted(&self, lookback: u32) -> BTreeSet<SheetNo> {
        let own = self.sheet.num.0;
        let first = if lookback == 0 { 1 } else { own.saturating_sub(lookback).max(1) };
        let mut wanted: BTreeSet<SheetNo> = (first..own).map(SheetNo).collect();
        let mut open: Vec<SheetNo> = self.sheet.after.clone();
        let mut seen = BTreeSet::new();
        while let Some(num) = open.pop() {
            if seen.insert(num) {
                wanted.insert(num);
                open.extend(
                    self.prepared.plan.sheets.get(num.index()).into_iter().flat_map(|sheet| &sheet.after),
                );
            }
        }
        wanted.remove(&self.sheet.num);
        wanted
    }

    /// The kept result of a sheet, else the tail of what its program printed.
    fn stored_result(&self, sheet: &Sheet) -> Option<String> {
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

    fn files(&self, cross: &CrossSheet, limit: usize, warnings: &mut Vec<String>) -> Vec<(Item, Item)> {
        let mut found: BTreeSet<PathBuf> = BTreeSet::new();
        for pattern in &cross.capture_files {
            match template::render(pattern, &self.vars) {
                Ok(path) => glob(&self.prepared.workspace.join(path), &mut found),
                Err(error) => warnings.push(format!("capture_files `{pattern}`: {}", error.message)),
            }
        }
        let mut left = MAX_BYTES;
        let mut files = Vec::new();
        for path in found.into_iter().take(MAX_FILES) {
            let size = fs::metadata(&path).map_or(0, |meta| meta.len());
            if size > left {
                warnings.push(format!(
                    "capture_files: {} is left out, 1 MiB in all is the limit",
                    path.display()
                ));
                continue;
            }
            match crate::file::read(&path, size).map(String::from_utf8) {
                Ok(Ok(text)) => {
                    left -= size;
                    files
                        .push((Item::Str(path.display().to_string()), Item::Str(cut(&redact(&text), limit))));
                }
                Ok(Err(_)) => warnings.push(format!("capture_files: {}: is not UTF-8", path.display())),
                Err(error) => warnings.push(format!("capture_files: {}: {error}", path.display())),
            }
        }
        files
    }
}

/// The first `limit` characters, and a mark when there were more.
fn cut(text: &str, limit: usize) -> String {
    let head = text::head_chars(text, limit);
    if head.len() == text.len() { head.to_owned() } else { format!("{head}\n... [truncated]") }
}

/// Regular files whose path matches, component by component (`*`, `?`, `[..]`).
fn glob(pattern: &Path, found: &mut BTreeSet<PathBuf>) {
    let mut bases = vec![PathBuf::new()];
    for part in pattern.components() {
        let name = part.as_os_str().to_string_lossy().into_owned();
        if !name.contains(['*', '?', '[']) {
            for base in &mut bases {
                base.push(&name);
            }
            continue;
        }
        let Some(matcher) = matcher(&name) else { return };
        bases = bases
            .iter()
            .filter_map(|base| fs::read_dir(base).ok())
            .flat_map(|entries| entries.flatten().take(10_000))
            .filter(|entry| {
                let entry_name = entry.file_name().to_string_lossy().into_owned();
                (name.starts_with('.') || !entry_name.starts_with('.')) && matcher.is_match(&entry_name)
            })
            .map(|entry| entry.path())
            .collect();
    }
    found.extend(bases.into_iter().filter(|path| path.is_file()));
}

/// A shell pattern as a regular expression over a whole name.
fn matcher(pattern: &str) -> Option<regex::Regex> {
    let mut expression = String::from("(?s)^");
    let mut rest = pattern.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '*' => expression.push_str(".*"),
            '?' => expression.push('.'),
            '[' => {
                expression.push('[');
                if rest.peek() == Some(&'!') {
                    rest.next();
                    expression.push('^');
                }
                for inner in rest.by_ref() {
                    if inner == '\\' || inner == '[' || inner == '&' || inner == '~' {
                        expression.push('\\');
                    }
                    expression.push(inner);
                    if inner == ']' {
                        break;
                    }
                }
            }
            c => expression.push_str(&regex::escape(&c.to_string())),
        }
    }
    expression.push('$');
    regex::Regex::new(&expression).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_names_and_not_hidden_files() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        for name in ["a.md", "b.md", ".c.md", "d.txt", "x1", "x2"] {
            fs::write(dir.path().join(name), name).expect("a file");
        }
        let names = |pattern: &str| {
            let mut found = BTreeSet::new();
            glob(&dir.path().join(pattern), &mut found);
            found
                .iter()
                .map(|path| path.file_name().expect("a name").to_string_lossy().into_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(names("*.md"), ["a.md", "b.md"]);
        assert_eq!(names("x[!1]"), ["x2"]);
        assert_eq!(names("?.txt"), ["d.txt"]);
        assert_eq!(names("d.txt"), ["d.txt"]);
        assert_eq!(names("none/*"), Vec::<String>::new());
    }

    #[test]
    fn a_cut_says_so() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("äbc", 1), "ä\n... [truncated]");
    }
}
