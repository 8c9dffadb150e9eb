//! Arithmetic as Python does it, with bounds: truth values count as numbers, `//` and `%` round down, lists and texts are
//! joined and repeated, a text before `%` is filled in.

use minijinja::value::{Rest, StringInput, Tuple, Value, ValueKind};
use minijinja::{Error, ErrorKind, State};

use super::{lists, percent, python, views, work};

/// `first op value op value ...`, from left to right: all operators bind alike.
pub(super) fn calc(state: &mut State<'_, '_>, first: Value, rest: Rest<Value>) -> Result<Value, Error> {
    let mut left = first;
    if rest.first().and_then(Value::as_str) == Some("~") {
        return text(state, &left, &rest);
    }
    for pair in rest.chunks_exact(2) {
        let [operator, right] = pair else { continue };
        left = binary(state, &left, operator.as_str().unwrap_or_default(), right)?;
    }
    Ok(left)
}

/// `a ~ b ~ c`.
fn text(state: &mut State<'_, '_>, first: &Value, rest: &[Value]) -> Result<Value, Error> {
    let mut out = String::new();
    for value in std::iter::once(first).chain(rest.iter().skip(1).step_by(2)) {
        if value.is_undefined() {
            StringInput::new(state, value)?;
            continue;
        }
        work::charge_whole(state, value)?;
        views::no_generator("the text", value)?;
        match value.as_str() {
            Some(text) => out.push_str(text),
            None => out.push_str(&python::to_str(value)),
        }
        if out.len() > super::MAX_OUTPUT {
            return Err(work::too_large("`~`"));
        }
    }
    work::charge(state, out.len())?;
    Ok(Value::from(out))
}

#[derive(Debug, Clone, Copy)]
enum Number {
    Int(i128),
    Float(f64),
}

impl Number {
    /// `None` for what is no number.
    fn of(value: &Value) -> Result<Option<Self>, Error> {
        Ok(match value.kind() {
            ValueKind::Bool => Some(Self::Int(i128::from(value.is_true()))),
            ValueKind::Number if value.is_integer() => Some(Self::Int(i128::try_from(value.clone())?)),
            ValueKind::Number => Some(Self::Float(f64::try_from(value.clone())?)),
            _ => None,
        })
    }

    /// As Python's `float`, which rounds large whole numbers.
    #[expect(clippy::cast_precision_loss, reason = "the nearest float is what is asked for")]
    const fn float(self) -> f64 {
        match self {
            Self::Int(whole) => whole as f64,
            Self::Float(number) => number,
        }
    }
}

/// A whole number in the engine's smallest form.
fn whole(number: i128) -> Value {
    i64::try_from(number).map_or_else(|_| Value::from(number), Value::from)
}

fn binary(state: &mut State<'_, '_>, left: &Value, operator: &str, right: &Value) -> Result<Value, Error> {
    for value in [left, right] {
        match value.kind() {
            // Tells the name; in lenient mode it is an empty text.
            ValueKind::Undefined => _ = StringInput::new(state, value)?,
            // What an earlier sheet will have written: nothing is known about it.
            ValueKind::Plain => return Ok(value.clone()),
            _ => (),
        }
    }
    if operator == "%" && left.as_str().is_some() {
        return percent::operator(state, left, right).map(Value::from);
    }
    if let (Some(a), Some(b)) = (Number::of(left)?, Number::of(right)?) {
        return match (a, b) {
            (Number::Int(a), Number::Int(b)) => ints(a, operator, b),
            (a, b) => floats(a.float(), operator, b.float()).map(Value::from),
        };
    }
    match operator {
        "+" => plus(state, left, right),
        "*" => {
            let times = |value: &Value| match Number::of(value) {
                Ok(Some(Number::Int(times))) => Some(usize::try_from(times.max(0)).unwrap_or(usize::MAX)),
                _ => None,
            };
            match (times(left), times(right)) {
                (None, Some(count)) => repeated(state, left, count),
                (Some(count), None) => repeated(state, right, count),
                _ => None,
            }
            .unwrap_or_else(|| Err(unfit(left, "*", right)))
        }
        _ => Err(unfit(left, operator, right)),
    }
}

fn plus(state: &mut State<'_, '_>, left: &Value, right: &Value) -> Result<Value, Error> {
    if let (Some(a), Some(b)) = (left.as_str(), right.as_str()) {
        work::charge_text(state, "`+`", a.len() + b.len())?;
        return Ok(Value::from(format!("{a}{b}")));
    }
    let seq = |value: &Value| lists::is_list(value) || value.is_tuple();
    if !seq(left) || !seq(right) || left.is_tuple() != right.is_tuple() {
        return Err(unfit(left, "+", right));
    }
    work::charge_items(state, left.len().unwrap_or(0) + right.len().unwrap_or(0))?;
    let items: Vec<Value> = left.try_iter()?.chain(right.try_iter()?).collect();
    Ok(if left.is_tuple() { Value::from_object(Tuple::from(items)) } else { lists::list(items) })
}

