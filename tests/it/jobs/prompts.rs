//! What reaches the instrument: layers of the prompt, outputs of earlier sheets, files, variables.

use std::fs;

use serde_json::json;

use crate::band::{Band, ONCE, over};
use crate::house::House;

// Invariant I63
#[test]
fn outputs_and_files_of_earlier_sheets_are_quoted() {
    let house = House::new("");
    house.agent(
        "writer",
        "echo \"output of sheet $sheet\"; echo \"file of sheet $sheet, API_KEY=sk-ant-api03-aaaaaaaaaaaaaaaaaaaaaaaaaaaa\" > \"part-$sheet.md\"\n",
        "",
    );
    let mut house = house;
    house.start();
    let template = "{% for n, text in previous_outputs.items() %}<{{ n }}: {{ text }}>{% endfor %}\
                    {% for path, text in previous_files.items() %}[{{ path }}: {{ text }}]{% endfor %}";
    let text = format!(
        "instrument: writer\nsheet: {{size: 1, total_items: 3}}\nprompt:\n  template: \"{template}\"\n\
         cross_sheet: {{auto_capture_stdout: true, max_output_chars: 12, lookback_sheets: 1, \
         capture_files: [\"part-*.md\"]}}\n"
    );
    house.play_out("quote", &text, "completed");
    let last = house.prompt("quote", 3, 1);
    assert!(last.contains("<2: output of sh\n... [truncated]>"), "{last}");
    assert!(last.contains("<1: "), "a dependency counts even outside of the window: {last}");
    let file = house.work("quote/part-2.md").display().to_string();
    assert!(last.contains(&format!("[{file}: file of shee\n... [truncated]]")), "{last}");
    assert!(!last.contains("sk-ant-api03"), "{last}");
    let first = house.prompt("quote", 1, 1);
    assert!(!first.contains("output of"), "{first}");
}

#[test]
fn a_sheet_that_brings_others_together_gets_their_outputs_in_one_text() {
    let house = House::new("");
    house.agent("writer", "echo \"output of sheet $sheet\"\n", "");
    let mut house = house;
    house.start();
    let text = "instrument: writer\nsheet:\n  size: 1\n  total_items: 3\n  fan_out: {2: 3}\n  \
                dependencies: {2: [1], 3: [2]}\nprompt: {template: \"<{{ synthesis }}>\"}\n\
                cross_sheet: {auto_capture_stdout: true, lookback_sheets: 1, max_output_chars: 15}\n";
    house.play_out("gather", text, "completed");
    let merged = "<--- Sheet 2 ---\noutput of sheet\n... [truncated]\n\n--- Sheet 3 ---\noutput of sheet\n\
                  ... [truncated]\n\n--- Sheet 4 ---\noutput of sheet\n... [truncated]\n>";
    assert!(house.prompt("gather", 5, 1).contains(merged), "{}", house.prompt("gather", 5, 1));
    assert!(house.prompt("gather", 1, 1).contains("<>"), "{}", house.prompt("gather", 1, 1));
    let without = text.replace("auto_capture_stdout: true, ", "");
    house.play_out("alone", &without, "completed");
    assert!(house.prompt("alone", 5, 1).contains("<>"), "{}", house.prompt("alone", 5, 1));
}

// Invariant I63
#[test]
fn a_sheet_that_was_left_out_is_quoted_as_skipped() {
    let house = House::new("");
    house.agent("any", "echo said\n", "");
    let mut house = house;
    house.start();
    let template = "{{ previous_outputs[1] }} {{ skipped_upstream }}";
    house.score(
        "skipping",
        &format!(
            "instrument: any\nsheet: {{size: 1, total_items: 2}}\n\
             prompt: {{template: \"{template}\"}}\ncross_sheet: {{auto_capture_stdout: true}}\n"
        ),
    );
    assert_eq!(house.offer("skipping", json!({ "start_sheet": 2 }))["status"], "accepted");
    let end = over(&house, "skipping", "completed");
    assert_eq!(end["sheets"]["1"]["skip_reason"], "start_sheet");
    assert_eq!(end["sheets"]["1"]["status"], "skipped");
    assert!(house.prompt("skipping", 2, 1).contains("[SKIPPED] [1]"), "{}", house.prompt("skipping", 2, 1));
}

