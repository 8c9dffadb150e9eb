//! Checks of the prompt template.

use std::collections::BTreeMap;

use super::{Rendered, Report, Subject, advice, alike, sheets};
use crate::ids::SheetNo;
use crate::plan::{BUILT_IN, SheetPlan};
use crate::score::document::find_word;
use crate::score::{InjectionSource, Issue, Value};
use crate::template::{self, Item, RenderError, Stand, Vars};

/// Names that are known only while a job runs.
pub(super) const AT_RUN_TIME: [&str; 9] = [
    "previous_outputs",
    "previous_files",
    "skipped_upstream",
    "synthesis",
    "injected_context",
    "injected_skills",
    "injected_tools",
    "attempt",
    "retry_count",
];

/// Names that the language of templates has.
const OF_THE_LANGUAGE: [&str; 4] = ["loop", "self", "caller", "varargs"];

/// Most sheets that are rendered.
const MAX_RENDERED: usize = 2_000;

/// V001: the template does not parse.
pub(super) fn syntax(subject: &Subject<'_>, report: &mut Report) {
    let Some(text) = &subject.score.prompt.template else { return };
    let Err(error) = template::check(text) else { return };
    let path = path(subject);
    let message = format!("Jinja syntax error in {path}: {}", error.message);
    let (hint, line) = advice::of_syntax(&error.message, text, error.line);
    add(subject, report, Issue::error("V001", path, message).hint(hint), line.or(error.line), "");
}

/// V101: a name that nothing defines.
pub(super) fn undefined(subject: &Subject<'_>, report: &mut Report) {
    let Some(text) = &subject.score.prompt.template else { return };
    let path = path(subject);
    for name in template::undeclared(text) {
        if known(subject).any(|known| known == name) || is_tested(text, &name) {
            continue;
        }
        let hint = match near(subject, text, &name) {
            Some(near) => format!("Did you mean '{near}'?"),
            None if text.contains(&format!("{name}(")) => {
                advice::of_rendering(&format!("{name} is unknown"), |_| None).unwrap_or_default()
            }
            None => {
                let own: Vec<&str> =
                    subject.plan.user_variables.iter().filter_map(|(key, _)| key.as_str()).take(10).collect();
                let own = if own.is_empty() { "none".to_owned() } else { own.join(", ") };
                format!(
                    "add it to prompt.variables (now: {own}), or use a built-in such as {{{{ sheet_num }}}}"
                )
            }
        };
        let message = format!("Undefined variable '{name}' in {path}");
        let line = line_of(text, &name);
        add(subject, report, Issue::warning("V101", path, message).hint(hint), line, &name);
    }
}

/// V202: `{name}` where `{{ name }}` is meant.
pub(super) fn single_braces(subject: &Subject<'_>, report: &mut Report) {
    let Some(text) = &subject.score.prompt.template else { return };
    if subject.score.prompt.template_file.is_some() {
        return;
    }
    for name in BUILT_IN {
        let written = format!("{{{name}}}");
        let lonely = |at: &usize| {
            let before = text[..*at].chars().next_back();
            let after = text[at + written.len()..].chars().next();
            !matches!(before, Some('{' | '$' | '%' | '#')) && after != Some('}')
        };
        let Some(at) = text.match_indices(&written).map(|(at, _)| at).find(lonely) else { continue };
        let line = text[..at].matches('\n').count() + 1;
        let message = format!("Format-string syntax '{written}' found in prompt template");
        let issue = Issue::warning("V202", "prompt.template", message);
        add(subject, report, issue.hint(format!("use {{{{ {name} }}}}")), Some(line), &written);
    }
}

/// V208: a variable that is hidden by a built-in one.
pub(super) fn shadowing(subject: &Subject<'_>, report: &mut Report) {
    for (key, _) in subject.score.prompt.variables.iter() {
        let name = key.to_string();
        if BUILT_IN.contains(&name.as_str()) || AT_RUN_TIME.contains(&name.as_str()) {
            let path = format!("prompt.variables.{name}");
            let message = format!("Variable '{name}' shadows the built-in {name}");
            let issue = Issue::warning("V208", &path, message).at(subject.document.key(&path));
            let hint = format!(
                "rename it: the built-in value wins, so this one is never seen; my_{name}, for example"
            );
            report.add(subject, issue.hint(hint));
        }
    }
}

