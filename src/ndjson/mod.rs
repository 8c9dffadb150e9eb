//! Newline-delimited frames: bytes in, frames out.
//!
//! Not for: JSON (that is `rpc`), sockets and deadlines (that is `net`).
//!
//! Invariants:
//! - The decoder never fails, whatever the bytes are.
//! - Any way of cutting the same bytes into chunks gives the same frames.
//! - It holds at most its limit, plus one byte for a CR, plus the chunk that was fed last, as long as the
//!   caller takes all frames before it feeds again. An oversized line is counted, not kept.

#[cfg(test)]
mod tests;

/// Longest request line in bytes, without its LF and an optional CR.
pub const REQUEST_LIMIT: usize = 1_048_576;

/// Longest response or notification line in bytes, with its LF.
pub const RESPONSE_LIMIT: usize = 16_777_216;

/// A buffer larger than this is given back when it has become empty.
const KEEP_CAPACITY: usize = 16 * 1024;

/// The three bytes of a UTF-8 byte order mark, which is dropped at the start of a line.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// One line, or the place where a line was that nobody should have sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A line without its LF, one CR before it and a leading byte order mark. May be empty or blank.
    Line(&'a [u8]),
    /// A line above the limit; its bytes are gone.
    TooLong {
        /// Bytes of the line without its LF and one CR; what was counted so far when the input ended first.
        bytes: u64,
    },
}

/// State of a line that crossed the limit.
#[derive(Debug, Clone, Copy)]
struct Skipped {
    bytes: u64,
    last_is_cr: bool,
}

impl Skipped {
    fn add(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        if let Some(&last) = bytes.last() {
            self.last_is_cr = last == b'\r';
        }
    }

    /// Length of the line as the limit counts it.
    fn length(self) -> u64 {
        self.bytes - u64::from(self.last_is_cr)
    }
}

/// Splits a byte stream into frames.
///
/// Use: [`feed`](Self::feed) a chunk, then [`next_frame`](Self::next_frame) until it gives `None`; at the
/// end of the input [`finish`](Self::finish) once.
#[derive(Debug)]
pub struct Decoder {
    buf: Vec<u8>,
    /// First byte of `buf` that belongs to no frame yet.
    start: usize,
    /// First byte of `buf` that was not searched for an LF yet.
    scanned: usize,
    limit: usize,
    /// Set while the bytes of an oversized line are being dropped. `buf` is empty then.
    skipping: Option<Skipped>,
    /// An oversized line has ended; told before anything in `buf`.
    ended: Option<u64>,
}

impl Decoder {
    /// A decoder for lines of up to `limit` bytes.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { buf: Vec::new(), start: 0, scanned: 0, limit, skipping: None, ended: None }
    }

    /// Takes the next bytes of the stream. All frames should have been taken before.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        if let Some(skipped) = &mut self.skipping {
            let Some(lf) = memchr::memchr(b'\n', bytes) else {
                skipped.add(bytes);
                return;
            };
            skipped.add(&bytes[..lf]);
            self.ended = Some(skipped.length());
            self.skipping = None;
            bytes = &bytes[lf + 1..];
        }
        if self.start > 0 {
            self.buf.drain(..self.start);
            self.scanned -= self.start;
            self.start = 0;
        }
        self.buf.extend_from_slice(bytes);
    }

    /// The next complete frame, in order; `None` when more bytes are needed.
    pub fn next_frame(&mut self) -> Option<Frame<'_>> {
        if let Some(bytes) = self.ended.take() {
            return Some(Frame::TooLong { bytes });
        }
        match memchr::memchr(b'\n', &self.buf[self.scanned..]) {
            Some(distance) => {
                let lf = self.scanned + distance;
                let line = self.start..lf;
                self.start = lf + 1;
                self.scanned = self.start;
                Some(frame(&self.buf[line], self.limit))
            }
            None => {
                self.settle();
                None
            }
        }
    }

    /// After the last byte of the input: what is left without an LF, once.
    /// All complete frames should have been taken before.
    pub fn finish(&mut self) -> Option<Frame<'_>> {
        if let Some(skipped) = self.skipping.take() {
            return Some(Frame::TooLong { bytes: skipped.length() });
        }
        if self.start == self.buf.len() {
            return None;
        }
        let rest = self.start..self.buf.len();
        self.start = self.buf.len();
        self.scanned = self.start;
        Some(frame(&self.buf[rest], self.limit))
    }

    /// Bytes of an oversized line that were dropped so far; `None` when no line is being dropped.
    #[must_use]
    pub fn skipping(&self) -> Option<u64> {
        self.skipping.map(Skipped::length)
    }

    /// Whether a line has begun that has not ended yet. True also for lines that are only waiting to be taken.
    #[must_use]
    pub const fn is_partial(&self) -> bool {
        self.skipping.is_some() || self.ended.is_some() || self.start < self.buf.len()
    }

    /// Whether a complete frame is waiting to be taken.
    #[must_use]
    pub fn has_frame(&self) -> bool {
        self.ended.is_some() || memchr::memchr(b'\n', &self.buf[self.scanned..]).is_some()
    }

    /// Bytes held.
    #[must_use]
    pub const fn buffered(&self) -> usize {
        self.buf.len() - self.start
    }

    /// No LF in what is buffered: decide whether the line is already too long, and give memory back.
    fn settle(&mut self) {
        self.scanned = self.buf.len();
        let rest = &self.buf[self.start..];
        // A CR right behind the limit may still turn out to belong to the line end.
        let too_long =
            rest.len() > self.limit + 1 || (rest.len() > self.limit && rest.last() != Some(&b'\r'));
        if too_long {
            let mut skipped = Skipped { bytes: 0, last_is_cr: false };
            skipped.add(rest);
            self.skipping = Some(skipped);
        }
        if too_long || rest.is_empty() {
            self.start = 0;
            self.scanned = 0;
            if self.buf.capacity() > KEEP_CAPACITY {
                self.buf = Vec::new();
            } else {
                self.buf.clear();
            }
        }
    }
}

/// What one line without its LF is.
fn frame(line: &[u8], limit: usize) -> Frame<'_> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.len() > limit {
        return Frame::TooLong { bytes: line.len() as u64 };
    }
    Frame::Line(line.strip_prefix(BOM).unwrap_or(line))
}
