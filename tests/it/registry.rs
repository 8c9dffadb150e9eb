//! A database that cannot be written: nothing is accepted, nothing is lost, commands still act.

#![allow(clippy::unwrap_used)]

use std::process::{Command, Stdio};

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::band::{Band, ONE, over};
use crate::house::House;
use crate::wait::wait_until;

const GATED: &str = "touch \"begun-$sheet-$nth\"; gate \"go-$sheet\"; echo \"$sheet\" >> ended\n";
const TWO: &str = "instrument: gated\nsheet: {size: 1, total_items: 2}\nprompt: {template: work}\n";

fn house() -> House {
    let mut house = House::new("");
    house.agent("gated", GATED, "");
    house.start();
    house
}

/// Another program that writes, and does not stop.
struct Blocker(Connection);

impl Blocker {
    fn new(house: &House) -> Self {
        let db = Connection::open(house.path("daemon-state.db")).unwrap();
        db.busy_timeout(crate::wait::PATIENCE).unwrap();
        db.execute_batch("BEGIN EXCLUSIVE").unwrap();
        Self(db)
    }

    fn leave(self) {
        self.0.execute_batch("ROLLBACK").unwrap();
    }
}

fn reasons(house: &House) -> Value {
    house.call("daemon.ready", Value::Null)["reasons"].clone()
}

fn wait_ready(house: &House) {
    wait_until("the conductor to be ready", || reasons(house) == json!([]));
}

#[test]
fn a_submission_that_cannot_be_recorded_is_refused() {
    let house = house();
    house.score("job", TWO);
    let blocker = Blocker::new(&house);
    for _ in 0..2 {
        let answer = house.offer("job", json!({}));
        assert_eq!(
            (&answer["status"], &answer["reason"]),
            (&json!("rejected"), &json!("registry")),
            "{answer}"
        );
        assert!(answer["message"].as_str().unwrap().starts_with("Cannot record job 'job': "), "{answer}");
    }
    assert_eq!(reasons(&house), json!(["registry"]));
    assert_eq!(house.call("job.list", Value::Null), json!([]));
    assert!(house.try_call("job.status", json!({ "job_id": "job" })).is_err());
    blocker.leave();
    wait_ready(&house);
    assert!(!house.work("job").exists(), "what was refused has not run");
    assert_eq!(house.offer("job", json!({}))["status"], "accepted");
    house.wait_sheet("job", 1, "in_progress");
}

// Invariant I84
#[test]
fn what_runs_goes_on_and_is_recorded_later() {
    let mut house = house();
    house.play("job", TWO);
    house.wait_file("job/begun-1-1");
    house.wait_sheet("job", 1, "in_progress");
    let blocker = Blocker::new(&house);
    house.touch("job/go-1");
    house.wait_sheet("job", 1, "completed");
    wait_until("readiness to tell", || reasons(&house) == json!(["registry"]));
    // The next one is not started: a crash would forget it.
    assert!(!house.work("job/begun-2-1").exists());
    assert_eq!(house.call("daemon.ping", Value::Null)["message"], "pong");
    house.touch("job/go-2");
    blocker.leave();
    over(&house, "job", "completed");
    assert_eq!(house.read("job/ended"), "1\n2\n");
    wait_ready(&house);
    house.stop(true);
    house.start();
    let stored = house.status("job");
    assert_eq!(
        (&stored["status"], &stored["completed_count"]),
        (&json!("completed"), &json!(2)),
        "{stored:#}"
    );
}

#[test]
fn pause_and_resume_act_without_the_database() {
    let house = house();
    house.play("job", TWO);
    house.wait_sheet("job", 1, "in_progress");
    let blocker = Blocker::new(&house);
    let paused = house.call("job.pause", json!({ "job_id": "job" }));
    assert_eq!(paused, json!({ "paused": true, "durable": false }));
    house.touch("job/go-1");
    house.wait_status("job", "paused");
    let resumed = house.call("job.resume", json!({ "job_id": "job" }));
    assert_eq!((&resumed["status"], &resumed["durable"]), (&json!("accepted"), &json!(false)), "{resumed}");
    let paused = house.call("job.pause", json!({ "job_id": "job", "now": true }));
    assert_eq!(paused["paused"], false, "it is queued now: {paused}");
    house.touch("job/go-2");
    blocker.leave();
    over(&house, "job", "completed");
    assert_eq!(house.read("job/ended"), "1\n2\n");
}