/// V217: rendering fails for some sheet, whatever the earlier ones write.
pub(super) fn rendering(subject: &Subject<'_>, report: &mut Report) {
    let score = subject.score;
    let Some(text) = &score.prompt.template else { return };
    let planned: Vec<&SheetPlan> = subject.plan.sheets.iter().take(MAX_RENDERED).collect();
    // A template that does not parse is told by V001.
    let Some(bodies) = render_all(subject, text, &planned, Stand::Text) else { return };
    let failed: Vec<&SheetPlan> =
        planned.iter().zip(&bodies).filter(|(_, body)| body.is_err()).map(|(sheet, _)| *sheet).collect();
    // A text stands for what nobody knows yet; only what fails with anything in its place is wrong.
    let mut second = render_all(subject, text, &failed, Stand::Anything).unwrap_or_default().into_iter();
    let mut wrong: BTreeMap<(usize, String), (RenderError, Vec<u32>)> = BTreeMap::new();
    for (sheet, body) in planned.iter().zip(bodies) {
        let body = match body {
            Ok(body) => Ok(body),
            Err(error) => match second.next() {
                Some(Ok(body)) => Ok(body),
                Some(Err(_)) | None => {
                    let key = (error.line.unwrap_or(0), error.message.clone());
                    let text = error.to_string();
                    wrong.entry(key).or_insert_with(|| (error, Vec::new())).1.push(sheet.num.0);
                    Err(text)
                }
            },
        };
        report.rendered.push(Rendered { sheet: sheet.num, body });
    }
    // A filter in a branch that no sheet reaches now, but may with other outputs of earlier sheets.
    if let Some((name, line)) = template::unknown_filter(text)
        && !wrong.keys().any(|(_, message)| message.contains(&format!("filter {name} is unknown")))
    {
        let cause = format!("filter {name} is unknown");
        let hint = advice::of_rendering(&cause, |_| None).unwrap_or_default();
        let path = path(subject);
        let message = format!("Template does not render where this is reached: {cause}");
        add(subject, report, Issue::error("V217", path, message).hint(hint), Some(line), &name);
    }
    for (error, numbers) in wrong.into_values() {
        let (cause, advice) = error
            .message
            .split_once(": give it")
            .map_or((error.message.as_str(), None), |(cause, rest)| (cause, Some(format!("give it{rest}"))));
        let undeclared = template::undeclared(text);
        let mut names = undeclared.iter();
        let written = error.line.and_then(|line| text.lines().nth(line.checked_sub(1)?)).unwrap_or_default();
        // The engine does not name the undefined value of a macro.
        let on_line = |name: &&String| {
            cause.starts_with("an undefined")
                && find_word(written, name).is_some()
                && !known(subject).any(|known| known == **name)
        };
        let name = names.find(|name| find_word(cause, name).is_some() || on_line(name)).cloned();
        let unknown = name.as_deref().filter(|name| !known(subject).any(|known| known == *name));
        let near = unknown.and_then(|name| near(subject, text, name));
        let part = indexed(cause, written);
        let special = advice::of_rendering(part.as_deref().unwrap_or(cause), |name| {
            variable(subject, numbers[0], name)
        });
        let hint = match (near, special, advice) {
            (Some(near), _, _) => format!("Did you mean '{near}'?"),
            (None, Some(special), _) => special,
            (None, None, Some(advice)) => advice,
            (None, None, None) => "see the rendered sheets with: mozart render SCORE --sheet N".to_owned(),
        };
        let message = format!("Template does not render for {}: {cause}", sheets(&numbers));
        let path = path(subject);
        let issue = Issue::error("V217", path, message).hint(hint).detail("sheets", numbers);
        let needle = name.or_else(|| quoted(cause)).unwrap_or_default();
        add(subject, report, issue, error.line, &needle);
    }
}

/// The engine shows an index that is reckoned as `(...)[...]`: when only one name of the line has an index, it is that.
fn indexed(cause: &str, written: &str) -> Option<String> {
    let rest = cause.strip_prefix("`(...)[...]")?;
    let mut names: Vec<&str> = Vec::new();
    for (at, _) in written.match_indices('[') {
        let before = &written[..at];
        let start = before.rfind(|c: char| !c.is_alphanumeric() && c != '_').map_or(0, |end| end + 1);
        let name = before.get(start..).unwrap_or_default();
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    }
    match names.as_slice() {
        [name] => Some(format!("`{name}[...]{rest}")),
        _ => None,
    }
}

