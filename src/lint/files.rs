//! Checks that look whether what a score names is there.

use std::path::{Path, PathBuf};

use crate::score::checks::{Check, Report, Subject, alike, config_path};
use crate::score::paths::resolve;
use crate::score::{HookAction, InjectionKind, InjectionSource, InstrumentConfig, Issue, RuleKind, Source};
use crate::util::text::shell_quote;

/// All of them, by code.
pub(super) const CHECKS: &[Check] = &[
    ("V002", workspace),
    ("V004", system_prompts),
    ("V005", working_directories),
    ("V107", checked_files),
    ("V108", injections),
    ("V108", next_jobs),
    ("V301", skills),
];

/// V003 again, when the path is there and is not a file that can be read as text.
pub(super) fn template_file(issues: &mut [Issue], source: &Source) {
    for issue in issues.iter_mut().filter(|issue| issue.code == "V003") {
        let Some((_, path)) = issue.message.split_once(": ") else { continue };
        let path = Path::new(path);
        if path.is_file() && !source.files.contains_key(path) {
            issue.message = format!("Template file cannot be read as UTF-8 text: {}", path.display());
            issue.hint = Some("check its permissions and its encoding".to_owned());
        } else if path.exists() {
            issue.message = format!("Template path is not a file: {}", path.display());
            issue.hint = Some("name a file; the path is relative to the score file".to_owned());
        } else if let Some(hint) = &issue.hint {
            issue.hint = Some(told(hint, path));
        }
    }
}

fn workspace(subject: &Subject<'_>, report: &mut Report) {
    let workspace = &subject.plan.workspace;
    let Some(parent) = workspace.parent().filter(|parent| !parent.is_dir()) else { return };
    let parent_text = parent.to_string_lossy();
    if parent.exists() {
        let message = format!("Workspace parent is not a directory: {parent_text}");
        let hint = "choose a workspace in a directory";
        report.add(subject, Issue::error("V002", "workspace", message).hint(hint));
        return;
    }
    let message = format!("Workspace parent directory does not exist: {parent_text}");
    let mut issue = Issue::error("V002", "workspace", message).hint(mkdir(parent));
    issue.auto_fixable = true;
    report.add(subject, issue.detail("path", parent_text.as_ref()));
}

fn system_prompts(subject: &Subject<'_>, report: &mut Report) {
    for (path, file) in configured(subject, "system_prompt_file", |config| config.system_prompt_file.as_ref())
    {
        if !file.is_file() {
            let message = format!("System prompt file not found: {}", file.display());
            let hint = told("create it or correct the path; it is relative to the score file", &file);
            report.add(subject, Issue::error("V004", &path, message).hint(hint));
        }
    }
}

fn working_directories(subject: &Subject<'_>, report: &mut Report) {
    for (path, dir) in configured(subject, "working_directory", |config| config.working_directory.as_ref()) {
        if dir.is_dir() {
            continue;
        }
        let shown = dir.display();
        let issue = if dir.exists() {
            let message = format!("Working directory is not a directory: {shown}");
            Issue::error("V005", &path, message)
                .hint("name a directory, or remove the key: the workspace is the default")
        } else {
            let message = format!("Working directory does not exist: {shown}");
            let mut issue = Issue::error("V005", &path, message).hint(mkdir(&dir));
            issue.auto_fixable = true;
            issue
        };
        report.add(subject, issue);
    }
}

/// A path that calls of instruments are configured with, and where it is written; each place once.
fn configured(
    subject: &Subject<'_>,
    key: &str,
    get: impl Fn(&InstrumentConfig) -> Option<&PathBuf>,
) -> Vec<(String, PathBuf)> {
    let mut found: Vec<(String, PathBuf)> = Vec::new();
    for sheet in &subject.plan.sheets {
        for choice in std::iter::once(&sheet.instrument).chain(&sheet.fallbacks) {
            let Some(path) = get(&choice.config) else { continue };
            if found.iter().any(|(_, known)| known == path) {
                continue;
            }
            found.push((config_path(subject, sheet, choice, key), path.clone()));
        }
    }
    found
}

fn checked_files(subject: &Subject<'_>, report: &mut Report) {
    for (index, rule) in subject.score.validations.iter().enumerate() {
        let content = matches!(rule.kind, RuleKind::ContentContains | RuleKind::ContentRegex);
        let Some(text) = rule.path.as_ref().filter(|text| content && !text.contains('{')) else { continue };
        let file = resolve(&subject.plan.workspace, text);
        if !file.exists() {
            let message =
                format!("File referenced in validation {} does not exist: {}", index + 1, file.display());
            let hint =
                "ensure that a sheet creates it first, or correct the path; it is relative to the workspace";
            let path = format!("validations.{index}.path");
            report.add(subject, Issue::warning("V107", &path, message).hint(hint));
        }
    }
}

