//! Text with placeholders, as Python fills it in: `"%s: %5.2f"|format(...)`, `"%s" % value`, `"{!r:>5}".format(...)`.
//!
//! Here is what Python has and the engine lacks; one single conversion is then left to the engine.

use minijinja::value::{Kwargs, Rest, StringInput, Value, ValueKind};
use minijinja::{Error, ErrorKind, State};

use super::{MAX_OUTPUT, lists, object, python, work};

/// Largest width and precision of one value.
const MAX_WIDTH: usize = 10_000;

/// `format(*args)` or `format(**names)`.
pub(super) fn format(
    state: &mut State,
    text: &Value,
    args: Rest<Value>,
    kwargs: Kwargs,
) -> Result<String, Error> {
    let named: Vec<(Value, Value)> =
        kwargs.args().map(|name| Ok((Value::from(name), kwargs.get(name)?))).collect::<Result<_, Error>>()?;
    if !named.is_empty() && !args.is_empty() {
        return Err(invalid("format: give either positions or names, not both".to_owned()));
    }
    let names = (!named.is_empty()).then(|| object::mapping(named));
    fill(state, text, &args, names.as_ref())
}

/// `text % value`: a tuple holds one value for each placeholder, a mapping the named ones.
pub(super) fn operator(state: &mut State, text: &Value, value: &Value) -> Result<String, Error> {
    StringInput::new(state, value)?;
    if value.is_tuple() {
        let all: Vec<Value> = value.try_iter()?.collect();
        return fill(state, text, &all, None);
    }
    let names = (value.kind() == ValueKind::Map).then_some(value);
    // To Python a list is a mapping here: it may go unused.
    if lists::is_list(value) && !text.as_str().is_some_and(|text| text.contains('%')) {
        return Ok(python::to_str(text));
    }
    fill(state, text, std::slice::from_ref(value), names)
}

fn fill(state: &mut State, text: &Value, args: &[Value], names: Option<&Value>) -> Result<String, Error> {
    let input = StringInput::new(state, text)?.as_str().to_owned();
    work::charge(state, input.len())?;
    for value in args.iter().chain(names) {
        work::charge_whole(state, value)?;
    }
    let mut left = args.iter();
    let mut used_name = false;
    let mut out = String::with_capacity(input.len());
    let mut rest = input.as_str();
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let mut named = None;
        if let Some(inner) = rest.strip_prefix('(') {
            let (name, after) =
                inner.split_once(')').ok_or_else(|| invalid("incomplete format key".to_owned()))?;
            let all = names.ok_or_else(|| invalid(format!("`%({name})` needs named values")))?;
            named = Some(all.get_item(&Value::from(name))?);
            used_name = true;
            rest = after;
        }
        let spec_end = rest.find(|c: char| !"#0- +.*123456789hlL".contains(c));
        let spec_end = spec_end.ok_or_else(|| invalid("incomplete format".to_owned()))?;
        let (spec, after) = rest.split_at(spec_end);
        let kind = after.chars().next().unwrap_or('%');
        rest = &after[kind.len_utf8()..];
        if kind == '%' {
            out.push('%');
            continue;
        }
        let mut next = || left.next().ok_or_else(|| invalid("not enough arguments for format string".into()));
        let mut width = String::new();
        for c in spec.chars().filter(|c| !c.is_ascii_alphabetic()) {
            match c {
                '*' => width.push_str(&i64::try_from(next()?.clone())?.to_string()),
                c => width.push(c),
            }
        }
        narrow(&width)?;
        let value = match named {
            Some(value) => value,
            None => next()?.clone(),
        };
        StringInput::new(state, &value)?;
        let (kind, value) = converted(kind, value)?;
        let one = Value::from(format!("%{width}{kind}"));
        let piece = minijinja::filters::format(state, &one, Rest(vec![value.into()]))?;
        out.push_str(piece.as_str().unwrap_or_default());
        if out.len() > MAX_OUTPUT {
            return Err(invalid("format: the result is too large".to_owned()));
        }
    }
    out.push_str(rest);
    if !used_name && names.is_none() && left.next().is_some() {
        return Err(invalid("not all arguments converted during string formatting".to_owned()));
    }
    Ok(out)
}

/// A conversion that the engine has, and the value for it.
fn converted(kind: char, value: Value) -> Result<(char, Value), Error> {
    Ok(match kind {
        's' => ('s', Value::from(python::to_str(&value))),
        'r' => ('s', Value::from(python::to_repr(&value))),
        'a' => ('s', Value::from(ascii(&value))),
        'd' | 'i' | 'u' => match value.kind() {
            ValueKind::Number if !value.is_integer() => {
                let number = f64::try_from(value.clone())?;
                if !number.is_finite() || number.abs() >= 9e18 {
                    return Err(invalid(format!("cannot convert {value} to an integer")));
                }
                // Bounded above; Python cuts the fraction off, too.
                #[allow(clippy::cast_possible_truncation)]
                let whole = number as i64;
                ('d', Value::from(whole))
            }
            ValueKind::Number => ('d', value),
            ValueKind::Bool => ('d', Value::from(i64::from(value.is_true()))),
            kind => return Err(invalid(format!("%d format: a number is required, not {kind}"))),
        },
        kind => (kind, value),
    })
}

/// `str.format(*args, **names)`.
pub(super) fn str_format(state: &mut State, text: &str, args: &[Value]) -> Result<Value, Error> {
    work::charge(state, text.len())?;
    for value in args {
        work::charge_whole(state, value)?;
    }
    let (args, kwargs): (&[Value], Kwargs) = minijinja::value::from_args(args)?;
    let mut auto = 0;
    let out = braces(state, text, args, &kwargs, &mut auto, 0)?;
    Ok(Value::from(out))
}

