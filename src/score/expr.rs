//! Conditions: `stage == 2 and instance in [1, 3]`, `not sheets[1].status == "completed"`, `len(sheets) > 3`.
//!
//! Python's comparisons (chains too), `and`, `or`, `not`, arithmetic with `+ - * / // %`, lists, attributes, indexes,
//! `.get()` and a few functions. Parsed when the score is loaded, so that a typing error is found before anything
//! runs. Evaluation is total: whatever the values, it ends with a result or a text. Nesting is limited to
//! [`MAX_DEPTH`], the length to [`MAX_LENGTH`] bytes; neither reading nor evaluating recurses deeper than that.

mod eval;
mod parse;
mod uses;

use super::value::Value;

pub use uses::Use;

/// What `skip_when` may ask of `sheets[n]`.
pub const SHEET_FIELDS: [&str; 7] = [
    "status",
    "attempt_count",
    "exit_code",
    "validation_passed",
    "error_message",
    "duration_seconds",
    "stdout_tail",
];
/// What `skip_when` may ask of `job`.
pub const JOB_FIELDS: [&str; 7] =
    ["status", "name", "total_sheets", "completed_sheets", "failed_sheets", "workspace", "total_cost_usd"];

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
        for one in self.uses() {
            if !names.contains(&one.name) {
                names.push(one.name);
            }
        }
        names
    }

    /// Every place where a name is used, in order.
    #[must_use]
    pub fn uses(&self) -> Vec<Use<'_>> {
        uses::of(&self.0)
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Term {
    Or(Vec<Term>),
    And(Vec<Term>),
    Not(Box<Term>),
    /// `a < b <= c`: all neighbours must fit.
    Compare(Box<Term>, Vec<(Op, Term)>),
    /// From left to right; flat, so that a long sum does not recurse.
    Sum(Box<Term>, Vec<(Sign, Term)>),
    Minus(Box<Term>),
    Literal(Value),
    List(Vec<Term>),
    Name(String, Vec<Trailer>),
    Call(Function, Vec<Term>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Plus,
    Minus,
    Times,
    Over,
    Floor,
    Rest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    Len,
    Int,
    Str,
    Bool,
    Any,
    All,
    Min,
    Max,
}

/// Functions by name.
const FUNCTIONS: [(&str, Function); 8] = [
    ("len", Function::Len),
    ("int", Function::Int),
    ("str", Function::Str),
    ("bool", Function::Bool),
    ("any", Function::Any),
    ("all", Function::All),
    ("min", Function::Min),
    ("max", Function::Max),
];

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
    fn chains_sums_and_functions() {
        check("1 < stage <= 3", Ok(true));
        check("1 < stage < 3", Ok(false));
        check("stage % 2 == 1", Ok(true));
        check("sheet_num - 1 == stage + 1", Ok(true));
        check("2 + 3 * 4 == 14 and (2 + 3) * 4 == 20", Ok(true));
        check("7 // 2 == 3 and 7 / 2 == 3.5 and -7 // 2 == -4 and -7 % 3 == 2", Ok(true));
        check("-stage == -3", Ok(true));
        check("'a' + 'b' == 'ab'", Ok(true));
        check("len(sheets) == 1 and len(name) == 3 and len([1, 2]) == 2", Ok(true));
        check("int('4') + 1 == 5 and str(stage) == '3' and bool([]) == False", Ok(true));
        check("any([False, stage]) and not all([1, 0])", Ok(true));
        check("min([3, 1]) == 1 and max(1, stage) == 3", Ok(true));
        check("(None or 'x') == 'x'", Ok(true));
        check("name == 'a\\'c' or name == \"a\\\"c\"", Ok(false));
        check("stage % 0 == 1", Err("division by zero"));
        check("9223372036854775807 + 1 > 0", Err("the number is too large"));
        check("stage + 'a' == 1", Err("`+` needs two numbers or two texts, not int and str"));
        check("len(stage) == 1", Err("len() needs a text, a list or a mapping, not int"));
        check("int('x') == 1", Err("int() cannot read `x`"));
        check("min([]) == 1", Err("min() of nothing"));
        check("len() == 1", Err("len() takes one value"));
        let big = |_: &str| Some(Value::from("x".repeat(200_000)));
        let joined = parse("a + a == ''").unwrap().eval(&big);
        assert_eq!(joined, Err("the joined text is longer than 262144 bytes".to_owned()));
        let long = format!("{}1 > 0", "1 + ".repeat(1000));
        check(&long, Ok(true));
    }

    #[test]
    fn nested_indexes_are_evaluated_once() {
        // Evaluated twice at each level this would take until tomorrow.
        let lookup =
            |name: &str| (name == "d").then(|| Value::Map([("a", Value::from("a"))].into_iter().collect()));
        let text = format!("{}'a'{} == 'a'", "d[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
        assert_eq!(parse(&text).unwrap().eval(&lookup), Ok(true));
    }

    #[test]
    fn uses_tell_what_is_asked_of_a_name() {
        let expr = parse(
            "sheets[2].status == 'x' and job.name in [sheets.get(3).exit_code] and len(sheets) < stage",
        )
        .unwrap();
        let uses = expr.uses();
        let shown: Vec<String> = uses
            .iter()
            .map(|one| format!("{} {:?} {:?} {:?}", one.name, one.index, one.attributes, one.compared))
            .collect();
        assert_eq!(
            shown,
            [
                "sheets Some(Int(2)) [\"status\"] [\"x\"]",
                "job None [\"name\"] []",
                "sheets Some(Int(3)) [\"exit_code\"] []",
                "sheets None [] []",
                "stage None [] []",
            ]
        );
    }

    #[test]
    fn errors_say_where() {
        check("stage ==", Err("expected a value at character 9, found the end"));
        check("stage = 3", Err("unexpected `=` at character 7; equality is `==`"));
        check("stage == 3 sheet_num", Err("expected the end at character 12, found `sheet_num`"));
        check("'abc", Err("text without an end at character 1"));
        check("", Err("expected a value at character 1, found the end"));
        check(
            "lenn(sheets) == 1",
            Err("no function `lenn` at character 1; there are len, int, str, bool, any, all, min, max"),
        );
        check("stage == 1 && stage == 2", Err("unexpected `&` at character 12; write `and`"));
        check("stage == 1 || stage == 2", Err("unexpected `|` at character 12; write `or`"));
        check("!stage", Err("unexpected `!` at character 1; write `not`"));
        check("{stage} == 1", Err("unexpected `{` at character 1; names stand without braces here"));
        check("stage == 1 AND stage == 2", Err("expected the end at character 12, found `AND`; write `and`"));
        check("stage eq 1", Err("expected the end at character 7, found `eq`"));
        check(
            "stage == ${X}",
            Err("unexpected `$` at character 10; environment variables are not known here"),
        );
        assert!(parse(&"(".repeat(2000)).unwrap_err().contains("nested more than"));
        assert!(parse(&"x or ".repeat(2000)).unwrap_err().contains("longer than"));
    }

    proptest! {
        #[test]
        fn any_text_ends(parts in proptest::collection::vec(proptest::sample::select(vec![
            "stage", "sheets", "==", "in", "not", "is", "and", "or", "(", ")", "[", "]", ".", "1", "2.5", "'a'", ",", "get", "None", "-", "!", "é", "+", "*", "//", "%", "len", "max", "<",
        ]), 0..30)) {
            if let Ok(expr) = parse(&parts.join(" ")) {
                drop(expr.eval(&lookup));
                drop(expr.names());
            }
        }
    }
}
