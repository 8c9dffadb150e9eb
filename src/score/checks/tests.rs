//! A minimal score for every code, and what is said about it.
#![allow(clippy::unwrap_used)]

use super::cases::CASES;
use super::*;
use crate::plan::{self, Overrides};
use crate::score::Severity::{self, Error, Info, Warning};
use crate::score::{self, Source};

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

    fn cost(&self, name: &str, config: &score::InstrumentConfig) -> Option<Cost> {
        let unknown = Cost::Unknown { model: config.model.clone(), priced: vec!["large".to_owned()] };
        self.facts(name).map(|_| if name == "cli" { Cost::Known } else { unknown })
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
        "{{ synthesis }}{{ synthesis.split('|')[7].strip() | upper }}{% if 'PASS' in synthesis %}yes{% endif %}",
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
fn every_code_has_its_texts() {
    let own = CHECKS.iter().map(|(code, _)| *code);
    for code in own.chain(CASES.iter().map(|case| case.1)) {
        assert!(CheckCode::parse(code).is_some(), "{code}");
    }
    for (special, code, severity, ..) in CASES {
        let row = CheckCode::parse(code).unwrap();
        assert!(row.severity.contains(&severity.to_string()), "{code} is {severity} in\n{special}");
    }
}

#[test]
fn numbers_are_told_in_runs() {
    assert_eq!(ranges(&[1, 2, 3, 5, 7, 8]), "1-3, 5, 7, 8");
    assert_eq!(sheets(&[4]), "sheet 4");
}
