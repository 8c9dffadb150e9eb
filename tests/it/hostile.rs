//! Clients and programs that mean no good: the conductor lives on and answers everybody else.

#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

use nix::sys::stat::Mode;
use serde_json::{Value, json};

use crate::band::{Band, ONCE, ONE, over};
use crate::house::House;
use crate::wait::PATIENCE;

fn ask(house: &House, line: &str) -> Value {
    let mut stream = UnixStream::connect(house.path("sock")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(line.as_bytes()).unwrap();
    stream.write_all(b"\n").unwrap();
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).unwrap();
    serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer:?} for {line:.60}"))
}

#[test]
fn the_deepest_json_does_not_end_the_conductor_whatever_its_stacks_are() {
    let house = House::started("workers: {stack_kib: 64}\n");
    for levels in [1, 64, 126] {
        for (open, close) in [("{\"a\":", "}"), ("[", "]")] {
            let value = format!("{}1{}", open.repeat(levels), close.repeat(levels));
            let answer = ask(&house, &format!("{{\"id\":1,\"x\":{value}}}"));
            assert_eq!(answer["error"]["code"], -32600, "{answer}");
            let levels = levels - levels.min(2);
            let value = format!("{}1{}", open.repeat(levels), close.repeat(levels));
            let answer = ask(
                &house,
                &format!(
                    "{{\"id\":1,\"method\":\"job.submit\",\"params\":{{\"config_path\":\"/nowhere\",\"variables\":{{\"a\":{value}}}}}}}"
                ),
            );
            assert!(answer["result"].is_object() || answer["error"].is_object(), "{answer}");
        }
    }
    assert_eq!(ask(&house, &format!("{}1", "{\"a\":".repeat(100_000)))["error"]["code"], -32700);
    assert_eq!(house.call("daemon.status", Value::Null)["running_jobs"], 0);
}

#[test]
fn a_score_that_is_a_pipe_holds_up_nobody() {
    let house = House::started("workers: {requests: 1}\n");
    let pipe = house.path("pipe.yaml");
    nix::unistd::mkfifo(&pipe, Mode::S_IRWXU).unwrap();
    let answer = house.call("job.submit", json!({ "config_path": pipe }));
    assert_eq!(answer["status"], "rejected");
    assert!(answer["message"].as_str().unwrap().contains("is not a regular file"), "{answer}");
    assert_eq!(house.call("daemon.status", Value::Null)["running_jobs"], 0);
}

/// Runs a program that does this in the directory of its attempt, and returns the end of its job.
fn spoil(command: &str) -> (House, Value) {
    let house = House::new("");
    let attempt = house.path("jobs/job/sheet-1");
    let text = format!("echo \"$nth\" >> ran; cd \"{}\"/attempt-$nth\n{command}\n", attempt.display());
    house.agent("spoiler", &text, "");
    let mut house = house;
    house.start();
    house.play("job", &format!("instrument: spoiler\n{ONE}{ONCE}"));
    let end = over(&house, "job", "failed");
    (house, end)
}

#[test]
fn a_program_that_removes_its_records_is_not_run_without_an_end() {
    let (house, end) = spoil("rm -rf ../../../job");
    assert!(house.read("job/ran").lines().count() <= 3, "{end:#}");
}

#[test]
fn a_program_that_puts_pipes_in_place_of_its_records_holds_up_nobody() {
    let (house, end) = spoil("for file in *; do rm -f \"$file\"; mkfifo \"$file\"; done");
    assert!(house.read("job/ran").lines().count() <= 3, "{end:#}");
    assert_eq!(house.call("daemon.status", Value::Null)["running_jobs"], 0);
}
