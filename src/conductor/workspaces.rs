//! One job per workspace: who works where.
//!
//! A job holds its workspace from its begin until its sheets are over; a paused job holds it, too,
//! because its files are half done. Two jobs share one only when the scores of both allow it.
//!
//! Invariant: any two holders of the same workspace allow sharing.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::ids::JobId;

/// Who holds which workspace.
#[derive(Debug, Default)]
pub(super) struct Workspaces {
    held: HashMap<JobId, PathBuf>,
    holders: HashMap<PathBuf, Vec<Holder>>,
}

#[derive(Debug)]
struct Holder {
    job: JobId,
    shares: bool,
}

impl Workspaces {
    /// Another job because of which this one cannot work there now.
    pub(super) fn conflict(&self, job: &JobId, place: &Path, shares: bool) -> Option<&JobId> {
        let holders = self.holders.get(place)?;
        let other = holders.iter().find(|holder| holder.job != *job && !(shares && holder.shares))?;
        Some(&other.job)
    }

    /// A job has begun, or was found as one that has. What it held elsewhere is free.
    pub(super) fn hold(&mut self, job: &JobId, place: &Path, shares: bool) {
        self.release(job);
        self.held.insert(job.clone(), place.to_owned());
        self.holders.entry(place.to_owned()).or_default().push(Holder { job: job.clone(), shares });
    }

    /// Its sheets are over. Harmless for a job that holds nothing.
    pub(super) fn release(&mut self, job: &JobId) {
        let Some(place) = self.held.remove(job) else { return };
        if let Some(holders) = self.holders.get_mut(&place) {
            holders.retain(|holder| holder.job != *job);
            if holders.is_empty() {
                self.holders.remove(&place);
            }
        }
    }
}

/// A path without links, as far as it exists: two names of one directory become the same. Asks the
/// file system, so not for the conductor thread.
pub(super) fn real_path(path: &Path) -> PathBuf {
    for above in path.ancestors() {
        let Ok(real) = fs::canonicalize(above) else { continue };
        let rest = path.strip_prefix(above).unwrap_or(Path::new(""));
        return if rest.as_os_str().is_empty() { real } else { real.join(rest) };
    }
    path.to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn id(name: &str) -> JobId {
        JobId::new(name).unwrap()
    }

    #[test]
    fn sharing_needs_the_consent_of_both() {
        for (first, second, together) in
            [(false, false, false), (true, false, false), (false, true, false), (true, true, true)]
        {
            let mut workspaces = Workspaces::default();
            workspaces.hold(&id("a"), Path::new("/ws"), first);
            let conflict = workspaces.conflict(&id("b"), Path::new("/ws"), second);
            assert_eq!(conflict.is_none(), together, "{first} {second}");
            assert_eq!(workspaces.conflict(&id("a"), Path::new("/ws"), first), None, "never with itself");
            assert_eq!(workspaces.conflict(&id("b"), Path::new("/other"), second), None);
        }
    }

    #[test]
    fn a_workspace_is_free_when_its_last_holder_lets_go() {
        let mut workspaces = Workspaces::default();
        workspaces.hold(&id("a"), Path::new("/ws"), true);
        workspaces.hold(&id("b"), Path::new("/ws"), true);
        workspaces.release(&id("a"));
        workspaces.release(&id("a"));
        assert_eq!(workspaces.conflict(&id("c"), Path::new("/ws"), false), Some(&id("b")));
        // Its score was replaced by one that works elsewhere.
        workspaces.hold(&id("b"), Path::new("/other"), false);
        assert_eq!(workspaces.conflict(&id("c"), Path::new("/ws"), false), None);
        assert!(workspaces.holders.len() == 1 && workspaces.held.len() == 1);
    }

    #[test]
    fn two_names_of_one_directory_are_the_same() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("real")).unwrap();
        std::os::unix::fs::symlink(dir.path().join("real"), dir.path().join("link")).unwrap();
        let real = fs::canonicalize(dir.path().join("real")).unwrap();
        assert_eq!(real_path(&dir.path().join("link")), real);
        assert_eq!(real_path(&dir.path().join("link/not/yet")), real.join("not/yet"));
        assert_eq!(real_path(&dir.path().join("real/")), real);
    }
}
