//! Tests of loading.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::Path;

use proptest::prelude::*;

use super::decode::{At, Cx};
use super::*;

const BASE: &str = "name: x\nsheet: {size: 1, total_items: 3}\nprompt: {template: hi}\n";

fn load_text(text: &str) -> Loaded {
    load(&Source { text: text.to_owned(), base: "/base".into(), ..Source::default() })
}

/// The base with other lines, one per top-level key.
fn with(special: &str) -> String {
    let key = |line: &str| line.split_once(':').map(|(key, _)| key.to_owned());
    let keys: Vec<Option<String>> = special.lines().map(key).collect();
    let base = BASE.lines().filter(|line| !keys.contains(&key(line)));
    base.chain(special.lines()).fold(String::new(), |text, line| text + line + "\n")
}

fn lines(special: &str, wanted: impl Fn(&Issue) -> bool) -> String {
    let loaded = load_text(&with(special));
    let issues: Vec<String> =
        loaded.issues.iter().filter(|issue| wanted(issue)).map(ToString::to_string).collect();
    assert_eq!(loaded.score.is_none(), loaded.issues.iter().any(Issue::is_error));
    issues.join("\n")
}

#[track_caller]
fn check_errors(special: &str, expected: &str) {
    assert_eq!(lines(special, Issue::is_error), expected, "{special}");
}

#[track_caller]
fn check_warnings(special: &str, expected: &str) {
    assert_eq!(lines(special, |issue| !issue.is_error()), expected, "{special}");
}

fn score(special: &str) -> Score {
    let loaded = load_text(&with(special));
    loaded.score.unwrap_or_else(|| panic!("{special}: {:?}", loaded.issues))
}

fn hint(special: &str) -> String {
    let loaded = load_text(&with(special));
    loaded.issues.iter().filter_map(|issue| issue.hint.clone()).collect::<Vec<_>>().join("\n")
}

#[test]
fn texts_that_are_no_mapping() {
    for (text, expected) in [
        ("", "Score must be a YAML mapping (key-value pairs), got: empty file"),
        ("- a", "Score must be a YAML mapping (key-value pairs), got: list"),
        ("hello", "Score must be a YAML mapping (key-value pairs), got: str"),
        ("a: 1\na: 2", "YAML syntax error: duplicate key 'a' (line 2) at line 2 column 1"),
        ("name: f\ntype: fleet\nscores: []", "type: this is a fleet file (type: fleet), not a score"),
    ] {
        assert_eq!(load_text(text).issues[0].to_string(), expected);
        assert!(load_text(text).score.is_none());
    }
    assert!(load_text("a: [").issues[0].message.starts_with("YAML syntax error: "));
}

#[test]
fn what_must_be_there() {
    assert_eq!(
        load_text("name: x\n").issues.iter().map(Issue::headline).collect::<Vec<_>>(),
        [
            "Schema validation failed: sheet: Field required",
            "Schema validation failed: prompt: Field required"
        ]
    );
    check_errors("sheet: {}", "sheet.size: Field required\nsheet.total_items: Field required");
    check_errors("sheet:", "sheet: Input should be a valid mapping");
    check_errors("name:", "name: Input should be a valid string");
}

#[test]
fn unknown_keys_are_refused_with_a_hint() {
    check_errors("foo: 1", "foo: Extra inputs are not permitted");
    check_errors("sheet: {size: 1, total_items: 3, foo: 1}", "sheet.foo: Extra inputs are not permitted");
    for (special, expected) in [
        ("foo: 1", "Unknown field 'foo' - this is not a valid score field"),
        ("retries: 3", "Unknown field 'retries' - did you mean 'retry'?"),
        ("timeout: 3", "Unknown field 'timeout' - did you mean 'instrument_config.timeout_seconds'?"),
        ("retry: {max_retrie: 3}", "Unknown field 'max_retrie' - did you mean 'max_retries'?"),
        ("instrumment: x", "Unknown field 'instrumment' - did you mean 'instrument'?"),
        ("sheets: {}", "Unknown field 'sheets' - did you mean 'sheet'?\nsheet:\n  size: 1\n  total_items: 3"),
    ] {
        assert_eq!(hint(special), expected);
    }
    check_errors("x-anchors: {a: 1}", "");
}

