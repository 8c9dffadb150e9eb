//! Agents that behave as agents do: for each the end of its job, the reason that people see, and the number of
//! attempts.

use std::fs;

use mozart::ids::JobId;
use mozart::store::Reader;
use serde_json::{Value, json};

use crate::band::{Band, ONCE, ONE, QUICK, over};
use crate::house::{House, Role};

/// Output as Claude Code prints it.
const JSON: &str = "output: {format: json, result_path: result, error_path: error.message, \
                    input_tokens_path: usage.input_tokens, output_tokens_path: usage.output_tokens, \
                    cost_path: total_cost_usd}";
/// Output of an agent that prints events.
const JSONL: &str = "output: {format: jsonl, completion_event_type: done, result_path: text, \
                     input_tokens_path: in, output_tokens_path: out, aggregate_tokens: true}";

/// Plays one job with one agent until it is over. Returns the conductor's house and the sheet.
#[track_caller]
fn play(script: &str, more: &str, score: &str, end: &str) -> (House, Value) {
    let mut house = House::new("");
    house.agent("actor", script, more);
    house.start();
    let status = house.play_out("play", &format!("instrument: actor\n{score}"), end);
    let sheet = status["sheets"]["1"].clone();
    (house, sheet)
}

/// What was recorded of the nth attempt, from 1.
fn evidence(house: &House, nth: usize) -> Value {
    let mut reader = Reader::new(&house.path("daemon-state.db"));
    let attempts = reader.attempts(&JobId::new("play").unwrap(), None).unwrap();
    let record: Value = serde_json::from_str(&attempts[nth - 1].data).unwrap();
    record["closed"]["evidence"].clone()
}

#[track_caller]
fn counted(sheet: &Value, attempts: u32, code: Option<&str>) {
    assert_eq!(sheet["attempt_count"], attempts, "{sheet:#}");
    assert_eq!(sheet["error_code"], json!(code), "{sheet:#}");
}

#[test]
fn a_limit_is_one_whatever_the_exit_code_says() {
    let script = r#"
if [ $nth = 1 ]; then
  echo '{"is_error": true, "result": "You have hit your limit, try again in 1 s", "usage": {"input_tokens": 40, "output_tokens": 2}}'
else
  echo '{"is_error": false, "result": "done", "usage": {"input_tokens": 100, "output_tokens": 20}, "total_cost_usd": 0.25}'
fi
"#;
    let (house, sheet) = play(script, JSON, &format!("{ONE}{ONCE}"), "completed");
    counted(&sheet, 2, None);
    assert_eq!(sheet["normal_attempts"], 0, "{sheet:#}");
    assert_eq!(house.status("play")["rate_limit_waits"], 1);
    // What the first attempt used is not forgotten.
    assert_eq!((&sheet["input_tokens"], &sheet["output_tokens"]), (&json!(140), &json!(22)), "{sheet:#}");
    let (first, second) = (evidence(&house, 1), evidence(&house, 2));
    assert_eq!(first["error_method"], "regex_fallback", "{first:#}");
    let proof = first["error_evidence"].as_str().unwrap();
    assert!(proof.starts_with("result, ") && proof.contains("hit your limit"), "{proof}");
    assert_eq!(first["further_errors"][0]["code"], "E009");
    assert_eq!((&first["cost_micro"], &first["cost_confidence"]), (&json!(null), &json!(0.0)));
    assert_eq!((&second["cost_micro"], &second["cost_confidence"]), (&json!(250_000), &json!(1.0)));
}

#[test]
fn an_error_in_the_result_is_a_failure() {
    let script = r#"echo '{"is_error": true, "result": "I ran out of turns"}'"#;
    let (house, sheet) = play(script, JSON, &format!("{ONE}{QUICK}"), "failed");
    counted(&sheet, 3, Some("E009"));
    let message = sheet["error_message"].as_str().unwrap();
    assert_eq!(message, "its result is marked as an error: I ran out of turns");
    assert_eq!(sheet["exit_code"], 0);
    assert_eq!(evidence(&house, 3)["error_method"], "structured");
}

