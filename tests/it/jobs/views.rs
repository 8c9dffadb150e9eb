//! What others see of jobs: status, list, the stream of events.

use serde_json::{Value, json};

use mozart::client::{Client, Step, Stream};

use crate::band::{Band, ONE, over};
use crate::house::House;
use crate::wait::wait_for;

const GATED: &str = "gate \"go-$sheet\"; echo said\n";

fn gated() -> House {
    let mut house = House::new("");
    house.agent("gated", GATED, "");
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
                Step::Notification(event) => {
                    assert_eq!(event.method, "job.event");
                    events.push(event.params);
                }
                Step::End(result) => return Some(result),
                Step::Waiting => return None,
            }
        }
    });
    (events, end)
}

fn names(events: &[Value]) -> Vec<String> {
    events
        .iter()
        .map(|event| match event["sheet_num"].as_u64() {
            Some(0) | None => event["event"].as_str().unwrap().to_owned(),
            Some(num) => format!("{} {num}", event["event"].as_str().unwrap()),
        })
        .collect()
}

#[test]
fn a_watcher_sees_everything_in_order() {
    let house = gated();
    let two = "instrument: gated\nsheet: {size: 1, total_items: 2}\nprompt: {template: work}\n\
               validations: [{type: file_exists, path: go-1}]\n";
    house.play("job", two);
    house.wait_sheet("job", 1, "in_progress");
    // From the beginning, which is still remembered.
    let mut all = watch(&house, json!({ "job_id": "job", "from_seq": 0 }));
    let mut late = watch(&house, json!({ "job_id": "job" }));
    // A watcher that is there before the sheet ends: it asks, and is answered after it has joined.
    house.touch("job/go-1");
    house.wait_sheet("job", 2, "in_progress");
    house.touch("job/go-2");
    let (events, end) = drain(&mut all);
    assert_eq!(
        names(&events),
        [
            "job.started",
            "sheet.started 1",
            "sheet.validation_passed 1",
            "sheet.completed 1",
            "job.progress",
            "sheet.started 2",
            "sheet.validation_passed 2",
            "sheet.completed 2",
            "job.progress",
            "job.completed",
        ]
    );
    let numbers: Vec<u64> = events.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    assert!(events.iter().all(|event| event["job_id"] == "job" && event["schema"] == 1));
    assert!(events.iter().all(|event| event["timestamp"].is_number()));
    assert_eq!(
        end,
        json!({ "reason": "terminal", "status": "completed", "delivered": events.len(), "dropped": 0 })
    );
    let (rest, _) = drain(&mut late);
    assert!(names(&events).ends_with(&names(&rest)), "{:?}", names(&rest));

    let (none, end) = drain(&mut watch(&house, json!({ "job_id": "job" })));
    assert_eq!((none, &end["status"]), (Vec::new(), &json!("completed")));
    let error = drain_error(house.client(), "nobody");
    assert_eq!(error, "Job 'nobody' not found");
}

fn drain_error(client: Client, job: &str) -> String {
    let mut stream = client.stream("job.watch", json!({ "job_id": job })).unwrap();
    wait_for("the refusal", || match stream.try_next() {
        Ok(Step::Waiting) => None,
        Ok(other) => panic!("{other:?}"),
        Err(error) => Some(error.to_string()),
    })
}

#[test]
fn a_watcher_goes_on_where_it_stopped() {
    let house = gated();
    house.play("job", "instrument: gated\nsheet: {size: 1, total_items: 3}\nprompt: {template: work}\n");
    house.wait_sheet("job", 1, "in_progress");
    let mut first = watch(&house, json!({ "job_id": "job", "from_seq": 0 }));
    let seen = wait_for("an event", || match first.try_next().unwrap() {
        Step::Notification(event) => event.params["seq"].as_u64(),
        Step::Waiting => None,
        Step::End(end) => panic!("{end}"),
    });
    drop(first);
    house.touch("job/go-1");
    house.wait_sheet("job", 2, "in_progress");
    let mut second = watch(&house, json!({ "job_id": "job", "from_seq": seen + 1 }));
    house.touch("job/go-2");
    house.touch("job/go-3");
    let (events, _) = drain(&mut second);
    assert_eq!(names(&events)[..2], ["sheet.started 1", "sheet.completed 1"]);
    assert_eq!(events[0]["seq"], seen + 1);
}

#[test]
fn pauses_and_cancels_are_events() {
    let house = gated();
    house.play("job", "instrument: gated\nsheet: {size: 1, total_items: 2}\nprompt: {template: work}\n");
    house.wait_sheet("job", 1, "in_progress");
    let mut stream = watch(&house, json!({ "job_id": "job", "from_seq": 0 }));
    house.call("job.pause", json!({ "job_id": "job" }));
    house.touch("job/go-1");
    house.wait_status("job", "paused");
    house.call("job.resume", json!({ "job_id": "job" }));
    house.wait_sheet("job", 2, "in_progress");
    house.call("job.cancel", json!({ "job_id": "job" }));
    let (events, end) = drain(&mut stream);
    let names = names(&events);
    let order = [
        "job.started",
        "sheet.completed 1",
        "job.paused",
        "job.resuming",
        "sheet.started 2",
        "job.cancelled",
    ];
    let at: Vec<_> = order.iter().map(|name| names.iter().position(|seen| seen == name)).collect();
    assert!(at.iter().all(Option::is_some) && at.is_sorted(), "{names:?}");
    assert_eq!((&end["reason"], &end["status"]), (&json!("terminal"), &json!("cancelled")));
}

