//! `feedback`: what an agent says about its own work, between two marks in its output.

use serde_json::{Value, json};

use crate::score::{Feedback, pattern};
use crate::util::redact;
use crate::util::text::head_bytes;

/// Longest feedback.
const MAX: usize = 64 * 1024;

/// Looks for feedback in the result of a program, else in all that it printed. The last one counts: an agent may
/// quote what it was asked for.
pub(super) fn feedback(
    wanted: &Feedback,
    result: &str,
    printed: &str,
    warnings: &mut Vec<String>,
) -> Option<Value> {
    if !wanted.enabled {
        return None;
    }
    let regex = pattern::compile(&wanted.pattern).ok()?;
    let group = |text: &str| {
        regex.captures_iter(text).last().and_then(|found| found.get(1).map(|group| group.as_str().to_owned()))
    };
    let found = group(result).or_else(|| group(printed))?;
    let text = redact(found.trim());
    let text = head_bytes(&text, MAX);
    let parsed = match wanted.format {
        "text" => return Some(json!({ "text": text })),
        "yaml" => serde_yaml::from_str::<Value>(text).map_err(|error| error.to_string()),
        _ => serde_json::from_str::<Value>(text).map_err(|error| error.to_string()),
    };
    parsed
        .map_err(|error| {
            warnings.push(format!("feedback: it is not {}: {error}", wanted.format.to_uppercase()))
        })
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(format: &'static str, text: &str) -> (Option<Value>, usize) {
        let pattern = r"(?s)FEEDBACK_START(.+?)FEEDBACK_END".to_owned();
        let wanted = Feedback { enabled: true, pattern, format };
        let mut warnings = Vec::new();
        let found = feedback(&wanted, text, "FEEDBACK_START never FEEDBACK_END", &mut warnings);
        (found, warnings.len())
    }

    #[test]
    fn the_last_feedback_is_parsed() {
        let text = "say FEEDBACK_START{}FEEDBACK_END\nFEEDBACK_START\n{\"a\": 1}\nFEEDBACK_END\n";
        assert_eq!(check("json", text), (Some(json!({"a": 1})), 0));
        assert_eq!(check("yaml", "FEEDBACK_START a: [x]\nFEEDBACK_END"), (Some(json!({"a": ["x"]})), 0));
        assert_eq!(check("text", "FEEDBACK_START hi FEEDBACK_END"), (Some(json!({"text": "hi"})), 0));
        assert_eq!(check("json", "FEEDBACK_START {broken FEEDBACK_END"), (None, 1));
        assert_eq!(check("text", "no marks"), (Some(json!({"text": "never"})), 0));
    }
}
