//! `cargo +nightly fuzz run score`: the property is in `properties/score.rs`, shared with the ordinary tests.

#![no_main]

#[path = "../properties/score.rs"]
mod property;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| property::check(bytes));
