//! Measures what the conductor and everything below it use, and publishes the pressure.
//!
//! For: one thread (`mz-monitor`) that samples at its interval, writes the shared reading and says
//! when the level changes. Not for: deciding what follows from it.
//!
//! Invariants:
//! - The thread is the only writer of the reading and the only one that samples; others copy the
//!   reading, or ask the thread for a fresh one.
//! - It wakes at its interval and when it is asked, never more often.
//! - It never blocks on the channel of changes: what did not fit is sent at the next check.
//! - When it ends while somebody still holds a [`Gauge`], whether stopped or broken, the reading is
//!   degraded (broken) or grows stale (stopped), and nothing that reads it starts work.

mod reading;
mod sample;
mod thread;

#[cfg(test)]
mod tests;

use std::thread::JoinHandle;
use std::time::Duration;
use std::{fmt, io};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

pub use crate::config::MemoryScope as Scope;
use crate::pressure::{Limits, Pressure};
use crate::time::Mono;

/// A reading younger than this is fresh enough for everybody.
const FRESH: Duration = Duration::from_secs(1);
/// How long a caller waits for a fresh reading before it takes the last one.
const PATIENCE: Duration = Duration::from_secs(2);

/// What can be changed while the monitor runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Against what the sample is held.
    pub limits: Limits,
    /// Whose memory counts.
    pub scope: Scope,
    /// `monitor_interval_seconds`.
    pub interval: Duration,
}

/// What is alive right now, as far as the conductor knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Live {
    /// Some attempt or command runs. When not, only our own process is read.
    pub any: bool,
    /// Pids of guards that are not our children (adopted ones). Our own are found by themselves;
    /// to name them, too, does no harm.
    pub guards: Vec<u32>,
}

/// What the monitor takes from outside.
pub struct Inputs {
    /// What is alive. Asked once per check, by the monitor thread.
    pub live: Box<dyn Fn() -> Live + Send>,
    /// The monotonic clock that readers of the pressure use, too.
    pub clock: Box<dyn Fn() -> Mono + Send>,
    /// Receives each reading whose level or degradation differs from the one before, and each
    /// critical one of a scheduled check (shedding looks at consecutive checks). Never blocked on.
    pub changes: Sender<Pressure>,
}

impl fmt::Debug for Inputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inputs").finish_non_exhaustive()
    }
}

enum Command {
    Set(Settings),
    /// Answer with a reading that is at most [`FRESH`] old.
    Probe(Sender<Pressure>),
}

/// The running monitor. Dropping it ends and joins the thread.
#[derive(Debug)]
pub struct Monitor {
    gauge: Gauge,
    // Closing this channel is what makes the thread return.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Reads the pressure from any thread. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Gauge {
    reading: reading::Reading,
    commands: Sender<Command>,
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set(settings) => write!(f, "Set({settings:?})"),
            Self::Probe(_) => f.write_str("Probe"),
        }
    }
}

impl Monitor {
    /// Takes a first sample, then starts the thread: the first reading is never unknown only
    /// because nobody has looked yet.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(settings: Settings, inputs: Inputs) -> io::Result<Self> {
        let (stop, stopped) = bounded::<()>(0);
        // Unbounded: each request worker has at most one probe under way, and settings change by hand.
        let (commands, incoming) = unbounded();
        let reading = reading::Reading::new(Pressure::unknown(settings.limits, settings.interval));
        let mut watch = thread::Watch::new(settings, inputs, reading.clone());
        watch.check(thread::Reason::Schedule);
        let thread = std::thread::Builder::new()
            .name("mz-monitor".into())
            .stack_size(256 << 10)
            .spawn(move || run(watch, &stopped, &incoming))?;
        Ok(Self { gauge: Gauge { reading, commands }, stop: Some(stop), thread: Some(thread) })
    }

    /// A reader for other threads.
    #[must_use]
    pub fn gauge(&self) -> Gauge {
        self.gauge.clone()
    }

    /// New limits, scope or interval; a check with them follows at once.
    pub fn set(&self, settings: Settings) {
        // A monitor that has ended needs no settings.
        _ = self.gauge.commands.send(Command::Set(settings));
    }
}

fn run(watch: thread::Watch, stopped: &Receiver<()>, incoming: &Receiver<Command>) {
    log::info!("monitor.started interval={}", watch.interval().as_secs_f64());
    watch.run(stopped, incoming);
    log::info!("monitor.stopped");
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // It reports its own panic; nothing is left to do about it here.
            _ = thread.join();
        }
    }
}

impl Gauge {
    /// The last reading as it is. Use [`Pressure::at`] to see whether it still counts.
    #[must_use]
    pub fn last(&self) -> Pressure {
        self.reading.get()
    }

    /// A reading that is at most a second old; asks the monitor for it and waits up to two seconds.
    /// Then, or when the monitor has ended, the last one as it counts at `now`. For request
    /// workers: the conductor thread must not wait.
    #[must_use]
    pub fn fresh(&self, now: Mono) -> Pressure {
        let last = self.last();
        if last.taken.is_some_and(|taken| now.since(taken) < FRESH) {
            return last;
        }
        let (reply, answer) = bounded(1);
        let asked = self.commands.send(Command::Probe(reply)).is_ok();
        match answer.recv_timeout(PATIENCE) {
            Ok(reading) if asked => reading,
            Ok(_) | Err(_) => self.last().at(now),
        }
    }
}
