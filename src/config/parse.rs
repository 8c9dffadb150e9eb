//! The text of a file to checked values by path.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::check;
use super::fields::FIELDS;
use super::{Problem, Problems};
use crate::score::decode::nearest;
use crate::score::yaml::{self, Kind, Node};

/// A longer file is refused.
pub const MAX_FILE_BYTES: usize = 1 << 20;

/// A key that earlier programs had and that means nothing any more.
const REMOVED: &str = "use_baton";

/// What a file sets, checked value by value. Paths are still as written.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ConfigFile {
    /// The file, as it was named.
    pub name: PathBuf,
    pub(super) values: BTreeMap<Vec<String>, Set>,
}

/// A value that was set, and the line where.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Set {
    pub(super) value: Value,
    pub(super) line: Option<u32>,
}

/// Reads and checks the text of a configuration file; `name` is only used in messages.
///
/// # Errors
/// All problems of the file, in the order of its lines.
pub fn parse(text: &str, name: &Path) -> Result<ConfigFile, Problems> {
    let mut walk = Walk { name, values: BTreeMap::new(), problems: Vec::new() };
    if text.len() > MAX_FILE_BYTES {
        walk.problem(None, &[], format!("the file has {} bytes, the limit is {MAX_FILE_BYTES}", text.len()));
        return Err(Problems(walk.problems));
    }
    match yaml::parse(text) {
        Err(error) => walk.problem(Some(error.line), &[], error.message),
        Ok(root) => match &root.kind {
            Kind::Null => (),
            Kind::Map(_) => walk.section(&root, &[]),
            _ => {
                let message = format!("expected a mapping of settings, found {}", check::shown(&root));
                walk.problem(Some(root.span.line), &[], message);
            }
        },
    }
    walk.required();
    if walk.problems.is_empty() {
        Ok(ConfigFile { name: name.to_owned(), values: walk.values })
    } else {
        walk.problems.sort_by_key(|problem| problem.line);
        Err(Problems(walk.problems))
    }
}

struct Walk<'a> {
    name: &'a Path,
    values: BTreeMap<Vec<String>, Set>,
    problems: Vec<Problem>,
}

impl Walk<'_> {
    fn problem(&mut self, line: Option<u32>, path: &[String], message: String) {
        let file = Some(self.name.to_owned());
        self.problems.push(Problem { file, line, field: path.join("."), message });
    }

    fn section(&mut self, node: &Node, path: &[String]) {
        let Kind::Map(entries) = &node.kind else {
            let message = format!("expected a mapping, found {}", check::shown(node));
            return self.problem(Some(node.span.line), path, message);
        };
        for entry in entries {
            let name = entry.key.to_string();
            let line = Some(entry.key_span.line);
            let mut inner = path.to_vec();
            inner.push(name.clone());
            if let Some(field) = FIELDS.iter().find(|field| field.is(&inner)) {
                match check::value(field, &entry.value) {
                    Ok(value) => _ = self.values.insert(inner, Set { value, line }),
                    Err(message) => self.problem(line, &inner, message),
                }
            } else if FIELDS.iter().any(|field| field.begins_with(&inner)) {
                // A section without content is an empty one.
                if !matches!(entry.value.kind, Kind::Null) {
                    self.section(&entry.value, &inner);
                }
            } else if !(path.is_empty() && name == REMOVED) {
                let siblings = FIELDS.iter().filter(|field| field.begins_with(path));
                let siblings = siblings.filter_map(|field| field.segments().nth(path.len()));
                let near = nearest(&name, siblings.filter(|sibling| *sibling != "*"));
                let hint = near.map(|near| format!(", did you mean '{near}'?")).unwrap_or_default();
                self.problem(line, path, format!("unknown field '{name}'{hint}"));
            }
        }
    }

    /// A server needs a command and a socket.
    fn required(&mut self) {
        let named: Vec<(Vec<String>, Option<u32>)> = self
            .values
            .iter()
            .filter(|(path, _)| path.len() == 4 && path[0] == "mcp_pool")
            .map(|(path, set)| (path[..3].to_vec(), set.line))
            .collect();
        for (index, (server, line)) in named.iter().enumerate() {
            if named[..index].iter().any(|(earlier, _)| earlier == server) {
                continue;
            }
            for needed in ["command", "socket"] {
                let mut path = server.clone();
                path.push(needed.to_owned());
                // One that is there but wrong has been reported already.
                let reported = self.problems.iter().any(|problem| problem.field == path.join("."));
                if !self.values.contains_key(&path) && !reported {
                    self.problem(*line, server, format!("needs a `{needed}`"));
                }
            }
        }
    }
}
