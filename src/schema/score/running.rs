//! The keys that judge sheets and steer their attempts.

use crate::schema::key::Default::{Is, Nothing, Required, Says, Unsaid};
use crate::schema::key::Kind::{Bool, Condition, Int, Label, List, Number, Regex, Seconds, Text, Word};
use crate::schema::key::Range::{Above, AboveTo, Least};
use crate::schema::key::{Key, MANY, key};

pub(super) const VALIDATIONS: &[Key] = &[
    key(
        "validations.*.type",
        Word(&["file_exists", "file_modified", "content_contains", "content_regex", "command_succeeds"]),
        Required,
        "What is checked.",
    ),
    key("validations.*.path", Text, Unsaid, "File; needed by all types but `command_succeeds`.")
        .rule("missing where the type needs it"),
    key(
        "validations.*.pattern",
        Text,
        Unsaid,
        "Text or regular expression; needed by `content_contains` and `content_regex`.",
    )
    .rule("missing or empty where the type needs it; a regular expression that does not compile"),
    key("validations.*.command", Text, Unsaid, "Shell command; needed by `command_succeeds`.")
        .rule("missing where the type needs it"),
    key("validations.*.working_directory", Text, Says("the workspace"), "Directory of the command."),
    key("validations.*.description", Label(0, 0), Nothing, "Shown to people."),
    key(
        "validations.*.stage",
        Int(1, 10),
        Is("1"),
        "Validation stage: later stages are checked when earlier ones pass.",
    ),
    key("validations.*.condition", Condition, Nothing, "Sheets that the rule applies to.")
        .rule("a condition that cannot be parsed"),
    key("validations.*.sheet", Int(1, MANY), Nothing, "Number of the one sheet that the rule applies to."),
    key(
        "validations.*.retry_count",
        Int(0, 10),
        Says("3; 0 for commands"),
        "Further checks after a failed one.",
    ),
    key("validations.*.retry_delay_ms", Int(0, 5000), Is("200"), "Pause between them."),
    key("validations.*.timeout_seconds", Seconds(Above(0.0)), Is("3600"), "Longest run of a command.")
        .or_null(),
    key("validations.*.pipefail", Bool, Is("false"), "A pipe fails when one of its parts does."),
];

pub(super) const RETRY: &[Key] = &[
    key(
        "retry.max_retries",
        Int(0, MANY),
        Is("3"),
        "Further attempts of a sheet after the first; each fallback instrument has as many again.",
    ),
    key("retry.base_delay_seconds", Seconds(Above(0.0)), Is("10"), "Delay before the first retry.")
        .rule("more than `max_delay_seconds`"),
    key("retry.max_delay_seconds", Seconds(Above(0.0)), Is("3600"), "Longest delay."),
    key("retry.exponential_base", Number(Above(1.0)), Is("2"), "Growth of the delay."),
    key("retry.jitter", Bool, Is("true"), "Vary delays by chance."),
    key("retry.max_completion_attempts", Int(0, MANY), Is("5"), "Attempts that only finish what is missing."),
    key("retry.completion_delay_seconds", Seconds(Least(0.0)), Is("5"), "Delay before one."),
    key(
        "retry.completion_threshold_percent",
        Number(AboveTo(0.0, 100.0)),
        Is("50"),
        "Share of passed rules above which one is made.",
    ),
    key(
        "retry.accept_if_validated",
        Bool,
        Is("false"),
        "A program that failed counts as done when all rules of its sheet pass, of which there must be one.",
    ),
];

pub(super) const PARALLEL: &[Key] = &[
    key(
        "parallel.enabled",
        Bool,
        Is("false"),
        "Run ready sheets side by side; otherwise one after the other, the lowest number first.",
    ),
    key("parallel.max_concurrent", Int(1, 20), Is("3"), "Most sheets of the job at once."),
    key(
        "parallel.fail_fast",
        Bool,
        Is("true"),
        "Start nothing new after a sheet failed for good; what runs ends by itself, and questions to people stay open.",
    ),
    key("parallel.stagger_delay_ms", Int(0, 5000), Is("0"), "Least time between two starts."),
    key(
        "parallel.budget_partition",
        Bool,
        Is("true"),
        "Start no sheet when what the job has spent, and what its running sheets will cost by the average so far, reaches `cost_limits.max_cost_per_job`; false: only what has been spent counts.",
    ),
];

pub(super) const RATE_LIMIT: &[Key] = &[
    key(
        "rate_limit.detection_patterns",
        List(&Regex),
        Says("seven common ones"),
        "Used besides the patterns of the profile, without regard to case.",
    )
    .rule("empty expressions, and ones that do not compile"),
    key("rate_limit.wait_minutes", Int(1, MANY), Is("60"), "Wait when no time could be read."),
    key("rate_limit.max_waits", Int(1, MANY), Is("24"), "Waits in a row."),
    key("rate_limit.max_quota_waits", Int(1, MANY), Is("48"), "Waits in a row when a quota is used up."),
    key(
        "rate_limit.fallback_min_wait_seconds",
        Seconds(Least(0.0)),
        Is("30"),
        "With fallbacks: seconds; a shorter wait is waited out, a longer one takes the next instrument.",
    ),
];

pub(super) const CROSS_SHEET: &[Key] = &[
    key(
        "cross_sheet.auto_capture_stdout",
        Bool,
        Is("false"),
        "Fill `previous_outputs` and `synthesis` with what earlier sheets printed.",
    ),
    key("cross_sheet.max_output_chars", Int(1, MANY), Is("2000"), "Characters of each."),
    key("cross_sheet.lookback_sheets", Int(0, MANY), Is("3"), "How many sheets back; 0 means all."),
    key("cross_sheet.capture_files", List(&Text), Is("[]"), "Files for `previous_files`."),
];

pub(super) const STALE_DETECTION: &[Key] = &[
    key("stale_detection.enabled", Bool, Is("false"), "End a program that neither prints nor computes."),
    key("stale_detection.idle_timeout_seconds", Seconds(Above(0.0)), Is("300"), "Time without output."),
    key("stale_detection.check_interval_seconds", Seconds(Above(0.0)), Is("30"), "Time between looks.")
        .rule("not less than `idle_timeout_seconds`"),
    key("stale_detection.count_cpu", Bool, Is("true"), "Computing counts as a sign of life."),
];
