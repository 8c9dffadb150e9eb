//! JSON-RPC 2.0 as this conductor speaks it: one line in, typed calls out, one reply line back.
//!
//! Not for: sockets (`net`), what a method does (`conductor`).
//!
//! Invariants:
//! - Parsing never fails as a function; what is wrong with a line is an [`RpcError`] with the id to answer to.
//! - A reply line holds no LF, has its members in the order `jsonrpc`, `result` or `error`, `id`, and never
//!   both of `result` and `error`.
//! - Codes and texts of errors are assigned in `error`, and nowhere else; `codes` says what they mean.

pub mod budget;
mod codes;
mod error;
mod incoming;
pub mod params;
pub mod reply;
#[cfg(test)]
mod tests;

pub use codes::{CODES, RpcCode};
pub use error::RpcError;
pub use incoming::{Call, Entry, Id, Incoming, Params, Rejection};

/// Version of the wire protocol, as `daemon.status` and `rpc.discover` tell it.
pub const PROTOCOL_VERSION: u32 = 1;

/// Most entries of one batch.
pub const MAX_BATCH: usize = 100;

/// Where a method is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// On the I/O thread, even while all workers are busy and during shutdown.
    Inline,
    /// By a request worker, from the published view; changes nothing.
    Read,
    /// By the conductor thread, after its commit.
    Command,
    /// Notifications until the final reply; not allowed in a batch.
    Stream,
}

/// Every method that is answered, sorted by name.
pub const METHODS: &[(&str, Lane)] = &[
    ("daemon.clear_rate_limits", Lane::Command),
    ("daemon.config", Lane::Read),
    ("daemon.health", Lane::Inline),
    ("daemon.ping", Lane::Inline),
    ("daemon.rate_limits", Lane::Read),
    ("daemon.ready", Lane::Read),
    ("daemon.shutdown", Lane::Command),
    ("daemon.status", Lane::Read),
    ("job.approve", Lane::Command),
    ("job.cancel", Lane::Command),
    ("job.errors", Lane::Read),
    ("job.history", Lane::Read),
    ("job.list", Lane::Read),
    ("job.modify", Lane::Command),
    ("job.pause", Lane::Command),
    ("job.recover", Lane::Command),
    ("job.resume", Lane::Command),
    ("job.status", Lane::Read),
    ("job.submit", Lane::Command),
    ("job.watch", Lane::Stream),
    ("rpc.discover", Lane::Read),
];

/// The lane of a method; `None` for a method that does not exist.
#[must_use]
pub fn lane(method: &str) -> Option<Lane> {
    METHODS.iter().find(|(name, _)| *name == method).map(|&(_, lane)| lane)
}

/// The result of `rpc.discover`.
#[must_use]
pub fn discover() -> serde_json::Value {
    let methods: Vec<_> = METHODS.iter().map(|(name, _)| *name).collect();
    serde_json::json!({
        "protocol_version": PROTOCOL_VERSION,
        "version": env!("CARGO_PKG_VERSION"),
        "methods": methods,
    })
}
