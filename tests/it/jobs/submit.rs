//! Submissions: what is refused, what goes on where it stopped, what starts afresh.

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::band::{Band, ONE, over, states};
use crate::house::House;

const COUNTING: &str = "echo \"$sheet\" >> ran; [ ! -e \"bad-$sheet\" ] || exit 4\ngate \"go\"\n";
const TWO: &str = "instrument: counting\nsheet: {size: 1, total_items: 2}\nprompt: {template: work}\nretry: {max_retries: 0}\n";

fn house() -> House {
    let mut house = House::new("");
    house.agent("counting", COUNTING, "");
    house.start();
    house
}

fn prepare(house: &House, job: &str, files: &[&str]) {
    fs::create_dir_all(house.work(job)).unwrap();
    for file in files {
        house.touch(&format!("{job}/{file}"));
    }
}

#[test]
fn a_completed_job_that_is_submitted_again_runs_nothing() {
    let house = house();
    prepare(&house, "job", &["go"]);
    house.play_out("job", TWO, "completed");
    let answer = house.offer("job", json!({}));
    assert_eq!((&answer["status"], &answer["fresh"]), (&json!("accepted"), &json!(false)), "{answer}");
    over(&house, "job", "completed");
    assert_eq!(house.read("job/ran"), "1\n2\n");
}

#[test]
fn a_score_that_was_changed_since_starts_afresh() {
    let house = house();
    prepare(&house, "job", &["go"]);
    house.play_out("job", TWO, "completed");
    let later = SystemTime::now() + Duration::from_secs(60);
    File::options().write(true).open(house.path("job.yaml")).unwrap().set_modified(later).unwrap();
    let answer = house.offer("job", json!({}));
    assert_eq!(answer["fresh"], true);
    assert!(answer["message"].as_str().unwrap().contains("starting fresh"), "{answer}");
    over(&house, "job", "completed");
    crate::wait::wait_until("the second run", || house.read("job/ran") == "1\n2\n1\n2\n");
    let end = over(&house, "job", "completed");
    assert_eq!(end["sheets"]["1"]["attempt_count"], 1, "nothing is left of the earlier run: {end:#}");
}

#[test]
fn fresh_forgets_what_was_done() {
    let house = house();
    prepare(&house, "job", &["go"]);
    house.play_out("job", TWO, "completed");
    assert_eq!(house.offer("job", json!({ "fresh": true }))["fresh"], true);
    crate::wait::wait_until("the second run", || house.read("job/ran") == "1\n2\n1\n2\n");
    let end = over(&house, "job", "completed");
    let sheet = &end["sheets"]["1"];
    assert_eq!(sheet["attempts"].as_array().unwrap().len(), 1);
    assert_eq!(sheet["attempts"][0]["attempt"], 3, "attempt numbers are never used twice: {sheet:#}");
}

#[test]
fn a_failed_job_that_is_submitted_again_goes_on() {
    let house = house();
    prepare(&house, "job", &["go", "bad-2"]);
    house.play_out("job", TWO, "failed");
    fs::remove_file(house.work("job/bad-2")).unwrap();
    let answer = house.offer("job", json!({}));
    let message = answer["message"].as_str().unwrap();
    assert!(message.starts_with("Job queued (concurrency limit: 5); continuing from sheet 2"), "{message}");
    over(&house, "job", "completed");
    assert_eq!(house.read("job/ran"), "1\n2\n2\n");
}

#[test]
fn a_paused_job_that_is_submitted_again_goes_on() {
    let house = house();
    house.play("job", TWO);
    house.wait_sheet("job", 1, "in_progress");
    let refused = house.offer("job", json!({}));
    assert_eq!(refused["reason"], "already_active");
    assert!(refused["message"].as_str().unwrap().starts_with("Job 'job' is already running."), "{refused}");
    house.call("job.pause", json!({ "job_id": "job" }));
    house.touch("job/go");
    house.wait_status("job", "paused");
    let answer = house.offer("job", json!({}));
    assert!(answer["message"].as_str().unwrap().contains("continuing from sheet 2"), "{answer}");
    over(&house, "job", "completed");
    assert_eq!(house.read("job/ran"), "1\n2\n");
}

#[test]
fn the_first_sheet_may_be_chosen() {
    let house = house();
    prepare(&house, "job", &["go"]);
    house.score("job", TWO);
    assert_eq!(house.offer("job", json!({ "start_sheet": 2 }))["status"], "accepted");
    let end = over(&house, "job", "completed");
    assert_eq!(states(&end), ["skipped", "completed"]);
    assert_eq!(house.read("job/ran"), "2\n");
    let wrong = house.offer("job", json!({ "start_sheet": 9, "fresh": true }));
    assert_eq!(wrong["status"], "rejected", "{wrong}");
    assert!(house.try_call("job.submit", json!({ "config_path": "x", "start_sheet": 0 })).is_err());
}

