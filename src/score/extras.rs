//! Sections that few scores use: `logging`, `feedback`, `grounding`, `checkpoints`, `ai_review`, `conductor`,
//! `spec`, `techniques`, `agent_card`, `bridge`, `self_healing`.

use std::path::{Path, PathBuf};

use super::decode::{At, Bound, Fields};
use super::paths::resolve;
use super::pattern;
use super::value::Map;

const ABOVE_ZERO: Bound = Bound::Above(0.0);

/// `enabled` of a section that nobody carries out: asking for it is an error, so that no job runs without what its
/// score counts on.
fn refused(f: &mut Fields<'_>, why: &str, instead: &str) -> bool {
    let Some(at) = f.raw("enabled") else { return false };
    if at.boolean() == Some(true) {
        at.error_hint(why, instead);
    }
    false
}

/// `logging`: the log of the job.
#[derive(Debug, Clone, PartialEq)]
pub struct Logging {
    /// `DEBUG`, `INFO` (default), `WARNING` or `ERROR`.
    pub level: &'static str,
    /// `json`, `console` (default) or `both`.
    pub format: &'static str,
    /// Log file.
    pub file_path: Option<PathBuf>,
    /// Above 0 to 1000, default 50.
    pub max_file_size_mb: f64,
    /// 0-100, default 5.
    pub backup_count: u32,
    /// Default true.
    pub include_timestamps: bool,
    /// Default true.
    pub include_context: bool,
}

impl Logging {
    pub(super) fn decode(f: &mut Fields<'_>, dir: &Path) -> Self {
        let levels = [("DEBUG", "DEBUG"), ("INFO", "INFO"), ("WARNING", "WARNING"), ("ERROR", "ERROR")];
        let formats = [("json", "json"), ("console", "console"), ("both", "both")];
        let logging = Self {
            level: f.word("level", &levels, "INFO"),
            format: f.word("format", &formats, "console"),
            file_path: f.opt_text("file_path").map(|text| resolve(dir, &text)),
            max_file_size_mb: f.float("max_file_size_mb", Bound::AboveTo(0.0, 1000.0), 50.0),
            backup_count: f.int("backup_count", 0..=100, 5),
            include_timestamps: f.boolean("include_timestamps", true),
            include_context: f.boolean("include_context", true),
        };
        if logging.format == "both" && f.peek("file_path").is_none_or(|at| at.is_null()) {
            f.error_about(&["file_path", "format"], "file_path is required when format='both'");
        }
        logging
    }
}

/// `feedback`: what an agent says about its own work.
#[derive(Debug, Clone, PartialEq)]
pub struct Feedback {
    /// Default false.
    pub enabled: bool,
    /// Regular expression; its first group is the text.
    pub pattern: String,
    /// `json` (default), `yaml` or `text`.
    pub format: &'static str,
}

impl Feedback {
    pub(super) fn decode(f: &mut Fields<'_>) -> Self {
        let pattern = f.raw("pattern").and_then(|at| {
            let text = at.text()?;
            match pattern::compile(text) {
                Err(why) => at.error(format!("pattern is not valid regex: {why}")),
                Ok(regex) if regex.captures_len() < 2 => {
                    at.error("pattern needs a group: its first group is the feedback");
                }
                Ok(_) => {}
            }
            Some(text.to_owned())
        });
        Self {
            enabled: f.boolean("enabled", false),
            pattern: pattern.unwrap_or_else(|| "(?s)FEEDBACK_START(.+?)FEEDBACK_END".to_owned()),
            format: f.word("format", &[("json", "json"), ("yaml", "yaml"), ("text", "text")], "json"),
        }
    }
}

/// `grounding`: files that must have known checksums after a sheet.
#[derive(Debug, Clone, PartialEq)]
pub struct Grounding {
    /// Default false.
    pub enabled: bool,
    /// Checks.
    pub hooks: Vec<GroundingHook>,
    /// Default true.
    pub fail_on_grounding_failure: bool,
    /// Default true.
    pub escalate_on_failure: bool,
    /// Default 30.
    pub timeout_seconds: f64,
}

/// One check of `grounding.hooks`.
#[derive(Debug, Clone, PartialEq)]
pub struct GroundingHook {
    /// For people.
    pub name: Option<String>,
    /// File and its checksum in hexadecimal.
    pub expected_checksums: Vec<(String, String)>,
    /// `sha256` (default) or `md5`.
    pub checksum_algorithm: &'static str,
}

