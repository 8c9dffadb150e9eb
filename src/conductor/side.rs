//! Errands of the side lane: what may block and belongs to no attempt's worker.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use crate::executor::{Adopted, Found, Leftovers, Stray};
use crate::ids::AttemptKey;
use crate::notify::{self, Delivery};

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
}

/// Does an errand and reports what the conductor must know.
pub(crate) fn run(events: &Sender<Event>, errand: Errand) {
    match errand {
        Errand::TryAdopted(attempts) => {
            for (key, adopted) in attempts {
                match adopted.try_over() {
                    Ok(Some(over)) => report(events, Event::AdoptedOver(key, Box::new(over))),
                    Ok(None) => (),
                    Err(_) if adopted.is_gone() => {
                        report(events, Event::AdoptedGone(key, adopted.leftovers()));
                    }
                    Err(error) => {
                        log::warn!("attempt.lock_unreadable attempt={key} error={:?}", error.to_string());
                    }
                }
            }
        }
        Errand::End(adopted) => {
            end_adopted(&adopted);
        }
        Errand::Kill(adopted) => {
            // Its lock is free then, which the next look at it finds.
            _ = adopted.kill();
        }
        Errand::Sweep(key, leftovers) => {
            let alive = leftovers.end();
            report(events, Event::Swept(key, alive));
        }
        Errand::Listen(follows) => report(events, Event::Printed(output::look(follows))),
        Errand::EndStray(stray) => end_stray(&stray),
        Errand::Deliver(delivery) => {
            let outcome = notify::deliver(&delivery);
            report(events, Event::Notified(delivery, outcome));
        }
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

fn report(events: &Sender<Event>, event: Event) {
    // The conductor may already be gone during shutdown; the next start finds the same attempt.
    _ = events.send(event);
}
