//! Which program runs a sheet and how it is called: `instrument_config`, `instruments`, `movements`, `backend`.
//!
//! Both generations of the format end in the same [`InstrumentConfig`]; nothing here carries a default, so that
//! levels can be laid over each other and what nobody set is left to the instrument's profile.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::decode::{At, Bound, Fields};
use super::issue::Issue;
use super::paths::resolve;

/// Settings for calling an instrument. `None` = not set: the profile decides.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct InstrumentConfig {
    /// Longest run of the program, seconds.
    pub timeout_seconds: Option<f64>,
    /// `false` leaves out the profile's flag that approves everything.
    pub skip_permissions: Option<bool>,
    /// `false` leaves out the profile's arguments that switch MCP off.
    pub disable_mcp: Option<bool>,
    /// Tools the program may use.
    pub allowed_tools: Option<Vec<String>>,
    /// Timeouts of single sheets, by concrete number; merged into `timeout_seconds` by the plan.
    pub timeout_overrides: BTreeMap<u32, f64>,
    /// Model.
    pub model: Option<String>,
    /// Most tokens of an answer, >= 1.
    pub max_tokens: Option<u64>,
    /// Temperature, 0-2.
    pub temperature: Option<f64>,
    /// Environment variable that holds the key.
    pub api_key_env: Option<String>,
    /// Address of an HTTP instrument.
    pub base_url: Option<String>,
    /// File with the system prompt, absolute.
    pub system_prompt_file: Option<PathBuf>,
    /// Output format to ask for; `Text` also means that the output is read as text.
    pub output_format: Option<OutputFormat>,
    /// Appended last.
    pub cli_extra_args: Option<Vec<String>>,
    /// Working directory of the program, absolute; otherwise the workspace.
    pub working_directory: Option<PathBuf>,
    /// Additional environment; `${NAME}` in values is not expanded here.
    pub env: BTreeMap<String, String>,
    /// Bytes kept of the end of each output stream, > 0.
    pub max_output_capture_bytes: Option<u64>,
    /// Time between TERM and KILL, 0-60.
    pub kill_grace_seconds: Option<f64>,
    /// Priority, 0-19.
    pub nice: Option<u8>,
}

/// Output format of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutputFormat {
    /// Plain text.
    Text,
    /// One JSON document.
    Json,
    /// One JSON document a line.
    StreamJson,
}

impl OutputFormat {
    const WORDS: &[(&str, Self)] =
        &[("text", Self::Text), ("json", Self::Json), ("stream-json", Self::StreamJson)];

    /// As written in a score.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::StreamJson => "stream-json",
        }
    }
}

const ABOVE_ZERO: Bound = Bound::Above(0.0);
const NO_LIMIT: i64 = i64::MAX;

impl InstrumentConfig {
    /// Decodes `instrument_config` and every `config`: unknown keys are only remarked.
    pub(super) fn decode(at: &At<'_>, dir: &Path) -> Option<Self> {
        let mut f = at.fields()?;
        let mut config = Self::shared(&mut f, dir);
        config.timeout_seconds = f.opt_seconds("timeout_seconds", ABOVE_ZERO);
        config.timeout_overrides = timeouts(&mut f);
        config.model = f.opt_text("cli_model");
        if let Some(model) = f.opt_text("model") {
            config.model = Some(model);
        }
        config.max_tokens = f.opt_int("max_tokens", 1..=NO_LIMIT);
        config.temperature = f.opt_float("temperature", Bound::Within(0.0, 2.0));
        config.api_key_env = f.opt_text("api_key_env");
        config.base_url = f.opt_text("base_url");
        config.env = f
            .present("env")
            .and_then(|at| at.named(|_, at| at.label()))
            .unwrap_or_default()
            .into_iter()
            .collect();
        config.kill_grace_seconds = f.opt_float("kill_grace_seconds", Bound::Within(0.0, 60.0));
        config.nice = f.opt_int("nice", 0..=19);
        f.finish_leniently("V221");
        Some(config)
    }