fn render_all(
    subject: &Subject<'_>,
    text: &str,
    planned: &[&SheetPlan],
    stand: Stand,
) -> Option<Vec<Result<String, RenderError>>> {
    let mut bodies = Vec::with_capacity(planned.len());
    if planned.is_empty() {
        return Some(bodies);
    }
    let own = own_vars(subject);
    let all = planned.iter().map(|sheet| with_built_ins(own.clone(), subject, sheet, stand));
    template::render_each(text, all, |body| bodies.push(body)).ok()?;
    Some(bodies)
}

/// The value of a name for a sheet.
fn variable(subject: &Subject<'_>, sheet: u32, name: &str) -> Option<Value> {
    let variables = subject.plan.variables(subject.score, SheetNo(sheet));
    variables.iter().find(|(key, _)| key.as_str() == Some(name)).map(|(_, value)| value.clone())
}

/// V001 and V101 for the templates beside the prompt: `capture_files` and the paths of injections.
pub(super) fn path_templates(subject: &Subject<'_>, report: &mut Report) {
    let sheet = &subject.score.sheet;
    let mut found: Vec<(String, &str)> = Vec::new();
    let captures = subject.score.cross_sheet.iter().flat_map(|cross| cross.capture_files.iter().enumerate());
    found.extend(captures.map(|(index, text)| (format!("cross_sheet.capture_files.{index}"), text.as_str())));
    let prelude =
        sheet.prelude.iter().enumerate().map(|(index, one)| (format!("sheet.prelude.{index}"), one));
    let cadenzas = sheet.cadenzas.iter().flat_map(|(number, list)| {
        list.iter().enumerate().map(move |(index, one)| (format!("sheet.cadenzas.{number}.{index}"), one))
    });
    found.extend(prelude.chain(cadenzas).map(|(path, one)| match &one.source {
        InjectionSource::File(text) => (format!("{path}.file"), text.as_str()),
        InjectionSource::Directory(text) => (format!("{path}.directory"), text.as_str()),
    }));
    for (path, text) in found.into_iter().filter(|(_, text)| text.contains("{{") || text.contains("{%")) {
        if let Err(error) = template::check(text) {
            let message = format!("Jinja syntax error in {path}: {}", error.message);
            let (hint, _) = advice::of_syntax(&error.message, text, error.line);
            report.add(subject, Issue::error("V001", &path, message).hint(hint));
            continue;
        }
        for name in template::undeclared(text) {
            if known(subject).any(|known| known == name) || is_tested(text, &name) {
                continue;
            }
            let hint = match alike(&name, known(subject)) {
                Some(near) => format!("Did you mean '{near}'?"),
                None => "use a built-in such as {{ workspace }}, or a name of prompt.variables".to_owned(),
            };
            let place = subject.document.within(&subject.source.text, &path, Some(1), &name);
            let message = format!("Undefined variable '{name}' in {path}");
            report.add(subject, Issue::warning("V101", &path, message).at(place).hint(hint));
        }
    }
}

/// The variables of a sheet, with what is only known later left open.
pub(crate) fn vars(subject: &Subject<'_>, sheet: &SheetPlan, stand: Stand) -> Vars {
    with_built_ins(own_vars(subject), subject, sheet, stand)
}

/// The variables of the score.
fn own_vars(subject: &Subject<'_>) -> Vars {
    subject.plan.user_variables.iter().map(|(key, value)| (key.to_string(), Item::from(value))).collect()
}

fn with_built_ins(mut vars: Vars, subject: &Subject<'_>, sheet: &SheetPlan, stand: Stand) -> Vars {
    for (name, value) in subject.plan.built_ins(subject.score, sheet) {
        vars.set(name, Item::from(&value));
    }
    let before = (1..sheet.num.0).map(|num| Item::Int(num.into())).collect();
    vars.set("previous_outputs", Item::Unknown(before, stand));
    let synthesis = match stand {
        Stand::Text => Item::Str("(known when the job runs)".to_owned()),
        Stand::Anything => Item::Unknown(Vec::new(), stand),
    };
    vars.set("synthesis", synthesis);
    vars.set("previous_files", Item::Unknown(vec![Item::Str("(a file)".to_owned())], stand));
    for name in ["skipped_upstream", "injected_context", "injected_skills", "injected_tools"] {
        vars.set(name, Item::List(Vec::new()));
    }
    vars.set("attempt", 1);
    vars.set("retry_count", 0);
    vars
}

