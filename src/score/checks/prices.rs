//! V224: limits in dollars for calls whose cost nobody can tell.

use std::collections::BTreeMap;

use super::{Report, Subject, sheets};
use crate::score::Issue;

/// How a call of an instrument becomes dollars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cost {
    /// Its program tells, its model has a price, or it costs nothing.
    Known,
    /// Neither.
    Unknown {
        /// The model that is called; `None` when neither score nor profile names one.
        model: Option<String>,
        /// Models of the instrument that have a price.
        priced: Vec<String>,
    },
}

/// Instrument and model.
type Call = (String, Option<String>);

/// What is known of a call without a price.
struct Without {
    /// Models of the instrument that have one.
    priced: Vec<String>,
    /// Sheets that may be played by it.
    numbers: Vec<u32>,
}

/// Most models that advice names.
const MOST_MODELS: usize = 3;

/// Warns once per instrument and model that a limit in dollars does not hold for.
pub(super) fn unknown(subject: &Subject<'_>, report: &mut Report) {
    let limits = &subject.score.cost_limits;
    if !limits.enabled || limits.own_price().is_some() {
        return;
    }
    let key = match (limits.max_cost_per_job, limits.max_cost_per_sheet) {
        (Some(_), _) => "max_cost_per_job",
        (None, Some(_)) => "max_cost_per_sheet",
        (None, None) => return,
    };
    let mut unknown: BTreeMap<Call, Without> = BTreeMap::new();
    for sheet in &subject.plan.sheets {
        for choice in std::iter::once(&sheet.instrument).chain(&sheet.fallbacks) {
            let cost = subject.instruments.cost(&choice.name, &choice.config);
            let Some(Cost::Unknown { model, priced }) = cost else { continue };
            let without = unknown
                .entry((choice.name.clone(), model))
                .or_insert_with(|| Without { priced, numbers: Vec::new() });
            if without.numbers.last() != Some(&sheet.num.0) {
                without.numbers.push(sheet.num.0);
            }
        }
    }
    for ((instrument, model), Without { priced, numbers }) in unknown {
        let what = match &model {
            Some(model) => format!("model {model} of instrument {instrument}"),
            None => format!("instrument {instrument}"),
        };
        let which = if numbers.len() == subject.plan.sheets.len() {
            String::new()
        } else {
            format!(" ({})", sheets(&numbers))
        };
        let message = format!("No price is known for {what}{which}: {key} is not kept for what it costs");
        let tokens = key.replace("cost", "tokens");
        let named = priced.iter().take(MOST_MODELS).map(|name| format!("`model: {name}`"));
        let named = named.collect::<Vec<_>>().join(" or ");
        let named = if named.is_empty() { named } else { format!("write {named}, or ") };
        let hint = format!(
            "{named}set cost_per_1k_input_tokens and cost_per_1k_output_tokens below cost_limits, or limit {tokens}"
        );
        let path = format!("cost_limits.{key}");
        report.add(subject, Issue::warning("V224", &path, message).hint(hint).detail("sheets", numbers));
    }
}
