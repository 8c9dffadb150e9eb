//! Decoding of nodes into types, for every YAML document of the program: scores, settings, instrument profiles.
//!
//! All problems are collected, each with its path, line and column; a problem yields `None` or the default, and
//! decoding goes on. A level asks for its keys one by one and is then finished: what nobody asked for is an
//! unknown key. What a null means depends on the key: nothing, for keys that may be null; nothing with a warning,
//! for lists, mappings and sections; an error otherwise.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::document::{descend, find_word};
use super::hints;
use super::issue::Issue;
use super::value::{Key, Map};
use super::words;
use super::yaml::{Entry, Kind, Node, Span};

pub(crate) use super::fields::Fields;

/// Known misspellings of a kind of document: what was written, what is meant.
pub(crate) type Typos = &'static [(&'static str, &'static str)];

/// Longest time that a setting may ask for, seconds (31 years): far below what a duration can hold.
pub(crate) const MAX_SECONDS: f64 = 1e9;

/// Most errors, and most remarks, that are kept of one document. The others are counted.
const MAX_ISSUES: usize = 500;

/// Where the problems of one document are collected.
pub(crate) struct Cx {
    errors: RefCell<Vec<Issue>>,
    remarks: RefCell<Vec<Issue>>,
    dropped: Cell<usize>,
    /// Levels and the keys that they lack because they are misspelt there.
    misspelt: RefCell<Vec<(String, String)>>,
    pub(super) typos: Typos,
    /// `score field`, `setting`, ...: what a key of this document is called.
    pub(super) noun: &'static str,
    #[cfg(test)]
    pub(super) known: RefCell<std::collections::BTreeSet<String>>,
}

impl Cx {
    pub(crate) fn new(noun: &'static str, typos: Typos) -> Self {
        Self {
            errors: RefCell::default(),
            remarks: RefCell::default(),
            dropped: Cell::new(0),
            misspelt: RefCell::default(),
            typos,
            noun,
            #[cfg(test)]
            known: RefCell::default(),
        }
    }

    /// Adds a problem.
    pub(crate) fn push(&self, issue: Issue) {
        let mut list = if issue.is_error() { self.errors.borrow_mut() } else { self.remarks.borrow_mut() };
        if list.len() < MAX_ISSUES {
            list.push(issue);
        } else {
            self.dropped.set(self.dropped.get() + 1);
        }
    }

    /// A level has no such key because it is written otherwise, which is an error by itself: that the key is missing
    /// is not told too.
    pub(super) fn misspelt(&self, level: &str, key: &str) {
        self.misspelt.borrow_mut().push((level.to_owned(), key.to_owned()));
    }

    /// No further error would be kept.
    pub(super) fn full_of_errors(&self) -> bool {
        self.errors.borrow().len() >= MAX_ISSUES
    }

    /// No further warning would be kept.
    pub(super) fn full_of_remarks(&self) -> bool {
        self.remarks.borrow().len() >= MAX_ISSUES
    }

    /// All problems, in the order of the document.
    pub(crate) fn into_issues(self) -> Vec<Issue> {
        let mut issues = self.errors.into_inner();
        issues.append(&mut self.remarks.into_inner());
        let misspelt = self.misspelt.into_inner();
        issues.retain(|issue| !misspelt.iter().any(|(level, key)| lacks(issue, level, key)));
        issues.sort_by_key(|issue| (issue.line.unwrap_or(u32::MAX), issue.column.unwrap_or(u32::MAX)));
        if self.dropped.get() > 0 {
            issues.push(Issue::warning(
                "schema",
                "",
                format!("{} more problems are not shown", self.dropped.get()),
            ));
        }
        issues
    }

    /// Every key that was asked for, list indexes and map keys as `*`.
    #[cfg(test)]
    pub(crate) fn known_keys(&self) -> std::collections::BTreeSet<String> {
        self.known.borrow().clone()
    }
}

/// Whether an issue only says that a level lacks a key.
fn lacks(issue: &Issue, level: &str, key: &str) -> bool {
    if issue.code != "schema" {
        return false;
    }
    if issue.path == level {
        return find_word(&issue.message, key).is_some();
    }
    let below = issue.path.strip_prefix(level).map(|rest| rest.strip_prefix('.').unwrap_or(rest));
    issue.message == "Field required" && below == Some(key)
}

