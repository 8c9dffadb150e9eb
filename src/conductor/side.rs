//! Errands of the side lane: what may block and belongs to no attempt's worker.

use std::sync::Arc;

use crossbeam_channel::Sender;

use crate::executor::{Adopted, Found, Leftovers, Stray};
use crate::ids::AttemptKey;

use super::messages::Event;

/// One errand.
pub(crate) enum Errand {
    /// Try the locks of adopted attempts.
    TryAdopted(Vec<(AttemptKey, Arc<Adopted>)>),
    /// TERM to the guard of an adopted attempt.
    End(Arc<Adopted>),
    /// End what an attempt without a record left behind.
    Sweep(AttemptKey, Leftovers),
    /// End an attempt that no job knows, guard and all.
    EndStray(Stray),
}

/// Does an errand and reports what the conductor must know.
pub(crate) fn run(events: &Sender<Event>, errand: Errand) {
    match errand {
        Errand::TryAdopted(attempts) => {
            for (key, adopted) in attempts {
                match adopted.try_over() {
                    Ok(Some(over)) => report(events, Event::AdoptedOver(key, Box::new(over))),
                    Ok(None) => (),
                    Err(error) => {
                        log::warn!("attempt.lock_unreadable attempt={key} error={:?}", error.to_string());
                    }
                }
            }
        }
        Errand::End(adopted) => {
            // Nobody to ask means that it has just ended; the next look at its lock tells.
            _ = adopted.cancel();
        }
        Errand::Sweep(key, leftovers) => {
            let alive = leftovers.end();
            report(events, Event::Swept(key, alive));
        }
        Errand::EndStray(stray) => end_stray(&stray),
    }
}

fn end_stray(stray: &Stray) {
    log::warn!("attempt.stray_ended directory={:?}", stray.dir.display().to_string());
    match &stray.found {
        Found::Held(adopted) => _ = adopted.cancel(),
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
