//! Healing before anything runs: what `mozart validate --self-healing` can do about the problems of a score.
//!
//! Directories that the score names are made without asking, because the person asked for it with the option; the
//! text of a score or template is changed only with their agreement, and a copy of it is kept.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Finding, Options, named, sorted, templates};
use crate::exec::Remedy;
use crate::plan::BUILT_IN;
use crate::score::document::find_word;
use crate::score::{Issue, Score};

/// What is mended.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The score file.
    pub file: &'a Path,
    /// What was found about it.
    pub issues: &'a [Issue],
    /// The score, when it could be loaded.
    pub score: Option<&'a Score>,
}

/// Does what can be done about the problems of a score file, and says what a person can do about the others.
/// Check it again afterwards when anything was applied.
#[must_use]
pub fn mend(subject: &Subject<'_>, options: &Options<'_>) -> Vec<Remedy> {
    let enabled = |name: &str| !options.disabled.iter().any(|other| other == name);
    let mut remedies = Vec::new();
    for issue in subject.issues {
        let (name, finding) = match issue.code.as_str() {
            "V002" => ("create_missing_parent_dirs", directory(issue, 0.85, options)),
            "V005" => ("create_missing_parent_dirs", directory(issue, 0.85, options)),
            "V001" | "V101" | "V217" => ("suggest_jinja_fix", template(subject, issue, options)),
            _ => continue,
        };
        if let Some(finding) = finding.filter(|_| enabled(name)) {
            remedies.push(named(name, finding));
        }
    }
    sorted(remedies)
}

/// A directory that the score names and that is missing.
fn directory(issue: &Issue, confidence: f64, options: &Options<'_>) -> Option<Finding> {
    let path = PathBuf::from(issue.message.split_once("does not exist: ")?.1);
    if !issue.auto_fixable || !path.is_absolute() {
        return None;
    }
    let shown = path.display();
    let made = if options.dry_run { None } else { Some(fs::create_dir_all(&path)) };
    let (applied, message) = match made {
        None => (false, format!("would create {shown}")),
        Some(Ok(())) => (true, format!("created {shown}")),
        Some(Err(error)) => (false, format!("{shown} cannot be created: {error}")),
    };
    Some(Finding { applied, message, confidence })
}

/// A template that does not parse, or uses a name that nothing defines.
fn template(subject: &Subject<'_>, issue: &Issue, options: &Options<'_>) -> Option<Finding> {
    let variables = subject.score.map(|score| &score.prompt.variables);
    let mut known: Vec<&str> = BUILT_IN.to_vec();
    known.extend(variables.iter().flat_map(|map| map.iter()).filter_map(|(key, _)| key.as_str()));
    let misspelt =
        issue.message.strip_prefix("Undefined variable '").and_then(|rest| rest.split('\'').next());
    let Some((name, near)) = misspelt.and_then(|name| Some((name, templates::nearest(name, &known)?))) else {
        let (message, confidence) = templates::advice(&issue.message, &known)?;
        return Some(Finding { applied: false, message, confidence });
    };
    let file = subject.score.and_then(|score| score.prompt.template_file.as_deref()).unwrap_or(subject.file);
    let change = format!("`{name}` to `{near}` in {}", file.display());
    let (applied, message) = if options.dry_run || !options.confirmed {
        (false, format!("would change {change}: agree with --yes"))
    } else {
        match replace(file, name, near) {
            Ok(copy) => (true, format!("changed {change}; the file as it was is {}", copy.display())),
            Err(error) => (false, format!("cannot change {change}: {error}")),
        }
    };
    Some(Finding { applied, message, confidence: 0.85 })
}

/// Replaces a name where a template uses it, inside braces, and keeps a copy. Other text of the file stays.
fn replace(file: &Path, name: &str, near: &str) -> std::io::Result<PathBuf> {
    let text = fs::read_to_string(file)?;
    let changed = in_braces(&text, name, near);
    if changed == text {
        return Err(std::io::Error::other("it does not use the name inside braces"));
    }
    let copy = (1..)
        .map(|number| {
            let mut copy = file.as_os_str().to_owned();
            copy.push(if number == 1 { ".bak".to_owned() } else { format!(".bak{number}") });
            PathBuf::from(copy)
        })
        .find(|copy| copy.symlink_metadata().is_err())
        .expect("numbers do not end");
    fs::copy(file, &copy)?;
    let mut beside = file.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    fs::write(&beside, changed)?;
    fs::set_permissions(&beside, fs::metadata(file)?.permissions())?;
    fs::rename(&beside, file)?;
    Ok(copy)
}

/// The text with a name replaced inside `{{ }}` and `{% %}`.
fn in_braces(text: &str, name: &str, near: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("{{").into_iter().chain(rest.find("{%")).min() {
        let close = if rest[start..].starts_with("{{") { "}}" } else { "%}" };
        let Some(end) = rest[start..].find(close).map(|at| start + at) else { break };
        out.push_str(&rest[..start]);
        let mut inside = &rest[start..end];
        while let Some(at) = find_word(inside, name) {
            out.push_str(&inside[..at]);
            out.push_str(near);
            inside = &inside[at + name.len()..];
        }
        out.push_str(inside);
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_name_is_replaced_where_the_template_uses_it() {
        let text = "nmae: x {{ nmae }} and {% if nmae %}{{ nmaes }}{% endif %} nmae {{ nmae";
        let expected = "nmae: x {{ name }} and {% if name %}{{ nmaes }}{% endif %} nmae {{ nmae";
        assert_eq!(in_braces(text, "nmae", "name"), expected);
    }

    #[test]
    fn a_misspelt_variable_is_corrected_only_when_agreed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("job.yaml");
        fs::write(&file, "prompt: {template: 'Sheet {{ shet_num }}'}\n").unwrap();
        let issues =
            [Issue::warning("V101", "prompt.template", "Undefined variable 'shet_num' in prompt.template")];
        let subject = Subject { file: &file, issues: &issues, score: None };
        let asked = mend(&subject, &Options::default());
        assert!(!asked[0].applied && asked[0].message.contains("--yes"), "{asked:?}");
        let done = mend(&subject, &Options { confirmed: true, ..Options::default() });
        assert!(done[0].applied, "{done:?}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "prompt: {template: 'Sheet {{ sheet_num }}'}\n");
        let copy = dir.path().join("job.yaml.bak");
        assert!(fs::read_to_string(copy).unwrap().contains("shet_num"));
    }

    #[test]
    fn directories_that_the_score_names_are_made() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("a/b");
        let message = format!("Workspace parent directory does not exist: {}", missing.display());
        let mut issue = Issue::error("V002", "workspace", message);
        issue.auto_fixable = true;
        let issues = [issue];
        let subject = Subject { file: &dir.path().join("job.yaml"), issues: &issues, score: None };
        let dry = mend(&subject, &Options { dry_run: true, ..Options::default() });
        assert!(!dry[0].applied && !missing.exists());
        let disabled = ["create_missing_parent_dirs".to_owned()];
        assert!(mend(&subject, &Options { disabled: &disabled, ..Options::default() }).is_empty());
        assert!(mend(&subject, &Options::default())[0].applied && missing.is_dir());
    }
}
