//! The keys that say which program runs a sheet, and how.

use crate::schema::key::Default::{Is, Nothing, Required, Says, Unsaid};
use crate::schema::key::Kind::{
    Bool, ByName, ByNumber, Filled, Int, Label, Like, List, Number, Path, Seconds, Section, Text, Word,
};
use crate::schema::key::Range::{Above, Within};
use crate::schema::key::{Key, MANY, key, older};

pub(super) const INSTRUMENT_CONFIG: &[Key] = &[
    key(
        "instrument_config.timeout_seconds",
        Seconds(Above(0.0)),
        Says("of the profile, else 1800"),
        "Longest run of the program.",
    ),
    key(
        "instrument_config.timeout_overrides",
        ByNumber(&Seconds(Above(0.0))),
        Is("{}"),
        "Longest run for single sheets.",
    ),
    key("instrument_config.skip_permissions", Bool, Is("true"), "Pass the flag that approves everything.")
        .or_null(),
    key("instrument_config.disable_mcp", Bool, Is("true"), "Pass the arguments that switch MCP off.")
        .or_null(),
    key("instrument_config.allowed_tools", List(&Text), Nothing, "Tools the program may use."),
    key("instrument_config.model", Text, Says("of the profile"), "Model."),
    key("instrument_config.cli_model", Text, Unsaid, "Another name of `model`."),
    key(
        "instrument_config.max_tokens",
        Int(1, MANY),
        Says("of the profile"),
        "Most tokens of an answer; for instruments of kind http.",
    ),
    key(
        "instrument_config.temperature",
        Number(Within(0.0, 2.0)),
        Says("of the profile"),
        "Temperature; for instruments of kind http.",
    ),
    key(
        "instrument_config.api_key_env",
        Text,
        Says("of the profile"),
        "Environment variable that holds the key; for instruments of kind http.",
    ),
    key(
        "instrument_config.base_url",
        Text,
        Says("of the profile"),
        "Address of the service; for instruments of kind http.",
    ),
    key("instrument_config.system_prompt_file", Path, Nothing, "File with the system prompt."),
    key(
        "instrument_config.output_format",
        Word(&["text", "json", "stream-json"]),
        Says("of the profile"),
        "Output format; `text` is read as text.",
    ),
    key("instrument_config.cli_extra_args", List(&Text), Is("[]"), "Arguments added at the end."),
    key("instrument_config.working_directory", Path, Says("the workspace"), "Directory of the program."),
    key("instrument_config.env", ByName(&Label(0, 0)), Is("{}"), "Additional environment."),
    key(
        "instrument_config.max_output_capture_bytes",
        Int(1, MANY),
        Is("51200"),
        "Bytes kept of the end of each stream, at most 1048576; the log files of the attempt have everything.",
    )
    .or_null(),
    key(
        "instrument_config.kill_grace_seconds",
        Number(Within(0.0, 60.0)),
        Says("of the conductor"),
        "Time between TERM and KILL.",
    ),
    key("instrument_config.nice", Int(0, 19), Is("0"), "Priority.").or_null(),
];

pub(super) const INSTRUMENTS_MOVEMENTS: &[Key] = &[
    key("instruments.*.profile", Filled, Required, "Profile that the alias stands for."),
    key("instruments.*.config", Like("instrument_config"), Is("{}"), "As `instrument_config`."),
    key("movements.*.name", Label(0, 0), Nothing, "Label of the stage."),
    key("movements.*.instrument", Filled, Nothing, "Instrument of the stage."),
    key(
        "movements.*.instrument_config",
        Like("instrument_config"),
        Is("{}"),
        "As `instrument_config`, for the stage.",
    ),
    key("movements.*.voices", Int(1, MANY), Nothing, "Instances of the stage, as `sheet.fan_out`.")
        .rule("another number than `sheet.fan_out` has for the stage"),
    key(
        "movements.*.instrument_fallbacks",
        List(&Filled),
        Is("[]"),
        "Replaces the fallbacks of the score when not empty.",
    ),
];

