#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::score::{Issue, Score, Source};

fn keys(document: Document) -> impl Iterator<Item = &'static Key> {
    document.groups().unwrap().iter().flat_map(|group| group.keys)
}

/// A document in which a key has this value; the steps above it are as small as they can be.
fn nested(path: &str, value: &Value) -> Value {
    let steps: Vec<&str> = path.split('.').collect();
    steps.iter().enumerate().rev().fold(value.clone(), |inner, (at, step)| match *step {
        "*" => {
            let above = steps[..at].join(".");
            let key = Document::ALL
                .iter()
                .filter_map(|document| document.groups())
                .flatten()
                .flat_map(|group| group.keys)
                .find(|key| key.path == above);
            match key.map(|key| key.kind) {
                Some(Kind::List(_)) => json!([inner]),
                _ => json!({"1": inner}),
            }
        }
        step => json!({step: inner}),
    })
}

fn load(value: &Value) -> (Option<Score>, Vec<Issue>) {
    let source = Source { text: value.to_string(), base: "/base".into(), ..Source::default() };
    let loaded = crate::score::load(&source);
    (loaded.score, loaded.issues)
}

fn base() -> Value {
    json!({"name": "x", "sheet": {"size": 1, "total_items": 3}, "prompt": {"template": "hi"}})
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

/// Whether the decoder has nothing against a value at a path, whatever it thinks of the rest.
fn decoder_takes(path: &str, value: &Value) -> bool {
    let mut document = base();
    if let Some(there) = document.pointer_mut(&format!("/{}", path.replace('.', "/"))) {
        *there = Value::Null;
    }
    merge(&mut document, &nested(path, value));
    let steps: Vec<&str> = path.split('.').collect();
    let here = |issue: &Issue| {
        let found: Vec<&str> = issue.path.split('.').collect();
        found.len() >= steps.len()
            && steps.iter().zip(&found).all(|(step, found)| *step == "*" || step == found)
    };
    !load(&document).1.iter().any(|issue| issue.is_error() && here(issue))
}

/// The part of a schema for a path.
fn part<'s>(root: &'s Value, path: &str) -> &'s Value {
    path.split('.').fold(root, |mut at, step| {
        while let Some(reference) = at.get("$ref").or_else(|| at["anyOf"].get(0)?.get("$ref")) {
            at = &root["$defs"][reference.as_str().unwrap().strip_prefix("#/$defs/").unwrap()];
        }
        let inner = match step {
            "*" if at.get("items").is_some() => &at["items"],
            "*" if at.get("patternProperties").is_some() => {
                at["patternProperties"].as_object().unwrap().values().next().unwrap()
            }
            "*" => &at["additionalProperties"],
            step => &at["properties"][step],
        };
        assert!(!inner.is_null(), "{path} is not in the schema");
        inner
    })
}

mod validator;
use validator::valid;

#[test]
fn the_decoder_knows_every_key_of_the_table() {
    for key in keys(Document::Score).filter(|key| key.path != "x-*") {
        let mut document = base();
        merge(&mut document, &nested(key.path, &Value::Null));
        let unknown = "Extra inputs are not permitted";
        let wrong: Vec<String> = load(&document)
            .1
            .iter()
            .filter(|issue| issue.message == unknown || issue.code == "V221")
            .map(ToString::to_string)
            .collect();
        assert!(wrong.is_empty(), "{}: {wrong:?}", key.path);
    }
}

/// The other way round is tested where the decoder is: each of its keys is a row of the reference.
#[test]
fn the_reference_is_made_from_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/score-reference.md");
    expect_test::expect_file![path].assert_eq(&score_reference());
}

#[test]
fn paths_are_unique_and_every_reference_resolves() {
    for document in [Document::Score, Document::Instrument, Document::Fleet] {
        let all: Vec<&str> = keys(document).map(|key| key.path).collect();
        let unique: BTreeSet<&str> = all.iter().copied().collect();
        assert_eq!(all.len(), unique.len(), "{document:?}");
        for key in keys(document) {
            let (above, _) = key.split();
            let above = above.trim_end_matches(".*");
            assert!(above.is_empty() || unique.contains(above), "{} stands below nothing", key.path);
        }
    }
    for document in Document::ALL {
        let schema = document.json_schema();
        let text = schema.to_string();
        for reference in text.split("\"$ref\":\"#/$defs/").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(schema["$defs"][reference].is_object(), "{reference}");
        }
    }
}

/// An integer for JSON, none for YAML.
fn is_whole_float(value: &Value) -> bool {
    value.is_f64() && value.as_f64().is_some_and(|number| number.fract() == 0.0)
}

