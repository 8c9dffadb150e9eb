//! Templates: never a panic, bounded time and output, the same text from the same values, and an error of syntax
//! exactly when the check before the run finds one too.

use mozart::template::{self, MAX_OUTPUT, Vars};

/// The input is a template; a NUL separates it from a text that it may use as `given`.
pub(crate) fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (source, given) = text.split_once('\0').unwrap_or((text, "a text"));
    let mut vars = Vars::new();
    let list = serde_json::json!([1, "two", null, [3.5], {"four": true}]);
    vars.set("sheet_num", 2_i64).set("given", given).set("list", &list).set("stakes", "");
    let checked = template::check(source);
    let rendered = template::render(source, &vars);
    if let Err(error) = &checked {
        assert!(!error.message.trim().is_empty(), "an error that says nothing");
        assert!(rendered.is_err(), "what the check refuses was rendered: {:?}", error.message);
    }
    match &rendered {
        Ok(text) => {
            assert!(text.len() <= MAX_OUTPUT, "{} bytes", text.len());
            if !source.contains(['{', '#', '%']) {
                assert_eq!(text, source, "plain text was changed");
            }
        }
        Err(error) => assert!(!error.message.trim().is_empty(), "an error that says nothing"),
    }
    let again = template::render(source, &vars);
    assert_eq!(rendered.is_ok(), again.is_ok(), "rendered once, and once not");
    assert_eq!(rendered.ok(), again.ok(), "the same values, another text");
    // Undefined names are empty here; that is the only difference.
    _ = template::render_lenient(source, &vars);
}
