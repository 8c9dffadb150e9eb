//! A score read from the disk, with the files it names.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::cli::context::Context;
use crate::cli::failure::{Failure, Stop, USAGE};
use crate::file;
use crate::instrument::Registry;
use crate::lint;
use crate::plan::{self, Overrides, Plan};
use crate::score::{self, Issue, Score, Source};

/// Largest score file, bytes.
const LARGEST: u64 = 8 * 1024 * 1024;

/// A score that loads.
#[derive(Debug)]
pub(crate) struct ScoreFile {
    /// The score.
    pub(crate) score: Score,
    /// Its sheets.
    pub(crate) plan: Plan,
    /// What is doubtful about it.
    pub(crate) warnings: Vec<Issue>,
}

/// Reads a score and the files it names. Only the score itself has to be readable.
pub(crate) fn read(cx: &Context, path: &Path) -> Result<Source, Stop> {
    let path = cx.absolute(path);
    let unreadable =
        |why: String| Failure::new("score_unreadable", format!("Cannot read score file: {why}")).exit(USAGE);
    let bytes = match file::read(&path, LARGEST + 1) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Failure::usage(format!("Score file not found: {}", path.display())).into());
        }
        Err(error) if error.kind() == std::io::ErrorKind::IsADirectory => {
            return Err(unreadable(format!("{} is a directory", path.display())).into());
        }
        // A pipe that nobody writes to would be waited for without end.
        Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => {
            let text = format!("{} is not a regular file", path.display());
            let hint = "Read a score from a pipe with: mozart validate -";
            return Err(Failure::new("score_unreadable", format!("Cannot read score file: {text}"))
                .exit(USAGE)
                .hint(hint)
                .into());
        }
        Err(error) => return Err(unreadable(format!("{}: {error}", path.display())).into()),
    };
    if bytes.len() as u64 > LARGEST {
        return Err(unreadable(format!("{} is larger than 8 MiB", path.display())).into());
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let right = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = right.iter().filter(|byte| **byte == b'\n').count() + 1;
        unreadable(format!("{}: stream did not contain valid UTF-8 (line {line})", path.display()))
            .hint("Save it as UTF-8, or convert it: iconv -f ISO-8859-1 -t UTF-8 FILE > NEW")
    })?;
    let base = path.parent().unwrap_or(Path::new("/")).to_owned();
    Ok(with_files(Some(path), text, base))
}

/// Reads a score from standard input; its paths are relative to where the command was called.
pub(crate) fn read_input(cx: &Context) -> Result<Source, Stop> {
    let unreadable =
        |why: String| Failure::new("score_unreadable", format!("Cannot read score file: {why}")).exit(USAGE);
    let mut text = String::new();
    let input = std::io::stdin().lock().take(LARGEST + 1).read_to_string(&mut text);
    input.map_err(|error| unreadable(format!("standard input: {error}")))?;
    if text.len() as u64 > LARGEST {
        return Err(unreadable("standard input is longer than 8 MiB".to_owned()).into());
    }
    Ok(with_files(None, text, cx.absolute(Path::new("."))))
}

/// All instruments that a score in a directory may name.
pub(crate) fn registry(cx: &Context, base: &Path) -> Registry {
    // A broken profile is remarked by `mozart instruments`; here its name is unknown, which is said.
    Registry::load(&cx.target().state_dir, Some(base)).0
}

fn with_files(path: Option<PathBuf>, text: String, base: PathBuf) -> Source {
    let mut files = BTreeMap::new();
    for named in score::referenced_files(&text, &base) {
        // A file that cannot be read is an issue of the score, which loading finds.
        if let Ok(bytes) = file::read(&named, LARGEST)
            && let Ok(content) = String::from_utf8(bytes)
        {
            files.insert(named, content);
        }
    }
    Source { path, text, files, base }
}

/// Loads, expands and checks as the conductor does before it takes a job; all errors when there is one.
pub(crate) fn admit(cx: &Context, source: &Source, overrides: &Overrides) -> Result<ScoreFile, Vec<Issue>> {
    lint::admit(source, overrides, &registry(cx, &source.base))
        .map(|lint::Admitted { score, plan, warnings }| ScoreFile { score, plan, warnings })
}

/// Loads and expands; all problems when there is an error.
pub(crate) fn load(source: &Source, overrides: &Overrides) -> Result<ScoreFile, Vec<Issue>> {
    let loaded = score::load(source);
    let Some(score) = loaded.score else { return Err(loaded.issues) };
    match plan::expand(&score, overrides) {
        Ok(plan) => Ok(ScoreFile { score, plan, warnings: Vec::new() }),
        Err(mut issues) => {
            let mut all = loaded.issues;
            all.append(&mut issues);
            Err(all)
        }
    }
}
