//! A minimal score for every code, and what is said about it.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::plan::{self, Overrides};
use crate::score::{self, Severity, Source};

/// A few instruments with and without abilities.
struct Some3;

impl Instruments for Some3 {
    fn facts(&self, name: &str) -> Option<Facts> {
        let asks = match name {
            "claude-code" => true,
            "cli" | "gemini-cli" => false,
            _ => return None,
        };
        Some(Facts { asks, tool_servers: asks, takes_tool_servers: asks, over_http: name == "gemini-cli" })
    }

    fn names(&self) -> Vec<String> {
        ["claude-code", "cli", "gemini-cli"].map(str::to_owned).to_vec()
    }
}

/// A score without any remark, one line a key.
const BASE: &str = "name: x\ninstrument: cli\nsheet: {size: 1, total_items: 3}\nprompt: {template: hi}\n\
    validations: [{type: file_modified, path: \"{workspace}/{sheet_num}\"}]\n";

/// The base with other top-level keys, which stand first, so that their lines are known.
fn with(special: &str) -> String {
    let key = |line: &str| line.split_once(':').map(|(key, _)| key.to_owned());
    let keys: Vec<Option<String>> = special.lines().map(key).collect();
    let base = BASE.lines().filter(|line| !keys.contains(&key(line)));
    special.lines().chain(base).fold(String::new(), |text, line| text + line + "\n")
}

fn issues_of(text: &str, path: Option<&str>) -> Vec<Issue> {
    let source = Source {
        text: text.to_owned(),
        base: "/base".into(),
        path: path.map(Into::into),
        ..Source::default()
    };
    let inspected = score::inspect(&source);
    let mut issues = inspected.issues;
    if let (Some(score), Some(document)) = (&inspected.score, &inspected.document) {
        match plan::expand(score, &Overrides::default()) {
            Ok(plan) => {
                let subject = Subject { source: &source, document, score, plan: &plan, instruments: &Some3 };
                issues.extend(plan.warnings.clone());
                issues.extend(run(&subject).issues);
            }
            Err(more) => issues.extend(more),
        }
    }
    issues
}

/// The lines of the special part, the code, its severity, the place, and words of the message and of the hint.
type Case = (&'static str, &'static str, Severity, (u32, u32), &'static str, &'static str);

use Severity::{Error, Info, Warning};

