//! Filters over whole texts: `wordwrap`, `striptags`, `filesizeformat`, `xmlattr`, `pprint`, and `urlencode` of pairs.

use std::ops::Range;

use minijinja::value::{Kwargs, Rest, StringInput, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State};

use super::filters::{either, escaped, percent_encoded};
use super::meter::{Meter, metered};
use super::{object, python, work};

/// Registers them in an environment.
pub(super) fn register(env: &mut Environment<'_>) {
    metered(env, "wordwrap", Meter::Text, wordwrap);
    metered(env, "striptags", Meter::Spelled, striptags);
    metered(env, "filesizeformat", Meter::Whole, filesizeformat);
    metered(env, "xmlattr", Meter::Whole, xmlattr);
    metered(env, "pprint", Meter::Whole, pprint);
    metered(env, "urlencode", Meter::Whole, urlencode);
}

/// `wordwrap(width=79, break_long_words=true, wrapstring="\n", break_on_hyphens=true)`.
fn wordwrap(text: StringInput<'_>, args: Rest<Value>, kwargs: Kwargs) -> Result<String, Error> {
    if args.len() > 4 {
        return Err(Error::new(ErrorKind::TooManyArguments, "wordwrap takes at most four arguments"));
    }
    let given = |at: usize, name: &str| {
        let value: Option<Value> = either(args.get(at).cloned(), &kwargs, name)?;
        Ok::<_, Error>(value.filter(|value| !value.is_none()))
    };
    let width = given(0, "width")?.map_or(Ok(79), usize::try_from)?;
    let long = given(1, "break_long_words")?.is_none_or(|flag| flag.is_true());
    let between = given(2, "wrapstring")?.map_or_else(|| "\n".to_owned(), |text| python::to_str(&text));
    let hyphens = given(3, "break_on_hyphens")?.is_none_or(|flag| flag.is_true());
    kwargs.assert_all_used()?;
    if width == 0 {
        return Err(invalid("wordwrap: the width must be at least 1"));
    }
    let mut out = Wrapped { text: String::new(), between: &between, begun: false };
    for line in text.as_str().lines() {
        if !wrap(&mut out, line, width, long, hyphens)? {
            out.line("")?;
        }
    }
    Ok(out.text)
}

/// Lines that are put together, up to the largest text that there may be.
struct Wrapped<'b> {
    text: String,
    between: &'b str,
    begun: bool,
}

impl Wrapped<'_> {
    fn line(&mut self, line: &str) -> Result<(), Error> {
        if std::mem::replace(&mut self.begun, true) {
            self.text.push_str(self.between);
        }
        self.text.push_str(line);
        if self.text.len() > super::MAX_OUTPUT {
            return Err(work::too_large("wordwrap"));
        }
        Ok(())
    }
}

/// Whether anything of the line is left.
fn wrap(out: &mut Wrapped<'_>, line: &str, width: usize, long: bool, hyphens: bool) -> Result<bool, Error> {
    let blank = |chunk: &Range<usize>| line[chunk.clone()].trim().is_empty();
    // Counted no further than needed: what is left of a long word is looked at again for each line.
    let length = |chunk: &Range<usize>| line[chunk.clone()].chars().take(width.saturating_add(1)).count();
    let mut chunks = Chunks::new(line, hyphens);
    let mut left = None;
    let mut any = false;
    while let Some(first) = left.take().or_else(|| chunks.next()) {
        left = if any && blank(&first) { chunks.next() } else { Some(first) };
        let Some(first) = &left else { break };
        // The pieces of a line lie side by side.
        let (mut current, mut used) = (first.start..first.start, 0);
        let mut last: Option<Range<usize>> = None;
        while let Some(chunk) = left.take().or_else(|| chunks.next()) {
            let more = length(&chunk);
            if more > width - used {
                left = Some(chunk);
                break;
            }
            used += more;
            current.end = chunk.end;
            last = Some(chunk);
        }
        if let Some(chunk) = left.take_if(|chunk| length(chunk) > width) {
            if long {
                let head = crate::util::text::head_chars(&line[chunk.clone()], width - used);
                let at_hyphen = head.rfind('-').filter(|at| hyphens && head[..*at].contains(|c| c != '-'));
                let end = chunk.start + at_hyphen.map_or(head.len(), |at| at + 1);
                current.end = end;
                last = Some(chunk.start..end);
                left = Some(end..chunk.end);
            } else if last.is_none() {
                current.end = chunk.end;
                last = Some(chunk);
            } else {
                left = Some(chunk);
            }
        }
        if let Some(last) = last.filter(blank) {
            current.end = last.start;
        }
        if !current.is_empty() {
            out.line(&line[current])?;
            any = true;
        }
    }
    Ok(any)
}

