//! Waiting and time limits: rate limits, sheet, idle and job timeouts.

use std::fs;

use serde_json::Value;

use crate::band::{Band, ONCE, ONE, over};
use crate::house::House;

/// Limited on the first call of anybody, then never again; writes down who called.
const LIMITED: &str = r#"
echo "$MOZART_JOB_ID" >> ../calls
if mkdir ../asked 2>/dev/null; then
  echo "Error: rate limit exceeded, retry after 2 seconds" >&2
  exit 1
fi
"#;
const LIMITS: &str = "errors: {rate_limit_patterns: ['rate.?limit']}";

// Invariant I42
#[test]
fn two_jobs_share_a_rate_limit() {
    let house = House::new("");
    house.agent("limited", LIMITED, LIMITS);
    house.agent("free", ":\n", "");
    let mut house = house;
    house.start();
    let score = format!("instrument: limited\n{ONE}{ONCE}");
    house.play("one", &score);
    let waiting = house.wait_sheet("one", 1, "waiting");
    assert_eq!(waiting["rate_limit_waits"], 1);
    assert!(waiting["sheets"]["1"]["rate_limit_expires_at"].is_string(), "{waiting:#}");
    assert_eq!(house.call("daemon.status", Value::Null)["pressure"], "high");
    assert_eq!(house.call("daemon.ready", Value::Null)["status"], "ready", "a limit is not a reason");
    house.play("two", &score);
    // Other instruments are not held.
    house.play_out("three", &format!("instrument: free\n{ONE}{ONCE}"), "completed");
    let one = over(&house, "one", "completed");
    let two = over(&house, "two", "completed");
    assert_eq!(one["sheets"]["1"]["attempt_count"], 2, "{one:#}");
    assert_eq!(one["sheets"]["1"]["normal_attempts"], 0, "waiting costs no retry");
    assert_eq!(one["total_retry_count"], 0);
    assert_eq!(two["sheets"]["1"]["attempt_count"], 1, "{two:#}");
    assert_eq!(two["rate_limit_waits"], 0, "the second job was held, not refused");
    let mut calls: Vec<String> =
        fs::read_to_string(house.work("calls")).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(calls[0], "one");
    calls.sort();
    assert_eq!(calls, ["one", "one", "two"]);
}

#[test]
fn too_many_waits_in_a_row_end_in_failure() {
    let house = House::new("");
    house.agent("always", "echo 'rate limit exceeded, retry after 1 second' >&2; exit 1\n", LIMITS);
    let mut house = house;
    house.start();
    let text = format!("instrument: always\n{ONE}{ONCE}rate_limit: {{max_waits: 1}}\n");
    let end = house.play_out("always", &text, "failed");
    let sheet = &end["sheets"]["1"];
    assert_eq!(sheet["error_code"], "E101", "{sheet:#}");
    assert_eq!(sheet["attempt_count"], 2);
    assert_eq!(end["rate_limit_waits"], 1);
}

// Invariant I77
#[test]
fn a_timeout_keeps_what_was_printed() {
    let house = House::new("");
    house.agent("slow", "echo partial; echo trouble >&2; sleep 1000\n", "");
    let mut house = house;
    house.start();
    let text = format!(
        "instrument: slow\ninstrument_config: {{timeout_seconds: 0.5, kill_grace_seconds: 1}}\n{ONE}{ONCE}"
    );
    let end = house.play_out("slow", &text, "failed");
    let sheet = &end["sheets"]["1"];
    assert_eq!(sheet["error_code"], "E001", "{sheet:#}");
    assert_eq!(sheet["killed_by"], "timeout");
    assert_eq!(sheet["exit_reason"], "timeout");
    assert!(sheet["stdout_tail"].as_str().unwrap().contains("partial"));
    assert!(sheet["stderr_tail"].as_str().unwrap().contains("trouble"));
    let log = sheet["output_log"].as_str().unwrap();
    assert_eq!(fs::read_to_string(log).unwrap(), "partial\n");
    house.wait_empty();
}

#[test]
fn silence_is_noticed() {
    let house = House::new("");
    house.agent("silent", "echo hello; sleep 1000\n", "");
    let mut house = house;
    house.start();
    let text = format!(
        "instrument: silent\n{ONE}{ONCE}\
         stale_detection: {{enabled: true, idle_timeout_seconds: 0.6, check_interval_seconds: 0.1}}\n"
    );
    let end = house.play_out("silent", &text, "failed");
    let sheet = &end["sheets"]["1"];
    assert_eq!(sheet["error_code"], "E006", "{sheet:#}");
    assert_eq!(sheet["killed_by"], "idle");
    assert!(sheet["stdout_tail"].as_str().unwrap().contains("hello"));
    house.wait_empty();
}

#[test]
fn an_agent_that_keeps_talking_is_not_idle() {
    let house = House::new("");
    house.agent("chatty", "i=0; while [ $i -lt 12 ]; do echo $i; sleep 0.1; i=$((i + 1)); done\n", "");
    let mut house = house;
    house.start();
    let text = format!(
        "instrument: chatty\n{ONE}{ONCE}\
         stale_detection: {{enabled: true, idle_timeout_seconds: 1.0, check_interval_seconds: 0.1}}\n"
    );
    house.play_out("chatty", &text, "completed");
}
