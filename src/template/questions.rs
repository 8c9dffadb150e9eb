//! The tests behind `is` that the engine lacks or has otherwise than Jinja2.

use std::borrow::Cow;

use minijinja::filters as builtin;
use minijinja::value::{Rest, StringInput, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, ErrorKind, State, Value};

use super::meter::{Meter, metered};
use super::{attributes, compare};

/// Names of the tests that there are, for suggestions.
pub(crate) const TESTS: &[&str] = &[
    "boolean",
    "callable",
    "defined",
    "divisibleby",
    "eq",
    "even",
    "false",
    "float",
    "ge",
    "gt",
    "in",
    "integer",
    "iterable",
    "le",
    "lower",
    "lt",
    "mapping",
    "ne",
    "none",
    "number",
    "odd",
    "sameas",
    "sequence",
    "string",
    "true",
    "undefined",
    "upper",
];

/// Registers them in an environment.
pub(super) fn register(env: &mut Environment<'_>) {
    env.add_test("iterable", is_iterable);
    env.add_test("sequence", is_sequence);
    env.add_test("callable", |value: &Value| value.kind() == ValueKind::Plain);
    for (name, operator) in ORDERINGS {
        env.add_test(*name, move |state: &mut State<'_, '_>, left: &Value, right: &Value| {
            compare::one(state, left, operator, right)
        });
    }
    for (name, wanted) in [("even", 0.0), ("odd", 1.0)] {
        env.add_test(name, move |value: &Value| Ok::<_, Error>(remainder(value, 2, name)? == wanted));
    }
    env.add_test("divisibleby", |value: &Value, by: i64| {
        Ok::<_, Error>(remainder(value, by, "divisibleby")? == 0.0)
    });
}

/// Registers `select` and its like: without a test they ask whether something is true, which nothing undefined answers.
pub(super) fn register_choices(env: &mut Environment<'_>) {
    type Name<'a> = Option<Cow<'a, str>>;
    type More = Rest<ValueOrKwargs>;
    metered(
        env,
        "select",
        Meter::Flat,
        |state: &mut State<'_, '_>, all: Value, test: Name<'_>, more: More| {
            answered("select", &all, None, &test)?;
            builtin::select(state, all, test, more)
        },
    );
    metered(
        env,
        "reject",
        Meter::Flat,
        |state: &mut State<'_, '_>, all: Value, test: Name<'_>, more: More| {
            answered("reject", &all, None, &test)?;
            builtin::reject(state, all, test, more)
        },
    );
    metered(
        env,
        "selectattr",
        Meter::Flat,
        |state: &mut State<'_, '_>, all: Value, path: Cow<'_, str>, test: Name<'_>, more: More| {
            answered("selectattr", &all, Some(&path), &test)?;
            builtin::selectattr(state, all, path, test, more)
        },
    );
    metered(
        env,
        "rejectattr",
        Meter::Flat,
        |state: &mut State<'_, '_>, all: Value, path: Cow<'_, str>, test: Name<'_>, more: More| {
            answered("rejectattr", &all, Some(&path), &test)?;
            builtin::rejectattr(state, all, path, test, more)
        },
    );
}

/// Fails when there is no test, and an item or its attribute is undefined.
fn answered(what: &str, all: &Value, path: Option<&str>, test: &Option<Cow<'_, str>>) -> Result<(), Error> {
    if test.is_some() {
        return Ok(());
    }
    let Ok(items) = all.try_iter() else { return Ok(()) };
    match path {
        Some(path) => attributes::all(what, items, path).map(drop),
        None => compare::all_defined(what, &items.collect::<Vec<_>>()),
    }
}

/// Tests that are comparisons, and their operators.
const ORDERINGS: &[(&str, &str)] = &[
    ("eq", "=="),
    ("equalto", "=="),
    ("==", "=="),
    ("ne", "!="),
    ("!=", "!="),
    ("lt", "<"),
    ("lessthan", "<"),
    ("<", "<"),
    ("le", "<="),
    ("<=", "<="),
    ("gt", ">"),
    ("greaterthan", ">"),
    (">", ">"),
    ("ge", ">="),
    (">=", ">="),
    ("in", "in"),
];

/// The rest of a division, for tests of numbers.
fn remainder(value: &Value, by: i64, what: &str) -> Result<f64, Error> {
    let number = match value.kind() {
        ValueKind::Bool => i128::from(value.is_true()),
        ValueKind::Number if value.is_integer() => i128::try_from(value.clone())?,
        ValueKind::Number => {
            #[expect(clippy::cast_precision_loss, reason = "as Python divides a float")]
            let by = by as f64;
            return Ok(f64::try_from(value.clone())?.rem_euclid(by));
        }
        // What an earlier sheet will have written.
        ValueKind::Plain => 0,
        _ => {
            let kind = compare::name(value);
            return Err(invalid(format!(
                "{what} asks of a number, not of {kind}: write `value|int is {what}`"
            )));
        }
    };
    let rest = number.checked_rem(i128::from(by));
    let rest = rest.ok_or_else(|| invalid(format!("{what}: division by zero")))?;
    Ok(if rest == 0 { 0.0 } else { 1.0 })
}

/// As in Jinja2, asking this of an undefined value fails.
fn is_iterable(state: &State, value: &Value) -> Result<bool, Error> {
    if value.is_undefined() {
        StringInput::new(state, value)?;
    }
    Ok(!value.is_none() && value.try_iter().is_ok())
}

/// As in Jinja2, texts and mappings are sequences too.
fn is_sequence(state: &State, value: &Value) -> Result<bool, Error> {
    if value.is_undefined() {
        StringInput::new(state, value)?;
    }
    Ok(matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::String))
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}
