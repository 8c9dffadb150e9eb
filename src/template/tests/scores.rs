//! Renders every sheet of the example scores and compares the result, byte for byte, with Jinja2's.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::fs;
use std::path::{Path, PathBuf};

use serde_yaml::Value;

use super::*;

pub(super) fn item(value: &Value) -> Item {
    match value {
        Value::Null => Item::None,
        Value::Bool(flag) => Item::Bool(*flag),
        Value::Number(number) => number
            .as_i64()
            .map_or_else(|| Item::Float(number.as_f64().unwrap()), |whole| Item::Int(whole.into())),
        Value::String(text) => Item::Str(text.clone()),
        Value::Sequence(items) => Item::List(items.iter().map(item).collect()),
        Value::Mapping(map) => Item::Map(map.iter().map(|(key, value)| (item(key), item(value))).collect()),
        Value::Tagged(tagged) => item(&tagged.value),
    }
}

fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// The variables of every sheet, in order.
fn sheets(score: &Value) -> Vec<Vars> {
    let sheet = &score["sheet"];
    let (size, last) = (number(&sheet["size"]).unwrap(), number(&sheet["total_items"]).unwrap());
    let first = number(&sheet["start_item"]).unwrap_or(1);
    let fan = |stage: i64| {
        let map = sheet["fan_out"].as_mapping();
        map.and_then(|map| map.iter().find(|(key, _)| number(key) == Some(stage)))
            .map_or(1, |(_, n)| number(n).unwrap())
    };
    let stages = (last - first + size) / size;
    let total: i64 = (1..=stages).map(fan).sum();
    let mut all = Vec::new();
    for stage in 1..=stages {
        for instance in 1..=fan(stage) {
            let mut vars = Vars::new();
            for (key, value) in score["prompt"]["variables"].as_mapping().into_iter().flatten() {
                vars.set(key.as_str().unwrap(), item(value));
            }
            let begin = (stage - 1) * size + first;
            let end = (begin + size - 1).min(last);
            let ours = [
                ("sheet_num", all.len() as i64 + 1),
                ("total_sheets", total),
                ("start_item", begin),
                ("end_item", end),
            ];
            let more = [("stage", stage), ("movement", stage), ("instance", instance), ("voice", instance)];
            let rest = [
                ("fan_count", fan(stage)),
                ("voice_count", fan(stage)),
                ("total_stages", stages),
                ("total_movements", stages),
            ];
            for (name, value) in ours.into_iter().chain(more).chain(rest) {
                vars.set(name, value);
            }
            for name in ["stakes", "thinking_method"] {
                vars.set(name, score["prompt"][name].as_str().unwrap_or_default());
            }
            vars.set("workspace", "/w").set("skipped_upstream", Item::List(Vec::new()));
            vars.set("previous_outputs", Item::Map(Vec::new())).set("previous_files", Item::Map(Vec::new()));
            all.push(vars);
        }
    }
    all
}

fn recorded(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            recorded(&path, found);
        } else if path.to_string_lossy().ends_with(".render.txt") {
            found.push(path);
        }
    }
}

#[test]
fn example_scores_render_as_jinja2_renders_them() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/scores");
    if !folder.is_dir() {
        eprintln!("no example scores beside the project: nothing compared");
        return;
    }
    let mut files = Vec::new();
    recorded(&folder, &mut files);
    let (mut same, mut wrong) = (0, Vec::new());
    for file in files {
        let name = file.to_string_lossy().replace(".render.txt", ".yaml");
        let score: Value = serde_yaml::from_str(&fs::read_to_string(&name).unwrap()).unwrap();
        let template = score["prompt"]["template"].as_str().unwrap();
        let text = fs::read_to_string(&file).unwrap();
        let sheets = sheets(&score);
        assert_eq!(sheets.len(), text.lines().count(), "{name}");
        for (line, vars) in text.lines().zip(&sheets) {
            let (sheet, sum) = line.split_once(' ').unwrap();
            match render(template, vars) {
                Ok(body) if sha256::hex(body.as_bytes()) == sum => same += 1,
                // The reference could not render it either.
                Err(_) if sum.starts_with("error") => same += 1,
                Ok(_) => wrong.push(format!("{name} sheet {sheet}: differs from {sum}")),
                Err(error) => wrong.push(format!("{name} sheet {sheet}: {error}; recorded {sum}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), same + wrong.len(), wrong.join("\n"));
    eprintln!("{same} renderings compared");
}
