//! Recent job failures by error or timeout: too many at once make the conductor not ready.

use std::time::Duration;

use crate::time::Mono;

/// This many within the window is elevated.
const ELEVATED: usize = 4;
/// Length of the window.
const WINDOW: Duration = Duration::from_secs(60);

/// The newest failures. Only four are ever needed to answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FailureWindow {
    newest: [Option<Mono>; ELEVATED],
    next: usize,
}

impl FailureWindow {
    /// A job failed by an error or timeout. Not for jobs that ended failed in an orderly way.
    pub fn record(&mut self, now: Mono) {
        self.newest[self.next] = Some(now);
        self.next = (self.next + 1) % ELEVATED;
    }

    /// More than three in the last 60 seconds.
    #[must_use]
    pub fn elevated(&self, now: Mono) -> bool {
        self.newest.iter().all(|at| at.is_some_and(|at| now.since(at) <= WINDOW))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fourth_failure_within_a_minute_is_too_many() {
        let second = |n: u64| Mono(0).after(Duration::from_secs(n));
        let mut window = FailureWindow::default();
        for n in [0, 10, 20] {
            window.record(second(n));
            assert!(!window.elevated(second(n)));
        }
        window.record(second(60));
        assert!(window.elevated(second(60)));
        assert!(!window.elevated(second(61)));
        window.record(second(65));
        assert!(window.elevated(second(70)));
        assert!(!window.elevated(second(71)));
    }
}
