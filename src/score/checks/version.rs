//! V009: a score that was copied to a new version and still names the old one.

use super::{Report, Subject};
use crate::score::Issue;

/// Words of lines that tell a history, where older versions are meant.
const HISTORY: [&str; 12] = [
    "history",
    "changelog",
    "changed",
    "previous",
    "prior",
    "evolved from",
    "based on",
    "since",
    "lesson",
    "learned",
    "compared",
    "->",
];

pub(super) fn check(subject: &Subject<'_>, report: &mut Report) {
    let Some(number) = subject.source.path.as_deref().and_then(file_version).filter(|number| *number > 1)
    else {
        return;
    };
    let old = number - 1;
    let mut errors = Vec::new();
    for (path, label, value) in [
        ("name", "Job name", subject.score.name.clone()),
        ("workspace", "Workspace", subject.score.workspace.display().to_string()),
    ] {
        if subject.document.has(path) && mentions(&value, old) {
            let message = format!("{label} '{value}' references v{old} but file is v{number}");
            let issue = subject.located(Issue::error("V009", path, message));
            errors.extend(issue.line);
            report.add(subject, issue.hint(format!("update it to v{number}")));
        }
    }
    for (index, line) in subject.source.text.lines().enumerate() {
        let row = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let lower = line.to_lowercase();
        if errors.contains(&row) || !mentions(line, old) || HISTORY.iter().any(|word| lower.contains(word)) {
            continue;
        }
        let column = find(line, old).map_or(1, |at| line[..at].chars().count() + 1);
        let place = Some((row, u32::try_from(column).unwrap_or(1)));
        let message = format!("Line {row} references v{old} - verify this is intentional");
        let issue = Issue::warning("V009", "", message).at(place);
        report.add(subject, issue.hint(format!("update it to v{number}, if it is this score that is meant")));
    }
}

/// `N` of `something-vN.yaml`.
fn file_version(path: &std::path::Path) -> Option<u32> {
    let stem = path.file_stem()?.to_str()?;
    let (_, number) = stem.rsplit_once("-v")?;
    number.parse().ok()
}

fn mentions(text: &str, version: u32) -> bool {
    find(text, version).is_some()
}

/// `vK`, `vK.0`, `vK/`, `evolution-vK`, not as part of a longer word or number.
fn find(text: &str, version: u32) -> Option<usize> {
    let word = format!("v{version}");
    text.match_indices(&word).map(|(at, _)| at).find(|at| {
        let before = text[..*at].chars().next_back();
        let mut after = text[at + word.len()..].chars();
        let (next, second) = (after.next(), after.next());
        let other_minor = next == Some('.') && second.is_some_and(|c| c.is_ascii_digit() && c != '0');
        !before.is_some_and(char::is_alphanumeric) && !next.is_some_and(char::is_alphanumeric) && !other_minor
    })
}
