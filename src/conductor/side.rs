//! Errands of the side lane: what may block and belongs to no attempt's worker.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use crate::executor::{Adopted, Found, Leftovers, Stray};
use crate::ids::{AttemptKey, JobId};
use crate::instrument::Environment;
use crate::joblog::JobLog;
use crate::notify::{self, Delivery};

use super::around::{self, Entry, Place, Program, SetUpOrder, TearDown, Watched};
use super::messages::Event;
use super::output::{self, Follow};

/// How long a guard may take to write who it is; it needs a millisecond.
const GUARD_PATIENCE: Duration = Duration::from_secs(2);
/// Between two looks at it.
const LOOK: Duration = Duration::from_millis(10);

/// One errand.
pub(crate) enum Errand {
    /// Try the locks of adopted attempts.
    TryAdopted(Vec<(AttemptKey, Arc<Adopted>)>),
    /// TERM to the guard of an adopted attempt.
    End(Arc<Adopted>),
    /// KILL to the guard of an adopted attempt, which does not react.
    Kill(Arc<Adopted>),
    /// End what an attempt without a record left behind.
    Sweep(AttemptKey, Leftovers),
    /// Read what attempts have printed since the last look.
    Listen(Vec<Follow>),
    /// End an attempt that no job knows, guard and all.
    EndStray(Stray),
    /// Send a notification.
    Deliver(Box<Delivery>),
    /// Start the program of a hook.
    Hook(Box<Program>),
    /// Look at programs of hooks that take longer.
    LookAtHooks(Vec<(JobId, Place, Box<Watched>)>),
    /// A line of a concert log.
    ConcertLog(Entry),
    /// Write what the log of a job has not written yet.
    JobLog(Arc<JobLog>),
    /// What a score wants before its first sheet. May take minutes.
    SetUp(Box<SetUpOrder>),
    /// The end of what a set-up made. May take minutes.
    TearDown(Box<TearDown>),
    /// What earlier conductors left of worktrees, but for these jobs.
    Prune(HashSet<JobId>),
}

/// What every errand of this conductor may need. One per side worker.
pub(crate) struct Side {
    pub(crate) events: Sender<Event>,
    pub(crate) state_dir: PathBuf,
    pub(crate) guard_program: PathBuf,
    pub(crate) ours: Arc<Environment>,
}

impl Side {
    /// Does an errand and reports what the conductor must know.
    pub(crate) fn run(&mut self, errand: Errand) {
        match errand {
            Errand::TryAdopted(attempts) => self.try_adopted(attempts),
            Errand::End(adopted) => {
                end_adopted(&adopted);
            }
            Errand::Kill(adopted) => {
                // Its lock is free then, which the next look at it finds.
                _ = adopted.kill();
            }
            Errand::Sweep(key, leftovers) => {
                let alive = leftovers.end();
                self.report(Event::Swept(key, alive));
            }
            Errand::Listen(follows) => self.report(Event::Printed(output::look(follows))),
            Errand::EndStray(stray) => end_stray(&stray),
            Errand::Deliver(delivery) => {
                let outcome = notify::deliver(&delivery);
                self.report(Event::Notified(delivery, outcome));
            }
            Errand::Hook(program) => self.report(Event::Around(around::start_program(self, &program))),
            Errand::LookAtHooks(running) => {
                for (job, place, watched) in running {
                    self.report(Event::Around(around::look_at_program(job, place, *watched)));
                }
            }
            Errand::ConcertLog(entry) => entry.write(),
            Errand::JobLog(log) => log.write(),
            Errand::SetUp(order) => around::set_up(self, &order),
            Errand::TearDown(order) => around::tear_down(self, &order),
            Errand::Prune(active) => around::prune(self, &active),
        }
    }

    fn try_adopted(&self, attempts: Vec<(AttemptKey, Arc<Adopted>)>) {
        for (key, adopted) in attempts {
            match adopted.try_over() {
                Ok(Some(over)) => self.report(Event::AdoptedOver(key, Box::new(over))),
                Ok(None) => (),
                Err(_) if adopted.is_gone() => self.report(Event::AdoptedGone(key, adopted.leftovers())),
                Err(error) => {
                    log::warn!("attempt.lock_unreadable attempt={key} error={:?}", error.to_string());
                }
            }
        }
    }

    pub(super) fn report(&self, event: Event) {
        // The conductor may already be gone during shutdown; the next start finds the same attempt.
        _ = self.events.send(event);
    }
}

/// A guard that was started an instant ago has not written who it is, and cannot be told before.
/// One that has written it and cannot be told has just ended: the next look at its lock says how.
fn end_adopted(adopted: &Adopted) {
    let until = Instant::now() + GUARD_PATIENCE;
    while !adopted.cancel() && adopted.guard_pid().is_none() && Instant::now() < until {
        std::thread::park_timeout(LOOK);
    }
}

fn end_stray(stray: &Stray) {
    log::warn!("attempt.stray_ended directory={:?}", stray.dir.display().to_string());
    match &stray.found {
        Found::Held(adopted) => end_adopted(adopted),
        Found::Interrupted(leftovers) => {
            let alive = leftovers.end();
            if !alive.is_empty() {
                log::error!(
                    "attempt.leftovers_alive directory={:?} pids={alive:?}",
                    stray.dir.display().to_string()
                );
            }
        }
        Found::Over(_) | Found::NeverStarted => (),
    }
}
