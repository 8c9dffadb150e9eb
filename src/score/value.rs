//! Values as a score writes them: template variables, free-form maps.
//!
//! Maps keep the order of the document, and integer keys stay integers (`{{ table[instance] }}` needs them).
//! Not for typed settings: those are decoded into their own types.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, SerializeMap, Serializer};

/// A YAML value. Integers outside the range of `i64` and dates are kept as text, as written.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value {
    /// Nothing.
    #[default]
    Null,
    /// `true` or `false`; not `yes` and `no`, which are text here.
    Bool(bool),
    /// Integer.
    Int(i64),
    /// Any floating point number.
    Float(f64),
    /// Text.
    Str(String),
    /// List.
    Seq(Vec<Value>),
    /// Mapping.
    Map(Map),
}

/// Key of a map.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// Integer key; not the same as its digits as text.
    Int(i64),
    /// Text; other scalars become the text they are written with.
    Str(String),
}

impl Key {
    /// As it is shown.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Int(number) => Cow::Owned(number.to_string()),
            Self::Str(text) => Cow::Borrowed(text),
        }
    }
}

/// Ordered mapping.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Map(Vec<(Key, Value)>);

impl Map {
    /// An empty map.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// No entries?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Entries in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&Key, &Value)> + ExactSizeIterator {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// Value of a text key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(k, _)| k.as_str() == Some(key)).map(|(_, value)| value)
    }

    /// Value of an integer key.
    #[must_use]
    pub fn get_int(&self, key: i64) -> Option<&Value> {
        self.0.iter().find(|(k, _)| *k == Key::Int(key)).map(|(_, value)| value)
    }

    /// Sets a value; a key that is there keeps its position.
    pub fn insert(&mut self, key: impl Into<Key>, value: impl Into<Value>) {
        let (key, value) = (key.into(), value.into());
        match self.0.iter_mut().find(|(k, _)| *k == key) {
            Some((_, slot)) => *slot = value,
            None => self.0.push((key, value)),
        }
    }

    /// Adds an entry whose key is known to be new.
    pub(crate) fn push(&mut self, key: Key, value: Value) {
        self.0.push((key, value));
    }
}

impl IntoIterator for Map {
    type Item = (Key, Value);
    type IntoIter = std::vec::IntoIter<(Key, Value)>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<K: Into<Key>, V: Into<Value>> FromIterator<(K, V)> for Map {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(iter: I) -> Self {
        let mut map = Self::new();
        for (key, value) in iter {
            map.insert(key, value);
        }
        map
    }
}

impl Key {
    /// The text, unless the key is an integer.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            Self::Int(_) => None,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(number) => number.fmt(f),
            Self::Str(text) => f.write_str(text),
        }
    }
}

impl Value {
    /// The text of a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The number of an integer.
    #[must_use]
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The mapping.
    #[must_use]
    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// Not a list and not a mapping.
    #[must_use]
    pub fn is_scalar(&self) -> bool {
        !matches!(self, Self::Seq(_) | Self::Map(_))
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Self::Str(text.to_owned())
    }
}
impl From<String> for Key {
    fn from(text: String) -> Self {
        Self::Str(text)
    }
}
impl From<i64> for Key {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}
impl From<u32> for Key {
    fn from(number: u32) -> Self {
        Self::Int(i64::from(number))
    }
}
impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}
impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}
impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Int(i64::from(number))
    }
}
impl From<u64> for Value {
    fn from(number: u64) -> Self {
        i64::try_from(number).map_or_else(|_| Self::Str(number.to_string()), Self::Int)
    }
}
impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}
impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Str(text.to_owned())
    }
}
impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Str(text)
    }
}
impl From<Map> for Value {
    fn from(map: Map) -> Self {
        Self::Map(map)
    }
}
impl<T: Into<Self>> From<Vec<T>> for Value {
    fn from(list: Vec<T>) -> Self {
        Self::Seq(list.into_iter().map(Into::into).collect())
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(number) => serializer.serialize_i64(*number),
            Self::Float(number) => serializer.serialize_f64(*number),
            Self::Str(text) => serializer.serialize_str(text),
            Self::Seq(list) => serializer.collect_seq(list),
            Self::Map(map) => map.serialize(serializer),
        }
    }
}

impl Serialize for Map {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            match key {
                Key::Int(number) => out.serialize_entry(number, value)?,
                Key::Str(text) => out.serialize_entry(text, value)?,
            }
        }
        out.end()
    }
}

/// From JSON: digit-only keys become integers again, because JSON cannot keep them.
impl From<serde_json::Value> for Value {
    fn from(json: serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(value) => Self::Bool(value),
            serde_json::Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(number), _) => Self::Int(number),
                (None, Some(float)) if !number.is_u64() => Self::Float(float),
                _ => Self::Str(number.to_string()),
            },
            serde_json::Value::String(text) => Self::Str(text),
            serde_json::Value::Array(list) => list.into_iter().map(Self::from).collect::<Vec<_>>().into(),
            serde_json::Value::Object(object) => Self::Map(Map(object.into_iter().map(nested).collect())),
        }
    }
}

fn nested((name, value): (String, serde_json::Value)) -> (Key, Value) {
    let key = match name.parse::<i64>() {
        Ok(number) if number.to_string() == name => Key::Int(number),
        _ => Key::Str(name),
    };
    (key, value.into())
}

/// The names of the outermost map stay text.
impl From<serde_json::Map<String, serde_json::Value>> for Map {
    fn from(object: serde_json::Map<String, serde_json::Value>) -> Self {
        Self(object.into_iter().map(|(name, value)| (Key::Str(name), value.into())).collect())
    }
}

impl<'de> Deserialize<'de> for Map {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_json::Map::deserialize(deserializer).map(Into::into)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_json::Value::deserialize(deserializer).map(Into::into)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn json_and_back_keeps_order_and_integer_keys() {
        let table: Map =
            [(Key::Int(2), Value::from("b")), (Key::Int(1), Value::from(1.5))].into_iter().collect();
        let map: Map =
            [(Key::from("z"), Value::from(table)), ("1".into(), Value::Null)].into_iter().collect();
        let json = serde_json::to_string(&map).unwrap();
        assert_eq!(json, r#"{"z":{"2":"b","1":1.5},"1":null}"#);
        let back: Map = serde_json::from_str(&json).unwrap();
        assert_eq!(back, map);
    }
}
