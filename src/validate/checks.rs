//! One check of one rule.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Check;
use super::rule::{Command, CommandEnd, expand_command, expand_path};
use crate::score::{Rule, RuleKind, pattern};
use crate::util::redact;
use crate::util::text::{cut, first_line, head_chars, strip_controls, tail_chars};

/// Larger files are not read.
const MAX_FILE: u64 = 64 * 1024 * 1024;
/// Of a command's output, so many characters are kept from its start and its end.
const OUTPUT_HEAD: usize = 500;
const OUTPUT_TAIL: usize = 2000;

/// Why a rule failed.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) category: &'static str,
    pub(super) reason: String,
    pub(super) fix: String,
    pub(super) output: Option<String>,
    /// What was there instead, where that is a word.
    pub(super) actual: Option<String>,
    /// Another check a moment later may pass.
    pub(super) may_pass_later: bool,
}

impl Finding {
    fn new(category: &'static str, reason: String, fix: String) -> Self {
        let actual = (category == "missing").then(|| category.to_owned());
        Self { category, reason, fix, output: None, actual, may_pass_later: true }
    }

    /// The rule itself is wrong; checking again cannot help.
    fn broken(reason: String) -> Self {
        let fix = "correct this rule in the score".to_owned();
        Self { category: "error", reason, fix, output: None, actual: None, may_pass_later: false }
    }
}

type Outcome = Result<Option<String>, Finding>;

/// Checks a rule once. `Ok` carries the output of a command.
pub(super) fn once(rule: &Rule, given: &Check<'_>, run: &dyn Fn(&Command) -> CommandEnd) -> Outcome {
    match rule.kind {
        RuleKind::FileExists => file(rule, given).map(|_| None),
        RuleKind::FileModified => modified(&file(rule, given)?, given),
        RuleKind::ContentContains => contains(&file(rule, given)?, rule),
        RuleKind::ContentRegex => matches(&file(rule, given)?, rule),
        RuleKind::CommandSucceeds => command(rule, given, run),
    }
}

/// The regular file that a rule names.
fn file(rule: &Rule, given: &Check<'_>) -> Result<PathBuf, Finding> {
    let text = rule.path.as_deref().ok_or_else(|| missing_field(rule, "path"))?;
    let path = expand_path(text, given.vars, given.workspace).map_err(Finding::broken)?;
    match fs::metadata(&path) {
        Ok(data) if data.is_file() => Ok(path),
        Ok(_) => Err(Finding::new(
            "missing",
            format!("'{}' is not a regular file", path.display()),
            format!("write a file at {}", path.display()),
        )),
        Err(_) => Err(Finding::new(
            "missing",
            format!("File '{}' does not exist", path.display()),
            format!("create {}", path.display()),
        )),
    }
}

fn missing_field(rule: &Rule, field: &str) -> Finding {
    Finding::broken(format!("Validation type '{}' requires '{field}' field", rule.kind.as_str()))
}

fn modified(path: &Path, given: &Check<'_>) -> Outcome {
    if given.snapshot.is_modified(path) {
        return Ok(None);
    }
    Err(Finding::new(
        "stale",
        format!("File '{}' was not modified during execution", path.display()),
        format!("change {}", path.display()),
    ))
}

fn text_of(path: &Path) -> Result<String, Finding> {
    let unreadable = |error: std::io::Error| {
        Finding::new(
            "error",
            format!("File '{}' cannot be read: {error}", path.display()),
            "check its permissions".to_owned(),
        )
    };
    // The file may grow while it is read: the limit counts what is read.
    let bytes = crate::file::read(path, MAX_FILE + 1).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE {
        let reason =
            format!("file too large to inspect: '{}' has more than {} MiB", path.display(), MAX_FILE >> 20);
        return Err(Finding {
            may_pass_later: false,
            ..Finding::new("error", reason, "check it with a command_succeeds rule".to_owned())
        });
    }
    Ok(match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            log::warn!("validation.not_utf8 path={}", path.display());
            String::from_utf8_lossy(error.as_bytes()).into_owned()
        }
    })
}

fn pattern_of(rule: &Rule) -> Result<&str, Finding> {
    rule.pattern.as_deref().filter(|text| !text.is_empty()).ok_or_else(|| missing_field(rule, "pattern"))
}

