//! Methods of Python's texts, lists and mappings that templates of scores may call.
//!
//! Some come with the engine's compatibility package; here are those that it lacks or has otherwise. Results are bounded
//! as those of filters are. Those that change a list or a mapping are in `lists` and `object`.

use minijinja::value::{Kwargs, Value, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State};

use super::filters::either;
use super::{MAX_OUTPUT, compare, filters, lists, object, percent, python, slices, views, work};

/// What the engine asks when a value has no method of this name.
pub(super) fn call(
    state: &mut State<'_, '_>,
    value: &Value,
    name: &str,
    args: &[Value],
) -> Result<Value, Error> {
    if name == super::rewrite::SLICE {
        return slices::slice(state, value, args);
    }
    let asked = match (value.kind(), name) {
        (ValueKind::String, _) => args.len(),
        (ValueKind::Map, "get" | "setdefault" | "pop" | "update") => 1,
        (ValueKind::Seq, "extend" | "index" | "count" | "remove") => 1,
        _ => 0,
    };
    args.iter().take(asked).try_for_each(|value| compare::defined(state, value))?;
    for value in args.iter().chain(value.as_str().is_some().then_some(value)) {
        work::charge_whole(state, value)?;
    }
    let own = match value.kind() {
        ValueKind::String if name == "format" => {
            percent::str_format(state, value.as_str().unwrap_or_default(), args).map(Some)
        }
        ValueKind::Map if matches!(name, "items" | "keys" | "values") => {
            work::charge_flat(state, value)?;
            let found = minijinja_contrib::pycompat::unknown_method_callback(state, value, name, args)?;
            views::of_mapping(name, found).map(Some)
        }
        ValueKind::String => value.as_str().map_or(Ok(None), |text| of_text(state, text, name, args)),
        ValueKind::Seq => lists::method(state, value, name, args),
        ValueKind::Map => object::method(state, value, name, args),
        ValueKind::Number if name == "is_integer" => {
            let () = from_args(args)?;
            let number = f64::try_from(value.clone());
            Ok(Some((value.is_integer() || number.is_ok_and(|number| number.fract() == 0.0)).into()))
        }
        _ => Ok(None),
    }?;
    let result = match own {
        Some(result) => result,
        None => minijinja_contrib::pycompat::unknown_method_callback(state, value, name, args)?,
    };
    if value.as_str().is_some() {
        work::charge_whole(state, &result)?;
    }
    Ok(result)
}

