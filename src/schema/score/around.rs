//! The keys for what happens around the sheets of a score.

use crate::schema::key::Default::{Is, Nothing, Required, Says, Unsaid};
use crate::schema::key::Kind::{
    Bool, ByName, Filled, Free, Int, Label, Limited, List, Matching, Number, Path, Regex, Seconds, Section,
    Text, Word,
};
use crate::schema::key::Range::{Above, AboveTo, Least};
use crate::schema::key::{Key, MANY, key, older};

pub(super) const CIRCUIT_BREAKER: &[Key] = &[
    key(
        "circuit_breaker.enabled",
        Bool,
        Is("true"),
        "Leave an instrument alone for a while after failures in a row that are its fault; false: this job is neither counted nor held.",
    ),
    key(
        "circuit_breaker.failure_threshold",
        Int(1, 100),
        Is("5"),
        "Failures in a row; of several jobs that use the instrument the lowest number counts.",
    ),
    key(
        "circuit_breaker.recovery_timeout_seconds",
        Number(AboveTo(0.0, 3600.0)),
        Is("300"),
        "Seconds, the longest rest: the first is 30 s (or this, if less), doubled with each try that fails.",
    ),
    older(
        "circuit_breaker.cross_workspace_coordination",
        Bool,
        Is("true"),
        "What is known of an instrument is always shared by all jobs of a conductor.",
    ),
    older(
        "circuit_breaker.honor_other_jobs_rate_limits",
        Bool,
        Is("true"),
        "Limits that other jobs met are always heeded.",
    ),
];

pub(super) const COST_LIMITS: &[Key] = &[
    key("cost_limits.enabled", Bool, Says("true when a limit is set"), "Keep the limits below.")
        .never_null()
        .rule("true without any limit"),
    key(
        "cost_limits.max_cost_per_sheet",
        Number(Above(0.0)),
        Nothing,
        "US dollars for all attempts of a sheet together; beyond that it fails with E007, in the middle of a run where the program tells what it uses.",
    ),
    key(
        "cost_limits.max_cost_per_job",
        Number(Above(0.0)),
        Nothing,
        "US dollars for the job; beyond that it is paused (`cost`) until the limit is raised.",
    ),
    key(
        "cost_limits.max_tokens_per_sheet",
        Int(1, MANY),
        Nothing,
        "Tokens read and written by all attempts of a sheet together, as `max_cost_per_sheet`.",
    ),
    key(
        "cost_limits.max_tokens_per_job",
        Int(1, MANY),
        Nothing,
        "Tokens read and written by the job, as `max_cost_per_job`.",
    ),
    key(
        "cost_limits.cost_per_1k_input_tokens",
        Number(Above(0.0)),
        Says("0.003 when only the other is written"),
        "US dollars for a thousand tokens that are read, for models whose profile names no price; without either of the two their cost is unknown.",
    ),
    key(
        "cost_limits.cost_per_1k_output_tokens",
        Number(Above(0.0)),
        Says("0.015 when only the other is written"),
        "The same for tokens that are written.",
    ),
    key(
        "cost_limits.warn_at_percent",
        Number(AboveTo(0.0, 100.0)),
        Is("80"),
        "Percent of the job's limit at which `cost.warning` is told; again at 90 and 100.",
    ),
];

pub(super) const WORKSPACE_LIFECYCLE: &[Key] = &[
    key(
        "workspace_lifecycle.archive_on_fresh",
        Bool,
        Is("false"),
        "Move the content of the workspace away before a run with `--fresh`.",
    ),
    key(
        "workspace_lifecycle.archive_dir",
        Text,
        Is("\"archive\""),
        "Directory in the workspace that the archives are put into.",
    )
    .rule("an absolute path, or one with `..`"),
    key(
        "workspace_lifecycle.archive_naming",
        Word(&["iteration", "timestamp"]),
        Is("\"iteration\""),
        "`iteration`: `iteration-N`, the number that the file `.iteration` holds; `timestamp`, or without that file: `archive-YYYYmmdd-HHMMSS`.",
    ),
    key(
        "workspace_lifecycle.max_archives",
        Int(0, MANY),
        Is("0"),
        "Newest archives that are kept; 0 keeps all.",
    ),
    key(
        "workspace_lifecycle.preserve_patterns",
        List(&Filled),
        Says("`.iteration`, `.mozart-*`, `.marianne-*`, `.coverage`, `archive/**`, `.worktrees/**`"),
        "What stays in the workspace: names at its top level, with `*` and `?`.",
    ),
    key(
        "workspace_lifecycle.archive_required",
        Bool,
        Is("false"),
        "A failed archive fails the job; otherwise it is remarked.",
    ),
];

