//! What is looked at before a program starts: the size of its prompt and the files that the prompt names.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use regex::Regex;

use crate::classify::ErrorCode;
use crate::exec::{Failure, PromptMetrics};
use crate::template::prompt::measure;

use super::Attempt;
use super::reports::refusal;

/// A prompt with more lines is remarked.
const MANY_LINES: u64 = 5000;
/// Named files that are recorded.
const MAX_PATHS: usize = 50;
/// Of those that are not there, so many are listed.
const MAX_MISSING: usize = 5;

impl Attempt<'_> {
    /// Measures a prompt, remarks what is odd about it and refuses it when its model cannot take it.
    pub(super) fn preflight(
        &self,
        prompt: &str,
        will_be_written: &[PathBuf],
        warnings: &mut Vec<String>,
    ) -> (PromptMetrics, Result<(), Failure>) {
        let size = measure(prompt);
        let paths = if self.profile.raw_prompt { Vec::new() } else { named_files(prompt) };
        if size.lines > MANY_LINES {
            warnings.push(format!("the prompt has {} lines", size.lines));
        }
        let missing = self.missing(&paths, will_be_written);
        if !missing.is_empty() {
            let shown = missing.iter().take(MAX_MISSING).cloned().collect::<Vec<_>>().join(", ");
            let more = missing.len().saturating_sub(MAX_MISSING);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            warnings.push(format!("the prompt names files that are not there: {shown}{more}"));
        }
        let metrics = PromptMetrics {
            character_count: size.characters,
            estimated_tokens: size.estimated_tokens,
            line_count: size.lines,
            word_count: size.words,
            has_file_references: !paths.is_empty(),
            referenced_paths: paths,
        };
        (metrics, self.fits(size.estimated_tokens))
    }

    /// Whether the model that is used has room for so many tokens, as far as its profile says.
    fn fits(&self, tokens: u64) -> Result<(), Failure> {
        let Some(model) = self.model() else { return Ok(()) };
        let room = model.context_window.saturating_sub(model.max_output_tokens.unwrap_or(0));
        if tokens <= room {
            return Ok(());
        }
        let message = format!(
            "the prompt has about {tokens} tokens, and model `{}` of instrument `{}` takes {room}: \
             shorten the injected files, split the sheet, or add a fallback with a larger context window",
            model.name, self.profile.name
        );
        Err(refusal(ErrorCode::E602, message))
    }

    /// Files that are neither there nor something that the sheet itself is to write. A relative one may lie where
    /// the program works or in the workspace; when neither has its first directory it may be anything, say the name
    /// of a repository, and is not remarked.
    fn missing(&self, paths: &[String], will_be_written: &[PathBuf]) -> Vec<String> {
        let (_, place) = self.place();
        let roots = [place.as_path(), self.prepared.workspace.as_path()];
        let absent = |path: &&String| {
            let path = Path::new(path.as_str());
            let known = |root: &Path| {
                let path = root.join(path);
                path.exists() || will_be_written.contains(&path)
            };
            let first = path.components().find(|part| *part != Component::CurDir);
            let plausible = |root: &Path| first.is_some_and(|first| root.join(first).is_dir());
            (path.is_absolute() || roots.iter().any(|root| plausible(root)))
                && !roots.iter().any(|root| known(root))
        };
        paths.iter().filter(absent).cloned().collect()
    }
}

/// Paths of files in a text, in their order, without repeated ones: absolute ones, and relative ones with a
/// directory and an extension.
fn named_files(text: &str) -> Vec<String> {
    static FORM: OnceLock<Regex> = OnceLock::new();
    let form = FORM.get_or_init(|| {
        let pattern =
            r#"(?m)(?:^|[\s`'"(\[<=])((?:\.{0,2}/)?(?:[\w.@+-]+/)*[\w.@+-]+\.[A-Za-z][A-Za-z0-9]{0,7})\b"#;
        Regex::new(pattern).expect("a constant pattern that a test compiles")
    });
    let mut seen = BTreeSet::new();
    form.captures_iter(text)
        .map(|found| found[1].to_owned())
        .filter(|path| path.contains('/') && seen.insert(path.clone()))
        .take(MAX_PATHS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_a_text_names() {
        let text = "Read `src/main.rs` and /etc/app/conf.yaml, then (docs/a b) or ../up/x.md.\n\
                    Not https://example.org/page.html, not a/b, not v1.2, not e.g. this; src/main.rs again.";
        assert_eq!(named_files(text), ["src/main.rs", "/etc/app/conf.yaml", "../up/x.md"]);
    }
}
