//! The verdict on an attempt that is over: its output read, its end classified, its rules checked.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use regex::Regex;

use crate::classify::{self, ErrorCode, Judgement, PatternList, SpawnError, Verdict, reset};
use crate::exec::{AttemptReport, Evidence, Failure, Outcome};
use crate::executor;
use crate::guard::record::{BY_IDLE, BY_TERM, BY_TIMEOUT, Exit};
use crate::instrument::{self, Extracted};
use crate::process;
use crate::score::DEFAULT_DETECTION_PATTERNS;
use crate::time::Wall;
use crate::util::{redact, text};
use crate::validate::Snapshot;

use super::feedback::feedback;
use super::reports::refusal;
use super::rules::{self, Rules};
use super::run::Seen;
use super::{Attempt, hide};

/// Most bytes of each output stream that are kept in the database, unless the score says less or more.
const TAIL: u64 = 51_200;
/// More than this are never kept there; the live files have everything.
const LONGEST_TAIL: u64 = 1 << 20;
/// A credential that is cut at the start of a tail would escape redaction, so more is read than kept.
const MARGIN: u64 = 4096;
/// Number of the signal that the system ends a program with when memory runs out.
const SIGKILL: i32 = 9;
/// What is left at least of a wait whose text was read late.
const LEAST_WAIT: Duration = Duration::from_secs(1);

