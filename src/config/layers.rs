//! From all sources to one configuration: defaults, file, profile, clone paths, environment,
//! command line; later ones win, field by field.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::check;
use super::fields::{self, FIELDS, Field, Kind};
use super::parse::ConfigFile;
use super::types::{Config, Place};
use super::{PROFILES, Problem, Problems, Warning};

/// The variables that matter, read by the caller.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Environment {
    /// `HOME`: what `~` stands for.
    pub home: Option<PathBuf>,
    /// `MOZART_HOME`: replaces `~/.mozart`.
    pub mozart_home: Option<PathBuf>,
    /// `MOZART_CONFIG`.
    pub config: Option<PathBuf>,
    /// `MOZART_SOCKET`.
    pub socket: Option<String>,
    /// `MOZART_PID_FILE`.
    pub pid_file: Option<String>,
    /// `MOZART_CLONE`; "" = the default clone.
    pub clone: Option<String>,
    /// `MOZART_LOG_LEVEL`.
    pub log_level: Option<String>,
    /// `DEBUG=1`.
    pub debug: bool,
}

impl Environment {
    /// Picks the variables out of any source of variables. Empty ones count as not set, except
    /// `MOZART_CLONE`.
    #[must_use]
    pub fn read(get: &dyn Fn(&str) -> Option<String>) -> Self {
        let filled = |name: &str| get(name).filter(|value| !value.is_empty());
        Self {
            home: filled("HOME").map(PathBuf::from),
            mozart_home: filled("MOZART_HOME").map(PathBuf::from),
            config: filled("MOZART_CONFIG").map(PathBuf::from),
            socket: filled("MOZART_SOCKET"),
            pid_file: filled("MOZART_PID_FILE"),
            clone: get("MOZART_CLONE"),
            log_level: filled("MOZART_LOG_LEVEL"),
            debug: filled("DEBUG").as_deref() == Some("1"),
        }
    }

    /// `MOZART_HOME`, else `~/.mozart`, else `/.mozart`.
    #[must_use]
    pub fn base(&self) -> PathBuf {
        let home = || self.home.clone().unwrap_or_else(|| PathBuf::from("/")).join(".mozart");
        self.mozart_home
            .clone()
            .map_or_else(home, |base| expand(&base.to_string_lossy(), self.home.as_deref()))
    }
}

/// What was given on the command line. Paths should be absolute: the caller knows where it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--profile`.
    pub profile: Option<String>,
    /// `--conductor-clone`; "" = the default clone.
    pub clone: Option<String>,
    /// `--socket`.
    pub socket: Option<String>,
    /// `--pid-file`.
    pub pid_file: Option<String>,
    /// `--log-level`.
    pub log_level: Option<String>,
    /// `--log-file`.
    pub log_file: Option<String>,
}

/// Which file to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileChoice {
    /// Named by a person: it is an error when it is missing.
    Named(PathBuf),
    /// The usual place: the defaults are used when it is missing.
    Usual(PathBuf),
}

/// Which file holds the settings: `--config`, `MOZART_CONFIG`, else `conductor.yaml` in the base directory.
#[must_use]
pub fn choose_file(options: &Options, environment: &Environment) -> FileChoice {
    match options.config.as_ref().or(environment.config.as_ref()) {
        Some(named) => FileChoice::Named(expand(&named.to_string_lossy(), environment.home.as_deref())),
        None => FileChoice::Usual(environment.base().join("conductor.yaml")),
    }
}

/// Settings ready for use.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// What is accepted and has no effect.
    pub warnings: Vec<Warning>,
}

/// The mark of a clone in its paths: "" for the default clone, else `-` and the name with every
/// character outside `[A-Za-z0-9_-]` as `-`, runs of `-` as one, at most 64 characters.
#[must_use]
pub fn clone_tag(name: &str) -> String {
    let mut tag = String::new();
    for c in name.chars() {
        let c = if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
        if !(c == '-' && tag.ends_with('-')) {
            tag.push(c);
        }
    }
    tag.truncate(64);
    if tag.is_empty() { tag } else { format!("-{tag}") }
}

