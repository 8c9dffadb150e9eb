//! How many sheets may run, in all and per instrument and model, and how many do.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::reason::Hold;
use crate::exec::InstrumentRef;

/// Sheets at once on an instrument for which nothing else is said.
pub const DEFAULT_PER_INSTRUMENT: u32 = 4;

/// Limits of the whole conductor. 0 starts nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Sheets at once over all jobs (default 10).
    pub max_sheets: u32,
    /// Sheets at once on an instrument that is not named below, unless one of its models allows more.
    pub per_instrument: u32,
    /// Sheets at once on an instrument, all its models together.
    pub instruments: BTreeMap<String, u32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_sheets: 10, per_instrument: DEFAULT_PER_INSTRUMENT, instruments: BTreeMap::new() }
    }
}

/// Models, each with how many sheets it may run at once.
pub(super) type Models = Vec<(Arc<str>, u32)>;

/// What is used of the limits. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Slots {
    limits: Arc<Limits>,
    /// Sheets at once on models, by instrument, as profiles say.
    models: Arc<HashMap<Arc<str>, Models>>,
    active: u32,
    used: HashMap<Arc<str>, Used>,
}

/// What runs on one instrument. Few models each, so a list is the fastest map.
#[derive(Debug, Clone, Default)]
struct Used {
    active: u32,
    models: Vec<(Arc<str>, u32)>,
}

impl Slots {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits: Arc::new(limits), models: Arc::default(), active: 0, used: HashMap::new() }
    }

    pub(super) fn set_limits(&mut self, limits: Limits) {
        self.limits = Arc::new(limits);
    }

    /// What the profile of an instrument says of its models. Says whether that is new.
    pub(super) fn set_models(&mut self, instrument: &str, models: Models) -> bool {
        let known = self.models.get(instrument);
        if known.map_or(models.is_empty(), |known| *known == models) {
            return false;
        }
        Arc::make_mut(&mut self.models).insert(instrument.into(), models);
        true
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) const fn active(&self) -> u32 {
        self.active
    }

    pub(super) fn is_full(&self) -> bool {
        self.active >= self.limits.max_sheets
    }

    /// Sheets that run on an instrument, and how many may.
    pub(super) fn usage(&self, instrument: &str) -> (u32, u32) {
        let widest =
            || self.models.get(instrument).and_then(|models| models.iter().map(|(_, most)| *most).max());
        let usual = || self.limits.per_instrument.max(widest().unwrap_or(0));
        let most = self.limits.instruments.get(instrument).copied().unwrap_or_else(usual);
        (self.used.get(instrument).map_or(0, |used| used.active), most)
    }

    /// Both the instrument and the model must have room.
    pub(super) fn hold(&self, instrument: &InstrumentRef) -> Option<Hold> {
        let name = &instrument.name;
        let (active, most) = self.usage(name);
        if active >= most {
            return Some(Hold::Instrument);
        }
        let model = instrument.model.as_ref()?;
        let (_, most) = self.models.get(name)?.iter().find(|(name, _)| name == model)?;
        let used = self.used.get(name);
        let running = used.and_then(|used| used.models.iter().find(|(name, _)| name == model));
        (running.map_or(0, |&(_, count)| count) >= *most).then_some(Hold::Model)
    }

    pub(super) fn take(&mut self, instrument: &InstrumentRef) {
        self.active += 1;
        let used = self.used.entry(Arc::clone(&instrument.name)).or_default();
        used.active += 1;
        if let Some(model) = &instrument.model {
            match used.models.iter_mut().find(|(name, _)| name == model) {
                Some((_, count)) => *count += 1,
                None => used.models.push((Arc::clone(model), 1)),
            }
        }
    }

    /// Gives back what [`Self::take`] took for the same instrument and model.
    pub(super) fn give(&mut self, instrument: &InstrumentRef) {
        self.active = self.active.saturating_sub(1);
        let Some(used) = self.used.get_mut(&instrument.name) else { return };
        used.active = used.active.saturating_sub(1);
        if let Some(model) = &instrument.model {
            if let Some((_, count)) = used.models.iter_mut().find(|(name, _)| name == model) {
                *count = count.saturating_sub(1);
            }
            used.models.retain(|&(_, count)| count > 0);
        }
        if used.active == 0 {
            self.used.remove(&instrument.name);
        }
    }
}
