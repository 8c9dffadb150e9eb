//! `cargo +nightly fuzz run template`: the property is in `properties/template.rs`, shared with the ordinary tests.

#![no_main]

#[path = "../properties/template.rs"]
mod property;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| property::check(bytes));
