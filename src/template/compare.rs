//! Comparisons as Python has them: order only between numbers, between texts, and between lists of such.
//!
//! The engine orders everything and says nothing, so that `"10" > 5` is true. Comparisons in templates are written as
//! calls of [`compare`] before they are compiled (see `rewrite`).

use std::cmp::Ordering;

use minijinja::value::{Rest, StringInput, Value, ValueKind};
use minijinja::{Error, ErrorKind, State, UndefinedBehavior};

use super::{views, work};

/// `first op value op value ...`: every two neighbours compare as said.
pub(super) fn compare(state: &mut State<'_, '_>, first: Value, rest: Rest<Value>) -> Result<bool, Error> {
    let mut left = &first;
    for pair in rest.chunks_exact(2) {
        let [operator, right] = pair else { continue };
        if !one(state, left, operator.as_str().unwrap_or_default(), right)? {
            return Ok(false);
        }
        left = right;
    }
    Ok(true)
}

/// Fails for an undefined value, naming its variable where it is known.
pub(super) fn defined(state: &State<'_, '_>, value: &Value) -> Result<(), Error> {
    if value.is_undefined() {
        StringInput::new(state, value)?;
    }
    Ok(())
}

/// Fails when one of these is undefined; `what` looks at whether they are true, or at their order.
pub(super) fn all_defined<'v>(what: &str, values: impl IntoIterator<Item = &'v Value>) -> Result<(), Error> {
    match values.into_iter().position(Value::is_undefined) {
        Some(at) => {
            Err(Error::new(ErrorKind::UndefinedError, format!("{what}: item {at} of the list is undefined")))
        }
        None => Ok(()),
    }
}

/// `left op right`.
pub(super) fn one(state: &mut State<'_, '_>, left: &Value, op: &str, right: &Value) -> Result<bool, Error> {
    // In Jinja2's lenient mode an undefined value cannot be ordered either; paths of injections are more patient.
    let strict = matches!(state.undefined_behavior(), UndefinedBehavior::Strict);
    if strict {
        StringInput::new(state, left)?;
        StringInput::new(state, right)?;
    }
    for value in [left, right] {
        if !matches!(value.kind(), ValueKind::Number | ValueKind::Bool | ValueKind::None) {
            work::charge_whole(state, value)?;
        }
    }
    match op {
        "==" => return Ok(equal(left, right)),
        "!=" => return Ok(!equal(left, right)),
        "in" => return contains(right, left, strict),
        "not in" => return contains(right, left, strict).map(|found| !found),
        _ => (),
    }
    if let Some((one, other)) = unordered(left, right)
        && strict
    {
        return Err(Error::new(
            ErrorKind::InvalidOperation,
            format!(
                "`{op}` between {one} and {other}: they have no order; \
                 make both numbers (`|int`, `|float`) or both texts (`|string`)"
            ),
        ));
    }
    let found = order(left, right);
    Ok(match op {
        "<" => found == Ordering::Less,
        "<=" => found != Ordering::Greater,
        ">" => found == Ordering::Greater,
        _ => found != Ordering::Less,
    })
}

/// Truth values are the numbers 0 and 1.
fn order(left: &Value, right: &Value) -> Ordering {
    let number = |value: &Value| match value.kind() {
        ValueKind::Bool => Value::from(i64::from(value.is_true())),
        _ => value.clone(),
    };
    number(left).cmp(&number(right))
}

/// `==`: a `range` or a view of a mapping is no list, whatever is in it.
pub(super) fn equal(left: &Value, right: &Value) -> bool {
    views::is_named(left) == views::is_named(right) && left == right
}

/// `value in container`.
fn contains(container: &Value, value: &Value, strict: bool) -> Result<bool, Error> {
    let told = |message: String| Err(Error::new(ErrorKind::InvalidOperation, message));
    match container.kind() {
        ValueKind::String => match value.as_str() {
            Some(part) => Ok(container.as_str().is_some_and(|text| text.contains(part))),
            None if !strict || value.kind() == ValueKind::Plain => Ok(false),
            None => told(format!(
                "`in` looks for {} in a text, where only texts can be: write `value|string in text`",
                name(value)
            )),
        },
        ValueKind::Map => Ok(!container.get_item(value)?.is_undefined()),
        ValueKind::Seq | ValueKind::Iterable => Ok(container.try_iter()?.any(|item| equal(&item, value))),
        ValueKind::Plain | ValueKind::Undefined => Ok(false),
        _ => told(format!("`in` looks into {}: that holds nothing", name(container))),
    }
}

/// Fails when values that are to be sorted have no order.
pub(super) fn sortable<'v>(what: &str, values: impl IntoIterator<Item = &'v Value>) -> Result<(), Error> {
    let mut before: Option<&Value> = None;
    for value in values {
        if let Some((one, other)) = before.and_then(|before| unordered(before, value)) {
            let message = format!(
                "{what}: {one} and {other} have no order; make them alike first, such as with `map('string')`"
            );
            return Err(Error::new(ErrorKind::InvalidOperation, message));
        }
        before = Some(value);
    }
    Ok(())
}

/// The kinds of the first two things that have no order, spelled for people.
fn unordered(left: &Value, right: &Value) -> Option<(&'static str, &'static str)> {
    use ValueKind::{Bool, Number, Plain, Seq, String, Undefined};
    match (left.kind(), right.kind()) {
        (Number | Bool, Number | Bool) | (String, String) => None,
        // What an earlier sheet will have written: anything may be right. Undefined is told by itself.
        (Plain | Undefined, _) | (_, Plain | Undefined) => None,
        (Seq, Seq) if left.is_tuple() == right.is_tuple() => {
            let pairs = left.try_iter().ok()?.zip(right.try_iter().ok()?);
            // Python looks at the first pair that differs.
            let (one, other) = pairs.into_iter().find(|(one, other)| one != other)?;
            unordered(&one, &other)
        }
        _ => Some((name(left), name(right))),
    }
}

/// What kind of value it is, spelled for people.
pub(super) fn name(value: &Value) -> &'static str {
    match value.kind() {
        ValueKind::None => "nothing (none)",
        ValueKind::Bool => "a truth value",
        ValueKind::Number => "a number",
        ValueKind::String => "a text",
        ValueKind::Undefined => "an undefined value",
        ValueKind::Map => "a mapping",
        ValueKind::Seq if value.is_tuple() => "a tuple",
        ValueKind::Seq | ValueKind::Iterable => "a list",
        _ => "a value of another kind",
    }
}
