//! How files looked before an attempt, so that "modified" means modified by it.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::rule::expand_path;
use crate::score::{Rule, RuleKind};
use crate::template::Vars;

/// One file: any difference means modified, also within one tick of a coarse clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp {
    exists: bool,
    mtime_ns: i128,
    size: u64,
    inode: u64,
    ctime_ns: i128,
}

impl Stamp {
    pub(super) fn of(path: &Path) -> Self {
        let Ok(data) = fs::metadata(path) else { return Self::default() };
        let nanos = |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        Self {
            exists: true,
            mtime_ns: nanos(data.mtime(), data.mtime_nsec()),
            size: data.size(),
            inode: data.ino(),
            ctime_ns: nanos(data.ctime(), data.ctime_nsec()),
        }
    }
}

/// The files of all `file_modified` rules of a sheet, seen before its attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot(HashMap<PathBuf, Stamp>);

impl Snapshot {
    /// Looks at the files now. A path that cannot be expanded fails when its rule is checked.
    #[must_use]
    pub fn take(rules: &[Rule], vars: &Vars, workspace: &Path) -> Self {
        let paths = rules.iter().filter(|rule| rule.kind == RuleKind::FileModified);
        let paths = paths.filter_map(|rule| expand_path(rule.path.as_deref()?, vars, workspace).ok());
        Self(paths.map(|path| (path.clone(), Stamp::of(&path))).collect())
    }

    /// No rule of the sheet needs one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a file differs from the snapshot. A file that was not looked at counts as absent before.
    pub(super) fn is_modified(&self, path: &Path) -> bool {
        self.0.get(path).copied().unwrap_or_default() != Stamp::of(path)
    }
}
