//! `mozart instruments`: which instruments there are, where they come from, and whether they can be used.
//!
//! Nothing is started except with `--probe`, and then under a bound guard, so that a program that hangs, forks or
//! reads its input is ended with everything below it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::failure::{Done, FAILED, Failure, Stop};
use crate::cli::format;
use crate::cli::style::{Style, Tone};
use crate::cli::table::{Cell, Table};
use crate::daemon::settings::{self, Overrides};
use crate::executor::{self, BoundSpec, Control};
use crate::guard;
use crate::http;
use crate::instrument::environment::{self, Environment};
use crate::instrument::{
    self, Call, CommandError, Http, Invocation, Profile, Registry, Settings, StdinSource, Warning,
};

/// Stands for the prompt in a command line that is shown.
const PROMPT: &str = "PROMPT";
/// Longest run of `<binary> --version`.
const PROBE: Duration = Duration::from_secs(10);
/// Time between TERM and KILL after that.
const GRACE: Duration = Duration::from_secs(1);
/// Bytes of the answer that are kept.
const ANSWER: usize = 4096;

/// Options of `instruments`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show all instruments
    List,
    /// Show one instrument in full, and whether it can be used
    Check {
        /// Instrument
        #[arg(value_name = "NAME")]
        name: String,
        /// Run its program with --version, for at most 10 seconds
        #[arg(long)]
        probe: bool,
    },
}

/// Runs the command.
pub(crate) fn run(cx: &Context, options: &Options) -> Done {
    let (registry, warnings) = registry(cx, &cx.absolute(Path::new(".")));
    for warning in &warnings {
        cx.out.warn(&format!("{}: {}", warning.path.display(), warning.message));
    }
    match &options.what {
        None | Some(What::List) => list(cx, &registry),
        Some(What::Check { name, probe }) => check(cx, &registry, name, *probe),
    }
}

/// The instruments that a score in a directory can name: compiled-in, of the user, of the project.
pub(crate) fn registry(cx: &Context, project: &Path) -> (Registry, Vec<Warning>) {
    let overrides = Overrides { clone: cx.global.clone.clone(), ..Overrides::default() };
    // A configuration that does not load is told by the commands that need it.
    let settings =
        settings::load(cx.brand, &overrides).unwrap_or_else(|_| settings::without_file(cx.brand, &overrides));
    Registry::load(&settings.config.place.base, Some(project))
}

/// Names of the instruments whose programs are there, sorted.
pub(crate) fn ready(registry: &Registry) -> Vec<String> {
    let ours = environment::ours();
    let there = |profile: &&std::sync::Arc<Profile>| matches!(Status::of(profile, &ours), Status::Ready(_));
    registry.profiles().filter(there).map(|profile| profile.name.clone()).collect()
}

/// Whether an instrument can be used.
#[derive(Debug)]
enum Status {
    /// Its program is there: the call of a sheet.
    Ready(Box<Invocation>),
    /// It is not, and why.
    NotFound(String),
    /// A service: the call of a sheet. It is asked with `--probe` only.
    Unchecked(Box<Invocation>),
    /// A service whose key is not in the environment, and what to do.
    NoKey(String),
}

impl Status {
    fn of(profile: &Profile, ours: &Environment) -> Self {
        let settings = Settings::default();
        let cwd = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        let call = Call {
            profile,
            settings: &settings,
            prompt: PROMPT,
            cwd: &cwd,
            prompt_file: Path::new("PROMPT_FILE"),
            ours,
            own_program: Path::new("mozart"),
            identity: &[],
        };
        match instrument::command(&call) {
            Ok(invocation) if profile.http.is_some() => Self::Unchecked(Box::new(invocation)),
            Ok(invocation) => Self::Ready(Box::new(invocation)),
            Err(error @ CommandError::NoKey { .. }) => Self::NoKey(error.to_string()),
            Err(error) => Self::NotFound(error.to_string()),
        }
    }

