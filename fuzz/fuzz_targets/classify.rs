//! `cargo +nightly fuzz run classify`: the property is in `properties/classify.rs`, shared with the ordinary tests.

#![no_main]

#[path = "../properties/classify.rs"]
mod property;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| property::check(bytes));
