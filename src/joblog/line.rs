//! One event as one line.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::score::Logging;
use crate::time::Wall;
use crate::util::redact;
use crate::util::text::strip_controls;

/// How important an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Progress and output.
    Debug,
    /// What a job does.
    Info,
    /// What went wrong and is taken care of, or asks for attention.
    Warning,
    /// What failed.
    Error,
}

impl Level {
    /// The level of a score's `logging.level`.
    #[must_use]
    pub fn named(word: &str) -> Self {
        match word {
            "DEBUG" => Self::Debug,
            "WARNING" => Self::Warning,
            "ERROR" => Self::Error,
            _ => Self::Info,
        }
    }

    /// The level of an event, by its name.
    #[must_use]
    pub fn of(event: &Value) -> Self {
        let name = event["event"].as_str().unwrap_or_default();
        let last = name.rsplit('.').next().unwrap_or_default();
        match (name, last) {
            (_, "output" | "progress" | "cost_update") => Self::Debug,
            (_, "failed") => Self::Error,
            ("rate_limit.cleared", _) => Self::Info,
            (
                _,
                "retrying" | "fallback" | "partial" | "paused" | "cancelled" | "timeout" | "needed"
                | "warning",
            )
            | (_, "validation_failed" | "active" | "pressure" | "interrupted" | "anomaly") => Self::Warning,
            _ => Self::Info,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
        }
    }
}

/// The line of an event, with its line end.
pub(super) fn of(event: &Value, logging: &Logging, json: bool) -> String {
    let (level, name) = (Level::of(event), event["event"].as_str().unwrap_or("event"));
    let stamp = event["timestamp"].as_f64().map(stamp).unwrap_or_default();
    let mut line = if json {
        let mut object = Map::new();
        if logging.include_timestamps {
            object.insert("ts".to_owned(), stamp.into());
        }
        object.insert("level".to_owned(), level.word().to_ascii_lowercase().into());
        object.insert("event".to_owned(), name.into());
        if logging.include_context {
            object.insert("job_id".to_owned(), event["job_id"].clone());
            object.insert("sheet_num".to_owned(), event["sheet_num"].clone());
        }
        object.insert("data".to_owned(), event["data"].clone());
        Value::Object(object).to_string()
    } else {
        let mut line = String::new();
        if logging.include_timestamps {
            _ = write!(line, "{stamp} ");
        }
        _ = write!(line, "{:<7} {name}", level.word());
        if logging.include_context {
            _ = write!(line, " job={}", shown(&event["job_id"]));
            // 0 is the job itself.
            if event["sheet_num"].as_u64().is_some_and(|sheet| sheet > 0) {
                _ = write!(line, " sheet={}", event["sheet_num"]);
            }
        }
        for (key, value) in event["data"].as_object().into_iter().flatten() {
            if !value.is_null() {
                _ = write!(line, " {key}={}", shown(value));
            }
        }
        line
    };
    line = redact(&line);
    line.push('\n');
    line
}

fn stamp(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "a float that is too large becomes the last moment")]
    let millis = (seconds * 1000.0).round() as i64;
    Wall(millis).to_string()
}

/// A word as it is; everything else as JSON, which keeps it on one line.
fn shown(value: &Value) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_./:+-@%".contains(c);
    match value.as_str() {
        Some(text) if !text.is_empty() && text.chars().all(plain) => text.to_owned(),
        Some(text) => Value::from(strip_controls(text)).to_string(),
        None => value.to_string(),
    }
}
