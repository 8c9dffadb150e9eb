//! How much load the machine bears: sample in, level out.
//!
//! For: the memory and process bands of backpressure, the readiness rule, the window of recent job
//! failures. Not for: measuring (that is `monitor`), waiting or refusing (that is the conductor),
//! rate limits (who knows of them adds them with [`Level::with_rate_limit`]).
//!
//! Invariant: what could not be measured, or was measured too long ago, counts as critical.

mod chatter;
mod checks;
mod failures;

use std::time::Duration;

use serde::Serialize;

pub use chatter::{Chatter, Relief};
pub use checks::Checks;
pub use failures::FailureWindow;

use crate::time::Mono;

/// From this share of a limit on (percent) the conductor is not ready, and the process part is critical.
pub const WARNING_PERCENT: f64 = 80.0;
/// From this share of a limit on (percent) running work is shed.
pub const CRITICAL_PERCENT: f64 = 95.0;
/// A reading older than so many monitor intervals counts as a failed probe.
pub const STALE_INTERVALS: u32 = 3;

/// How hard the load presses. Ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Nothing to hold back.
    None,
    /// More than 50 % of the memory limit.
    Low,
    /// More than 70 %.
    Medium,
    /// More than 85 %: no submissions.
    High,
    /// More than 95 %, or 80 % of the processes, or unknown: no sheet starts.
    Critical,
}

impl Level {
    /// The word of the wire.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// The level as it is shown: at least high while a rate limit is active. Delays and refusals
    /// use the level without this.
    #[must_use]
    pub fn with_rate_limit(self, active: bool) -> Self {
        if active { self.max(Self::High) } else { self }
    }

    /// Least time between two dispatches of the conductor.
    #[must_use]
    pub const fn dispatch_delay(self) -> Duration {
        match self {
            Self::None => Duration::ZERO,
            Self::Low => Duration::from_secs(2),
            Self::Medium => Duration::from_secs(10),
            Self::High => Duration::from_secs(30),
            Self::Critical => Duration::from_secs(60),
        }
    }

    /// Whether a sheet may start at all (after the delay).
    #[must_use]
    pub const fn may_start(self) -> bool {
        match self {
            Self::None | Self::Low | Self::Medium | Self::High => true,
            Self::Critical => false,
        }
    }
}

/// What the conductor may use. A limit of 0 limits nothing for readiness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// `resource_limits.max_memory_mb`, in MiB.
    pub memory_mb: u32,
    /// `resource_limits.max_processes`.
    pub processes: u32,
}

/// One measurement. `None` = the probe failed.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sample {
    /// Resident memory in MiB.
    pub memory_mb: Option<f64>,
    /// Processes below the conductor and its guards; guards and zombies are not among them.
    pub processes: Option<u32>,
    /// Processes of the tree that have ended and were not reaped yet.
    pub zombies: u32,
}

impl Sample {
    /// Both probes worked.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.memory_mb.is_some() && self.processes.is_some()
    }
}

/// The level of a complete or failed sample, with the documented strict bounds: exactly 50 % of the
/// memory limit is none, exactly 95 % is high; exactly 80 % of the processes is critical.
#[must_use]
pub fn assess(sample: &Sample, limits: Limits, degraded: bool) -> Level {
    let (Some(memory), Some(processes)) = (sample.memory_mb, sample.processes) else {
        return Level::Critical;
    };
    let share = memory / f64::from(limits.memory_mb.max(1));
    if degraded || !share.is_finite() || share > 0.95 || !few(processes, limits.processes) {
        Level::Critical
    } else if share > 0.85 {
        Level::High
    } else if share > 0.70 {
        Level::Medium
    } else if share > 0.50 {
        Level::Low
    } else {
        Level::None
    }
}

/// Share of a limit in percent, at most 100; a limit of 0 gives 0.
#[must_use]
pub fn percent(current: f64, limit: u32) -> f64 {
    if limit == 0 { 0.0 } else { (current / f64::from(limit) * 100.0).min(100.0) }
}

/// Fewer than 80 % of the limit, without rounding.
fn few(processes: u32, limit: u32) -> bool {
    limit == 0 || u64::from(processes) * 100 < u64::from(limit) * 80
}

/// Why a submission is refused, or the conductor not ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Too much memory is used.
    Memory,
    /// Too many processes run.
    Processes,
    /// Measuring failed five times in a row, or the monitor has ended.
    MonitorDegraded,
    /// The last measurement failed or is too old.
    ProbeFailed,
}

impl Cause {
    /// The word in `reasons` of `daemon.ready`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Processes => "processes",
            Self::MonitorDegraded => "monitor_degraded",
            Self::ProbeFailed => "probe_failed",
        }
    }
}

