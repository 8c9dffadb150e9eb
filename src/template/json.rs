//! The `tojson` filter as Jinja2 has it: sorted keys, `", "` and `": "`, ASCII only, safe inside HTML.

use std::fmt::Write as _;

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, ErrorKind, Value};

use super::python::Float;

const MAX_DEPTH: usize = 60;

/// `tojson(indent=none)`.
pub(super) fn tojson(value: &Value, indent: Option<usize>, kwargs: Kwargs) -> Result<String, Error> {
    let indent = match indent {
        Some(width) => Some(width),
        None => kwargs.get("indent")?,
    };
    kwargs.assert_all_used()?;
    super::views::no_generator("JSON", value)?;
    let mut out = String::new();
    write(&mut out, value, indent.map(|width| width.min(16)), 0)?;
    Ok(out)
}

fn write(out: &mut String, value: &Value, indent: Option<usize>, depth: usize) -> Result<(), Error> {
    if depth > MAX_DEPTH || out.len() > super::MAX_OUTPUT {
        return Err(Error::new(
            ErrorKind::BadSerialization,
            "the value is nested too deeply or too large for JSON",
        ));
    }
    match value.kind() {
        ValueKind::None => out.push_str("null"),
        ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
        ValueKind::Number if value.is_integer() => _ = write!(out, "{value}"),
        ValueKind::Number => write_float(out, value)?,
        ValueKind::String => write_text(out, value.as_str().unwrap_or_default()),
        ValueKind::Seq | ValueKind::Iterable => {
            let items: Vec<Value> = value.try_iter()?.collect();
            write_all(out, ('[', ']'), items.len(), indent, depth, |out, at| {
                write(out, &items[at], indent, depth + 1)
            })?;
        }
        ValueKind::Map => {
            let mut keys: Vec<Value> = value.try_iter()?.collect();
            keys.sort();
            write_all(out, ('{', '}'), keys.len(), indent, depth, |out, at| {
                write_key(out, &keys[at])?;
                out.push_str(": ");
                write(out, &value.get_item(&keys[at])?, indent, depth + 1)
            })?;
        }
        kind => {
            return Err(Error::new(
                ErrorKind::BadSerialization,
                format!("a value of type {kind} has no JSON form"),
            ));
        }
    }
    Ok(())
}

fn write_all(
    out: &mut String,
    (open, close): (char, char),
    count: usize,
    indent: Option<usize>,
    depth: usize,
    mut item: impl FnMut(&mut String, usize) -> Result<(), Error>,
) -> Result<(), Error> {
    let line = |out: &mut String, depth: usize| {
        if let Some(width) = indent {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', width * depth));
        }
    };
    out.push(open);
    for at in 0..count {
        if at > 0 {
            out.push_str(if indent.is_some() { "," } else { ", " });
        }
        line(out, depth + 1);
        item(out, at)?;
    }
    if count > 0 {
        line(out, depth);
    }
    out.push(close);
    Ok(())
}

fn write_float(out: &mut String, value: &Value) -> Result<(), Error> {
    let number = f64::try_from(value.clone())?;
    if !number.is_finite() {
        return Err(Error::new(ErrorKind::BadSerialization, "a number that is not finite has no JSON form"));
    }
    _ = write!(out, "{}", Float(number));
    Ok(())
}

fn write_key(out: &mut String, key: &Value) -> Result<(), Error> {
    match key.kind() {
        ValueKind::String => write_text(out, key.as_str().unwrap_or_default()),
        ValueKind::None | ValueKind::Bool | ValueKind::Number => {
            out.push('"');
            write(out, key, None, 0)?;
            out.push('"');
        }
        kind => {
            return Err(Error::new(
                ErrorKind::BadSerialization,
                format!("a key of type {kind} has no JSON form"),
            ));
        }
    }
    Ok(())
}

fn write_text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\'' | '\0'..='\u{1f}' | '\u{7f}'..='\u{10ffff}' => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    _ = write!(out, "\\u{unit:04x}");
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
