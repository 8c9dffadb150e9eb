//! The list of fields: type, range, moment of effect.

use serde_json::Value;

/// One field of the settings.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Dotted path; `*` stands for a name that the person chooses.
    pub path: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Null is a value.
    pub nullable: bool,
    /// When a changed value takes effect.
    pub apply: Apply,
    /// Whether this build does something with it.
    pub acts: bool,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Integer from .. to, both included.
    Int(i64, i64),
    /// Integer that may be written in octal, up to 0o777.
    Mode,
    /// Number.
    Float(Range),
    /// `true` or `false`.
    Bool,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Any text.
    Text,
    /// Path of at most so many bytes (0 = any); `~` is the home directory, relative ones start at
    /// the directory of the file.
    Path(usize),
    /// List of texts.
    Texts,
    /// Non-empty list of different words.
    Words(&'static [&'static str]),
    /// Any mapping.
    Map,
    /// List of `path` and `label`.
    Keys,
}

/// Range of a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Range {
    /// `>=`
    Least(f64),
    /// `>=`, or 0 for "off"
    LeastOrZero(f64),
    /// `>`
    Above(f64),
    /// from .. to, both included
    Between(f64, f64),
}

/// When a changed value takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Apply {
    /// With the reload.
    Reload,
    /// With the next start.
    Restart,
    /// With jobs that are submitted after the reload.
    NewJobs,
    /// Never: reserved, or set by the program itself.
    Never,
}

impl Apply {
    /// As the documentation says it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Reload => "reload",
            Self::Restart => "restart",
            Self::NewJobs => "new jobs",
            Self::Never => "-",
        }
    }
}

/// Top of the range of integers that have no other.
const MANY: i64 = u32::MAX as i64;

const fn field(path: &'static str, kind: Kind, apply: Apply) -> Field {
    Field { path, kind, nullable: false, apply, acts: true }
}

const fn nullable(path: &'static str, kind: Kind, apply: Apply) -> Field {
    Field { path, kind, nullable: true, apply, acts: true }
}

/// Accepted and checked, but without effect in this build.
const fn later(path: &'static str, kind: Kind, apply: Apply) -> Field {
    Field { path, kind, nullable: false, apply, acts: false }
}

use Apply::{Never, NewJobs, Reload, Restart};
use Kind::{Bool, Float, Int, Keys, Map, Mode, Path, Text, Texts, Word, Words};
use Range::{Above, Between, Least, LeastOrZero};

