//! The files of an attempt directory: names, formats, and how they are written.
//!
//! | File | Written by |
//! |---|---|
//! | `spec.json`, `prompt` | the worker, before the guard starts |
//! | `lock` | created and locked by the worker; the guard adds its lines |
//! | `stdout.log`, `stderr.log` | the guard, with their first byte |
//! | `exit.json` | the guard, or who finds out that there will be no result |

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::ids::Token;
use crate::process::Identity;
use crate::time::Wall;

/// Name of the environment variable that carries the token of an attempt.
pub const TOKEN_VARIABLE: &str = "MOZART_SHEET_TOKEN";
/// [`Exit::killed_by`] of a program that was ended because its guard got a TERM or INT.
pub const BY_TERM: &str = "term";
/// [`Exit::killed_by`] of a program that ran for too long.
pub const BY_TIMEOUT: &str = "timeout";
/// [`Exit::killed_by`] of a program that did nothing for too long.
pub const BY_IDLE: &str = "idle";
/// What is to be run.
pub const SPEC: &str = "spec.json";
/// Standard input of the program.
pub const PROMPT: &str = "prompt";
/// Held means alive.
pub const LOCK: &str = "lock";
/// The result.
pub const EXIT: &str = "exit.json";
/// Where the result is prepared, so that a full disk cannot lose it.
pub const EXIT_RESERVE: &str = "exit.json.tmp";
/// Standard output of the program.
pub const STDOUT: &str = "stdout.log";
/// Standard error of the program.
pub const STDERR: &str = "stderr.log";
/// Bytes kept for the result before anything is started.
const RESERVED: usize = 4096;

/// `spec.json`: what a guard is to run. Values of the environment are not in it; the guard has
/// inherited exactly the environment of the program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpecFile {
    /// Mark of the attempt.
    pub token: Token,
    /// Pid of the conductor: when it is no longer the guard's parent, nobody else makes the result durable.
    pub conductor: u32,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Names of the environment variables, for people.
    pub env: Vec<String>,
    /// Working directory, absolute.
    pub cwd: PathBuf,
    /// Standard input: the file `prompt`, otherwise nothing.
    pub prompt: bool,
    /// Limit of the run time in milliseconds.
    pub timeout_ms: Option<u64>,
    /// Limit of silence.
    pub idle: Option<IdleSpec>,
    /// Between TERM and KILL, in milliseconds.
    pub grace_ms: u64,
    /// Bytes kept of each stream, the tail not counted.
    pub output_cap: u64,
}

/// Limit of silence in `spec.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdleSpec {
    /// Longest silence in milliseconds.
    pub limit_ms: u64,
    /// CPU time used below the guard counts as activity, not only output.
    pub count_cpu: bool,
}

/// Content of `exit.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "it lives on a stack for a moment")]
pub enum Record {
    /// The guard saw the end.
    Exit(Exit),
    /// The guard is gone without a record; the program may have run to any point.
    Interrupted {
        /// When this was found out.
        at: Wall,
    },
    /// Nothing was ever started, and nothing will be.
    Void {
        /// When this was found out.
        at: Wall,
    },
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Exit code; `None` when a signal ended it or it never started.
    pub exit_code: Option<i32>,
    /// Signal that ended it.
    pub signal: Option<i32>,
    /// Why it could not be started.
    pub spawn_error: Option<SpawnError>,
    /// Who asked for the end first: `timeout`, `idle` or `term`.
    pub killed_by: Option<String>,
    /// Start of the program.
    pub started: Wall,
    /// End of the program, before leftovers were ended.
    pub ended: Wall,
    /// Run time by the monotonic clock, in milliseconds.
    pub duration_ms: u64,
    /// CPU time in user mode of everything that was reaped, in milliseconds.
    pub cpu_user_ms: u64,
    /// CPU time in the kernel, in milliseconds.
    pub cpu_system_ms: u64,
    /// Peak resident memory of the largest process, in KiB.
    pub max_rss_kib: u64,
    /// What became of standard output.
    pub stdout: OutputCount,
    /// What became of standard error.
    pub stderr: OutputCount,
    /// Processes below the program that the guard reaped.
    pub descendants_reaped: u32,
    /// Processes that did not go away within two seconds after KILL.
    pub unkillable: Vec<u32>,
}

/// Bytes of one stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputCount {
    /// Written by the program.
    pub bytes: u64,
    /// Left out in the middle because of the cap.
    pub omitted: u64,
    /// Not in the file because writing failed (disk full).
    pub lost: u64,
}

/// A call that kept a program from starting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpawnError {
    /// `exec`, `fork`, `chdir`, `open prompt`, `pipe`, or `guard`.
    pub call: String,
    /// Number of the error.
    pub errno: i32,
    /// One line for people.
    pub message: String,
}

impl SpawnError {
    pub(crate) fn new(call: &str, subject: &str, error: &io::Error) -> Self {
        // The standard library refuses a NUL byte by itself, without a number.
        let errno = error.raw_os_error().unwrap_or(nix::errno::Errno::EINVAL as i32);
        Self { call: call.to_owned(), errno, message: format!("cannot {call} `{subject}`: {error}") }
    }
}

