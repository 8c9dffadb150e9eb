//! `mozart explain`: codes without a conductor.

use serde_json::Value;

use crate::house::House;

#[test]
fn a_code_is_explained() {
    let house = House::new("");
    let output = house.mozart(&["explain", "e101"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    for part in ["E101 RATE_LIMIT_API", "rate_limit", "waited out", "What to do: "] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    let output = house.mozart(&["explain", "E009", "--json"]);
    let doc: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&doc["name"], &doc["retry"], &doc["delay_seconds"]),
        (&"EXECUTION_UNKNOWN".into(), &"yes".into(), &10.into())
    );
    assert!(doc["variants"].to_string().contains("exit code 75"), "{doc:#}");
}

#[test]
fn all_codes_are_listed() {
    let house = House::new("");
    let output = house.mozart(&["explain"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.lines().count() > 40 && text.contains("BACKEND_AUTH"), "{text}");
    let output = house.mozart(&["explain", "--json"]);
    let doc: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(doc["codes"].as_array().unwrap().len() + 1, text.lines().count());
}

#[test]
fn an_unknown_code_names_its_neighbours() {
    let house = House::new("");
    let output = house.mozart(&["explain", "E110"]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("no error code `E110`") && text.contains("E104"), "{text}");
    let output = house.mozart(&["explain", "nonsense", "--json"]);
    assert_eq!(output.status.code(), Some(2));
    let doc: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(doc["error_code"], "usage", "{doc:#}");
}
