#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::params::{Cancel, Fields, List, Pause, Resume, Shutdown, Status, Submit, Watch};
use super::*;
use crate::ids::SheetNo;

/// A server with the methods of the examples of the JSON-RPC specification.
fn handle(call: &Call) -> Result<Value, RpcError> {
    let positional = call.params == Params::Positional;
    match call.method.as_str() {
        "subtract" => {
            let mut fields = Fields::new(call.params.clone())?;
            let minuend = fields.integer("minuend", 0..=100)?.ok_or(RpcError::MissingParam("minuend"))?;
            let subtrahend =
                fields.integer("subtrahend", 0..=100)?.ok_or(RpcError::MissingParam("subtrahend"))?;
            Ok(json!(i64::try_from(minuend).unwrap() - i64::try_from(subtrahend).unwrap()))
        }
        "get_data" => Ok(json!(["hello", 5])),
        "update" | "notify_hello" | "notify_sum" if !positional => Ok(Value::Null),
        "nothing" => Ok(Value::Null),
        _ => Err(RpcError::MethodNotFound(call.method.clone())),
    }
}

fn entry(entry: &Entry) -> Option<Vec<u8>> {
    match entry {
        Ok(call) => reply::answer(call.id.as_ref(), &handle(call)),
        Err(rejection) => Some(reply::error(rejection.id.as_ref(), &rejection.error)),
    }
}

fn serve(line: impl AsRef<[u8]>) -> Option<String> {
    let bytes = match Incoming::parse(line.as_ref()) {
        Incoming::Single(single) => entry(&single),
        Incoming::Batch(entries) => reply::batch(&entries.iter().filter_map(entry).collect::<Vec<_>>()),
    }?;
    assert!(!bytes.contains(&b'\n'));
    Some(String::from_utf8(bytes).unwrap())
}

/// `""` stands for no reply at all.
fn check(line: impl AsRef<[u8]>, expected: &str) {
    let shown = String::from_utf8_lossy(line.as_ref()).into_owned();
    assert_eq!(serve(line).unwrap_or_default(), expected, "{shown}");
}

fn error_line(code: i32, message: &str, id: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","error":{{"code":{code},"message":{}}},"id":{id}}}"#, json!(message))
}

fn not_found(method: &str, id: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","error":{{"code":-32601,"message":"Method not found: {method}","data":{{"method":"{method}"}}}},"id":{id}}}"#
    )
}