#[test]
fn a_dry_run_registers_nothing() {
    let house = house();
    house.score("job", TWO);
    let answer = house.offer("job", json!({ "dry_run": true }));
    assert_eq!((&answer["status"], &answer["dry_run"]), (&json!("accepted"), &json!(true)), "{answer}");
    assert_eq!(house.call("job.list", json!({})), json!([]));
}

#[test]
fn refusals_say_what_is_wrong() {
    let house = house();
    let missing = house.path("none.yaml");
    let answer = house.call("job.submit", json!({ "config_path": missing }));
    assert_eq!(answer["reason"], "config_not_found");
    assert_eq!(answer["job_id"], "none");
    assert_eq!(answer["message"], format!("Config file not found: {}", missing.display()));

    fs::write(house.path("broken.yaml"), "name: broken\nsheet: {size: 1}\n").unwrap();
    let answer = house.offer("broken", json!({}));
    assert_eq!(answer["reason"], "config_invalid");
    let message = answer["message"].as_str().unwrap();
    assert!(message.starts_with("Failed to parse config file: "), "{message}");
    assert!(
        message.ends_with("Cannot determine workspace. Fix the config or pass --workspace explicitly."),
        "{message}"
    );

    house.score("job", TWO);
    let parent = house.path("no/such");
    let answer = house.offer("job", json!({ "workspace": parent.join("workspace") }));
    assert_eq!(answer["reason"], "workspace");
    assert_eq!(
        answer["message"],
        format!(
            "Workspace parent directory does not exist: {}. Create the parent directory or change the workspace path.",
            parent.display()
        )
    );
    house.touch("file");
    let answer = house.offer("job", json!({ "workspace": house.work("file") }));
    assert_eq!(answer["status"], "rejected", "a file is no workspace: {answer}");
    let answer = house.offer("job", json!({ "workspace": house.work("file/inside") }));
    assert_eq!(answer["status"], "rejected", "{answer}");

    let answer = house.offer("job", json!({ "name": "a b" }));
    assert_eq!((&answer["reason"], &answer["job_id"]), (&json!("invalid_name"), &json!("")), "{answer}");
    assert!(house.try_call("job.submit", json!({})).is_err());
    assert_eq!(house.call("job.list", json!({})), json!([]));
}

#[test]
fn one_name_for_two_files_is_said() {
    let house = house();
    prepare(&house, "job", &["go"]);
    house.play_out("job", TWO, "completed");
    let other = house.path("other");
    fs::create_dir(&other).unwrap();
    fs::copy(house.path("job.yaml"), other.join("job.yaml")).unwrap();
    let answer = house.call("job.submit", json!({ "config_path": "job.yaml", "client_cwd": other }));
    assert_eq!(answer["status"], "accepted");
    assert!(answer["message"].as_str().unwrap().contains("replaces the job of"), "{answer}");
}

#[test]
fn one_score_runs_under_two_names() {
    let house = house();
    prepare(&house, "one", &["go"]);
    house.score("one", &format!("instrument: counting\n{ONE}"));
    for name in ["a.first", "b_second"] {
        assert_eq!(house.offer("one", json!({ "name": name }))["job_id"], name);
        over(&house, name, "completed");
    }
    assert_eq!(house.read("one/ran"), "1\n1\n");
}