    /// The keys that `backend` has too.
    fn shared(f: &mut Fields<'_>, dir: &Path) -> Self {
        Self {
            skip_permissions: f.opt_boolean("skip_permissions"),
            disable_mcp: f.opt_boolean("disable_mcp"),
            allowed_tools: f.nullable("allowed_tools").and_then(|at| at.texts()),
            system_prompt_file: f.opt_text("system_prompt_file").map(|text| resolve(dir, &text)),
            output_format: f.nullable("output_format").and_then(|at| at.one_of(OutputFormat::WORDS)),
            cli_extra_args: f.nullable("cli_extra_args").and_then(|at| at.texts()),
            working_directory: f.opt_text("working_directory").map(|text| resolve(dir, &text)),
            max_output_capture_bytes: f.opt_int("max_output_capture_bytes", 1..=NO_LIMIT),
            ..Self::default()
        }
    }

    /// Lays another level over this one: what it sets wins.
    pub(crate) fn lay_over(&mut self, other: &Self) {
        fn over<T: Clone>(slot: &mut Option<T>, other: &Option<T>) {
            if let Some(value) = other {
                *slot = Some(value.clone());
            }
        }
        over(&mut self.timeout_seconds, &other.timeout_seconds);
        over(&mut self.skip_permissions, &other.skip_permissions);
        over(&mut self.disable_mcp, &other.disable_mcp);
        over(&mut self.allowed_tools, &other.allowed_tools);
        over(&mut self.model, &other.model);
        over(&mut self.max_tokens, &other.max_tokens);
        over(&mut self.temperature, &other.temperature);
        over(&mut self.api_key_env, &other.api_key_env);
        over(&mut self.base_url, &other.base_url);
        over(&mut self.system_prompt_file, &other.system_prompt_file);
        over(&mut self.output_format, &other.output_format);
        over(&mut self.cli_extra_args, &other.cli_extra_args);
        over(&mut self.working_directory, &other.working_directory);
        over(&mut self.max_output_capture_bytes, &other.max_output_capture_bytes);
        over(&mut self.kill_grace_seconds, &other.kill_grace_seconds);
        over(&mut self.nice, &other.nice);
        self.timeout_overrides
            .extend(other.timeout_overrides.iter().map(|(sheet, seconds)| (*sheet, *seconds)));
        self.env.extend(other.env.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
}

fn timeouts(f: &mut Fields<'_>) -> BTreeMap<u32, f64> {
    let refuse = |n| format!("Sheet number must be positive integer, got {n}");
    f.present("timeout_overrides")
        .and_then(|at| at.by_number(refuse, |_, at| at.seconds(ABOVE_ZERO)))
        .unwrap_or_default()
}

/// Most entries of a list of fallbacks.
const MAX_FALLBACKS: usize = 16;

/// A list of instrument names.
pub(super) fn fallbacks(at: &At<'_>) -> Option<Vec<String>> {
    let names = at.list(|at| at.filled_text().map(str::to_owned))?;
    if names.len() > MAX_FALLBACKS {
        at.error(format!("List should have at most {MAX_FALLBACKS} items"));
        return None;
    }
    Some(names)
}

/// `instruments.<alias>`.
#[derive(Debug, Clone, PartialEq)]
pub struct InstrumentDef {
    /// Name of a registered profile; never another alias.
    pub profile: String,
    /// Laid over the score's own settings.
    pub config: InstrumentConfig,
}

impl InstrumentDef {
    pub(super) fn decode(at: &At<'_>, dir: &Path) -> Option<Self> {
        let mut f = at.fields()?;
        let profile = f.required("profile").and_then(|at| at.filled_text()).map(str::to_owned);
        let config =
            f.present("config").and_then(|at| InstrumentConfig::decode(&at, dir)).unwrap_or_default();
        f.finish();
        Some(Self { profile: profile?, config })
    }
}

/// `movements.<stage>`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Movement {
    /// Label in status output.
    pub name: Option<String>,
    /// Profile or alias for all sheets of the stage.
    pub instrument: Option<String>,
    /// Settings for the stage, also without an instrument of its own.
    pub instrument_config: InstrumentConfig,
    /// Instances of the stage, as `sheet.fan_out`.
    pub voices: Option<u32>,
    /// Replaces the score's fallbacks when not empty.
    pub instrument_fallbacks: Vec<String>,
}

impl Movement {
    pub(super) fn decode(at: &At<'_>, dir: &Path) -> Option<Self> {
        at.section(|f| Self {
            name: f.nullable("name").and_then(|at| at.label()),
            instrument: f.opt_filled("instrument"),
            instrument_config: f
                .present("instrument_config")
                .and_then(|at| InstrumentConfig::decode(&at, dir))
                .unwrap_or_default(),
            voices: f.opt_int("voices", 1..=NO_LIMIT),
            instrument_fallbacks: f
                .present("instrument_fallbacks")
                .and_then(|at| fallbacks(&at))
                .unwrap_or_default(),
        })
    }
}

/// `backend`: the older way to say what `instrument` and `instrument_config` say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Backend {
    /// Instrument name; `None` when the score does not say.
    pub kind: Option<String>,
    /// Its settings in today's form.
    pub config: InstrumentConfig,
    /// Settings of single sheets, by concrete number.
    pub sheet_overrides: BTreeMap<u32, InstrumentConfig>,
    /// Settings of a local model server.
    pub ollama: Ollama,
}

