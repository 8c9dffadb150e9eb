//! `sheet.output`: what the programs of sheets print, for streams that asked for it.
//!
//! The output of an attempt is in files; nobody reads them unless somebody listens. While somebody
//! does, a timer sends an errand to the side lane that reads what was appended and comes back with
//! it. Lines are kept whole where that is possible, so that credentials in them are recognised and
//! replaced; bytes that are not UTF-8 are shown as U+FFFD.
//!
//! Invariants:
//! - At most one errand is out, and it reads at most [`READ_AT_ONCE`] bytes of each stream.
//! - What an attempt has printed before its end reaches a listener before the listener's stream ends.
//! - Output never displaces other events: it only takes half of a stream's queue, and what waits
//!   longer than [`super::watch::BACKLOG`] pieces loses its oldest one.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use crate::exec::{JobEvent, JobStatus};
use crate::executor;
use crate::ids::{AttemptKey, JobId};
use crate::time::Now;
use crate::util::redact::redact;

use super::core::{Core, Timer};
use super::side::Errand;
use super::watch::Watchers;

/// Between two looks at what was printed.
const INTERVAL: Duration = Duration::from_millis(200);
/// Most bytes of a stream that are read at once.
const READ_AT_ONCE: u64 = 256 * 1024;
/// A listener that is further behind gets the end only.
const MOST_BEHIND: u64 = 1024 * 1024;
/// Most bytes of one event's text before redaction.
const PIECE: usize = 16 * 1024;
/// An unfinished line is kept back up to this length, for one look.
const HELD_BACK: usize = 8 * 1024;

/// The output of one attempt, as far as it was read.
#[derive(Debug)]
pub(crate) struct Follow {
    key: AttemptKey,
    /// The attempt is over: this is the last look.
    last: bool,
    streams: [Reading; 2],
}

/// One of its streams.
#[derive(Debug)]
struct Reading {
    name: &'static str,
    path: PathBuf,
    file: Option<File>,
    offset: u64,
    /// Read, but not told yet: the beginning of a line.
    held: Vec<u8>,
}

/// What an errand brings back of one attempt.
#[derive(Debug)]
pub(crate) struct Heard {
    follow: Follow,
    pieces: Vec<Piece>,
}

/// A piece of output.
#[derive(Debug, PartialEq, Eq)]
struct Piece {
    stream: &'static str,
    text: String,
    /// Bytes before it that nobody was told, because the listener was too far behind.
    skipped: u64,
}

/// Whose output is followed.
#[derive(Default)]
pub(crate) struct Listening {
    follows: HashMap<AttemptKey, Follow>,
    out: bool,
    armed: bool,
    /// Jobs that are over while their last output is still on its way.
    closing: HashMap<JobId, (Watchers, JobStatus)>,
}

impl Listening {
    /// An attempt is handed out: whoever listens hears it from its first byte.
    pub(super) fn begun(&mut self, wanted: bool, key: &AttemptKey) {
        if wanted {
            self.follows.insert(key.clone(), Follow::new(key, [0; 2]));
        }
    }
}

impl Follow {
    /// From these offsets on. Its files are named when they are looked at first.
    fn new(key: &AttemptKey, [stdout, stderr]: [u64; 2]) -> Self {
        let reading =
            |name, offset| Reading { name, path: PathBuf::new(), file: None, offset, held: Vec::new() };
        let streams = [reading("stdout", stdout), reading("stderr", stderr)];
        Self { key: key.clone(), last: false, streams }
    }

    /// Reads what was appended. Runs on the side lane.
    fn look(mut self) -> Heard {
        let mut pieces = Vec::new();
        for stream in &mut self.streams {
            if let Err(error) = stream.look(self.last, &mut pieces) {
                let path = stream.path.display().to_string();
                log::debug!("output.unreadable path={path:?} error={:?}", error.to_string());
            }
        }
        Heard { follow: self, pieces }
    }
}

/// Reads what was appended to each. Runs on the side lane.
pub(crate) fn look(follows: Vec<Follow>) -> Vec<Heard> {
    follows.into_iter().map(Follow::look).collect()
}

