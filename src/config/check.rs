//! One value against its field. Messages say what is expected, in the words of the documentation.

use serde_json::{Value, json};

use super::fields::{Field, Kind, Range};
use crate::score::yaml::{self, Node};

/// The value of a field as JSON, or what is wrong with it.
pub(super) fn value(field: &Field, node: &Node) -> Result<Value, String> {
    if matches!(node.kind, yaml::Kind::Null) {
        return if field.nullable {
            Ok(Value::Null)
        } else {
            Err(format!("expected {}, found nothing; leave the key out to get the default", expected(field)))
        };
    }
    let wrong = || format!("expected {}, found {}", expected(field), shown(node));
    match field.kind {
        Kind::Int(least, most) => match node.kind {
            yaml::Kind::Int(number) => integer(number, least, most),
            _ => Err(wrong()),
        },
        Kind::Mode => mode(node).ok_or_else(wrong).and_then(|number| {
            integer(number, 0, 0o777).map_err(|_| match number {
                // Somebody wrote the digits of `chmod`.
                0..=777 => format!("{number} is more than 0o777; write 0o{number}"),
                _ => format!("{number} is not a mode, expected 0-0o777, for example 0o660"),
            })
        }),
        Kind::Float(range) => number(node).ok_or_else(wrong).and_then(|number| float(number, range)),
        Kind::Bool => match &node.kind {
            yaml::Kind::Bool(value) => Ok(json!(value)),
            yaml::Kind::Str(text) => match text.to_ascii_lowercase().as_str() {
                "yes" | "on" => Ok(json!(true)),
                "no" | "off" => Ok(json!(false)),
                _ => Err(wrong()),
            },
            _ => Err(wrong()),
        },
        Kind::Word(words) => match &node.kind {
            yaml::Kind::Str(text) => word(text, words),
            _ => Err(wrong()),
        },
        Kind::Text => text(node).map(Value::from).ok_or_else(wrong),
        Kind::Path(most) => match text(node) {
            Some(path) => self::path(path, most),
            None => Err(wrong()),
        },
        Kind::Texts | Kind::Words(_) => {
            let yaml::Kind::Seq(items) = &node.kind else { return Err(wrong()) };
            let texts: Vec<&str> = items.iter().map(text).collect::<Option<_>>().ok_or_else(wrong)?;
            if let Kind::Words(words) = field.kind {
                for (index, item) in texts.iter().enumerate() {
                    word(item, words)?;
                    if texts[..index].contains(item) {
                        return Err(format!("'{item}' is there twice"));
                    }
                }
                if texts.is_empty() {
                    return Err(format!("the list is empty, expected at least one of {}", words.join(", ")));
                }
            }
            Ok(json!(texts))
        }
        Kind::Map => match &node.kind {
            yaml::Kind::Map(_) => serde_json::to_value(node.to_value()).map_err(|error| error.to_string()),
            _ => Err(wrong()),
        },
        Kind::Keys => keys(node),
    }
}

/// A value that came as text: from a variable or an option.
pub(super) fn from_text(field: &Field, written: &str) -> Result<Value, String> {
    match field.kind {
        Kind::Path(most) => path(written, most),
        Kind::Word(words) => word(written, words),
        Kind::Int(..)
        | Kind::Mode
        | Kind::Float(_)
        | Kind::Bool
        | Kind::Text
        | Kind::Texts
        | Kind::Words(_)
        | Kind::Map
        | Kind::Keys => Ok(Value::from(written)),
    }
}

fn expected(field: &Field) -> String {
    let kind = match field.kind {
        Kind::Int(..) => "an integer",
        Kind::Mode => "a mode such as 0o660",
        Kind::Float(_) => "a number",
        Kind::Bool => "true or false",
        Kind::Word(words) => return format!("one of {}", words.join(", ")),
        Kind::Text => "text",
        Kind::Path(_) => "a path",
        Kind::Texts | Kind::Words(_) => "a list of texts",
        Kind::Map => "a mapping",
        Kind::Keys => "a list of mappings with `path` and `label`",
    };
    kind.to_owned()
}

