//! `{name}` in paths and commands of rules. Not a template language: no expressions, no lookups.
//!
//! Paths know `{name}`, `{name:03d}`, `{{` and `}}`. Commands are shell text: only known names are replaced,
//! quoted for the place where they stand, and everything else stays as it is.

use super::Vars;
use crate::util::text::shell_quote;

/// Replaces the placeholders of a path. The error says which placeholder is wrong and what to write.
pub fn expand_path(text: &str, vars: &Vars) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some((value, after)) = doubled(rest, vars) {
            out.push_str(&value);
            rest = after;
        } else if let Some(after) = rest.strip_prefix("{{") {
            out.push('{');
            rest = after;
        } else if let Some(after) = rest.strip_prefix("}}") {
            out.push('}');
            rest = after;
        } else if rest.starts_with('}') {
            return Err(format!("single `}}` in path `{text}`: write `}}}}` for the character itself"));
        } else {
            let end = rest.find('}').ok_or_else(|| format!("`{{` without `}}` in path `{text}`"))?;
            out.push_str(&field(&rest[1..end], vars)?);
            rest = &rest[end + 1..];
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// `{{ name }}` of a known name, a habit from templates, gives the value too.
fn doubled<'t>(text: &'t str, vars: &Vars) -> Option<(String, &'t str)> {
    let inner = text.strip_prefix("{{")?;
    let end = inner.find("}}")?;
    let name = inner[..end].trim();
    let value = is_name(name).then(|| vars.scalar(name))??;
    Some((value, &inner[end + 2..]))
}

fn field(field: &str, vars: &Vars) -> Result<String, String> {
    let (name, format) = field.split_once(':').unwrap_or((field, ""));
    if name.is_empty() || name.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("Use named placeholders like {workspace}".to_owned());
    }
    let value = is_name(name).then(|| vars.scalar(name)).flatten();
    let value = value.ok_or_else(|| format!("unknown placeholder {{{name}}} in path"))?;
    if format.is_empty() {
        return Ok(value);
    }
    let width: Option<usize> = format
        .strip_suffix('d')
        .filter(|width| width.len() <= 3)
        .and_then(|width| if width.is_empty() { Some(0) } else { width.parse().ok() });
    let (Some(width), Ok(number)) = (width, value.parse::<i128>()) else {
        return Err(format!(
            "placeholder {{{field}}}: only whole numbers as {{{name}:03d}} can be formatted"
        ));
    };
    Ok(if format.starts_with('0') { format!("{number:0width$}") } else { format!("{number:width$}") })
}

fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Where in a shell text we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Outside quotes; `parens` are open inside a `$(`.
    Plain { substitution: bool, parens: u32 },
    /// Inside `"..."`.
    Double,
    /// Inside `'...'`.
    Single,
    /// Inside `$'...'`.
    Ansi,
    /// Inside a comment, up to the end of the line.
    Comment,
}

/// Replaces the known placeholders of a shell command. `${name}` and unknown names stay.
#[must_use]
pub fn expand_command(text: &str, vars: &Vars) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    let mut places = vec![Place::Plain { substitution: false, parens: 0 }];
    let mut heredocs: Vec<Heredoc> = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let place = places.last().copied().unwrap_or(Place::Plain { substitution: false, parens: 0 });
        if c == '\n' && !heredocs.is_empty() && !matches!(place, Place::Single | Place::Double | Place::Ansi)
        {
            if place == Place::Comment {
                places.pop();
            }
            rest = copy_heredocs(rest, &mut heredocs, vars, &mut out);
            continue;
        }
        if let Some((value, after)) = placeholder(rest, vars) {
            out.push_str(&quoted(&value, place));
            rest = after;
            continue;
        }
        let taken = advance(rest, c, place, &mut places, &mut heredocs, out.chars().next_back());
        out.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    out
}

/// `{name}` of a known name at the start of the text.
fn placeholder<'t>(text: &'t str, vars: &Vars) -> Option<(String, &'t str)> {
    let inner = text.strip_prefix('{')?;
    let end = inner.find('}')?;
    let name = &inner[..end];
    let value = is_name(name).then(|| vars.scalar(name))??;
    Some((value, &inner[end + 1..]))
}

/// A value as it must be written to mean itself at this place.
fn quoted(value: &str, place: Place) -> String {
    match place {
        Place::Plain { .. } => shell_quote(value),
        Place::Double => escape(value, &['\\', '"', '$', '`']),
        Place::Single => value.replace('\'', r"'\''"),
        Place::Ansi => escape(value, &['\\', '\'']),
        Place::Comment => value.replace(['\n', '\r'], " "),
    }
}

