//! Which ready sheet of which job runs next.
//!
//! Pure: it counts what runs, knows the limits, the rate limits and the circuit breakers, and answers
//! [`Scheduler::pick`]. It does not know dependencies, pauses or pacing (that is [`crate::exec`], which
//! offers only what may run), and starts nothing: whoever acts on a pick tells it by [`Scheduler::started`].
//!
//! A job offers the most urgent sheet on each of its instruments. That is looked up once and remembered
//! until [`Scheduler::touched`], so a decision costs a few comparisons per job, however many sheets are queued.
//!
//! Invariants: what is counted is the sum of what was started and has not ended; a sheet is counted
//! once however often it is reported; no pick exceeds a limit; a job that cannot run anything now
//! never keeps another from running, and a full instrument never keeps sheets of another one back.

mod breaker;
mod gates;
mod order;
mod rate;
mod ready;
mod reason;
mod slots;
mod standing;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::exec::{BreakerPolicy, Execution, Head, InstrumentRef, JobSpec, Mode};
use crate::ids::{JobId, SheetNo};
use crate::time::{Mono, Now, Wall};

use gates::{Gates, Manners, Way};
use order::Key;
use ready::Group;
use slots::Slots;

pub use breaker::{BreakerRecord, BreakerState, Breakers, FIRST_DELAY, HISTORY, Transition};
pub use gates::Unusable;
pub use rate::{ActiveLimit, LimitEvent, LimitRecord, MAX_WAIT, RateLimits};
pub use reason::{Held, Reason};
pub use slots::{DEFAULT_PER_INSTRUMENT, Limits};
pub use standing::Standing;

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

/// Sheets that may run as far as their job is concerned, and want the same: the most urgent of them.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// Its number.
    pub sheet: SheetNo,
    /// How many there are, this one included.
    pub count: u32,
    /// What it runs on.
    pub instrument: &'a InstrumentRef,
    /// What it may run on instead, in order, when its instrument cannot be used for a while.
    pub fallbacks: &'a [InstrumentRef],
    /// Longest chain of dependencies above it.
    pub depth: u32,
    /// Its attempts so far.
    pub retries: u32,
}

