//! One captured stream: the head goes to the file as it arrives, the end of what is above the
//! cap is kept in memory and added at last, and what lies between is only counted.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use super::record::{OutputCount, create_private};

/// Bytes of the end that are kept when a stream exceeds its cap.
pub const LOG_TAIL: usize = 256 * 1024;

/// The last bytes of a stream.
#[derive(Debug, Default)]
pub(super) struct Tail {
    bytes: VecDeque<u8>,
    /// Bytes that no longer fit.
    pub(super) dropped: u64,
}

impl Tail {
    pub(super) fn push(&mut self, bytes: &[u8], limit: usize) {
        let fresh = &bytes[bytes.len().saturating_sub(limit)..];
        let excess = (self.bytes.len() + fresh.len()).saturating_sub(limit);
        self.dropped += (excess + bytes.len() - fresh.len()) as u64;
        self.bytes.drain(..excess);
        self.bytes.extend(fresh);
    }

    pub(super) fn parts(&self) -> (&[u8], &[u8]) {
        self.bytes.as_slices()
    }
}

/// The file of one stream. Writing never fails: what could not be written is counted.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: Option<File>,
    cap: u64,
    head: u64,
    tail: Tail,
    count: OutputCount,
}

impl LogFile {
    /// The file is created with the first byte.
    pub(super) fn new(path: PathBuf, cap: u64) -> Self {
        Self { path, file: None, cap, head: 0, tail: Tail::default(), count: OutputCount::default() }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.count.bytes += bytes.len() as u64;
        let room = usize::try_from(self.cap - self.head).unwrap_or(usize::MAX).min(bytes.len());
        let (head, rest) = bytes.split_at(room);
        self.head += room as u64;
        self.write(head);
        if !rest.is_empty() {
            self.tail.push(rest, LOG_TAIL);
        }
    }

    /// Adds the kept end, after a line that says what is missing.
    pub(super) fn finish(mut self) -> OutputCount {
        let tail = std::mem::take(&mut self.tail);
        if tail.dropped > 0 {
            self.count.omitted = tail.dropped;
            self.write(omitted_line(tail.dropped).as_bytes());
        }
        let (first, second) = tail.parts();
        self.write(first);
        self.write(second);
        self.count
    }

    fn write(&mut self, mut bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if self.file.is_none() {
            self.file = create_private(&self.path).ok();
        }
        if let Some(file) = &mut self.file {
            while !bytes.is_empty() {
                match file.write(bytes) {
                    Ok(written @ 1..) => bytes = &bytes[written..],
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => (),
                    Ok(0) | Err(_) => break,
                }
            }
        }
        // There may be room again for the next chunk, so this is not the end of the log.
        self.count.lost += bytes.len() as u64;
    }
}

/// The line between head and end.
pub(super) fn omitted_line(bytes: u64) -> String {
    format!("\n[mozart: {bytes} bytes left out]\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn no_byte_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        assert_eq!(LogFile::new(path.clone(), 10).finish(), OutputCount::default());
        assert!(!path.exists());
    }

    #[test]
    fn a_log_that_cannot_be_written_is_counted_and_nothing_else() {
        let mut log = LogFile::new(PathBuf::from("/nonexistent/log"), 100);
        log.push(b"hello");
        assert_eq!(log.finish(), OutputCount { bytes: 5, omitted: 0, lost: 5 });
    }

    #[test]
    fn head_and_end_stay_and_the_middle_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = LogFile::new(path.clone(), 10);
        let data: Vec<u8> = (0..LOG_TAIL + 1000).map(|at| b'a' + u8::try_from(at % 26).unwrap()).collect();
        for chunk in data.chunks(777) {
            log.push(chunk);
        }
        assert_eq!(log.finish(), OutputCount { bytes: data.len() as u64, omitted: 990, lost: 0 });
        let text = std::fs::read(&path).unwrap();
        let line = omitted_line(990);
        assert_eq!(text[..10], data[..10]);
        assert_eq!(text[10..10 + line.len()], *line.as_bytes());
        assert_eq!(text[10 + line.len()..], data[data.len() - LOG_TAIL..]);
    }

    proptest! {
        #[test]
        fn a_tail_is_the_end_of_what_was_pushed(chunks: Vec<Vec<u8>>, limit in 1usize..50) {
            let mut tail = Tail::default();
            for chunk in &chunks {
                tail.push(chunk, limit);
            }
            let all = chunks.concat();
            let expected = &all[all.len().saturating_sub(limit)..];
            let (first, second) = tail.parts();
            prop_assert_eq!([first, second].concat(), expected);
            prop_assert_eq!(tail.dropped as usize, all.len() - expected.len());
        }
    }
}
