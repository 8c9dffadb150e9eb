//! `[from:to:step]` of texts, lists, tuples and ranges, as in Python.

use minijinja::value::{Tuple, Value, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State};

use super::{lists, views, work};

/// `value[from:to:step]`, each of them a number or none.
pub(super) fn slice(state: &mut State<'_, '_>, value: &Value, args: &[Value]) -> Result<Value, Error> {
    let (from, to, step): (Option<Value>, Option<Value>, Option<Value>) = from_args(args)?;
    let [from, to, step] = [number(from)?, number(to)?, number(step)?];
    let step = step.unwrap_or(1);
    if step == 0 {
        return Err(invalid("the step of a slice must not be 0".to_owned()));
    }
    work::charge_flat(state, value)?;
    if let Some(text) = value.as_str() {
        if step == 1 && text.is_ascii() {
            let (first, behind) = bounds(text.len(), from, to, step);
            let at = |place: i64| usize::try_from(place).unwrap_or(0);
            return Ok(text.get(at(first)..at(behind)).unwrap_or_default().into());
        }
        // Its characters are taken apart.
        work::charge(state, text.len().saturating_mul(8))?;
        let chars: Vec<char> = text.chars().collect();
        return Ok(picked(chars.len(), from, to, step).map(|at| chars[at]).collect::<String>().into());
    }
    if value.kind() != ValueKind::Seq && value.kind() != ValueKind::Iterable {
        let kind = super::compare::name(value);
        return Err(invalid(format!("{kind} cannot be sliced: only texts, lists and tuples can")));
    }
    let items: Vec<Value> = value.try_iter()?.collect();
    let (first, behind) = bounds(items.len(), from, to, step);
    if let Some(range) = views::sliced(value, first, behind, step) {
        return Ok(range);
    }
    let found: Vec<Value> = picked(items.len(), from, to, step).map(|at| items[at].clone()).collect();
    Ok(if value.is_tuple() { Value::from_object(Tuple::from(found)) } else { lists::list(found) })
}

fn number(value: Option<Value>) -> Result<Option<i64>, Error> {
    match value {
        Some(value) if !value.is_none() => match value.kind() {
            ValueKind::Bool => Ok(Some(i64::from(value.is_true()))),
            ValueKind::Number if value.is_integer() => {
                // Beyond 64 bits it is beyond every list, too.
                let number = i128::try_from(value)?;
                let end = if number < 0 { i64::MIN } else { i64::MAX };
                Ok(Some(i64::try_from(number).unwrap_or(end)))
            }
            _ => Err(invalid("the bounds of a slice must be whole numbers".to_owned())),
        },
        _ => Ok(None),
    }
}

/// First place, and the place that is not reached any more; -1 is before the first.
fn bounds(length: usize, from: Option<i64>, to: Option<i64>, step: i64) -> (i64, i64) {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let (low, high) = if step < 0 { (-1, length - 1) } else { (0, length) };
    let clamped = |at: i64| if at < 0 { at.saturating_add(length).max(low) } else { at.min(high) };
    let (start, end) = if step < 0 { (high, low) } else { (low, high) };
    (from.map_or(start, clamped), to.map_or(end, clamped))
}

fn picked(length: usize, from: Option<i64>, to: Option<i64>, step: i64) -> impl Iterator<Item = usize> {
    let (first, behind) = bounds(length, from, to, step);
    let places = std::iter::successors(Some(first), move |at| at.checked_add(step));
    places
        .take_while(move |at| if step < 0 { *at > behind } else { *at < behind })
        .filter_map(|at| usize::try_from(at).ok())
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}