/// A node, its path, and where to report.
#[derive(Clone)]
pub(crate) struct At<'a> {
    pub(crate) cx: &'a Cx,
    pub(crate) node: &'a Node,
    pub(crate) path: String,
    /// The place that problems are reported at.
    pub(super) span: Span,
}

/// Least and greatest allowed number.
#[derive(Clone, Copy)]
pub(crate) enum Bound {
    /// `>=`
    Least(f64),
    /// `>`
    Above(f64),
    /// `>` and `<=`
    AboveTo(f64, f64),
    /// `>=` and `<=`
    Within(f64, f64),
}

impl Bound {
    fn broken(self, number: f64) -> Option<String> {
        let (low, high) = match self {
            Self::Least(low) => (number < low, None),
            Self::Above(low) => (number <= low, None),
            Self::AboveTo(low, high) => (number <= low, Some(high)),
            Self::Within(low, high) => (number < low, Some(high)),
        };
        match self {
            Self::Least(n) | Self::Within(n, _) if low => {
                Some(format!("Input should be greater than or equal to {n}"))
            }
            Self::Above(n) | Self::AboveTo(n, _) if low => Some(format!("Input should be greater than {n}")),
            _ => {
                let high = high.filter(|high| number > *high)?;
                Some(format!("Input should be less than or equal to {high}"))
            }
        }
    }
}

impl<'a> At<'a> {
    /// The whole document.
    pub(crate) fn root(cx: &'a Cx, node: &'a Node) -> Self {
        Self { cx, node, path: String::new(), span: node.span }
    }

    pub(super) fn child(&self, key: &str, node: &'a Node, span: Span) -> Self {
        let mut path = String::with_capacity(self.path.len() + 1 + key.len());
        path.push_str(&self.path);
        descend(&mut path, key);
        Self { cx: self.cx, node, path, span }
    }