#[test]
fn work_about_limits_and_logins_is_work() {
    let script = r#"
cat > notes.md <<'NOTES'
Error 429: too many requests, quota exceeded, usage limit reached, resets 9pm. 401 Unauthorized, login required.
NOTES
cat notes.md; cat notes.md >&2
[ $sheet = 1 ] || exit 3
"#;
    let score = "sheet: {size: 1, total_items: 2}\nprompt: {template: work}\nretry: {max_retries: 0}\n\
                 parallel: {enabled: true, fail_fast: false}\n";
    let (house, sheet) = play(script, "", score, "failed");
    counted(&sheet, 1, None);
    assert_eq!(sheet["status"], "completed");
    assert_eq!(house.status("play")["rate_limit_waits"].as_u64(), Some(0));
}

#[test]
fn files_and_plain_output_of_a_failed_agent_are_no_evidence() {
    let script = r#"
echo "fn rate_limit() { panic!(\"429 too many requests\") } // quota, login required, certificate" | tee code.rs
for step in read think write test judge; do echo "$step: done"; done
exit 4
"#;
    let errors = "errors: {rate_limit_patterns: ['rate.?limit'], auth_error_patterns: ['login required']}";
    let (_house, sheet) = play(script, errors, &format!("{ONE}{QUICK}"), "failed");
    counted(&sheet, 3, Some("E009"));
    assert_eq!(sheet["error_message"], "exit code 4: judge: done");
}

#[test]
fn a_refused_login_names_the_instrument_and_the_way_in() {
    let script = "echo 'Invalid API key. Please run /login' >&2; exit 1\n";
    let (house, sheet) = play(script, "", &format!("{ONE}{QUICK}"), "failed");
    counted(&sheet, 1, Some("E502"));
    let message = sheet["error_message"].as_str().unwrap();
    assert!(message.starts_with("instrument `actor` was refused its login: Invalid API key"), "{message}");
    assert!(message.contains("log in by running `sh` once"), "{message}");
    let output = house.mozart(&["status", "play", "--json"]);
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(shown["sheets"]["1"]["error_code"], "E502", "{shown:#}");
}

#[test]
fn a_temporary_failure_is_tried_again() {
    let script = "[ $nth -gt 1 ] || { echo 'mailbox busy' >&2; exit 75; }\n";
    let (house, sheet) = play(script, "", &format!("{ONE}{QUICK}"), "completed");
    counted(&sheet, 2, None);
    assert_eq!(evidence(&house, 1)["error_method"], "exit_code");
}

#[test]
fn endless_lines_are_kept_and_not_parsed() {
    let script = r#"
head -c 10000000 /dev/zero | tr '\0' x
echo
echo '{"type": "done", "text": "fine", "in": 7, "out": 3}'
"#;
    let (house, sheet) = play(script, JSONL, &format!("{ONE}{ONCE}"), "completed");
    counted(&sheet, 1, None);
    assert_eq!((&sheet["input_tokens"], &sheet["output_tokens"]), (&json!(7), &json!(3)));
    let warnings = evidence(&house, 1)["warnings"].to_string();
    assert!(warnings.contains("1 lines of stdout are longer than 1 MiB"), "{warnings}");
    assert!(fs::metadata(sheet["output_log"].as_str().unwrap()).unwrap().len() > 10_000_000);
}

#[test]
fn one_endless_line_is_no_message() {
    let script = "head -c 10000000 /dev/zero | tr '\\0' y >&2; exit 5\n";
    let (_house, sheet) = play(script, "", &format!("{ONE}{ONCE}"), "failed");
    counted(&sheet, 1, Some("E009"));
    let message = sheet["error_message"].as_str().unwrap();
    assert!(message.starts_with("exit code 5: yyy") && message.len() <= 512, "{}", message.len());
}

#[test]
fn messages_are_text_whatever_was_printed() {
    let script = "printf 'ok\\n\\377\\376 \\033[31mbad\\033[0m \\033]0;title\\007thing\\n' >&2; exit 6\n";
    let (_house, sheet) = play(script, "", &format!("{ONE}{ONCE}"), "failed");
    counted(&sheet, 1, Some("E009"));
    let message = sheet["error_message"].as_str().unwrap();
    assert!(message.ends_with("bad thing"), "{message:?}");
    assert!(!message.contains(char::is_control), "{message:?}");
}

