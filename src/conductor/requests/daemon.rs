//! `daemon.*`: what the conductor says of itself.

use std::path::Path;
use std::sync::atomic::Ordering;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::pressure::{Cause, Level};
use crate::rpc::{PROTOCOL_VERSION, Params, RpcError, params};

use super::{Desk, Outcome};
use crate::sched::LimitRecord;
use crate::time::{Now, Wall};

impl Desk {
    pub(super) fn daemon_config(&self, params: Params) -> Result<Value, RpcError> {
        params::none(params)?;
        serde_json::to_value(&*self.config).map_err(|error| RpcError::Internal(error.to_string()))
    }

    /// Within a batch; alone it is answered by the reactor.
    pub(super) fn daemon_health(&self, params: Params) -> Result<Value, RpcError> {
        params::none(params)?;
        Ok(json!({
            "status": "ok", "pid": self.vital.pid(), "uptime_seconds": self.uptime(),
            "shutting_down": self.view.flag(&self.view.stopping),
        }))
    }

    /// Within a batch; alone it is answered by the reactor.
    pub(super) fn daemon_ping(&self, params: Params) -> Result<Value, RpcError> {
        params::none(params)?;
        Ok(json!({ "message": "pong", "timestamp": self.clock.now().wall.0 / 1000 }))
    }

    /// Readiness, from a fresh probe.
    pub(super) fn daemon_ready(&self, params: Params) -> Result<Value, RpcError> {
        params::none(params)?;
        let view = &self.view;
        let pressure = self.gauge.fresh(self.clock.now().mono);
        let mut reasons: Vec<&str> = pressure.unready().into_iter().map(Cause::word).collect();
        let flags = [
            (&view.stopping, "shutting_down"),
            (&view.failure_rate_elevated, "failure_rate"),
            (&view.registry_failed, "registry"),
            (&view.recovering, "recovering"),
        ];
        reasons.extend(flags.iter().filter(|(flag, _)| view.flag(flag)).map(|(_, word)| *word));
        let ready = reasons.is_empty();
        let mut job_ids: Vec<String> = view
            .all_live()
            .iter()
            .filter(|live| live.status == crate::exec::JobStatus::Running)
            .map(|live| live.card.id.to_string())
            .collect();
        job_ids.sort();
        Ok(json!({
            "status": if ready { "ready" } else { "not_ready" },
            "running_jobs": view.running.load(Ordering::Acquire),
            "memory_mb": round(pressure.memory_mb()),
            "child_processes": pressure.processes(),
            "accepting_work": ready,
            "shutting_down": view.flag(&view.stopping),
            "failure_rate_elevated": view.flag(&view.failure_rate_elevated),
            "notifications_degraded": view.flag(&view.notifications_degraded),
            "uptime_seconds": self.uptime(),
            "memory_limit_mb": self.config.resource_limits.max_memory_mb,
            "process_limit": self.config.resource_limits.max_processes,
            "pressure": self.shown_level(pressure.level).word(),
            "job_ids": job_ids,
            "reasons": reasons,
        }))
    }

    pub(super) fn daemon_status(&self, params: Params) -> Result<Outcome, RpcError> {
        params::none(params)?;
        let (view, vital) = (&self.view, &self.vital);
        let pressure = self.gauge.last();
        let running = view.running.load(Ordering::Acquire);
        let queued = view.queued.load(Ordering::Acquire);
        let state = if view.flag(&view.stopping) {
            "Stopping"
        } else if pressure.degraded {
            "Degraded"
        } else {
            "Running"
        };
        Outcome::text(&Status {
            pid: vital.pid(),
            uptime_seconds: self.uptime(),
            running_jobs: running,
            total_jobs_active: running + queued,
            memory_usage_mb: round(pressure.memory_mb()),
            version: env!("CARGO_PKG_VERSION"),
            state,
            queued_jobs: queued,
            config_path: self.config.config_file.as_deref(),
            last_reload_seconds: None,
            ipc_socket: &self.config.socket.path,
            protocol_version: PROTOCOL_VERSION,
            pressure: self.shown_level(pressure.level).word(),
            metrics: Metrics {
                reload_latency_ms: None,
                reload_count: 0,
                requests_total: vital.requests_total.load(Ordering::Relaxed),
                requests_in_flight: vital.requests_in_flight.load(Ordering::Relaxed),
                connections: vital.connections.load(Ordering::Relaxed),
                streams: self.net.as_ref().map_or(0, crate::net::Handle::streams),
            },
        })
    }

    /// `daemon.rate_limits`: the limits in force by instrument, or by instrument and model.
    pub(super) fn daemon_rate_limits(&self, params: Params) -> Result<Value, RpcError> {
        params::none(params)?;
        let now = self.clock.now();
        let limits = self.view.limits();
        let hour_ago = Wall(now.wall.0 - 3_600_000);
        let backends: Map<String, Value> = limits
            .active
            .iter()
            .filter(|limit| limit.until > now.wall)
            .map(|limit| {
                let name = match &limit.model {
                    Some(model) => format!("{}/{model}", limit.instrument),
                    None => limit.instrument.to_string(),
                };
                (name, limit_json(limit, now))
            })
            .collect();
        Ok(json!({
            "active_limits": backends.len(), "backends": backends,
            "recent_events_count": limits.reports.iter().filter(|at| **at > hour_ago).count(),
        }))
    }

    /// The level of the monitor, HIGH at least while a rate limit is active.
    fn shown_level(&self, level: Level) -> Level {
        level.with_rate_limit(self.view.flag(&self.view.rate_limited))
    }

    fn uptime(&self) -> f64 {
        round(self.vital.uptime_seconds())
    }
}

/// A rate limit in force.
pub(super) fn limit_json(limit: &LimitRecord, now: Now) -> Value {
    json!({
        "instrument": &*limit.instrument,
        "model": limit.model.as_deref(),
        "seconds_remaining": round(limit.until.since(now.wall).as_secs_f64()),
        "clears_at": limit.until.to_string(),
    })
}

/// Result of `daemon.status`.
#[derive(Serialize)]
struct Status<'a> {
    pid: u32,
    uptime_seconds: f64,
    running_jobs: u32,
    total_jobs_active: u32,
    memory_usage_mb: f64,
    version: &'a str,
    state: &'a str,
    queued_jobs: u32,
    config_path: Option<&'a Path>,
    /// Settings are read at the start only, so far.
    last_reload_seconds: Option<f64>,
    ipc_socket: &'a Path,
    protocol_version: u32,
    pressure: &'a str,
    metrics: Metrics,
}

#[derive(Serialize)]
struct Metrics {
    reload_latency_ms: Option<f64>,
    reload_count: u32,
    requests_total: u64,
    requests_in_flight: u64,
    connections: u64,
    streams: usize,
}

/// One decimal.
fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}
