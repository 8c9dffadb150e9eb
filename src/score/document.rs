//! Places in a document: where the key or value at a path stands, and where a text inside a value does.
//!
//! Paths are dotted, with list indexes, as in issues: `sheet.prelude.0.file`. A key may itself hold dots.

use super::yaml::{Kind, Node, Span};

/// A parsed document.
#[derive(Debug)]
pub(crate) struct Document {
    root: Node,
}

/// Line and column from 1, in characters.
pub(crate) type Place = (u32, u32);

/// A key with its value.
#[derive(Clone, Copy)]
struct Found<'a> {
    key: Span,
    node: &'a Node,
}

impl Document {
    pub(crate) fn new(root: Node) -> Self {
        Self { root }
    }

    /// Where the value at a path is, or its key when it is a list, a mapping or nothing; of a path that is not there,
    /// the nearest level above it that is.
    pub(crate) fn place(&self, path: &str) -> Option<Place> {
        let mut path = path;
        loop {
            if let Some(found) = self.find(path) {
                let container = matches!(found.node.kind, Kind::Null | Kind::Map(_) | Kind::Seq(_));
                let span = if container { found.key } else { found.node.span };
                return Some((span.line, span.column));
            }
            path = path.rsplit_once('.')?.0;
        }
    }

    /// Where the key at a path is; nothing when there is no such key.
    pub(crate) fn key(&self, path: &str) -> Option<Place> {
        self.find(path).map(|found| (found.key.line, found.key.column))
    }

    /// Whether the document has this path.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.find(path).is_some()
    }

    /// Names of the keys of the top level.
    pub(crate) fn top(&self) -> impl Iterator<Item = &str> {
        let entries = match &self.root.kind {
            Kind::Map(entries) => entries.as_slice(),
            _ => &[],
        };
        entries.iter().filter_map(|entry| entry.key.as_str())
    }

    /// Every text of the document with its path and the last key on the way to it.
    pub(crate) fn texts(&self, mut each: impl FnMut(&str, &str, &str)) {
        walk(&self.root, &mut String::new(), "", &mut each);
    }

    /// Where a text stands inside the value at a path: `line` is the line of the value, from 1, when it is known.
    /// Falls back to the line, then to the value.
    pub(crate) fn within(
        &self,
        source: &str,
        path: &str,
        line: Option<usize>,
        needle: &str,
    ) -> Option<Place> {
        let found = self.find(path)?;
        let head = source.lines().nth(found.key.line as usize - 1)?;
        let after: String = head.chars().skip(found.key.column as usize - 1).collect();
        let style = after.split_once(':').map_or("", |(_, value)| value).trim_start();
        let lines = text_lines(found.node);
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let in_line = |row: usize, from: usize| {
            let text = source.lines().nth(row - 1)?;
            let start = text.char_indices().nth(from).map_or(text.len(), |(at, _)| at);
            let at = start + find_word(&text[start..], needle)?;
            Some((number(row), number(text[..at].chars().count() + 1)))
        };
        if style.starts_with('|')
            && let Some(line) = line
        {
            let row = found.key.line as usize + line;
            let first = source
                .lines()
                .nth(row - 1)
                .map_or(0, |text| text.chars().take_while(|c| c.is_whitespace()).count());
            return in_line(row, 0).or(Some((number(row), number(first + 1))));
        }
        let block = style.starts_with(['|', '>']);
        let first = if block { found.key.line as usize + 1 } else { found.node.span.line as usize };
        let skip = if block { 0 } else { found.node.span.column as usize - 1 };
        (first..=first + lines)
            .find_map(|row| in_line(row, if row == first { skip } else { 0 }))
            .or_else(|| self.place(path))
    }

    fn find(&self, path: &str) -> Option<Found<'_>> {
        let mut at = Found { key: self.root.span, node: &self.root };
        let mut rest = path;
        while !rest.is_empty() {
            let (next, left) = step(at.node, rest)?;
            (at, rest) = (next, left);
        }
        Some(at)
    }
}

/// One step down; a key is taken whole, dots included.
fn step<'a, 'p>(node: &'a Node, path: &'p str) -> Option<(Found<'a>, &'p str)> {
    let after = |name: &str| {
        let left = path.strip_prefix(name)?;
        if left.is_empty() { Some(left) } else { left.strip_prefix('.') }
    };
    match &node.kind {
        Kind::Map(entries) => entries.iter().find_map(|entry| {
            let left = match entry.key.as_str() {
                Some(name) => after(name)?,
                None => after(&entry.key.to_string())?,
            };
            Some((Found { key: entry.key_span, node: &entry.value }, left))
        }),
        Kind::Seq(list) => {
            let (name, left) = path.split_once('.').unwrap_or((path, ""));
            let node = list.get(name.parse::<usize>().ok()?)?;
            Some((Found { key: node.span, node }, left))
        }
        Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Str(_) => None,
    }
}

/// Goes one step down a path; cut it to the length that is returned to go back.
pub(super) fn descend(path: &mut String, step: &str) -> usize {
    let before = path.len();
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(step);
    before
}

fn walk(node: &Node, path: &mut String, key: &str, each: &mut impl FnMut(&str, &str, &str)) {
    match &node.kind {
        Kind::Str(text) => each(path, key, text),
        Kind::Seq(list) => {
            for (index, item) in list.iter().enumerate() {
                let before = descend(path, &index.to_string());
                walk(item, path, key, each);
                path.truncate(before);
            }
        }
        Kind::Map(entries) => {
            for entry in entries {
                let name = entry.key.text();
                let before = descend(path, &name);
                walk(&entry.value, path, &name, each);
                path.truncate(before);
            }
        }
        Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) => {}
    }
}

fn text_lines(node: &Node) -> usize {
    match &node.kind {
        Kind::Str(text) => text.lines().count() + 2,
        _ => 1,
    }
}

/// The first place of a word that is not part of a longer one; of something else, the first place.
pub(crate) fn find_word(text: &str, word: &str) -> Option<usize> {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    let whole = |at: usize| {
        let before = text[..at].chars().next_back().is_some_and(part) && word.starts_with(part);
        let after = text[at + word.len()..].chars().next().is_some_and(part) && word.ends_with(part);
        !before && !after
    };
    if word.is_empty() {
        return None;
    }
    text.match_indices(word).map(|(at, _)| at).find(|at| whole(*at))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::score::yaml;

    const TEXT: &str = "a:\n  b.c: [1, x y]\n  7: |\n    one\n\n    two {{ name }}\nq: \"a name\"\n";

    #[test]
    fn paths_lead_to_places() {
        let document = Document::new(yaml::parse(TEXT).unwrap());
        assert_eq!(document.place("a.b.c"), Some((2, 3)));
        assert_eq!(document.place("a.b.c.1"), Some((2, 12)));
        assert_eq!(document.place("a.b.c.9.z"), Some((2, 3)));
        assert_eq!(document.key("a.7"), Some((3, 3)));
        assert_eq!(document.key("a.8"), None);
        assert_eq!(document.place("zzz"), None);
    }

    #[test]
    fn a_word_inside_a_value_has_a_place() {
        let document = Document::new(yaml::parse(TEXT).unwrap());
        assert_eq!(document.within(TEXT, "a.7", Some(3), "name"), Some((6, 12)));
        assert_eq!(document.within(TEXT, "a.7", Some(3), "nam"), Some((6, 5)));
        assert_eq!(document.within(TEXT, "a.7", None, "name"), Some((6, 12)));
        assert_eq!(document.within(TEXT, "q", Some(1), "name"), Some((7, 7)));
    }
}
