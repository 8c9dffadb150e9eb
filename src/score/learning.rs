//! `learning`: settings of the store of outcomes, checked but without effect until that store exists, and whether a
//! person is asked (`escalation_enabled`), which acts.

use std::path::{Path, PathBuf};

use super::decode::{Bound, Fields};
use super::paths::resolve;

const RATIO: Bound = Bound::Within(0.0, 1.0);

/// `learning`.
#[derive(Debug, Clone, PartialEq)]
pub struct Learning {
    /// Default true.
    pub enabled: bool,
    /// The score says more than whether a person is asked, and does not switch the rest off.
    pub asks_for_store: bool,
    /// `json` (default) or `sqlite`.
    pub outcome_store_type: &'static str,
    /// Where outcomes are kept.
    pub outcome_store_path: Option<PathBuf>,
    /// Default 0.3.
    pub min_confidence_threshold: f64,
    /// Default 0.7.
    pub high_confidence_threshold: f64,
    /// Ask a person about a sheet before it fails. Default false.
    pub escalation_enabled: bool,
    /// Default true.
    pub use_global_patterns: bool,
    /// Default 0.15.
    pub exploration_rate: f64,
    /// Default 0.05.
    pub exploration_min_priority: f64,
    /// Default 0.5.
    pub entropy_alert_threshold: f64,
    /// >= 1, default 100.
    pub entropy_check_interval: u32,
    /// Default false.
    pub auto_apply_enabled: bool,
    /// Default 0.85.
    pub auto_apply_trust_threshold: f64,
    /// How much is tried out.
    pub exploration_budget: ExplorationBudget,
    /// What happens when everything becomes alike.
    pub entropy_response: EntropyResponse,
    /// What is applied without asking.
    pub auto_apply: AutoApply,
}

/// `learning.exploration_budget`.
#[derive(Debug, Clone, PartialEq)]
pub struct ExplorationBudget {
    /// Default false.
    pub enabled: bool,
    /// Default 0.05.
    pub floor: f64,
    /// Default 0.5.
    pub ceiling: f64,
    /// Default 0.95.
    pub decay_rate: f64,
    /// 0-0.5, default 0.1.
    pub boost_amount: f64,
    /// Default 0.15.
    pub initial_budget: f64,
}

/// `learning.entropy_response`.
#[derive(Debug, Clone, PartialEq)]
pub struct EntropyResponse {
    /// Default false.
    pub enabled: bool,
    /// Default 0.3.
    pub entropy_threshold: f64,
    /// >= 60, default 3600.
    pub cooldown_seconds: f64,
    /// Default true.
    pub boost_budget: bool,
    /// Default true.
    pub revisit_quarantine: bool,
    /// 0-10, default 3.
    pub max_quarantine_revisits: u32,
}

/// `learning.auto_apply`.
#[derive(Debug, Clone, PartialEq)]
pub struct AutoApply {
    /// Default false.
    pub enabled: bool,
    /// Default 0.85.
    pub trust_threshold: f64,
    /// 1-10, default 3.
    pub max_patterns_per_sheet: u32,
    /// Default true.
    pub require_validated_status: bool,
    /// Default true.
    pub log_applications: bool,
}

impl Learning {
    pub(super) fn decode(f: &mut Fields<'_>, dir: &Path) -> Self {
        let others = f.keys().filter(|(key, _)| key.as_str() != Some("escalation_enabled")).count();
        let enabled = f.boolean("enabled", true);
        let learning = Self {
            enabled,
            asks_for_store: enabled && others > 0,
            outcome_store_type: f.word(
                "outcome_store_type",
                &[("json", "json"), ("sqlite", "sqlite")],
                "json",
            ),
            outcome_store_path: f.opt_text("outcome_store_path").map(|text| resolve(dir, &text)),
            min_confidence_threshold: f.float("min_confidence_threshold", RATIO, 0.3),
            high_confidence_threshold: f.float("high_confidence_threshold", RATIO, 0.7),
            escalation_enabled: f.boolean("escalation_enabled", false),
            use_global_patterns: f.boolean("use_global_patterns", true),
            exploration_rate: f.float("exploration_rate", RATIO, 0.15),
            exploration_min_priority: f.float("exploration_min_priority", RATIO, 0.05),
            entropy_alert_threshold: f.float("entropy_alert_threshold", RATIO, 0.5),
            entropy_check_interval: f.int("entropy_check_interval", 1..=i64::MAX, 100),
            auto_apply_enabled: f.boolean("auto_apply_enabled", false),
            auto_apply_trust_threshold: f.float("auto_apply_trust_threshold", RATIO, 0.85),
            exploration_budget: f.section("exploration_budget", ExplorationBudget::decode),
            entropy_response: f.section("entropy_response", EntropyResponse::decode),
            auto_apply: f.section("auto_apply", AutoApply::decode),
        };
        let (min, high) = (learning.min_confidence_threshold, learning.high_confidence_threshold);
        if min >= high {
            // The one that would be wrong by itself.
            let mut keys = ["min_confidence_threshold", "high_confidence_threshold"];
            if high <= 0.3 {
                keys.reverse();
            }
            f.error_about(
                &keys,
                format!(
                    "min_confidence_threshold ({min}) must be less than high_confidence_threshold ({high})"
                ),
            );
        }
        learning
    }
}

impl ExplorationBudget {
    fn decode(f: &mut Fields<'_>) -> Self {
        let budget = Self {
            enabled: f.boolean("enabled", false),
            floor: f.float("floor", RATIO, 0.05),
            ceiling: f.float("ceiling", RATIO, 0.5),
            decay_rate: f.float("decay_rate", RATIO, 0.95),
            boost_amount: f.float("boost_amount", Bound::Within(0.0, 0.5), 0.1),
            initial_budget: f.float("initial_budget", RATIO, 0.15),
        };
        if budget.floor > budget.initial_budget || budget.initial_budget > budget.ceiling {
            let message = format!(
                "floor ({}) <= initial_budget ({}) <= ceiling ({}) must hold",
                budget.floor, budget.initial_budget, budget.ceiling
            );
            let keys = if budget.initial_budget > budget.ceiling {
                ["ceiling", "initial_budget", "floor"]
            } else {
                ["floor", "initial_budget", "ceiling"]
            };
            f.error_about(&keys, message);
        }
        budget
    }
}

impl EntropyResponse {
    fn decode(f: &mut Fields<'_>) -> Self {
        Self {
            enabled: f.boolean("enabled", false),
            entropy_threshold: f.float("entropy_threshold", RATIO, 0.3),
            cooldown_seconds: f.seconds("cooldown_seconds", Bound::Least(60.0), 3600.0),
            boost_budget: f.boolean("boost_budget", true),
            revisit_quarantine: f.boolean("revisit_quarantine", true),
            max_quarantine_revisits: f.int("max_quarantine_revisits", 0..=10, 3),
        }
    }
}

impl AutoApply {
    fn decode(f: &mut Fields<'_>) -> Self {
        Self {
            enabled: f.boolean("enabled", false),
            trust_threshold: f.float("trust_threshold", RATIO, 0.85),
            max_patterns_per_sheet: f.int("max_patterns_per_sheet", 1..=10, 3),
            require_validated_status: f.boolean("require_validated_status", true),
            log_applications: f.boolean("log_applications", true),
        }
    }
}
