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
fn codes_of_checks_and_of_answers_are_explained() {
    let house = House::new("");
    for (written, parts) in [
        ("v213", ["V213 error, warning", "a condition that does not parse", "What mends it: correct it."]),
        ("V224", ["V224 warning", "a limit in dollars", "What mends it: name a model with a price"]),
        ("-32001", ["-32001 RESOURCE_EXHAUSTED", "A limit of the conductor is reached.", "What to do: "]),
        ("overloaded", ["-32007 OVERLOADED", "socket.max_streams", "close one"]),
    ] {
        let output = house.mozart(&["explain", written]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{written}: {text}");
        for part in parts {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
    }
    let output = house.mozart(&["explain", "--json", "--", "-32003"]);
    let doc: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&doc["code"], &doc["kind"]), (&"-32003".into(), &"rpc".into()), "{doc:#}");
    let output = house.mozart(&["explain", "V101", "--json"]);
    let doc: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&doc["kind"], &doc["severity"]), (&"check".into(), &"warning".into()), "{doc:#}");
}

#[test]
fn all_codes_are_listed() {
    let house = House::new("");
    let output = house.mozart(&["explain"]);
    let text = String::from_utf8(output.stdout).unwrap();
    for part in ["BACKEND_AUTH", "\nV213", "\n-32007"] {
        assert!(text.contains(part), "{part:?} is missing in\n{text}");
    }
    let output = house.mozart(&["explain", "--json"]);
    let doc: Value = serde_json::from_slice(&output.stdout).unwrap();
    // Three titles, three headings and two blank lines.
    assert_eq!(doc["codes"].as_array().unwrap().len() + 8, text.lines().count());
    let output = house.mozart(&["explain", "--quiet"]);
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count() + 8, text.lines().count());
}

#[test]
fn an_unknown_code_names_its_neighbours() {
    let house = House::new("");
    for (written, near) in
        [("E110", "E104"), ("V231", "V230"), ("-32009", "-32007"), ("V999", "V302"), ("OVERLOAD", "-32007")]
    {
        let output = house.mozart(&["explain", written]);
        assert_eq!(output.status.code(), Some(1), "{written}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(&format!("no code `{written}`")) && text.contains(near), "{text}");
    }
    let output = house.mozart(&["explain", "nonsense", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let doc: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&doc["error_code"], &doc["similar"]),
        (&"unknown_code".into(), &Value::Array(vec![])),
        "{doc:#}"
    );
}
