//! `mozart run`.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value, json};

use crate::cli::context::Context;
use crate::cli::failure::{Done, Failure, Stop, TRY_LATER};
use crate::cli::job::{self, Doc};
use crate::cli::prompts::Desk;
use crate::cli::rpc::Rpc;
use crate::cli::{early, follow, format, plan_view, score_file};
use crate::fleet;
use crate::ids::SheetNo;
use crate::plan::Overrides;
use crate::score::{self, Map as Variables};

/// Help of the refused option.
pub(crate) const ESCALATION: &str = "Refused: decisions are made with `mozart approve`";

/// Options of `run`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Score file
    score: PathBuf,
    /// Show what would run; needs no conductor
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// First sheet to run
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    start_sheet: Option<u32>,
    /// Workspace, instead of the score's
    #[arg(short, long, value_name = "DIR")]
    workspace: Option<PathBuf>,
    /// Forget an earlier run of this job
    #[arg(long)]
    fresh: bool,
    /// Diagnose and try remedies after the retries are used up
    #[arg(short = 'H', long)]
    self_healing: bool,
    /// Apply suggested remedies without asking
    #[arg(short, long)]
    yes: bool,
    #[arg(short, long, help = ESCALATION)]
    escalation: bool,
    /// Set a variable of the prompt (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = assignment)]
    variables: Vec<(String, Value)>,
    /// Name of the job [default: the score's file name without its extension]
    #[arg(long, value_name = "ID")]
    name: Option<String>,
    /// Priority, 1 first to 10 last (0 counts as 1)
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u8).range(0..=10))]
    priority: u8,
    /// Stay until the job has ended; exit with 1 unless it completed
    #[arg(long)]
    wait: bool,
    /// --wait, with a line for every event
    #[arg(long)]
    follow: bool,
    /// Print only the job id
    #[arg(long)]
    id_only: bool,
}

/// Runs the command.
pub(crate) fn run(cx: &Context, options: Options) -> Done {
    let mut cx_out = cx.out;
    cx_out.quiet |= options.id_only;
    let source = score_file::read(cx, &options.score)?;
    let path = cx.absolute(&options.score);
    if fleet::is_fleet(&source.text) {
        let message = format!("{} is a fleet file (type: fleet), not a score", path.display());
        return Err(Failure::new("score_invalid", message).hint(fleet::NOT_RUN).into());
    }
    if let Some(name) = &options.name {
        job::check_id(name)?;
    }
    let overrides = overrides(cx, options.workspace.as_deref(), options.start_sheet, &options.variables);
    let file = score_file::admit(cx, &source, &overrides).map_err(|issues| load_failure(&path, &issues))?;
    let workspace = options
        .workspace
        .as_ref()
        .map_or_else(|| file.score.workspace.clone(), |workspace| cx.absolute(workspace));
    let workspace = workspace.to_string_lossy().into_owned();
    if options.escalation {
        return Err(refuse_escalation());
    }
    if options.dry_run {
        if cx_out.json {
            cx_out.document(&plan_view::document(&file, &workspace))?;
        } else {
            cx_out.say(&plan_view::summary(&file, &workspace))?;
            cx_out.text(&plan_view::text(&file, cx_out.style))?;
            let desk = Desk::new(cx, score_file::registry(cx, &source.base));
            cx_out.text(&plan_view::prompts(&file, &desk, cx_out.verbose))?;
            let found: Vec<Value> =
                file.warnings.iter().map(|issue| Value::Object(issue.document())).collect();
            warnings(cx_out, &found, usize::MAX);
        }
        return Ok(0);
    }
    if !cx_out.json && !cx_out.quiet {
        cx_out.say(&plan_view::summary(&file, &workspace))?;
        if !file.score.cost_limits.enabled {
            cx_out.say(
                "Note: Cost tracking is disabled for this score. Enable it with cost_limits.enabled: true.\n",
            )?;
        }
    }
    let answer = submit(cx, &options, &path)?;
    let doc = Doc(&answer);
    let id = doc.text("job_id").to_owned();
    if doc.text("status") != "accepted" {
        return Err(rejection(cx, &answer, &path));
    }
    let staying = options.wait || options.follow;
    if !staying && !options.fresh {
        early::watch(cx, &id)?;
    }
    report(cx_out, cx, &answer, staying)?;
    if staying {
        return follow::to_the_end(cx, cx_out, &id, options.follow);
    }
    Ok(0)
}

