//! `sheet.output`: only for who asked, in order, whole, and read only while somebody listens.

use std::fs;

use mozart::client::{Step, Stream};
use serde_json::{Value, json};

use crate::band::{Band, ONE, over};
use crate::house::House;
use crate::wait::{wait_for, wait_until};

fn house(script: &str) -> House {
    let mut house = House::new("");
    house.agent("talker", script, "");
    house.start();
    house
}

fn watch(house: &House, params: Value) -> Stream {
    house.client().stream("job.watch", params).unwrap()
}

/// Everything until the end of the stream, and its result.
fn drain(stream: &mut Stream) -> (Vec<Value>, Value) {
    let mut events = Vec::new();
    let end = wait_for("the end of the stream", || {
        loop {
            match stream.try_next().unwrap() {
                Step::Notification(message) => events.push(message.params),
                Step::End(result) => return Some(result),
                Step::Waiting => return None,
            }
        }
    });
    (events, end)
}

fn heard(events: &[Value], stream: &str) -> String {
    let output = events.iter().filter(|event| event["event"] == "sheet.output");
    output
        .filter(|event| event["data"]["stream"] == stream)
        .map(|event| event["data"]["text"].as_str().unwrap())
        .collect()
}

/// Whether the conductor has the output of an attempt open.
fn reads(house: &House) -> bool {
    let fds = fs::read_dir(format!("/proc/{}/fd", house.pid())).unwrap();
    fds.flatten().filter_map(|fd| fs::read_link(fd.path()).ok()).any(|path| path.ends_with("stdout.log"))
}

#[test]
fn a_listener_hears_every_word_and_a_watcher_none() {
    let house = house("echo one; echo two >&2; gate go; printf 'three \\342\\202\\254'; printf ' end'\n");
    house.play("job", &format!("instrument: talker\n{ONE}"));
    house.wait_sheet("job", 1, "in_progress");
    let mut silent = watch(&house, json!({ "job_id": "job", "from_seq": 0 }));
    let mut listener = watch(&house, json!({ "job_id": "job", "from_seq": 0, "output": true }));
    wait_until("the conductor reads", || reads(&house));
    house.touch("job/go");
    let (events, end) = drain(&mut listener);
    assert_eq!(end["status"], "completed");
    assert_eq!(end["dropped"], 0);
    assert_eq!(heard(&events, "stdout"), "one\nthree \u{20ac} end");
    assert_eq!(heard(&events, "stderr"), "two\n");
    assert!(events.iter().any(|event| event["event"] == "job.completed"), "{events:#?}");
    let output = events.iter().find(|event| event["event"] == "sheet.output").unwrap();
    assert_eq!((&output["sheet_num"], &output["data"]["attempt"]), (&json!(1), &json!(1)));
    let (events, _) = drain(&mut silent);
    assert!(!events.iter().any(|event| event["event"] == "sheet.output"), "{events:#?}");
    let seqs: Vec<u64> = events.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert!(seqs.is_sorted_by(|a, b| a < b), "{seqs:?}");
}

#[test]
fn nothing_is_read_when_nobody_listens() {
    let house = house("echo one; gate go\n");
    house.play("job", &format!("instrument: talker\n{ONE}"));
    house.wait_sheet("job", 1, "in_progress");
    let mut silent = watch(&house, json!({ "job_id": "job" }));
    {
        let _listener = watch(&house, json!({ "job_id": "job", "output": true }));
        wait_until("the conductor reads", || reads(&house));
    }
    // The listener has gone.
    wait_until("the conductor stops reading", || !reads(&house));
    house.touch("job/go");
    over(&house, "job", "completed");
    drain(&mut silent);
    assert!(!reads(&house));
}

#[test]
fn sheets_that_are_over_in_an_instant_are_heard_too() {
    let house = house("gate go; echo \"sheet $sheet\"\n");
    house.play("job", "instrument: talker\nsheet: {size: 1, total_items: 3}\nprompt: {template: work}\n");
    house.wait_sheet("job", 1, "in_progress");
    let mut listener = watch(&house, json!({ "job_id": "job", "output": true }));
    house.touch("job/go");
    let (events, _) = drain(&mut listener);
    let mut lines: Vec<&str> = events
        .iter()
        .filter(|event| event["event"] == "sheet.output")
        .map(|event| event["data"]["text"].as_str().unwrap().trim_end())
        .collect();
    lines.sort_unstable();
    assert_eq!(lines, ["sheet 1", "sheet 2", "sheet 3"]);
}

#[test]
fn a_listener_that_takes_nothing_holds_up_nobody() {
    let script = "gate go; i=0; while [ $i -lt 100 ]; do i=$((i + 1)); head -c 40000 /dev/zero | tr '\\0' x; echo; done\n";
    let house = house(script);
    house.play("job", &format!("instrument: talker\n{ONE}"));
    house.wait_sheet("job", 1, "in_progress");
    // It asks and then reads nothing until the job is over.
    let mut listener = watch(&house, json!({ "job_id": "job", "output": true }));
    house.touch("job/go");
    over(&house, "job", "completed");
    let (events, end) = drain(&mut listener);
    let told: u64 = events
        .iter()
        .filter(|event| event["event"] == "sheet.output")
        .map(|event| {
            event["data"]["text"].as_str().unwrap().len() as u64
                + event["data"]["skipped_bytes"].as_u64().unwrap_or(0)
        })
        .sum();
    assert!(told > 0, "{end}");
    assert!(end["dropped"].as_u64().unwrap() > 0 || told == 100 * 40_001, "{told} {end}");
}
