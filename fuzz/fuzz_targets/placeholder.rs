//! `cargo +nightly fuzz run placeholder`: the property is in `properties/placeholder.rs`, shared with the ordinary tests.

#![no_main]

#[path = "../properties/placeholder.rs"]
mod property;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| property::check(bytes));
