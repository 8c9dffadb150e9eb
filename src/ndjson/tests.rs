#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Owned {
    Line(Vec<u8>),
    TooLong(u64),
}

fn own(frame: Frame<'_>) -> Owned {
    match frame {
        Frame::Line(line) => Owned::Line(line.to_vec()),
        Frame::TooLong { bytes } => Owned::TooLong(bytes),
    }
}

fn decode<'a>(limit: usize, chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Owned> {
    let mut decoder = Decoder::new(limit);
    let mut frames = Vec::new();
    for chunk in chunks {
        decoder.feed(chunk);
        assert!(decoder.buffered() <= limit + 1 + chunk.len());
        while let Some(frame) = decoder.next_frame() {
            frames.push(own(frame));
        }
        assert!(decoder.buffered() <= limit + 1);
    }
    frames.extend(decoder.finish().map(own));
    assert_eq!(decoder.finish(), None);
    frames
}

fn check(input: &str, expected: &[&str]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|text| match text.strip_prefix("too long ") {
            Some(count) => Owned::TooLong(count.parse().unwrap()),
            None => Owned::Line(text.as_bytes().to_vec()),
        })
        .collect();
    assert_eq!(decode(8, [input.as_bytes()]), expected, "{input:?} as one block");
    assert_eq!(decode(8, input.as_bytes().chunks(1)), expected, "{input:?} byte by byte");
}

#[test]
fn lines_end_with_lf_and_lose_cr_and_byte_order_mark() {
    check("", &[]);
    check("a\n", &["a"]);
    check("a\nb\n", &["a", "b"]);
    check("a\r\n\r\n", &["a", ""]);
    check("a\r\r\n", &["a\r"]);
    check("\n\n", &["", ""]);
    check(" \t\n", &[" \t"]);
    check("\u{feff}a\n\u{feff}\u{feff}\n", &["a", "\u{feff}"]);
}

#[test]
fn the_last_line_needs_no_lf() {
    check("a", &["a"]);
    check("a\nb", &["a", "b"]);
    check("a\r", &["a"]);
    check("12345678\r", &["12345678"]);
}

#[test]
fn the_limit_is_without_line_end() {
    check("12345678\n", &["12345678"]);
    check("12345678\r\n", &["12345678"]);
    check("123456789\n", &["too long 9"]);
    check("123456789\r\n", &["too long 9"]);
    check("12345678\r\r\n", &["too long 9"]);
    check("12345678\rx\n", &["too long 10"]);
    check("123456789", &["too long 9"]);
    check("1234567890123\na\n", &["too long 13", "a"]);
    check("a\n1234567890123\n\nb", &["a", "too long 13", "", "b"]);
}

#[test]
fn an_oversized_line_is_counted_and_not_kept() {
    let mut decoder = Decoder::new(REQUEST_LIMIT);
    let chunk = vec![b'x'; 64 * 1024];
    for fed in 1..=64u64 {
        decoder.feed(&chunk);
        assert_eq!(decoder.next_frame(), None);
        if fed > 16 {
            assert_eq!(decoder.skipping(), Some(fed * 64 * 1024));
            assert_eq!(decoder.buffered(), 0);
        }
    }
    decoder.feed(b"y\r\n{}\n");
    assert_eq!(decoder.next_frame(), Some(Frame::TooLong { bytes: 64 * 64 * 1024 + 1 }));
    assert_eq!(decoder.next_frame(), Some(Frame::Line(b"{}")));
    assert!(!decoder.is_partial());
}

/// Bytes that are rich in what matters here.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => Just(b"\n".to_vec()),
        2 => Just(b"\r".to_vec()),
        1 => Just(BOM.to_vec()),
        4 => proptest::collection::vec(any::<u8>(), 0..12),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn cutting_does_not_change_frames(
        input in stream(),
        cuts in proptest::collection::vec(0usize..160, 0..6),
        limit in 1usize..20,
    ) {
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(input.len())).collect();
        cuts.sort_unstable();
        let mut chunks = Vec::new();
        let mut from = 0;
        for cut in cuts {
            chunks.push(&input[from..cut]);
            from = cut;
        }
        chunks.push(&input[from..]);
        prop_assert_eq!(decode(limit, chunks), decode(limit, [&input[..]]));
    }

    #[test]
    fn every_lf_ends_one_frame(input in stream()) {
        let ends = input.iter().filter(|&&byte| byte == b'\n').count();
        let rest = usize::from(!input.is_empty() && !input.ends_with(b"\n"));
        prop_assert_eq!(decode(5, [&input[..]]).len(), ends + rest);
    }
}
