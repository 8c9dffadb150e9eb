//! Methods of Python's texts, lists and mappings that templates of scores may call.
//!
//! Most come with the engine's compatibility package; here are those that it lacks. Methods that would change a value
//! are refused: values in templates are constant. Results are bounded as those of filters are.

use minijinja::value::{Kwargs, Value, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State};

use super::filters::either;
use super::{MAX_OUTPUT, percent, python, views};

/// What the engine asks when a value has no method of this name.
pub(super) fn call(
    state: &mut State<'_, '_>,
    value: &Value,
    name: &str,
    args: &[Value],
) -> Result<Value, Error> {
    if matches!(name, "append" | "extend" | "insert" | "pop" | "update" | "remove" | "clear" | "setdefault") {
        let message = format!(
            "`.{name}()` would change a value, and values in templates are constant: \
             write `{{% set x = x + [item] %}}`; in a loop make `{{% set ns = namespace(x=[]) %}}` before it \
             and write `{{% set ns.x = ns.x + [item] %}}`"
        );
        return Err(Error::new(ErrorKind::UnknownMethod, message));
    }
    let own = match value.kind() {
        ValueKind::String if name == "format" => {
            percent::str_format(state, value.as_str().unwrap_or_default(), args).map(Some)
        }
        ValueKind::Map if matches!(name, "items" | "keys" | "values") => {
            let found = minijinja_contrib::pycompat::unknown_method_callback(state, value, name, args)?;
            views::of_mapping(name, found).map(Some)
        }
        ValueKind::String => value.as_str().map_or(Ok(None), |text| of_text(state, text, name, args)),
        ValueKind::Seq => of_list(value, name, args),
        ValueKind::Map if name == "copy" => from_args::<()>(args).map(|()| Some(value.clone())),
        _ => Ok(None),
    }?;
    match own {
        Some(result) => Ok(result),
        None => minijinja_contrib::pycompat::unknown_method_callback(state, value, name, args),
    }
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
            text.to_lowercase().into()
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
            let (part,): (&str,) = from_args(args)?;
            let at = if name == "index" { text.find(part) } else { text.rfind(part) };
            let at = at.ok_or_else(|| invalid("substring not found"))?;
            text[..at].chars().count().into()
        }
        "join" => {
            let (items,): (Value,) = from_args(args)?;
            if let Some((at, item)) = items.try_iter()?.enumerate().find(|(_, item)| item.as_str().is_none())
            {
                let message = format!(
                    "join: item {at} is {}, not a text: write `list|join(...)`, or `|map('string')` before",
                    python::to_repr(&item)
                );
                return Err(Error::new(ErrorKind::InvalidOperation, message));
            }
            return Ok(None);
        }
        "split" | "rsplit" => {
            let (part, most, kwargs): (Option<&str>, Option<i64>, Kwargs) = from_args(args)?;
            let part = either(part, &kwargs, "sep")?;
            let most = either(most, &kwargs, "maxsplit")?;
            kwargs.assert_all_used()?;
            if name == "split" {
                let args = [Value::from(part), Value::from(most.filter(|most| *most >= 0))];
                let text = Value::from(text);
                return minijinja_contrib::pycompat::unknown_method_callback(state, &text, name, &args)
                    .map(Some);
            }
            rsplit(text, part, most)?
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

fn of_list(list: &Value, name: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    match name {
        "index" => {
            let (wanted,): (Value,) = from_args(args)?;
            let at = list.try_iter()?.position(|item| item == wanted);
            at.map(|at| Some(at.into())).ok_or_else(|| invalid("the list does not have this item"))
        }
        "copy" => from_args::<()>(args).map(|()| Some(list.clone())),
        _ => Ok(None),
    }
}

/// Pieces from the right, at most `most` cuts.
fn rsplit(text: &str, part: Option<&str>, most: Option<i64>) -> Result<Value, Error> {
    let most = most.and_then(|most| usize::try_from(most).ok());
    let mut pieces = Vec::new();
    let mut rest = match part {
        Some("") => return Err(invalid("empty separator")),
        Some(_) => text,
        None => text.trim(),
    };
    while most.is_none_or(|most| pieces.len() < most) {
        let cut = match part {
            Some(part) => rest.rsplit_once(part),
            None => rest.rsplit_once(char::is_whitespace).map(|(before, after)| (before.trim_end(), after)),
        };
        let Some((before, after)) = cut else { break };
        pieces.push(after);
        rest = before;
    }
    if part.is_some() || !rest.is_empty() {
        pieces.push(rest);
    }
    pieces.reverse();
    Ok(pieces.into_iter().map(Value::from).collect())
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
