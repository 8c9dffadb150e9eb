//! What can be said about the conductor without asking it: the answers of the inline methods.

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Signs of life, shared by everyone who answers or reports. Counters are read for display only.
#[derive(Debug)]
pub struct Vital {
    pid: u32,
    started: Instant,
    shutting_down: AtomicBool,
    /// Connections that are open now.
    pub connections: AtomicU64,
    /// Requests that were handed out and are not answered yet.
    pub requests_in_flight: AtomicU64,
    /// Lines answered or handed out since the start.
    pub requests_total: AtomicU64,
}

impl Vital {
    /// Of this process, started now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            pid: std::process::id(),
            started: Instant::now(),
            shutting_down: AtomicBool::new(false),
            connections: AtomicU64::new(0),
            requests_in_flight: AtomicU64::new(0),
            requests_total: AtomicU64::new(0),
        }
    }

    /// From now on `daemon.health` says that the conductor is stopping.
    pub fn set_shutting_down(&self) {
        self.shutting_down.store(true, Ordering::Release);
    }

    /// Whether the conductor is stopping.
    #[must_use]
    pub fn is_shutting_down(&self) -> bool {
        self.shutting_down.load(Ordering::Acquire)
    }

    /// Process id of the conductor.
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// Seconds since the start, rounded to 0.1 where they are shown.
    #[must_use]
    pub fn uptime_seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// The result of an inline method as JSON; `None` for every other method.
    #[must_use]
    pub fn answer(&self, method: &str) -> Option<Vec<u8>> {
        let mut json = Vec::with_capacity(96);
        match method {
            "daemon.health" => {
                let tenths = (self.started.elapsed().as_millis() + 50) / 100;
                write!(
                    json,
                    r#"{{"status":"ok","pid":{},"uptime_seconds":{}.{},"shutting_down":{}}}"#,
                    self.pid,
                    tenths / 10,
                    tenths % 10,
                    self.is_shutting_down(),
                )
            }
            "daemon.ping" => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
                write!(json, r#"{{"message":"pong","timestamp":{now}}}"#)
            }
            _ => return None,
        }
        .expect("writing to memory cannot fail");
        Some(json)
    }
}

impl Default for Vital {
    fn default() -> Self {
        Self::new()
    }
}
