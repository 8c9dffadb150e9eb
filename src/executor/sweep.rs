//! Attempt directories that no database row knows.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::examine::{Found, Taken, examine, read_token};
use crate::guard::record::EXIT;

/// An attempt without a row that has no record: its guard lives, or it left something behind.
#[derive(Debug)]
pub struct Stray {
    /// Its directory.
    pub dir: PathBuf,
    /// What it is: a held one is cancelled, of an interrupted one the leftovers are ended.
    pub found: Found,
    /// The lock, unless it is held: keep it until that is done.
    pub taken: Option<Taken>,
}

/// Looks through all attempt directories below `state_dir` except the known ones. A directory that
/// has a record costs one look at it. What cannot be read is logged and left alone.
#[must_use]
pub fn sweep(state_dir: &Path, known: &HashSet<PathBuf>) -> Vec<Stray> {
    let mut strays = Vec::new();
    for job in below(&state_dir.join("jobs"), "") {
        for sheet in below(&job, "sheet-") {
            for dir in below(&sheet, "attempt-") {
                if !known.contains(&dir) && !dir.join(EXIT).exists() {
                    strays.extend(look(dir));
                }
            }
        }
    }
    strays
}

fn look(dir: PathBuf) -> Option<Stray> {
    let answer = read_token(&dir).and_then(|token| token.map(|token| examine(&dir, &token)).transpose());
    match answer {
        Ok(Some((found @ (Found::Held(_) | Found::Interrupted(_)), taken))) => {
            Some(Stray { dir, found, taken })
        }
        Ok(Some((Found::Over(_) | Found::NeverStarted, _)) | None) => None,
        Err(error) => {
            log::warn!("attempt.unreadable dir={} error={error}", dir.display());
            None
        }
    }
}

fn below(dir: &Path, prefix: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let is_wanted = |entry: &fs::DirEntry| {
        entry.file_name().to_str().is_some_and(|name| name.starts_with(prefix))
            && entry.file_type().is_ok_and(|kind| kind.is_dir())
    };
    entries.flatten().filter(is_wanted).map(|entry| entry.path()).collect()
}
