//! Which keys of a score are understood but not carried out by this version of the engine.

use super::Score;

/// Sections that are checked but not carried out, whenever they are written.
const SECTIONS: [&str; 19] = [
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
];

/// Keys set in this score that have no effect yet, in a fixed order. Everything else acts.
#[must_use]
pub fn inert_keys(score: &Score) -> Vec<&'static str> {
    let written = |key: &str| score.written.iter().any(|name| name == key);
    let mut keys: Vec<&'static str> = SECTIONS.into_iter().filter(|key| written(key)).collect();
    let others = [
        ("sheet.skip_when", !score.sheet.skip_when.is_empty()),
        ("sheet.skip_when_command", !score.sheet.skip_when_command.is_empty()),
        ("sheet.spec_tags", !score.sheet.spec_tags.is_empty()),
        ("retry.accept_if_validated", score.retry.accept_if_validated),
        ("parallel.budget_partition", !score.parallel.budget_partition),
        ("allow_shared_workspace", score.allow_shared_workspace),
        ("redact_logs", score.redact_logs),
        ("state_backend", written("state_backend")),
        ("state_path", written("state_path")),
    ];
    keys.extend(others.into_iter().filter(|(_, set)| *set).map(|(key, _)| key));
    keys
}
