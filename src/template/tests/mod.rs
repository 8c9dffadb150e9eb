//! Templates against what Jinja2 3.1 prints for them.

#![allow(clippy::unwrap_used)]

mod jinja;
mod printed;
mod rewrite;
mod scores;
mod sha256;

use super::*;

fn vars() -> Vars {
    let mut vars = Vars::new();
    vars.set("d", [("a", 1i64)].into_iter().collect::<Item>());
    vars.set("l", vec![1i64, 2]);
    vars.set("d2", [(1i64, "one")].into_iter().collect::<Item>());
    vars.set("s", [("1", "one")].into_iter().collect::<Item>());
    vars.set("n", Item::None);
    vars.set("previous_outputs", Item::Map(Vec::new()));
    vars
}

fn check(template: &str, expected: &str) {
    assert_eq!(
        render(template, &vars()).unwrap_or_else(|error| panic!("{template}: {error}")),
        expected,
        "{template}"
    );
}

/// Renders to an error whose text contains `part`.
fn check_error(template: &str, part: &str) {
    match render(template, &vars()) {
        Ok(text) => panic!("{template}: rendered to {text:?}"),
        Err(error) => assert!(error.to_string().contains(part), "{template}: {error}"),
    }
}
