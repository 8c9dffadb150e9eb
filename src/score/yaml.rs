//! YAML text to a tree of nodes that know their place.
//!
//! One document; anchors, aliases and merge keys are resolved here; duplicate keys are errors.
//! What a plain scalar means is decided here too (YAML 1.2 with `1_000`; `yes`, `010`, `1:30`, `1e3` and dates
//! stay text). What a key means is not: that is for [`super::decode`].
//! Whatever the text, reading ends with a tree or an error, in bounded time, memory and stack: the tree is built
//! without recursion, at most [`MAX_DEPTH`] deep, with at most [`MAX_NODES`] nodes.

use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Parser, ScalarStyle, Span as Area, StrInput, Tag};

use super::value::{Key, Map, Value};

/// Longest text, bytes.
pub(crate) const MAX_BYTES: usize = 8 * 1024 * 1024;
/// Most nodes, those made by aliases included.
pub(crate) const MAX_NODES: usize = 100_000;
/// Deepest nesting of lists and mappings.
pub(crate) const MAX_DEPTH: usize = 100;
/// Most bytes of text in all nodes together: what aliases can multiply.
const MAX_TEXT: usize = 4 * MAX_BYTES;

/// A place: line and column from 1, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// A value at its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) kind: Kind,
}

/// What stands there.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    Seq(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: Key,
    pub(crate) key_span: Span,
    pub(crate) value: Node,
}

/// Why a text is not one YAML document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} at line {line} column {column}")]
pub(crate) struct YamlError {
    pub(crate) message: String,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// Reads one document. An empty text is a null.
pub(crate) fn parse(text: &str) -> Result<Node, YamlError> {
    if text.len() > MAX_BYTES {
        let message = format!("the text has {} bytes, the limit is {MAX_BYTES}", text.len());
        return Err(YamlError { message, line: 1, column: 1 });
    }
    let mut builder = Builder::default();
    let mut parser = Parser::new_from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
    while let Some(event) = next(&mut parser)? {
        builder.take(event)?;
    }
    Ok(builder.root.unwrap_or(Node { span: Span { line: 1, column: 1 }, kind: Kind::Null }))
}

fn next<'a>(parser: &mut Parser<'a, StrInput<'a>>) -> Result<Option<(Event<'a>, Area)>, YamlError> {
    match parser.next_event() {
        None | Some(Ok((Event::StreamEnd, _))) => Ok(None),
        Some(Ok(event)) => Ok(Some(event)),
        Some(Err(error)) => {
            let span = place(error.marker().line(), error.marker().col());
            Err(span.error(error.info().to_owned()))
        }
    }
}

fn place(line: usize, column: usize) -> Span {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Span { line: number(line).max(1), column: number(column).saturating_add(1) }
}

impl Span {
    fn error(self, message: impl Into<String>) -> YamlError {
        YamlError { message: message.into(), line: self.line, column: self.column }
    }
}

/// A list or mapping whose end has not come yet.
struct Open {
    span: Span,
    anchor: usize,
    content: Content,
}

enum Content {
    Seq(Vec<Node>),
    Map { entries: Vec<Entry>, keys: HashSet<Key>, key: Option<(Key, Span, bool)>, merged: Vec<Node> },
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    root: Option<Node>,
    nodes: usize,
    text: usize,
}