#[test]
fn issues_know_their_place_and_all_are_told() {
    let text = "name: x\nsheet:\n  size: 0\n  total_items: nine\nprompt:\n  template: hi\n  tmplate: ho\n";
    let issues = load_text(text).issues;
    let shown: Vec<String> = issues
        .iter()
        .map(|issue| format!("{}:{} {issue}", issue.line.unwrap(), issue.column.unwrap()))
        .collect();
    assert_eq!(
        shown,
        [
            "3:9 sheet.size: Input should be greater than or equal to 1",
            "4:16 sheet.total_items: Input should be a valid integer, unable to parse string as an integer",
            "7:3 prompt.tmplate: Extra inputs are not permitted",
        ]
    );
}

#[test]
fn numbers_and_truth_in_all_spellings() {
    let sheet = score("sheet: {size: \"5\", total_items: 12.0}").sheet;
    assert_eq!((sheet.size, sheet.total_items), (5, 12));
    check_errors(
        "sheet: {size: 5.5, total_items: true}",
        "sheet.size: Input should be a valid integer, got a number with a fractional part\n\
         sheet.total_items: Input should be a valid integer",
    );
    for word in ["yes", "1", "ON", "\"true\"", "t", "1.0", "true"] {
        assert!(score(&format!("parallel: {{enabled: {word}}}")).parallel.enabled, "{word}");
    }
    check_errors(
        "parallel: {enabled: 2}",
        "parallel.enabled: Input should be a valid boolean, unable to interpret input",
    );
    assert!((score("retry: {base_delay_seconds: 1e3}").retry.base_delay_seconds - 1000.0).abs() < 1e-9);
    check_errors(
        "retry: {base_delay_seconds: .inf}",
        "retry.base_delay_seconds: Input should be a finite number",
    );
    check_errors(
        "retry: {base_delay_seconds: nan}",
        "retry.base_delay_seconds: Input should be a valid number, unable to parse string as a number",
    );
    check_errors(
        "parallel: {max_concurrent: 21}",
        "parallel.max_concurrent: Input should be less than or equal to 20",
    );
    check_errors("retry: {exponential_base: 1}", "retry.exponential_base: Input should be greater than 1");
    check_errors("state_backend: file", "state_backend: Input should be 'json' or 'sqlite'");
}

#[test]
fn nothing_after_a_key() {
    check_errors("validations:\nretry:\nmovements:\nworkspace:", "workspace: Input should be a valid string");
    check_warnings(
        "validations:",
        "validations: nothing stands after this key; it is read as if it were not there",
    );
    check_warnings("description:\ncross_sheet:\nagent_card:", "");
    check_errors("retry: {max_retries: }", "retry.max_retries: Input should be a valid integer");
}

#[test]
fn integer_keys_as_text_and_twice() {
    let score = score("sheet: {size: 1, total_items: 3, descriptions: {'1': a, 2: b}}");
    assert_eq!(score.sheet.descriptions.get(&1).map(String::as_str), Some("a"));
    check_errors(
        "sheet: {size: 1, total_items: 3, descriptions: {'1': a, 1: b}}",
        "sheet.descriptions.1: duplicate key '1' (line 3)",
    );
    check_errors(
        "sheet: {size: 1, total_items: 3, per_sheet_fallbacks: {0: []}}",
        "sheet.per_sheet_fallbacks.0: Per-sheet fallback key must be a positive integer, got 0",
    );
}