#[test]
fn a_grandchild_that_holds_the_pipe_holds_up_nobody() {
    let script = "sleep 1000 &\necho result\n";
    let (house, sheet) = play(script, "", &format!("{ONE}{ONCE}"), "completed");
    counted(&sheet, 1, None);
    assert!(sheet["stdout_tail"].as_str().unwrap().contains("result"));
    house.wait_empty();
}

#[test]
fn who_does_not_hear_term_is_killed() {
    let script = "trap '' TERM\necho begun\nwhile :; do sleep 0.05; done\n";
    let score = format!(
        "instrument_config: {{timeout_seconds: 0.5, kill_grace_seconds: 0.2}}\n{ONE}\
         retry: {{max_retries: 1, base_delay_seconds: 0.01, jitter: false}}\n"
    );
    let (house, sheet) = play(script, "", &score, "failed");
    counted(&sheet, 2, Some("E001"));
    assert_eq!(sheet["killed_by"], "timeout");
    let message = sheet["error_message"].as_str().unwrap();
    assert!(message.contains("timeout of 0.5 s") && message.contains("timeout_seconds"), "{message}");
    assert_eq!(evidence(&house, 2)["error_method"], "record");
    house.wait_empty();
}

#[test]
fn who_sleeps_for_ever_is_found() {
    let script = "[ $nth -gt 1 ] || sleep 1000\n";
    let stale = "stale_detection: {enabled: true, idle_timeout_seconds: 0.5, check_interval_seconds: 0.1}\n";
    let (house, sheet) = play(script, "", &format!("{ONE}{QUICK}{stale}"), "completed");
    counted(&sheet, 2, None);
    assert_eq!(evidence(&house, 1)["killed_by"], "idle");
    let message = house.status("play")["sheets"]["1"]["error_history"][0]["error_message"].clone();
    assert!(message.as_str().unwrap().contains("stale_detection.idle_timeout_seconds"), "{message}");
    house.wait_empty();
}

#[test]
fn a_check_whose_guard_is_killed_is_made_again() {
    let mut house = House::new("");
    house.agent("actor", "true\n", "");
    house.start();
    let rule = "validations: [{type: command_succeeds, command: 'echo x >> checks; until [ -e go ]; do sleep 0.02; done'}]\n";
    house.play("play", &format!("instrument: actor\n{ONE}{ONCE}{rule}"));
    house.wait_file("play/checks");
    assert_eq!(house.kill_where(|role| *role == Role::BoundGuard), 1);
    house.touch("play/go");
    let end = over(&house, "play", "completed");
    counted(&end["sheets"]["1"], 1, None);
    assert_eq!(house.read("play/checks"), "x\nx\n");
    house.wait_empty();
}

#[test]
fn half_of_the_files_is_not_most_of_them() {
    let script = "touch a; [ $nth = 1 ] || touch b\n";
    let score = format!(
        "{ONE}{QUICK}validations:\n- {{type: file_exists, path: a, description: first half}}\n\
         - {{type: file_exists, path: b, description: second half, retry_count: 0}}\n"
    );
    let (house, sheet) = play(script, "", &score, "completed");
    counted(&sheet, 2, None);
    assert_eq!((&sheet["normal_attempts"], &sheet["completion_attempts"]), (&json!(1), &json!(0)));
    let again = house.prompt("play", 1, 2);
    assert!(again.contains("What The Previous Attempt Failed At"), "{again}");
    assert!(again.contains("- second half\n") && !again.contains("- first half\n"), "{again}");
}

#[test]
fn tokens_are_estimated_when_nobody_reports_them() {
    let script = "head -c 400 /dev/zero | tr '\\0' z\n[ $nth -gt 1 ] || exit 7\n";
    let price = "cost_limits: {cost_per_1k_output_tokens: 1.0, cost_per_1k_input_tokens: 0.000001}\n";
    let (house, sheet) = play(script, "", &format!("{ONE}{QUICK}{price}"), "completed");
    counted(&sheet, 2, None);
    let (first, second) = (evidence(&house, 1), evidence(&house, 2));
    for attempt in [&first, &second] {
        assert_eq!((&attempt["output_tokens"], &attempt["cost_micro"]), (&json!(100), &json!(100_000)));
        assert_eq!(attempt["cost_confidence"], 0.7, "{attempt:#}");
        assert_eq!(attempt["input_tokens"], attempt["prompt"]["estimated_tokens"]);
    }
}

