//! What an operator is told about jobs of agents that behave badly: the same truth in `status`, `errors` and prompts.

#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use crate::band::{Band, ONCE, ONE, QUICK};
use crate::house::House;

/// Plays one job with one agent until it is over.
#[track_caller]
fn play(script: &str, more: &str, score: &str, end: &str) -> House {
    let mut house = House::new("");
    house.agent("actor", script, more);
    house.start();
    house.play_out("play", &format!("instrument: actor\n{score}"), end);
    house
}

fn text(house: &House, args: &[&str]) -> String {
    String::from_utf8(house.mozart(args).stdout).unwrap()
}

fn document(house: &House, args: &[&str]) -> Value {
    serde_json::from_str(&text(house, args)).unwrap()
}

/// Kinds of all errors of the job, in order.
fn kinds(house: &House) -> Vec<Value> {
    let errors = document(house, &["errors", "play", "--json"]);
    errors["errors"].as_array().unwrap().iter().map(|error| error["error_type"].clone()).collect()
}

#[test]
fn a_skipped_sheet_is_no_error() {
    let score =
        "sheet: {size: 1, total_items: 2, skip_when: {2: 'sheet_num == 2'}}\nprompt: {template: work}\n";
    let house = play("echo done\n", "", score, "completed");
    assert_eq!(document(&house, &["status", "play", "--json"])["recent_errors"], json!([]));
    let shown = text(&house, &["status", "play"]);
    assert!(shown.contains("skipped (condition)") && !shown.contains("Recent Errors"), "{shown}");
}

#[test]
fn what_is_tried_again_is_not_called_permanent() {
    let house = play(
        "[ $nth = 1 ] || kill -SEGV $$\n",
        "",
        &format!("{ONE}{QUICK}validations: [{{type: file_exists, path: never, retry_count: 0}}]\n"),
        "failed",
    );
    assert_eq!(kinds(&house), ["transient", "permanent"]);
    let recent = &document(&house, &["status", "play", "--json"])["recent_errors"];
    assert_eq!((&recent[0]["error_type"], &recent[0]["error_code"]), (&json!("permanent"), &json!("E003")));
}

#[test]
fn who_only_says_that_it_is_not_logged_in_has_been_refused() {
    let house =
        play("echo 'Invalid API key. Please run /login'; exit 1\n", "", &format!("{ONE}{QUICK}"), "failed");
    let sheet = house.sheet("play", 1);
    assert_eq!((&sheet["error_code"], &sheet["attempt_count"]), (&json!("E502"), &json!(1)), "{sheet:#}");
}

#[test]
fn a_completed_job_over_its_limit_is_not_called_paused() {
    let price = "cost_limits: {max_cost_per_job: 0.0001, cost_per_1k_input_tokens: 1, cost_per_1k_output_tokens: 1}\n";
    let house = play("echo done\n", "", &format!("{ONE}{ONCE}{price}"), "completed");
    let shown = text(&house, &["status", "play"]);
    assert!(shown.contains("(limit: $0.0001)") && shown.contains("Cost limit reached"), "{shown}");
    assert!(!shown.contains("paused"), "{shown}");
}

#[test]
fn an_attempt_that_spent_too_much_is_told_once() {
    let output = "output: {format: jsonl, completion_event_type: done, result_path: text, input_tokens_path: in, \
                  output_tokens_path: out, aggregate_tokens: true}";
    let script = "echo '{\"in\": 900, \"out\": 100}'\ngate never\n";
    let house =
        play(script, output, &format!("{ONE}{ONCE}cost_limits: {{max_tokens_per_sheet: 300}}\n"), "failed");
    let recent = &document(&house, &["status", "play", "--json"])["recent_errors"];
    assert_eq!(recent.as_array().unwrap().len(), 1, "{recent:#}");
    assert_eq!(recent[0]["error_code"], "E007");
}

#[test]
fn a_completion_prompt_tells_files_apart() {
    let rules: String = ["a", "b", "c"]
        .iter()
        .map(|name| format!("- {{type: file_exists, path: {name}, retry_count: 0}}\n"))
        .collect();
    let house = play(
        "touch a b; [ $nth = 1 ] || touch c\n",
        "",
        &format!("{ONE}{QUICK}validations:\n{rules}"),
        "completed",
    );
    let again = house.prompt("play", 1, 2);
    let (done, missing) = again.split_once("Still failing:").unwrap();
    assert!(done.contains(&format!("- file_exists `{}`", house.work("play/a").display())), "{again}");
    assert!(missing.contains("/play/c`") && !missing.contains("/play/b`"), "{again}");
    let errors = text(&house, &["errors", "play"]);
    assert!(errors.contains("/play/c' does not exist"), "{errors}");
}