pub(super) const ON_SUCCESS_ON_FAILURE: &[Key] = &[
    key(
        "on_success.*.type",
        Word(&["run_job", "run_command", "run_script"]),
        Required,
        "`run_job` submits a score, `run_command` runs a line of the shell, `run_script` a program without a shell.",
    ),
    key("on_success.*.job_path", Path, Unsaid, "Score of the next job.")
        .rule("missing or empty with `run_job`"),
    key(
        "on_success.*.job_workspace",
        Path,
        Nothing,
        "Workspace of the next job; without it `concert.inherit_workspace` decides.",
    ),
    key(
        "on_success.*.command",
        Text,
        Unsaid,
        "What is run; `{workspace}`, `{job_id}` and `{sheet_count}` are replaced.",
    )
    .rule("missing or empty with `run_command` and `run_script`; more than 4096 bytes"),
    key("on_success.*.working_directory", Path, Says("the workspace"), "Directory of the command."),
    key("on_success.*.description", Label(0, 0), Nothing, "Shown in the result."),
    key(
        "on_success.*.on_failure",
        Word(&["continue", "abort"]),
        Is("\"continue\""),
        "After a failure of this hook: `continue` with the next one, or `abort` the rest and fail the job (E701).",
    ),
    key(
        "on_success.*.timeout_seconds",
        Seconds(Above(0.0)),
        Is("300"),
        "Longest run in seconds, or longest wait for the next job, which goes on.",
    ),
    key(
        "on_success.*.detached",
        Bool,
        Is("false"),
        "The next job only has to be accepted; its end is not waited for.",
    ),
    key(
        "on_success.*.fresh",
        Bool,
        Is("false"),
        "The next job starts with a clean state; needed by a job that chains itself.",
    ),
    key(
        "on_success.*.pause_before_chain",
        Bool,
        Is("false"),
        "The job becomes `paused_at_chain`; `mozart resume` submits the next one.",
    ),
    older(
        "on_success.*.inherit_learning",
        Bool,
        Is("true"),
        "Nothing is learned yet that could be handed on.",
    ),
];

pub(super) const CONCERT: &[Key] = &[
    key(
        "concert.enabled",
        Bool,
        Is("false"),
        "Use `max_chain_depth`; without it a chain ends at depth 100. The other keys always count.",
    ),
    key("concert.max_chain_depth", Int(1, 100), Is("5"), "Jobs that may follow the first one of a chain."),
    key(
        "concert.cooldown_between_jobs_seconds",
        Seconds(Least(0.0)),
        Is("5"),
        "Seconds to wait before the next job is submitted.",
    ),
    key(
        "concert.inherit_workspace",
        Bool,
        Is("true"),
        "The next job works in the workspace of this one, unless its hook names another.",
    ),
    key(
        "concert.concert_log_path",
        Path,
        Says("`concert.log` in the workspace"),
        "File with a line of JSON for everything that happens in the chain.",
    ),
    key(
        "concert.abort_concert_on_hook_failure",
        Bool,
        Is("false"),
        "Every hook that fails aborts, as `on_failure: abort`.",
    ),
];

