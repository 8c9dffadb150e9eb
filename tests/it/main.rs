//! Tests against the real programs in temporary directories, one file per subject.

mod cli;
mod examples;
mod fuzz_corpus;
mod guard;
mod layers;
mod validate;
mod wait;
