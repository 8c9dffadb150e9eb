//! Times, sizes and names as the command line prints them. Pure functions of their arguments.

use std::time::Duration;

use serde_json::Value;

/// `5.2s`, `3m 12s`, `1h 30m`, `6d 12h`.
pub(crate) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "N/A".to_owned();
    }
    if seconds < 59.95 {
        return format!("{seconds:.1}s");
    }
    let whole = whole_seconds(seconds);
    if whole < 3600 {
        format!("{}m {}s", whole / 60, whole % 60)
    } else if whole < 86_400 {
        format!("{}h {}m", whole / 3600, whole % 3600 / 60)
    } else {
        format!("{}d {}h", whole / 86_400, whole % 86_400 / 3600)
    }
}

/// Uptime of a conductor: `2h 15m 30s`, from a day on `1d 2h 15m`.
pub(crate) fn uptime(seconds: f64) -> String {
    let whole = whole_seconds(seconds);
    let (days, hours, minutes, rest) = (whole / 86_400, whole % 86_400 / 3600, whole % 3600 / 60, whole % 60);
    if days > 0 {
        format!("{days}d {hours}h {minutes}m")
    } else if hours > 0 {
        format!("{hours}h {minutes}m {rest}s")
    } else if minutes > 0 {
        format!("{minutes}m {rest}s")
    } else {
        format!("{rest}s")
    }
}

/// How long ago something was: `just now`, `45s ago`, `5m ago`, `3h 15m ago`, `6d 12h ago`.
pub(crate) fn ago(seconds: f64) -> String {
    let whole = whole_seconds(seconds);
    match whole {
        0..5 => "just now".to_owned(),
        5..60 => format!("{whole}s ago"),
        60..3600 => format!("{}m ago", whole / 60),
        3600..86_400 => format!("{}h {}m ago", whole / 3600, whole % 3600 / 60),
        _ => format!("{}d {}h ago", whole / 86_400, whole % 86_400 / 3600),
    }
}

/// A wait in whole seconds without zero parts: `2m 30s`, `45s`, `1h 5m`.
pub(crate) fn wait(seconds: f64) -> String {
    let whole = whole_seconds(seconds.max(0.0).ceil());
    let parts =
        [(whole / 86_400, 'd'), (whole % 86_400 / 3600, 'h'), (whole % 3600 / 60, 'm'), (whole % 60, 's')];
    let shown: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, unit)| format!("{count}{unit}")).collect();
    if shown.is_empty() { "0s".to_owned() } else { shown.join(" ") }
}

/// Unix seconds as `2026-02-14 09:30:00 UTC`.
pub(crate) fn moment(unix_seconds: f64) -> String {
    stamp(unix_seconds).map_or_else(|| "-".to_owned(), |t| t.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

/// Unix seconds as `2026-02-14 09:30`, for listings.
pub(crate) fn minute(unix_seconds: f64) -> String {
    stamp(unix_seconds).map_or_else(|| "-".to_owned(), |t| t.strftime("%Y-%m-%d %H:%M").to_string())
}

/// Unix seconds as the hour of the day in UTC: `09:30:01`.
pub(crate) fn clock(unix_seconds: f64) -> String {
    stamp(unix_seconds).map_or_else(|| "--:--:--".to_owned(), |t| t.strftime("%H:%M:%S").to_string())
}

fn stamp(unix_seconds: f64) -> Option<jiff::Timestamp> {
    if !unix_seconds.is_finite() {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "a float out of range saturates and is then refused")]
    let millis = (unix_seconds * 1000.0) as i64;
    jiff::Timestamp::from_millisecond(millis).ok()
}

/// A moment as the wire carries it, number of Unix seconds or RFC 3339 text, in Unix seconds.
pub(crate) fn unix_seconds(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => {
            let stamp: jiff::Timestamp = text.parse().ok()?;
            #[expect(clippy::cast_precision_loss, reason = "milliseconds fit a double until the year 287396")]
            Some(stamp.as_millisecond() as f64 / 1000.0)
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A duration argument: `30s`, `5m`, `1h`, `2h30m`, `1d`, `250ms`; a bare number is seconds.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let refuse = || format!("Invalid duration: '{text}'. Use formats like '30s', '5m', '1h', '2h30m'.");
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).map_err(|_| refuse());
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(refuse)?;
        let number: u64 = rest[..digits].parse().map_err(|_| refuse())?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let factor = match &rest[..letters] {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(refuse()),
        };
        rest = &rest[letters..];
        let part = number.checked_mul(factor).map(Duration::from_millis).ok_or_else(refuse)?;
        total = total.checked_add(part).ok_or_else(refuse)?;
    }
    if text.is_empty() { Err(refuse()) } else { Ok(total) }
}