fn of_text(
    state: &mut State<'_, '_>,
    text: &str,
    name: &str,
    args: &[Value],
) -> Result<Option<Value>, Error> {
    Ok(Some(match name {
        "swapcase" => {
            let () = from_args(args)?;
            let swapped = |c: char| {
                let both = if c.is_uppercase() { Some(c.to_lowercase().to_string()) } else { None };
                both.unwrap_or_else(|| c.to_uppercase().to_string())
            };
            text.chars().map(swapped).collect::<String>().into()
        }
        "casefold" => {
            let () = from_args(args)?;
            text.replace(['ß', 'ẞ'], "ss").to_lowercase().replace('ς', "σ").replace('µ', "μ").into()
        }
        "title" => {
            let () = from_args(args)?;
            titled(text).into()
        }
        "capitalize" => {
            let () = from_args(args)?;
            capitalized(text).into()
        }
        "replace" => {
            let (old, new, count, kwargs): (&str, &str, Option<i64>, Kwargs) = from_args(args)?;
            let count = either(count, &kwargs, "count")?;
            kwargs.assert_all_used()?;
            filters::replaced(text, old, new, count)?.into()
        }
        "strip" | "lstrip" | "rstrip" => {
            let (chars,): (Option<Option<&str>>,) = from_args(args)?;
            let gone = |c: char| chars.flatten().map_or_else(|| is_space(c), |chars| chars.contains(c));
            match name {
                "strip" => text.trim_matches(gone),
                "lstrip" => text.trim_start_matches(gone),
                _ => text.trim_end_matches(gone),
            }
            .into()
        }
        "isdecimal" | "isdigit" => {
            let () = from_args(args)?;
            (!text.is_empty() && text.chars().all(|c| c.is_ascii_digit())).into()
        }
        "isprintable" => {
            let () = from_args(args)?;
            text.chars().all(python::is_printable).into()
        }
        "isidentifier" => {
            let () = from_args(args)?;
            let first = text.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_');
            (first && text.chars().all(|c| c.is_alphanumeric() || c == '_')).into()
        }
        "istitle" => {
            let () = from_args(args)?;
            (text.chars().any(char::is_alphabetic) && titled(text) == text).into()
        }
        "expandtabs" => {
            let (width,): (Option<usize>,) = from_args(args)?;
            expanded(text, width.unwrap_or(8).min(1000))?.into()
        }
        "splitlines" => {
            let (keep,): (Option<bool>,) = from_args(args)?;
            lists::list(lines(text, keep.unwrap_or(false)).into_iter().map(Value::from).collect())
        }
        "find" | "rfind" | "count" | "startswith" | "endswith" if args.len() > 1 => {
            let (part, from, to): (Value, Option<i64>, Option<i64>) = from_args(args)?;
            return within(state, text, name, part, (from, to)).map(Some);
        }
        "count" => {
            let (part,): (&str,) = from_args(args)?;
            let empty = part.is_empty().then(|| text.chars().count() + 1);
            empty.unwrap_or_else(|| text.matches(part).count()).into()
        }
        "removeprefix" => {
            let (part,): (&str,) = from_args(args)?;
            text.strip_prefix(part).unwrap_or(text).into()
        }
        "removesuffix" => {
            let (part,): (&str,) = from_args(args)?;
            text.strip_suffix(part).unwrap_or(text).into()
        }
        "partition" | "rpartition" => {
            let (part,): (&str,) = from_args(args)?;
            let last = name == "rpartition";
            let found = if last { text.rsplit_once(part) } else { text.split_once(part) };
            let (before, middle, after) = match found {
                _ if part.is_empty() => return Err(invalid("empty separator")),
                Some((before, after)) => (before, part, after),
                None if last => ("", "", text),
                None => (text, "", ""),
            };
            Value::from_object(minijinja::value::Tuple::from(vec![
                Value::from(before),
                Value::from(middle),
                Value::from(after),
            ]))
        }
        "index" | "rindex" => {
            let (part, from, to): (Value, Option<i64>, Option<i64>) = from_args(args)?;
            let find = if name == "index" { "find" } else { "rfind" };
            let at = within(state, text, find, part, (from, to))?;
            if at.as_i64() == Some(-1) {
                return Err(invalid("substring not found"));
            }
            at
        }
        "join" => {
            let (items,): (Value,) = from_args(args)?;
            let mut out = String::new();
            for (at, item) in items.try_iter()?.enumerate() {
                let Some(item) = item.as_str() else {
                    let message = format!(
                        "join: item {at} is {}, not a text: write `list|join(...)`, or `|map('string')` before",
                        python::to_repr(&item)
                    );
                    return Err(Error::new(ErrorKind::InvalidOperation, message));
                };
                if at > 0 {
                    out.push_str(text);
                }
                out.push_str(item);
                if out.len() > MAX_OUTPUT {
                    return Err(work::too_large("join"));
                }
            }
            out.into()
        }
        "split" | "rsplit" => {
            let (part, most, kwargs): (Option<&str>, Option<i64>, Kwargs) = from_args(args)?;
            let part = either(part, &kwargs, "sep")?;
            let most = either(most, &kwargs, "maxsplit")?;
            kwargs.assert_all_used()?;
            if name == "split" { split(text, part, most)? } else { rsplit(text, part, most)? }
        }
        "center" | "ljust" | "rjust" => {
            let (width, fill): (usize, Option<&str>) = from_args(args)?;
            let fill = fill.unwrap_or(" ");
            let missing = missing(text, width)?;
            if fill.chars().count() != 1 {
                return Err(invalid("the fill must be one character"));
            }
            let left = match name {
                "ljust" => 0,
                "rjust" => missing,
                _ => missing / 2 + (missing & width & 1),
            };
            format!("{}{text}{}", fill.repeat(left), fill.repeat(missing - left)).into()
        }
        "zfill" => {
            let (width,): (usize,) = from_args(args)?;
            let missing = missing(text, width)?;
            let sign = if text.starts_with(['+', '-']) { 1 } else { 0 };
            format!("{}{}{}", &text[..sign], "0".repeat(missing), &text[sign..]).into()
        }
        _ => return Ok(None),
    }))
}

/// Pieces from the left, at most `most` cuts.
fn split(text: &str, part: Option<&str>, most: Option<i64>) -> Result<Value, Error> {
    let most = most.and_then(|most| usize::try_from(most).ok()).map(|most| most.saturating_add(1));
    let pieces: Vec<Value> = match (part, most) {
        (Some(""), _) => return Err(invalid("empty separator")),
        (Some(part), Some(most)) => text.splitn(most, part).map(Value::from).collect(),
        (Some(part), None) => text.split(part).map(Value::from).collect(),
        (None, None) => text.split(is_space).filter(|piece| !piece.is_empty()).map(Value::from).collect(),
        (None, Some(most)) => {
            let mut pieces = Vec::new();
            let mut rest = text.trim_start_matches(is_space);
            while pieces.len() + 1 < most
                && let Some((piece, after)) = rest.split_once(is_space)
            {
                pieces.push(Value::from(piece));
                rest = after.trim_start_matches(is_space);
            }
            if !rest.is_empty() {
                pieces.push(Value::from(rest));
            }
            pieces
        }
    };
    Ok(lists::list(pieces))
}

