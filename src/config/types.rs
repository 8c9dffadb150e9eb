//! The settings as plain data. What each field means, its range and default: `docs/configuration.md`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// All settings. Serializes to the answer of `daemon.config`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// Where clients connect.
    pub socket: Socket,
    /// File that names the running process.
    pub pid_file: PathBuf,
    /// Permits of the job semaphore, 1-50.
    pub max_concurrent_jobs: u32,
    /// Sheets of all jobs that run at once, 1-100.
    pub max_concurrent_sheets: u32,
    /// What the conductor and its programs may use.
    pub resource_limits: ResourceLimits,
    /// Reserved.
    pub state_backend_type: String,
    /// The database.
    pub state_db_path: PathBuf,
    /// Least severe level that is logged.
    pub log_level: LogLevel,
    /// Log file; `None` = stderr in the foreground, [`Config::background_log`] in the background.
    pub log_file: Option<PathBuf>,
    /// Seconds a job may run; 0 = no limit. See [`Config::job_timeout`].
    pub job_timeout_seconds: f64,
    /// Seconds that a graceful stop waits for running sheets.
    pub shutdown_timeout_seconds: f64,
    /// Seconds between two samples of the monitor.
    pub monitor_interval_seconds: f64,
    /// Ended jobs kept in memory.
    pub max_job_history: u32,
    /// Appended to prompts that have none.
    pub default_thinking_method: Option<String>,
    /// The file that was loaded. Set by the loader.
    pub config_file: Option<PathBuf>,
    /// What happens at the start to jobs that were interrupted.
    pub recovery: Recovery,
    /// Jobs stopped by a shutdown go on at the next start.
    pub auto_resume: bool,
    /// Threads.
    pub workers: Workers,
    /// How long attempt directories are kept.
    pub retention: Retention,
    /// Snapshots of workspaces.
    pub snapshots: Snapshots,
    /// Messages to people.
    pub notifications: Notifications,
    /// Limits per instrument.
    pub instruments: BTreeMap<String, InstrumentLimit>,
    /// Reload when the file changes.
    pub watch_config: bool,
    /// Watching what running jobs do.
    pub observer: Observer,
    /// Measuring what running jobs use.
    pub profiler: Profiler,
    /// Learning from ended jobs.
    pub learning: Learning,
    /// Limits for the length of prompts.
    pub preflight: Preflight,
    /// Shared MCP servers.
    pub mcp_pool: McpPool,
    /// Keys of instruments.
    pub keyring: Keyring,
    /// Where this conductor lives; not a setting.
    #[serde(skip)]
    pub place: Place,
}

/// Directories that follow from the environment and the clone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// `~/.mozart`, or `MOZART_HOME`.
    pub base: PathBuf,
    /// State directory and log of a clone; `None` for the production conductor.
    pub clone: Option<(PathBuf, PathBuf)>,
}

/// `socket`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Socket {
    /// At most 107 bytes.
    pub path: PathBuf,
    /// Mode bits of the file.
    pub permissions: u32,
    /// Connections that wait to be accepted.
    pub backlog: u32,
    /// Open connections.
    pub max_connections: u32,
    /// Requests being answered.
    pub max_concurrent_requests: u32,
    /// Open streams.
    pub max_streams: u32,
}

/// `resource_limits`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceLimits {
    /// MiB of resident memory.
    pub max_memory_mb: u32,
    /// Processes below the guards.
    pub max_processes: u32,
    /// Reserved.
    pub max_api_calls_per_minute: u32,
    /// Whose memory counts.
    pub memory_scope: MemoryScope,
}

/// Whose memory counts against the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemoryScope {
    /// The conductor, the guards and everything below them.
    #[default]
    Tree,
    /// The conductor alone.
    Daemon,
}

/// Levels of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Every event.
    Debug,
    /// What an operator acts on.
    Info,
    /// Warnings and errors.
    Warning,
    /// Errors.
    Error,
}

impl LogLevel {
    /// The same as the `log` crate says it.
    #[must_use]
    pub const fn filter(self) -> log::LevelFilter {
        match self {
            Self::Debug => log::LevelFilter::Debug,
            Self::Info => log::LevelFilter::Info,
            Self::Warning => log::LevelFilter::Warn,
            Self::Error => log::LevelFilter::Error,
        }
    }
}

/// What happens at the start to jobs that were running when the conductor died.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Recovery {
    /// Live and finished attempts are taken over; a job with an interrupted one fails and can be resumed.
    Adopt,
    /// As `adopt`, but interrupted attempts are run again.
    Resume,
    /// What is left is ended; every queued or running job fails.
    Fail,
}

/// `workers`: lanes of the pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workers {
    /// Threads that answer requests.
    pub requests: u32,
    /// Threads for hooks, notifications and adopted attempts.
    pub side: u32,
    /// Stack of a thread in KiB.
    pub stack_kib: u32,
}

