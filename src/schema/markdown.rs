//! From a table of keys to a reference page.

use super::key::{Acts, Default, Group, Key, Kind, MANY, Range};

/// A page: introduction, one table per group, closing sections.
pub(super) fn page(introduction: &str, groups: &[Group], closing: &str) -> String {
    let mut page = introduction.trim().to_owned();
    page.push('\n');
    for group in groups {
        page.push_str(&format!("\n## {}\n\n", group.title));
        if !group.text.is_empty() {
            page.push_str(&format!("{}\n\n", group.text.trim()));
        }
        page.push_str("| Key | Value | Default | Acts | What it does |\n|---|---|---|---|---|\n");
        for key in group.keys {
            page.push_str(&row(key));
        }
    }
    page.push_str(&format!("\n{}\n", closing.trim()));
    page
}

fn row(key: &Key) -> String {
    let acts = match key.acts {
        Acts::Yes => "yes",
        Acts::NotYet => "not yet",
        Acts::Never => "no",
    };
    let about = match key.rule {
        "" => key.about.to_owned(),
        rule => format!("{} Refused: {rule}.", key.about),
    };
    let row = [words(&key.kind), default(key.default), acts.to_owned(), about];
    let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
    format!("| `{}` | {} |\n", key.path, cells.join(" | "))
}

/// What a key takes, for people.
fn words(kind: &Kind) -> String {
    match kind {
        Kind::Any => "anything".to_owned(),
        Kind::Null => "null".to_owned(),
        Kind::Int(least, MANY) => format!("integer, at least {least}"),
        Kind::Int(least, most) => format!("integer, {least}-{most}"),
        Kind::Number(range) => format!("number, {}", limits(*range)),
        Kind::Seconds(range) => format!("seconds, {}", limits(*range)),
        Kind::Bool => "truth".to_owned(),
        Kind::False => "`false`".to_owned(),
        Kind::Text => "text".to_owned(),
        Kind::Filled => "text, not empty".to_owned(),
        Kind::Label(0, 0) => "text".to_owned(),
        Kind::Label(0, most) => format!("text, at most {most} characters"),
        Kind::Limited(0, most) => format!("text, at most {most} characters"),
        Kind::Label(least, most) | Kind::Limited(least, most) => format!("text, {least}-{most} characters"),
        Kind::Path => "path".to_owned(),
        Kind::Condition => "condition".to_owned(),
        Kind::Regex => "regular expression".to_owned(),
        Kind::Matching(pattern) => format!("text like `{pattern}`"),
        Kind::Word(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
        Kind::Section | Kind::Open => "section".to_owned(),
        Kind::Free => "any mapping".to_owned(),
        Kind::OrNull(inner) => words(inner),
        Kind::List(inner) => format!("list of: {}", words(inner)),
        Kind::ByNumber(inner) => format!("number: {}", words(inner)),
        Kind::ByName(inner) => format!("name: {}", words(inner)),
        Kind::Like(path) => format!("as `{path}`"),
    }
}

fn limits(range: Range) -> String {
    match range {
        Range::Least(least) => format!("at least {least}"),
        Range::Above(above) => format!("above {above}"),
        Range::AboveTo(above, most) => format!("above {above}, at most {most}"),
        Range::Within(least, most) => format!("{least}-{most}"),
    }
}

fn default(default: Default) -> String {
    match default {
        Default::Required => "required".to_owned(),
        Default::Nothing => "none".to_owned(),
        Default::Is("[]" | "{}" | "\"\"") => "empty".to_owned(),
        Default::Is(json) => format!("`{}`", json.trim_matches('"')),
        Default::Says(words) => words.to_owned(),
        Default::Unsaid => String::new(),
    }
}
