//! Which instruments have asked to wait, and until when; shared by all jobs.
//!
//! A limit without a model covers every model of its instrument. A later report never shortens an
//! earlier one. When a limit has run out, one sheet goes first as a probe; the rest follow when it
//! has ended without a new limit, or after [`PROBE_FOR`].

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::exec::InstrumentRef;
use crate::ids::{JobId, SheetNo};
use crate::time::{Deadline, Mono, Now, Wall};

/// No limit holds longer than this at a time; then it is probed.
pub const MAX_WAIT: Duration = Duration::from_secs(3600);
/// A probe keeps the others back for at most this long.
const PROBE_FOR: Duration = Duration::from_secs(5);
/// How long reports are remembered.
const KEEP_EVENTS: Duration = Duration::from_secs(3600);
/// Reports that are remembered at most; the oldest go first.
const MAX_EVENTS: usize = 1000;

type Scope = (Arc<str>, Option<Arc<str>>);

/// All rate limits. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct RateLimits {
    limits: BTreeMap<Scope, Limit>,
    /// Shared with the copies that were published.
    events: Arc<VecDeque<LimitEvent>>,
    changed: bool,
}

#[derive(Debug, Clone)]
struct Limit {
    until: Deadline,
    /// The sheet that went first after `until`, and since when.
    probe: Option<(Mono, JobId, SheetNo)>,
}

/// A limit in force.
#[derive(Debug, Clone, PartialEq)]
pub struct ActiveLimit {
    /// Instrument.
    pub instrument: Arc<str>,
    /// Model; `None` = all.
    pub model: Option<Arc<str>>,
    /// Seconds left, rounded to a tenth.
    pub seconds_remaining: f64,
}

/// One report.
#[derive(Debug, Clone, PartialEq)]
pub struct LimitEvent {
    /// Instrument.
    pub instrument: Arc<str>,
    /// Model.
    pub model: Option<Arc<str>>,
    /// When.
    pub detected_at: Wall,
    /// For pruning: the wall clock may go back.
    pub detected: Mono,
    /// The wait, at most an hour.
    pub wait: Duration,
    /// By which job.
    pub job: JobId,
    /// By which sheet.
    pub sheet: SheetNo,
}

/// A limit as stored over a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitRecord {
    /// Instrument.
    pub instrument: Arc<str>,
    /// Model.
    #[serde(default)]
    pub model: Option<Arc<str>>,
    /// When it ends.
    pub until: Wall,
    /// The whole wait in milliseconds.
    pub delay_ms: u64,
    /// The sheet that tries, when it is over.
    #[serde(default)]
    pub probe: Option<(JobId, SheetNo)>,
}

impl RateLimits {
    /// An instrument has asked to wait. Also forgets what is old.
    pub fn report(&mut self, now: Now, on: &InstrumentRef, wait: Duration, job: &JobId, sheet: SheetNo) {
        self.prune(now);
        let wait = wait.min(MAX_WAIT);
        let events = Arc::make_mut(&mut self.events);
        if events.len() >= MAX_EVENTS {
            events.pop_front();
        }
        events.push_back(LimitEvent {
            instrument: Arc::clone(&on.name),
            model: on.model.clone(),
            detected_at: now.wall,
            detected: now.mono,
            wait,
            job: job.clone(),
            sheet,
        });
        if wait.is_zero() {
            return;
        }
        let until = Deadline::after(now, wait);
        let limit = self
            .limits
            .entry((Arc::clone(&on.name), on.model.clone()))
            .or_insert(Limit { until, probe: None });
        if limit.until.mono < until.mono {
            limit.until = until;
        }
        limit.probe = None;
        self.changed = true;
    }

    /// Seconds until an instrument (and model) may be used; `(false, 0.0)` when it may be now.
    #[must_use]
    pub fn query(&self, now: Now, instrument: &str, model: Option<&str>) -> (bool, f64) {
        let left = self
            .limits
            .iter()
            .filter(|((name, of), _)| {
                **name == *instrument && of.as_deref().is_none_or(|of| Some(of) == model)
            })
            .map(|(_, limit)| limit.until.mono.since(now.mono))
            .max()
            .unwrap_or_default();
        if left.is_zero() { (false, 0.0) } else { (true, left.as_secs_f64()) }
    }

    /// Limits that are in force, by name.
    #[must_use]
    pub fn active(&self, now: Now) -> Vec<ActiveLimit> {
        let future = self.limits.iter().filter(|(_, limit)| !limit.until.is_due(now));
        future
            .map(|((instrument, model), limit)| ActiveLimit {
                instrument: Arc::clone(instrument),
                model: model.clone(),
                seconds_remaining: (limit.until.mono.since(now.mono).as_secs_f64() * 10.0).round() / 10.0,
            })
            .collect()
    }

    /// Whether any limit is in force.
    #[must_use]
    pub fn any(&self, now: Now) -> bool {
        self.limits.values().any(|limit| !limit.until.is_due(now))
    }

    /// Reports of the last hour, newest first.
    pub fn recent(&self, now: Now) -> impl Iterator<Item = &LimitEvent> {
        self.events.iter().rev().filter(move |event| now.mono.since(event.detected) <= KEEP_EVENTS)
    }

    /// Removes the limits of an instrument, or all with `None`; the reports stay. Returns how many
    /// were in force.
    pub fn clear(&mut self, now: Now, instrument: Option<&str>) -> usize {
        let mut cleared = 0;
        self.limits.retain(|(name, _), limit| {
            let concerned = instrument.is_none_or(|wanted| **name == *wanted);
            cleared += usize::from(concerned && !limit.until.is_due(now));
            self.changed |= concerned;
            !concerned
        });
        cleared
    }