/// `backend.ollama`.
#[derive(Debug, Clone, PartialEq)]
pub struct Ollama {
    /// Address, `http://localhost:11434`.
    pub base_url: String,
    /// Model, `llama3.1:8b`.
    pub model: String,
    /// Context window, >= 4096, default 32768.
    pub num_ctx: u64,
    /// Offer tools by need, default true.
    pub dynamic_tools: bool,
    /// `minimal`, `moderate` (default) or `aggressive`.
    pub compression_level: &'static str,
    /// Default 300.
    pub timeout_seconds: f64,
    /// Default `5m`.
    pub keep_alive: String,
    /// 1-50, default 10.
    pub max_tool_iterations: u32,
    /// Seconds, default 10.
    pub health_check_timeout: f64,
}

impl Ollama {
    fn decode(f: &mut Fields<'_>) -> Self {
        let levels = [("minimal", "minimal"), ("moderate", "moderate"), ("aggressive", "aggressive")];
        Self {
            base_url: f.text("base_url", "http://localhost:11434"),
            model: f.text("model", "llama3.1:8b"),
            num_ctx: f.int("num_ctx", 4096..=NO_LIMIT, 32_768),
            dynamic_tools: f.boolean("dynamic_tools", true),
            compression_level: f.word("compression_level", &levels, "moderate"),
            timeout_seconds: f.seconds("timeout_seconds", ABOVE_ZERO, 300.0),
            keep_alive: f.text("keep_alive", "5m"),
            max_tool_iterations: f.int("max_tool_iterations", 1..=50, 10),
            health_check_timeout: f.seconds("health_check_timeout", ABOVE_ZERO, 10.0),
        }
    }
}

impl Default for Ollama {
    fn default() -> Self {
        Self {
            base_url: "http://localhost:11434".to_owned(),
            model: "llama3.1:8b".to_owned(),
            num_ctx: 32_768,
            dynamic_tools: true,
            compression_level: "moderate",
            timeout_seconds: 300.0,
            keep_alive: "5m".to_owned(),
            max_tool_iterations: 10,
            health_check_timeout: 10.0,
        }
    }
}