fn escape(value: &str, special: &[char]) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        if special.contains(&c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Reads one step of shell text: how many bytes it takes, and what it does to the place.
fn advance(
    rest: &str,
    c: char,
    place: Place,
    places: &mut Vec<Place>,
    heredocs: &mut Vec<Heredoc>,
    before: Option<char>,
) -> usize {
    let second = rest[c.len_utf8()..].chars().next();
    let escaped = |second: Option<char>| 1 + second.map_or(0, char::len_utf8);
    match (place, c) {
        (Place::Single, '\'') | (Place::Ansi, '\'') | (Place::Double, '"') | (Place::Comment, '\n') => {
            places.pop();
            1
        }
        (Place::Single | Place::Comment, _) => c.len_utf8(),
        // What follows a backslash never opens or closes anything; a brace there is not a placeholder.
        (Place::Plain { .. } | Place::Double | Place::Ansi, '\\') => escaped(second),
        (Place::Ansi, _) => c.len_utf8(),
        (Place::Plain { .. } | Place::Double, '$') if second == Some('{') => 2,
        (Place::Plain { .. } | Place::Double, '$') if second == Some('(') => {
            places.push(Place::Plain { substitution: true, parens: 0 });
            2
        }
        (Place::Double, _) => c.len_utf8(),
        (Place::Plain { .. }, '$') if second == Some('\'') => {
            places.push(Place::Ansi);
            2
        }
        (Place::Plain { .. }, '"') => {
            places.push(Place::Double);
            1
        }
        (Place::Plain { .. }, '\'') => {
            places.push(Place::Single);
            1
        }
        (Place::Plain { .. }, '#') if before.is_none_or(|c| c.is_whitespace() || ";&|(".contains(c)) => {
            places.push(Place::Comment);
            1
        }
        (Place::Plain { .. }, '<') if rest.starts_with("<<") => match Heredoc::parse(rest) {
            Some((heredoc, length)) => {
                heredocs.push(heredoc);
                length
            }
            None => 2 + usize::from(rest.starts_with("<<<")),
        },
        (Place::Plain { substitution, parens }, '(') => {
            replace_top(places, Place::Plain { substitution, parens: parens + 1 });
            1
        }
        (Place::Plain { substitution: true, parens: 0 }, ')') => {
            places.pop();
            1
        }
        (Place::Plain { substitution, parens }, ')') => {
            replace_top(places, Place::Plain { substitution, parens: parens.saturating_sub(1) });
            1
        }
        (Place::Plain { .. }, _) => c.len_utf8(),
    }
}

fn replace_top(places: &mut [Place], place: Place) {
    if let Some(top) = places.last_mut() {
        *top = place;
    }
}

/// `<<WORD`: text up to a line that is only the word.
struct Heredoc {
    word: String,
    /// `<<-`: the word may be indented with tabs.
    tabs: bool,
    /// A quoted word: the shell replaces nothing inside.
    literal: bool,
}

impl Heredoc {
    fn parse(text: &str) -> Option<(Self, usize)> {
        let mut rest = text.strip_prefix("<<").filter(|rest| !rest.starts_with('<'))?;
        let tabs = rest.starts_with('-');
        rest = rest.strip_prefix('-').unwrap_or(rest).trim_start_matches([' ', '\t']);
        let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"' | '\\'));
        rest = quote.map_or(rest, |quote| &rest[quote.len_utf8()..]);
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let word = &rest[..end];
        if !word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            return None;
        }
        rest = &rest[end..];
        rest = quote.and_then(|quote| rest.strip_prefix(quote)).unwrap_or(rest);
        Some((Self { word: word.to_owned(), tabs, literal: quote.is_some() }, text.len() - rest.len()))
    }
}

/// Copies the bodies of the open here-documents, which begin after the line feed at the start of `text`.
fn copy_heredocs<'t>(text: &'t str, heredocs: &mut Vec<Heredoc>, vars: &Vars, out: &mut String) -> &'t str {
    out.push('\n');
    let mut rest = &text[1..];
    for heredoc in heredocs.drain(..) {
        while !rest.is_empty() {
            let end = rest.find('\n').unwrap_or(rest.len());
            let line = &rest[..end];
            let bare = if heredoc.tabs { line.trim_start_matches('\t') } else { line };
            let last = bare == heredoc.word;
            if last {
                // The line feed after the word stays: the next here-document or command begins there.
                out.push_str(line);
                rest = &rest[end..];
                break;
            }
            copy_line(line, heredoc.literal, vars, out);
            rest = &rest[end..];
            if let Some(after) = rest.strip_prefix('\n') {
                out.push('\n');
                rest = after;
            }
        }
    }
    rest
}

