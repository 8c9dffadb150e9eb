//! Errands of the side lane: what may block and belongs to no attempt's worker.

use std::path::PathBuf;
use std::sync::Arc;

use crossbeam_channel::Sender;

use crate::executor::{self, Adopted, Taken};
use crate::ids::{AttemptKey, Token};

use super::messages::Event;

/// One errand.
pub(crate) enum Errand {
    /// Try the locks of adopted attempts.
    TryAdopted(Vec<(AttemptKey, Arc<Adopted>)>),
    /// TERM to the guard of an adopted attempt.
    End(Arc<Adopted>),
    /// End what an attempt without a record left behind.
    Sweep { key: AttemptKey, dir: PathBuf, token: Token },
    /// End an attempt that no job knows, guard and all.
    EndUnknown(PathBuf),
}

/// Does an errand and reports what the conductor must know.
pub(crate) fn run(events: &Sender<Event>, errand: Errand) {
    match errand {
        Errand::TryAdopted(attempts) => {
            for (key, adopted) in attempts {
                match adopted.try_over() {
                    Ok(Some(taken)) => report(events, Event::AdoptedOver(key, Box::new(taken))),
                    Ok(None) => (),
                    Err(error) => log::warn!("attempt.lock_unreadable attempt={key} error={:?}", error.to_string()),
                }
            }
        }
        Errand::End(adopted) => adopted.cancel(),
        Errand::Sweep { key, dir, token } => {
            let alive = executor::end_leftovers(&dir, &token);
            report(events, Event::Swept(key, alive));
        }
        Errand::EndUnknown(dir) => {
            if let Err(error) = executor::end_unknown(&dir) {
                log::warn!("attempt.unknown_not_ended directory={dir:?} error={:?}", error.to_string());
            }
        }
    }
}

fn report(events: &Sender<Event>, event: Event) {
    // The conductor may already be gone during shutdown; the next start finds the same attempt.
    _ = events.send(event);
}

/// Marker so that the type of what was taken is named here once.
pub(crate) type TakenAttempt = Taken;
