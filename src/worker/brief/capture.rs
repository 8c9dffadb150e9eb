//! `cross_sheet.capture_files`: what earlier sheets wrote, for the prompt of this one.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::Brief;
use crate::score::CrossSheet;
use crate::template::{self, Item, Vars};
use crate::util::{redact, text};

/// Most files that `capture_files` reads.
const MAX_FILES: usize = 100;
/// Most bytes that `capture_files` reads in all.
const MAX_BYTES: u64 = 1 << 20;

impl Brief<'_> {
    pub(super) fn captured(
        &self,
        cross: &CrossSheet,
        vars: &Vars,
        warnings: &mut Vec<String>,
    ) -> Vec<(Item, Item)> {
        let limit = usize::try_from(cross.max_output_chars).unwrap_or(usize::MAX);
        let mut found: BTreeSet<PathBuf> = BTreeSet::new();
        for pattern in &cross.capture_files {
            match template::render(pattern, vars) {
                Ok(path) => glob(&self.workspace.join(path), &mut found),
                Err(error) => warnings.push(format!("capture_files `{pattern}`: {}", error.message)),
            }
        }
        let mut left = MAX_BYTES;
        let mut files = Vec::new();
        for path in found.into_iter().take(MAX_FILES) {
            let size = fs::metadata(&path).map_or(0, |meta| meta.len());
            if size > left {
                warnings.push(format!(
                    "capture_files: {} is left out, 1 MiB in all is the limit",
                    path.display()
                ));
                continue;
            }
            match crate::file::read(&path, size).map(String::from_utf8) {
                Ok(Ok(text)) => {
                    left -= size;
                    files.push((Item::Str(path.display().to_string()), Item::Str(quote(&text, limit))));
                }
                Ok(Err(_)) => warnings.push(format!("capture_files: {}: is not UTF-8", path.display())),
                Err(error) => warnings.push(format!("capture_files: {}: {error}", path.display())),
            }
        }
        files
    }
}

/// What a prompt may show of a text: credentials are taken out before it is cut, because half of one would
/// not be recognised.
pub(crate) fn quote(text: &str, limit: usize) -> String {
    cut(&redact(text), limit)
}

/// The first `limit` characters, and a mark when there were more.
fn cut(text: &str, limit: usize) -> String {
    let head = text::head_chars(text, limit);
    if head.len() == text.len() { head.to_owned() } else { format!("{head}\n... [truncated]") }
}

/// Regular files whose path matches, component by component (`*`, `?`, `[..]`).
fn glob(pattern: &Path, found: &mut BTreeSet<PathBuf>) {
    let mut bases = vec![PathBuf::new()];
    for part in pattern.components() {
        let name = part.as_os_str().to_string_lossy().into_owned();
        if !name.contains(['*', '?', '[']) {
            for base in &mut bases {
                base.push(&name);
            }
            continue;
        }
        let Some(matcher) = crate::util::pattern::glob(&name) else { return };
        bases = bases
            .iter()
            .filter_map(|base| fs::read_dir(base).ok())
            .flat_map(|entries| entries.flatten().take(10_000))
            .filter(|entry| {
                let entry_name = entry.file_name().to_string_lossy().into_owned();
                (name.starts_with('.') || !entry_name.starts_with('.')) && matcher.is_match(&entry_name)
            })
            .map(|entry| entry.path())
            .collect();
    }
    found.extend(bases.into_iter().filter(|path| path.is_file()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_names_and_not_hidden_files() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        for name in ["a.md", "b.md", ".c.md", "d.txt", "x1", "x2"] {
            fs::write(dir.path().join(name), name).expect("a file");
        }
        let names = |pattern: &str| {
            let mut found = BTreeSet::new();
            glob(&dir.path().join(pattern), &mut found);
            found
                .iter()
                .map(|path| path.file_name().expect("a name").to_string_lossy().into_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(names("*.md"), ["a.md", "b.md"]);
        assert_eq!(names("x[!1]"), ["x2"]);
        assert_eq!(names("?.txt"), ["d.txt"]);
        assert_eq!(names("d.txt"), ["d.txt"]);
        assert_eq!(names("none/*"), Vec::<String>::new());
    }

    #[test]
    fn a_cut_says_so() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("äbc", 1), "ä\n... [truncated]");
    }

    // Invariant I63
    #[test]
    fn a_credential_is_gone_before_the_cut_that_would_hide_what_it_is() {
        let text = format!("key {} end", "sk-ant-api03-abcdefghijklmnop");
        for limit in 0..text.len() {
            let quoted = quote(&text, limit);
            assert!(!quoted.contains("sk-"), "{limit}: {quoted}");
            let shown = quoted.strip_suffix("\n... [truncated]").unwrap_or(&quoted);
            assert!(shown.chars().count() <= limit, "{limit}: {quoted}");
        }
    }
}
