//! The keys of one level of a document: asked for one by one, the rest unknown.

use std::ops::RangeInclusive;

use super::decode::{At, Bound, nearest};
use super::issue::Issue;
use super::value::Key;
use super::yaml::{Entry, Kind, Span};

/// The keys of one mapping.
pub(crate) struct Fields<'a> {
    pub(crate) at: At<'a>,
    entries: &'a [Entry],
    asked: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(at: At<'a>, entries: &'a [Entry]) -> Self {
        Self { at, entries, asked: Vec::new() }
    }

    /// The value of a key, null included.
    pub(crate) fn raw(&mut self, key: &'static str) -> Option<At<'a>> {
        self.asked.push(key);
        #[cfg(test)]
        self.at.cx.known.borrow_mut().insert(general(&self.at.path, key));
        self.peek(key)
    }

    /// As [`Fields::raw`], without making the key a known one.
    pub(crate) fn peek(&self, key: &str) -> Option<At<'a>> {
        let entry = self.entries.iter().find(|entry| entry.key.as_str() == Some(key))?;
        let span = if matches!(entry.value.kind, Kind::Null | Kind::Map(_) | Kind::Seq(_)) {
            entry.key_span
        } else {
            entry.value.span
        };
        Some(self.at.child(key, &entry.value, span))
    }

    /// Keys in order, as written.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (&'a Key, Span)> {
        self.entries.iter().map(|entry| (&entry.key, entry.key_span))
    }

    /// The value of a key that may be null.
    pub(crate) fn nullable(&mut self, key: &'static str) -> Option<At<'a>> {
        self.raw(key).filter(|at| !at.is_null())
    }

    /// The value of a list, mapping or section: an empty one is as good as none, but is remarked.
    pub(crate) fn present(&mut self, key: &'static str) -> Option<At<'a>> {
        let at = self.raw(key)?;
        if at.is_null() {
            at.warning("schema", "nothing stands after this key; it is read as if it were not there");
            return None;
        }
        Some(at)
    }

    /// The value of a key that must be there.
    pub(crate) fn required(&mut self, key: &'static str) -> Option<At<'a>> {
        let found = self.raw(key);
        if found.is_none() {
            let path =
                if self.at.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.at.path) };
            self.at.cx.push(Issue::error("schema", &path, "Field required").at(self.at.place()));
        }
        found
    }

    pub(crate) fn int<T: TryFrom<i64>>(
        &mut self,
        key: &'static str,
        range: RangeInclusive<i64>,
        default: T,
    ) -> T {
        self.raw(key).and_then(|at| at.int(range)).unwrap_or(default)
    }

    pub(crate) fn opt_int<T: TryFrom<i64>>(
        &mut self,
        key: &'static str,
        range: RangeInclusive<i64>,
    ) -> Option<T> {
        self.nullable(key).and_then(|at| at.int(range))
    }

    pub(crate) fn float(&mut self, key: &'static str, bound: Bound, default: f64) -> f64 {
        self.raw(key).and_then(|at| at.float(bound)).unwrap_or(default)
    }

    pub(crate) fn opt_float(&mut self, key: &'static str, bound: Bound) -> Option<f64> {
        self.nullable(key).and_then(|at| at.float(bound))
    }

    pub(crate) fn seconds(&mut self, key: &'static str, bound: Bound, default: f64) -> f64 {
        self.raw(key).and_then(|at| at.seconds(bound)).unwrap_or(default)
    }

    pub(crate) fn opt_seconds(&mut self, key: &'static str, bound: Bound) -> Option<f64> {
        self.nullable(key).and_then(|at| at.seconds(bound))
    }

    pub(crate) fn boolean(&mut self, key: &'static str, default: bool) -> bool {
        self.raw(key).and_then(|at| at.boolean()).unwrap_or(default)
    }

    pub(crate) fn opt_boolean(&mut self, key: &'static str) -> Option<bool> {
        self.nullable(key).and_then(|at| at.boolean())
    }

    pub(crate) fn text(&mut self, key: &'static str, default: &str) -> String {
        self.raw(key).and_then(|at| at.text()).unwrap_or(default).to_owned()
    }

    pub(crate) fn opt_text(&mut self, key: &'static str) -> Option<String> {
        self.nullable(key).and_then(|at| at.text()).map(str::to_owned)
    }

    /// Text that is null or not empty.
    pub(crate) fn opt_filled(&mut self, key: &'static str) -> Option<String> {
        self.nullable(key).and_then(|at| at.filled_text()).map(str::to_owned)
    }

    pub(crate) fn word<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)], default: T) -> T {
        self.raw(key).and_then(|at| at.one_of(words)).unwrap_or(default)
    }

    pub(crate) fn list<T>(&mut self, key: &'static str, item: impl FnMut(&At<'a>) -> Option<T>) -> Vec<T> {
        self.present(key).and_then(|at| at.list(item)).unwrap_or_default()
    }

    pub(crate) fn texts(&mut self, key: &'static str) -> Vec<String> {
        self.present(key).and_then(|at| at.texts()).unwrap_or_default()
    }

    /// A section; one that is absent is decoded from nothing, so that defaults stand in one place only.
    pub(crate) fn section<T>(&mut self, key: &'static str, decode: impl FnOnce(&mut Fields<'a>) -> T) -> T {
        match self.present(key) {
            Some(at) if matches!(at.node.kind, Kind::Map(_)) => {
                let mut fields = at.fields().expect("it is a mapping");
                let value = decode(&mut fields);
                fields.finish();
                value
            }
            wrong => {
                if let Some(at) = wrong {
                    at.error("Input should be a valid mapping");
                }
                let at = self.at.child(key, self.at.node, self.at.span);
                decode(&mut Fields::new(at, &[]))
            }
        }
    }

    /// A section that is nothing when it is absent.
    pub(crate) fn opt_section<T>(
        &mut self,
        key: &'static str,
        decode: impl FnOnce(&mut Fields<'a>) -> T,
    ) -> Option<T> {
        self.nullable(key).and_then(|at| at.section(decode))
    }

    /// Reports keys that nobody asked for.
    pub(crate) fn finish(self) {
        self.report_unknown(|_| false, |_| None);
    }

    /// Reports keys that nobody asked for, but those that are `free`; `example` adds to the hint of a key.
    pub(crate) fn report_unknown(
        &self,
        free: impl Fn(&str) -> bool,
        example: impl Fn(&str) -> Option<&'static str>,
    ) {
        for (key, span) in self.unknown() {
            if free(&key) {
                continue;
            }
            let at = self.at.child(&key, self.at.node, span);
            if self.at.cx.full_of_errors() {
                at.error("Extra inputs are not permitted");
                continue;
            }
            let mut hint = self.hint(&key);
            if let Some(example) = example(&key) {
                hint = format!("{hint}\n{example}");
            }
            at.error_hint("Extra inputs are not permitted", hint);
        }
    }

    /// Reports keys that nobody asked for as warnings with a code.
    pub(crate) fn finish_leniently(self, code: &str) {
        for (key, span) in self.unknown() {
            let at = self.at.child(&key, self.at.node, span);
            let issue = Issue::warning(code, &at.path, "unknown key, it has no effect").at(at.place());
            self.at.cx.push(if self.at.cx.full_of_remarks() { issue } else { issue.hint(self.hint(&key)) });
        }
    }

    fn unknown(&self) -> impl Iterator<Item = (String, Span)> {
        self.entries
            .iter()
            .filter(|entry| entry.key.as_str().is_none_or(|key| !self.asked.contains(&key)))
            .map(|entry| (entry.key.to_string(), entry.key_span))
    }

    /// What an unknown key is probably meant to be.
    fn hint(&self, key: &str) -> String {
        let cx = self.at.cx;
        let typo = || cx.typos.iter().find(|(wrong, _)| *wrong == key).map(|(_, right)| *right);
        let near = || nearest(key, self.asked.iter().copied());
        let meant = if self.at.path.is_empty() { typo().or_else(near) } else { near().or_else(typo) };
        if let Some(right) = meant {
            return format!("Unknown field '{key}' - did you mean '{right}'?");
        }
        if let Some(item) = key.strip_prefix('-') {
            return format!(
                "Unknown field '{key}' - an item of a list needs a space after its dash: '- {item}: ...'"
            );
        }
        if let Some(place) = (cx.noun == "score field").then(|| elsewhere(key, &self.at.path)).flatten() {
            return format!("Unknown field '{key}' - {place}");
        }
        let known = if !self.at.path.is_empty() && (1..=12).contains(&self.asked.len()) {
            format!("; known here: {}", self.asked.join(", "))
        } else {
            String::new()
        };
        format!("Unknown field '{key}' - this is not a valid {}{known}", cx.noun)
    }
}

/// A key of a score that is known at another level: usually the indentation is wrong.
fn elsewhere(key: &str, here: &str) -> Option<String> {
    let paths = crate::schema::paths_of_score(key);
    let depth = |path: &str| path.split('.').count();
    let least = paths.iter().map(|path| depth(path)).min()?;
    let mut best = paths.into_iter().filter(|path| depth(path) == least);
    let path = best.next()?;
    let more: Vec<&str> = best.collect();
    if more.len() > 3 {
        return None;
    }
    let Some((parent, _)) = path.rsplit_once('.') else {
        return Some(format!("it belongs to the top level, without indentation, not below '{here}'"));
    };
    let all = std::iter::once(path).chain(more).collect::<Vec<_>>().join("' or '");
    let (section, _) = parent.split_once('.').unwrap_or((parent, ""));
    Some(format!("did you mean '{all}'? It is indented below '{section}:'"))
}

/// A path with the numbers of lists and maps as `*`.
#[cfg(test)]
fn general(path: &str, key: &str) -> String {
    let steps = path.split('.').filter(|step| !step.is_empty()).chain([key]);
    let steps: Vec<&str> = steps.map(|step| if step.parse::<i64>().is_ok() { "*" } else { step }).collect();
    steps.join(".")
}
