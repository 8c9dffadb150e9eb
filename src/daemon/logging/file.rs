//! The log file: created 0600, rotated at a size, opened anew when asked (SIGHUP, logrotate).
//!
//! Writing never fails upwards: a full disk must not stop the conductor. What could not be written
//! is counted, and the count is logged with the next line that gets through.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Size at which the file is rotated, bytes.
const ROTATE_AT: u64 = 16 * 1024 * 1024;
/// Rotated files that are kept, `<name>.1` the newest.
const KEPT: u32 = 4;

/// Makes a log file be opened anew before its next line.
#[derive(Debug, Clone, Default)]
pub struct Reopen(Arc<AtomicBool>);

impl Reopen {
    /// Asks for it. Any thread may call this, signal threads included.
    pub fn ask(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// An open log file.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    file: Option<File>,
    size: u64,
    limit: u64,
    lost: u64,
    reopen: Reopen,
}

impl LogFile {
    /// Opens (and creates, 0600) a log file; its directory is created too.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::with_limit(path, ROTATE_AT)
    }

    fn with_limit(path: &Path, limit: u64) -> io::Result<Self> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        let (file, size) = open(path)?;
        Ok(Self { path: path.to_owned(), file: Some(file), size, limit, lost: 0, reopen: Reopen::default() })
    }

    /// The switch of this file.
    #[must_use]
    pub fn reopen_switch(&self) -> Reopen {
        self.reopen.clone()
    }

    fn refresh(&mut self) {
        let asked = self.reopen.0.swap(false, Ordering::AcqRel);
        if self.size >= self.limit {
            self.rotate();
        } else if asked || self.file.is_none() {
            self.file = None;
        } else {
            return;
        }
        if let Ok((file, size)) = open(&self.path) {
            self.file = Some(file);
            self.size = size;
        }
    }

    fn rotate(&mut self) {
        self.file = None;
        for number in (1..KEPT).rev() {
            // A missing one is normal: there are fewer than four yet.
            _ = fs::rename(numbered(&self.path, number), numbered(&self.path, number + 1));
        }
        if fs::rename(&self.path, numbered(&self.path, 1)).is_err() {
            // It stays in use; without a new limit every line would try again.
            self.limit = self.limit.saturating_add(ROTATE_AT);
        }
    }
}

impl Write for LogFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.refresh();
        let note = if self.lost > 0 {
            format!("{{\"event\":\"log.lines_lost\",\"level\":\"warning\",\"count\":{}}}\n", self.lost)
        } else {
            String::new()
        };
        let written = self.file.as_mut().is_some_and(|file| {
            (note.is_empty() || file.write_all(note.as_bytes()).is_ok()) && file.write_all(line).is_ok()
        });
        if written {
            self.lost = 0;
            self.size += (note.len() + line.len()) as u64;
        } else {
            self.lost += 1;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<(File, u64)> {
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn four_rotated_files_are_kept_and_no_line_is_lost_before() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/mozart.log");
        let mut log = LogFile::with_limit(&path, 10).unwrap();
        for n in 0..7 {
            log.write_all(format!("line number {n}\n").as_bytes()).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "line number 6\n");
        assert_eq!(fs::read_to_string(numbered(&path, 1)).unwrap(), "line number 5\n");
        assert_eq!(fs::read_to_string(numbered(&path, 4)).unwrap(), "line number 2\n");
        assert!(!numbered(&path, 5).exists());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn it_is_opened_anew_when_asked() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mozart.log");
        let mut log = LogFile::open(&path).unwrap();
        log.write_all(b"one\n").unwrap();
        fs::rename(&path, directory.path().join("moved")).unwrap();
        log.write_all(b"two\n").unwrap();
        log.reopen_switch().ask();
        log.write_all(b"three\n").unwrap();
        assert_eq!(fs::read_to_string(directory.path().join("moved")).unwrap(), "one\ntwo\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
    }
}
