//! What a profile file says of one instrument, checked. Unknown keys are rejected.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};

use super::http::{self, Http, Section};
use super::path::DotPath;
use crate::classify::{PatternList, Patterns};
use crate::cost::Price;

/// Timeout of a profile that gives none: 30 minutes.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1800);

/// One instrument: a command-line program or a service, and how to talk to it.
#[derive(Debug, Clone)]
pub struct Profile {
    /// The name that scores use.
    pub name: String,
    /// For people.
    pub display_name: String,
    /// For people.
    pub description: Option<String>,
    /// Informational: `tool_use`, `vision`, ...
    pub capabilities: BTreeSet<String>,
    /// Known models with their limits and prices.
    pub models: Vec<Model>,
    /// Used when the score names no model.
    pub default_model: Option<String>,
    /// Used when the score gives no timeout.
    pub default_timeout: Duration,
    /// The prompt is the rendered template alone, byte for byte.
    pub raw_prompt: bool,
    /// Command line; `None` for instruments of kind `http`.
    pub command: Option<Command>,
    /// Address; `None` for instruments of kind `cli`.
    pub http: Option<Http>,
    /// How to read what it prints.
    pub output: Output,
    /// How to read its failures.
    pub patterns: Patterns,
}

impl Profile {
    /// What is known of the model that is called: the named one, else the default.
    #[must_use]
    pub fn model(&self, named: Option<&str>) -> Option<&Model> {
        let name = named.or(self.default_model.as_deref())?;
        self.models.iter().find(|model| model.name == name)
    }
}

impl Model {
    /// What its tokens cost.
    #[must_use]
    pub fn price(&self) -> Option<Price> {
        Price::per_thousand(self.cost_per_1k_input, self.cost_per_1k_output)
    }
}

/// One model of an instrument.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// As the instrument calls it.
    pub name: String,
    /// Tokens.
    pub context_window: u64,
    /// US dollars.
    pub cost_per_1k_input: f64,
    /// US dollars.
    pub cost_per_1k_output: f64,
    /// Tokens.
    #[serde(default)]
    pub max_output_tokens: Option<u64>,
    /// Sheets of all jobs that may use it at once.
    #[serde(default = "four")]
    pub max_concurrent: u32,
}

fn four() -> u32 {
    4
}

/// `cli.command` of a profile.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Program, looked up on the `PATH` of its own environment.
    pub executable: String,
    /// First argument.
    #[serde(default)]
    pub subcommand: Option<String>,
    /// Stands before the prompt; none = the prompt is positional.
    #[serde(default)]
    pub prompt_flag: Option<String>,
    /// The prompt comes through stdin (the default).
    #[serde(default = "yes")]
    pub prompt_via_stdin: bool,
    /// Stands for the prompt on the command line when it comes through stdin.
    #[serde(default)]
    pub stdin_sentinel: Option<String>,
    /// Takes the path of a file with a prompt that is too long for the command line.
    #[serde(default)]
    pub prompt_file_flag: Option<String>,
    /// `--` before a positional prompt that begins with `-`.
    #[serde(default)]
    pub positional_separator: bool,
    /// Takes the model.
    #[serde(default)]
    pub model_flag: Option<String>,
    /// Makes it act without asking.
    #[serde(default)]
    pub auto_approve_flag: Option<String>,
    /// Takes `output_format_value`.
    #[serde(default)]
    pub output_format_flag: Option<String>,
    /// Its value; none = the flag stands alone.
    #[serde(default)]
    pub output_format_value: Option<String>,
    /// Takes the path of a system prompt.
    #[serde(default)]
    pub system_prompt_flag: Option<String>,
    /// Takes the allowed tools, joined by commas.
    #[serde(default)]
    pub allowed_tools_flag: Option<String>,
    /// Takes the path of a tool-server configuration.
    #[serde(default)]
    pub mcp_config_flag: Option<String>,
    /// Takes the timeout in whole seconds.
    #[serde(default)]
    pub timeout_flag: Option<String>,
    /// Takes the working directory.
    #[serde(default)]
    pub working_dir_flag: Option<String>,
    /// Switches tool servers off.
    #[serde(default)]
    pub mcp_disable_args: Vec<String>,
    /// After everything else, before what the score adds.
    #[serde(default)]
    pub extra_flags: Vec<String>,
    /// Variables; `${VAR}` is taken from the conductor's environment.
    #[serde(default, deserialize_with = "texts")]
    pub env: BTreeMap<String, String>,
    /// When given, the child gets only the usual variables and these.
    #[serde(default)]
    pub required_env: Option<Vec<String>>,
    /// Accepted for older files: every instrument gets a session of its own.
    #[serde(default)]
    pub start_new_session: bool,
}

