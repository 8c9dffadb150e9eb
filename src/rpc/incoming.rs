//! One request line, parsed once: strict JSON, then the shape of a request. Methods and parameters come later.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::{MAX_BATCH, RpcError};

/// What one line asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Incoming {
    /// One request, or one error to answer with.
    Single(Entry),
    /// A batch of 1 to [`MAX_BATCH`] entries, to be executed in order and answered with one array.
    Batch(Vec<Entry>),
}

/// A request, or what is wrong with it.
pub type Entry = Result<Call, Rejection>;

/// A well-formed request. Whether the method exists is not checked yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// What the reply repeats; `None` is a notification, which is never answered, not even with an error.
    pub id: Option<Id>,
    /// Name of the method, as sent.
    pub method: String,
    /// Parameters.
    pub params: Params,
}

/// Parameters of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Params {
    /// By name; empty when the request has none or `null`.
    Named(Map<String, Value>),
    /// An array, which no method takes.
    Positional,
}

/// A line or batch entry that is not a request. It is always answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Rejection {
    /// The id of the request where it could be read, else `None` for `null`.
    pub id: Option<Id>,
    /// Why.
    pub error: RpcError,
}

/// Id of a request: given back exactly as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Id {
    /// An integer of any length, digit for digit.
    Integer(Number),
    /// A string.
    Text(String),
}

impl Id {
    /// An id of our own.
    #[must_use]
    pub fn number(number: u64) -> Self {
        Self::Integer(number.into())
    }
}

impl Incoming {
    /// Parses one line without its LF.
    #[must_use]
    pub fn parse(line: &[u8]) -> Self {
        let Ok(text) = std::str::from_utf8(line) else { return Self::rejected(RpcError::Parse) };
        let text = text.trim_matches([' ', '\t', '\r', '\n']);
        match text.as_bytes().first() {
            // The usual case does not build a tree for the request itself.
            Some(b'{') => match serde_json::from_str::<Envelope>(text) {
                Ok(envelope) => Self::Single(envelope.check()),
                Err(_) => Self::rejected(RpcError::Parse),
            },
            _ => match serde_json::from_str::<Value>(text) {
                Ok(Value::Array(entries)) => Self::batch(entries),
                Ok(_) => Self::rejected(RpcError::invalid("a request must be an object")),
                Err(_) => Self::rejected(RpcError::Parse),
            },
        }
    }

    fn rejected(error: RpcError) -> Self {
        Self::Single(Err(Rejection { id: None, error }))
    }

    fn batch(entries: Vec<Value>) -> Self {
        if entries.is_empty() {
            return Self::rejected(RpcError::invalid("an empty batch"));
        }
        if entries.len() > MAX_BATCH {
            let detail = format!("a batch of {} requests, at most {MAX_BATCH} are allowed", entries.len());
            return Self::rejected(RpcError::invalid(detail));
        }
        let check = |entry| match entry {
            Value::Object(members) => Envelope::from(members).check(),
            _ => Err(Rejection { id: None, error: RpcError::invalid("a request must be an object") }),
        };
        Self::Batch(entries.into_iter().map(check).collect())
    }
}

/// The members of a request object that mean something; of equal ones the last.
#[derive(Default)]
struct Envelope {
    jsonrpc: Option<Value>,
    method: Option<Value>,
    params: Option<Value>,
    id: Option<Value>,
}

impl Envelope {
    fn member(&mut self, name: &str) -> Option<&mut Option<Value>> {
        match name {
            "jsonrpc" => Some(&mut self.jsonrpc),
            "method" => Some(&mut self.method),
            "params" => Some(&mut self.params),
            "id" => Some(&mut self.id),
            _ => None,
        }
    }

    /// The shape of a request: first whether there is a method, then the types of all members.
    fn check(self) -> Entry {
        let (id, id_usable) = match self.id {
            None | Some(Value::Null) => (None, true),
            Some(Value::String(text)) => (Some(Id::Text(text)), true),
            Some(Value::Number(number)) if is_integer(&number) => (Some(Id::Integer(number)), true),
            Some(_) => (None, false),
        };
        let reject = |id, detail: &str| Err(Rejection { id, error: RpcError::invalid(detail) });
        let Some(method) = self.method else { return reject(id, "missing 'method' field") };
        if !id_usable {
            return reject(None, "'id' must be a string or an integer");
        }
        if self.jsonrpc.is_some_and(|version| version != "2.0") {
            return reject(id, "'jsonrpc' must be \"2.0\"");
        }
        let Value::String(method) = method else { return reject(id, "'method' must be a string") };
        let params = match self.params {
            None | Some(Value::Null) => Params::Named(Map::new()),
            Some(Value::Object(members)) => Params::Named(members),
            Some(Value::Array(_)) => Params::Positional,
            Some(_) => return reject(id, "'params' must be an object"),
        };
        Ok(Call { id, method, params })
    }
}

impl From<Map<String, Value>> for Envelope {
    fn from(members: Map<String, Value>) -> Self {
        let mut envelope = Self::default();
        for (name, value) in members {
            if let Some(slot) = envelope.member(&name) {
                *slot = Some(value);
            }
        }
        envelope
    }
}

/// Numbers keep their text here, so an integer is told from `1.0` and `1e0` by how it is written.
fn is_integer(number: &Number) -> bool {
    number.as_str().bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
}

impl<'de> Deserialize<'de> for Envelope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EnvelopeVisitor)
    }
}

struct EnvelopeVisitor;

impl<'de> Visitor<'de> for EnvelopeVisitor {
    type Value = Envelope;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a request object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Envelope, A::Error> {
        let mut envelope = Envelope::default();
        while let Some(name) = map.next_key::<Name>()? {
            // Values of unknown members are parsed too: strictness does not depend on a name.
            let value: Value = map.next_value()?;
            if let Some(slot) = name.0.and_then(|name| envelope.member(name)) {
                *slot = Some(value);
            }
        }
        Ok(envelope)
    }
}

/// Name of a member, compared without keeping it; `None` for a name that means nothing.
struct Name(Option<&'static str>);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameVisitor)
    }
}

struct NameVisitor;

impl Visitor<'_> for NameVisitor {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Name, E> {
        Ok(Name(["jsonrpc", "method", "params", "id"].into_iter().find(|name| *name == text)))
    }
}
