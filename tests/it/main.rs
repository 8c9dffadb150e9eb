//! Behaviour of the whole, one file per subject.

mod examples;
mod fuzz_corpus;
