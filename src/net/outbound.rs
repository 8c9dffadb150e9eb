//! What a connection owes its client: lines in order, written in as few calls as possible.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::Arc;

use super::handle::StreamQueue;

/// Buffers larger than this are given back when they are empty.
const KEEP_CAPACITY: usize = 16 * 1024;

/// Bytes to write, one block, and which of them belong to stream messages.
#[derive(Debug, Default)]
pub(super) struct Outbound {
    buf: Vec<u8>,
    /// Bytes of `buf` that are written.
    written: usize,
    /// Position in the whole output where `buf` begins.
    base: u64,
    /// Where messages of streams end in the whole output, so that their places in the queue become free.
    messages: VecDeque<Message>,
}

/// A message of a stream inside the output.
#[derive(Debug)]
struct Message {
    end: u64,
    bytes: u64,
    queue: Arc<StreamQueue>,
}

impl Outbound {
    /// Adds a line; the LF is ours.
    pub(super) fn line(&mut self, mut line: Vec<u8>) {
        if self.buf.is_empty() && line.len() > KEEP_CAPACITY {
            line.push(b'\n');
            self.buf = line;
        } else {
            self.buf.extend_from_slice(&line);
            self.buf.push(b'\n');
        }
    }

    /// Adds a message of a stream; its place in the queue is free again when its last byte is written.
    pub(super) fn message(&mut self, line: Vec<u8>, queue: Arc<StreamQueue>) {
        let bytes = line.len() as u64;
        self.line(line);
        self.messages.push_back(Message { end: self.base + self.buf.len() as u64, bytes, queue });
    }

    /// Bytes not written yet.
    pub(super) const fn len(&self) -> usize {
        self.buf.len() - self.written
    }

    /// Whether everything is written.
    pub(super) const fn is_empty(&self) -> bool {
        self.buf.is_empty()
    }

    /// Writes as much as the other side takes. `Ok` says how many bytes it took; what is left then has to
    /// wait for the other side.
    pub(super) fn write_to(&mut self, socket: &mut impl Write) -> io::Result<usize> {
        let mut taken = 0;
        while self.written < self.buf.len() {
            match socket.write(&self.buf[self.written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.written += count;
                    taken += count;
                }
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => (),
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => break,
                Err(cause) => return Err(cause),
            }
        }
        self.release();
        Ok(taken)
    }

    fn release(&mut self) {
        let position = self.base + self.written as u64;
        while let Some(message) = self.messages.front()
            && message.end <= position
        {
            message.queue.written(message.bytes);
            self.messages.pop_front();
        }
        if self.written == self.buf.len() {
            self.base = position;
            self.written = 0;
            if self.buf.capacity() > KEEP_CAPACITY {
                self.buf = Vec::new();
            } else {
                self.buf.clear();
            }
        } else if self.written > KEEP_CAPACITY && self.written > self.buf.len() / 2 {
            // Under a slow reader new lines would otherwise pile up behind bytes that are long gone.
            self.buf.drain(..self.written);
            self.base = position;
            self.written = 0;
        }
    }
}
