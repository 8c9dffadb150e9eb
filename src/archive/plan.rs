//! What is archived under which name, and which archives are too many. Pure.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::SystemTime;

use regex::Regex;

use crate::score::{ArchiveNaming, WorkspaceLifecycle};
use crate::time::Wall;
use crate::util::pattern::glob;

/// Archives of the same name that lie beside each other.
const MOST_BESIDE: u32 = 99;

/// What stays in a workspace.
pub(super) struct Kept {
    patterns: Vec<Regex>,
    names: BTreeSet<String>,
}

impl Kept {
    /// What the patterns of a score name, its archives, and these.
    pub(super) fn new(settings: &WorkspaceLifecycle, names: &BTreeSet<String>) -> Self {
        let mut names = names.clone();
        let archives = settings.archive_dir.split('/').find(|part| !part.is_empty() && *part != ".");
        names.extend(archives.map(str::to_owned));
        let patterns = settings.preserve_patterns.iter();
        // Only top-level names are looked at, so a pattern counts as far as its first slash.
        let patterns = patterns
            .map(|pattern| pattern.trim_start_matches("./"))
            .filter_map(|pattern| glob(pattern.split('/').next().unwrap_or(pattern)))
            .collect();
        Self { patterns, names }
    }

    pub(super) fn holds(&self, name: &str) -> bool {
        self.names.contains(name) || self.patterns.iter().any(|pattern| pattern.is_match(name))
    }
}

/// A name that is not taken.
pub(super) fn name(
    naming: ArchiveNaming,
    iteration: Option<&str>,
    now: Wall,
    taken: impl Fn(&str) -> bool,
) -> String {
    let number = iteration.and_then(|text| text.trim().parse::<u64>().ok());
    let name = match (naming, number) {
        (ArchiveNaming::Iteration, Some(number)) => format!("iteration-{number}"),
        (ArchiveNaming::Iteration, None) | (ArchiveNaming::Timestamp, _) => format!("archive-{}", stamp(now)),
    };
    if !taken(&name) {
        return name;
    }
    let beside = (1..=MOST_BESIDE).map(|number| format!("{name}-{number}")).find(|name| !taken(name));
    beside.unwrap_or_else(|| format!("{name}-{}-{}", stamp(now), now.0.rem_euclid(1000)))
}

/// `20261122-013749` in UTC.
fn stamp(now: Wall) -> String {
    let stamp = jiff::Timestamp::from_millisecond(now.0).unwrap_or_default();
    stamp.strftime("%Y%m%d-%H%M%S").to_string()
}

/// Whether a name is one that [`name`] gives.
pub(super) fn is_archive(name: &str) -> bool {
    name.strip_prefix("iteration-")
        .or_else(|| name.strip_prefix("archive-"))
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// The oldest archives but the newest `most - 1`: one more has just been made. 0 keeps all.
pub(super) fn too_many(mut found: Vec<(SystemTime, PathBuf)>, most: u32) -> Vec<PathBuf> {
    let Some(stay) = most.checked_sub(1).and_then(|stay| usize::try_from(stay).ok()) else {
        return Vec::new();
    };
    found.sort();
    let go = found.len().saturating_sub(stay);
    found.into_iter().take(go).map(|(_, path)| path).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOON: Wall = Wall(1_795_348_800_123);

    #[test]
    fn names() {
        let free = |_: &str| false;
        let stamped = "archive-20261122-120000";
        assert_eq!(name(ArchiveNaming::Iteration, Some(" 7\n"), NOON, free), "iteration-7");
        assert_eq!(name(ArchiveNaming::Iteration, Some("seven"), NOON, free), stamped);
        assert_eq!(name(ArchiveNaming::Iteration, None, NOON, free), stamped);
        assert_eq!(name(ArchiveNaming::Timestamp, Some("7"), NOON, free), stamped);
        let taken = |name: &str| ["iteration-7", "iteration-7-1"].contains(&name);
        assert_eq!(name(ArchiveNaming::Iteration, Some("7"), NOON, taken), "iteration-7-2");
        let full = |name: &str| !name.contains("2026");
        assert_eq!(name(ArchiveNaming::Iteration, Some("7"), NOON, full), "iteration-7-20261122-120000-123");
    }

    #[test]
    fn a_pattern_is_about_names_at_the_top() {
        let settings = WorkspaceLifecycle {
            archive_on_fresh: true,
            archive_dir: "old/runs".into(),
            archive_naming: ArchiveNaming::Iteration,
            max_archives: 0,
            preserve_patterns: ["x/**", "./y", "*.md", "[ab]1", "z/"].map(String::from).to_vec(),
            archive_required: false,
        };
        let kept = Kept::new(&settings, &BTreeSet::from(["score.yaml".to_owned()]));
        for name in ["x", "y", "notes.md", "a1", "z", "old", "score.yaml"] {
            assert!(kept.holds(name), "{name}");
        }
        for name in ["xx", "runs", "c1", "notes.mdx"] {
            assert!(!kept.holds(name), "{name}");
        }
    }

    #[test]
    fn the_oldest_go() {
        let at = |second: u64, name: &str| {
            (SystemTime::UNIX_EPOCH + Duration::from_secs(second), PathBuf::from(name))
        };
        let found = || vec![at(3, "c"), at(1, "a"), at(2, "b")];
        assert!(too_many(found(), 0).is_empty());
        assert!(too_many(found(), 4).is_empty());
        assert_eq!(too_many(found(), 2), [PathBuf::from("a"), PathBuf::from("b")]);
        assert_eq!(too_many(found(), 1).len(), 3);
    }

    #[test]
    fn only_our_own_names_are_archives() {
        assert!(is_archive("iteration-12-3") && is_archive("archive-20261122-120000"));
        assert!(!is_archive("archive-notes") && !is_archive("iteration-") && !is_archive("photos"));
    }
}