fn yes() -> bool {
    true
}

/// YAML numbers and booleans as values of variables are taken as text.
fn texts<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    let raw: BTreeMap<String, serde_yaml::Value> = BTreeMap::deserialize(from)?;
    raw.into_iter()
        .map(|(name, value)| match value {
            serde_yaml::Value::String(text) => Ok((name, text)),
            serde_yaml::Value::Bool(flag) => Ok((name, flag.to_string())),
            serde_yaml::Value::Number(number) => Ok((name, number.to_string())),
            _ => Err(D::Error::custom(format!("the value of `{name}` must be a text"))),
        })
        .collect()
}

/// Shape of what an instrument prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Plain text: all of stdout is the result.
    #[default]
    Text,
    /// One JSON document.
    Json,
    /// One JSON object per line.
    Jsonl,
}

/// `cli.output` of a profile.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// Shape of stdout.
    #[serde(default)]
    pub format: Format,
    /// Result of a success.
    #[serde(default)]
    pub result_path: Option<DotPath>,
    /// Message of a failure.
    #[serde(default)]
    pub error_path: Option<DotPath>,
    /// What holds for output that reports a failure, whatever the exit code says: in json for the document, in
    /// jsonl for the last event that has all these paths. `None` = `is_error: true`, in jsonl of the event that
    /// carries the result; empty = never.
    #[serde(default)]
    pub error_marker: Option<BTreeMap<DotPath, serde_json::Value>>,
    /// jsonl: `type` of the event that carries the result.
    #[serde(default)]
    pub completion_event_type: Option<String>,
    /// jsonl: what else must hold for that event.
    #[serde(default)]
    pub completion_event_filter: BTreeMap<DotPath, serde_json::Value>,
    /// jsonl: concatenate the results of all such events (streamed text) instead of taking the last.
    #[serde(default)]
    pub collect: bool,
    /// Tokens read.
    #[serde(default)]
    pub input_tokens_path: Option<DotPath>,
    /// Tokens written.
    #[serde(default)]
    pub output_tokens_path: Option<DotPath>,
    /// Tokens read and written together, for programs that do not tell them apart.
    #[serde(default)]
    pub total_tokens_path: Option<DotPath>,
    /// What the run cost by the program's own account, in US dollars.
    #[serde(default)]
    pub cost_path: Option<DotPath>,
    /// Sum all matches instead of taking the first (json) or last (jsonl).
    #[serde(default)]
    pub aggregate_tokens: bool,
    /// The code of a failure, of our own program alone.
    #[serde(skip)]
    pub(crate) code_path: Option<DotPath>,
    /// jsonl: `type` of an event that reports a rate limit.
    #[serde(skip)]
    pub rate_limit_event_type: Option<String>,
    /// jsonl: what else must hold for that event.
    #[serde(skip)]
    pub rate_limit_event_filter: BTreeMap<DotPath, serde_json::Value>,
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    display_name: String,
    #[serde(default)]
    description: Option<String>,
    kind: Kind,
    #[serde(default)]
    capabilities: BTreeSet<String>,
    #[serde(default)]
    models: Vec<Model>,
    #[serde(default)]
    default_model: Option<String>,
    #[serde(default)]
    default_timeout_seconds: Option<f64>,
    #[serde(default)]
    raw_prompt: bool,
    #[serde(default, rename = "code_mode")]
    _code_mode: Option<serde_yaml::Value>,
    #[serde(default)]
    cli: Option<Cli>,
    #[serde(default)]
    http: Option<Section>,
}