const CASES: &[Case] = &[
    (
        "prompt:\n  template: |\n    a\n    {{ x",
        "V001",
        Error,
        (4, 5),
        "Jinja syntax error in prompt.template",
        "close",
    ),
    ("prompt: {template: \"{% if stage %}\"}", "V001", Error, (1, 20), "Jinja syntax error", "close"),
    (
        "validations: [{type: content_regex, path: a, pattern: \"a(\"}]",
        "V007",
        Error,
        (1, 55),
        "unclosed group at position 1",
        "`(`",
    ),
    ("rate_limit: {detection_patterns: [ok, \"*\"]}", "V007", Error, (1, 39), "repetition", "repeat"),
    (
        "validations: [{type: command_succeeds, command: \" \"}]",
        "V008",
        Error,
        (1, 49),
        "Validation rule 1 (command_succeeds) missing required fields: command",
        "value",
    ),
    (
        "prompt:\n  variables: {theme: dark}\n  template: |\n    {% if 1 > 2 %}{{ theem }}{% endif %}",
        "V101",
        Warning,
        (4, 22),
        "Undefined variable 'theem' in prompt.template",
        "Did you mean 'theme'?",
    ),
    (
        "prompt: {template: \"{% if stage > 9 %}{{ zzz }}{% endif %}\"}",
        "V101",
        Warning,
        (1, 42),
        "'zzz'",
        "prompt.variables",
    ),
    ("instrument_config: {timeout_seconds: 5}", "V103", Warning, (1, 38), "Very short timeout (5s)", "60"),
    (
        "instrument_config: {timeout_overrides: {2: 9000}}",
        "V104",
        Info,
        (1, 44),
        "Very long timeout of sheet 2 (9000s = 2.5h)",
        "split",
    ),
    (
        "validations: [{type: content_contains, path: a, pattern: \"\"}]",
        "V106",
        Error,
        (1, 58),
        "Empty pattern in validation rule 1",
        "text",
    ),
    (
        "validations: [{type: content_contains, path: a, pattern: \"  \"}]",
        "V106",
        Warning,
        (1, 58),
        "Empty pattern in validation rule 1",
        "text",
    ),
    (
        "validations: [{type: file_modified, path: \"{{ workspace }}/a\"}]",
        "V201",
        Warning,
        (1, 43),
        "uses Jinja syntax in path",
        "{workspace}",
    ),
    (
        "prompt:\n  template: |\n    write to {workspace}/x",
        "V202",
        Warning,
        (3, 14),
        "'{workspace}'",
        "{{ workspace }}",
    ),
    ("validations: []", "V203", Warning, (1, 1), "No validation rules configured", "file_exists"),
    (
        "instrument: claude-code\ninstrument_config: {skip_permissions: false}",
        "V204",
        Warning,
        (2, 39),
        "will hang waiting for permission",
        "true",
    ),
    (
        "validations: [{type: file_exists, path: \"{workspace}/{sheet_num}\"}]",
        "V205",
        Info,
        (1, 1),
        "stale files",
        "file_modified",
    ),
    (
        "sheet: {size: 1, total_items: 3, fan_out: {2: 2}}",
        "V206",
        Info,
        (1, 34),
        "without dependencies",
        "dependencies",
    ),
    (
        "sheet: {size: 1, total_items: 3, fan_out: {2: 2}, dependencies: {2: [1]}}",
        "V207",
        Info,
        (1, 34),
        "parallel.enabled",
        "enabled: true",
    ),
    (
        "prompt: {template: hi, variables: {stage: 1}}",
        "V208",
        Warning,
        (1, 36),
        "Variable 'stage' shadows",
        "rename",
    ),
    (
        "instrument: claude-code\ninstrument_config: {disable_mcp: false}",
        "V209",
        Info,
        (2, 34),
        "may deadlock",
        "true",
    ),
    (
        "instrument: clii",
        "V210",
        Warning,
        (1, 13),
        "Unknown score-level instrument: 'clii' not found in instrument registry",
        "Did you mean 'cli'?",
    ),
    (
        "sheet: {size: 1, total_items: 3, per_sheet_instruments: {2: zzz}}",
        "V210",
        Warning,
        (1, 61),
        "sheet 2 instrument: 'zzz'",
        "known are claude-code, cli",
    ),
    (
        "sheet: {size: 1, total_items: 3, instrument_map: {zzz: [2]}}",
        "V210",
        Warning,
        (1, 51),
        "'zzz'",
        "known are",
    ),
    (
        "movements: {2: {instrument: zzz}}",
        "V210",
        Warning,
        (1, 29),
        "movement 2 instrument: 'zzz'",
        "known are",
    ),
    ("instruments: {fast: {profile: zzz}}", "V210", Warning, (1, 31), "alias 'fast': 'zzz'", "known are"),
    (
        "instrument_fallbacks: [cli, zzz]",
        "V211",
        Warning,
        (1, 29),
        "score-level instrument_fallbacks: 'zzz'",
        "known are",
    ),
    (
        "movements: {2: {instrument_fallbacks: [zzz]}}",
        "V211",
        Warning,
        (1, 40),
        "movement 2 instrument_fallbacks: 'zzz'",
        "known are",
    ),
    (
        "sheet: {size: 1, total_items: 3, per_sheet_fallbacks: {2: [zzz]}}",
        "V211",
        Warning,
        (1, 60),
        "sheet 2 fallbacks: 'zzz'",
        "known are",
    ),
    (
        "sheet: {size: 1, total_items: 3, skip_when: {9: \"stage == 1\"}}",
        "V212",
        Warning,
        (1, 46),
        "skip_when key 9 is out of range (valid: 1-3)",
        "1-3",
    ),
    (
        "validations: [{type: file_modified, path: a, condition: \"stage ==\"}]",
        "V213",
        Error,
        (1, 57),
        "cannot parse condition",
        "stage == 2",
    ),
    (
        "validations: [{type: file_modified, path: a, condition: \"stge == 1\"}]",
        "V213",
        Warning,
        (1, 58),
        "Unknown variable 'stge' in condition",
        "Did you mean 'stage'?",
    ),
    (
        "sheet: {size: 1, total_items: 3, skip_when: {2: \"jobs.status == 1\"}}",
        "V213",
        Warning,
        (1, 50),
        "Unknown variable 'jobs'",
        "Did you mean 'job'?",
    ),
    (
        "validations: [{type: file_modified, path: \"{workspce}/a\"}]",
        "V214",
        Error,
        (1, 44),
        "unknown placeholder {workspce} in path",
        "Did you mean '{workspace}'?",
    ),
    (
        "validations: [{type: command_succeeds, command: a, working_directory: \"{zzz}\"}]",
        "V214",
        Error,
        (1, 72),
        "unknown placeholder {zzz} in working_directory",
        "{sheet_num}",
    ),
    (
        "validations: [{type: file_modified, path: \"{}\"}]",
        "V214",
        Error,
        (1, 44),
        "Use named placeholders",
        "twice",
    ),
    (
        "validations: [{type: file_modified, path: a, condition: \"stage == 9\"}]",
        "V215",
        Warning,
        (1, 57),
        "never applies: no sheet satisfies `stage == 9`",
        "3 sheets",
    ),
    (
        "validations: [{type: file_modified, path: a, sheet: 9}]",
        "V215",
        Warning,
        (1, 53),
        "sheet 9 is out of range (valid: 1-3)",
        "3 sheets",
    ),
    ("workspace: \"[CHANGE THIS to your project]\"", "V216", Warning, (1, 12), "never filled in", "path"),
    (
        "instrument_config: {working_directory: /path/to/repo}",
        "V216",
        Warning,
        (1, 40),
        "/path/to/repo",
        "path",
    ),
    (
        "prompt:\n  variables: {theme: dark}\n  template: |\n    a\n    {{ theme }}{{ thme }}",
        "V217",
        Error,
        (5, 19),
        "Template does not render for sheets 1-3: `thme` is undefined",
        "Did you mean 'theme'?",
    ),
    (
        "prompt:\n  template: |\n    {% if stage == 2 %}{{ [1][5] }}{% endif %}",
        "V217",
        Error,
        (3, 5),
        "for sheet 2:",
        "prompt.variables",
    ),
    (
        "parallel: {enabled: true}\nsheet: {size: 1, total_items: 2, fan_out: {2: 3}, dependencies: {2: [1]}}\nvalidations: [{type: file_modified, path: \"{workspace}/a\"}]",
        "V218",
        Warning,
        (3, 43),
        "Sheets 2-4 may run at the same time and share /base/workspace/a",
        "{instance}",
    ),
    (
        "validations: [{type: file_modified, path: a, condition: \"stage < 3\"}]",
        "V219",
        Info,
        (1, 1),
        "No validation rule applies to sheet 3",
        "add a rule",
    ),
    ("instrument_config: {tiemout_seconds: 900}", "V221", Warning, (1, 21), "unknown key", "timeout_seconds"),
    (
        "sheet: {size: 1, total_items: 3, fan_out: {2: 3}, descriptions: {3: b, 5: c}}",
        "V222",
        Info,
        (1, 51),
        "3 = stage 2 instance 2, 5 = stage 3",
        "differ",
    ),
    (
        "sheet: {size: 1, total_items: 3, descriptions: {9: x}}",
        "V223",
        Warning,
        (1, 49),
        "sheet.descriptions key 9 is out of range (valid: 1-3)",
        "3 sheets",
    ),
    (
        "sheet: {size: 1, total_items: 3, instrument_map: {cli: [1, 9]}}",
        "V223",
        Warning,
        (1, 60),
        "sheet.instrument_map key 9",
        "3 sheets",
    ),
    (
        "techniques: {t: {kind: mcp, phases: [all]}}",
        "V302",
        Warning,
        (1, 14),
        "MCP techniques (t) declared but instrument 'cli' has no mcp_config_flag",
        "mcp_config_flag",
    ),
];

