#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::classify::ErrorCode;
use crate::exec::{
    AttemptReport, Budget, Evidence, Execution, Hooks, Input, InstrumentRef, JobSpec, Outcome,
    RateLimitPolicy, RetryPolicy, SheetSpec, SheetState,
};
use crate::ids::{AttemptNo, JobId, SheetNo, Token};
use crate::time::{Mono, Now, Wall};

const NOW: Now = Now { mono: Mono(1_000_000_000), wall: Wall(1_763_719_200_500) };

fn spec() -> Arc<JobSpec> {
    let sheet = |stage: u32, after: Vec<SheetNo>| SheetSpec {
        after,
        instruments: vec![InstrumentRef { name: "shell".into(), model: Some("big".into()) }],
        description: "say it".into(),
        fingerprint: "f".into(),
        stage,
        instance: 1,
        skip_when: None,
        skip_command: false,
        timeout: Duration::from_secs(1800),
        limits: vec![Duration::from_secs(1795)],
    };
    Arc::new(JobSpec {
        name: "test".into(),
        workspace: "/w".into(),
        sheets: vec![sheet(1, Vec::new()), sheet(2, vec![SheetNo(1)])],
        movements: [(1, "Survey".into())].into(),
        max_parallel: 1,
        fail_fast: false,
        retry: RetryPolicy {
            max_retries: 1,
            base_delay: Duration::from_secs(10),
            max_delay: Duration::from_secs(60),
            exponential_base: 2.0,
            explicit: true,
            jitter: true,
            max_completion_attempts: 1,
            completion_delay: Duration::from_secs(1),
            completion_threshold: 50.0,
        },
        rate_limit: RateLimitPolicy {
            max_waits: 3,
            max_quota_waits: 3,
            wait: None,
            fallback_min_wait: Duration::from_secs(30),
        },
        pause_between: Duration::from_secs(3),
        stagger: Duration::ZERO,
        timeout: None,
        start_sheet: None,
        seed: u64::MAX,
        budget: Budget::default(),
        healing: 0,
        escalation: None,
        patience: None,
        breaker: None,
        set_up: false,
        hooks: Hooks::default(),
        breakpoints: Vec::new(),
    })
}

/// A job whose first sheet ended so, and whose second sheet runs if it can.
fn job(outcome: Outcome) -> Execution {
    let mut exec = Execution::new(spec(), NOW);
    exec.step(NOW, Input::Begin);
    let token = Token::from_bytes([9; 16]);
    exec.step(NOW, Input::Dispatch { sheet: SheetNo(1), attempt: AttemptNo(1), token });
    let evidence = Evidence {
        exit_code: Some(0),
        duration_seconds: 1.25,
        stdout_tail: "done".to_owned(),
        directory: "/var/lib/m/attempt-1".into(),
        input_tokens: Some(7),
        ..Evidence::default()
    };
    let report = Box::new(AttemptReport { outcome, evidence });
    exec.step(NOW, Input::AttemptEnded { sheet: SheetNo(1), attempt: AttemptNo(1), report });
    exec
}

fn passed() -> Outcome {
    Outcome::Ran { passed: 1, executed: 1, total: 1 }
}

fn meta() -> Meta {
    Meta {
        job_id: JobId::new("demo").unwrap(),
        config_path: "/home/u/demo.yaml".to_owned(),
        workspace: "/home/u/ws".to_owned(),
        submitted: NOW.wall,
        pid: Some(42),
        boot_id: "b1".to_owned(),
        config_hash: "00ff".to_owned(),
        chain_depth: 1,
        parent: Some(JobId::new("first").unwrap()),
        concert: Some("first-7".to_owned()),
        parallel: false,
    }
}

fn status(exec: &Execution) -> serde_json::Value {
    status_json(&meta(), exec.spec(), exec.job(), exec.sheets(), None, NOW)
}

#[test]
fn records_survive_their_text() {
    let limited = Outcome::RateLimited { code: ErrorCode::E101, wait: None, message: "slow".to_owned() };
    let partial = Outcome::Ran { passed: 1, executed: 3, total: 3 };
    for outcome in [passed(), limited, partial, Outcome::Ended] {
        let exec = job(outcome);
        let record = exec.job_record();
        assert_eq!(JobRecord::decode(&record.encode()).unwrap(), record);
        for sheet in exec.sheets() {
            let record = exec.sheet_record(sheet.num);
            let decoded = SheetRecord::decode(&record.encode()).unwrap();
            assert_eq!(decoded, record);
            assert_eq!(decoded.into_sheet(NOW), **sheet);
        }
    }
}