impl Grounding {
    pub(super) fn decode(f: &mut Fields<'_>) -> Self {
        let grounding = Self {
            enabled: f.boolean("enabled", false),
            hooks: f.list("hooks", |at| at.section(GroundingHook::decode)),
            fail_on_grounding_failure: f.boolean("fail_on_grounding_failure", true),
            escalate_on_failure: f.boolean("escalate_on_failure", true),
            timeout_seconds: f.seconds("timeout_seconds", ABOVE_ZERO, 30.0),
        };
        if grounding.enabled && grounding.hooks.is_empty() && f.peek("hooks").is_none_or(|at| at.is_empty()) {
            f.error_about(
                &["hooks", "enabled"],
                "GroundingConfig has enabled=True but no hooks configured. Add hooks, or disable grounding.",
            );
        }
        grounding
    }
}

impl GroundingHook {
    fn decode(f: &mut Fields<'_>) -> Self {
        f.required("type").and_then(|at| at.one_of(&[("file_checksum", ())]));
        let name = f.nullable("name").and_then(|at| at.label());
        let algorithm = f.word("checksum_algorithm", &[("sha256", "sha256"), ("md5", "md5")], "sha256");
        let expected =
            f.present("expected_checksums").and_then(|at| at.named(|_, at| checksum(at, algorithm)));
        Self { name, expected_checksums: expected.unwrap_or_default(), checksum_algorithm: algorithm }
    }
}

/// Hexadecimal digits, as many as the algorithm has; a wrong one would let every sheet fail after its work is done.
fn checksum(at: &At<'_>, algorithm: &str) -> Option<String> {
    let text = at.text()?;
    let (length, program) = if algorithm == "md5" { (32, "md5sum") } else { (64, "sha256sum") };
    if text.len() != length || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        at.error_hint(
            format!(
                "a checksum of {algorithm} is {length} hexadecimal digits, not {} characters",
                text.chars().count()
            ),
            format!("`{program} FILE` prints it; set `checksum_algorithm` when it is of another kind"),
        );
        return None;
    }
    Some(text.to_owned())
}

/// `checkpoints`: places where a person is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoints {
    /// Default false.
    pub enabled: bool,
    /// First match wins.
    pub triggers: Vec<Trigger>,
}

/// One of `checkpoints.triggers`; all its conditions must hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Trigger {
    /// For people.
    pub name: String,
    /// Concrete sheets.
    pub sheet_nums: Vec<u32>,
    /// Words in the prompt, without regard to case.
    pub prompt_contains: Vec<String>,
    /// Retries so far.
    pub min_retry_count: Option<u32>,
    /// Pause the job (default true), else only remark it.
    pub requires_confirmation: bool,
    /// Shown.
    pub message: String,
}

impl Checkpoints {
    pub(super) fn decode(f: &mut Fields<'_>) -> Self {
        let checkpoints = Self {
            enabled: f.boolean("enabled", false),
            triggers: f.list("triggers", |at| at.section(Trigger::decode)),
        };
        let none = f.peek("triggers").is_none_or(|at| at.is_empty());
        if checkpoints.enabled && checkpoints.triggers.is_empty() && none {
            f.error_about(
                &["triggers", "enabled"],
                "CheckpointConfig has enabled=True but no triggers configured. \
                 Add triggers, or disable checkpoints.",
            );
        }
        checkpoints
    }
}

impl Trigger {
    fn decode(f: &mut Fields<'_>) -> Self {
        let trigger = Self {
            name: f.required("name").and_then(|at| at.label()).unwrap_or_default(),
            sheet_nums: f
                .nullable("sheet_nums")
                .and_then(|at| at.list(|at| at.int(1..=i64::MAX)))
                .unwrap_or_default(),
            prompt_contains: f.nullable("prompt_contains").and_then(|at| at.texts()).unwrap_or_default(),
            min_retry_count: f.opt_int("min_retry_count", 0..=i64::MAX),
            requires_confirmation: f.boolean("requires_confirmation", true),
            message: f.text("message", ""),
        };
        // A value of the wrong type has been reported already.
        let keys = ["sheet_nums", "prompt_contains", "min_retry_count"];
        if keys.iter().all(|key| f.peek(key).is_none_or(|at| at.is_empty())) {
            let message = format!(
                "CheckpointTrigger '{}' must have at least one non-empty condition \
                 (sheet_nums, prompt_contains, or min_retry_count)",
                trigger.name
            );
            f.error_about(&keys, message);
        }
        trigger
    }
}

/// `ai_review`. There is nobody who reviews, so a score that enables it is refused; the rest is checked only.
#[derive(Debug, Clone, PartialEq)]
pub struct AiReview {
    /// Always false.
    pub enabled: bool,
    /// 0-100, default 60.
    pub min_score: u32,
    /// 0-100, default 80.
    pub target_score: u32,
    /// `retry`, `warn` (default) or `fail`.
    pub on_low_score: &'static str,
    /// 0-5, default 2.
    pub max_retry_for_review: u32,
    /// Prompt of the reviewer.
    pub review_prompt_template: Option<String>,
}

