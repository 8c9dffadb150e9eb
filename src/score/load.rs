//! Text to score: the steps of loading. What the keys of the top level mean is in [`super::top`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::decode::{At, Cx, Typos};
use super::document::Document;
use super::hints;
use super::issue::Issue;
use super::paths::resolve;
use super::syntax;
use super::top;
use super::yaml::{self, Kind, Node};
use super::*;

/// Everything that a score is made of, read by whoever asks for it. Stored with a job, so that it can be loaded again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The score file, absolute; `None` for a text that came without one.
    pub path: Option<PathBuf>,
    /// YAML.
    pub text: String,
    /// Content of the files that [`referenced_files`] named, by absolute path.
    #[serde(default)]
    pub files: BTreeMap<PathBuf, String>,
    /// Directory that relative paths stand in: that of the score file, or where the caller works.
    pub base: PathBuf,
}

/// Result of loading.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// `None` exactly when there is an error among the issues.
    pub score: Option<Score>,
    /// All problems, in the order of the document.
    pub issues: Vec<Issue>,
}

/// Common misspellings, and what is meant.
const TYPOS: Typos = &[
    ("retries", "retry"),
    ("paralel", "parallel"),
    ("parralel", "parallel"),
    ("parrallel", "parallel"),
    ("backend_type", "instrument (or backend.type)"),
    ("max_retries", "retry.max_retries"),
    ("timeout", "instrument_config.timeout_seconds"),
    ("preamble", "prompt.template (the preamble is automatic)"),
    ("task", "prompt.template"),
    ("stager_delay_ms", "parallel.stagger_delay_ms"),
    ("stagger_delay", "parallel.stagger_delay_ms"),
    ("insturment", "instrument"),
    ("instrumnet", "instrument"),
    ("insturment_config", "instrument_config"),
    ("instrumnet_config", "instrument_config"),
    ("validation", "validations"),
    ("notification", "notifications"),
    ("sheets", "sheet"),
    ("prompts", "prompt"),
];

/// Files that loading needs besides the text itself: the template file. Absolute paths. Never fails: what cannot be
/// read is left to [`load`], which says so.
#[must_use]
pub fn referenced_files(text: &str, base: &Path) -> Vec<PathBuf> {
    // Reading the document twice is worth avoiding: most scores name no other file.
    if !text.contains("template_file") {
        return Vec::new();
    }
    let Ok(root) = yaml::parse(text) else { return Vec::new() };
    let cx = Cx::new("score field", TYPOS);
    let Some(fields) = At::root(&cx, &root).fields() else { return Vec::new() };
    let Some(prompt) = fields.peek("prompt").and_then(|at| at.fields()) else { return Vec::new() };
    let file = prompt.peek("template_file").and_then(|at| at.filled_text());
    file.map(|text| resolve(base, text)).into_iter().collect()
}

/// Loads a score. Does not expand it: that is [`crate::plan::expand`], which finds the remaining problems.
#[must_use]
pub fn load(source: &Source) -> Loaded {
    let Inspected { score, issues, .. } = inspect(source);
    let refused = issues.iter().any(Issue::is_error);
    Loaded { score: score.filter(|_| !refused), issues }
}

/// A text looked at more closely than for running it.
#[derive(Debug)]
pub(crate) struct Inspected {
    /// Also there when single values are wrong (a pattern, a condition), so that everything else can be checked;
    /// `None` when the structure is.
    pub(crate) score: Option<Score>,
    /// All problems, in the order of the document.
    pub(crate) issues: Vec<Issue>,
    /// `None` when the text is not YAML.
    pub(crate) document: Option<Document>,
}

/// As [`load`], with the document for those who want to point at its places.
pub(crate) fn inspect(source: &Source) -> Inspected {
    let root = match yaml::parse(&source.text) {
        Ok(root) => root,
        Err(error) => {
            let advice = syntax::advice(&error, &source.text);
            let moved = advice.line != error.line;
            let noticed = if moved { format!(" (noticed at line {})", error.line) } else { String::new() };
            let (line, column) = (advice.line, advice.column);
            let message =
                format!("YAML syntax error: {} at line {line} column {column}{noticed}", error.message);
            let issue = Issue::error("yaml", "", message).at(Some((advice.line, advice.column)));
            let issues = vec![issue.hint(advice.hint)];
            return Inspected { score: None, issues, document: None };
        }
    };
    let (score, mut issues) = read(&root, source);
    hints::complete(&mut issues);
    let refused = issues.iter().any(Issue::is_structural) || issues.iter().any(|issue| issue.code == "fleet");
    Inspected { score: score.filter(|_| !refused), issues, document: Some(Document::new(root)) }
}

fn read(root: &Node, source: &Source) -> (Option<Score>, Vec<Issue>) {
    let Kind::Map(entries) = &root.kind else {
        let got = match root.kind {
            Kind::Null => "empty file",
            _ => root.type_name(),
        };
        let message = format!("Score must be a YAML mapping (key-value pairs), got: {got}");
        let place = Some((root.span.line, root.span.column));
        return (None, vec![Issue::error("yaml", "", message).at(place)]);
    };
    let is_fleet = |entry: &&yaml::Entry| {
        entry.key.as_str() == Some("type") && matches!(&entry.value.kind, Kind::Str(text) if text == "fleet")
    };
    if let Some(entry) = entries.iter().find(is_fleet) {
        let message = "this is a fleet file (type: fleet), not a score";
        let place = Some((entry.key_span.line, entry.key_span.column));
        let issue = Issue::error("fleet", "type", message).at(place);
        return (None, vec![issue.hint("submit the scores that it lists")]);
    }
    let cx = Cx::new("score field", TYPOS);
    let score = top::decode(&cx, root, source);
    (score, cx.into_issues())
}
