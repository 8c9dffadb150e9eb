//! The keys of a score for learning, prompts, tools and remedies.

use crate::schema::key::Default::{Is, Nothing, Required, Unsaid};
use crate::schema::key::Kind::{
    Bool, ByName, False, Free, Int, Label, List, Number, Path, Seconds, Section, Text, Word,
};
use crate::schema::key::Range::{Above, Least, Within};
use crate::schema::key::{Key, MANY, key, later, older};

pub(super) const LEARNING: &[Key] = &[
    later("learning.enabled", Bool, Is("true"), "Learn from outcomes."),
    later(
        "learning.outcome_store_type",
        Word(&["json", "sqlite"]),
        Is("\"json\""),
        "Where outcomes are kept.",
    ),
    later("learning.outcome_store_path", Path, Nothing, "Path of the store."),
    later("learning.min_confidence_threshold", Number(Within(0.0, 1.0)), Is("0.3"), "Below: not used.")
        .rule("not less than `high_confidence_threshold`"),
    later("learning.high_confidence_threshold", Number(Within(0.0, 1.0)), Is("0.7"), "Above: trusted."),
    key(
        "learning.escalation_enabled",
        Bool,
        Is("false"),
        "Ask a person before a sheet fails for good; see `mozart approve`.",
    ),
    later("learning.use_global_patterns", Bool, Is("true"), "Use what other jobs learned."),
    later("learning.exploration_rate", Number(Within(0.0, 1.0)), Is("0.15"), "Share of trials."),
    later(
        "learning.exploration_min_priority",
        Number(Within(0.0, 1.0)),
        Is("0.05"),
        "Least priority of a trial.",
    ),
    later(
        "learning.entropy_alert_threshold",
        Number(Within(0.0, 1.0)),
        Is("0.5"),
        "Diversity below which an alert is raised.",
    ),
    later("learning.entropy_check_interval", Int(1, MANY), Is("100"), "Outcomes between checks."),
    later("learning.auto_apply_enabled", Bool, Is("false"), "Apply without asking."),
    later("learning.auto_apply_trust_threshold", Number(Within(0.0, 1.0)), Is("0.85"), "Least trust for it."),
    later("learning.exploration_budget", Section, Unsaid, "Budget of trials."),
    later("learning.exploration_budget.enabled", Bool, Is("false"), "Use it."),
    later("learning.exploration_budget.floor", Number(Within(0.0, 1.0)), Is("0.05"), "Least."),
    later("learning.exploration_budget.ceiling", Number(Within(0.0, 1.0)), Is("0.5"), "Most."),
    later("learning.exploration_budget.decay_rate", Number(Within(0.0, 1.0)), Is("0.95"), "Shrinking."),
    later("learning.exploration_budget.boost_amount", Number(Within(0.0, 0.5)), Is("0.1"), "Growing."),
    later(
        "learning.exploration_budget.initial_budget",
        Number(Within(0.0, 1.0)),
        Is("0.15"),
        "Start, between floor and ceiling.",
    )
    .rule("not between `floor` and `ceiling`"),
    later("learning.entropy_response", Section, Unsaid, "Answer to low diversity."),
    later("learning.entropy_response.enabled", Bool, Is("false"), "Use it."),
    later(
        "learning.entropy_response.entropy_threshold",
        Number(Within(0.0, 1.0)),
        Is("0.3"),
        "Diversity that triggers it.",
    ),
    later(
        "learning.entropy_response.cooldown_seconds",
        Seconds(Least(60.0)),
        Is("3600"),
        "Time between answers.",
    ),
    later("learning.entropy_response.boost_budget", Bool, Is("true"), "Raise the budget."),
    later("learning.entropy_response.revisit_quarantine", Bool, Is("true"), "Look at what was set aside."),
    later("learning.entropy_response.max_quarantine_revisits", Int(0, 10), Is("3"), "How much of it."),
    later("learning.auto_apply", Section, Unsaid, "What is applied without asking."),
    later("learning.auto_apply.enabled", Bool, Is("false"), "Use it."),
    later("learning.auto_apply.trust_threshold", Number(Within(0.0, 1.0)), Is("0.85"), "Least trust."),
    later("learning.auto_apply.max_patterns_per_sheet", Int(1, 10), Is("3"), "Most per sheet."),
    later("learning.auto_apply.require_validated_status", Bool, Is("true"), "Only what was validated."),
    later("learning.auto_apply.log_applications", Bool, Is("true"), "Log it."),
];

pub(super) const OTHERS: &[Key] = &[
    key("ai_review.enabled", False, Is("false"), "Nobody reviews results: `true` is refused."),
    older("ai_review.min_score", Int(0, 100), Is("60"), "Least score.").rule("more than `target_score`"),
    older("ai_review.target_score", Int(0, 100), Is("80"), "Wanted score, not below the least."),
    older(
        "ai_review.on_low_score",
        Word(&["retry", "warn", "fail"]),
        Is("\"warn\""),
        "What follows a low score.",
    ),
    older("ai_review.max_retry_for_review", Int(0, 5), Is("2"), "Retries for it."),
    older("ai_review.review_prompt_template", Text, Nothing, "Prompt of the review."),
    key(
        "spec.spec_dir",
        Path,
        Nothing,
        "Directory of the fragments (`.md` and `.yaml`), at most 500; they stand in the prompt after the body.",
    ),
    key(
        "spec.include_claude_md",
        Bool,
        Is("false"),
        "Add `CLAUDE.md` of the working directory, else of the workspace, else from beside the score.",
    ),
    key("spec.fragments", List(&Text), Is("[]"), "Names of the fragments that are used; empty means all."),
    key(
        "techniques.*.kind",
        Word(&["skill", "mcp", "protocol"]),
        Required,
        "`skill` and `protocol`: a document in the prompt; `mcp`: a file with tool servers that the instrument gets.",
    ),
    key("techniques.*.phases", List(&Label(0, 0)), Required, "Numbers of stages, or `all`."),
    key(
        "techniques.*.config",
        Free,
        Is("{}"),
        "`path` is the document or file; the settings are listed in the prompt.",
    ),
    key("bridge.enabled", False, Is("false"), "There is no bridge: `true` is refused."),
    older("bridge.mcp_proxy_enabled", Bool, Is("true"), "Offer servers."),
    older("bridge.mcp_servers", List(&Section), Is("[]"), "Servers."),
    older("bridge.mcp_servers.*.name", Label(0, 0), Required, "Name."),
    older("bridge.mcp_servers.*.command", Text, Required, "Program."),
    older("bridge.mcp_servers.*.args", List(&Label(0, 0)), Is("[]"), "Arguments."),
    older("bridge.mcp_servers.*.env", ByName(&Label(0, 0)), Is("{}"), "Environment.")
        .rule("variables that decide about security"),
    older("bridge.mcp_servers.*.working_dir", Path, Nothing, "Directory."),
    older("bridge.mcp_servers.*.timeout_seconds", Seconds(Above(0.0)), Is("30"), "Longest answer."),
    older("bridge.hybrid_routing_enabled", Bool, Is("false"), "Choose between models."),
    older("bridge.complexity_threshold", Number(Within(0.0, 1.0)), Is("0.7"), "Where to choose."),
    older("bridge.fallback_to_claude", Bool, Is("true"), "Take the stronger model on failure."),
    older("bridge.context_budget_percent", Int(10, 95), Is("75"), "Share of the context."),
    key(
        "self_healing.max_attempts",
        Int(0, MANY),
        Is("1"),
        "Further attempts of a sheet after something was mended; 0 switches it off. The section alone, or `--self-healing`, switches it on.",
    ),
];
