//! Filters that the engine lacks or that differ from Jinja2: same names, same arguments, same results.

use std::borrow::Cow;

use minijinja::value::{Kwargs, Rest, StringInput, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, Value};

use super::meter::{Meter, metered};
use super::questions;
use super::{
    attributes, calc, compare, json, lists, methods, object, percent, python, rewrite, views, words, work,
};

/// Why nothing random is there.
const RANDOM: &str = "nothing random is available in scores: a sheet that is repeated must get the same prompt; \
    write the text, or choose by `sheet_num` or `instance`";

/// Most items of a row of `batch`, or columns of `slice`, that are filled up.
const MAX_FILLED: usize = 10_000;

/// Names of the filters that there are, for suggestions.
pub(crate) const FILTERS: &[&str] = &[
    "abs",
    "attr",
    "batch",
    "bool",
    "capitalize",
    "center",
    "count",
    "d",
    "default",
    "dictsort",
    "e",
    "escape",
    "filesizeformat",
    "first",
    "float",
    "forceescape",
    "format",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "pprint",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "safe",
    "select",
    "selectattr",
    "slice",
    "sort",
    "split",
    "string",
    "striptags",
    "sum",
    "title",
    "tojson",
    "trim",
    "truncate",
    "unique",
    "upper",
    "urlencode",
    "wordcount",
    "wordwrap",
    "xmlattr",
];

/// Registers them in an environment.
pub(super) fn register(env: &mut Environment<'_>) {
    use minijinja::filters as builtin;
    metered(env, "upper", Meter::Spelled, builtin::upper);
    metered(env, "lower", Meter::Spelled, builtin::lower);
    metered(env, "title", Meter::Spelled, builtin::title);
    metered(env, "capitalize", Meter::Spelled, methods::capitalized);
    metered(env, "trim", Meter::Spelled, trim);
    metered(env, "safe", Meter::Spelled, builtin::safe);
    metered(env, "items", Meter::Flat, items);
    metered(env, "reverse", Meter::Flat, reverse);
    metered(env, "map", Meter::Flat, builtin::map);
    metered(env, "sum", Meter::Whole, sum);
    metered(env, "truncate", Meter::Text, truncate);
    metered(env, "wordcount", Meter::Spelled, wordcount);
    metered(env, "center", Meter::Spelled, center);
    metered(env, "indent", Meter::Text, indent);
    metered(env, "replace", Meter::Spelled, replace);
    env.add_filter("default", default);
    env.add_filter("d", default);
    metered(env, "int", Meter::Flat, int);
    metered(env, "float", Meter::Flat, float);
    metered(env, "abs", Meter::Flat, abs);
    metered(env, "round", Meter::Flat, round);
    metered(env, "first", Meter::Flat, builtin::first);
    metered(env, "last", Meter::Flat, last);
    for name in ["length", "count"] {
        metered(env, name, Meter::Free, |value: &Value| {
            views::no_generator("the length", value)?;
            minijinja::filters::length(value)
        });
    }
    metered(env, "string", Meter::Whole, string);
    metered(env, "join", Meter::Whole, join);
    metered(env, "tojson", Meter::Whole, json::tojson);
    metered(env, "list", Meter::Flat, list);
    metered(env, "dictsort", Meter::Whole, dictsort);
    metered(env, "escape", Meter::Whole, escape);
    metered(env, "e", Meter::Whole, escape);
    metered(env, "forceescape", Meter::Whole, escape);
    metered(env, "format", Meter::Spelled, percent::format);
    env.add_function(rewrite::CALC, calc::calc);
    env.add_function(rewrite::COMPARE, compare::compare);
    env.add_function(rewrite::DICT, object::literal);
    env.add_function(rewrite::LIST, lists::literal);
    env.add_function(rewrite::KEEP, lists::keep);
    env.add_filter("random", |_: &Value| -> Result<Value, Error> { Err(invalid(RANDOM)) });
    env.add_function("lipsum", |_: Rest<Value>| -> Result<Value, Error> { Err(invalid(RANDOM)) });
    metered(env, "batch", Meter::Flat, batch);
    metered(env, "slice", Meter::Flat, slice);
    // Not of Jinja2: what is rendered there must be able to be rendered here, and the other way round.
    for name in ["chain", "zip", "lines"] {
        env.remove_filter(name);
    }
    questions::register(env);
    questions::register_choices(env);
    env.add_function("joiner", |separator: Option<String>| {
        minijinja_contrib::globals::joiner(separator.map(Value::from))
    });
    views::register(env);
    words::register(env);
}

