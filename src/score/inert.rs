//! Which keys of a score are understood but not carried out by this version of the engine.

use super::control::FALLBACK_MIN_WAIT;
use super::{InstrumentConfig, Ollama, Score};

/// Sections that are checked but not carried out, whenever they are written.
pub(super) const SECTIONS: [&str; 23] = [
    "circuit_breaker",
    "cost_limits",
    "learning",
    "logging",
    "notifications",
    "on_success",
    "on_failure",
    "concert",
    "isolation",
    "workspace_lifecycle",
    "checkpoints",
    "grounding",
    "feedback",
    "ai_review",
    "spec",
    "techniques",
    "bridge",
    "self_healing",
    "preconditions",
    "state_backend",
    "state_path",
    "conductor",
    "agent_card",
];

/// A key and whether a score sets it to something that asks for more than is done.
type Single = (&'static str, fn(&Score) -> bool);

const SINGLES: [Single; 13] = [
    ("sheet.skip_when", |score| !score.sheet.skip_when.is_empty()),
    ("sheet.skip_when_command", |score| !score.sheet.skip_when_command.is_empty()),
    ("sheet.spec_tags", |score| !score.sheet.spec_tags.is_empty()),
    ("retry.accept_if_validated", |score| score.retry.accept_if_validated),
    ("parallel.budget_partition", |score| !score.parallel.budget_partition),
    ("allow_shared_workspace", |score| score.allow_shared_workspace),
    ("redact_logs", |score| score.redact_logs),
    ("rate_limit.fallback_min_wait_seconds", |score| {
        score.rate_limit.fallback_min_wait_seconds != FALLBACK_MIN_WAIT
    }),
    ("backend.ollama", |score| score.backend.ollama != Ollama::default()),
    ("instrument_config.max_tokens", |score| called_with(score, |config| config.max_tokens.is_some())),
    ("instrument_config.temperature", |score| called_with(score, |config| config.temperature.is_some())),
    ("instrument_config.api_key_env", |score| called_with(score, |config| config.api_key_env.is_some())),
    ("instrument_config.base_url", |score| called_with(score, |config| config.base_url.is_some())),
];

/// Whether the settings of the whole score ask for something. These four are of use to HTTP instruments only.
fn called_with(score: &Score, asks: fn(&InstrumentConfig) -> bool) -> bool {
    asks(&score.instrument_config) || asks(&score.backend.config)
}

/// Keys set in this score that have no effect yet, in a fixed order. Everything else acts.
#[must_use]
pub fn inert_keys(score: &Score) -> Vec<&'static str> {
    let written = SECTIONS.into_iter().filter(|key| score.written.iter().any(|name| name == key));
    let singles = SINGLES.into_iter().filter(|(_, set)| set(score)).map(|(key, _)| key);
    written.chain(singles).collect()
}

#[cfg(test)]
pub(super) const SINGLE_NAMES: [&str; SINGLES.len()] = {
    let mut names = [""; SINGLES.len()];
    let mut at = 0;
    while at < SINGLES.len() {
        names[at] = SINGLES[at].0;
        at += 1;
    }
    names
};
