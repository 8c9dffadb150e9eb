//! The log of one job: the file that `logging` of its score asks for, fed with the events of the job.
//!
//! For: turning events into lines, choosing by level, rotating, and handing events from the conductor's thread to one
//! that may write ([`JobLog`]). Not for: the conductor's own log (`daemon`).
//!
//! Invariants: lines are in the order of their events; a file is created with mode 0600 and rotated before it grows
//! over its limit; nothing is kept open between two calls, so a file that somebody moves away is simply begun anew;
//! what is no regular file is not written to.

mod line;
mod queue;

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use serde_json::Value;

use crate::score::Logging;

pub use line::Level;
pub use queue::JobLog;

/// Name of the log in the directory of a job whose score names no file.
pub const USUAL_NAME: &str = "job.log";

/// Where the events of a job are written, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    path: PathBuf,
    logging: Logging,
}

/// Why an event is not in the log of its job. Never the job's problem: it is remarked in the conductor's log.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the log {} of the job: {source}", path.display())]
pub struct JobLogError {
    path: PathBuf,
    source: io::Error,
}

impl Target {
    /// The file of a job: `logging.file_path`, else `job.log` in the job's own state directory.
    #[must_use]
    pub fn of(logging: &Logging, job_dir: &Path) -> Self {
        let path = logging.file_path.clone().unwrap_or_else(|| job_dir.join(USUAL_NAME));
        Self { path, logging: logging.clone() }
    }

    /// The file for people, or with `format: json` for programs. With `both`, JSON lines go to
    /// [`Self::json_path`] too.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The second file of `format: both`.
    #[must_use]
    pub fn json_path(&self) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(".jsonl");
        PathBuf::from(name)
    }

    /// Whether an event is important enough.
    #[must_use]
    pub fn wants(&self, event: &Value) -> bool {
        Level::of(event) >= Level::named(self.logging.level)
    }

    /// Writes events (as `job.watch` sends them) that are important enough, in order.
    ///
    /// # Errors
    /// When the file cannot be created or written. The events are then lost for this log.
    pub fn append(&self, events: &[Value]) -> Result<(), JobLogError> {
        let wanted: Vec<&Value> = events.iter().filter(|event| self.wants(event)).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let text = |json: bool| -> String {
            wanted.iter().map(|event| line::of(event, &self.logging, json)).collect()
        };
        match self.logging.format {
            "json" => self.write(&self.path, &text(true)),
            "both" => {
                self.write(&self.path, &text(false))?;
                self.write(&self.json_path(), &text(true))
            }
            _ => self.write(&self.path, &text(false)),
        }
    }

    fn write(&self, path: &Path, text: &str) -> Result<(), JobLogError> {
        self.try_write(path, text).map_err(|source| JobLogError { path: path.to_owned(), source })
    }

    fn try_write(&self, path: &Path, text: &str) -> io::Result<()> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the score language allows 0 to 1000 MB"
        )]
        let limit = (self.logging.max_file_size_mb * 1024.0 * 1024.0) as u64;
        let size = fs::metadata(path).map_or(0, |data| data.len());
        if size > 0 && size.saturating_add(text.len() as u64) > limit {
            rotate(path, self.logging.backup_count)?;
        }
        // A pipe without a reader must not hold the thread.
        let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let mut file =
            OpenOptions::new().create(true).append(true).mode(0o600).custom_flags(flags.bits()).open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "is not a regular file"));
        }
        file.write_all(text.as_bytes())
    }
}

/// `log` becomes `log.1`, that `log.2`, and so on; the oldest goes.
fn rotate(path: &Path, backups: u32) -> io::Result<()> {
    if backups == 0 {
        return fs::remove_file(path);
    }
    let numbered = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    for number in (1..backups).rev() {
        // A missing one is normal: there are not so many yet.
        _ = fs::rename(numbered(number), numbered(number + 1));
    }
    fs::rename(path, numbered(1))
}

#[cfg(test)]
mod tests;
