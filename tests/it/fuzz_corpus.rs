//! The seed inputs of the fuzz targets keep the properties that the targets check, and so do random inputs.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use proptest::prelude::*;

#[path = "../../fuzz/properties/ndjson.rs"]
mod ndjson;
#[path = "../../fuzz/properties/request.rs"]
mod request;
#[path = "../../fuzz/properties/score.rs"]
mod score;

fn replay(target: &str, check: fn(&[u8])) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut seeds: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    seeds.sort();
    assert!(!seeds.is_empty(), "no seeds in {}", dir.display());
    for seed in seeds {
        let bytes = std::fs::read(&seed).unwrap();
        let outcome = std::panic::catch_unwind(|| check(&bytes));
        assert!(outcome.is_ok(), "`{}` breaks the property (see above)", seed.display());
    }
}

#[test]
fn framing_seeds() {
    replay("ndjson", ndjson::check);
}

#[test]
fn request_seeds() {
    replay("request", request::check);
}

#[test]
fn score_seeds() {
    replay("score", score::check);
}

proptest! {
    #[test]
    fn framing_of_any_bytes(bytes in prop::collection::vec(prop_oneof![
        4 => any::<u8>(),
        1 => Just(b'\n'),
        1 => Just(b'\r'),
        1 => Just(0xef),
    ], 0..400)) {
        ndjson::check(&bytes);
    }

    #[test]
    fn requests_of_almost_json(text in r#"([\[\]{},:"0-9a\\. -]|"id":|"method":"m"|"params":|null|true|1\.0){0,60}"#) {
        request::check(text.as_bytes());
    }
}
