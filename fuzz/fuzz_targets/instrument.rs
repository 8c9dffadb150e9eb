//! `cargo +nightly fuzz run instrument`: the property is in `properties/instrument.rs`, shared with the ordinary tests.

#![no_main]

#[path = "../properties/instrument.rs"]
mod property;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| property::check(bytes));
