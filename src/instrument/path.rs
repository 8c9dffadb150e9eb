//! Dot paths into JSON: `a.b`, `a[0]`, `a.*` (all values, in order). Keys that contain dots cannot be reached.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Steps of a path that one file may give.
const MAX_STEPS: usize = 64;

/// A parsed path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DotPath {
    text: String,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
    All,
}

impl DotPath {
    /// Reads a path.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("path `{text}`: {why}; write it as `a.b`, `a[0]` or `a.*.b`");
        let mut steps = Vec::new();
        for part in text.split('.') {
            let (key, mut indexes) = part.split_at(part.find('[').unwrap_or(part.len()));
            match key {
                "" => return Err(wrong("a step is empty")),
                "*" => steps.push(Step::All),
                key => steps.push(Step::Key(key.to_owned())),
            }
            while let Some(rest) = indexes.strip_prefix('[') {
                let (number, after) = rest.split_once(']').ok_or_else(|| wrong("`[` without `]`"))?;
                steps.push(Step::Index(number.parse().map_err(|_| wrong("an index must be a number"))?));
                indexes = after;
            }
            if !indexes.is_empty() {
                return Err(wrong("something follows `]`"));
            }
        }
        if steps.len() > MAX_STEPS {
            return Err(wrong("too many steps"));
        }
        Ok(Self { text: text.to_owned(), steps })
    }

    /// All values that the path reaches, `null` left out, in order.
    #[must_use]
    pub fn all<'v>(&self, root: &'v Value) -> Vec<&'v Value> {
        let mut found = vec![root];
        for step in &self.steps {
            let mut next = Vec::new();
            for value in found {
                match (step, value) {
                    (Step::Key(key), Value::Object(map)) => next.extend(map.get(key)),
                    (Step::Index(index), Value::Array(items)) => next.extend(items.get(*index)),
                    (Step::All, Value::Object(map)) => next.extend(map.values()),
                    (Step::All, Value::Array(items)) => next.extend(items),
                    (Step::Key(_) | Step::Index(_) | Step::All, _) => (),
                }
            }
            found = next;
        }
        found.retain(|value| !value.is_null());
        found
    }

    /// The first of them.
    #[must_use]
    pub fn first<'v>(&self, root: &'v Value) -> Option<&'v Value> {
        self.all(root).first().copied()
    }
}

impl TryFrom<String> for DotPath {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<DotPath> for String {
    fn from(path: DotPath) -> Self {
        path.text
    }
}

impl PartialOrd for DotPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for DotPath {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn paths_reach_values() {
        let root = json!({"a": {"b": [1, null, {"c": 2}], "x": {"n": 3}, "y": {"n": 4}}, "z": null});
        let find = |path: &str| {
            DotPath::parse(path).unwrap().all(&root).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(find("a.b[0]"), ["1"]);
        assert_eq!(find("a.b[2].c"), ["2"]);
        assert_eq!(find("a.*.n"), ["3", "4"]);
        assert_eq!(find("a.b.*"), ["1", r#"{"c":2}"#]);
        assert!(find("z").is_empty() && find("a.q").is_empty() && find("a.b[9]").is_empty());
        for wrong in ["", "a..b", "a[", "a[x]", "a[0]b", "[0]"] {
            assert!(DotPath::parse(wrong).is_err(), "{wrong}");
        }
    }
}