/// Puts the layers together. `file`: what was parsed of the chosen file, if there is one.
///
/// # Errors
/// All problems of all layers.
pub fn load(
    file: Option<&ConfigFile>,
    options: &Options,
    environment: &Environment,
) -> Result<Loaded, Problems> {
    let base = environment.base();
    let defaults = Config::new(&base);
    let mut merge = Merge {
        tree: serde_json::to_value(&defaults).expect("plain data always serializes"),
        home: environment.home.clone(),
        problems: Vec::new(),
    };
    let mut warnings = Vec::new();
    if let Some(file) = file {
        merge.file(file);
        warnings = warn(file, &serde_json::to_value(&defaults).expect("plain data always serializes"));
        merge.set(&["config_file".into()], json!(file.name));
    }
    if let Some(profile) = &options.profile {
        merge.profile(profile);
    }
    let place = merge.clone_paths(options.clone.as_ref().or(environment.clone.as_ref()), &base);
    if environment.debug {
        merge.set(&["log_level".into()], json!("debug"));
    }
    merge.text("MOZART_SOCKET", "socket.path", environment.socket.as_deref());
    merge.text("MOZART_PID_FILE", "pid_file", environment.pid_file.as_deref());
    merge.text("MOZART_LOG_LEVEL", "log_level", environment.log_level.as_deref());
    merge.text("--socket", "socket.path", options.socket.as_deref());
    merge.text("--pid-file", "pid_file", options.pid_file.as_deref());
    merge.text("--log-level", "log_level", options.log_level.as_deref());
    merge.text("--log-file", "log_file", options.log_file.as_deref());
    // Expanding `~` or placing it beside the file may have made it longer than a socket name can be.
    if let Some(Err(message)) = fields::at(&merge.tree, "socket.path")
        .and_then(Value::as_str)
        .map(|path| check::from_text(&FIELDS[0], path))
    {
        merge.problem("socket.path", message);
    }
    if !merge.problems.is_empty() {
        return Err(Problems(merge.problems));
    }
    let config: Config = serde_json::from_value(merge.tree).map_err(|error| {
        // Every value has been checked against the table of fields; a difference between the table
        // and the types shows here instead of in a panic.
        Problems(vec![Problem { file: None, line: None, field: String::new(), message: error.to_string() }])
    })?;
    Ok(Loaded { config: Config { place, ..config }, warnings })
}

struct Merge {
    tree: Value,
    home: Option<PathBuf>,
    problems: Vec<Problem>,
}

impl Merge {
    fn problem(&mut self, field: &str, message: String) {
        self.problems.push(Problem { file: None, line: None, field: field.to_owned(), message });
    }

    fn set(&mut self, path: &[String], value: Value) {
        let mut node = &mut self.tree;
        for name in path {
            if !node.is_object() {
                *node = json!({});
            }
            node = &mut node[name.as_str()];
        }
        *node = value;
    }

    fn file(&mut self, file: &ConfigFile) {
        let beside = file.name.parent().unwrap_or(Path::new(""));
        for (path, set) in &file.values {
            let field = FIELDS.iter().find(|field| field.is(path));
            let is_path = field.is_some_and(|field| matches!(field.kind, Kind::Path(_)));
            let value = match set.value.as_str().filter(|_| is_path) {
                Some(written) if written.starts_with('~') && !is_home(written) => {
                    let message = "`~` of another user is not known here; write the whole path".to_owned();
                    let (file, field) = (Some(file.name.clone()), path.join("."));
                    self.problems.push(Problem { file, line: set.line, field, message });
                    continue;
                }
                Some(written) => json!(beside.join(expand(written, self.home.as_deref()))),
                None => set.value.clone(),
            };
            self.set(path, value);
        }
    }