/// `trim(chars=none)`.
fn trim(text: &str, chars: Option<String>, kwargs: Kwargs) -> Result<String, Error> {
    let chars = either(chars, &kwargs, "chars")?;
    kwargs.assert_all_used()?;
    Ok(match chars {
        Some(chars) => text.trim_matches(|c| chars.contains(c)).to_owned(),
        None => text.trim_matches(methods::is_space).to_owned(),
    })
}

/// Pairs of a mapping; nothing for an undefined value, as in Jinja2.
fn items(value: &Value) -> Result<Value, Error> {
    match value.kind() {
        ValueKind::Undefined => Ok(lists::list(Vec::new())),
        ValueKind::Map => minijinja::filters::items(value),
        _ => Err(invalid(format!("items takes a mapping, not {}", compare::name(value)))),
    }
}

fn reverse(value: &Value) -> Result<Value, Error> {
    iterable("reverse", value)?;
    minijinja::filters::reverse(value)
}

/// Fails for what has no items: the engine takes none for an empty list.
fn iterable(what: &str, value: &Value) -> Result<(), Error> {
    if value.is_none() {
        return Err(invalid(format!(
            "{what} takes a list, not nothing (none): write `(value or [])|{what}`"
        )));
    }
    Ok(())
}

/// `sum(attribute=none, start=0)`.
fn sum(
    state: &mut State<'_, '_>,
    value: &Value,
    attribute: Option<Value>,
    start: Option<Value>,
    kwargs: Kwargs,
) -> Result<Value, Error> {
    let attribute = either(attribute, &kwargs, "attribute")?.filter(|value: &Value| !value.is_none());
    let start = either(start, &kwargs, "start")?.unwrap_or_else(|| Value::from(0));
    kwargs.assert_all_used()?;
    iterable("sum", value)?;
    if value.is_undefined() {
        StringInput::new(state, value)?;
    }
    let mut total = start;
    for item in value.try_iter()? {
        let item = match &attribute {
            Some(path) => attributes::of(&item, path)?,
            None => item,
        };
        total = calc::calc(state, total, Rest(vec![Value::from("+"), item]))?;
    }
    Ok(total)
}

/// Truth values are numbers, too.
fn abs(value: Value) -> Result<Value, Error> {
    let value = if value.kind() == ValueKind::Bool { Value::from(i64::from(value.is_true())) } else { value };
    minijinja::filters::abs(value)
}

/// `round(precision=0, method='common')`: up and down always give a number with a point.
fn round(
    value: Value,
    precision: Option<i32>,
    method: Option<String>,
    kwargs: Kwargs,
) -> Result<Value, Error> {
    let precision = either(precision, &kwargs, "precision")?.unwrap_or(0);
    let method = either(method, &kwargs, "method")?.unwrap_or_else(|| "common".to_owned());
    kwargs.assert_all_used()?;
    let value = if value.kind() == ValueKind::Bool { Value::from(i64::from(value.is_true())) } else { value };
    let value = match method.as_str() {
        "common" => value,
        "ceil" | "floor" => Value::from(f64::try_from(value)?),
        _ => {
            return Err(invalid(format!("round: the method is 'common', 'ceil' or 'floor', not '{method}'")));
        }
    };
    let none = std::iter::empty::<(&str, Value)>().collect();
    minijinja::filters::round(value, Some(precision.clamp(-400, 400)), Some(&method), none)
}

/// The last key of a mapping, too.
fn last(value: Value) -> Result<Value, Error> {
    views::no_generator("the last", &value)?;
    if value.kind() == ValueKind::Map {
        return Ok(value.try_iter()?.last().unwrap_or_default());
    }
    minijinja::filters::last(value)
}

/// The five characters of HTML, spelled as in Jinja2.
fn escape(state: &State, value: &Value) -> Result<String, Error> {
    StringInput::new(state, value)?;
    Ok(escaped(&python::to_str(value)))
}