/// Where the scheduler finds what may run.
pub trait Candidates {
    /// Offers what a job may run: one candidate for all sheets that want the same instrument and have
    /// the same fallbacks (more of them are allowed, and cost time). What is offered changes only with
    /// [`Scheduler::touched`], [`Scheduler::started`] or [`Scheduler::ended`] of the job.
    fn offer(&self, job: &JobId, visit: &mut dyn FnMut(Candidate<'_>));
}

impl<'a> Candidate<'a> {
    /// The first of a queue of its job.
    #[must_use]
    pub fn of(exec: &'a Execution, head: Head) -> Self {
        let at = head.sheet.index();
        let (orders, ledger) = (&exec.spec().sheets[at], &exec.sheets()[at].ledger);
        let next = ledger.instrument_index as usize + 1;
        Self {
            sheet: head.sheet,
            count: head.count,
            instrument: exec.occupies(head.sheet),
            fallbacks: match ledger.mode {
                // Nothing runs, so nothing can take over.
                Mode::Recover => &[],
                Mode::Normal | Mode::Completion | Mode::Healing => {
                    orders.instruments.get(next..).unwrap_or(&[])
                }
            },
            depth: exec.depth(head.sheet),
            retries: ledger.attempt_count,
        }
    }
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pick {
    /// Start this sheet, then ask again.
    Run(JobId, SheetNo),
    /// The instrument of this sheet cannot be used for a while, and a later one of its chain can: let it
    /// change to the next, then ask again.
    FallBack(JobId, SheetNo, Unusable),
    /// Something may run, but not now: not before the moment, or, without one, not before something ends.
    Wait(Option<Mono>),
    /// No job has anything that may run.
    Nothing,
}

/// A job that takes part.
#[derive(Debug, Clone)]
pub struct Registration {
    /// 1 is the most urgent, 10 the least, 5 usual.
    pub priority: u8,
    /// The older one goes first.
    pub submitted: Wall,
    /// `None`: breakers neither count its failures nor hold its sheets.
    pub breaker: Option<BreakerPolicy>,
    /// Every instrument that it may use: its policy counts for the breakers of these.
    pub instruments: BTreeSet<Arc<str>>,
    /// A rate limit that ends later than this is not waited for, when there is another instrument.
    pub patience: Duration,
}

impl Registration {
    /// As the orders of a job say.
    #[must_use]
    pub fn of(spec: &JobSpec, priority: u8, submitted: Wall) -> Self {
        let mut instruments = BTreeSet::new();
        let mut last: Option<&InstrumentRef> = None;
        for instrument in spec.sheets.iter().flat_map(|sheet| &sheet.instruments) {
            if last.is_none_or(|last| last.name != instrument.name) {
                instruments.insert(Arc::clone(&instrument.name));
            }
            last = Some(instrument);
        }
        let patience = spec.rate_limit.fallback_min_wait;
        Self { priority, submitted, breaker: spec.breaker, instruments, patience }
    }
}

/// The scheduler of all jobs.
#[derive(Debug)]
pub struct Scheduler {
    jobs: BTreeMap<JobId, Entry>,
    slots: Slots,
    rates: RateLimits,
    breakers: Breakers,
    last_start: Option<Mono>,
    starts: u64,
    /// Changes with everything that [`Scheduler::standing`] shows.
    version: u64,
}

#[derive(Debug)]
struct Entry {
    priority: u8,
    submitted: Wall,
    breaker: Option<BreakerPolicy>,
    instruments: BTreeSet<Arc<str>>,
    patience: Duration,
    running: BTreeMap<SheetNo, InstrumentRef>,
    /// Number of its last start among all starts; 0 = never.
    served: u64,
    /// Since when it has had something to run and got nothing.
    waiting: Option<Mono>,
    /// What it has to run; `None` = to be looked up.
    ready: Option<Vec<Group>>,
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
            breakers: Breakers::default(),
            last_start: None,
            starts: 0,
            version: 0,
        }
    }

    /// New limits, effective at once. What runs above them goes on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.version += 1;
        self.slots.set_limits(limits);
    }

    /// How many sheets may run at once on the models of an instrument, as its profile says. What runs
    /// above that goes on.
    pub fn set_models(&mut self, instrument: &str, models: Vec<(Arc<str>, u32)>) {
        if self.slots.set_models(instrument, models) {
            self.version += 1;
        }
    }

