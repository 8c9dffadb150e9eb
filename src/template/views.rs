//! Sequences that print by a name of their own: `range(0, 3)`, `dict_items([...])`, the pairs of `groupby`; and `cycler`.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use minijinja::value::{Enumerator, Kwargs, Object, ObjectRepr, Rest, Value, from_args};
use minijinja::{Environment, Error, ErrorKind, State};

use super::filters::either;
use super::meter::{Meter, metered};
use super::{attributes, compare, lists, object, work};

/// Most numbers of one `range`.
const MAX_RANGE: u64 = 100_000;

/// Registers them in an environment.
pub(super) fn register(env: &mut Environment<'_>) {
    env.add_function("range", range);
    env.add_function("dict", dict);
    namespaces(env);
    env.add_function("cycler", |items: Rest<Value>| match items.is_empty() {
        true => Err(invalid("cycler: no items given".to_owned())),
        false => Ok(Value::from_object(Cycler { items: items.to_vec(), at: AtomicUsize::new(0) })),
    });
    metered(env, "groupby", Meter::Whole, groupby);
    metered(env, "sort", Meter::Whole, sort);
    metered(env, "unique", Meter::Whole, unique);
    metered(
        env,
        "min",
        Meter::Whole,
        |state: &State, value: Value, case: Option<bool>, attribute: Option<Value>, kwargs: Kwargs| {
            let options =
                options(&[("case_sensitive", case.map(Value::from)), ("attribute", attribute)], &kwargs)?;
            ordered("min", &value, &options)?;
            minijinja::filters::min(state, value, options)
        },
    );
    metered(
        env,
        "max",
        Meter::Whole,
        |state: &State, value: Value, case: Option<bool>, attribute: Option<Value>, kwargs: Kwargs| {
            let options =
                options(&[("case_sensitive", case.map(Value::from)), ("attribute", attribute)], &kwargs)?;
            ordered("max", &value, &options)?;
            minijinja::filters::max(state, value, options)
        },
    );
}

/// `namespace(mapping, **more)`; the engine takes either.
fn namespaces(env: &mut Environment<'_>) {
    let own = env.globals().find(|(name, _)| *name == "namespace").map(|(_, value)| value.clone());
    let own = own.expect("the engine has namespaces");
    env.add_function("namespace", move |state: &mut State<'_, '_>, args: Rest<Value>, more: Kwargs| {
        let mut found = entries(only(state, &args)?, &more)?;
        work::charge_mapping(state, found.len())?;
        for (_, item) in &mut found {
            *item = lists::keep(state, item.clone())?;
        }
        own.call(state, &[object::mapping(found)])
    });
}

/// A sequence that prints by a name of its own.
#[derive(Debug)]
pub(super) struct Named {
    items: Vec<Value>,
    print: Print,
}

#[derive(Debug)]
enum Print {
    /// `range(0, 3)`.
    Range { from: i64, to: i64, step: i64 },
    /// `dict_items([...])`.
    View(&'static str),
    /// `('key', [...])`.
    Pair,
    /// What `map` and its like give: it has items, but neither a length nor a text.
    Generator,
}

impl Object for Named {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        if matches!(self.print, Print::Generator) { ObjectRepr::Iterable } else { ObjectRepr::Seq }
    }

    fn is_true(self: &Arc<Self>) -> bool {
        matches!(self.print, Print::Generator) || !self.items.is_empty()
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        if matches!(self.print, Print::Generator) {
            return None;
        }
        let at = match (key.as_str(), &self.print) {
            (Some("grouper"), Print::Pair) => 0,
            (Some("list"), Print::Pair) => 1,
            _ => key.as_usize()?,
        };
        self.items.get(at).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        match self.print {
            Print::Generator => Enumerator::Values(self.items.clone()),
            _ => Enumerator::Seq(self.items.len()),
        }
    }
}

impl Named {
    /// What stands before and behind the items, or the whole text.
    pub(super) fn write(
        &self,
        out: &mut dyn fmt::Write,
        mut items: impl FnMut(&mut dyn fmt::Write, &[Value]) -> fmt::Result,
    ) -> fmt::Result {
        match &self.print {
            Print::Range { from, to, step: 1 } => write!(out, "range({from}, {to})"),
            Print::Range { from, to, step } => write!(out, "range({from}, {to}, {step})"),
            Print::View(name) => {
                write!(out, "{name}([")?;
                items(out, &self.items)?;
                out.write_str("])")
            }
            Print::Generator => Err(fmt::Error),
            Print::Pair => {
                out.write_char('(')?;
                items(out, &self.items)?;
                out.write_char(')')
            }
        }
    }
}

