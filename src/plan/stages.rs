//! Items to stages to sheets.

use std::collections::BTreeMap;

use super::MAX_SHEETS;
use crate::ids::SheetNo;
use crate::score::{Condition, Issue, Score, SkipCommand};

/// The sheets of a score and where they stand.
pub(super) struct Layout {
    pub(super) sheets: Vec<Place>,
    pub(super) total_stages: u32,
    /// Position `k-1`: the sheets of stage `k`, which follow each other.
    pub(super) stages: Vec<std::ops::Range<u32>>,
    pub(super) fanned_out: bool,
}

pub(super) struct Place {
    pub(super) num: SheetNo,
    pub(super) stage: u32,
    pub(super) instance: u32,
    pub(super) fan_count: u32,
    pub(super) start_item: u64,
    pub(super) end_item: u64,
}

/// Reports all problems of one step.
struct Report<'a> {
    score: &'a Score,
    issues: Vec<Issue>,
}

impl Report<'_> {
    fn error(&mut self, path: &str, message: String) {
        self.issues.push(Issue::error("schema", path, message).at(self.score.place(path)));
    }
}

pub(super) fn layout(score: &Score) -> Result<Layout, Vec<Issue>> {
    let sheet = &score.sheet;
    let mut report = Report { score, issues: Vec::new() };
    // The loader has checked that the first item is not behind the last.
    let items = sheet.total_items.saturating_sub(sheet.start_item).saturating_add(1);
    let stages = items.div_ceil(sheet.size.max(1));
    let fan_out = fan_out(score, stages, &mut report);
    let fanned_out = !fan_out.is_empty();
    if fanned_out {
        preconditions(score, &fan_out, stages, &mut report);
    }
    for number in score.movements.keys() {
        if u64::from(*number) > stages {
            report.error(
                &format!("movements.{number}"),
                format!("movements references movement {number}, but the score has {stages} stages"),
            );
        }
    }
    if !report.issues.is_empty() {
        return Err(report.issues);
    }
    let extra: u64 = fan_out.values().map(|count| u64::from(*count) - 1).sum();
    let total = stages.saturating_add(extra);
    if total > MAX_SHEETS {
        let message = format!("score expands to {total} sheets, limit is {MAX_SHEETS}");
        let place = score.place("sheet.total_items");
        report.issues.push(Issue::error("schema", "sheet", message).at(place));
        return Err(report.issues);
    }
    let mut layout = Layout { sheets: Vec::new(), total_stages: 0, stages: Vec::new(), fanned_out };
    let mut next = 1_u32;
    for (stage, index) in (1_u32..).zip(0..stages) {
        let fan_count = fan_out.get(&stage).copied().unwrap_or(1);
        let start_item = sheet.start_item + index * sheet.size;
        let end_item = start_item.saturating_add(sheet.size - 1).min(sheet.total_items);
        for instance in 1..=fan_count {
            let num = SheetNo(next + instance - 1);
            layout.sheets.push(Place { num, stage, instance, fan_count, start_item, end_item });
        }
        layout.stages.push(next..next + fan_count);
        next += fan_count;
        layout.total_stages = stage;
    }
    Ok(layout)
}

/// `sheet.fan_out` with the voices of the movements.
fn fan_out(score: &Score, stages: u64, report: &mut Report<'_>) -> BTreeMap<u32, u32> {
    let mut all = score.sheet.fan_out.clone();
    for (number, movement) in &score.movements {
        let Some(voices) = movement.voices.filter(|_| u64::from(*number) <= stages) else { continue };
        match all.insert(*number, voices) {
            Some(count) if count != voices => report.error(
                &format!("movements.{number}.voices"),
                format!(
                    "movements.{number}.voices ({voices}) conflicts with sheet.fan_out[{number}] ({count})"
                ),
            ),
            _ => {}
        }
    }
    all
}

fn preconditions(score: &Score, fan_out: &BTreeMap<u32, u32>, stages: u64, report: &mut Report<'_>) {
    let (size, start) = (score.sheet.size, score.sheet.start_item);
    if size != 1 {
        report.error(
            "sheet.size",
            format!(
                "fan_out requires size=1, got size={size}. \
                 Each stage must map to exactly one sheet for fan-out to work."
            ),
        );
    }
    if start != 1 {
        report.error(
            "sheet.start_item",
            format!(
                "fan_out requires start_item=1, got start_item={start}. \
                 Fan-out stages are 1-indexed from the beginning."
            ),
        );
    }
    if !report.issues.is_empty() {
        return;
    }
    for stage in fan_out.keys().filter(|stage| u64::from(**stage) > stages) {
        report.error(
            &format!("sheet.fan_out.{stage}"),
            format!("fan_out references stage {stage}, but total_stages is {stages} (valid: 1-{stages})"),
        );
    }
}

/// What may skip each sheet: the maps of the score, keyed by concrete sheets.
pub(super) struct Skips<'a> {
    pub(super) when: BTreeMap<u32, &'a Condition>,
    pub(super) command: BTreeMap<u32, &'a SkipCommand>,
}

pub(super) fn skips<'a>(score: &'a Score, layout: &Layout, warnings: &mut Vec<Issue>) -> Skips<'a> {
    Skips {
        when: by_sheet(score, "skip_when", &score.sheet.skip_when, layout, warnings),
        command: by_sheet(score, "skip_when_command", &score.sheet.skip_when_command, layout, warnings),
    }
}

/// Stages to their sheets. A key above the number of stages shows that the author of an older score meant sheets;
/// then all keys of the map are sheets.
fn by_sheet<'a, T>(
    score: &Score,
    name: &str,
    map: &'a BTreeMap<u32, T>,
    layout: &Layout,
    warnings: &mut Vec<Issue>,
) -> BTreeMap<u32, &'a T> {
    let mut warn = |key: u32, code: &str, message: String| {
        let path = format!("sheet.{name}.{key}");
        warnings.push(Issue::warning(code, &path, message).at(score.place(&path)));
    };
    let total = u32::try_from(layout.sheets.len()).expect("at most 10,000 sheets");
    let beyond = map.keys().find(|key| **key > layout.total_stages);
    if let Some(key) = beyond.filter(|key| layout.fanned_out && **key <= total) {
        let stages = layout.total_stages;
        warn(
            *key,
            "V212",
            format!("{name} key {key} is no stage (1-{stages}): all keys of this map are read as sheets"),
        );
    }
    for key in map.keys().filter(|key| **key > total) {
        warn(
            *key,
            "V212",
            format!("{name} key {key} is out of range (valid: 1-{total}); this rule will never fire"),
        );
    }
    let sheets_meant = beyond.is_some();
    map.iter()
        .flat_map(|(key, value)| {
            let sheets = match layout.stages.get(*key as usize - 1) {
                Some(sheets) if !sheets_meant => sheets.clone(),
                _ => *key..key.saturating_add(1),
            };
            sheets.map(move |sheet| (sheet, value))
        })
        .collect()
}
