//! One wrong word in a good score is found on its line, with advice.

use std::fs;

use mozart::instrument::Registry;
use mozart::lint;
use mozart::plan::Overrides;
use mozart::score::{Issue, Source};

const REVIEW: &str = r#"name: review
description: three readers and a summary
workspace: ./ws
instrument: fast
instrument_config:
  timeout_seconds: 900
  skip_permissions: true
  system_prompt_file: skill.md
instruments:
  fast:
    profile: claude-code
    config:
      model: small
instrument_fallbacks:
  - gemini-cli
movements:
  1:
    name: Plan
  2:
    name: Read
    instrument: claude-code
sheet:
  size: 1
  total_items: 3
  fan_out:
    2: 3
  dependencies:
    2: [1]
    3: [2]
  skip_when:
    3: "job.failed_sheets > 0"
  prelude:
    - file: skill.md
      as: skill
prompt:
  variables:
    theme: colour
    readers: [ann, bob, cleo]
  template: |
    You work on {{ theme }} in {{ workspace }}.
    {% if stage == 1 %}
    Plan it.
    {% elif stage == 2 %}
    You are {{ readers[instance - 1] }}.
    {% else %}
    Sum up {{ previous_outputs | length }} texts.
    {% endif %}
validations:
  - type: file_modified
    path: "{workspace}/plan.md"
    condition: "stage == 1"
  - type: content_regex
    path: "{workspace}/read-{instance}.md"
    pattern: "^## (Good|Bad)"
    condition: "stage == 2"
    stage: 2
  - type: command_succeeds
    command: test -s summary.md
    sheet: 5
    timeout_seconds: 60
retry:
  max_retries: 2
  base_delay_seconds: 5
  max_delay_seconds: 60
  jitter: true
parallel:
  enabled: true
  max_concurrent: 3
cross_sheet:
  auto_capture_stdout: true
  lookback_sheets: 5
rate_limit:
  detection_patterns:
    - "slow down"
  max_waits: 3
stale_detection:
  enabled: true
  idle_timeout_seconds: 300
"#;

const BATCH: &str = r#"name: batch
instrument: cli
backend:
  timeout_seconds: 600
  timeout_overrides:
    2: 1200
sheet:
  size: 10
  total_items: 35
  start_item: 1
  descriptions:
    1: first ten
  cadenzas:
    2:
      - {file: skill.md, as: context}
prompt:
  template: "convert {{ start_item }} {{ end_item }}"
validations:
  - {type: file_exists, path: "{workspace}/out-{sheet_num}.txt"}
  - {type: content_contains, path: "{workspace}/out-{sheet_num}.txt", pattern: done}
pause_between_sheets_seconds: 1
"#;

