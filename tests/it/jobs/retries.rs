//! Attempts that fail: again with the reason, completion, exhaustion, fallbacks, hopeless errors.

use serde_json::json;

use crate::band::{Band, ONCE, ONE, QUICK, states};
use crate::house::House;

#[test]
fn a_failed_sheet_is_tried_again_and_told_why() {
    let house = House::new("");
    house.agent(
        "moody",
        "if [ $nth -lt 3 ]; then echo \"mood $nth is bad\" >&2; exit 3; fi\necho done > result\n",
        "",
    );
    let mut house = house;
    house.start();
    let text = format!("instrument: moody\n{ONE}{QUICK}validations: [{{type: file_exists, path: result}}]\n");
    let end = house.play_out("again", &text, "completed");
    let sheet = &end["sheets"]["1"];
    assert_eq!(sheet["attempt_count"], 3, "{sheet:#}");
    assert_eq!(sheet["normal_attempts"], 2);
    assert_eq!(sheet["error_history"].as_array().unwrap().len(), 2);
    assert_eq!(sheet["attempts"].as_array().unwrap().len(), 3);
    assert_eq!(sheet["exit_code"], 0);
    assert_eq!(sheet["error_message"], json!(null));
    let first = house.prompt("again", 1, 1);
    assert!(!first.contains("mood") && !first.contains("Previous Attempt"), "{first}");
    let second = house.prompt("again", 1, 2);
    assert!(second.contains("mood 1 is bad") && second.contains("RETRY #1"), "{second}");
    let third = house.prompt("again", 1, 3);
    assert!(third.contains("mood 2 is bad") && third.contains("RETRY #2"), "{third}");
    assert!(!third.contains("mood 1 is bad"), "{third}");
}

#[test]
fn mostly_done_work_is_completed_and_the_prompt_names_what_is_missing() {
    let house = House::new("");
    house.agent("careless", "if [ $nth = 1 ]; then touch a b; else touch c; fi\n", "");
    let mut house = house;
    house.start();
    let text = format!(
        "instrument: careless\n{ONE}{QUICK}validations:\n\
         - {{type: file_exists, path: a, description: first part}}\n\
         - {{type: file_exists, path: b, description: second part}}\n\
         - {{type: file_exists, path: c, description: third part}}\n"
    );
    let end = house.play_out("mostly", &text, "completed");
    let sheet = &end["sheets"]["1"];
    assert_eq!(sheet["attempt_count"], 2, "{sheet:#}");
    assert_eq!(sheet["completion_attempts"], 1);
    assert_eq!(sheet["normal_attempts"], 0);
    assert_eq!(sheet["last_pass_percentage"], 100.0);
    let prompt = house.prompt("mostly", 1, 2);
    let (before, suffix) = prompt.split_once("## Finish What Is Missing").expect("the suffix of completion");
    assert!(before.contains("work"), "the whole prompt comes first: {before}");
    let (passing, failing) = suffix.split_once("Still failing").unwrap();
    assert!(passing.contains("first part") && passing.contains("second part"), "{passing}");
    assert!(failing.contains("third part") && !failing.contains("first part"), "{failing}");
}

#[test]
fn case_28_a_sheet_that_never_succeeds_fails_after_its_retries_and_blocks_the_rest() {
    let house = House::new("");
    house.agent("hopeless", "echo no hope >&2; exit 9\n", "");
    let mut house = house;
    house.start();
    let text = "instrument: hopeless\nsheet: {size: 1, total_items: 3}\nprompt: {template: work}\n\
                retry: {max_retries: 1, base_delay_seconds: 0.01, jitter: false}\n";
    let end = house.play_out("hopeless", text, "failed");
    assert_eq!(states(&end), ["failed", "skipped", "skipped"]);
    assert_eq!(end["sheets"]["1"]["attempt_count"], 2);
    assert_eq!(end["sheets"]["2"]["skip_reason"], "upstream_failed");
    assert_eq!(end["sheets"]["2"]["error_message"], "Blocked by failed dependency: sheet 1");
    assert_eq!(end["sheets"]["3"]["attempt_count"], 0);
    let message = end["error_message"].as_str().unwrap();
    assert!(message.starts_with("Sheet 1 failed: "), "{message}");
    assert!(!house.work("hopeless/prompt-1-3").exists());
}

#[test]
fn validation_that_never_passes_says_so() {
    let house = House::new("");
    house.agent("idle", ":\n", "");
    let mut house = house;
    house.start();
    let text = format!("instrument: idle\n{ONE}{ONCE}validations: [{{type: file_exists, path: never}}]\n");
    let end = house.play_out("nothing", &text, "failed");
    let sheet = &end["sheets"]["1"];
    assert_eq!(sheet["error_code"], "E201", "{sheet:#}");
    let message = sheet["error_message"].as_str().unwrap();
    assert!(message.starts_with("Validation failed (0.0% pass rate) after 1 attempt: File '"), "{message}");
    assert!(message.ends_with("/never' does not exist"), "{message}");
    assert_eq!(sheet["failed_validations"].as_array().unwrap().len(), 1);
}

#[test]
fn a_fallback_takes_over_with_a_budget_of_its_own() {
    let house = House::new("");
    house.agent("first", "exit 7\n", "");
    house.agent("second", "[ -e tried ] || { touch tried; exit 7; }\ntouch result\n", "");
    let mut house = house;
    house.start();
    let text = format!(
        "instrument: first\ninstrument_fallbacks: [second]\n{ONE}\
         retry: {{max_retries: 1, base_delay_seconds: 0.01, jitter: false}}\n\
         validations: [{{type: file_exists, path: result}}, \
         {{type: command_succeeds, command: \"test {{instrument_name}} = second\"}}]\n"
    );
    let end = house.play_out("fallback", &text, "completed");
    let sheet = &end["sheets"]["1"];
    assert_eq!(sheet["attempt_count"], 4, "{sheet:#}");
    assert_eq!(sheet["instrument_name"], "second");
    let history = sheet["instrument_fallback_history"].as_array().unwrap();
    assert_eq!(history.len(), 1);
    assert_eq!((&history[0]["from"], &history[0]["to"]), (&json!("first"), &json!("second")));
    let used: Vec<_> = sheet["attempts"].as_array().unwrap().iter().map(|one| &one["instrument"]).collect();
    assert_eq!(used, ["first", "first", "second", "second"]);
}

