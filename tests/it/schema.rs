//! The schemas that the program prints fit every score that is shipped, and say no where the program does.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

#[path = "../../src/schema/tests/validator.rs"]
mod validator;
use validator::valid;

fn printed(document: &str) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_mozart")).args(["schema", document]).output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

/// YAML as JSON sees it: keys are texts.
fn json(value: serde_yaml::Value) -> Value {
    match value {
        serde_yaml::Value::Mapping(map) => {
            let key = |key: serde_yaml::Value| match key {
                serde_yaml::Value::String(text) => text,
                other => serde_yaml::to_string(&other).unwrap().trim().to_owned(),
            };
            Value::Object(map.into_iter().map(|(name, value)| (key(name), json(value))).collect())
        }
        serde_yaml::Value::Sequence(items) => Value::Array(items.into_iter().map(json).collect()),
        serde_yaml::Value::Tagged(tagged) => json(tagged.value),
        plain => serde_json::to_value(plain).unwrap(),
    }
}

fn yaml_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            yaml_files(&path, found);
        } else if path.extension().is_some_and(|end| end == "yaml" || end == "yml") {
            found.push(path);
        }
    }
}

/// Every score that the program takes, the schema takes. Returns how many there were.
fn check_scores(schema: &Value, dir: &Path) -> usize {
    let mut files = Vec::new();
    yaml_files(dir, &mut files);
    let mut seen = 0;
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let base = path.parent().unwrap().to_owned();
        let files = mozart::score::referenced_files(&text, &base);
        let files = files
            .into_iter()
            .filter_map(|file| Some((file.clone(), std::fs::read_to_string(file).ok()?)))
            .collect();
        let source = mozart::score::Source { path: Some(path.clone()), text: text.clone(), files, base };
        let issues = mozart::score::load(&source).issues;
        // What the decoder of this program refuses is not of interest here.
        if issues.iter().any(mozart::score::Issue::is_error) {
            continue;
        }
        let Ok(document) = serde_yaml::from_str(&text) else { continue };
        assert!(valid(schema, schema, &json(document)), "{} is not valid", path.display());
        seen += 1;
    }
    seen
}

#[test]
fn shipped_scores_are_valid() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let schema = printed("score");
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert!(check_scores(&schema, &root.join("examples")) >= 8);
    let shared = root.join("../shared/scores");
    if shared.is_dir() {
        let seen = check_scores(&schema, &shared);
        assert!(seen > 30, "only {seen} scores were looked at");
    } else {
        use std::io::Write as _;
        _ = writeln!(std::io::stderr(), "left out: the published scores are not here");
    }
}

#[test]
fn a_typing_error_is_not_valid() {
    let schema = printed("score");
    let score = |more: &str| {
        let text = format!("name: x\nsheet: {{size: 1, total_items: 3}}\nprompt: {{template: a}}\n{more}");
        json(serde_yaml::from_str(&text).unwrap())
    };
    assert!(valid(&schema, &schema, &score("")));
    assert!(valid(
        &schema,
        &schema,
        &score("x-note: [1]\nmovements: {1: {name: a}}\nparallel: {enabled: yes}")
    ));
    for wrong in [
        "paralel: {}",
        "parallel: {max_concurrent: 21}",
        "validations: [{type: file_exist}]",
        "retry: {max_retries: -1}",
        "movements: {one: {}}",
        "sheet: {size: 0, total_items: 1}",
    ] {
        let document = if wrong.starts_with("sheet") {
            json(serde_yaml::from_str(&format!("name: x\nprompt: {{}}\n{wrong}")).unwrap())
        } else {
            score(wrong)
        };
        assert!(!valid(&schema, &schema, &document), "{wrong}");
    }
}

#[test]
fn every_kind_of_document_has_a_schema_that_describes_its_keys() {
    for document in ["score", "config", "instrument", "fleet"] {
        let schema = printed(document);
        assert!(schema["title"].as_str().unwrap().starts_with("Mozart"), "{document}");
        for (name, property) in schema["properties"].as_object().unwrap() {
            let described = property["description"].is_string() || property["properties"].is_object();
            let by_name = property["additionalProperties"].is_object();
            assert!(described || by_name, "{document}: {name}");
        }
    }
    let page = Command::new(env!("CARGO_BIN_EXE_mozart")).args(["schema", "--markdown"]).output().unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/score-reference.md");
    assert_eq!(String::from_utf8(page.stdout).unwrap(), std::fs::read_to_string(file).unwrap());
}