#[test]
fn every_code_is_found_at_its_place_with_advice() {
    let mut wrong = Vec::new();
    for (special, code, severity, place, message, hint) in CASES {
        let issues = issues_of(&with(special), None);
        let fits = |issue: &&Issue| {
            issue.code == *code
                && issue.severity == *severity
                && (issue.line, issue.column) == (Some(place.0), Some(place.1))
                && issue.message.contains(message)
                && issue.hint.as_deref().is_some_and(|text| text.contains(hint))
        };
        if issues.iter().filter(fits).count() != 1 {
            let found: Vec<String> = issues
                .iter()
                .map(|issue| {
                    let (line, column) = (issue.line.unwrap_or(0), issue.column.unwrap_or(0));
                    format!(
                        "    {} {:?} {line}:{column} {} | {:?}",
                        issue.code, issue.severity, issue.message, issue.hint
                    )
                })
                .collect();
            wrong.push(format!("{code} {severity:?} {place:?} in\n{special}\n{}", found.join("\n")));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), CASES.len(), wrong.join("\n"));
}

#[test]
fn a_good_score_gives_no_issue() {
    assert_eq!(issues_of(BASE, None), []);
}

#[test]
fn v230_tells_everything_in_one_line() {
    let special = "isolation: {enabled: true}\nlearning: {enabled: true}";
    let inert = crate::score::inert_keys(
        &score::inspect(&Source { text: with(special), ..Source::default() }).score.unwrap(),
    );
    let found: Vec<Issue> =
        issues_of(&with(special), None).into_iter().filter(|issue| issue.code == "V230").collect();
    assert_eq!(found.len(), usize::from(!inert.is_empty()));
    for issue in found {
        assert_eq!(issue.severity, Info);
        assert!(inert.iter().all(|key| issue.message.contains(key)) && !issue.message.contains('\n'));
    }
}

