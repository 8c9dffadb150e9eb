//! What is said about one file: a score, a fleet, a configuration of the conductor, or none of them.

use crate::cli::failure::{FAILED, USAGE};
use crate::config::{self, FIELDS, Problem};
use crate::instrument::Registry;
use crate::lint::{self, Findings};
use crate::plan::Overrides;
use crate::score::{Issue, Severity, Source};

/// Most bytes that are read of a score that a fleet names.
const LARGEST_MEMBER: u64 = 8 * 1024 * 1024;

/// What was found about one file.
#[derive(Debug)]
pub(super) struct Verdict {
    /// As the person named the file.
    pub(super) file: String,
    /// Name of the score, else the stem of the file.
    pub(super) name: String,
    pub(super) source: Source,
    pub(super) kind: Kind,
    pub(super) exit: u8,
}

/// What the file is.
#[derive(Debug)]
pub(super) enum Kind {
    Score(Box<Findings>),
    /// Scores that belong together; each is checked by itself.
    Fleet(Vec<Issue>),
    /// Settings of the conductor.
    Config(Vec<Problem>),
    /// Found in a directory, and not for us.
    Other,
}

impl Verdict {
    pub(super) fn of(source: Source, shown: &str, registry: &Registry, strict: bool) -> Self {
        let stem = source.path.as_deref().and_then(|path| path.file_stem());
        let stem = stem.map_or_else(|| "score".to_owned(), |stem| stem.to_string_lossy().into_owned());
        let findings = lint::check(&source, &Overrides::default(), registry);
        let name = findings.score.as_ref().map_or(stem, |score| score.name.clone());
        let (kind, exit) = if findings.issues.iter().any(|issue| issue.code == "fleet") {
            let issues = fleet(&source);
            let exit = exit(&issues, strict);
            (Kind::Fleet(issues), exit)
        } else if is_config(&findings.keys) {
            let path = source.path.clone().unwrap_or_else(|| shown.into());
            let problems =
                config::parse(&source.text, &path).err().map_or_else(Vec::new, |problems| problems.0);
            let exit = if problems.is_empty() { 0 } else { USAGE };
            (Kind::Config(problems), exit)
        } else {
            let exit = exit(&findings.issues, strict);
            (Kind::Score(Box::new(findings)), exit)
        };
        Self { file: shown.to_owned(), name, source, kind, exit }
    }

    /// The same file, as one that is not for us.
    pub(super) fn passed_over(self) -> Self {
        Self { kind: Kind::Other, exit: 0, ..self }
    }

    /// Problems of a score.
    pub(super) fn issues(&self) -> &[Issue] {
        match &self.kind {
            Kind::Score(findings) => &findings.issues,
            Kind::Fleet(issues) => issues,
            Kind::Config(_) | Kind::Other => &[],
        }
    }

    pub(super) fn count(&self, severity: Severity) -> usize {
        count(self.issues(), severity)
    }
}

/// Problems of a fleet file, and of the way to its members.
fn fleet(source: &Source) -> Vec<Issue> {
    let loaded = crate::fleet::load(&source.text, &source.base);
    let mut issues = loaded.issues;
    if let Some(fleet) = loaded.fleet {
        let read = |path: &std::path::Path| {
            let bytes = crate::file::read(path, LARGEST_MEMBER).map_err(|error| error.to_string())?;
            String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())
        };
        issues.extend(crate::fleet::check_members(&fleet, &read));
    }
    issues
}

fn count(issues: &[Issue], severity: Severity) -> usize {
    issues.iter().filter(|issue| issue.severity == severity).count()
}

/// Structure that cannot be read is another matter than a score that says something wrong.
fn exit(issues: &[Issue], strict: bool) -> u8 {
    if issues.iter().any(Issue::is_structural) {
        USAGE
    } else if count(issues, Severity::Error) > 0 || strict && count(issues, Severity::Warning) > 0 {
        FAILED
    } else {
        0
    }
}

/// No `sheet`, no `prompt`, and only keys that the conductor knows.
fn is_config(keys: &[String]) -> bool {
    let known = |key: &String| FIELDS.iter().any(|field| field.path.split('.').next() == Some(key));
    let score = |key: &String| matches!(key.as_str(), "sheet" | "prompt" | "name");
    !keys.iter().any(score) && keys.iter().any(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit_of(text: &str) -> u8 {
        let source = Source { text: text.to_owned(), base: "/".into(), ..Source::default() };
        Verdict::of(source, "x.yaml", &Registry::built_in(), false).exit
    }

    #[test]
    fn what_cannot_be_checked_exits_with_2() {
        assert_eq!(exit_of("a: ["), USAGE);
        assert_eq!(exit_of("- a"), USAGE);
        assert_eq!(exit_of("name: x\n"), USAGE);
        assert_eq!(exit_of("type: fleet\nscores: []\n"), USAGE);
        assert_eq!(exit_of("max_concurrent_jobs: 3\n"), 0);
        assert_eq!(exit_of("max_concurrent_jobs: 0\n"), USAGE);
        assert_eq!(exit_of("name: x\nsheet: {size: 1, total_items: 1}\nprompt: {template: '{{'}\n"), FAILED);
    }
}
