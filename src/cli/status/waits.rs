//! Why a job does not go on: one line for each thing that it waits for, and the command that helps.

use serde_json::Value;

use crate::cli::format;
use crate::cli::job::{self, Doc};
use crate::cli::limits;
use crate::cli::style::{Style, Tone};

/// Remarks that are shown with `-v`.
const REMARKS: usize = 10;

/// The section; "" when nothing is waited for.
pub(super) fn section(doc: Doc<'_>, style: Style, now: f64) -> String {
    let mut lines = Vec::new();
    if !job::is_terminal(doc.text("status")) {
        lines.extend(questions(doc, style, now));
        lines.extend(flags(doc));
        lines.extend(pending_score(doc));
        lines.extend(blocked(doc));
        lines.extend(held_back(doc));
    }
    for limit in doc.list("rate_limits").iter().map(Doc) {
        let name = match limit.text("model") {
            "" => limit.text("instrument").to_owned(),
            model => format!("{} ({model})", limit.text("instrument")),
        };
        // The limit is asked for again within the hour; a sheet of this job may have been told to wait longer.
        let left = limit.number("seconds_remaining").unwrap_or(0.0).max(own_wait(doc, limit, now));
        lines.push(limits::line(&name, left, style));
    }
    lines.extend(breakers(doc, style));
    if lines.is_empty() {
        return String::new();
    }
    let body: Vec<String> = lines.iter().map(|line| format!("  {line}\n")).collect();
    format!("{}\n{}", style.paint(Tone::Bold, "Waiting For"), body.concat())
}

/// Seconds until the first sheet that met this limit goes on; 0 when none waits for it.
fn own_wait(doc: Doc<'_>, limit: Doc<'_>, now: f64) -> f64 {
    let waits = doc.sheets().into_iter().filter(|(_, sheet)| {
        sheet.text("status") == "waiting" && sheet.text("instrument_name") == limit.text("instrument")
    });
    let ends = waits.filter_map(|(_, sheet)| sheet.moment("rate_limit_expires_at"));
    ends.min_by(f64::total_cmp).map_or(0.0, |end| end - now)
}

/// Sheets that wait for a person, each with the command that answers.
fn questions(doc: Doc<'_>, style: Style, now: f64) -> Vec<String> {
    let id = doc.text("job_id");
    let mut lines = Vec::new();
    for (number, sheet) in doc.sheets().into_iter().filter(|(_, sheet)| sheet.text("status") == "fermata") {
        let asked = Doc(sheet.get("escalation"));
        let dot = style.dot();
        let since = asked.moment("since").map_or_else(String::new, |since| {
            format!(" {dot} waiting {}", format::wait((now - since).max(0.0)))
        });
        let left = asked.moment("deadline").map_or_else(String::new, |deadline| {
            format!(" {dot} fails without an answer in {}", format::wait((deadline - now).max(0.0)))
        });
        let reason = format::one_line(asked.text("reason"), None);
        lines.push(format!("{} Sheet {number} {dot} fermata{since} {dot} {reason}{left}", style.note()));
        lines.push(format!("  mozart approve {id} {number} [--retry|--skip|--accept]"));
        lines.push(format!("  mozart reject {id} {number}"));
    }
    lines
}

fn flags(doc: Doc<'_>) -> Vec<String> {
    let id = doc.text("job_id");
    let flags = doc.list("pause_flags").iter().filter_map(Value::as_str);
    let mut lines: Vec<String> = flags
        .filter_map(|flag| {
            Some(match flag {
                "user" => format!("a person, who paused it: mozart resume {id}"),
                "cost" => format!(
                    "more budget: raise `cost_limits` in {}, then: mozart resume {id}",
                    doc.text("config_path")
                ),
                "checkpoint" => checkpoint(doc, id),
                "pressure" => "less load on this machine (paused by the monitor)".to_owned(),
                "shutdown" => "the next start of the conductor".to_owned(),
                // The questions say it.
                "escalation" => return None,
                other => other.to_owned(),
            })
        })
        .collect();
    if doc.text("status") == "paused_at_chain" {
        lines.push(format!("a person, who starts the next job of the chain: mozart resume {id}"));
    }
    lines
}

/// The place of the score at which a person is asked, and what it asks.
fn checkpoint(doc: Doc<'_>, id: &str) -> String {
    let at = Doc(doc.get("checkpoint"));
    let what = match (at.get("sheet_num").as_u64(), format::one_line(at.text("name"), None)) {
        (Some(sheet), name) => format!("confirmation before sheet {sheet}, as checkpoint `{name}` asks"),
        (None, _) => "confirmation, as a checkpoint of the score asks".to_owned(),
    };
    match format::one_line(at.text("message"), None) {
        message if message.is_empty() => format!("{what}: mozart resume {id}"),
        message => format!("{what} ({message}): mozart resume {id}"),
    }
}

fn pending_score(doc: Doc<'_>) -> Option<String> {
    let path = doc.text("modify_pending");
    (!path.is_empty()).then(|| format!("the end of what plays, to go on with {path}"))
}

