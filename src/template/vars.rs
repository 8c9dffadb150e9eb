//! The values that templates and placeholders see: plain data, in order, with integer keys kept.

use std::fmt::Write as _;

use indexmap::IndexMap;

use super::python;
use crate::score;

/// One value of a template variable.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// `null`.
    None,
    /// `true`, `false`.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// Any other number.
    Float(f64),
    /// Text.
    Str(String),
    /// A list.
    List(Vec<Item>),
    /// A mapping in the order it was written. Keys are scalars; `1` and `"1"` are different keys,
    /// but a lookup that misses with one tries the other.
    Map(Vec<(Item, Item)>),
    /// A mapping of which only some keys are known: every lookup finds something, see [`Stand`].
    Unknown(Vec<Item>, Stand),
}

/// What stands for a value that is not known before a job runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stand {
    /// A text.
    Text,
    /// Something that can be indexed, called and printed, and is always itself.
    Anything,
}

impl Item {
    /// As Python's `str` prints it, for scalars. `None` for lists and mappings.
    #[must_use]
    pub fn scalar_text(&self) -> Option<String> {
        match self {
            Self::None => Some("None".to_owned()),
            Self::Bool(true) => Some("True".to_owned()),
            Self::Bool(false) => Some("False".to_owned()),
            Self::Int(number) => Some(number.to_string()),
            Self::Float(number) => {
                let mut text = String::new();
                _ = write!(text, "{}", python::Float(*number));
                Some(text)
            }
            Self::Str(text) => Some(text.clone()),
            Self::List(_) | Self::Map(_) | Self::Unknown(..) => None,
        }
    }
}

macro_rules! item_from {
    ($($from:ty => $variant:ident),* $(,)?) => {$(
        impl From<$from> for Item {
            fn from(value: $from) -> Self {
                Self::$variant(value.into())
            }
        }
    )*};
}
item_from! { bool => Bool, i64 => Int, i32 => Int, u32 => Int, u64 => Int, f64 => Float, &str => Str, String => Str }

impl<T: Into<Item>> From<Vec<T>> for Item {
    fn from(items: Vec<T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

impl<K: Into<Item>, V: Into<Item>> FromIterator<(K, V)> for Item {
    /// A mapping.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self::Map(pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}

impl From<&score::Value> for Item {
    fn from(value: &score::Value) -> Self {
        use score::Value;
        match value {
            Value::Null => Self::None,
            Value::Bool(flag) => Self::Bool(*flag),
            Value::Int(number) => Self::Int((*number).into()),
            Value::Float(number) => Self::Float(*number),
            Value::Str(text) => Self::Str(text.clone()),
            Value::Seq(items) => Self::List(items.iter().map(Self::from).collect()),
            Value::Map(map) => {
                let key = |key: &score::value::Key| match key {
                    score::value::Key::Int(number) => Self::Int((*number).into()),
                    score::value::Key::Str(text) => Self::Str(text.clone()),
                };
                Self::Map(map.iter().map(|(name, value)| (key(name), Self::from(value))).collect())
            }
        }
    }
}

impl From<&serde_json::Value> for Item {
    fn from(value: &serde_json::Value) -> Self {
        use serde_json::Value;
        match value {
            Value::Null => Self::None,
            Value::Bool(flag) => Self::Bool(*flag),
            Value::Number(number) => {
                let whole = number.to_string().parse().map(Self::Int);
                whole.unwrap_or_else(|_| Self::Float(number.as_f64().unwrap_or(f64::NAN)))
            }
            Value::String(text) => Self::Str(text.clone()),
            Value::Array(items) => Self::List(items.iter().map(Self::from).collect()),
            Value::Object(map) => map.iter().map(|(key, item)| (key.as_str(), Self::from(item))).collect(),
        }
    }
}

/// The variables of one sheet, by name, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Vars(IndexMap<String, Item>);

impl Vars {
    /// No variables.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a variable; the last value of a name wins.
    pub fn set(&mut self, name: &str, value: impl Into<Item>) -> &mut Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// The value of a variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Item> {
        self.0.get(name)
    }

    /// Place and value of a variable.
    pub(super) fn find(&self, name: &str) -> Option<(usize, &Item)> {
        self.0.get_full(name).map(|(at, _, item)| (at, item))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// All variables in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Item)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Text of a scalar variable, for `{name}` placeholders.
    #[must_use]
    pub fn scalar(&self, name: &str) -> Option<String> {
        self.get(name).and_then(Item::scalar_text)
    }
}

impl<V: Into<Item>> FromIterator<(String, V)> for Vars {
    fn from_iter<I: IntoIterator<Item = (String, V)>>(pairs: I) -> Self {
        let mut vars = Self::new();
        for (name, value) in pairs {
            vars.set(&name, value);
        }
        vars
    }
}