/// `None` for what cannot be repeated.
fn repeated(state: &mut State<'_, '_>, value: &Value, count: usize) -> Option<Result<Value, Error>> {
    if let Some(text) = value.as_str() {
        let length = text.len().saturating_mul(count);
        return Some(work::charge_text(state, "`*`", length).map(|()| Value::from(text.repeat(count))));
    }
    if !lists::is_list(value) && !value.is_tuple() {
        return None;
    }
    let one: Vec<Value> = value.try_iter().ok()?.collect();
    if one.len().saturating_mul(count) > super::MAX_OUTPUT / 16 {
        return Some(Err(work::too_large("`*`")));
    }
    Some(work::charge_items(state, one.len() * count).map(|()| {
        let items: Vec<Value> = one.iter().cycle().take(one.len() * count).cloned().collect();
        if value.is_tuple() { Value::from_object(Tuple::from(items)) } else { lists::list(items) }
    }))
}

fn ints(a: i128, operator: &str, b: i128) -> Result<Value, Error> {
    if b == 0 && matches!(operator, "/" | "//" | "%") {
        return Err(invalid(format!("{a} {operator} 0: division by zero")));
    }
    let result = match operator {
        "+" => a.checked_add(b),
        "-" => a.checked_sub(b),
        "*" => a.checked_mul(b),
        "/" => return Ok(Value::from(Number::Int(a).float() / Number::Int(b).float())),
        "//" => a.checked_div(b).map(|whole| whole - i128::from(a % b != 0 && (a < 0) != (b < 0))),
        "%" => a.checked_rem(b).map(|rest| if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest }),
        _ if b < 0 => {
            return floats(Number::Int(a).float(), operator, Number::Int(b).float()).map(Value::from);
        }
        _ => u32::try_from(b).ok().and_then(|b| a.checked_pow(b)).or(match a {
            0 | 1 => Some(a),
            -1 => Some(if b % 2 == 0 { 1 } else { -1 }),
            _ => None,
        }),
    };
    result.map(whole).ok_or_else(|| {
        invalid(format!(
            "{a} {operator} {b} is too large: whole numbers reach to 2 ** 127 - 1; write `{a}.0` for a rounded result"
        ))
    })
}

fn floats(a: f64, operator: &str, b: f64) -> Result<f64, Error> {
    if b == 0.0 && matches!(operator, "/" | "//" | "%") {
        return Err(invalid(format!("{} {operator} 0: division by zero", python::Float(a))));
    }
    let rest = || {
        let rest = a % b;
        if rest == 0.0 {
            0f64.copysign(b)
        } else if (rest < 0.0) == (b < 0.0) {
            rest
        } else {
            rest + b
        }
    };
    Ok(match operator {
        "+" => a + b,
        "-" => a - b,
        "*" => a * b,
        "/" => a / b,
        "%" => rest(),
        "//" => {
            let cut = a % b;
            let mut quotient = (a - cut) / b;
            if cut != 0.0 && (cut < 0.0) != (b < 0.0) {
                quotient -= 1.0;
            }
            if quotient == 0.0 {
                0f64.copysign(a / b)
            } else {
                let floor = quotient.floor();
                if quotient - floor > 0.5 { floor + 1.0 } else { floor }
            }
        }
        _ => {
            let power = a.powf(b);
            let shown = || format!("{} ** {}", python::Float(a), python::Float(b));
            if a == 0.0 && b < 0.0 {
                return Err(invalid(format!("{}: zero has no negative power", shown())));
            }
            if a < 0.0 && b.fract() != 0.0 && b.is_finite() {
                return Err(invalid(format!("{}: the result is no real number", shown())));
            }
            if power.is_infinite() && a.is_finite() && b.is_finite() {
                return Err(invalid(format!("{} is too large", shown())));
            }
            power
        }
    })
}

fn unfit(left: &Value, operator: &str, right: &Value) -> Error {
    let is_text = |value: &Value| value.as_str().is_some();
    let hint = match operator {
        "+" if is_text(left) || is_text(right) => {
            ": `~` joins texts with anything; `|int` and `|float` make numbers of texts"
        }
        "+" if left.kind() == ValueKind::Map => ": write `dict(a, **b)` to put mappings together",
        "+" => ": make both lists with `|list`",
        _ => ": make numbers of texts with `|int` or `|float`",
    };
    let (one, other) = (super::compare::name(left), super::compare::name(right));
    invalid(format!("`{operator}` between {one} and {other}{hint}"))
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}
