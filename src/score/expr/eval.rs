//! Value of a condition, with the rules of Python where it has any.

use std::cmp::Ordering;

use super::{Names, Op, Term, Trailer};
use crate::score::value::{Key, Value};

type Lookup<'a> = &'a dyn Names;

pub(super) fn eval(term: &Term, lookup: Lookup<'_>) -> Result<Value, String> {
    match term {
        Term::Literal(value) => Ok(value.clone()),
        Term::List(items) => {
            items.iter().map(|item| eval(item, lookup)).collect::<Result<_, _>>().map(Value::Seq)
        }
        Term::Not(term) => eval(term, lookup).map(|value| Value::Bool(!truth(&value))),
        Term::Or(terms) => short_circuit(terms, true, lookup),
        Term::And(terms) => short_circuit(terms, false, lookup),
        Term::Compare(left, op, right) => {
            compare(&eval(left, lookup)?, *op, &eval(right, lookup)?).map(Value::Bool)
        }
        Term::Name(name, trailers) => {
            let (mut value, rest) = match entry(name, trailers, lookup)? {
                Some(first) => (first, &trailers[1..]),
                None => (lookup.value(name).ok_or_else(|| format!("unknown name `{name}`"))?, &trailers[..]),
            };
            for trailer in rest {
                value = follow(&value, trailer, lookup)?;
            }
            Ok(value)
        }
    }
}

/// The first step of `sheets[3]` and `sheets.get(3)`, when the names know how to take it at once.
fn entry(name: &str, trailers: &[Trailer], lookup: Lookup<'_>) -> Result<Option<Value>, String> {
    let Some(first @ (Trailer::Index(term) | Trailer::Get(term, _))) = trailers.first() else {
        return Ok(None);
    };
    let key = eval(term, lookup)?;
    lookup.entry(name, &key).map(|found| taken(found, &key, first, lookup)).transpose()
}

/// `or` ends at the first true term, `and` at the first false one.
fn short_circuit(terms: &[Term], until: bool, lookup: Lookup<'_>) -> Result<Value, String> {
    for term in terms {
        if truth(&eval(term, lookup)?) == until {
            return Ok(Value::Bool(until));
        }
    }
    Ok(Value::Bool(!until))
}

pub(super) fn truth(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Int(number) => *number != 0,
        Value::Float(number) => *number != 0.0,
        Value::Str(text) => !text.is_empty(),
        Value::Seq(list) => !list.is_empty(),
        Value::Map(map) => !map.is_empty(),
    }
}

fn follow(value: &Value, trailer: &Trailer, lookup: Lookup<'_>) -> Result<Value, String> {
    match trailer {
        Trailer::Attribute(name) => match value {
            Value::Map(map) => map.get(name).cloned().ok_or_else(|| format!("no key `{name}`")),
            other => Err(format!("{} has no attribute `{name}`", type_name(other))),
        },
        Trailer::Index(term) => {
            let key = eval(term, lookup)?;
            taken(item(value, &key)?, &key, trailer, lookup)
        }
        Trailer::Get(term, _) => {
            let key = eval(term, lookup)?;
            taken(item(value, &key)?, &key, trailer, lookup)
        }
    }
}

/// What an index or a `get` gives when the entry is there, and when it is not.
fn taken(found: Option<Value>, key: &Value, by: &Trailer, lookup: Lookup<'_>) -> Result<Value, String> {
    match (found, by) {
        (Some(found), _) => Ok(found),
        (None, Trailer::Get(_, Some(default))) => eval(default, lookup),
        (None, Trailer::Get(_, None)) => Ok(Value::Null),
        (None, Trailer::Index(_) | Trailer::Attribute(_)) => Err(match key {
            Value::Int(number) => format!("no key {number}"),
            Value::Str(text) => format!("no key `{text}`"),
            other => format!("no such key ({})", type_name(other)),
        }),
    }
}

/// An entry; an integer and its digits as text stand for each other where only one of them exists.
fn item(value: &Value, key: &Value) -> Result<Option<Value>, String> {
    match (value, key) {
        (Value::Map(map), Value::Int(number)) => {
            Ok(map.get_int(*number).or_else(|| map.get(&number.to_string())).cloned())
        }
        (Value::Map(map), Value::Str(text)) => {
            let number = || text.parse().ok().and_then(|number| map.get_int(number));
            Ok(map.get(text).or_else(number).cloned())
        }
        (Value::Seq(list), Value::Int(index)) => {
            let index =
                if *index < 0 { i64::try_from(list.len()).unwrap_or(i64::MAX) + index } else { *index };
            Ok(usize::try_from(index).ok().and_then(|index| list.get(index)).cloned())
        }
        (Value::Map(_) | Value::Seq(_), other) => Err(format!("{} cannot be a key", type_name(other))),
        (other, _) => Err(format!("{} has no items", type_name(other))),
    }
}

fn compare(left: &Value, op: Op, right: &Value) -> Result<bool, String> {
    let order = || {
        order(left, right)
            .ok_or_else(|| format!("cannot compare {} with {}", type_name(left), type_name(right)))
    };
    match op {
        Op::Equal | Op::Is => Ok(equal(left, right)),
        Op::NotEqual | Op::IsNot => Ok(!equal(left, right)),
        Op::Less => order().map(Ordering::is_lt),
        Op::LessEqual => order().map(Ordering::is_le),
        Op::Greater => order().map(Ordering::is_gt),
        Op::GreaterEqual => order().map(Ordering::is_ge),
        Op::In => contains(right, left),
        Op::NotIn => contains(right, left).map(|found| !found),
    }
}

fn contains(holder: &Value, wanted: &Value) -> Result<bool, String> {
    match (holder, wanted) {
        (Value::Seq(list), _) => Ok(list.iter().any(|item| equal(item, wanted))),
        (Value::Map(map), _) => Ok(map.iter().any(|(key, _)| match key {
            Key::Int(number) => equal(&Value::Int(*number), wanted),
            Key::Str(text) => wanted.as_str() == Some(text),
        })),
        (Value::Str(text), Value::Str(part)) => Ok(text.contains(part.as_str())),
        (Value::Str(_), other) => Err(format!("text cannot contain {}", type_name(other))),
        (other, _) => Err(format!("`in` needs a list, a mapping or text, not {}", type_name(other))),
    }
}

fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Null, Value::Null) => true,
        (Value::Seq(a), Value::Seq(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Map(a), Value::Map(b)) => a == b,
        _ => order(left, right).is_some_and(Ordering::is_eq),
    }
}

/// Numbers (truth values are 0 and 1) with numbers, text with text.
fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Str(a), Value::Str(b)) => Some(a.cmp(b)),
        _ => match (integer(left), integer(right)) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            _ => number(left)?.partial_cmp(&number(right)?),
        },
    }
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        Value::Bool(value) => Some(i64::from(*value)),
        Value::Null | Value::Float(_) | Value::Str(_) | Value::Seq(_) | Value::Map(_) => None,
    }
}

fn number(value: &Value) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "compared with a float, as Python users expect")]
    match value {
        Value::Float(number) => Some(*number),
        other => integer(other).map(|number| number as f64),
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int",
        Value::Float(_) => "float",
        Value::Str(_) => "str",
        Value::Seq(_) => "list",
        Value::Map(_) => "mapping",
    }
}
