//! Whether the database can be written, and when to try again.

use std::time::Duration;

use crate::time::{Mono, Now};

/// Waits between tries; the last one repeats.
const RETRY: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(30)];

/// State of the database as the last commit left it.
#[derive(Debug, Default)]
pub(super) struct Registry {
    failing: Option<Failing>,
}

#[derive(Debug)]
struct Failing {
    tries: usize,
    /// Nothing is written before this moment, unless a command asks for it.
    due: Option<Mono>,
    error: String,
}

impl Registry {
    pub(super) fn is_failing(&self) -> bool {
        self.failing.is_some()
    }

    /// Whether a commit may be tried now.
    pub(super) fn may_try(&self) -> bool {
        self.failing.as_ref().is_none_or(|failing| failing.due.is_none())
    }

    /// The reason, for a refusal.
    pub(super) fn error(&self) -> &str {
        self.failing.as_ref().map_or("", |failing| &failing.error)
    }

    /// The retry timer fired.
    pub(super) fn retry_now(&mut self) {
        if let Some(failing) = &mut self.failing {
            failing.due = None;
        }
    }

    /// A commit failed; says when to try again. A try that a command asked for before the next one
    /// was due does not put that one off.
    pub(super) fn failed(&mut self, now: Now, error: String) -> Mono {
        if let Some(failing) = &mut self.failing
            && let Some(due) = failing.due
        {
            failing.error = error;
            return due;
        }
        let tries = self.failing.as_ref().map_or(0, |failing| failing.tries);
        if tries == 0 {
            log::error!("registry.write_failed error={error:?}");
        }
        let due = now.mono.after(RETRY[tries.min(RETRY.len() - 1)]);
        self.failing = Some(Failing { tries: tries + 1, due: Some(due), error });
        due
    }

    /// A commit succeeded.
    pub(super) fn succeeded(&mut self) {
        if let Some(failing) = self.failing.take() {
            log::info!("registry.write_recovered tries={}", failing.tries);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Wall;

    #[test]
    fn tries_come_after_1_5_and_30_seconds() {
        let mut registry = Registry::default();
        let now = Now { mono: Mono(0), wall: Wall(0) };
        let mut fail = || {
            registry.retry_now();
            registry.failed(now, "full".into()).since(now.mono).as_secs()
        };
        let waits: Vec<u64> = (0..4).map(|_| fail()).collect();
        assert_eq!(waits, [1, 5, 30, 30]);
        assert!(registry.is_failing() && !registry.may_try());
        let later = Now { mono: Mono(1000), ..now };
        let due = registry.failed(later, "full".into());
        assert_eq!(due.since(now.mono).as_secs(), 30, "a command does not put off the next try");
        registry.retry_now();
        assert!(registry.may_try());
        registry.succeeded();
        assert!(!registry.is_failing());
    }
}
