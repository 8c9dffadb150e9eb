//! What holds the sheets of an instrument back at the moment of a decision.

use std::time::Duration;

use super::breaker::Breakers;
use super::earlier;
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
    FallBack(Unusable),
}

/// Why sheets leave their instrument before they are started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// Its breaker is open.
    Broken,
    /// It has asked to wait for longer than the score wants to.
    Limited,
}

impl Unusable {
    /// The word of the history of fallbacks.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Broken => "unavailable",
            Self::Limited => "rate_limit",
        }
    }
}

/// What a job minds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manners {
    /// Breakers count.
    pub(super) obeys: bool,
    /// A rate limit that ends later than this is not waited for, when there is another instrument.
    pub(super) patience: Duration,
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
    /// It has asked to wait until then; not set while the limit is only probed.
    limited: Option<Mono>,
    rest: Option<Hold>,
}

/// Instruments whose verdict is kept during a decision; further ones are asked again.
const VERDICTS: usize = 32;

impl<'a> Gates<'a> {
    pub(super) fn new(now: Mono, slots: &'a Slots, rates: &'a RateLimits, breakers: &'a Breakers) -> Self {
        Self { now, slots, rates, breakers, known: Vec::new() }
    }

    /// How the sheets of a group can be started; otherwise when to look again at the latest.
    pub(super) fn way(&mut self, group: &Group, manners: Manners) -> Result<Way, Option<Mono>> {
        let Manners { obeys, patience } = manners;
        let verdict = self.verdict(&group.instrument);
        let Some(hold) = verdict.rest.or(verdict.breaker.filter(|_| obeys)) else { return Ok(Way::Direct) };
        let mut until = hold.until();
        let why = if obeys && matches!(verdict.breaker, Some(Hold::Open(_))) {
            Unusable::Broken
        } else if verdict.limited.is_some_and(|end| end.since(self.now) >= patience) {
            Unusable::Limited
        } else {
            return Err(until);
        };
        // The first of the chain that is neither broken nor limited takes over, as soon as it has room.
        for next in &group.fallbacks {
            let next = self.verdict(next);
            let hold = next.breaker.filter(|_| obeys).or(next.limited.map(Hold::Limited));
            match hold {
                Some(hold) => until = earlier(until, hold.until()),
                None if next.rest.is_none() => return Ok(Way::FallBack(why)),
                None => break,
            }
        }
        Err(until)
    }

    fn verdict(&mut self, on: &InstrumentRef) -> Verdict {
        if let Some((_, verdict)) = self.known.iter().find(|(known, _)| known == on) {
            return *verdict;
        }
        let limited = self.rates.held_until(self.now, on).map(Hold::Limited);
        let verdict = Verdict {
            breaker: self.breakers.hold(self.now, on),
            limited: self.rates.limited_until(self.now, on),
            rest: limited.or_else(|| self.slots.hold(on)),
        };
        if self.known.len() < VERDICTS {
            self.known.push((on.clone(), verdict));
        }
        verdict
    }
}