#[test]
fn prompts() {
    check_errors("prompt: hello", "prompt: The 'prompt' field must be a mapping, not a string.");
    check_warnings(
        "prompt: {stakes: high}",
        "prompt: neither template nor template_file: the default prompt is used",
    );
    check_errors(
        "prompt: {template: a, template_file: b}",
        "prompt.template_file: PromptConfig accepts 'template' or 'template_file', not both",
    );
    check_errors(
        "prompt: {template_file: a/b.j2}",
        "prompt.template_file: Template file not found: /base/a/b.j2",
    );
    let text = with("prompt: {template_file: ./a/b.j2, prompt_extensions: [docs/x.md, be brief]}");
    let file = Path::new("/base/a/b.j2").to_owned();
    assert_eq!(referenced_files(&text, Path::new("/base")), std::slice::from_ref(&file));
    let source =
        Source { text, base: "/base".into(), files: [(file, "body".to_owned())].into(), ..Source::default() };
    let prompt = load(&source).score.unwrap().prompt;
    assert_eq!(prompt.template.as_deref(), Some("body"));
    assert_eq!(
        prompt.prompt_extensions,
        [Extension::File("/base/docs/x.md".into()), Extension::Text("be brief".into())]
    );
    let json = serde_json::to_string(&source).unwrap();
    assert_eq!(serde_json::from_str::<Source>(&json).unwrap(), source);
}

#[test]
fn variables_keep_what_was_written() {
    let score = score(
        "prompt: {template: hi, variables: {z: {2: b, 1: a}, day: 2024-01-31, time: 1:30, mode: 010, yes: on}}",
    );
    assert_eq!(
        serde_json::to_string(&score.prompt.variables).unwrap(),
        r#"{"z":{"2":"b","1":"a"},"day":"2024-01-31","time":"1:30","mode":"010","yes":"on"}"#
    );
}

#[test]
fn one_instrument_only() {
    check_errors(
        "instrument: gemini-cli\nbackend: {type: ollama}",
        "backend.type: Cannot specify both 'instrument: gemini-cli' and 'backend.type: ollama'. Both name the program that runs the sheets.",
    );
    check_errors("instrument: gemini-cli\nbackend: {type: claude_cli, timeout_seconds: 10}", "");
    check_errors(
        "backend: {type: recursive_light}",
        "backend.type: backend.type 'recursive_light' is no longer supported; use instrument: with an HTTP profile",
    );
    check_warnings(
        "backend: {type: claude_cli, model: m, cli_model: n}",
        "backend: for backend.type 'claude_cli' these fields will be ignored: model",
    );
    check_warnings(
        "instrument_config: {modell: m}",
        "instrument_config.modell: unknown key, it has no effect",
    );
    check_warnings(
        "working_directory: repo",
        "working_directory: read as backend.working_directory; write it there or in instrument_config",
    );
}

#[test]
fn rules() {
    let rule = |rest: &str| format!("validations: [{{{rest}}}]");
    for (rest, expected) in [
        (
            "type: content_regex, path: a, pattern: \"(\"",
            "validations.0.pattern: Invalid regex pattern for content_regex validation: unclosed group at position 0",
        ),
        ("type: file_exists", "validations.0: Validation type 'file_exists' requires 'path' field"),
        (
            "type: content_contains, path: a, pattern: ''",
            "validations.0.pattern: Empty pattern in validation rule 1 will match any content",
        ),
        (
            "type: command_succeeds",
            "validations.0: Validation type 'command_succeeds' requires 'command' field",
        ),
        (
            "type: file_exist, path: a",
            "validations.0.type: Input should be 'file_exists', 'file_modified', 'content_contains', 'content_regex' or 'command_succeeds'",
        ),
        (
            "type: file_exists, path: a, condition: stage = 1",
            "validations.0.condition: cannot parse condition: unexpected `=` at character 7; equality is `==`",
        ),
        (
            "type: file_exists, path: a, stage: 11",
            "validations.0.stage: Input should be less than or equal to 10",
        ),
        ("path: a", "validations.0.type: Field required"),
    ] {
        check_errors(&rule(rest), expected);
    }
    let retries = |rest: &str| score(&rule(rest)).validations[0].retry_count;
    assert_eq!(retries("type: file_exists, path: a"), 3);
    assert_eq!(retries("type: command_succeeds, command: a"), 0);
    assert_eq!(retries("type: command_succeeds, command: a, retry_count: 2"), 2);
}

