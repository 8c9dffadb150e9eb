//! A deterministic simulation of the engine: the real state machine, scheduler and records under a
//! simulated clock, database, agents and person, with crashes, lost and late reports, clock jumps,
//! rate limits and pressure. Every night is made of one seed.
//!
//! `MOZART_SIM_JOBS=100000 cargo test --release --test sim` tries so many jobs (default 600);
//! `MOZART_SIM_SEED=<n>` repeats one night and tells what happens in it.

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "tests print what they did")]

mod agents;
mod conductor;
mod flush;
mod ground;
mod happen;
mod random;
mod score;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use world::{Tally, World};

/// Jobs of an ordinary test run.
const JOBS: u64 = 600;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

#[test]
fn every_night_ends_well() {
    if let Some(seed) = number("MOZART_SIM_SEED") {
        World::new(seed, true).run();
        return;
    }
    let wanted = number("MOZART_SIM_JOBS").unwrap_or(JOBS);
    let workers = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let tallies = std::thread::scope(|scope| {
        let nights = (0..workers).map(|worker| scope.spawn(move || nights(worker, workers, wanted)));
        let nights: Vec<_> = nights.collect();
        nights.into_iter().map(|night| night.join().expect("a night fails with its seed")).collect::<Vec<_>>()
    });
    let mut sum = Tally::default();
    for tally in tallies {
        sum.add(&tally);
    }
    println!("{sum:?}");
    assert!(sum.completed > 0 && sum.crashes > 0, "the nights were too quiet to show anything");
}

/// Every `stride`-th seed from `first` on, until enough jobs have been tried.
fn nights(first: u64, stride: u64, wanted: u64) -> Tally {
    let mut sum = Tally::default();
    let mut seed = first;
    while sum.jobs * stride < wanted {
        let night = catch_unwind(AssertUnwindSafe(|| World::new(seed, false).run()));
        match night {
            Ok(tally) => sum.add(&tally),
            Err(_) => panic!("seed {seed} fails; repeat it with MOZART_SIM_SEED={seed}"),
        }
        seed += stride;
    }
    sum
}