impl Attempt<'_> {
    /// What an ended attempt means. Never fails: what cannot be read is remarked.
    pub(super) fn judge(&self, exit: &Exit, rules: &Rules, snapshot: &Snapshot, seen: Seen) -> AttemptReport {
        let Seen { mut warnings, prompt, spent, oom_kills } = seen;
        let stdout = executor::stdout_log(&self.dir);
        let success = exit.killed_by.is_none()
            && exit.spawn_error.is_none()
            && exit.exit_code.is_some_and(|code| self.profile.patterns.success_exit_codes.contains(&code));
        let as_text = self.choice.config.output_format.is_some_and(|format| format.as_str() == "text");
        let extracted = instrument::extract(self.profile, as_text, success, &stdout);
        warnings.extend(extracted.warnings.iter().map(|warning| redact(warning)));
        if let Some(wanted) = self.choice.config.max_output_capture_bytes.filter(|&it| it > LONGEST_TAIL) {
            warnings.push(format!(
                "max_output_capture_bytes: {LONGEST_TAIL} bytes are kept of each stream, not {wanted}; its log file has \
                 the rest"
            ));
        }
        let mut evidence = self.evidence(exit);
        (evidence.prompt, evidence.warnings) = (prompt, warnings);
        if exit.spawn_error.is_none() {
            let chars = extracted.result.chars().count() as u64;
            let printed = if extracted.structured { chars } else { exit.stdout.bytes };
            self.spend(&extracted.usage, printed, &mut evidence);
        }
        let score = &self.prepared.score;
        evidence.feedback =
            feedback(&score.feedback, &extracted.result, &evidence.stdout_tail, &mut evidence.warnings);
        let outcome = match spent {
            Some(why) if exit.killed_by.as_deref() == Some(BY_TERM) => {
                evidence.error_method = classify::Method::Record.to_string();
                Outcome::Failed(refusal(ErrorCode::E007, why))
            }
            _ if exit.killed_by.as_deref() == Some(BY_TERM) => Outcome::Ended,
            _ => {
                let killed = exit.signal == Some(SIGKILL) || exit.exit_code == Some(128 + SIGKILL);
                let starved =
                    killed && oom_kills.zip(process::oom_kills()).is_some_and(|(before, now)| now > before);
                let judgement = self.classify(exit, &extracted, &evidence, starved);
                self.outcome(judgement, &extracted, rules, snapshot, &mut evidence)
            }
        };
        if score.redact_logs {
            self.hide_credentials(&mut evidence.warnings);
        }
        AttemptReport { outcome, evidence }
    }

    /// What the record of an attempt and its files say.
    fn evidence(&self, exit: &Exit) -> Evidence {
        let keep = self.choice.config.max_output_capture_bytes.unwrap_or(TAIL).min(LONGEST_TAIL);
        Evidence {
            scripted: self.profile.raw_prompt,
            exit_code: exit.exit_code,
            exit_signal: exit.signal,
            killed_by: exit.killed_by.clone(),
            started: Some(exit.started),
            ended: Some(exit.ended),
            duration_seconds: seconds(exit.duration_ms),
            cpu_seconds: seconds(exit.cpu_user_ms + exit.cpu_system_ms),
            max_rss_kib: exit.max_rss_kib,
            stdout_tail: tail(&executor::stdout_log(&self.dir), keep),
            stderr_tail: tail(&executor::stderr_log(&self.dir), keep),
            stdout_bytes: exit.stdout.bytes,
            stderr_bytes: exit.stderr.bytes,
            directory: self.dir.display().to_string().into(),
            ..Evidence::default()
        }
    }

    fn outcome(
        &self,
        judgement: Judgement,
        extracted: &Extracted,
        rules: &Rules,
        snapshot: &Snapshot,
        evidence: &mut Evidence,
    ) -> Outcome {
        let Judgement { verdict, method, confidence, evidence: proof, further } = judgement;
        evidence.error_method = method.map(|method| method.to_string()).unwrap_or_default();
        evidence.error_confidence = if method.is_some() { confidence } else { 0.0 };
        evidence.error_evidence = proof.map(|text| redact(&text));
        evidence.further_errors = further;
        match verdict {
            Verdict::Success => {
                self.keep_result(&extracted.result);
                self.check(rules, snapshot, evidence);
                self.unless_cut_off(evidence, |evidence| rules::ran(&evidence.validations))
            }
            Verdict::Failed(failure) => self.failed(failure, extracted, rules, snapshot, evidence),
            Verdict::RateLimited { code, wait, message } => {
                if wait == Some(reset::MAX_WAIT) {
                    evidence
                        .warnings
                        .push("the limit ends in a day or later: tried again after a day".to_owned());
                }
                // The text was read as of the end of the program, which may have been under another conductor.
                let now = Wall(Timestamp::now().as_millisecond());
                let wait = wait.map(|wait| still(wait, evidence.ended, now));
                Outcome::RateLimited { code, wait, message: redact(&message) }
            }
        }
    }

    /// Checks what must be true after the sheet.
    pub(super) fn check(&self, rules: &Rules, snapshot: &Snapshot, evidence: &mut Evidence) {
        evidence.validations = rules.check(self, snapshot);
        self.ground(evidence);
    }

    /// Ended, when the rules were not given their time.
    pub(super) fn unless_cut_off(
        &self,
        evidence: &Evidence,
        outcome: impl FnOnce(&Evidence) -> Outcome,
    ) -> Outcome {
        if self.control.is_cancelled() && evidence.validations.iter().any(|result| !result.passed) {
            return Outcome::Ended;
        }
        outcome(evidence)
    }

    /// A program that failed may have done its work all the same, where the score says that this counts.
    fn failed(
        &self,
        mut failure: Failure,
        extracted: &Extracted,
        rules: &Rules,
        snapshot: &Snapshot,
        evidence: &mut Evidence,
    ) -> Outcome {
        failure.message = redact(&failure.message);
        match (failure.code, evidence.killed_by.as_deref()) {
            (ErrorCode::E502, _) => failure.message = self.refused_login(&failure.message),
            (_, Some(BY_TIMEOUT)) => failure.message = self.timed_out(),
            (_, Some(BY_IDLE)) => failure.message = self.fell_silent(),
            _ => {}
        }
        let ran = evidence.exit_code.is_some() || evidence.exit_signal.is_some();
        if !self.prepared.score.retry.accept_if_validated || !ran || rules.is_empty() {
            return Outcome::Failed(failure);
        }
        self.check(rules, snapshot, evidence);
        self.unless_cut_off(evidence, |evidence| match rules::ran(&evidence.validations) {
            Outcome::Ran { passed, executed, total } if passed == total && total > 0 => {
                self.keep_result(&extracted.result);
                Outcome::Accepted { failure, executed }
            }
            _ => Outcome::Failed(failure),
        })
    }

    /// Who refused, in what words, and how to log in.
    fn refused_login(&self, said: &str) -> String {
        let name = &self.profile.name;
        let Some(command) = &self.profile.command else { return format!("instrument `{name}`: {said}") };
        let keys: Vec<&str> = command
            .required_env
            .iter()
            .flatten()
            .map(String::as_str)
            .filter(|name| name.ends_with("KEY") || name.ends_with("TOKEN"))
            .take(2)
            .collect();
        let or_set = if keys.is_empty() {
            String::new()
        } else {
            format!(", or set {} for the conductor and restart it", keys.join(" or "))
        };
        format!(
            "instrument `{name}` was refused its login: {said}; log in by running `{}` once{or_set}",
            command.executable
        )
    }

    /// After how long, and which key says so.
    fn timed_out(&self) -> String {
        let name = &self.profile.name;
        match self.choice.config.timeout_seconds {
            Some(seconds) => format!(
                "ended after its timeout of {seconds} s: raise `timeout_seconds` of `instrument_config` (or of the sheet's `timeout_overrides`) or split the sheet"
            ),
            None => format!(
                "ended after its timeout of {} s, the default of instrument `{name}`: set `instrument_config.timeout_seconds` or split the sheet",
                self.profile.default_timeout.as_secs_f64()
            ),
        }
    }

    fn fell_silent(&self) -> String {
        format!(
            "ended because it printed nothing for {} s: raise `stale_detection.idle_timeout_seconds` if it works in silence",
            self.prepared.score.stale_detection.idle_timeout_seconds
        )
    }

    fn hide_credentials(&self, warnings: &mut Vec<String>) {
        for path in [executor::stdout_log(&self.dir), executor::stderr_log(&self.dir)] {
            if let Err(error) = hide::credentials(&path) {
                let path = path.display();
                warnings.push(format!("redact_logs: {path} keeps what was printed: {error}"));
                log::warn!(
                    "attempt.not_redacted attempt={} path={:?} error={:?}",
                    self.key,
                    path.to_string(),
                    error.to_string()
                );
            }
        }
    }

    fn classify(
        &self,
        exit: &Exit,
        extracted: &Extracted,
        evidence: &Evidence,
        oom_killed: bool,
    ) -> Judgement {
        let spawn_error = exit.spawn_error.as_ref().map(|error| SpawnError {
            call: &error.call,
            errno: error.errno,
            message: &error.message,
        });
        classify::classify(&classify::Seen {
            exit_code: exit.exit_code,
            signal: exit.signal,
            killed_by: exit.killed_by.as_deref(),
            spawn_error,
            oom_killed,
            stdout_tail: &evidence.stdout_tail,
            stderr_tail: &evidence.stderr_tail,
            extracted_error: extracted.error.as_deref(),
            marked: extracted.marked,
            reported: extracted.code,
            structured: extracted.structured,
            rate_limit_event: extracted.rate_limit_event.as_deref(),
            patterns: &self.profile.patterns,
            score_patterns: self.limit_patterns(),
            now: &local(exit.ended),
        })
    }

    /// The score's own patterns; the usual ones only when neither score nor profile has any.
    fn limit_patterns(&self) -> &[Regex] {
        static USUAL: LazyLock<PatternList> = LazyLock::new(|| {
            PatternList::new(DEFAULT_DETECTION_PATTERNS.iter().map(|text| (*text).to_owned()).collect())
        });
        let own = self.prepared.score.rate_limit.detection_patterns.is_some();
        if !own && self.profile.patterns.rate_limit.is_empty() {
            &USUAL
        } else {
            &self.prepared.limit_patterns
        }
    }
}