/// What the command line changes about a score.
pub(crate) fn overrides(
    cx: &Context,
    workspace: Option<&Path>,
    start_sheet: Option<u32>,
    assignments: &[(String, Value)],
) -> Overrides {
    let mut variables = Variables::new();
    for (key, value) in assignments {
        // Whatever JSON holds, a score value can hold.
        if let Ok(value) = serde_json::from_value::<score::Value>(value.clone()) {
            variables.insert(key.as_str(), value);
        }
    }
    Overrides {
        workspace: workspace.map(|workspace| cx.absolute(workspace)),
        start_sheet: start_sheet.map(SheetNo),
        self_healing: false,
        variables,
    }
}

fn submit(cx: &Context, options: &Options, path: &Path) -> Result<Value, Stop> {
    let variables: Map<String, Value> = options.variables.iter().cloned().collect();
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    Rpc::connect(cx)?.call(
        "job.submit",
        json!({
            "config_path": path.to_string_lossy(),
            "fresh": options.fresh,
            "self_healing": options.self_healing,
            "self_healing_auto_confirm": options.yes,
            "client_cwd": std::env::current_dir().ok().map(text),
            "workspace": options.workspace.as_ref().map(|workspace| text(cx.absolute(workspace))),
            "start_sheet": options.start_sheet,
            "name": options.name,
            "priority": options.priority,
            "variables": variables,
        }),
    )
}

fn report(out: crate::cli::output::Output, cx: &Context, answer: &Value, staying: bool) -> Result<(), Stop> {
    let doc = Doc(answer);
    let id = doc.text("job_id");
    if out.json {
        // A job that is awaited has one document, at its end.
        return if staying { Ok(()) } else { out.document(answer) };
    }
    if out.quiet {
        return out.line(id);
    }
    if doc.get("fresh") == &Value::Bool(true) && doc.text("message").contains("modified") {
        out.say("Score file modified since last completed run — starting fresh")?;
    }
    out.say(&format!("Job submitted to conductor: {id}"))?;
    if !doc.text("message").is_empty() {
        out.say(&format!("  {}", format::clean(doc.text("message"))))?;
    }
    let found = answer["warnings"].as_array().map_or(&[][..], Vec::as_slice);
    warnings(out, found, MOST_WARNINGS);
    if !staying {
        out.say(&format!("\nMonitor with: {}", cx.command(&format!("status {id} --watch"))))?;
    }
    Ok(())
}

/// Warnings that are shown of one submission; `validate` shows them all.
const MOST_WARNINGS: usize = 5;

/// What the conductor finds doubtful about the score.
fn warnings(out: crate::cli::output::Output, warnings: &[Value], most: usize) {
    for warning in warnings.iter().take(most) {
        out.warn(&format::clean(&remark(warning)));
    }
    if warnings.len() > most {
        out.warn(&format!("{} more: mozart validate shows them all", warnings.len() - most));
    }
}

/// A warning as text. Advice of one line stands behind it, longer advice below it.
fn remark(warning: &Value) -> String {
    let doc = Doc(warning);
    let place = doc.number("line").map_or_else(String::new, |line| format!("line {line}: "));
    let said = format!("[{}] {place}{}", doc.text("check_id"), doc.text("message"));
    let hint = doc.text("suggestion");
    match hint.lines().count() {
        0 => said,
        1 => format!("{said} ({hint})"),
        _ => hint.lines().fold(said, |said, line| format!("{said}\n         {line}")),
    }
}

