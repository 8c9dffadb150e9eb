//! How instruments stand at one moment, for readers that must not ask the scheduler itself.

use super::breaker::Breakers;
use super::rate::RateLimits;
use super::reason::{Held, Hold, Reason};
use super::slots::{Limits, Slots};
use crate::exec::InstrumentRef;
use crate::time::Mono;

/// A copy of all limits and of what is used of them.
#[derive(Debug, Clone)]
pub struct Standing {
    /// What holds everything.
    pub(super) everything: Option<Held>,
    /// Sheets that one job may run.
    pub(super) cap: usize,
    pub(super) slots: Slots,
    pub(super) rates: RateLimits,
    pub(super) breakers: Breakers,
}

impl Default for Standing {
    /// Nothing runs, everything may.
    fn default() -> Self {
        Self {
            everything: None,
            cap: usize::MAX,
            slots: Slots::new(Limits::default()),
            rates: RateLimits::default(),
            breakers: Breakers::default(),
        }
    }
}

impl Standing {
    /// Why a ready sheet on this instrument does not run; `None` when it may. `running`: sheets of its job
    /// that run; `obeys`: its job has circuit breakers.
    #[must_use]
    pub fn held(&self, now: Mono, on: &InstrumentRef, running: usize, obeys: bool) -> Option<Held> {
        // What belongs to the instrument is said before what belongs to everybody: it is what a person can act on.
        let breaker = || self.breakers.hold(now, on).filter(|_| obeys);
        let hold = self.rates.held_until(now, on).map(Hold::Limited).or_else(breaker);
        if let Some(hold) = hold.or_else(|| self.slots.hold(on)) {
            return Some(Held { reason: hold.reason(on), until: hold.until() });
        }
        let over = self.everything.clone().filter(|held| held.until.is_none_or(|until| until > now));
        over.or_else(|| (running >= self.cap).then_some(Held { reason: Reason::Share, until: None }))
    }

    /// Sheets that run on an instrument, and how many may.
    #[must_use]
    pub fn usage(&self, instrument: &str) -> (u32, u32) {
        self.slots.usage(instrument)
    }

    /// The rate limits.
    #[must_use]
    pub const fn rates(&self) -> &RateLimits {
        &self.rates
    }

    /// The circuit breakers.
    #[must_use]
    pub const fn breakers(&self) -> &Breakers {
        &self.breakers
    }
}
