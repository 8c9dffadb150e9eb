//! `job.modify`: another score for a job that runs, pauses, failed, or is over.

use std::fs;

use serde_json::{Value, json};

use super::{failed, said};
use crate::band::{Band, ONCE, over, states};
use crate::house::House;
use crate::wait::wait_until;

const GATED: &str = "touch \"begun-$sheet-$nth\"; gate \"go-$sheet\"; echo \"$sheet $(grep words prompt-$sheet-$nth)\" >> ended\n";
const OLD: &str = "instrument: gated\nsheet: {size: 1, total_items: 2}\nprompt: {template: old words}\n";
const NEW: &str = "instrument: gated\nsheet: {size: 1, total_items: 3}\nprompt: {template: new words}\n";

fn house() -> House {
    let mut house = House::new("");
    house.agent("gated", GATED, "");
    house.agent("other", GATED, "");
    house.agent("bad", "exit 4\n", "");
    house.start();
    house
}

/// Writes another version of the score of a job, in another file. Returns its path.
fn version(house: &House, job: &str, file: &str, text: &str) -> String {
    let path = house.path(&format!("{file}.yaml"));
    fs::write(&path, format!("name: {job}\nworkspace: {}\n{text}", house.work(job).display())).unwrap();
    path.to_str().unwrap().to_owned()
}

fn modify(house: &House, job: &str, path: &str) -> Value {
    house.call("job.modify", json!({ "job_id": job, "config_path": path }))
}

fn ended(house: &House, job: &str) -> Vec<String> {
    house.read(&format!("{job}/ended")).lines().map(|line| line.trim_end().to_owned()).collect()
}

#[test]
fn a_running_job_ends_what_plays_and_goes_on_with_the_new_score() {
    let house = house();
    house.play("job", OLD);
    house.wait_sheet("job", 1, "in_progress");
    let new = version(&house, "job", "job2", &NEW.replace("gated", "other"));
    assert_eq!(
        modify(&house, "job", &new),
        json!({
            "job_id": "job", "status": "accepted",
            "message": "Pause signal sent. Will resume with job2.yaml when paused.",
        })
    );
    assert_eq!(house.status("job")["modify_pending"], new.as_str());
    let shown = said(&house, &["status", "job"]);
    assert!(shown.contains(&format!("the end of what plays, to go on with {new}")), "{shown}");
    house.touch("job/go-1");
    house.wait_sheet("job", 2, "in_progress");
    let status = house.status("job");
    assert_eq!((&status["total_sheets"], &status["config_path"]), (&json!(3), &json!(new)), "{status:#}");
    assert_eq!((&status["modify_pending"], &status["pause_flags"]), (&Value::Null, &json!([])));
    assert_eq!(status["sheets"]["1"]["instrument_name"], "gated", "that is what it ran on");
    assert_eq!(status["sheets"]["1"]["changed_since_run"], true, "its text changed, it stays completed");
    house.touch("job/go-2");
    house.touch("job/go-3");
    over(&house, "job", "completed");
    let words = ended(&house, "job");
    assert_eq!(words.len(), 3, "{words:?}");
    assert!(words[0].starts_with("1 ") && words[0].contains("old words"), "{words:?}");
    assert!(words[1..].iter().all(|line| line.contains("new words")), "{words:?}");
}

#[test]
fn the_second_score_replaces_the_first_and_a_death_in_between_loses_neither() {
    let mut house = house();
    house.play("job", OLD);
    house.wait_sheet("job", 1, "in_progress");
    modify(
        &house,
        "job",
        &version(
            &house,
            "job",
            "never",
            "instrument: bad\nsheet: {size: 1, total_items: 2}\nprompt: {template: never}\n",
        ),
    );
    let new = version(&house, "job", "job2", NEW);
    assert_eq!(modify(&house, "job", &new)["status"], "accepted");
    house.kill();
    // Not even its file is needed any more.
    fs::remove_file(&new).unwrap();
    house.start();
    assert_eq!(house.status("job")["modify_pending"], new.as_str());
    for sheet in 1..=3 {
        house.touch(&format!("job/go-{sheet}"));
    }
    over(&house, "job", "completed");
    let words = ended(&house, "job");
    assert_eq!(words.len(), 3, "{words:?}");
    assert!(words[2].contains("new words"), "{words:?}");
}

#[test]
fn a_pause_that_comes_later_wins() {
    let house = house();
    house.play("job", OLD);
    house.wait_sheet("job", 1, "in_progress");
    modify(&house, "job", &version(&house, "job", "job2", NEW));
    assert_eq!(house.call("job.pause", json!({ "job_id": "job" })), json!({ "paused": true }));
    house.touch("job/go-1");
    let paused = house.wait_status("job", "paused");
    wait_until("the new score", || house.status("job")["total_sheets"] == 3);
    assert_eq!(paused["pause_flags"], json!(["user"]));
    house.touch("job/go-2");
    house.touch("job/go-3");
    assert_eq!(house.call("job.resume", json!({ "job_id": "job" }))["status"], "accepted");
    over(&house, "job", "completed");
}

