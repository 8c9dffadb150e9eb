//! The page of invariants and the tests that carry their numbers agree.
//!
//! A test carries the number of an invariant in a comment line of one form right above its attributes and
//! documentation: `// Invariant I17` or `// Invariant I17, I18`. Nothing here says that such a test is a
//! good one; it says that there is one, and that the page names it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// How many there are.
const COUNT: u32 = 84;
const MARK: &str = "// Invariant ";

/// Tests by the number of the invariant that they show.
type Shown = BTreeMap<u32, BTreeSet<String>>;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// `I17` as 17.
fn number(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix('I').filter(|digits| !digits.starts_with(['0', '+']));
    let number = digits.and_then(|digits| digits.parse().ok()).filter(|number| (1..=COUNT).contains(number));
    number.ok_or_else(|| format!("`{text}` is no invariant: I1 to I{COUNT}"))
}

/// Path of the module of a file, as a filter of `cargo test` takes it.
fn module(path: &str, text: &str) -> String {
    let (crate_name, rest) = match path.strip_prefix("tests/it/") {
        Some(rest) => ("it ", rest),
        None => ("", path.strip_prefix("src/").unwrap_or(path)),
    };
    let rest = rest.strip_suffix(".rs").unwrap_or(rest);
    let rest = rest.strip_suffix("/mod").unwrap_or(rest);
    let inner = if text.contains("\nmod tests {") { "::tests" } else { "" };
    format!("{crate_name}{}{inner}", rest.replace('/', "::"))
}

/// The marked tests of a file: the numbers, and the name of the function.
fn marked(text: &str) -> Result<Vec<(Vec<u32>, String)>, String> {
    let mut found = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let Some(list) = line.trim_start().strip_prefix(MARK) else { continue };
        let numbers: Vec<u32> = list.split(", ").map(number).collect::<Result<_, _>>()?;
        let mut is_test = false;
        let name = loop {
            let next = lines.next().map(|(_, line)| line.trim_start()).unwrap_or_default();
            if let Some(rest) = next.strip_prefix("fn ") {
                break rest.split(['(', '<']).next().unwrap_or_default().to_owned();
            }
            is_test |= next == "#[test]";
            if !next.starts_with("///") && !next.starts_with("#[") {
                return Err(format!("line {}: no test follows the mark", at + 1));
            }
        };
        if !is_test {
            return Err(format!("line {}: `{name}` has no `#[test]`", at + 1));
        }
        found.push((numbers, name));
    }
    Ok(found)
}

fn in_sources() -> Shown {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    sources(&root().join("tests/it"), &mut files);
    let mut shown = Shown::new();
    for file in files {
        let path = file.strip_prefix(root()).unwrap().display().to_string();
        let text = fs::read_to_string(&file).unwrap();
        // This file speaks of the form.
        if path == "tests/it/invariants.rs" {
            continue;
        }
        for (numbers, name) in marked(&text).unwrap_or_else(|error| panic!("{path}: {error}")) {
            for number in numbers {
                shown.entry(number).or_default().insert(format!("{}::{name}", module(&path, &text)));
            }
        }
    }
    shown
}

/// The rows of the page: number, sentence, tests.
fn in_page(text: &str) -> Shown {
    let mut shown = Shown::new();
    for line in text.lines().filter(|line| line.starts_with("| I")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [num, sentence, tests] = cells[..] else { panic!("three cells are expected: {line}") };
        let num = number(num).unwrap();
        assert!(sentence.ends_with('.') && sentence.len() > 20, "a sentence is expected: {line}");
        let tests = tests.split(", ").map(|test| test.trim_matches('`').to_owned());
        assert!(shown.insert(num, tests.collect()).is_none(), "I{num} has two rows");
        assert_eq!(shown.len(), num as usize, "rows are in order: {line}");
    }
    shown
}

#[test]
fn every_invariant_has_a_test() {
    let shown = in_sources();
    let missing: Vec<u32> = (1..=COUNT).filter(|number| !shown.contains_key(number)).collect();
    assert!(missing.is_empty(), "no test carries these numbers: {missing:?}");
}

#[test]
fn the_page_names_every_invariant_and_its_tests() {
    let text = fs::read_to_string(root().join("docs/invariants.md")).unwrap();
    let (page, code) = (in_page(&text), in_sources());
    for number in 1..=COUNT {
        let tests = code.get(&number).cloned().unwrap_or_default();
        let row = tests.iter().map(|test| format!("`{test}`")).collect::<Vec<_>>().join(", ");
        assert_eq!(page.get(&number), Some(&tests), "the row of I{number} should name: {row}");
    }
}

#[test]
fn marks_are_read_in_one_form_only() {
    let fine = "// Invariant I2, I84\n/// Why.\n#[test]\nfn it_holds() {\n";
    assert_eq!(marked(fine).unwrap(), [(vec![2, 84], "it_holds".to_owned())]);
    for wrong in [
        "// Invariant I0\n#[test]\nfn a() {",
        "// Invariant I85\n#[test]\nfn a() {",
        "// Invariant I2 I3\n#[test]\nfn a() {",
        "// Invariant I2\nfn a() {",
        "// Invariant I2\n\n#[test]\nfn a() {",
        "// Invariant I2",
    ] {
        assert!(marked(wrong).is_err(), "{wrong}");
    }
}
