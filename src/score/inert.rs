//! Which keys of a score are accepted and do nothing: for the sake of older scores, or until what they need exists.
//!
//! docs/decisions/0090 says why each of them stays. Everything else acts, is shown, or is refused.

use super::{HookAction, Ollama, Score};

/// Sections that are checked but not carried out, whenever they are written.
pub(super) const SECTIONS: [&str; 4] = ["ai_review", "bridge", "state_backend", "state_path"];

/// A key and whether a score sets it to something that asks for more than is done.
type Single = (&'static str, fn(&Score) -> bool);

const SINGLES: [Single; 7] = [
    ("learning", |score| score.learning.asks_for_store),
    ("circuit_breaker.cross_workspace_coordination", |score| {
        !score.circuit_breaker.cross_workspace_coordination
    }),
    ("circuit_breaker.honor_other_jobs_rate_limits", |score| {
        !score.circuit_breaker.honor_other_jobs_rate_limits
    }),
    ("on_success.*.inherit_learning", |score| {
        score.on_success.iter().chain(&score.on_failure).any(is_unlearned)
    }),
    ("backend.ollama.dynamic_tools", |score| !score.backend.ollama.dynamic_tools),
    ("backend.ollama.compression_level", |score| {
        score.backend.ollama.compression_level != Ollama::default().compression_level
    }),
    ("backend.ollama.max_tool_iterations", |score| {
        score.backend.ollama.max_tool_iterations != Ollama::default().max_tool_iterations
    }),
];

/// A next job that is not to have what this one has learned.
fn is_unlearned(hook: &super::Hook) -> bool {
    matches!(hook.action, HookAction::Job { inherit_learning: false, .. })
}

/// Keys set in this score that have no effect, in a fixed order.
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