#[test]
fn jobs_at_rest_go_on_at_once() {
    let house = house();
    for sheet in 1..=3 {
        fs::create_dir_all(house.work("failed")).unwrap();
        house.touch(&format!("failed/go-{sheet}"));
    }
    let bad = format!("instrument: bad\nsheet: {{size: 1, total_items: 2}}\nprompt: {{template: x}}\n{ONCE}");
    house.play_out("failed", &bad, "failed");
    let new = version(&house, "failed", "failed2", NEW);
    let text = said(&house, &["modify", "failed", &new]);
    assert!(text.starts_with("Job resume queued\n"), "{text}");
    let end = over(&house, "failed", "completed");
    assert_eq!(states(&end), ["completed"; 3]);
    assert_eq!(modify(&house, "failed", &new)["message"], "Job 'failed' is completed, cannot modify");
    let (exit, error) = failed(&house, &["modify", "failed", &new]);
    assert_eq!(exit, 1);
    assert!(error.starts_with("Error: Job 'failed' is completed, cannot modify.\n"), "{error}");
}

#[test]
fn what_cannot_be_modified() {
    let house = house();
    assert_eq!(
        house.call("job.modify", json!({ "job_id": "none" })),
        json!({ "job_id": "none", "status": "rejected", "message": "config_path required", "reason": "no_config" })
    );
    house.play("job", OLD);
    house.wait_sheet("job", 1, "in_progress");
    let new = version(&house, "job", "job2", NEW);
    assert_eq!(modify(&house, "none", &new)["message"], "Job 'none' not found");
    let broken = version(&house, "job", "broken", "instrument: gated\nsheet: 4\n");
    let answer = modify(&house, "job", &broken);
    assert_eq!(answer["reason"], "config_invalid", "{answer}");
    assert!(answer["message"].as_str().unwrap().starts_with("Failed to parse config file: "), "{answer}");
    let (exit, error) = failed(&house, &["modify", "job", &broken]);
    assert_eq!(exit, 1);
    assert!(error.starts_with("Error: Invalid config file: "), "{error}");
    let other = version(&house, "other", "other", NEW);
    fs::write(&other, format!("name: other\nworkspace: {}\n{NEW}", house.work("job").display())).unwrap();
    assert_eq!(modify(&house, "job", &other)["reason"], "other_job");
    let moved = house.path("moved.yaml");
    fs::write(&moved, format!("name: job\nworkspace: {}\n{NEW}", house.work("elsewhere").display())).unwrap();
    let answer = modify(&house, "job", moved.to_str().unwrap());
    assert_eq!(answer["reason"], "workspace", "{answer}");
    assert_eq!(house.word("job"), "running", "nothing of it has paused the job");
    house.call("job.cancel", json!({ "job_id": "job" }));
}

#[test]
fn the_command_waits_for_the_change() {
    let house = house();
    house.play("job", OLD);
    house.wait_sheet("job", 1, "in_progress");
    let new = version(&house, "job", "job2", NEW);
    let (exit, error) = failed(&house, &["modify", "job", &new, "--wait", "--timeout", "0.1"]);
    assert_eq!(exit, 124);
    assert!(error.contains("still finishes what runs"), "{error}");
    let third = version(&house, "job", "job3", NEW);
    let waiting = house
        .command(&["modify", "job", &third, "--wait"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    wait_until("the third score waits", || house.status("job")["modify_pending"] == third.as_str());
    house.touch("job/go-1");
    let output = waiting.wait_with_output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("Job 'job' goes on with "), "{text}");
    house.call("job.cancel", json!({ "job_id": "job" }));
}

#[test]
fn a_job_that_completes_first_stays_completed() {
    let house = house();
    house.play("job", "instrument: gated\nsheet: {size: 1, total_items: 1}\nprompt: {template: old words}\n");
    house.wait_sheet("job", 1, "in_progress");
    let new = version(
        &house,
        "job",
        "job2",
        "instrument: gated\nsheet: {size: 1, total_items: 1}\nprompt: {template: new}\n",
    );
    modify(&house, "job", &new);
    house.touch("job/go-1");
    let end = over(&house, "job", "completed");
    assert_eq!(ended(&house, "job").len(), 1);
    assert_ne!(end["config_path"], new.as_str());
    assert!(house.log().contains("job.modify_dropped"), "{}", house.log());
}
