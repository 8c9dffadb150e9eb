//! Pages that list names of the program list all of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page(name: &str) -> String {
    fs::read_to_string(root().join("docs").join(name)).unwrap()
}

/// Sources below a directory of `src`, those of tests left out.
fn sources(below: &str) -> Vec<String> {
    let mut open: Vec<PathBuf> = vec![root().join("src").join(below)];
    let mut texts = Vec::new();
    while let Some(path) = open.pop() {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "tests" {
                open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
        } else if name.ends_with(".rs") && name != "tests.rs" && name != "cases.rs" {
            let text = fs::read_to_string(&path).unwrap();
            texts.push(text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned());
        }
    }
    assert!(!texts.is_empty(), "{below}");
    texts
}

/// What stands between quotes in sources, and what stands between two constants.
fn literals(texts: &[String]) -> BTreeSet<&str> {
    texts.iter().flat_map(|text| text.split('"').skip(1)).collect()
}

#[test]
fn every_event_is_on_the_page_of_the_protocol() {
    let page = page("protocol.md");
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    let listed = |name: &str| {
        let name = format!("`{name}`");
        rows.iter().any(|row| row.split(" | ").next().is_some_and(|first| first.contains(&name)))
    };
    let mut texts = sources("exec");
    texts.extend(sources("conductor"));
    let kinds = ["job", "sheet", "hook", "cost", "checkpoint", "escalation", "rate_limit"];
    let is_name = |text: &&str| {
        text.split_once('.').is_some_and(|(kind, rest)| {
            kinds.contains(&kind)
                && !rest.is_empty()
                && rest.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        })
    };
    // Methods are in a table of the page too; `job.event` is what carries the events.
    let names: Vec<&str> =
        literals(&texts).into_iter().filter(is_name).filter(|name| *name != "job.event").collect();
    assert!(names.contains(&"sheet.blocked_by_orphan") && names.contains(&"hook.failed"), "{names:?}");
    let missing: Vec<&&str> = names.iter().filter(|name| !listed(name)).collect();
    assert!(missing.is_empty(), "docs/protocol.md lists no event {missing:?}");
}

#[test]
fn every_code_of_a_check_is_on_its_page() {
    let page = page("checks.md");
    let texts: Vec<String> =
        ["score", "plan", "lint", "fleet", "template"].into_iter().flat_map(sources).collect();
    let is_code = |text: &&str| {
        text.len() == 4 && text.starts_with('V') && text[1..].bytes().all(|byte| byte.is_ascii_digit())
    };
    let codes: Vec<&str> = literals(&texts).into_iter().filter(is_code).collect();
    assert!(codes.contains(&"V212") && codes.contains(&"V003"), "{codes:?}");
    let missing: Vec<&&str> = codes.iter().filter(|code| !page.contains(&format!("| {code} |"))).collect();
    assert!(missing.is_empty(), "docs/checks.md lists no {missing:?}");
}