#[test]
fn the_examples_of_the_json_rpc_specification() {
    let parse = error_line(-32700, "Parse error: malformed JSON", "null");
    let by_name = error_line(-32602, "Invalid params: parameters are passed by name", "1");
    let object = error_line(-32600, "Invalid request: a request must be an object", "null");
    let difference = |value: i32, id: u32| format!(r#"{{"jsonrpc":"2.0","result":{value},"id":{id}}}"#);

    // Parameters by position are refused here, whatever the method.
    check(r#"{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}"#, &by_name);
    let named = |params: &str, id: u32| {
        format!(r#"{{"jsonrpc": "2.0", "method": "subtract", "params": {params}, "id": {id}}}"#)
    };
    check(named(r#"{"subtrahend": 23, "minuend": 42}"#, 3), &difference(19, 3));
    check(named(r#"{"minuend": 23, "subtrahend": 42}"#, 4), &difference(-19, 4));
    check(r#"{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}"#, "");
    check(r#"{"jsonrpc": "2.0", "method": "foobar"}"#, "");
    check(r#"{"jsonrpc": "2.0", "method": "foobar", "id": "1"}"#, &not_found("foobar", "\"1\""));
    check(r#"{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]"#, &parse);
    check(
        r#"{"jsonrpc": "2.0", "method": 1, "params": "bar"}"#,
        &error_line(-32600, "Invalid request: 'method' must be a string", "null"),
    );
    check(
        r#"[ {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"}, {"jsonrpc": "2.0", "method" ]"#,
        &parse,
    );
    check("[]", &error_line(-32600, "Invalid request: an empty batch", "null"));
    check("[1]", &format!("[{object}]"));
    check("[1,2,3]", &format!("[{object},{object},{object}]"));
    let missing = error_line(-32600, "Invalid request: missing 'method' field", "null");
    check(
        r#"[
            {"jsonrpc": "2.0", "method": "subtract", "params": {"minuend": 42, "subtrahend": 23}, "id": 2},
            {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]},
            {"foo": "boo"},
            {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},
            {"jsonrpc": "2.0", "method": "get_data", "id": "9"}
        ]"#
        .replace('\n', " "),
        &format!(
            r#"[{},{missing},{},{{"jsonrpc":"2.0","result":["hello",5],"id":"9"}}]"#,
            difference(19, 2),
            not_found("foo.get", "\"5\""),
        ),
    );
    check(
        r#"[{"jsonrpc": "2.0", "method": "notify_sum", "params": [1,2,4]}, {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]}]"#,
        "",
    );
}

#[test]
fn lines_that_are_not_strict_json() {
    let parse = error_line(-32700, "Parse error: malformed JSON", "null");
    let nested = |depth: usize| {
        format!(r#"{{"method":"nothing","id":1,"x":{}{}}}"#, "[".repeat(depth), "]".repeat(depth))
    };
    let lines: &[&[u8]] = &[
        b"",
        b" \t ",
        b"{} {}",
        b"{",
        b"nothing",
        b"{\"method\":\"nothing\",\"id\":1}{\"method\":\"nothing\",\"id\":2}",
        b"{\"method\":\"a\0b\",\"id\":1}",
        b"{\"method\":\"a\tb\",\"id\":1}",
        b"{\"method\":\"nothing\",\"id\":1}\0",
        b"{\"method\":\"\xff\",\"id\":1}",
        b"{\"method\":\"nothing\",\"id\":1,\"ignored\":\"\xc3\"}",
        br#"{"method":"nothing","id":NaN}"#,
        br#"{"method":"nothing","id":1,"params":{"a":Infinity}}"#,
        br#"{"method":"nothing","id":1,"params":{"a":"\ud800"}}"#,
        br#"{"method":"nothing","id":1,"ignored":"\ud800"}"#,
        br#"{"method":"nothing","id":1,"\udc00":1}"#,
        br#"{"method":"nothing","id":1,}"#,
        br#"{"method":"nothing","id":01}"#,
        br#"{'method':'nothing'}"#,
    ];
    for line in lines {
        check(line, &parse);
    }
    check(nested(127), &parse);
    check(nested(126), r#"{"jsonrpc":"2.0","result":null,"id":1}"#);
    check(format!("{}{}", "[".repeat(128), "]".repeat(128)), &parse);
    check(format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)), &parse);
}

#[test]
fn lines_that_are_accepted_with_a_smile() {
    let fine = r#"{"jsonrpc":"2.0","result":null,"id":1}"#;
    for line in [
        r#"{"method":"nothing","id":1}"#,
        r#"{"id":1,"params":null,"method":"nothing","jsonrpc":"2.0"}"#,
        "  {\"method\":\"nothing\",\"id\":1}\t\r",
        r#"{"method":"x","id":2,"id":1,"method":"nothing","jsonrpc":"1.0","jsonrpc":"2.0"}"#,
        r#"{"method":"nothing","id":1,"extra":{"a":[1,2]},"params":{"unknown":true}}"#,
        r#"{"m\u0065thod":"noth\u0069ng","id":1}"#,
    ] {
        check(line, fine);
    }
}

#[test]
fn ids_come_back_as_they_were() {
    let long = "9".repeat(400);
    for id in ["0", "-7", "-0", &long, "18446744073709551616", r#""""#, r#""a\"b\\ \u0007ü""#, r#""1""#] {
        check(
            format!(r#"{{"method":"nothing","id":{id}}}"#),
            &format!(r#"{{"jsonrpc":"2.0","result":null,"id":{id}}}"#),
        );
    }
    for id in ["1.0", "1.5", "1e0", "true", "false", "[1]", "{}"] {
        let expected = error_line(-32600, "Invalid request: 'id' must be a string or an integer", "null");
        check(format!(r#"{{"method":"nothing","id":{id}}}"#), &expected);
    }
    check(r#"{"method":"nothing","id":null}"#, "");
    check(r#"{"method":"unknown","id":null}"#, "");
    check(r#"{"method":"subtract","params":{"minuend":"x"}}"#, "");
}

#[test]
fn malformed_requests_and_the_id_they_are_answered_to() {
    let invalid = |detail: &str, id: &str| error_line(-32600, &format!("Invalid request: {detail}"), id);
    check("{}", &invalid("missing 'method' field", "null"));
    check(r#"{"id":5,"jsonrpc":"1.0"}"#, &invalid("missing 'method' field", "5"));
    check(r#"{"id":[],"jsonrpc":"1.0"}"#, &invalid("missing 'method' field", "null"));
    check(r#"{"id":"a","method":null}"#, &invalid("'method' must be a string", "\"a\""));
    for version in ["\"1.0\"", "2.0", "2", "null", "\"2.00\""] {
        let expected = invalid("'jsonrpc' must be \"2.0\"", "1");
        check(format!(r#"{{"jsonrpc":{version},"method":"nothing","id":1}}"#), &expected);
    }
    for params in ["1", "\"a\"", "true", "1.5"] {
        let expected = invalid("'params' must be an object", "1");
        check(format!(r#"{{"method":"nothing","params":{params},"id":1}}"#), &expected);
        // Not a notification: nobody can know whether it was meant to be one.
        check(
            format!(r#"{{"method":"nothing","params":{params}}}"#),
            &invalid("'params' must be an object", "null"),
        );
    }
    for other in ["1", "\"a\"", "true", "null", "-1.5e3"] {
        check(other, &invalid("a request must be an object", "null"));
    }
    check(r#"{"method":"unknown","params":[1],"id":1}"#, &not_found("unknown", "1"));
}

#[test]
fn batches_have_1_to_100_entries() {
    let batch = |count: usize| format!("[{}]", vec![r#"{"method":"nothing","id":1}"#; count].join(","));
    let reply = serve(batch(100)).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Value>>(&reply).unwrap().len(), 100);
    let expected = "Invalid request: a batch of 101 requests, at most 100 are allowed";
    check(batch(101), &error_line(-32600, expected, "null"));
}

#[test]
fn an_oversized_request_is_explained() {
    let line = reply::error(None, &RpcError::RequestTooLarge { bytes: 1_500_000 });
    assert_eq!(
        String::from_utf8(line).unwrap(),
        r#"{"jsonrpc":"2.0","error":{"code":-32600,"message":"Request too large: 1500000 bytes exceeds maximum of 1048576 bytes (1MB)","data":{"request_size":1500000,"max_size":1048576,"security":"Request rejected to prevent memory exhaustion","legacy_code":1004}},"id":null}"#
    );
}

#[test]
fn an_oversized_result_becomes_an_error() {
    let id = Id::Text("big".to_owned());
    let text = "x".repeat(16 * 1024 * 1024);
    let line = reply::result(&id, &text);
    let value: Value = serde_json::from_slice(&line).unwrap();
    assert_eq!(value["error"]["message"], "Internal error: response exceeds 16777216 bytes");
    assert_eq!(value["error"]["data"]["response_size"], json!(text.len() + 41));
    assert_eq!(value["id"], "big");
    let empty = reply::result(&id, &"").len();
    let fits = "x".repeat(crate::ndjson::RESPONSE_LIMIT - 1 - empty);
    assert_eq!(reply::result(&id, &fits).len(), crate::ndjson::RESPONSE_LIMIT - 1);
    let half = reply::result(&id, &"x".repeat(9 * 1024 * 1024));
    let line = reply::batch(&[half.clone(), half]).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&line).unwrap()["error"]["code"], -32603);
}

#[test]
fn notifications_have_no_id() {
    let line = reply::notification("job.event", &json!({ "seq": 1, "text": "a\nb" }));
    assert_eq!(
        String::from_utf8(line).unwrap(),
        r#"{"jsonrpc":"2.0","method":"job.event","params":{"seq":1,"text":"a\nb"}}"#
    );
}

#[test]
fn every_error_has_its_code_and_data() {
    let job = crate::ids::JobId::new("demo").unwrap();
    let table = [
        (
            RpcError::JobNotFound(job.clone()),
            -32000,
            "Job 'demo' not found",
            json!({"job_id":"demo","reason":"not_found"}),
        ),
        (
            RpcError::Job { message: "no".into(), job, reason: "no_state" },
            -32000,
            "no",
            json!({"job_id":"demo","reason":"no_state"}),
        ),
        (RpcError::ResourceExhausted("full".into()), -32001, "full", Value::Null),
        (RpcError::JobAlreadyRunning("twice".into()), -32002, "twice", Value::Null),
        (RpcError::ShuttingDown, -32003, "Conductor is shutting down", Value::Null),
        (RpcError::JobNotResumable("done".into()), -32004, "done", Value::Null),
        (RpcError::WorkspaceNotFound("gone".into()), -32005, "gone", Value::Null),
        (
            RpcError::ConfigInvalid { message: "bad".into(), data: json!({"line":3}).into() },
            -32006,
            "bad",
            json!({"line":3}),
        ),
        (RpcError::TooManyStreams { max: 64 }, -32007, "Too many streams", json!({"max":64})),
        (RpcError::Internal("disk".into()), -32603, "Internal error: disk", Value::Null),
        (RpcError::Unexpected, -32603, "Internal error", Value::Null),
        (
            RpcError::MissingParam("job_id"),
            -32602,
            "Invalid params: missing required field 'job_id'",
            json!({"field":"job_id"}),
        ),
    ];
    for (error, code, message, data) in table {
        let line: Value = serde_json::from_slice(&reply::error(Some(&Id::number(1)), &error)).unwrap();
        assert_eq!(line["error"]["code"], code);
        assert_eq!(line["error"]["message"], message);
        assert_eq!(line["error"]["data"], data);
        assert_eq!(line["error"].get("data").is_some(), !data.is_null());
        assert!(line.get("result").is_none());
    }
}

#[test]
fn methods_are_sorted_and_have_a_lane() {
    assert!(METHODS.windows(2).all(|pair| pair[0].0 < pair[1].0));
    assert_eq!(lane("job.watch"), Some(Lane::Stream));
    assert_eq!(lane("daemon.ping"), Some(Lane::Inline));
    assert_eq!(lane("job.nothing"), None);
    assert_eq!(discover()["methods"].as_array().unwrap().len(), METHODS.len());
    assert_eq!(discover()["protocol_version"], 1);
}

fn params(value: Value) -> Params {
    match value {
        Value::Object(members) => Params::Named(members),
        _ => Params::Positional,
    }
}

#[test]
fn parameters_become_types() {
    let submit = Submit::try_from(params(json!({
        "config_path": "/s/demo.yaml", "workspace": null, "fresh": true, "start_sheet": 3, "chain_depth": 0,
        "client_cwd": "/home/u", "name": "x", "priority": 9, "variables": {"a": 1}, "unknown": [],
    })))
    .unwrap();
    assert_eq!(submit.config_path.to_str(), Some("/s/demo.yaml"));
    assert_eq!((submit.workspace, submit.fresh, submit.dry_run), (None, true, false));
    assert_eq!(
        (submit.start_sheet, submit.chain_depth, submit.priority),
        (Some(SheetNo(3)), Some(0), Some(9))
    );
    assert_eq!(submit.variables["a"], 1);
    let resume = Resume::try_from(params(json!({"job_id": "a", "workspace": "", "from_sheet": 2}))).unwrap();
    assert_eq!((resume.workspace, resume.from_sheet, resume.no_reload), (None, Some(SheetNo(2)), false));
    assert!(Pause::try_from(params(json!({"job_id": "a", "now": true}))).unwrap().now);
    assert!(Cancel::try_from(params(json!({"job_id": "a", "workspace": ""}))).is_ok());
    assert!(Shutdown::try_from(params(json!({}))).unwrap().graceful);
    assert!(Status::try_from(params(json!({"job_id": "a", "full": true}))).unwrap().full);
    assert_eq!(Watch::try_from(params(json!({"job_id": "a", "from_seq": 7}))).unwrap().from_seq, Some(7));
    let list = List::try_from(params(json!({"status": ["failed", "running"], "limit": 10}))).unwrap();
    assert_eq!((list.status.unwrap().len(), list.limit), (2, 10));
    let list = List::try_from(params(json!({"status": "failed"}))).unwrap();
    assert_eq!((list.status.unwrap().len(), list.limit), (1, 500));
}

#[test]
fn parameters_are_not_coerced() {
    fn field<T: TryFrom<Params, Error = RpcError>>(value: Value) -> Value {
        let shown = value.to_string();
        let Err(error) = T::try_from(params(value)) else { panic!("{shown} was accepted") };
        assert_eq!(error.code(), -32602, "{shown}");
        error.data().map(|data| data["field"].clone()).unwrap_or_default()
    }
    assert_eq!(field::<Submit>(json!({})), "config_path");
    assert_eq!(field::<Submit>(json!({"config_path": ""})), "config_path");
    assert_eq!(field::<Submit>(json!({"config_path": "a\0b"})), "config_path");
    for (name, bad) in [
        ("fresh", json!("yes")),
        ("fresh", json!(1)),
        ("dry_run", json!("false")),
        ("start_sheet", json!("3")),
        ("start_sheet", json!(0)),
        ("start_sheet", json!(-1)),
        ("start_sheet", json!(1.0)),
        ("start_sheet", json!(5_000_000_000u64)),
        ("chain_depth", json!(true)),
        ("priority", json!(11)),
        ("client_cwd", json!("relative")),
        ("variables", json!([])),
        ("workspace", json!(5)),
        ("name", json!({})),
    ] {
        assert_eq!(field::<Submit>(json!({"config_path": "a", name: bad})), name);
    }
    assert_eq!(field::<Status>(json!({"job_id": null})), "job_id");
    assert_eq!(field::<Status>(json!({"job_id": "../x"})), "job_id");
    assert_eq!(field::<Cancel>(json!([1])), Value::Null);
    for (name, bad) in
        [("status", json!("sleeping")), ("status", json!([1])), ("limit", json!(0)), ("limit", json!(10_001))]
    {
        assert_eq!(field::<List>(json!({name: bad})), name);
    }
    assert_eq!(field::<Watch>(json!({"job_id": "a", "from_seq": -1})), "from_seq");
}

/// A checkpoint whose parts have about the sizes that are given.
fn checkpoint(snapshot: usize, tail: usize, errors: usize) -> Value {
    let sheet = |number: u32| {
        json!({
            "sheet_num": number, "status": "completed", "attempt_count": 0, "validation_passed": true,
            "stdout_tail": "o".repeat(tail), "stderr_tail": "é".repeat(tail / 2),
            "error_history": vec![json!({"message": "m".repeat(50)}); errors],
            "validation_details": [{"rule": "exists"}], "model": null, "prompt_metrics": {},
        })
    };
    json!({
        "job_id": "demo", "job_name": "demo", "total_sheets": 3, "status": "completed",
        "config_snapshot": "c".repeat(snapshot), "sheets": {"1": sheet(1), "2": sheet(2), "3": sheet(3)},
    })
}

#[test]
fn a_result_above_the_budget_loses_the_least_useful_first() {
    let small = checkpoint(10, 10, 1);
    assert_eq!(budget::fit(small.clone(), budget::PREFERRED), small);

    let fitted = budget::fit(checkpoint(70_000, 1000, 2), budget::PREFERRED);
    assert_eq!(fitted["trimmed"], true);
    assert!(fitted.get("config_snapshot").is_none());
    assert_eq!(fitted["sheets"]["1"]["stdout_tail"].as_str().unwrap().len(), 1000);

    let fitted = budget::fit(checkpoint(10, 30_000, 2), budget::PREFERRED);
    assert_eq!(fitted["sheets"]["1"]["stdout_tail"].as_str().unwrap().chars().count(), 500);
    assert_eq!(fitted["sheets"]["1"]["stderr_tail"].as_str().unwrap().chars().count(), 500);
    assert_eq!(fitted["sheets"]["1"]["error_history"].as_array().unwrap().len(), 2);

    let fitted = budget::fit(checkpoint(10, 10, 500), budget::PREFERRED);
    assert_eq!(fitted["sheets"]["2"]["error_history"].as_array().unwrap().len(), 1);
    assert_eq!(fitted["sheets"]["2"]["validation_details"].as_array().unwrap().len(), 1);

    let smallest = budget::fit(checkpoint(10, 10, 1), 1);
    assert_eq!(
        smallest["sheets"]["3"],
        json!({"sheet_num": 3, "status": "completed", "attempt_count": 0, "validation_passed": true,
               "error_history": [{"message": "m".repeat(50)}]})
    );
    assert_eq!(budget::fit(json!([1, 2, 3]), 1), json!([1, 2, 3]));
    assert_eq!(budget::size(&json!({"a": [1, "é"]})), json!({"a": [1, "é"]}).to_string().len());
}

proptest! {
    #[test]
    fn parsing_never_fails_and_every_reply_is_one_json_line(line: Vec<u8>) {
        if let Some(reply) = serve(&line) {
            prop_assert!(serde_json::from_str::<Value>(&reply).is_ok());
        }
    }

    #[test]
    fn the_fast_path_and_the_batch_path_agree(
        id in prop_oneof![Just("1"), Just("\"a\""), Just("null"), Just("1.5"), Just("[]")],
        method in prop_oneof![Just("\"nothing\""), Just("\"foo\""), Just("1"), Just("null")],
        rest in prop_oneof![Just(""), Just(",\"params\":null"), Just(",\"params\":[]"), Just(",\"params\":3"), Just(",\"jsonrpc\":2"), Just(",\"id\":7")],
    ) {
        let line = format!(r#"{{"id":{id},"method":{method}{rest}}}"#);
        let single = serve(&line).map(|reply| format!("[{reply}]"));
        prop_assert_eq!(single, serve(format!("[{line}]")));
    }
}