/// The lines of `lock`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LockLines {
    /// First line, written before the spawn. Without it nothing was ever started.
    pub guard: Option<Identity>,
    /// Second line, written after the spawn.
    pub child: Option<Identity>,
}

impl LockLines {
    /// First line: `guard <pid> <start ticks> <boot id>`.
    pub(crate) fn guard_line(guard: &Identity) -> String {
        format!("guard {} {} {}\n", guard.pid, guard.start_ticks, guard.boot_id)
    }

    /// Second line: `child <pid> <start ticks>`.
    pub(crate) fn child_line(pid: u32, start_ticks: u64) -> String {
        format!("child {pid} {start_ticks}\n")
    }

    /// Reads what is there. Only whole lines count; anything else is as if it were not written.
    pub(crate) fn parse(text: &str) -> Self {
        let mut lines = Self::default();
        for line in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
            let mut words = line.split(' ');
            let kind = words.next();
            let Some(pid) = words.next().and_then(|word| word.parse().ok()) else { continue };
            let Some(start_ticks) = words.next().and_then(|word| word.parse().ok()) else { continue };
            match (kind, words.next(), &lines.guard) {
                (Some("guard"), Some(boot), None) => {
                    lines.guard = Some(Identity { pid, start_ticks, boot_id: boot.to_owned() });
                }
                (Some("child"), None, Some(guard)) => {
                    lines.child = Some(Identity { pid, start_ticks, boot_id: guard.boot_id.clone() });
                }
                _ => (),
            }
        }
        lines
    }

    /// Reads the file of an attempt directory.
    pub(crate) fn read(dir: &Path) -> io::Result<Self> {
        Ok(Self::parse(&String::from_utf8_lossy(&crate::file::read(&dir.join(LOCK), u64::MAX)?)))
    }
}

/// Creates a file that only its owner may read, and that must not exist.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}

/// Space for a result, taken before anything is started.
#[derive(Debug)]
pub(crate) struct Reserve {
    dir: PathBuf,
    file: File,
}

impl Reserve {
    pub(crate) fn take(dir: &Path) -> io::Result<Self> {
        let path = dir.join(EXIT_RESERVE);
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(&[b' '; RESERVED])?;
        Ok(Self { dir: dir.to_owned(), file })
    }

    /// Makes the record the result of the attempt. `durable` also survives a loss of power.
    pub(crate) fn commit(self, record: &Record, durable: bool) -> io::Result<()> {
        let text = serde_json::to_vec(record)?;
        self.file.write_all_at(&text, 0)?;
        self.file.set_len(text.len() as u64)?;
        if durable {
            self.file.sync_all()?;
        }
        fs::rename(self.dir.join(EXIT_RESERVE), self.dir.join(EXIT))?;
        if durable {
            File::open(&self.dir)?.sync_all()?;
        }
        Ok(())
    }
}

/// Reads `exit.json`; `None` when there is none. One that cannot be understood is `InvalidData`.
pub(crate) fn read_record(dir: &Path) -> io::Result<Option<Record>> {
    match crate::file::read(&dir.join(EXIT), u64::MAX) {
        Ok(text) => match serde_json::from_slice(&text) {
            Ok(record) => Ok(Some(record)),
            Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        // A program has put something else there: no record that could be understood.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            Err(io::Error::new(io::ErrorKind::InvalidData, error))
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lock_lines_are_read_as_written() {
        let guard = Identity { pid: 12, start_ticks: 34, boot_id: "b-1".into() };
        let child = Identity { pid: 13, start_ticks: 35, boot_id: "b-1".into() };
        let text = LockLines::guard_line(&guard) + &LockLines::child_line(13, 35);
        assert_eq!(LockLines::parse(&text), LockLines { guard: Some(guard.clone()), child: Some(child) });
        let half = &text[..text.len() - 1];
        assert_eq!(LockLines::parse(half), LockLines { guard: Some(guard), child: None });
    }

    #[test]
    fn anything_else_is_as_if_nothing_was_written() {
        for text in
            ["", "\n", "guard", "guard 1 2 b", "child 1 2\n", "guard x 2 b\n", "\0\0\0\n", "guard -1 2 b\n"]
        {
            assert_eq!(LockLines::parse(text), LockLines::default(), "{text:?}");
        }
    }

    #[test]
    fn a_record_replaces_its_reserve() {
        let dir = tempfile::tempdir().unwrap();
        let reserve = Reserve::take(dir.path()).unwrap();
        assert_eq!(fs::metadata(dir.path().join(EXIT_RESERVE)).unwrap().len(), RESERVED as u64);
        assert_eq!(read_record(dir.path()).unwrap(), None);
        let record = Record::Void { at: Wall(5) };
        reserve.commit(&record, true).unwrap();
        assert_eq!(read_record(dir.path()).unwrap(), Some(record));
        assert!(!dir.path().join(EXIT_RESERVE).exists());
    }
}
