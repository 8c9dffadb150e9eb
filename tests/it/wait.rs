//! Waiting for a condition with a deadline, in one place.

use std::time::{Duration, Instant};

/// Long enough for a loaded machine; nothing waits so long unless it is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until the condition gives a value.
///
/// # Panics
/// When it does not within [`PATIENCE`].
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < until, "waited in vain: {what}");
        std::thread::park_timeout(Duration::from_millis(3));
    }
}

/// Waits until the condition holds.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    wait_for(what, || condition().then_some(()));
}
