//! `cargo +nightly fuzz run ndjson`: the property is in `properties/ndjson.rs`, shared with the ordinary tests.

#![no_main]

#[path = "../properties/ndjson.rs"]
mod property;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| property::check(bytes));