// Invariant I61, I62
#[test]
fn injected_files_come_in_their_places() {
    let house = House::new("");
    house.agent("any", ":\n", "");
    let mut house = house;
    house.start();
    fs::write(house.path("skill.md"), "a skill").unwrap();
    fs::write(house.path("tool.md"), "a tool").unwrap();
    fs::create_dir(house.path("notes")).unwrap();
    fs::write(house.path("notes/b.txt"), "note b").unwrap();
    fs::write(house.path("notes/a.txt"), "note a").unwrap();
    fs::write(house.path("notes/c.png"), [0xff, 0xfe, 0x00]).unwrap();
    let text = format!(
        "instrument: any\nsheet:\n  size: 1\n  total_items: 2\n  prelude:\n  - {{file: skill.md, as: skill}}\n  \
         - {{file: gone.md, as: context}}\n  cadenzas:\n    2:\n    - {{file: tool.md, as: tool}}\n    \
         - {{directory: notes, as: context}}\n  prompt_extensions: {{2: [the last word]}}\n\
         prompt: {{template: the body}}\n{ONCE}validations: [{{type: file_exists, path: \"prompt-{{sheet_num}}-1\"}}]\n"
    );
    let end = house.play_out("inject", &text, "completed");
    let second = house.prompt("inject", 2, 1);
    let places: Vec<usize> = [
        "<mozart-preamble>",
        "a skill",
        "a tool",
        "--- Input: a.txt ---",
        "note a",
        "note b",
        "image",
        "the body",
        "Success Requirements",
        "the last word",
    ]
    .iter()
    .map(|part| second.find(part).unwrap_or_else(|| panic!("{part} in {second}")))
    .collect();
    assert!(places.is_sorted(), "{places:?} {second}");
    let first = house.prompt("inject", 1, 1);
    assert!(
        first.contains("a skill") && !first.contains("a tool") && !first.contains("last word"),
        "{first}"
    );
    let warnings = end["sheets"]["1"]["preflight_warnings"].to_string();
    assert!(warnings.contains("gone.md"), "{warnings}");
}

#[test]
fn case_26_a_script_of_a_hundred_kilobytes_reaches_the_shell_whole() {
    let house = House::started("");
    let filler = "# a line of fifty characters, more or less, as text\n    ".repeat(2000);
    let text = format!(
        "instrument: cli\nsheet: {{size: 1, total_items: 1}}\n{ONCE}prompt:\n  template: |\n    {filler}\
         echo \"{{{{ sheet_num }}}}\" > done\n"
    );
    assert!(text.len() > 100 << 10);
    house.play_out("long", &text, "completed");
    assert_eq!(house.read("long/done"), "1\n");
}

#[test]
fn variables_of_a_submission_win() {
    let house = House::new("");
    house.agent("any", ":\n", "");
    let mut house = house;
    house.start();
    house.score(
        "set",
        "instrument: any\nsheet: {size: 1, total_items: 1}\n\
         prompt: {template: \"{{ color }} {{ count + 1 }} {{ kept }}\", variables: {color: red, count: 1, kept: true}}\n",
    );
    let more = json!({ "variables": { "color": "blue", "count": 41 } });
    assert_eq!(house.offer("set", more)["status"], "accepted");
    over(&house, "set", "completed");
    let prompt = house.prompt("set", 1, 1);
    assert!(prompt.trim_end().ends_with("blue 42 True"), "{prompt}");
}

