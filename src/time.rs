//! Both clocks as one value. Time is an input: it is read once per turn and passed down.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment of the monotonic clock, in nanoseconds since an arbitrary start. Never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mono(pub u64);

impl Mono {
    /// This moment plus a duration; stays at the end of time instead of overflowing.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// How long after `earlier` this moment is; zero when it is not.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A moment of the wall clock: milliseconds since 1970-01-01 UTC. What is stored and shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Wall(pub i64);

impl Wall {
    /// This moment plus a duration.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this moment is; zero when it is not (the wall clock may go back).
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Unix seconds as job listings carry them.
    #[must_use]
    pub fn unix_seconds(self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds fit a double until the year 287396")]
        let millis = self.0 as f64;
        millis / 1000.0
    }
}

/// RFC 3339 in UTC with milliseconds, as `2026-11-22T01:37:49.120Z`.
impl fmt::Display for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(stamp) => write!(f, "{stamp:.3}"),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

/// One reading of both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// For waits and durations inside one process life.
    pub mono: Mono,
    /// For what is stored and shown.
    pub wall: Wall,
}

/// A moment in the future, on both clocks: waits follow the monotonic one, storage keeps the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    /// When it is due.
    pub mono: Mono,
    /// The same moment for storage and display.
    pub wall: Wall,
    /// The wait as it was first set, so that a restart after a clock jump cannot stretch it.
    pub delay: Duration,
}

impl Deadline {
    /// Due `delay` after `now`.
    #[must_use]
    pub fn after(now: Now, delay: Duration) -> Self {
        Self { mono: now.mono.after(delay), wall: now.wall.after(delay), delay }
    }

    /// A stored deadline in a new process life: what remains is between zero and the first delay.
    #[must_use]
    pub fn restored(now: Now, wall: Wall, delay: Duration) -> Self {
        let remaining = wall.since(now.wall).min(delay);
        Self { mono: now.mono.after(remaining), wall: now.wall.after(remaining), delay }
    }

    /// Whether it is due.
    #[must_use]
    pub fn is_due(self, now: Now) -> bool {
        self.mono <= now.mono
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Invariant I79
    #[test]
    fn a_clock_jump_never_stretches_a_stored_wait() {
        let minute = Duration::from_secs(60);
        let set = Now { mono: Mono(5), wall: Wall(1_000_000) };
        let deadline = Deadline::after(set, minute);
        let back = Now { mono: Mono(0), wall: Wall(1_000_000 - 3_600_000) };
        assert_eq!(Deadline::restored(back, deadline.wall, deadline.delay).mono, Mono(0).after(minute));
        let late = Now { mono: Mono(0), wall: Wall(9_000_000) };
        assert!(Deadline::restored(late, deadline.wall, deadline.delay).is_due(late));
    }

    #[test]
    fn wall_time_is_shown_as_rfc_3339() {
        assert_eq!(Wall(1_763_719_200_500).to_string(), "2025-11-21T10:00:00.500Z");
    }
}
