//! The fixed worker pool and the counting semaphore.
//!
//! Three [`Lane`]s (requests, sheets, side), each a crossbeam channel read by threads
//! that are made once at start: the number of threads is the same idle and busy. A task is one
//! request, one attempt or one errand, never a job: a job that waits holds no thread.
//! One exception: a sheet that runs under a cost limit and prints JSON lines is watched by a thread of its own
//! (`mz-meter`), which its worker joins when the program is over.
//! A panic in a task is caught, logged and costs that task alone.

pub(crate) mod attempt;
pub(crate) mod brief;
mod lane;
mod preconditions;
mod runner;
mod semaphore;

pub use lane::{Lane, LaneError};
pub(crate) use preconditions::preconditions;
pub(crate) use runner::Runner;
pub use semaphore::{Permit, Semaphore};
