//! Fleets: what is written in the guide about them holds, and submitting one is refused.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use mozart::fleet;

use crate::house::House;

#[test]
fn the_fleet_of_the_guide_loads() {
    let guide = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/fleets.md")).unwrap();
    let block = guide.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert!(fleet::is_fleet(block));
    let loaded = fleet::load(block, Path::new("/scores"));
    assert!(loaded.issues.is_empty(), "{:?}", loaded.issues);
    let fleet = loaded.fleet.unwrap();
    let layers: Vec<Vec<&str>> = fleet
        .layers
        .iter()
        .map(|layer| layer.iter().map(|&member| fleet.members[member].job_id.as_str()).collect())
        .collect();
    assert_eq!(layers, [vec!["survey", "style"], vec!["parser", "printer"], vec!["release"]]);
}

#[test]
fn a_fleet_cannot_be_submitted_yet_and_the_refusal_says_so() {
    let house = House::started("");
    fs::write(house.path("f.yaml"), "name: f\ntype: fleet\nscores: [{path: a.yaml}]\n").unwrap();
    let refused = house.command(&["run", "f.yaml"]).output().unwrap();
    assert!(!refused.status.success());
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("is a fleet file") && told.contains("comes with a later version"), "{told}");
    let checked = house.command(&["validate", "f.yaml"]).output().unwrap();
    let out = String::from_utf8_lossy(&checked.stdout).to_lowercase();
    assert!(out.contains("fleet"), "{out}");
}
