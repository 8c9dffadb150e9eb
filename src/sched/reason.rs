//! Why a sheet that may run is not started: the words of dispatch diagnostics.

use std::fmt;
use std::sync::Arc;

use crate::exec::InstrumentRef;
use crate::time::Mono;

/// Why a sheet that may run as far as its job is concerned was not started.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// `max_concurrent_sheets`.
    Global,
    /// More than its share while others wait.
    Share,
    /// As many sheets as the instrument allows.
    Instrument(Arc<str>),
    /// As many sheets as the model of the instrument allows.
    Model(Arc<str>, Arc<str>),
    /// The instrument has asked to wait.
    RateLimited(Arc<str>),
    /// The instrument has failed again and again.
    Breaker(Arc<str>),
    /// The machine is under pressure.
    Pressure,
    /// Others were more urgent.
    Behind,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Global => f.write_str("global_concurrency"),
            Self::Share => f.write_str("job_share"),
            Self::Instrument(name) => write!(f, "instrument_concurrency:{name}"),
            Self::Model(name, model) => write!(f, "model_concurrency:{name}:{model}"),
            Self::RateLimited(name) => write!(f, "rate_limited:{name}"),
            Self::Breaker(name) => write!(f, "circuit_breaker:{name}"),
            Self::Pressure => f.write_str("pressure"),
            Self::Behind => f.write_str("queued"),
        }
    }
}

/// What keeps sheets of one instrument back, without its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    /// It has asked to wait until then.
    Limited(Mono),
    /// Its breaker is open until then.
    Open(Mono),
    /// One sheet probes it.
    Probed,
    /// As many sheets as it allows.
    Instrument,
    /// As many as its model allows.
    Model,
}

impl Hold {
    /// When to look again; `None` = when something ends.
    pub(super) const fn until(self) -> Option<Mono> {
        match self {
            Self::Limited(until) | Self::Open(until) => Some(until),
            Self::Probed | Self::Instrument | Self::Model => None,
        }
    }

    pub(super) fn reason(self, on: &InstrumentRef) -> Reason {
        let name = || Arc::clone(&on.name);
        match self {
            Self::Limited(_) => Reason::RateLimited(name()),
            Self::Open(_) | Self::Probed => Reason::Breaker(name()),
            Self::Instrument => Reason::Instrument(name()),
            Self::Model => Reason::Model(name(), on.model.clone().unwrap_or_else(|| "".into())),
        }
    }
}

/// A reason and its end, as far as that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Why.
    pub reason: Reason,
    /// Not before this moment; `None` = not before something ends.
    pub until: Option<Mono>,
}

impl Held {
    /// For people: the reason, and of an open breaker when it is probed.
    #[must_use]
    pub fn describe(&self, now: Mono) -> String {
        match (&self.reason, self.until) {
            (Reason::Breaker(_), Some(until)) => {
                format!("{}, probe in {}s", self.reason, until.since(now).as_secs_f64().ceil())
            }
            (Reason::Breaker(_), None) => format!("{}, probe running", self.reason),
            (reason, _) => reason.to_string(),
        }
    }
}
