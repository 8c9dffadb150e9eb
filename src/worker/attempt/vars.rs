//! Variables of a sheet for templates, placeholders and conditions.

use crate::conductor::Prepared;
use crate::ids::SheetNo;
use crate::instrument::Profile;
use crate::score::value::{Key, Map, Value};
use crate::template::{Item, Vars};

/// What the score and the plan say; outputs of other sheets come later.
pub(super) fn for_sheet(prepared: &Prepared, sheet: SheetNo, profile: &Profile) -> Vars {
    let mut vars = Vars::new();
    for (key, value) in prepared.plan.variables(&prepared.score, sheet).iter() {
        vars.set(&key.to_string(), item(value));
    }
    vars.set("workspace", prepared.workspace.display().to_string());
    vars.set("instrument_name", profile.name.as_str());
    vars.set("previous_outputs", Item::Map(Vec::new()));
    vars.set("previous_files", Item::Map(Vec::new()));
    vars.set("skipped_upstream", Item::List(Vec::new()));
    vars
}

fn item(value: &Value) -> Item {
    match value {
        Value::Null => Item::None,
        Value::Bool(flag) => Item::Bool(*flag),
        Value::Int(number) => Item::Int((*number).into()),
        Value::Float(number) => Item::Float(*number),
        Value::Str(text) => Item::Str(text.clone()),
        Value::Seq(items) => Item::List(items.iter().map(item).collect()),
        Value::Map(map) => Item::Map(pairs(map)),
    }
}

fn pairs(map: &Map) -> Vec<(Item, Item)> {
    map.iter()
        .map(|(key, value)| {
            let key = match key {
                Key::Int(number) => Item::Int((*number).into()),
                Key::Str(text) => Item::Str(text.clone()),
            };
            (key, item(value))
        })
        .collect()
}
