//! The seed inputs of the fuzz targets keep the properties that the targets check, and so do random inputs.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use proptest::prelude::*;

#[path = "../../fuzz/properties/classify.rs"]
mod classify;
#[path = "../../fuzz/properties/condition.rs"]
mod condition;
#[path = "../../fuzz/properties/instrument.rs"]
mod instrument;
#[path = "../../fuzz/properties/ndjson.rs"]
mod ndjson;
#[path = "../../fuzz/properties/placeholder.rs"]
mod placeholder;
#[path = "../../fuzz/properties/request.rs"]
mod request;
#[path = "../../fuzz/properties/score.rs"]
mod score;
#[path = "../../fuzz/properties/template.rs"]
mod template;

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

#[test]
fn classify_seeds() {
    replay("classify", classify::check);
}

#[test]
fn condition_seeds() {
    replay("condition", condition::check);
}

#[test]
fn template_seeds() {
    replay("template", template::check);
}

#[test]
fn placeholder_seeds() {
    replay("placeholder", placeholder::check);
}

#[test]
fn instrument_seeds() {
    replay("instrument", instrument::check);
}

/// Every target of the fuzz package is replayed here.
#[test]
fn no_target_is_forgotten() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = std::fs::read_to_string(root.join("tests/it/fuzz_corpus.rs")).unwrap();
    for entry in std::fs::read_dir(root.join("fuzz/fuzz_targets")).unwrap() {
        let name = entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(own.contains(&format!("replay(\"{name}\", {name}::check)")), "{name} is not replayed");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn values_in_commands_are_data(value in r#"[ -~äß\t\n'"$`\\\\{}!]{0,20}"#) {
        placeholder::check_in_a_shell(&value);
    }

    #[test]
    fn conditions_of_almost_the_grammar(
        text in r#"(stage|a\.b|x\[1\]|[0-9]{1,3}|'t'|None|True| and | or | not |==|!=|<=|>| in |is|\(|\)|\[|\]|,| ){0,24}"#
    ) {
        condition::check(text.as_bytes());
    }

    #[test]
    fn templates_of_almost_the_language(
        text in r#"(\{\{|\}\}|\{%|%\}|-%\}| if | endif | for x in list | endfor | set y = | given|sheet_num|\||upper|[a-z0-9 '"\[\]\(\)\n]){0,24}"#
    ) {
        template::check(text.as_bytes());
    }

    #[test]
    fn placeholders_of_any_text(text in r#"([{}]|value|n|workspace|:03d|[ -~]|\x00|\$|"|'){0,30}"#) {
        placeholder::check(text.as_bytes());
    }
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
    fn ends_of_almost_any_kind(
        head in any::<[u8; 2]>(),
        text in r#"(\{"errors":|\[\{"type":"system",|"message":"|"\}|\]|rate limit|resets |9pm|login required|error|429|\n|\x00|[ -~]|ä|\x1b\[1m){0,40}"#
    ) {
        classify::check(&[&head[..], text.as_bytes()].concat());
    }

    #[test]
    fn requests_of_almost_json(text in r#"([\[\]{},:"0-9a\\. -]|"id":|"method":"m"|"params":|null|true|1\.0){0,60}"#) {
        request::check(text.as_bytes());
    }
}
