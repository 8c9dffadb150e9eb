//! The schema of the configuration file, from [`crate::config::FIELDS`].

use std::path::Path;

use serde_json::{Map, Value, json};

use super::json::{allow_null, number, object};
use crate::config::{Config, FIELDS, Field, Kind, Range};

/// What the fields are for; a test holds this list against the fields.
pub(super) const ABOUT: &[(&str, &str)] = &[
    ("socket.path", "Unix socket where clients connect."),
    ("socket.permissions", "Mode of the socket; octal with `0o` or a leading `0`."),
    ("socket.backlog", "Connections that may wait to be accepted."),
    ("socket.max_connections", "Clients connected at once."),
    ("socket.max_concurrent_requests", "Requests being worked on at once."),
    ("socket.max_streams", "Clients that follow events at once."),
    ("pid_file", "File that names the running process."),
    ("max_concurrent_jobs", "Jobs that run at once."),
    ("max_concurrent_sheets", "Sheets of all jobs that run at once."),
    ("resource_limits.max_memory_mb", "Memory above which no new work is taken."),
    ("resource_limits.max_processes", "Processes above which no new work is taken."),
    ("resource_limits.max_api_calls_per_minute", "Calls of instruments per minute."),
    (
        "resource_limits.memory_scope",
        "Whose memory counts: the conductor with everything below it, or the conductor alone.",
    ),
    ("state_backend_type", "Reserved: the state is always in the database."),
    ("state_db_path", "The database."),
    ("log_level", "Least severe level that is logged."),
    (
        "log_file",
        "Log file; null is standard error in the foreground and a file in the state directory in the background.",
    ),
    ("job_timeout_seconds", "Longest run of a job; 0 is no limit."),
    ("shutdown_timeout_seconds", "Time that a graceful stop gives to running sheets."),
    ("monitor_interval_seconds", "Time between two looks at memory and processes."),
    ("max_job_history", "Ended jobs that are kept at hand."),
    ("default_thinking_method", "Thinking method of prompts that have none."),
    ("config_file", "Set by the program: the file that was read."),
    ("recovery", "What happens at the start to jobs that were interrupted."),
    ("auto_resume", "Jobs that a shutdown stopped go on at the next start."),
    ("workers.requests", "Threads that answer requests."),
    ("workers.side", "Threads for errands."),
    ("workers.stack_kib", "Stack of a thread, KiB."),
    ("retention.attempts_max_age_days", "Age after which the files of attempts are removed."),
    ("retention.attempts_max_mb", "Size above which the oldest files of attempts are removed."),
    ("retention.attempts_keep", "Newest attempts of a sheet that are kept in any case."),
    ("snapshots.max_mb", "Largest copy of a workspace."),
    ("notifications.enabled", "Send messages to people."),
    ("notifications.degraded_after", "Deliveries in a row that fail before notifications count as degraded."),
    (
        "instruments.*.max_concurrent",
        "Sheets of all jobs that may use this instrument at once; 0 is no limit.",
    ),
    ("watch_config", "Reload when the file changes."),
    ("observer.enabled", "Watch what running jobs do."),
    ("observer.watch_interval_seconds", "Time between two looks at a workspace."),
    ("observer.snapshot_ttl_hours", "How long observations are kept."),
    ("observer.max_queue_size", "Observations that may wait."),
    ("observer.persist_events", "Keep observations in the database."),
    ("observer.exclude_patterns", "Files that are not watched."),
    ("observer.coalesce_window_seconds", "Changes within this time count as one."),
    ("observer.max_timeline_bytes", "Longest timeline of a job."),
    ("profiler.enabled", "Measure what running jobs use."),
    ("profiler.interval_seconds", "Time between two measurements."),
    ("profiler.strace_enabled", "Count system calls."),
    ("profiler.strace_full_on_demand", "Allow full traces when somebody asks."),
    ("profiler.gpu_enabled", "Measure graphics processors too."),
    ("profiler.storage_path", "Database of the measurements."),
    ("profiler.jsonl_path", "File of the measurements."),
    ("profiler.jsonl_max_bytes", "Size at which that file is rotated."),
    ("profiler.retention.full_resolution_hours", "How long each measurement is kept."),
    ("profiler.retention.downsampled_days", "How long averages are kept."),
    ("profiler.retention.events_days", "How long events are kept."),
    ("profiler.anomaly.memory_spike_threshold", "Growth of memory that is remarked, as a factor."),
    ("profiler.anomaly.memory_spike_window_seconds", "Time in which that growth counts."),
    ("profiler.anomaly.runaway_cpu_threshold", "Load of a processor that is remarked, percent."),
    ("profiler.anomaly.runaway_duration_seconds", "Time for which that load counts."),
    ("profiler.correlation.interval_minutes", "Time between two searches for connections."),
    ("profiler.correlation.min_sample_size", "Least measurements for a connection."),
    ("learning.enabled", "Learn from ended jobs."),
    ("learning.backend", "Instrument that analyses them."),
    ("learning.analyze_on", "Which ends are analysed."),
    ("learning.max_concurrent_analyses", "Analyses at once."),
    ("learning.entropy_threshold", "Diversity below which an alert is raised."),
    ("learning.exploration_budget", "Share of trials."),
    ("learning.entropy_check_interval_seconds", "Time between two checks of diversity."),
    (
        "preflight.token_warning_threshold",
        "Estimated tokens of a prompt above which a warning is given; 0 is off.",
    ),
    ("preflight.token_error_threshold", "Estimated tokens of a prompt above which it is refused; 0 is off."),
    ("mcp_pool.servers.*.command", "Command of a shared MCP server."),
    ("mcp_pool.servers.*.socket", "Socket of that server."),
    ("mcp_pool.servers.*.transport", "How it is spoken to."),
    ("mcp_pool.servers.*.restart_policy", "When it is started again."),
    ("keyring.instruments.*.keys", "Files that hold keys of an instrument, with labels."),
    ("keyring.instruments.*.rotation", "Which key is taken next."),
];