/// What the two families of the older format do not share.
const ONLY_CLI: [&str; 7] = [
    "skip_permissions",
    "disable_mcp",
    "output_format",
    "cli_model",
    "allowed_tools",
    "system_prompt_file",
    "cli_extra_args",
];
const ONLY_API: [&str; 4] = ["model", "api_key_env", "max_tokens", "temperature"];

impl Backend {
    pub(super) fn decode(f: &mut Fields<'_>, dir: &Path) -> Self {
        let kind = f.raw("type").and_then(|at| {
            let kind = at.filled_text()?;
            if kind == "recursive_light" {
                at.error(
                    "backend.type 'recursive_light' is no longer supported; use instrument: with an HTTP profile",
                );
            }
            Some(kind.to_owned())
        });
        let family = kind.as_deref().unwrap_or("claude_cli");
        let (other_cli, other_api, other_ollama): (&[&str], &[&str], bool) = match family {
            "claude_cli" => (&[], &ONLY_API, true),
            "anthropic_api" => (&ONLY_CLI, &[], true),
            "ollama" => (&ONLY_CLI, &ONLY_API, false),
            _ => (&[], &[], true),
        };
        let ignored: Vec<&str> = other_cli
            .iter()
            .chain(other_api)
            .copied()
            .chain(other_ollama.then_some("ollama"))
            .chain(["recursive_light"])
            .filter(|key| f.peek(key).is_some())
            .collect();
        if !ignored.is_empty() {
            let message =
                format!("for backend.type '{family}' these fields will be ignored: {}", ignored.join(", "));
            let at = ignored.first().and_then(|key| f.peek(key));
            let place = at.and_then(|at| at.place()).or_else(|| f.at.place());
            f.at.cx.push(Issue::warning("schema", &f.at.path, message).at(place));
        }

        let mut config = InstrumentConfig::shared(f, dir);
        config.timeout_seconds = f.raw("timeout_seconds").and_then(|at| at.seconds(ABOVE_ZERO));
        config.timeout_overrides = timeouts(f);
        let cli_model = f.opt_text("cli_model");
        let model = f.opt_text("model");
        let max_tokens = f.opt_int("max_tokens", 1..=NO_LIMIT);
        let temperature = f.opt_float("temperature", Bound::Within(0.0, 1.0));
        let api_key_env = f.opt_text("api_key_env");
        config.model = match family {
            "claude_cli" => cli_model,
            "anthropic_api" => model,
            "ollama" => None,
            _ => cli_model.or(model),
        };
        if !matches!(family, "claude_cli" | "ollama") {
            config.max_tokens = max_tokens;
            config.temperature = temperature;
            config.api_key_env = api_key_env;
        }
        let refuse = |n| format!("Sheet number must be positive integer, got {n}");
        let sheet_overrides = f
            .present("sheet_overrides")
            .and_then(|at| at.by_number(refuse, |_, at| at.section(sheet_override)))
            .unwrap_or_default();
        let ollama = f.section("ollama", Ollama::decode);
        f.section("recursive_light", |f| {
            f.opt_text("endpoint");
            f.opt_text("user_id");
            f.seconds("timeout", ABOVE_ZERO, 30.0);
        });
        if family == "ollama" {
            config.model = Some(ollama.model.clone());
            config.base_url = Some(ollama.base_url.clone());
            let own = f.peek("ollama").map(|_| ollama.timeout_seconds);
            config.timeout_seconds = config.timeout_seconds.or(own);
        }
        Self { kind, config, sheet_overrides, ollama }
    }
}

fn sheet_override(f: &mut Fields<'_>) -> InstrumentConfig {
    let cli_model = f.opt_text("cli_model");
    let model = f.opt_text("model");
    InstrumentConfig {
        model: cli_model.or(model),
        temperature: f.opt_float("temperature", Bound::Within(0.0, 1.0)),
        max_tokens: f.opt_int("max_tokens", 1..=NO_LIMIT),
        timeout_seconds: f.opt_seconds("timeout_seconds", ABOVE_ZERO),
        ..InstrumentConfig::default()
    }
}
