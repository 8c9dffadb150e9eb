//! The counting semaphore of `max_concurrent_jobs`.

mod permits;

#[cfg(test)]
mod model;

pub use permits::{Permit, Semaphore};

/// What the semaphore is made of. A model puts other parts in their place.
mod sync {
    pub(super) use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
}

#[cfg(test)]
mod tests {
    use super::*;

    // Invariant I66
    #[test]
    fn a_permit_returns_with_its_last_clone() {
        let semaphore = Semaphore::new(1);
        let job = semaphore.try_acquire().expect("one is free");
        let attempt = job.clone();
        drop(job);
        assert!(semaphore.try_acquire().is_none());
        drop(attempt);
        assert_eq!(semaphore.held(), 0);
        assert!(semaphore.try_acquire().is_some());
    }

    #[test]
    fn lowering_the_limit_keeps_count_of_what_is_out() {
        let semaphore = Semaphore::new(3);
        let mut out: Vec<_> = (0..3).map(|_| semaphore.try_acquire().expect("free")).collect();
        semaphore.resize(1);
        out.pop();
        assert!(semaphore.try_acquire().is_none(), "two are still out, the limit is one");
        out.clear();
        assert!(semaphore.try_acquire().is_some());
        semaphore.resize(0);
        assert!(semaphore.try_acquire().is_none());
        let _restored = semaphore.acquire_over_limit();
        assert_eq!(semaphore.held(), 1);
    }
}