fn blocked(doc: Doc<'_>) -> Option<String> {
    let text = match doc.text("blocked") {
        "pacing" => "the pause between two sheets",
        "setting_up" => "its set-up: archive, worktree or preconditions",
        "budget" => "the cost of what plays: another sheet might exceed the budget",
        _ => match doc.text("status") {
            "pending" | "queued" if !waits_for_workspace(doc) => {
                "a free place: as many jobs run as may run at once"
            }
            _ => return None,
        },
    };
    Some(text.to_owned())
}

fn waits_for_workspace(doc: Doc<'_>) -> bool {
    let mut reasons = doc.get("held_back").as_object().into_iter().flatten();
    reasons.any(|(reason, _)| reason.starts_with("workspace_lock"))
}

/// What keeps ready sheets from starting, as far as no other line says it.
fn held_back(doc: Doc<'_>) -> Vec<String> {
    let reasons = doc.get("held_back").as_object().into_iter().flatten();
    let told = |name: &str| {
        let shown =
            |breaker: Doc<'_>| breaker.text("instrument") == name && breaker.text("state") != "closed";
        doc.list("circuit_breakers").iter().map(Doc).any(shown)
    };
    reasons
        .filter_map(|(reason, count)| {
            let (word, name) = reason.split_once(':').unwrap_or((reason, ""));
            let what = match word {
                "workspace_lock" => {
                    return Some(format!("the end of job {name}, which has the same workspace"));
                }
                "global_concurrency" => "a free place: as many sheets run as may run at once".to_owned(),
                "job_share" => "a free place of this job: others have their share, too".to_owned(),
                "instrument_concurrency" | "model_concurrency" => {
                    format!("a free place on {}", name.replace(':', " with model "))
                }
                "circuit_breaker" if told(name) => return None,
                "circuit_breaker" => format!("{name}, whose circuit breaker is open after failures in a row"),
                "pressure" => "less load on this machine".to_owned(),
                "blocked_by_orphan" => "the end of processes that an attempt left behind".to_owned(),
                _ => return None,
            };
            let count = count.as_u64().unwrap_or(0);
            Some(format!("{what} ({count} sheet{})", if count == 1 { "" } else { "s" }))
        })
        .collect()
}

fn breakers(doc: Doc<'_>, style: Style) -> Vec<String> {
    let one = doc.get("circuit_breaker");
    let all = doc.list("circuit_breakers").iter().chain(one.is_object().then_some(one));
    all.map(Doc)
        .filter(|breaker| !matches!(breaker.text("state"), "" | "closed"))
        .map(|breaker| {
            let name = match (breaker.text("instrument"), breaker.text("model")) {
                ("", _) => String::new(),
                (name, "") => format!(" of {name}"),
                (name, model) => format!(" of {name} ({model})"),
            };
            let next = breaker.number("seconds_remaining").map_or_else(String::new, |left| {
                format!(" {} next try in {}", style.dash(), format::wait(left))
            });
            let failures = match breaker.count("consecutive_failures") {
                0 => String::new(),
                1 => " after a failure".to_owned(),
                count => format!(" after {count} failures in a row"),
            };
            format!("Circuit breaker{name}: {}{failures}{next}", breaker.text("state").replace('_', " "))
        })
        .collect()
}

/// What became of the hooks.
pub(super) fn hooks(doc: Doc<'_>, style: Style) -> String {
    let results = doc.list("hook_results");
    if results.is_empty() {
        return String::new();
    }
    let over = job::is_terminal(doc.text("status"));
    let mut text = format!("{}\n", style.paint(Tone::Bold, "Hook Results"));
    for hook in results.iter().map(Doc) {
        let (mark, word) = match hook.get("success") {
            Value::Bool(true) => (style.ok(), ""),
            Value::Bool(false) => (style.bad(), ""),
            _ if over => ("?", "not known: the conductor stopped meanwhile"),
            _ => (style.note(), "runs"),
        };
        let mut parts =
            vec![hook.text("hook_type").to_owned(), format::one_line(hook.text("description"), Some(60))];
        if !hook.text("chained_job_id").is_empty() {
            parts.push(format!("job {}", hook.text("chained_job_id")));
        }
        if hook.get("success").is_boolean() {
            parts.extend(hook.number("duration_seconds").map(format::duration));
        }
        parts.push(word.to_owned());
        if hook.get("success") == &Value::Bool(false) {
            parts.extend(hook.get("exit_code").as_i64().map(|code| format!("exit code {code}")));
            parts.push(format::one_line(hook.text("error_message"), None));
            if !hook.text("log_path").is_empty() {
                parts.push(hook.text("log_path").to_owned());
            }
        }
        parts.retain(|part| !part.is_empty());
        text.push_str(&format!("  {mark} {}\n", parts.join(&format!(" {} ", style.dot()))));
    }
    text
}