#[test]
fn what_an_older_writer_left_out_is_filled_in() {
    let text = r#"{"schema_version":1,"num":2,"stage":2,"instance":1,"state":{"failed":{}},"other":true}"#;
    let record = SheetRecord::decode(text).unwrap();
    let error = record.ledger.error.as_ref().unwrap();
    assert_eq!(error.message, "Unknown failure (no error message recorded)");
    assert_eq!(record.into_sheet(NOW).state, SheetState::Failed { at: Wall(0) });
    let ready = SheetRecord::decode(r#"{"schema_version":1,"num":1,"stage":1,"instance":1,"state":"ready"}"#);
    assert_eq!(ready.unwrap().state, StoredState::Pending);
    let running =
        JobRecord::decode(r#"{"schema_version":1,"status":"running","ledger":{"completed":5}}"#).unwrap();
    assert_eq!((running.ledger.started, running.ledger.completed), (Some(Wall(0)), None));
}

// Invariant I64
#[test]
fn what_is_not_understood_is_refused() {
    for (text, expected) in [
        (
            r#"{"schema_version":1,"num":1,"stage":1,"instance":1,"state":"levitating"}"#,
            "the stored sheet is not readable; restore a backup of the database or run the job with --fresh",
        ),
        (
            r#"{"schema_version":2,"num":1,"stage":1,"instance":1,"state":"pending"}"#,
            "the stored sheet has version 2, this program reads up to 1; use the program that wrote it",
        ),
    ] {
        assert_eq!(SheetRecord::decode(text).unwrap_err().to_string(), expected);
    }
    assert!(JobRecord::decode(r#"{"schema_version":1,"status":"dancing"}"#).is_err());
    assert!(JobRecord::decode("{").is_err());
}

#[test]
fn clients_find_the_members_they_know() {
    let mut exec = job(passed());
    let value = status(&exec);
    for (pointer, expected) in [
        ("/job_id", "\"demo\""),
        ("/job_name", "\"demo\""),
        ("/total_sheets", "2"),
        ("/status", "\"running\""),
        ("/started_at", "\"2025-11-21T10:00:00.500Z\""),
        ("/completed_at", "null"),
        ("/last_completed_sheet", "1"),
        ("/completed_count", "1"),
        ("/current_sheet", "null"),
        ("/sheets_in_progress", "[]"),
        ("/pause_flags", "[]"),
        ("/total_input_tokens", "7"),
        ("/sheets/1/sheet_num", "1"),
        ("/sheets/1/status", "\"completed\""),
        ("/sheets/1/attempt_count", "1"),
        ("/sheets/1/validation_passed", "true"),
        ("/sheets/1/output_log", "\"/var/lib/m/attempt-1/stdout.log\""),
        ("/sheets/1/outcome_category", "\"success_first_try\""),
        ("/sheets/1/exit_reason", "\"completed\""),
        ("/sheets/1/attempts/0/outcome", "\"completed\""),
        ("/sheets/2/status", "\"pending\""),
        ("/sheets/2/instrument_model", "\"big\""),
        // Without the grace and without what the backstop adds.
        ("/sheets/1/sheet_timeout_seconds", "1795.0"),
        ("/config_hash", "\"00ff\""),
        ("/pid", "42"),
        ("/conductor_boot_id", "\"b1\""),
        ("/chain_depth", "1"),
        ("/parent_job_id", "\"first\""),
        ("/concert_id", "\"first-7\""),
        ("/movements/0/name", "\"Survey\""),
        ("/movements/0/status", "\"completed\""),
        ("/movements/0/completed_count", "1"),
        ("/movements/0/instrument", "\"shell\""),
        ("/movements/0/sheets", "[1]"),
        ("/movements/1/name", "null"),
        ("/movements/1/status", "\"pending\""),
    ] {
        assert_eq!(value.pointer(pointer).unwrap().to_string(), expected, "{pointer}");
    }
    exec.step(NOW, Input::Cancel);
    assert_eq!(status(&exec)["status"], "cancelled");
    assert_eq!(status(&Execution::new(spec(), NOW))["status"], "pending");
}

#[test]
fn waits_say_what_for() {
    let wait = Some(Duration::from_secs(600));
    let exec = job(Outcome::RateLimited { code: ErrorCode::E101, wait, message: "slow".to_owned() });
    let value = status(&exec);
    let shown = value["sheets"]["1"]["display_status"].as_str().unwrap().to_owned();
    assert!(shown.starts_with("rate limited, clears in 1"), "{shown}");
    assert_eq!(value["resume_at"], value["sheets"]["1"]["rate_limit_expires_at"]);
    assert_eq!(value["sheets"]["1"]["error_category"], "rate_limit");
    assert_eq!(value["rate_limit_waits"], 1);
}
