//! `run_job`.

use std::fs;

use serde_json::{Value, json};

use super::{ended, lines, play, results, resume, score, with_hooks};
use crate::band::Band;
use crate::house::House;
use crate::wait::wait_until;

/// Lines of the concert log of a job.
fn concert(house: &House, job: &str) -> Vec<Value> {
    house
        .read(&format!("{job}/concert.log"))
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Waits until there is a job and people see this status word.
#[track_caller]
fn appears(house: &House, job: &str, word: &str) {
    wait_until(&format!("{job} to be {word}"), || {
        let status = house.try_call("job.status", json!({ "job_id": job }));
        status.is_ok_and(|status| status["display_status"] == word)
    });
}

fn error(end: &Value, hook: usize) -> String {
    results(end)[hook]["error_message"].as_str().unwrap_or("").to_owned()
}

#[test]
fn an_attached_job_is_waited_for_and_works_in_the_same_place() {
    let house = House::started("");
    house.score("child", &score("until [ -e go ]; do sleep 0.02; done; pwd > where", ""));
    let hooks = "  - {type: run_job, job_path: child.yaml}\n  - {type: run_command, command: touch after}\n";
    house.play("parent", &with_hooks(hooks));
    appears(&house, "child", "running");
    assert_eq!(house.word("parent"), "finishing");
    assert!(!house.work("parent/after").exists());
    house.touch("parent/go");
    let end = ended(&house, "parent", "completed");
    let result = &results(&end)[0];
    assert_eq!(result["success"], true, "{end:#}");
    assert_eq!(result["chained_job_id"], "child");
    assert_eq!(result["chained_job_workspace"], house.work("parent").display().to_string());
    assert!(house.work("parent/after").exists());
    assert_eq!(house.read("parent/where").trim(), house.work("parent").display().to_string());
    let listed = house.call("job.list", json!({}));
    let child = listed["jobs"].as_array().unwrap_or(listed.as_array().unwrap_or(&Vec::new())).clone();
    assert!(child.iter().any(|job| job["job_id"] == "child" && job["chain_depth"] == 1), "{listed:#}");
    wait_until("the concert log", || concert(&house, "parent").len() == 2);
    let log = concert(&house, "parent");
    assert_eq!((&log[0]["status"], &log[1]["status"]), (&json!("submitted"), &json!("completed")), "{log:?}");
    assert_eq!(
        (&log[0]["depth"], &log[0]["parent"], &log[0]["child"]),
        (&json!(1), &json!("parent"), &json!("child"))
    );
    assert_eq!(log[0]["concert_id"], log[1]["concert_id"]);
}

#[test]
fn a_failed_child_fails_its_hook_and_a_detached_one_does_not() {
    let house = House::started("");
    house.score("child", &score("exit 1", ""));
    let hooks = "  - {type: run_job, job_path: child.yaml, on_failure: abort}\n";
    let end = play(&house, "attached", &with_hooks(hooks), "failed");
    assert_eq!(error(&end, 0), "Chained job 'child' is failed");
    let hooks = "  - {type: run_job, job_path: child.yaml, fresh: true, detached: true}\n";
    let end = play(&house, "detached", &with_hooks(hooks), "completed");
    assert_eq!(results(&end)[0]["success"], true, "{end:#}");
}

#[test]
fn a_wait_that_takes_too_long_lets_the_child_go_on() {
    let house = House::started("");
    house.score("child", &score("until [ -e go ]; do sleep 0.02; done", ""));
    let hooks = "  - {type: run_job, job_path: child.yaml, timeout_seconds: 1}\n";
    let end = play(&house, "parent", &with_hooks(hooks), "completed");
    assert_eq!(error(&end, 0), "Timeout after 1s; job 'child' goes on");
    house.touch("parent/go");
    ended(&house, "child", "completed");
}

#[test]
fn what_cannot_be_submitted_says_why() {
    let house = House::started("");
    house.score("busy", &score("until [ -e go ]; do sleep 0.02; done", ""));
    fs::create_dir_all(house.work("busy")).unwrap();
    house.offer("busy", json!({}));
    house.wait_status("busy", "running");
    fs::write(house.path("broken.yaml"), "name: broken\nsheet: 7\n").unwrap();
    let hooks = "  - {type: run_job, job_path: none.yaml}\n  - {type: run_job, job_path: broken.yaml}\n  - {type: run_job, \
                 job_path: busy.yaml}\n";
    let end = play(&house, "parent", &with_hooks(hooks), "completed");
    assert_eq!(error(&end, 0), format!("Job config not found: {}", house.path("none.yaml").display()));
    assert!(error(&end, 1).starts_with("Chained job rejected: Failed to parse config file"), "{end:#}");
    assert!(error(&end, 2).starts_with("Chained job rejected: Job 'busy' is already running"), "{end:#}");
    house.touch("busy/go");
}

#[test]
fn a_job_that_has_nothing_to_do_is_not_chained() {
    let house = House::started("");
    house.score("child", &score("true", ""));
    let hooks = "  - {type: run_job, job_path: child.yaml}\n  - {type: run_job, job_path: child.yaml}\n  - {type: run_job, \
                 job_path: child.yaml, fresh: true}\n";
    let end = play(&house, "parent", &with_hooks(hooks), "completed");
    assert_eq!(results(&end)[0]["success"], true, "{end:#}");
    assert!(error(&end, 1).contains("set `fresh: true`"), "{end:#}");
    assert_eq!(results(&end)[2]["success"], true, "{end:#}");
}

#[test]
fn a_workspace_of_its_own() {
    let house = House::started("");
    house.score("own", &score("touch here", ""));
    house.score("named", &score("touch here", ""));
    fs::create_dir_all(house.path("elsewhere")).unwrap();
    let text = score(
        "true",
        "concert: {cooldown_between_jobs_seconds: 0, inherit_workspace: false}\non_success:\n  - {type: run_job, \
         job_path: own.yaml}\n  - {type: run_job, job_path: named.yaml, job_workspace: \"elsewhere/{job_id}\"}\n",
    );
    play(&house, "parent", &text, "completed");
    assert!(house.work("own/here").exists());
    assert!(house.path("elsewhere/parent/here").exists());
}

#[test]
fn a_job_that_chains_itself_is_stopped_by_the_limit() {
    let house = House::started("");
    let text = score(
        "echo x >> runs",
        "concert: {enabled: true, max_chain_depth: 2, cooldown_between_jobs_seconds: 0}\non_success:\n  - {type: run_job, \
         job_path: again.yaml, fresh: true, detached: true}\n  - {type: run_command, command: echo x >> hooked}\n",
    );
    house.play("again", &text);
    wait_until("three runs", || lines(&house, "again/hooked") == 3);
    let end = ended(&house, "again", "completed");
    assert_eq!(error(&end, 0), "Concert chain depth limit reached (2)");
    assert_eq!(lines(&house, "again/runs"), 3);
    assert_eq!(end["sheets"]["1"]["status"], "completed");
    let attempts = fs::read_dir(house.path("jobs/again/sheet-1")).unwrap().count();
    assert_eq!(attempts, 3, "each run has an attempt directory of its own");
}

#[test]
fn without_fresh_a_job_does_not_chain_itself() {
    let house = House::started("");
    let end = play(&house, "self", &with_hooks("  - {type: run_job, job_path: self.yaml}\n"), "completed");
    assert!(error(&end, 0).contains("set `fresh: true`"), "{end:#}");
    assert_eq!(lines(&house, "self/runs"), 1);
}

#[test]
fn who_waits_for_a_job_that_chains_itself_waits_for_its_present_run() {
    let house = House::started("");
    let text = score(
        "[ ! -e again ] || until [ -e go ]; do sleep 0.02; done; echo x >> runs; touch again",
        "concert: {cooldown_between_jobs_seconds: 0}\non_success:\n  - {type: run_job, job_path: waited.yaml, fresh: true}\n",
    );
    house.score("waited", &text);
    fs::create_dir_all(house.work("waited")).unwrap();
    let done = house.mozart(&["run", "--wait", &house.path("waited.yaml").display().to_string()]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    house.wait_status("waited", "running");
    let answer = house.call("job.cancel", json!({ "job_id": "waited" }));
    assert_eq!(answer["cancelled"], true);
    house.touch("waited/go");
    ended(&house, "waited", "cancelled");
    assert_eq!(lines(&house, "waited/runs"), 1);
}

#[test]
fn a_person_says_when_the_next_job_begins() {
    let mut house = House::started("");
    house.score("child", &score("echo x >> child-runs", ""));
    let hooks = "  - {type: run_job, job_path: child.yaml, pause_before_chain: true}\n";
    house.play("parent", &with_hooks(hooks));
    house.wait_status("parent", "paused_at_chain");
    assert!(house.try_call("job.status", json!({ "job_id": "child" })).is_err());
    // It waits for a person, whatever happens to the conductor.
    house.kill();
    house.start();
    house.wait_status("parent", "paused_at_chain");
    resume(&house, "parent");
    let end = ended(&house, "parent", "completed");
    assert_eq!(results(&end)[0]["success"], true, "{end:#}");
    ended(&house, "child", "completed");
    assert_eq!(lines(&house, "parent/child-runs"), 1);
}

#[test]
fn cancelling_the_parent_leaves_the_child_alone() {
    let house = House::started("");
    house.score("child", &score("until [ -e go ]; do sleep 0.02; done", ""));
    house.play("parent", &with_hooks("  - {type: run_job, job_path: child.yaml}\n"));
    appears(&house, "child", "running");
    let answer = house.call("job.cancel", json!({ "job_id": "parent" }));
    assert_eq!(answer["cancelled"], true, "{answer}");
    ended(&house, "parent", "cancelled");
    house.touch("parent/go");
    ended(&house, "child", "completed");
}

#[test]
fn a_job_that_was_completed_elsewhere_has_something_to_do_here() {
    let house = House::started("");
    super::play(&house, "child", &score("echo ran >> child-runs", ""), "completed");
    let end = play(&house, "parent", &with_hooks("  - {type: run_job, job_path: child.yaml}\n"), "completed");
    assert_eq!(results(&end)[0]["success"], true, "{end:#}");
    assert_eq!(super::lines(&house, "parent/child-runs"), 1, "it inherits the workspace of its parent");
}
