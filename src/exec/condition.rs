//! What a `skip_when` condition sees: the sheets, the job, and the numbers of its own sheet.

use super::{Execution, Sheet, SkipRule};
use crate::ids::SheetNo;
use crate::score::expr::Names;
use crate::score::value::{Key, Map, Value};

struct Facts<'a> {
    exec: &'a Execution,
    rule: &'a SkipRule,
}

impl Execution {
    /// Whether a condition holds right now.
    pub(super) fn holds(&self, rule: &SkipRule, num: SheetNo) -> Result<bool, String> {
        debug_assert!(num.index() < self.sheets.len());
        rule.expr.eval_in(&Facts { exec: self, rule })
    }
}

impl Names for Facts<'_> {
    fn value(&self, name: &str) -> Option<Value> {
        match name {
            "job" => Some(job(self.exec).into()),
            "sheets" => {
                let mut map = Map::new();
                for one in &self.exec.sheets {
                    map.push(Key::Int(one.num.0.into()), sheet(one).into());
                }
                Some(map.into())
            }
            _ => self.rule.values.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()),
        }
    }

    /// One sheet of ten thousand is looked up without describing the others.
    fn entry(&self, name: &str, key: &Value) -> Option<Option<Value>> {
        let number = match (name, key) {
            ("sheets", Value::Int(number)) => u32::try_from(*number).ok(),
            ("sheets", Value::Str(text)) => text.parse().ok(),
            _ => return None,
        };
        let found = number.and_then(|number| self.exec.sheet(SheetNo(number)));
        Some(found.map(|one| sheet(one).into()))
    }
}

fn sheet(one: &Sheet) -> Map {
    let ledger = &one.ledger;
    let evidence = ledger.evidence.as_deref();
    let mut map = Map::new();
    let mut set = |key: &str, value: Value| map.push(Key::Str(key.to_owned()), value);
    set("status", one.state.as_str().into());
    set("attempt_count", i64::from(ledger.attempt_count).into());
    set("exit_code", evidence.and_then(|it| it.exit_code).map_or(Value::Null, |code| i64::from(code).into()));
    let passed = ledger.pass_percentage.map_or(Value::Null, |share| Value::Bool(share >= 100.0));
    set("validation_passed", passed);
    let error = ledger.error.as_ref().map(|error| error.message.as_str()).or(ledger.note.as_deref());
    set("error_message", error.map_or(Value::Null, Value::from));
    set("duration_seconds", Value::Float(ledger.total_duration_seconds));
    set("stdout_tail", evidence.map_or(Value::Null, |it| it.stdout_tail.as_str().into()));
    map
}

#[expect(clippy::cast_precision_loss, reason = "nobody spends so much that a cent is lost")]
fn job(exec: &Execution) -> Map {
    let counts = exec.counts();
    let mut map = Map::new();
    let mut set = |key: &str, value: Value| map.push(Key::Str(key.to_owned()), value);
    set("status", exec.status().as_str().into());
    set("name", exec.spec.name.as_ref().into());
    set("total_sheets", Value::Int(i64::try_from(exec.sheets.len()).unwrap_or(i64::MAX)));
    set("completed_sheets", i64::from(counts.completed).into());
    set("failed_sheets", i64::from(counts.failed).into());
    set("workspace", exec.spec.workspace.as_ref().into());
    set("total_cost_usd", Value::Float(exec.job.ledger.spent.cost_micro as f64 / 1e6));
    map
}
