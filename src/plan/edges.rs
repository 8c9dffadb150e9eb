//! Which sheet waits for which.

use super::MAX_EDGES;
use super::stages::Layout;
use crate::ids::SheetNo;
use crate::score::{Issue, Score};

/// The sheets before each sheet, ascending: declared edges, or the chain of stages when none are declared.
pub(super) fn effective(score: &Score, layout: &Layout) -> Result<Vec<Vec<SheetNo>>, Vec<Issue>> {
    let links: Vec<(u32, u32)> = if score.sheet.dependencies.is_empty() {
        (2..=layout.total_stages).map(|stage| (stage, stage - 1)).collect()
    } else {
        in_range(score, layout)?;
        let dependencies = &score.sheet.dependencies;
        dependencies
            .iter()
            .flat_map(|(stage, before)| before.iter().map(|before| (*stage, *before)))
            .collect()
    };
    let chain = score.sheet.dependencies.is_empty();
    let mut after: Vec<Vec<SheetNo>> = vec![Vec::new(); layout.sheets.len()];
    let mut total = 0;
    for (stage, before) in links {
        let targets = layout.stages[stage as usize - 1].clone();
        let sources = layout.stages[before as usize - 1].clone();
        // Equal numbers of instances belong together one by one, when the score itself links the stages.
        let matched = !chain && targets.len() == sources.len() && targets.len() > 1;
        total += if matched { targets.len() } else { targets.len().saturating_mul(sources.len()) };
        if total > MAX_EDGES {
            let message = format!("score expands to more than {MAX_EDGES} dependencies between sheets");
            let issue = Issue::error("schema", "sheet.fan_out", message);
            return Err(vec![issue.at(score.place("sheet.fan_out"))]);
        }
        for (index, target) in targets.enumerate() {
            let list = &mut after[target as usize - 1];
            match sources.clone().nth(index).filter(|_| matched) {
                Some(source) => list.push(SheetNo(source)),
                None => list.extend(sources.clone().map(SheetNo)),
            }
        }
    }
    for list in &mut after {
        list.sort_unstable();
        list.dedup();
    }
    Ok(after)
}

fn in_range(score: &Score, layout: &Layout) -> Result<(), Vec<Issue>> {
    let last = layout.total_stages;
    let mut issues = Vec::new();
    let mut error = |path: &str, at: &str, message: String| {
        issues.push(Issue::error("schema", path, message).at(score.place(at)));
    };
    for (stage, before) in &score.sheet.dependencies {
        let path = format!("sheet.dependencies.{stage}");
        if *stage > last {
            error(
                &path,
                &path,
                if layout.fanned_out {
                    format!(
                        "dependency references stage {stage}, but total_stages is {last} (valid: 1-{last})"
                    )
                } else {
                    format!("Dependency key sheet {stage} is out of range (valid: 1-{last})")
                },
            );
        }
        for (index, before) in before.iter().enumerate().filter(|(_, before)| **before > last) {
            error(
                &path,
                &format!("{path}.{index}"),
                if layout.fanned_out {
                    format!(
                        "stage {stage} depends on stage {before}, but total_stages is {last} (valid: 1-{last})"
                    )
                } else {
                    format!(
                        "Sheet {stage} depends on sheet {before}, which is out of range (valid: 1-{last})"
                    )
                },
            );
        }
    }
    if issues.is_empty() { Ok(()) } else { Err(issues) }
}
