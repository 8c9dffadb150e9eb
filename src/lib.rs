//! Mozart runs long, multi-step jobs made of command-line programs, and finishes them.
//!
//! A *score* (YAML) is divided into *sheets*; each sheet renders a prompt, runs an *instrument* (any
//! program) under a guard, and is done when its *validations* pass. A *conductor* owns all of it and
//! records every step in SQLite before it acts.
//!
//! To embed one, start with [`conductor::Conductor::builder`]; `examples/embed.rs` is a whole program.
//! To talk to a running one, use [`client::Client`]; the protocol is in `docs/protocol.md`.
//! The pure parts are of use by themselves: [`score`] and [`plan`] load and expand scores,
//! [`exec`] is the state machine of a job, [`ndjson`] frames a byte stream.
//!
//! The layers below are the house plan (`docs/architecture.md`): imports point down or sideways.

// Layer 0: vocabulary.
pub mod ids;
pub mod time;
pub mod util;

// Layer 1: pure core. No files, sockets, threads, clocks or environment.
pub mod checkpoint;
pub mod classify;
pub mod config;
pub mod cost;
pub mod exec;
pub mod fleet;
pub mod ndjson;
pub mod plan;
pub mod pressure;
pub mod rpc;
pub mod sched;
pub mod schema;
pub mod score;
pub mod template;

// Layer 2: adapters. One outside thing each.
pub mod archive;
pub mod executor;
mod file;
pub mod grounding;
pub mod guard;
pub mod healing;
pub mod http;
pub mod instrument;
pub mod isolation;
pub mod joblog;
pub mod lint;
pub mod monitor;
pub mod notify;
pub mod process;
pub mod store;
pub mod validate;

// Layer 3: runtime.
pub mod client;
pub mod conductor;
pub mod net;
pub mod worker;

// Layer 4: program.
#[cfg(feature = "cli")]
pub mod cli;
pub mod daemon;
