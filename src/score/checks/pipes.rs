//! V225: commands whose verdict is that of a `tail` behind a pipe.

use super::{Report, Subject};
use crate::score::Issue;

/// Programs that end well whatever stood before them in the pipe.
const CONTENT: [&str; 3] = ["head", "tail", "tee"];

/// Warns about commands that count as passed although what they are about failed.
pub(super) fn hidden_status(subject: &Subject<'_>, report: &mut Report) {
    let score = subject.score;
    for (list, rules) in [("validations", &score.validations), ("preconditions", &score.preconditions)] {
        for (index, rule) in rules.iter().enumerate().filter(|(_, rule)| !rule.pipefail) {
            let Some(command) = &rule.command else { continue };
            let path = format!("{list}.{index}.command");
            add(subject, report, &path, command, "add `pipefail: true` to the rule");
        }
    }
    for (stage, skip) in &score.sheet.skip_when_command {
        let path = format!("sheet.skip_when_command.{stage}.command");
        add(subject, report, &path, &skip.command, "begin the command with `set -o pipefail;`");
    }
}

fn add(subject: &Subject<'_>, report: &mut Report, path: &str, command: &str, first: &str) {
    let Some(program) = deciding(command) else { return };
    let message = format!("The command passes whenever `{program}` does, whatever fails before its pipe");
    let hint = format!("{first}, or leave `| {program}` out");
    let needle = format!("| {program}");
    let place = subject.document.within(&subject.source.text, path, Some(1), &needle);
    report.add(subject, Issue::warning("V225", path, message).at(place).hint(hint));
}

/// The program whose exit code is that of the command, when it is one of [`CONTENT`] behind a pipe.
fn deciding(command: &str) -> Option<&'static str> {
    if command.contains("pipefail") || command.contains("<<") {
        return None;
    }
    // What stands before a `;` or the end of a line does not decide.
    let mut last = None;
    for part in Parts::new(command) {
        let first = part.text.split_whitespace().next().unwrap_or_default();
        let name = first.rsplit('/').next().unwrap_or_default();
        match part.before {
            Joint::Pipe => last = CONTENT.into_iter().find(|program| *program == name),
            // A `;` at the end brings no other command.
            Joint::End if first.is_empty() => {}
            Joint::End => last = None,
            // `a | tail && b` goes on to `b` whatever `a` did.
            Joint::AndOr if last.is_some() => return last,
            Joint::AndOr => {}
        }
    }
    last
}

/// What stands between two commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Joint {
    /// `|`, `|&`
    Pipe,
    /// `&&`, `||`
    AndOr,
    /// `;`, `&`, the end of a line, or nothing yet
    End,
}

/// One command of a shell text, with what stands before it.
#[derive(Debug)]
struct Part<'t> {
    before: Joint,
    text: &'t str,
}

/// The commands of a shell text, those in brackets and in quotes as part of the one they stand in.
#[derive(Debug)]
struct Parts<'t> {
    rest: Option<&'t str>,
    before: Joint,
}

impl<'t> Parts<'t> {
    fn new(text: &'t str) -> Self {
        Self { rest: Some(text), before: Joint::End }
    }
}

impl<'t> Iterator for Parts<'t> {
    type Item = Part<'t>;

    fn next(&mut self) -> Option<Part<'t>> {
        let rest = self.rest?;
        let before = self.before;
        let Some((at, length, joint)) = joint(rest) else {
            self.rest = None;
            return Some(Part { before, text: rest });
        };
        self.rest = Some(&rest[at + length..]);
        self.before = joint;
        Some(Part { before, text: &rest[..at] })
    }
}

/// The first joint of a text: where, how long, which.
fn joint(text: &str) -> Option<(usize, usize, Joint)> {
    let bytes = text.as_bytes();
    let (mut at, mut depth, mut quote) = (0, 0_u32, None);
    while let Some(&byte) = bytes.get(at) {
        let next = bytes.get(at + 1).copied();
        match (quote, byte) {
            (Some(b'\''), b'\'') | (Some(b'"'), b'"') | (Some(b'`'), b'`') => quote = None,
            (Some(b'"') | None, b'\\') => at += 1,
            (Some(_), _) => {}
            (None, b'\'' | b'"' | b'`') => quote = Some(byte),
            (None, b'(') => depth += 1,
            (None, b')') => depth = depth.saturating_sub(1),
            (None, _) if depth > 0 => {}
            (None, b'|' | b'&') if next == Some(byte) => return Some((at, 2, Joint::AndOr)),
            // `>|` writes over a file.
            (None, b'|') if at == 0 || bytes[at - 1] != b'>' => {
                return Some((at, if next == Some(b'&') { 2 } else { 1 }, Joint::Pipe));
            }
            // Not `2>&1`, `<&3` and `&>file`.
            (None, b'&') if next != Some(b'>') && (at == 0 || !matches!(bytes[at - 1], b'>' | b'<')) => {
                return Some((at, 1, Joint::End));
            }
            (None, b';' | b'\n') => return Some((at, 1, Joint::End)),
            (None, _) => {}
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_pipe_that_decides_hides_a_status() {
        for (command, program) in [
            ("cargo test 2>&1 | tail -5", Some("tail")),
            ("make |& tee log", Some("tee")),
            ("cd x && make | /usr/bin/head -1\n", Some("head")),
            ("make | tail -1 && test -f done", Some("tail")),
            ("for x in a b; do check $x; done | tail -1;", Some("tail")),
            ("make | tail -1; test -f done", None),
            ("make | tail -1 | grep -q PASS", None),
            ("test \"$(make | tail -1)\" = ok", None),
            ("x=$(make | tail -1) && test $x = ok", None),
            ("test `make | tail -1` = ok", None),
            ("grep -q 'a | tail' file", None),
            ("grep -q a\\ \\|tail file", None),
            ("make || tail -5 log", None),
            ("set -o pipefail; make | tail -5", None),
            ("make >| tail", None),
            ("tail -1 log", None),
            ("", None),
        ] {
            assert_eq!(deciding(command), program, "{command}");
        }
    }
}