/// A moment by the clock on this machine's wall.
fn local(moment: Wall) -> Zoned {
    let stamp = Timestamp::from_millisecond(moment.0).unwrap_or_else(|_| Timestamp::now());
    stamp.to_zoned(TimeZone::system())
}

/// What is left of a wait that began when the program ended.
fn still(wait: Duration, ended: Option<Wall>, now: Wall) -> Duration {
    let passed = ended.map_or(Duration::ZERO, |ended| now.since(ended));
    wait.saturating_sub(passed).max(LEAST_WAIT.min(wait))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_counts_from_the_end_of_the_program() {
        let seconds = Duration::from_secs;
        let left = |ended| still(seconds(600), ended, Wall(1_000_000)).as_secs();
        assert_eq!(left(None), 600);
        assert_eq!(left(Some(Wall(1_000_000))), 600);
        assert_eq!(left(Some(Wall(900_000))), 500);
        assert_eq!(left(Some(Wall(0))), 1, "it is over");
        assert_eq!(left(Some(Wall(2_000_000))), 600, "the clock was set back");
    }

    // Invariant I59
    #[test]
    fn what_is_kept_of_output_holds_no_credential_wherever_it_begins() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("stdout.log");
        let secret = "sk-ant-api03-abcdefghijklmnop";
        std::fs::write(&path, format!("before {secret} after")).expect("a file");
        for keep in 0..60 {
            let kept = tail(&path, keep);
            assert!(!kept.contains("abcdefghijkl") && !kept.contains("sk-ant"), "{keep}: {kept}");
            assert!(kept.len() as u64 <= keep, "{keep}: {kept}");
        }
        assert_eq!(tail(&path, 1000), "before [REDACTED_ANTHROPIC_KEY] after");
        assert_eq!(tail(&dir.path().join("none"), 9), "");
    }
}
