//! Checks of instruments and of how they are called.

use std::collections::BTreeMap;

use super::{Facts, Report, Subject, alike, sheets};
use crate::plan::{InstrumentChoice, SheetPlan};
use crate::score::{InstrumentConfig, Issue};

/// Timeouts below and above are remarked, seconds.
const SHORT: f64 = 60.0;
const LONG: f64 = 7200.0;

/// V103 and V104: the resolved timeout of every sheet that the score sets one for.
pub(super) fn timeouts(subject: &Subject<'_>, report: &mut Report) {
    let mut odd: BTreeMap<(String, u64), Vec<u32>> = BTreeMap::new();
    for sheet in &subject.plan.sheets {
        let Some(seconds) = sheet.instrument.config.timeout_seconds else { continue };
        if !(SHORT..=LONG).contains(&seconds) {
            let path = timeout_path(subject, sheet, seconds);
            odd.entry((path, seconds.to_bits())).or_default().push(sheet.num.0);
        }
    }
    for ((path, bits), numbers) in odd {
        let seconds = f64::from_bits(bits);
        let which = if numbers.len() == subject.plan.sheets.len() {
            String::new()
        } else {
            format!(" of {}", sheets(&numbers))
        };
        let issue = if seconds < SHORT {
            let message = format!("Very short timeout{which} ({seconds}s) may cause premature failures");
            Issue::warning("V103", &path, message).hint("use at least 60 seconds")
        } else {
            let hours = seconds / 3600.0;
            let message = format!("Very long timeout{which} ({seconds}s = {hours:.1}h)");
            Issue::info("V104", &path, message)
                .hint("split the work into more sheets, or watch for silence with stale_detection")
        };
        report.add(subject, issue);
    }
}

fn timeout_path(subject: &Subject<'_>, sheet: &SheetPlan, seconds: f64) -> String {
    let number = sheet.num.0;
    let backend = &subject.score.backend;
    let own = subject.score.sheet.per_sheet_instrument_config.get(&number);
    let single = backend.sheet_overrides.get(&number).and_then(|config| config.timeout_seconds);
    if own.and_then(|config| config.timeout_seconds).is_none() {
        if single.is_some() {
            return format!("backend.sheet_overrides.{number}.timeout_seconds");
        }
        let listed = |config: &InstrumentConfig| config.timeout_overrides.get(&number) == Some(&seconds);
        if listed(&subject.score.instrument_config) {
            return format!("instrument_config.timeout_overrides.{number}");
        }
        if listed(&backend.config) {
            return format!("backend.timeout_overrides.{number}");
        }
    }
    config_path(subject, sheet, &sheet.instrument, "timeout_seconds")
}

/// The level of a setting that is in force for a sheet; levels that win come first.
pub(crate) fn config_path(
    subject: &Subject<'_>,
    sheet: &SheetPlan,
    choice: &InstrumentChoice,
    key: &str,
) -> String {
    let aliases = subject
        .score
        .instruments
        .iter()
        .filter(|(_, alias)| alias.profile == choice.name)
        .map(|(name, _)| format!("instruments.{name}.config.{key}"));
    let levels = [
        format!("sheet.per_sheet_instrument_config.{}.{key}", sheet.num),
        format!("movements.{}.instrument_config.{key}", sheet.stage),
    ];
    let last = [format!("instrument_config.{key}"), format!("backend.{key}"), key.to_owned()];
    levels
        .into_iter()
        .chain(aliases)
        .chain(last)
        .find(|path| subject.document.has(path))
        .unwrap_or_else(|| "instrument".to_owned())
}

/// V204: a program that asks, and nobody to answer.
pub(super) fn permissions(subject: &Subject<'_>, report: &mut Report) {
    let off = |config: &InstrumentConfig| config.skip_permissions == Some(false);
    for (path, name) in switched(subject, "skip_permissions", off, |facts| facts.asks) {
        let message = format!("skip_permissions is false: {name} will hang waiting for permission");
        report.add(subject, Issue::warning("V204", &path, message).hint("set skip_permissions: true"));
    }
}

/// V209: tool servers that may wait for each other.
pub(super) fn tool_servers(subject: &Subject<'_>, report: &mut Report) {
    let on = |config: &InstrumentConfig| config.disable_mcp == Some(false);
    for (path, name) in switched(subject, "disable_mcp", on, |facts| facts.tool_servers) {
        let message = format!("disable_mcp is false: {name} may deadlock on its MCP servers");
        report.add(
            subject,
            Issue::info("V209", &path, message).hint("set disable_mcp: true unless the sheets need them"),
        );
    }
}

/// Places of a setting with the instrument it is about, each once.
pub(super) fn switched(
    subject: &Subject<'_>,
    key: &str,
    set: impl Fn(&InstrumentConfig) -> bool,
    concerns: impl Fn(Facts) -> bool,
) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for sheet in &subject.plan.sheets {
        for choice in std::iter::once(&sheet.instrument).chain(&sheet.fallbacks) {
            if !set(&choice.config) || !subject.instruments.facts(&choice.name).is_some_and(&concerns) {
                continue;
            }
            let path = config_path(subject, sheet, choice, key);
            if !found.iter().any(|(known, _)| *known == path) {
                found.push((path, choice.name.clone()));
            }
        }
    }
    found
}

