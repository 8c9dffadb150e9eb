//! Which instrument runs a sheet, and with which settings.
//!
//! Later levels win: `backend`, `instrument_config`, the alias, the movement, `backend.sheet_overrides`, the sheet.
//! A model set for the whole score reaches only sheets whose profile is that of the score: the name of one vendor's
//! model is of no use to another vendor's program.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::InstrumentChoice;
use crate::ids::SheetNo;
use crate::score::{InstrumentConfig, Movement, OutputFormat, Score};

/// What a score that names no instrument runs with.
pub const DEFAULT_INSTRUMENT: &str = "claude-code";

/// The older name of the default. It means the same program with plain text output.
const NATIVE: &str = "claude_cli";

pub(super) struct Chooser<'a> {
    score: &'a Score,
    by_sheet: HashMap<u32, &'a str>,
    /// `backend` and `instrument_config`.
    base: InstrumentConfig,
    /// Profile of the score as a whole.
    profile: String,
    /// Name, stage and whether it is a fallback, of sheets without settings of their own.
    made: RefCell<HashMap<(&'a str, u32, bool), InstrumentChoice>>,
}

impl<'a> Chooser<'a> {
    pub(super) fn new(score: &'a Score) -> Self {
        let mut by_sheet = HashMap::new();
        for (name, sheets) in &score.sheet.instrument_map {
            by_sheet.extend(sheets.iter().map(|sheet| (*sheet, name.as_str())));
        }
        by_sheet
            .extend(score.sheet.per_sheet_instruments.iter().map(|(sheet, name)| (*sheet, name.as_str())));
        let mut base = score.backend.config.clone();
        base.lay_over(&score.instrument_config);
        let mut chooser = Self { score, by_sheet, base, profile: String::new(), made: RefCell::default() };
        chooser.profile = chooser.profile(chooser.score_name()).to_owned();
        chooser
    }

    fn score_name(&self) -> &'a str {
        self.score.instrument.as_deref().or(self.score.backend.kind.as_deref()).unwrap_or(NATIVE)
    }

    /// The profile that a name stands for. An alias may have the name of a profile.
    fn profile(&self, name: &'a str) -> &'a str {
        match self.score.instruments.get(name).map_or(name, |alias| alias.profile.as_str()) {
            NATIVE => DEFAULT_INSTRUMENT,
            profile => profile,
        }
    }

    pub(super) fn instrument(&self, sheet: SheetNo, stage: u32) -> InstrumentChoice {
        let movement =
            || self.score.movements.get(&stage).and_then(|movement| movement.instrument.as_deref());
        let name =
            self.by_sheet.get(&sheet.0).copied().or_else(movement).unwrap_or_else(|| self.score_name());
        self.choose(name, sheet, stage, false)
    }

    pub(super) fn fallbacks(&self, sheet: SheetNo, stage: u32) -> Vec<InstrumentChoice> {
        let movement = || {
            let movement = self.score.movements.get(&stage)?;
            Some(&movement.instrument_fallbacks).filter(|list| !list.is_empty())
        };
        let own = self.score.sheet.per_sheet_fallbacks.get(&sheet.0);
        let names = own.or_else(movement).unwrap_or(&self.score.instrument_fallbacks);
        names.iter().map(|name| self.choose(name, sheet, stage, true)).collect()
    }

    fn choose(&self, name: &'a str, sheet: SheetNo, stage: u32, fallback: bool) -> InstrumentChoice {
        let stage = if self.score.movements.contains_key(&stage) { stage } else { 0 };
        if self.is_special(sheet) {
            return self.make(name, Some(sheet), stage, fallback);
        }
        let mut made = self.made.borrow_mut();
        made.entry((name, stage, fallback)).or_insert_with(|| self.make(name, None, stage, fallback)).clone()
    }

    /// The sheet has settings of its own.
    fn is_special(&self, sheet: SheetNo) -> bool {
        let score = self.score;
        let alias_says =
            score.instruments.values().any(|alias| alias.config.timeout_overrides.contains_key(&sheet.0));
        let movement_says =
            |movement: &Movement| movement.instrument_config.timeout_overrides.contains_key(&sheet.0);
        alias_says
            || score.movements.values().any(movement_says)
            || self.base.timeout_overrides.contains_key(&sheet.0)
            || score.backend.sheet_overrides.contains_key(&sheet.0)
            || score.sheet.per_sheet_instrument_config.contains_key(&sheet.0)
    }

    /// A fallback keeps no model but that of its alias.
    fn make(&self, name: &'a str, sheet: Option<SheetNo>, stage: u32, fallback: bool) -> InstrumentChoice {
        let score = self.score;
        let profile = self.profile(name);
        let alias = score.instruments.get(name);
        let mut config = self.base.clone();
        if fallback || profile != self.profile {
            config.model = None;
        }
        if let Some(alias) = alias {
            config.lay_over(&alias.config);
        }
        let alias_model = config.model.clone();
        if let Some(movement) = score.movements.get(&stage) {
            config.lay_over(&movement.instrument_config);
        }
        if let Some(SheetNo(number)) = sheet {
            let single = score.backend.sheet_overrides.get(&number);
            let own = score.sheet.per_sheet_instrument_config.get(&number);
            if let Some(seconds) = config.timeout_overrides.get(&number) {
                config.timeout_seconds = Some(*seconds);
            }
            for level in [single, own].into_iter().flatten() {
                config.lay_over(level);
            }
        }
        if fallback {
            config.model = alias_model;
        }
        config.timeout_overrides = BTreeMap::new();
        let native = name == NATIVE || alias.is_some_and(|alias| alias.profile == NATIVE);
        if native && config.output_format.is_none() {
            config.output_format = Some(OutputFormat::Text);
        }
        InstrumentChoice { name: profile.to_owned(), config: Arc::new(config) }
    }
}