fn contains(path: &Path, rule: &Rule) -> Outcome {
    let wanted = pattern_of(rule)?;
    if text_of(path)?.contains(wanted) {
        return Ok(None);
    }
    let shown = cut(wanted, 200);
    Err(Finding::new(
        "incomplete",
        format!("File '{}' does not contain `{shown}`", path.display()),
        format!("write exactly `{shown}` into {}", path.display()),
    ))
}

fn matches(path: &Path, rule: &Rule) -> Outcome {
    let wanted = pattern_of(rule)?;
    let regex = pattern::compile(wanted)
        .map_err(|why| Finding::broken(format!("`{}` cannot be used: {why}", cut(wanted, 200))))?;
    if regex.is_match(&text_of(path)?) {
        return Ok(None);
    }
    let shown = cut(wanted, 200);
    Err(Finding::new(
        "malformed",
        format!("File '{}' does not match the pattern `{shown}`", path.display()),
        format!("write {} so that `{shown}` matches", path.display()),
    ))
}

fn command(rule: &Rule, given: &Check<'_>, run: &dyn Fn(&Command) -> CommandEnd) -> Outcome {
    let text = rule.command.as_deref().ok_or_else(|| missing_field(rule, "command"))?;
    let cwd = match rule.working_directory.as_deref() {
        Some(text) => expand_path(text, given.vars, given.workspace).map_err(Finding::broken)?,
        None => given.workspace.to_path_buf(),
    };
    if !cwd.is_dir() {
        let reason = format!("working directory '{}' does not exist", cwd.display());
        return Err(Finding::new("error", reason, format!("create {}", cwd.display())));
    }
    let text = expand_command(text, given.vars);
    if text.contains('\0') {
        return Err(Finding::broken("the command contains a NUL character".to_owned()));
    }
    warn_of_risk(&text);
    let text = if rule.pipefail { format!("set -o pipefail; {text}") } else { text };
    let argv = vec![given.shell.to_owned(), "-c".to_owned(), text];
    let timeout = Duration::from_secs_f64(rule.timeout_seconds);
    judge(rule, &run(&Command { argv, cwd, timeout }))
}

fn judge(rule: &Rule, end: &CommandEnd) -> Outcome {
    let all = redact(&strip_controls(&String::from_utf8_lossy(&end.output)));
    let output = (!all.is_empty()).then(|| shortened(&all, end.total_bytes));
    let said = first_line(&all, 80);
    let because = |what: String| if said.is_empty() { what } else { format!("{what}: {said}") };
    let reason = match (&end.spawn_error, end.timed_out, end.exit_code, end.signal) {
        (None, false, Some(0), _) => return Ok(output),
        (Some(error), ..) => format!("Command could not be started: {error}"),
        (_, true, ..) => format!("Command timed out after {} seconds", rule.timeout_seconds),
        (_, _, Some(code), _) => because(format!("Command failed (exit {code})")),
        (_, _, None, Some(signal)) => because(format!("Command ended by signal {signal}")),
        (_, _, None, None) => because("Command ended without an exit code".to_owned()),
    };
    let (category, fix) = if end.timed_out {
        ("timeout", "raise `timeout_seconds` of the rule")
    } else {
        ("error", "run the command by hand in the workspace")
    };
    let actual = match (end.timed_out, end.exit_code, end.signal) {
        (true, ..) => Some("timeout".to_owned()),
        (false, Some(code), _) => Some(format!("exit {code}")),
        (false, None, Some(signal)) => Some(format!("signal {signal}")),
        (false, None, None) => None,
    };
    Err(Finding { output, actual, ..Finding::new(category, reason, fix.to_owned()) })
}

/// The start and the end of an output.
fn shortened(text: &str, total_bytes: u64) -> String {
    let head = head_chars(text, OUTPUT_HEAD);
    let tail = tail_chars(&text[head.len()..], OUTPUT_TAIL);
    if head.len() + tail.len() == text.len() {
        return text.to_owned();
    }
    format!("{head}\n... [{total_bytes} bytes in total] ...\n{tail}")
}

/// Commands that reach outside the workspace are allowed; an operator should be able to find them.
fn warn_of_risk(command: &str) {
    const RISKY: [&str; 9] =
        ["sudo ", "chmod 777", "rm -rf /", "curl ", "wget ", "eval ", "> /etc/", "| sh", "| bash"];
    if let Some(mark) = RISKY.iter().find(|mark| command.contains(**mark)) {
        log::warn!("validation.risky_command contains={mark:?}");
    }
}