#[test]
fn a_shell_script_uses_no_tokens() {
    let house = House::started("");
    let end = house.play_out(
        "play",
        "instrument: cli\nsheet: {size: 1, total_items: 1}\nprompt: {template: 'true'}\n",
        "completed",
    );
    assert_eq!(end["total_input_tokens"], 0, "{end:#}");
    let seen = evidence(&house, 1);
    assert_eq!((&seen["cost_micro"], &seen["input_tokens"]), (&json!(0), &json!(null)), "{seen:#}");
}

#[test]
fn a_limit_in_dollars_without_a_price_is_remarked() {
    let limit = "cost_limits: {max_cost_per_job: 5}\n";
    let (house, sheet) = play("echo done\n", "", &format!("{ONE}{ONCE}{limit}"), "completed");
    counted(&sheet, 1, None);
    let warnings = evidence(&house, 1)["warnings"].to_string();
    assert!(warnings.contains("no price is known for model unknown of instrument actor"), "{warnings}");
    assert_eq!(house.log().matches("cost.unpriced").count(), 1);
}

#[test]
fn work_that_passes_may_count_although_the_program_failed() {
    let rule = "validations: [{type: file_exists, path: result}]\n";
    let script = "touch result; exit 9\n";
    let accept = "retry: {max_retries: 0, max_completion_attempts: 0, accept_if_validated: true}\n";
    let (_house, sheet) = play(script, "", &format!("{ONE}{accept}{rule}"), "completed");
    counted(&sheet, 1, None);
    let (_house, sheet) = play(script, "", &format!("{ONE}{ONCE}{rule}"), "failed");
    counted(&sheet, 1, Some("E009"));
}

#[test]
fn kept_output_hides_credentials_when_the_score_says_so() {
    let script = "echo key sk-ant-api03-abcdefghijklmnop; echo Bearer abcdefghijklmnopqrstuvwxyz >&2\n";
    let (_house, sheet) = play(script, "", &format!("{ONE}{ONCE}redact_logs: true\n"), "completed");
    let log = fs::read_to_string(sheet["output_log"].as_str().unwrap()).unwrap();
    assert_eq!(log, "key [REDACTED_ANTHROPIC_KEY]\n");
    let log = fs::read_to_string(sheet["error_log"].as_str().unwrap()).unwrap();
    assert_eq!(log, "[REDACTED_BEARER_TOKEN]\n");
}