/// Words, the spaces between them, and the parts of words with hyphens, as places in their line.
struct Chunks {
    chars: Vec<char>,
    hyphens: bool,
    /// The character and the byte where the next one begins.
    at: usize,
    byte: usize,
}

impl Chunks {
    fn new(line: &str, hyphens: bool) -> Self {
        Self { chars: line.chars().collect(), hyphens, at: 0, byte: 0 }
    }

    /// A dash of two or more between words stands alone.
    fn dash(&self, at: usize) -> bool {
        let mark = |c: char| is_word(Some(&c)) || "!\"'&.,?".contains(c);
        if at == 0 || self.chars[at] != '-' || !mark(self.chars[at - 1]) {
            return false;
        }
        let count = self.dashes(at);
        count >= 2 && is_word(self.chars.get(at + count))
    }

    fn dashes(&self, at: usize) -> usize {
        self.chars[at..].iter().take_while(|c| **c == '-').count()
    }

    /// A word may be cut here, because a hyphen between letters is before it.
    fn after_hyphen(&self, from: usize, at: usize) -> bool {
        let chars = &self.chars;
        let letter = |c: Option<&char>| c.is_some_and(|c| is_word(Some(c)) && !c.is_numeric());
        let behind = |n: usize| at.checked_sub(n).and_then(|at| chars.get(at));
        chars[at - 1] == '-'
            && at - 1 > from
            && letter(behind(2))
            && (letter(behind(3)) || (behind(3) == Some(&'-') && letter(behind(4))))
            && letter(chars.get(at))
            && (letter(chars.get(at + 1)) || (chars.get(at + 1) == Some(&'-') && letter(chars.get(at + 2))))
    }
}

fn is_word(c: Option<&char>) -> bool {
    c.is_some_and(|c| c.is_alphanumeric() || *c == '_')
}

impl Iterator for Chunks {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let space = |c: char| matches!(c, '\t' | '\n' | '\x0b' | '\x0c' | '\r' | ' ');
        let (from, count) = (self.at, self.chars.len());
        let mut at = from;
        if space(*self.chars.get(at)?) {
            while at < count && space(self.chars[at]) {
                at += 1;
            }
        } else if self.hyphens && self.dash(at) {
            at += self.dashes(at);
        } else {
            at += 1;
            while at < count && !space(self.chars[at]) {
                if self.hyphens && (self.after_hyphen(from, at) || self.dash(at)) {
                    break;
                }
                at += 1;
            }
        }
        let start = self.byte;
        self.at = at;
        self.byte += self.chars[from..at].iter().map(|c| c.len_utf8()).sum::<usize>();
        Some(start..self.byte)
    }
}

/// Without comments and tags, white space put together, the usual entities written out.
fn striptags(text: StringInput<'_>) -> String {
    let text = without(&without(text.as_str(), "<!--", "-->"), "<", ">");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let named =
            rest.find(';').filter(|end| *end < 12).and_then(|end| Some((entity(&rest[1..end])?, end + 1)));
        let (c, length) = named.unwrap_or(('&', 1));
        out.push(c);
        rest = &rest[length..];
    }
    out.push_str(rest);
    out
}

/// Without everything between these marks. What is opened and not closed stays.
fn without(text: &str, open: &str, close: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, inside)) = rest.split_once(open) {
        let Some((_, after)) = inside.split_once(close) else { break };
        out.push_str(before);
        rest = after;
    }
    out.push_str(rest);
    out
}

fn entity(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => '\u{a0}',
        "copy" => '©',
        "hellip" => '…',
        "mdash" => '—',
        "ndash" => '–',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)?
        }
    })
}