#[test]
fn a_prompt_that_is_too_long_is_refused_before_it_costs_anything() {
    let house = House::new("preflight: {token_warning_threshold: 10, token_error_threshold: 100}\n");
    house.agent("any", ":\n", "");
    let mut house = house;
    house.start();
    let text = format!(
        "instrument: any\nsheet: {{size: 1, total_items: 1}}\nprompt: {{template: \"{}\"}}\n{ONCE}",
        "word ".repeat(200)
    );
    let end = house.play_out("long", &text, "failed");
    assert_eq!(end["sheets"]["1"]["error_code"], "E602", "{end:#}");
    assert!(!house.work("long/prompt-1-1").exists());
}

#[test]
fn a_sheet_knows_what_was_skipped_above_it_and_nothing_else() {
    let mut house = House::new("");
    house.agent("any", "echo said\n", "");
    house.start();
    let text = "instrument: any\nsheet:\n  size: 1\n  total_items: 4\n  dependencies: {3: [1], 4: [3]}\n  skip_when: {1: \
                \"True\", 2: \"True\"}\nprompt: {template: \"skipped {{ skipped_upstream }}\"}\n";
    house.play_out("skips", text, "completed");
    assert!(house.prompt("skips", 3, 1).contains("skipped [1]"), "{}", house.prompt("skips", 3, 1));
    assert!(house.prompt("skips", 4, 1).contains("skipped [1]"), "{}", house.prompt("skips", 4, 1));
    let quoting = format!("{text}cross_sheet: {{auto_capture_stdout: true, lookback_sheets: 0}}\n");
    house.play_out("quoting", &quoting, "completed");
    assert!(house.prompt("quoting", 4, 1).contains("skipped [1]"), "{}", house.prompt("quoting", 4, 1));
}

#[test]
fn requirements_and_named_files_are_looked_for_where_they_are() {
    let mut house = House::new("");
    house.agent("any", "touch \"$MOZART_WORKSPACE/out.md\"\n", "");
    house.start();
    fs::create_dir_all(house.path("repo/src")).unwrap();
    fs::write(house.path("repo/src/there.rs"), "").unwrap();
    let text = format!(
        "instrument: any\ninstrument_config: {{working_directory: repo}}\nsheet: {{size: 1, total_items: 1}}\n\
         prompt: {{template: \"read src/there.rs, src/gone.rs and example.org/some/page.md\"}}\n{ONCE}\
         validations: [{{type: file_exists, path: out.md}}]\n"
    );
    let end = house.play_out("away", &text, "completed");
    let warnings = end["sheets"]["1"]["preflight_warnings"].to_string();
    assert!(warnings.contains("names files that are not there: src/gone.rs\""), "{warnings}");
    let prompt = fs::read_to_string(house.path("repo/prompt-1-1")).unwrap();
    let whole = house.work("away/out.md").display().to_string();
    assert!(prompt.contains(&whole), "{prompt}");
}

#[test]
fn a_score_says_how_much_output_is_kept() {
    let mut house = House::new("");
    house.agent("long", "head -c 60000 /dev/zero | tr '\\0' x\n", "");
    house.start();
    let text = |bytes: u32| {
        format!(
            "instrument: long\ninstrument_config: {{max_output_capture_bytes: {bytes}}}\n\
             sheet: {{size: 1, total_items: 1}}\nprompt: {{template: work}}\n"
        )
    };
    for (name, bytes, kept) in [("less", 100, 100), ("more", 55_000, 55_000), ("most", 2_000_000, 60_000)] {
        house.play_out(name, &text(bytes), "completed");
        let status = house.call("job.status", json!({ "job_id": name, "full": true }));
        let sheet = &status["sheets"]["1"];
        assert_eq!(sheet["stdout_tail"].as_str().unwrap().len(), kept, "{name}");
        let warned = sheet["preflight_warnings"].to_string().contains("max_output_capture_bytes");
        assert_eq!(warned, name == "most", "{sheet:#}");
    }
}
