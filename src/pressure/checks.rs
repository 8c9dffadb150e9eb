//! Counts failing checks: five in a row degrade the monitor and make it look less often.

use std::time::Duration;

/// Failing checks in a row that degrade the monitor.
const FAILURES_TO_DEGRADE: u32 = 5;
/// A degraded monitor looks at least this often (unless its interval is longer).
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Results of the last checks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checks {
    failures: u32,
}

impl Checks {
    /// One more check. A good one clears everything.
    pub fn record(&mut self, good: bool) {
        self.failures = if good { 0 } else { self.failures.saturating_add(1) };
    }

    /// Five or more failed in a row.
    #[must_use]
    pub const fn degraded(self) -> bool {
        self.failures >= FAILURES_TO_DEGRADE
    }

    /// Time to the next check: the interval, doubled with each failure after the fifth.
    #[must_use]
    pub fn wait(self, interval: Duration) -> Duration {
        let Some(more) = self.failures.checked_sub(FAILURES_TO_DEGRADE) else { return interval };
        let factor = 1_u32.checked_shl(more).unwrap_or(u32::MAX);
        interval.saturating_mul(factor).min(LONGEST_WAIT.max(interval))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fifth_failure_degrades_and_one_success_clears() {
        let interval = Duration::from_secs(15);
        let mut checks = Checks::default();
        let mut seen = Vec::new();
        for _ in 0..11 {
            checks.record(false);
            seen.push((checks.degraded(), checks.wait(interval).as_secs()));
        }
        let waits = [15, 15, 15, 15, 15, 30, 60, 120, 240, 300, 300];
        assert_eq!(seen.iter().map(|seen| seen.1).collect::<Vec<_>>(), waits);
        assert_eq!(seen.iter().position(|seen| seen.0), Some(4));
        checks.record(true);
        assert_eq!(checks, Checks::default());
        let long = Duration::from_secs(1000);
        (0..100).for_each(|_| checks.record(false));
        assert_eq!(checks.wait(long), long, "never faster than the interval");
    }
}
