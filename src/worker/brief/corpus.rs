//! `spec` of a score: fragments of a specification for the prompt. Read at dispatch time, each attempt.

use std::fs;
use std::path::{Path, PathBuf};

use super::Brief;
use super::inject::{MAX_ALL, read_file};
use crate::score::decode::{At, Cx};
use crate::score::paths::resolve;
use crate::score::yaml;
use crate::util::text::head_bytes;

/// Most files of a directory of fragments that are read.
const MAX_FRAGMENTS: usize = 500;
/// Name of the fragment that `include_claude_md` adds.
const CLAUDE_MD: &str = "claude_md";

/// One fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fragment {
    name: String,
    tags: Vec<String>,
    text: String,
}

impl Brief<'_> {
    /// Texts of the fragments that this sheet gets, by name.
    pub(super) fn specs(&self, warnings: &mut Vec<String>) -> Vec<String> {
        let spec = &self.score.spec;
        let mut fragments = Vec::new();
        if !spec.spec_dir.is_empty() {
            let dir = resolve(&self.score.base, &spec.spec_dir);
            fragments = read(&dir, warnings);
            for name in &spec.fragments {
                if !fragments.iter().any(|fragment| fragment.name == *name) {
                    warnings.push(format!("there is no fragment `{name}` in {}", dir.display()));
                }
            }
        }
        let tags = self.score.sheet.spec_tags.get(&self.sheet.num.0).map_or(&[][..], Vec::as_slice);
        fragments.retain(|fragment| {
            let named = spec.fragments.is_empty() || spec.fragments.contains(&fragment.name);
            let tagged = tags.is_empty() || fragment.tags.iter().any(|tag| tags.contains(tag));
            named && tagged
        });
        if spec.include_claude_md {
            match self.claude_md() {
                Some(path) => match read_file(&path) {
                    Ok(text) => {
                        fragments.push(Fragment { name: CLAUDE_MD.to_owned(), tags: Vec::new(), text });
                    }
                    Err(error) => warnings.push(format!("{} is left out: {error}", path.display())),
                },
                None => warnings.push(
                    "spec.include_claude_md: there is no CLAUDE.md in the working directory, in the workspace \
                     or beside the score"
                        .to_owned(),
                ),
            }
        }
        fragments.sort_by(|a, b| a.name.cmp(&b.name));
        let mut left = MAX_ALL;
        let shown = fragments.into_iter().map(|Fragment { name, text, .. }| {
            let text = head_bytes(text.trim_end(), left);
            left -= text.len();
            format!("### {name}\n\n{text}")
        });
        shown.collect()
    }

    fn claude_md(&self) -> Option<PathBuf> {
        let working = self.choice.config.working_directory.as_deref();
        let places = working.into_iter().chain([self.workspace, &self.score.base]);
        places.map(|dir| dir.join("CLAUDE.md")).find(|path| path.is_file())
    }
}

/// The fragments of a directory. Files that are none are remarked and left out.
fn read(dir: &Path, warnings: &mut Vec<String>) -> Vec<Fragment> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) => {
            warnings.push(format!("the specification {} is left out: {error}", dir.display()));
            return Vec::new();
        }
    };
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| kind(path).is_some() && path.is_file())
        .collect();
    files.sort();
    if files.len() > MAX_FRAGMENTS {
        warnings.push(format!(
            "{} holds {} fragments, the first {MAX_FRAGMENTS} are read",
            dir.display(),
            files.len()
        ));
        files.truncate(MAX_FRAGMENTS);
    }
    let mut fragments: Vec<Fragment> = Vec::new();
    for file in files {
        let fragment = read_file(&file).map_err(|error| error.to_string()).and_then(|text| {
            let yaml = kind(&file) == Some(Kind::Yaml);
            if yaml { decode(&text) } else { Ok(plain(&file, text)) }
        });
        match fragment {
            Ok(fragment) if fragments.iter().any(|other| other.name == fragment.name) => warnings.push(
                format!("fragment {} is left out: there is another `{}`", file.display(), fragment.name),
            ),
            Ok(fragment) => fragments.push(fragment),
            Err(why) => warnings.push(format!("fragment {} is left out: {why}", file.display())),
        }
    }
    fragments
}

#[derive(PartialEq)]
enum Kind {
    Yaml,
    Markdown,
}

fn kind(path: &Path) -> Option<Kind> {
    match path.extension()?.to_str()? {
        "yaml" | "yml" => Some(Kind::Yaml),
        "md" => Some(Kind::Markdown),
        _ => None,
    }
}

fn plain(file: &Path, text: String) -> Fragment {
    let name = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    Fragment { name, tags: Vec::new(), text }
}

/// A fragment as YAML: `name`, `content`, `tags`, and `data` for one of kind `structured`.
fn decode(text: &str) -> Result<Fragment, String> {
    let root = yaml::parse(text).map_err(|error| error.to_string())?;
    let cx = Cx::new("fragment field", &[("tag", "tags"), ("text", "content"), ("type", "kind")]);
    let fragment = At::root(&cx, &root).section(|f| {
        let name = f.required("name").and_then(|at| at.filled_text()).map(str::to_owned);
        let content = f.required("content").and_then(|at| at.text()).map(str::to_owned);
        let structured = f.word("kind", &[("text", false), ("structured", true)], false);
        let tags = f.texts("tags");
        let data = f.raw("data").map(|at| at.node.to_value());
        let mut text = content?;
        if let Some(data) = data.filter(|_| structured) {
            let json = serde_json::to_string_pretty(&data).ok()?;
            text = format!("{}\n\n```json\n{json}\n```", text.trim_end());
        }
        Some(Fragment { name: name?, tags, text })
    });
    let issues = cx.into_issues();
    match (issues.iter().find(|issue| issue.is_error()), fragment.flatten()) {
        (None, Some(fragment)) => Ok(fragment),
        (Some(issue), _) => Err(issue.to_string()),
        (None, None) => Err("it is no mapping with `name` and `content`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn fragments_are_read_and_bad_ones_remarked() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        write("b.yaml", "name: alpha\ncontent: The goal.\ntags: [goal, all]\n");
        write("a.yml", "name: limits\ncontent: Limits\nkind: structured\ndata: {hours: 3, on: [a]}\n");
        write("c.md", "# Style\n");
        write("twice.yaml", "name: alpha\ncontent: again\n");
        write("bad.yaml", "name: x\n");
        write("worse.yaml", "{");
        write("notes.txt", "not read");
        fs::create_dir(dir.path().join("deep.md")).unwrap();
        let mut warnings = Vec::new();
        let fragments = read(dir.path(), &mut warnings);
        let names: Vec<&str> = fragments.iter().map(|fragment| fragment.name.as_str()).collect();
        assert_eq!(names, ["limits", "alpha", "c"]);
        assert_eq!(
            fragments[0].text,
            "Limits\n\n```json\n{\n  \"hours\": 3,\n  \"on\": [\n    \"a\"\n  ]\n}\n```"
        );
        assert_eq!(fragments[1].tags, ["goal", "all"]);
        assert_eq!(warnings.len(), 3, "{warnings:?}");
        assert!(warnings.iter().any(|it| it.contains("bad.yaml") && it.contains("content")), "{warnings:?}");
        assert!(warnings.iter().any(|it| it.contains("there is another `alpha`")), "{warnings:?}");
    }

    #[test]
    fn a_directory_that_is_not_there_is_remarked() {
        let mut warnings = Vec::new();
        assert!(read(Path::new("/nowhere/spec"), &mut warnings).is_empty());
        assert!(warnings[0].contains("/nowhere/spec"), "{warnings:?}");
    }
}
