//! The keys of one level of a document: asked for one by one, the rest unknown.

use std::ops::RangeInclusive;

use super::decode::{At, Bound};
use super::issue::Issue;
use super::value::Key;
use super::words;
use super::yaml::{Entry, Kind, Span};

/// What a key of a score is called: scores are the documents whose other levels are known.
pub(super) const SCORE_FIELD: &str = "score field";

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

    /// Reports an error of the level that is about some of its keys, at the first one of them that is written.
    pub(crate) fn error_about(&self, keys: &[&str], message: impl Into<String>) {
        let written = keys.iter().find_map(|key| self.peek(key)).and_then(|at| at.place());
        let issue = Issue::error("schema", &self.at.path, message);
        self.at.cx.push(issue.at(written.or_else(|| self.at.place())));
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
            self.explain(&key);
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

    /// What is wrong about an unknown key is why another one is missing.
    fn explain(&self, key: &str) {
        let here = self.at.path.as_str();
        if let Some(right) = self.meant(key).filter(|right| self.peek(right).is_none()) {
            self.at.cx.misspelt(here, right);
            return;
        }
        if self.at.cx.noun != SCORE_FIELD {
            return;
        }
        for path in crate::schema::paths_of_score(key) {
            let (level, key) = path.rsplit_once('.').unwrap_or(("", path));
            if level != here {
                self.at.cx.misspelt(level, key);
            }
        }
    }

    /// The key that is probably meant by an unknown one, which may be one of another level.
    fn meant(&self, key: &str) -> Option<&str> {
        let typo = || self.at.cx.typos.iter().find(|(wrong, _)| *wrong == key).map(|(_, right)| *right);
        let here = || words::meant(key, &self.asked);
        if self.at.path.is_empty() { typo().or_else(here) } else { here().or_else(typo) }
    }

    /// What an unknown key is probably meant to be.
    fn hint(&self, key: &str) -> String {
        let cx = self.at.cx;
        if let Some(right) = self.meant(key) {
            return format!("Unknown field '{key}' - did you mean '{right}'?");
        }
        if let Some(item) = key.strip_prefix('-') {
            return format!(
                "Unknown field '{key}' - an item of a list needs a space after its dash: '- {item}: ...'"
            );
        }
        if let Some(place) = (cx.noun == SCORE_FIELD).then(|| elsewhere(key, &self.at.path)).flatten() {
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
    if here.is_empty() && key == "type" {
        return Some("only a fleet has a type (`type: fleet`); remove it from a score".to_owned());
    }
    let paths = crate::schema::paths_of_score(key);
    let depth = |path: &str| path.split('.').count();
    // One level deeper is nearer than anywhere else.
    let level = if here.is_empty() { String::new() } else { format!("{}.", general_level(here)) };
    if let Some(path) = paths
        .iter()
        .find(|path| !here.is_empty() && path.strip_prefix(&level).is_some_and(|rest| depth(rest) == 2))
    {
        let section = path[level.len()..].split('.').next().unwrap_or_default();
        return Some(format!("did you mean '{section}.{key}'? It is indented below '{section}:'"));
    }
    if paths.iter().any(|path| path.strip_prefix("instrument_config.") == Some(key)) {
        let below = |section: &&'static str| {
            crate::schema::paths_of_score(section).contains(&format!("{level}{section}").as_str())
        };
        let section = ["config", "instrument_config"].into_iter().find(below);
        if let Some(section) = section.filter(|_| !here.is_empty()) {
            return Some(format!("did you mean '{section}.{key}'? It is indented below '{section}:'"));
        }
    }
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

/// A path as the tables of keys write it, as far as that can be told: what is no key of a score is `*`.
fn general_level(path: &str) -> String {
    let known = |step: &str| !crate::schema::paths_of_score(step).is_empty();
    let steps = path.split('.').map(|step| if known(step) { step } else { "*" });
    steps.collect::<Vec<_>>().join(".")
}

/// A path with the numbers of lists and maps as `*`.
#[cfg(test)]
fn general(path: &str, key: &str) -> String {
    let steps = path.split('.').filter(|step| !step.is_empty()).chain([key]);
    let steps: Vec<&str> = steps.map(|step| if step.parse::<i64>().is_ok() { "*" } else { step }).collect();
    steps.join(".")
}