/// `filesizeformat(binary=false)`.
fn filesizeformat(value: &Value, binary: Option<bool>, kwargs: Kwargs) -> Result<String, Error> {
    let binary = either(binary, &kwargs, "binary")?.unwrap_or(false);
    kwargs.assert_all_used()?;
    let bytes = match value.as_str() {
        Some(text) => text.trim().parse().map_err(|_| invalid("filesizeformat: this is no number"))?,
        None => f64::try_from(value.clone())?,
    };
    let (base, units) = if binary {
        (1024.0, ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"])
    } else {
        (1000.0, ["kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"])
    };
    if bytes == 1.0 {
        return Ok("1 Byte".to_owned());
    }
    if bytes < base {
        return Ok(format!("{} Bytes", bytes.trunc()));
    }
    let mut size: f64 = base;
    for unit in &units[..7] {
        if bytes < size * base {
            return Ok(format!("{:.1} {unit}", bytes / size));
        }
        size *= base;
    }
    Ok(format!("{:.1} {}", bytes / size, units[7]))
}

/// `xmlattr(autospace=true)`: `key="value"` for every value that is there.
fn xmlattr(value: &Value, autospace: Option<bool>, kwargs: Kwargs) -> Result<String, Error> {
    let autospace = either(autospace, &kwargs, "autospace")?.unwrap_or(true);
    kwargs.assert_all_used()?;
    let mut parts = Vec::new();
    for key in value.try_iter()? {
        let item = value.get_item(&key)?;
        if item.is_none() || item.is_undefined() {
            continue;
        }
        let key = python::to_str(&key);
        if key.contains(|c: char| c.is_whitespace() || "/>=".contains(c)) {
            return Err(invalid("xmlattr: a key may not hold white space, `/`, `>` or `=`"));
        }
        parts.push(format!("{}=\"{}\"", escaped(&key), escaped(&python::to_str(&item))));
    }
    let text = parts.join(" ");
    Ok(if autospace && !text.is_empty() { format!(" {text}") } else { text })
}

/// A text for an address; of a mapping or of pairs `key=value&key=value`.
fn urlencode(state: &State, value: &Value) -> Result<String, Error> {
    StringInput::new(state, value)?;
    let query = |value: &Value| percent_encoded(&python::to_str(value), "-._~").replace("%20", "+");
    let pairs: Vec<(Value, Value)> = match value.kind() {
        ValueKind::Map => {
            let keys: Vec<Value> = value.try_iter()?.collect();
            keys.into_iter()
                .map(|key| Ok((key.clone(), value.get_item(&key)?)))
                .collect::<Result<_, Error>>()?
        }
        ValueKind::Seq | ValueKind::Iterable => {
            let pair = |item: Value| Ok((item.get_item_by_index(0)?, item.get_item_by_index(1)?));
            value.try_iter()?.map(pair).collect::<Result<_, Error>>()?
        }
        _ => return Ok(percent_encoded(&python::to_str(value), "-._~/")),
    };
    let parts: Vec<String> =
        pairs.iter().map(|(key, value)| format!("{}={}", query(key), query(value))).collect();
    Ok(parts.join("&"))
}

/// As Python's `pprint` prints it at 80 columns: keys sorted, one item for each line where a line is too short.
fn pprint(value: &Value) -> String {
    let mut out = String::new();
    pretty(&mut out, &sorted(value, 0), 0, 0, 0);
    out
}

/// Deeper things are printed on one line.
const MAX_DEPTH: usize = 30;

fn sorted(value: &Value, depth: usize) -> Value {
    let Ok(items) = value.try_iter() else { return value.clone() };
    if depth > MAX_DEPTH {
        return value.clone();
    }
    match value.kind() {
        ValueKind::Map => {
            let mut keys: Vec<Value> = items.collect();
            keys.sort();
            let entry = |key: Value| {
                let item = value.get_item(&key).unwrap_or_default();
                (key, sorted(&item, depth + 1))
            };
            object::mapping(keys.into_iter().map(entry).collect())
        }
        ValueKind::Seq if !value.is_tuple() => items.map(|item| sorted(&item, depth + 1)).collect(),
        _ => value.clone(),
    }
}

fn pretty(out: &mut String, value: &Value, indent: usize, allowance: usize, depth: usize) {
    let flat = python::to_repr(value);
    let fits = flat.chars().count() + indent + allowance <= 80;
    let kind = value.kind();
    if fits || depth > MAX_DEPTH || !matches!(kind, ValueKind::Map | ValueKind::Seq) {
        out.push_str(&flat);
        return;
    }
    let items: Vec<Value> = value.try_iter().map(Iterator::collect).unwrap_or_default();
    let (open, close) = match kind {
        ValueKind::Map => ("{", "}"),
        _ if value.is_tuple() && items.len() == 1 => ("(", ",)"),
        _ if value.is_tuple() => ("(", ")"),
        _ => ("[", "]"),
    };
    out.push_str(open);
    let inner = indent + 1;
    for (position, item) in items.iter().enumerate() {
        if position > 0 {
            out.push_str(",\n");
            out.push_str(&" ".repeat(inner));
        }
        let rest = if position + 1 == items.len() { allowance + close.len() } else { 1 };
        if kind == ValueKind::Map {
            let key = python::to_repr(item);
            out.push_str(&key);
            out.push_str(": ");
            let value = value.get_item(item).unwrap_or_default();
            pretty(out, &value, inner + key.chars().count() + 2, rest, depth + 1);
        } else {
            pretty(out, item, inner, rest, depth + 1);
        }
    }
    out.push_str(close);
}

fn invalid(message: &'static str) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}
