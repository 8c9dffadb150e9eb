//! The verdict on an attempt that is over: its output read, its end classified, its rules checked.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use jiff::Zoned;
use regex::Regex;

use crate::classify::{self, Seen, SpawnError, Verdict};
use crate::exec::{AttemptReport, Evidence, Outcome};
use crate::executor;
use crate::guard::record::{BY_TERM, Exit};
use crate::instrument::{self, Extracted};
use crate::score::{DEFAULT_DETECTION_PATTERNS, pattern};
use crate::util::{redact, text};
use crate::validate::{self, Snapshot};

use super::Attempt;
use super::rules::Rules;

/// Most bytes of each output stream that are kept in the database, unless the score says less or more.
const TAIL: u64 = 51_200;
/// A credential that is cut at the start of a tail would escape redaction, so more is read than kept.
const MARGIN: u64 = 4096;

impl Attempt<'_> {
    /// What an ended attempt means. Never fails: what cannot be read is remarked.
    pub(super) fn judge(
        &self,
        exit: &Exit,
        rules: &Rules,
        snapshot: &Snapshot,
        mut warnings: Vec<String>,
    ) -> AttemptReport {
        let keep = self.choice.config.max_output_capture_bytes.unwrap_or(TAIL).min(TAIL);
        let stdout = executor::stdout_log(&self.dir);
        let stderr = executor::stderr_log(&self.dir);
        let success = exit.killed_by.is_none()
            && exit.spawn_error.is_none()
            && exit.exit_code.is_some_and(|code| self.profile.patterns.success_exit_codes.contains(&code));
        let as_text = self.choice.config.output_format.is_some_and(|format| format.as_str() == "text");
        let extracted = instrument::extract(self.profile, as_text, success, &stdout);
        warnings.extend(extracted.warnings.iter().map(|warning| redact(warning)));
        let mut evidence = Evidence {
            exit_code: exit.exit_code,
            exit_signal: exit.signal,
            killed_by: exit.killed_by.clone(),
            started: Some(exit.started),
            ended: Some(exit.ended),
            duration_seconds: seconds(exit.duration_ms),
            cpu_seconds: seconds(exit.cpu_user_ms + exit.cpu_system_ms),
            max_rss_kib: exit.max_rss_kib,
            stdout_tail: tail(&stdout, keep),
            stderr_tail: tail(&stderr, keep),
            stdout_bytes: exit.stdout.bytes,
            stderr_bytes: exit.stderr.bytes,
            directory: self.dir.display().to_string(),
            input_tokens: extracted.input_tokens,
            output_tokens: extracted.output_tokens,
            warnings,
            ..Evidence::default()
        };
        if exit.killed_by.as_deref() == Some(BY_TERM) {
            return AttemptReport { outcome: Outcome::Ended, evidence };
        }
        let verdict = if success { Verdict::Success } else { self.classify(exit, &extracted, &evidence) };
        let outcome = match verdict {
            Verdict::Success => {
                self.keep_result(&extracted.result);
                self.validate(rules, snapshot, &mut evidence)
            }
            Verdict::Failed(mut failure) => {
                failure.message = redact(&failure.message);
                Outcome::Failed(failure)
            }
            Verdict::RateLimited { code, wait, message } => {
                Outcome::RateLimited { code, wait, message: redact(&message) }
            }
        };
        AttemptReport { outcome, evidence }
    }

    fn validate(&self, rules: &Rules, snapshot: &Snapshot, evidence: &mut Evidence) -> Outcome {
        let mut results = rules.check(self, snapshot);
        if self.control.is_cancelled() && results.iter().any(|result| !result.passed) {
            // The rules were not given their time.
            return Outcome::Ended;
        }
        for result in &mut results {
            for text in [&mut result.failure_reason, &mut result.output].into_iter().flatten() {
                *text = redact(text);
            }
        }
        let (passed, executed) = validate::count(&results);
        let total = u32::try_from(results.len()).unwrap_or(u32::MAX);
        evidence.validations = results;
        Outcome::Ran { passed, executed, total }
    }

    fn classify(&self, exit: &Exit, extracted: &Extracted, evidence: &Evidence) -> Verdict {
        let score_patterns = self.limit_patterns();
        let spawn_error = exit.spawn_error.as_ref().map(|error| SpawnError {
            call: &error.call,
            errno: error.errno,
            message: &error.message,
        });
        classify::classify(&Seen {
            exit_code: exit.exit_code,
            signal: exit.signal,
            killed_by: exit.killed_by.as_deref(),
            spawn_error,
            oom_killed: false,
            stdout_tail: &evidence.stdout_tail,
            stderr_tail: &evidence.stderr_tail,
            extracted_error: extracted.error.as_deref(),
            structured: extracted.structured,
            rate_limit_event: extracted.rate_limit_event.as_deref(),
            patterns: &self.profile.patterns,
            score_patterns: &score_patterns,
            now: &Zoned::now(),
        })
    }

    /// The score's own patterns; the usual ones only when neither score nor profile has any.
    fn limit_patterns(&self) -> Vec<Regex> {
        let usual = || DEFAULT_DETECTION_PATTERNS.iter().map(|text| (*text).to_owned()).collect();
        let texts: Vec<String> = match &self.prepared.score.rate_limit.detection_patterns {
            Some(own) => own.clone(),
            None if self.profile.patterns.rate_limit.is_empty() => usual(),
            None => Vec::new(),
        };
        texts.iter().filter_map(|text| pattern::compile_caseless(text).ok()).collect()
    }
}

fn seconds(millis: u64) -> f64 {
    Duration::from_millis(millis).as_secs_f64()
}

/// The end of a file as text, redacted. A file that is not there is empty output.
fn tail(path: &Path, keep: u64) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = crate::file::open(path)?;
        let size = file.metadata()?.len();
        file.seek(SeekFrom::Start(size.saturating_sub(keep + MARGIN)))?;
        let mut bytes = Vec::new();
        file.take(keep + MARGIN).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().unwrap_or_default();
    let clean = redact(&String::from_utf8_lossy(&bytes).replace('\0', ""));
    text::tail(clean.as_bytes(), usize::try_from(keep).unwrap_or(usize::MAX))
}
