//! Filters that the engine lacks or that differ from Jinja2: same names, same arguments, same results.

use std::borrow::Cow;

use minijinja::value::{Kwargs, Rest, StringInput, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, Value};

use super::{compare, json, percent, python, rewrite, views, words};

/// Why nothing random is there.
const RANDOM: &str = "nothing random is available in scores: a sheet that is repeated must get the same prompt; \
    write the text, or choose by `sheet_num` or `instance`";

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
/// Names of the tests that there are, for suggestions.
pub(crate) const TESTS: &[&str] = &[
    "boolean",
    "defined",
    "divisibleby",
    "eq",
    "even",
    "false",
    "float",
    "ge",
    "gt",
    "in",
    "integer",
    "iterable",
    "le",
    "lower",
    "lt",
    "mapping",
    "ne",
    "none",
    "number",
    "odd",
    "sameas",
    "sequence",
    "string",
    "true",
    "undefined",
    "upper",
];

/// Registers them in an environment.
pub(super) fn register(env: &mut Environment<'_>) {
    env.add_filter("truncate", truncate);
    env.add_filter("wordcount", wordcount);
    env.add_filter("center", center);
    env.add_filter("indent", indent);
    env.add_filter("replace", replace);
    env.add_filter("default", default);
    env.add_filter("d", default);
    env.add_filter("int", int);
    env.add_filter("float", float);
    env.add_filter("string", string);
    env.add_filter("join", join);
    env.add_filter("tojson", json::tojson);
    env.add_filter("list", list);
    env.add_filter("dictsort", dictsort);
    env.add_filter("escape", escape);
    env.add_filter("e", escape);
    env.add_filter("forceescape", escape);
    env.add_filter("format", percent::format);
    env.add_filter(rewrite::PERCENT, percent::operator);
    env.add_function(compare::NAME, compare::compare);
    env.add_filter("random", |_: &Value| -> Result<Value, Error> { Err(invalid(RANDOM)) });
    env.add_function("lipsum", |_: Rest<Value>| -> Result<Value, Error> { Err(invalid(RANDOM)) });
    env.add_filter("batch", batch);
    env.add_filter("slice", slice);
    env.add_test("iterable", is_iterable);
    env.add_test("sequence", is_sequence);
    env.add_function("joiner", minijinja_contrib::globals::joiner);
    views::register(env);
    words::register(env);
}

/// As in Jinja2, asking this of an undefined value fails.
fn is_iterable(state: &State, value: &Value) -> Result<bool, Error> {
    if value.is_undefined() {
        StringInput::new(state, value)?;
    }
    Ok(value.try_iter().is_ok())
}

/// As in Jinja2, texts and mappings are sequences too.
fn is_sequence(state: &State, value: &Value) -> Result<bool, Error> {
    if value.is_undefined() {
        StringInput::new(state, value)?;
    }
    Ok(matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::String))
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
    minijinja::filters::slice(state, value, slices, fill_with)
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
    old: StringInput<'_>,
    new: StringInput<'_>,
    count: Option<i64>,
) -> Result<String, Error> {
    let (text, old, new) = (text.as_str(), old.as_str(), new.as_str());
    let limit = count.and_then(|count| usize::try_from(count).ok()).unwrap_or(usize::MAX);
    let hits = if old.is_empty() { text.chars().count() + 1 } else { text.matches(old).count() };
    if hits.min(limit).saturating_mul(new.len()) > super::MAX_OUTPUT {
        return Err(invalid("replace: the result is too large"));
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
    let trimmed = value.as_str().map(|text| Value::from(text.trim()));
    let empty = std::iter::empty::<(&str, Value)>().collect();
    minijinja::filters::int(state, trimmed.as_ref().unwrap_or(value), Some(default), base, empty)
}

/// `float(default=0.0)`: what is no number becomes the default.
fn float(state: &State, value: &Value, default: Option<Value>, kwargs: Kwargs) -> Result<Value, Error> {
    let default = either(default, &kwargs, "default")?.unwrap_or_else(|| Value::from(0.0));
    kwargs.assert_all_used()?;
    let trimmed = value.as_str().map(|text| Value::from(text.trim()));
    let empty = std::iter::empty::<(&str, Value)>().collect();
    minijinja::filters::float(state, trimmed.as_ref().unwrap_or(value), Some(default), empty)
}

fn list(state: &State, value: Value) -> Result<Value, Error> {
    if value.is_undefined() {
        StringInput::new(state, &value)?;
    }
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
    let mut out = String::new();
    for (position, item) in value.try_iter()?.enumerate() {
        let item = match &attribute {
            Some(path) => attribute_of(&item, path)?,
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

/// `a.b.0` or a number.
pub(super) fn attribute_of(item: &Value, path: &Value) -> Result<Value, Error> {
    let Some(text) = path.as_str() else { return item.get_item(path) };
    text.split('.').try_fold(item.clone(), |value, part| match part.parse::<usize>() {
        Ok(index) => value.get_item(&Value::from(index)),
        Err(_) => value.get_attr(part),
    })
}
