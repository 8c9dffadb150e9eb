//! Circuit breakers: an instrument that fails again and again is left alone for a while, then tried
//! by one sheet.
//!
//! A breaker belongs to an instrument and the model it is called with, and to all jobs together. It is
//! fed with what attempts say about their instrument; a failed validation or a timeout says nothing.
//! Closed → open → half-open → closed or open, and nothing else.
//!
//! Not for deciding which failure is the instrument's fault (that is [`crate::exec`]), and not for rate
//! limits.
//!
//! Invariants: half-open has exactly one probe; only the answer of that probe closes an open breaker;
//! what an attempt says that was started before the breaker opened never moves its timer.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::reason::Hold;
use crate::exec::{BreakerPolicy, InstrumentRef};
use crate::ids::{JobId, SheetNo};
use crate::time::{Deadline, Mono, Now, Wall};

/// Time until the first probe; each further opening in a row doubles it, up to the policy's `recovery`.
pub const FIRST_DELAY: Duration = Duration::from_secs(30);
/// Transitions that are remembered of each breaker.
pub const HISTORY: usize = 50;
/// Breakers that are remembered; beyond, closed ones without failures go first.
const MAX_BREAKERS: usize = 256;

/// Where a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// Sheets run.
    Closed,
    /// No sheet is started.
    Open,
    /// One sheet tries whether it works again.
    HalfOpen,
}

/// A change of state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// When.
    pub at: Wall,
    /// The state from then on.
    pub to: BreakerState,
    /// Failures in a row at that time.
    pub failures: u32,
}

/// A breaker as it is shown, and stored over a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakerRecord {
    /// Instrument.
    pub instrument: Arc<str>,
    /// Model; `None` = whatever it uses by itself.
    #[serde(default)]
    pub model: Option<Arc<str>>,
    /// State.
    pub state: BreakerState,
    /// Failures in a row.
    pub failures: u32,
    /// How often a probe has failed in a row.
    pub reopened: u32,
    /// Of an open one: when it is probed.
    #[serde(default)]
    pub until: Option<Wall>,
    /// Of an open one: the whole wait in milliseconds.
    #[serde(default)]
    pub delay_ms: u64,
    /// Of a half-open one: the sheet that tries.
    #[serde(default)]
    pub probe: Option<(JobId, SheetNo)>,
    /// Latest transitions, oldest first.
    #[serde(default)]
    pub history: Vec<Transition>,
}

/// All breakers. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Breakers {
    breakers: BTreeMap<(Arc<str>, Option<Arc<str>>), Breaker>,
    changed: bool,
}

#[derive(Debug, Clone)]
struct Breaker {
    state: State,
    failures: u32,
    reopened: u32,
    /// Shared with the copies that were published.
    history: Arc<VecDeque<Transition>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Closed,
    /// Until then; afterwards the next sheet is the probe.
    Open(Deadline),
    HalfOpen(JobId, SheetNo),
}

impl State {
    const fn word(&self) -> BreakerState {
        match self {
            Self::Closed => BreakerState::Closed,
            Self::Open(_) => BreakerState::Open,
            Self::HalfOpen(..) => BreakerState::HalfOpen,
        }
    }

    fn is_probe(&self, job: &JobId, sheet: SheetNo) -> bool {
        matches!(self, Self::HalfOpen(by, of) if by == job && *of == sheet)
    }
}

impl Breaker {
    fn new() -> Self {
        Self { state: State::Closed, failures: 0, reopened: 0, history: Arc::default() }
    }

    fn enter(&mut self, now: Now, state: State) -> Transition {
        self.state = state;
        let history = Arc::make_mut(&mut self.history);
        if history.len() >= HISTORY {
            history.pop_front();
        }
        let transition = Transition { at: now.wall, to: self.state.word(), failures: self.failures };
        history.push_back(transition);
        transition
    }

    fn open(&mut self, now: Now, policy: BreakerPolicy) -> Transition {
        let doubled = FIRST_DELAY.saturating_mul(1 << self.reopened.min(20));
        self.enter(now, State::Open(Deadline::after(now, doubled.min(policy.recovery))))
    }
}

impl Breakers {
    /// An attempt failed by its instrument's fault.
    pub fn failed(
        &mut self,
        now: Now,
        on: &InstrumentRef,
        job: &JobId,
        sheet: SheetNo,
        policy: BreakerPolicy,
    ) -> Option<Transition> {
        self.changed = true;
        self.make_room();
        let breaker = self.breakers.entry(key(on)).or_insert_with(Breaker::new);
        breaker.failures = breaker.failures.saturating_add(1);
        match &breaker.state {
            State::Closed if breaker.failures >= policy.threshold => Some(breaker.open(now, policy)),
            state if state.is_probe(job, sheet) => {
                breaker.reopened = breaker.reopened.saturating_add(1);
                Some(breaker.open(now, policy))
            }
            // From before it opened: it does not move the timer.
            State::Closed | State::Open(_) | State::HalfOpen(..) => None,
        }
    }