fn known<'a>(subject: &Subject<'a>) -> impl Iterator<Item = &'a str> {
    let own = subject.plan.user_variables.iter().filter_map(|(key, _)| key.as_str());
    BUILT_IN.into_iter().chain(AT_RUN_TIME).chain(own).chain(OF_THE_LANGUAGE)
}

/// The name that is most like an unknown one: of the score, of the language, or one that the template gives itself.
fn near(subject: &Subject<'_>, text: &str, name: &str) -> Option<String> {
    let own = own_names(text);
    let all = || known(subject).chain(own.iter().copied()).filter(|known| *known != name);
    let same = all().find(|known| known.eq_ignore_ascii_case(name));
    same.or_else(|| alike(name, all())).map(str::to_owned)
}

/// Names that a template sets, loops with, or gives to macros and their parameters. May find too many.
fn own_names(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let tags = text.split("{%").skip(1).filter_map(|tag| tag.split_once("%}").map(|(tag, _)| tag));
    for tag in tags {
        let tag = tag.trim_matches(['-', '+']).trim();
        let Some((what, rest)) = tag.split_once(char::is_whitespace) else { continue };
        let end = match what {
            "set" | "with" => rest.find('='),
            "for" => rest.find(" in "),
            "macro" => Some(rest.len()),
            _ => continue,
        };
        let words = rest[..end.unwrap_or(rest.len())].split(|c: char| !c.is_alphanumeric() && c != '_');
        names.extend(words.filter(|word| word.starts_with(|c: char| c.is_alphabetic() || c == '_')));
    }
    names
}

/// The template asks whether there is such a name, or has a value for when there is none.
fn is_tested(text: &str, name: &str) -> bool {
    let mut rest = text;
    while let Some(at) = find_word(rest, name) {
        rest = &rest[at + name.len()..];
        let after = rest.trim_start();
        let is =
            after.strip_prefix("is ").map(|after| after.trim_start().trim_start_matches("not ").trim_start());
        let filter = after.strip_prefix('|').map(str::trim_start);
        let defined = is.is_some_and(|word| word.starts_with("defined") || word.starts_with("undefined"));
        let default = filter.is_some_and(|word| {
            word.starts_with("default") || word.starts_with("d(") || word.starts_with("d ")
        });
        if defined || default {
            return true;
        }
    }
    false
}

/// The first line on which a name is used between braces, else the first with the name.
fn line_of(text: &str, name: &str) -> Option<usize> {
    let lines = || text.lines().enumerate().filter(|(_, line)| find_word(line, name).is_some());
    let inside = lines().find(|(_, line)| line.contains("{{") || line.contains("{%"));
    inside.or_else(|| lines().next()).map(|(index, _)| index + 1)
}

/// What a message puts between quotes.
fn quoted(message: &str) -> Option<String> {
    let mut parts = message.split(['`', '\'', '"']);
    parts.nth(1).map(str::to_owned)
}

/// The key that the template comes from.
fn path<'a>(subject: &Subject<'_>) -> &'a str {
    if subject.score.prompt.template_file.is_some() { "prompt.template_file" } else { "prompt.template" }
}

/// Adds an issue about a line of the template, at the line of the document when it stands there.
fn add(subject: &Subject<'_>, report: &mut Report, issue: Issue, line: Option<usize>, needle: &str) {
    let prompt = &subject.score.prompt;
    let text = prompt.template.as_deref().unwrap_or_default();
    let mut issue = match line {
        Some(line) => issue.detail("template_line", line),
        None => issue,
    };
    if let Some(context) = line.and_then(|line| text.lines().nth(line.saturating_sub(1))) {
        issue.context = Some(crate::util::text::head_chars(context.trim_end(), 80).to_owned());
    }
    match &prompt.template_file {
        Some(file) => {
            let place = subject.document.place("prompt.template_file");
            let file = file.display().to_string();
            if let Some(line) = line {
                issue.message = format!("{} ({file}:{line})", issue.message);
            }
            issue = issue.at(place).detail("source", file);
        }
        None => {
            let place = subject.document.within(&subject.source.text, "prompt.template", line, needle);
            issue = issue.at(place).detail("source", "prompt.template");
        }
    }
    report.add(subject, issue);
}