/// What clients of the first generation need from a checkpoint.
#[track_caller]
fn check_checkpoint(status: &Value, word: &str) {
    assert_eq!(status["status"], word, "{status:#}");
    assert!(status["job_id"].is_string() && status["job_name"].is_string());
    let total = status["total_sheets"].as_u64().unwrap();
    let sheets = status["sheets"].as_object().unwrap();
    assert_eq!(sheets.len() as u64, total);
    for (key, sheet) in sheets {
        assert_eq!(sheet["sheet_num"].to_string(), *key);
        assert!(sheet["status"].is_string());
        assert!(sheet["attempt_count"].is_u64());
    }
    for name in ["created_at", "updated_at", "started_at", "completed_at", "run_started_at"] {
        let text = &status[name];
        assert!(text.is_null() || text.as_str().unwrap().ends_with('Z'), "{name} is {text}");
    }
    assert!(status["current_sheet"].is_null() || status["current_sheet"].is_u64());
    assert!(status["total_retry_count"].is_u64() && status["config_path"].is_string());
}

fn entry(house: &House, job: &str) -> Value {
    let list = house.call("job.list", Value::Null);
    list.as_array().unwrap().iter().find(|entry| entry["job_id"] == job).cloned().unwrap()
}

#[test]
fn status_and_list_agree_about_running_and_ended_jobs() {
    let house = gated();
    house.play("job", "instrument: gated\nsheet: {size: 1, total_items: 2}\nprompt: {template: work}\n");
    house.wait_sheet("job", 1, "in_progress");
    house.touch("job/go-1");
    let running = house.wait_sheet("job", 2, "in_progress");
    check_checkpoint(&running, "running");
    assert_eq!(running["current_sheet"], 2);
    assert_eq!(running["last_completed_sheet"], 1);
    assert_eq!(running["pid"], house.pid());
    assert!(running["completed_at"].is_null() && running["started_at"].is_string());
    assert!(running["sheets"]["2"]["process"]["pid"].is_u64(), "{running:#}");
    let live = entry(&house, "job");
    assert_eq!(live["status"], "running");
    assert_eq!(live["config_path"], json!(house.path("job.yaml")));
    assert_eq!(live["workspace"], json!(house.work("job")));
    assert!(live["submitted_at"].is_number() && live["started_at"].is_number(), "{live}");
    assert!(live.as_object().unwrap().contains_key("completed_at"), "{live}");
    assert_eq!((&live["pid"], &live["current_sheet"]), (&json!(house.pid()), &json!(2)));
    assert_eq!((&live["total_sheets"], &live["progress_completed"]), (&json!(2), &json!(1)));
    house.touch("job/go-2");
    let ended = over(&house, "job", "completed");
    check_checkpoint(&ended, "completed");
    assert_eq!((&ended["pid"], &ended["current_sheet"]), (&Value::Null, &Value::Null));
    assert!(ended["completed_at"].is_string());
    let stored = entry(&house, "job");
    assert_eq!(
        (&stored["status"], &stored["progress_completed"]),
        (&json!("completed"), &json!(2)),
        "{stored}"
    );
    assert!(stored["completed_at"].is_number());
    // The same members, whether it comes from the memory or from the disk.
    let keys = |value: &Value| {
        let mut keys: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys
    };
    assert_eq!(keys(&live), keys(&stored));
    let blocked = |key: &String| key != "blocked";
    let (live, stored) = (keys(&running), keys(&ended));
    assert_eq!(live.iter().filter(|key| blocked(key)).collect::<Vec<_>>(), stored.iter().collect::<Vec<_>>());
}

#[test]
fn the_list_is_filtered_limited_and_newest_first() {
    let house = gated();
    let score = format!("instrument: gated\n{ONE}");
    for job in ["a", "b", "c"] {
        house.play(job, &score);
        house.wait_sheet(job, 1, "in_progress");
    }
    house.touch("b/go-1");
    over(&house, "b", "completed");
    let ids = |params: Value| {
        let list = house.call("job.list", params);
        list.as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["job_id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(Value::Null), ["c", "b", "a"]);
    assert_eq!(ids(json!({ "status": "running" })), ["c", "a"]);
    assert_eq!(ids(json!({ "status": ["completed", "failed"] })), ["b"]);
    assert_eq!(ids(json!({ "limit": 2 })), ["c", "b"]);
    assert!(house.try_call("job.list", json!({ "status": "no-such-status" })).is_err());
    let ready = house.call("daemon.ready", Value::Null);
    assert_eq!((&ready["running_jobs"], &ready["job_ids"]), (&json!(2), &json!(["a", "c"])));
}

#[test]
fn a_long_status_is_trimmed_unless_all_of_it_is_asked_for() {
    let house = House::new("");
    house.agent("chatty", "head -c 20000 /dev/zero | tr '\\0' x\n", "");
    let mut house = house;
    house.start();
    let text = "instrument: chatty\nsheet: {size: 1, total_items: 12}\nprompt: {template: work}\n";
    house.play_out("long", text, "completed");
    let short = house.call("job.status", json!({ "job_id": "long" }));
    assert_eq!(short["trimmed"], true);
    assert!(short.to_string().len() <= 65_536);
    check_checkpoint(&short, "completed");
    let full = house.call("job.status", json!({ "job_id": "long", "full": true }));
    assert!(full["trimmed"].is_null());
    assert_eq!(full["sheets"]["12"]["stdout_tail"].as_str().unwrap().len(), 20_000);
}
