//! From a table of keys to a JSON Schema of draft 2020-12.

use serde_json::{Map, Value, json};

use super::key::{Acts, Default, Group, Key, Kind, MANY, Range};

/// The dialect.
pub(super) const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";
/// Numbers written as text.
const NUMBER_TEXT: &str = r"^\s*([+-]?([0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)([eE][+-]?[0-9]+)?)\s*$";
/// Keys that are numbers from 1.
const NUMBER_KEY: &str = r"^\s*\+?[0-9_]*[1-9][0-9_]*\s*$";
/// Truth values written as text.
const BOOL_TEXT: &str = "^([Yy]|[Yy][Ee][Ss]|[Nn]|[Nn][Oo]|[Oo][Nn]|[Oo][Ff][Ff]|[Tt]|[Tt][Rr][Uu][Ee]|[Ff]|[Ff][Aa][Ll][Ss][Ee]|0|1)$";
/// Greatest number of seconds.
const MAX_SECONDS: f64 = crate::score::decode::MAX_SECONDS;

/// How exact a decoder is about types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// Numbers may be text, truth values have many spellings, an empty section is none.
    Lenient,
    /// Each value has its type.
    Strict,
}

struct Tables<'a> {
    groups: &'a [Group],
    manner: Manner,
}

/// The schema of a whole document.
pub(super) fn schema(title: &str, about: &str, groups: &[Group], manner: Manner) -> Value {
    let tables = Tables { groups, manner };
    let mut root = Map::new();
    root.insert("$schema".to_owned(), json!(DRAFT));
    root.insert("title".to_owned(), json!(title));
    root.insert("description".to_owned(), json!(about));
    root.append(&mut tables.section("", false));
    let mut shared: Vec<&str> = tables.keys().filter_map(|key| target(&key.kind)).collect();
    shared.sort_unstable();
    shared.dedup();
    let shared: Map<String, Value> =
        shared.into_iter().map(|path| (path.to_owned(), Value::Object(tables.shared(path)))).collect();
    if !shared.is_empty() {
        root.insert("$defs".to_owned(), Value::Object(shared));
    }
    Value::Object(root)
}

/// The key whose definition a kind borrows.
fn target(kind: &Kind) -> Option<&'static str> {
    match kind {
        Kind::Like(path) => Some(path),
        Kind::List(inner) | Kind::ByNumber(inner) | Kind::ByName(inner) | Kind::OrNull(inner) => {
            target(inner)
        }
        _ => None,
    }
}

