//! The last line of `validate` for several files.

use super::text::plural;
use super::verdict::{Kind, Verdict};
use crate::score::Severity;

/// The last line for several files.
#[derive(Debug, Default)]
pub(super) struct Tally {
    files: usize,
    valid: usize,
    warned: usize,
    failed: usize,
    passed_over: usize,
}

impl Tally {
    pub(super) fn add(&mut self, verdict: &Verdict) {
        self.files += 1;
        match verdict.kind {
            Kind::Other => self.passed_over += 1,
            _ if verdict.exit != 0 => self.failed += 1,
            _ => {
                self.valid += 1;
                self.warned += usize::from(verdict.count(Severity::Warning) > 0);
            }
        }
    }

    pub(super) fn add_unreadable(&mut self) {
        self.files += 1;
        self.failed += 1;
    }

    /// `3 files: 2 valid (1 with warnings), 1 failed`.
    pub(super) fn line(&self) -> String {
        let warned = match self.warned {
            0 => String::new(),
            n => format!(" ({n} with warnings)"),
        };
        let mut text =
            format!("{}: {} valid{warned}, {} failed", plural(self.files, "file"), self.valid, self.failed);
        if self.passed_over > 0 {
            text.push_str(&format!(", {} passed over", self.passed_over));
        }
        text
    }
}
