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

/// What is replaced, once, by what, and words of the advice that lead to the mend.
const IN_REVIEW: &[(&str, &str, &str)] = &[
    ("workspace: ./ws", "workspce: ./ws", "workspace"),
    ("workspace: ./ws", "workspace: ./gone/ws", "mkdir -p"),
    ("workspace: ./ws", "workspace: [CHANGE THIS]", "quotes"),
    ("workspace: ./ws", "workspace: 12", "quotes"),
    ("name: review", "name: [review]", "one text"),
    ("name: review", "name: a/b", "my-score"),
    ("name: review", "name: \"\"", "between the quotes"),
    ("instrument: fast", "instrument: fats", "'fast'"),
    ("instrument: fast", "insturment: fast", "'instrument'"),
    ("timeout_seconds: 900", "timeout_seconds: soon", "timeout_seconds: 30"),
    ("timeout_seconds: 900", "timeout_seconds: 9", "60 seconds"),
    ("timeout_seconds: 900", "timeout_seconds: -1", "above 0"),
    ("timeout_seconds: 900", "timeuot_seconds: 900", "'timeout_seconds'"),
    ("skip_permissions: true", "skip_permissions: false", "skip_permissions: true"),
    ("skip_permissions: true", "skip_permissions: maybe", "skip_permissions: true"),
    ("system_prompt_file: skill.md", "system_prompt_file: skil.md", "'skill.md'"),
    ("profile: claude-code", "profile: claude", "'claude-code'"),
    ("profile: claude-code", "profil: claude-code", "'profile'"),
    ("- gemini-cli", "- gemini", "'gemini-cli'"),
    ("- gemini-cli", "- 7", "quotes"),
    ("    name: Read", "    nmae: Read", "'name'"),
    ("instrument: claude-code\nsheet", "instrument: calude-code\nsheet", "'claude-code'"),
    ("  size: 1", "  size: one", "whole number"),
    ("  size: 1", "  size: 2", "size: 1"),
    ("  size: 1", "  size: 1.5", "without a decimal point"),
    ("  total_items: 3", "  totl_items: 3", "'total_items'"),
    ("  total_items: 3", "  total_items: 0", "total_items: 1"),
    ("    2: 3", "    7: 3", "1-3"),
    ("    2: 3", "    2: 0", "at least 1"),
    ("    2: 3", "    two: 3", "numbers of sheets or stages"),
    ("    2: [1]", "    2: [3]", "close the circle"),
    ("    2: [1]", "    2: [2]", "remove its own number"),
    ("    2: [1]", "    2: [9]", "1-3"),
    ("    2: [1]", "    9: [1]", "1-3"),
    ("    2: [1]", "    2: 1", "`2: [1]`"),
    ("    3: [2]", "    2: [2]", "first is on line"),
    ("job.failed_sheets > 0", "job.failed_sheets >", "for example"),
    ("job.failed_sheets > 0", "jobb.failed_sheets > 0", "'job'"),
    ("    3: \"job", "    30: \"job", "numbers of stages"),
    ("    - file: skill.md", "    - file: skil.md", "'skill.md'"),
    ("    - file: skill.md", "    - fle: skill.md", "'file'"),
    ("      as: skill", "      as: skil", "'skill'"),
    ("theme: colour", "stage: colour", "my_stage"),
    ("on {{ theme }} in", "on {{ them }} in", "'theme'"),
    ("on {{ theme }} in", "on {{ theme } in", "`}}`"),
    ("on {{ theme }} in", "on {theme} {stage} in", "{{ stage }}"),
    ("{% elif stage == 2 %}", "{% elsif stage == 2 %}", "{% elif %}"),
    ("{% elif stage == 2 %}", "{% elif stge == 2 %}", "'stage'"),
    ("{{ readers[instance - 1] }}", "{{ readers[instance + 1] }}", "readers[0] to readers[2]"),
    ("{{ readers[instance - 1] }}", "{{ reader[instance - 1] }}", "'readers'"),
    ("previous_outputs | length", "previous_output | length", "'previous_outputs'"),
    ("previous_outputs | length", "previous_outputs | lenght", "'length'"),
    ("type: file_modified", "type: file_modifed", "'file_modified'"),
    ("type: file_modified", "typ: file_modified", "'type'"),
    ("{workspace}/plan.md", "{workspce}/plan.md", "{workspace}"),
    ("{workspace}/plan.md", "{{ workspace }}/plan.md", "{workspace}"),
    ("condition: \"stage == 1\"", "condition: \"stage = 1\"", "stage == 2"),
    ("condition: \"stage == 1\"", "condition: \"stge == 1\"", "'stage'"),
    ("condition: \"stage == 1\"", "condition: \"stage == 4\"", "5 sheets in 3 stages"),
    ("^## (Good|Bad)", "^## (Good|Bad", "close every `(`"),
    ("^## (Good|Bad)", "*## (Good|Bad)", "`\\*`"),
    ("^## (Good|Bad)", "(?!Good)", "second rule"),
    ("^## (Good|Bad)", "", "file_exists"),
    ("    stage: 2\n", "    stage: 11\n", "stage: 10"),
    ("command: test -s summary.md", "comand: test -s summary.md", "'command'"),
    ("command: test -s summary.md", "command: \"\"", "give a value to command"),
    ("    sheet: 5", "    sheet: 6", "5 sheets"),
    ("    sheet: 5", "    sheet: 0", "sheet: 1"),
    ("max_retries: 2", "max_retry: 2", "'max_retries'"),
    ("max_retries: 2", "max_retries: many", "max_retries: 3"),
    ("max_delay_seconds: 60", "max_delay_seconds: 0", "above 0"),
    ("jitter: true", "jitter: 3", "jitter: true"),
    ("max_concurrent: 3", "max_concurrent: 50", "max_concurrent: 20"),
    ("parallel:", "paralell:", "'parallel'"),
    ("auto_capture_stdout: true", "auto_capture_stdut: true", "'auto_capture_stdout'"),
    ("lookback_sheets: 5", "lookback_sheets: -5", "lookback_sheets: 0"),
    ("slow down", "slow (down", "close every `(`"),
    ("max_waits: 3", "max_waits: 0", "max_waits: 1"),
    ("idle_timeout_seconds: 300", "idle_timeout: 300", "'idle_timeout_seconds'"),
    ("    2: [1]", "    2: [x]", "`2: [1, 2]`"),
    ("    3: [2]", "    3: 2", "`3: [2]`"),
    ("    - file: skill.md", "    - directory: skill.md", "`file: skill.md`"),
    ("    - file: skill.md", "    - path: skill.md", "'file'"),
    ("type: file_modified", "type: modified", "'file_modified'"),
    ("condition: \"stage == 1\"", "when: \"stage == 1\"", "'condition'"),
    ("condition: \"stage == 1\"", "condition: true", "remove the key"),
    ("condition: \"stage == 1\"", "condition: \"sheet == 1\"", "'sheet_num'"),
    ("condition: \"stage == 1\"", "condition: \"theme == colour\"", "between quotes: 'colour'"),
    ("condition: \"stage == 1\"", "condition: \"stage in 1\"", "in [1, 3]"),
    ("pattern: \"^##", "regex: \"^##", "'pattern'"),
    ("    timeout_seconds: 60", "    timeout: 60", "'timeout_seconds'"),
    ("\"{workspace}/plan.md", "\"${workspace}/plan.md", "write {workspace}"),
    ("\"{workspace}/plan.md", "\"<workspace>/plan.md", "the path that is meant"),
    ("{% elif stage == 2 %}", "{% elif stage = 2 %}", "`==`"),
    ("{% elif stage == 2 %}", "{% elif stage == 2 && true %}", "`and`"),
    ("{{ readers[instance - 1] }}", "{{ len(readers) }}", "| length"),
    ("{{ readers[instance - 1] }}", "{{ readers[0].name }}", "is a text"),
    ("on {{ theme }} in", "on {{ THEME }} in", "'theme'"),
    ("on {{ theme }} in", "on {{ \"theme }} in", "close the quotes"),
    ("idle_timeout_seconds: 300", "idle_timeout_seconds: 20", "raise the second"),
    ("max_delay_seconds: 60", "max_delay_seconds: 1", "raise the second"),
    ("profile: claude-code", "profile: fast", "is an alias"),
    ("workspace: ./ws", "workspace: \"\"", "between the quotes"),
    ("    - \"slow down\"", "    - \"\"", "between the quotes"),
    ("    - \"slow down\"", "    -", "empty"),
    ("skip_permissions: true", "skipPermissions: true", "'skip_permissions'"),
    ("    config:\n      model: small", "    model: small\n    config:", "'config.model'"),
    ("  - type: command_succeeds", "  -type: command_succeeds", "`- type: command_succeeds`"),
    ("  - type: command_succeeds", "   - type: command_succeeds", "by 3 spaces"),
];

