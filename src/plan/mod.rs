//! A score as a list of sheets: what runs, after what, with which instrument, checked by which rules.
//!
//! Pure: the same score and overrides give the same plan. Problems that only show in the whole (stages that do not
//! exist, circles, too many sheets) are found here and carry their place in the document.
//! Invariants of a [`Plan`]: sheet `n` is at position `n-1`; `after` is ascending, without repetition, without
//! circles, and names sheets of the plan only; there are at most [`MAX_SHEETS`] sheets.

mod choice;
mod cycle;
mod edges;
mod fingerprint;
mod json;
mod rules;
mod stages;
mod variables;

#[cfg(test)]
mod real_scores;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::SheetNo;
use crate::score::{Condition, InstrumentConfig, Issue, Map, Score, SkipCommand, hints};

pub use choice::DEFAULT_INSTRUMENT;
pub use variables::BUILT_IN;

/// Most sheets of a score.
pub const MAX_SHEETS: u64 = 10_000;
/// Most dependencies of all sheets together.
pub const MAX_EDGES: usize = 1_000_000;

/// Most rules times sheets: each pair is looked at once.
pub const MAX_CHECKS: usize = 2_000_000;

/// What a submission changes about a score.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Overrides {
    /// Another workspace, absolute.
    pub workspace: Option<PathBuf>,
    /// Sheets below are skipped.
    pub start_sheet: Option<SheetNo>,
    /// Repair before giving up.
    pub self_healing: bool,
    /// Laid over `prompt.variables`.
    pub variables: Map,
}

/// All sheets of a score.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Position `n-1` is sheet `n`.
    pub sheets: Vec<SheetPlan>,
    /// Stages before fan-out.
    pub total_stages: u32,
    /// The score has dependencies of its own; otherwise the stages are a chain.
    pub declared_dependencies: bool,
    /// Absolute.
    pub workspace: PathBuf,
    /// Sheets below are skipped.
    pub start_sheet: Option<SheetNo>,
    /// Template variables of the score with those of the submission.
    pub user_variables: Map,
    /// What is remarkable but not wrong.
    pub warnings: Vec<Issue>,
}

/// One sheet.
#[derive(Debug, Clone, PartialEq)]
pub struct SheetPlan {
    /// Concrete number.
    pub num: SheetNo,
    /// Stage (movement), from 1.
    pub stage: u32,
    /// Instance (voice) within the stage, from 1.
    pub instance: u32,
    /// Instances of the stage.
    pub fan_count: u32,
    /// First item.
    pub start_item: u64,
    /// Last item.
    pub end_item: u64,
    /// Sheets that must be satisfied first: the effective edges.
    pub after: Vec<SheetNo>,
    /// Instrument and its settings.
    pub instrument: InstrumentChoice,
    /// Tried in order when it cannot be used.
    pub fallbacks: Vec<InstrumentChoice>,
    /// Label.
    pub description: Option<String>,
    /// Positions in the score's `validations` of the rules that apply.
    pub rules: Vec<usize>,
    /// Skipped when this holds right before its first attempt of a run.
    pub skip_when: Option<Arc<Condition>>,
    /// Skipped when this command says so right before its first attempt of a run.
    pub skip_command: Option<Arc<SkipCommand>>,
    /// What the sheet is made of, as 32 hexadecimal digits: equal for equal work, also in another version of the score.
    pub fingerprint: String,
}

/// An instrument and how it is called.
#[derive(Debug, Clone, PartialEq)]
pub struct InstrumentChoice {
    /// Profile; aliases are resolved.
    pub name: String,
    /// All levels laid over each other; `timeout_seconds` is the final one, if any level sets it.
    /// Shared by sheets that call it alike.
    pub config: Arc<InstrumentConfig>,
}

/// Expands a score.
///
/// # Errors
/// All problems that can be found at the first step that has any.
pub fn expand(score: &Score, overrides: &Overrides) -> Result<Plan, Vec<Issue>> {
    expanded(score, overrides).map_err(|mut issues| {
        hints::complete(&mut issues);
        issues
    })
}

fn expanded(score: &Score, overrides: &Overrides) -> Result<Plan, Vec<Issue>> {
    let mut warnings = Vec::new();
    let layout = stages::layout(score)?;
    let after = edges::effective(score, &layout)?;
    cycle::refuse(score, &layout, &after)?;
    if let Some(start) = overrides.start_sheet
        && (start.0 == 0 || start.index() >= layout.sheets.len())
    {
        let message = format!("start sheet {start} is out of range (valid: 1-{})", layout.sheets.len());
        return Err(vec![Issue::error("schema", "", message)]);
    }
    let checks = score.validations.len().saturating_mul(layout.sheets.len());
    if checks > MAX_CHECKS {
        let message = format!("{checks} pairs of a rule and a sheet, limit is {MAX_CHECKS}");
        let issue = Issue::error("schema", "validations", message);
        return Err(vec![issue.at(score.place("validations"))]);
    }
    let mut user_variables = score.prompt.variables.clone();
    for (name, value) in overrides.variables.clone() {
        user_variables.insert(name, value);
    }
    let choices = choice::Chooser::new(score);
    let sheets = layout
        .sheets
        .iter()
        .zip(after)
        .map(|(place, after)| {
            let num = place.num;
            SheetPlan {
                num,
                stage: place.stage,
                instance: place.instance,
                fan_count: place.fan_count,
                start_item: place.start_item,
                end_item: place.end_item,
                after,
                instrument: choices.instrument(num, place.stage),
                fallbacks: choices.fallbacks(num, place.stage),
                description: score.sheet.descriptions.get(&num.0).cloned(),
                rules: Vec::new(),
                skip_when: None,
                skip_command: None,
                fingerprint: String::new(),
            }
        })
        .collect();
    let mut plan = Plan {
        sheets,
        total_stages: layout.total_stages,
        declared_dependencies: !score.sheet.dependencies.is_empty(),
        workspace: overrides.workspace.clone().unwrap_or_else(|| score.workspace.clone()),
        start_sheet: overrides.start_sheet,
        user_variables,
        warnings: Vec::new(),
    };
    rules::apply(score, &mut plan, &mut warnings);
    let skips = stages::skips(score, &layout, &mut warnings);
    for sheet in &mut plan.sheets {
        sheet.skip_when = skips.when.get(&sheet.num.0).map(|&when| Arc::new(when.clone()));
        sheet.skip_command = skips.command.get(&sheet.num.0).map(|&command| Arc::new(command.clone()));
    }
    fingerprint::stamp(score, &mut plan, &skips);
    hints::complete(&mut warnings);
    plan.warnings = warnings;
    Ok(plan)
}

impl Plan {
    /// A sheet by its number.
    #[must_use]
    pub fn sheet(&self, num: SheetNo) -> Option<&SheetPlan> {
        self.sheets.get(usize::try_from(num.0.checked_sub(1)?).ok()?)
    }
}
