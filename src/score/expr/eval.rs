//! Value of a condition, with the rules of Python where it has any.

use std::cmp::Ordering;

use super::{Function, Names, Op, Sign, Term, Trailer};
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
        Term::Compare(first, rest) => {
            let mut left = eval(first, lookup)?;
            for (op, term) in rest {
                let right = eval(term, lookup)?;
                if !compare(&left, *op, &right)? {
                    return Ok(Value::Bool(false));
                }
                left = right;
            }
            Ok(Value::Bool(true))
        }
        Term::Sum(first, rest) => {
            let mut sum = eval(first, lookup)?;
            for (sign, term) in rest {
                sum = calculate(&sum, *sign, &eval(term, lookup)?)?;
            }
            Ok(sum)
        }
        Term::Minus(term) => calculate(&Value::Int(0), Sign::Minus, &eval(term, lookup)?),
        Term::Call(function, terms) => {
            let values: Result<Vec<Value>, String> = terms.iter().map(|term| eval(term, lookup)).collect();
            call(*function, values?)
        }
        Term::Name(name, trailers) => {
            let (mut value, rest) = begin(name, trailers, lookup)?;
            for trailer in rest {
                value = follow(&value, trailer, lookup)?;
            }
            Ok(value)
        }
    }
}

/// A name with its first step, and the steps that are left. The key of `sheets[3]` and `sheets.get(3)` is evaluated
/// once, whether the names know how to take the step at once or not.
fn begin<'t>(
    name: &str,
    trailers: &'t [Trailer],
    lookup: Lookup<'_>,
) -> Result<(Value, &'t [Trailer]), String> {
    let whole = || lookup.value(name).ok_or_else(|| format!("unknown name `{name}`"));
    let Some((first @ (Trailer::Index(term) | Trailer::Get(term, _)), rest)) = trailers.split_first() else {
        return Ok((whole()?, trailers));
    };
    let key = eval(term, lookup)?;
    let found = match lookup.entry(name, &key) {
        Some(found) => found,
        None => item(&whole()?, &key)?,
    };
    Ok((taken(found, &key, first, lookup)?, rest))
}

/// `or` gives the first true value, `and` the first false one, else the last.
fn short_circuit(terms: &[Term], until: bool, lookup: Lookup<'_>) -> Result<Value, String> {
    let mut last = Value::Bool(!until);
    for term in terms {
        last = eval(term, lookup)?;
        if truth(&last) == until {
            break;
        }
    }
    Ok(last)
}

/// Longest text that `+` makes, bytes: a long sum must not copy without end.
const MAX_TEXT: usize = 256 * 1024;

const TOO_LARGE: &str = "the number is too large";

fn calculate(left: &Value, sign: Sign, right: &Value) -> Result<Value, String> {
    if let (Value::Str(a), Sign::Plus, Value::Str(b)) = (left, sign, right) {
        if a.len() + b.len() > MAX_TEXT {
            return Err(format!("the joined text is longer than {MAX_TEXT} bytes"));
        }
        return Ok(Value::Str(format!("{a}{b}")));
    }
    if let (Some(a), Some(b)) = (integer(left), integer(right))
        && sign != Sign::Over
    {
        if b == 0 && matches!(sign, Sign::Floor | Sign::Rest) {
            return Err("division by zero".to_owned());
        }
        // As in Python the remainder has the sign of the divisor.
        let floor = |a: i64, b: i64| {
            let (quotient, rest) = (a.checked_div(b)?, a.checked_rem(b)?);
            Some(if rest != 0 && (rest < 0) != (b < 0) { (quotient - 1, rest + b) } else { (quotient, rest) })
        };
        let number = match sign {
            Sign::Plus => a.checked_add(b),
            Sign::Minus => a.checked_sub(b),
            Sign::Times => a.checked_mul(b),
            Sign::Floor | Sign::Over => floor(a, b).map(|(quotient, _)| quotient),
            Sign::Rest => floor(a, b).map(|(_, rest)| rest),
        };
        return number.map(Value::Int).ok_or_else(|| TOO_LARGE.to_owned());
    }
    let (Some(a), Some(b)) = (number(left), number(right)) else {
        let (sign, kinds) = match sign {
            Sign::Plus => ("+", "two numbers or two texts"),
            Sign::Minus => ("-", "numbers"),
            Sign::Times => ("*", "numbers"),
            Sign::Over => ("/", "numbers"),
            Sign::Floor => ("//", "numbers"),
            Sign::Rest => ("%", "numbers"),
        };
        return Err(format!("`{sign}` needs {kinds}, not {} and {}", type_name(left), type_name(right)));
    };
    if b == 0.0 && matches!(sign, Sign::Over | Sign::Floor | Sign::Rest) {
        return Err("division by zero".to_owned());
    }
    let number = match sign {
        Sign::Plus => a + b,
        Sign::Minus => a - b,
        Sign::Times => a * b,
        Sign::Over => a / b,
        Sign::Floor => (a / b).floor(),
        Sign::Rest => a - b * (a / b).floor(),
    };
    if number.is_finite() { Ok(Value::Float(number)) } else { Err(TOO_LARGE.to_owned()) }
}

