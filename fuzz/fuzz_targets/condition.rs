//! `cargo +nightly fuzz run condition`: the property is in `properties/condition.rs`, shared with the ordinary tests.

#![no_main]

#[path = "../properties/condition.rs"]
mod property;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| property::check(bytes));
