//! Lines out of a stream that comes in pieces, the longest of them bounded.

/// Longer lines of a jsonl stream are not parsed.
const MAX_LINE: usize = 1024 * 1024;

/// Splits pieces of a stream into lines. Holds at most [`MAX_LINE`] bytes.
#[derive(Debug, Default)]
pub(super) struct Lines {
    kept: Vec<u8>,
    too_long: bool,
    /// Lines that were too long.
    pub(super) dropped: u64,
}

impl Lines {
    /// Takes the next piece and calls `line` for every line that ends in it.
    pub(super) fn feed(&mut self, mut piece: &[u8], mut line: impl FnMut(&[u8])) {
        while let Some(end) = memchr::memchr(b'\n', piece) {
            self.keep(&piece[..end]);
            self.end(&mut line);
            piece = &piece[end + 1..];
        }
        self.keep(piece);
    }

    /// The stream is over: what is left is a line too.
    pub(super) fn finish(&mut self, mut line: impl FnMut(&[u8])) {
        if self.too_long || !self.kept.is_empty() {
            self.end(&mut line);
        }
    }

    fn keep(&mut self, part: &[u8]) {
        if self.kept.len() + part.len() > MAX_LINE {
            self.too_long = true;
            self.kept = Vec::new();
        }
        if !self.too_long {
            self.kept.extend_from_slice(part);
        }
    }

    fn end(&mut self, line: &mut impl FnMut(&[u8])) {
        if self.too_long {
            self.dropped += 1;
        } else {
            line(&self.kept);
        }
        self.kept.clear();
        self.too_long = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_do_not_change_the_lines() {
        let mut text = b"one\n\n".to_vec();
        text.extend(vec![b'x'; MAX_LINE + 1]);
        text.extend(b"\nlast");
        for size in [1000, 65_536, text.len()] {
            let (mut lines, mut found) = (Lines::default(), Vec::new());
            for piece in text.chunks(size) {
                lines.feed(piece, |line| found.push(line.to_vec()));
            }
            lines.finish(|line| found.push(line.to_vec()));
            assert_eq!(found, [b"one".to_vec(), Vec::new(), b"last".to_vec()]);
            assert_eq!(lines.dropped, 1);
        }
    }
}