    /// Line and column.
    pub(crate) fn place(&self) -> Option<(u32, u32)> {
        Some((self.span.line, self.span.column))
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self.node.kind, Kind::Null)
    }

    /// Nothing, or a list, a mapping or a text with nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        match &self.node.kind {
            Kind::Null => true,
            Kind::Seq(items) => items.is_empty(),
            Kind::Map(entries) => entries.is_empty(),
            Kind::Str(text) => text.is_empty(),
            Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) => false,
        }
    }

    /// Reports an error here.
    pub(crate) fn error(&self, message: impl Into<String>) {
        self.cx.push(Issue::error("schema", &self.path, message).at(self.place()));
    }

    /// Reports an error here, with advice.
    pub(crate) fn error_hint(&self, message: impl Into<String>, hint: impl Into<String>) {
        self.cx.push(Issue::error("schema", &self.path, message).at(self.place()).hint(hint));
    }

    /// Reports an issue here.
    pub(crate) fn report(&self, issue: Issue) {
        self.cx.push(issue.at(self.place()));
    }

    /// Reports a warning here.
    pub(crate) fn warning(&self, code: &str, message: impl Into<String>) {
        self.cx.push(Issue::warning(code, &self.path, message).at(self.place()));
    }

    fn fail<T>(&self, message: impl Into<String>) -> Option<T> {
        self.error(message);
        None
    }

    /// There is a key and nothing after it: often the lines below are not indented.
    fn nothing<T>(&self, message: &str) -> Option<T> {
        let key = self.path.rsplit('.').next().unwrap_or_default();
        let hint = if hints::is_item(&self.path) {
            "this item of the list is empty; write a value there, or remove it".to_owned()
        } else {
            format!("nothing stands after `{key}:`; write a value there, or remove the key")
        };
        self.error_hint(message, hint);
        None
    }

    /// A whole number: an integer, a number without fraction, or either as text.
    pub(crate) fn any_int(&self) -> Option<i64> {
        const FRACTION: &str = "Input should be a valid integer, got a number with a fractional part";
        const LARGE: &str = "Input should be a smaller number";
        const NOT_TEXT: &str = "Input should be a valid integer, unable to parse string as an integer";
        match &self.node.kind {
            Kind::Int(number) => Some(*number),
            Kind::Float(number) if number.fract() == 0.0 => whole(*number).or_else(|| self.fail(LARGE)),
            Kind::Float(_) => self.fail(FRACTION),
            Kind::Str(text) => match (parse_int(text), parse_float(text)) {
                (Some(number), _) => Some(number),
                (None, Some(number)) if number.fract() == 0.0 => whole(number).or_else(|| self.fail(LARGE)),
                (None, Some(_)) => self.fail(FRACTION),
                (None, None) => self.fail(NOT_TEXT),
            },
            Kind::Null => self.nothing("Input should be a valid integer"),
            Kind::Bool(_) | Kind::Seq(_) | Kind::Map(_) => self.fail("Input should be a valid integer"),
        }
    }

    /// A whole number in a range; `i64::MAX` as the end means that there is no upper limit worth naming.
    pub(crate) fn int<T: TryFrom<i64>>(&self, range: RangeInclusive<i64>) -> Option<T> {
        let number = self.any_int()?;
        if number < *range.start() {
            return self.fail(format!("Input should be greater than or equal to {}", range.start()));
        }
        if number > *range.end() {
            return self.fail(format!("Input should be less than or equal to {}", range.end()));
        }
        T::try_from(number).ok().or_else(|| self.fail("Input should be a smaller number"))
    }

    /// A finite number, also as text.
    pub(crate) fn float(&self, bound: Bound) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "settings are far below 2^53")]
        let number = match &self.node.kind {
            Kind::Int(number) => *number as f64,
            Kind::Float(number) => *number,
            Kind::Str(text) => parse_float(text).or_else(|| {
                self.fail("Input should be a valid number, unable to parse string as a number")
            })?,
            Kind::Null => return self.nothing("Input should be a valid number"),
            Kind::Bool(_) | Kind::Seq(_) | Kind::Map(_) => {
                return self.fail("Input should be a valid number");
            }
        };
        if !number.is_finite() {
            return self.fail("Input should be a finite number");
        }
        match bound.broken(number) {
            Some(message) => self.fail(message),
            None => Some(number),
        }
    }

    /// A time in seconds: a float with an upper limit that a duration can hold.
    pub(crate) fn seconds(&self, bound: Bound) -> Option<f64> {
        match self.float(bound)? {
            long if long > MAX_SECONDS => {
                self.fail(format!("Input should be less than or equal to {MAX_SECONDS}"))
            }
            seconds => Some(seconds),
        }
    }

    /// A truth value in any of the spellings of YAML 1.1.
    pub(crate) fn boolean(&self) -> Option<bool> {
        match &self.node.kind {
            Kind::Bool(value) => Some(*value),
            Kind::Int(0) => Some(false),
            Kind::Int(1) => Some(true),
            Kind::Float(number) if *number == 0.0 => Some(false),
            Kind::Float(number) if *number == 1.0 => Some(true),
            Kind::Int(_) | Kind::Float(_) => self.unclear_boolean(),
            Kind::Str(text) => match text.to_ascii_lowercase().as_str() {
                "yes" | "on" | "y" | "t" | "true" | "1" => Some(true),
                "no" | "off" | "n" | "f" | "false" | "0" => Some(false),
                _ => self.unclear_boolean(),
            },
            Kind::Null => self.nothing("Input should be a valid boolean"),
            Kind::Seq(_) | Kind::Map(_) => self.fail("Input should be a valid boolean"),
        }
    }

    fn unclear_boolean(&self) -> Option<bool> {
        self.fail("Input should be a valid boolean, unable to interpret input")
    }

    /// Text.
    pub(crate) fn text(&self) -> Option<&'a str> {
        match &self.node.kind {
            Kind::Str(text) => Some(text),
            Kind::Int(_) | Kind::Float(_) | Kind::Bool(_) => {
                self.error_hint("Input should be a valid string", "put the value into quotes");
                None
            }
            Kind::Null => self.nothing("Input should be a valid string"),
            Kind::Seq(_) => {
                self.error_hint(
                    "Input should be a valid string",
                    "write one text, not a list; a text that begins with `[` needs quotes",
                );
                None
            }
            Kind::Map(_) => {
                self.error_hint(
                    "Input should be a valid string",
                    "write one text, not a mapping; a text that begins with `{` needs quotes",
                );
                None
            }
        }
    }

    /// Text that is not empty.
    pub(crate) fn filled_text(&self) -> Option<&'a str> {
        match self.text()? {
            "" => self.fail("String should have at least 1 character"),
            text => Some(text),
        }
    }

    /// Text, or a bare number with a warning.
    pub(crate) fn label(&self) -> Option<String> {
        match &self.node.kind {
            Kind::Int(number) => {
                self.warning("schema", "a number is read as text here; put it into quotes");
                Some(number.to_string())
            }
            Kind::Float(number) => {
                self.warning("schema", "a number is read as text here; put it into quotes");
                Some(number.to_string())
            }
            Kind::Null | Kind::Bool(_) | Kind::Str(_) | Kind::Seq(_) | Kind::Map(_) => {
                self.text().map(str::to_owned)
            }
        }
    }

    /// One word of a list.
    pub(crate) fn one_of<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let written = match &self.node.kind {
            Kind::Str(text) => text.as_str(),
            _ => "",
        };
        if let Some((_, value)) = choices.iter().find(|(word, _)| *word == written) {
            return Some(*value);
        }
        let names: Vec<String> = choices.iter().map(|(word, _)| format!("'{word}'")).collect();
        let list = match names.split_last() {
            Some((last, [])) => last.clone(),
            Some((last, first)) => format!("{} or {last}", first.join(", ")),
            None => String::new(),
        };
        let message = format!("Input should be {list}");
        let all: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        match (&self.node.kind, words::of(written, &all)) {
            (Kind::Seq(_) | Kind::Map(_), _) => {
                self.error_hint(message, "write one of these words by itself")
            }
            (_, Some(near)) => self.error_hint(message, format!("did you mean '{near}'?")),
            (_, None) => self.error(message),
        }
        None
    }

    /// A list; items that are wrong are reported and left out.
    pub(crate) fn list<T>(&self, mut item: impl FnMut(&At<'a>) -> Option<T>) -> Option<Vec<T>> {
        let Kind::Seq(nodes) = &self.node.kind else { return self.no_list() };
        Some(
            nodes
                .iter()
                .enumerate()
                .filter_map(|(index, node)| item(&self.child(&index.to_string(), node, node.span)))
                .collect(),
        )
    }

    /// A single value where a list is expected: it usually only lacks its brackets.
    fn no_list<T>(&self) -> Option<T> {
        const MESSAGE: &str = "Input should be a valid list";
        let plain = |text: &str| {
            let part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
            !text.is_empty() && text.starts_with(char::is_alphanumeric) && text.chars().all(part)
        };
        let written = match &self.node.kind {
            Kind::Int(number) => number.to_string(),
            Kind::Str(text) if plain(text) => text.clone(),
            _ => return self.fail(MESSAGE),
        };
        match hints::single(&self.path, &written) {
            Some(hint) => self.error_hint(MESSAGE, hint),
            None => self.error(MESSAGE),
        }
        None
    }

    /// A list of texts.
    pub(crate) fn texts(&self) -> Option<Vec<String>> {
        self.list(|at| at.text().map(str::to_owned))
    }

    fn entries(&self) -> Option<&'a [Entry]> {
        match &self.node.kind {
            Kind::Map(entries) => Some(entries),
            Kind::Str(text)
                if text
                    .split_once('=')
                    .is_some_and(|(key, _)| key.trim().chars().all(|c| c.is_alphanumeric() || c == '_')) =>
            {
                self.error_hint(
                    "Input should be a valid mapping",
                    "write `key: value`, with a colon instead of `=`",
                );
                None
            }
            _ => self.fail("Input should be a valid mapping"),
        }
    }

    /// A mapping with free text keys, in order.
    pub(crate) fn named<T>(
        &self,
        mut item: impl FnMut(&str, &At<'a>) -> Option<T>,
    ) -> Option<Vec<(String, T)>> {
        let mut all = Vec::new();
        for entry in self.entries()? {
            let name = entry.key.to_string();
            let at = self.child(&name, &entry.value, entry.value.span);
            if let Some(value) = item(&name, &at) {
                all.push((name, value));
            }
        }
        Some(all)
    }

    /// A mapping whose keys are integers or their digits as text, in order. Two spellings of one number are an error.
    pub(crate) fn numbered<T>(
        &self,
        mut item: impl FnMut(i64, &At<'a>) -> Option<T>,
    ) -> Option<Vec<(i64, T)>> {
        let mut seen = std::collections::HashMap::new();
        let mut all = Vec::new();
        for entry in self.entries()? {
            let at = self.child(&entry.key.text(), &entry.value, entry.key_span);
            let number = match &entry.key {
                Key::Int(number) => Some(*number),
                Key::Str(text) => parse_int(text),
            };
            let Some(number) = number else {
                let map = self.path.rsplit('.').next().unwrap_or_default();
                at.error_hint(
                    "Input should be a valid integer, unable to parse string as an integer",
                    format!("the keys below `{map}:` are numbers of sheets or stages, such as `1:`"),
                );
                continue;
            };
            let line = entry.key_span.line;
            if let Some(first) = seen.insert(number, line) {
                at.error_hint(
                    format!("duplicate key '{number}' (line {line})"),
                    format!("keep one of the two; the first is on line {first}"),
                );
            } else if let Some(value) = item(number, &at) {
                all.push((number, value));
            }
        }
        Some(all)
    }

    /// A mapping keyed by numbers from 1; `refuse` words the error for others.
    pub(crate) fn by_number<T>(
        &self,
        refuse: impl Fn(i64) -> String,
        mut item: impl FnMut(u32, &At<'a>) -> Option<T>,
    ) -> Option<BTreeMap<u32, T>> {
        let all = self.numbered(|number, at| match u32::try_from(number) {
            Ok(key) if key > 0 => item(key, at).map(|value| (key, value)),
            _ => at.fail(refuse(number)),
        })?;
        Some(all.into_iter().map(|(_, pair)| pair).collect())
    }

    /// Any YAML, in which a mapping is expected.
    pub(crate) fn free_map(&self) -> Option<Map> {
        self.entries()?;
        self.node.to_value().as_map().cloned()
    }

    /// The keys of this level. [`Fields::finish`] reports the unknown ones.
    pub(crate) fn fields(&self) -> Option<Fields<'a>> {
        let entries = self.entries()?;
        Some(Fields::new(self.clone(), entries))
    }

    /// Decodes a level and reports its unknown keys.
    pub(crate) fn section<T>(&self, decode: impl FnOnce(&mut Fields<'a>) -> T) -> Option<T> {
        let mut fields = self.fields()?;
        let value = decode(&mut fields);
        fields.finish();
        Some(value)
    }
}

fn whole(number: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "checked to be an integer far inside the range")]
    (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64)
}

fn parse_int(text: &str) -> Option<i64> {
    let text = text.trim();
    let plain = text.starts_with(|c: char| c.is_ascii_digit() || c == '+' || c == '-');
    if plain { text.replace('_', "").parse().ok() } else { None }
}

fn parse_float(text: &str) -> Option<f64> {
    let text = text.trim();
    let plain = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'));
    if plain { text.replace('_', "").parse().ok() } else { None }
}

/// The candidate that is at most two typing errors away, when that is not most of the word.
pub(crate) fn nearest<'k>(word: &str, candidates: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let limit = (word.chars().count() / 2).min(2);
    candidates
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit && *distance > 0)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions, replacements and swaps of neighbours from one word to the other; long words are not compared.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    if a.len() > 64 || b.len() > 64 {
        return usize::MAX;
    }
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, cb) in b.iter().enumerate() {
            let replace = last[j] + usize::from(ca != cb);
            let mut least = replace.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *ca == b[j - 1] && a[i - 1] == *cb {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}