/// Why the conductor did not take the job, and what helps.
fn rejection(cx: &Context, answer: &Value, path: &Path) -> Stop {
    let doc = Doc(answer);
    let (message, id) = (doc.text("message"), doc.text("job_id"));
    let failure = |word| {
        Failure::new(word, format!("Conductor rejected job: {message}"))
            .with("status", "rejected")
            .with("job_id", id)
    };
    let validate = format!("Validate it with: mozart validate {}", path.display());
    let failure = if message.contains("try again later") {
        let mut failure = failure("rejected_pressure")
            .hint(format!("Check the load: {}", cx.command("conductor-status")))
            .hint("Wait for running jobs to finish or reduce concurrent work.")
            .exit(TRY_LATER);
        for limit in active_limits(cx) {
            failure = failure.hint(limit);
        }
        failure
    } else if message.contains("shutting down") {
        failure("rejected_shutdown").hint("Wait for shutdown to complete, then: mozart start").exit(TRY_LATER)
    } else if message.contains("is already") {
        failure("job_already_active")
            .hint(cx.command(&format!("status {id}")))
            .hint(cx.command(&format!("cancel {id}")))
    } else if message.starts_with("Config file not found") {
        failure("rejected_config").hint("Check the path of the score file.")
    } else if message.starts_with("Invalid job name") {
        failure("rejected_config")
            .hint("The job is named after its score file; choose another name with --name ID.")
    } else if message.starts_with("Failed to parse") {
        failure("rejected_config").hint(validate)
    } else if message.starts_with("Workspace parent directory does not exist") {
        failure("rejected_workspace").hint("Create it with mkdir -p, or choose another one with --workspace.")
    } else if message.starts_with("Workspace") {
        failure("rejected_workspace").hint("Choose another one with --workspace.")
    } else {
        failure("internal").hint(format!("Check with: {}", cx.command("conductor-status")))
    };
    failure.into()
}

fn active_limits(cx: &Context) -> Vec<String> {
    let Ok(mut rpc) = Rpc::connect(cx) else { return Vec::new() };
    let limits = rpc.try_call("daemon.rate_limits", json!({})).unwrap_or_default();
    super::limits::lines(&limits, cx.out.error_style)
}

/// All problems of a score that cannot be run.
pub(crate) fn load_failure(path: &Path, issues: &[score::Issue]) -> Failure {
    let errors: Vec<String> = issues
        .iter()
        .filter(|issue| issue.is_error())
        .map(|issue| {
            let said = match issue.line {
                Some(line) if !issue.message.contains("line ") => {
                    format!("{} (line {line})", issue.headline())
                }
                Some(_) | None => issue.headline(),
            };
            let hint = issue.hint.iter().flat_map(|hint| hint.lines());
            hint.fold(said, |said, line| format!("{said}\n         {line}"))
        })
        .collect();
    let mut failure = Failure::new("score_invalid", errors.first().cloned().unwrap_or_default());
    for more in errors.iter().skip(1) {
        failure.message.push_str("\n       ");
        failure.message.push_str(more);
    }
    failure.hint(format!("Validate with: mozart validate {}", path.display()))
}

/// `--escalation` cannot work without a console.
pub(crate) fn refuse_escalation() -> Stop {
    Failure::new(
        "usage",
        "--escalation requires interactive console prompts which are not available in daemon mode. Escalation is not currently supported.",
    )
    .hint("Remove the --escalation flag to run without interactive escalation.")
    .hint("Sheets that wait for a decision are answered with: mozart approve")
    .into()
}

/// `KEY=VALUE`: numbers, `true`, `false`, `null`, lists and maps in JSON; everything else is text.
pub(crate) fn assignment(text: &str) -> Result<(String, Value), String> {
    let Some((key, value)) = text.split_once('=') else {
        return Err(format!("'{text}' is not of the form KEY=VALUE"));
    };
    if key.is_empty() {
        return Err("the key before '=' is empty".to_owned());
    }
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
    Ok((key.to_owned(), value))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn advice_of_a_warning_is_whole() {
        let warning = |hint: &str| {
            let issue = score::Issue::warning("V101", "a", "said").at(Some((3, 1))).hint(hint);
            remark(&Value::Object(issue.document()))
        };
        assert_eq!(warning("one"), "[V101] line 3: said (one)");
        assert_eq!(
            warning("write:\na:\n  b: 1"),
            "[V101] line 3: said\n         write:\n         a:\n           b: 1"
        );
    }

    #[test]
    fn values_of_set_are_json_or_text() {
        assert_eq!(assignment("a=1").unwrap(), ("a".to_owned(), json!(1)));
        assert_eq!(assignment("a=x=y").unwrap(), ("a".to_owned(), json!("x=y")));
        assert_eq!(assignment("a=[1, \"b\"]").unwrap(), ("a".to_owned(), json!([1, "b"])));
        assert!(assignment("a").is_err() && assignment("=1").is_err());
    }
}