#[test]
fn sections_that_must_agree() {
    for (special, expected) in [
        (
            "cost_limits: {enabled: true}",
            "cost_limits: CostLimitConfig has enabled=True but no limits set. Set max_cost_per_sheet and/or max_cost_per_job, or disable cost limits.",
        ),
        (
            "stale_detection: {enabled: true, idle_timeout_seconds: 20}",
            "stale_detection: check_interval_seconds (30) must be less than idle_timeout_seconds (20)",
        ),
        (
            "retry: {base_delay_seconds: 20, max_delay_seconds: 10}",
            "retry: base_delay_seconds (20) must not exceed max_delay_seconds (10)",
        ),
        (
            "rate_limit: {detection_patterns: [a, '(']}",
            "rate_limit.detection_patterns.1: detection_patterns[1] is not valid regex: '(' - unclosed group at position 0",
        ),
        (
            "learning: {min_confidence_threshold: 0.7}",
            "learning: min_confidence_threshold (0.7) must be less than high_confidence_threshold (0.7)",
        ),
        ("on_success: [{type: run_job}]", "on_success.0: Hook type 'run_job' requires 'job_path' field"),
        (
            "notifications: [{type: slack}]",
            "notifications.0: Slack notification requires 'webhook_url' or 'webhook_url_env' in config",
        ),
        ("notifications: [{type: email}]", "notifications.0.type: email notifications are not supported"),
        ("logging: {format: both}", "logging: file_path is required when format='both'"),
        (
            "grounding: {enabled: true}",
            "grounding: GroundingConfig has enabled=True but no hooks configured. Add hooks, or disable grounding.",
        ),
        (
            "isolation: {branch_prefix: 1x}",
            "isolation.branch_prefix: String should match pattern '^[a-zA-Z][a-zA-Z0-9_-]*$'",
        ),
        (
            "movements: [a]",
            "movements: The 'movements' field expects a mapping with movement numbers as keys.",
        ),
        ("movements: {0: {name: a}}", "movements.0: Movement number must be a positive integer, got 0"),
        ("name: a/b", "name: a name must not begin with a dot or contain a slash or a NUL"),
        ("sheet: {size: 1, total_items: 1, prelude: [{file: a}]}", "sheet.prelude.0.as: Field required"),
        (
            "sheet: {size: 1, total_items: 1, prelude: [{file: a, directory: b, as: skill}]}",
            "sheet.prelude.0: Specify 'file' or 'directory', not both.",
        ),
        (
            "sheet: {size: 1, total_items: 1, prelude: [{as: skill}]}",
            "sheet.prelude.0: One of 'file' or 'directory' is required.",
        ),
        (
            "sheet: {size: 1, total_items: 3, instrument_map: {a: [1], b: [1]}}",
            "sheet.instrument_map.b.0: Sheet 1 assigned to multiple instruments in instrument_map: 'a' and 'b'",
        ),
        (
            "sheet: {size: 1, total_items: 3, skip_when: {2: 'stage =='}}",
            "sheet.skip_when.2: cannot parse expression: expected a value at character 9, found the end",
        ),
    ] {
        check_errors(special, expected);
    }
    assert!(score("cost_limits: {max_cost_per_job: 5}").cost_limits.enabled);
    assert!(!score("cost_limits: {max_cost_per_job: 5, enabled: false}").cost_limits.enabled);
    assert_eq!(score("").pause_between_sheets_seconds, 0);
}

#[test]
fn what_does_not_act_is_named() {
    assert!(inert_keys(&score("parallel: {enabled: true}\ncross_sheet: {}")).is_empty());
    for (special, keys) in [
        (
            "learning: {enabled: true}\nstate_backend: json\nredact_logs: true",
            &["state_backend", "learning"][..],
        ),
        ("learning: {escalation_enabled: true}\nlogging: {level: DEBUG}\nself_healing: {}", &[]),
        ("learning: {enabled: false, exploration_rate: 0.5}", &[]),
        ("learning: {exploration_rate: 0.5}", &["learning"]),
        (
            "circuit_breaker: {cross_workspace_coordination: false}",
            &["circuit_breaker.cross_workspace_coordination", "circuit_breaker.honor_other_jobs_rate_limits"],
        ),
        (
            "on_failure: [{type: run_job, job_path: a.yaml, inherit_learning: false}]",
            &["on_success.*.inherit_learning"],
        ),
        (
            "backend: {type: ollama, ollama: {num_ctx: 8192, max_tool_iterations: 3}}",
            &["backend.ollama.max_tool_iterations"],
        ),
    ] {
        assert_eq!(inert_keys(&score(special)), keys, "{special}");
    }
}