#[test]
fn cancel_acts_without_the_database_and_is_remembered() {
    let mut house = house();
    house.play("job", TWO);
    house.wait_file("job/begun-1-1");
    house.wait_sheet("job", 1, "in_progress");
    let blocker = Blocker::new(&house);
    let answer = house.call("job.cancel", json!({ "job_id": "job" }));
    assert_eq!(answer, json!({ "cancelled": true, "durable": false }));
    assert_eq!(house.attempts().len(), 0, "everything of it is dead: {:#?}", house.attempts());
    assert_eq!(house.status("job")["status"], "cancelled");
    assert_eq!(house.call("job.cancel", json!({ "job_id": "job" })), json!({ "cancelled": false }));
    blocker.leave();
    wait_ready(&house);
    house.kill();
    house.start();
    assert_eq!(house.status("job")["status"], "cancelled");
}

#[test]
fn a_paused_job_survives_a_submission_that_cannot_be_recorded() {
    let house = house();
    house.play("job", TWO);
    house.wait_sheet("job", 1, "in_progress");
    house.call("job.pause", json!({ "job_id": "job" }));
    house.touch("job/go-1");
    house.wait_status("job", "paused");
    let blocker = Blocker::new(&house);
    assert_eq!(house.offer("job", json!({}))["reason"], "registry");
    assert_eq!(house.word("job"), "paused");
    assert_eq!(house.offer("job", json!({ "fresh": true }))["reason"], "registry");
    let kept = house.status("job");
    assert_eq!(kept["sheets"]["1"]["status"], "completed", "{kept:#}");
    blocker.leave();
    wait_ready(&house);
    assert_eq!(house.call("job.resume", json!({ "job_id": "job" }))["status"], "accepted");
    house.touch("job/go-2");
    over(&house, "job", "completed");
    assert_eq!(house.read("job/ended"), "1\n2\n");
}

#[test]
fn a_conductor_that_is_killed_while_the_database_is_locked_repeats_nothing() {
    let mut house = house();
    house.play("job", TWO);
    house.wait_file("job/begun-1-1");
    house.wait_sheet("job", 1, "in_progress");
    let blocker = Blocker::new(&house);
    house.touch("job/go-1");
    house.wait_sheet("job", 1, "completed");
    house.kill();
    blocker.leave();
    house.touch("job/go-2");
    house.start();
    over(&house, "job", "completed");
    assert_eq!(house.read("job/ended"), "1\n2\n", "the result of sheet 1 was read from its directory");
}

/// Lets the conductor write files of any length, or of this many bytes.
fn file_limit(pid: u32, limit: &str) -> bool {
    let mut command = Command::new("prlimit");
    command.args(["--pid", &pid.to_string(), &format!("--fsize={limit}:unlimited")]);
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

// Invariant I84
#[test]
fn a_full_disk_loses_nothing_that_was_accepted() {
    let house = house();
    if !file_limit(house.pid(), "unlimited") {
        use std::io::Write as _;
        _ = writeln!(std::io::stderr(), "there is no prlimit here; nothing was tried");
        return;
    }
    let score = format!("instrument: gated\n{ONE}");
    let names: Vec<String> = (0..6).map(|nth| format!("job-{nth}")).collect();
    for name in &names[..3] {
        house.play(name, &score);
        house.wait_file(&format!("{name}/begun-1-1"));
    }
    // The write-ahead log cannot grow any more: for the database the disk is full.
    assert!(file_limit(house.pid(), "4096"));
    for name in &names[3..] {
        house.score(name, &score);
        let answer = house.offer(name, json!({}));
        assert_eq!(answer["reason"], "registry", "{answer}");
    }
    for name in &names[..3] {
        house.touch(&format!("{name}/go-1"));
        house.wait_sheet(name, 1, "completed");
    }
    assert_eq!(reasons(&house), json!(["registry"]));
    assert!(file_limit(house.pid(), "unlimited"));
    wait_ready(&house);
    for name in &names[..3] {
        over(&house, name, "completed");
        assert_eq!(house.read(&format!("{name}/ended")), "1\n");
    }
    assert_eq!(house.call("job.list", Value::Null).as_array().unwrap().len(), 3);
}
