//! Variables of a sheet for templates, placeholders and conditions.

use super::Brief;
use crate::template::{Item, Vars};

impl Brief<'_> {
    /// What the score and the plan say; outputs of other sheets come later.
    pub(crate) fn vars(&self) -> Vars {
        let mut vars = Vars::new();
        for (key, value) in self.plan.variables(self.score, self.sheet.num).iter() {
            vars.set(&key.to_string(), Item::from(value));
        }
        vars.set("workspace", self.workspace.display().to_string());
        vars.set("instrument_name", self.profile.name.as_str());
        vars.set("previous_outputs", Item::Map(Vec::new()));
        vars.set("previous_files", Item::Map(Vec::new()));
        vars.set("synthesis", "");
        vars.set("skipped_upstream", Item::List(Vec::new()));
        vars
    }
}
