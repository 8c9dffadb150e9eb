//! Scores that people wrote, with the plans that they must give. They lie beside the project, not in it.
//!
//! The plans of the latest generation call the default instrument `claude_cli`. That name means the profile
//! `claude-code` with text output ([`super::DEFAULT_INSTRUMENT`]), so both are read as one here.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::{DEFAULT_INSTRUMENT, Overrides, Plan, expand};
use crate::score::{self, Source};

fn scores() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/scores");
    let mut found = Vec::new();
    let mut open = vec![root];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|end| end == "yaml") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn load(path: &Path) -> (score::Score, Plan) {
    let source = Source {
        path: Some(path.to_owned()),
        text: fs::read_to_string(path).unwrap(),
        base: path.parent().unwrap().to_owned(),
        ..Source::default()
    };
    let loaded = score::load(&source);
    let score = loaded.score.unwrap_or_else(|| panic!("{}: {:#?}", path.display(), loaded.issues));
    let plan = expand(&score, &Overrides::default()).unwrap_or_else(|e| panic!("{}: {e:#?}", path.display()));
    (score, plan)
}

fn instrument(name: &Json) -> String {
    match name.as_str().unwrap() {
        "claude_cli" => DEFAULT_INSTRUMENT.to_owned(),
        name => name.to_owned(),
    }
}

/// A line of text per sheet, so that a difference is easy to read.
fn expected(plan: &Json) -> Vec<String> {
    let sheets = plan["sheets"].as_array().unwrap();
    let line = |sheet: &Json| {
        let mut line = format!(
            "{} stage {}.{}/{} after {}",
            sheet["sheet"], sheet["stage"], sheet["instance"], sheet["fan_count"], sheet["after"]
        );
        if let Some(fallbacks) = sheet["fallbacks"].as_array() {
            let fallbacks: Vec<String> = fallbacks.iter().map(instrument).collect();
            line.push_str(&format!(" on {} else {fallbacks:?}", instrument(&sheet["instrument"])));
        }
        line
    };
    sheets.iter().map(line).collect()
}

fn ours(plan: &Plan, declared: bool, named: bool) -> Vec<String> {
    plan.sheets
        .iter()
        .map(|sheet| {
            let after = if declared { serde_json::to_string(&sheet.after).unwrap() } else { "[]".to_owned() };
            let mut line = format!(
                "{} stage {}.{}/{} after {after}",
                sheet.num, sheet.stage, sheet.instance, sheet.fan_count
            );
            if named {
                let fallbacks: Vec<&String> = sheet.fallbacks.iter().map(|choice| &choice.name).collect();
                line.push_str(&format!(" on {} else {fallbacks:?}", sheet.instrument.name));
            }
            line
        })
        .collect()
}

#[test]
fn real_scores_give_their_plans() {
    let scores = scores();
    if scores.is_empty() {
        eprintln!("no real scores beside the project; nothing checked");
        return;
    }
    for path in &scores {
        let (score, plan) = load(path);
        let text = fs::read_to_string(path.with_extension("plan.json")).unwrap();
        let wanted: Json = serde_json::from_str(&text).unwrap();
        let named = wanted["sheets"][0].get("instrument").is_some();
        assert_eq!(ours(&plan, plan.declared_dependencies, named), expected(&wanted), "{}", path.display());
        assert_eq!(plan.total_stages, wanted["total_stages"], "{}", path.display());
        assert_eq!(Json::from(plan.sheets.len()), wanted["total_sheets"], "{}", path.display());
        assert_eq!(plan.declared_dependencies, wanted["declared_dependencies"], "{}", path.display());
        assert_eq!(score.name, wanted["name"], "{}", path.display());
        if let Some(rules) = wanted.get("validations") {
            assert_eq!(Json::from(score.validations.len()), *rules, "{}", path.display());
        }
        assert!(plan.warnings.is_empty(), "{}: {:?}", path.display(), plan.warnings);
    }
}

/// No limit is asserted: the longest time is printed for whoever asks.
#[test]
fn every_real_score_loads_twice_the_same() {
    let mut longest = (std::time::Duration::ZERO, PathBuf::new());
    for path in scores() {
        let (score, plan) = load(&path);
        let started = std::time::Instant::now();
        let (again, plan_again) = load(&path);
        longest = longest.max((started.elapsed(), path));
        assert_eq!(score, again);
        assert_eq!(plan, plan_again);
    }
    eprintln!("longest load: {longest:?}");
}