    fn profile(&mut self, name: &str) {
        let content: &[(&str, Value)] = match name {
            "dev" => &[
                ("log_level", json!("debug")),
                ("max_concurrent_jobs", json!(2)),
                ("profiler.enabled", json!(true)),
                ("profiler.interval_seconds", json!(2.0)),
            ],
            "intensive" => &[
                ("job_timeout_seconds", json!(172_800.0)),
                ("resource_limits.max_memory_mb", json!(16_384)),
                ("resource_limits.max_processes", json!(100)),
            ],
            "minimal" => &[
                ("max_concurrent_jobs", json!(2)),
                ("profiler.enabled", json!(false)),
                ("learning.enabled", json!(false)),
            ],
            _ => {
                let all = PROFILES.join(", ");
                return self
                    .problem("", format!("Unknown daemon profile '{name}'. Available profiles: {all}"));
            }
        };
        for (path, value) in content {
            self.set(&segments(path), value.clone());
        }
    }

    fn clone_paths(&mut self, name: Option<&String>, base: &Path) -> Place {
        let Some(name) = name else { return Place { base: base.to_owned(), clone: None } };
        let tag = clone_tag(name);
        let directory = base.join(format!("clone{tag}"));
        let log = PathBuf::from(format!("/tmp/mozart-clone{tag}.log"));
        self.set(&segments("socket.path"), json!(format!("/tmp/mozart-clone{tag}.sock")));
        self.set(&segments("pid_file"), json!(format!("/tmp/mozart-clone{tag}.pid")));
        self.set(&segments("state_db_path"), json!(base.join(format!("clone{tag}-state.db"))));
        self.set(&segments("profiler.storage_path"), json!(directory.join("monitor.db")));
        self.set(&segments("profiler.jsonl_path"), json!(directory.join("monitor.jsonl")));
        // The log of the file belongs to the production conductor.
        self.set(&segments("log_file"), Value::Null);
        Place { base: base.to_owned(), clone: Some((directory, log)) }
    }

    /// A value from a variable or an option.
    fn text(&mut self, source: &str, path: &str, written: Option<&str>) {
        let Some(written) = written else { return };
        let field: &Field = FIELDS.iter().find(|field| field.path == path).expect("named in the table");
        match check::from_text(field, written) {
            Ok(_) if matches!(field.kind, Kind::Path(_)) => {
                let expanded = expand(written, self.home.as_deref());
                self.set(&segments(path), json!(expanded));
            }
            Ok(value) => self.set(&segments(path), value),
            Err(message) => self.problem(source, message),
        }
    }
}

fn segments(path: &str) -> Vec<String> {
    path.split('.').map(str::to_owned).collect()
}

fn is_home(written: &str) -> bool {
    written == "~" || written.starts_with("~/")
}

/// `~` and `~/...` below the home directory; everything else as it is.
fn expand(written: &str, home: Option<&Path>) -> PathBuf {
    match (written.strip_prefix('~'), home) {
        (Some(rest), Some(home)) if is_home(written) => home.join(rest.trim_start_matches('/')),
        _ => PathBuf::from(written),
    }
}

/// Fields of the file that have no effect and are not at their default.
fn warn(file: &ConfigFile, defaults: &Value) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for (path, set) in &file.values {
        let name = path.join(".");
        if fields::at(defaults, &name) == Some(&set.value) {
            continue;
        }
        let (event, message) = match name.as_str() {
            "resource_limits.max_api_calls_per_minute" => (
                "config.unenforced_rate_limit",
                "max_api_calls_per_minute is set but NOT YET ENFORCED. Rate limiting currently works through \
                 externally-reported events via RateLimitCoordinator."
                    .to_owned(),
            ),
            "state_backend_type" => (
                "config.reserved_field_ignored",
                "state_backend_type is set but has no effect: Reserved for persistent conductor state".to_owned(),
            ),
            "config_file" => (
                "config.reserved_field_ignored",
                "config_file is set but has no effect: the file that was loaded is always the one that is \
                 reloaded (Reserved for SIGHUP config reload)"
                    .to_owned(),
            ),
            _ if FIELDS.iter().any(|field| field.is(path) && !field.acts) => {
                ("config.field_without_effect", format!("{name} is set but has no effect in this version"))
            }
            _ => continue,
        };
        warnings.push(Warning { event, field: name, message });
    }
    warnings
}
