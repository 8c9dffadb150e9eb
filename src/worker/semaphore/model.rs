//! The same source over locks whose every interleaving is tried.

use shuttle::thread;

use permits::Semaphore;

mod sync {
    pub(super) use std::sync::PoisonError;

    pub(super) use shuttle::sync::{Arc, Mutex, MutexGuard};
}

#[path = "permits.rs"]
#[expect(unreachable_pub, clippy::duplicate_mod, reason = "the model is made of the very same source")]
mod permits;

/// Most interleavings that are tried of one model.
const MOST: usize = 20_000;

// Invariant I66
#[test]
fn a_resize_while_permits_come_and_go_loses_none() {
    shuttle::check_dfs(
        || {
            let semaphore = Semaphore::new(1);
            let takers: Vec<_> = (0..2)
                .map(|_| {
                    let semaphore = semaphore.clone();
                    thread::spawn(move || {
                        let permit = semaphore.try_acquire();
                        let shared = permit.clone();
                        drop(permit);
                        drop(shared);
                    })
                })
                .collect();
            semaphore.resize(2);
            let over = semaphore.acquire_over_limit();
            assert!(semaphore.held() >= 1 && semaphore.limit() == 2);
            drop(over);
            for taker in takers {
                taker.join().expect("a taker does not panic");
            }
            assert_eq!(semaphore.held(), 0, "every permit came back");
            let all: Vec<_> = std::iter::from_fn(|| semaphore.try_acquire()).collect();
            assert_eq!(all.len(), 2, "as many as the limit says can be had");
        },
        Some(MOST),
    );
}

#[test]
fn no_more_than_the_limit_are_out_at_any_moment() {
    shuttle::check_dfs(
        || {
            let semaphore = Semaphore::new(1);
            let takers: Vec<_> = (0..3)
                .map(|_| {
                    let semaphore = semaphore.clone();
                    thread::spawn(move || {
                        let permit = semaphore.try_acquire();
                        assert!(semaphore.held() <= 1);
                        permit.is_some()
                    })
                })
                .collect();
            let got: Vec<bool> =
                takers.into_iter().map(|taker| taker.join().expect("a taker does not panic")).collect();
            assert!(got.contains(&true), "the first to ask gets one");
            assert_eq!(semaphore.held(), 0);
        },
        Some(MOST),
    );
}