/// `retention` of attempt directories of ended jobs; 0 = no limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// Days.
    pub attempts_max_age_days: u32,
    /// MiB of all together.
    pub attempts_max_mb: u32,
    /// Attempts per sheet.
    pub attempts_keep: u32,
}

/// `snapshots`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshots {
    /// MiB of all together; 0 = no limit.
    pub max_mb: u32,
}

/// `notifications`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notifications {
    /// Send any.
    pub enabled: bool,
    /// Failures in a row that make the conductor not ready.
    pub degraded_after: u32,
}

/// `instruments.<name>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct InstrumentLimit {
    /// Sheets of this instrument that run at once.
    pub max_concurrent: u32,
}

impl Default for InstrumentLimit {
    fn default() -> Self {
        Self { max_concurrent: 4 }
    }
}

/// `observer`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observer {
    /// Watch at all.
    pub enabled: bool,
    /// Seconds between two looks.
    pub watch_interval_seconds: f64,
    /// Hours.
    pub snapshot_ttl_hours: u32,
    /// Events.
    pub max_queue_size: u32,
    /// Write events to files.
    pub persist_events: bool,
    /// Paths that are not watched.
    pub exclude_patterns: Vec<String>,
    /// Seconds; 0 = off.
    pub coalesce_window_seconds: f64,
    /// Bytes.
    pub max_timeline_bytes: u64,
}

/// `profiler`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profiler {
    /// Measure at all.
    pub enabled: bool,
    /// Seconds between two samples.
    pub interval_seconds: f64,
    /// Count system calls.
    pub strace_enabled: bool,
    /// Trace fully when asked.
    pub strace_full_on_demand: bool,
    /// Measure graphics cards.
    pub gpu_enabled: bool,
    /// Database.
    pub storage_path: PathBuf,
    /// Stream of samples.
    pub jsonl_path: PathBuf,
    /// Bytes.
    pub jsonl_max_bytes: u64,
    /// How long samples are kept.
    pub retention: ProfilerRetention,
    /// What is unusual.
    pub anomaly: Anomaly,
    /// What belongs together.
    pub correlation: Correlation,
}

/// `profiler.retention`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfilerRetention {
    /// Hours.
    pub full_resolution_hours: u32,
    /// Days.
    pub downsampled_days: u32,
    /// Days.
    pub events_days: u32,
}

/// `profiler.anomaly`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Anomaly {
    /// Growth that is a spike.
    pub memory_spike_threshold: f64,
    /// Seconds.
    pub memory_spike_window_seconds: f64,
    /// Percent.
    pub runaway_cpu_threshold: f64,
    /// Seconds.
    pub runaway_duration_seconds: f64,
}

/// `profiler.correlation`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Correlation {
    /// Minutes.
    pub interval_minutes: u32,
    /// Jobs.
    pub min_sample_size: u32,
}

/// `learning`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Learning {
    /// Learn at all.
    pub enabled: bool,
    /// Who analyses; free form.
    pub backend: serde_json::Map<String, serde_json::Value>,
    /// After which ends.
    pub analyze_on: Vec<String>,
    /// Analyses at once.
    pub max_concurrent_analyses: u32,
    /// 0-1.
    pub entropy_threshold: f64,
    /// 0.05-0.5.
    pub exploration_budget: f64,
    /// Seconds.
    pub entropy_check_interval_seconds: f64,
}

/// `preflight`: tokens of a prompt; 0 = off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preflight {
    /// Warn above.
    pub token_warning_threshold: u64,
    /// Refuse above.
    pub token_error_threshold: u64,
}

/// `mcp_pool`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct McpPool {
    /// By name.
    pub servers: BTreeMap<String, McpServer>,
}

/// `mcp_pool.servers.<name>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct McpServer {
    /// Command line.
    pub command: String,
    /// Where it listens.
    pub socket: PathBuf,
    /// `stdio`.
    #[serde(default = "stdio")]
    pub transport: String,
    /// `on-failure`, `always` or `never`.
    #[serde(default = "on_failure")]
    pub restart_policy: String,
}

fn stdio() -> String {
    "stdio".to_owned()
}

fn on_failure() -> String {
    "on-failure".to_owned()
}

/// `keyring`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Keyring {
    /// By instrument.
    pub instruments: BTreeMap<String, Keys>,
}

/// `keyring.instruments.<name>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Keys {
    /// Files with keys.
    pub keys: Vec<Key>,
    /// `least-recently-rate-limited` or `round-robin`.
    pub rotation: String,
}

impl Default for Keys {
    fn default() -> Self {
        Self { keys: Vec::new(), rotation: "least-recently-rate-limited".to_owned() }
    }
}

/// A file with a key. The key itself is never part of the settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// Where it is.
    pub path: String,
    /// How it is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

