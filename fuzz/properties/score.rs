//! Loading a score and expanding it: never a panic, an error exactly when there is no score, and a plan
//! whose sheets are numbered from 1 and wait only for other sheets of the same plan.

use std::collections::BTreeMap;
use std::path::PathBuf;

use mozart::plan::{self, Overrides};
use mozart::score::{self, Severity, Source};

/// The input is the text of a score.
pub(crate) fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let base = PathBuf::from("/nowhere");
    _ = score::referenced_files(text, &base);
    let source = Source { path: None, text: text.to_owned(), files: BTreeMap::new(), base };
    let loaded = score::load(&source);
    let errors = loaded.issues.iter().filter(|issue| issue.severity == Severity::Error).count();
    assert_eq!(loaded.score.is_none(), errors > 0, "{:?}", loaded.issues);
    for issue in &loaded.issues {
        assert!(!issue.message.trim().is_empty(), "an issue that says nothing: {issue:?}");
    }
    let Some(score) = loaded.score else { return };
    let plan = match plan::expand(&score, &Overrides::default()) {
        Ok(plan) => plan,
        Err(issues) => {
            assert!(!issues.is_empty(), "no plan and no reason");
            return;
        }
    };
    assert!(!plan.sheets.is_empty() && plan.sheets.len() <= 10_000, "{} sheets", plan.sheets.len());
    for (index, sheet) in plan.sheets.iter().enumerate() {
        assert_eq!(sheet.num.index(), index);
        assert!(sheet.instance >= 1 && sheet.instance <= sheet.fan_count && sheet.stage <= plan.total_stages);
        assert!(sheet.start_item <= sheet.end_item);
        for before in &sheet.after {
            assert!(before.0 >= 1 && before.index() < plan.sheets.len() && *before != sheet.num);
        }
        for &rule in &sheet.rules {
            assert!(rule < score.validations.len());
        }
    }
    for sheet in plan.sheets.iter().take(3) {
        _ = plan.variables(&score, sheet.num);
    }
    assert!(is_acyclic(&plan), "sheets wait for each other in a circle");
}

fn is_acyclic(plan: &plan::Plan) -> bool {
    let mut waits: Vec<usize> = plan.sheets.iter().map(|sheet| sheet.after.len()).collect();
    let mut followers = vec![Vec::new(); plan.sheets.len()];
    for sheet in &plan.sheets {
        for before in &sheet.after {
            followers[before.index()].push(sheet.num.index());
        }
    }
    let mut ready: Vec<usize> = (0..waits.len()).filter(|&index| waits[index] == 0).collect();
    let mut done = 0;
    while let Some(index) = ready.pop() {
        done += 1;
        for &next in &followers[index] {
            waits[next] -= 1;
            if waits[next] == 0 {
                ready.push(next);
            }
        }
    }
    done == plan.sheets.len()
}
