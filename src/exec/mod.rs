//! One job as a pure state machine: `step(now, input) -> effects`.
//!
//! [`Execution::step`] is the only place where a job changes. It never blocks, fails, reads a
//! clock or draws randomness; time and the seed for jitter are handed in.
//! It does not decide which ready sheet runs first (that is [`crate::sched`]) and knows nothing
//! of processes, files or storage.

mod types;

pub use types::*;
