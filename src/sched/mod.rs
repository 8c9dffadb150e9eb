//! Which ready sheet of which job runs next.
//!
//! Pure: it counts what runs, knows the limits and the rate limits, and answers [`Scheduler::pick`].
//! It does not know dependencies, pauses or pacing (that is [`crate::exec`], which offers only what
//! may run), and starts nothing: whoever acts on a pick tells it by [`Scheduler::started`].
//!
//! Invariants: what is counted is the sum of what was started and has not ended; a sheet is counted
//! once however often it is reported; no pick exceeds a limit; a job that cannot run anything now
//! never keeps another from running.

mod order;
mod rate;
mod slots;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use crate::exec::InstrumentRef;
use crate::ids::{JobId, SheetNo};
use crate::time::{Mono, Now, Wall};

use order::Key;
use slots::{Full, Slots};

pub use rate::{ActiveLimit, LimitEvent, LimitRecord, MAX_WAIT, RateLimits};
pub use slots::{DEFAULT_PER_INSTRUMENT, Limits};

/// Sheets of one job that a decision looks at; a job with more blocked ones in front waits for them.
const MAX_LOOKED_AT: usize = 64;
/// Startable sheets of one job that are compared; beyond, the lowest numbers are as good.
const MAX_COMPARED: usize = 4;

/// How hard the machine is pressed. Rate limits are no part of it: they hold their own sheets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Throttle {
    /// No pressure.
    Free,
    /// Least time between two starts of the whole conductor.
    Delay(Duration),
    /// Nothing is started.
    Stop,
}

impl Throttle {
    /// Level `low`: two seconds between starts.
    pub const LOW: Self = Self::Delay(Duration::from_secs(2));
    /// Level `medium`: ten seconds.
    pub const MEDIUM: Self = Self::Delay(Duration::from_secs(10));
    /// Level `high` by memory: thirty seconds.
    pub const HIGH: Self = Self::Delay(Duration::from_secs(30));
    /// Level `critical`: nothing starts.
    pub const CRITICAL: Self = Self::Stop;
}

/// A sheet that may run as far as its job is concerned.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// Its number.
    pub sheet: SheetNo,
    /// What it runs on.
    pub instrument: &'a InstrumentRef,
    /// Longest chain of dependencies above it.
    pub depth: u32,
    /// Its attempts so far.
    pub retries: u32,
}

/// Where the scheduler finds what may run.
pub trait Candidates {
    /// Offers the runnable sheets of a job, ascending, until `visit` breaks.
    fn offer(&self, job: &JobId, visit: &mut dyn FnMut(Candidate<'_>) -> ControlFlow<()>);
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pick {
    /// Start this sheet, then ask again.
    Run(JobId, SheetNo),
    /// Something may run, but not now: not before the moment, or, without one, not before something ends.
    Wait(Option<Mono>),
    /// No job has anything that may run.
    Nothing,
}

/// Why a job that has something to run was given nothing by the last decision.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// The machine is under pressure.
    Pressure,
    /// Another job was more urgent.
    Behind,
}

/// The words of dispatch diagnostics.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Global => f.write_str("global_concurrency"),
            Self::Share => f.write_str("job_share"),
            Self::Instrument(name) => write!(f, "instrument_concurrency:{name}"),
            Self::Model(name, model) => write!(f, "model_concurrency:{name}:{model}"),
            Self::RateLimited(name) => write!(f, "rate_limited:{name}"),
            Self::Pressure => f.write_str("pressure"),
            Self::Behind => f.write_str("queued"),
        }
    }
}

/// The scheduler of all jobs.
#[derive(Debug)]
pub struct Scheduler {
    jobs: BTreeMap<JobId, Entry>,
    slots: Slots,
    rates: RateLimits,
    last_start: Option<Mono>,
    starts: u64,
}

#[derive(Debug)]
struct Entry {
    priority: u8,
    submitted: Wall,
    running: BTreeMap<SheetNo, InstrumentRef>,
    /// Number of its last start among all starts; 0 = never.
    served: u64,
    /// Since when it has had something to run and got nothing.
    waiting: Option<Mono>,
    reason: Option<Reason>,
}

