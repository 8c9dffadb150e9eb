//! `job.approve`: refusals in every state, and a skip of a sheet that nobody asked about.

use serde_json::{Value, json};

use super::failed;
use crate::band::{Band, ONE, over};
use crate::house::House;

fn house() -> House {
    let mut house = House::new("");
    house.agent("gated", "gate \"go-$sheet\"\n", "");
    house.start();
    house
}

fn approve(house: &House, job: &str, sheet: u32, decision: &str) -> Value {
    house.call("job.approve", json!({ "job_id": job, "sheet_num": sheet, "decision": decision }))
}

#[test]
fn what_nobody_asked_cannot_be_answered() {
    let house = house();
    let answer = approve(&house, "none", 1, "accept");
    assert_eq!((&answer["status"], &answer["message"]), (&json!("rejected"), &json!("Job 'none' not found")));
    house.play("job", &format!("instrument: gated\n{ONE}"));
    house.wait_sheet("job", 1, "in_progress");
    let answer = approve(&house, "job", 1, "accept");
    assert_eq!(answer["reason"], "not_waiting");
    assert_eq!(
        answer["message"],
        "Sheet 1 of job 'job' is in_progress and waits for no decision; no sheet of this job waits for a decision"
    );
    assert_eq!(approve(&house, "job", 7, "accept")["message"], "Sheet 7 not found in job 'job'");
    let (exit, error) = failed(&house, &["approve", "job"]);
    assert_eq!(exit, 1);
    assert!(error.contains("No sheet of job 'job' waits for a decision"), "{error}");
    house.touch("job/go-1");
    over(&house, "job", "completed");
    let answer = approve(&house, "job", 1, "fail");
    assert_eq!(answer["message"], "Job 'job' is completed; none of its sheets waits for a decision");
    let (exit, error) = failed(&house, &["reject", "job", "1"]);
    assert_eq!(exit, 1);
    assert!(error.contains("none of its sheets waits"), "{error}");
    let error = house.try_call("job.approve", json!({ "job_id": "job", "sheet_num": 1 })).unwrap_err();
    assert!(error.to_string().contains("missing required field 'decision'"), "{error}");
}