const IN_BATCH: &[(&str, &str, &str)] = &[
    ("instrument: cli", "instrument: clj", "'cli'"),
    ("  timeout_seconds: 600", "  timeout_seconds: 6", "60 seconds"),
    ("  timeout_seconds: 600", "  timeout_secs: 600", "'timeout_seconds'"),
    ("    2: 1200", "    9: 1200", "4 sheets"),
    ("    2: 1200", "    2: 0", "above 0"),
    ("    1: first ten", "    8: first ten", "4 sheets"),
    ("start_item: 1", "start_item: 99", "lower start_item"),
    ("    2:\n", "    22:\n", "4 sheets"),
    ("{file: skill.md, as: context}", "{file: skil.md, as: context}", "'skill.md'"),
    ("{file: skill.md, as: context}", "{file: skill.md}", "as: context"),
    ("{file: skill.md, as: context}", "{file: skill.md, directory: ., as: context}", "remove one of the two"),
    ("{{ end_item }}", "{{ end_items }}", "'end_item'"),
    ("{{ end_item }}", "{{ end_item", "`}}`"),
    ("out-{sheet_num}.txt\"}\n", "out-{sheet}.txt\"}\n", "{sheet_num}"),
    ("pattern: done", "patern: done", "'pattern'"),
    ("pattern: done", "pattern: [done]", "one text"),
    ("pause_between_sheets_seconds: 1", "pause_between_sheets: 1", "'pause_between_sheets_seconds'"),
    (
        "pause_between_sheets_seconds: 1",
        "pause_between_sheets_seconds: -1",
        "pause_between_sheets_seconds: 0",
    ),
    ("pause_between_sheets_seconds: 1", "pause_between_sheets_seconds: \"x", "close the quotes"),
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
checkpoints:
  enabled: true
  triggers:
    - {name: look, sheet_nums: [2]}
on_success:
  - {type: run_command, command: "rm -rf {workspace}/build"}
  - {type: run_job, job_path: next.yaml}
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
    ("make check", "rm -rf /", "V220", "{workspace}/build"),
    ("rm -rf {workspace}/build", "rm -rf /", "V220", "never run"),
    ("rm -rf {workspace}/build", "dd if=image of=/dev/sda", "V220", "never run"),
    ("d41d8cd98f00b204e9800998ecf8427e", "d41d8cd98f00b204", "", "32 hexadecimal digits"),
    ("d41d8cd98f00b204e9800998ecf8427e", "d41d8cd98f00b204e9800998ecf8427g", "", "md5sum FILE"),
    ("gemini-cli", "gemini-cil", "V210", "gemini-cli"),
    ("type: run_command", "type: run_comand", "", "run_command"),
    ("run_command, command:", "run_command, comand:", "", "command"),
    ("hooks:\n", "hook:\n", "", "hooks"),
    ("sheet_nums: [2]", "sheet_nums: [9]", "V223", "2 sheets"),
    ("sheet_nums: [2]", "sheet_nums: 2", "schema", "sheet_nums: [2]"),
    ("sheet_nums: [2]", "sheets: [2]", "schema", "'sheet_nums'"),
    ("job_path: next.yaml", "job_path: nxt.yaml", "V108", "'next.yaml'"),
    ("job_path: next.yaml", "score: next.yaml", "schema", "'job_path'"),
    ("{% endif %}", "", "V001", "`{% endif %}` is missing"),
    ("template: \"{% if", "template: \"\" #", "schema", "below `template: |`"),
];

