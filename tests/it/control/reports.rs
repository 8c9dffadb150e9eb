//! `job.errors`, `job.history`, `job.recover` without `apply`, and what the commands print of them.

use serde_json::{Value, json};

use super::{document, failed, said};
use crate::band::{Band, ONCE, ONE, QUICK, over};
use crate::house::House;

/// A job that fails three times, each time with words on both streams.
fn house() -> House {
    let mut house = House::new("");
    house.agent("bad", "echo working on $sheet; echo \"cannot reach the moon, try $nth\" >&2; exit 4\n", "");
    house.agent("good", "echo fine\n", "");
    house.start();
    house.play_out("job", &format!("instrument: bad\n{ONE}{QUICK}"), "failed");
    house
}

#[test]
fn errors_carry_what_showed_them() {
    let house = house();
    let answer = house.call("job.errors", json!({ "job_id": "job", "workspace": null }));
    assert_eq!(answer["state"]["job_id"], "job");
    let errors = answer["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 3, "{answer:#}");
    for (nth, error) in errors.iter().enumerate() {
        assert_eq!((&error["sheet_num"], &error["attempt"]), (&json!(1), &json!(nth + 1)));
        assert_eq!(error["exit_code"], 4);
        assert!(error["stderr_tail"].as_str().unwrap().contains(&format!("try {}", nth + 1)), "{error:#}");
        for member in ["error_code", "category", "message", "timestamp", "hint", "further_errors"] {
            assert!(!error[member].is_null(), "{member} in {error:#}");
        }
    }
    let text = said(&house, &["errors", "jo"]);
    assert!(text.starts_with("Sheet   Time"), "{text}");
    assert!(text.contains("Total: 3 error(s)"), "{text}");
    assert!(!text.contains("Stderr (tail)"), "tails need -v: {text}");
    let text = said(&house, &["errors", "job", "-v"]);
    assert!(text.contains("Stderr (tail):\n    cannot reach the moon, try 1\n"), "{text}");
    assert!(text.contains("Advice: "), "{text}");
    let code = errors[0]["error_code"].as_str().unwrap().to_lowercase();
    assert_eq!(document(&house, &["errors", "job", "--code", &code])["total_errors"], 3);
    assert_eq!(document(&house, &["errors", "job", "--limit", "1"])["errors"][0]["attempt"], 3);
    let none = document(&house, &["errors", "job", "--sheet", "7"]);
    assert_eq!(none, json!({ "job_id": "job", "total_errors": 0, "errors": [] }));
    assert_eq!(
        said(&house, &["errors", "job", "--code", "E101"]),
        "No errors found for job: job (code E101)\n"
    );
    assert_eq!(failed(&house, &["errors", "job", "--type", "odd"]).0, 2);
}

#[test]
fn history_has_every_attempt_newest_first() {
    let house = house();
    let answer = house.call("job.history", json!({ "job_id": "job", "workspace": null, "sheet_num": null }));
    assert_eq!((&answer["job_id"], &answer["has_history"]), (&json!("job"), &json!(true)));
    let records = answer["records"].as_array().unwrap();
    let numbers: Vec<&Value> = records.iter().map(|record| &record["attempt_num"]).collect();
    assert_eq!(numbers, [3, 2, 1], "{answer:#}");
    let newest = &records[0];
    assert!(newest["prompt"].as_str().unwrap().contains("work"), "{newest:#}");
    assert_eq!(newest["output"], "working on 1\n");
    assert_eq!((&newest["exit_code"], &newest["outcome"]), (&json!(4), &json!("failed")));
    let one = house.call("job.history", json!({ "job_id": "job", "limit": 1, "sheet_num": 1 }));
    assert_eq!(one["records"].as_array().unwrap().len(), 1);
    assert_eq!(one["records"][0]["attempt_num"], 3, "numbers do not depend on the limit");
    let none = house.call("job.history", json!({ "job_id": "job", "sheet_num": 9 }));
    assert_eq!(none["records"], json!([]));
    let text = said(&house, &["history", "job"]);
    assert!(text.contains("Total: 3 record(s)"), "{text}");
    assert_eq!(document(&house, &["history", "job", "-n", "2"])["total_records"], 2);
    let error = house.try_call("job.history", json!({ "job_id": "job", "limit": 0 })).unwrap_err();
    assert!(error.to_string().contains("'limit' must be between 1 and 10000"), "{error}");
}

#[test]
fn nobody_knows_the_job() {
    let house = house();
    for method in ["job.errors", "job.history"] {
        let error = house.try_call(method, json!({ "job_id": "nope", "workspace": null })).unwrap_err();
        assert_eq!(error.to_string(), "Job 'nope' not found");
    }
    let error = house.try_call("job.recover", json!({ "job_id": "nope" })).unwrap_err();
    assert_eq!(error.to_string(), "No state found for job 'nope'");
    for command in ["errors", "history", "cost"] {
        let (exit, error) = failed(&house, &[command, "nope"]);
        assert_eq!(exit, 1, "{error}");
        assert!(error.starts_with("Error: Job not found: nope\n"), "{error}");
    }
}

#[test]
fn a_recovery_that_is_only_shown_changes_nothing() {
    let house = house();
    let answer = house
        .call("job.recover", json!({ "job_id": "job", "workspace": null, "sheet_num": 1, "dry_run": true }));
    assert_eq!((&answer["dry_run"], &answer["sheet_num"]), (&json!(true), &json!(1)));
    assert_eq!(answer["state"]["status"], "failed");
    assert_eq!(answer["workspace"], house.work("job").to_str().unwrap());
    assert_eq!(answer["sheets"][0]["sheet_num"], 1);
    let text = said(&house, &["recover", "job", "--dry-run"]);
    assert!(text.starts_with("Would check the rules of 1 sheet(s) again:\n  Sheet 1: "), "{text}");
    assert!(text.ends_with("no changes made\n"), "{text}");
    let (exit, error) = failed(&house, &["recover", "job", "--dry-run", "--sheet", "9"]);
    assert_eq!(exit, 1);
    assert!(error.contains("Sheet 9 not found in job 'job'"), "{error}");
    assert_eq!(house.word("job"), "failed");
    house.play_out("fine", &format!("instrument: good\n{ONE}"), "completed");
    let (exit, error) = failed(&house, &["recover", "fine"]);
    assert_eq!(exit, 1);
    assert!(error.contains("Job 'fine' is completed, only FAILED jobs can be recovered"), "{error}");
}

#[test]
fn a_job_without_errors() {
    let mut house = House::new("");
    house.agent("good", "echo fine\n", "");
    house.start();
    house.play("job", &format!("instrument: good\n{ONE}"));
    over(&house, "job", "completed");
    assert_eq!(said(&house, &["errors", "job"]), "No errors found for job: job\n");
    assert_eq!(house.call("job.errors", json!({ "job_id": "job" }))["errors"], json!([]));
    assert!(said(&house, &["cost", "job"]).starts_with("job\nCost: "));
}

#[test]
fn a_recovery_checks_the_rules_and_runs_nothing() {
    let mut house = House::new("");
    house.agent("once", "echo ran >> ran\n", "");
    house.start();
    let score = format!(
        "instrument: once\nsheet: {{size: 1, total_items: 2}}\nprompt: {{template: work}}\n{ONCE}\
         validations:\n  - {{type: file_exists, path: '{{workspace}}/by-hand'}}\n"
    );
    house.play_out("job", &score, "failed");
    let before = house.read("job/ran");
    // Nothing runs, so no limit of the instrument is waited for.
    house.agent("once", "echo 'rate limit, try again in 1000 s' >&2; exit 1\n", "");
    house.play("limited", &format!("instrument: once\n{ONE}"));
    house.wait_sheet("limited", 1, "waiting");
    let text = said(&house, &["recover", "job"]);
    assert!(text.contains("Validated: 0 of 1\n  Sheet 1 still fails: "), "{text}");
    house.touch("job/by-hand");
    let text = said(&house, &["recover", "job"]);
    assert!(text.contains("Recovered 1 sheet(s). Resume with:\n  mozart resume job\n"), "{text}");
    assert_eq!(house.word("job"), "paused");
    assert_eq!(house.read("job/ran"), before, "no program ran");
    said(&house, &["cancel", "limited"]);
    house.agent("once", "echo ran >> ran\n", "");
    house.call("daemon.clear_rate_limits", json!({ "instrument": null }));
    said(&house, &["resume", "job"]);
    let end = over(&house, "job", "completed");
    assert_eq!(end["sheets"]["1"]["outcome_category"], "success_validated");
}
