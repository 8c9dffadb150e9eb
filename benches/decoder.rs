//! Bytes to frames: `cargo bench --bench decoder`.

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use mozart::ndjson::{Decoder, Frame, REQUEST_LIMIT};
use mozart::rpc::Incoming;

const REQUEST: &[u8] = b"{\"jsonrpc\":\"2.0\",\"method\":\"daemon.health\",\"params\":null,\"id\":12345}\n";

fn main() {
    divan::main();
}

/// Frames in what was fed.
fn drain(decoder: &mut Decoder) -> usize {
    let mut bytes = 0;
    while let Some(frame) = decoder.next_frame() {
        bytes += match frame {
            Frame::Line(line) => line.len(),
            Frame::TooLong { .. } => 1,
        };
    }
    bytes
}

/// One request that arrives in one piece, as almost all do.
#[divan::bench]
fn one_request(bencher: Bencher) {
    let mut decoder = Decoder::new(REQUEST_LIMIT);
    bencher.counter(BytesCount::new(REQUEST.len())).bench_local(|| {
        decoder.feed(black_box(REQUEST));
        drain(&mut decoder)
    });
}

/// The same, and what it says.
#[divan::bench]
fn one_request_parsed(bencher: Bencher) {
    let mut decoder = Decoder::new(REQUEST_LIMIT);
    bencher.counter(BytesCount::new(REQUEST.len())).bench_local(|| {
        decoder.feed(black_box(REQUEST));
        match decoder.next_frame() {
            Some(Frame::Line(line)) => Some(Incoming::parse(line)),
            Some(Frame::TooLong { .. }) | None => None,
        }
    });
}

/// Many requests sent ahead, in chunks of one read.
#[divan::bench]
fn pipelined_requests(bencher: Bencher) {
    let stream = REQUEST.repeat(1_000);
    bencher.counter(BytesCount::new(stream.len())).bench(|| {
        let mut decoder = Decoder::new(REQUEST_LIMIT);
        stream.chunks(65_536).map(|chunk| feed(&mut decoder, chunk)).sum::<usize>()
    });
}

/// The worst cut: one byte at a time must not look at old bytes again.
#[divan::bench(args = [1_000, 10_000, 100_000])]
fn one_long_line_byte_by_byte(bencher: Bencher, len: usize) {
    let mut line = vec![b'x'; len];
    line.push(b'\n');
    bencher.counter(BytesCount::new(line.len())).bench(|| {
        let mut decoder = Decoder::new(REQUEST_LIMIT);
        line.chunks(1).map(|chunk| feed(&mut decoder, chunk)).sum::<usize>()
    });
}

/// Ten times the limit without an LF: counted, not kept.
#[divan::bench]
fn oversized_line(bencher: Bencher) {
    let chunk = vec![b'x'; 65_536];
    let chunks = 10 * REQUEST_LIMIT / chunk.len();
    bencher.counter(BytesCount::new(chunks * chunk.len())).bench(|| {
        let mut decoder = Decoder::new(REQUEST_LIMIT);
        (0..chunks).map(|_| feed(&mut decoder, &chunk)).sum::<usize>() + feed(&mut decoder, b"\n")
    });
}

fn feed(decoder: &mut Decoder, chunk: &[u8]) -> usize {
    decoder.feed(chunk);
    drain(decoder)
}