#[test]
fn what_an_agent_says_about_its_work_is_kept() {
    let script = "echo 'so: FEEDBACK_START {\"grade\": 2} FEEDBACK_END'\n";
    let (house, _sheet) = play(script, "", &format!("{ONE}{ONCE}feedback: {{enabled: true}}\n"), "completed");
    assert_eq!(evidence(&house, 1)["feedback"], json!({ "grade": 2 }));
    let output = house.mozart(&["status", "play", "--sheet", "1"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("Feedback: {\"grade\":2}"), "{output:?}");
}

#[test]
fn a_prompt_that_its_model_cannot_take_is_not_sent() {
    let mut house = House::new("");
    house.agent("actor", "touch ran\n", "");
    let profile = house.path("instruments/actor.yaml");
    let text = fs::read_to_string(&profile).unwrap();
    let models = "models: [{name: small, context_window: 100, max_output_tokens: 40, cost_per_1k_input: 0, \
                  cost_per_1k_output: 0}]\ndefault_model: small\n";
    fs::write(&profile, format!("{text}{models}")).unwrap();
    house.start();
    let score =
        "instrument: actor\nsheet: {size: 1, total_items: 1}\nprompt: {template: \"{{ 'word ' * 100 }}\"}\n";
    let end = house.play_out("play", score, "failed");
    let sheet = &end["sheets"]["1"];
    counted(sheet, 1, Some("E602"));
    let message = sheet["error_message"].as_str().unwrap();
    assert!(message.contains("model `small` of instrument `actor` takes 60"), "{message}");
    assert!(!house.work("play/ran").exists());
}

#[test]
fn a_stream_that_spends_too_much_is_ended_and_says_which_limit_to_raise() {
    let script = r#"
echo '{"type": "turn", "in": 900, "out": 80}'
echo '{"type": "turn", "in": 30, "out": 1}'
sleep 1000
"#;
    let limit = "cost_limits: {max_tokens_per_sheet: 1000}\n";
    let (house, sheet) = play(script, JSONL, &format!("{ONE}{QUICK}{limit}"), "failed");
    counted(&sheet, 1, Some("E007"));
    let message = sheet["error_message"].as_str().unwrap();
    assert!(message.contains("1011 tokens") && message.contains("1000"), "{message}");
    assert!(message.contains("raise cost_limits.max_tokens_per_sheet"), "{message}");
    assert_eq!(sheet["killed_by"], "term", "it was ended while it ran: {sheet:#}");
    assert_eq!((&sheet["input_tokens"], &sheet["output_tokens"]), (&json!(930), &json!(81)));
    house.wait_empty();
}

// Invariant I82
#[test]
fn case_27_a_command_says_that_a_sheet_is_not_needed() {
    let mut house = House::new("");
    house.agent("actor", "touch ran-$sheet\n", "");
    house.start();
    fs::create_dir_all(house.work("play")).unwrap();
    fs::write(house.work("play/it is there"), "").unwrap();
    let score = "instrument: actor\nsheet:\n  size: 1\n  total_items: 3\n  skip_when_command:\n\
                 \x20   1: {command: 'test -e \"{workspace}/it is there\"', description: all there}\n\
                 \x20   2: {command: 'test -e gone'}\n\
                 \x20   3: {command: 'sleep 1000', timeout_seconds: 0.3}\nprompt: {template: work}\n";
    let end = house.play_out("play", score, "completed");
    let sheets = &end["sheets"];
    assert_eq!((&sheets["1"]["status"], &sheets["1"]["skip_reason"]), (&json!("skipped"), &json!("command")));
    assert_eq!(sheets["1"]["attempt_count"], 0, "{end:#}");
    assert!(!house.work("play/ran-1").exists());
    assert!(house.work("play/ran-2").exists() && house.work("play/ran-3").exists());
    let warnings = sheets["3"]["preflight_warnings"].to_string();
    assert!(warnings.contains("timed out after 0.3 seconds: the sheet runs"), "{warnings}");
    house.wait_empty();
}

#[test]
fn a_file_without_its_checksum_fails_the_sheet_as_a_rule_does() {
    // The checksum is that of "ok".
    let sum = "2689367b205c16ce32ed4200942b8b8b1e262dfc70d9bc9fbc77c49699a4f1df";
    let hook = format!(
        "grounding: {{enabled: true, escalate_on_failure: false, hooks: [{{type: file_checksum, expected_checksums: {{fixed: {sum}}}}}]}}\n"
    );
    let script = "if [ $nth = 1 ]; then printf changed > fixed; else printf ok > fixed; fi\n";
    let (house, sheet) = play(script, "", &format!("{ONE}{QUICK}{hook}"), "completed");
    counted(&sheet, 2, None);
    let first = evidence(&house, 1);
    assert_eq!(first["grounding"]["passed"], false, "{first:#}");
    assert_eq!(first["validations"][0]["rule_type"], "grounding");
    assert!(house.prompt("play", 1, 2).contains("files have their expected checksums"));
    let lenient = hook.replace("enabled: true", "enabled: true, fail_on_grounding_failure: false");
    let (house, sheet) = play("printf changed > fixed\n", "", &format!("{ONE}{ONCE}{lenient}"), "completed");
    counted(&sheet, 1, None);
    assert!(evidence(&house, 1)["warnings"].to_string().contains("grounding: "));
}

#[test]
fn what_was_in_the_way_is_mended_and_the_sheet_runs_once_more() {
    let script = "[ ! -d out/deep ] || echo x > out/deep/result\n";
    let score = format!(
        "{ONE}{ONCE}self_healing: {{max_attempts: 1}}\n\
         validations: [{{type: file_exists, path: out/deep/result, retry_count: 0}}]\n"
    );
    let (house, sheet) = play(script, "", &score, "completed");
    counted(&sheet, 2, None);
    let remedies = evidence(&house, 1)["remedies"].clone();
    assert!(remedies.as_array().unwrap().iter().any(|remedy| remedy["applied"] == true), "{remedies:#}");
    assert!(house.prompt("play", 1, 2).contains("Mended Since The Last Attempt"));
}