#[test]
fn a_mutation_has_its_code_and_its_advice() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("next.yaml"), "").unwrap();
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

/// What is missing only because its key is misspelt is not told as a second mistake.
#[test]
fn a_misspelt_key_is_one_error() {
    let dir = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for (text, from, to) in [
        (REVIEW, "name: review", "nmae: review"),
        (REVIEW, "sheet:\n", "sheets:\n"),
        (REVIEW, "  size: 1", "  siez: 1"),
        (REVIEW, "profile: claude-code", "profil: claude-code"),
        (REVIEW, "    - file: skill.md", "    - fle: skill.md"),
        (REVIEW, "type: file_modified", "typ: file_modified"),
        (REVIEW, "command: test -s summary.md", "comand: test -s summary.md"),
        (REVIEW, "command: test -s summary.md", "command: [test, -s]"),
        (REVIEW, "    pattern: \"^##", "    regex: \"^##"),
        (BATCH, "prompt:\n  template", "prompt:\n  tempalte"),
        (SHIP, "run_command, command:", "run_command, comand:"),
        (SHIP, "command: \"rm -rf {workspace}/build\"", "command: [rm, x]"),
        (SHIP, "sheet_nums: [2]", "sheets: [2]"),
        (SHIP, "sheet_nums: [2]", "sheet_nums: 2"),
        (SHIP, "  hooks:\n", "  hoks:\n"),
    ] {
        assert!(text.contains(from), "{from} is not in the score");
        let found = issues(dir.path(), &text.replacen(from, to, 1));
        let told: Vec<String> =
            found.iter().filter(|issue| issue.code == "schema").map(ToString::to_string).collect();
        if told.len() != 1 {
            wrong.push(format!("{from:?} -> {to:?}: {told:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
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
        for (from, to, words) in mutations {
            let at = text.find(from).unwrap_or_else(|| panic!("{from} is not in the score"));
            // The line of the first changed character.
            let same = from.bytes().zip(to.bytes()).take_while(|(a, b)| a == b).count();
            let line = u32::try_from(text[..at + same].matches('\n').count() + 1).unwrap();
            let found = issues(dir.path(), &text.replacen(from, to, 1));
            let new = |issue: &&Issue| !before.contains(issue);
            let fits = |issue: &&Issue| {
                issue.line == Some(line) && issue.hint.as_deref().is_some_and(|hint| hint.contains(words))
            };
            let told: Vec<&Issue> = found.iter().filter(new).collect();
            if !told.iter().any(fits) {
                let told: Vec<String> = told
                    .iter()
                    .map(|issue| {
                        format!("    {} line {:?}: {issue} | {:?}", issue.code, issue.line, issue.hint)
                    })
                    .collect();
                wrong.push(format!("line {line}: {from:?} -> {to:?}: {words:?}\n{}", told.join("\n")));
            }
        }
    }
    let total = IN_REVIEW.len() + IN_BATCH.len();
    assert!(total >= 90 && wrong.is_empty(), "{} of {total}:\n{}", wrong.len(), wrong.join("\n"));
}