/// Removes terminal sequences and control characters, so that text of programs cannot act on the
/// terminal of the reader. Tabs and line ends stay.
pub(crate) fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\t' | '\n' | '\r' => out.push(c),
            '\u{1b}' => skip_sequence(&mut chars),
            '\u{9b}' => skip_csi(&mut chars),
            c if c.is_control() || turns_the_line(c) => {}
            c => out.push(c),
        }
    }
    out
}

/// Marks that reorder what stands beside them, so that a line reads as something else than it is.
fn turns_the_line(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn skip_sequence(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match chars.peek().copied() {
        Some('[') => {
            chars.next();
            skip_csi(chars);
        }
        // Operating system commands and their relatives run to BEL or ST.
        Some(']' | 'P' | 'X' | '^' | '_') => {
            chars.next();
            while let Some(c) = chars.next() {
                if c == '\u{7}' || c == '\u{9c}' {
                    break;
                }
                if c == '\u{1b}' {
                    if chars.peek() == Some(&'\\') {
                        chars.next();
                    }
                    break;
                }
            }
        }
        Some(c) if ('\u{20}'..='\u{2f}').contains(&c) => {
            chars.next();
            chars.next();
        }
        Some(c) if !c.is_control() => {
            chars.next();
        }
        Some(_) | None => {}
    }
}

fn skip_csi(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    while let Some(c) = chars.peek().copied() {
        // A control character inside a sequence is not part of it.
        if c.is_control() {
            return;
        }
        chars.next();
        if ('\u{40}'..='\u{7e}').contains(&c) {
            return;
        }
    }
}

/// One line of at most `width` characters; longer text ends in `...`.
pub(crate) fn one_line(text: &str, width: Option<usize>) -> String {
    let cleaned = clean(text);
    let line = cleaned.split_whitespace().collect::<Vec<_>>().join(" ");
    match width {
        Some(width) if line.chars().count() > width => {
            let kept: String = line.chars().take(width.saturating_sub(3)).collect();
            format!("{kept}...")
        }
        Some(_) | None => line,
    }
}

fn whole_seconds(seconds: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "negative and huge values saturate"
    )]
    let whole = seconds as u64;
    whole
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn durations_have_at_most_two_parts() {
        let cases = [(0.0, "0.0s"), (5.24, "5.2s"), (59.99, "0m 59s"), (192.0, "3m 12s"), (5400.0, "1h 30m")];
        for (seconds, text) in cases {
            assert_eq!(duration(seconds), text);
        }
        assert_eq!(duration(561_600.0), "6d 12h");
        assert_eq!(duration(f64::NAN), "N/A");
    }

    #[test]
    fn uptime_keeps_seconds_below_a_day() {
        assert_eq!(uptime(8130.4), "2h 15m 30s");
        assert_eq!(uptime(94_500.0), "1d 2h 15m");
        assert_eq!(uptime(3.0), "3s");
    }

    #[test]
    fn ages_and_waits_are_whole_seconds() {
        assert_eq!(ago(2.0), "just now");
        assert_eq!(ago(45.9), "45s ago");
        assert_eq!(ago(11_700.0), "3h 15m ago");
        assert_eq!(wait(150.0), "2m 30s");
        assert_eq!(wait(3900.0), "1h 5m");
        assert_eq!(wait(0.0), "0s");
    }

    #[test]
    fn duration_arguments() {
        for (text, millis) in
            [("30s", 30_000), ("2h30m", 9_000_000), ("1h30m15s", 5_415_000), ("7", 7000), ("0.5", 500)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for bad in ["", "x", "5x", "m", "-3", "99999999999999999999h", "1h-2m"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn text_of_programs_cannot_reach_the_terminal() {
        assert_eq!(clean("a\u{1b}[31mred\u{1b}[0m b\u{7}"), "ared b");
        assert_eq!(clean("\u{1b}]0;title\u{7}x\u{1b}]8;;u\u{1b}\\y"), "xy");
        assert_eq!(clean("tab\tnew\nline"), "tab\tnew\nline");
        assert_eq!(clean("\u{9b}2Jz\u{1b}"), "z");
    }

    #[test]
    fn times_on_the_wire_come_in_two_shapes() {
        assert_eq!(unix_seconds(&serde_json::json!("2025-11-21T10:00:00.500Z")), Some(1_763_719_200.5));
        assert_eq!(unix_seconds(&serde_json::json!(1_763_719_200.5)), Some(1_763_719_200.5));
        assert_eq!(moment(1_763_719_200.5), "2025-11-21 10:00:00 UTC");
    }
}
