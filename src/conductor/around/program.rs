//! Hooks that run a program: `run_command` (a shell) and `run_script` (no shell).
//!
//! A program runs under a bound guard, so it ends with the conductor and leaves nothing behind. An
//! errand starts it and stays for an instant, which is all that most need; one that takes longer goes
//! back to the conductor as a [`Watched`], which the side lane looks at now and then. So no thread
//! is held by a hook, however long it takes.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::conductor::side::Side;
use crate::exec::HookResult;
use crate::executor::{self, BoundEnd, BoundRun, BoundSpec, Control};
use crate::ids::{JobId, Token};
use crate::instrument::{environment, find_program};
use crate::score::danger;
use crate::template::{Vars, placeholders};
use crate::util::{redact, text};
use crate::validate;

use super::origin::Place;

/// How long the errand that starts a program stays with it.
const FIRST_LOOK: Duration = Duration::from_millis(100);
/// Between TERM and KILL.
const GRACE: Duration = Duration::from_secs(5);
/// Bytes of output that come back; more than [`OUTPUT_CHARS`] characters need.
const OUTPUT_CAP: usize = 24 << 10;
/// Characters of the end of the output that are kept with the job.
const OUTPUT_CHARS: usize = 2000;
/// What a hook may name.
const NAMES: [&str; 3] = ["workspace", "job_id", "sheet_count"];

/// What is run.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    /// By a shell.
    Command(String),
    /// Split into words.
    Script(String),
}

/// A program to be started.
#[derive(Debug)]
pub(crate) struct Program {
    pub(super) job: JobId,
    pub(super) place: Place,
    pub(super) action: Action,
    pub(super) description: Option<String>,
    /// As the score has it; the workspace otherwise.
    pub(super) directory: Option<PathBuf>,
    pub(super) workspace: PathBuf,
    pub(super) sheets: usize,
    pub(super) timeout: Duration,
    pub(super) control: Control,
}

/// A program that runs.
#[derive(Debug)]
pub(crate) struct Watched {
    run: BoundRun,
    draft: HookResult,
    log: PathBuf,
    timeout: Duration,
}

impl Action {
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Command(_) => "run_command",
            Self::Script(_) => "run_script",
        }
    }
}

/// Starts a program. The error is its result, when it is over already.
pub(super) fn start(side: &Side, program: &Program) -> Result<Watched, Box<HookResult>> {
    let draft = HookResult {
        hook_type: program.action.kind().to_owned(),
        description: program.description.clone(),
        epoch: program.place.epoch,
        ..HookResult::default()
    };
    let (spec, log) = match prepare(side, program) {
        Ok(ready) => ready,
        Err(message) => {
            return Err(Box::new(HookResult { success: Some(false), error_message: Some(message), ..draft }));
        }
    };
    let timeout = program.timeout;
    match executor::begin_bound(&side.guard_program, &spec, &program.control) {
        Ok(run) => look(Watched { run, draft, log, timeout }, FIRST_LOOK),
        Err(end) => Err(Box::new(finish(draft, &log, timeout, &end))),
    }
}

/// Looks at a program. The error is its result, when it is over.
pub(super) fn look(watched: Watched, patience: Duration) -> Result<Watched, Box<HookResult>> {
    let Watched { run, draft, log, timeout } = watched;
    match run.end_within(patience) {
        Ok(end) => Err(Box::new(finish(draft, &log, timeout, &end))),
        Err(run) => Ok(Watched { run, draft, log, timeout }),
    }
}

fn prepare(side: &Side, program: &Program) -> Result<(BoundSpec, PathBuf), String> {
    let vars = vars(program);
    let cwd = match &program.directory {
        None => {
            fs::create_dir_all(&program.workspace).map_err(|error| {
                format!("cannot create the workspace {}: {error}", program.workspace.display())
            })?;
            program.workspace.clone()
        }
        Some(directory) => PathBuf::from(plain(&from_placeholder(directory), program)),
    };
    if !cwd.is_dir() {
        return Err(format!(
            "the working directory {} does not exist: correct `working_directory`",
            cwd.display()
        ));
    }
    let path = side.ours.get("PATH").map(String::as_str);
    let argv = match &program.action {
        Action::Command(command) => {
            warn_unknown(&program.job, command);
            let command = placeholders::expand_command(command, &vars);
            refuse(&command)?;
            vec![validate::shell(path), "-c".to_owned(), command]
        }
        Action::Script(script) => {
            let words = shlex::split(script).ok_or(
                "the command has a quote that is not closed; it is split into words as a shell would",
            )?;
            warn_unknown(&program.job, script);
            let mut words: Vec<String> = words.iter().map(|word| plain(word, program)).collect();
            refuse(&words.join(" "))?;
            let name = words.first().cloned().ok_or("the command is empty")?;
            let file = find_program(&name, path, &cwd).ok_or_else(|| {
                format!(
                    "there is no program `{name}`: name one that is on PATH, or a path from {}",
                    cwd.display()
                )
            })?;
            words[0] = file.to_string_lossy().into_owned();
            words
        }
    };
    let log =
        log_file(side, program).map_err(|error| format!("cannot make the folder of its log: {error}"))?;
    let mut env: Vec<(String, String)> = environment::for_command(&side.ours).into_iter().collect();
    env.push(("MOZART_JOB_ID".to_owned(), program.job.to_string()));
    env.push(("MOZART_WORKSPACE".to_owned(), program.workspace.display().to_string()));
    let mut mark = [0; 16];
    getrandom::fill(&mut mark).expect("the kernel has randomness once it has booted");
    let spec = BoundSpec {
        argv,
        cwd,
        env,
        token: Some(Token::from_bytes(mark)),
        timeout: Some(program.timeout),
        grace: GRACE,
        output_cap: OUTPUT_CAP,
        log: Some(log.clone()),
    };
    Ok((spec, log))
}

