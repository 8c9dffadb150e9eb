//! Reading the conductor's job documents, which stay JSON: a client shows what it gets, and members
//! it does not know are none of its business.

use serde_json::Value;

use crate::cli::failure::{Failure, Stop};
use crate::cli::format;
use crate::cli::style::Tone;
use crate::ids::JobId;

/// A document of `job.status` or an entry of `job.list`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Doc<'a>(pub(crate) &'a Value);

impl<'a> Doc<'a> {
    /// A text member; "" when absent.
    pub(crate) fn text(self, key: &str) -> &'a str {
        self.0.get(key).and_then(Value::as_str).unwrap_or("")
    }

    /// A number.
    pub(crate) fn number(self, key: &str) -> Option<f64> {
        self.0.get(key).and_then(Value::as_f64)
    }

    /// A count; 0 when absent.
    pub(crate) fn count(self, key: &str) -> u64 {
        self.0.get(key).and_then(Value::as_u64).unwrap_or(0)
    }

    /// A moment in Unix seconds, whichever way it is written.
    pub(crate) fn moment(self, key: &str) -> Option<f64> {
        self.0.get(key).and_then(format::unix_seconds)
    }

    /// A member.
    pub(crate) fn get(self, key: &str) -> &'a Value {
        self.0.get(key).unwrap_or(&Value::Null)
    }

    /// A list; empty when absent.
    pub(crate) fn list(self, key: &str) -> &'a [Value] {
        self.0.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// The state for people: the computed one when the conductor sends it.
    pub(crate) fn shown_status(self) -> &'a str {
        match self.text("display_status") {
            "" => self.text("status"),
            shown => shown,
        }
    }

    /// Sheets by number.
    pub(crate) fn sheets(self) -> Vec<(u32, Doc<'a>)> {
        let Some(members) = self.get("sheets").as_object() else { return Vec::new() };
        let mut sheets: Vec<_> =
            members.iter().filter_map(|(number, sheet)| Some((number.parse().ok()?, Doc(sheet)))).collect();
        sheets.sort_by_key(|(number, _)| *number);
        sheets
    }

    /// Completed sheets and all sheets.
    pub(crate) fn progress(self) -> (u64, u64) {
        if let (Some(done), Some(total)) =
            (self.get("progress_completed").as_u64(), self.get("progress_total").as_u64())
        {
            return (done, total);
        }
        let total = self.count("total_sheets");
        if let Some(done) = self.get("completed_count").as_u64() {
            return (done, total);
        }
        let done =
            self.sheets().iter().filter(|(_, sheet)| sheet.text("status") == "completed").count() as u64;
        (done, total)
    }
}

/// Refuses what cannot be a job id before anybody is asked: exit status 2.
pub(crate) fn check_id(id: &str) -> Result<(), Stop> {
    match JobId::new(id) {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::usage(error.to_string()).into()),
    }
}

/// Whether a job in this state has ended.
pub(crate) fn is_terminal(status: &str) -> bool {
    matches!(status, "completed" | "failed" | "cancelled")
}

/// Whether a sheet in this state has a program that runs.
pub(crate) fn is_playing(status: &str) -> bool {
    matches!(status, "dispatched" | "in_progress")
}

/// Colour of a job state.
pub(crate) fn job_tone(status: &str) -> Tone {
    match status {
        "pending" | "queued" => Tone::Yellow,
        "running" => Tone::Green,
        "completed" => Tone::BrightGreen,
        "failed" => Tone::Red,
        "paused" | "pausing" | "paused_at_chain" => Tone::Magenta,
        "cancelled" => Tone::Dim,
        _ => Tone::Plain,
    }
}

/// Colour of a sheet state.
pub(crate) fn sheet_tone(status: &str) -> Tone {
    match status {
        "pending" | "skipped" => Tone::Dim,
        "ready" => Tone::Blue,
        "dispatched" | "in_progress" | "completed" => Tone::Green,
        "waiting" | "retry_scheduled" => Tone::Yellow,
        "fermata" => Tone::Magenta,
        "failed" | "cancelled" => Tone::Red,
        _ => Tone::Plain,
    }
}

/// The label of a sheet for people.
pub(crate) fn sheet_label(sheet: Doc<'_>) -> String {
    let status = sheet.text("status");
    match status {
        "dispatched" | "in_progress" => "playing".to_owned(),
        "retry_scheduled" => "retrying".to_owned(),
        "completed" if sheet.get("validation_passed") == &Value::Bool(false) => "failed".to_owned(),
        "skipped" => match sheet.text("skip_reason") {
            "" => "skipped".to_owned(),
            reason => format!("skipped ({})", reason.replace('_', " ")),
        },
        other => other.to_owned(),
    }
}

/// Names close to `wanted`, the closest first, at most three: for "did you mean".
pub(crate) fn near<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let wanted = wanted.to_lowercase();
    let mut close: Vec<(usize, &str)> = names
        .filter_map(|name| {
            let lower = name.to_lowercase();
            let distance = edit_distance(&wanted, &lower);
            let limit = (wanted.chars().count() / 3).max(1);
            let part = wanted.len() >= 3 && lower.contains(&wanted);
            (distance <= limit || part).then_some((distance, name))
        })
        .collect();
    close.sort();
    close.into_iter().take(3).map(|(_, name)| name.to_owned()).collect()
}

fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let change = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn sheets_are_in_the_order_of_their_numbers() {
        let doc = json!({"total_sheets": 10, "sheets": {"10": {"status": "completed"}, "2": {"status": "pending"}}});
        let numbers: Vec<u32> = Doc(&doc).sheets().iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [2, 10]);
        assert_eq!(Doc(&doc).progress(), (1, 10));
    }

    #[test]
    fn near_names_are_few_and_close() {
        let names = ["nightly-docs", "nightly-doc", "other", "x"];
        assert_eq!(near("nightly-dosc", names.into_iter()), ["nightly-doc", "nightly-docs"]);
        assert_eq!(near("docs", names.into_iter()), ["nightly-docs"]);
        assert!(near("zzz", names.into_iter()).is_empty());
    }

    #[test]
    fn labels_say_playing_and_why_a_sheet_was_skipped() {
        assert_eq!(sheet_label(Doc(&json!({"status": "in_progress"}))), "playing");
        assert_eq!(
            sheet_label(Doc(&json!({"status": "skipped", "skip_reason": "upstream_failed"}))),
            "skipped (upstream failed)"
        );
        assert_eq!(sheet_label(Doc(&json!({"status": "completed", "validation_passed": false}))), "failed");
    }
}
