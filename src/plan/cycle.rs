//! Refusal of circles. Iterative: a chain of 10,000 sheets needs no stack.

use super::stages::Layout;
use crate::ids::SheetNo;
use crate::score::{Issue, Score};

/// Most sheets of a circle that a message names.
const MAX_NAMES: usize = 20;

pub(super) fn refuse(score: &Score, layout: &Layout, after: &[Vec<SheetNo>]) -> Result<(), Vec<Issue>> {
    let Some(circle) = find(after) else { return Ok(()) };
    let mut names: Vec<String> = circle.iter().map(ToString::to_string).collect();
    if names.len() > MAX_NAMES {
        let left_out = names.len() - MAX_NAMES;
        names.splice(MAX_NAMES - 1..names.len() - 1, [format!("({left_out} more)")]);
    }
    let message = format!("Circular dependency detected: {}", names.join(" -> "));
    // The entry that waits for a later stage is the unusual one: that is where the mistake is looked for.
    let backward = circle.windows(2).find(|pair| pair[1] > pair[0]).unwrap_or(&circle);
    let stage = layout.sheets[backward[0].index()].stage;
    let before = backward.get(1).map_or(stage, |sheet| layout.sheets[sheet.index()].stage);
    let listed = score.sheet.dependencies.iter().find(|(entry, _)| *entry == stage);
    let index = listed.and_then(|(_, list)| list.iter().position(|entry| *entry == before)).unwrap_or(0);
    let place = score.place(&format!("sheet.dependencies.{stage}.{index}"));
    let issue = Issue::error("schema", "sheet.dependencies", message).at(place);
    if !layout.fanned_out {
        return Err(vec![issue]);
    }
    // The message counts sheets, the author wrote stages.
    let mut stages: Vec<String> =
        circle.iter().take(MAX_NAMES).map(|sheet| layout.sheets[sheet.index()].stage.to_string()).collect();
    stages.dedup();
    let circle = stages.join(" -> ");
    let hint =
        format!("these are sheets, in stages {circle}: remove one of the dependencies that close the circle");
    Err(vec![issue.hint(hint)])
}

/// A circle from its lowest sheet back to it, each followed by one that it waits for.
fn find(after: &[Vec<SheetNo>]) -> Option<Vec<SheetNo>> {
    let mut waiting: Vec<usize> = after.iter().map(Vec::len).collect();
    let mut followers: Vec<Vec<usize>> = vec![Vec::new(); after.len()];
    for (index, before) in after.iter().enumerate() {
        for sheet in before {
            followers[sheet.index()].push(index);
        }
    }
    let mut ready: Vec<usize> = (0..after.len()).filter(|index| waiting[*index] == 0).collect();
    while let Some(index) = ready.pop() {
        for follower in &followers[index] {
            waiting[*follower] -= 1;
            if waiting[*follower] == 0 {
                ready.push(*follower);
            }
        }
    }
    // Each sheet that is left waits for another one that is left: following them leads into a circle.
    let mut at = waiting.iter().position(|count| *count > 0)?;
    let mut seen: Vec<Option<usize>> = vec![None; after.len()];
    let mut path = Vec::new();
    while seen[at].is_none() {
        seen[at] = Some(path.len());
        path.push(at);
        at = after[at].iter().map(|sheet| sheet.index()).find(|index| waiting[*index] > 0)?;
    }
    let mut circle = path.split_off(seen[at]?);
    let lowest = circle.iter().enumerate().min_by_key(|(_, index)| **index)?.0;
    circle.rotate_left(lowest);
    circle.push(circle[0]);
    Some(circle.into_iter().map(SheetNo::from_index).collect())
}
