//! The documents that are sent. Pure.

use serde_json::{Map, Value, json};

use super::note::{LONG_ERROR, Note};
use crate::score::Notice;

/// What a webhook gets.
pub(super) fn webhook(note: &Note, metadata: bool) -> Value {
    let mut body = json!({ "event_type": note.notice.as_str(), "context": note.context() });
    if metadata {
        body["metadata"] = json!({ "source": "mozart", "version": env!("CARGO_PKG_VERSION") });
    }
    body
}

/// What Slack gets: an attachment whose colour says at a glance how it stands.
pub(super) fn slack(
    note: &Note,
    channel: Option<&str>,
    username: Option<&str>,
    icon_emoji: Option<&str>,
) -> Value {
    let fields: Vec<Value> = note
        .details(LONG_ERROR)
        .into_iter()
        .map(|(title, value)| json!({ "title": title, "value": escape(&value), "short": title != "Error" }))
        .collect();
    let attachment = json!({
        "color": colour(note.notice), "title": escape(&note.title()), "fallback": escape(&note.message()),
        "fields": fields, "footer": escape(&format!("Mozart | {}", note.job_id)),
        "ts": note.at.0.div_euclid(1000),
    });
    let mut body = Map::new();
    for (key, value) in [("channel", channel), ("username", username), ("icon_emoji", icon_emoji)] {
        if let Some(value) = value {
            body.insert(key.to_owned(), value.into());
        }
    }
    body.insert("attachments".to_owned(), json!([attachment]));
    body.into()
}

const fn colour(notice: Notice) -> &'static str {
    match notice {
        Notice::JobComplete | Notice::SheetComplete => "#2eb67d",
        Notice::JobFailed => "#e01e5a",
        Notice::SheetFailed | Notice::RateLimitDetected | Notice::CostWarning => "#ff9900",
        Notice::JobPaused | Notice::EscalationNeeded => "#ecb22e",
        Notice::JobStart | Notice::JobResumed | Notice::SheetStart => "#36c5f0",
    }
}

/// The three characters that Slack reads as markup.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::Numbers;
    use crate::time::Wall;

    fn note(notice: Notice) -> Note {
        Note {
            notice,
            job_id: "j".into(),
            job_name: "a <b> & c".into(),
            workspace: "/w".into(),
            at: Wall(1_500),
            sheet: None,
            numbers: Numbers { total: 2, succeeded: 1, failed: 1 },
            error: Some("<oops>".into()),
            seconds: Some(3.0),
            extra: Value::Null,
        }
    }

    #[test]
    fn slack_gets_colours_fields_and_no_markup() {
        let body = slack(&note(Notice::JobFailed), Some("#ops"), None, Some(":x:"));
        let attachment = &body["attachments"][0];
        assert_eq!((&body["channel"], &body["icon_emoji"]), (&json!("#ops"), &json!(":x:")));
        assert_eq!(body.get("username"), None);
        assert_eq!(attachment["title"], "Job failed: a &lt;b&gt; &amp; c");
        assert_eq!(attachment["ts"], 1);
        let titles: Vec<_> =
            attachment["fields"].as_array().into_iter().flatten().map(|field| &field["title"]).collect();
        assert_eq!(titles, ["Progress", "Results", "Duration", "Error"]);
        assert_ne!(
            attachment["color"],
            slack(&note(Notice::JobComplete), None, None, None)["attachments"][0]["color"]
        );
    }

    #[test]
    fn a_webhook_gets_the_context_and_who_sends_it() {
        let body = webhook(&note(Notice::JobComplete), true);
        assert_eq!(body["event_type"], "job_complete");
        assert_eq!(body["context"]["job_name"], "a <b> & c");
        assert_eq!(body["metadata"]["source"], "mozart");
        assert_eq!(webhook(&note(Notice::JobComplete), false).get("metadata"), None);
    }
}
