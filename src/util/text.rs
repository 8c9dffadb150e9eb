//! Cutting, cleaning, quoting and wording of text. Never cuts inside a character.

use std::time::Duration;

/// The last `max` bytes as text: starts at a character, invalid bytes become U+FFFD, NUL is left out.
/// The result has at most `max` bytes.
#[must_use]
pub fn tail(bytes: &[u8], max: usize) -> String {
    let mut start = bytes.len().saturating_sub(max);
    let limit = (start + 3).min(bytes.len());
    while start > 0 && start < limit && bytes[start] & 0xC0 == 0x80 {
        start += 1;
    }
    let text = String::from_utf8_lossy(&bytes[start..]);
    let text = if text.contains('\0') { text.replace('\0', "") } else { text.into_owned() };
    match text.len() {
        len if len <= max => text,
        // Replacement characters are longer than what they replace.
        len => text[ceil_boundary(&text, len - max)..].to_owned(),
    }
}

fn ceil_boundary(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at += 1;
    }
    at
}

/// The first `max` characters.
#[must_use]
pub fn head_chars(text: &str, max: usize) -> &str {
    text.char_indices().nth(max).map_or(text, |(at, _)| &text[..at])
}

/// The last `max` characters.
#[must_use]
pub fn tail_chars(text: &str, max: usize) -> &str {
    if max == 0 {
        return "";
    }
    text.char_indices().rev().nth(max - 1).map_or(text, |(at, _)| &text[at..])
}

/// At most `max` characters; a longer text ends in `...`, which counts.
#[must_use]
pub fn cut(text: &str, max: usize) -> String {
    if head_chars(text, max).len() == text.len() {
        return text.to_owned();
    }
    format!("{}{}", head_chars(text, max.saturating_sub(3)), &"..."[..max.min(3)])
}

/// At most `max` bytes, ending at a character.
#[must_use]
pub fn head_bytes(text: &str, max: usize) -> &str {
    let mut end = max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The first line that is not blank, without terminal controls, at most `max` characters.
#[must_use]
pub fn first_line(text: &str, max: usize) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    cut(strip_controls(line).trim(), max)
}

/// Without terminal sequences (colours, titles) and control characters; newlines and tabs stay.
#[must_use]
pub fn strip_controls(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_sequence(&mut chars),
            '\n' | '\t' => out.push(c),
            c if c.is_control() => (),
            c => out.push(c),
        }
    }
    out
}

/// After ESC: `[` up to a final byte, `]` and its kin up to BEL or ESC `\`, else one character.
fn skip_sequence(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match chars.next() {
        Some('[') => {
            for c in chars.by_ref() {
                if ('\u{40}'..='\u{7e}').contains(&c) {
                    break;
                }
            }
        }
        Some(']' | 'P' | '_' | '^' | 'X') => {
            while let Some(c) = chars.next() {
                if c == '\u{7}' || (c == '\u{1b}' && chars.next_if_eq(&'\\').is_some()) {
                    break;
                }
            }
        }
        Some('(' | ')' | '#' | ' ') => _ = chars.next(),
        _ => (),
    }
}

/// Quoted so that a POSIX shell reads it as one word; plain words stay as they are.
#[must_use]
pub fn shell_quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// How long something took: `5.2s`, `3m 12s`, `1h 30m`, `6d 12h`.
#[must_use]
pub fn human_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{}.{}s", seconds, duration.subsec_millis() / 100),
        60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h {}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// How long a conductor has run: `2h 15m 30s`; from one day on `1d 2h 15m`.
#[must_use]
pub fn human_uptime(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (hours, minutes) = (seconds % 86_400 / 3600, seconds % 3600 / 60);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{minutes}m {}s", seconds % 60),
        3600..86_400 => format!("{hours}h {minutes}m {}s", seconds % 60),
        _ => format!("{}d {hours}h {minutes}m", seconds / 86_400),
    }
}

/// A wait in whole seconds without zero parts: `2m 30s`, `45s`, `1h 5m`.
#[must_use]
pub fn human_wait(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let parts: Vec<String> = [(seconds / 3600, 'h'), (seconds % 3600 / 60, 'm'), (seconds % 60, 's')]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect();
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}

/// How long ago: `just now`, `45s ago`, `5m ago`, `3h 15m ago`, `6d 12h ago`.
#[must_use]
pub fn human_ago(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    match seconds {
        0..5 => "just now".to_owned(),
        5..60 => format!("{seconds}s ago"),
        60..3600 => format!("{}m ago", seconds / 60),
        _ => format!("{} ago", human_duration(elapsed)),
    }
}

