//! Properties of the score language that hold whatever a score says, and texts that are meant to do harm.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mozart::plan::{self, Overrides, Plan};
use mozart::score::{self, Issue, Source};
use proptest::prelude::*;

fn load(text: String) -> score::Loaded {
    let source = Source { path: None, text, files: BTreeMap::new(), base: "/scores".into() };
    let loaded = score::load(&source);
    assert_eq!(loaded.score.is_none(), loaded.issues.iter().any(Issue::is_error), "{:?}", loaded.issues);
    loaded
}

fn planned(text: String) -> Plan {
    let loaded = load(text);
    plan::expand(&loaded.score.unwrap(), &Overrides::default()).unwrap()
}

fn head(sheet: &str) -> String {
    format!("name: x\nprompt: {{template: a}}\nsheet:\n  size: 1\n{sheet}")
}

/// What every sheet waits for, sorted.
fn edges(plan: &Plan) -> Vec<Vec<u32>> {
    let sorted = |after: &[mozart::ids::SheetNo]| {
        let mut after: Vec<u32> = after.iter().map(|sheet| sheet.0).collect();
        after.sort_unstable();
        after
    };
    plan.sheets.iter().map(|sheet| sorted(&sheet.after)).collect()
}

/// A mapping in flow style.
fn flow(entries: &[(u32, Vec<u32>)]) -> String {
    let entries: Vec<String> = entries.iter().map(|(key, list)| format!("{key}: {list:?}")).collect();
    format!("{{{}}}", entries.join(", "))
}

proptest! {
    /// Fanning out a score with dependencies gives what somebody gets who writes down every sheet and every
    /// dependency by hand.
    #[test]
    fn a_fan_out_is_short_for_sheets_written_by_hand(
        widths in prop::collection::vec(1..4_u32, 1..6),
        wanted in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..8),
    ) {
        let stages = widths.len();
        let mut needs: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (from, to) in wanted {
            // Only back to earlier stages, so that there is no circle.
            let from = from.index(stages);
            if from > 0 {
                let to = u32::try_from(to.index(from)).unwrap() + 1;
                let list = needs.entry(u32::try_from(from).unwrap() + 1).or_default();
                if !list.contains(&to) {
                    list.push(to);
                }
            }
        }
        let needs: Vec<(u32, Vec<u32>)> = needs.into_iter().collect();
        let fan_out: Vec<String> = widths.iter().enumerate().map(|(at, width)| format!("{}: {width}", at + 1)).collect();
        let short = head(&format!(
            "  total_items: {stages}\n  fan_out: {{{}}}\n  dependencies: {}\n",
            fan_out.join(", "),
            flow(&needs)
        ));

        // The sheets of each stage, and by hand what each of them waits for.
        let mut next = 1;
        let sheets: Vec<Vec<u32>> = widths
            .iter()
            .map(|width| {
                let own = (next..next + width).collect();
                next += width;
                own
            })
            .collect();
        let of = |stage: u32| &sheets[stage as usize - 1];
        let mut by_hand: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (stage, before) in &needs {
            for (instance, sheet) in of(*stage).iter().enumerate() {
                for source in before.iter().map(|before| of(*before)) {
                    let paired = source.len() == of(*stage).len() && source.len() > 1;
                    let own = if paired { &source[instance..=instance] } else { source.as_slice() };
                    by_hand.entry(*sheet).or_default().extend(own);
                }
            }
        }
        if needs.is_empty() {
            // Without any dependency stages are a chain; a map that is there but empty of needs is not the same.
            return Ok(());
        }
        let by_hand: Vec<(u32, Vec<u32>)> = by_hand.into_iter().collect();
        let long = head(&format!("  total_items: {}\n  dependencies: {}\n", next - 1, flow(&by_hand)));
        prop_assert_eq!(edges(&planned(short)), edges(&planned(long)));
    }

    /// The items of all sheets together are all items, each once, in order.
    #[test]
    fn sheets_share_the_items(size in 1..50_u64, first in 1..200_u64, more in 0..300_u64) {
        let last = first + more;
        let text = format!(
            "name: x\nprompt: {{template: a}}\nsheet: {{size: {size}, total_items: {last}, start_item: {first}}}\n"
        );
        let plan = planned(text);
        let mut next = first;
        for sheet in &plan.sheets {
            prop_assert_eq!(sheet.start_item, next);
            prop_assert!(sheet.end_item >= sheet.start_item && sheet.end_item - sheet.start_item < size);
            next = sheet.end_item + 1;
        }
        prop_assert_eq!(next, last + 1);
    }

    /// Numbers of any size where numbers are expected: an answer, never a panic, never a huge job.
    #[test]
    fn numbers_of_any_size(size in any::<i64>(), total in any::<i64>(), start in any::<i64>(), wide in any::<i64>()) {
        let text = format!(
            "name: x\nprompt: {{template: a}}\nsheet: {{size: {size}, total_items: {total}, start_item: {start}, fan_out: {{1: {wide}}}}}\n"
        );
        if let Some(score) = load(text).score
            && let Ok(plan) = plan::expand(&score, &Overrides::default())
        {
            prop_assert!(plan.sheets.len() <= 10_000);
        }
    }
}

/// Refused, with this in the text, before it has cost anything to speak of.
#[track_caller]
fn check_refused(text: String, part: &str) {
    let start = Instant::now();
    let loaded = load(text);
    let refusal = loaded.issues.iter().find(|issue| issue.is_error() && issue.to_string().contains(part));
    assert!(refusal.is_some(), "{part} is not in {:?}", loaded.issues.iter().take(3).collect::<Vec<_>>());
    // Far above what it takes, far below what the harm would be.
    assert!(start.elapsed() < Duration::from_secs(30), "it took {:?}", start.elapsed());
}

#[test]
fn texts_that_are_meant_to_do_harm_are_refused() {
    let mut bomb = "x-a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n".to_owned();
    for (before, name) in
        ["a", "b", "c", "d", "e", "f", "g", "h"].iter().zip(["b", "c", "d", "e", "f", "g", "h", "i"])
    {
        let list = vec![format!("*{before}"); 10].join(", ");
        bomb.push_str(&format!("x-{name}: &{name} [{list}]\n"));
    }
    check_refused(bomb, "values");
    let merged: String = (0..1000).map(|n| format!("x-{n}: {{<<: *big}}\n")).collect();
    let big: String = (0..1000).map(|n| format!("  k{n}: 1\n")).collect();
    check_refused(format!("x-big: &big\n{big}{merged}"), "values");
    check_refused(format!("name: {}", "[".repeat(100_000)), "");
    check_refused(format!("x-deep: {}1{}", "{a: ".repeat(200), "}".repeat(200)), "levels");
    check_refused("name: x\nx-long: ".to_owned() + &"a".repeat(8 * 1024 * 1024), "8388608");
    check_refused(
        "name: 99999999999999999999999999999999\nsheet: {size: 1e400, total_items: .inf}\nprompt: {}"
            .to_owned(),
        "sheet.size",
    );
    check_refused("? {a: b}\n: c\n".to_owned(), "");
    check_refused("a: *nobody".to_owned(), "");
    check_refused("a: &x [*x]".to_owned(), "");
}

#[test]
fn eight_mebibytes_are_allowed() {
    let start = "name: x\nsheet: {size: 1, total_items: 1}\nprompt: {template: a}\nx-long: ";
    let text = start.to_owned() + &"a".repeat(8 * 1024 * 1024 - start.len());
    assert!(load(text).score.is_some());
}
