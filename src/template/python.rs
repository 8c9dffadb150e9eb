//! Values spelled as Python prints them: `None`, `True`, `4.0`, `['a', 1]`, `{'k': None}`.

use std::fmt::{self, Write};

use minijinja::Value;
use minijinja::value::ValueKind;

/// Nested deeper than this a container is not printed, because printing recurses.
const MAX_DEPTH: usize = super::work::MAX_DEPTH + 10;

/// A float as Python's `repr` prints it.
pub(super) struct Float(pub(super) f64);

impl fmt::Display for Float {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.0;
        if number.is_nan() {
            return f.write_str("nan");
        }
        if number.is_infinite() {
            return f.write_str(if number > 0.0 { "inf" } else { "-inf" });
        }
        let scientific = format!("{number:e}");
        let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
        let exponent: i32 = exponent.parse().unwrap_or(0);
        if (-4..16).contains(&exponent) {
            return write!(f, "{number:?}");
        }
        let sign = if exponent < 0 { '-' } else { '+' };
        write!(f, "{mantissa}e{sign}{:02}", exponent.abs())
    }
}

/// Writes a value as Python's `str` prints it.
pub(super) fn write_str(out: &mut dyn Write, value: &Value) -> fmt::Result {
    match value.as_str() {
        Some(text) => out.write_str(text),
        None => write_repr(out, value, 0),
    }
}

/// A value as Python's `str` prints it.
pub(super) fn to_str(value: &Value) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    _ = write_str(&mut out, value);
    out
}

/// A value as Python's `repr` prints it.
pub(super) fn to_repr(value: &Value) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    _ = write_repr(&mut out, value, 0);
    out
}

fn write_repr(out: &mut dyn Write, value: &Value, depth: usize) -> fmt::Result {
    if depth > MAX_DEPTH {
        return Err(fmt::Error);
    }
    if let Some(named) = value.downcast_object_ref::<super::views::Named>() {
        return named.write(out, |out, items| write_items(out, items.iter().cloned(), depth).map(drop));
    }
    match value.kind() {
        ValueKind::Undefined => out.write_str("Undefined"),
        ValueKind::Number if !value.is_integer() => match f64::try_from(value.clone()) {
            Ok(number) => write!(out, "{}", Float(number)),
            Err(_) => write!(out, "{value}"),
        },
        ValueKind::String => write_quoted(out, value.as_str().unwrap_or_default()),
        ValueKind::Map => write_map(out, value, depth),
        ValueKind::Seq | ValueKind::Iterable => write_list(out, value, depth),
        ValueKind::None
        | ValueKind::Bool
        | ValueKind::Number
        | ValueKind::Bytes
        | ValueKind::Plain
        | ValueKind::Invalid => write!(out, "{value}"),
        // The engine may learn new kinds; its own spelling is the best guess then.
        _ => write!(out, "{value}"),
    }
}

fn write_map(out: &mut dyn Write, value: &Value, depth: usize) -> fmt::Result {
    out.write_char('{')?;
    let keys = value.try_iter().map_err(|_| fmt::Error)?;
    for (position, key) in keys.enumerate() {
        if position > 0 {
            out.write_str(", ")?;
        }
        write_repr(out, &key, depth + 1)?;
        out.write_str(": ")?;
        write_repr(out, &value.get_item(&key).unwrap_or_default(), depth + 1)?;
    }
    out.write_char('}')
}

fn write_list(out: &mut dyn Write, value: &Value, depth: usize) -> fmt::Result {
    let (open, close) = if value.is_tuple() { ('(', ')') } else { ('[', ']') };
    out.write_char(open)?;
    let count = write_items(out, value.try_iter().map_err(|_| fmt::Error)?, depth)?;
    if value.is_tuple() && count == 1 {
        out.write_char(',')?;
    }
    out.write_char(close)
}

fn write_items(
    out: &mut dyn Write,
    items: impl Iterator<Item = Value>,
    depth: usize,
) -> Result<usize, fmt::Error> {
    let mut count = 0;
    for item in items {
        if count > 0 {
            out.write_str(", ")?;
        }
        count += 1;
        write_repr(out, &item, depth + 1)?;
    }
    Ok(count)
}

fn write_quoted(out: &mut dyn Write, text: &str) -> fmt::Result {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.write_char(quote)?;
    for c in text.chars() {
        match c {
            '\\' => out.write_str(r"\\")?,
            '\n' => out.write_str(r"\n")?,
            '\r' => out.write_str(r"\r")?,
            '\t' => out.write_str(r"\t")?,
            c if c == quote => write!(out, "\\{c}")?,
            c if is_printable(c) => out.write_char(c)?,
            c if (c as u32) < 0x100 => write!(out, "\\x{:02x}", c as u32)?,
            c if (c as u32) < 0x1_0000 => write!(out, "\\u{:04x}", c as u32)?,
            c => write!(out, "\\U{:08x}", c as u32)?,
        }
    }
    out.write_char(quote)
}

/// Whether Python prints the character itself: no control, format or private one, and of the spaces only ` `.
pub(super) fn is_printable(c: char) -> bool {
    !matches!(c, '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{a0}' | '\u{ad}' | '\u{61c}' | '\u{1680}' | '\u{180e}'
        | '\u{2000}'..='\u{200f}' | '\u{2028}'..='\u{202f}' | '\u{205f}'..='\u{206f}' | '\u{3000}'
        | '\u{e000}'..='\u{f8ff}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        | '\u{f0000}'..='\u{10ffff}')
}
