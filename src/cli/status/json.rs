//! One job as the stable document of `status JOB --json`, made from what the conductor sends.

use serde_json::{Map, Value, json};

use crate::cli::job::Doc;

/// Members of a sheet that are passed on when they are there.
const SHEET_EXTRAS: [&str; 29] = [
    "skip_reason",
    "execution_duration_seconds",
    "estimated_cost",
    "elapsed_seconds",
    "progress_snapshots",
    "last_activity_at",
    "started_at",
    "completed_at",
    "instrument_name",
    "instrument_fallback_history",
    "model",
    "movement",
    "voice",
    "description",
    "exit_code",
    "exit_signal",
    "output_log",
    "error_log",
    "rate_limit_expires_at",
    "fire_at",
    "escalation",
    "total_cost_usd",
    "cost_confidence",
    "input_tokens",
    "output_tokens",
    "fallback_chain",
    "changed_since_run",
    "held_back",
    "agent_feedback",
];

/// The document. A record without sheets, of a job that has not written any state yet, is passed on
/// as it is.
pub(super) fn document(doc: Doc<'_>) -> Value {
    if !doc.get("sheets").is_object() {
        return doc.0.clone();
    }
    let (completed, total) = doc.progress();
    #[expect(clippy::cast_precision_loss, reason = "counts of sheets")]
    let percent = if total == 0 { 0.0 } else { (completed as f64 * 1000.0 / total as f64).round() / 10.0 };
    let copy = |keys: &[&str]| {
        let members: Map<String, Value> =
            keys.iter().map(|key| ((*key).to_owned(), doc.get(key).clone())).collect();
        Value::Object(members)
    };
    let sheets: Map<String, Value> =
        doc.sheets().into_iter().map(|(number, sheet)| (number.to_string(), sheet_document(sheet))).collect();
    let hooks = doc.list("hook_results");
    let failures: Vec<&Value> = hooks.iter().filter(|hook| hook["success"] == json!(false)).collect();
    let cost = doc.get("total_estimated_cost");
    let mut document = json!({
        "job_id": doc.text("job_id"),
        "job_name": doc.get("job_name"),
        "status": doc.text("status"),
        "display_status": doc.shown_status(),
        "error": doc.get("error_message"),
        "error_code": doc.get("error_code"),
        "progress": {"completed": completed, "total": total, "percent": percent},
        "timing": copy(&["created_at", "started_at", "updated_at", "completed_at", "last_activity"]),
        "execution": copy(&["current_sheet", "total_retry_count", "rate_limit_waits"]),
        "cost": {
            "total_estimated_cost": cost,
            "total_input_tokens": doc.get("total_input_tokens"),
            "total_output_tokens": doc.get("total_output_tokens"),
            "cost_limit_reached": doc.get("cost_limit_reached").as_bool().unwrap_or(false),
            "cost_confidence": doc.number("cost_confidence").unwrap_or(1.0),
        },
        "circuit_breaker": doc.get("circuit_breaker"),
        "hook_results_count": hooks.len(),
        "hooks_configured": doc.get("hooks_configured").as_u64().unwrap_or(0),
        "hooks_interrupted": doc.get("hooks_interrupted").as_bool().unwrap_or(false),
        "hook_failures": failures,
        "recent_errors": recent_errors(doc),
        "workspace": doc.get("workspace"),
        "pause_flags": doc.list("pause_flags"),
        "blocked": doc.get("blocked"),
        "held_back": doc.get("held_back"),
        "modify_pending": doc.get("modify_pending"),
        "rate_limits": doc.list("rate_limits"),
        "circuit_breakers": doc.list("circuit_breakers"),
        "cost_limits": doc.get("cost_limits"),
        "hook_results": hooks,
        "remarks": doc.list("warnings"),
        "checkpoint": doc.get("checkpoint"),
        "sheets": sheets,
    });
    if doc.get("movements").is_array() {
        document["movements"] = doc.get("movements").clone();
    }
    document
}

fn sheet_document(sheet: Doc<'_>) -> Value {
    let mut members = Map::new();
    for key in [
        "status",
        "display_status",
        "attempt_count",
        "validation_passed",
        "error_message",
        "error_category",
        "error_code",
    ] {
        members.insert(key.to_owned(), sheet.get(key).clone());
    }
    if members["display_status"].is_null() {
        members["display_status"] = json!(crate::cli::job::sheet_label(sheet));
    }
    for key in SHEET_EXTRAS {
        if !sheet.get(key).is_null() {
            members.insert(key.to_owned(), sheet.get(key).clone());
        }
    }
    Value::Object(members)
}

/// The five newest errors of all sheets.
pub(super) fn recent_errors(doc: Doc<'_>) -> Vec<Value> {
    let mut errors: Vec<(f64, Value)> = Vec::new();
    for (number, sheet) in doc.sheets() {
        let history = sheet.list("error_history");
        // A skipped sheet has a reason, not an error.
        if history.is_empty() && !sheet.text("error_code").is_empty() {
            let at = sheet.moment("completed_at").unwrap_or(0.0);
            errors.push((at, json!({
                "sheet_num": number, "timestamp": sheet.get("completed_at"), "error_type": sheet.get("error_category"),
                "error_code": sheet.get("error_code"), "error_message": sheet.get("error_message"),
                "attempt_number": sheet.get("attempt_count"),
            })));
        }
        for error in history.iter().map(Doc) {
            errors.push((error.moment("timestamp").unwrap_or(0.0), json!({
                "sheet_num": number, "timestamp": error.get("timestamp"), "error_type": error.get("error_type"),
                "error_code": error.get("error_code"), "error_message": error.get("error_message"),
                "attempt_number": error.get("attempt_number"),
            })));
        }
    }
    errors.sort_by(|a, b| b.0.total_cmp(&a.0));
    errors.into_iter().take(5).map(|(_, error)| error).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_has_the_same_members() {
        let doc = json!({"job_id": "demo", "job_name": "demo", "status": "running", "total_sheets": 3,
            "sheets": {"1": {"status": "completed"}, "2": {"status": "failed", "error_message": "x", "error_code": "E001"}}});
        let document = document(Doc(&doc));
        assert_eq!(document["progress"], json!({"completed": 1, "total": 3, "percent": 33.3}));
        assert_eq!(document["recent_errors"][0]["error_code"], json!("E001"));
        assert_eq!(document["sheets"]["1"]["display_status"], json!("completed"));
        assert_eq!(document["timing"]["started_at"], Value::Null);
        let bare = json!({"job_id": "demo", "status": "queued"});
        assert_eq!(super::document(Doc(&bare)), bare);
    }
}
