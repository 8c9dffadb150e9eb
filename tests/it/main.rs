//! Tests against the real programs in temporary directories, one file per subject.

#![allow(clippy::unwrap_used)]

mod band;
mod cli;
mod descriptors;
mod examples;
mod fuzz_corpus;
mod guard;
mod hostile;
mod house;
mod jobs;
mod layers;
mod pressure;
mod recovery;
mod registry;
mod wait;
