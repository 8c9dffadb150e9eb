//! Lines as they are on the wire: the requests that older clients send, and answers of the shape they read.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

use crate::band::{Band, ONE};
use crate::house::House;

/// Sends a line and reads lines up to the one with an `id`.
fn exchange(house: &House, request: &str) -> Vec<Value> {
    let mut socket = UnixStream::connect(house.path("sock")).unwrap();
    socket.write_all(request.as_bytes()).unwrap();
    socket.write_all(b"\n").unwrap();
    let mut lines = Vec::new();
    for line in BufReader::new(socket).lines() {
        let line = line.unwrap();
        assert!(line.len() <= 65_536, "{} bytes", line.len());
        let value: Value = serde_json::from_str(&line).unwrap();
        let last = value.get("id").is_some();
        lines.push(value);
        if last {
            break;
        }
    }
    lines
}

#[track_caller]
fn check(house: &House, request: &str, answer: Value) {
    let lines = exchange(house, request);
    assert_eq!(lines, [answer], "{request}");
}

#[test]
fn questions_and_answers() {
    let mut house = House::new("");
    house.agent("good", ":\n", "");
    house.start();
    let job = json!({"code": -32000, "message": "Job 'ghost' not found", "data": {"job_id": "ghost", "reason": "not_found"}});
    check(
        &house,
        r#"{"jsonrpc":"2.0","method":"job.errors","params":{"job_id":"ghost","workspace":null},"id":11}"#,
        json!({"jsonrpc": "2.0", "error": job, "id": 11}),
    );
    check(
        &house,
        r#"{"jsonrpc":"2.0","method":"job.history","params":{"job_id":"ghost","workspace":null,"sheet_num":null,"limit":50},"id":12}"#,
        json!({"jsonrpc": "2.0", "error": job, "id": 12}),
    );
    let state = json!({"code": -32000, "message": "No state found for job 'ghost'", "data": {"job_id": "ghost", "reason": "not_found"}});
    check(
        &house,
        r#"{"jsonrpc":"2.0","method":"job.recover","params":{"job_id":"ghost","workspace":null,"sheet_num":null,"dry_run":false},"id":13}"#,
        json!({"jsonrpc": "2.0", "error": state, "id": 13}),
    );
    check(
        &house,
        r#"{"jsonrpc":"2.0","method":"daemon.rate_limits","params":{},"id":14}"#,
        json!({"jsonrpc": "2.0", "result": {"backends": {}, "active_limits": 0, "recent_events_count": 0}, "id": 14}),
    );
    check(
        &house,
        r#"{"jsonrpc":"2.0","method":"daemon.clear_rate_limits","params":{"instrument":null},"id":15}"#,
        json!({"jsonrpc": "2.0", "result": {"cleared": 0, "instrument": null}, "id": 15}),
    );
    check(
        &house,
        r#"{"jsonrpc":"2.0","method":"job.modify","params":{"job_id":"ghost","config_path":""},"id":16}"#,
        json!({"jsonrpc": "2.0", "result": {
            "job_id": "ghost", "status": "rejected", "message": "config_path required", "reason": "no_config",
        }, "id": 16}),
    );
    let ping = exchange(&house, r#"{"jsonrpc":"2.0","method":"daemon.ping","params":null,"id":17}"#);
    assert_eq!((&ping[0]["result"]["message"], &ping[0]["id"]), (&json!("pong"), &json!(17)));
    assert!(ping[0]["result"]["timestamp"].is_u64());
    let methods = exchange(&house, r#"{"jsonrpc":"2.0","method":"rpc.discover","params":null,"id":18}"#);
    let methods = methods[0]["result"]["methods"].as_array().unwrap();
    assert!(methods.is_sorted_by_key(|name| name.as_str()));
    for name in
        ["job.approve", "job.errors", "job.history", "job.modify", "job.recover", "daemon.rate_limits"]
    {
        assert!(methods.contains(&json!(name)), "{name}");
    }
}

#[test]
fn a_stream_ends_with_the_id_of_its_request() {
    let mut house = House::new("");
    house.agent("gated", "gate go\n", "");
    house.start();
    house.play("job", &format!("instrument: gated\n{ONE}"));
    house.wait_sheet("job", 1, "in_progress");
    house.touch("job/go");
    let lines = exchange(
        &house,
        r#"{"jsonrpc":"2.0","method":"job.watch","params":{"job_id":"job","from_seq":0},"id":"w"}"#,
    );
    let (end, events) = lines.split_last().unwrap();
    assert_eq!((&end["id"], &end["result"]["reason"]), (&json!("w"), &json!("terminal")), "{end}");
    for event in events {
        assert_eq!((&event["method"], event.get("id")), (&json!("job.event"), None));
        let params = event["params"].as_object().unwrap();
        for member in ["job_id", "sheet_num", "event", "data", "timestamp", "seq", "schema"] {
            assert!(params.contains_key(member), "{member} in {event}");
        }
    }
    let again =
        exchange(&house, r#"{"jsonrpc":"2.0","method":"job.watch","params":{"job_id":"job"},"id":2}"#);
    assert_eq!(
        again,
        [json!({"jsonrpc": "2.0", "result": {"reason": "terminal", "status": "completed"}, "id": 2})]
    );
}
