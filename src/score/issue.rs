//! A problem of a document, with the place where it is.
//!
//! Not for failures at run time: an issue is always about a text that a person wrote and can correct.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The document is refused.
    Error,
    /// Probably not what the author wants.
    Warning,
    /// Good to know.
    Info,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        })
    }
}

/// One problem. [`fmt::Display`] gives `<path>: <message>`, or the message alone when it is about the whole document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issue {
    /// `yaml` (the text is not YAML), `schema` (a key or value is not allowed), `fleet`, or the number of a
    /// static check such as `V213`.
    pub code: String,
    /// How bad.
    pub severity: Severity,
    /// Dotted path with list indexes, such as `validations.0.type`; "" for the whole document.
    pub path: String,
    /// What is wrong, one line.
    pub message: String,
    /// Line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Column in characters, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// What to do; may have several lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The text that is meant when it stands in another file, one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// The hint is a command that mends it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub auto_fixable: bool,
    /// Details for programs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, serde_json::Value>,
}

impl Issue {
    /// An error that has no place yet.
    #[must_use]
    pub fn error(code: &str, path: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            severity: Severity::Error,
            path: path.to_owned(),
            message: message.into(),
            line: None,
            column: None,
            hint: None,
            context: None,
            auto_fixable: false,
            metadata: BTreeMap::new(),
        }
    }

    /// A warning that has no place yet.
    #[must_use]
    pub fn warning(code: &str, path: &str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, path, message) }
    }

    /// A remark that has no place yet.
    #[must_use]
    pub fn info(code: &str, path: &str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Info, ..Self::error(code, path, message) }
    }

    /// The same issue with a detail for programs.
    #[must_use]
    pub fn detail(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.metadata.insert(name.to_owned(), value.into());
        self
    }

    /// Whether the structure of the document is wrong, so that it cannot be checked any further.
    #[must_use]
    pub fn is_structural(&self) -> bool {
        self.is_error() && (self.code == "yaml" || self.code == "schema")
    }

    /// The same issue at a place: line and column from 1.
    #[must_use]
    pub fn at(mut self, place: Option<(u32, u32)>) -> Self {
        if let Some((line, column)) = place {
            self.line = Some(line);
            self.column = Some(column);
        }
        self
    }

    /// The same issue with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// As JSON, with the names of `validate --json`; what is not known is left out.
    #[must_use]
    pub fn document(&self) -> serde_json::Map<String, serde_json::Value> {
        use serde_json::{Value, json};
        let mut document = serde_json::Map::new();
        let mut put = |key: &str, value: Value| {
            if !value.is_null() {
                document.insert(key.to_owned(), value);
            }
        };
        put("check_id", json!(self.code));
        put("severity", json!(self.severity));
        put("message", json!(self.message));
        put("path", Some(self.path.as_str()).filter(|path| !path.is_empty()).into());
        put("line", self.line.into());
        put("column", self.column.into());
        put("context", self.context.clone().into());
        put("suggestion", self.hint.clone().into());
        put("auto_fixable", self.auto_fixable.then_some(true).into());
        put("metadata", if self.metadata.is_empty() { Value::Null } else { json!(self.metadata) });
        document
    }

    /// Whether the document is refused because of it.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The line shown by programs that refuse a document: `Schema validation failed: <path>: <message>` for
    /// errors of structure, the plain issue otherwise.
    #[must_use]
    pub fn headline(&self) -> String {
        if self.code == "schema" && self.is_error() {
            format!("Schema validation failed: {self}")
        } else {
            self.to_string()
        }
    }
}

impl fmt::Display for Issue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.path, self.message)
        }
    }
}
