//! Deadlines of connections, kept lazily: moving one later or dropping it costs nothing.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use super::ConnId;

/// Wake-up times. An entry may be earlier than the connection's real deadline, never later.
#[derive(Debug, Default)]
pub(super) struct Timers(BinaryHeap<Reverse<(Instant, ConnId)>>);

impl Timers {
    /// Adds a wake-up.
    pub(super) fn arm(&mut self, at: Instant, conn: ConnId) {
        self.0.push(Reverse((at, conn)));
    }

    /// The earliest wake-up.
    pub(super) fn peek(&self) -> Option<(Instant, ConnId)> {
        self.0.peek().map(|Reverse(entry)| *entry)
    }

    /// Takes the earliest wake-up away.
    pub(super) fn pop(&mut self) {
        self.0.pop();
    }
}
