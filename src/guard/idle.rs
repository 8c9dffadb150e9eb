//! Whether a program does anything: output, and, when asked for, CPU time used below the guard.

use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use crate::process::{self, TICKS_PER_SECOND};

/// CPU time is looked at this often during the limit.
const LOOKS: u32 = 4;
/// CPU time below this share of one processor is silence: timers and sleeping loops use a little.
const SHARE: u64 = 100;
/// Shortest and longest time between two looks.
const LOOK: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));

#[derive(Debug)]
pub(super) struct Idle {
    limit: Duration,
    last: Instant,
    cpu: Option<Cpu>,
}

#[derive(Debug)]
struct Cpu {
    every: Duration,
    looked: Instant,
    ticks: u64,
}

impl Idle {
    pub(super) fn new(limit: Duration, count_cpu: bool, now: Instant) -> Self {
        let every = (limit / LOOKS).clamp(LOOK.0, LOOK.1);
        let cpu = count_cpu.then_some(Cpu { every, looked: now, ticks: 0 });
        Self { limit, last: now, cpu }
    }

    /// There was output.
    pub(super) fn active(&mut self, now: Instant) {
        self.last = now;
    }

    /// Whether the silence has lasted too long.
    pub(super) fn is_over(&mut self, now: Instant) -> bool {
        if let Some(cpu) = &mut self.cpu {
            let passed = now.saturating_duration_since(cpu.looked);
            if passed >= cpu.every {
                let ticks = used_below();
                let enough = (passed.as_secs() * TICKS_PER_SECOND / SHARE).max(1);
                if ticks.saturating_sub(cpu.ticks) >= enough {
                    self.last = now;
                }
                cpu.ticks = ticks;
                cpu.looked = now;
            }
        }
        now.saturating_duration_since(self.last) >= self.limit
    }

    /// When [`Self::is_over`] is to be asked again.
    pub(super) fn next_look(&self) -> Instant {
        let over = self.last + self.limit;
        self.cpu.as_ref().map_or(over, |cpu| over.min(cpu.looked + cpu.every))
    }
}

/// CPU ticks of everything below this process, what was reaped included. It never goes back:
/// the time of who ends goes to who reaps.
fn used_below() -> u64 {
    let reaped = getrusage(UsageWho::RUSAGE_CHILDREN).map_or(0, |usage| {
        let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
        micros.unsigned_abs() * TICKS_PER_SECOND / 1_000_000
    });
    let alive: u64 = process::below(std::process::id()).iter().map(|stat| stat.cpu_ticks).sum();
    reaped + alive
}