pub(super) const NOTIFICATIONS: &[Key] = &[
    key("notifications.*.type", Word(&["desktop", "slack", "webhook", "command"]), Required, "Where it goes; `command` is a line of the shell that reads the event on its standard input.")
        .rule("`email`, which is not supported"),
    key(
        "notifications.*.on_events",
        List(&Word(&[
            "job_start",
            "sheet_start",
            "sheet_complete",
            "sheet_failed",
            "job_complete",
            "job_failed",
            "job_paused",
            "job_resumed",
            "rate_limit_detected",
            "escalation_needed",
            "cost_warning",
        ])),
        Is("[\"job_complete\", \"job_failed\"]"),
        "What is told.",
    ),
    key(
        "notifications.*.config",
        Free,
        Is("{}"),
        "Settings of the type, see [notifications.md](notifications.md).",
    )
    .rule("without `url` or `url_env` (webhook), `webhook_url` or `webhook_url_env` (slack), `command` (command)"),
];

pub(super) const ISOLATION: &[Key] = &[
    key("isolation.enabled", Bool, Is("false"), "The sheets work in a git worktree of the job's own."),
    key("isolation.mode", Word(&["none", "worktree"]), Is("\"worktree\""), "`none` switches it off too."),
    key(
        "isolation.worktree_base",
        Path,
        Says("`.worktrees` of the repository"),
        "Directory that worktrees are made in.",
    ),
    key(
        "isolation.branch_prefix",
        Matching("^[a-zA-Z][a-zA-Z0-9_-]*$"),
        Is("\"mozart\""),
        "The branch that keeps the commits is `<prefix>/<job>`.",
    ),
    key("isolation.source_branch", Text, Says("HEAD"), "Branch or commit that the worktree starts from."),
    key(
        "isolation.cleanup_on_success",
        Bool,
        Is("true"),
        "Remove the worktree of a completed job; its commits stay on the branch, and one with changes that are not committed stays.",
    ),
    key("isolation.cleanup_on_failure", Bool, Is("false"), "The same for a failed job."),
    key(
        "isolation.lock_during_execution",
        Bool,
        Is("true"),
        "Lock the worktree (`git worktree lock`) while the job runs.",
    ),
    key(
        "isolation.fallback_on_error",
        Bool,
        Is("true"),
        "Run in place with a warning when no worktree can be made; false: the job fails with E603.",
    ),
    key(
        "isolation.cleanup_discard_dirty",
        Bool,
        Is("false"),
        "Remove the worktree even with changes that are not committed.",
    ),
];

pub(super) const CONDUCTOR_AGENT_CARD: &[Key] = &[
    key("conductor.name", Limited(1, 100), Is("\"default\""), "Who is responsible for the job."),
    key("conductor.role", Word(&["human", "ai", "hybrid"]), Is("\"human\""), "What they are."),
    key("conductor.identity_context", Limited(0, 500), Nothing, "More about them."),
    key("conductor.preferences", Section, Unsaid, "What they prefer."),
    key("conductor.preferences.prefer_minimal_output", Bool, Is("false"), "Shown."),
    key(
        "conductor.preferences.escalation_response_timeout_seconds",
        Seconds(Above(0.0)),
        Is("300"),
        "Seconds that a question to a person stays open; then the sheet fails.",
    ),
    key(
        "conductor.preferences.auto_retry_on_transient_errors",
        Bool,
        Is("true"),
        "Shown; how often is tried again is said by `retry`.",
    ),
    key(
        "conductor.preferences.notification_channels",
        List(&Text),
        Is("[]"),
        "Shown; who is told is said by `notifications`.",
    ),
    key("agent_card.name", Label(0, 0), Required, "Name of the agent."),
    key("agent_card.description", Label(0, 0), Required, "What it is."),
    key("agent_card.skills", List(&Section), Is("[]"), "What it can do."),
    key("agent_card.skills.*.id", Label(0, 0), Required, "Name of the skill."),
    key("agent_card.skills.*.description", Label(0, 0), Required, "What it is about."),
];

