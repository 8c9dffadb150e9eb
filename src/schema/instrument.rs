//! The keys of an instrument profile.

use super::key::Default::{Is, Nothing, Required, Says, Unsaid};
use super::key::Kind::{Any, Bool, ByName, Filled, Int, List, Number, Section, Text, Word};
use super::key::Range::{Above, Least};
use super::key::{Group, Key, MANY, key, later};

/// For the schema.
pub(super) const ABOUT: &str = "How a command-line program is called and how what it prints is read.";

const TOP: &[Key] = &[
    key("name", Filled, Required, "Name that scores use."),
    key("display_name", Filled, Required, "Shown to people."),
    key("description", Text, Nothing, "Shown to people."),
    key(
        "kind",
        Word(&["cli", "http"]),
        Required,
        "`cli` is a program, `http` a service that is reached over HTTP.",
    )
    .rule("`cli` without a section `cli`, `http` without a section `http`"),
    key("capabilities", List(&Text), Is("[]"), "What it can do; informational."),
    key("models", List(&Section), Is("[]"), "Its models."),
    key("models.*.name", Filled, Required, "As the instrument calls it."),
    key("models.*.context_window", Int(1, MANY), Required, "Tokens."),
    key("models.*.cost_per_1k_input", Number(Least(0.0)), Required, "US dollars; an estimate only."),
    key("models.*.cost_per_1k_output", Number(Least(0.0)), Required, "US dollars; an estimate only."),
    key("models.*.max_output_tokens", Int(1, MANY), Nothing, "Tokens."),
    key(
        "models.*.max_concurrent",
        Int(1, 4_294_967_295),
        Is("4"),
        "Sheets of all jobs that may use it at once.",
    ),
    key("default_model", Text, Nothing, "Used when the score names none."),
    key("default_timeout_seconds", Number(Above(0.0)), Says("1800"), "Used when the score gives no timeout."),
    key("raw_prompt", Bool, Is("false"), "The prompt is the rendered template alone; nothing is added."),
    later("code_mode", Any, Nothing, "Interfaces for programs that the instrument writes."),
    key("cli", Section, Unsaid, "The program; needed by kind `cli`.").or_null(),
    key("http", Section, Unsaid, "The service; needed by kind `http`.").or_null(),
    key("http.base_url", Text, Required, "Address of the service, without the path of the endpoint."),
    key("http.endpoint", Text, Nothing, "Path of the requests; the family knows the usual one."),
    key("http.schema_family", Word(&["anthropic", "openai", "ollama"]), Required, "How it is spoken to."),
    key(
        "http.auth_env_var",
        Text,
        Nothing,
        "Environment variable that holds the key; without it no key is sent.",
    ),
];

const COMMAND: &[Key] = &[
    key("cli.command", Section, Required, "How the program is called."),
    key("cli.command.executable", Filled, Required, "Program, looked up on the PATH of its own environment."),
    key("cli.command.subcommand", Text, Nothing, "First argument."),
    key(
        "cli.command.prompt_flag",
        Text,
        Nothing,
        "Stands before the prompt; without one the prompt is positional.",
    ),
    key("cli.command.prompt_via_stdin", Bool, Is("true"), "The prompt comes through standard input."),
    key(
        "cli.command.stdin_sentinel",
        Text,
        Nothing,
        "Stands for the prompt when it comes through standard input.",
    ),
    key(
        "cli.command.prompt_file_flag",
        Text,
        Nothing,
        "Takes a file with a prompt that is too long for an argument.",
    ),
    key("cli.command.positional_separator", Bool, Is("false"), "`--` before a prompt that begins with `-`."),
    key("cli.command.model_flag", Text, Nothing, "Takes the model."),
    key("cli.command.auto_approve_flag", Text, Nothing, "Makes it act without asking."),
    key("cli.command.output_format_flag", Text, Nothing, "Takes `output_format_value`."),
    key("cli.command.output_format_value", Text, Nothing, "Its value; without one the flag stands alone."),
    key("cli.command.system_prompt_flag", Text, Nothing, "Takes the path of a system prompt."),
    key("cli.command.allowed_tools_flag", Text, Nothing, "Takes the allowed tools, joined by commas."),
    key("cli.command.mcp_config_flag", Text, Nothing, "Takes the configuration of tool servers."),
    key("cli.command.timeout_flag", Text, Nothing, "Takes the timeout in whole seconds."),
    key("cli.command.working_dir_flag", Text, Nothing, "Takes the working directory."),
    key("cli.command.mcp_disable_args", List(&Text), Is("[]"), "Switch tool servers off."),
    key("cli.command.extra_flags", List(&Text), Is("[]"), "Always passed, before what the score adds."),
    key(
        "cli.command.env",
        ByName(&Any),
        Is("{}"),
        "Variables; `${VAR}` comes from the conductor's environment.",
    )
    .rule("values that are lists or mappings"),
    key(
        "cli.command.required_env",
        List(&Text),
        Nothing,
        "When given, the program sees only the usual variables and these.",
    )
    .or_null(),
    later("cli.command.start_new_session", Bool, Is("false"), "Every program gets a session of its own."),
];