fn refuse(command: &str) -> Result<(), String> {
    danger::pattern(command).map_or(Ok(()), |pattern| {
        Err(format!(
            "refused: the command matches `{pattern}`, which can destroy this machine; it was not run"
        ))
    })
}

fn vars(program: &Program) -> Vars {
    let mut vars = Vars::new();
    vars.set("workspace", program.workspace.display().to_string());
    vars.set("job_id", program.job.as_str());
    vars.set("sheet_count", u64::try_from(program.sheets).unwrap_or(u64::MAX));
    vars
}

fn plain(text: &str, program: &Program) -> String {
    expand_plain(text, &program.workspace, &program.job, program.sheets)
}

/// Placeholders of a path or of a word, as they are; everything else stays.
pub(super) fn expand_plain(text: &str, workspace: &Path, job: &JobId, sheets: usize) -> String {
    let values = [workspace.display().to_string(), job.to_string(), sheets.to_string()];
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    'text: while let Some(at) = rest.find('{') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        for (name, value) in NAMES.iter().zip(&values) {
            let after = rest[1..].strip_prefix(name).and_then(|rest| rest.strip_prefix('}'));
            if let Some(after) = after {
                out.push_str(value);
                rest = after;
                continue 'text;
            }
        }
        out.push('{');
        rest = &rest[1..];
    }
    out.push_str(rest);
    out
}

/// A path of the score that begins with a placeholder was joined to the directory of the score.
fn from_placeholder(path: &Path) -> String {
    let text = path.to_string_lossy();
    text.find("{workspace}").map_or_else(|| text.clone().into_owned(), |at| text[at..].to_owned())
}

/// Names in braces that a hook does not know stay as they are; most are an error of the author.
pub(super) fn warn_unknown(job: &JobId, text: &str) {
    for (at, _) in text.match_indices('{') {
        let inner = &text[at + 1..];
        let Some(name) = inner.find('}').map(|end| &inner[..end]) else { continue };
        let is_name = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        if is_name && !text[..at].ends_with('$') && !NAMES.contains(&name) {
            log::warn!("hook.unknown_placeholder job_id={job} name={name}");
        }
    }
}

/// A file that does not exist yet.
fn log_file(side: &Side, program: &Program) -> std::io::Result<PathBuf> {
    let mut folder = side.state_dir.join("jobs");
    folder.push(program.job.as_str());
    folder.push("hooks");
    DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    let seconds = crate::conductor::clock::wall().0 / 1000;
    let time = jiff::Timestamp::from_second(seconds).unwrap_or_default();
    let stem = format!("{}-{}", program.action.kind(), time.strftime("%Y%m%d-%H%M%S"));
    let mut file = folder.join(format!("{stem}.log"));
    let mut number = 1;
    while file.symlink_metadata().is_ok() {
        number += 1;
        file = folder.join(format!("{stem}-{number}.log"));
    }
    Ok(file)
}

fn finish(draft: HookResult, log: &Path, timeout: Duration, end: &BoundEnd) -> HookResult {
    let error = if let Some(error) = &end.spawn_error {
        Some(error.message.clone())
    } else if end.lost {
        Some("its guard was killed; how it ended is not known".to_owned())
    } else if end.timed_out {
        Some(timed_out(timeout))
    } else if end.cancelled {
        Some("cancelled".to_owned())
    } else if let Some(signal) = end.signal {
        Some(format!("Ended by signal {signal}"))
    } else {
        end.exit_code.filter(|code| *code != 0).map(|code| format!("Exit code {code}"))
    };
    if !end.unkillable.is_empty() {
        log::error!("hook.leftovers_alive pids={:?}", end.unkillable);
    }
    let output = redact(&String::from_utf8_lossy(&end.output));
    HookResult {
        success: Some(error.is_none() && end.exit_code == Some(0)),
        exit_code: end.exit_code,
        error_message: error,
        duration_seconds: end.duration.as_secs_f64(),
        output: text::tail_chars(&output, OUTPUT_CHARS).to_owned(),
        log_path: log.exists().then(|| log.display().to_string()),
        ..draft
    }
}

/// What a hook says that took too long.
pub(super) fn timed_out(timeout: Duration) -> String {
    format!("Timeout after {}s", timeout.as_secs_f64())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn known_names_are_replaced_and_others_stay() {
        let job = JobId::new("nightly").unwrap();
        let expand = |text| expand_plain(text, Path::new("/my work"), &job, 3);
        assert_eq!(expand("{workspace}/{job_id}-{sheet_count}.txt"), "/my work/nightly-3.txt");
        assert_eq!(expand("{other} {{workspace}} ${HOME} {"), "{other} {/my work} ${HOME} {");
    }

    #[test]
    fn a_directory_may_begin_with_the_workspace() {
        assert_eq!(from_placeholder(Path::new("/scores/{workspace}/out")), "{workspace}/out");
        assert_eq!(from_placeholder(Path::new("/scores/out")), "/scores/out");
    }

    #[test]
    fn a_timeout_reads_as_its_score_says_it() {
        assert_eq!(timed_out(Duration::from_secs(300)), "Timeout after 300s");
        assert_eq!(timed_out(Duration::from_millis(1500)), "Timeout after 1.5s");
    }
}