fn injections(subject: &Subject<'_>, report: &mut Report) {
    let sheet = &subject.score.sheet;
    let prelude = sheet.prelude.iter().enumerate();
    let prelude = prelude.map(|(index, one)| (format!("sheet.prelude.{index}"), "prelude".to_owned(), one));
    let cadenzas = sheet.cadenzas.iter().flat_map(|(number, list)| {
        let one = move |(index, one)| {
            (format!("sheet.cadenzas.{number}.{index}"), format!("cadenza (sheet {number})"), one)
        };
        list.iter().enumerate().map(one)
    });
    for (at, from, injection) in prelude.chain(cadenzas) {
        let (key, kind, text) = match &injection.source {
            InjectionSource::File(text) => ("file", "file", text),
            InjectionSource::Directory(text) => ("directory", "directory", text),
        };
        if text.contains("{{") || text.contains("{%") {
            continue;
        }
        let places = [resolve(&subject.plan.workspace, text), resolve(&subject.score.base, text)];
        let there = |path: &PathBuf| if kind == "file" { path.is_file() } else { path.is_dir() };
        if places.iter().any(there) {
            continue;
        }
        let other = if kind == "file" { "directory" } else { "file" };
        let there = places.iter().any(|path| path.exists());
        let message = if there {
            format!("Injection {kind} from {from} is a {other}: {text}")
        } else {
            format!("Injection {kind} from {from} not found: {text}")
        };
        let path = format!("{at}.{key}");
        let harmless = kind == "directory" && injection.kind == InjectionKind::Context;
        let issue = if harmless {
            Issue::info("V108", &path, message)
        } else {
            Issue::warning("V108", &path, message)
        };
        let hint = if there {
            format!("write `{other}: {text}`")
        } else {
            let near = places.iter().find_map(|path| beside(path));
            let near = near.map_or(String::new(), |near| format!("Did you mean '{near}'? If not: "));
            format!("{near}create it in the workspace or beside the score, or correct the path")
        };
        report.add(subject, issue.hint(hint));
    }
}

fn skills(subject: &Subject<'_>, report: &mut Report) {
    for (name, technique) in
        subject.score.techniques.iter().filter(|(_, technique)| technique.kind == "skill")
    {
        let Some(text) = technique.config.get("path").and_then(|path| path.as_str()) else { continue };
        let home = text.strip_prefix("~/").zip(std::env::home_dir()).map(|(below, home)| home.join(below));
        let places = home.map_or_else(
            || vec![resolve(&subject.plan.workspace, text), resolve(&subject.score.base, text)],
            |path| vec![path],
        );
        if !places.iter().any(|path| path.exists()) {
            let message = format!("Skill technique '{name}' references '{text}' which does not exist");
            let path = format!("techniques.{name}.config.path");
            let hint =
                "create it or correct the path; it is relative to the workspace, then to the score file";
            report.add(subject, Issue::warning("V301", &path, message).hint(hint));
        }
    }
}

/// V108: the score of the next job. A sheet may still write it, so it is no error.
fn next_jobs(subject: &Subject<'_>, report: &mut Report) {
    let score = subject.score;
    for (list, hooks) in [("on_success", &score.on_success), ("on_failure", &score.on_failure)] {
        for (index, hook) in hooks.iter().enumerate() {
            let HookAction::Job { path: text, .. } = &hook.action else { continue };
            let file = resolve(&score.base, text);
            // What was never filled in is V216.
            if text.contains(['{', '[']) || text.contains("/path/to/") || file.is_file() {
                continue;
            }
            let message = format!("Score of the next job not found: {}", file.display());
            let hint = told(
                "unless a sheet writes it, create it or correct the path; it is relative to the score file",
                &file,
            );
            let path = format!("{list}.{index}.job_path");
            report.add(subject, Issue::warning("V108", &path, message).hint(hint));
        }
    }
}

/// Advice, with the file beside the missing one whose name is most like it.
fn told(hint: &str, missing: &Path) -> String {
    match beside(missing) {
        Some(near) => format!("Did you mean '{near}'? If not: {hint}"),
        None => hint.to_owned(),
    }
}

/// Most entries of a directory that are looked at for a name that is alike.
const MOST_ENTRIES: usize = 1_000;

/// A name in the directory of a missing file that is like the one that was asked for.
fn beside(missing: &Path) -> Option<String> {
    let name = missing.file_name()?.to_str()?;
    let entries = std::fs::read_dir(missing.parent()?).ok()?.take(MOST_ENTRIES);
    let mut names: Vec<String> =
        entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort();
    alike(name, names.iter().map(String::as_str)).map(str::to_owned)
}

fn mkdir(path: &Path) -> String {
    format!("mkdir -p {}", shell_quote(&path.to_string_lossy()))
}
