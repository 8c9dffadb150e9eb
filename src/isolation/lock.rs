//! Who holds the lock of a worktree. A lock names its process by number, start time and boot, so that a later
//! process of the same number is not taken for its owner.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Git, GitError};
use crate::ids::JobId;
use crate::process::Identity;
use crate::score::paths::resolve;

/// First word of our reasons.
const MARK: &str = "mozart";
/// The reason that git itself gives while it makes a worktree.
const UNFINISHED: &str = "initializing";
/// Longest reason that is read.
const MAX_REASON: u64 = 4096;

/// State of a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Holder {
    /// Not locked.
    Nobody,
    /// This process.
    Us,
    /// A conductor that is gone.
    Dead,
    /// A git that was ended while it made the worktree: nobody has worked in it.
    Unfinished,
    /// Another conductor, which lives.
    Living(u32),
    /// Somebody else, for this reason.
    Stranger(String),
}

/// The reason that our locks give.
pub(super) fn reason(job: &JobId) -> String {
    match Identity::of(std::process::id()) {
        Some(me) => {
            format!("{MARK} job={job} pid={} start={} boot={}", me.pid, me.start_ticks, me.boot_id)
        }
        None => format!("{MARK} job={job} pid={} start=0 boot=", std::process::id()),
    }
}

/// Who holds the lock of the worktree at this path, which need not exist any more.
pub(super) fn holder(git: &Git<'_>, repository: &Path, path: &Path) -> Result<Holder, GitError> {
    let Some(record) = record(git, repository, path)? else { return Ok(Holder::Nobody) };
    match crate::file::read(&record.join("locked"), MAX_REASON) {
        Ok(bytes) => Ok(judge(&String::from_utf8_lossy(&bytes))),
        Err(_) => Ok(Holder::Nobody),
    }
}

/// The directory in which the repository keeps what it knows of a worktree.
pub(super) fn record(git: &Git<'_>, repository: &Path, path: &Path) -> Result<Option<PathBuf>, GitError> {
    let link = path.join(".git");
    let Ok(records) = fs::read_dir(git.common_dir(repository)?.join("worktrees")) else { return Ok(None) };
    let found = records.flatten().map(|entry| entry.path()).find(|record| {
        let text = crate::file::read(&record.join("gitdir"), MAX_REASON).unwrap_or_default();
        resolve(record, String::from_utf8_lossy(&text).trim_end()) == link
    });
    Ok(found)
}

fn judge(reason: &str) -> Holder {
    if reason.trim() == UNFINISHED {
        return Holder::Unfinished;
    }
    let mut words = reason.split_whitespace();
    let ours = words.next() == Some(MARK);
    let words: Vec<&str> = words.collect();
    let value = |key: &str| words.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    let number = |key: &str| value(key).and_then(|text| text.parse::<u64>().ok());
    let pid = number("pid").and_then(|pid| u32::try_from(pid).ok());
    let (true, Some(pid), Some(start_ticks)) = (ours, pid, number("start")) else {
        return Holder::Stranger(reason.trim().to_owned());
    };
    let owner = Identity { pid, start_ticks, boot_id: value("boot").unwrap_or_default().to_owned() };
    match owner.verify() {
        false => Holder::Dead,
        true if pid == std::process::id() => Holder::Us,
        true => Holder::Living(pid),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_lock_is_judged_by_who_made_it_and_not_by_a_number() {
        let mine = reason(&JobId::new("a").unwrap());
        assert_eq!(judge(&mine), Holder::Us);
        let me = Identity::of(std::process::id()).unwrap();
        let start = format!("start={}", me.start_ticks);
        assert_eq!(judge(&mine.replace(&start, &format!("start={}", me.start_ticks + 1))), Holder::Dead);
        assert_eq!(judge(&mine.replace(&me.boot_id, "another")), Holder::Dead);
        assert_eq!(judge("moving house\n"), Holder::Stranger("moving house".into()));
        assert_eq!(judge("mozart is nice"), Holder::Stranger("mozart is nice".into()));
        assert_eq!(judge(""), Holder::Stranger(String::new()));
        assert_eq!(judge("initializing\n"), Holder::Unfinished);
    }
}
