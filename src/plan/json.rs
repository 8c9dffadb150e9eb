//! The plan as JSON, for a dry run.

use serde_json::{Value, json};

use super::{InstrumentChoice, Plan};

impl Plan {
    /// One object per sheet: number, items, position, effective dependencies, resolved instruments and the number of
    /// rules that apply.
    #[must_use]
    pub fn sheets_json(&self) -> Value {
        let name = |choice: &InstrumentChoice| choice.name.clone();
        let sheets = self.sheets.iter().map(|sheet| {
            json!({
                "sheet_num": sheet.num,
                "items": format!("{}-{}", sheet.start_item, sheet.end_item),
                "stage": sheet.stage,
                "instance": sheet.instance,
                "fan_count": sheet.fan_count,
                "depends_on": sheet.after,
                "instrument": name(&sheet.instrument),
                "fallbacks": sheet.fallbacks.iter().map(name).collect::<Vec<_>>(),
                "validations": sheet.rules.len(),
            })
        });
        Value::Array(sheets.collect())
    }
}
