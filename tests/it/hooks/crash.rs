//! `kill -9` of the conductor in every phase around the sheets.

use serde_json::Value;

use super::{ended, lines, results, score, with_hooks};
use crate::band::Band;
use crate::house::House;
use crate::wait::wait_until;

const CHILD: &str = "echo x >> child-runs; until [ -e go ]; do sleep 0.02; done";

#[test]
fn a_hook_that_was_running_is_not_run_again() {
    let mut house = House::started("");
    let hooks = "  - {type: run_command, command: \"echo x >> begun; sleep 1000\"}\n  - {type: run_command, command: touch \
                 next}\n";
    house.play("job", &with_hooks(hooks));
    // A file is there before its line is.
    wait_until("the first hook", || lines(&house, "job/begun") == 1);
    house.kill();
    house.wait_empty();
    house.start();
    let end = ended(&house, "job", "completed");
    let results = results(&end);
    assert_eq!(results[0]["success"], Value::Null, "{end:#}");
    assert_eq!(results[1]["success"], true, "{end:#}");
    assert_eq!(lines(&house, "job/begun"), 1);
    assert_eq!(lines(&house, "job/runs"), 1);
}

#[test]
fn an_attached_child_is_submitted_once_and_waited_for_again() {
    let mut house = House::started("");
    house.score("child", &score(CHILD, ""));
    house.play("parent", &with_hooks("  - {type: run_job, job_path: child.yaml}\n"));
    house.wait_file("parent/child-runs");
    house.kill();
    house.start();
    assert_eq!(house.word("parent"), "finishing");
    house.touch("parent/go");
    let end = ended(&house, "parent", "completed");
    assert_eq!(results(&end)[0]["success"], true, "{end:#}");
    ended(&house, "child", "completed");
    assert_eq!(lines(&house, "parent/child-runs"), 1);
}

#[test]
fn a_child_that_ended_meanwhile_is_found() {
    let mut house = House::started("");
    house.score("child", &score(CHILD, ""));
    house.play("parent", &with_hooks("  - {type: run_job, job_path: child.yaml}\n"));
    house.wait_file("parent/child-runs");
    house.kill();
    // The guard of the child's sheet lives on and finishes its work.
    house.touch("parent/go");
    house.wait_empty();
    house.start();
    let end = ended(&house, "parent", "completed");
    assert_eq!(results(&end)[0]["success"], true, "{end:#}");
    assert_eq!(results(&end)[0]["chained_job_id"], "child");
    assert_eq!(lines(&house, "parent/child-runs"), 1);
}

#[test]
fn the_pause_before_a_chained_job_survives() {
    let mut house = House::started("");
    house.score("child", &score("echo x >> child-runs", ""));
    let text = score(
        "true",
        "concert: {cooldown_between_jobs_seconds: 1}\non_success:\n  - {type: run_job, job_path: child.yaml}\n",
    );
    house.play("parent", &text);
    house.wait_status("parent", "finishing");
    house.kill();
    house.start();
    let end = ended(&house, "parent", "completed");
    assert_eq!(results(&end)[0]["success"], true, "{end:#}");
    assert_eq!(lines(&house, "parent/child-runs"), 1);
}

#[test]
fn a_chain_survives_kills_at_any_time() {
    let mut house = House::started("");
    let hooks = "  - {type: run_job, job_path: second.yaml, detached: true}\n";
    house.score("second", &score("echo x >> second-runs", ""));
    house.play("first", &with_hooks(hooks));
    // Each kill meets another moment; none of them may lose or repeat the chained job.
    for _ in 0..4 {
        house.kill();
        house.start();
    }
    crate::wait::wait_until("the first job to end", || {
        let status = house.status("first")["status"].clone();
        if status == "failed" {
            // Its sheet was cut off, which a person resumes.
            super::resume(&house, "first");
        }
        status == "completed"
    });
    ended(&house, "second", "completed");
    assert_eq!(lines(&house, "first/second-runs"), 1);
}

#[test]
fn a_job_that_chains_itself_goes_on_after_a_kill() {
    let mut house = House::started("");
    let text = score(
        "echo x >> runs",
        "concert: {enabled: true, max_chain_depth: 1, cooldown_between_jobs_seconds: 0}\non_success:\n  - {type: run_job, \
         job_path: again.yaml, fresh: true}\n  - {type: run_command, command: \"touch begun; until [ -e go ]; do sleep \
         0.02; done\"}\n",
    );
    house.play("again", &text);
    // The next run is accepted and waits for the hook after it.
    house.wait_file("again/begun");
    house.kill();
    house.wait_empty();
    house.touch("again/go");
    house.start();
    crate::wait::wait_until("the second run", || lines(&house, "again/runs") == 2);
    let end = ended(&house, "again", "completed");
    assert_eq!(results(&end)[0]["error_message"], "Concert chain depth limit reached (1)", "{end:#}");
    assert_eq!(lines(&house, "again/runs"), 2);
}

#[test]
fn a_set_up_that_was_cut_off_is_done_again() {
    let mut house = House::started("");
    let text = score(
        "echo x >> runs",
        "preconditions:\n  - {type: command_succeeds, command: \"echo x >> checked; until [ -e go ]; do sleep 0.02; done\"}\n",
    );
    house.play("job", &text);
    house.wait_file("job/checked");
    house.kill();
    house.wait_empty();
    house.touch("job/go");
    house.start();
    ended(&house, "job", "completed");
    assert_eq!(lines(&house, "job/runs"), 1);
    assert_eq!(lines(&house, "job/checked"), 2);
}