/// Bytes in steps of 1024: `128B`, `1.5KB`, `2.3MB`.
#[must_use]
pub fn human_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KB", "MB", "GB", "TB", "PB"];
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1}{}", UNITS[unit])
}

/// Reads `30s`, `5m`, `1h`, `2h30m`, `1d`; a bare number is seconds. `None` when it is none of these.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let mut total: u64 = 0;
    let mut number: Option<u64> = None;
    let mut last_unit = u64::MAX;
    for c in text.chars().filter(|c| *c != ' ') {
        if let Some(digit) = c.to_digit(10) {
            number = Some(number.unwrap_or(0).checked_mul(10)?.checked_add(u64::from(digit))?);
            continue;
        }
        let unit = match c {
            'd' => 86_400,
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        if unit >= last_unit {
            return None;
        }
        last_unit = unit;
        total = total.checked_add(number.take()?.checked_mul(unit)?)?;
    }
    (number.is_none() && last_unit != u64::MAX).then(|| Duration::from_secs(total))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_tail_begins_at_a_character() {
        assert_eq!(tail("aé".as_bytes(), 1), "");
        assert_eq!(tail("aéb".as_bytes(), 3), "éb");
        assert_eq!(tail(b"a\0b", 9), "ab");
        assert_eq!(tail(b"\xff\xff", 9), "\u{fffd}\u{fffd}");
        assert_eq!(tail(b"\xff\xff", 2), "");
    }

    #[test]
    fn cutting_counts_characters() {
        assert_eq!(head_chars("äöü", 2), "äö");
        assert_eq!(tail_chars("äöü", 2), "öü");
        assert_eq!(tail_chars("äöü", 0), "");
        assert_eq!(cut("abcdef", 5), "ab...");
        assert_eq!(cut("abcde", 5), "abcde");
        assert_eq!(head_bytes("aé", 2), "a");
    }

    #[test]
    fn terminal_sequences_go_and_words_stay() {
        assert_eq!(
            strip_controls("\u{1b}[1;31mred\u{1b}[0m\r\n\u{1b}]0;title\u{7}x\u{1b}]8;;u\u{1b}\\y"),
            "red\nxy"
        );
        assert_eq!(first_line("\n  \u{1b}[31mError:\u{1b}[0m no\nmore", 80), "Error: no");
    }

    #[test]
    fn shell_words() {
        assert_eq!(shell_quote("/a/b-c.txt"), "/a/b-c.txt");
        assert_eq!(shell_quote("a b"), "'a b'");
        assert_eq!(shell_quote("it's"), r"'it'\''s'");
        assert_eq!(shell_quote(""), "''");
    }

    #[test]
    fn times_as_people_write_them() {
        let s = Duration::from_secs;
        assert_eq!(human_duration(Duration::from_millis(5_250)), "5.2s");
        assert_eq!(human_duration(s(192)), "3m 12s");
        assert_eq!(human_duration(s(5_400)), "1h 30m");
        assert_eq!(human_duration(s(6 * 86_400 + 12 * 3600)), "6d 12h");
        assert_eq!(human_uptime(s(8_130)), "2h 15m 30s");
        assert_eq!(human_uptime(s(86_400 + 8_130)), "1d 2h 15m");
        assert_eq!(human_wait(s(150)), "2m 30s");
        assert_eq!(human_wait(s(3_900)), "1h 5m");
        assert_eq!(human_ago(s(1)), "just now");
        assert_eq!(human_ago(s(45)), "45s ago");
        assert_eq!(human_ago(s(11_700)), "3h 15m ago");
        assert_eq!(human_bytes(128), "128B");
        assert_eq!(human_bytes(1536), "1.5KB");
        assert_eq!(human_bytes(2_411_725), "2.3MB");
    }

    #[test]
    fn durations_that_people_type() {
        for (text, seconds) in
            [("30s", 30), ("5m", 300), ("2h30m", 9000), ("1h30m15s", 5415), ("90", 90), ("1h 5m", 3900)]
        {
            assert_eq!(parse_duration(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "x", "5x", "m5", "5m5m", "1m2", "-5", "99999999999999999999d"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn tails_never_exceed_their_size(bytes: Vec<u8>, max in 0usize..40) {
            prop_assert!(tail(&bytes, max).len() <= max);
        }

        #[test]
        fn stripping_controls_is_total(text: String) {
            let escape = '\u{1b}';
            let found = strip_controls(&text).contains(escape);
            prop_assert!(!found);
        }
    }
}