/// The reading that everybody shares: the monitor writes it, the others copy it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pressure {
    /// Level of this reading, without rate limits.
    pub level: Level,
    /// What was measured.
    pub sample: Sample,
    /// Against what.
    pub limits: Limits,
    /// When it was measured; `None` before the first measurement.
    pub taken: Option<Mono>,
    /// How often it should be measured.
    pub interval: Duration,
    /// Measuring failed five times in a row, or the monitor has ended.
    pub degraded: bool,
}

impl Pressure {
    /// Before anything was measured: critical.
    #[must_use]
    pub const fn unknown(limits: Limits, interval: Duration) -> Self {
        let sample = Sample { memory_mb: None, processes: None, zombies: 0 };
        Self { level: Level::Critical, sample, limits, taken: None, interval, degraded: false }
    }

    /// A reading made of a measurement.
    #[must_use]
    pub fn new(sample: Sample, limits: Limits, taken: Mono, interval: Duration, degraded: bool) -> Self {
        let level = assess(&sample, limits, degraded);
        Self { level, sample, limits, taken: Some(taken), interval, degraded }
    }

    /// The reading as it counts at `now`: one that is older than three intervals says nothing.
    #[must_use]
    pub fn at(self, now: Mono) -> Self {
        let age = self.taken.map(|taken| now.since(taken));
        if age.is_some_and(|age| age <= self.interval.saturating_mul(STALE_INTERVALS)) {
            return self;
        }
        Self { level: Level::Critical, sample: Sample::default(), ..self }
    }

    /// A probe failed, or none was made yet.
    #[must_use]
    pub const fn probe_failed(&self) -> bool {
        !self.sample.is_complete()
    }

    /// Memory in MiB as shown; 0 when unknown.
    #[must_use]
    pub fn memory_mb(&self) -> f64 {
        self.sample.memory_mb.unwrap_or(0.0)
    }

    /// Processes as shown; 0 when unknown.
    #[must_use]
    pub fn processes(&self) -> u32 {
        self.sample.processes.unwrap_or(0)
    }

    /// Share of the memory limit in percent, at most 100.
    #[must_use]
    pub fn memory_percent(&self) -> f64 {
        percent(self.memory_mb(), self.limits.memory_mb)
    }

    /// Share of the process limit in percent, at most 100.
    #[must_use]
    pub fn processes_percent(&self) -> f64 {
        percent(f64::from(self.processes()), self.limits.processes)
    }

    /// Everything that keeps the conductor from being ready. Empty = it accepts work: not degraded,
    /// both probes work, memory and processes below 80 %.
    #[must_use]
    pub fn unready(&self) -> Vec<Cause> {
        let mut causes = Vec::new();
        if self.memory_percent() >= WARNING_PERCENT {
            causes.push(Cause::Memory);
        }
        if !few(self.processes(), self.limits.processes) {
            causes.push(Cause::Processes);
        }
        if self.degraded {
            causes.push(Cause::MonitorDegraded);
        }
        if self.probe_failed() {
            causes.push(Cause::ProbeFailed);
        }
        causes
    }

    /// The readiness rule.
    #[must_use]
    pub fn accepting(&self) -> bool {
        self.unready().is_empty()
    }

    /// Why a submission is refused now: high or critical by memory, 80 % of the processes, or
    /// nothing is known. Never because of a rate limit.
    #[must_use]
    pub fn rejection_reason(&self) -> Option<Cause> {
        if self.degraded {
            return Some(Cause::MonitorDegraded);
        }
        match self.level {
            Level::None | Level::Low | Level::Medium => None,
            Level::High | Level::Critical if self.probe_failed() => Some(Cause::ProbeFailed),
            Level::High | Level::Critical if !few(self.processes(), self.limits.processes) => {
                Some(Cause::Processes)
            }
            Level::High | Level::Critical => Some(Cause::Memory),
        }
    }

