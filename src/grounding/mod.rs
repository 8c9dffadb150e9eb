//! `grounding` of a score: files that must have known checksums after a sheet, whatever its instrument says.
//!
//! For: computing and comparing. Not for: deciding what a failed check means for the sheet (`exec`, which looks at
//! `fail_on_grounding_failure` and [`GroundingResult::escalate`]).
//!
//! Invariants: nothing is written; files are read in pieces, so a large one takes no memory; checking ends within
//! `timeout_seconds` a hook, and early when the attempt is cancelled.

mod digest;

use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::exec::GroundingResult;
use crate::score::paths::resolve;
use crate::score::{Grounding, GroundingHook};
use crate::template::Vars;
use crate::template::placeholders::expand_path;

use digest::Digest;

/// Hooks in a row that cannot be checked, after which the rest is not tried.
const MOST_ERRORS: u32 = 3;
/// Bytes that are read at once.
const PIECE: usize = 64 * 1024;
/// Problems of one hook that are named.
const MOST_NAMED: usize = 5;

/// What is checked.
#[derive(Clone, Copy)]
pub struct Check<'a> {
    /// `grounding` of the score.
    pub settings: &'a Grounding,
    /// Relative paths are below it.
    pub workspace: &'a Path,
    /// For `{name}` in paths.
    pub vars: &'a Vars,
    /// The attempt is to end.
    pub cancelled: &'a dyn Fn() -> bool,
}

/// Checks every hook. `None` when the score has no grounding.
#[must_use]
pub fn check(given: &Check<'_>) -> Option<GroundingResult> {
    let settings = given.settings;
    if !settings.enabled {
        return None;
    }
    let (mut passed, mut errors, mut lines) = (0_usize, 0_u32, Vec::new());
    for (index, hook) in settings.hooks.iter().enumerate() {
        let name = hook.name.clone().unwrap_or_else(|| format!("hook {}", index + 1));
        if errors == MOST_ERRORS {
            let left = settings.hooks.len() - index;
            lines.push(format!("{left} more hooks were not checked: {MOST_ERRORS} in a row could not be"));
            break;
        }
        match run(given, hook) {
            Ok(problems) if problems.is_empty() => (passed, errors) = (passed + 1, 0),
            Ok(problems) => {
                errors = 0;
                lines.push(format!("{name}: {}", named(&problems)));
            }
            Err(error) => {
                errors += 1;
                lines.push(format!("{name}: {error}"));
            }
        }
    }
    let all = passed == settings.hooks.len();
    #[expect(clippy::cast_precision_loss, reason = "a score has few hooks")]
    let confidence =
        if settings.hooks.is_empty() { 1.0 } else { passed as f64 / settings.hooks.len() as f64 };
    Some(GroundingResult {
        passed: all,
        confidence,
        guidance: (!lines.is_empty()).then(|| lines.join("\n")),
        escalate: !all && settings.escalate_on_failure,
    })
}

/// Why a hook could not be checked. It then counts as not passed: nobody knows that the file is right.
#[derive(Debug, thiserror::Error)]
enum HookError {
    #[error("{0}: correct the path in grounding.hooks")]
    Path(String),
    #[error("cannot read `{path}`: {source}")]
    Read { path: String, source: io::Error },
    #[error("`{path}` was not read within {seconds} s: raise grounding.timeout_seconds")]
    Slow { path: String, seconds: f64 },
    #[error("the attempt was cancelled")]
    Cancelled,
}

/// What is wrong with the files of a hook.
fn run(given: &Check<'_>, hook: &GroundingHook) -> Result<Vec<String>, HookError> {
    let seconds = given.settings.timeout_seconds;
    let until = Instant::now().checked_add(Duration::from_secs_f64(seconds));
    let mut problems = Vec::new();
    for (written, expected) in &hook.expected_checksums {
        let path = resolve(given.workspace, &expand_path(written, given.vars).map_err(HookError::Path)?);
        let mut file = match crate::file::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                problems.push(format!("`{written}` does not exist"));
                continue;
            }
            Err(source) => return Err(HookError::Read { path: written.clone(), source }),
        };
        let mut digest = Digest::new(hook.checksum_algorithm);
        let mut piece = vec![0; PIECE];
        loop {
            if (given.cancelled)() {
                return Err(HookError::Cancelled);
            }
            if until.is_some_and(|until| Instant::now() > until) {
                return Err(HookError::Slow { path: written.clone(), seconds });
            }
            match file.read(&mut piece) {
                Ok(0) => break,
                Ok(read) => digest.add(&piece[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
                Err(source) => return Err(HookError::Read { path: written.clone(), source }),
            }
        }
        let found = digest.hex();
        if !found.eq_ignore_ascii_case(expected.trim()) {
            let algorithm = hook.checksum_algorithm;
            problems.push(format!("`{written}` has {algorithm} {found}, expected is {}", expected.trim()));
        }
    }
    Ok(problems)
}

