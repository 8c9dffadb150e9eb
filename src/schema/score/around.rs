//! The keys for what happens around the sheets of a score.

use crate::schema::key::Default::{Is, Nothing, Required, Says, Unsaid};
use crate::schema::key::Kind::{
    Bool, ByName, False, Filled, Free, Int, Label, Limited, List, Matching, Number, Path, Regex, Seconds,
    Section, Text, Word,
};
use crate::schema::key::Range::{Above, AboveTo, Least, Within};
use crate::schema::key::{Key, MANY, later};

pub(super) const CIRCUIT_BREAKER: &[Key] = &[
    later("circuit_breaker.enabled", Bool, Is("true"), "Use it."),
    later("circuit_breaker.failure_threshold", Int(1, 100), Is("5"), "Failures in a row."),
    later(
        "circuit_breaker.recovery_timeout_seconds",
        Number(AboveTo(0.0, 3600.0)),
        Is("300"),
        "Time until the instrument is tried again.",
    ),
    later("circuit_breaker.cross_workspace_coordination", Bool, Is("true"), "Share with other jobs."),
    later(
        "circuit_breaker.honor_other_jobs_rate_limits",
        Bool,
        Is("true"),
        "Heed limits that other jobs met; false without coordination.",
    ),
];

pub(super) const COST_LIMITS: &[Key] = &[
    later("cost_limits.enabled", Bool, Says("true when a limit is set"), "Use them.")
        .never_null()
        .rule("true without any limit"),
    later("cost_limits.max_cost_per_sheet", Number(Above(0.0)), Nothing, "Dollars."),
    later("cost_limits.max_cost_per_job", Number(Above(0.0)), Nothing, "Dollars."),
    later("cost_limits.max_tokens_per_sheet", Int(1, MANY), Nothing, "Tokens."),
    later("cost_limits.max_tokens_per_job", Int(1, MANY), Nothing, "Tokens."),
    later(
        "cost_limits.cost_per_1k_input_tokens",
        Number(Above(0.0)),
        Says("0.003 when only the other is written"),
        "Price of models without one.",
    ),
    later(
        "cost_limits.cost_per_1k_output_tokens",
        Number(Above(0.0)),
        Says("0.015 when only the other is written"),
        "Price of models without one.",
    ),
    later("cost_limits.warn_at_percent", Number(AboveTo(0.0, 100.0)), Is("80"), "Share that is remarked."),
];

pub(super) const WORKSPACE_LIFECYCLE: &[Key] = &[
    later("workspace_lifecycle.archive_on_fresh", Bool, Is("false"), "Move old content away on a fresh run."),
    later("workspace_lifecycle.archive_dir", Text, Is("\"archive\""), "Where to.")
        .rule("an absolute path, or one with `..`"),
    later(
        "workspace_lifecycle.archive_naming",
        Word(&["iteration", "timestamp"]),
        Is("\"iteration\""),
        "Names of archives.",
    ),
    later("workspace_lifecycle.max_archives", Int(0, MANY), Is("0"), "Newest archives kept; 0 means all."),
    later(
        "workspace_lifecycle.preserve_patterns",
        List(&Filled),
        Says("state, archives, worktrees"),
        "What stays.",
    ),
    later("workspace_lifecycle.archive_required", Bool, Is("false"), "A failed archive fails the run."),
];

pub(super) const ON_SUCCESS_ON_FAILURE: &[Key] = &[
    later("on_success.*.type", Word(&["run_job", "run_command", "run_script"]), Required, "What is run."),
    later("on_success.*.job_path", Path, Unsaid, "Score of the next job; needed by `run_job`.")
        .rule("missing with `run_job`"),
    later("on_success.*.job_workspace", Path, Nothing, "Its workspace."),
    later("on_success.*.command", Text, Unsaid, "Needed by `run_command` and `run_script`.")
        .rule("missing with `run_command` and `run_script`; more than 4096 bytes"),
    later("on_success.*.working_directory", Path, Says("the workspace"), "Directory of the command."),
    later("on_success.*.description", Label(0, 0), Nothing, "Shown to people."),
    later(
        "on_success.*.on_failure",
        Word(&["continue", "abort"]),
        Is("\"continue\""),
        "Whether remaining hooks run after a failure.",
    ),
    later("on_success.*.timeout_seconds", Seconds(Above(0.0)), Is("300"), "Longest run."),
    later("on_success.*.detached", Bool, Is("false"), "Do not wait for the end of the next job."),
    later("on_success.*.fresh", Bool, Is("false"), "The next job starts with a clean state."),
    later("on_success.*.pause_before_chain", Bool, Is("false"), "Wait for a person first."),
    later("on_success.*.inherit_learning", Bool, Is("true"), "Without effect."),
];