/// What Python takes for white space: a few separators of records, too.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

/// Every word begins large, and a word is letters alone: `It'S`.
fn titled(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        let letter = c.is_alphabetic();
        if letter && !inside {
            large(c, &mut out);
        } else {
            out.extend(c.to_lowercase());
        }
        inside = letter;
    }
    out
}

/// The first letter large, all others small.
pub(super) fn capitalized(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    if let Some(c) = rest.next() {
        large(c, &mut out);
    }
    out.push_str(&rest.as_str().to_lowercase());
    out
}

/// A letter at the beginning of a word: of several that it becomes, only the first is large.
fn large(c: char, out: &mut String) {
    let mut upper = c.to_uppercase();
    out.extend(upper.next());
    out.extend(upper.flat_map(char::to_lowercase));
}

/// With tabs as spaces up to the next column.
fn expanded(text: &str, width: usize) -> Result<String, Error> {
    let mut out = String::with_capacity(text.len());
    let mut column = 0;
    for c in text.chars() {
        match c {
            '\t' if width > 0 => {
                let more = width - column % width;
                if out.len() + more > MAX_OUTPUT {
                    return Err(work::too_large("expandtabs"));
                }
                out.push_str(&" ".repeat(more));
                column += more;
            }
            '\t' => (),
            '\n' | '\r' => {
                out.push(c);
                column = 0;
            }
            c => {
                out.push(c);
                column += 1;
            }
        }
    }
    Ok(out)
}

/// Lines by everything that Python takes for the end of one.
fn lines(text: &str, keep: bool) -> Vec<&str> {
    let end = |c: char| {
        matches!(c, '\n' | '\r' | '\x0b' | '\x0c' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}')
    };
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(end) {
        let length = if rest[at..].starts_with("\r\n") {
            2
        } else {
            rest[at..].chars().next().map_or(1, char::len_utf8)
        };
        found.push(if keep { &rest[..at + length] } else { &rest[..at] });
        rest = &rest[at + length..];
    }
    if !rest.is_empty() {
        found.push(rest);
    }
    found
}

/// `find`, `count`, `startswith` and their like in a part of the text, by characters.
fn within(
    state: &mut State<'_, '_>,
    text: &str,
    name: &str,
    part: Value,
    (from, to): (Option<i64>, Option<i64>),
) -> Result<Value, Error> {
    let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
    let place = |at: i64| if at < 0 { at.saturating_add(length).max(0) } else { at };
    let (from, to) = (place(from.unwrap_or(0)), place(to.unwrap_or(length)).min(length));
    let byte = |at: i64| {
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        text.char_indices().nth(at).map_or(text.len(), |(byte, _)| byte)
    };
    let inner = if from <= to { &text[byte(from)..byte(to)] } else { "" };
    if from > length || from > to {
        return Ok(match name {
            "count" => 0.into(),
            "startswith" | "endswith" => false.into(),
            _ => Value::from(-1),
        });
    }
    let inner_value = Value::from(inner);
    let found = minijinja_contrib::pycompat::unknown_method_callback(state, &inner_value, name, &[part])?;
    Ok(match name {
        "find" | "rfind" => {
            found.as_i64().map_or(found, |at| Value::from(if at < 0 { -1 } else { at + from }))
        }
        _ => found,
    })
}

/// Pieces from the right, at most `most` cuts.
fn rsplit(text: &str, part: Option<&str>, most: Option<i64>) -> Result<Value, Error> {
    let most = most.and_then(|most| usize::try_from(most).ok());
    let mut pieces = Vec::new();
    let mut rest = match part {
        Some("") => return Err(invalid("empty separator")),
        Some(_) => text,
        None => text.trim_matches(is_space),
    };
    while most.is_none_or(|most| pieces.len() < most) {
        let cut = match part {
            Some(part) => rest.rsplit_once(part),
            None => {
                rest.rsplit_once(is_space).map(|(before, after)| (before.trim_end_matches(is_space), after))
            }
        };
        let Some((before, after)) = cut else { break };
        pieces.push(after);
        rest = before;
    }
    if part.is_some() || !rest.is_empty() {
        pieces.push(rest);
    }
    pieces.reverse();
    Ok(lists::list(pieces.into_iter().map(Value::from).collect()))
}

fn missing(text: &str, width: usize) -> Result<usize, Error> {
    if width > MAX_OUTPUT {
        return Err(invalid("the width is too large"));
    }
    Ok(width.saturating_sub(text.chars().count()))
}

fn invalid(message: &'static str) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}
