#![allow(clippy::unwrap_used)]

use std::path::Path;

use proptest::prelude::*;

use super::*;

fn loaded(text: &str) -> Loaded {
    let loaded = load(text, Path::new("/base"));
    assert_eq!(loaded.fleet.is_none(), loaded.issues.iter().any(Issue::is_error), "{:?}", loaded.issues);
    loaded
}

/// Layers as the stems of the members.
#[track_caller]
fn check_layers(text: &str, expected: &[&[&str]]) {
    let loaded = loaded(text);
    let fleet = loaded.fleet.unwrap_or_else(|| panic!("{:?}", loaded.issues));
    let name = |index: &usize| fleet.members[*index].job_id.clone();
    let layers: Vec<Vec<String>> =
        fleet.layers.iter().map(|layer| layer.iter().map(name).collect()).collect();
    assert_eq!(layers, expected);
}

#[track_caller]
fn check_error(text: &str, expected: &str) {
    let shown: Vec<String> = loaded(text).issues.iter().map(ToString::to_string).collect();
    assert!(shown.iter().any(|issue| issue == expected), "{expected}\nis not in {shown:#?}");
}

#[test]
fn groups_become_layers() {
    check_layers(
        "name: f\ntype: fleet\nscores: [{path: c.yaml, group: last}, {path: a.yaml, group: first}, {path: x.yaml},
          {path: b.yaml, group: next}]
groups: {first: {}, next: {depends_on: [first]}, last: {depends_on: [first, next]}, unused: }",
        &[&["a", "x"], &["b"], &["c"]],
    );
    check_layers("name: f\ntype: fleet\nscores: [{path: ../a.yaml}]", &[&["a"]]);
    check_layers("name: f\ntype: fleet\nscores: [{path: a.yaml, group: g}]", &[&["a"]]);
}

#[test]
fn members_with_the_same_file_are_different_jobs() {
    let text =
        "name: f\ntype: fleet\nscores: [{path: a.yaml}, {path: a.yaml}, {path: b/a.yaml}, {path: a-2.yaml}]";
    check_layers(text, &[&["a", "a-3", "a-4", "a-2"]]);
    let fleet = loaded(text).fleet.unwrap();
    assert_eq!(fleet.members[2].path, Path::new("/base/b/a.yaml"));
}

#[test]
fn what_is_wrong_is_said() {
    let with = |rest: &str| format!("name: f\ntype: fleet\nscores: [{{path: a.yaml, group: a}}]\n{rest}");
    check_error("type: fleet", "name: Field required");
    check_error("type: fleet", "scores: Field required");
    check_error("name: f\ntype: fleet\nscores: []", "scores: List should have at least 1 item");
    check_error("name: f\ntype: fleet\nscores: [{}]", "scores.0.path: Field required");
    check_error(&with("groupes: {}"), "groupes: Extra inputs are not permitted");
    check_error(&with("groups: {a: {after: [b]}}"), "groups.a.after: Extra inputs are not permitted");
    check_error(
        &with("groups: {a: {depends_on: [b]}}"),
        "groups.a: Group 'a' depends on undefined group 'b'. Defined groups: [a]",
    );
    let circle = "groups.a: Circular dependency detected involving group 'a'";
    check_error(&with("groups: {a: {depends_on: [a]}}"), circle);
    check_error(
        &with("groups: {behind: {depends_on: [a]}, a: {depends_on: [b]}, b: {depends_on: [a]}}"),
        circle,
    );
    check_error("- a", "Input should be a valid mapping");
    check_error(
        "a: [",
        "YAML syntax error: while parsing a node, did not find expected node content at line 2 column 1",
    );
    let many = "{path: a}, ".repeat(MAX_MEMBERS + 1);
    check_error(
        &format!("name: f\ntype: fleet\nscores: [{many}]"),
        "scores: List should have at most 1000 items",
    );
    let undeclared = loaded(&with(""));
    assert!(undeclared.fleet.is_some() && undeclared.issues[0].message.contains("not declared"));
}

#[test]
fn members_are_looked_at() {
    let text = "name: f\ntype: fleet\nscores:\n  - path: ok.yaml\n  - path: fleet.yaml\n  - path: gone.yaml";
    let fleet = loaded(text).fleet.unwrap();
    let read = |path: &Path| match path.file_stem().unwrap().to_str().unwrap() {
        "ok" => Ok("name: x".to_owned()),
        "fleet" => Ok(text.to_owned()),
        _ => Err("no such file".to_owned()),
    };
    let issues = check_members(&fleet, &read);
    let shown: Vec<String> = issues.iter().map(|issue| format!("{} {issue}", issue.line.unwrap())).collect();
    assert_eq!(
        shown,
        [
            "5 scores.1.path: fleets cannot be nested: /base/fleet.yaml",
            "6 scores.2.path: Score not found: /base/gone.yaml"
        ]
    );
}

#[test]
fn a_fleet_is_recognised_by_its_type() {
    assert!(is_fleet("type: fleet") && is_fleet("{type: 'fleet', x: 1}"));
    assert!(!is_fleet("type: score") && !is_fleet("[type, fleet]") && !is_fleet("type: [") && !is_fleet(""));
}

proptest! {
    /// Whatever waits for whatever: either a circle is reported, or every group comes after those it waits for.
    #[test]
    fn layers_respect_dependencies(edges in prop::collection::vec((0..6_usize, 0..6_usize), 0..12)) {
        let mut text = "name: f\ntype: fleet\nscores: [".to_owned();
        for group in 0..6 {
            text.push_str(&format!("{{path: s{group}.yaml, group: g{group}}}, "));
        }
        text.push_str("]\ngroups:\n");
        for group in 0..6 {
            let needs: Vec<String> =
                edges.iter().filter(|(from, _)| *from == group).map(|(_, to)| format!("g{to}")).collect();
            text.push_str(&format!("  g{group}: {{depends_on: [{}]}}\n", needs.join(", ")));
        }
        let loaded = loaded(&text);
        let reached = |from: usize| {
            let mut seen = [false; 6];
            let mut open: Vec<usize> = edges.iter().filter(|edge| edge.0 == from).map(|edge| edge.1).collect();
            while let Some(next) = open.pop() {
                if !std::mem::replace(&mut seen[next], true) {
                    open.extend(edges.iter().filter(|edge| edge.0 == next).map(|edge| edge.1));
                }
            }
            seen
        };
        let circle = (0..6).any(|group| reached(group)[group]);
        prop_assert_eq!(loaded.fleet.is_none(), circle);
        if let Some(fleet) = loaded.fleet {
            let layer = |group: usize| fleet.layers.iter().position(|layer| layer.contains(&group)).unwrap();
            for (from, to) in edges {
                prop_assert!(layer(from) > layer(to));
            }
        }
    }
}
