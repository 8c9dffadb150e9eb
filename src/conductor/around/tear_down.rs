//! The end of what the set-up made.

use crate::conductor::core::Core;
use crate::conductor::live::Live;

/// A tear-down to be done.
pub(crate) struct TearDown;

impl Core {
    pub(in crate::conductor) fn tear_down(&mut self, _live: &Live) {}
}

/// Does it, on a side worker.
pub(in crate::conductor) fn run(_side: &crate::conductor::side::Side, _order: &TearDown) {}
