//! `mozart conductor-status`: who the conductor is, how it does and whether it takes work.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Map, Value, json};

use crate::cli::context::Context;
use crate::cli::failure::{Done, FAILED, Failure, Stop};
use crate::cli::format::{self, parse_duration};
use crate::cli::job::Doc;
use crate::cli::rpc::Rpc;
use crate::cli::target::Target;
use crate::cli::watch::Refresh;
use crate::daemon::liveness::{self, Liveness};

/// Options of `conductor-status`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// PID file of the conductor [env: MOZART_PID_FILE]
    #[arg(long, value_name = "FILE")]
    pid_file: Option<PathBuf>,
    /// Refresh until Ctrl+C
    #[arg(short = 'W', long)]
    watch: bool,
    /// Time between refreshes
    #[arg(short, long, default_value = "5", value_parser = parse_duration, value_name = "DURATION")]
    interval: Duration,
    /// Exit with 1 when the conductor takes no work
    #[arg(long)]
    exit_status: bool,
}

/// What the probes found. Each may be missing.
#[derive(Debug, Default)]
pub(crate) struct Probes {
    health: Option<Value>,
    ready: Option<Value>,
    status: Option<Value>,
    limits: Option<Value>,
    round_trip_ms: Option<f64>,
}

/// Runs the command.
pub(crate) fn run(cx: &Context, options: &Options) -> Done {
    let target = cx.target_with(options.pid_file.as_deref());
    if options.watch {
        let mut refresh = Refresh::new(cx, options.interval)?;
        return refresh.every(|| {
            let (pid, probes) = look(cx, &target)?;
            Ok(if cx.out.json {
                document(&target, pid, &probes).to_string() + "\n"
            } else {
                text(cx, &target, pid, &probes)
            })
        });
    }
    let (pid, probes) = look(cx, &target)?;
    if cx.out.json {
        cx.out.document(&document(&target, pid, &probes))?;
    } else {
        cx.out.text(&text(cx, &target, pid, &probes))?;
    }
    let ready = probes.ready.as_ref().is_some_and(|ready| ready["status"] == json!("ready"));
    Ok(if options.exit_status && !ready { FAILED } else { 0 })
}

/// Finds the process and asks it. Not running is a failure with a plain sentence and exit status 1.
fn look(cx: &Context, target: &Target) -> Result<(Option<u32>, Probes), Stop> {
    let pid = match liveness::judge(&target.pid_file, &target.socket) {
        Liveness::Running(pid) => pid,
        Liveness::Starting => None,
        Liveness::Stale(_) | Liveness::None => {
            liveness::clean_up(&target.pid_file);
            return Err(not_running(target).into());
        }
    };
    Ok((pid, probe(cx, target)))
}

fn not_running(target: &Target) -> Failure {
    Failure::new("conductor_not_running", format!("{} is not running", target.subject))
        .plain()
        .with("running", false)
        .with("state", "Stopped")
}

/// Asks everything; what does not answer is left out.
pub(crate) fn probe(cx: &Context, target: &Target) -> Probes {
    let mut probes = Probes::default();
    let Ok(mut rpc) = Rpc::connect_to(cx, target) else { return probes };
    let begin = Instant::now();
    probes.health = rpc.try_call("daemon.health", json!({})).ok();
    if probes.health.is_some() {
        probes.round_trip_ms = Some(begin.elapsed().as_secs_f64() * 1000.0);
    }
    probes.ready = rpc.try_call("daemon.ready", json!({})).ok();
    probes.status = rpc.try_call("daemon.status", json!({})).ok();
    probes.limits = rpc.try_call("daemon.rate_limits", json!({})).ok();
    probes
}

fn text(cx: &Context, target: &Target, pid: Option<u32>, probes: &Probes) -> String {
    let subject = target.subject;
    let mut lines = vec![match pid {
        Some(pid) => format!("{subject} is running (PID {pid})"),
        None => format!("{subject} is starting up (PID file locked)"),
    }];
    if probes.health.is_none() && probes.ready.is_none() && probes.status.is_none() {
        let what = if subject == "mozartd" { "daemon" } else { "conductor" };
        lines.push(format!("  (Could not connect to {what} socket for details)"));
        return lines.join("\n") + "\n";
    }
    if let Some(health) = &probes.health {
        let uptime = Doc(health).number("uptime_seconds").map_or_else(|| "?".to_owned(), format::uptime);
        lines.push(format!("  Uptime: {uptime}"));
    }
    if let Some(ready) = &probes.ready {
        let doc = Doc(ready);
        let mark = if doc.text("status") == "ready" { "[+]" } else { "[-]" };
        lines.push(format!("  {mark} Readiness: {}", or_question(doc.text("status"))));
        lines.push(format!("  Running jobs: {}", shown(doc.get("running_jobs"))));
        lines.push(format!(
            "  Memory: {} MB",
            doc.number("memory_mb").map_or("?".to_owned(), |mb| format!("{mb:.1}"))
        ));
        lines.push(format!("  Child processes: {}", shown(doc.get("child_processes"))));
        lines.push(format!("  Accepting work: {}", shown(doc.get("accepting_work"))));
    }
    if let Some(status) = &probes.status {
        lines.push(format!("  Version: {}", or_question(Doc(status).text("version"))));
    }
    if cx.out.verbose {
        detail(target, probes, &mut lines);
    }
    lines.join("\n") + "\n"
}