impl AiReview {
    pub(super) fn decode(f: &mut Fields<'_>) -> Self {
        let words = [("retry", "retry"), ("warn", "warn"), ("fail", "fail")];
        let review = Self {
            enabled: refused(
                f,
                "ai_review is not carried out: no result would be reviewed",
                "set `enabled: false`, and let a sheet of its own review the result, \
                 or a validation of type command_succeeds",
            ),
            min_score: f.int("min_score", 0..=100, 60),
            target_score: f.int("target_score", 0..=100, 80),
            on_low_score: f.word("on_low_score", &words, "warn"),
            max_retry_for_review: f.int("max_retry_for_review", 0..=5, 2),
            review_prompt_template: f.opt_text("review_prompt_template"),
        };
        let (min, target) = (review.min_score, review.target_score);
        if min > target {
            // The one that would be wrong by itself.
            let keys =
                if target < 60 { ["target_score", "min_score"] } else { ["min_score", "target_score"] };
            f.error_about(&keys, format!("min_score ({min}) must be <= target_score ({target})"));
        }
        review
    }
}

/// `conductor`: who is responsible; shown in status.
#[derive(Debug, Clone, PartialEq)]
pub struct ConductorCard {
    /// 1-100 characters, default `default`.
    pub name: String,
    /// `human` (default), `ai` or `hybrid`.
    pub role: &'static str,
    /// At most 500 characters.
    pub identity_context: Option<String>,
    /// Default false.
    pub prefer_minimal_output: bool,
    /// Default 300.
    pub escalation_response_timeout_seconds: f64,
    /// Default true.
    pub auto_retry_on_transient_errors: bool,
    /// Names.
    pub notification_channels: Vec<String>,
}

impl ConductorCard {
    pub(super) fn decode(f: &mut Fields<'_>) -> Self {
        fn limited(at: &At<'_>, least: usize, most: usize) -> Option<String> {
            let text = at.text()?;
            let length = text.chars().count();
            if length < least {
                at.error(format!("String should have at least {least} character"));
            } else if length > most {
                at.error(format!("String should have at most {most} characters"));
            }
            Some(text.to_owned())
        }
        let roles = [("human", "human"), ("ai", "ai"), ("hybrid", "hybrid")];
        let name = f.raw("name").and_then(|at| limited(&at, 1, 100));
        let role = f.word("role", &roles, "human");
        let identity_context = f.nullable("identity_context").and_then(|at| limited(&at, 0, 500));
        f.section("preferences", |f| Self {
            name: name.unwrap_or_else(|| "default".to_owned()),
            role,
            identity_context,
            prefer_minimal_output: f.boolean("prefer_minimal_output", false),
            escalation_response_timeout_seconds: f.seconds(
                "escalation_response_timeout_seconds",
                ABOVE_ZERO,
                300.0,
            ),
            auto_retry_on_transient_errors: f.boolean("auto_retry_on_transient_errors", true),
            notification_channels: f.texts("notification_channels"),
        })
    }
}

/// `spec`: fragments of a specification for the prompts.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// Directory, default "" (none).
    pub spec_dir: String,
    /// Default false.
    pub include_claude_md: bool,
    /// Names of fragments.
    pub fragments: Vec<String>,
}

impl Spec {
    pub(super) fn decode(f: &mut Fields<'_>) -> Self {
        Self {
            spec_dir: f.text("spec_dir", ""),
            include_claude_md: f.boolean("include_claude_md", false),
            fragments: f.texts("fragments"),
        }
    }
}

/// `techniques.<name>`.
#[derive(Debug, Clone, PartialEq)]
pub struct Technique {
    /// `skill`, `mcp` or `protocol`.
    pub kind: &'static str,
    /// Stage numbers as text, or `all`.
    pub phases: Vec<String>,
    /// Settings of the kind.
    pub config: Map,
}

impl Technique {
    pub(super) fn decode(at: &At<'_>) -> Option<Self> {
        let kinds = [("skill", "skill"), ("mcp", "mcp"), ("protocol", "protocol")];
        let mut f = at.fields()?;
        let kind = f.required("kind").and_then(|at| at.one_of(&kinds));
        let phases = f.required("phases").and_then(|at| at.list(|at| at.label()));
        let config = f.present("config").and_then(|at| at.free_map()).unwrap_or_default();
        f.finish();
        Some(Self { kind: kind?, phases: phases?, config })
    }
}

/// `agent_card`: shown in lists.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentCard {
    /// Name.
    pub name: String,
    /// Description.
    pub description: String,
    /// Identifier and description.
    pub skills: Vec<(String, String)>,
}

impl AgentCard {
    pub(super) fn decode(f: &mut Fields<'_>) -> Self {
        let text = |f: &mut Fields<'_>, key| f.required(key).and_then(|at| at.label()).unwrap_or_default();
        Self {
            name: text(f, "name"),
            description: text(f, "description"),
            skills: f.list("skills", |at| at.section(|f| (text(f, "id"), text(f, "description")))),
        }
    }
}

