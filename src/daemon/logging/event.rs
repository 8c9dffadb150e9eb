//! A log line as an event with keys: read from `event key=value …`, printed for people or as JSON.
//!
//! Values of keys that name secrets are never printed (`[REDACTED]`).

use std::fmt::Write as _;

use log::{Level, Record};
use serde_json::{Map, Number, Value};

/// One line of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    level: Level,
    name: String,
    keys: Vec<(String, Value)>,
    message: String,
}

impl Event {
    /// Reads a record of the `log` crate.
    #[must_use]
    pub fn of(record: &Record<'_>) -> Self {
        Self::parse(record.level(), &record.args().to_string())
    }

    /// Reads `event key=value …`. Text that is not of this shape is kept as `message`.
    #[must_use]
    pub fn parse(level: Level, text: &str) -> Self {
        let text = text.trim();
        let (first, mut rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        if !is_event_name(first) {
            return Self { level, name: "log".to_owned(), keys: Vec::new(), message: text.to_owned() };
        }
        let mut keys = Vec::new();
        let mut message = Vec::new();
        loop {
            rest = rest.trim_start();
            if rest.is_empty() {
                break;
            }
            match key_of(rest) {
                Some((key, after)) => {
                    let (raw, quoted, left) = value_of(after);
                    keys.push((key.to_owned(), typed(key, raw, quoted)));
                    rest = left;
                }
                None => {
                    let (word, left) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
                    message.push(word);
                    rest = left;
                }
            }
        }
        Self { level, name: first.to_owned(), keys, message: message.join(" ") }
    }

    /// `HH:MM:SS LEVEL event key=value`.
    #[must_use]
    pub fn console(&self, clock: &str, color: bool) -> String {
        let word = level_word(self.level);
        let (on, off) = match (color, self.level) {
            (false, _) => ("", ""),
            (true, Level::Error) => ("\u{1b}[31m", "\u{1b}[0m"),
            (true, Level::Warn) => ("\u{1b}[33m", "\u{1b}[0m"),
            (true, Level::Info) => ("\u{1b}[32m", "\u{1b}[0m"),
            (true, Level::Debug | Level::Trace) => ("\u{1b}[2m", "\u{1b}[0m"),
        };
        let mut line = format!("{clock} {on}{word:<7}{off} {}", self.name);
        if !self.message.is_empty() {
            _ = write!(line, " {}", escaped(&self.message));
        }
        for (key, value) in &self.keys {
            let shown = match value {
                Value::String(text) if plain(text) => text.clone(),
                other => other.to_string(),
            };
            _ = write!(line, " {key}={shown}");
        }
        line
    }

    /// `{"ts":…,"level":…,"event":…,…}`.
    #[must_use]
    pub fn json(&self, timestamp: &str) -> String {
        let mut object = Map::new();
        object.insert("ts".to_owned(), timestamp.into());
        object.insert("level".to_owned(), level_word(self.level).to_ascii_lowercase().into());
        object.insert("event".to_owned(), self.name.clone().into());
        if !self.message.is_empty() {
            object.insert("message".to_owned(), self.message.clone().into());
        }
        for (key, value) in &self.keys {
            // The three fixed members cannot be replaced by a key of the same name.
            let key = if object.contains_key(key) { format!("{key}_") } else { key.clone() };
            object.insert(key, value.clone());
        }
        Value::Object(object).to_string()
    }
}

/// The words of the levels in the log.
fn level_word(level: Level) -> &'static str {
    match level {
        Level::Error => "ERROR",
        Level::Warn => "WARNING",
        Level::Info => "INFO",
        Level::Debug => "DEBUG",
        Level::Trace => "TRACE",
    }
}

/// `daemon.started`: lower-case words joined by dots, at least two.
fn is_event_name(text: &str) -> bool {
    text.contains('.')
        && text.split('.').all(|part| {
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        })
}

fn key_of(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
    let after = text[end..].strip_prefix('=')?;
    if end == 0 { None } else { Some((&text[..end], after)) }
}

/// The value at the start of `text`, whether it was quoted, and what follows it.
fn value_of(text: &str) -> (String, bool, &str) {
    if let Some(body) = text.strip_prefix('"') {
        let mut value = String::new();
        let mut chars = body.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => return (value, true, &body[at + 1..]),
                '\\' => match chars.next().map(|(_, c)| c) {
                    Some('n') => value.push('\n'),
                    Some('t') => value.push('\t'),
                    Some('r') => value.push('\r'),
                    Some('0') => value.push('\0'),
                    Some('u') => value.push(unicode_escape(&mut chars)),
                    Some(c) => value.push(c),
                    None => break,
                },
                c => value.push(c),
            }
        }
        return (value, true, "");
    }
    // Lists and maps written with `{:?}` or as JSON stay together up to their closing bracket.
    let end = if text.starts_with(['[', '{']) { bracketed(text) } else { text.find(char::is_whitespace) };
    let (value, rest) = text.split_at(end.unwrap_or(text.len()));
    (value.to_owned(), false, rest)
}

