//! Tests against the real programs in temporary directories, one file per subject.

#![allow(clippy::unwrap_used)]

mod examples;
mod fuzz_corpus;
mod guard;
mod house;
mod layers;
mod recovery;
mod wait;
