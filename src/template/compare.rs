//! Order between values as Python has it: only between numbers, between texts, and between lists of such.
//!
//! The engine orders everything and says nothing, so that `"10" > 5` is true. Comparisons in templates are written as
//! calls of [`NAME`] before they are compiled (see `rewrite`).

use std::cmp::Ordering;

use minijinja::value::{StringInput, Value, ValueKind};
use minijinja::{Error, ErrorKind, State, UndefinedBehavior};

/// The function that stands for `<`, `<=`, `>` and `>=`.
pub(super) const NAME: &str = "__compare";

/// `left op right`.
pub(super) fn compare(state: &State, left: &Value, op: &str, right: &Value) -> Result<bool, Error> {
    // In Jinja2's lenient mode an undefined value cannot be ordered either; paths of injections are more patient.
    let strict = matches!(state.undefined_behavior(), UndefinedBehavior::Strict);
    if strict {
        StringInput::new(state, left)?;
        StringInput::new(state, right)?;
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
    let found = left.cmp(right);
    Ok(match op {
        "<" => found == Ordering::Less,
        "<=" => found != Ordering::Greater,
        ">" => found == Ordering::Greater,
        _ => found != Ordering::Less,
    })
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

fn name(value: &Value) -> &'static str {
    match value.kind() {
        ValueKind::None => "nothing (none)",
        ValueKind::Bool => "a truth value",
        ValueKind::Number => "a number",
        ValueKind::String => "a text",
        ValueKind::Map => "a mapping",
        ValueKind::Seq if value.is_tuple() => "a tuple",
        ValueKind::Seq | ValueKind::Iterable => "a list",
        _ => "a value of another kind",
    }
}
