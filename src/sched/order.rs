//! Who comes first. Numbers only.

use std::cmp::Ordering;

use super::Entry;
use super::ready::Group;
use crate::time::{Now, Wall};

/// Waiting this long makes a job one step of priority more urgent, in seconds.
const AGING_STEP: u64 = 300;

/// The order of candidates; less is more urgent.
#[derive(Debug)]
pub(super) struct Key {
    score: f64,
    running: usize,
    served: u64,
    submitted: Wall,
}

impl Key {
    pub(super) fn new(entry: &Entry, group: &Group, share: f64, now: Now) -> Self {
        let waited = entry.waiting.map_or(0, |since| now.mono.since(since).as_secs());
        let running = entry.running.len();
        Self {
            score: score(entry.priority, group.depth, group.retries, running, share) - aged(waited),
            running,
            served: entry.served,
            submitted: entry.submitted,
        }
    }

    pub(super) fn compare(&self, other: &Self) -> Ordering {
        self.score
            .total_cmp(&other.score)
            .then(self.running.cmp(&other.running))
            .then(self.served.cmp(&other.served))
            .then(self.submitted.cmp(&other.submitted))
    }
}

/// What waiting is worth. Without a bound, so that nobody waits for ever behind others that keep coming.
#[expect(clippy::cast_precision_loss, reason = "fewer steps than a double counts exactly")]
fn aged(waited_seconds: u64) -> f64 {
    (waited_seconds / AGING_STEP) as f64 * 10.0
}

/// Sheets that each registered job may run before it is held back: at least one.
#[expect(clippy::cast_precision_loss, reason = "fewer jobs than a double counts exactly")]
pub(super) fn fair_share(max_sheets: u32, jobs: usize) -> f64 {
    if jobs == 0 { f64::from(max_sheets) } else { (f64::from(max_sheets) / jobs as f64).max(1.0) }
}

/// Sheets that one job may run in any case: twice its share.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share is between 0 and 2^32")]
pub(super) fn hard_cap(share: f64) -> usize {
    ((share * 2.0).floor() as usize).max(1)
}

/// The promised formula. Less is more urgent.
#[expect(clippy::cast_precision_loss, reason = "fewer sheets than a double counts exactly")]
pub(super) fn score(priority: u8, depth: u32, retries: u32, running: usize, share: f64) -> f64 {
    let over = running as f64 - share;
    let penalty = if over >= 0.0 { (over + 1.0) * 20.0 } else { 0.0 };
    f64::from(priority) * 10.0 + f64::from(depth) - (f64::from(retries) * 5.0).min(50.0) + penalty
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formula() {
        for (priority, depth, retries, running, share, expected) in [
            (5, 0, 0, 0, 2.0, 50.0),
            (1, 3, 0, 0, 2.0, 13.0),
            (5, 0, 2, 0, 2.0, 40.0),
            (5, 0, 40, 0, 2.0, 0.0),
            (5, 0, 0, 2, 2.0, 70.0),
            (5, 0, 0, 4, 2.5, 100.0),
        ] {
            let got = score(priority, depth, retries, running, share);
            assert!((got - expected).abs() < 1e-9, "{priority} {depth} {retries} {running} {share}: {got}");
        }
    }

    #[test]
    fn shares_and_caps() {
        for (sheets, jobs, share, cap) in
            [(10, 0, 10.0, 20), (10, 4, 2.5, 5), (10, 20, 1.0, 2), (0, 3, 1.0, 2)]
        {
            assert!((fair_share(sheets, jobs) - share).abs() < 1e-9);
            assert_eq!(hard_cap(share), cap);
        }
    }
}