/// Values of every type, at and beyond the ends of most ranges.
fn samples() -> Vec<Value> {
    let text = "[null, true, false, 0, 1, -1, 2, 3, 7, 11, 20, 21, 61, 101, 5000, 5001, 2000000000, 0.5, 1.5, 5.0, -0.5, 99.5,
        \"\", \"text\", \"yes\", \"7\", \"1e3\", \"0.5\", \"a.b\", \"(\", [], [1], [0], [\"a\"], [[]], [null], [{}],
        {}, {\"1\": 1}, {\"0\": 1}, {\"1\": \"a\"}, {\"1\": {}}, {\"1\": []}, {\"1\": [\"a\"]}, {\"1\": [2]}, {\"1\": null},
        {\"a\": \"b\"}, {\"a\": {}}, {\"a\": 1}]";
    serde_json::from_str(text).unwrap()
}

#[test]
fn the_schema_of_a_score_agrees_with_the_decoder() {
    let schema = Document::Score.json_schema();
    let mut wrong = Vec::new();
    for key in keys(Document::Score).filter(|key| key.path != "x-*") {
        for value in samples() {
            let (taken, allowed) =
                (decoder_takes(key.path, &value), valid(&schema, part(&schema, key.path), &value));
            // A schema cannot look into texts, and says nothing about what two keys mean together.
            let vague = match key.kind {
                Kind::Condition
                | Kind::Regex
                | Kind::Path
                | Kind::Filled
                | Kind::Text
                | Kind::List(_)
                | Kind::ByNumber(_)
                | Kind::ByName(_)
                | Kind::Section
                | Kind::Word(_)
                | Kind::Free => true,
                _ => value.is_string(),
            };
            if taken != allowed && !(allowed && vague && !matches!(value, Value::Bool(_) | Value::Number(_)))
            {
                wrong.push(format!("{} = {value}: decoder {taken}, schema {allowed}", key.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{} disagreements:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_defaults_of_a_score_are_those_of_the_decoder() {
    let mut checked = 0;
    let mut wrong = Vec::new();
    for key in keys(Document::Score) {
        let Default::Is(default) = key.default else { continue };
        // Where several levels may set something, absent means that another level decides; what the last one
        // says is tested where levels are merged.
        let layered = ["retry.base_delay_seconds", "retry.exponential_base", "rate_limit.wait_minutes"];
        if key.path.starts_with("instrument_config.")
            || key.path.starts_with("backend.")
            || layered.contains(&key.path)
        {
            continue;
        }
        let default: Value = serde_json::from_str(default).unwrap();
        let (above, name) = key.split();
        let mut with = base();
        merge(&mut with, &nested(key.path, &default));
        let mut without = base();
        let mut section = nested(above, &json!({}));
        if above.is_empty() {
            section = json!({});
        }
        merge(&mut without, &section);
        // What a section needs besides.
        let needed = |document: &mut Value| {
            let more = match above {
                "validations.*" => {
                    json!({"type": "file_exists", "path": "a", "pattern": "b"})
                }
                "on_success.*" => json!({"type": "run_command", "command": "a"}),
                "notifications.*" => json!({"type": "desktop"}),
                "sheet.skip_when_command.*" => json!({"command": "a"}),
                "grounding.hooks.*" => json!({"type": "file_checksum"}),
                "checkpoints.triggers.*" => json!({"name": "a", "min_retry_count": 1}),
                "techniques.*" => json!({"kind": "skill", "phases": ["all"]}),
                "bridge.mcp_servers.*" => json!({"name": "a", "command": "b"}),
                "instruments.*" => json!({"profile": "cli"}),
                "agent_card" => json!({"name": "a", "description": "b"}),
                _ => return,
            };
            let list = above.ends_with('*')
                && document
                    .pointer(&format!("/{}/0", above.trim_end_matches(".*").replace('.', "/")))
                    .is_some();
            let at = format!("/{}", above.replace('*', if list { "0" } else { "1" }).replace('.', "/"));
            let target = document.pointer_mut(&at).unwrap();
            if target.get("type").is_none() || above != "validations.*" {
                merge(target, &more);
            }
        };
        needed(&mut with);
        needed(&mut without);
        let read = |document: &Value| {
            let (score, issues) = load(document);
            let mut score = score.unwrap_or_else(|| panic!("{}: {issues:?}", key.path));
            score.written.clear();
            score.learning.asks_for_store = false;
            score.places.clear();
            score
        };
        if read(&with) != read(&without) {
            wrong.push(format!("{} is not {default} without {name}", key.path));
        }
        checked += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(checked > 150, "{checked}");
}

#[test]
fn every_setting_is_described() {
    let described: Vec<&str> = config::ABOUT.iter().map(|(path, _)| *path).collect();
    let fields: Vec<&str> = crate::config::FIELDS.iter().map(|field| field.path).collect();
    assert_eq!(described, fields);
}

#[test]
fn the_schema_of_the_configuration_agrees_with_its_parser() {
    let schema = Document::Config.json_schema();
    let mut wrong = Vec::new();
    for field in crate::config::FIELDS {
        for value in samples() {
            let mut document = nested(field.path, &value);
            if field.path.starts_with("mcp_pool") {
                let mut server = json!({"mcp_pool": {"servers": {"1": {"command": "a", "socket": "/b"}}}});
                merge(&mut server, &document);
                document = server;
            }
            let taken = crate::config::parse(&document.to_string(), Path::new("c.yaml")).is_ok();
            let allowed = valid(&schema, &schema, &document);
            // For JSON 5.0 is an integer, for the parser it is not.
            if taken != allowed && !is_whole_float(&value) {
                wrong.push(format!("{} = {value}: parser {taken}, schema {allowed}", field.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{} disagreements:\n{}", wrong.len(), wrong.join("\n"));
    assert!(!valid(&schema, &schema, &json!({"socket": {"pth": "/a"}})));
}

#[test]
fn the_schema_of_instruments_agrees_with_the_profile_decoder() {
    let schema = Document::Instrument.json_schema();
    let base = json!({"name": "x", "display_name": "X", "kind": "cli", "cli": {"command": {"executable": "y"}, "output": {}}});
    let mut wrong = Vec::new();
    for key in keys(Document::Instrument) {
        for value in samples() {
            let mut document = base.clone();
            if key.path.starts_with("http") {
                merge(
                    &mut document,
                    &json!({"kind": "http", "http": {"base_url": "a", "schema_family": "b"}}),
                );
            }
            if key.path.starts_with("models.*") {
                let model = json!({"name": "m", "context_window": 1, "cost_per_1k_input": 0, "cost_per_1k_output": 0});
                document["models"] = json!([model]);
                document["models"][0][key.split().1] = value.clone();
            } else {
                let mut inner = nested(key.path, &value);
                // The value itself takes the place of what stands there.
                let at = format!("/{}", key.path.replace('.', "/"));
                if let (Some(there), Some(new)) = (document.pointer_mut(&at), inner.pointer_mut(&at)) {
                    *there = new.take();
                } else {
                    merge(&mut document, &inner);
                }
            }
            let taken = crate::instrument::Profile::parse(&document.to_string()).is_ok();
            let allowed = valid(&schema, &schema, &document);
            let vague = matches!(value, Value::String(_) | Value::Object(_) | Value::Null);
            // A bare number or word is taken as the text that it is spelled with; an editor may ask for quotes.
            let plain = |value: &Value| !value.is_string() && !value.is_object() && !value.is_array();
            let spelled = match key.kind {
                Kind::Text | Kind::Filled => plain(&value),
                Kind::List(Kind::Text) => value.as_array().is_some_and(|items| items.iter().all(plain)),
                _ => is_whole_float(&value),
            };
            if taken != allowed && !(allowed && vague) && !spelled {
                wrong.push(format!("{} = {value}: decoder {taken}, schema {allowed}", key.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{} disagreements:\n{}", wrong.len(), wrong.join("\n"));
    for text in [
        include_str!("../instrument/profiles/cli.yaml"),
        include_str!("../instrument/profiles/claude-code.yaml"),
    ] {
        let document: Value = serde_yaml::from_str(text).unwrap();
        assert!(valid(&schema, &schema, &document));
    }
}

#[test]
fn the_schema_of_fleets_agrees_with_their_decoder() {
    let schema = Document::Fleet.json_schema();
    let base = json!({"name": "f", "type": "fleet", "scores": [{"path": "a"}]});
    for (change, good) in [
        (json!({}), true),
        (json!({"name": 1}), true),
        (json!({"type": "score"}), false),
        (json!({"x": 1}), false),
        (json!({"scores": [{"path": "a", "group": "g"}]}), true),
        (json!({"scores": [{"group": "g"}]}), false),
        (json!({"scores": {}}), false),
        (json!({"groups": {"g": null}}), true),
        (json!({"groups": {"g": {"depends_on": []}}}), true),
        (json!({"groups": {"g": {"after": []}}}), false),
        (json!({"groups": []}), false),
    ] {
        let mut document = base.clone();
        merge(&mut document, &change);
        let taken = crate::fleet::load(&document.to_string(), Path::new("/")).fleet.is_some();
        assert_eq!((taken, valid(&schema, &schema, &document)), (good, good), "{change}");
    }
}

#[test]
fn every_key_of_a_profile_is_in_the_guide() {
    let guide = include_str!("../../docs/instruments.md");
    for key in keys(Document::Instrument) {
        let name = key.split().1;
        assert!(
            guide.contains(&format!("`{name}`")) || guide.contains(&format!("`{}`", key.path)),
            "{}",
            key.path
        );
    }
}