impl Builder {
    fn take(&mut self, (event, area): (Event<'_>, Area)) -> Result<(), YamlError> {
        let span = place(area.start.line(), area.start.col());
        match event {
            Event::DocumentStart(_) if self.root.is_some() => {
                Err(span.error("a second document begins here; one file holds one document"))
            }
            Event::Scalar(text, style, anchor, tag) => {
                let merge = style == ScalarStyle::Plain && tag.is_none() && text == "<<";
                let kind = scalar(&text, style, tag.as_deref()).map_err(|message| span.error(message))?;
                self.count(span, 1, text.len())?;
                self.add(Node { span, kind }, anchor, merge)
            }
            Event::Alias(id) => {
                let Some(node) = self.anchors.get(&id) else {
                    return Err(span.error("this alias stands inside the value that it refers to"));
                };
                let (nodes, text) = node.size();
                self.count(span, nodes, text)?;
                let node = Node { span, ..self.anchors[&id].clone() };
                if node.depth() + self.open.len() > MAX_DEPTH {
                    return Err(span.error(format!("nested more than {MAX_DEPTH} levels deep")));
                }
                self.add(node, 0, false)
            }
            Event::SequenceStart(anchor, tag) => {
                check_tag(tag.as_deref(), "seq").map_err(|message| span.error(message))?;
                self.begin(span, anchor, Content::Seq(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                check_tag(tag.as_deref(), "map").map_err(|message| span.error(message))?;
                let content =
                    Content::Map { entries: Vec::new(), keys: HashSet::new(), key: None, merged: Vec::new() };
                self.begin(span, anchor, content)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn count(&mut self, span: Span, nodes: usize, text: usize) -> Result<(), YamlError> {
        self.nodes += nodes;
        self.text += text;
        if self.nodes > MAX_NODES {
            return Err(
                span.error(format!("more than {MAX_NODES} values, those repeated by aliases included"))
            );
        }
        if self.text > MAX_TEXT {
            return Err(span.error(format!("aliases make more than {MAX_TEXT} bytes of text")));
        }
        Ok(())
    }

    fn begin(&mut self, span: Span, anchor: usize, content: Content) -> Result<(), YamlError> {
        self.count(span, 1, 0)?;
        if self.open.len() >= MAX_DEPTH {
            return Err(span.error(format!("nested more than {MAX_DEPTH} levels deep")));
        }
        self.open.push(Open { span, anchor, content });
        Ok(())
    }

    fn end(&mut self) -> Result<(), YamlError> {
        let Some(Open { span, anchor, content }) = self.open.pop() else { return Ok(()) };
        let kind = match content {
            Content::Seq(list) => Kind::Seq(list),
            Content::Map { entries, keys, merged, .. } => Kind::Map(self.merge(entries, keys, merged)?),
        };
        self.add(Node { span, kind }, anchor, false)
    }

    /// What merge keys bring comes first; a key of the mapping itself wins over it, an earlier source over a later.
    fn merge(
        &mut self,
        own: Vec<Entry>,
        mut seen: HashSet<Key>,
        sources: Vec<Node>,
    ) -> Result<Vec<Entry>, YamlError> {
        if sources.is_empty() {
            return Ok(own);
        }
        let mut all = Vec::new();
        for source in sources {
            let span = source.span;
            let maps = match source.kind {
                Kind::Map(_) => vec![source],
                Kind::Seq(list) => list,
                _ => return Err(span.error("a merge key `<<` needs a mapping or a list of mappings")),
            };
            for map in maps {
                let Kind::Map(entries) = map.kind else {
                    return Err(map.span.error("a merge key `<<` needs a mapping or a list of mappings"));
                };
                all.extend(entries.into_iter().filter(|entry| seen.insert(entry.key.clone())));
            }
        }
        all.extend(own);
        Ok(all)
    }

    /// Puts a finished node where it belongs.
    fn add(&mut self, node: Node, anchor: usize, merge: bool) -> Result<(), YamlError> {
        if anchor != 0 {
            // The copy kept for aliases counts too: nested anchors would multiply the memory otherwise.
            let (nodes, text) = node.size();
            self.count(node.span, nodes, text)?;
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(Content::Seq(list)) => list.push(node),
            Some(Content::Map { entries, keys, key, merged }) => match key.take() {
                Some((_, _, true)) => merged.push(node),
                Some((key, key_span, false)) => entries.push(Entry { key, key_span, value: node }),
                None if merge => *key = Some((Key::from("<<"), node.span, true)),
                None => {
                    let name = node.key().ok_or_else(|| {
                        node.span.error("a key must be text or a number, not a list or mapping")
                    })?;
                    if !keys.insert(name.clone()) {
                        let Span { line, .. } = node.span;
                        return Err(node.span.error(format!("duplicate key '{name}' (line {line})")));
                    }
                    *key = Some((name, node.span, false));
                }
            },
        }
        Ok(())
    }
}

impl Node {
    fn key(&self) -> Option<Key> {
        Some(match &self.kind {
            Kind::Null => Key::from("null"),
            Kind::Bool(value) => Key::Str(value.to_string()),
            Kind::Int(number) => Key::Int(*number),
            Kind::Float(number) => Key::Str(number.to_string()),
            Kind::Str(text) => Key::Str(text.clone()),
            Kind::Seq(_) | Kind::Map(_) => return None,
        })
    }

    /// Nodes and bytes of text in it. Recursion is bounded by [`MAX_DEPTH`].
    fn size(&self) -> (usize, usize) {
        let sum = |a: (usize, usize), b: (usize, usize)| (a.0 + b.0, a.1 + b.1);
        match &self.kind {
            Kind::Str(text) => (1, text.len()),
            Kind::Seq(list) => list.iter().map(Self::size).fold((1, 0), sum),
            Kind::Map(entries) => entries
                .iter()
                .map(|entry| sum(entry.value.size(), (1, entry.key.as_str().map_or(0, str::len))))
                .fold((1, 0), sum),
            Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) => (1, 0),
        }
    }

    fn depth(&self) -> usize {
        match &self.kind {
            Kind::Seq(list) => 1 + list.iter().map(Self::depth).max().unwrap_or(0),
            Kind::Map(entries) => 1 + entries.iter().map(|entry| entry.value.depth()).max().unwrap_or(0),
            Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Str(_) => 0,
        }
    }

    /// The node without its places.
    pub(crate) fn to_value(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(value) => Value::Bool(*value),
            Kind::Int(number) => Value::Int(*number),
            Kind::Float(number) => Value::Float(*number),
            Kind::Str(text) => Value::Str(text.clone()),
            Kind::Seq(list) => Value::Seq(list.iter().map(Self::to_value).collect()),
            Kind::Map(entries) => {
                let mut map = Map::new();
                for entry in entries {
                    map.push(entry.key.clone(), entry.value.to_value());
                }
                Value::Map(map)
            }
        }
    }

    /// What the node is, for messages.
    pub(crate) fn type_name(&self) -> &'static str {
        match self.kind {
            Kind::Null => "null",
            Kind::Bool(_) => "bool",
            Kind::Int(_) => "int",
            Kind::Float(_) => "float",
            Kind::Str(_) => "str",
            Kind::Seq(_) => "list",
            Kind::Map(_) => "mapping",
        }
    }
}

fn check_tag(tag: Option<&Tag>, expected: &str) -> Result<(), String> {
    match tag {
        None => Ok(()),
        Some(tag) if tag.is_yaml_core_schema() && tag.suffix == expected => Ok(()),
        Some(tag) => Err(format!("unknown tag `{tag}`")),
    }
}

/// What a scalar means.
fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Kind, String> {
    let Some(tag) = tag else {
        return Ok(if style == ScalarStyle::Plain { plain(text) } else { Kind::Str(text.to_owned()) });
    };
    if tag.handle.is_empty() && tag.suffix == "!" {
        return Ok(Kind::Str(text.to_owned()));
    }
    if !tag.is_yaml_core_schema() {
        return Err(format!("unknown tag `{tag}`"));
    }
    let wrong = || format!("`{}` is not a {}", text.chars().take(40).collect::<String>(), tag.suffix);
    match (tag.suffix.as_str(), plain(text)) {
        ("str", _) => Ok(Kind::Str(text.to_owned())),
        ("int", kind @ Kind::Int(_))
        | ("float", kind @ Kind::Float(_))
        | ("bool", kind @ Kind::Bool(_))
        | ("null", kind @ Kind::Null) => Ok(kind),
        ("float", Kind::Int(number)) => number.to_string().parse().map(Kind::Float).map_err(|_| wrong()),
        ("int" | "float" | "bool" | "null", _) => Err(wrong()),
        _ => Err(format!("unknown tag `{tag}`")),
    }
}

/// A scalar without quotes: null, boolean, number, else text.
fn plain(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Kind::Null,
        "true" | "True" | "TRUE" => return Kind::Bool(true),
        "false" | "False" | "FALSE" => return Kind::Bool(false),
        _ => {}
    }
    let number = looks_like_number(text).then(|| text.replace('_', "").parse::<serde_yaml::Number>());
    match number {
        Some(Ok(number)) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => Kind::Int(number),
            // An integer that does not fit stays as it is written: a float would change its digits.
            (None, Some(float)) if number.is_f64() && has_dot(text) => Kind::Float(float),
            _ => Kind::Str(text.to_owned()),
        },
        _ => Kind::Str(text.to_owned()),
    }
}

fn has_dot(text: &str) -> bool {
    text.contains('.')
}

/// Sorts out what is text by our rules but a number to a lenient reader: a leading zero, no digit at all,
/// an exponent without a point (often the short name of a commit).
fn looks_like_number(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let Some(first) = digits.chars().next() else { return false };
    if digits.starts_with("0x") || digits.starts_with("0o") {
        return digits.len() > 2 && digits[2..].chars().all(|c| c.is_ascii_hexdigit());
    }
    if digits.len() == 4 && first == '.' && digits[1..].chars().all(|c| c.is_ascii_alphabetic()) {
        return true;
    }
    let whole = digits.bytes().take_while(|b| b.is_ascii_digit() || *b == b'_').count();
    match digits.as_bytes().get(whole) {
        None => (first != '0' || digits == "0") && first.is_ascii_digit(),
        Some(b'.') => {
            let rest = &digits[whole + 1..];
            first != '_'
                && (whole > 0 || rest.starts_with(|c: char| c.is_ascii_digit()))
                && rest.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'_' | b'e' | b'E' | b'+' | b'-'))
        }
        Some(_) => false,
    }
}

#[cfg(test)]
#[path = "yaml_tests.rs"]
mod tests;