#[test]
fn v009_compares_the_name_of_the_file() {
    let text = with("name: evolution-v2\n# evolved from v2\nx-note: see v2.0");
    let found: Vec<(Severity, Option<u32>)> = issues_of(&text, Some("/base/evolution-v3.yaml"))
        .into_iter()
        .filter(|issue| issue.code == "V009")
        .map(|issue| (issue.severity, issue.line))
        .collect();
    assert_eq!(found, [(Error, Some(1)), (Warning, Some(3))]);
    assert!(issues_of(&text, Some("/base/evolution-v4.yaml")).iter().all(|issue| issue.code != "V009"));
    assert!(issues_of(&text, Some("/base/evolution.yaml")).iter().all(|issue| issue.code != "V009"));
}

#[test]
fn earlier_outputs_are_present_and_unknown() {
    for template in [
        "{{ previous_outputs[1] }}",
        "{% for n, text in previous_outputs.items() %}{{ n }}{{ text | truncate(9) }}{% endfor %}",
        "{{ previous_outputs[1].split('|')[7].strip() | upper }}",
        "{{ previous_outputs.get(3, '')[:9] }}{% for path, text in previous_files.items() %}{{ path }}{% endfor %}",
        "{% if 'PASS' in previous_outputs[2] %}yes{% endif %}{{ skipped_upstream | length }}",
        "{{ zzz | default('none') }}{% if other is defined %}{{ other }}{% endif %}",
    ] {
        let text = with(&format!("prompt:\n  template: |\n    {template}"));
        let found: Vec<String> = issues_of(&text, None).iter().map(ToString::to_string).collect();
        assert_eq!(found, [""; 0], "{template}");
    }
}

#[test]
fn a_check_that_crashes_is_an_issue() {
    let source = Source { text: BASE.to_owned(), ..Source::default() };
    let inspected = score::inspect(&source);
    let (score, document) = (inspected.score.unwrap(), inspected.document.unwrap());
    let plan = plan::expand(&score, &Overrides::default()).unwrap();
    let subject =
        Subject { source: &source, document: &document, score: &score, plan: &plan, instruments: &Some3 };
    let mut report = Report::default();
    run_more(&subject, &[("V999", |_, _| panic!("ouch"))], &mut report);
    assert_eq!(report.issues[0].to_string(), "Check V999 failed to execute: ouch");
    assert!(report.issues[0].is_error());
}

#[test]
fn the_documentation_lists_every_code() {
    let text = include_str!("../../../docs/checks.md");
    let own = CHECKS.iter().map(|(code, _)| *code);
    for code in own
        .chain(CASES.iter().map(|case| case.1))
        .chain(["V002", "V003", "V004", "V005", "V107", "V108", "V301"])
    {
        assert!(text.contains(&format!("| {code} |")), "{code}");
    }
}

#[test]
fn numbers_are_told_in_runs() {
    assert_eq!(ranges(&[1, 2, 3, 5, 7, 8]), "1-3, 5, 7, 8");
    assert_eq!(sheets(&[4]), "sheet 4");
}
