//! `prompt`: what the instrument is told.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::decode::{At, Fields};
use super::issue::Issue;
use super::paths::resolve;
use super::value::Map;

/// `prompt` of a score.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prompt {
    /// Template text, inline or from `template_file`; `None` = the default prompt.
    pub template: Option<String>,
    /// Where the template was read from, absolute.
    pub template_file: Option<PathBuf>,
    /// Static template variables; the names are text.
    pub variables: Map,
    /// What depends on the work, for `{{ stakes }}`.
    pub stakes: Option<String>,
    /// How to think, for `{{ thinking_method }}`.
    pub thinking_method: Option<String>,
    /// Directives for all sheets.
    pub prompt_extensions: Vec<Extension>,
}

/// A directive: its text, or the file that holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Extension {
    /// Text as written.
    Text(String),
    /// Absolute path of a file that is read when the sheet runs.
    File(PathBuf),
}

impl Extension {
    pub(super) fn decode(at: &At<'_>, dir: &Path) -> Option<Self> {
        at.text().map(|text| Self::new(text, dir))
    }

    /// One line that ends in `.md` or `.txt` is a path.
    pub(super) fn new(text: &str, dir: &Path) -> Self {
        let line = text.trim();
        let file = !line.contains('\n') && (line.ends_with(".md") || line.ends_with(".txt"));
        if file { Self::File(resolve(dir, line)) } else { Self::Text(text.to_owned()) }
    }
}

impl Prompt {
    /// `file` gives the content of an absolute path.
    pub(super) fn decode<'s>(
        f: &mut Fields<'_>,
        dir: &Path,
        file: impl Fn(&Path) -> Option<&'s str>,
    ) -> Self {
        let inline = f.opt_text("template");
        if let Some(at) =
            f.peek("template").filter(|_| inline.as_deref().is_some_and(|text| text.trim().is_empty()))
        {
            at.warning("schema", "the template is empty: the sheets are told nothing");
        }
        let template_file = f.nullable("template_file").and_then(|at| {
            let path = resolve(dir, at.filled_text()?);
            if inline.is_some() {
                f_both(&at);
                return None;
            }
            match file(&path) {
                Some(text) => Some((path, text.to_owned())),
                None => {
                    let message = format!("Template file not found: {}", path.display());
                    let hint = "create it or correct the path; it is relative to the score file";
                    at.report(Issue::error("V003", &at.path, message).hint(hint));
                    None
                }
            }
        });
        let (template_file, from_file) = template_file.unzip();
        if f.peek("template").is_none() && f.peek("template_file").is_none() {
            f.at.warning("schema", "neither template nor template_file: the default prompt is used");
        }
        Self {
            template: inline.or(from_file),
            template_file,
            variables: f.present("variables").and_then(|at| variables(&at)).unwrap_or_default(),
            stakes: f.opt_text("stakes"),
            thinking_method: f.opt_text("thinking_method"),
            prompt_extensions: f.list("prompt_extensions", |at| Extension::decode(at, dir)),
        }
    }
}

fn f_both(at: &At<'_>) {
    at.error("PromptConfig accepts 'template' or 'template_file', not both");
}

/// The outermost names are text, whatever they look like.
fn variables(at: &At<'_>) -> Option<Map> {
    Some(at.free_map()?.into_iter().map(|(key, value)| (key.to_string(), value)).collect())
}
