//! The one shared reading of the pressure.

mod cell;

#[cfg(test)]
mod model;

pub(super) use cell::Reading;

/// What the cell is made of. A model puts other parts in their place.
mod sync {
    pub(super) use std::sync::{Arc, PoisonError, RwLock};
}
