//! What templates, placeholders and conditions know about a sheet.

use super::{Plan, SheetPlan};
use crate::ids::SheetNo;
use crate::score::{Map, Score, Value};

/// Names that the plan knows. A variable of the score with such a name is hidden.
pub const BUILT_IN: [&str; 17] = [
    "sheet_num",
    "total_sheets",
    "start_item",
    "end_item",
    "workspace",
    "instrument_name",
    "stage",
    "movement",
    "instance",
    "voice",
    "fan_count",
    "voice_count",
    "total_stages",
    "total_movements",
    "stakes",
    "thinking_method",
    "job_name",
];

impl Plan {
    /// Variables of a sheet without those that depend on the run: the variables of the score, in order, then the
    /// built-in ones, which win. Of a sheet that is not in the plan: those of the score alone.
    #[must_use]
    pub fn variables(&self, score: &Score, sheet: SheetNo) -> Map {
        let mut map = self.user_variables.clone();
        let Some(sheet) = self.sheet(sheet) else { return map };
        for (name, value) in self.built_ins(score, sheet) {
            map.insert(name, value);
        }
        map
    }

    /// The built-in variables of a sheet.
    pub(crate) fn built_ins(
        &self,
        score: &Score,
        sheet: &SheetPlan,
    ) -> impl Iterator<Item = (&'static str, Value)> {
        BUILT_IN.into_iter().filter_map(|name| Some((name, self.built_in(score, sheet, name)?)))
    }

    pub(super) fn built_in(&self, score: &Score, sheet: &SheetPlan, name: &str) -> Option<Value> {
        let text = |text: &Option<String>| Value::from(text.as_deref().unwrap_or(""));
        Some(match name {
            "sheet_num" => sheet.num.0.into(),
            "total_sheets" => u64::try_from(self.sheets.len()).unwrap_or(u64::MAX).into(),
            "start_item" => sheet.start_item.into(),
            "end_item" => sheet.end_item.into(),
            "workspace" => self.workspace.to_string_lossy().into_owned().into(),
            "instrument_name" => sheet.instrument.name.as_str().into(),
            "stage" | "movement" => sheet.stage.into(),
            "instance" | "voice" => sheet.instance.into(),
            "fan_count" | "voice_count" => sheet.fan_count.into(),
            "total_stages" | "total_movements" => self.total_stages.into(),
            "stakes" => text(&score.prompt.stakes),
            "thinking_method" => text(&score.prompt.thinking_method),
            "job_name" => score.name.as_str().into(),
            _ => return None,
        })
    }
}