/// A text with the five characters of HTML escaped.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Every byte but letters, digits and those of `safe` as `%XX`.
pub(super) fn percent_encoded(text: &str, safe: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || safe.as_bytes().contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// `batch(linecount, fill_with=none)`.
fn batch(
    state: &State,
    value: Value,
    linecount: Option<usize>,
    fill_with: Option<Value>,
    kwargs: Kwargs,
) -> Result<Value, Error> {
    let linecount = either(linecount, &kwargs, "linecount")?;
    let fill_with = either(fill_with, &kwargs, "fill_with")?.filter(|value: &Value| !value.is_none());
    kwargs.assert_all_used()?;
    let linecount = linecount.ok_or_else(|| invalid("batch: how many items make a row?"))?;
    bounded("batch", linecount, fill_with.is_some())?;
    minijinja::filters::batch(state, value, linecount, fill_with)
}

/// `slice(slices, fill_with=none)`.
fn slice(
    state: &State,
    value: Value,
    slices: Option<usize>,
    fill_with: Option<Value>,
    kwargs: Kwargs,
) -> Result<Value, Error> {
    let slices = either(slices, &kwargs, "slices")?;
    let fill_with = either(fill_with, &kwargs, "fill_with")?.filter(|value: &Value| !value.is_none());
    kwargs.assert_all_used()?;
    let slices = slices.ok_or_else(|| invalid("slice: into how many columns?"))?;
    bounded("slice", slices, true)?;
    minijinja::filters::slice(state, value, slices, fill_with)
}

/// So many places are filled, whatever is in the list.
fn bounded(what: &str, count: usize, filled: bool) -> Result<(), Error> {
    if filled && count > MAX_FILLED {
        return Err(invalid(format!("{what}: {count} is too many; at most {MAX_FILLED}")));
    }
    Ok(())
}

fn invalid(message: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

/// A parameter given by position or by name.
pub(super) fn either<'a, T>(
    position: Option<T>,
    kwargs: &'a Kwargs,
    name: &'a str,
) -> Result<Option<T>, Error>
where
    Option<T>: minijinja::value::ArgType<'a, Output = Option<T>>,
{
    match position {
        Some(value) => Ok(Some(value)),
        None => kwargs.get(name),
    }
}

/// `truncate(length=255, killwords=false, end='...', leeway=5)`.
fn truncate(text: StringInput<'_>, args: Rest<Value>, kwargs: Kwargs) -> Result<String, Error> {
    if args.len() > 4 {
        return Err(Error::new(ErrorKind::TooManyArguments, "truncate takes at most four arguments"));
    }
    let given = |position: usize, name: &str| either(args.get(position).cloned(), &kwargs, name);
    let length = given(0, "length")?.map_or(Ok(255), usize::try_from)?;
    let killwords = given(1, "killwords")?.is_some_and(|flag: Value| flag.is_true());
    let end = given(2, "end")?.map_or_else(|| "...".to_owned(), |end: Value| python::to_str(&end));
    let leeway = given(3, "leeway")?.map_or(Ok(5), usize::try_from)?;
    kwargs.assert_all_used()?;

    let text = text.as_str();
    let end_length = end.chars().count();
    if length < end_length {
        return Err(invalid(format!(
            "truncate: length {length} is shorter than the end text ({end_length})"
        )));
    }
    if text.chars().count() <= length.saturating_add(leeway) {
        return Ok(text.to_owned());
    }
    let kept = crate::util::text::head_chars(text, length - end_length);
    let kept = if killwords { kept } else { kept.rsplit_once(' ').map_or(kept, |(before, _)| before) };
    Ok(format!("{kept}{end}"))
}

/// Counts runs of letters, digits and underscores.
fn wordcount(text: StringInput<'_>) -> usize {
    text.as_str().split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()).count()
}

fn center(text: StringInput<'_>, width: Option<usize>) -> Result<String, Error> {
    let text = text.as_str();
    let width = width.unwrap_or(80);
    if width > super::MAX_OUTPUT {
        return Err(invalid(format!("center: width {width} is too large")));
    }
    let missing = width.saturating_sub(text.chars().count());
    let left = missing / 2 + (missing & width & 1);
    Ok(format!("{}{text}{}", " ".repeat(left), " ".repeat(missing - left)))
}

