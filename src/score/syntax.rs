//! A text that is not YAML: where the mistake really is, and what usually mends it.
//!
//! A YAML reader complains where it cannot go on; the mistake often stands a line or two before that. Everything here
//! is a guess from the lines around, made only after reading failed, and never changes whether a text is refused.

use super::yaml::YamlError;

/// Most lines that are looked at above the place.
const LOOK_BACK: usize = 200;

/// Where to point and what to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Advice {
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) hint: String,
}

/// Looks at the lines around a syntax error.
pub(super) fn advice(error: &YamlError, text: &str) -> Advice {
    let lines: Vec<&str> = text.lines().collect();
    let looker = Looker {
        lines: &lines,
        row: (error.line as usize).min(lines.len().max(1)),
        column: error.column,
        at_end: error.line as usize > lines.len(),
    };
    let (moved, hint) = looker.look(&error.message);
    let (line, column) = moved.map_or((error.line, error.column), |(row, column)| {
        (u32::try_from(row).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
    });
    Advice { line, column, hint }
}

/// Row and column, from 1.
type Place = (usize, usize);

struct Looker<'a> {
    lines: &'a [&'a str],
    row: usize,
    column: u32,
    /// The reader went to the end of the text.
    at_end: bool,
}

impl<'a> Looker<'a> {
    fn look(&self, message: &str) -> (Option<Place>, String) {
        let said = |hint: &str| (None, hint.to_owned());
        if let Some(key) = message.strip_prefix("duplicate key '") {
            return self.duplicate(key.split('\'').next().unwrap_or_default());
        }
        if let Some(found) = self.odd_characters(message) {
            return found;
        }
        if message.contains("tab") && !message.contains("unprintable") {
            let tab = (self.row..=self.lines.len()).find(|row| indent_of(self.line(*row)).contains('\t'));
            let place = tab.map(|row| (row, self.line(row).find('\t').map_or(1, |at| at + 1)));
            return (place, "indent with spaces; YAML does not allow tabs there".to_owned());
        }
        if message.contains("mapping values are not allowed") {
            return self.colon();
        }
        if message.contains("did not find expected key") {
            return self.level();
        }
        if message.contains("did not find expected '-'") {
            return self.dash();
        }
        if message.contains("block sequence entries are not allowed") {
            return said(
                "begin the list on the next line, indented; a text that begins with `- ` needs quotes",
            );
        }
        if message.contains("expected node content") {
            return said("something is missing here: two commas, or a comma before the closing bracket");
        }
        if message.contains("simple key expect") || message.contains("expected ':'") {
            return self.no_key();
        }
        if message.contains("',' or ']'") || message.contains("',' or '}'") || message.contains("flow") {
            return self.brackets();
        }
        if message.contains("escape") {
            return said(
                "between double quotes a backslash begins an escape: use single quotes, or write `\\\\`",
            );
        }
        if message.contains("illegal placement of ':'") {
            return self.brackets();
        }
        if message.contains("trailing content") {
            return said("put the whole value into one pair of quotes, or none of it");
        }
        if message.contains("quote") {
            return said("close the quotes; write a quote inside single quotes twice: ''");
        }
        if self.line(self.row).trim_start().starts_with(['{', '%'])
            && let Some(row) = self.above(self.row).filter(|row| self.line(*row).trim_end().ends_with(':'))
        {
            let line = self.line(row).trim_end();
            let place = (row, line.chars().count());
            return (Some(place), format!("a text of several lines needs a bar: `{} |`", line.trim()));
        }
        if message.contains("unexpected character") || message.contains("unknown tag") {
            return said(
                "put the value into quotes: it begins with a character that means something in YAML",
            );
        }
        if message.contains("second document") {
            return said("remove the line `---`; put the second score into a file of its own");
        }
        if message.contains("a key must be text") {
            let rest: String = self.line(self.row).chars().skip(self.column as usize - 1).collect();
            return said(if rest.starts_with("{{") || rest.starts_with('{') {
                "put the value into quotes: what begins with `{` is read as a mapping"
            } else {
                "write a simple key: text or a number"
            });
        }
        if message.contains("merge key") {
            return said("`<<: *name` takes in the mapping that is marked with `&name`");
        }
        if message.contains("alias") || message.contains("anchor") {
            return said(
                "define the anchor (&name) before it is used (*name); a text that begins with `*` needs quotes",
            );
        }
        if message.contains("scalar") {
            return said(
                "close the quotes; a text with `: `, `#` or a leading special character needs quotes",
            );
        }
        if ["limit", "more than", "nested"].iter().any(|part| message.contains(part)) {
            return said(if message.contains("nested") {
                "nest less deeply: look for brackets that are never closed"
            } else {
                "make the document smaller"
            });
        }
        said("check the indentation and the colon of this line and of the one before it")
    }