/// What a method of a mapping gives: `items`, `keys`, `values`.
pub(super) fn of_mapping(method: &str, found: Value) -> Result<Value, Error> {
    let name = match method {
        "items" => "dict_items",
        "keys" => "dict_keys",
        _ => "dict_values",
    };
    let items = found.try_iter()?.collect();
    Ok(Value::from_object(Named { items, print: Print::View(name) }))
}

/// `range(to)`, `range(from, to, step=1)`.
fn range(state: &mut State<'_, '_>, first: i64, to: Option<i64>, step: Option<i64>) -> Result<Value, Error> {
    let (from, to) = to.map_or((0, first), |to| (first, to));
    let range = numbers(from, to, step.unwrap_or(1))?;
    work::charge_flat(state, &range)?;
    Ok(range)
}

fn numbers(from: i64, to: i64, step: i64) -> Result<Value, Error> {
    let (low, high) = if step > 0 { (from, to) } else { (to, from) };
    let width = step.unsigned_abs();
    if width == 0 {
        return Err(invalid("range: the step must not be 0".to_owned()));
    }
    let count = if low < high { high.abs_diff(low).div_ceil(width) } else { 0 };
    if count > MAX_RANGE {
        return Err(invalid(format!("range has too many elements: {count}; at most {MAX_RANGE}")));
    }
    let items = std::iter::successors(Some(from), |at| at.checked_add(step));
    let items = items.take(usize::try_from(count).unwrap_or(0)).map(Value::from).collect();
    Ok(Value::from_object(Named { items, print: Print::Range { from, to, step } }))
}

/// `dict(mapping_or_pairs, **more)`.
fn dict(state: &mut State<'_, '_>, args: Rest<Value>, more: Kwargs) -> Result<Value, Error> {
    let mut found = entries(only(state, &args)?, &more)?;
    work::charge_mapping(state, found.len())?;
    for (key, item) in &mut found {
        work::charge_whole(state, key)?;
        *item = lists::keep(state, item.clone())?;
    }
    Ok(object::mapping(found))
}

/// The argument of a function that takes one, or none.
fn only<'a>(state: &State<'_, '_>, args: &'a [Value]) -> Result<Option<&'a Value>, Error> {
    if args.len() > 1 {
        return Err(Error::new(
            ErrorKind::TooManyArguments,
            "at most one mapping, or list of pairs, is taken",
        ));
    }
    args.iter().try_for_each(|value| compare::defined(state, value))?;
    Ok(args.first())
}

/// What `dict` and `update` take: a mapping or pairs, and names.
pub(super) fn entries(value: Option<&Value>, more: &Kwargs) -> Result<Vec<(Value, Value)>, Error> {
    let mut found = Vec::new();
    if let Some(value) = value {
        let mapping = value.kind() == minijinja::value::ValueKind::Map;
        for item in value.try_iter()? {
            if mapping {
                let of_key = value.get_item(&item)?;
                found.push((item, of_key));
            } else {
                found.push((item.get_item_by_index(0)?, item.get_item_by_index(1)?));
            }
        }
    }
    for name in more.args() {
        found.push((Value::from(name), more.get(name)?));
    }
    Ok(found)
}

/// What `map`, `select`, `batch` and their like give in Jinja2: something to go through, not a list.
pub(super) fn generator(items: Vec<Value>) -> Value {
    Value::from_object(Named { items, print: Print::Generator })
}

/// Fails for a [`generator`], of which Jinja2 would print an address in memory, or fail as well.
pub(super) fn no_generator(what: &str, value: &Value) -> Result<(), Error> {
    match value.downcast_object_ref::<Named>() {
        Some(Named { print: Print::Generator, .. }) => Err(invalid(format!(
            "{what} of what `map`, `select`, `batch` or the like gives: make it a list first, with `|list`"
        ))),
        _ => Ok(()),
    }
}

/// Whether it prints by a name of its own, so that it equals no list. The pairs of `groupby` are tuples.
pub(super) fn is_named(value: &Value) -> bool {
    value.downcast_object_ref::<Named>().is_some_and(|named| !matches!(named.print, Print::Pair))
}

/// The part of a `range` from the place `first` up to `behind`; `None` for what is no range.
pub(super) fn sliced(value: &Value, first: i64, behind: i64, by: i64) -> Option<Value> {
    let Print::Range { from, step, .. } = value.downcast_object_ref::<Named>()?.print else { return None };
    let at = |place: i64| place.checked_mul(step).and_then(|far| far.checked_add(from));
    numbers(at(first)?, at(behind)?, step.checked_mul(by)?).ok()
}