/// `indent(width=4, first=false, blank=false)`; `width` may also be the text to put in front.
fn indent(
    text: StringInput<'_>,
    width: Option<Value>,
    first: Option<bool>,
    blank: Option<bool>,
    kwargs: Kwargs,
) -> Result<String, Error> {
    let width = either(width, &kwargs, "width")?.unwrap_or_else(|| Value::from(4));
    let first = either(first, &kwargs, "first")?.unwrap_or(false);
    let blank = either(blank, &kwargs, "blank")?.unwrap_or(false);
    kwargs.assert_all_used()?;
    let prefix = match (width.as_str(), width.as_usize()) {
        (Some(text), _) => text.to_owned(),
        (None, Some(count)) if count <= 1000 => " ".repeat(count),
        _ => return Err(invalid("indent: width must be a text or a number up to 1000")),
    };
    let mut out = String::new();
    for (position, line) in text.as_str().split('\n').enumerate() {
        if position > 0 {
            out.push('\n');
        }
        let wanted = if position == 0 { first } else { blank || !line.is_empty() };
        if wanted {
            out.push_str(&prefix);
        }
        out.push_str(line);
        if out.len() > super::MAX_OUTPUT {
            return Err(invalid("indent: the result is too large"));
        }
    }
    Ok(out)
}

/// `replace(old, new, count=-1)`.
fn replace(
    text: StringInput<'_>,
    old: Option<Value>,
    new: Option<Value>,
    count: Option<i64>,
    kwargs: Kwargs,
) -> Result<String, Error> {
    let count = either(count, &kwargs, "count")?;
    let given = |value: Option<Value>, name: &str| {
        let value: Option<Value> = either(value, &kwargs, name)?;
        value
            .map(|value| python::to_str(&value))
            .ok_or_else(|| invalid(format!("replace: `{name}` is missing")))
    };
    let (old, new) = (given(old, "old")?, given(new, "new")?);
    kwargs.assert_all_used()?;
    replaced(text.as_str(), &old, &new, count)
}

/// `text` with the first `count` places of `old` replaced; all when it is negative.
pub(super) fn replaced(text: &str, old: &str, new: &str, count: Option<i64>) -> Result<String, Error> {
    let limit = count.and_then(|count| usize::try_from(count).ok()).unwrap_or(usize::MAX);
    let hits = if old.is_empty() { text.chars().count() + 1 } else { text.matches(old).count() };
    if hits.min(limit).saturating_mul(new.len()).saturating_add(text.len()) > super::MAX_OUTPUT {
        return Err(work::too_large("replace"));
    }
    Ok(text.replacen(old, new, limit))
}

/// `default(default_value='', boolean=false)`: for undefined values; with the second argument for empty ones too.
fn default(value: &Value, args: Rest<Value>, kwargs: Kwargs) -> Result<Value, Error> {
    if args.len() > 2 {
        return Err(Error::new(ErrorKind::TooManyArguments, "default takes at most two arguments"));
    }
    let other: Option<Value> = either(args.first().cloned(), &kwargs, "default_value")?;
    let lax: Option<Value> = either(args.get(1).cloned(), &kwargs, "boolean")?;
    kwargs.assert_all_used()?;
    let lax = lax.is_some_and(|flag| flag.is_true());
    if value.is_undefined() || (lax && !value.is_true()) {
        return Ok(other.unwrap_or_else(|| Value::from("")));
    }
    Ok(value.clone())
}

/// The text of a number without white space, and without single `_` between digits.
fn plain_digits(text: &str) -> Value {
    let text = text.trim();
    let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let between = text.split('_').collect::<Vec<_>>();
    let good = between.windows(2).all(|two| digit(two[0].chars().last()) && digit(two[1].chars().next()));
    Value::from(if good { between.concat() } else { text.to_owned() })
}

