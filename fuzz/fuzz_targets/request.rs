//! `cargo +nightly fuzz run request`: the property is in `properties/request.rs`, shared with the ordinary tests.

#![no_main]

#[path = "../properties/request.rs"]
mod property;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| property::check(bytes));
