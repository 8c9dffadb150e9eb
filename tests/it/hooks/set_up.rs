//! Before the first sheet and after the last: archives, worktrees, preconditions.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::{ended, lines, play, score};
use crate::band::Band;
use crate::house::House;
use crate::wait::wait_until;

fn git(dir: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=m", "-c", "user.email=m@example.org", "-c", "init.defaultBranch=main"])
        .args(args)
        .current_dir(dir)
        .output()
        .unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A repository as the workspace of a job.
fn repository(house: &House, job: &str) {
    let work = house.work(job);
    fs::create_dir_all(&work).unwrap();
    git(&work, &["init", "-q"]);
    fs::write(work.join("kept"), "kept\n").unwrap();
    git(&work, &["add", "."]);
    git(&work, &["commit", "-qm", "first"]);
}

const COMMIT: &str = "echo new > made\ngit -c user.name=m -c user.email=m@example.org add made\ngit -c user.name=m -c \
                      user.email=m@example.org commit -qm made";

fn worktrees(house: &House, job: &str) -> usize {
    git(&house.work(job), &["worktree", "list", "--porcelain"]).matches("worktree ").count()
}

#[test]
fn a_job_that_succeeds_leaves_a_branch_and_no_worktree() {
    let house = House::started("");
    repository(&house, "isolated");
    let text = score(&format!("pwd > \"$MOZART_WORKSPACE/where\"\n{COMMIT}"), "isolation: {enabled: true}");
    play(&house, "isolated", &text, "completed");
    let place = house.read("isolated/where");
    assert!(place.trim().ends_with(".worktrees/isolated"), "{place}");
    assert!(!house.work("isolated/made").exists(), "the workspace itself is untouched");
    wait_until("the worktree to go", || worktrees(&house, "isolated") == 1);
    assert_eq!(git(&house.work("isolated"), &["show", "mozart/isolated:made"]), "new\n");
}

#[test]
fn a_failed_job_keeps_its_worktree_for_the_resume() {
    let house = House::started("");
    repository(&house, "retried");
    let text = score(
        "echo x >> tries\n[ -e \"$MOZART_WORKSPACE/go\" ] || exit 1\ncp tries \"$MOZART_WORKSPACE/counted\"",
        "isolation: {enabled: true, cleanup_discard_dirty: true}",
    );
    play(&house, "retried", &text, "failed");
    assert_eq!(worktrees(&house, "retried"), 2);
    house.touch("retried/go");
    super::resume(&house, "retried");
    ended(&house, "retried", "completed");
    assert_eq!(lines(&house, "retried/counted"), 2, "both attempts worked in the same worktree");
    wait_until("the worktree to go", || worktrees(&house, "retried") == 1);
}

#[test]
fn without_a_repository_a_job_runs_in_place_or_fails() {
    let house = House::started("");
    let text = score("touch here", "isolation: {enabled: true}");
    play(&house, "in-place", &text, "completed");
    assert!(house.work("in-place/here").exists());
    let text = score("touch here", "isolation: {enabled: true, fallback_on_error: false}");
    let end = play(&house, "strict", &text, "failed");
    assert!(end.to_string().contains("Worktree isolation requires a git repository"), "{end:#}");
    assert!(end.to_string().contains("E603"), "{end:#}");
    assert!(!house.work("strict/here").exists());
}

#[test]
fn a_fresh_run_begins_with_an_archive() {
    let house = House::started("");
    let text = score(
        "ls > seen; echo x >> runs",
        "workspace_lifecycle: {archive_on_fresh: true, archive_naming: timestamp}",
    );
    play(&house, "fresh", &text, "completed");
    assert_eq!(lines(&house, "fresh/runs"), 1);
    house.offer("fresh", json!({ "fresh": true }));
    wait_until("the archive", || house.work("fresh/archive").is_dir());
    ended(&house, "fresh", "completed");
    assert_eq!(lines(&house, "fresh/runs"), 1, "the new run began in an empty workspace");
    let archives: Vec<_> = fs::read_dir(house.work("fresh/archive")).unwrap().flatten().collect();
    assert_eq!(archives.len(), 1);
    assert_eq!(fs::read_to_string(archives[0].path().join("runs")).unwrap(), "x\n");
}

#[test]
fn preconditions_are_checked_before_anything_is_spent() {
    let house = House::started("");
    let text = score(
        "echo x >> runs",
        "preconditions:\n  - {type: file_exists, path: \"{workspace}/input\", description: the input}\n",
    );
    let end = play(&house, "checked", &text, "failed");
    assert!(end.to_string().contains("E601") && end.to_string().contains("the input"), "{end:#}");
    assert_eq!(lines(&house, "checked/runs"), 0);
    house.touch("checked/input");
    super::resume(&house, "checked");
    ended(&house, "checked", "completed");
    assert_eq!(lines(&house, "checked/runs"), 1);
}

#[test]
fn a_job_that_is_cancelled_while_it_is_set_up_ends() {
    let house = House::started("");
    let text = score(
        "echo x >> runs",
        "preconditions:\n  - {type: command_succeeds, command: \"touch begun; sleep 1000\"}\n",
    );
    house.play("cut", &text);
    house.wait_file("cut/begun");
    let answer = house.call("job.cancel", json!({ "job_id": "cut" }));
    assert_eq!(answer["cancelled"], true, "{answer}");
    ended(&house, "cut", "cancelled");
    house.wait_empty();
    assert_eq!(lines(&house, "cut/runs"), 0);
}

#[test]
fn the_workspace_is_there_when_programs_work_elsewhere() {
    let house = House::started("");
    fs::create_dir_all(house.path("repo")).unwrap();
    let text = score(
        "pwd > \"{{ workspace }}/where\"",
        "instrument_config: {working_directory: ./repo}\nvalidations:\n  - {type: command_succeeds, command: \"test -s \
         where\"}\n",
    );
    house.score("away", &text);
    assert!(!house.work("away").exists());
    assert_eq!(house.offer("away", json!({}))["status"], "accepted");
    ended(&house, "away", "completed");
    assert!(house.read("away/where").trim().ends_with("/repo"));
}

const WITH_INPUT: &str = "preconditions:\n  - {type: file_exists, path: \"{workspace}/input\"}\n";

#[test]
fn a_worktree_is_known_and_settled_when_the_preconditions_do_not_hold() {
    let house = House::started("");
    repository(&house, "kept");
    let text = score("true", &format!("isolation: {{enabled: true}}\n{WITH_INPUT}"));
    let end = play(&house, "kept", &text, "failed");
    assert!(end["worktree_path"].as_str().is_some_and(|path| path.ends_with(".worktrees/kept")), "{end:#}");
    wait_until("the worktree to be unlocked", || house.status("kept")["worktree_locked"] == false);
    let listed = git(&house.work("kept"), &["worktree", "list", "--porcelain"]);
    assert!(listed.contains(".worktrees/kept") && !listed.contains("locked"), "{listed}");
    repository(&house, "gone");
    let text =
        score("true", &format!("isolation: {{enabled: true, cleanup_on_failure: true}}\n{WITH_INPUT}"));
    play(&house, "gone", &text, "failed");
    wait_until("the worktree to go", || worktrees(&house, "gone") == 1);
    wait_until("the status to say so", || house.status("gone")["worktree_path"].is_null());
}

#[test]
fn what_a_person_puts_right_is_not_archived() {
    let house = House::started("");
    let text = score("true", &format!("workspace_lifecycle: {{archive_on_fresh: true}}\n{WITH_INPUT}"));
    house.score("fixed", &text);
    fs::create_dir_all(house.work("fixed")).unwrap();
    house.touch("fixed/old");
    house.offer("fixed", json!({ "fresh": true }));
    ended(&house, "fixed", "failed");
    assert!(!house.work("fixed/old").exists(), "the old content went to the archive");
    house.touch("fixed/input");
    super::resume(&house, "fixed");
    ended(&house, "fixed", "completed");
}

#[test]
fn the_status_of_an_ended_job_says_what_became_of_its_worktree() {
    let house = House::started("");
    repository(&house, "told");
    play(&house, "told", &score(COMMIT, "isolation: {enabled: true}"), "completed");
    wait_until("the worktree to be gone from the status", || {
        let now = house.status("told");
        now["worktree_path"].is_null() && now["worktree_locked"] == false
    });
    assert_eq!(house.status("told")["worktree_branch"], "mozart/told");
}
