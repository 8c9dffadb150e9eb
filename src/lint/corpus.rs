//! Checks that look whether the fragments of a specification and the documents of techniques are there.

use std::path::Path;

use crate::score::Issue;
use crate::score::checks::{Check, Report, Subject};
use crate::score::paths::resolve;

/// All of them, by code.
pub(super) const CHECKS: &[Check] = &[("V108", specification), ("V301", documents)];

fn specification(subject: &Subject<'_>, report: &mut Report) {
    let spec = &subject.score.spec;
    if !spec.spec_dir.is_empty() {
        let dir = resolve(&subject.score.base, &spec.spec_dir);
        if !dir.is_dir() {
            let message = format!("Specification directory not found: {}", dir.display());
            let hint = "create it or correct the path; it is relative to the score file";
            report.add(subject, Issue::warning("V108", "spec.spec_dir", message).hint(hint));
        }
    } else if !spec.fragments.is_empty() {
        let message = "spec.fragments names fragments, but spec.spec_dir does not say where they are";
        let hint = "add spec_dir: the directory with the fragments";
        report.add(subject, Issue::warning("V108", "spec.fragments", message).hint(hint));
    }
    let tags = &subject.score.sheet.spec_tags;
    if !tags.is_empty() && spec.spec_dir.is_empty() {
        let message = "sheet.spec_tags chooses fragments, but there are none: spec.spec_dir is not set";
        let hint = "add spec: {spec_dir: DIRECTORY}, or remove the tags";
        report.add(subject, Issue::warning("V108", "sheet.spec_tags", message).hint(hint));
    }
    if spec.include_claude_md {
        let base = &subject.score.base;
        let working =
            subject.plan.sheets.iter().filter_map(|sheet| sheet.instrument.config.working_directory.as_ref());
        let mut places = working.chain([&subject.plan.workspace, base]);
        if !places.any(|dir| dir.join("CLAUDE.md").is_file()) {
            let message = "No CLAUDE.md in the working directory, in the workspace or beside the score";
            let hint = "create it, or set include_claude_md: false";
            report.add(subject, Issue::info("V108", "spec.include_claude_md", message).hint(hint));
        }
    }
}

/// Skill techniques that name no document and have none at the usual places.
fn documents(subject: &Subject<'_>, report: &mut Report) {
    let home = std::env::home_dir();
    for (name, technique) in &subject.score.techniques {
        if technique.kind != "skill" || technique.config.get("path").is_some() {
            continue;
        }
        let below = Path::new(".mozart/techniques");
        let file = below.join(format!("{name}.md"));
        let mut places = vec![subject.plan.workspace.join(&file), subject.score.base.join(&file)];
        if let Some(home) = &home {
            places.extend([home.join(&file), home.join(below).join(name).join("SKILL.md")]);
        }
        if !places.iter().any(|path| path.is_file()) {
            let message = format!("Skill technique '{name}' has no document");
            let hint =
                format!("write ~/.mozart/techniques/{name}.md, or name one with config: {{path: FILE}}");
            let path = format!("techniques.{name}");
            report.add(subject, Issue::warning("V301", &path, message).hint(hint));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use crate::instrument::Registry;
    use crate::lint;
    use crate::plan::Overrides;
    use crate::score::Source;

    /// Codes and messages of these two checks for a score in this directory.
    fn found(dir: &std::path::Path, more: &str) -> Vec<String> {
        let text = format!(
            "name: a\nworkspace: ws\ninstrument: cli\nprompt: {{template: x}}\n\
             sheet: {{size: 1, total_items: 1, spec_tags: {{1: [a]}}}}\n{more}\n"
        );
        let source = Source { text, base: dir.to_owned(), ..Source::default() };
        let findings = lint::check(&source, &Overrides::default(), &Registry::built_in());
        assert!(findings.plan.is_some(), "{:?}", findings.issues);
        let wanted = findings.issues.iter().filter(|issue| ["V108", "V301"].contains(&issue.code.as_str()));
        wanted.map(|issue| format!("{} {}", issue.code, issue.message)).collect()
    }

    #[test]
    fn what_a_specification_names_is_looked_for() {
        let dir = tempfile::tempdir().unwrap();
        let score = "spec: {spec_dir: spec, include_claude_md: true}";
        let all = found(dir.path(), score);
        assert_eq!(all.len(), 2, "{all:?}");
        assert!(all[0].starts_with("V108 Specification directory not found: "), "{all:?}");
        assert!(all[1].starts_with("V108 No CLAUDE.md"), "{all:?}");
        fs::create_dir(dir.path().join("spec")).unwrap();
        fs::write(dir.path().join("CLAUDE.md"), "").unwrap();
        assert_eq!(found(dir.path(), score), Vec::<String>::new());
        let all = found(dir.path(), "spec: {fragments: [a]}");
        assert!(all.len() == 2 && all[0].contains("spec_dir") && all[1].contains("spec_tags"), "{all:?}");
    }

    #[test]
    fn a_skill_needs_a_document() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("spec")).unwrap();
        let score = "spec: {spec_dir: spec}\ntechniques: {no-such-skill-anywhere: {kind: skill, phases: [all]}, \
                     talk: {kind: protocol, phases: [all]}}";
        let all = found(dir.path(), score);
        assert_eq!(all, ["V301 Skill technique 'no-such-skill-anywhere' has no document"]);
        let below = dir.path().join(".mozart/techniques");
        fs::create_dir_all(&below).unwrap();
        fs::write(below.join("no-such-skill-anywhere.md"), "").unwrap();
        assert_eq!(found(dir.path(), score), Vec::<String>::new());
        let named = "spec: {spec_dir: spec}\ntechniques: {t: {kind: skill, phases: [all], config: {path: ~/none.md}}}";
        assert_eq!(found(dir.path(), named).len(), 1);
    }
}