/// The schema of a configuration file.
pub(super) fn schema() -> Value {
    // Where the home directory is does not matter: defaults that are paths are left out.
    let defaults = serde_json::to_value(Config::new(Path::new("/"))).unwrap_or_default();
    let mut root = json!({
        "$schema": super::json::DRAFT,
        "title": "Mozart conductor configuration",
        "description": "Settings of the conductor; what is absent keeps its default.",
        "type": ["object", "null"],
        "additionalProperties": false,
    });
    for field in FIELDS {
        let mut at = &mut root;
        let mut names = field.path.split('.').peekable();
        while let Some(name) = names.next() {
            let leaf = names.peek().is_none();
            let made = || {
                if leaf {
                    json!({})
                } else {
                    json!({"type": ["object", "null"], "additionalProperties": false})
                }
            };
            at = match name {
                "*" => {
                    if !at["additionalProperties"].is_object() {
                        at["additionalProperties"] = made();
                    }
                    &mut at["additionalProperties"]
                }
                name => {
                    if at["properties"][name].is_null() {
                        at["properties"][name] = made();
                    }
                    &mut at["properties"][name]
                }
            };
        }
        *at = Value::Object(leaf(field, &defaults));
    }
    let servers = &mut root["properties"]["mcp_pool"]["properties"]["servers"];
    servers["additionalProperties"]["required"] = json!(["command", "socket"]);
    // Of earlier programs, dropped without a word.
    root["properties"]["use_baton"] =
        json!({"deprecated": true, "description": "Of earlier programs; ignored."});
    root
}

fn leaf(field: &Field, defaults: &Value) -> Map<String, Value> {
    let mut schema = object(match field.kind {
        Kind::Int(least, i64::MAX) => json!({"type": "integer", "minimum": least}),
        Kind::Int(least, most) => json!({"type": "integer", "minimum": least, "maximum": most}),
        Kind::Mode => {
            json!({"type": ["integer", "string"], "minimum": 0, "maximum": 0o777, "pattern": "^0o?[0-7]+$"})
        }
        Kind::Float(range) => match range {
            Range::Least(least) => json!({"type": "number", "minimum": number(least)}),
            Range::LeastOrZero(least) => {
                json!({"type": "number", "anyOf": [{"const": 0}, {"minimum": number(least)}]})
            }
            Range::Above(above) => json!({"type": "number", "exclusiveMinimum": number(above)}),
            Range::Between(least, most) => {
                json!({"type": "number", "minimum": number(least), "maximum": number(most)})
            }
        },
        Kind::Bool => {
            json!({"type": ["boolean", "string"], "pattern": "^([Yy][Ee][Ss]|[Nn][Oo]|[Oo][Nn]|[Oo][Ff][Ff])$"})
        }
        Kind::Word(words) => json!({"enum": words}),
        Kind::Text => json!({"type": "string"}),
        Kind::Path(0) => json!({"type": "string", "minLength": 1}),
        Kind::Path(most) => json!({"type": "string", "minLength": 1, "maxLength": most}),
        Kind::Texts => json!({"type": "array", "items": {"type": "string"}}),
        Kind::Words(words) => {
            json!({"type": "array", "items": {"enum": words}, "minItems": 1, "uniqueItems": true})
        }
        Kind::Map => json!({"type": "object"}),
        Kind::Keys => json!({"type": "array", "items": {
            "type": "object",
            "properties": {"path": {"type": "string"}, "label": {"type": "string"}},
            "required": ["path"],
            "additionalProperties": false,
        }}),
    });
    if field.nullable {
        allow_null(&mut schema);
    }
    let about = ABOUT.iter().find(|(path, _)| *path == field.path).map_or("", |(_, about)| *about);
    let effect = match (field.acts, field.apply) {
        (false, _) => " Accepted and checked, without effect in this version.".to_owned(),
        (true, crate::config::Apply::Never) => String::new(),
        (true, apply) => format!(" A change takes effect with: {}.", apply.word()),
    };
    schema.insert("description".to_owned(), json!(format!("{about}{effect}")));
    let path = matches!(field.kind, Kind::Path(_));
    let default = field.path.split('.').try_fold(defaults, |at, name| at.get(name));
    if let Some(default) = default.filter(|default| !path && !default.is_null()) {
        schema.insert("default".to_owned(), default.clone());
    }
    schema
}
