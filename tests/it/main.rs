//! Tests against the real programs in temporary directories, one file per subject.

mod examples;
mod fuzz_corpus;
mod guard;
mod layers;
mod wait;