    /// Resources at 95 % of their limit or more: at most one job is shed for each per check.
    #[must_use]
    pub fn breached(&self) -> Vec<Cause> {
        let mut causes = Vec::new();
        if self.memory_percent() >= CRITICAL_PERCENT {
            causes.push(Cause::Memory);
        }
        if self.processes_percent() >= CRITICAL_PERCENT {
            causes.push(Cause::Processes);
        }
        causes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { memory_mb: 1000, processes: 50 };
    const INTERVAL: Duration = Duration::from_secs(15);

    fn reading(memory: f64, processes: u32) -> Pressure {
        let sample = Sample { memory_mb: Some(memory), processes: Some(processes), zombies: 0 };
        Pressure::new(sample, LIMITS, Mono(0), INTERVAL, false)
    }

    #[test]
    fn memory_bands_are_strict() {
        let table = [
            (0.0, Level::None),
            (500.0, Level::None),
            (500.1, Level::Low),
            (700.0, Level::Low),
            (700.1, Level::Medium),
            (800.0, Level::Medium),
            (850.0, Level::Medium),
            (850.1, Level::High),
            (950.0, Level::High),
            (950.1, Level::Critical),
            (5000.0, Level::Critical),
        ];
        for (memory, level) in table {
            let reading = reading(memory, 0);
            assert_eq!(reading.level, level, "{memory}");
            assert_eq!(reading.accepting(), memory < 800.0, "{memory}");
            assert_eq!(reading.rejection_reason(), (memory > 850.0).then_some(Cause::Memory), "{memory}");
            assert_eq!(!reading.breached().is_empty(), memory >= 950.0, "{memory}");
        }
    }

    #[test]
    fn exactly_eighty_percent_of_the_processes_is_too_many() {
        for (processes, level, shed) in [
            (0, Level::None, false),
            (39, Level::None, false),
            (40, Level::Critical, false),
            (47, Level::Critical, false),
            (48, Level::Critical, true),
            (500, Level::Critical, true),
        ] {
            let reading = reading(0.0, processes);
            assert_eq!(reading.level, level, "{processes}");
            assert_eq!(reading.accepting(), level == Level::None);
            let refused = (level == Level::Critical).then_some(Cause::Processes);
            assert_eq!(reading.rejection_reason(), refused, "{processes}");
            assert_eq!(reading.breached() == [Cause::Processes], shed, "{processes}");
        }
    }

    #[test]
    fn what_is_not_known_is_critical() {
        let full = Sample { memory_mb: Some(1.0), processes: Some(1), zombies: 0 };
        let unknown = Pressure::unknown(LIMITS, INTERVAL);
        let half = Pressure::new(Sample { memory_mb: None, ..full }, LIMITS, Mono(0), INTERVAL, false);
        let other = Pressure::new(Sample { processes: None, ..full }, LIMITS, Mono(0), INTERVAL, false);
        for reading in [unknown, half, other] {
            assert_eq!(reading.level, Level::Critical);
            assert_eq!(reading.rejection_reason(), Some(Cause::ProbeFailed));
            assert_eq!(reading.unready(), [Cause::ProbeFailed]);
        }
        let degraded = Pressure::new(full, LIMITS, Mono(0), INTERVAL, true);
        assert_eq!(degraded.level, Level::Critical);
        assert_eq!(degraded.rejection_reason(), Some(Cause::MonitorDegraded));
        let nan = Sample { memory_mb: Some(f64::NAN), ..full };
        assert_eq!(assess(&nan, LIMITS, false), Level::Critical);
    }

    #[test]
    fn a_reading_older_than_three_intervals_says_nothing() {
        let reading = reading(1.0, 1);
        let edge = Mono(0).after(3 * INTERVAL);
        assert_eq!(reading.at(edge), reading);
        let late = reading.at(edge.after(Duration::from_nanos(1)));
        assert_eq!(late.level, Level::Critical);
        assert!(late.probe_failed());
        assert!(Pressure::unknown(LIMITS, INTERVAL).at(Mono(0)).probe_failed());
    }

    #[test]
    fn a_rate_limit_is_shown_as_high_and_refuses_nothing() {
        assert_eq!(Level::None.with_rate_limit(true), Level::High);
        assert_eq!(Level::Critical.with_rate_limit(true), Level::Critical);
        assert_eq!(Level::Low.with_rate_limit(false), Level::Low);
        assert_eq!(reading(0.0, 0).rejection_reason(), None);
    }

    #[test]
    fn delays_and_stops_are_those_of_the_guides() {
        let levels = [Level::None, Level::Low, Level::Medium, Level::High, Level::Critical];
        assert_eq!(levels.map(|level| level.dispatch_delay().as_secs()), [0, 2, 10, 30, 60]);
        assert_eq!(levels.map(Level::may_start), [true, true, true, true, false]);
        assert!(levels.is_sorted());
        for level in levels {
            assert_eq!(serde_json::to_value(level).ok(), Some(level.word().into()));
        }
    }

    #[test]
    fn a_share_is_at_most_a_hundred_and_no_limit_is_no_share() {
        assert!((percent(50.0, 200) - 25.0).abs() < f64::EPSILON);
        assert!((percent(500.0, 200) - 100.0).abs() < f64::EPSILON);
        assert!(percent(500.0, 0).abs() < f64::EPSILON);
    }
}