    /// A row from 1; nothing beyond the ends.
    fn line(&self, row: usize) -> &'a str {
        row.checked_sub(1).and_then(|row| self.lines.get(row)).copied().unwrap_or_default()
    }

    /// The nearest row above that says something.
    fn above(&self, row: usize) -> Option<usize> {
        (1..row).rev().take(LOOK_BACK).find(|row| {
            let text = self.line(*row).trim();
            !text.is_empty() && !text.starts_with('#')
        })
    }

    fn duplicate(&self, key: &str) -> (Option<Place>, String) {
        let own = indent_of(self.line(self.row)).len();
        let first = (1..self.row).rev().find(|row| {
            let line = self.line(*row);
            let rest = line.trim_start().trim_start_matches("- ");
            let rest = rest.trim_start_matches(['"', '\'']);
            indent_of(line).len() <= own
                && rest
                    .strip_prefix(key)
                    .is_some_and(|rest| rest.trim_start_matches(['"', '\'']).trim_start().starts_with(':'))
        });
        let hint = first.map_or_else(
            || "keep one of the two".to_owned(),
            |row| format!("keep one of the two; the first is on line {row}"),
        );
        (None, hint)
    }

    /// What no editor shows, and what a merge leaves behind.
    fn odd_characters(&self, message: &str) -> Option<(Option<Place>, String)> {
        if message.contains("unprintable") {
            let line = self.line(self.row);
            let odd = line.chars().position(|c| c.is_control() && c != '\t');
            let place = odd.map(|at| (self.row, at + 1));
            let hint = match odd.and_then(|at| line.chars().nth(at)) {
                Some(c) => format!("remove the control character U+{:04X}", u32::from(c)),
                None => "remove the control character".to_owned(),
            };
            return Some((place, hint));
        }
        let near = self.row.saturating_sub(2).max(1)..=(self.row + 1).min(self.lines.len());
        for row in near {
            let line = self.line(row);
            if ["<<<<<<<", "=======", ">>>>>>>"].iter().any(|mark| line.starts_with(mark)) {
                let hint = "this line was left by a merge of git: choose one of the two versions";
                return Some((Some((row, 1)), hint.to_owned()));
            }
            let odd = line.chars().take_while(|c| c.is_whitespace()).position(|c| !c.is_ascii());
            if let Some(at) = odd {
                let hint =
                    "indent with ordinary spaces; this line begins with other white space (such as U+00A0)";
                return Some((Some((row, at + 1)), hint.to_owned()));
            }
        }
        None
    }

    /// A line that does not go on with the list that it stands in.
    fn dash(&self) -> (Option<Place>, String) {
        let line = self.line(self.row);
        let own = indent_of(line).len();
        let content = line.trim();
        if let Some(item) = content.strip_prefix('-').filter(|item| item.starts_with(char::is_alphanumeric)) {
            return (None, format!("a dash needs a space after it: `- {item}`"));
        }
        let first = (1..self.row).rev().take(LOOK_BACK).find(|row| {
            let text = self.line(*row);
            text.trim_start().starts_with("- ") && indent_of(text).len() <= own
        });
        let hint = match first.map(|row| (row, indent_of(self.line(row)).len())) {
            Some((row, dash)) if content.starts_with("- ") && dash != own => format!(
                "the items of a list are indented alike: this one by {own} spaces, that of line {row} by {dash}"
            ),
            Some((row, dash)) if dash == own => {
                format!("an item of the list of line {row} begins with a dash: `- {content}`")
            }
            Some((row, dash)) => {
                format!(
                    "indent this line by {} spaces, as the other keys of the item of line {row}",
                    dash + 2
                )
            }
            None => "check the indentation of this line and of the one before it".to_owned(),
        };
        (None, hint)
    }

    /// A second colon where none may be.
    fn colon(&self) -> (Option<Place>, String) {
        let line = self.line(self.row);
        let head: String = line.chars().take(self.column as usize - 1).collect();
        let key = |text: &str| {
            text.trim().trim_start_matches("- ").split(':').next().unwrap_or_default().trim().to_owned()
        };
        if let Some((name, rest)) = head.trim().trim_start_matches("- ").split_once(':')
            && !rest.starts_with(' ')
            && !name.contains(' ')
        {
            let place = (self.row, head.find(':').map_or(1, |at| head[..at].chars().count() + 1));
            return (Some(place), format!("a colon needs a space after it: `{name}: ...`"));
        }
        if head.contains(": ") {
            return (
                None,
                format!("the value holds `: `: put it into quotes, as in `{}: \"...\"`", key(&head)),
            );
        }
        let Some(row) = self.above(self.row) else {
            return (None, "put the value into quotes".to_owned());
        };
        let before = self.line(row);
        let content = before.trim().trim_start_matches("- ");
        let place = (row, indent_of(before).chars().count() + 1);
        if !content.contains(": ") && !content.ends_with(':') {
            let hint = match (content.split_once(':'), content.split_once(' ')) {
                (Some((name, value)), _) => format!("a colon needs a space after it: `{name}: {value}`"),
                (None, Some((name, value))) => format!("a colon is missing: `{name}: {value}`"),
                (None, None) => format!("a colon is missing: `{content}:`"),
            };
            return (Some(place), hint);
        }
        if indent_of(line).len() > indent_of(before).len() {
            let section = self.above(row).filter(|above| {
                let text = self.line(*above);
                indent_of(text).len() == indent_of(before).len() && text.trim_end().ends_with(':')
            });
            if let Some(above) = section {
                let key = self.line(above).trim().trim_start_matches("- ");
                let hint = format!(
                    "`{key}` on line {above} has nothing below it: indent this line as the ones that follow ({} spaces)",
                    indent_of(line).len()
                );
                return (Some(place), hint);
            }
            if content.split_once(": ").is_some_and(|(_, value)| is_switch(value)) {
                let key = content.split(':').next().unwrap_or_default();
                let hint = format!(
                    "`{key}:` has a value and lines below it: remove the value, or write it as `enabled:` below"
                );
                return (Some(place), hint);
            }
            let hint = format!(
                "line {row} has a value already, so nothing can stand below it: give this line its indentation ({} spaces)",
                indent_of(before).len()
            );
            return (None, hint);
        }
        (None, "put the value into quotes: it holds a colon".to_owned())
    }

    /// A line that does not fit to the level it stands in.
    fn level(&self) -> (Option<Place>, String) {
        let line = self.line(self.row);
        let head: String = line.chars().take(self.column as usize - 1).collect();
        if let Some((_, value)) = head.split_once(": ") {
            let hint = match value.trim_start().chars().next() {
                Some('{' | '[') => {
                    "put the whole value into quotes: what begins with `{` or `[` is a mapping or a list"
                }
                Some('"' | '\'') => "put the whole value into one pair of quotes, or none of it",
                _ => "put the value into quotes",
            };
            return (None, hint.to_owned());
        }
        let own = indent_of(line).len();
        let opener = (1..self.row).rev().take(LOOK_BACK).find(|row| {
            let text = self.line(*row);
            !text.trim().is_empty() && indent_of(text).len() < own.max(1) || is_block(text)
        });
        if let Some(row) = opener.filter(|row| is_block(self.line(*row))) {
            let hint = format!(
                "the text below line {row} ends here: indent all of its lines by the same spaces, deeper than the key"
            );
            return (None, hint);
        }
        let hint = match self.above(self.row) {
            Some(row) => format!(
                "this line is indented by {own} spaces, which no level has; line {row} above has {}",
                indent_of(self.line(row)).len()
            ),
            None => "indent it as the other keys of its level".to_owned(),
        };
        (None, hint)
    }

    /// A line without a key, noticed at the next one.
    fn no_key(&self) -> (Option<Place>, String) {
        let here = self.line(self.row);
        let at_start = here.trim().is_empty() || self.column as usize <= indent_of(here).chars().count() + 1;
        let row = if at_start && !(self.row == self.lines.len() && self.column > 1) {
            // At the end of the text the row is that of its last line.
            let from =
                if self.row >= self.lines.len() && !here.contains(':') { self.row + 1 } else { self.row };
            self.above(from).unwrap_or(self.row)
        } else {
            self.row
        };
        let line = self.line(row);
        let place = (row, indent_of(line).chars().count() + 1);
        let content = line.trim();
        let word =
            |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let hint = match self.above(row).filter(|above| is_block(self.line(*above))) {
            Some(above) => format!("indent the text deeper than the key on line {above}"),
            None if content.split_once(':').is_some_and(|(name, _)| word(name)) => {
                let (name, value) = content.split_once(':').unwrap_or((content, ""));
                format!("a colon needs a space after it: `{name}: {}`", value.trim())
            }
            None if content.split_whitespace().count() == 2
                && content.split(' ').next().is_some_and(word) =>
            {
                format!("a colon is missing: `{}`", content.replacen(' ', ": ", 1))
            }
            None => {
                "this line has no `key: value`; text that goes on from the line above must be indented deeper"
                    .to_owned()
            }
        };
        (Some(place), hint)
    }

    /// A bracket that is not closed: points to it.
    fn brackets(&self) -> (Option<Place>, String) {
        let line = self.line(self.row);
        let before: String = line.chars().take(self.column as usize).collect();
        if before.contains(';') {
            return (None, "separate the entries by commas".to_owned());
        }
        let hint = "close every `[` with `]` and every `{` with `}`; a text that begins with one of them needs quotes";
        let mut closed = 0_usize;
        for row in (1..=self.row).rev().take(LOOK_BACK) {
            let limit = if row == self.row && !self.at_end { self.column as usize - 1 } else { usize::MAX };
            for (column, c) in
                unquoted(self.line(row)).into_iter().rev().filter(|(column, _)| *column <= limit)
            {
                match c {
                    '}' | ']' => closed += 1,
                    '{' | '[' if closed > 0 => closed -= 1,
                    '{' | '[' => {
                        return (Some((row, column)), format!("this bracket is never closed: {hint}"));
                    }
                    _ => {}
                }
            }
        }
        (None, hint.to_owned())
    }
}