/// What is replaced, once, and by what.
const IN_REVIEW: &[(&str, &str)] = &[
    ("workspace: ./ws", "workspce: ./ws"),
    ("workspace: ./ws", "workspace: ./gone/ws"),
    ("workspace: ./ws", "workspace: [CHANGE THIS]"),
    ("workspace: ./ws", "workspace: 12"),
    ("name: review", "name: [review]"),
    ("name: review", "name: a/b"),
    ("name: review", "name: \"\""),
    ("instrument: fast", "instrument: fats"),
    ("instrument: fast", "insturment: fast"),
    ("timeout_seconds: 900", "timeout_seconds: soon"),
    ("timeout_seconds: 900", "timeout_seconds: 9"),
    ("timeout_seconds: 900", "timeout_seconds: -1"),
    ("timeout_seconds: 900", "timeuot_seconds: 900"),
    ("skip_permissions: true", "skip_permissions: false"),
    ("skip_permissions: true", "skip_permissions: maybe"),
    ("system_prompt_file: skill.md", "system_prompt_file: skil.md"),
    ("profile: claude-code", "profile: claude"),
    ("profile: claude-code", "profil: claude-code"),
    ("- gemini-cli", "- gemini"),
    ("- gemini-cli", "- 7"),
    ("    name: Read", "    nmae: Read"),
    ("instrument: claude-code\nsheet", "instrument: calude-code\nsheet"),
    ("  size: 1", "  size: one"),
    ("  size: 1", "  size: 2"),
    ("  size: 1", "  size: 1.5"),
    ("  total_items: 3", "  totl_items: 3"),
    ("  total_items: 3", "  total_items: 0"),
    ("    2: 3", "    7: 3"),
    ("    2: 3", "    2: 0"),
    ("    2: 3", "    two: 3"),
    ("    2: [1]", "    2: [3]"),
    ("    2: [1]", "    2: [2]"),
    ("    2: [1]", "    2: [9]"),
    ("    2: [1]", "    9: [1]"),
    ("    2: [1]", "    2: 1"),
    ("    3: [2]", "    2: [2]"),
    ("job.failed_sheets > 0", "job.failed_sheets >"),
    ("job.failed_sheets > 0", "jobb.failed_sheets > 0"),
    ("    3: \"job", "    30: \"job"),
    ("    - file: skill.md", "    - file: skil.md"),
    ("    - file: skill.md", "    - fle: skill.md"),
    ("      as: skill", "      as: skil"),
    ("theme: colour", "stage: colour"),
    ("on {{ theme }} in", "on {{ them }} in"),
    ("on {{ theme }} in", "on {{ theme } in"),
    ("on {{ theme }} in", "on {theme} {stage} in"),
    ("{% elif stage == 2 %}", "{% elsif stage == 2 %}"),
    ("{% elif stage == 2 %}", "{% elif stge == 2 %}"),
    ("{{ readers[instance - 1] }}", "{{ readers[instance + 1] }}"),
    ("{{ readers[instance - 1] }}", "{{ reader[instance - 1] }}"),
    ("previous_outputs | length", "previous_output | length"),
    ("previous_outputs | length", "previous_outputs | lenght"),
    ("type: file_modified", "type: file_modifed"),
    ("type: file_modified", "typ: file_modified"),
    ("{workspace}/plan.md", "{workspce}/plan.md"),
    ("{workspace}/plan.md", "{{ workspace }}/plan.md"),
    ("condition: \"stage == 1\"", "condition: \"stage = 1\""),
    ("condition: \"stage == 1\"", "condition: \"stge == 1\""),
    ("condition: \"stage == 1\"", "condition: \"stage == 4\""),
    ("^## (Good|Bad)", "^## (Good|Bad"),
    ("^## (Good|Bad)", "*## (Good|Bad)"),
    ("^## (Good|Bad)", "(?!Good)"),
    ("^## (Good|Bad)", ""),
    ("    stage: 2\n", "    stage: 11\n"),
    ("command: test -s summary.md", "comand: test -s summary.md"),
    ("command: test -s summary.md", "command: \"\""),
    ("    sheet: 5", "    sheet: 6"),
    ("    sheet: 5", "    sheet: 0"),
    ("max_retries: 2", "max_retry: 2"),
    ("max_retries: 2", "max_retries: many"),
    ("max_delay_seconds: 60", "max_delay_seconds: 0"),
    ("jitter: true", "jitter: 3"),
    ("max_concurrent: 3", "max_concurrent: 50"),
    ("parallel:", "paralell:"),
    ("auto_capture_stdout: true", "auto_capture_stdut: true"),
    ("lookback_sheets: 5", "lookback_sheets: -5"),
    ("slow down", "slow (down"),
    ("max_waits: 3", "max_waits: 0"),
    ("idle_timeout_seconds: 300", "idle_timeout: 300"),
];

const IN_BATCH: &[(&str, &str)] = &[
    ("instrument: cli", "instrument: clj"),
    ("  timeout_seconds: 600", "  timeout_seconds: 6"),
    ("  timeout_seconds: 600", "  timeout_secs: 600"),
    ("    2: 1200", "    9: 1200"),
    ("    2: 1200", "    2: 0"),
    ("    1: first ten", "    8: first ten"),
    ("start_item: 1", "start_item: 99"),
    ("    2:\n", "    22:\n"),
    ("{file: skill.md, as: context}", "{file: skil.md, as: context}"),
    ("{file: skill.md, as: context}", "{file: skill.md}"),
    ("{file: skill.md, as: context}", "{file: skill.md, directory: ., as: context}"),
    ("{{ end_item }}", "{{ end_items }}"),
    ("{{ end_item }}", "{{ end_item"),
    ("out-{sheet_num}.txt\"}\n", "out-{sheet}.txt\"}\n"),
    ("pattern: done", "patern: done"),
    ("pattern: done", "pattern: [done]"),
    ("pause_between_sheets_seconds: 1", "pause_between_sheets: 1"),
    ("pause_between_sheets_seconds: 1", "pause_between_sheets_seconds: -1"),
    ("pause_between_sheets_seconds: 1", "pause_between_sheets_seconds: \"x"),
];

/// A third score; here the code and words of message or hint are looked at, too.
const SHIP: &str = r#"name: ship
instrument: gemini-cli
sheet:
  size: 1
  total_items: 2
prompt:
  variables:
    limit: 5
    port: Hull
  template: "{% if limit > 3 %}{{ port|upper }}{% endif %} {{ '%s' % port }}"
validations:
  - {type: command_succeeds, command: "make check"}