#[test]
fn a_missing_program_is_not_tried_again() {
    let house = House::new("");
    let profile = "name: absent\ndisplay_name: absent\nkind: cli\ncli:\n  command: {executable: no-such-program-anywhere}\n  \
                   output: {format: text}\n";
    std::fs::create_dir_all(house.path("instruments")).unwrap();
    std::fs::write(house.path("instruments/absent.yaml"), profile).unwrap();
    house.agent("present", "touch result\n", "");
    let mut house = house;
    house.start();
    let end = house.play_out("absent", &format!("instrument: absent\n{ONE}{QUICK}"), "failed");
    let sheet = &end["sheets"]["1"];
    assert_eq!(sheet["error_code"], "E505", "{sheet:#}");
    assert_eq!(sheet["attempt_count"], 1);
    assert!(sheet["error_message"].as_str().unwrap().contains("no-such-program-anywhere"), "{sheet:#}");

    let text = format!("instrument: absent\ninstrument_fallbacks: [present]\n{ONE}{QUICK}");
    let end = house.play_out("saved", &text, "completed");
    let sheet = &end["sheets"]["1"];
    assert_eq!(sheet["instrument_name"], "present");
    assert_eq!(sheet["instrument_fallback_history"][0]["reason"], "unavailable", "{sheet:#}");
}

// Invariant I51
#[test]
fn an_instrument_that_nobody_knows_fails_the_sheet() {
    let house = House::started("");
    let end = house.play_out("unknown", &format!("instrument: no-such-instrument\n{ONE}{QUICK}"), "failed");
    assert_eq!(end["sheets"]["1"]["error_code"], "E505", "{end:#}");
    assert_eq!(end["sheets"]["1"]["attempt_count"], 1);
}

#[test]
fn a_prompt_that_does_not_render_fails_at_once() {
    let house = House::new("");
    house.agent("any", ":\n", "");
    let mut house = house;
    house.start();
    let text = format!(
        "instrument: any\nsheet: {{size: 1, total_items: 1}}\n\
         prompt: {{template: \"{{{{ previous_outputs[99] }}}}\"}}\n{QUICK}"
    );
    let end = house.play_out("broken", &text, "failed");
    let sheet = &end["sheets"]["1"];
    assert_eq!(sheet["error_code"], "E304", "{sheet:#}");
    assert_eq!(sheet["attempt_count"], 1);
    assert!(!house.work("broken/prompt-1-1").exists(), "nothing was started");
}

#[test]
fn a_crash_is_tried_again() {
    let house = House::new("");
    house.agent("crashing", "if [ $nth = 1 ]; then echo last words; kill -KILL $$; fi\n", "");
    let mut house = house;
    house.start();
    let end = house.play_out("crash", &format!("instrument: crashing\n{ONE}{QUICK}"), "completed");
    let sheet = &end["sheets"]["1"];
    assert_eq!(sheet["attempts"][0]["signal"], 9, "{sheet:#}");
    assert_eq!(sheet["attempts"][0]["exit_code"], json!(null));
    assert_eq!(sheet["attempt_count"], 2);
}

// Invariant I7
#[test]
fn a_successful_agent_may_talk_about_rate_limits() {
    let house = House::new("");
    house.agent(
        "talker",
        "echo 'rate limit exceeded, retry after 3600 seconds'; echo 'rate limit exceeded: 429' >&2\n",
        "errors: {rate_limit_patterns: ['rate.?limit']}",
    );
    let mut house = house;
    house.start();
    let end = house.play_out("talk", &format!("instrument: talker\n{ONE}{QUICK}"), "completed");
    assert_eq!(end["rate_limit_waits"], 0);
    assert_eq!(end["sheets"]["1"]["attempt_count"], 1);
}

#[test]
fn results_and_tokens_are_read_from_json() {
    let house = House::new("");
    house.agent(
        "jason",
        r#"if [ $sheet = 1 ]; then
  echo "a banner"
  echo '{"result": "the answer is 42", "usage": {"in": 120, "out": 7}}'
fi
"#,
        "output: {format: json, result_path: result, input_tokens_path: usage.in, output_tokens_path: usage.out}",
    );
    let mut house = house;
    house.start();
    let text = "instrument: jason\nsheet: {size: 1, total_items: 2}\n\
                prompt: {template: \"{% if sheet_num == 2 %}{{ previous_outputs[1] }}{% else %}go{% endif %}\"}\n\
                cross_sheet: {auto_capture_stdout: true}\n";
    let end = house.play_out("tokens", text, "completed");
    assert_eq!(end["sheets"]["1"]["input_tokens"], 120, "{end:#}");
    assert_eq!(end["sheets"]["1"]["output_tokens"], 7);
    // The second sheet reports nothing, so that its tokens are estimated.
    let estimated = end["sheets"]["2"]["input_tokens"].as_u64().unwrap();
    assert!(estimated > 0);
    assert_eq!(end["total_input_tokens"], 120 + estimated);
    assert!(house.prompt("tokens", 2, 1).contains("the answer is 42"));
    assert!(!house.prompt("tokens", 2, 1).contains("usage"));
}
