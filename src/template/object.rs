//! Variables as objects of the template engine: mappings keep their order and find integer keys by their text.

use std::collections::BTreeMap;
use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ObjectRepr};
use minijinja::{Error, State, Value};

use super::vars::{Item, Stand, Vars};

/// A mapping. Like every value of the engine it is immutable.
#[derive(Debug)]
struct Mapping {
    entries: Vec<(Value, Value)>,
    index: BTreeMap<Value, usize>,
}

impl Mapping {
    fn new(entries: Vec<(Value, Value)>) -> Self {
        let index = entries.iter().enumerate().map(|(at, (key, _))| (key.clone(), at)).collect();
        Self { entries, index }
    }

    fn find(&self, key: &Value) -> Option<Value> {
        self.index.get(key).map(|at| self.entries[*at].1.clone())
    }
}

impl Object for Mapping {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.find(key).or_else(|| self.find(&other_spelling(key)?))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.entries.iter().map(|(key, _)| key.clone()).collect())
    }
}

/// What stands for a text that a sheet has not written yet.
const UNKNOWN: &str = "(known when the job runs)";

/// A mapping in which everything is found.
#[derive(Debug)]
struct Unknown {
    keys: Vec<Value>,
    stand: Stand,
}

impl Object for Unknown {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, _key: &Value) -> Option<Value> {
        Some(match self.stand {
            Stand::Text => Value::from(UNKNOWN),
            Stand::Anything => Value::from_object(Anything),
        })
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.keys.clone())
    }

    fn is_true(self: &Arc<Self>) -> bool {
        true
    }
}

/// A value of which nothing is known, so that nothing that is done with it is wrong.
#[derive(Debug)]
struct Anything;

impl Object for Anything {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, _key: &Value) -> Option<Value> {
        Some(Value::from_object(Self))
    }

    fn call(self: &Arc<Self>, _state: &mut State<'_, '_>, _args: &[Value]) -> Result<Value, Error> {
        Ok(Value::from_object(Self))
    }

    fn call_method(
        self: &Arc<Self>,
        _state: &mut State<'_, '_>,
        _method: &str,
        _args: &[Value],
    ) -> Result<Value, Error> {
        Ok(Value::from_object(Self))
    }

    fn render(self: &Arc<Self>, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(UNKNOWN)
    }
}

/// `1` for `"1"` and the other way round: a map that went through JSON lost its integer keys.
fn other_spelling(key: &Value) -> Option<Value> {
    if key.is_integer() {
        return Some(Value::from(key.to_string()));
    }
    let text = key.as_str()?;
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then(|| Value::from(number))
}

fn value(item: &Item) -> Value {
    match item {
        Item::None => Value::from(()),
        Item::Bool(flag) => Value::from(*flag),
        Item::Int(number) => i64::try_from(*number).map_or_else(|_| Value::from(*number), Value::from),
        Item::Float(number) => Value::from(*number),
        Item::Str(text) => Value::from(text.as_str()),
        Item::List(items) => Value::from(items.iter().map(value).collect::<Vec<_>>()),
        Item::Unknown(keys, stand) => {
            Value::from_object(Unknown { keys: keys.iter().map(value).collect(), stand: *stand })
        }
        Item::Map(entries) => mapping(entries.iter().map(|(key, item)| (value(key), value(item))).collect()),
    }
}

/// A mapping that keeps the order of its entries.
pub(super) fn mapping(entries: Vec<(Value, Value)>) -> Value {
    Value::from_object(Mapping::new(entries))
}

/// All variables as the context of a template.
pub(super) fn context(vars: &Vars) -> Value {
    mapping(vars.iter().map(|(name, item)| (Value::from(name), value(item))).collect())
}
