//! The validation rules of a sheet, checked for one attempt.

use std::path::PathBuf;

use crate::classify::ErrorCode;
use crate::exec::{Failure, Outcome, RuleResult};
use crate::score::Rule;
use crate::template::prompt::Requirement;
use crate::util::redact;
use crate::validate::{self, Check, Snapshot};
use crate::worker::runner::Runner;

use super::{Attempt, SNAPSHOT};

/// The rules that apply to a sheet.
pub(super) struct Rules {
    rules: Vec<Rule>,
    requirements: Vec<Requirement>,
}

impl Rules {
    pub(super) fn of(attempt: &Attempt<'_>) -> Self {
        let brief = attempt.brief();
        let requirements = brief.requirements(&attempt.vars);
        Self { rules: brief.rules().into_iter().cloned().collect(), requirements }
    }

    pub(super) fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    pub(super) fn snapshot(&self, attempt: &Attempt<'_>) -> Snapshot {
        Snapshot::take(&self.rules, &attempt.vars, &attempt.prepared.workspace)
    }

    /// There are none.
    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether any of them compares with a snapshot.
    pub(super) fn needs_snapshot(&self) -> bool {
        self.rules.iter().any(|rule| rule.kind == crate::score::RuleKind::FileModified)
    }

    /// The first rule that no program could satisfy, as the failure of the sheet.
    pub(super) fn broken(&self, attempt: &Attempt<'_>) -> Option<Failure> {
        let workspace = &attempt.prepared.workspace;
        self.rules.iter().find_map(|rule| {
            let why = validate::broken(rule, &attempt.vars, workspace)?;
            let name = rule.description.as_deref().or(rule.path.as_deref()).unwrap_or_default();
            let message = format!("the validation rule {} `{name}` is broken: {why}", rule.kind.as_str());
            Some(super::reports::refusal(ErrorCode::E604, message))
        })
    }

    /// Checks all rules; commands run under bound guards, which end with the conductor. Redacted.
    pub(super) fn check(&self, attempt: &Attempt<'_>, snapshot: &Snapshot) -> Vec<RuleResult> {
        if self.rules.is_empty() {
            return Vec::new();
        }
        let identity = attempt.identity();
        let runner = attempt.runner(&identity);
        let given = Check {
            rules: &self.rules,
            vars: &attempt.vars,
            workspace: &attempt.prepared.workspace,
            snapshot,
            shell: &runner.shell(),
        };
        let mut results = validate::check(&given, &|command| runner.run(command), &|time| runner.wait(time));
        for result in &mut results {
            for text in [&mut result.failure_reason, &mut result.output].into_iter().flatten() {
                *text = redact(text);
            }
        }
        results
    }
}

/// Numbers of checked rules as the outcome of an attempt whose program succeeded.
pub(super) fn ran(results: &[RuleResult]) -> Outcome {
    let (passed, executed) = validate::count(results);
    Outcome::Ran { passed, executed, total: u32::try_from(results.len()).unwrap_or(u32::MAX) }
}

impl Attempt<'_> {
    pub(super) fn runner<'r>(&'r self, identity: &'r [(String, String)]) -> Runner<'r> {
        Runner {
            guard_program: &self.worker.guard_program,
            ours: &self.worker.ours,
            identity,
            token: Some(&self.token),
            control: self.control,
        }
    }

    /// The snapshot that was taken before this attempt, by the worker of an earlier conductor.
    pub(super) fn stored_snapshot(&self) -> Snapshot {
        read_snapshot(self.dir.join(SNAPSHOT)).unwrap_or_default()
    }

    /// The snapshot of the last attempt that ran: what it and those after it changed counts as modified.
    pub(super) fn last_snapshot(&self) -> Snapshot {
        let Some(sheet_dir) = self.dir.parent() else { return Snapshot::default() };
        let number = |name: &str| name.strip_prefix("attempt-")?.parse::<u32>().ok();
        let mut attempts: Vec<(u32, PathBuf)> = std::fs::read_dir(sheet_dir)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| Some((number(entry.file_name().to_str()?)?, entry.path())))
            .collect();
        attempts.sort_unstable();
        attempts.iter().rev().find_map(|(_, dir)| read_snapshot(dir.join(SNAPSHOT))).unwrap_or_default()
    }
}

fn read_snapshot(path: PathBuf) -> Option<Snapshot> {
    serde_json::from_slice(&crate::file::read(&path, u64::MAX).ok()?).ok()
}
