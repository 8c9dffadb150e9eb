//! The semaphore itself. What it locks with is named by the module above.

use super::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts permits. It never blocks: who gets none stays in its own queue and asks again when one
/// came back. The limit can change at any time without losing count of what is out.
///
/// The lock inside is held for one comparison and one addition; a message to the conductor
/// instead would make the count wrong between the send and the turn that reads it.
#[derive(Debug, Clone)]
pub struct Semaphore {
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug, Clone, Copy)]
struct Counts {
    limit: usize,
    held: usize,
}

/// One permit. Clones share it; it returns when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Permit {
    _held: Arc<Held>,
}

#[derive(Debug)]
struct Held {
    counts: Arc<Mutex<Counts>>,
}

impl Semaphore {
    /// A semaphore with so many permits.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { counts: Arc::new(Mutex::new(Counts { limit, held: 0 })) }
    }

    /// A permit, if one is free.
    #[must_use]
    pub fn try_acquire(&self) -> Option<Permit> {
        let mut counts = lock(&self.counts);
        if counts.held >= counts.limit {
            return None;
        }
        counts.held += 1;
        drop(counts);
        Some(self.permit())
    }

    /// A permit even when none is free: for jobs that were running before a restart.
    /// The count may exceed the limit until enough of them have ended.
    #[must_use]
    pub fn acquire_over_limit(&self) -> Permit {
        lock(&self.counts).held += 1;
        self.permit()
    }

    /// Changes the limit. Permits that are out stay valid; a lower limit is reached as they return.
    pub fn resize(&self, limit: usize) {
        lock(&self.counts).limit = limit;
    }

    /// Permits in use.
    #[must_use]
    pub fn held(&self) -> usize {
        lock(&self.counts).held
    }

    /// The limit.
    #[must_use]
    pub fn limit(&self) -> usize {
        lock(&self.counts).limit
    }

    fn permit(&self) -> Permit {
        Permit { _held: Arc::new(Held { counts: Arc::clone(&self.counts) }) }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        lock(&self.counts).held -= 1;
    }
}

/// Two integers cannot be left half-written, so a poisoned lock is as good as any.
fn lock(counts: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}
