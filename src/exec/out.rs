//! Collects what follows from one step and puts it in order: what is saved, then what is done,
//! then what is told, and the permit last.

use super::{AttemptRecord, Effect, JobEvent};
use crate::ids::SheetNo;

#[derive(Debug, Default)]
pub(super) struct Out {
    attempts: Vec<AttemptRecord>,
    sheets: Vec<SheetNo>,
    job: bool,
    actions: Vec<Effect>,
    events: Vec<JobEvent>,
    released: bool,
}

impl Out {
    pub(super) fn new(unsaved: Vec<SheetNo>) -> Self {
        Self { sheets: unsaved, ..Self::default() }
    }

    pub(super) fn attempt(&mut self, record: AttemptRecord) {
        self.attempts.push(record);
    }

    pub(super) fn sheet(&mut self, num: SheetNo) {
        self.sheets.push(num);
    }

    pub(super) const fn job(&mut self) {
        self.job = true;
    }

    pub(super) fn act(&mut self, effect: Effect) {
        self.actions.push(effect);
    }

    pub(super) fn event(&mut self, event: JobEvent) {
        self.events.push(event);
    }

    pub(super) const fn released(&mut self) {
        self.released = true;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.attempts.is_empty()
            && self.sheets.is_empty()
            && !self.job
            && self.actions.is_empty()
            && self.events.is_empty()
            && !self.released
    }

    pub(super) fn into_sheets(self) -> Vec<SheetNo> {
        self.sheets
    }

    pub(super) fn into_effects(mut self) -> Vec<Effect> {
        self.sheets.sort_unstable();
        self.sheets.dedup();
        let mut effects = Vec::with_capacity(
            self.attempts.len() + self.sheets.len() + self.actions.len() + self.events.len() + 2,
        );
        effects.extend(self.attempts.into_iter().map(|record| Effect::SaveAttempt(Box::new(record))));
        effects.extend(self.sheets.into_iter().map(Effect::SaveSheet));
        effects.extend(self.job.then_some(Effect::SaveJob));
        effects.append(&mut self.actions);
        effects.extend(self.events.into_iter().map(Effect::Event));
        effects.extend(self.released.then_some(Effect::Released));
        effects
    }
}
