//! `daemon.*`: what the conductor says of itself.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use crate::pressure::Level;
use crate::rpc::{PROTOCOL_VERSION, Params, RpcError, params};

use super::Desk;

impl Desk {
    pub(super) fn daemon_config(&self, params: Params) -> Result<Value, RpcError> {
        params::none(params)?;
        serde_json::to_value(&*self.config).map_err(|error| RpcError::Internal(error.to_string()))
    }

    /// Within a batch; alone it is answered by the reactor.
    pub(super) fn daemon_health(&self, params: Params) -> Result<Value, RpcError> {
        params::none(params)?;
        Ok(json!({
            "status": "ok", "pid": std::process::id(), "uptime_seconds": self.uptime(),
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
        let pressure = self.probe.fresh();
        let mut reasons = Vec::new();
        if pressure.probe_failed {
            reasons.push("probe_failed");
        }
        if pressure.degraded {
            reasons.push("monitor_degraded");
        }
        if pressure.memory_percent() >= 80.0 {
            reasons.push("memory");
        }
        if pressure.processes_percent() >= 80.0 {
            reasons.push("processes");
        }
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
            "memory_mb": round(pressure.memory_mb.unwrap_or(0.0)),
            "child_processes": pressure.processes.unwrap_or(0),
            "accepting_work": ready,
            "shutting_down": view.flag(&view.stopping),
            "failure_rate_elevated": view.flag(&view.failure_rate_elevated),
            "notifications_degraded": false,
            "uptime_seconds": self.uptime(),
            "memory_limit_mb": self.config.resource_limits.max_memory_mb,
            "process_limit": self.config.resource_limits.max_processes,
            "pressure": self.shown_level(pressure.level).word(),
            "job_ids": job_ids,
            "reasons": reasons,
        }))
    }

    pub(super) fn daemon_status(&self, params: Params) -> Result<Value, RpcError> {
        params::none(params)?;
        let view = &self.view;
        let pressure = *self.probe.last().read().unwrap_or_else(PoisonError::into_inner);
        let running = view.running.load(Ordering::Acquire);
        let queued = view.queued.load(Ordering::Acquire);
        let state = if view.flag(&view.stopping) {
            "Stopping"
        } else if pressure.degraded {
            "Degraded"
        } else {
            "Running"
        };
        let counters = self.net.as_ref().map(crate::net::Handle::counters).unwrap_or_default();
        Ok(json!({
            "pid": std::process::id(),
            "uptime_seconds": self.uptime(),
            "running_jobs": running,
            "total_jobs_active": running + queued,
            "memory_usage_mb": round(pressure.memory_mb.unwrap_or(0.0)),
            "version": env!("CARGO_PKG_VERSION"),
            "state": state,
            "queued_jobs": queued,
            "config_path": self.config.config_file,
            "last_reload_seconds": null,
            "ipc_socket": self.config.socket.path,
            "protocol_version": PROTOCOL_VERSION,
            "pressure": self.shown_level(pressure.level).word(),
            "metrics": {
                "reload_latency_ms": null,
                "reload_count": 0,
                "requests_total": view.requests.load(Ordering::Relaxed) + counters.inline_requests,
                "requests_in_flight": counters.in_flight,
                "connections": counters.connections,
                "streams": counters.streams,
                "memory_rss_mb": round(pressure.own_memory_mb.unwrap_or(0.0)),
                "cpu_percent": round(pressure.own_cpu_percent.unwrap_or(0.0)),
            },
        }))
    }

    /// The level of the monitor, HIGH at least while a rate limit is active.
    fn shown_level(&self, level: Level) -> Level {
        if self.view.active_limits.load(Ordering::Acquire) > 0 { level.max(Level::High) } else { level }
    }

    fn uptime(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "rounded to a tenth of a second")]
        let seconds = self.clock.now().mono.0 as f64 / 1e9;
        round(seconds)
    }
}

/// One decimal.
fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}