const OUTPUT: &[Key] = &[
    key("cli.output", Section, Required, "How its output is read."),
    key("cli.output.format", Word(&["text", "json", "jsonl"]), Is("\"text\""), "Shape of standard output."),
    key("cli.output.result_path", Text, Nothing, "Dot path of the result."),
    key("cli.output.error_path", Text, Nothing, "Dot path of the message of a failure."),
    key(
        "cli.output.error_marker",
        ByName(&Any),
        Says("`{is_error: true}`"),
        "Paths and values that say that the run failed, whatever its exit code.",
    )
    .or_null(),
    key(
        "cli.output.completion_event_type",
        Text,
        Nothing,
        "jsonl: `type` of the event that carries the result.",
    ),
    key(
        "cli.output.completion_event_filter",
        ByName(&Any),
        Is("{}"),
        "jsonl: what else holds for that event.",
    ),
    key("cli.output.collect", Bool, Is("false"), "jsonl: join the results of all such events."),
    key("cli.output.input_tokens_path", Text, Nothing, "Dot path of the tokens read."),
    key("cli.output.output_tokens_path", Text, Nothing, "Dot path of the tokens written."),
    key("cli.output.total_tokens_path", Text, Nothing, "Dot path of both together."),
    key("cli.output.cost_path", Text, Nothing, "Dot path of the cost in US dollars."),
    key("cli.output.aggregate_tokens", Bool, Is("false"), "Add up all matches."),
];

const ERRORS: &[Key] = &[
    key("cli.errors", Section, Unsaid, "How its failures are read.").never_null(),
    key(
        "cli.errors.success_exit_codes",
        List(&Int(-2_147_483_648, 2_147_483_647)),
        Says("`[0]`"),
        "Exit codes that mean success.",
    )
    .or_null(),
    key(
        "cli.errors.rate_limit_exit_codes",
        List(&Int(-2_147_483_648, 2_147_483_647)),
        Is("[]"),
        "Exit codes that ask to come back later.",
    ),
    key("cli.errors.rate_limit_patterns", List(&Text), Is("[]"), "Regular expressions for a limit."),
    key("cli.errors.auth_error_patterns", List(&Text), Is("[]"), "Regular expressions for a refused login."),
    key("cli.errors.capacity_patterns", List(&Text), Is("[]"), "Regular expressions for a busy server."),
    key("cli.errors.timeout_patterns", List(&Text), Is("[]"), "Regular expressions for a timeout."),
    key("cli.errors.crash_patterns", List(&Text), Is("[]"), "Regular expressions for a crash."),
    key(
        "cli.errors.stale_patterns",
        List(&Text),
        Is("[]"),
        "Regular expressions for a program without life.",
    ),
    key("cli.errors.rate_limit_event_type", Text, Nothing, "jsonl: `type` of an event that reports a limit."),
    key(
        "cli.errors.rate_limit_event_filter",
        ByName(&Any),
        Is("{}"),
        "jsonl: what else holds for that event.",
    ),
    key(
        "cli.errors.text_exit1_is_validation",
        Bool,
        Is("false"),
        "Exit code 1 means that the work did not pass.",
    ),
];

/// All keys.
pub(super) const GROUPS: &[Group] = &[
    Group { title: "Top level", text: "", keys: TOP },
    Group { title: "cli.command", text: "", keys: COMMAND },
    Group { title: "cli.output", text: "", keys: OUTPUT },
    Group { title: "cli.errors", text: "", keys: ERRORS },
];