/// V210: names that no profile and no alias has.
pub(super) fn unknown(subject: &Subject<'_>, report: &mut Report) {
    let score = subject.score;
    let mut names: Vec<(String, String, &str)> = Vec::new();
    if let Some(name) = &score.instrument {
        names.push(("instrument".into(), "score-level instrument".into(), name));
    }
    if let Some(name) = &score.backend.kind {
        names.push(("backend.type".into(), "backend.type".into(), name));
    }
    for (sheet, name) in &score.sheet.per_sheet_instruments {
        let path = format!("sheet.per_sheet_instruments.{sheet}");
        names.push((path, format!("sheet {sheet} instrument"), name));
    }
    for (name, _) in &score.sheet.instrument_map {
        names.push((format!("sheet.instrument_map.{name}"), "instrument_map instrument".into(), name));
    }
    for (number, movement) in &score.movements {
        if let Some(name) = &movement.instrument {
            names.push((
                format!("movements.{number}.instrument"),
                format!("movement {number} instrument"),
                name,
            ));
        }
    }
    for (path, what, name) in names {
        if !score.instruments.contains_key(name) {
            look_up(subject, report, "V210", &path, &what, name);
        }
    }
    // The profile of an alias is never another alias.
    for (alias, def) in &score.instruments {
        let path = format!("instruments.{alias}.profile");
        look_up(subject, report, "V210", &path, &format!("profile of alias '{alias}'"), &def.profile);
    }
}

/// V211: the same for fallbacks.
pub(super) fn unknown_fallbacks(subject: &Subject<'_>, report: &mut Report) {
    let score = subject.score;
    let mut lists: Vec<(String, String, &Vec<String>)> = vec![(
        "instrument_fallbacks".into(),
        "score-level instrument_fallbacks".into(),
        &score.instrument_fallbacks,
    )];
    for (number, movement) in &score.movements {
        let path = format!("movements.{number}.instrument_fallbacks");
        lists.push((path, format!("movement {number} instrument_fallbacks"), &movement.instrument_fallbacks));
    }
    for (sheet, names) in &score.sheet.per_sheet_fallbacks {
        lists.push((format!("sheet.per_sheet_fallbacks.{sheet}"), format!("sheet {sheet} fallbacks"), names));
    }
    for (path, what, names) in lists {
        for (index, name) in names.iter().enumerate() {
            if !score.instruments.contains_key(name) {
                look_up(subject, report, "V211", &format!("{path}.{index}"), &what, name);
            }
        }
    }
}

fn look_up(subject: &Subject<'_>, report: &mut Report, code: &str, path: &str, what: &str, name: &str) {
    if let Some(facts) = subject.instruments.facts(name) {
        if facts.over_http && !cfg!(feature = "http") {
            let message = format!("instrument '{name}' is of kind http, which this mozart cannot run");
            let hint = "build mozart with the feature `http`: cargo build --release --features http";
            report.add(subject, Issue::error(code, path, message).hint(hint));
        }
        return;
    }
    let mut names = subject.instruments.names();
    let of_alias = path.starts_with("instruments.");
    if !of_alias {
        names.extend(subject.score.instruments.keys().cloned());
    }
    // `codex` is `codex-cli`.
    let mut longer = names
        .iter()
        .map(String::as_str)
        .filter(|known| known.strip_prefix(name).is_some_and(|rest| rest.starts_with('-')));
    let near = longer.next().or_else(|| alike(name, names.iter().map(String::as_str)));
    let list = names.join(", ");
    let hint = match near {
        _ if of_alias && subject.score.instruments.contains_key(name) => {
            format!("'{name}' is an alias of this score, and a profile is needed here; known are {list}")
        }
        Some(near) => format!("Did you mean '{near}'? Known are {list}"),
        None => format!("known are {list}; or add a profile as ~/.mozart/instruments/{name}.yaml"),
    };
    let message = format!("Unknown {what}: '{name}' not found in instrument registry");
    report.add(subject, Issue::warning(code, path, message).hint(hint));
}

/// V302: tool servers for an instrument that cannot be given any.
pub(super) fn techniques(subject: &Subject<'_>, report: &mut Report) {
    let names: Vec<&str> = subject
        .score
        .techniques
        .iter()
        .filter(|(_, technique)| technique.kind == "mcp")
        .map(|(name, _)| name.as_str())
        .collect();
    let Some(first) = names.first() else { return };
    let mut told = Vec::new();
    for sheet in &subject.plan.sheets {
        let instrument = sheet.instrument.name.as_str();
        let cannot = subject.instruments.facts(instrument).is_some_and(|facts| !facts.takes_tool_servers);
        if cannot && !told.contains(&instrument) {
            told.push(instrument);
            let path = format!("techniques.{first}");
            let list = names.join(", ");
            let message = format!(
                "MCP techniques ({list}) declared but instrument '{instrument}' has no mcp_config_flag"
            );
            let hint = "use an instrument whose profile has mcp_config_flag, or remove the techniques";
            report.add(subject, Issue::warning("V302", &path, message).hint(hint));
        }
    }
}