fn named(problems: &[String]) -> String {
    let shown = problems.iter().take(MOST_NAMED).cloned().collect::<Vec<_>>().join("; ");
    match problems.len().saturating_sub(MOST_NAMED) {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use super::*;

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn hook(name: Option<&str>, algorithm: &'static str, files: &[(&str, &str)]) -> GroundingHook {
        GroundingHook {
            name: name.map(str::to_owned),
            expected_checksums: files.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect(),
            checksum_algorithm: algorithm,
        }
    }

    fn grounding(hooks: Vec<GroundingHook>) -> Grounding {
        Grounding {
            enabled: true,
            hooks,
            fail_on_grounding_failure: true,
            escalate_on_failure: true,
            timeout_seconds: 30.0,
        }
    }

    fn look(workspace: &Path, settings: &Grounding) -> Option<GroundingResult> {
        let mut vars = Vars::new();
        vars.set("sheet_num", 1);
        check(&Check { settings, workspace, vars: &vars, cancelled: &|| false })
    }

    #[test]
    fn files_that_are_as_expected_pass() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("s1.txt"), "abc").unwrap();
        let settings = grounding(vec![
            hook(None, "sha256", &[("s{sheet_num}.txt", &ABC.to_uppercase())]),
            hook(None, "md5", &[("./s1.txt", "900150983cd24fb0d6963f7d28e17f72")]),
        ]);
        let expected = GroundingResult { passed: true, confidence: 1.0, guidance: None, escalate: false };
        assert_eq!(look(dir.path(), &settings), Some(expected));
        assert_eq!(look(dir.path(), &Grounding { enabled: false, ..settings }), None);
    }

    #[test]
    fn a_wrong_or_missing_file_fails_and_says_which() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), "abd").unwrap();
        fs::write(dir.path().join("b"), "abc").unwrap();
        let settings = grounding(vec![
            hook(Some("sources"), "sha256", &[("a", ABC), ("none", ABC)]),
            hook(None, "sha256", &[("b", ABC)]),
        ]);
        let result = look(dir.path(), &settings).unwrap();
        assert!(!result.passed && result.escalate);
        assert!((result.confidence - 0.5).abs() < f64::EPSILON);
        let guidance = result.guidance.unwrap();
        assert!(guidance.starts_with("sources: `a` has sha256 "), "{guidance}");
        assert!(guidance.ends_with("`none` does not exist"), "{guidance}");
    }

    #[test]
    fn after_three_errors_in_a_row_the_rest_is_not_tried() {
        let dir = tempfile::tempdir().unwrap();
        let broken = || hook(None, "sha256", &[(".", ABC)]);
        let missing = hook(None, "sha256", &[("none", ABC)]);
        let settings = grounding(vec![broken(), missing.clone(), broken(), broken(), broken(), missing]);
        let guidance = look(dir.path(), &settings).unwrap().guidance.unwrap();
        let lines: Vec<&str> = guidance.lines().collect();
        assert_eq!(lines.len(), 6, "{guidance}");
        assert!(lines[0].contains("cannot read `.`: is a directory"), "{guidance}");
        assert_eq!(lines[5], "1 more hooks were not checked: 3 in a row could not be");
    }

    #[test]
    fn time_and_cancelling_end_it() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), "abc").unwrap();
        let settings = grounding(vec![hook(None, "sha256", &[("a", ABC)])]);
        let vars = Vars::new();
        let given = Check { settings: &settings, workspace: dir.path(), vars: &vars, cancelled: &|| true };
        assert!(check(&given).unwrap().guidance.unwrap().contains("cancelled"));
        let hasty = Grounding { timeout_seconds: 1e-9, ..settings };
        assert!(look(dir.path(), &hasty).unwrap().guidance.unwrap().contains("grounding.timeout_seconds"));
    }
}
