//! Too many processes, too much memory: what is held back, what is stopped, and how it goes on.

#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use crate::band::{Band, ONCE, ONE, over};
use crate::house::House;
use crate::wait::wait_until;

const TEXT: &str = "System under high pressure — try again later";

fn ready(house: &House) -> Value {
    house.call("daemon.ready", Value::Null)
}

fn wait_level(house: &House, levels: &[&str]) {
    wait_until(&format!("a level of {levels:?}"), || {
        levels.contains(&ready(house)["pressure"].as_str().unwrap())
    });
}

#[test]
fn too_many_processes_pause_the_oldest_job_and_it_goes_on_later() {
    let house = House::new("resource_limits: {max_processes: 6}\nmonitor_interval_seconds: 5\n");
    house.agent(
        "forking",
        "if [ $nth = 1 ]; then for i in 1 2 3 4 5 6; do sleep 1000 & done; touch up; wait; fi\necho \"$nth\" > ended\n",
        "",
    );
    house.agent("gated", "gate go\n", "");
    let mut house = house;
    house.start();
    house.play("old", &format!("instrument: forking\n{ONE}{ONCE}"));
    house.wait_file("old/up");
    house.play("young", &format!("instrument: gated\n{ONE}{ONCE}"));
    wait_level(&house, &["critical"]);
    let answer = house.offer("young", json!({ "name": "other" }));
    assert_eq!((&answer["reason"], &answer["message"]), (&json!("pressure"), &json!(TEXT)), "{answer}");
    assert_eq!(answer["job_id"], "");
    let paused = house.wait_status("old", "paused");
    assert_eq!(paused["pause_flags"], json!(["pressure"]), "{paused:#}");
    assert_eq!(paused["sheets"]["1"]["normal_attempts"], 0, "it costs no retry");
    wait_level(&house, &["none", "low"]);
    let end = over(&house, "old", "completed");
    assert_eq!(end["sheets"]["1"]["attempts"][0]["outcome"], "interrupted", "{end:#}");
    assert_eq!(house.read("old/ended"), "2\n");
    house.touch("young/go");
    over(&house, "young", "completed");
    assert_eq!(house.offer("young", json!({ "name": "other" }))["status"], "accepted");
}

// Invariant I34
#[test]
fn what_a_person_paused_stays_paused_when_the_pressure_goes() {
    let house = House::new("resource_limits: {max_processes: 6}\nmonitor_interval_seconds: 5\n");
    house.agent("forking", "for i in 1 2 3 4 5 6; do sleep 1000 & done; touch up; wait\n", "");
    let mut house = house;
    house.start();
    house.play("job", &format!("instrument: forking\n{ONE}{ONCE}"));
    house.wait_file("job/up");
    assert_eq!(house.call("job.pause", json!({ "job_id": "job" }))["paused"], true);
    wait_level(&house, &["critical"]);
    house.wait_status("job", "paused");
    wait_level(&house, &["none", "low"]);
    house.wait_empty();
    let paused = house.status("job");
    assert_eq!(paused["status"], "paused", "{paused:#}");
    assert_eq!(paused["pause_flags"], json!(["user"]));
}

#[test]
fn much_memory_refuses_submissions_until_it_is_free() {
    let house = House::new("resource_limits: {max_memory_mb: 512}\nmonitor_interval_seconds: 5\n");
    // `tail` keeps the last line, which is all of it.
    house.agent("hungry", "(head -c 455000000 /dev/zero; touch up; gate go) | tail -n 1 > /dev/null\n", "");
    let mut house = house;
    house.start();
    house.play("job", &format!("instrument: hungry\n{ONE}{ONCE}"));
    house.wait_file("job/up");
    wait_level(&house, &["high"]);
    let now = ready(&house);
    assert_eq!((&now["status"], &now["reasons"]), (&json!("not_ready"), &json!(["memory"])), "{now}");
    assert_eq!(now["memory_limit_mb"], 512);
    let answer = house.offer("job", json!({ "name": "other" }));
    assert_eq!((&answer["status"], &answer["message"]), (&json!("rejected"), &json!(TEXT)));
    assert_eq!(house.word("job"), "running", "what runs is left alone");
    house.touch("job/go");
    over(&house, "job", "completed");
    wait_level(&house, &["none"]);
    assert_eq!(ready(&house)["accepting_work"], true);
}
