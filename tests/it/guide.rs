//! Every example of `docs/writing-scores.md` does what the text around it says.
//!
//! Fences: `yaml run` is a score that is run to its end, and `text FILE` after it what that file in its workspace
//! then holds; `yaml part` is a part of a score; `yaml wrong` is refused with the `text` that follows.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use mozart::plan::{self, Overrides};
use mozart::score::{self, Issue, Source};

use crate::house::House;

/// A fenced block: the words behind the fence, its line, its text.
struct Block {
    info: String,
    line: usize,
    text: String,
}

fn blocks() -> Vec<Block> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/writing-scores.md");
    let page = fs::read_to_string(path).unwrap();
    let mut blocks: Vec<Block> = Vec::new();
    let mut open = false;
    for (number, line) in page.lines().enumerate() {
        match line.strip_prefix("```") {
            Some(info) if !open => {
                open = true;
                blocks.push(Block { info: info.to_owned(), line: number + 1, text: String::new() });
            }
            Some(_) => open = false,
            None if open => blocks.last_mut().unwrap().text.push_str(&format!("{line}\n")),
            None => (),
        }
    }
    blocks
}

/// All problems of a score, those of its plan included.
fn problems(text: &str) -> Vec<Issue> {
    let source = Source { text: text.to_owned(), base: "/scores".into(), files: BTreeMap::new(), path: None };
    let loaded = score::load(&source);
    let mut issues = loaded.issues;
    if let Some(score) = loaded.score {
        match plan::expand(&score, &Overrides::default()) {
            Ok(plan) => issues.extend(plan.warnings),
            Err(more) => issues.extend(more),
        }
    }
    issues
}

#[test]
fn every_example_runs_as_the_guide_says() {
    let house = House::started("");
    let mut workspace = None;
    let (mut ran, mut compared) = (0, 0);
    for block in blocks() {
        if block.info == "yaml run" {
            let line = |key: &str| block.text.lines().find_map(|line| line.strip_prefix(key));
            let name = line("name: ").unwrap();
            fs::write(house.path(&format!("{name}.yaml")), &block.text).unwrap();
            let place = format!("line {} of the guide", block.line);
            assert!(problems(&block.text).is_empty(), "{place}: {:?}", problems(&block.text));
            let done = house.command(&["run", "--wait", &format!("{name}.yaml")]).output().unwrap();
            let told = [done.stdout, done.stderr].concat();
            assert!(done.status.success(), "{place}: {}", String::from_utf8_lossy(&told));
            workspace = Some(house.path(line("workspace: ").unwrap_or("workspace")));
            ran += 1;
        } else if let Some(file) = block.info.strip_prefix("text ") {
            let path = workspace.as_ref().expect("an example was run before").join(file);
            let found =
                fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert_eq!(found, block.text, "{file}, line {} of the guide", block.line);
            compared += 1;
        }
    }
    assert!(ran >= 7 && compared >= 6, "{ran} {compared}");
}

#[test]
fn every_part_is_valid() {
    let mut seen = 0;
    for block in blocks().into_iter().filter(|block| block.info == "yaml part") {
        let mut text = block.text.clone();
        for (key, line) in [
            ("name:", "name: x"),
            ("instrument:", "instrument: cli"),
            ("sheet:", "sheet: {size: 1, total_items: 3}"),
            ("prompt:", "prompt: {template: a}"),
        ] {
            if !block.text.lines().any(|line| line.starts_with(key)) {
                text.push_str(&format!("{line}\n"));
            }
        }
        let issues = problems(&text);
        assert!(issues.is_empty(), "line {} of the guide: {issues:?}", block.line);
        seen += 1;
    }
    assert!(seen >= 3);
}

#[test]
fn every_mistake_is_found() {
    let blocks = blocks();
    let mut seen = 0;
    for pair in blocks.windows(2).filter(|pair| pair[0].info == "yaml wrong") {
        let issues = problems(&pair[0].text);
        let expected = pair[1].text.trim();
        let found = issues.iter().any(|issue| issue.is_error() && issue.to_string().contains(expected));
        assert!(found, "line {}: {expected} is not in {issues:?}", pair[0].line);
        assert!(issues.iter().any(|issue| issue.line.is_some()), "no line: {issues:?}");
        seen += 1;
    }
    assert!(seen >= 5);
}

#[test]
fn no_other_blocks_are_left_unchecked() {
    for block in blocks() {
        let known = ["yaml run", "yaml part", "yaml wrong", "text", "sh"];
        assert!(
            known.contains(&block.info.as_str()) || block.info.starts_with("text "),
            "line {}",
            block.line
        );
    }
}
