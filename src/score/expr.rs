//! Conditions: `stage == 2 and instance in [1, 3]`, `not sheets[1].status == "completed"`.
//!
//! Parsed when the score is loaded, so that a typing error is found before anything runs. Evaluation is total:
//! whatever the values, it ends with a result or a text. Nesting is limited to [`MAX_DEPTH`], the length to
//! [`MAX_LENGTH`] bytes.

mod eval;
mod parse;

use super::value::Value;

/// Deepest nesting of parentheses, lists, indexes and `not`.
pub const MAX_DEPTH: usize = 24;
/// Longest condition, bytes.
pub const MAX_LENGTH: usize = 4096;

/// A parsed condition.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr(Term);

/// Reads a condition.
///
/// # Errors
/// What was expected and at which character.
pub fn parse(text: &str) -> Result<Expr, String> {
    parse::parse(text).map(Expr)
}

/// Where a condition finds the values of its names.
pub trait Names {
    /// Value of a name; `None` = unknown.
    fn value(&self, name: &str) -> Option<Value>;

    /// One entry of a name that stands for a large mapping, so that the mapping need not be made:
    /// `None` = look it up in [`Self::value`], `Some(None)` = there is no such entry.
    fn entry(&self, _name: &str, _key: &Value) -> Option<Option<Value>> {
        None
    }
}

impl<F: Fn(&str) -> Option<Value>> Names for F {
    fn value(&self, name: &str) -> Option<Value> {
        self(name)
    }
}

impl Expr {
    /// Whether it holds. `lookup` gives the value of a name.
    ///
    /// # Errors
    /// An unknown name, a missing key, or values that cannot be compared.
    pub fn eval(&self, lookup: &dyn Fn(&str) -> Option<Value>) -> Result<bool, String> {
        self.eval_in(&lookup)
    }

    /// Whether it holds, with names that know large mappings.
    ///
    /// # Errors
    /// See [`Self::eval`].
    pub fn eval_in(&self, names: &dyn Names) -> Result<bool, String> {
        eval::eval(&self.0, names).map(|value| eval::truth(&value))
    }

    /// The names that it asks for, each once, in order.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.0.names(&mut names);
        names
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Term {
    Or(Vec<Term>),
    And(Vec<Term>),
    Not(Box<Term>),
    Compare(Box<Term>, Op, Box<Term>),
    Literal(Value),
    List(Vec<Term>),
    Name(String, Vec<Trailer>),
}

#[derive(Debug, Clone, PartialEq)]
enum Trailer {
    Attribute(String),
    Index(Term),
    Get(Term, Option<Term>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    In,
    NotIn,
    Is,
    IsNot,
}

impl Term {
    fn names<'a>(&'a self, names: &mut Vec<&'a str>) {
        match self {
            Self::Or(terms) | Self::And(terms) | Self::List(terms) => {
                terms.iter().for_each(|term| term.names(names));
            }
            Self::Not(term) => term.names(names),
            Self::Compare(left, _, right) => {
                left.names(names);
                right.names(names);
            }
            Self::Literal(_) => {}
            Self::Name(name, trailers) => {
                if !names.contains(&name.as_str()) {
                    names.push(name);
                }
                for trailer in trailers {
                    match trailer {
                        Trailer::Attribute(_) => {}
                        Trailer::Index(term) => term.names(names),
                        Trailer::Get(term, default) => {
                            term.names(names);
                            if let Some(term) = default {
                                term.names(names);
                            }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::super::value::{Key, Map};
    use super::*;

    fn lookup(name: &str) -> Option<Value> {
        let sheet: Map =
            [("status", Value::from("completed")), ("exit_code", Value::Null)].into_iter().collect();
        let sheets: Map = [(Key::Int(1), Value::from(sheet))].into_iter().collect();
        match name {
            "stage" => Some(3_i64.into()),
            "sheet_num" => Some(5_i64.into()),
            "name" => Some("abc".into()),
            "ratio" => Some(2.5.into()),
            "sheets" => Some(sheets.into()),
            _ => None,
        }
    }

    #[track_caller]
    fn check(text: &str, expected: Result<bool, &str>) {
        let result = parse(text).and_then(|expr| expr.eval(&lookup));
        assert_eq!(result.as_ref().map(|v| *v).map_err(String::as_str), expected, "{text}");
    }

    #[test]
    fn conditions_of_real_scores() {
        check("stage == 3", Ok(true));
        check("stage >= 2 and sheet_num <= 4", Ok(false));
        check("sheet_num == 3 or sheet_num == 5", Ok(true));
        check("not (stage == 3)", Ok(false));
        check("stage in [1, 2]", Ok(false));
        check("stage not in [1, 2] and name == 'abc'", Ok(true));
    }

    #[test]
    fn values_compare_as_in_python() {
        check("ratio > 2", Ok(true));
        check("stage == 3.0", Ok(true));
        check("name == 3", Ok(false));
        check("'b' in name", Ok(true));
        check("name < 3", Err("cannot compare str with int"));
        check("stage in stage", Err("`in` needs a list, a mapping or text, not int"));
        check("True == 1", Ok(true));
        check("None is None", Ok(true));
        check("stage is not None", Ok(true));
        check("[1, 'a'] == [1.0, \"a\"]", Ok(true));
        check("-1 < 0", Ok(true));
        check("name", Ok(true));
        check("''", Ok(false));
    }

    #[test]
    fn attributes_indexes_and_get() {
        check("sheets[1].status == 'completed'", Ok(true));
        check("sheets.get(2) is None", Ok(true));
        check("sheets.get(2, 7) == 7", Ok(true));
        check("sheets[1]['exit_code'] is None", Ok(true));
        check("sheets[9].status == 'x'", Err("no key 9"));
        check("sheets[1].exit_code.x == 1", Err("null has no attribute `x`"));
        check("other == 1", Err("unknown name `other`"));
    }

    #[test]
    fn errors_say_where() {
        check("stage ==", Err("expected a value at character 9, found the end"));
        check("stage = 3", Err("unexpected `=` at character 7; equality is `==`"));
        check("stage == 3 sheet_num", Err("expected the end at character 12, found `sheet_num`"));
        check("1 < 2 < 3", Err("expected the end at character 7, found `<`"));
        check("'abc", Err("text without an end at character 1"));
        check("", Err("expected a value at character 1, found the end"));
        check("len(sheets) == 1", Err("functions are not available: `len` at character 1"));
        assert!(parse(&"(".repeat(2000)).unwrap_err().contains("nested more than"));
        assert!(parse(&"x or ".repeat(2000)).unwrap_err().contains("longer than"));
    }

    proptest! {
        #[test]
        fn any_text_ends(parts in proptest::collection::vec(proptest::sample::select(vec![
            "stage", "sheets", "==", "in", "not", "is", "and", "or", "(", ")", "[", "]", ".", "1", "2.5", "'a'", ",", "get", "None", "-", "!", "é",
        ]), 0..30)) {
            if let Ok(expr) = parse(&parts.join(" ")) {
                drop(expr.eval(&lookup));
                drop(expr.names());
            }
        }
    }
}
