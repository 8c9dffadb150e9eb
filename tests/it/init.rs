//! `mozart init`: what it writes is valid, and runs as it is.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::process::Output;

use serde_json::Value;

use crate::house::House;

fn mozart(house: &House, args: &[&str]) -> Output {
    house.command(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_first_score_is_valid_and_runs_to_its_end() {
    let house = House::started("");
    let made = mozart(&house, &["init", "first"]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    assert!(text(&made.stdout).contains("mozart run --wait first.yaml"), "{}", text(&made.stdout));
    let checked = mozart(&house, &["validate", "--strict", "first.yaml"]);
    assert!(checked.status.success(), "{}{}", text(&checked.stdout), text(&checked.stderr));

    let ran = mozart(&house, &["run", "--wait", "first.yaml"]);
    assert!(ran.status.success(), "{}{}", text(&ran.stdout), text(&ran.stderr));
    let notes = fs::read_to_string(house.path("workspaces/first/notes.txt")).unwrap();
    assert_eq!(notes.lines().count(), 4);
    assert!(notes.contains("Note 2 of 3, by sheet 3"), "{notes}");
}

#[test]
fn the_schema_stands_where_the_score_says() {
    let house = House::new("");
    let made = mozart(&house, &["init", "--name", "x", "--path", "new/place", "--json"]);
    let document: Value = serde_json::from_slice(&made.stdout).unwrap();
    assert_eq!((&document["success"], &document["name"]), (&true.into(), &"x".into()));
    let score = fs::read_to_string(document["score_file"].as_str().unwrap()).unwrap();
    let schema = score.lines().next().unwrap().strip_prefix("# yaml-language-server: $schema=").unwrap();
    let written: Value =
        serde_json::from_str(&fs::read_to_string(house.path("new/place").join(schema)).unwrap()).unwrap();
    let printed: Value = serde_json::from_slice(&mozart(&house, &["schema", "score"]).stdout).unwrap();
    assert_eq!(written, printed);
    assert!(house.path("new/place/workspaces").is_dir());
}

#[test]
fn what_is_there_stays_unless_it_is_forced() {
    let house = House::new("");
    fs::write(house.path("mine.yaml"), "precious").unwrap();
    let refused = mozart(&house, &["init", "mine"]);
    assert_eq!(refused.status.code(), Some(1));
    let told = text(&refused.stderr);
    assert!(
        told.starts_with("Error: Score already exists: ") && told.ends_with("\nUse --force to overwrite.\n"),
        "{told}"
    );
    assert_eq!(fs::read_to_string(house.path("mine.yaml")).unwrap(), "precious");
    assert!(mozart(&house, &["init", "mine", "--force", "--quiet"]).status.success());
    assert!(fs::read_to_string(house.path("mine.yaml")).unwrap().contains("name: mine"));
    // No left-overs of the writing.
    let names: Vec<_> =
        fs::read_dir(house.path(".mozart")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["score.schema.json"]);
}

#[test]
fn wrong_names_are_wrong_use() {
    let house = House::new("");
    for (name, part) in
        [("a b", "cannot contain spaces"), ("../x", "path separators"), (".x", "start with a dot")]
    {
        let refused = mozart(&house, &["init", name]);
        assert_eq!(refused.status.code(), Some(2));
        assert!(text(&refused.stderr).contains(part), "{}", text(&refused.stderr));
    }
    assert!(!house.path(".mozart").exists());
}
