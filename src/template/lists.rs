//! Lists that can be changed as Python's can (`items.append(x)`), and what is kept under a name.
//!
//! Invariants: no list or mapping ever holds itself; none is nested deeper than [`work::MAX_DEPTH`], also when it grows
//! from the inside. For that each knows how many others it stands in ([`Level`]).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use minijinja::value::{Enumerator, Kwargs, Object, ObjectRepr, Rest, Value, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State};

use super::object::Mapping;
use super::{compare, views, work};

/// In how many lists and mappings something stands, at most.
#[derive(Debug, Default)]
pub(super) struct Level(AtomicUsize);

impl Level {
    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn at_least(&self, level: usize) {
        self.0.fetch_max(level, Ordering::Relaxed);
    }
}

/// A list.
#[derive(Debug, Default)]
pub(super) struct List {
    items: RwLock<Vec<Value>>,
    level: Level,
}

impl List {
    fn items(&self) -> Vec<Value> {
        self.items.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change<T>(&self, change: impl FnOnce(&mut Vec<Value>) -> T) -> T {
        change(&mut self.items.write().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Object for List {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let at = key.as_usize()?;
        self.items.read().unwrap_or_else(PoisonError::into_inner).get(at).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.items())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.items.read().unwrap_or_else(PoisonError::into_inner).len())
    }
}

/// A list with these items.
pub(super) fn list(items: Vec<Value>) -> Value {
    Value::from_object(List { items: RwLock::new(items), level: Level::default() })
}

/// `[item, ...]`.
pub(super) fn literal(state: &mut State<'_, '_>, all: Rest<Value>) -> Result<Value, Error> {
    let level = Level::default();
    let items = all.0.into_iter().map(|item| held(state, &level, item)).collect::<Result<_, _>>()?;
    Ok(Value::from_object(List { items: RwLock::new(items), level }))
}

/// Whether Python would call it a list: no tuple, no `range`, no view of a mapping.
pub(super) fn is_list(value: &Value) -> bool {
    value.kind() == ValueKind::Seq
        && !value.is_tuple()
        && value.downcast_object_ref::<views::Named>().is_none()
}

/// A value that a name will hold: of bounded size, and its lists can be changed.
pub(super) fn keep(state: &mut State<'_, '_>, value: Value) -> Result<Value, Error> {
    match value.kind() {
        ValueKind::String | ValueKind::Number | ValueKind::Bool | ValueKind::None | ValueKind::Undefined => {
            return Ok(value);
        }
        _ => work::charge_whole(state, &value)?,
    }
    settled(value)
}

/// With lists of ours in place of the engine's, which are constant.
pub(super) fn settled(value: Value) -> Result<Value, Error> {
    if !is_list(&value) || value.downcast_object_ref::<List>().is_some() {
        return Ok(value);
    }
    Ok(list(value.try_iter()?.map(settled).collect::<Result<_, _>>()?))
}

/// A value that is put into the holder with this level: it must not hold that itself, and not become nested too deeply.
pub(super) fn held(state: &mut State<'_, '_>, holder: &Level, value: Value) -> Result<Value, Error> {
    let value = keep(state, value)?;
    sink(holder, holder.get() + 1, &value)?;
    Ok(value)
}

fn sink(holder: &Level, level: usize, value: &Value) -> Result<(), Error> {
    if !matches!(value.kind(), ValueKind::Seq | ValueKind::Map) {
        return Ok(());
    }
    if level > work::MAX_DEPTH {
        return Err(invalid(format!("lists are nested more than {} levels deep", work::MAX_DEPTH)));
    }
    let list = value.downcast_object_ref::<List>().map(|list| &list.level);
    if let Some(own) = list.or_else(|| value.downcast_object_ref::<Mapping>().map(Mapping::level)) {
        if std::ptr::eq(own, holder) {
            return Err(invalid("a list or mapping cannot be put into itself".to_owned()));
        }
        own.at_least(level);
    }
    for item in value.try_iter()? {
        if value.kind() == ValueKind::Map {
            sink(holder, level + 1, &value.get_item(&item)?)?;
        }
        sink(holder, level + 1, &item)?;
    }
    Ok(())
}

/// Methods of lists. `None` for one that is not here.
pub(super) fn method(
    state: &mut State<'_, '_>,
    value: &Value,
    name: &str,
    args: &[Value],
) -> Result<Option<Value>, Error> {
    if name == "index" {
        let (wanted,): (Value,) = from_args(args)?;
        work::charge_whole(state, value)?;
        work::charge_items(state, value.len().unwrap_or(0))?;
        let at = value.try_iter()?.position(|item| compare::equal(&item, &wanted));
        return at
            .map(|at| Some(at.into()))
            .ok_or_else(|| invalid("the list does not have this item".to_owned()));
    }
    if name == "count" {
        let (wanted,): (Value,) = from_args(args)?;
        work::charge_whole(state, value)?;
        return Ok(Some(value.try_iter()?.filter(|item| compare::equal(item, &wanted)).count().into()));
    }
    if !is_list(value) {
        return Ok(None);
    }
    if name == "copy" {
        let () = from_args(args)?;
        work::charge_flat(state, value)?;
        return Ok(Some(list(value.try_iter()?.collect())));
    }
    let changes =
        matches!(name, "append" | "extend" | "insert" | "pop" | "remove" | "clear" | "sort" | "reverse");
    if !changes {
        return Ok(None);
    }
    let Some(list) = value.downcast_object_ref::<List>() else {
        return Err(Error::new(
            ErrorKind::UnknownMethod,
            format!(
                "`.{name}()` would change a list that no name holds: give it one first, with `{{% set x = ... %}}`"
            ),
        ));
    };
    changed(state, value, list, name, args).map(Some)
}

fn changed(
    state: &mut State<'_, '_>,
    value: &Value,
    list: &List,
    name: &str,
    args: &[Value],
) -> Result<Value, Error> {
    let length = value.len().unwrap_or(0);
    let place = |at: i64| {
        let from_end = usize::try_from(at.unsigned_abs()).unwrap_or(usize::MAX);
        if at < 0 { length.checked_sub(from_end) } else { Some(from_end) }
    };
    work::charge_items(state, 1)?;
    match name {
        "append" => {
            let (item,): (Value,) = from_args(args)?;
            let item = held(state, &list.level, item)?;
            list.change(|items| items.push(item));
        }
        "extend" => {
            let (more,): (Value,) = from_args(args)?;
            work::charge_flat(state, &more)?;
            let more = more.try_iter()?.map(|item| held(state, &list.level, item));
            let mut more = more.collect::<Result<Vec<_>, _>>()?;
            list.change(|items| items.append(&mut more));
        }
        "insert" => {
            let (at, item): (i64, Value) = from_args(args)?;
            let item = held(state, &list.level, item)?;
            work::charge_items(state, length)?;
            let at = place(at).unwrap_or(0).min(length);
            list.change(|items| items.insert(at, item));
        }
        "pop" => {
            let (at,): (Option<i64>,) = from_args(args)?;
            work::charge_items(state, length)?;
            let at = place(at.unwrap_or(-1)).filter(|at| *at < length);
            let at = at.ok_or_else(|| invalid("pop: the list has no item at this place".to_owned()))?;
            return Ok(list.change(|items| items.remove(at)));
        }
        "remove" => {
            let (wanted,): (Value,) = from_args(args)?;
            work::charge_whole(state, value)?;
            let at = list.items().iter().position(|item| compare::equal(item, &wanted));
            let at = at.ok_or_else(|| invalid("remove: the list does not have this item".to_owned()))?;
            list.change(|items| items.remove(at));
        }
        "clear" => {
            let () = from_args(args)?;
            list.change(Vec::clear);
        }
        "reverse" => {
            let () = from_args(args)?;
            work::charge_items(state, length)?;
            list.change(|items| items.reverse());
        }
        _ => {
            let (kwargs,): (Kwargs,) = from_args(args)?;
            let down: Option<bool> = kwargs.get("reverse")?;
            kwargs.assert_all_used()?;
            work::charge_whole(state, value)?;
            work::charge_items(state, length.saturating_mul(12))?;
            let mut items = list.items();
            compare::sortable("sort", &items)?;
            // Equal ones keep their order also from high to low.
            items.sort_by(|a, b| if down == Some(true) { b.cmp(a) } else { a.cmp(b) });
            list.change(|old| *old = items);
        }
    }
    Ok(Value::from(()))
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}