    /// Forgets old reports and limits that are long over. Returns how many reports went.
    pub fn prune(&mut self, now: Now) -> usize {
        let before = self.events.len();
        if self.events.iter().any(|event| now.mono.since(event.detected) > KEEP_EVENTS) {
            Arc::make_mut(&mut self.events).retain(|event| now.mono.since(event.detected) <= KEEP_EVENTS);
        }
        self.limits.retain(|_, limit| {
            // One that waits for its probe stays for an hour, then nobody stampedes any more.
            now.mono.since(limit.until.mono) <= KEEP_EVENTS
                && limit.probe.as_ref().is_none_or(|(at, ..)| now.mono.since(*at) < PROBE_FOR)
        });
        before - self.events.len()
    }

    /// The next moment at which a limit ends.
    #[must_use]
    pub fn next_expiry(&self, now: Now) -> Option<Mono> {
        let future = self.limits.values().filter(|limit| !limit.until.is_due(now));
        future.map(|limit| limit.until.mono).min()
    }

    /// Limits in force.
    #[must_use]
    pub fn records(&self, now: Now) -> Vec<LimitRecord> {
        let mut records = self.all_records();
        records.retain(|record| {
            let scope = (Arc::clone(&record.instrument), record.model.clone());
            self.limits.get(&scope).is_some_and(|limit| !limit.until.is_due(now))
        });
        records
    }

    /// All limits for storage, those that wait for their probe included.
    #[must_use]
    pub fn all_records(&self) -> Vec<LimitRecord> {
        let record = |((instrument, model), limit): (&Scope, &Limit)| LimitRecord {
            instrument: Arc::clone(instrument),
            model: model.clone(),
            until: limit.until.wall,
            delay_ms: u64::try_from(limit.until.delay.as_millis()).unwrap_or(u64::MAX),
            probe: limit.probe.as_ref().map(|(_, job, sheet)| (job.clone(), *sheet)),
        };
        self.limits.iter().map(record).collect()
    }

    /// Stored limits in a new process life. One that is over meanwhile waits for its probe. Call
    /// [`Self::settle`] when all attempts are known.
    pub fn restore(&mut self, now: Now, records: Vec<LimitRecord>) {
        for record in records {
            let delay = Duration::from_millis(record.delay_ms).min(MAX_WAIT);
            let until = Deadline::restored(now, record.until, delay);
            let probe = record.probe.map(|(job, sheet)| (now.mono, job, sheet));
            self.limits.insert((record.instrument, record.model), Limit { until, probe });
        }
    }

    /// Probes that do not run any more have said nothing: the next sheet tries again.
    pub fn settle(&mut self, runs: impl Fn(&JobId, SheetNo) -> bool) {
        for limit in self.limits.values_mut() {
            if limit.probe.take_if(|(_, job, sheet)| !runs(job, *sheet)).is_some() {
                self.changed = true;
            }
        }
    }

    /// Whether something is to be stored since [`Self::stored`].
    pub(super) const fn is_changed(&self) -> bool {
        self.changed
    }

    pub(super) const fn stored(&mut self) {
        self.changed = false;
    }

    /// Until when a sheet on this instrument is held back; `None` when it may start.
    pub(super) fn held_until(&self, now: Mono, on: &InstrumentRef) -> Option<Mono> {
        if self.limits.is_empty() {
            return None;
        }
        self.concerned(on)
            .filter_map(|limit| {
                let probed = limit.probe.as_ref().map(|(at, ..)| at.after(PROBE_FOR));
                let until = probed.unwrap_or(limit.until.mono).max(limit.until.mono);
                (until > now).then_some(until)
            })
            .max()
    }

    /// Until when the instrument itself has asked to wait; `None` when it has not, or one sheet only
    /// tries whether it still wants that.
    pub(super) fn limited_until(&self, now: Mono, on: &InstrumentRef) -> Option<Mono> {
        if self.limits.is_empty() {
            return None;
        }
        self.concerned(on).map(|limit| limit.until.mono).filter(|until| *until > now).max()
    }

    /// The first sheet after a limit has run out is its probe.
    pub(super) fn probe_started(&mut self, now: Now, on: &InstrumentRef, job: &JobId, sheet: SheetNo) {
        for scope in scopes(on) {
            let Some(limit) = self.limits.get_mut(&scope) else { continue };
            if limit.probe.is_some() {
                // It was allowed although there is a probe: the probe has had its time.
                self.limits.remove(&scope);
                self.changed = true;
            } else if limit.until.is_due(now) {
                limit.probe = Some((now.mono, job.clone(), sheet));
                self.changed = true;
            }
        }
    }

    /// A probe has ended. One that was limited again has no probe any more, so its limit stays.
    pub(super) fn probe_ended(&mut self, on: &InstrumentRef, job: &JobId, sheet: SheetNo) {
        if self.limits.is_empty() {
            return;
        }
        for scope in scopes(on) {
            let probe = self.limits.get(&scope).and_then(|limit| limit.probe.as_ref());
            if probe.is_some_and(|(_, by, of)| by == job && *of == sheet) {
                self.limits.remove(&scope);
                self.changed = true;
            }
        }
    }

    fn concerned(&self, on: &InstrumentRef) -> impl Iterator<Item = &Limit> {
        scopes(on).into_iter().filter_map(|scope| self.limits.get(&scope))
    }
}

/// The limits that concern an instrument: its own, and that of its model.
fn scopes(on: &InstrumentRef) -> Vec<Scope> {
    let mut scopes = vec![(Arc::clone(&on.name), None)];
    if on.model.is_some() {
        scopes.push((Arc::clone(&on.name), on.model.clone()));
    }
    scopes
}