#[test]
fn thousands_of_problems_are_counted() {
    let keys: String = (0..40_000).map(|n| format!("instrment{n}: 1\n")).collect();
    let issues = load_text(&(BASE.to_owned() + &keys)).issues;
    assert_eq!(issues.len(), 501);
    assert_eq!(issues[500].message, "39500 more problems are not shown");
    check_errors(
        &format!("instrument_fallbacks: [{}]", "a, ".repeat(17)),
        "instrument_fallbacks: List should have at most 16 items",
    );
}

/// Every key of the format once; what is wrong in it does not matter.
const EVERYTHING: &str = "
name: x
sheet:
  size: 1
  total_items: 1
  skip_when_command: {1: {}}
  prelude: [{}]
  cadenzas: {1: [{}]}
  per_sheet_instrument_config: {1: {}}
prompt: {}
instrument_config: {}
instruments: {1: {config: {}}}
movements: {1: {instrument_config: {}}}
backend: {sheet_overrides: {1: {}}}
validations: [{}]
preconditions: [{}]
on_success: [{}]
on_failure: [{}]
cross_sheet: {}
notifications: [{}]
grounding: {hooks: [{}]}
checkpoints: {triggers: [{}]}
techniques: {1: {}}
agent_card: {skills: [{}]}
bridge: {mcp_servers: [{}]}
";

fn known_keys() -> BTreeSet<String> {
    let root = yaml::parse(EVERYTHING).unwrap();
    let cx = Cx::new("score field", &[]);
    top::decode(&cx, &root, &Source::default());
    cx.known_keys()
}

/// Keys that are the same at several places are documented at one of them.
fn canonical(key: &str) -> String {
    let same = [
        ("instruments.*.config.", "instrument_config."),
        ("movements.*.instrument_config.", "instrument_config."),
        ("sheet.per_sheet_instrument_config.*.", "instrument_config."),
        ("preconditions.*.", "validations.*."),
        ("on_failure.*.", "on_success.*."),
        ("sheet.cadenzas.*.*.", "sheet.prelude.*."),
    ];
    let moved = same.iter().find_map(|(from, to)| Some(format!("{to}{}", key.strip_prefix(from)?)));
    moved.unwrap_or_else(|| key.to_owned())
}

#[test]
fn every_key_is_in_the_documentation() {
    let keys: BTreeSet<String> = known_keys().iter().map(|key| canonical(key)).collect();
    assert!(keys.len() > 250, "{}", keys.len());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/score-reference.md");
    let text = std::fs::read_to_string(path).unwrap();
    let missing: Vec<&String> = keys.iter().filter(|key| !text.contains(&format!("`{key}`"))).collect();
    assert!(missing.is_empty(), "not in docs/score-reference.md: {missing:#?}");
    let known = |key: &str| keys.contains(key);
    let extra: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(key, _)| key))
        .filter(|key| !known(key) && *key != "x-*")
        .collect();
    assert!(extra.is_empty(), "in docs/score-reference.md, but no key: {extra:#?}");
}

#[test]
fn inert_keys_are_marked_in_the_documentation() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/score-reference.md");
    let text = std::fs::read_to_string(path).unwrap();
    for key in inert::SINGLE_NAMES.iter().chain(inert::SECTIONS.iter()) {
        let line = text.lines().find(|line| line.starts_with(&format!("| `{key}` ")));
        let marked = |line: &str| line.contains("| not yet |") || line.contains("| no |");
        assert!(line.is_some_and(marked), "{key} is not marked as inert");
    }
}

