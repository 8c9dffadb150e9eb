//! What a reload changes, and what it cannot.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::fields::{Apply, FIELDS, Field};
use super::types::Config;

/// A field that has another value now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// Dotted path.
    pub field: String,
    /// Before; null when it was not there.
    pub old: Value,
    /// After; null when it is gone.
    pub new: Value,
}

/// Difference between two configurations.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Diff {
    /// Fields that act with the reload, or with the next submitted job.
    pub changed: Vec<Change>,
    /// Fields that differ and act with the next start only.
    pub requires_restart: Vec<String>,
}

/// What a reload from `old` to `new` changes.
#[must_use]
pub fn diff(old: &Config, new: &Config) -> Diff {
    let (old, new) = (leaves(old), leaves(new));
    let mut diff = Diff::default();
    let mut names: Vec<&String> =
        old.keys().chain(new.keys().filter(|name| !old.contains_key(*name))).collect();
    names.sort();
    for name in names {
        let value = |side: &BTreeMap<String, (Value, &Field)>| {
            side.get(name).map_or(Value::Null, |(value, _)| value.clone())
        };
        let (before, after) = (value(&old), value(&new));
        let Some((_, field)) = old.get(name).or_else(|| new.get(name)) else { continue };
        if before == after {
            continue;
        }
        match field.apply {
            Apply::Reload | Apply::NewJobs | Apply::Never => {
                diff.changed.push(Change { field: name.clone(), old: before, new: after });
            }
            Apply::Restart => diff.requires_restart.push(name.clone()),
        }
    }
    diff
}

/// The active configuration after a reload: `new`, but what needs a restart stays as it runs.
#[must_use]
pub fn after_reload(old: &Config, new: &Config) -> Config {
    let tree = |config: &Config| serde_json::to_value(config).expect("plain data always serializes");
    let (running, mut merged) = (tree(old), tree(new));
    for field in FIELDS.iter().filter(|field| field.apply == Apply::Restart) {
        // Of sections with free names the whole section stays.
        let path: Vec<&str> = field.segments().take_while(|segment| *segment != "*").collect();
        let pointer: String = path.iter().map(|name| format!("/{name}")).collect();
        if let (Some(kept), Some(place)) = (running.pointer(&pointer), merged.pointer_mut(&pointer)) {
            *place = kept.clone();
        }
    }
    let merged: Config = serde_json::from_value(merged).expect("made of two configurations, field by field");
    Config { place: old.place.clone(), ..merged }
}

/// Every field with its value, by dotted path.
fn leaves(config: &Config) -> BTreeMap<String, (Value, &'static Field)> {
    let mut found = BTreeMap::new();
    let tree = serde_json::to_value(config).expect("plain data always serializes");
    collect(&tree, &mut Vec::new(), &mut found);
    found
}

fn collect(node: &Value, path: &mut Vec<String>, found: &mut BTreeMap<String, (Value, &'static Field)>) {
    if let Some(field) = FIELDS.iter().find(|field| field.is(path)) {
        found.insert(path.join("."), (node.clone(), field));
    } else if let Value::Object(entries) = node {
        for (name, value) in entries {
            path.push(name.clone());
            collect(value, path, found);
            path.pop();
        }
    }
}