#[test]
fn a_profile_that_was_changed_counts_for_the_next_submission() {
    let house = house();
    house.agent("late", "echo one > ran\n", "");
    let score = format!("instrument: late\n{ONE}");
    house.play_out("first", &score, "completed");
    // The same file, written in place: its directory does not change.
    let path = house.path("instruments/late.yaml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(house.path("agents/other.sh"), "echo other > ran\n").unwrap();
    fs::write(&path, text.replace("late.sh", "other.sh")).unwrap();
    house.play_out("second", &score, "completed");
    assert_eq!(house.read("second/ran"), "other\n");
}

#[test]
fn what_validate_calls_an_error_is_refused_with_the_same_words() {
    let house = house();
    let text = "name: x\ninstrument: counting\nsheet: {size: 1, total_items: 1}\nprompt: {template: \"{{ sheet_nm }}\"}\n\
                validations: [{type: file_exists, path: \"{workspce}/a\"}]\n";
    fs::write(house.path("wrong.yaml"), text).unwrap();
    let answer = house.call("job.submit", json!({ "config_path": house.path("wrong.yaml") }));
    assert_eq!(answer["status"], "rejected", "{answer}");
    let message = answer["message"].as_str().unwrap();
    for part in ["`sheet_nm` is undefined", "unknown placeholder {workspce} in path"] {
        assert!(message.contains(part), "{message}");
        let told = house.mozart(&["validate", "wrong.yaml"]);
        assert!(String::from_utf8_lossy(&told.stdout).contains(part));
    }
    let ran = house.mozart(&["run", "wrong.yaml"]);
    let told = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(!ran.status.success());
    assert!(told.contains("(line 4)\n") && told.contains("Did you mean 'sheet_num'?"), "{told}");
    let list = house.call("job.list", json!({}));
    assert!(!list.to_string().contains("wrong"), "{list}");
}

#[test]
fn what_validate_warns_about_is_told_to_the_client() {
    let house = house();
    let text = "name: x\ninstrument: counting\nsheet: {size: 1, total_items: 1}\nprompt: {template: hi}\n\
                instrument_config: {timeout_seconds: 30}\nvalidations: [{type: file_modified, path: a, sheet: 7}]\n";
    fs::write(house.path("odd.yaml"), text).unwrap();
    let answer = house.call("job.submit", json!({ "config_path": house.path("odd.yaml"), "dry_run": true }));
    let found: Vec<_> = answer["warnings"].as_array().unwrap().iter().collect();
    let codes: Vec<&str> = found.iter().filter_map(|warning| warning["check_id"].as_str()).collect();
    assert_eq!(codes, ["V103", "V215"], "{answer}");
    assert_eq!((&found[0]["severity"], &found[0]["line"]), (&json!("warning"), &json!(5)));
    assert!(found[0]["suggestion"].as_str().unwrap().contains("60 seconds"));

    let ran = house.mozart(&["run", "odd.yaml", "--fresh"]);
    let told = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(ran.status.success(), "{told}");
    assert!(told.contains("Warning: [V103] line 5: Very short timeout (30s)"), "{told}");
}

#[test]
fn in_another_workspace_a_completed_job_runs_anew() {
    let house = house();
    prepare(&house, "job", &["go"]);
    prepare(&house, "other", &["go"]);
    house.play_out("job", TWO, "completed");
    let link = house.path("link");
    std::os::unix::fs::symlink(house.work("job"), &link).unwrap();
    house.offer("job", json!({ "workspace": link }));
    over(&house, "job", "completed");
    assert_eq!(house.read("job/ran"), "1\n2\n", "another name of the same directory");
    let answer = house.offer("job", json!({ "workspace": house.work("other") }));
    let message = answer["message"].as_str().unwrap();
    assert!(message.contains("starting from the first sheet") && message.contains("stay there"), "{answer}");
    crate::wait::wait_until("the second run", || house.read("other/ran") == "1\n2\n");
    over(&house, "job", "completed");
}

#[test]
fn in_another_workspace_a_failed_job_does_not_go_on() {
    let house = house();
    prepare(&house, "job", &["go", "bad-2"]);
    prepare(&house, "other", &["go"]);
    house.play_out("job", TWO, "failed");
    let answer = house.offer("job", json!({ "workspace": house.work("other") }));
    assert!(answer["message"].as_str().unwrap().contains("which is failed, worked in "), "{answer}");
    let end = over(&house, "job", "completed");
    assert_eq!(house.read("other/ran"), "1\n2\n");
    assert_eq!(end["sheets"]["1"]["attempts"].as_array().unwrap().len(), 1, "{end:#}");
}

#[test]
fn a_paused_job_is_not_forgotten_for_another_workspace() {
    let house = house();
    prepare(&house, "other", &["go"]);
    house.play("job", TWO);
    house.wait_sheet("job", 1, "in_progress");
    house.call("job.pause", json!({ "job_id": "job" }));
    house.touch("job/go");
    house.wait_status("job", "paused");
    let there = json!({ "workspace": house.work("other") });
    let refused = house.offer("job", there.clone());
    assert_eq!(refused["reason"], "workspace", "{refused}");
    assert!(refused["message"].as_str().unwrap().contains("mozart resume job"), "{refused}");
    house.call("job.cancel", json!({ "job_id": "job" }));
    house.offer("job", there);
    over(&house, "job", "completed");
    assert_eq!((house.read("job/ran"), house.read("other/ran")), ("1\n".into(), "1\n2\n".into()));
}