/// With `-v`: which instruments took over from which, and what was remarked.
pub(super) fn details(doc: Doc<'_>, style: Style) -> String {
    let mut text = String::new();
    for (number, sheet) in doc.sheets() {
        for change in sheet.list("instrument_fallback_history").iter().map(Doc) {
            if text.is_empty() {
                text = format!("{}\n", style.paint(Tone::Bold, "Fallbacks"));
            }
            let at =
                change.moment("timestamp").map_or_else(String::new, |at| format!("{} ", format::moment(at)));
            text.push_str(&format!(
                "  {at}Sheet {number}: {} to {} ({})\n",
                change.text("from"),
                change.text("to"),
                change.text("reason").replace('_', " ")
            ));
        }
    }
    let remarks = doc.list("warnings");
    if !remarks.is_empty() {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&format!("{}\n", style.paint(Tone::Bold, "Remarks")));
    }
    for remark in remarks.iter().rev().take(REMARKS).map(Doc) {
        let sheet = remark.get("sheet_num").as_u64();
        let sheet = sheet.map_or_else(String::new, |number| format!("Sheet {number}: "));
        text.push_str(&format!(
            "  {} {sheet}{}\n",
            style.dot(),
            format::one_line(remark.text("message"), None)
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_reason_has_its_line_and_its_command() {
        let doc = json!({
            "job_id": "docs", "status": "paused", "config_path": "/s/docs.yaml", "modify_pending": "/s/new.yaml",
            "pause_flags": ["user", "cost", "escalation", "checkpoint", "pressure"],
            "rate_limits": [{"instrument": "agent", "model": "big", "seconds_remaining": 150.0}],
            "circuit_breakers": [{"instrument": "other", "state": "open", "seconds_remaining": 30.0, "consecutive_failures": 5},
                {"instrument": "fine", "state": "closed"}],
            "sheets": {"4": {"status": "fermata", "escalation": {"reason": "rules fail", "since": 280.0, "deadline": 1060.0}}},
        });
        assert_eq!(
            section(Doc(&doc), Style::PLAIN, 1000.0),
            "Waiting For\n\
             \x20 ♪ Sheet 4 · fermata · waiting 12m · rules fail · fails without an answer in 1m\n\
             \x20   mozart approve docs 4 [--retry|--skip|--accept]\n\
             \x20   mozart reject docs 4\n\
             \x20 a person, who paused it: mozart resume docs\n\
             \x20 more budget: raise `cost_limits` in /s/docs.yaml, then: mozart resume docs\n\
             \x20 confirmation, as a checkpoint of the score asks: mozart resume docs\n\
             \x20 less load on this machine (paused by the monitor)\n\
             \x20 the end of what plays, to go on with /s/new.yaml\n\
             \x20 Rate limit on agent (big) — clears in 2m 30s\n\
             \x20 Circuit breaker of other: open after 5 failures in a row — next try in 30s\n"
        );
        let ended = json!({"job_id": "docs", "status": "completed", "sheets": {}});
        assert_eq!(section(Doc(&ended), Style::PLAIN, 0.0), "");
    }

    #[test]
    fn sheets_that_are_held_back_are_counted() {
        let doc = json!({"status": "running", "held_back": {
            "circuit_breaker:agent": 2, "rate_limited:other": 1, "model_concurrency:agent:big": 1, "paused": 3,
            "workspace_lock:first": 1}});
        assert_eq!(
            held_back(Doc(&doc)),
            [
                "agent, whose circuit breaker is open after failures in a row (2 sheets)",
                "a free place on agent with model big (1 sheet)",
                "the end of job first, which has the same workspace",
            ]
        );
    }

    #[test]
    fn hooks_show_how_they_went() {
        let doc = json!({"status": "completed", "hook_results": [
            {"hook_type": "run_command", "description": "publish", "success": true, "duration_seconds": 1.25},
            {"hook_type": "run_job", "success": false, "error_message": "refused", "chained_job_id": "next", "duration_seconds": 0.0},
            {"hook_type": "run_script", "success": null},
        ]});
        assert_eq!(
            hooks(Doc(&doc), Style::PLAIN),
            "Hook Results\n  ✓ run_command · publish · 1.2s\n  ✗ run_job · job next · 0.0s · refused\n\
             \x20 ? run_script · not known: the conductor stopped meanwhile\n"
        );
    }

    #[test]
    fn details_tell_who_took_over() {
        let doc = json!({"sheets": {"1": {"instrument_fallback_history": [
            {"from": "a", "to": "b", "reason": "rate_limit_exhausted", "timestamp": "2026-02-14T09:30:00Z"}]}},
            "warnings": [{"sheet_num": 1, "message": "condition not evaluated"}]});
        assert_eq!(
            details(Doc(&doc), Style::PLAIN),
            "Fallbacks\n  2026-02-14 09:30:00 UTC Sheet 1: a to b (rate limit exhausted)\n\n\
             Remarks\n  · Sheet 1: condition not evaluated\n"
        );
    }
}
