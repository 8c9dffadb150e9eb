//! After the program: checksums that must hold (`grounding`), and remedies for what failed (`self_healing`).

use std::path::PathBuf;

use crate::classify::ErrorCode;
use crate::exec::{AttemptReport, Evidence, Heal, Order, Outcome, RuleResult};
use crate::{grounding, healing};

use super::Attempt;

/// Kind of the rule that stands for checksums.
const GROUNDING: &str = "grounding";

impl Attempt<'_> {
    /// Checks the checksums of the score. One that does not hold counts as a rule that does not hold, where the
    /// score says so; else it is remarked.
    pub(super) fn ground(&self, evidence: &mut Evidence) {
        let settings = &self.prepared.score.grounding;
        evidence.grounding = grounding::check(&grounding::Check {
            settings,
            workspace: &self.prepared.workspace,
            vars: &self.vars,
            cancelled: &|| self.control.is_cancelled(),
        });
        let Some(result) = evidence.grounding.as_ref().filter(|result| !result.passed) else { return };
        let guidance = result.guidance.clone().unwrap_or_else(|| "checksums do not match".to_owned());
        let line = guidance.lines().collect::<Vec<_>>().join("; ");
        if !settings.fail_on_grounding_failure {
            evidence.warnings.push(format!("grounding: {line}"));
            return;
        }
        evidence.validations.push(RuleResult {
            rule_type: GROUNDING.to_owned(),
            description: Some("files have their expected checksums".to_owned()),
            stage: 1,
            failure_reason: Some(line),
            failure_category: Some("malformed".to_owned()),
            suggested_fix: Some("restore the files that are named".to_owned()),
            ..RuleResult::default()
        });
    }

    /// Tries remedies for a failed attempt, where the order asks for them.
    pub(super) fn mend(&self, order: &Order, report: &mut AttemptReport) {
        let Some((code, message, hopeless)) = failure_of(report) else { return };
        let wanted = match order.heal {
            Heal::Never => false,
            Heal::IfHopeless => hopeless,
            Heal::Always => true,
        };
        if !wanted || self.control.is_cancelled() {
            return;
        }
        let evidence = &report.evidence;
        let command = self.profile.command.as_ref();
        let keys = healing::key_variables(self.profile, &self.choice.config);
        // What a command rule names is a command, and a checksum rule names no file.
        let files = |rule: &&RuleResult| {
            !rule.passed && !["command_succeeds", GROUNDING].contains(&rule.rule_type.as_str())
        };
        let failed_paths: Vec<PathBuf> = evidence
            .validations
            .iter()
            .filter(files)
            .filter_map(|rule| rule.path.as_ref().map(PathBuf::from))
            .collect();
        let known_names = healing::known_names(&self.prepared.plan);
        let (_, working_directory) = self.place();
        let remedies = healing::heal(
            &healing::Context {
                code,
                message: &message,
                exit_code: evidence.exit_code,
                signal: evidence.exit_signal,
                stdout_tail: &evidence.stdout_tail,
                stderr_tail: &evidence.stderr_tail,
                workspace: &self.prepared.workspace,
                working_directory: &working_directory,
                failed_paths: &failed_paths,
                written_paths: &healing::written_paths(&self.prepared.score),
                known_names: &known_names,
                instrument: &self.profile.name,
                executable: command.map(|command| command.executable.as_str()),
                key_variables: &keys,
                ours: &self.worker.ours,
                retry_count: order.retry_count,
                previous_codes: &order
                    .previous
                    .iter()
                    .filter_map(|failure| failure.error.as_ref())
                    .map(|error| error.code)
                    .collect::<Vec<_>>(),
                state_dir: Some(&self.worker.state_dir),
            },
            &healing::Options::default(),
        );
        report.evidence.remedies = remedies;
    }
}

/// Code and message of a failure, and whether another attempt is pointless as things are.
fn failure_of(report: &AttemptReport) -> Option<(ErrorCode, String, bool)> {
    match &report.outcome {
        Outcome::Failed(failure) => Some((failure.code, failure.message.clone(), !failure.retriable)),
        Outcome::Ran { passed, total, .. } if passed < total => {
            let failed = report
                .evidence
                .validations
                .iter()
                .find(|rule| !rule.passed && rule.failure_category.as_deref() != Some("skipped"))?;
            Some((failed.code(), failed.failure_reason.clone().unwrap_or_default(), false))
        }
        Outcome::Ran { .. }
        | Outcome::Accepted { .. }
        | Outcome::Skip { .. }
        | Outcome::RateLimited { .. }
        | Outcome::Interrupted { .. }
        | Outcome::NotStarted { .. }
        | Outcome::Ended => None,
    }
}