pub(super) const BACKEND: &[Key] = &[
    key("backend.type", Filled, Is("\"claude_cli\""), "Instrument.")
        .rule("`recursive_light`, which is no longer supported"),
    key("backend.skip_permissions", Bool, Is("true"), "As `instrument_config.skip_permissions`.").or_null(),
    key("backend.disable_mcp", Bool, Is("true"), "As `instrument_config.disable_mcp`.").or_null(),
    key(
        "backend.output_format",
        Word(&["text", "json", "stream-json"]),
        Is("\"text\""),
        "As `instrument_config.output_format`.",
    )
    .or_null(),
    key("backend.allowed_tools", List(&Text), Nothing, "As `instrument_config.allowed_tools`."),
    key("backend.system_prompt_file", Path, Nothing, "As `instrument_config.system_prompt_file`."),
    key(
        "backend.working_directory",
        Path,
        Says("the workspace"),
        "As `instrument_config.working_directory`.",
    ),
    key(
        "backend.timeout_seconds",
        Seconds(Above(0.0)),
        Is("1800"),
        "As `instrument_config.timeout_seconds`.",
    ),
    key(
        "backend.timeout_overrides",
        ByNumber(&Seconds(Above(0.0))),
        Is("{}"),
        "As `instrument_config.timeout_overrides`.",
    ),
    key("backend.cli_extra_args", List(&Text), Is("[]"), "As `instrument_config.cli_extra_args`."),
    key(
        "backend.max_output_capture_bytes",
        Int(1, MANY),
        Is("51200"),
        "As `instrument_config.max_output_capture_bytes`.",
    )
    .or_null(),
    key("backend.cli_model", Text, Nothing, "Model of a command line program."),
    key("backend.model", Text, Nothing, "Model of an HTTP instrument."),
    key(
        "backend.api_key_env",
        Text,
        Nothing,
        "Environment variable that holds the key of an HTTP instrument.",
    ),
    key("backend.max_tokens", Int(1, MANY), Nothing, "Most tokens of an answer of an HTTP instrument."),
    key(
        "backend.temperature",
        Number(Within(0.0, 1.0)),
        Says("0.7 for `anthropic_api`"),
        "Temperature of an HTTP instrument.",
    ),
    key("backend.sheet_overrides", ByNumber(&Section), Is("{}"), "Settings of single sheets."),
    key("backend.sheet_overrides.*.cli_model", Text, Nothing, "Model."),
    key("backend.sheet_overrides.*.model", Text, Nothing, "Model, when `cli_model` is not given."),
    key(
        "backend.sheet_overrides.*.max_tokens",
        Int(1, MANY),
        Nothing,
        "Most tokens of an answer of an HTTP instrument.",
    ),
    key(
        "backend.sheet_overrides.*.temperature",
        Number(Within(0.0, 1.0)),
        Says("of `backend`"),
        "Temperature of an HTTP instrument.",
    ),
    key(
        "backend.sheet_overrides.*.timeout_seconds",
        Seconds(Above(0.0)),
        Nothing,
        "Longest run; wins over `timeout_overrides`.",
    ),
    key("backend.ollama", Section, Unsaid, "Local model server; used when `type` is `ollama`."),
    key("backend.ollama.base_url", Text, Is("\"http://localhost:11434\""), "Address."),
    key("backend.ollama.model", Text, Is("\"llama3.1:8b\""), "Model."),
    key("backend.ollama.num_ctx", Int(4096, MANY), Is("32768"), "Context window, in tokens."),
    older("backend.ollama.dynamic_tools", Bool, Is("true"), "A prompt is sent without tools."),
    older(
        "backend.ollama.compression_level",
        Word(&["minimal", "moderate", "aggressive"]),
        Is("\"moderate\""),
        "As `dynamic_tools`.",
    ),
    key(
        "backend.ollama.timeout_seconds",
        Seconds(Above(0.0)),
        Is("300"),
        "Longest run, when `backend.timeout_seconds` is not set.",
    ),
    key("backend.ollama.keep_alive", Text, Is("\"5m\""), "How long the model stays loaded after an answer."),
    older("backend.ollama.max_tool_iterations", Int(1, 50), Is("10"), "As `dynamic_tools`."),
    key(
        "backend.ollama.health_check_timeout",
        Seconds(Above(0.0)),
        Is("10"),
        "Seconds in which the server must answer before the prompt is sent.",
    ),
    older(
        "backend.recursive_light",
        Section,
        Unsaid,
        "Settings of a program that is no longer supported; ignored.",
    ),
    older("backend.recursive_light.endpoint", Text, Nothing, "Ignored."),
    older("backend.recursive_light.user_id", Text, Nothing, "Ignored."),
    older("backend.recursive_light.timeout", Seconds(Above(0.0)), Is("30"), "Ignored."),
];