impl Reading {
    fn look(&mut self, last: bool, pieces: &mut Vec<Piece>) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => match crate::file::open(&self.path) {
                Ok(file) => self.file.insert(file),
                // Made with its first byte.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(error),
            },
        };
        let length = file.metadata()?.len();
        let mut skipped = 0;
        // A file that was shortened holds the same output with its middle left out.
        if length < self.offset {
            self.offset = length;
        }
        let behind = length - self.offset;
        if behind > MOST_BEHIND {
            skipped = behind - READ_AT_ONCE;
            self.offset += skipped;
            skipped += self.held.len() as u64;
            self.held.clear();
        }
        file.seek(SeekFrom::Start(self.offset))?;
        let most = if last { MOST_BEHIND } else { READ_AT_ONCE };
        let before = self.held.len();
        file.take(most).read_to_end(&mut self.held)?;
        let read = self.held.len() - before;
        self.offset += read as u64;
        let lines = memchr::memrchr(b'\n', &self.held).map_or(0, |at| at + 1);
        let end = if last {
            self.held.len()
        } else if read == 0 || self.held.len() - lines > HELD_BACK {
            // A line that is not finished soon is a prompt, or progress on one line.
            whole_characters(&self.held)
        } else {
            lines
        };
        self.tell(end, skipped, pieces);
        Ok(())
    }

    /// Makes pieces of the first `end` bytes that are held.
    fn tell(&mut self, end: usize, mut skipped: u64, pieces: &mut Vec<Piece>) {
        let text = String::from_utf8_lossy(&self.held[..end]);
        let mut rest = &*text;
        while !rest.is_empty() {
            let cut = if rest.len() <= PIECE { rest.len() } else { good_cut(rest) };
            let (piece, more) = rest.split_at(cut);
            pieces.push(Piece {
                stream: self.name,
                text: redact(piece),
                skipped: std::mem::take(&mut skipped),
            });
            rest = more;
        }
        self.held.drain(..end);
    }
}

/// Length without an unfinished character at the end.
fn whole_characters(bytes: &[u8]) -> usize {
    let tail = bytes.len().saturating_sub(3);
    for at in (tail..bytes.len()).rev() {
        let needs = match bytes[at] {
            0xC0..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF7 => 4,
            0x80..=0xBF => continue,
            _ => 1,
        };
        return if at + needs > bytes.len() { at } else { bytes.len() };
    }
    bytes.len()
}

/// Where a long text is cut: after a line if there is one in its second half, else between characters.
fn good_cut(text: &str) -> usize {
    let mut cut = PIECE;
    while !text.is_char_boundary(cut) {
        cut -= 1;
    }
    match text[..cut].rfind('\n') {
        Some(line) if line >= PIECE / 2 => line + 1,
        Some(_) | None => cut,
    }
}

impl Core {
    /// Somebody begins to listen to a job: from what was printed when it asked, or from the beginning
    /// of what runs.
    pub(super) fn listen(&mut self, now: Now, id: &JobId, printed: &[(AttemptKey, [u64; 2])]) {
        let Some(live) = self.jobs.get(id) else { return };
        for attempt in live.running.keys() {
            let Some(sheet) = live.sheet_of(*attempt) else { continue };
            let key = AttemptKey { job: id.clone(), sheet, attempt: *attempt };
            let offsets =
                printed.iter().find(|(other, _)| *other == key).map_or([0; 2], |(_, offsets)| *offsets);
            self.listening.follows.entry(key).or_insert_with_key(|key| Follow::new(key, offsets));
        }
        self.arm_output(now, INTERVAL);
    }

    fn arm_output(&mut self, now: Now, after: Duration) {
        if !self.listening.armed {
            self.listening.armed = true;
            self.arm(now.mono.after(after), Timer::Output);
        }
    }

    /// The timer: sends an errand for what is followed, and stops when nobody listens any more.
    pub(super) fn read_output(&mut self, now: Now) {
        self.listening.armed = false;
        let listened = self.jobs.values().any(|live| live.watchers.listen());
        if !listened && self.listening.closing.is_empty() {
            self.listening.follows.clear();
            return;
        }
        for live in self.jobs.values_mut() {
            live.watchers.push_output();
        }
        self.arm_output(now, INTERVAL);
        if self.listening.out {
            return;
        }
        let mut follows = Vec::new();
        for (key, mut follow) in self.listening.follows.drain() {
            let live = self.jobs.get(&key.job);
            let wanted =
                live.map(|live| &live.watchers).or(self.listening.closing.get(&key.job).map(|it| &it.0));
            if !wanted.is_some_and(Watchers::listen) {
                continue;
            }
            follow.last = live.is_none_or(|live| !live.running.contains_key(&key.attempt));
            follow.place(&self.state_dir);
            follows.push(follow);
        }
        if follows.is_empty() {
            return self.close_listened();
        }
        self.listening.out = true;
        if let Err((Errand::Listen(follows), _)) = self.side.submit(Errand::Listen(follows)) {
            // The lane is full: the next look is for the same attempts.
            self.listening.out = false;
            self.listening.follows.extend(follows.into_iter().map(|follow| (follow.key.clone(), follow)));
        }
    }

    /// An errand is back.
    pub(super) fn printed(&mut self, now: Now, heard: Vec<Heard>) {
        self.listening.out = false;
        for Heard { follow, pieces } in heard {
            let watchers = match self.jobs.get_mut(&follow.key.job) {
                Some(live) => Some(&mut live.watchers),
                None => self.listening.closing.get_mut(&follow.key.job).map(|(watchers, _)| watchers),
            };
            let Some(watchers) = watchers else { continue };
            for piece in pieces {
                let mut data = json!({
                    "attempt": follow.key.attempt, "stream": piece.stream, "text": piece.text,
                });
                if piece.skipped > 0 {
                    data["skipped_bytes"] = piece.skipped.into();
                }
                let event = JobEvent::of_sheet("sheet.output", follow.key.sheet, data);
                self.audience.publish_output(now, &follow.key.job, event, watchers);
            }
            watchers.push_output();
            if !follow.last {
                self.listening.follows.insert(follow.key.clone(), follow);
            }
        }
        self.close_listened();
    }