pub(super) const LOGGING_FEEDBACK: &[Key] = &[
    key("logging.level", Word(&["DEBUG", "INFO", "WARNING", "ERROR"]), Is("\"INFO\""), "Least important events that are written."),
    key(
        "logging.format",
        Word(&["json", "console", "both"]),
        Is("\"console\""),
        "`console`: lines for people, `json`: lines of JSON, `both`: lines for people, and lines of JSON in `<file_path>.jsonl`.",
    )
    .rule("`both` without `file_path`"),
    key("logging.file_path", Path, Says("`job.log` in the job's state directory"), "The file."),
    key("logging.max_file_size_mb", Number(AboveTo(0.0, 1000.0)), Is("50"), "MiB; the file is rotated before it grows larger."),
    key("logging.backup_count", Int(0, 100), Is("5"), "Rotated files that are kept, as `.1`, `.2` and so on."),
    key("logging.include_timestamps", Bool, Is("true"), "Each line begins with its time."),
    key("logging.include_context", Bool, Is("true"), "Each line names the job and the sheet."),
    key("feedback.enabled", Bool, Is("false"), "Look for feedback in what a program prints; it is shown as `agent_feedback` of the sheet."),
    key(
        "feedback.pattern",
        Regex,
        Says("text between `FEEDBACK_START` and `FEEDBACK_END`"),
        "Its first group is the feedback, at most 64 KiB; the last match counts.",
    )
    .rule("an expression that does not compile or has no group"),
    key("feedback.format", Word(&["json", "yaml", "text"]), Is("\"json\""), "How it is read."),
];

pub(super) const GROUNDING_CHECKPOINTS: &[Key] = &[
    key(
        "grounding.enabled",
        Bool,
        Is("false"),
        "Compare files with known checksums after the rules of a sheet have passed.",
    )
    .rule("true without hooks"),
    key("grounding.hooks", List(&Section), Is("[]"), "The comparisons."),
    key("grounding.hooks.*.type", Word(&["file_checksum"]), Required, "What is compared."),
    key("grounding.hooks.*.name", Label(0, 0), Nothing, "Shown to people."),
    key(
        "grounding.hooks.*.expected_checksums",
        ByName(&Text),
        Is("{}"),
        "Files, relative to the workspace and with placeholders, and their checksums in hexadecimal.",
    ),
    key(
        "grounding.hooks.*.checksum_algorithm",
        Word(&["sha256", "md5"]),
        Is("\"sha256\""),
        "How a checksum is computed.",
    ),
    key(
        "grounding.fail_on_grounding_failure",
        Bool,
        Is("true"),
        "A file that is missing or different fails the sheet; otherwise it is remarked.",
    ),
    key(
        "grounding.escalate_on_failure",
        Bool,
        Is("true"),
        "When such a sheet has no attempt left, a person is asked before it fails.",
    ),
    key(
        "grounding.timeout_seconds",
        Seconds(Above(0.0)),
        Is("30"),
        "Longest time for one of the hooks, in seconds.",
    ),
    key("checkpoints.enabled", Bool, Is("false"), "Stop at the places below, before the sheet starts.")
        .rule("true without triggers"),
    key(
        "checkpoints.triggers",
        List(&Section),
        Is("[]"),
        "The places; the first that matches counts, once in a run of a sheet.",
    )
    .rule("an item without any condition"),
    key("checkpoints.triggers.*.name", Label(0, 0), Required, "Name of the place."),
    key("checkpoints.triggers.*.sheet_nums", List(&Int(1, MANY)), Nothing, "At these sheets only."),
    key(
        "checkpoints.triggers.*.prompt_contains",
        List(&Text),
        Nothing,
        "Only when the prompt as the score has it contains one of these, in any case.",
    ),
    key(
        "checkpoints.triggers.*.min_retry_count",
        Int(0, MANY),
        Nothing,
        "Only after so many retries of the sheet.",
    ),
    key(
        "checkpoints.triggers.*.requires_confirmation",
        Bool,
        Is("true"),
        "Pause the job until it is resumed; false: tell an event and go on.",
    ),
    key("checkpoints.triggers.*.message", Text, Is("\"\""), "Shown with the pause."),
];