    /// The limits in force.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        self.slots.limits()
    }

    /// A job takes part. Registering again keeps what runs of it and how it was served.
    pub fn register(&mut self, job: JobId, with: Registration) {
        self.version += 1;
        let Registration { priority, submitted, breaker, instruments, patience } = with;
        let before = self.jobs.remove(&job);
        let (running, served, waiting) = match before {
            Some(entry) => (entry.running, entry.served, entry.waiting),
            None => (BTreeMap::new(), 0, None),
        };
        let entry = Entry {
            priority,
            submitted,
            breaker,
            instruments,
            patience,
            running,
            served,
            waiting,
            ready: None,
        };
        self.jobs.insert(job, entry);
    }

    /// A job takes part no more; what was counted for it is given back. Unknown jobs are ignored.
    pub fn deregister(&mut self, now: Now, job: &JobId) {
        let Some(entry) = self.jobs.remove(job) else { return };
        self.version += 1;
        for (sheet, instrument) in entry.running {
            self.give_back(now, job, sheet, &instrument);
        }
    }

    /// What a job offers has changed.
    pub fn touched(&mut self, job: &JobId) {
        if let Some(entry) = self.jobs.get_mut(job) {
            entry.ready = None;
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
            if entry.breaker.is_some() {
                self.breakers.probe_started(now, instrument, job, sheet);
            }
        }
    }

    /// An attempt that already runs takes a place in all limits. False when it was counted before.
    pub fn adopted(&mut self, job: &JobId, sheet: SheetNo, instrument: &InstrumentRef) -> bool {
        let Some(entry) = self.jobs.get_mut(job) else { return false };
        if entry.running.contains_key(&sheet) {
            return false;
        }
        self.version += 1;
        entry.ready = None;
        entry.running.insert(sheet, instrument.clone());
        self.slots.take(instrument);
        true
    }

    /// A sheet holds its slot no more. Reports of sheets that are not counted change nothing.
    /// Tell what it says of its instrument first ([`Self::limited`], [`Self::instrument_said`]), so that
    /// a failed probe is not taken for a success.
    pub fn ended(&mut self, now: Now, job: &JobId, sheet: SheetNo) {
        let Some(entry) = self.jobs.get_mut(job) else { return };
        let Some(instrument) = entry.running.remove(&sheet) else { return };
        self.version += 1;
        entry.ready = None;
        self.give_back(now, job, sheet, &instrument);
    }

    fn give_back(&mut self, now: Now, job: &JobId, sheet: SheetNo, instrument: &InstrumentRef) {
        self.slots.give(instrument);
        self.rates.probe_ended(instrument, job, sheet);
        self.breakers.probe_ended(now, instrument, job, sheet);
    }

    /// An instrument has asked to wait.
    pub fn limited(&mut self, now: Now, on: &InstrumentRef, wait: Duration, job: &JobId, sheet: SheetNo) {
        self.version += 1;
        self.rates.report(now, on, wait, job, sheet);
    }

    /// An attempt says that its instrument works, or that it failed by the instrument's fault. Of several
    /// registered jobs that use the instrument, the strictest policy counts; what attempts of a job
    /// without a breaker say does not. Says how its breaker changed.
    pub fn instrument_said(
        &mut self,
        now: Now,
        on: &InstrumentRef,
        works: bool,
        job: &JobId,
        sheet: SheetNo,
    ) -> Option<Transition> {
        if self.jobs.get(job).is_none_or(|entry| entry.breaker.is_none()) {
            return None;
        }
        self.version += 1;
        if works {
            return self.breakers.succeeded(now, on, job, sheet);
        }
        let users = self.jobs.iter().filter(|(id, entry)| *id == job || entry.instruments.contains(&on.name));
        let strictest = users.filter_map(|(_, entry)| entry.breaker).reduce(|one, two| BreakerPolicy {
            threshold: one.threshold.min(two.threshold),
            recovery: one.recovery.min(two.recovery),
        });
        self.breakers.failed(now, on, job, sheet, strictest?)
    }

    /// What is known of instruments in a new process life. Call [`Self::settle`] when the attempts
    /// that run are known.
    pub fn restore(&mut self, now: Now, limits: Vec<LimitRecord>, breakers: Vec<BreakerRecord>) {
        self.version += 1;
        self.rates.restore(now, limits);
        self.breakers.restore(now, breakers);
    }

    /// Every attempt that survived has been told by [`Self::adopted`]: what others were to try is tried again.
    pub fn settle(&mut self, now: Now) {
        let jobs = &self.jobs;
        let runs = |job: &JobId, sheet| jobs.get(job).is_some_and(|entry| entry.running.contains_key(&sheet));
        self.rates.settle(runs);
        self.breakers.settle(now, runs);
        self.version += 1;
    }

    /// What must be stored of instruments, when something of it has changed since [`Self::stored`].
    #[must_use]
    pub fn unstored(&self) -> Option<(Vec<LimitRecord>, Vec<BreakerRecord>)> {
        let changed = self.rates.is_changed() || self.breakers.is_changed();
        changed.then(|| (self.rates.all_records(), self.breakers.records()))
    }

    /// What [`Self::unstored`] gave is stored.
    pub const fn stored(&mut self) {
        self.rates.stored();
        self.breakers.stored();
    }

    /// What to start now. Asking changes nothing but what is known about waiting.
    pub fn pick(&mut self, now: Now, throttle: Throttle, candidates: &dyn Candidates) -> Pick {
        let held = self.held(now.mono, throttle);
        let share = order::fair_share(self.slots.limits().max_sheets, self.jobs.len());
        let cap = order::hard_cap(share);
        let mut gates = Gates::new(now.mono, &self.slots, &self.rates, &self.breakers);
        let mut best: Option<(Key, &JobId, SheetNo, Way)> = None;
        let mut until = held.as_ref().and_then(|held| held.until);
        let mut waits = false;
        for (id, entry) in &mut self.jobs {
            let ready = entry.ready.take().unwrap_or_else(|| ready::look(candidates, id));
            let shut = held.is_some() || entry.running.len() >= cap;
            let manners = Manners { obeys: entry.breaker.is_some(), patience: entry.patience };
            if ready.is_empty() {
                entry.waiting = None;
            } else {
                waits = true;
                entry.waiting.get_or_insert(now.mono);
            }
            for group in ready.iter().filter(|_| !shut) {
                let way = match gates.way(group, manners) {
                    Ok(way) => way,
                    Err(due) => {
                        until = earlier(until, due);
                        continue;
                    }
                };
                let key = Key::new(entry, group, share, now);
                // Ties go to the lower job id, then to the lower number.
                let wins = best.as_ref().is_none_or(|(first, of, sheet, _)| match key.compare(first) {
                    Ordering::Less => true,
                    Ordering::Equal => *of == id && group.sheet < *sheet,
                    Ordering::Greater => false,
                });
                if wins {
                    best = Some((key, id, group.sheet, way));
                }
            }
            entry.ready = Some(ready);
        }
        match best {
            Some((_, job, sheet, Way::Direct)) => Pick::Run(job.clone(), sheet),
            Some((_, job, sheet, Way::FallBack(why))) => Pick::FallBack(job.clone(), sheet, why),
            None if waits => Pick::Wait(until),
            None => Pick::Nothing,
        }
    }

    /// Why nothing at all may start, and until when.
    fn held(&self, now: Mono, throttle: Throttle) -> Option<Held> {
        if self.slots.is_full() {
            return Some(Held { reason: Reason::Global, until: None });
        }
        match throttle {
            Throttle::Free => None,
            Throttle::Stop => Some(Held { reason: Reason::Pressure, until: None }),
            Throttle::Delay(delay) => {
                let next = self.last_start?.after(delay);
                (next > now).then_some(Held { reason: Reason::Pressure, until: Some(next) })
            }
        }
    }

    /// Why what a job has to run does not run, with the number of its sheets for each reason, as
    /// the last decision found them.
    #[must_use]
    pub fn reasons(&self, now: Now, throttle: Throttle, job: &JobId) -> BTreeMap<Reason, u32> {
        let mut reasons = BTreeMap::new();
        let Some(entry) = self.jobs.get(job) else { return reasons };
        let standing = self.standing(now, throttle);
        for group in entry.ready.iter().flatten() {
            let held =
                standing.held(now.mono, &group.instrument, entry.running.len(), entry.breaker.is_some());
            *reasons.entry(held.map_or(Reason::Behind, |held| held.reason)).or_insert(0) += group.count;
        }
        reasons
    }

    /// A copy of all limits and what is used of them, for readers elsewhere. Cheap.
    #[must_use]
    pub fn standing(&self, now: Now, throttle: Throttle) -> Standing {
        let share = order::fair_share(self.slots.limits().max_sheets, self.jobs.len());
        Standing {
            everything: self.held(now.mono, throttle),
            cap: order::hard_cap(share),
            slots: self.slots.clone(),
            rates: self.rates.clone(),
            breakers: self.breakers.clone(),
        }
    }

    /// Changes whenever [`Self::standing`] does, but for pressure and time.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
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

    /// The rate limits, to lift them.
    pub const fn rates_mut(&mut self) -> &mut RateLimits {
        self.version += 1;
        &mut self.rates
    }

    /// The circuit breakers of all instruments.
    #[must_use]
    pub const fn breakers(&self) -> &Breakers {
        &self.breakers
    }
}

fn earlier(one: Option<Mono>, two: Option<Mono>) -> Option<Mono> {
    [one, two].into_iter().flatten().min()
}