    /// A job is over: streams that listen end after its last output, the others now.
    pub(super) fn end_watchers(&mut self, now: Now, id: &JobId, mut watchers: Watchers, status: JobStatus) {
        let rest = self.listening.follows.keys().any(|key| key.job == *id) || self.listening.out;
        if !watchers.listen() || !rest {
            return watchers.end_all(status);
        }
        watchers.end_silent(status);
        self.listening.closing.insert(id.clone(), (watchers, status));
        self.timers.retain(|(_, timer)| *timer != Timer::Output);
        self.listening.armed = false;
        self.arm_output(now, Duration::ZERO);
    }

    /// Ends the streams of jobs of which nothing is followed any more.
    fn close_listened(&mut self) {
        let Listening { follows, closing, .. } = &mut self.listening;
        closing.retain(|id, (watchers, status)| {
            let open = follows.keys().any(|key| key.job == *id);
            if !open {
                watchers.end_all(*status);
            }
            open
        });
    }

    /// The conductor stops: what is still on its way stays in the files.
    pub(super) fn stop_listening(&mut self) {
        for (_, (mut watchers, status)) in self.listening.closing.drain() {
            watchers.end_all(status);
        }
    }
}

impl Follow {
    /// Names the files of an attempt that was not handed out yet when somebody began to listen.
    fn place(&mut self, state_dir: &std::path::Path) {
        if self.streams[0].file.is_none() {
            let dir = executor::dir(state_dir, &self.key);
            self.streams[0].path = executor::stdout_log(&dir);
            self.streams[1].path = executor::stderr_log(&dir);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Write as _;

    use super::*;

    fn reading(path: PathBuf) -> Reading {
        Reading { name: "stdout", path, file: None, offset: 0, held: Vec::new() }
    }

    fn texts(pieces: &[Piece]) -> Vec<&str> {
        pieces.iter().map(|piece| piece.text.as_str()).collect()
    }

    #[test]
    fn lines_stay_whole_and_characters_always() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stdout.log");
        let mut reading = reading(path.clone());
        let mut pieces = Vec::new();
        reading.look(false, &mut pieces).unwrap();
        assert!(pieces.is_empty(), "there is no file yet");
        let mut file = File::create(&path).unwrap();
        file.write_all("one\ntwo \u{e9}".as_bytes()).unwrap();
        reading.look(false, &mut pieces).unwrap();
        assert_eq!(texts(&pieces), ["one\n"]);
        // Nothing followed: a prompt without a line end is shown, but half a character is not.
        file.write_all(&[0xE2, 0x82]).unwrap();
        reading.look(false, &mut pieces).unwrap();
        reading.look(false, &mut pieces).unwrap();
        file.write_all(b"\xACx\xFF\n").unwrap();
        reading.look(true, &mut pieces).unwrap();
        assert_eq!(texts(&pieces).concat(), "one\ntwo \u{e9}\u{20ac}x\u{fffd}\n");
    }

    #[test]
    fn who_is_far_behind_gets_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stdout.log");
        std::fs::write(&path, vec![b'x'; 3 << 20]).unwrap();
        let mut reading = reading(path);
        let mut pieces = Vec::new();
        reading.look(true, &mut pieces).unwrap();
        let total: usize = pieces.iter().map(|piece| piece.text.len()).sum();
        assert_eq!(pieces[0].skipped + total as u64, 3 << 20);
        assert!(pieces.iter().all(|piece| piece.text.len() <= PIECE));
        assert!(pieces[1..].iter().all(|piece| piece.skipped == 0));
    }

    #[test]
    fn credentials_are_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stdout.log");
        std::fs::write(&path, "key sk-ant-api03-abcdefghijklmnopqrstuvwxyz0123456789ABCD\n").unwrap();
        let mut pieces = Vec::new();
        reading(path).look(true, &mut pieces).unwrap();
        assert!(!pieces[0].text.contains("abcdefghijklmnop"), "{pieces:?}");
    }

    #[test]
    fn an_unfinished_character_is_found() {
        assert_eq!(whole_characters(b"abc"), 3);
        assert_eq!(whole_characters("a\u{20ac}".as_bytes()), 4);
        assert_eq!(whole_characters(&"a\u{20ac}".as_bytes()[..3]), 1);
        assert_eq!(whole_characters(b"\x80\x80\x80\x80"), 4, "what never was UTF-8 is not waited for");
        assert_eq!(whole_characters(b""), 0);
    }
}