/// `int(default=0, base=10)`: what is no number becomes the default.
fn int(
    state: &State,
    value: &Value,
    default: Option<Value>,
    base: Option<u32>,
    kwargs: Kwargs,
) -> Result<Value, Error> {
    let default = either(default, &kwargs, "default")?.unwrap_or_else(|| Value::from(0));
    let base = either(base, &kwargs, "base")?;
    kwargs.assert_all_used()?;
    let huge = |number: f64| !number.is_finite() || number.abs() >= 1e38;
    let number = match value.as_str() {
        None if value.kind() == ValueKind::Number => f64::try_from(value.clone()).ok(),
        None => None,
        Some(text) => text.trim().parse().ok(),
    };
    if number.is_some_and(huge) && !value.is_integer() {
        return match number {
            // Python gives the whole number; as for arithmetic, there is none here.
            Some(number) if number.is_finite() => Err(invalid(format!(
                "int: {} is too large: whole numbers reach to 2 ** 127 - 1",
                python::Float(number)
            ))),
            _ => Ok(default),
        };
    }
    let trimmed = value.as_str().map(plain_digits);
    let empty = std::iter::empty::<(&str, Value)>().collect();
    minijinja::filters::int(state, trimmed.as_ref().unwrap_or(value), Some(default), base, empty)
}

/// `float(default=0.0)`: what is no number becomes the default.
fn float(state: &State, value: &Value, default: Option<Value>, kwargs: Kwargs) -> Result<Value, Error> {
    let default = either(default, &kwargs, "default")?.unwrap_or_else(|| Value::from(0.0));
    kwargs.assert_all_used()?;
    let trimmed = value.as_str().map(plain_digits);
    let empty = std::iter::empty::<(&str, Value)>().collect();
    minijinja::filters::float(state, trimmed.as_ref().unwrap_or(value), Some(default), empty)
}

fn list(state: &State, value: Value) -> Result<Value, Error> {
    if value.is_undefined() {
        StringInput::new(state, &value)?;
    }
    iterable("list", &value)?;
    minijinja::filters::list(state, value)
}

/// `dictsort(case_sensitive=false, by='key', reverse=false)`.
fn dictsort(
    value: &Value,
    case_sensitive: Option<bool>,
    by: Option<String>,
    reverse: Option<bool>,
    kwargs: Kwargs,
) -> Result<Value, Error> {
    let case_sensitive = either(case_sensitive, &kwargs, "case_sensitive")?.unwrap_or(false);
    let by = either(by, &kwargs, "by")?.unwrap_or_else(|| "key".to_owned());
    let reverse = either(reverse, &kwargs, "reverse")?.unwrap_or(false);
    kwargs.assert_all_used()?;
    if !matches!(by.as_str(), "key" | "value") {
        return Err(invalid(format!("dictsort: `by` must be 'key' or 'value', not '{by}'")));
    }
    if by == "key" {
        compare::sortable("dictsort", &value.try_iter()?.collect::<Vec<_>>())?;
    }
    let options = [
        ("case_sensitive", Value::from(case_sensitive)),
        ("by", Value::from(by)),
        ("reverse", Value::from(reverse)),
    ];
    minijinja::filters::dictsort(value, options.into_iter().collect())
}

fn string(state: &State, value: &Value) -> Result<String, Error> {
    // Fails for undefined values with the name of the variable.
    StringInput::new(state, value)?;
    views::no_generator("the text", value)?;
    Ok(python::to_str(value))
}

/// `join(d='', attribute=none)`.
fn join(
    state: &State,
    value: &Value,
    separator: Option<Value>,
    attribute: Option<Value>,
    kwargs: Kwargs,
) -> Result<String, Error> {
    let separator = either(separator, &kwargs, "d")?.map(|value| python::to_str(&value)).unwrap_or_default();
    let attribute = either(attribute, &kwargs, "attribute")?.filter(|value| !value.is_none());
    kwargs.assert_all_used()?;
    if value.is_undefined() {
        StringInput::new(state, value)?;
    }
    iterable("join", value)?;
    let mut out = String::new();
    for (position, item) in value.try_iter()?.enumerate() {
        let item = match &attribute {
            Some(path) => attributes::of(&item, path)?,
            None => item,
        };
        if item.kind() == ValueKind::Undefined {
            return Err(Error::new(
                ErrorKind::UndefinedError,
                format!("item {position} of the joined list is undefined"),
            ));
        }
        if position > 0 {
            out.push_str(&separator);
        }
        out.push_str(&python::to_str(&item));
        if out.len() > super::MAX_OUTPUT {
            return Err(invalid("join: the result is too large"));
        }
    }
    Ok(out)
}
