//! What holds the sheets of an instrument back at the moment of a decision.

use super::breaker::Breakers;
use super::rate::RateLimits;
use super::ready::Group;
use super::reason::Hold;
use super::slots::Slots;
use crate::exec::InstrumentRef;
use crate::time::Mono;

/// How a sheet can be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// On its instrument.
    Direct,
    /// On a later one of its chain.
    FallBack,
}

/// What holds instruments back at one moment; each is asked once per decision.
pub(super) struct Gates<'a> {
    now: Mono,
    slots: &'a Slots,
    rates: &'a RateLimits,
    breakers: &'a Breakers,
    known: Vec<(InstrumentRef, Verdict)>,
}

/// What is said of an instrument.
#[derive(Debug, Clone, Copy)]
struct Verdict {
    breaker: Option<Hold>,
    rest: Option<Hold>,
}

/// Instruments whose verdict is kept during a decision; further ones are asked again.
const VERDICTS: usize = 32;

impl<'a> Gates<'a> {
    pub(super) fn new(now: Mono, slots: &'a Slots, rates: &'a RateLimits, breakers: &'a Breakers) -> Self {
        Self { now, slots, rates, breakers, known: Vec::new() }
    }

    /// `obeys`: breakers count.
    pub(super) fn way(&mut self, group: &Group, obeys: bool) -> Result<Way, Hold> {
        let verdict = self.verdict(&group.instrument);
        let Some(hold) = verdict.rest.or(verdict.breaker.filter(|_| obeys)) else { return Ok(Way::Direct) };
        if obeys && matches!(verdict.breaker, Some(Hold::Open(_))) {
            // The first of the chain that is not open takes over, as soon as it has room.
            let usable =
                group.fallbacks.iter().map(|next| self.verdict(next)).find(|next| next.breaker.is_none());
            if usable.is_some_and(|next| next.rest.is_none()) {
                return Ok(Way::FallBack);
            }
        }
        Err(hold)
    }

    fn verdict(&mut self, on: &InstrumentRef) -> Verdict {
        if let Some((_, verdict)) = self.known.iter().find(|(known, _)| known == on) {
            return *verdict;
        }
        let limited = self.rates.held_until(self.now, on).map(Hold::Limited);
        let verdict = Verdict {
            breaker: self.breakers.hold(self.now, on),
            rest: limited.or_else(|| self.slots.hold(on)),
        };
        if self.known.len() < VERDICTS {
            self.known.push((on.clone(), verdict));
        }
        verdict
    }
}
