//! Tests against the real programs in temporary directories.

mod examples;
mod fuzz_corpus;
mod guard;
mod wait;
