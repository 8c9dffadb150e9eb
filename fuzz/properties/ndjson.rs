//! Framing: whatever the bytes are and however they are cut, the frames are the same, they are what
//! splitting the whole input at once would give, and memory stays bounded.

use mozart::ndjson::{Decoder, Frame};

/// The first byte chooses the limit, the second the sizes of the chunks; the rest is the stream.
pub(crate) fn check(bytes: &[u8]) {
    let [limit, cut, stream @ ..] = bytes else { return };
    let limit = usize::from(*limit);
    let expected = split(stream, limit);
    assert_eq!(decode(stream, limit, |_| stream.len()), expected, "in one piece");
    assert_eq!(decode(stream, limit, |_| 1), expected, "byte by byte");
    let mut state = u32::from(*cut);
    // Any sequence of sizes will do, as long as it follows from the input.
    let sizes = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        usize::try_from(state >> 27).unwrap_or(0)
    };
    assert_eq!(decode(stream, limit, sizes), expected, "in pieces");
}

/// A frame that does not borrow.
#[derive(Debug, PartialEq)]
enum Owned {
    Line(Vec<u8>),
    TooLong(u64),
}

impl From<Frame<'_>> for Owned {
    fn from(frame: Frame<'_>) -> Self {
        match frame {
            Frame::Line(line) => Self::Line(line.to_vec()),
            Frame::TooLong { bytes } => Self::TooLong(bytes),
        }
    }
}

fn decode(mut stream: &[u8], limit: usize, mut size: impl FnMut(usize) -> usize) -> Vec<Owned> {
    let mut decoder = Decoder::new(limit);
    let mut frames = Vec::new();
    let mut turn = 0;
    while !stream.is_empty() {
        turn += 1;
        let (chunk, rest) = stream.split_at(size(turn).clamp(1, stream.len()));
        decoder.feed(chunk);
        assert!(decoder.buffered() <= limit + 1 + chunk.len(), "{} bytes are held", decoder.buffered());
        while let Some(frame) = decoder.next_frame() {
            frames.push(frame.into());
        }
        assert!(decoder.buffered() <= limit + 1, "{} bytes are kept", decoder.buffered());
        stream = rest;
    }
    frames.extend(decoder.finish().map(Owned::from));
    assert!(!decoder.is_partial(), "something is left after the end");
    frames
}

/// What the frames must be, said in the plainest way.
fn split(stream: &[u8], limit: usize) -> Vec<Owned> {
    let mut lines: Vec<&[u8]> = stream.split(|&byte| byte == b'\n').collect();
    if lines.last().is_some_and(|line| line.is_empty()) {
        lines.pop();
    }
    let frame = |line: &[u8]| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.len() > limit {
            return Owned::TooLong(line.len() as u64);
        }
        Owned::Line(line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).to_vec())
    };
    lines.into_iter().map(frame).collect()
}