/// A value as messages show it.
pub(super) fn shown(node: &Node) -> String {
    match &node.kind {
        yaml::Kind::Null => "nothing".to_owned(),
        yaml::Kind::Bool(value) => value.to_string(),
        yaml::Kind::Int(number) => number.to_string(),
        yaml::Kind::Float(number) => number.to_string(),
        yaml::Kind::Str(text) => format!("the text '{}'", text.chars().take(60).collect::<String>()),
        yaml::Kind::Seq(_) => "a list".to_owned(),
        yaml::Kind::Map(_) => "a mapping".to_owned(),
    }
}

fn text(node: &Node) -> Option<&str> {
    match &node.kind {
        yaml::Kind::Str(text) => Some(text),
        yaml::Kind::Null
        | yaml::Kind::Bool(_)
        | yaml::Kind::Int(_)
        | yaml::Kind::Float(_)
        | yaml::Kind::Seq(_)
        | yaml::Kind::Map(_) => None,
    }
}

fn number(node: &Node) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "settings are far below 2^53")]
    match node.kind {
        yaml::Kind::Int(number) => Some(number as f64),
        yaml::Kind::Float(number) if number.is_finite() => Some(number),
        _ => None,
    }
}

/// An integer, or octal digits with `0o` or `0` in front, bare or quoted.
fn mode(node: &Node) -> Option<i64> {
    match &node.kind {
        yaml::Kind::Int(number) => Some(*number),
        yaml::Kind::Str(text) => {
            let digits = text.strip_prefix("0o").or_else(|| text.strip_prefix('0'))?;
            i64::from_str_radix(digits, 8).ok().filter(|_| !digits.starts_with(['+', '-']))
        }
        _ => None,
    }
}

fn integer(number: i64, least: i64, most: i64) -> Result<Value, String> {
    if number < least {
        Err(format!("must be at least {least}, not {number}"))
    } else if number > most {
        Err(format!("must be at most {most}, not {number}"))
    } else {
        Ok(json!(number))
    }
}

fn float(number: f64, range: Range) -> Result<Value, String> {
    let good = match range {
        Range::Least(least) => number >= least,
        Range::LeastOrZero(least) => number >= least || number == 0.0,
        Range::Above(least) => number > least,
        Range::Between(least, most) => (least..=most).contains(&number),
    };
    if good {
        return Ok(json!(number));
    }
    Err(match range {
        Range::Least(least) => format!("must be at least {least}, not {number}"),
        Range::LeastOrZero(least) => format!("must be at least {least}, or 0 for no limit, not {number}"),
        Range::Above(least) => format!("must be more than {least}, not {number}"),
        Range::Between(least, most) => format!("must be from {least} to {most}, not {number}"),
    })
}

fn word(written: &str, words: &[&str]) -> Result<Value, String> {
    if words.contains(&written) {
        return Ok(Value::from(written));
    }
    let near = crate::score::decode::nearest(written, words.iter().copied());
    let hint = near.map(|near| format!(", did you mean '{near}'?")).unwrap_or_default();
    Err(format!("expected one of {}, found '{written}'{hint}", words.join(", ")))
}

fn path(written: &str, most: usize) -> Result<Value, String> {
    if written.is_empty() {
        return Err("expected a path, found an empty text".to_owned());
    }
    if written.contains('\0') {
        return Err("a path cannot contain a zero byte".to_owned());
    }
    if most > 0 && written.len() > most {
        return Err(format!("must be at most {most} bytes long, has {}", written.len()));
    }
    Ok(Value::from(written))
}

fn keys(node: &Node) -> Result<Value, String> {
    let wrong = "expected a list of mappings with `path` and, if wanted, `label`";
    let yaml::Kind::Seq(items) = &node.kind else { return Err(wrong.to_owned()) };
    let mut keys = Vec::with_capacity(items.len());
    for item in items {
        let yaml::Kind::Map(entries) = &item.kind else { return Err(wrong.to_owned()) };
        let mut key = serde_json::Map::new();
        for entry in entries {
            match (entry.key.as_str(), text(&entry.value)) {
                (Some(name @ ("path" | "label")), Some(value)) => {
                    key.insert(name.to_owned(), Value::from(value));
                }
                _ => return Err(format!("{wrong}; a key itself is never written here")),
            }
        }
        if !key.contains_key("path") {
            return Err(format!("{wrong}; one has no `path`"));
        }
        keys.push(Value::Object(key));
    }
    Ok(Value::Array(keys))
}
