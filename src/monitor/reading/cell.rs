//! The cell itself. What it locks with is named by the module above.

use super::sync::{Arc, PoisonError, RwLock};
use crate::pressure::Pressure;

/// Written by the monitor alone, read by everybody. The lock is held for a copy.
#[derive(Debug, Clone)]
pub(in crate::monitor) struct Reading(Arc<RwLock<Pressure>>);

impl Reading {
    pub(in crate::monitor) fn new(first: Pressure) -> Self {
        Self(Arc::new(RwLock::new(first)))
    }

    /// The last one. A copy cannot be left half-written, so a poisoned lock is as good as any.
    pub(in crate::monitor) fn get(&self) -> Pressure {
        *self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::monitor) fn set(&self, reading: Pressure) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = reading;
    }
}