/// `groupby(attribute, default=none, case_sensitive=false)`.
fn groupby(
    value: Value,
    attribute: Option<Value>,
    default: Option<Value>,
    kwargs: Kwargs,
) -> Result<Value, Error> {
    let attribute = either(attribute, &kwargs, "attribute")?;
    let default = either(default, &kwargs, "default")?;
    let case: Option<bool> = kwargs.get("case_sensitive")?;
    kwargs.assert_all_used()?;
    let attribute = attribute.ok_or_else(|| invalid("groupby: by which attribute?".to_owned()))?;
    let attribute = super::python::to_str(&attribute);
    let more = [("default", default), ("case_sensitive", case.map(Value::from))];
    let more = more.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    let groups = minijinja::filters::groupby(value, Some(&attribute), more)?;
    let pair = |group: Value| {
        let key = group.get_item_by_index(0)?;
        if key.is_undefined() {
            return Err(Error::new(
                ErrorKind::UndefinedError,
                format!("groupby: an item has no `{attribute}`"),
            ));
        }
        let items = lists::settled(group.get_item_by_index(1)?)?;
        Ok(Value::from_object(Named { items: vec![key, items], print: Print::Pair }))
    };
    groups.try_iter()?.map(pair).collect::<Result<Vec<_>, Error>>().map(Value::from)
}

/// `sort(reverse=false, case_sensitive=false, attribute=none)`.
fn sort(state: &State, value: Value, args: Rest<Value>, kwargs: Kwargs) -> Result<Value, Error> {
    if args.len() > 3 {
        return Err(Error::new(ErrorKind::TooManyArguments, "sort takes at most three arguments"));
    }
    let given = |at: usize| args.get(at).cloned();
    let options =
        options(&[("reverse", given(0)), ("case_sensitive", given(1)), ("attribute", given(2))], &kwargs)?;
    ordered("sort", &value, &options)?;
    minijinja::filters::sort(state, value, options)
}

/// `unique(case_sensitive=false, attribute=none)`.
fn unique(
    state: &State,
    value: Value,
    case: Option<Value>,
    attribute: Option<Value>,
    kwargs: Kwargs,
) -> Result<Value, Error> {
    let options = options(&[("case_sensitive", case), ("attribute", attribute)], &kwargs)?;
    let attribute: Option<Value> = options.get("attribute")?;
    match attribute.filter(|attribute| !attribute.is_none()) {
        Some(path) => drop(attributes::all("unique", value.try_iter()?, &super::python::to_str(&path))?),
        None => compare::all_defined("unique", &value.try_iter()?.collect::<Vec<_>>())?,
    }
    minijinja::filters::unique(state, value, options)
}

/// Options given by position or by name, all as names.
fn options(known: &[(&'static str, Option<Value>)], kwargs: &Kwargs) -> Result<Kwargs, Error> {
    let mut all: Vec<(&'static str, Value)> = Vec::new();
    for (name, position) in known {
        if let Some(value) = either(position.clone(), kwargs, name)? {
            all.push((name, value));
        }
    }
    kwargs.assert_all_used()?;
    Ok(all.into_iter().collect())
}

/// What has no order fails, as in Python; by the attribute when there is one.
fn ordered(what: &str, value: &Value, options: &Kwargs) -> Result<(), Error> {
    let attribute: Option<Value> = options.get("attribute")?;
    use minijinja::value::ValueKind::{Iterable, Seq};
    if !matches!(value.kind(), Seq | Iterable) {
        return Ok(());
    }
    let items: Vec<Value> = value.try_iter()?.collect();
    let Some(attribute) = attribute.filter(|attribute| !attribute.is_none()) else {
        // One alone is not compared with anything.
        if items.len() > 1 {
            compare::all_defined(what, &items)?;
        }
        return compare::sortable(what, &items);
    };
    let paths = super::python::to_str(&attribute);
    for path in paths.split(',') {
        let keys = attributes::all(what, items.iter().cloned(), path.trim())?;
        compare::sortable(what, &keys)?;
    }
    Ok(())
}

/// `cycler(...)`: `.next()`, `.current`, `.reset()`.
#[derive(Debug)]
pub(super) struct Cycler {
    items: Vec<Value>,
    at: AtomicUsize,
}

impl Cycler {
    /// What it goes round.
    pub(super) fn items(&self) -> &[Value] {
        &self.items
    }
}

impl Object for Cycler {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        (key.as_str() == Some("current")).then(|| self.items[self.at.load(Ordering::Relaxed)].clone())
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        let () = from_args(args)?;
        match method {
            "next" => {
                let at = self.at.load(Ordering::Relaxed);
                self.at.store((at + 1) % self.items.len(), Ordering::Relaxed);
                Ok(self.items[at].clone())
            }
            "reset" => {
                self.at.store(0, Ordering::Relaxed);
                Ok(Value::from(()))
            }
            _ => Err(Error::new(ErrorKind::UnknownMethod, format!("a cycler has no method named {method}"))),
        }
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}
