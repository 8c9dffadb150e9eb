//! Instruments: profiles, where they are found, how their programs are called and how their output is read.
//!
//! Not here: starting and ending the program (`executor`), judging its failure (`classify`).
//!
//! Invariants: no shell is involved; the program is found before anything starts; reading output takes
//! a bounded amount of memory whatever was printed.

mod command;
pub mod environment;
mod extract;
mod http;
mod lines;
mod meter;
mod path;
mod profile;
mod registry;
#[cfg(test)]
mod tests;
mod usage;

pub use command::{
    Call, CommandError, Invocation, MAX_ARGUMENT, Settings, Shown, StdinSource, command, find_program, shown,
};
pub use environment::Environment;
pub use extract::{Extracted, extract};
pub use http::{Http, HttpSettings};
pub use meter::Meter;
pub use path::DotPath;
pub use profile::{Command, Format, Model, Output, Profile};
pub use registry::{Registry, Warning};
