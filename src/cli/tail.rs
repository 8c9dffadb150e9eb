//! Reading the end of files and what is appended to them.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

/// Bytes read at once.
const CHUNK: usize = 64 * 1024;

/// A file that grows. It may not exist yet, be cut off, or be replaced by a new one.
#[derive(Debug)]
pub(crate) struct Tail {
    path: PathBuf,
    file: Option<File>,
    position: u64,
    identity: (u64, u64),
}

impl Tail {
    /// Follows from the start of the last `lines` lines; `None` means from the beginning.
    pub(crate) fn open(path: &Path, lines: Option<usize>) -> io::Result<Self> {
        let mut tail = Self { path: path.to_owned(), file: None, position: 0, identity: (0, 0) };
        tail.attach()?;
        if let (Some(file), Some(lines)) = (&mut tail.file, lines) {
            tail.position = start_of_last(file, lines)?;
        }
        Ok(tail)
    }

    /// The path that is followed.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What was appended since the last call.
    pub(crate) fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        self.drain(&mut text)?;
        if self.is_replaced() {
            // The rest of the old file has been read above.
            self.attach()?;
            self.drain(&mut text)?;
        }
        Ok(text)
    }

    fn drain(&mut self, text: &mut Vec<u8>) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        if file.metadata()?.len() < self.position {
            self.position = 0;
        }
        file.seek(SeekFrom::Start(self.position))?;
        let read = file.read_to_end(text)?;
        self.position += read as u64;
        Ok(())
    }

    fn is_replaced(&self) -> bool {
        match fs::metadata(&self.path) {
            Ok(meta) => (meta.dev(), meta.ino()) != self.identity,
            // Nothing there for now: the old file is all there is.
            Err(_) => false,
        }
    }

    fn attach(&mut self) -> io::Result<()> {
        match File::open(&self.path) {
            Ok(file) => {
                let meta = file.metadata()?;
                self.identity = (meta.dev(), meta.ino());
                self.position = 0;
                self.file = Some(file);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// The last lines of a file, the whole file when there are fewer.
pub(crate) fn last_lines(path: &Path, lines: Option<usize>) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    if let Some(lines) = lines {
        let start = start_of_last(&mut file, lines)?;
        file.seek(SeekFrom::Start(start))?;
    }
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    Ok(text)
}

/// Where the last `lines` lines begin, read from the end in pieces.
fn start_of_last(file: &mut File, lines: usize) -> io::Result<u64> {
    let mut end = file.metadata()?.len();
    let size = end;
    let mut found = 0;
    while end > 0 {
        let length = end.min(CHUNK as u64);
        let start = end - length;
        file.seek(SeekFrom::Start(start))?;
        let mut chunk = vec![0; usize::try_from(length).expect("at most a chunk")];
        file.read_exact(&mut chunk)?;
        for at in memchr::memrchr_iter(b'\n', &chunk) {
            let position = start + at as u64;
            // The line end of the last line begins no line.
            if position + 1 == size {
                continue;
            }
            found += 1;
            if found == lines {
                return Ok(position + 1);
            }
        }
        end = start;
    }
    Ok(if lines == 0 { size } else { 0 })
}

/// Wakes up when something changes in the directories of files: a file that does not exist yet
/// cannot be watched itself.
#[derive(Debug)]
pub(crate) struct Changes {
    inotify: Inotify,
    directories: Vec<PathBuf>,
}

impl Changes {
    /// Watches nothing yet.
    pub(crate) fn new() -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        Ok(Self { inotify, directories: Vec::new() })
    }

    /// Also watches the directory of this file.
    pub(crate) fn add(&mut self, file: &Path) -> io::Result<()> {
        let directory = file.parent().unwrap_or(Path::new("/")).to_owned();
        if self.directories.contains(&directory) {
            return Ok(());
        }
        let events = AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_CLOSE_WRITE;
        self.inotify.add_watch(&directory, events)?;
        self.directories.push(directory);
        Ok(())
    }

    /// Takes all pending events; the files say what changed.
    pub(crate) fn clear(&self) {
        // Nothing pending is the usual end of this loop.
        while self.inotify.read_events().is_ok_and(|events| !events.is_empty()) {}
    }

    /// For `poll`.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::Write;

    #[test]
    fn the_last_lines_across_pieces() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let long = "x".repeat(CHUNK);
        fs::write(&path, format!("a\n{long}\nb\nc\n")).unwrap();
        assert_eq!(last_lines(&path, Some(2)).unwrap(), b"b\nc\n");
        assert_eq!(last_lines(&path, Some(3)).unwrap().len(), CHUNK + 5);
        assert_eq!(last_lines(&path, Some(99)).unwrap().len(), CHUNK + 7);
        assert_eq!(last_lines(&path, None).unwrap().len(), CHUNK + 7);
        fs::write(&path, "no end").unwrap();
        assert_eq!(last_lines(&path, Some(1)).unwrap(), b"no end");
    }

    #[test]
    fn a_file_is_followed_through_creation_cutting_and_replacement() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let mut tail = Tail::open(&path, None).unwrap();
        assert_eq!(tail.read().unwrap(), b"");
        fs::write(&path, "one\n").unwrap();
        assert_eq!(tail.read().unwrap(), b"one\n");
        fs::write(&path, "2\n").unwrap();
        assert_eq!(tail.read().unwrap(), b"2\n");
        File::options().append(true).open(&path).unwrap().write_all(b"rest\n").unwrap();
        fs::rename(&path, directory.path().join("log.1")).unwrap();
        fs::write(&path, "new\n").unwrap();
        assert_eq!(tail.read().unwrap(), b"rest\nnew\n");
    }
}