    /// An attempt says that its instrument works.
    pub fn succeeded(
        &mut self,
        now: Now,
        on: &InstrumentRef,
        job: &JobId,
        sheet: SheetNo,
    ) -> Option<Transition> {
        let breaker = self.breakers.get_mut(&key(on))?;
        match &breaker.state {
            State::Closed if breaker.failures > 0 => {
                breaker.failures = 0;
                self.changed = true;
                None
            }
            state if state.is_probe(job, sheet) => {
                (breaker.failures, breaker.reopened) = (0, 0);
                self.changed = true;
                Some(breaker.enter(now, State::Closed))
            }
            // A late result of an attempt from before it opened.
            State::Closed | State::Open(_) | State::HalfOpen(..) => None,
        }
    }

    /// Every breaker, by instrument and model.
    #[must_use]
    pub fn records(&self) -> Vec<BreakerRecord> {
        let record = |((instrument, model), breaker): (&(Arc<str>, Option<Arc<str>>), &Breaker)| {
            let (until, probe) = match &breaker.state {
                State::Closed => (None, None),
                State::Open(until) => (Some(*until), None),
                State::HalfOpen(job, sheet) => (None, Some((job.clone(), *sheet))),
            };
            BreakerRecord {
                instrument: Arc::clone(instrument),
                model: model.clone(),
                state: breaker.state.word(),
                failures: breaker.failures,
                reopened: breaker.reopened,
                until: until.map(|until| until.wall),
                delay_ms: until.map_or(0, |until| u64::try_from(until.delay.as_millis()).unwrap_or(u64::MAX)),
                probe,
                history: breaker.history.iter().copied().collect(),
            }
        };
        self.breakers.iter().map(record).collect()
    }

    /// Stored breakers in a new process life. Call [`Self::settle`] when all attempts are known.
    pub fn restore(&mut self, now: Now, records: Vec<BreakerRecord>) {
        for record in records.into_iter().take(MAX_BREAKERS) {
            let until = || {
                let delay = Duration::from_millis(record.delay_ms);
                Deadline::restored(now, record.until.unwrap_or(now.wall), delay)
            };
            let state = match (record.state, record.probe.clone()) {
                (BreakerState::Closed, _) => State::Closed,
                (BreakerState::HalfOpen, Some((job, sheet))) => State::HalfOpen(job, sheet),
                (BreakerState::Open | BreakerState::HalfOpen, _) => State::Open(until()),
            };
            let mut history = VecDeque::from(record.history);
            history.drain(..history.len().saturating_sub(HISTORY));
            let breaker = Breaker {
                state,
                failures: record.failures,
                reopened: record.reopened,
                history: Arc::new(history),
            };
            self.breakers.insert((record.instrument, record.model), breaker);
        }
    }

    /// Probes that do not run any more have said nothing: the next sheet tries again.
    pub fn settle(&mut self, now: Now, runs: impl Fn(&JobId, SheetNo) -> bool) {
        for breaker in self.breakers.values_mut() {
            if let State::HalfOpen(job, sheet) = &breaker.state
                && !runs(job, *sheet)
            {
                breaker.enter(now, State::Open(Deadline::after(now, Duration::ZERO)));
                self.changed = true;
            }
        }
    }

    /// What keeps sheets of this instrument back.
    pub(super) fn hold(&self, now: Mono, on: &InstrumentRef) -> Option<Hold> {
        if self.breakers.is_empty() {
            return None;
        }
        match self.breakers.get(&key(on))?.state {
            State::Closed => None,
            State::Open(until) => (until.mono > now).then_some(Hold::Open(until.mono)),
            State::HalfOpen(..) => Some(Hold::Probed),
        }
    }

    /// The first sheet after the wait is the probe.
    pub(super) fn probe_started(&mut self, now: Now, on: &InstrumentRef, job: &JobId, sheet: SheetNo) {
        if self.breakers.is_empty() {
            return;
        }
        let Some(breaker) = self.breakers.get_mut(&key(on)) else { return };
        if matches!(breaker.state, State::Open(until) if until.is_due(now)) {
            breaker.enter(now, State::HalfOpen(job.clone(), sheet));
            self.changed = true;
        }
    }

    /// The probe is over. If it has said nothing about its instrument, the next sheet tries.
    pub(super) fn probe_ended(&mut self, now: Now, on: &InstrumentRef, job: &JobId, sheet: SheetNo) {
        if self.breakers.is_empty() {
            return;
        }
        let Some(breaker) = self.breakers.get_mut(&key(on)) else { return };
        if breaker.state.is_probe(job, sheet) {
            breaker.enter(now, State::Open(Deadline::after(now, Duration::ZERO)));
            self.changed = true;
        }
    }

    /// Whether something is to be stored since [`Self::stored`].
    pub(super) const fn is_changed(&self) -> bool {
        self.changed
    }

    pub(super) const fn stored(&mut self) {
        self.changed = false;
    }

    fn make_room(&mut self) {
        if self.breakers.len() < MAX_BREAKERS {
            return;
        }
        self.breakers.retain(|_, breaker| breaker.state != State::Closed || breaker.failures > 0);
        while self.breakers.len() >= MAX_BREAKERS {
            // All of them trouble: the first by name is as good to forget as any.
            self.breakers.pop_first();
        }
    }
}

fn key(on: &InstrumentRef) -> (Arc<str>, Option<Arc<str>>) {
    (Arc::clone(&on.name), on.model.clone())
}