/// Numbers for diagnostics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// Sheets that run.
    pub active: u32,
    /// How many may.
    pub max_sheets: u32,
    /// Registered jobs.
    pub jobs: usize,
}

impl Scheduler {
    /// Nothing registered, nothing running.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            jobs: BTreeMap::new(),
            slots: Slots::new(limits),
            rates: RateLimits::default(),
            last_start: None,
            starts: 0,
        }
    }

    /// New limits, effective at once. What runs above them goes on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.slots.set_limits(limits);
    }

    /// The limits in force.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        self.slots.limits()
    }

    /// A job takes part. `priority` 1 is the most urgent, 10 the least, 5 usual.
    /// Registering again forgets what was counted for the job.
    pub fn register(&mut self, job: JobId, priority: u8, submitted: Wall) {
        self.deregister(&job);
        let entry =
            Entry { priority, submitted, running: BTreeMap::new(), served: 0, waiting: None, reason: None };
        self.jobs.insert(job, entry);
    }

    /// A job takes part no more; what was counted for it is given back. Unknown jobs are ignored.
    pub fn deregister(&mut self, job: &JobId) {
        let Some(entry) = self.jobs.remove(job) else { return };
        for (sheet, instrument) in entry.running {
            self.slots.give(&instrument);
            self.rates.probe_ended(&instrument, job, sheet);
        }
    }

    /// A picked sheet was dispatched. Unknown jobs are ignored.
    pub fn started(&mut self, now: Now, job: &JobId, sheet: SheetNo, instrument: &InstrumentRef) {
        if !self.adopted(job, sheet, instrument) {
            return;
        }
        self.starts += 1;
        self.last_start = Some(now.mono);
        self.rates.probe_started(now, instrument, job, sheet);
        if let Some(entry) = self.jobs.get_mut(job) {
            entry.served = self.starts;
            entry.waiting = None;
            entry.reason = None;
        }
    }

    /// An attempt that already runs takes a place in all limits. False when it was counted before.
    pub fn adopted(&mut self, job: &JobId, sheet: SheetNo, instrument: &InstrumentRef) -> bool {
        let Some(entry) = self.jobs.get_mut(job) else { return false };
        if entry.running.contains_key(&sheet) {
            return false;
        }
        entry.running.insert(sheet, instrument.clone());
        self.slots.take(instrument);
        true
    }

    /// A sheet holds its slot no more. Reports of sheets that are not counted change nothing.
    /// Tell a rate limit ([`Self::rates_mut`]) first, so that a failed probe is not taken for a success.
    pub fn ended(&mut self, job: &JobId, sheet: SheetNo) {
        let Some(instrument) = self.jobs.get_mut(job).and_then(|entry| entry.running.remove(&sheet)) else {
            return;
        };
        self.slots.give(&instrument);
        self.rates.probe_ended(&instrument, job, sheet);
    }

    /// What to start now. Asking changes nothing but what is known about waiting.
    pub fn pick(&mut self, now: Now, throttle: Throttle, candidates: &dyn Candidates) -> Pick {
        if let Some((reason, until)) = self.held(now, throttle) {
            return self.all_wait(now, &reason, until, candidates);
        }
        let share = order::fair_share(self.slots.limits().max_sheets, self.jobs.len());
        let cap = order::hard_cap(share);
        let mut best: Option<(Key, &JobId, SheetNo)> = None;
        let mut until: Option<Mono> = None;
        let mut waits = false;
        for (id, entry) in &mut self.jobs {
            let running = entry.running.len();
            let (slots, rates) = (&self.slots, &self.rates);
            let mut reason = None;
            let (mut looked_at, mut compared) = (0, 0);
            let mut last: Option<(InstrumentRef, bool)> = None;
            candidates.offer(id, &mut |candidate| {
                looked_at += 1;
                entry.waiting.get_or_insert(now.mono);
                if running >= cap {
                    reason = Some(Reason::Share);
                    return ControlFlow::Break(());
                }
                // Sheets in a row mostly share their instrument: one verdict is enough for them.
                let free = match &last {
                    Some((known, free)) if known == candidate.instrument => *free,
                    _ => {
                        let free = match verdict(now, slots, rates, candidate.instrument) {
                            Ok(()) => true,
                            Err((why, moment)) => {
                                reason.get_or_insert(why);
                                until = earlier(until, moment);
                                false
                            }
                        };
                        last = Some((candidate.instrument.clone(), free));
                        free
                    }
                };
                if free {
                    compared += 1;
                    let key = Key::new(entry, &candidate, running, share, now);
                    // Later offers win only when they are strictly better: ties go to the lower
                    // job id, then to the lower number.
                    if best.as_ref().is_none_or(|(first, ..)| key.is_before(first)) {
                        best = Some((key, id, candidate.sheet));
                    }
                }
                if looked_at >= MAX_LOOKED_AT || compared >= MAX_COMPARED {
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            });
            waits |= looked_at > 0;
            if looked_at == 0 {
                entry.waiting = None;
            }
            entry.reason = if compared > 0 { Some(Reason::Behind) } else { reason.filter(|_| looked_at > 0) };
        }
        match best {
            Some((_, job, sheet)) => Pick::Run(job.clone(), sheet),
            None if waits => Pick::Wait(until),
            None => Pick::Nothing,
        }
    }

    /// Why nothing at all may start, and until when.
    fn held(&self, now: Now, throttle: Throttle) -> Option<(Reason, Option<Mono>)> {
        if self.slots.is_full() {
            return Some((Reason::Global, None));
        }
        match throttle {
            Throttle::Free => None,
            Throttle::Stop => Some((Reason::Pressure, None)),
            Throttle::Delay(delay) => {
                let next = self.last_start?.after(delay);
                (next > now.mono).then_some((Reason::Pressure, Some(next)))
            }
        }
    }

    fn all_wait(
        &mut self,
        now: Now,
        reason: &Reason,
        until: Option<Mono>,
        candidates: &dyn Candidates,
    ) -> Pick {
        let mut any = false;
        for (id, entry) in &mut self.jobs {
            let mut has = false;
            candidates.offer(id, &mut |_| {
                has = true;
                ControlFlow::Break(())
            });
            any |= has;
            entry.reason = has.then(|| reason.clone());
            if has {
                entry.waiting.get_or_insert(now.mono);
            } else {
                entry.waiting = None;
            }
        }
        if any { Pick::Wait(until) } else { Pick::Nothing }
    }

    /// Why the last decision gave a job nothing, though it had something to run.
    #[must_use]
    pub fn reason(&self, job: &JobId) -> Option<&Reason> {
        self.jobs.get(job)?.reason.as_ref()
    }

    /// Sheets of a job that run.
    #[must_use]
    pub fn running(&self, job: &JobId) -> usize {
        self.jobs.get(job).map_or(0, |entry| entry.running.len())
    }

    /// Numbers for diagnostics.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            active: self.slots.active(),
            max_sheets: self.slots.limits().max_sheets,
            jobs: self.jobs.len(),
        }
    }

    /// The rate limits of all instruments.
    #[must_use]
    pub const fn rates(&self) -> &RateLimits {
        &self.rates
    }

    /// The rate limits, to report or clear one.
    pub const fn rates_mut(&mut self) -> &mut RateLimits {
        &mut self.rates
    }
}

/// Whether a sheet on this instrument may start now; if not, why, and when to look again.
fn verdict(
    now: Now,
    slots: &Slots,
    rates: &RateLimits,
    instrument: &InstrumentRef,
) -> Result<(), (Reason, Option<Mono>)> {
    if let Some(until) = rates.held_until(now, instrument) {
        return Err((Reason::RateLimited(Arc::clone(&instrument.name)), Some(until)));
    }
    match slots.check(instrument) {
        Ok(()) => Ok(()),
        Err(Full::Instrument) => Err((Reason::Instrument(Arc::clone(&instrument.name)), None)),
        Err(Full::Model(model)) => Err((Reason::Model(Arc::clone(&instrument.name), model), None)),
    }
}

fn earlier(one: Option<Mono>, two: Option<Mono>) -> Option<Mono> {
    [one, two].into_iter().flatten().min()
}