grounding:
  enabled: true
  hooks:
    - type: file_checksum
      expected_checksums: {a.txt: d41d8cd98f00b204e9800998ecf8427e}
      checksum_algorithm: md5
on_success:
  - {type: run_command, command: "rm -rf {workspace}/build"}
"#;

/// What is replaced, by what, the code, and words of the message or of the hint.
const IN_SHIP: &[(&str, &str, &str, &str)] = &[
    ("limit: 5", "limit: \"5\"", "V217", "a text and a number"),
    ("limit > 3", "limmit > 3", "V101", "Did you mean 'limit'"),
    ("limit > 3", "port > 3", "V217", "|int"),
    ("port|upper", "port|uper", "V217", "upper"),
    ("'%s' % port", "'%d' % port", "V217", "a number is required"),
    ("'%s' % port", "'%s %s' % port", "V217", "not enough arguments"),
    ("'%s' % port", "[port]|random", "V217", "nothing random"),
    ("'%s' % port", "[].append(port)", "V217", "namespace"),
    ("make check", "rm -rf /", "V220", "{workspace}/build"),
    ("rm -rf {workspace}/build", "rm -rf /", "V220", "never run"),
    ("rm -rf {workspace}/build", "dd if=image of=/dev/sda", "V220", "never run"),
    ("d41d8cd98f00b204e9800998ecf8427e", "d41d8cd98f00b204", "", "32 hexadecimal digits"),
    ("d41d8cd98f00b204e9800998ecf8427e", "d41d8cd98f00b204e9800998ecf8427g", "", "md5sum FILE"),
    ("gemini-cli", "gemini-cil", "V210", "gemini-cli"),
    ("type: run_command", "type: run_comand", "", "run_command"),
    ("run_command, command:", "run_command, comand:", "", "command"),
    ("hooks:\n", "hook:\n", "", "hooks"),
];

#[test]
fn a_mutation_has_its_code_and_its_advice() {
    let dir = tempfile::tempdir().unwrap();
    let before = issues(dir.path(), SHIP);
    assert!(!before.iter().any(|issue| issue.is_error()), "{before:?}");
    let mut wrong = Vec::new();
    for (from, to, code, words) in IN_SHIP {
        assert!(SHIP.contains(from), "{from} is not in the score");
        let found = issues(dir.path(), &SHIP.replacen(from, to, 1));
        let fits = |issue: &&Issue| {
            let text = format!("{issue} {}", issue.hint.as_deref().unwrap_or_default());
            (code.is_empty() || issue.code == *code) && text.contains(words) && issue.line.is_some()
        };
        if !found.iter().any(|issue| fits(&issue)) {
            wrong.push(format!("{from:?} -> {to:?}: {found:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let all = IN_REVIEW.len() + IN_BATCH.len() + IN_SHIP.len();
    assert!(all >= 100, "{all} mutations");
}

fn issues(dir: &std::path::Path, text: &str) -> Vec<Issue> {
    let source = Source { text: text.to_owned(), base: dir.to_owned(), ..Source::default() };
    lint::check(&source, &Overrides::default(), &Registry::built_in()).issues
}

#[test]
fn a_mutation_is_found_on_its_line() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("skill.md"), "text").unwrap();
    let mut wrong = Vec::new();
    for (text, mutations) in [(REVIEW, IN_REVIEW), (BATCH, IN_BATCH)] {
        let before = issues(dir.path(), text);
        assert!(!before.iter().any(|issue| issue.is_error()), "{before:?}");
        for (from, to) in mutations {
            let at = text.find(from).unwrap_or_else(|| panic!("{from} is not in the score"));
            // The line of the first changed character.
            let same = from.bytes().zip(to.bytes()).take_while(|(a, b)| a == b).count();
            let line = u32::try_from(text[..at + same].matches('\n').count() + 1).unwrap();
            let found = issues(dir.path(), &text.replacen(from, to, 1));
            let new = |issue: &&Issue| !before.contains(issue);
            let fits = |issue: &&Issue| {
                issue.line == Some(line) && issue.hint.as_deref().is_some_and(|hint| !hint.trim().is_empty())
            };
            let told: Vec<&Issue> = found.iter().filter(new).collect();
            if !told.iter().any(fits) {
                let told: Vec<String> = told
                    .iter()
                    .map(|issue| {
                        format!("    {} line {:?}: {issue} | {:?}", issue.code, issue.line, issue.hint)
                    })
                    .collect();
                wrong.push(format!("line {line}: {from:?} -> {to:?}\n{}", told.join("\n")));
            }
        }
    }
    let total = IN_REVIEW.len() + IN_BATCH.len();
    assert!(total >= 90 && wrong.is_empty(), "{} of {total}:\n{}", wrong.len(), wrong.join("\n"));
}
