//! Tests of the YAML reader.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn json(text: &str) -> String {
    match parse(text) {
        Ok(node) => serde_json::to_string(&node.to_value()).unwrap(),
        Err(error) => error.to_string(),
    }
}

fn check(text: &str, expected: &str) {
    assert_eq!(json(text), expected, "{text}");
}

#[test]
fn plain_scalars() {
    for (text, expected) in [
        ("12", "12"),
        ("-3", "-3"),
        ("+3", "3"),
        ("0", "0"),
        ("1_000", "1000"),
        ("0x1F", "31"),
        ("0o17", "15"),
        ("010", "\"010\""),
        ("1:30", "\"1:30\""),
        ("1e3", "\"1e3\""),
        ("1.5", "1.5"),
        ("1.5e3", "1500.0"),
        (".5", "0.5"),
        ("5.", "5.0"),
        ("12345678901234567890123", "\"12345678901234567890123\""),
        ("2024-01-31", "\"2024-01-31\""),
        ("1.2.3", "\"1.2.3\""),
        ("yes", "\"yes\""),
        ("True", "true"),
        ("~", "null"),
        ("'12'", "\"12\""),
        ("\"true\"", "\"true\""),
        ("!!str 12", "\"12\""),
        ("!!float 12", "12.0"),
        ("_", "\"_\""),
        (".", "\".\""),
        ("-", "[null]"),
        ("...", "null"),
        ("0x", "\"0x\""),
    ] {
        check(text, expected);
    }
    assert!(matches!(parse(".inf").unwrap().kind, Kind::Float(f) if f.is_infinite()));
    assert!(matches!(parse("-.INF").unwrap().kind, Kind::Float(f) if f.is_infinite()));
    assert!(matches!(parse(".nan").unwrap().kind, Kind::Float(f) if f.is_nan()));
}

#[test]
fn structures_and_integer_keys() {
    check("{2: a, 1: [x, {y: z}]}", r#"{"2":"a","1":["x",{"y":"z"}]}"#);
    let Value::Map(map) = parse("{1: a, '1': b}").unwrap().to_value() else { panic!("a mapping") };
    assert_eq!(map.get_int(1), Some(&Value::from("a")));
    assert_eq!(map.get("1"), Some(&Value::from("b")));
}

#[test]
fn anchors_aliases_and_merge_keys() {
    check("a: &x [1, 2]\nb: *x\n", r#"{"a":[1,2],"b":[1,2]}"#);
    check("a: &x {k: 1, m: 2}\nb: {<<: *x, m: 3}\n", r#"{"a":{"k":1,"m":2},"b":{"k":1,"m":3}}"#);
    check(
        "a: &x {k: 1}\nb: &y {k: 2, z: 3}\nc: {<<: [*x, *y]}\n",
        r#"{"a":{"k":1},"b":{"k":2,"z":3},"c":{"k":1,"z":3}}"#,
    );
    check("a: {'<<': 1}", r#"{"a":{"<<":1}}"#);
    check("{<<: 1}", "a merge key `<<` needs a mapping or a list of mappings at line 1 column 6");
    check("a: &x [*x]", "this alias stands inside the value that it refers to at line 1 column 8");
}

#[test]
fn positions_are_those_of_the_text() {
    let node = parse("a: 1\nbb:\n  - x\n  - c: deep\n").unwrap();
    let Kind::Map(entries) = &node.kind else { panic!("a mapping") };
    assert_eq!(entries[1].key_span, Span { line: 2, column: 1 });
    let Kind::Seq(list) = &entries[1].value.kind else { panic!("a list") };
    assert_eq!(list[0].span, Span { line: 3, column: 5 });
    let Kind::Map(inner) = &list[1].kind else { panic!("a mapping") };
    assert_eq!(inner[0].value.span, Span { line: 4, column: 8 });
}

#[test]
fn errors_name_the_place() {
    check("a: 1\nb: 2\na: 3\n", "duplicate key 'a' (line 3) at line 3 column 1");
    check(
        "a: 1\n---\nb: 2\n",
        "a second document begins here; one file holds one document at line 2 column 1",
    );
    check("[a]: 1", "a key must be text or a number, not a list or mapping at line 1 column 1");
    check("a: !python/object x", "unknown tag `!python/object` at line 1 column 4");
    assert!(parse("a: [1, 2").is_err());
    assert!(parse("a: *nobody").is_err());
    assert!(parse("a: b: c").is_err());
}

#[test]
fn bombs_are_refused() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let inner = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{inner}]\n"));
    }
    assert!(json(&bomb).starts_with("more than 100000 values"), "{}", json(&bomb));
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(4_000_000), "*a, ".repeat(50));
    assert!(json(&long).contains("bytes of text"), "{}", json(&long));
    assert!(json(&"x".repeat(MAX_BYTES + 1)).contains("the limit is"));
}

/// Runs on a stack as small as that of the smallest thread.
fn on_small_stack(run: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(256 * 1024).spawn(run).unwrap().join().unwrap();
}

#[test]
fn deep_texts_end_early_on_a_small_stack() {
    on_small_stack(|| {
        for (open, close) in
            [("[", "]"), ("{a: ", "}"), ("- ", ""), ("? ", ""), ("&a [", "]"), ("!!seq [", "]")]
        {
            let text = format!("{}x{}", open.repeat(100_000), close.repeat(100_000));
            assert!(parse(&text).is_err(), "{open}");
            let text = format!("{}x{}", open.repeat(99), close.repeat(99));
            if let Ok(node) = parse(&text) {
                drop(node.to_value());
                drop(node.clone());
            }
        }
        let mut block = String::new();
        for level in 0..3_000 {
            block.push_str(&format!("{}a:\n", " ".repeat(level)));
        }
        assert!(parse(&block).is_err());
    });
}

proptest! {
    #[test]
    fn any_text_ends_in_a_tree_or_an_error(text in "\\PC{0,200}") {
        drop(parse(&text));
    }

    #[test]
    fn yaml_like_text_ends_in_a_tree_or_an_error(
        parts in proptest::collection::vec(
            proptest::sample::select(vec![
                "a", "b", ": ", "- ", "\n", "  ", "[", "]", "{", "}", ",", "&x ", "*x", "<<: ", "!!int ", "|\n", ">-\n", "'",
                "\"", "#", "? ", "---\n", "...\n", "%TAG ! x\n", "\t", "1", "\u{e9}", "\r\n", "\u{0}", "\\",
            ]),
            0..60,
        )
    ) {
        drop(parse(&parts.concat()));
    }

    #[test]
    fn any_bytes_end_in_a_tree_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        drop(parse(&String::from_utf8_lossy(&bytes)));
    }
}