/// `bridge`. Nothing stands between a sheet and its instrument, so a score that enables it is refused; the rest is
/// checked only.
#[derive(Debug, Clone, PartialEq)]
pub struct Bridge {
    /// Always false.
    pub enabled: bool,
    /// Default true.
    pub mcp_proxy_enabled: bool,
    /// Servers.
    pub mcp_servers: Vec<McpServer>,
    /// Default false.
    pub hybrid_routing_enabled: bool,
    /// 0-1, default 0.7.
    pub complexity_threshold: f64,
    /// Default true.
    pub fallback_to_claude: bool,
    /// 10-95, default 75.
    pub context_budget_percent: u32,
}

/// One of `bridge.mcp_servers`.
#[derive(Debug, Clone, PartialEq)]
pub struct McpServer {
    /// Name.
    pub name: String,
    /// Program.
    pub command: String,
    /// Arguments.
    pub args: Vec<String>,
    /// Additional environment.
    pub env: Vec<(String, String)>,
    /// Directory.
    pub working_dir: Option<String>,
    /// Default 30.
    pub timeout_seconds: f64,
}

const PROTECTED: [&str; 9] = [
    "PATH",
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
    "PYTHONPATH",
    "NODE_PATH",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "ANTHROPIC_API_KEY",
    "OPENAI_API_KEY",
];

impl Bridge {
    pub(super) fn decode(f: &mut Fields<'_>) -> Self {
        Self {
            enabled: refused(
                f,
                "bridge is not carried out: no tool server would be started and no other model asked",
                "set `enabled: false`; name tool servers with a technique of kind mcp, \
                 and other models with `instrument_fallbacks`",
            ),
            mcp_proxy_enabled: f.boolean("mcp_proxy_enabled", true),
            mcp_servers: f.list("mcp_servers", |at| at.section(McpServer::decode)),
            hybrid_routing_enabled: f.boolean("hybrid_routing_enabled", false),
            complexity_threshold: f.float("complexity_threshold", Bound::Within(0.0, 1.0), 0.7),
            fallback_to_claude: f.boolean("fallback_to_claude", true),
            context_budget_percent: f.int("context_budget_percent", 10..=95, 75),
        }
    }
}

impl McpServer {
    fn decode(f: &mut Fields<'_>) -> Self {
        let env = f.present("env").and_then(|at| {
            at.named(|name, at| {
                if PROTECTED.contains(&name) || name.starts_with("DYLD_") {
                    at.error(format!("MCP server env cannot override security-sensitive variable: {name}"));
                }
                at.label()
            })
        });
        Self {
            name: f.required("name").and_then(|at| at.label()).unwrap_or_default(),
            command: f.required("command").and_then(|at| at.filled_text()).unwrap_or_default().to_owned(),
            args: f.list("args", |at| at.label()),
            env: env.unwrap_or_default(),
            working_dir: f.opt_text("working_dir"),
            timeout_seconds: f.seconds("timeout_seconds", ABOVE_ZERO, 30.0),
        }
    }
}

/// `self_healing`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelfHealing {
    /// Default 1.
    pub max_attempts: u32,
}

impl SelfHealing {
    pub(super) fn decode(f: &mut Fields<'_>) -> Self {
        Self { max_attempts: f.int("max_attempts", 0..=i64::MAX, 1) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use crate::score::{Issue, Source, load};

    fn issues(more: &str) -> Vec<Issue> {
        let text = format!(
            "name: a\nworkspace: ws\nsheet: {{size: 1, total_items: 1}}\nprompt: {{template: x}}\n{more}\n"
        );
        load(&Source { text, base: "/w".into(), ..Source::default() }).issues
    }

    #[test]
    fn what_nobody_carries_out_cannot_be_enabled() {
        for (section, advice) in [("ai_review", "command_succeeds"), ("bridge", "kind mcp")] {
            let refused = issues(&format!("{section}: {{enabled: yes}}"));
            let [issue] = refused.as_slice() else { panic!("{section}: {refused:?}") };
            assert!(issue.is_error() && issue.path == format!("{section}.enabled"), "{issue:?}");
            assert!(issue.message.contains("is not carried out"), "{issue:?}");
            assert!(issue.hint.as_deref().unwrap().contains(advice), "{issue:?}");
            assert!(!issues(&format!("{section}: {{enabled: false}}")).iter().any(Issue::is_error));
            assert!(!issues(&format!("{section}: {{}}")).iter().any(Issue::is_error));
            assert!(issues(&format!("{section}: {{enabled: perhaps}}")).iter().any(Issue::is_error));
        }
    }
}
