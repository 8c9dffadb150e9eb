//! Request decoding: never a panic; what is understood means the same when it is written again; every
//! answer is one line of JSON with the id of its request.

use mozart::rpc::params::{Cancel, Fields, List, Pause, Resume, Shutdown, Status, Submit, Watch};
use mozart::rpc::{Call, Id, Incoming, Params, RpcError, reply};
use serde_json::{Value, json};

/// Every line of the input is one request.
pub(crate) fn check(bytes: &[u8]) {
    for line in bytes.split(|&byte| byte == b'\n') {
        let incoming = Incoming::parse(line);
        assert_eq!(incoming, Incoming::parse(line), "the same line, another meaning");
        match incoming {
            Incoming::Single(entry) => check_entry(entry),
            Incoming::Batch(entries) => {
                assert!(!entries.is_empty() && entries.len() <= mozart::rpc::MAX_BATCH);
                entries.into_iter().for_each(check_entry);
            }
        }
    }
}

fn check_entry(entry: mozart::rpc::Entry) {
    match entry {
        Ok(call) => {
            check_params(&call);
            check_round_trip(call);
        }
        Err(rejection) => check_answer(rejection.id.as_ref(), &rejection.error),
    }
}

/// Any method may be sent any parameters.
fn check_params(call: &Call) {
    fn one<T: TryFrom<Params, Error = RpcError>>(call: &Call) {
        if let Err(error) = T::try_from(call.params.clone()) {
            check_answer(call.id.as_ref(), &error);
        }
    }
    one::<Submit>(call);
    one::<Status>(call);
    one::<Pause>(call);
    one::<Resume>(call);
    one::<Cancel>(call);
    one::<List>(call);
    one::<Watch>(call);
    one::<Shutdown>(call);
    if let Ok(mut fields) = Fields::new(call.params.clone()) {
        _ = fields.job_id();
    }
    check_answer(call.id.as_ref(), &RpcError::MethodNotFound(call.method.clone()));
}

fn check_round_trip(call: Call) {
    let mut request = json!({ "jsonrpc": "2.0", "method": call.method });
    match &call.params {
        Params::Named(members) => request["params"] = Value::Object(members.clone()),
        Params::Positional => request["params"] = json!([]),
    }
    match &call.id {
        Some(Id::Integer(number)) => request["id"] = Value::Number(number.clone()),
        Some(Id::Text(text)) => request["id"] = json!(text),
        None => (),
    }
    let line = request.to_string();
    assert_eq!(Incoming::parse(line.as_bytes()), Incoming::Single(Ok(call)), "written again: {line}");
}

fn check_answer(id: Option<&Id>, error: &RpcError) {
    let line = reply::error(id, error);
    assert!(!line.contains(&b'\n'), "an answer is one line");
    let answer: Value = serde_json::from_slice(&line).expect("an answer is JSON");
    let expected = match id {
        Some(Id::Integer(number)) => Value::Number(number.clone()),
        Some(Id::Text(text)) => json!(text),
        None => Value::Null,
    };
    assert_eq!(answer["id"], expected);
    assert!(answer.get("result").is_none() && answer["error"]["code"].is_i64());
}