impl Tables<'_> {
    fn keys(&self) -> impl Iterator<Item = &Key> {
        self.groups.iter().flat_map(|group| group.keys)
    }

    /// The mapping whose keys stand below a path.
    fn section(&self, path: &str, open: bool) -> Map<String, Value> {
        let mut properties = Map::new();
        let mut patterns = Map::new();
        let mut required = Vec::new();
        for key in self.keys() {
            let (above, name) = key.split();
            if above != path {
                continue;
            }
            let value = Value::Object(self.key(key));
            match name.strip_suffix('*') {
                Some(prefix) => _ = patterns.insert(format!("^{prefix}"), value),
                None => _ = properties.insert(name.to_owned(), value),
            }
            if key.default == Default::Required {
                required.push(name);
            }
        }
        let mut section = object(json!({"type": "object", "properties": properties}));
        if !patterns.is_empty() {
            section.insert("patternProperties".to_owned(), Value::Object(patterns));
        }
        if !required.is_empty() {
            section.insert("required".to_owned(), json!(required));
        }
        if !open {
            section.insert("additionalProperties".to_owned(), json!(false));
        }
        section
    }

    /// What a borrowed definition holds: the section itself, or an item of a list or mapping of sections.
    fn shared(&self, path: &str) -> Map<String, Value> {
        let key = self.keys().find(|key| key.path == path).expect("a test resolves every reference");
        match key.kind {
            Kind::List(inner) | Kind::ByNumber(inner) | Kind::ByName(inner) => {
                self.kind(inner, &format!("{path}.*"))
            }
            kind => self.kind(&kind, path),
        }
    }

    fn key(&self, key: &Key) -> Map<String, Value> {
        let mut schema = self.kind(&key.kind, key.path);
        if key.nullable {
            let lenient = self.manner == Manner::Lenient;
            let optional = !matches!(key.default, Default::Is(_));
            // A strict decoder takes no null for a list or mapping that is empty by default.
            if lenient || optional {
                allow_null(&mut schema);
            }
        }
        let mut about = key.about.to_owned();
        if !key.rule.is_empty() {
            about.push_str(&format!(" Refused: {}.", key.rule));
        }
        match key.acts {
            Acts::Yes => (),
            Acts::NotYet => about.push_str(" Accepted and checked, without effect in this version."),
            Acts::Never => about.push_str(" Accepted for older documents, has no effect."),
        }
        schema.insert("description".to_owned(), json!(about));
        if let Default::Is(text) = key.default {
            schema.insert(
                "default".to_owned(),
                serde_json::from_str(text).expect("a test reads every default"),
            );
        }
        schema
    }

    fn kind(&self, kind: &Kind, path: &str) -> Map<String, Value> {
        let lenient = self.manner == Manner::Lenient;
        let below = || format!("{path}.*");
        match *kind {
            Kind::Any => Map::new(),
            Kind::Null => object(json!({"type": "null"})),
            Kind::Int(least, most) => {
                let mut schema = object(if lenient {
                    json!({"type": ["integer", "string"], "pattern": NUMBER_TEXT})
                } else {
                    json!({"type": "integer"})
                });
                schema.insert("minimum".to_owned(), json!(least));
                if most != MANY {
                    schema.insert("maximum".to_owned(), json!(most));
                }
                schema
            }
            Kind::Number(range) => self.number(range, None),
            Kind::Seconds(range) => self.number(range, Some(MAX_SECONDS)),
            Kind::Bool if lenient => object(json!({
                "type": ["boolean", "integer", "string"], "minimum": 0, "maximum": 1, "pattern": BOOL_TEXT,
            })),
            Kind::Bool => object(json!({"type": "boolean"})),
            Kind::False => object(json!({"enum": [false, 0, "false", "no", "off"]})),
            Kind::Text | Kind::Path | Kind::Condition => object(json!({"type": "string"})),
            Kind::Regex => object(json!({"type": "string", "format": "regex"})),
            Kind::Filled => object(json!({"type": "string", "minLength": 1})),
            Kind::Label(least, most) => {
                let mut schema = object(if lenient {
                    json!({"type": ["string", "number"]})
                } else {
                    json!({"type": "string"})
                });
                if least > 0 {
                    schema.insert("minLength".to_owned(), json!(least));
                }
                if most > 0 {
                    schema.insert("maxLength".to_owned(), json!(most));
                }
                schema
            }
            Kind::Limited(least, most) => {
                object(json!({"type": "string", "minLength": least, "maxLength": most}))
            }
            Kind::OrNull(inner) => {
                let mut schema = self.kind(inner, path);
                allow_null(&mut schema);
                schema
            }
            Kind::Matching(pattern) => object(json!({"type": "string", "pattern": pattern})),
            Kind::Word(words) => object(json!({"enum": words})),
            Kind::Section => self.section(path, false),
            Kind::Open => self.section(path, true),
            Kind::Free => object(json!({"type": "object"})),
            Kind::List(inner) => {
                object(json!({"type": "array", "items": Value::Object(self.kind(inner, &below()))}))
            }
            Kind::ByNumber(inner) => object(json!({
                "type": "object",
                "patternProperties": {NUMBER_KEY: Value::Object(self.kind(inner, &below()))},
                "additionalProperties": false,
            })),
            Kind::ByName(inner) => object(
                json!({"type": "object", "additionalProperties": Value::Object(self.kind(inner, &below()))}),
            ),
            Kind::Like(path) => object(json!({"$ref": format!("#/$defs/{path}")})),
        }
    }

    fn number(&self, range: Range, ceiling: Option<f64>) -> Map<String, Value> {
        let mut schema = object(if self.manner == Manner::Lenient {
            json!({"type": ["number", "string"], "pattern": NUMBER_TEXT})
        } else {
            json!({"type": "number"})
        });
        let (least, above, most) = match range {
            Range::Least(least) => (Some(least), None, None),
            Range::Above(above) => (None, Some(above), None),
            Range::AboveTo(above, most) => (None, Some(above), Some(most)),
            Range::Within(least, most) => (Some(least), None, Some(most)),
        };
        for (name, limit) in [("minimum", least), ("exclusiveMinimum", above), ("maximum", most.or(ceiling))]
        {
            if let Some(limit) = limit {
                schema.insert(name.to_owned(), number(limit));
            }
        }
        schema
    }
}

/// A number as people write it: without a fraction when it has none.
pub(super) fn number(number: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "limits and defaults are far below 2^53")]
    if number.fract() == 0.0 { json!(number as i64) } else { json!(number) }
}

/// Lets a schema take null too.
pub(super) fn allow_null(schema: &mut Map<String, Value>) {
    if let Some(reference) = schema.remove("$ref") {
        schema.insert("anyOf".to_owned(), json!([{"$ref": reference}, {"type": "null"}]));
        return;
    }
    if let Some(Value::Array(words)) = schema.get_mut("enum") {
        words.push(Value::Null);
        return;
    }
    match schema.get_mut("type") {
        Some(Value::Array(types)) => types.push(json!("null")),
        Some(one) if *one != "null" => *one = json!([one.clone(), "null"]),
        Some(_) | None => (),
    }
}

pub(super) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
