//! Tests against the real programs in temporary directories, one file per subject.

#![allow(clippy::unwrap_used)]

mod band;
mod cli;
mod control;
mod descriptors;
mod examples;
mod fleet;
mod fuzz_corpus;
mod guard;
mod guide;
mod hostile;
mod house;
mod init;
mod instruments;
mod jobs;
mod language;
mod layers;
mod pressure;
mod recovery;
mod registry;
mod schema;
mod validate;
mod wait;