    const fn word(&self) -> &'static str {
        match self {
            Self::Ready(_) => "ready",
            Self::NotFound(_) => "not_found",
            Self::Unchecked(_) => "unchecked",
            Self::NoKey(_) => "no_key",
        }
    }

    fn cell(&self, style: Style) -> Cell {
        match self {
            Self::Ready(_) => Cell::toned(format!("{} ready", style.ok()), Tone::Green),
            Self::NotFound(_) => Cell::toned(format!("{} not found", style.bad()), Tone::Red),
            Self::Unchecked(_) => Cell::toned("? unchecked", Tone::Yellow),
            Self::NoKey(_) => Cell::toned(format!("{} no key", style.bad()), Tone::Yellow),
        }
    }

    fn program(&self) -> Option<&str> {
        match self {
            Self::Ready(invocation) => invocation.argv.first().map(String::as_str),
            Self::NotFound(_) | Self::Unchecked(_) | Self::NoKey(_) => None,
        }
    }

    /// The call of a sheet, when there can be one.
    fn invocation(&self) -> Option<&Invocation> {
        match self {
            Self::Ready(invocation) | Self::Unchecked(invocation) => Some(invocation),
            Self::NotFound(_) | Self::NoKey(_) => None,
        }
    }

    /// Why it cannot be used.
    fn problem(&self) -> Option<&str> {
        match self {
            Self::NotFound(why) | Self::NoKey(why) => Some(why),
            Self::Ready(_) | Self::Unchecked(_) => None,
        }
    }
}

fn kind(profile: &Profile) -> &'static str {
    if profile.command.is_some() { "cli" } else { "http" }
}

fn source(registry: &Registry, profile: &Profile) -> String {
    registry.file(&profile.name).map_or_else(|| "built-in".to_owned(), |path| path.display().to_string())
}

fn list(cx: &Context, registry: &Registry) -> Done {
    let ours = environment::ours();
    let all: Vec<(&Profile, Status)> =
        registry.profiles().map(|profile| (&**profile, Status::of(profile, &ours))).collect();
    if cx.out.json {
        let rows: Vec<Value> = all.iter().map(|(profile, status)| row(registry, profile, status)).collect();
        cx.out.document(&Value::Array(rows))?;
        return Ok(0);
    }
    if cx.out.quiet {
        for (profile, _) in &all {
            cx.out.line(&profile.name)?;
        }
        return Ok(0);
    }
    let mut headings = vec!["NAME", "KIND", "STATUS", "DEFAULT MODEL"];
    let files = all.iter().any(|(profile, _)| registry.file(&profile.name).is_some());
    if files || cx.out.verbose {
        headings.push("SOURCE");
    }
    let mut table = Table::new(&headings);
    for (profile, status) in &all {
        let mut cells: Vec<Cell> = vec![
            profile.name.clone().into(),
            kind(profile).into(),
            status.cell(cx.out.style),
            profile.default_model.clone().unwrap_or_else(|| "(instrument default)".to_owned()).into(),
        ];
        if headings.len() > 4 {
            cells.push(source(registry, profile).into());
        }
        table.row(cells);
    }
    let count = |word: &str| all.iter().filter(|(_, status)| status.word() == word).count();
    let (ready, unchecked) = (count("ready"), count("unchecked"));
    let unchecked = if unchecked > 0 { format!(", {unchecked} unchecked") } else { String::new() };
    cx.out.text(&format!(
        "{}\n{} instruments configured ({ready} ready{unchecked})\n",
        table.render(cx.out.style),
        all.len()
    ))?;
    Ok(0)
}

fn row(registry: &Registry, profile: &Profile, status: &Status) -> Value {
    json!({
        "name": profile.name, "display_name": profile.display_name, "kind": kind(profile),
        "status": status.word(), "ready": matches!(status, Status::Ready(_)),
        "binary_path": status.program(), "default_model": profile.default_model,
        "capabilities": profile.capabilities, "source": source(registry, profile),
    })
}