#[test]
fn a_toolkit_for_other_documents() {
    let root = yaml::parse("socket: {path: /s, mod: 1}\nsize: big").unwrap();
    let cx = Cx::new("setting", &[]);
    let mut fields = At::root(&cx, &root).fields().unwrap();
    let path = fields.section("socket", |f| {
        f.int::<u32>("mode", 0..=0o777, 0o600);
        f.text("path", "")
    });
    let size: u32 = fields.int("size", 1..=10, 5);
    fields.finish();
    assert_eq!((path.as_str(), size), ("/s", 5));
    let shown: Vec<String> =
        cx.into_issues().iter().map(|issue| format!("{issue} ({:?})", issue.hint)).collect();
    assert_eq!(
        shown,
        [
            "socket.mod: Extra inputs are not permitted (Some(\"Unknown field 'mod' - did you mean 'mode'?\"))",
            "size: Input should be a valid integer, unable to parse string as an integer (None)",
        ]
    );
}

/// Loads and, if that works, expands; on a stack as small as the smallest thread has.
fn survive(texts: Vec<String>) {
    std::thread::Builder::new()
        .stack_size(256 * 1024)
        .spawn(move || {
            for text in texts {
                let loaded = load_text(&text);
                assert_eq!(loaded.score.is_none(), loaded.issues.iter().any(Issue::is_error), "{text}");
                drop(referenced_files(&text, Path::new("/base")));
                if let Some(score) = loaded.score {
                    drop(inert_keys(&score));
                    if let Ok(plan) = crate::plan::expand(&score, &crate::plan::Overrides::default()) {
                        drop(plan.sheets_json());
                        drop(plan.variables(&score, crate::ids::SheetNo(1)));
                    }
                }
            }
        })
        .unwrap()
        .join()
        .unwrap();
}

const RICH: &str = "
name: rich
instrument: fast
instruments: {fast: {profile: cli, config: {model: a, timeout_seconds: 5}}}
movements: {2: {voices: 3, instrument_fallbacks: [fast]}}
sheet: {size: 1, total_items: 3, dependencies: {2: [1], 3: [2]}, skip_when: {3: 'stage == 2 and not x'}}
prompt: {template: 'a {{ b }}', variables: {b: [1, {2: c}]}}
validations:
  - {type: file_exists, path: '{workspace}/a', condition: 'stage in [1, 2] or instance == 1', stage: 2}
  - {type: content_regex, path: a, pattern: 'a+', sheet: 2}
retry: {max_retries: 1}
cross_sheet: {auto_capture_stdout: yes}
";

#[test]
fn the_rich_score_is_good() {
    let loaded = load_text(RICH);
    assert!(loaded.issues.is_empty(), "{:?}", loaded.issues);
    assert!(crate::plan::expand(&loaded.score.unwrap(), &crate::plan::Overrides::default()).is_ok());
}

/// Cuts a text into words and signs.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    for c in text.chars() {
        match pieces.last_mut() {
            Some(last) if c.is_alphanumeric() && last.ends_with(char::is_alphanumeric) => last.push(c),
            _ => pieces.push(c.to_string()),
        }
    }
    pieces
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        survive(vec![String::from_utf8_lossy(&bytes).into_owned()]);
    }

    #[test]
    fn mutated_scores(changes in proptest::collection::vec((any::<proptest::sample::Index>(), 0..14_usize), 1..6)) {
        let words = ["", "0", "-1", "99999999999", "1.5", "null", "[]", "{}", "[1]", "{1: 2}", "''", "*x", "\n", "true"];
        let mut pieces = pieces(RICH);
        for (index, word) in changes {
            let at = index.index(pieces.len());
            words[word].clone_into(&mut pieces[at]);
        }
        survive(vec![pieces.concat()]);
    }

    #[test]
    fn any_value_for_any_key(key in proptest::sample::select(known_keys().into_iter().collect::<Vec<_>>()), value in 0..12_usize) {
        let values = ["0", "-5", "1e99", "text", "''", "null", "[]", "[[1]]", "{}", "{1: {}}", "{a: [b]}", "yes"];
        let mut text = values[value].to_owned();
        for step in key.split('.').rev() {
            text = if step == "*" { format!("{{1: {text}}}") } else { format!("{{{step}: {text}}}") };
        }
        survive(vec![text.clone(), text.replace("{1: ", "[").replace("}}", "]}")]);
    }
}
