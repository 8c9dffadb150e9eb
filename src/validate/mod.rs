//! Runs the validation rules of a sheet: is the file there, was it changed, does it say this, does the command succeed?
//!
//! Not here: which rules apply (`plan`), starting commands (handed in: they run under a guard).
//!
//! Invariants: one result per rule, in the order of the rules; a rule that cannot be checked has failed and
//! never stops the others; nothing here sleeps by itself or reads more than 64 MiB.

mod checks;
mod rule;
mod snapshot;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::{Duration, Instant};

pub use rule::{Command, CommandEnd, broken, expand_path, shell};
pub use snapshot::Snapshot;

use crate::exec::RuleResult;
use crate::score::{Rule, RuleKind};
use crate::template::Vars;
use crate::util::redact;
use checks::Finding;

/// What the rules of one attempt are checked against.
#[derive(Debug, Clone, Copy)]
pub struct Check<'a> {
    /// Rules that apply to the sheet.
    pub rules: &'a [Rule],
    /// For placeholders.
    pub vars: &'a Vars,
    /// Absolute path; relative paths of rules start here.
    pub workspace: &'a Path,
    /// Taken before the attempt.
    pub snapshot: &'a Snapshot,
    /// Absolute path of the shell for commands, see [`shell`].
    pub shell: &'a str,
}

/// Checks all rules, stage by stage: when a rule of a stage fails, the rules of later stages are skipped.
///
/// `run` runs a command to its end. `wait` sleeps between repeated checks and returns false when the
/// attempt was cancelled meanwhile; what is left is then skipped.
pub fn check(
    given: &Check<'_>,
    run: &dyn Fn(&Command) -> CommandEnd,
    wait: &dyn Fn(Duration) -> bool,
) -> Vec<RuleResult> {
    let mut results: Vec<RuleResult> = given.rules.iter().map(|rule| blank(rule, given)).collect();
    let mut stages: Vec<u8> = given.rules.iter().map(|rule| rule.stage).collect();
    stages.sort_unstable();
    stages.dedup();
    let mut stop: Option<String> = None;
    for stage in stages {
        let mut failed = false;
        for (rule, result) in given.rules.iter().zip(&mut results).filter(|(rule, _)| rule.stage == stage) {
            if let Some(reason) = &stop {
                skip(result, reason);
                continue;
            }
            let started = Instant::now();
            let (finding, cancelled) = repeated(rule, given, run, wait);
            failed |= finding.is_err();
            record(result, finding, started.elapsed());
            if cancelled {
                stop = Some("Skipped: the attempt was cancelled".to_owned());
            }
        }
        if failed && stop.is_none() {
            stop = Some(format!("Skipped: Stage {stage} failed"));
        }
    }
    results
}

/// How many rules passed, and how many were executed (the others were skipped).
#[must_use]
pub fn count(results: &[RuleResult]) -> (u32, u32) {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let skipped = results.iter().filter(|rule| rule.failure_category.as_deref() == Some("skipped")).count();
    (number(results.iter().filter(|rule| rule.passed).count()), number(results.len() - skipped))
}

/// Checks a rule until it passes or its repetitions are used up; says whether the attempt was cancelled.
fn repeated(
    rule: &Rule,
    given: &Check<'_>,
    run: &dyn Fn(&Command) -> CommandEnd,
    wait: &dyn Fn(Duration) -> bool,
) -> (Result<Option<String>, Finding>, bool) {
    let mut left = rule.retry_count;
    loop {
        match checks::once(rule, given, run) {
            Err(finding) if finding.may_pass_later && left > 0 => {
                left -= 1;
                if !wait(Duration::from_millis(u64::from(rule.retry_delay_ms))) {
                    return (Err(finding), true);
                }
            }
            finding => return (finding, false),
        }
    }
}

fn blank(rule: &Rule, given: &Check<'_>) -> RuleResult {
    let shown = match rule.kind {
        RuleKind::CommandSucceeds => {
            rule.command.as_deref().map(|text| rule::expand_command(text, given.vars))
        }
        RuleKind::FileExists
        | RuleKind::FileModified
        | RuleKind::ContentContains
        | RuleKind::ContentRegex => rule.path.as_deref().map(|text| {
            rule::expand_path(text, given.vars, given.workspace)
                .map_or_else(|_| text.to_owned(), |path| path.to_string_lossy().into_owned())
        }),
    };
    RuleResult {
        rule_type: rule.kind.as_str().to_owned(),
        description: rule.description.clone(),
        path: shown.map(|text| redact(&text)),
        pattern: rule.pattern.clone(),
        stage: rule.stage,
        ..RuleResult::default()
    }
}

fn skip(result: &mut RuleResult, reason: &str) {
    result.failure_reason = Some(reason.to_owned());
    result.failure_category = Some("skipped".to_owned());
}

fn record(result: &mut RuleResult, finding: Result<Option<String>, Finding>, took: Duration) {
    result.check_duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    match finding {
        Ok(output) => {
            result.passed = true;
            result.output = output;
        }
        Err(finding) => {
            result.failure_reason = Some(redact(&finding.reason));
            result.failure_category = Some(finding.category.to_owned());
            result.suggested_fix = Some(finding.fix);
            result.actual_value = finding.actual;
            result.output = finding.output;
        }
    }
}