fn unicode_escape(chars: &mut std::str::CharIndices<'_>) -> char {
    let digits: String = chars.map(|(_, c)| c).skip_while(|c| *c == '{').take_while(|c| *c != '}').collect();
    u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn bracketed(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut in_text = false;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if in_text => escaped = true,
            '"' => in_text = !in_text,
            '[' | '{' if !in_text => depth += 1,
            ']' | '}' if !in_text => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

fn typed(key: &str, raw: String, quoted: bool) -> Value {
    if is_secret(key) {
        // Counts of tokens are numbers, not secrets.
        let numeric = !quoted && raw.parse::<f64>().is_ok();
        if !numeric {
            return "[REDACTED]".into();
        }
    }
    if quoted || key == "job_id" || key == "job" || key == "version" {
        return redacted(Value::String(raw));
    }
    match raw.as_str() {
        "true" => return Value::Bool(true),
        "false" => return Value::Bool(false),
        "None" | "null" => return Value::Null,
        _ => {}
    }
    if raw.starts_with(['[', '{'])
        && let Ok(value) = serde_json::from_str(&raw)
    {
        return redacted(value);
    }
    if let Some(some) = raw.strip_prefix("Some(").and_then(|inner| inner.strip_suffix(')')) {
        return typed(key, some.trim_matches('"').to_owned(), some.starts_with('"'));
    }
    match raw.parse::<i64>() {
        Ok(number) => Value::Number(number.into()),
        Err(_) => {
            match raw.parse::<f64>().ok().filter(|_| starts_like_number(&raw)).and_then(Number::from_f64) {
                Some(number) => Value::Number(number),
                None => redacted(Value::String(raw)),
            }
        }
    }
}

fn starts_like_number(raw: &str) -> bool {
    raw.starts_with(|c: char| c.is_ascii_digit() || c == '-')
}

/// Nested members of a secret name are hidden too.
fn redacted(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(key, value)| {
                    let hide = is_secret(&key) && !value.is_number();
                    let value = if hide { "[REDACTED]".into() } else { redacted(value) };
                    (key, value)
                })
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(redacted).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

fn is_secret(key: &str) -> bool {
    const WORDS: [&str; 10] = [
        "api_key",
        "apikey",
        "api-key",
        "token",
        "secret",
        "password",
        "credential",
        "auth",
        "bearer",
        "authorization",
    ];
    let key = key.to_ascii_lowercase();
    WORDS.iter().any(|word| key.contains(word))
}

fn plain(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '"')
}

fn escaped(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> String {
        Event::parse(Level::Info, text).json("T")
    }

    #[test]
    fn keys_become_typed_members() {
        assert_eq!(
            json(r#"job.submitted job_id=42 sheets=3 ratio=0.5 ok=true path="/a b/\"c\"" left=None"#),
            r#"{"ts":"T","level":"info","event":"job.submitted","job_id":"42","sheets":3,"ratio":0.5,"ok":true,"path":"/a b/\"c\"","left":null}"#
        );
    }

    #[test]
    fn every_text_is_a_line_of_valid_json() {
        for text in [
            "",
            "no event here",
            "a.b stray words x=1",
            "a.b x=\"open",
            "a.b ts=1 event=2",
            "a.b l=[1, 2] m={\"a\":1}",
        ] {
            let line = json(text);
            assert!(serde_json::from_str::<Value>(&line).is_ok() && !line.contains('\n'), "{line}");
        }
        assert!(json("a.b l=[1, 2] m=3").contains(r#""l":[1,2],"m":3"#));
        assert!(json("a.b text=\"x\\ny\\u{1b}\"").contains(r#""text":"x\ny\u001b""#));
    }

    #[test]
    fn secrets_are_not_printed() {
        let line = json(r#"a.b api_key=abc token="x y" input_tokens=12 env={"PASSWORD":"p","n":1}"#);
        assert!(!line.contains("abc") && !line.contains("x y") && !line.contains("\"p\""), "{line}");
        assert!(line.contains(r#""input_tokens":12"#) && line.contains(r#""n":1"#), "{line}");
    }

    #[test]
    fn the_console_line_starts_with_time_level_and_event() {
        let event = Event::parse(Level::Warn, "daemon.signal_received signal=TERM why=\"a b\"");
        assert_eq!(
            event.console("09:30:01", false),
            "09:30:01 WARNING daemon.signal_received signal=TERM why=\"a b\""
        );
    }
}