fn check(cx: &Context, registry: &Registry, name: &str, probe: bool) -> Done {
    let Some(profile) = registry.get(name) else {
        return Err(unknown(registry, name).into());
    };
    let ours = environment::ours();
    let status = Status::of(profile, &ours);
    let version = match (&status, &profile.http) {
        (Status::Ready(invocation), _) if probe => Some(version(invocation)?),
        (Status::Unchecked(_), Some(http)) if probe => Some(service(http)?),
        _ => None,
    };
    let answered = version.as_ref().is_none_or(|version| version.answered);
    let good = status.problem().is_none() && answered;
    if cx.out.json {
        let mut document = row(registry, profile, &status);
        document["models"] = json!(profile.models);
        document["description"] = json!(profile.description);
        document["executable"] = json!(profile.command.as_ref().map(|command| &command.executable));
        document["binary_found"] = json!(status.program().is_some());
        let http = profile.http.as_ref();
        document["endpoint"] = json!(http.map(|http| http.url(None)));
        document["auth_env_var"] = json!(http.and_then(|http| http.auth_env_var.as_deref()));
        document["argv"] = json!(status.invocation().map(|invocation| &invocation.argv));
        document["required_env"] = json!(required(profile, &ours).collect::<BTreeMap<_, _>>());
        document["probe"] = version.as_ref().map_or(Value::Null, Version::document);
        cx.out.document(&document)?;
        return Ok(if good { 0 } else { FAILED });
    }
    if !cx.out.quiet {
        cx.out.text(&about(registry, profile, &status, &ours, version.as_ref()))?;
    }
    let why = match (status.problem(), &version) {
        (Some(why), _) => why.to_owned(),
        (None, Some(version)) if !version.answered => {
            let what = if profile.http.is_some() { "the service" } else { "its program" };
            format!("{what} does not answer: {}", version.text)
        }
        (None, None) if profile.http.is_some() => {
            let text = format!("\n{} can be called; --probe asks whether its service answers.", profile.name);
            cx.out.say(&text)?;
            return Ok(0);
        }
        (None, _) => {
            cx.out.say(&format!("\n{} is ready.", profile.name))?;
            return Ok(0);
        }
    };
    Err(Failure::new("not_ready", format!("{} is not ready.", profile.name)).hint(why).into())
}

/// What is said about a name that no usable profile has: a broken file is the reason, or a slip of the fingers.
fn unknown(registry: &Registry, name: &str) -> Failure {
    if let Some((path, why)) = registry.broken(name) {
        return Failure::new("usage", format!("The profile of instrument '{name}' is broken: {why}"))
            .hint(format!("mend {}, then check again", path.display()));
    }
    let list = "Run 'mozart instruments list' to see available instruments";
    let hint = match registry.alike(name) {
        Some(meant) => format!("Did you mean '{meant}'? {list}"),
        None => list.to_owned(),
    };
    Failure::new("usage", format!("Unknown instrument: '{name}'")).hint(hint)
}

/// Variables that a profile names, and whether they are set. Values are secrets.
fn required<'p>(profile: &'p Profile, ours: &'p Environment) -> impl Iterator<Item = (&'p str, bool)> {
    let names = profile.command.iter().flat_map(|command| command.required_env.iter().flatten());
    let key = profile.http.iter().filter_map(|http| http.auth_env_var.as_ref());
    names.chain(key).map(|name| (name.as_str(), ours.contains_key(name)))
}

fn about(
    registry: &Registry,
    profile: &Profile,
    status: &Status,
    ours: &Environment,
    version: Option<&Version>,
) -> String {
    let mut lines = vec![format!("{} ({})", profile.display_name, profile.name)];
    let mut say = |label: &str, text: String| {
        lines.push(format!("  {:<16}{}", format!("{label}:"), format::clean(&text)))
    };
    if let Some(text) = &profile.description {
        say("Description", format::one_line(text, None));
    }
    say("Kind", kind(profile).to_owned());
    say("Source", source(registry, profile));
    if let Some(command) = &profile.command {
        let found = status.program().map_or_else(|| "not found".to_owned(), str::to_owned);
        say("Program", format!("{} ({found})", command.executable));
    }
    if let Some(http) = &profile.http {
        say("Address", http.url(None));
        say("Family", http.family.as_str().to_owned());
    }
    if let Some(invocation) = status.invocation() {
        say("Executes", shown(&invocation.argv));
        let input = match invocation.stdin {
            StdinSource::Null => "nothing",
            StdinSource::Prompt(_) => "the prompt",
        };
        say("Standard input", input.to_owned());
        for warning in &invocation.warnings {
            say("Remark", warning.clone());
        }
    }
    if let Some(version) = version {
        say(if profile.http.is_some() { "Service" } else { "Version" }, version.text.clone());
    }
    let variables: Vec<String> = required(profile, ours)
        .map(|(name, set)| format!("{name} ({})", if set { "set" } else { "not set" }))
        .collect();
    if !variables.is_empty() {
        say("Variables", variables.join(", "));
    }
    if !profile.capabilities.is_empty() {
        say("Capabilities", profile.capabilities.iter().cloned().collect::<Vec<_>>().join(", "));
    }
    say("Timeout", format!("{}s", profile.default_timeout.as_secs_f64()));
    say("Default model", profile.default_model.clone().unwrap_or_else(|| "(instrument default)".to_owned()));
    for model in &profile.models {
        say(
            "Model",
            format!(
                "{}: {} tokens, ${} in and ${} out per 1000, {} at once",
                model.name,
                model.context_window,
                model.cost_per_1k_input,
                model.cost_per_1k_output,
                model.max_concurrent
            ),
        );
    }
    lines.join("\n") + "\n"
}

