//! The one place of the runtime that reads the clocks.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::time::{Mono, Now, Wall};

/// Both clocks of this process. [`Mono`] counts from the moment this was made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now() }
    }

    pub(crate) fn now(self) -> Now {
        let mono = Mono(u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX));
        Now { mono, wall: wall() }
    }

    /// The moment of the monotonic clock as the standard library names it, for channel deadlines.
    pub(crate) fn instant(self, mono: Mono) -> Instant {
        self.start + Duration::from_nanos(mono.0)
    }
}

/// The wall clock. A clock before 1970 reads as 1970.
pub(crate) fn wall() -> Wall {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Wall(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