fn copy_line(line: &str, literal: bool, vars: &Vars, out: &mut String) {
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        if let Some((value, after)) = placeholder(rest, vars) {
            out.push_str(&if literal { value } else { escape(&value, &['\\', '$', '`']) });
            rest = after;
            continue;
        }
        let taken = if rest.starts_with("${") { 2 } else { c.len_utf8() };
        out.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn vars() -> Vars {
        let mut vars = Vars::new();
        vars.set("workspace", "/w s").set("sheet_num", 7).set("q", "it's \"$x\"").set("themes", vec!["a"]);
        vars
    }

    fn check_path(text: &str, expected: Result<&str, &str>) {
        assert_eq!(expand_path(text, &vars()), expected.map(str::to_owned).map_err(str::to_owned), "{text}");
    }

    fn check_command(text: &str, expected: &str) {
        assert_eq!(expand_command(text, &vars()), expected, "{text}");
    }

    #[test]
    fn paths() {
        check_path("{workspace}/a-{sheet_num}.md", Ok("/w s/a-7.md"));
        check_path("{sheet_num:02d}|{sheet_num:d}|{sheet_num:3d}", Ok("07|7|  7"));
        check_path("{{ workspace }}/{{workspace}}", Ok("/w s//w s"));
        check_path("{{literal}} {{ other }}", Ok("{literal} { other }"));
        check_path("{nope}/a", Err("unknown placeholder {nope} in path"));
        check_path("{themes}", Err("unknown placeholder {themes} in path"));
        check_path("{}", Err("Use named placeholders like {workspace}"));
        check_path("{0}", Err("Use named placeholders like {workspace}"));
        check_path(
            "{workspace:02d}",
            Err("placeholder {workspace:02d}: only whole numbers as {workspace:03d} can be formatted"),
        );
        check_path("a}", Err("single `}` in path `a}`: write `}}` for the character itself"));
        check_path("a{b", Err("`{` without `}` in path `a{b`"));
    }

    #[test]
    fn values_are_quoted_for_their_place() {
        check_command("test -f {workspace}/a", "test -f '/w s'/a");
        check_command(r#"test -f "{workspace}/a b""#, r#"test -f "/w s/a b""#);
        check_command("test -f '{workspace}/a'", "test -f '/w s/a'");
        check_command(r#"echo "{q}""#, r#"echo "it's \"\$x\"""#);
        check_command("echo '{q}'", r#"echo 'it'\''s "$x"'"#);
        check_command("echo $'{q}'", r#"echo $'it\'s "$x"'"#);
        check_command(r#"echo \"{workspace}"#, r#"echo \"'/w s'"#);
        check_command(r#"x="$(cat {workspace}/y)" {workspace}"#, r#"x="$(cat '/w s'/y)" '/w s'"#);
        check_command(r#"x="$(f "(" {workspace})""#, r#"x="$(f "(" '/w s')""#);
        check_command("# don't\n{workspace}", "# don't\n'/w s'");
        check_command("echo a#'b{workspace}'", "echo a#'b/w s'");
    }

    #[test]
    fn only_known_names_are_placeholders() {
        for same in [
            "echo ${workspace:-none} ${workspace}",
            "awk '{print $1}'",
            "mv a.{txt,md}",
            "{nope}",
            "f() { x; }",
            "{themes}",
            "echo \"${workspace}\"",
        ] {
            check_command(same, same);
        }
        check_command("${x:-{workspace}}", "${x:-'/w s'}");
    }

    #[test]
    fn here_documents_take_the_value_as_it_is() {
        check_command(
            "python3 <<'PY'\ndon't({workspace!r}) \"{workspace}\"\nPY\necho {workspace}",
            "python3 <<'PY'\ndon't({workspace!r}) \"/w s\"\nPY\necho '/w s'",
        );
        check_command(
            "cat <<-E\n${workspace} {q}\n\tE\n'{workspace}'",
            "cat <<-E\n${workspace} it's \"\\$x\"\n\tE\n'/w s'",
        );
        check_command("cat <<< {workspace}\n{workspace}", "cat <<< '/w s'\n'/w s'");
    }

    proptest! {
        #[test]
        fn expansion_is_total(text in r#"([{}$'"<#()\\a\n ]|\{workspace\}|<<E\n){0,30}"#) {
            _ = expand_path(&text, &vars());
            _ = expand_command(&text, &vars());
        }

        #[test]
        fn text_without_placeholders_is_not_touched(text in r#"[$'"<>#()\\a-z\n é]{0,40}"#) {
            prop_assert_eq!(expand_command(&text, &vars()), text);
        }
    }
}
