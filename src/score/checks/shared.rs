//! V218: sheets side by side that are checked by the same file.

use std::collections::BTreeMap;

use super::templates::vars;
use super::{Report, Subject, ranges};
use crate::ids::SheetNo;
use crate::plan::Plan;
use crate::score::{Issue, RuleKind};
use crate::template::Stand;
use crate::template::placeholders::expand_path;

/// Most sheets that are looked at, and most of those that share one file.
const MAX_SHEETS: usize = 2_000;
const MAX_SHARING: usize = 64;

/// Warns about rules whose file several sheets would write at the same time.
pub(super) fn paths(subject: &Subject<'_>, report: &mut Report) {
    let score = subject.score;
    if !score.parallel.enabled {
        return;
    }
    let by_file = |index: &usize| {
        let rule = &score.validations[*index];
        matches!(rule.kind, RuleKind::FileExists | RuleKind::FileModified)
    };
    let mut users: BTreeMap<(usize, String), Vec<SheetNo>> = BTreeMap::new();
    for sheet in subject.plan.sheets.iter().take(MAX_SHEETS) {
        if !sheet.rules.iter().any(&by_file) {
            continue;
        }
        let vars = vars(subject, sheet, Stand::Text);
        for index in sheet.rules.iter().copied().filter(&by_file) {
            let Some(path) = &score.validations[index].path else { continue };
            if let Ok(path) = expand_path(path, &vars) {
                users.entry((index, path)).or_default().push(sheet.num);
            }
        }
    }
    users.retain(|_, sheets| sheets.len() > 1);
    if users.is_empty() {
        return;
    }
    let before = Before::new(subject.plan);
    for ((index, file), sheets) in users {
        let sheets = &sheets[..sheets.len().min(MAX_SHARING)];
        let sharing: Vec<u32> = sheets
            .iter()
            .filter(|one| sheets.iter().any(|other| before.side_by_side(**one, *other)))
            .map(|sheet| sheet.0)
            .collect();
        if !sharing.is_empty() {
            let path = format!("validations.{index}.path");
            let numbers = ranges(&sharing);
            let message = format!("Sheets {numbers} may run at the same time and share {file}");
            let hint = "put {instance} or {sheet_num} into the path, or a condition on the rule";
            report.add(subject, Issue::warning("V218", &path, message).hint(hint).detail("sheets", sharing));
        }
    }
}

/// Which sheets end before which begin, one bit a pair.
struct Before {
    rows: Vec<Vec<u64>>,
}

impl Before {
    fn new(plan: &Plan) -> Self {
        let count = plan.sheets.len();
        let mut rows: Vec<Option<Vec<u64>>> = vec![None; count];
        // Dependencies may point to higher numbers; a sheet waits on the stack until all of its own are known.
        let mut stack: Vec<usize> = (0..count).rev().collect();
        while let Some(&index) = stack.last() {
            if rows[index].is_some() {
                stack.pop();
                continue;
            }
            let open: Vec<usize> = plan.sheets[index]
                .after
                .iter()
                .map(|sheet| sheet.index())
                .filter(|sheet| rows[*sheet].is_none())
                .collect();
            if !open.is_empty() {
                stack.extend(open);
                continue;
            }
            let mut row = vec![0_u64; count.div_ceil(64)];
            for sheet in &plan.sheets[index].after {
                let at = sheet.index();
                row[at / 64] |= 1 << (at % 64);
                for (word, more) in row.iter_mut().zip(rows[at].iter().flatten()) {
                    *word |= more;
                }
            }
            rows[index] = Some(row);
            stack.pop();
        }
        Self { rows: rows.into_iter().map(Option::unwrap_or_default).collect() }
    }

    fn has(&self, sheet: SheetNo, before: SheetNo) -> bool {
        let at = before.index();
        self.rows[sheet.index()].get(at / 64).is_some_and(|word| word & (1 << (at % 64)) != 0)
    }

    fn side_by_side(&self, one: SheetNo, other: SheetNo) -> bool {
        one != other && !self.has(one, other) && !self.has(other, one)
    }
}