/// Every field, in the order of the documentation.
pub const FIELDS: &[Field] = &[
    field("socket.path", Path(107), Restart),
    field("socket.permissions", Mode, Restart),
    field("socket.backlog", Int(1, MANY), Restart),
    field("socket.max_connections", Int(1, 10_000), Restart),
    field("socket.max_concurrent_requests", Int(1, 1000), Restart),
    field("socket.max_streams", Int(1, 1000), Restart),
    field("pid_file", Path(0), Restart),
    field("max_concurrent_jobs", Int(1, 50), Reload),
    field("max_concurrent_sheets", Int(1, 100), Reload),
    field("resource_limits.max_memory_mb", Int(512, MANY), Reload),
    field("resource_limits.max_processes", Int(5, MANY), Reload),
    later("resource_limits.max_api_calls_per_minute", Int(1, MANY), Never),
    field("resource_limits.memory_scope", Word(&["tree", "daemon"]), Reload),
    later("state_backend_type", Text, Never),
    field("state_db_path", Path(0), Restart),
    field("log_level", Word(&["debug", "info", "warning", "error"]), Reload),
    nullable("log_file", Path(0), Reload),
    field("job_timeout_seconds", Float(LeastOrZero(60.0)), NewJobs),
    field("shutdown_timeout_seconds", Float(Least(10.0)), Reload),
    field("monitor_interval_seconds", Float(Least(5.0)), Reload),
    field("max_job_history", Int(10, MANY), Reload),
    nullable("default_thinking_method", Text, NewJobs),
    nullable("config_file", Path(0), Never),
    field("recovery", Word(&["adopt", "resume", "fail"]), Restart),
    field("auto_resume", Bool, Restart),
    field("workers.requests", Int(1, 16), Restart),
    field("workers.side", Int(1, 16), Restart),
    field("workers.stack_kib", Int(64, 8192), Restart),
    later("retention.attempts_max_age_days", Int(0, MANY), Reload),
    later("retention.attempts_max_mb", Int(0, MANY), Reload),
    later("retention.attempts_keep", Int(0, MANY), Reload),
    later("snapshots.max_mb", Int(0, MANY), Reload),
    field("notifications.enabled", Bool, Reload),
    field("notifications.degraded_after", Int(1, MANY), Reload),
    field("instruments.*.max_concurrent", Int(0, MANY), Reload),
    later("watch_config", Bool, Reload),
    later("observer.enabled", Bool, NewJobs),
    later("observer.watch_interval_seconds", Float(Least(0.5)), NewJobs),
    later("observer.snapshot_ttl_hours", Int(1, MANY), Reload),
    later("observer.max_queue_size", Int(100, MANY), Restart),
    later("observer.persist_events", Bool, NewJobs),
    later("observer.exclude_patterns", Texts, NewJobs),
    later("observer.coalesce_window_seconds", Float(Least(0.0)), NewJobs),
    later("observer.max_timeline_bytes", Int(4096, i64::MAX), Reload),
    later("profiler.enabled", Bool, Restart),
    later("profiler.interval_seconds", Float(Least(1.0)), Restart),
    later("profiler.strace_enabled", Bool, Restart),
    later("profiler.strace_full_on_demand", Bool, Restart),
    later("profiler.gpu_enabled", Bool, Restart),
    later("profiler.storage_path", Path(0), Restart),
    later("profiler.jsonl_path", Path(0), Restart),
    later("profiler.jsonl_max_bytes", Int(1_048_576, i64::MAX), Restart),
    later("profiler.retention.full_resolution_hours", Int(1, MANY), Restart),
    later("profiler.retention.downsampled_days", Int(1, MANY), Restart),
    later("profiler.retention.events_days", Int(1, MANY), Restart),
    later("profiler.anomaly.memory_spike_threshold", Float(Above(1.0)), Restart),
    later("profiler.anomaly.memory_spike_window_seconds", Float(Above(0.0)), Restart),
    later("profiler.anomaly.runaway_cpu_threshold", Float(Between(50.0, 100.0)), Restart),
    later("profiler.anomaly.runaway_duration_seconds", Float(Above(0.0)), Restart),
    later("profiler.correlation.interval_minutes", Int(5, MANY), Restart),
    later("profiler.correlation.min_sample_size", Int(2, MANY), Restart),
    later("learning.enabled", Bool, Restart),
    later("learning.backend", Map, Restart),
    later("learning.analyze_on", Words(&["success", "failure"]), Restart),
    later("learning.max_concurrent_analyses", Int(1, 20), Restart),
    later("learning.entropy_threshold", Float(Between(0.0, 1.0)), Restart),
    later("learning.exploration_budget", Float(Between(0.05, 0.5)), Restart),
    later("learning.entropy_check_interval_seconds", Float(Least(60.0)), Restart),
    field("preflight.token_warning_threshold", Int(0, i64::MAX), NewJobs),
    field("preflight.token_error_threshold", Int(0, i64::MAX), NewJobs),
    later("mcp_pool.servers.*.command", Text, Restart),
    later("mcp_pool.servers.*.socket", Path(0), Restart),
    later("mcp_pool.servers.*.transport", Word(&["stdio"]), Restart),
    later("mcp_pool.servers.*.restart_policy", Word(&["on-failure", "always", "never"]), Restart),
    later("keyring.instruments.*.keys", Keys, Restart),
    later("keyring.instruments.*.rotation", Word(&["least-recently-rate-limited", "round-robin"]), Restart),
];

/// Fields that are accepted and checked but do not act in this build, reserved ones included.
pub fn not_acting() -> impl Iterator<Item = &'static str> {
    FIELDS.iter().filter(|field| !field.acts).map(|field| field.path)
}

impl Field {
    /// The segments of its path.
    pub(super) fn segments(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('.')
    }

    /// Whether a path, given by segments, is this field.
    pub(super) fn is(&self, path: &[String]) -> bool {
        self.segments().count() == path.len() && self.begins_with(path)
    }

    /// Whether a path is this field or a section above it.
    pub(super) fn begins_with(&self, path: &[String]) -> bool {
        let mut segments = self.segments();
        path.iter().all(|name| segments.next().is_some_and(|segment| segment == "*" || segment == name))
    }

    /// Type, as the documentation says it.
    #[must_use]
    pub fn type_word(&self) -> String {
        let word = match self.kind {
            Kind::Int(..) | Kind::Mode => "integer",
            Kind::Float(_) => "number",
            Kind::Bool => "boolean",
            Kind::Word(_) => "word",
            Kind::Text => "text",
            Kind::Path(_) => "path",
            Kind::Texts | Kind::Words(_) => "list",
            Kind::Map => "mapping",
            Kind::Keys => "list of `path`, `label`",
        };
        if self.nullable { format!("{word} or null") } else { word.to_owned() }
    }

    /// Range, as the documentation says it; "" when everything of the type is allowed.
    #[must_use]
    pub fn range_words(&self) -> String {
        match self.kind {
            Kind::Int(least, MANY | i64::MAX) => format!(">= {least}"),
            Kind::Int(least, most) => format!("{least}-{most}"),
            Kind::Mode => "0-0o777".to_owned(),
            Kind::Float(range) => match range {
                Range::Least(least) => format!(">= {least}"),
                Range::LeastOrZero(least) => format!(">= {least}, or 0 = off"),
                Range::Above(least) => format!("> {least}"),
                Range::Between(least, most) => format!("{least}-{most}"),
            },
            Kind::Word(words) | Kind::Words(words) => {
                words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" ")
            }
            Kind::Path(0) | Kind::Bool | Kind::Text | Kind::Texts | Kind::Map | Kind::Keys => String::new(),
            Kind::Path(most) => format!("at most {most} bytes"),
        }
    }
}

/// The value at a dotted path.
pub(super) fn at<'a>(tree: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(tree, |node, name| node.get(name))
}
