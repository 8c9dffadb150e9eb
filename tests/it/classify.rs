//! Ends of agents as they happen, with what they printed, through the profiles that are built in.
//!
//! One file per case in `tests/data/classify`: what ended it, what it printed, and the verdict.

use std::fs;
use std::path::Path;

use mozart::classify::{Judgement, Patterns, Seen, Verdict, classify};
use mozart::instrument::{Registry, extract};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    instrument: String,
    #[serde(default)]
    exit: Option<i32>,
    #[serde(default)]
    signal: Option<i32>,
    #[serde(default)]
    killed_by: Option<String>,
    #[serde(default)]
    stdout: String,
    #[serde(default)]
    stderr: String,
    /// `CODE retry|stop|wait SECONDS METHOD` or `success`.
    verdict: String,
    /// A part of the message.
    #[serde(default)]
    message: String,
    /// The whole of the evidence.
    #[serde(default)]
    evidence: Option<String>,
    /// Codes of the further errors.
    #[serde(default)]
    further: Vec<String>,
}

fn judged(case: &Case) -> Judgement {
    let registry = Registry::built_in();
    let profile = registry.get(&case.instrument).expect("an instrument that is built in");
    let success = case.killed_by.is_none() && case.exit == Some(0);
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), &case.stdout).unwrap();
    let extracted = extract(profile, false, success, file.path());
    let now = "2025-11-21T20:00:00Z".parse::<jiff::Timestamp>().unwrap().to_zoned(jiff::tz::TimeZone::UTC);
    let patterns: &Patterns = &profile.patterns;
    classify(&Seen {
        exit_code: case.exit,
        signal: case.signal,
        killed_by: case.killed_by.as_deref(),
        spawn_error: None,
        oom_killed: false,
        stdout_tail: &case.stdout,
        stderr_tail: &case.stderr,
        extracted_error: extracted.error.as_deref(),
        marked: extracted.marked,
        reported: None,
        structured: extracted.structured,
        rate_limit_event: extracted.rate_limit_event.as_deref(),
        patterns,
        score_patterns: &[],
        now: &now,
    })
}

#[test]
fn ends_of_agents() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/classify");
    let mut files: Vec<_> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 20, "only {} cases", files.len());
    let mut wrong = Vec::new();
    for file in files {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let case: Case = serde_yaml::from_str(&fs::read_to_string(&file).unwrap())
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        let found = judged(&case);
        let method = found.method.map(|method| method.to_string()).unwrap_or_default();
        let (verdict, message) = match &found.verdict {
            Verdict::Success => ("success".to_owned(), String::new()),
            Verdict::Failed(failure) => {
                let retry = if failure.retriable { "retry" } else { "stop" };
                let text = format!("{} {retry} {} {method}", failure.code, failure.delay.as_secs());
                (text, failure.message.clone())
            }
            Verdict::RateLimited { code, wait, message } => {
                let wait = wait.map_or(0, |wait| wait.as_secs());
                (format!("{code} wait {wait} {method}"), message.clone())
            }
        };
        let further: Vec<String> = found.further.iter().map(|error| error.code.to_string()).collect();
        let same_proof = case.evidence.is_none() || case.evidence == found.evidence;
        if verdict != case.verdict
            || !message.contains(&case.message)
            || further != case.further
            || !same_proof
        {
            wrong.push(format!(
                "{name}:\n  {verdict}\n  {message}\n  {:?}\n  {further:?}, confidence {}",
                found.evidence, found.confidence
            ));
        }
    }
    assert!(wrong.is_empty(), "other verdicts than expected:\n{}", wrong.join("\n"));
}
