//! One thing that happened, in the words of notifications.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use crate::score::Notice;
use crate::time::Wall;
use crate::util::redact;
use crate::util::text::cut;

/// Longest error in a message of one line.
const SHORT_ERROR: usize = 100;
/// Longest error in a document.
pub(super) const LONG_ERROR: usize = 200;

/// What is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    /// What happened.
    pub notice: Notice,
    /// Job.
    pub job_id: String,
    /// Name of its score.
    pub job_name: String,
    /// Where commands run.
    pub workspace: PathBuf,
    /// When.
    pub at: Wall,
    /// Sheet; `None` = the job as a whole.
    pub sheet: Option<u32>,
    /// How the job stands.
    pub numbers: Numbers,
    /// What is wrong.
    pub error: Option<String>,
    /// How long it took, seconds.
    pub seconds: Option<f64>,
    /// The data of the event.
    pub extra: Value,
}

/// Sheets of a job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Numbers {
    /// All.
    pub total: u32,
    /// Completed, or skipped on purpose.
    pub succeeded: u32,
    /// Failed, or blocked by a failed one.
    pub failed: u32,
}

/// The notice that an event of the protocol is; most are none. Whether a failed attempt is the end of
/// its sheet only the caller knows.
#[must_use]
pub fn notice_of(event: &str) -> Option<Notice> {
    Some(match event {
        "job.started" => Notice::JobStart,
        "job.resuming" => Notice::JobResumed,
        "job.completed" => Notice::JobComplete,
        "job.failed" => Notice::JobFailed,
        "job.paused" => Notice::JobPaused,
        "cost.warning" => Notice::CostWarning,
        "sheet.started" => Notice::SheetStart,
        "sheet.completed" => Notice::SheetComplete,
        "sheet.failed" => Notice::SheetFailed,
        "rate_limit.active" => Notice::RateLimitDetected,
        "escalation.needed" => Notice::EscalationNeeded,
        _ => return None,
    })
}

impl Note {
    /// What happened, in two or three words.
    #[must_use]
    pub const fn headline(&self) -> &'static str {
        match self.notice {
            Notice::JobStart => "Job started",
            Notice::JobResumed => "Job resumed",
            Notice::SheetStart => "Sheet started",
            Notice::SheetComplete => "Sheet completed",
            Notice::SheetFailed => "Sheet failed",
            Notice::JobComplete => "Job completed",
            Notice::JobFailed => "Job failed",
            Notice::JobPaused => "Job paused",
            Notice::RateLimitDetected => "Rate limit",
            Notice::EscalationNeeded => "Decision needed",
            Notice::CostWarning => "Cost warning",
        }
    }

    /// Headline and job.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{}: {}", self.headline(), self.job_name)
    }

    /// Everything worth knowing on one line, its parts separated by ` | `.
    #[must_use]
    pub fn message(&self) -> String {
        let mut parts = vec![self.title()];
        parts.extend(self.details(SHORT_ERROR).into_iter().map(|(label, text)| format!("{label}: {text}")));
        parts.join(" | ")
    }

    /// Labelled facts; those that are not known are left out.
    pub(super) fn details(&self, longest_error: usize) -> Vec<(&'static str, String)> {
        let Numbers { total, succeeded, failed } = self.numbers;
        let progress = match self.sheet {
            Some(sheet) => format!("sheet {sheet} of {total}"),
            None => format!("{succeeded} of {total} sheets"),
        };
        let mut parts = vec![("Progress", progress)];
        if succeeded + failed > 0 {
            parts.push(("Results", format!("{succeeded} succeeded, {failed} failed")));
        }
        if let Some(seconds) = self.seconds {
            parts.push(("Duration", duration(seconds)));
        }
        if let Some(error) = self.error(longest_error) {
            parts.push(("Error", error));
        }
        parts
    }

    /// The error on one line, without credentials.
    pub(super) fn error(&self, longest: usize) -> Option<String> {
        let text = redact(self.error.as_deref()?);
        let words: Vec<&str> = text.split_whitespace().collect();
        Some(cut(&words.join(" "), longest)).filter(|text| !text.is_empty())
    }

    /// As JSON: what webhooks and commands get.
    #[must_use]
    pub fn context(&self) -> Value {
        let extra = match &self.extra {
            Value::Object(members) => members.clone(),
            _ => Map::new(),
        };
        json!({
            "event": self.notice.as_str(), "job_id": self.job_id, "job_name": self.job_name,
            "timestamp": self.at.to_string(), "sheet_num": self.sheet, "total_sheets": self.numbers.total,
            "success_count": self.numbers.succeeded, "failure_count": self.numbers.failed,
            "error_message": self.error(LONG_ERROR), "duration_seconds": self.seconds, "extra": extra,
        })
    }

    /// Told last of all when there is no room for everything.
    pub(super) const fn is_end(&self) -> bool {
        matches!(self.notice, Notice::JobComplete | Notice::JobFailed)
    }

    /// Of a sheet, so that there are many of them.
    pub(super) const fn is_small(&self) -> bool {
        matches!(self.notice, Notice::SheetStart | Notice::SheetComplete | Notice::SheetFailed)
    }
}

/// `12.3s`, `4.5min`, `2.0h`.
fn duration(seconds: f64) -> String {
    if seconds < 60.0 {
        format!("{seconds:.1}s")
    } else if seconds < 3600.0 {
        format!("{:.1}min", seconds / 60.0)
    } else {
        format!("{:.1}h", seconds / 3600.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note() -> Note {
        Note {
            notice: Notice::JobFailed,
            job_id: "j".into(),
            job_name: "nightly".into(),
            workspace: "/w".into(),
            at: Wall(1_700_000_000_000),
            sheet: None,
            numbers: Numbers { total: 5, succeeded: 3, failed: 2 },
            error: Some(format!("it broke\nbadly with AKIAABCDEFGHIJKLMNOP {}", "x".repeat(300))),
            seconds: Some(200.0),
            extra: json!({"all_success": false}),
        }
    }

    #[test]
    fn a_message_is_one_line_without_secrets() {
        let message = note().message();
        let start = "Job failed: nightly | Progress: 3 of 5 sheets | Results: 3 succeeded, 2 failed | Duration: 3.3min \
                     | Error: it broke badly with [REDACTED_AWS_KEY]";
        assert!(message.starts_with(start), "{message}");
        assert!(message.len() < 260, "{message}");
        let sheet = Note { sheet: Some(2), error: None, seconds: None, ..note() };
        assert!(sheet.message().contains("sheet 2 of 5"));
    }

    #[test]
    fn the_context_has_every_key() {
        let context = note().context();
        let keys: Vec<&str> =
            context.as_object().map(|map| map.keys().map(String::as_str).collect()).unwrap_or_default();
        assert_eq!(
            keys,
            [
                "event",
                "job_id",
                "job_name",
                "timestamp",
                "sheet_num",
                "total_sheets",
                "success_count",
                "failure_count",
                "error_message",
                "duration_seconds",
                "extra"
            ]
        );
        assert_eq!(context["timestamp"], "2023-11-14T22:13:20.000Z");
        assert_eq!(duration(12.34), "12.3s");
        assert_eq!(duration(7200.0), "2.0h");
    }
}