impl Config {
    /// The defaults of a conductor whose base directory (`~/.mozart` or `MOZART_HOME`) is `base`.
    #[must_use]
    pub fn new(base: &Path) -> Self {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let backend = [
            ("type", "anthropic_api".into()),
            ("temperature", 0.3.into()),
            ("max_tokens", 4096.into()),
            ("timeout", 120.into()),
        ];
        Self {
            socket: Socket {
                path: "/tmp/mozart.sock".into(),
                permissions: 0o660,
                backlog: 5,
                max_connections: 500,
                max_concurrent_requests: 50,
                max_streams: 64,
            },
            pid_file: "/tmp/mozart.pid".into(),
            max_concurrent_jobs: 5,
            max_concurrent_sheets: 10,
            resource_limits: ResourceLimits {
                max_memory_mb: 8192,
                max_processes: 50,
                max_api_calls_per_minute: 60,
                memory_scope: MemoryScope::Tree,
            },
            state_backend_type: "sqlite".to_owned(),
            state_db_path: base.join("daemon-state.db"),
            log_level: LogLevel::Info,
            log_file: None,
            job_timeout_seconds: 21_600.0,
            shutdown_timeout_seconds: 300.0,
            monitor_interval_seconds: 15.0,
            max_job_history: 1000,
            default_thinking_method: None,
            config_file: None,
            recovery: Recovery::Adopt,
            auto_resume: true,
            workers: Workers { requests: 2, side: 2, stack_kib: 256 },
            retention: Retention { attempts_max_age_days: 30, attempts_max_mb: 10_240, attempts_keep: 5 },
            snapshots: Snapshots { max_mb: 1024 },
            notifications: Notifications { enabled: true, degraded_after: 3 },
            instruments: BTreeMap::new(),
            watch_config: true,
            observer: Observer {
                enabled: true,
                watch_interval_seconds: 2.0,
                snapshot_ttl_hours: 168,
                max_queue_size: 1000,
                persist_events: true,
                exclude_patterns: words(&[".git/", "__pycache__/", "node_modules/", ".venv/", "*.pyc"]),
                coalesce_window_seconds: 2.0,
                max_timeline_bytes: 10_485_760,
            },
            profiler: Profiler {
                enabled: false,
                interval_seconds: 5.0,
                strace_enabled: false,
                strace_full_on_demand: true,
                gpu_enabled: false,
                storage_path: base.join("monitor.db"),
                jsonl_path: base.join("monitor.jsonl"),
                jsonl_max_bytes: 52_428_800,
                retention: ProfilerRetention {
                    full_resolution_hours: 24,
                    downsampled_days: 7,
                    events_days: 30,
                },
                anomaly: Anomaly {
                    memory_spike_threshold: 1.5,
                    memory_spike_window_seconds: 30.0,
                    runaway_cpu_threshold: 90.0,
                    runaway_duration_seconds: 60.0,
                },
                correlation: Correlation { interval_minutes: 30, min_sample_size: 5 },
            },
            learning: Learning {
                enabled: true,
                backend: backend.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
                analyze_on: words(&["success", "failure"]),
                max_concurrent_analyses: 3,
                entropy_threshold: 0.1,
                exploration_budget: 0.15,
                entropy_check_interval_seconds: 3600.0,
            },
            preflight: Preflight { token_warning_threshold: 50_000, token_error_threshold: 150_000 },
            mcp_pool: McpPool::default(),
            keyring: Keyring::default(),
            place: Place { base: base.to_owned(), clone: None },
        }
    }

    /// Where jobs keep their attempt directories and the lock is: the directory of the database, or
    /// the clone's own.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        match &self.place.clone {
            Some((directory, _)) => directory.clone(),
            None => self.state_db_path.parent().map_or_else(|| self.place.base.clone(), Path::to_owned),
        }
    }

    /// Log file of a conductor in the background: `log_file`, or the default of its place.
    #[must_use]
    pub fn background_log(&self) -> PathBuf {
        match (&self.log_file, &self.place.clone) {
            (Some(file), _) => file.clone(),
            (None, Some((_, log))) => log.clone(),
            (None, None) => self.place.base.join("mozart.log"),
        }
    }

    /// Longest run of a job; `None` = no limit.
    #[must_use]
    pub fn job_timeout(&self) -> Option<Duration> {
        (self.job_timeout_seconds > 0.0).then(|| seconds(self.job_timeout_seconds))
    }

    /// How long a graceful stop waits.
    #[must_use]
    pub fn shutdown_timeout(&self) -> Duration {
        seconds(self.shutdown_timeout_seconds)
    }

    /// Time between two samples of the monitor.
    #[must_use]
    pub fn monitor_interval(&self) -> Duration {
        seconds(self.monitor_interval_seconds)
    }

    /// Sheets of an instrument that run at once.
    #[must_use]
    pub fn instrument_limit(&self, name: &str) -> u32 {
        self.instruments.get(name).cloned().unwrap_or_default().max_concurrent
    }
}

/// A checked number of seconds; what no duration can hold is the longest one.
fn seconds(number: f64) -> Duration {
    Duration::try_from_secs_f64(number).unwrap_or(Duration::MAX)
}