pub(super) const CONCERT: &[Key] = &[
    later("concert.enabled", Bool, Is("false"), "Use the settings below; the depth is always limited."),
    later("concert.max_chain_depth", Int(1, 100), Is("5"), "Most jobs in a chain."),
    later("concert.cooldown_between_jobs_seconds", Seconds(Least(0.0)), Is("5"), "Wait before the next job."),
    later("concert.inherit_workspace", Bool, Is("true"), "The next job works in the same workspace."),
    later("concert.concert_log_path", Path, Says("`concert.log` in the workspace"), "Log of the chain."),
    later("concert.abort_concert_on_hook_failure", Bool, Is("false"), "A failed hook ends the chain."),
];

pub(super) const NOTIFICATIONS: &[Key] = &[
    later("notifications.*.type", Word(&["desktop", "slack", "webhook"]), Required, "How.")
        .rule("`email`, which is not supported"),
    later(
        "notifications.*.on_events",
        List(&Word(&[
            "job_start",
            "sheet_start",
            "sheet_complete",
            "sheet_failed",
            "job_complete",
            "job_failed",
            "job_paused",
        ])),
        Is("[\"job_complete\", \"job_failed\"]"),
        "What is told.",
    ),
    later(
        "notifications.*.config",
        Free,
        Is("{}"),
        "Settings; a webhook needs `url` or `url_env`, Slack `webhook_url` or `webhook_url_env`.",
    )
    .rule("without `url` or `url_env` (webhook), `webhook_url` or `webhook_url_env` (slack)"),
];

pub(super) const ISOLATION: &[Key] = &[
    later("isolation.enabled", Bool, Is("false"), "Work in a git worktree."),
    later("isolation.mode", Word(&["none", "worktree"]), Is("\"worktree\""), "`none` switches it off too."),
    later("isolation.worktree_base", Path, Says("in the repository"), "Where worktrees are made."),
    later(
        "isolation.branch_prefix",
        Matching("^[a-zA-Z][a-zA-Z0-9_-]*$"),
        Is("\"mozart\""),
        "Prefix of the branch.",
    ),
    later("isolation.source_branch", Text, Says("HEAD"), "Where it starts."),
    later("isolation.cleanup_on_success", Bool, Is("true"), "Remove the worktree of a completed job."),
    later("isolation.cleanup_on_failure", Bool, Is("false"), "Remove the worktree of a failed job."),
    later("isolation.lock_during_execution", Bool, Is("true"), "Lock it while the job runs."),
    later("isolation.fallback_on_error", Bool, Is("true"), "Go on without it when it is not possible."),
    later("isolation.cleanup_discard_dirty", Bool, Is("false"), "Remove it even with uncommitted changes."),
];

pub(super) const CONDUCTOR_AGENT_CARD: &[Key] = &[
    later("conductor.name", Limited(1, 100), Is("\"default\""), "Who is responsible."),
    later("conductor.role", Word(&["human", "ai", "hybrid"]), Is("\"human\""), "What they are."),
    later("conductor.identity_context", Limited(0, 500), Nothing, "More about them."),
    later("conductor.preferences", Section, Unsaid, "What they prefer."),
    later("conductor.preferences.prefer_minimal_output", Bool, Is("false"), "Little output."),
    later(
        "conductor.preferences.escalation_response_timeout_seconds",
        Seconds(Above(0.0)),
        Is("300"),
        "Time for an answer.",
    ),
    later("conductor.preferences.auto_retry_on_transient_errors", Bool, Is("true"), "Retry without asking."),
    later("conductor.preferences.notification_channels", List(&Text), Is("[]"), "Channels."),
    later("agent_card.name", Label(0, 0), Required, "Name."),
    later("agent_card.description", Label(0, 0), Required, "Description."),
    later("agent_card.skills", List(&Section), Is("[]"), "Skills."),
    later("agent_card.skills.*.id", Label(0, 0), Required, "Name of the skill."),
    later("agent_card.skills.*.description", Label(0, 0), Required, "What it does."),
];

pub(super) const LOGGING_FEEDBACK: &[Key] = &[
    later("logging.level", Word(&["DEBUG", "INFO", "WARNING", "ERROR"]), Is("\"INFO\""), "Least level."),
    later(
        "logging.format",
        Word(&["json", "console", "both"]),
        Is("\"console\""),
        "Format; `both` needs a file.",
    )
    .rule("`both` without `file_path`"),
    later("logging.file_path", Path, Nothing, "Log file."),
    later("logging.max_file_size_mb", Number(AboveTo(0.0, 1000.0)), Is("50"), "Size of a file."),
    later("logging.backup_count", Int(0, 100), Is("5"), "Older files kept."),
    later("logging.include_timestamps", Bool, Is("true"), "Times in lines."),
    later("logging.include_context", Bool, Is("true"), "Job and sheet in lines."),
    later("feedback.enabled", Bool, Is("false"), "Look for feedback in the output."),
    later(
        "feedback.pattern",
        Regex,
        Says("text between `FEEDBACK_START` and `FEEDBACK_END`"),
        "Where it stands.",
    )
    .rule("an expression that does not compile or has no group"),
    later("feedback.format", Word(&["json", "yaml", "text"]), Is("\"json\""), "How it is read."),
];