fn detail(target: &Target, probes: &Probes, lines: &mut Vec<String>) {
    let null = Value::Null;
    let ready = Doc(probes.ready.as_ref().unwrap_or(&null));
    let status = Doc(probes.status.as_ref().unwrap_or(&null));
    if let (Some(limit), Some(used)) = (ready.number("memory_limit_mb"), ready.number("memory_mb")) {
        lines.push(format!("  Memory limit: {limit:.0} MB ({:.0}%)", used / limit.max(1.0) * 100.0));
    }
    if !ready.get("process_limit").is_null() {
        lines.push(format!("  Process limit: {}", shown(ready.get("process_limit"))));
    }
    if !ready.text("pressure").is_empty() {
        lines.push(format!("  Pressure: {}", ready.text("pressure").to_uppercase()));
    }
    if !status.get("queued_jobs").is_null() {
        lines.push(format!("  Queued jobs: {}", shown(status.get("queued_jobs"))));
    }
    let reasons: Vec<&str> = ready.list("reasons").iter().filter_map(Value::as_str).map(reason).collect();
    if !reasons.is_empty() {
        lines.push(format!("  Not ready because: {}", reasons.join(", ")));
    }
    if !status.text("state").is_empty() {
        lines.push(format!("  State: {}", status.text("state")));
    }
    let config = status.text("config_path");
    lines.push(format!("  Config: {}", if config.is_empty() { "(defaults)" } else { config }));
    if let Some(seconds) = status.number("last_reload_seconds") {
        lines.push(format!("  Last reload: {} ago", format::wait(seconds)));
    }
    lines.push(format!("  Socket: {}", target.socket.display()));
    let limits = probes.limits.as_ref().and_then(|limits| limits["backends"].as_object());
    let active: Vec<String> = limits
        .into_iter()
        .flatten()
        .map(|(name, limit)| {
            format!("{name} ({})", format::wait(Doc(limit).number("seconds_remaining").unwrap_or(0.0)))
        })
        .collect();
    if !active.is_empty() {
        lines.push(format!("  Active rate limits: {}", active.join(", ")));
    }
}

/// The words of `daemon.ready` for people.
fn reason(word: &str) -> &str {
    match word {
        "memory" => "memory pressure",
        "processes" => "too many processes",
        "monitor_degraded" => "the monitor is degraded",
        "probe_failed" => "resources cannot be measured",
        "shutting_down" => "shutting down",
        "failure_rate" => "failure rate elevated",
        "notifications" => "notification delivery degraded",
        "registry" => "the state database cannot be written",
        "recovering" => "recovering from the last stop",
        "rate_limit" => "an active rate limit",
        other => other,
    }
}

/// The object of `conductor-status --json`, also part of `status --json`.
pub(crate) fn document(target: &Target, pid: Option<u32>, probes: &Probes) -> Value {
    let null = Value::Null;
    let health = Doc(probes.health.as_ref().unwrap_or(&null));
    let ready = Doc(probes.ready.as_ref().unwrap_or(&null));
    let status = Doc(probes.status.as_ref().unwrap_or(&null));
    let first = |docs: &[(Doc<'_>, &str)]| {
        docs.iter()
            .map(|(doc, key)| doc.get(key))
            .find(|value| !value.is_null())
            .cloned()
            .unwrap_or(Value::Null)
    };
    let mut metrics = status.get("metrics").as_object().cloned().unwrap_or_default();
    metrics.insert(
        "ipc_round_trip_ms".to_owned(),
        probes.round_trip_ms.map_or(Value::Null, |ms| json!((ms * 1000.0).round() / 1000.0)),
    );
    let state = match status.text("state") {
        "" if pid.is_none() => "Starting",
        "" => "Running",
        state => state,
    };
    let mut object = Map::new();
    let mut put = |key: &str, value: Value| _ = object.insert(key.to_owned(), value);
    put("running", true.into());
    put("state", state.into());
    put("pid", pid.map_or_else(|| first(&[(health, "pid"), (status, "pid")]), Value::from));
    put("uptime_seconds", first(&[(status, "uptime_seconds"), (health, "uptime_seconds")]));
    put("version", first(&[(status, "version")]));
    put("status", first(&[(ready, "status")]));
    put("accepting_work", first(&[(ready, "accepting_work")]));
    put("shutting_down", first(&[(ready, "shutting_down"), (health, "shutting_down")]));
    for key in ["failure_rate_elevated", "notifications_degraded"] {
        put(key, first(&[(ready, key)]));
    }
    put("running_jobs", first(&[(ready, "running_jobs"), (status, "running_jobs")]));
    put("queued_jobs", first(&[(status, "queued_jobs")]));
    put("total_jobs_active", first(&[(status, "total_jobs_active")]));
    put("memory_mb", first(&[(ready, "memory_mb"), (status, "memory_usage_mb")]));
    for key in ["memory_limit_mb", "child_processes", "process_limit", "pressure", "reasons"] {
        put(key, first(&[(ready, key)]));
    }
    put("config_path", first(&[(status, "config_path")]));
    put("last_reload_seconds", first(&[(status, "last_reload_seconds")]));
    put("ipc_socket", target.socket.to_string_lossy().into());
    put("rate_limits", probes.limits.as_ref().map_or_else(|| json!({}), |limits| limits["backends"].clone()));
    put("metrics", Value::Object(metrics));
    Value::Object(object)
}

/// Values as the guides print them: `True`, `False`, `?`.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "?".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

fn or_question(text: &str) -> &str {
    if text.is_empty() { "?" } else { text }
}
