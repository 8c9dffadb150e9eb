//! `preconditions` of a score: what must be true of the workspace before the first sheet may cost anything.

use crate::classify::ErrorCode;
use crate::conductor::Prepared;
use crate::exec::{RuleResult, SheetError};
use crate::ids::SheetNo;
use crate::template::{Item, Vars};
use crate::util::text::cut;
use crate::validate::{self, Check, Snapshot};

use super::runner::Runner;

/// Longest error, in characters.
const MAX_MESSAGE: usize = 2000;

/// Checks the preconditions of a job. Nothing was modified yet, so `file_modified` asks for existence only.
///
/// # Errors
/// E601, naming every rule that does not hold. A wait that was cancelled counts as such.
pub(crate) fn preconditions(prepared: &Prepared, runner: &Runner<'_>) -> Result<(), SheetError> {
    let rules = &prepared.score.preconditions;
    if rules.is_empty() {
        return Ok(());
    }
    let given = Check {
        rules,
        vars: &vars(prepared),
        workspace: &prepared.workspace,
        snapshot: &Snapshot::default(),
        shell: &runner.shell(),
    };
    let results = validate::check(&given, &|command| runner.run(command), &|time| runner.wait(time));
    let failed: Vec<String> = results.iter().filter(|result| !result.passed).map(line).collect();
    if failed.is_empty() {
        return Ok(());
    }
    let text = format!("preconditions not met: {}", failed.join("; "));
    Err(SheetError { code: ErrorCode::E601, message: cut(&text, MAX_MESSAGE) })
}

/// What the score and its first sheet say; a precondition belongs to no sheet.
fn vars(prepared: &Prepared) -> Vars {
    let mut vars = Vars::new();
    for (key, value) in prepared.plan.variables(&prepared.score, SheetNo(1)).iter() {
        vars.set(&key.to_string(), Item::from(value));
    }
    vars.set("workspace", prepared.workspace.display().to_string());
    vars
}

fn line(result: &RuleResult) -> String {
    let name = result.description.clone().or_else(|| result.path.clone()).unwrap_or_default();
    let reason = result.failure_reason.as_deref().unwrap_or("it does not hold");
    format!("{} `{}`: {reason}", result.rule_type, cut(&name, 200))
}