fn call(function: Function, mut values: Vec<Value>) -> Result<Value, String> {
    if matches!(function, Function::Min | Function::Max) {
        return extreme(function, values);
    }
    let value = values.pop().unwrap_or_default();
    let count = |length: usize| Value::Int(i64::try_from(length).unwrap_or(i64::MAX));
    match (function, &value) {
        (Function::Len, Value::Str(text)) => Ok(count(text.chars().count())),
        (Function::Len, Value::Seq(list)) => Ok(count(list.len())),
        (Function::Len, Value::Map(map)) => Ok(count(map.len())),
        (Function::Len, other) => {
            Err(format!("len() needs a text, a list or a mapping, not {}", type_name(other)))
        }
        (Function::Int, Value::Float(number)) => {
            #[expect(clippy::cast_possible_truncation, reason = "a float beyond the range becomes its end")]
            let whole = number.trunc() as i64;
            Ok(Value::Int(whole))
        }
        (Function::Int, Value::Str(text)) => {
            text.trim().parse().map(Value::Int).map_err(|_| format!("int() cannot read `{text}`"))
        }
        (Function::Int, other) => integer(other)
            .map(Value::Int)
            .ok_or_else(|| format!("int() needs a number or its digits, not {}", type_name(other))),
        (Function::Str, Value::Str(text)) => Ok(Value::Str(text.clone())),
        (Function::Str, Value::Int(number)) => Ok(Value::Str(number.to_string())),
        (Function::Str, Value::Float(number)) => Ok(Value::Str(format!("{number:?}"))),
        (Function::Str, Value::Bool(true)) => Ok("True".into()),
        (Function::Str, Value::Bool(false)) => Ok("False".into()),
        (Function::Str, Value::Null) => Ok("None".into()),
        (Function::Str, other) => Err(format!("str() needs a single value, not {}", type_name(other))),
        (Function::Bool, value) => Ok(Value::Bool(truth(value))),
        (Function::Any, Value::Seq(list)) => Ok(Value::Bool(list.iter().any(truth))),
        (Function::All, Value::Seq(list)) => Ok(Value::Bool(list.iter().all(truth))),
        (Function::Any | Function::All, other) => Err(format!("a list is needed, not {}", type_name(other))),
        (Function::Min | Function::Max, _) => extreme(function, vec![value]),
    }
}

/// The least or greatest of several values, or of one list.
fn extreme(function: Function, mut values: Vec<Value>) -> Result<Value, String> {
    if let [Value::Seq(list)] = values.as_mut_slice() {
        values = std::mem::take(list);
    }
    let wanted = if function == Function::Min { Ordering::Less } else { Ordering::Greater };
    let mut values = values.into_iter();
    let name = if function == Function::Min { "min" } else { "max" };
    let mut best = values.next().ok_or_else(|| format!("{name}() of nothing"))?;
    for value in values {
        let order = order(&value, &best)
            .ok_or_else(|| format!("cannot compare {} with {}", type_name(&value), type_name(&best)))?;
        if order == wanted {
            best = value;
        }
    }
    Ok(best)
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
