//! The loop of the monitor thread.

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, TrySendError, at, select};

use super::reading::Reading;
use super::sample::Sampler;
use super::{Command, FRESH, Inputs, Settings};
use crate::pressure::{CRITICAL_PERCENT, Checks, Level, Pressure, Sample, WARNING_PERCENT};
use crate::time::Mono;

pub(super) struct Watch {
    settings: Settings,
    inputs: Inputs,
    reading: Reading,
    sampler: Sampler,
    checks: Checks,
    /// Level, degradation and readiness that were last told.
    told: Option<(Level, bool, bool)>,
    /// Bands that were last logged: memory, processes.
    bands: [Band; 2],
}

/// Why a check is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// Its time has come, or the settings changed.
    Schedule,
    /// Somebody asked. Asking often must neither degrade the monitor nor shed jobs faster, so its
    /// failures are not counted and an unchanged critical level is not told again.
    Demand,
}

/// Where a resource is, for the log: entering a higher band is one warning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Band {
    Normal,
    Warning,
    Critical,
}

impl Band {
    fn of(percent: f64) -> Self {
        if percent >= CRITICAL_PERCENT {
            Self::Critical
        } else if percent >= WARNING_PERCENT {
            Self::Warning
        } else {
            Self::Normal
        }
    }
}

impl Watch {
    pub(super) fn new(settings: Settings, inputs: Inputs, reading: Reading) -> Self {
        Self {
            settings,
            inputs,
            reading,
            sampler: Sampler::default(),
            checks: Checks::default(),
            told: None,
            bands: [Band::Normal; 2],
        }
    }

    pub(super) fn interval(&self) -> Duration {
        self.settings.interval
    }

    /// Until the stop channel is closed.
    pub(super) fn run(self, stopped: &Receiver<()>, incoming: &Receiver<Command>) {
        let mut watch = EndMark(self);
        let mut due = Instant::now() + watch.0.settings.interval;
        loop {
            select! {
                recv(stopped) -> _ => return,
                recv(incoming) -> command => match command {
                    Ok(Command::Set(settings)) => {
                        watch.0.set(settings);
                        due = Instant::now() + watch.0.checks.wait(settings.interval);
                    }
                    // A check on demand leaves the schedule alone: it may come as often as people ask.
                    Ok(Command::Probe(reply)) => _ = reply.try_send(watch.0.fresh()),
                    Err(_) => return,
                },
                recv(at(due)) -> _ => {
                    watch.0.check(Reason::Schedule);
                    due = Instant::now() + watch.0.checks.wait(watch.0.settings.interval);
                }
            }
        }
    }

    fn set(&mut self, settings: Settings) {
        let (old, new) = (self.settings.limits, settings.limits);
        if old != new {
            log::info!(
                "monitor.limits_updated old_memory_mb={} new_memory_mb={} old_max_processes={} new_max_processes={}",
                old.memory_mb,
                new.memory_mb,
                old.processes,
                new.processes
            );
        }
        self.settings = settings;
        self.check(Reason::Schedule);
    }

    fn fresh(&mut self) -> Pressure {
        let last = self.reading.get();
        let now = (self.inputs.clock)();
        if last.taken.is_some_and(|taken| now.since(taken) < FRESH) {
            return last;
        }
        self.check(Reason::Demand)
    }

    /// Measures, publishes, tells and logs.
    pub(super) fn check(&mut self, reason: Reason) -> Pressure {
        let live = (self.inputs.live)();
        let sample = self.sampler.sample(&live, self.settings.scope);
        let was_degraded = self.checks.degraded();
        if reason == Reason::Schedule || sample.is_complete() {
            self.checks.record(sample.is_complete());
        }
        if self.checks.degraded() && !was_degraded {
            log::warn!("monitor.degraded reason=probe_failed");
        }
        let taken = (self.inputs.clock)();
        let reading = self.publish(sample, taken);
        self.tell(reading, reason);
        self.log(&reading);
        reading
    }

    fn publish(&self, sample: Sample, taken: Mono) -> Pressure {
        // While degraded the checks are further apart; the reading is critical then anyway.
        let Settings { limits, interval, .. } = self.settings;
        let reading = Pressure::new(sample, limits, taken, interval, self.checks.degraded());
        self.reading.set(reading);
        reading
    }

    fn tell(&mut self, reading: Pressure, reason: Reason) {
        let state = (reading.level, reading.degraded, reading.accepting());
        let again = reading.level == Level::Critical && reason == Reason::Schedule;
        if self.told == Some(state) && !again {
            return;
        }
        match self.inputs.changes.try_send(reading) {
            Ok(()) => self.told = Some(state),
            // The next check tries again; the reading itself is published already.
            Err(TrySendError::Full(_)) => self.told = None,
            Err(TrySendError::Disconnected(_)) => (),
        }
    }

    fn log(&mut self, reading: &Pressure) {
        if reading.probe_failed() {
            return;
        }
        let [memory, processes] = &mut self.bands;
        let percent = reading.memory_percent();
        match enter(memory, percent) {
            Some(Band::Critical) => log::warn!(
                "monitor.memory_critical current={:.1} limit={} percent={percent:.1}",
                reading.memory_mb(),
                reading.limits.memory_mb
            ),
            Some(Band::Warning) => log::warn!(
                "monitor.memory_warning current={:.1} limit={} percent={percent:.1}",
                reading.memory_mb(),
                reading.limits.memory_mb
            ),
            Some(Band::Normal) | None => (),
        }
        let percent = reading.processes_percent();
        match enter(processes, percent) {
            Some(Band::Critical) => log::warn!(
                "monitor.processes_critical current={} limit={} percent={percent:.1}",
                reading.processes(),
                reading.limits.processes
            ),
            Some(Band::Warning) => log::warn!(
                "monitor.processes_warning current={} limit={} percent={percent:.1}",
                reading.processes(),
                reading.limits.processes
            ),
            Some(Band::Normal) | None => (),
        }
    }
}

/// The band that is entered from below, if any.
fn enter(band: &mut Band, percent: f64) -> Option<Band> {
    let new = Band::of(percent);
    let old = std::mem::replace(band, new);
    (new > old).then_some(new)
}

/// Marks the reading as degraded when the thread dies of a panic: it must not look fresh.
struct EndMark(Watch);

impl Drop for EndMark {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        log::warn!("monitor.degraded reason=panic");
        let reading = Pressure { degraded: true, level: Level::Critical, ..self.0.reading.get() };
        self.0.reading.set(reading);
        _ = self.0.inputs.changes.try_send(reading);
    }
}
