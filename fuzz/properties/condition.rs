//! Conditions: never a panic; what is parsed asks only for the names that it says it asks for, always decides the
//! same, and keeps to its limits.

use std::cell::RefCell;

use mozart::score::expr::{self, MAX_LENGTH};
use mozart::score::{Map, Value};

/// The input is a condition.
pub(crate) fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let expr = match expr::parse(text) {
        Ok(expr) => expr,
        Err(message) => {
            assert!(!message.trim().is_empty(), "a refusal that says nothing");
            return;
        }
    };
    assert!(text.len() <= MAX_LENGTH, "{} bytes were taken", text.len());
    let names = expr.names();
    for one in expr.uses() {
        assert!(names.contains(&one.name), "{} is used and not announced", one.name);
        assert!(one.indexed || one.index.is_none(), "an index of {} that is none", one.name);
    }
    for values in [numbers as fn(&str) -> Option<Value>, texts, mixed, nothing] {
        let asked = RefCell::new(Vec::new());
        let lookup = |name: &str| {
            asked.borrow_mut().push(name.to_owned());
            values(name)
        };
        let first = expr.eval(&lookup);
        assert_eq!(first, expr.eval(&|name: &str| values(name)), "the same values, another decision");
        for name in asked.into_inner() {
            assert!(names.contains(&name.as_str()), "{name} was not announced: {names:?}");
        }
        if let Err(message) = first {
            assert!(!message.trim().is_empty(), "a failure that says nothing");
        }
    }
}

fn numbers(name: &str) -> Option<Value> {
    Some(Value::Int(i64::try_from(name.len()).unwrap_or(0) - 5))
}

fn texts(name: &str) -> Option<Value> {
    Some(Value::Str(name.to_owned()))
}

fn mixed(name: &str) -> Option<Value> {
    let inner: Map =
        [("status".to_owned(), Value::Null), ("1".to_owned(), Value::Float(0.5))].into_iter().collect();
    Some(match name.len() % 4 {
        0 => Value::Null,
        1 => Value::Seq(vec![Value::Bool(true), Value::Int(i64::MAX), Value::Str(String::new())]),
        2 => Value::Map(inner),
        _ => Value::Float(f64::MAX),
    })
}

fn nothing(_: &str) -> Option<Value> {
    None
}