#[test]
fn directories_that_a_program_could_not_write_into_are_made() {
    let rule = "validations: [{type: file_exists, path: sub/dir/out, retry_count: 0}]\nself_healing: {max_attempts: 1}\n";
    let house = play("echo x > sub/dir/out\n", "", &format!("{ONE}{ONCE}{rule}"), "completed");
    let sheet = house.sheet("play", 1);
    assert_eq!(sheet["attempt_count"], 2, "{sheet:#}");
}

#[test]
fn a_long_limit_is_shown_as_long_as_it_is() {
    let mut house = House::new("");
    house.agent("actor", "echo '429 too many requests, try again in 5 hours' >&2; exit 1\n", "");
    house.start();
    house.play("play", &format!("instrument: actor\n{ONE}{ONCE}"));
    house.wait_sheet("play", 1, "waiting");
    let shown = text(&house, &["status", "play"]);
    let line = shown.lines().find(|line| line.contains("Rate limit on actor")).unwrap_or_default();
    assert!(line.contains("clears in 5h") || line.contains("clears in 4h"), "{shown}");
    assert!(
        shown.contains("rate limited, clears in 5h") || shown.contains("rate limited, clears in 4h"),
        "{shown}"
    );
}

#[test]
fn a_budget_that_ends_a_sheet_is_among_its_errors() {
    let output = "output: {format: json, result_path: result, cost_path: cost}";
    let script =
        r#"echo '{"is_error": true, "result": "usage limit reached, try again in 1 second", "cost": 0.6}'"#;
    let house =
        play(script, output, &format!("{ONE}{ONCE}cost_limits: {{max_cost_per_sheet: 0.5}}\n"), "failed");
    let errors = document(&house, &["errors", "play", "--json"]);
    let codes: Vec<&Value> =
        errors["errors"].as_array().unwrap().iter().map(|error| &error["error_code"]).collect();
    assert_eq!(codes.last(), Some(&&json!("E007")), "{errors:#}");
    assert_eq!(codes.len(), 2, "{errors:#}");
    assert!(text(&house, &["errors", "play"]).contains("E007 — "), "the advice is shown, too");
}

#[test]
fn scripts_that_fail_silently_do_not_close_the_shell_to_others() {
    let house = House::started("");
    let sheets = "sheet: {size: 1, total_items: 6, dependencies: {6: [1]}}\nprompt: {template: exit 3}\n\
                  parallel: {enabled: true, fail_fast: false}\n";
    let end = house.play_out("scripts", &format!("instrument: cli\n{sheets}{ONCE}"), "failed");
    assert_eq!(end["sheets"]["5"]["error_code"], "E009", "{end:#}");
    house.play_out("more", &format!("instrument: cli\n{ONE}{ONCE}").replace("work", "'true'"), "completed");
    assert!(!house.log().contains("breaker.opened"), "{}", house.log());
}

#[test]
fn a_checkpoint_says_what_it_asks_and_a_remark_is_shown() {
    let triggers = "checkpoints: {enabled: true, triggers: [{name: look, sheet_nums: [2], message: read the plan}, \
                    {name: note, sheet_nums: [1], requires_confirmation: false, message: mind the gap}]}\n";
    let mut house = House::new("");
    house.agent("actor", "echo done\n", "");
    house.start();
    let sheets = "sheet: {size: 1, total_items: 2}\nprompt: {template: work}\n";
    house.play("play", &format!("instrument: actor\n{sheets}{triggers}"));
    house.wait_status("play", "paused");
    let shown = text(&house, &["status", "play", "-v"]);
    assert!(
        shown.contains("before sheet 2, as checkpoint `look` asks (read the plan): mozart resume play"),
        "{shown}"
    );
    assert!(
        shown.contains("Remarks") && shown.contains("Sheet 1: checkpoint `note`: mind the gap"),
        "{shown}"
    );
    let document = document(&house, &["status", "play", "--json"]);
    assert_eq!(
        (&document["checkpoint"]["name"], &document["remarks"][0]["sheet_num"]),
        (&json!("look"), &json!(1))
    );
}

#[test]
fn a_sheet_that_waited_too_often_says_how_often() {
    let script = "echo '429 too many requests, retry after 1 second' >&2; exit 1\n";
    let house = play(script, "", &format!("{ONE}{ONCE}rate_limit: {{max_waits: 1}}\n"), "failed");
    let sheet = house.sheet("play", 1);
    let message = sheet["error_message"].as_str().unwrap();
    assert!(message.starts_with("still limited after 1 wait (rate_limit.max_waits): 429"), "{message}");
    assert_eq!((&sheet["error_code"], &sheet["attempt_count"]), (&json!("E101"), &json!(2)));
}
