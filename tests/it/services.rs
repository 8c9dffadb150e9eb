//! Instruments of kind http: the whole way from a score to a service and back.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::band::{Band, ONCE, ONE};
use crate::house::House;
use crate::server::{Answer, Server};

const KEY: &str = "sk-test-0123456789";

/// A house whose conductor has a key and speaks to this machine without a proxy.
fn house() -> House {
    let mut house = House::new("");
    let mut start = house.command(&["start", "--foreground"]);
    for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        start.env_remove(name);
    }
    start.env("ANTHROPIC_API_KEY", KEY).env("OTHER_KEY", KEY).env_remove("KEY_THAT_IS_NOT_SET");
    house.start_by(start);
    house
}

fn message(text: &str) -> Value {
    json!({"model": "claude-x", "content": [{"type": "text", "text": text}], "stop_reason": "end_turn",
           "usage": {"input_tokens": 12, "output_tokens": 34}})
}

fn score(server: &Server, more: &str) -> String {
    format!(
        "instrument: anthropic_api\ninstrument_config: {{base_url: \"{}\"{more}}}\n{ONE}{ONCE}",
        server.url("")
    )
}

/// Files below a directory that contain a text.
fn holding(dir: &Path, text: &str) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            found.extend(holding(&path, text));
        } else if entry.file_type().unwrap().is_file() {
            let bytes = fs::read(&path).unwrap();
            if memchr::memmem::find(&bytes, text.as_bytes()).is_some() {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn a_service_answers_and_its_tokens_are_counted() {
    let server = Server::start(|_, _| Answer::json(200, &message("the answer")));
    let house = house();
    let more = ", model: claude-x, max_tokens: 99, temperature: 0.25";
    let end = house.play_out("asks", &score(&server, more), "completed");
    let sheet = &end["sheets"]["1"];
    assert_eq!((&sheet["input_tokens"], &sheet["output_tokens"]), (&json!(12), &json!(34)), "{sheet:#}");
    let seen = server.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!((seen[0].method.as_str(), seen[0].path.as_str()), ("POST", "/v1/messages"));
    assert_eq!(seen[0].header("x-api-key"), Some(KEY));
    assert_eq!(seen[0].header("anthropic-version"), Some("2023-06-01"));
    let body = seen[0].json();
    assert_eq!(
        (&body["model"], &body["max_tokens"], &body["temperature"]),
        (&json!("claude-x"), &json!(99), &json!(0.25))
    );
    assert!(body["messages"][0]["content"].as_str().unwrap().contains("work"), "{body:#}");
    let leaks = holding(&house.path(""), KEY);
    assert!(leaks.is_empty(), "the key is on the disk: {leaks:?}");
}

#[test]
fn statuses_become_the_errors_that_they_mean() {
    let server = Server::start(|_, seen| {
        let prompt = seen.body.clone();
        let says = |status: u16, text: &str| Answer::json(status, &json!({"error": {"message": text}}));
        if prompt.contains("case-401") {
            says(401, "invalid x-api-key")
        } else if prompt.contains("case-404") {
            says(404, "model: claude-x")
        } else if prompt.contains("case-500") {
            says(500, "oops")
        } else if prompt.contains("case-html") {
            Answer::Give(200, Vec::new(), "<html>".to_owned())
        } else {
            Answer::Hang
        }
    });
    let house = house();
    for (case, code, more) in [
        ("case-401", "E502", ""),
        ("case-404", "E301", ""),
        ("case-500", "E503", ""),
        ("case-html", "E503", ""),
        ("case-slow", "E504", ", timeout_seconds: 1"),
    ] {
        let text = score(&server, more).replace("template: work", &format!("template: {case}"));
        let end = house.play_out(case, &text, "failed");
        let sheet = &end["sheets"]["1"];
        assert_eq!(sheet["error_code"], code, "{case}: {sheet:#}");
        assert!(sheet["error_message"].as_str().unwrap().contains("http://127.0.0.1:"), "{sheet:#}");
    }
}

#[test]
fn a_busy_service_is_waited_for() {
    let server = Server::start(|_, seen| {
        let (status, wait) = if seen.body.contains("case-529") { (529, "70") } else { (429, "1800") };
        Answer::Give(
            status,
            vec![("retry-after", wait.to_owned())],
            r#"{"error":{"message":"slow down"}}"#.to_owned(),
        )
    });
    for (case, code, least, most) in [("case-429", "E101", 1500, 2400), ("case-529", "E103", 10, 200)] {
        let house = house();
        let text = score(&server, "").replace("template: work", &format!("template: {case}"));
        house.play(case, &text);
        let status = house.wait_sheet(case, 1, "waiting");
        let sheet = &status["sheets"]["1"];
        assert_eq!(sheet["error_code"], code, "{sheet:#}");
        let until: jiff::Timestamp = sheet["rate_limit_expires_at"].as_str().unwrap().parse().unwrap();
        let wait = until.duration_since(jiff::Timestamp::now()).as_secs();
        assert!((least..=most).contains(&wait), "{wait} s: {sheet:#}");
        house.call("job.cancel", json!({ "job_id": case }));
    }
}

#[test]
fn nobody_there_and_no_key_are_told_apart() {
    let address = {
        let server = Server::start(|_, _| Answer::status(200));
        server.url("")
    };
    let house = house();
    let text =
        format!("instrument: anthropic_api\ninstrument_config: {{base_url: \"{address}\"}}\n{ONE}{ONCE}");
    let end = house.play_out("nobody", &text, "failed");
    assert_eq!(end["sheets"]["1"]["error_code"], "E501", "{:#}", end["sheets"]["1"]);
    let text = format!(
        "instrument: anthropic_api\ninstrument_config: {{api_key_env: KEY_THAT_IS_NOT_SET, base_url: \"{address}\"}}\n{ONE}{ONCE}"
    );
    let end = house.play_out("keyless", &text, "failed");
    let sheet = &end["sheets"]["1"];
    assert_eq!(sheet["error_code"], "E502", "{sheet:#}");
    assert!(sheet["error_message"].as_str().unwrap().contains("`KEY_THAT_IS_NOT_SET`"), "{sheet:#}");
}

#[test]
fn a_local_model_server_is_asked_as_the_older_form_says() {
    let server = Server::start(|_, seen| match seen.path.as_str() {
        "/api/version" => Answer::json(200, &json!({"version": "1"})),
        _ => Answer::json(
            200,
            &json!({"model": "m", "message": {"role": "assistant", "content": "hello"},
                                       "prompt_eval_count": 3, "eval_count": 4, "done": true}),
        ),
    });
    let house = house();
    let text = format!(
        "backend: {{type: ollama, ollama: {{base_url: \"{}\", model: tiny, num_ctx: 4096, keep_alive: 1m}}}}\n{ONE}{ONCE}",
        server.url("")
    );
    let end = house.play_out("local", &text, "completed");
    assert_eq!(end["sheets"]["1"]["output_tokens"], 4, "{:#}", end["sheets"]["1"]);
    let seen = server.seen();
    let paths: Vec<&str> = seen.iter().map(|seen| seen.path.as_str()).collect();
    assert_eq!(paths, ["/api/version", "/api/chat"]);
    let body = seen[1].json();
    assert_eq!((&body["model"], &body["keep_alive"]), (&json!("tiny"), &json!("1m")));
    assert_eq!((&body["options"]["num_ctx"], &body["stream"]), (&json!(4096), &json!(false)));
    assert_eq!(seen[1].header("authorization"), None);
}

#[test]
fn a_service_of_a_profile_of_ones_own() {
    let server = Server::start(|_, _| {
        Answer::json(
            200,
            &json!({"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}],
                                  "usage": {"prompt_tokens": 1, "completion_tokens": 2}}),
        )
    });
    let house = house();
    let profiles = house.path("instruments");
    fs::create_dir_all(&profiles).unwrap();
    let profile = format!(
        "name: mine\ndisplay_name: Mine\nkind: http\ndefault_model: big\nhttp: {{base_url: \"{}/v1\", schema_family: openai, \
         auth_env_var: OTHER_KEY}}\n",
        server.url("")
    );
    fs::write(profiles.join("mine.yaml"), profile).unwrap();
    fs::write(house.path("system.md"), "be brief").unwrap();
    let text = format!("instrument: mine\ninstrument_config: {{system_prompt_file: system.md}}\n{ONE}{ONCE}");
    house.play_out("own", &text, "completed");
    let seen = server.seen();
    assert_eq!(seen[0].path, "/v1/chat/completions");
    assert_eq!(seen[0].header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    assert_eq!(seen[0].json()["messages"][0], json!({"role": "system", "content": "be brief"}));
    assert_eq!(seen[0].json()["model"], "big");

    let checked =
        house.command(&["instruments", "check", "mine", "--probe"]).env("OTHER_KEY", KEY).output().unwrap();
    let out = String::from_utf8(checked.stdout).unwrap();
    assert!(checked.status.success(), "{out}{}", String::from_utf8_lossy(&checked.stderr));
    for part in [
        "/v1/chat/completions\n",
        "OTHER_KEY (set)",
        "answers with status 200",
        "__http prompt --family openai",
    ] {
        assert!(out.contains(part), "{part} is missing in\n{out}");
    }
    assert!(!out.contains(KEY), "{out}");
    let keyless = house.command(&["instruments", "check", "mine"]).env_remove("OTHER_KEY").output().unwrap();
    assert_eq!(keyless.status.code(), Some(1));
    assert!(String::from_utf8(keyless.stderr).unwrap().contains("`OTHER_KEY`"));
    let listed = house.command(&["instruments", "--json"]).env_remove("OTHER_KEY").output().unwrap();
    let rows: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let status = |name: &str| {
        rows.as_array().unwrap().iter().find(|row| row["name"] == name).unwrap()["status"].clone()
    };
    assert_eq!((status("mine"), status("ollama")), (json!("no_key"), json!("unchecked")));
}

#[test]
fn validating_a_score_for_a_service_finds_nothing_wrong() {
    let house = House::new("");
    let path = house.score("fine", &format!("backend: {{type: anthropic_api}}\n{ONE}"));
    let out = house.mozart(&["validate", path.to_str().unwrap()]);
    let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert!(
        out.status.success() && !text.contains("V210") && !text.contains("not found in instrument registry"),
        "{text}"
    );
}