fn braces(
    state: &mut State,
    text: &str,
    args: &[Value],
    kwargs: &Kwargs,
    auto: &mut usize,
    depth: usize,
) -> Result<String, Error> {
    if depth > 1 {
        return Err(invalid("format: braces are nested too deeply".to_owned()));
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(brace) {
            out.push_str(brace);
            rest = after;
            continue;
        }
        if brace == "}" {
            return Err(invalid("single '}' encountered in format string".to_owned()));
        }
        let end = closing(rest).ok_or_else(|| invalid("expected '}' before end of string".to_owned()))?;
        let field = &rest[..end];
        rest = &rest[end + 1..];
        // A bracket may hold any character, so the name ends at the first `!` or `:` behind it.
        let name_end = name_end(field);
        let (name, tail) = field.split_at(name_end);
        let (conversion, spec) = match tail.strip_prefix('!') {
            Some(tail) => {
                let kind = tail.chars().next();
                let kind = kind.ok_or_else(|| invalid("a conversion is missing after '!'".to_owned()))?;
                (Some(kind), &tail[kind.len_utf8()..])
            }
            None => (None, tail),
        };
        let spec = spec.strip_prefix(':').unwrap_or(spec);
        let mut value = looked_up(name, args, kwargs, auto)?;
        StringInput::new(state, &value)?;
        value = match conversion {
            Some('r') => Value::from(python::to_repr(&value)),
            Some('s') => Value::from(python::to_str(&value)),
            Some('a') => Value::from(ascii(&value)),
            Some(other) => return Err(invalid(format!("unknown conversion `!{other}`"))),
            None => value,
        };
        let spec = if spec.contains('{') {
            braces(state, spec, args, kwargs, auto, depth + 1)?
        } else {
            spec.to_owned()
        };
        out.push_str(&one(state, &value, &spec)?);
        if out.len() > MAX_OUTPUT {
            return Err(invalid("format: the result is too large".to_owned()));
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// One value by its specification.
fn one(state: &mut State, value: &Value, spec: &str) -> Result<String, Error> {
    if spec.is_empty() {
        return Ok(python::to_str(value));
    }
    let (value, spec, percent) = match spec.strip_suffix('%') {
        Some(spec) => (Value::from(f64::try_from(value.clone())? * 100.0), format!("{spec}f"), true),
        None => (value.clone(), spec.to_owned(), false),
    };
    narrow(&spec)?;
    let text = Value::from(format!("{{:{spec}}}"));
    let filled =
        minijinja_contrib::pycompat::unknown_method_callback(state, &text, "format", &[value])?.to_string();
    Ok(if percent { format!("{filled}%") } else { filled })
}

/// Fails for a width or a precision that would make a text of gigabytes.
fn narrow(spec: &str) -> Result<(), Error> {
    let wide = |digits: &str| digits.parse::<usize>().map_or(!digits.is_empty(), |width| width > MAX_WIDTH);
    if spec.split(|c: char| !c.is_ascii_digit()).any(wide) {
        return Err(invalid(format!("format: the width in `{spec}` is too large; at most {MAX_WIDTH}")));
    }
    Ok(())
}

fn closing(text: &str) -> Option<usize> {
    let mut open = 0usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => open += 1,
            '}' if open == 0 => return Some(at),
            '}' => open -= 1,
            _ => (),
        }
    }
    None
}

fn name_end(field: &str) -> usize {
    let mut inside = false;
    for (at, c) in field.char_indices() {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            '!' | ':' if !inside => return at,
            _ => (),
        }
    }
    field.len()
}

/// `0`, `name`, ``, each with `.attribute` and `[key]` behind it.
fn looked_up(name: &str, args: &[Value], kwargs: &Kwargs, auto: &mut usize) -> Result<Value, Error> {
    let first_end = name.find(['.', '[']).unwrap_or(name.len());
    let (first, mut path) = name.split_at(first_end);
    let position = |at: usize| {
        let value = args.get(at).cloned();
        value.ok_or_else(|| invalid(format!("replacement index {at} out of range for positional arguments")))
    };
    let mut value = match first.parse::<usize>() {
        Ok(at) => position(at)?,
        Err(_) if first.is_empty() => {
            let at = *auto;
            *auto += 1;
            position(at)?
        }
        Err(_) => kwargs.get(first)?,
    };
    while !path.is_empty() {
        if let Some(inner) = path.strip_prefix('[') {
            let (key, after) =
                inner.split_once(']').ok_or_else(|| invalid("missing ']' in format string".to_owned()))?;
            let key = key.parse::<i64>().map_or_else(|_| Value::from(key), Value::from);
            value = value.get_item(&key)?;
            path = after;
        } else {
            let inner = &path[1..];
            let end = inner.find(['.', '[']).unwrap_or(inner.len());
            value = value.get_attr(&inner[..end])?;
            path = &inner[end..];
        }
    }
    Ok(value)
}

/// As Python's `ascii`: the printed form with everything else escaped.
fn ascii(value: &Value) -> String {
    let mut out = String::new();
    for c in python::to_repr(value).chars() {
        match c {
            c if c.is_ascii() => out.push(c),
            c if (c as u32) < 0x100 => out.push_str(&format!("\\x{:02x}", c as u32)),
            c if (c as u32) < 0x1_0000 => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push_str(&format!("\\U{:08x}", c as u32)),
        }
    }
    out
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}
