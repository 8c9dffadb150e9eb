//! Variables as objects of the template engine: mappings keep their order and find integer keys by their text.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use minijinja::value::{Enumerator, Kwargs, Object, ObjectRepr, Rest, Tuple, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State, Value};

use super::lists::{self, Level};
use super::vars::{Item, Stand};
use super::{views, work};

/// A mapping that can be changed as Python's can (`d.update(x)`).
#[derive(Debug)]
pub(super) struct Mapping {
    held: RwLock<Held>,
    level: Level,
}

#[derive(Debug, Default)]
struct Held {
    entries: Vec<(Value, Value)>,
    index: BTreeMap<Value, usize>,
}

impl Held {
    fn find(&self, key: &Value) -> Option<Value> {
        self.index.get(&place(key)).map(|at| self.entries[*at].1.clone())
    }

    fn set(&mut self, key: Value, value: Value) {
        match self.index.get(&place(&key)) {
            Some(at) => self.entries[*at].1 = value,
            None => {
                self.index.insert(place(&key), self.entries.len());
                self.entries.push((key, value));
            }
        }
    }

    fn remove(&mut self, key: &Value) -> Option<Value> {
        let at = self.index.remove(&place(key))?;
        self.index.values_mut().filter(|place| **place > at).for_each(|place| *place -= 1);
        Some(self.entries.remove(at).1)
    }
}

/// A truth value finds what stands under 0 or 1.
fn place(key: &Value) -> Value {
    if key.kind() == ValueKind::Bool { Value::from(i64::from(key.is_true())) } else { key.clone() }
}

impl Mapping {
    /// For `lists`, which sees to it that nothing holds itself.
    pub(super) const fn level(&self) -> &Level {
        &self.level
    }

    fn read(&self) -> RwLockReadGuard<'_, Held> {
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Held) -> T) -> T {
        change(&mut self.held.write().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Object for Mapping {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let held = self.read();
        held.find(key).or_else(|| held.find(&other_spelling(key)?))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.read().entries.iter().map(|(key, _)| key.clone()).collect())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.read().entries.len())
    }
}

/// `{key: value, ...}`: keys and values in turn.
pub(super) fn literal(state: &mut State<'_, '_>, all: Rest<Value>) -> Result<Value, Error> {
    let mut held = Held::default();
    let level = Level::default();
    for pair in all.chunks_exact(2) {
        let [key, value] = pair else { continue };
        work::charge_whole(state, key)?;
        held.set(usable(key)?, lists::held(state, &level, value.clone())?);
    }
    Ok(Value::from_object(Mapping { held: RwLock::new(held), level }))
}

/// A key as Python takes it: no list and no mapping.
fn usable(key: &Value) -> Result<Value, Error> {
    match key.kind() {
        ValueKind::Map => Err(no_key("a mapping")),
        ValueKind::Seq | ValueKind::Iterable if !key.is_tuple() => Err(no_key("a list")),
        ValueKind::Undefined => Err(Error::new(ErrorKind::UndefinedError, "a key of a mapping is undefined")),
        _ => Ok(key.clone()),
    }
}

fn no_key(what: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("{what} cannot be the key of a mapping"))
}

/// Methods that change a mapping. `None` for one that is not here.
pub(super) fn method(
    state: &mut State<'_, '_>,
    value: &Value,
    name: &str,
    args: &[Value],
) -> Result<Option<Value>, Error> {
    let Some(map) = value.downcast_object_ref::<Mapping>() else { return Ok(None) };
    if name == "copy" {
        let () = from_args(args)?;
        work::charge_mapping(state, map.read().entries.len())?;
        return Ok(Some(mapping(map.read().entries.clone())));
    }
    // The default may be undefined, and is then what comes out.
    if let ("get", [key, default]) = (name, args) {
        let held = map.read();
        let found = held.find(key).or_else(|| held.find(&other_spelling(key)?));
        return Ok(Some(found.unwrap_or_else(|| default.clone())));
    }
    if !matches!(name, "update" | "setdefault" | "pop" | "popitem" | "clear") {
        return Ok(None);
    }
    // What a method removes is looked for among all.
    work::charge_items(state, if name.starts_with("pop") { map.read().entries.len() } else { 1 })?;
    Ok(Some(match name {
        "update" => {
            let (more, kwargs): (Option<Value>, Kwargs) = from_args(args)?;
            for (key, item) in views::entries(more.as_ref(), &kwargs)? {
                work::charge_whole(state, &key)?;
                let item = lists::held(state, &map.level, item)?;
                let key = usable(&key)?;
                map.change(|held| held.set(key, item));
            }
            Value::from(())
        }
        "setdefault" => {
            let (key, item): (Value, Option<Value>) = from_args(args)?;
            work::charge_whole(state, &key)?;
            if let Some(found) = map.read().find(&key) {
                return Ok(Some(found));
            }
            let item = lists::held(state, &map.level, item.unwrap_or_else(|| Value::from(())))?;
            let key = usable(&key)?;
            map.change(|held| held.set(key, item.clone()));
            item
        }
        "pop" => {
            let (key, default): (Value, Option<Value>) = from_args(args)?;
            work::charge_whole(state, &key)?;
            let found = map.change(|held| held.remove(&key)).or(default);
            found.ok_or_else(|| {
                let message = format!("pop: the mapping has no key {}", super::python::to_repr(&key));
                Error::new(ErrorKind::InvalidOperation, message)
            })?
        }
        "popitem" => {
            let () = from_args(args)?;
            let last = map.read().entries.last().cloned();
            let (key, item) =
                last.ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "popitem: the mapping is empty"))?;
            map.change(|held| held.remove(&key));
            Value::from_object(Tuple::from([key, item]))
        }
        _ => {
            let () = from_args(args)?;
            map.change(|held| *held = Held::default());
            Value::from(())
        }
    }))
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

pub(super) fn value(item: &Item) -> Value {
    match item {
        Item::None => Value::from(()),
        Item::Bool(flag) => Value::from(*flag),
        Item::Int(number) => i64::try_from(*number).map_or_else(|_| Value::from(*number), Value::from),
        Item::Float(number) => Value::from(*number),
        Item::Str(text) => Value::from(text.as_str()),
        Item::List(items) => lists::list(items.iter().map(value).collect()),
        Item::Unknown(keys, stand) => {
            Value::from_object(Unknown { keys: keys.iter().map(value).collect(), stand: *stand })
        }
        Item::Map(entries) => mapping(entries.iter().map(|(key, item)| (value(key), value(item))).collect()),
    }
}

/// A mapping that keeps the order of its entries; of one key the first place and the last value count.
pub(super) fn mapping(entries: Vec<(Value, Value)>) -> Value {
    let mut held = Held::default();
    for (key, item) in entries {
        held.set(key, item);
    }
    Value::from_object(Mapping { held: RwLock::new(held), level: Level::default() })
}
