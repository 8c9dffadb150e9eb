//! The same source over locks whose every interleaving is tried.

use std::time::Duration;

use shuttle::thread;

use crate::pressure::{Limits, Pressure};
use crate::time::Mono;
use cell::Reading;

mod sync {
    pub(super) use std::sync::PoisonError;

    pub(super) use shuttle::sync::{Arc, RwLock};
}

#[path = "cell.rs"]
#[expect(clippy::duplicate_mod, reason = "the model is made of the very same source")]
mod cell;

/// A reading of which every part says the same number.
fn number(num: u8) -> Pressure {
    let limits = Limits { memory_mb: u32::from(num), processes: u32::from(num) };
    let mut reading = Pressure::unknown(limits, Duration::from_secs(u64::from(num)));
    reading.taken = Some(Mono(u64::from(num)));
    reading
}

fn number_of(reading: &Pressure) -> u64 {
    let Limits { memory_mb, processes } = reading.limits;
    let parts = [
        u64::from(memory_mb),
        u64::from(processes),
        reading.interval.as_secs(),
        reading.taken.map_or(0, |at| at.0),
    ];
    assert!(parts.iter().all(|part| *part == parts[0]), "a mixture of two readings: {parts:?}");
    parts[0]
}

#[test]
fn readers_see_whole_readings_and_never_go_back() {
    shuttle::check_dfs(
        || {
            let reading = Reading::new(number(1));
            let readers: Vec<_> = (0..2)
                .map(|_| {
                    let reading = reading.clone();
                    thread::spawn(move || {
                        let first = number_of(&reading.get());
                        assert!(first <= number_of(&reading.get()));
                    })
                })
                .collect();
            reading.set(number(2));
            reading.set(number(3));
            for reader in readers {
                reader.join().expect("a reader does not panic");
            }
            assert_eq!(number_of(&reading.get()), 3);
        },
        Some(20_000),
    );
}
