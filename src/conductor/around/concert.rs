//! The concert log: one line of JSON for each thing that happens in a chain of jobs.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use serde_json::{Value, json};

use super::origin::Link;
use crate::conductor::live::Live;
use crate::time::Wall;

/// A line and where it goes.
#[derive(Debug, PartialEq)]
pub(crate) struct Entry {
    pub(super) path: PathBuf,
    pub(super) line: String,
}

impl Entry {
    /// What happened to the child of a hook of this job, or would have been its child.
    pub(super) fn new(
        live: &Live,
        link: &Link,
        child: &str,
        status: &str,
        at: Wall,
        why: Option<&str>,
    ) -> Self {
        let concert = &live.prepared.score.concert;
        let path = concert.concert_log_path.clone();
        let mut line = json!({
            "timestamp": at.unix_seconds(), "concert_id": link.concert, "depth": depth(live) + 1,
            "parent": link.parent.as_str(), "child": child, "status": status,
        });
        if let Some(why) = why {
            line["error"] = Value::from(why);
        }
        Self { path: path.unwrap_or_else(|| live.card.workspace.join("concert.log")), line: line.to_string() }
    }

    /// Appends the line. Whoever reads the file sees whole lines.
    pub(in crate::conductor) fn write(&self) {
        if let Err(error) = append(&self.path, &self.line) {
            log::warn!(
                "hook.concert_log_failed path={:?} error={:?}",
                self.path.display().to_string(),
                error.to_string()
            );
        }
    }
}

/// How many jobs of its chain came before a job.
pub(super) fn depth(live: &Live) -> u32 {
    live.card.chain_depth.unwrap_or(0)
}

fn append(path: &Path, line: &str) -> io::Result<()> {
    // What an agent put there in place of a file must not hold the thread.
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let mut file =
        OpenOptions::new().create(true).append(true).mode(0o644).custom_flags(flags.bits()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "is not a regular file"));
    }
    file.write_all(format!("{line}\n").as_bytes())
}