pub(super) const GROUNDING_CHECKPOINTS: &[Key] = &[
    later("grounding.enabled", Bool, Is("false"), "Check files after a sheet; needs hooks.")
        .rule("true without hooks"),
    later("grounding.hooks", List(&Section), Is("[]"), "Checks."),
    later("grounding.hooks.*.type", Word(&["file_checksum"]), Required, "Kind."),
    later("grounding.hooks.*.name", Label(0, 0), Nothing, "Shown to people."),
    later("grounding.hooks.*.expected_checksums", ByName(&Text), Is("{}"), "What must be."),
    later(
        "grounding.hooks.*.checksum_algorithm",
        Word(&["sha256", "md5"]),
        Is("\"sha256\""),
        "How it is computed.",
    ),
    later("grounding.fail_on_grounding_failure", Bool, Is("true"), "A mismatch fails the sheet."),
    later("grounding.escalate_on_failure", Bool, Is("true"), "Ask a person."),
    later("grounding.timeout_seconds", Seconds(Above(0.0)), Is("30"), "Longest check."),
    later("checkpoints.enabled", Bool, Is("false"), "Ask a person at some places; needs triggers.")
        .rule("true without triggers"),
    later("checkpoints.triggers", List(&Section), Is("[]"), "The places; the first match counts.")
        .rule("an item without any condition"),
    later("checkpoints.triggers.*.name", Label(0, 0), Required, "Name of the place."),
    later("checkpoints.triggers.*.sheet_nums", List(&Int(1, MANY)), Nothing, "At these sheets."),
    later(
        "checkpoints.triggers.*.prompt_contains",
        List(&Text),
        Nothing,
        "When the prompt contains one of them.",
    ),
    later("checkpoints.triggers.*.min_retry_count", Int(0, MANY), Nothing, "After so many retries."),
    later("checkpoints.triggers.*.requires_confirmation", Bool, Is("true"), "Pause; else only remark."),
    later("checkpoints.triggers.*.message", Text, Is("\"\""), "Shown."),
];

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
    later("learning.escalation_enabled", Bool, Is("false"), "Ask a person when unsure."),
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
    later("ai_review.enabled", False, Is("false"), "Nobody reviews results: `true` is refused."),
    later("ai_review.min_score", Int(0, 100), Is("60"), "Least score.").rule("more than `target_score`"),
    later("ai_review.target_score", Int(0, 100), Is("80"), "Wanted score, not below the least."),
    later(
        "ai_review.on_low_score",
        Word(&["retry", "warn", "fail"]),
        Is("\"warn\""),
        "What follows a low score.",
    ),
    later("ai_review.max_retry_for_review", Int(0, 5), Is("2"), "Retries for it."),
    later("ai_review.review_prompt_template", Text, Nothing, "Prompt of the review."),
    later("spec.spec_dir", Path, Nothing, "Directory of the fragments."),
    later("spec.include_claude_md", Bool, Is("false"), "Use `CLAUDE.md` too."),
    later("spec.fragments", List(&Text), Is("[]"), "Fragments."),
    later("techniques.*.kind", Word(&["skill", "mcp", "protocol"]), Required, "Kind."),
    later("techniques.*.phases", List(&Label(0, 0)), Required, "Where it is active."),
    later("techniques.*.config", Free, Is("{}"), "Settings."),
    later("bridge.enabled", False, Is("false"), "There is no bridge: `true` is refused."),
    later("bridge.mcp_proxy_enabled", Bool, Is("true"), "Offer servers."),
    later("bridge.mcp_servers", List(&Section), Is("[]"), "Servers."),
    later("bridge.mcp_servers.*.name", Label(0, 0), Required, "Name."),
    later("bridge.mcp_servers.*.command", Text, Required, "Program."),
    later("bridge.mcp_servers.*.args", List(&Label(0, 0)), Is("[]"), "Arguments."),
    later(
        "bridge.mcp_servers.*.env",
        ByName(&Label(0, 0)),
        Is("{}"),
        "Environment; variables that decide about security are refused.",
    )
    .rule("variables that decide about security"),
    later("bridge.mcp_servers.*.working_dir", Path, Nothing, "Directory."),
    later("bridge.mcp_servers.*.timeout_seconds", Seconds(Above(0.0)), Is("30"), "Longest answer."),
    later("bridge.hybrid_routing_enabled", Bool, Is("false"), "Choose between models."),
    later("bridge.complexity_threshold", Number(Within(0.0, 1.0)), Is("0.7"), "Where to choose."),
    later("bridge.fallback_to_claude", Bool, Is("true"), "Take the stronger model on failure."),
    later("bridge.context_budget_percent", Int(10, 95), Is("75"), "Share of the context."),
    later("self_healing.max_attempts", Int(0, MANY), Is("1"), "Repairs."),
];
