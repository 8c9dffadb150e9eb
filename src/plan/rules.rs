//! Which validations apply to which sheet.

use std::collections::BTreeSet;

use super::{Plan, SheetPlan};
use crate::score::{Issue, Score, Value};

/// Fills the rules of every sheet. A condition that cannot be decided applies: a rule too many is noticed, a missing
/// one is not.
pub(super) fn apply(score: &Score, plan: &mut Plan, warnings: &mut Vec<Issue>) {
    let mut wrong: BTreeSet<(usize, String)> = BTreeSet::new();
    let mut applying: Vec<Vec<usize>> = Vec::with_capacity(plan.sheets.len());
    for sheet in &plan.sheets {
        let mut rules = Vec::new();
        for (index, rule) in score.validations.iter().enumerate() {
            let here = rule.sheet.is_none_or(|number| number == sheet.num.0);
            let holds = rule.condition.as_ref().is_none_or(|condition| {
                condition.expr.eval(&|name| plan.condition_value(score, sheet, name)).unwrap_or_else(|why| {
                    wrong.insert((index, why));
                    true
                })
            });
            if here && holds {
                rules.push(index);
            }
        }
        applying.push(rules);
    }
    for (sheet, rules) in plan.sheets.iter_mut().zip(applying) {
        sheet.rules = rules;
    }
    for (index, why) in wrong {
        let path = format!("validations.{index}.condition");
        let message = format!("condition cannot be decided ({why}), so the rule applies");
        let mut issue = Issue::warning("V213", &path, message).at(score.place(&path));
        if why.starts_with("`in` needs a list") {
            issue = issue.hint("write a list behind `in`: `sheet_num in [1, 3]`");
        }
        warnings.push(issue);
    }
}

impl Plan {
    /// A name in a condition: a built-in one, else a variable that is neither a list nor a mapping.
    pub(crate) fn condition_value(&self, score: &Score, sheet: &SheetPlan, name: &str) -> Option<Value> {
        let variable = || self.user_variables.get(name).filter(|value| value.is_scalar()).cloned();
        self.built_in(score, sheet, name).or_else(variable)
    }
}