/// An argument list as a shell would take it.
fn shown(argv: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    let quoted = argv.iter().map(|argument| {
        let simple = !argument.is_empty() && argument.chars().all(plain);
        if simple { argument.clone() } else { format!("'{}'", argument.replace('\'', r"'\''")) }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

/// What `<binary> --version` said.
struct Version {
    answered: bool,
    text: String,
    exit_code: Option<i32>,
    seconds: f64,
}

impl Version {
    fn document(&self) -> Value {
        json!({
            "answered": self.answered, "version": self.text, "exit_code": self.exit_code,
            "duration_seconds": self.seconds,
        })
    }
}

/// Asks the server of a service for anything; every answer is one. No key is sent.
fn service(service: &Http) -> Result<Version, Stop> {
    let request = http::Request::get(&service.base_url, PROBE, ANSWER);
    let ours = environment::for_command(&environment::ours()).into_iter().collect();
    let started = std::time::Instant::now();
    let answer = http::ask(&own_program()?, &request, ours, &Control::new());
    let (answered, text) = match answer {
        Ok(reply) => (true, format!("answers with status {}", reply.status)),
        Err(error) => (false, error.message),
    };
    Ok(Version { answered, text, exit_code: None, seconds: started.elapsed().as_secs_f64() })
}

fn own_program() -> Result<PathBuf, Stop> {
    guard::default_program().ok_or_else(|| {
        Failure::new("internal", "cannot find the program that supervises others")
            .hint("Put mozart on the PATH")
            .into()
    })
}

/// Runs the program of a call with `--version` alone.
fn version(invocation: &Invocation) -> Result<Version, Stop> {
    let guard = own_program()?;
    let program = invocation.argv.first().cloned().unwrap_or_default();
    let spec = BoundSpec {
        argv: vec![program, "--version".to_owned()],
        cwd: std::env::temp_dir(),
        env: invocation.env.clone(),
        token: None,
        timeout: Some(PROBE),
        grace: GRACE,
        output_cap: ANSWER,
        log: None,
    };
    let end = executor::bound(&guard, &spec, &Control::new());
    let output = String::from_utf8_lossy(&end.output).into_owned();
    let first =
        format::one_line(output.lines().find(|line| !line.trim().is_empty()).unwrap_or(""), Some(200));
    let text = match (&end.spawn_error, end.timed_out, end.exit_code) {
        (Some(error), _, _) => error.message.clone(),
        (None, true, _) => format!("no answer to --version within {} s", PROBE.as_secs()),
        (None, false, Some(0)) if first.is_empty() => "(says nothing)".to_owned(),
        (None, false, Some(0)) => first,
        (None, false, code) => {
            let code = code.map_or_else(|| "a signal".to_owned(), |code| format!("exit code {code}"));
            format!("--version ended with {code}: {first}")
        }
    };
    let answered = end.spawn_error.is_none() && !end.timed_out && end.exit_code == Some(0);
    Ok(Version { answered, text, exit_code: end.exit_code, seconds: end.duration.as_secs_f64() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn argument_lists_are_shown_as_a_shell_takes_them() {
        let argv = ["/bin/bash", "-c", "echo 'a b'", ""].map(str::to_owned);
        assert_eq!(shown(&argv), r#"/bin/bash -c 'echo '\''a b'\''' ''"#);
    }
}
