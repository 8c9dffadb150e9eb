//! Checks of maps that are keyed by stages or by sheets, which is easily confused.

use super::{Report, Subject};
use crate::ids::SheetNo;
use crate::score::{InstrumentConfig, Issue};

/// Most keys that a message explains.
const MAX_KEYS: usize = 12;

/// V206.
pub(super) fn fan_out_without_dependencies(subject: &Subject<'_>, report: &mut Report) {
    if fans_out(subject) && !subject.plan.declared_dependencies {
        let message = "Fan-out without dependencies: the stages run one after the other";
        let hint = "say which stage needs which: sheet.dependencies: {2: [1]}";
        report.add(subject, Issue::info("V206", fan_out_path(subject), message).hint(hint));
    }
}

/// V207.
pub(super) fn fan_out_without_parallel(subject: &Subject<'_>, report: &mut Report) {
    if fans_out(subject) && !subject.score.parallel.enabled {
        let message = "Fan-out without parallel.enabled: instances run one after the other";
        let hint = "add parallel: {enabled: true, max_concurrent: 3}";
        report.add(subject, Issue::info("V207", fan_out_path(subject), message).hint(hint));
    }
}

/// V222: what the keys of sheet-keyed maps mean when there is fan-out.
pub(super) fn sheets_not_stages(subject: &Subject<'_>, report: &mut Report) {
    if !fans_out(subject) {
        return;
    }
    for map in maps(subject) {
        let mut meanings = Vec::new();
        for (key, _) in &map.keys {
            let Some(sheet) = subject.plan.sheet(SheetNo(*key)) else { continue };
            let meaning = if sheet.fan_count > 1 {
                format!("{key} = stage {} instance {}", sheet.stage, sheet.instance)
            } else {
                format!("{key} = stage {}", sheet.stage)
            };
            if !meanings.contains(&meaning) {
                meanings.push(meaning);
            }
        }
        if meanings.is_empty() {
            continue;
        }
        let more = if meanings.len() > MAX_KEYS { ", ..." } else { "" };
        let text = meanings.iter().take(MAX_KEYS).cloned().collect::<Vec<_>>().join(", ");
        let message = format!("{} counts sheets, not stages: {text}{more}", map.name);
        let hint =
            "with fan-out the numbers of sheets and stages differ: check that these are the ones you mean";
        report.add(subject, Issue::info("V222", &map.path, message).hint(hint));
    }
}

/// V223: keys that no sheet has.
pub(super) fn out_of_range(subject: &Subject<'_>, report: &mut Report) {
    let total = subject.plan.sheets.len();
    for map in maps(subject).into_iter().filter(|map| map.name != "validations[].sheet") {
        for (key, path) in map.keys.iter().filter(|(key, _)| *key as usize > total) {
            let message =
                format!("{} key {key} is out of range (valid: 1-{total}); it has no effect", map.name);
            let place = subject.document.key(path);
            let hint = format!("there are {total} sheets: correct the number, or remove the entry");
            report.add(subject, Issue::warning("V223", path, message).at(place).hint(hint));
        }
    }
}

fn fans_out(subject: &Subject<'_>) -> bool {
    subject.plan.sheets.iter().any(|sheet| sheet.fan_count > 1)
}

fn fan_out_path(subject: &Subject<'_>) -> &'static str {
    if subject.score.sheet.fan_out.is_empty() { "movements" } else { "sheet.fan_out" }
}

/// A map keyed by concrete sheets.
struct SheetMap {
    name: String,
    path: String,
    /// Keys and where they are.
    keys: Vec<(u32, String)>,
}

fn maps(subject: &Subject<'_>) -> Vec<SheetMap> {
    let score = subject.score;
    let sheet = &score.sheet;
    let mut all = Vec::new();
    let mut add = |path: String, keys: Vec<u32>| {
        if !keys.is_empty() {
            let keys = keys.into_iter().map(|key| (key, format!("{path}.{key}"))).collect();
            all.push(SheetMap { name: path.clone(), path, keys });
        }
    };
    add("sheet.descriptions".into(), sheet.descriptions.keys().copied().collect());
    add("sheet.cadenzas".into(), sheet.cadenzas.keys().copied().collect());
    add("sheet.prompt_extensions".into(), sheet.prompt_extensions.keys().copied().collect());
    add("sheet.per_sheet_instruments".into(), sheet.per_sheet_instruments.keys().copied().collect());
    add(
        "sheet.per_sheet_instrument_config".into(),
        sheet.per_sheet_instrument_config.keys().copied().collect(),
    );
    add("sheet.per_sheet_fallbacks".into(), sheet.per_sheet_fallbacks.keys().copied().collect());
    add("sheet.spec_tags".into(), sheet.spec_tags.keys().copied().collect());
    add("backend.sheet_overrides".into(), score.backend.sheet_overrides.keys().copied().collect());
    let mut timeouts = |level: String, config: &InstrumentConfig| {
        add(format!("{level}.timeout_overrides"), config.timeout_overrides.keys().copied().collect());
    };
    timeouts("backend".into(), &score.backend.config);
    timeouts("instrument_config".into(), &score.instrument_config);
    for (name, alias) in &score.instruments {
        timeouts(format!("instruments.{name}.config"), &alias.config);
    }
    for (number, movement) in &score.movements {
        timeouts(format!("movements.{number}.instrument_config"), &movement.instrument_config);
    }
    if !sheet.instrument_map.is_empty() {
        let path = "sheet.instrument_map".to_owned();
        let list = |(name, sheets): &(String, Vec<u32>)| {
            let at = format!("{path}.{name}");
            sheets.iter().enumerate().map(|(index, key)| (*key, format!("{at}.{index}"))).collect::<Vec<_>>()
        };
        let keys = sheet.instrument_map.iter().flat_map(list).collect();
        all.push(SheetMap { name: path.clone(), path, keys });
    }
    let triggers = score.checkpoints.triggers.iter().enumerate();
    let triggers = triggers.flat_map(|(index, trigger)| {
        let at = format!("checkpoints.triggers.{index}.sheet_nums");
        let numbered = move |(item, key): (usize, &u32)| (*key, format!("{at}.{item}"));
        trigger.sheet_nums.iter().enumerate().map(numbered).collect::<Vec<_>>()
    });
    let triggers: Vec<(u32, String)> = triggers.collect();
    if let Some((_, path)) = triggers.first() {
        all.push(SheetMap { name: "sheet_nums".to_owned(), path: path.clone(), keys: triggers });
    }
    let rules: Vec<(u32, String)> = score
        .validations
        .iter()
        .enumerate()
        .filter_map(|(index, rule)| Some((rule.sheet?, format!("validations.{index}.sheet"))))
        .collect();
    if let Some((_, path)) = rules.first() {
        all.push(SheetMap { name: "validations[].sheet".to_owned(), path: path.clone(), keys: rules });
    }
    all
}
