//! `job.approve`: refusals in every state, and a skip of a sheet that nobody asked about.

use serde_json::{Value, json};

use super::{document, failed, said};
use crate::band::{Band, ONCE, ONE, over, states};
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

/// A house with an agent that succeeds only once `good` is there, in scores that ask a person.
fn asking() -> House {
    let mut house = House::new("");
    house.agent("stubborn", "[ -e good ] || [ -e \"good-$sheet\" ]\n", "");
    house.start();
    house
}

const ASK: &str = "learning: {escalation_enabled: true}\ninstrument: stubborn\n";

fn two(house: &House, job: &str) {
    let sheets = "sheet: {size: 1, total_items: 2}\nprompt: {template: work}\n";
    house.play(job, &format!("{ASK}{sheets}{ONCE}"));
    house.wait_sheet(job, 1, "fermata");
}

#[test]
fn a_question_is_shown_with_the_command_that_answers_it() {
    let house = asking();
    two(&house, "job");
    let status = house.wait_status("job", "paused");
    assert_eq!(status["pause_flags"], json!(["escalation"]));
    let asked = &status["sheets"]["1"]["escalation"];
    assert_eq!(asked["options"], json!(["retry", "skip", "accept", "fail"]), "{status:#}");
    assert_eq!(asked["errors"][0]["attempt"], 1, "{asked:#}");
    let directory = std::path::Path::new(asked["directory"].as_str().unwrap());
    assert!(directory.join("prompt").is_file(), "{asked:#}");
    let text = said(&house, &["status", "job"]);
    assert!(text.contains("* Sheet 1 . fermata . waiting "), "{text}");
    assert!(text.contains("mozart approve job 1 [--retry|--skip|--accept]\n"), "{text}");
    let listed = document(&house, &["approve", "job", "--list"]);
    assert_eq!(listed["waiting"][0]["sheet_num"], 1, "{listed}");
    assert_eq!(house.call("job.resume", json!({ "job_id": "job" }))["status"], "accepted");
    house.wait_sheet("job", 1, "fermata");
    house.call("job.cancel", json!({ "job_id": "job" }));
}

#[test]
fn a_retry_may_say_more() {
    let house = asking();
    two(&house, "job");
    house.touch("job/good");
    let text = said(&house, &["approve", "job", "--prompt", "Look at the moon.", "--note", "seen it"]);
    assert!(text.starts_with("Sheet 1 gets one more attempt.\n"), "{text}");
    over(&house, "job", "completed");
    let status = house.status("job");
    assert_eq!(status["sheets"]["1"]["status"], "completed");
    let prompt = house.prompt("job", 1, 2);
    assert!(prompt.contains("Look at the moon."), "{prompt}");
}

#[test]
fn accepted_skipped_and_failed() {
    let house = asking();
    two(&house, "job");
    let answer = approve(&house, "job", 1, "accept");
    assert_eq!(
        answer,
        json!({
            "job_id": "job", "status": "accepted", "message": "Sheet 1 is accepted as it is", "sheet_num": 1,
            "decision": "accept",
        })
    );
    house.wait_sheet("job", 2, "fermata");
    assert_eq!(approve(&house, "job", 1, "accept")["reason"], "not_waiting", "it is over");
    assert!(said(&house, &["approve", "job", "2", "--skip"]).starts_with("Sheet 2 is skipped"));
    let end = over(&house, "job", "completed");
    assert_eq!(states(&end), ["completed", "skipped"]);
    assert_eq!(end["sheets"]["2"]["skip_reason"], "operator");
    two(&house, "no");
    assert!(said(&house, &["reject", "no"]).starts_with("Sheet 1 fails; what depends on it is skipped.\n"));
    let end = over(&house, "no", "failed");
    assert_eq!(states(&end), ["failed", "skipped"]);
    two(&house, "never");
    said(&house, &["reject", "never", "1", "--job", "--note", "enough"]);
    let end = over(&house, "never", "failed");
    assert_eq!(end["error_message"], "Rejected at sheet 1: enough", "{end:#}");
}

#[test]
fn a_question_survives_the_conductor() {
    let mut house = asking();
    two(&house, "job");
    house.wait_status("job", "paused");
    house.kill();
    house.start();
    assert_eq!(house.sheet("job", 1)["status"], "fermata");
    house.touch("job/good-2");
    approve(&house, "job", 1, "accept");
    over(&house, "job", "completed");
}

#[test]
fn any_sheet_can_be_skipped() {
    let house = house();
    house.play("job", "instrument: gated\nsheet: {size: 1, total_items: 3}\nprompt: {template: work}\n");
    house.wait_sheet("job", 1, "in_progress");
    assert_eq!(
        approve(&house, "job", 2, "skip")["message"],
        "Sheet 2 is skipped; what depends on it goes on"
    );
    assert_eq!(
        approve(&house, "job", 1, "skip")["message"],
        "Sheet 1 is skipped unless its attempt succeeds"
    );
    house.touch("job/go-1");
    house.touch("job/go-3");
    assert_eq!(states(&over(&house, "job", "completed")), ["completed", "skipped", "completed"]);
}
