//! Sheets that a condition or a command of the score finds needless.

use std::fs;

use serde_json::json;

use crate::band::{Band, states};
use crate::house::House;

/// A house whose agent writes down which sheet it played.
fn house() -> House {
    let mut house = House::new("");
    house.agent("writing", "echo \"$sheet\" >> ran\n", "");
    house.start();
    house
}

#[test]
fn a_condition_skips_a_sheet_and_what_follows_it_runs() {
    let house = house();
    let text = "instrument: writing\nsheet:\n  size: 1\n  total_items: 4\n  skip_when:\n    \
                2: sheets[1].status == \"completed\" and 0 < sheets[1].attempt_count <= 1\n    \
                3: len(sheets) == 3 or job.name != \"cond\"\n\
                prompt: {template: work}\nretry: {max_retries: 0}\n";
    let end = house.play_out("cond", text, "completed");
    assert_eq!(states(&end), ["completed", "skipped", "completed", "completed"], "{end:#}");
    assert_eq!(house.read("cond/ran"), "1\n3\n4\n");
    assert_eq!(end["sheets"]["2"]["attempt_count"], 0, "{end:#}");
}

#[test]
fn a_condition_that_cannot_be_decided_runs_the_sheet() {
    let house = house();
    let text = "instrument: writing\nsheet:\n  size: 1\n  total_items: 2\n  skip_when:\n    \
                2: sheets[1].exit_code.missing == 1\nprompt: {template: work}\n";
    let end = house.play_out("undecided", text, "completed");
    assert_eq!(states(&end), ["completed", "completed"]);
    assert_eq!(house.read("undecided/ran"), "1\n2\n");
}

#[test]
fn a_condition_with_a_mistake_is_refused() {
    let house = house();
    let text = "name: x\ninstrument: writing\nsheet: {size: 1, total_items: 2, skip_when: {2: \"stage = 1\"}}\nprompt: {template: a}\n";
    fs::write(house.path("bad.yaml"), text).unwrap();
    let answer = house.call("job.submit", json!({ "config_path": house.path("bad.yaml") }));
    assert_eq!(answer["status"], "rejected", "{answer}");
    assert!(answer["message"].as_str().unwrap().contains("equality is `==`"), "{answer}");
}