#[derive(Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Cli,
    Http,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cli {
    command: Command,
    output: Output,
    #[serde(default)]
    errors: Errors,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Errors {
    success_exit_codes: Option<Vec<i32>>,
    rate_limit_exit_codes: Vec<i32>,
    rate_limit_patterns: Vec<String>,
    auth_error_patterns: Vec<String>,
    capacity_patterns: Vec<String>,
    timeout_patterns: Vec<String>,
    crash_patterns: Vec<String>,
    stale_patterns: Vec<String>,
    rate_limit_event_type: Option<String>,
    rate_limit_event_filter: BTreeMap<DotPath, serde_json::Value>,
    text_exit1_is_validation: bool,
}

impl Profile {
    /// Reads a profile file. The error is one line for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: File = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
        let name = file.name.clone();
        if name.is_empty() || file.display_name.is_empty() {
            return Err("`name` and `display_name` must not be empty".to_owned());
        }
        match (&file.kind, &file.cli, &file.http) {
            (Kind::Cli, None, _) => {
                return Err(format!(
                    "instrument '{name}' has kind=cli but no cli profile: add a `cli:` section"
                ));
            }
            (Kind::Http, _, None) => {
                return Err(format!(
                    "instrument '{name}' has kind=http but no http profile: add an `http:` section"
                ));
            }
            (Kind::Cli | Kind::Http, ..) => (),
        }
        if file.models.iter().any(|model| !model.is_valid()) {
            return Err(
                "a model needs a name, sizes and `max_concurrent` from 1, and prices from 0".to_owned()
            );
        }
        let default_timeout = match file.default_timeout_seconds {
            None => DEFAULT_TIMEOUT,
            // Below a nanosecond it would be none at all.
            Some(seconds) if seconds >= 1e-9 => Duration::try_from_secs_f64(seconds)
                .map_err(|_| "`default_timeout_seconds` is too large".to_owned())?,
            Some(_) => return Err("`default_timeout_seconds` must be greater than 0".to_owned()),
        };
        let (cli, service) = match file.kind {
            Kind::Cli => (file.cli, None),
            Kind::Http => (None, file.http),
        };
        let service = service.map(|section| section.check(&name)).transpose()?;
        let (command, mut output, errors) = match cli {
            Some(cli) => (Some(cli.command), cli.output, cli.errors),
            None => (None, http::output(), Errors::default()),
        };
        if command.as_ref().is_some_and(|command| command.executable.is_empty()) {
            return Err("`cli.command.executable` must not be empty".to_owned());
        }
        output.rate_limit_event_type = errors.rate_limit_event_type.clone();
        output.rate_limit_event_filter = errors.rate_limit_event_filter.clone();
        Ok(Self {
            name,
            display_name: file.display_name,
            description: file.description,
            capabilities: file.capabilities,
            models: file.models,
            default_model: file.default_model,
            default_timeout,
            raw_prompt: file.raw_prompt,
            command,
            output,
            patterns: if service.is_some() { http::patterns() } else { patterns(&errors) },
            http: service,
        })
    }

    /// A remark about something that is allowed but probably wrong.
    pub(super) fn remark(&self) -> Option<String> {
        let model = self.default_model.as_ref()?;
        let known = self.models.is_empty() || self.models.iter().any(|known| known.name == *model);
        (!known).then(|| format!("`default_model` {model} is not one of `models`"))
    }
}

impl Model {
    fn is_valid(&self) -> bool {
        !self.name.is_empty()
            && self.context_window > 0
            && self.max_concurrent > 0
            && self.max_output_tokens != Some(0)
            && self.cost_per_1k_input >= 0.0
            && self.cost_per_1k_output >= 0.0
    }
}

fn patterns(errors: &Errors) -> Patterns {
    let list = |texts: &Vec<String>| PatternList::new(texts.clone());
    Patterns {
        success_exit_codes: errors.success_exit_codes.clone().unwrap_or_else(|| vec![0]),
        rate_limit_exit_codes: errors.rate_limit_exit_codes.clone(),
        text_exit1_is_validation: errors.text_exit1_is_validation,
        rate_limit: list(&errors.rate_limit_patterns),
        auth: list(&errors.auth_error_patterns),
        capacity: list(&errors.capacity_patterns),
        timeout: list(&errors.timeout_patterns),
        crash: list(&errors.crash_patterns),
        stale: list(&errors.stale_patterns),
    }
}