fn indent_of(line: &str) -> &str {
    &line[..line.len() - line.trim_start().len()]
}

/// A value that switches something on or off.
fn is_switch(value: &str) -> bool {
    ["true", "false", "yes", "no", "on", "off"].contains(&value.trim())
}

/// `key: |` and its relatives.
fn is_block(line: &str) -> bool {
    let end = line.trim_end().trim_end_matches(|c: char| c.is_ascii_digit() || c == '-' || c == '+');
    end.ends_with(": |") || end.ends_with(": >")
}

/// The brackets of a line that stand outside quotes, with their columns.
fn unquoted(line: &str) -> Vec<(usize, char)> {
    let mut quote = None;
    let mut found = Vec::new();
    for (at, c) in line.chars().enumerate() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '"' || c == '\'' => quote = Some(c),
            None if matches!(c, '{' | '}' | '[' | ']') => found.push((at + 1, c)),
            None => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::yaml;
    use super::*;

    #[test]
    fn mistakes_are_found_where_they_are_made() {
        let mut wrong = Vec::new();
        for (text, line, column, part) in [
            ("a: b\n\tc: 3\n", 2, 1, "spaces"),
            ("a:\n\tb: 1\n", 2, 1, "spaces"),
            ("a: it's: bad\n", 1, 8, "`a: \"...\"`"),
            ("  - a: x && echo \"b: c\"\n", 1, 20, "`a: \"...\"`"),
            ("name x\nb: 1\n", 1, 1, "`name: x`"),
            ("a:\n  size:1\n  b: 2\n", 2, 3, "`size: 1`"),
            ("n: x\nsheet:{size: 1, t: 3}\n", 2, 6, "`sheet: ...`"),
            ("a:\n  b: 1\n   c: 2\n", 3, 5, "line 2 has a value already"),
            ("a:\n  b: 1\n c: 2\n", 3, 2, "indented by 1 spaces"),
            ("a:\n  path: {w}/x\n", 2, 12, "quotes"),
            ("a: \"x\" y\n", 1, 8, "one pair of quotes"),
            ("a: |\n    x\n   y\n  z\nb: 1\n", 3, 4, "below line 1"),
            ("a: |\ntext\n", 2, 1, "deeper than the key on line 1"),
            ("a: {b: 1\nc: {d: 1}\n", 1, 4, "never closed"),
            ("{a: {b: 1}\n", 1, 1, "never closed"),
            ("a: [b, {c: 1}\nd: 1\n", 1, 4, "never closed"),
            ("a: {b: 1; c: 2}\n", 1, 12, "commas"),
            ("a: \"\\d\"\n", 1, 4, "single quotes"),
            ("a: @x\n", 1, 4, "quotes"),
            ("a: %x\n", 1, 4, "quotes"),
            ("a: 1\n---\nb: 1\n", 2, 1, "`---`"),
            ("a: {{ x }}\n", 1, 5, "quotes"),
            ("a: *x\n", 1, 4, "anchor"),
            ("a: 1\nb: 2\na: 3\n", 3, 1, "first is on line 1"),
            ("l:\n  - type: x\n    path: y\n    type: z\n", 4, 5, "first is on line 2"),
            ("l:\n  - a: x\n  -a: y\n", 3, 3, "`- a: y`"),
            ("l:\n  - a: x\n  a: y\n", 3, 3, "begins with a dash"),
            ("l:\n  - a: x\n   - a: y\n", 3, 4, "by 3 spaces, that of line 2 by 2"),
            ("l:\n  - a: x\n    b: y\n   c: z\n", 4, 4, "by 4 spaces"),
            ("a: - b\n", 1, 4, "on the next line"),
            ("a: [1,,2]\n", 1, 7, "two commas"),
            ("sheet:\nsize: 1\n  total: 2\n", 2, 1, "`sheet:` on line 1 has nothing below it"),
            ("feedback: true\n  format: json\n", 1, 1, "has a value and lines below it"),
            ("p:\n  t:\n    {% if x %}\n", 2, 4, "needs a bar: `t: |`"),
            ("a: 1\n<<<<<<< HEAD\nb: 1\n=======\nb: 2\n>>>>>>> x\n", 2, 1, "merge"),
            ("a:\n\u{a0}\u{a0}b: 1\n  c: 2\n", 2, 1, "ordinary spaces"),
            ("a: x\0y\n", 1, 5, "U+0000"),
            ("a:\n  4: [3\n  d: 1\n", 2, 6, "never closed"),
        ] {
            let error = yaml::parse(text).unwrap_err();
            let advice = advice(&error, text);
            if (advice.line, advice.column) != (line, column) || !advice.hint.contains(part) {
                wrong.push(format!("{text:?}: {}: {advice:?}", error.message));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn odd_texts_do_not_confuse() {
        for text in [
            "\t",
            "a\n\tb: c: d",
            ": :",
            "- -\n -",
            "{",
            "}",
            "\"",
            "a: {\n\n\n",
            "|\n a\nb",
            "é: ü: ö",
            "? ?\n: :\n: ",
        ] {
            if let Err(error) = yaml::parse(text) {
                assert!(!advice(&error, text).hint.is_empty(), "{text:?}");
            }
        }
    }
}
