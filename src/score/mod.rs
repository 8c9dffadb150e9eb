//! The score language: a YAML document to a checked [`Score`].
//!
//! Loading is pure: whoever calls brings the text and the files that [`referenced_files`] names. All problems of a
//! document are reported at once, each with its place. What a score means as a list of sheets is not decided here
//! but in [`crate::plan`].
//! A [`Score`] exists only when there was no error; every path in it is absolute, every number in its range, every
//! condition and regular expression parsed or compiled once.

mod after;
mod cards;
pub mod checks;
mod control;
pub mod danger;
pub(crate) mod decode;
pub(crate) mod document;
pub mod expr;
mod extras;
mod fields;
pub(crate) mod hints;
mod inert;
mod instruments;
mod issue;
mod learning;
mod load;
mod notification;
pub(crate) mod paths;
pub mod pattern;
mod prompt;
mod rules;
mod sheet;
mod syntax;
mod top;
pub mod value;
mod words;
pub(crate) mod yaml;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;

pub use after::{ArchiveNaming, Concert, Hook, HookAction, Isolation, WorkspaceLifecycle};
pub use control::{
    CircuitBreaker, CostLimits, CrossSheet, DEFAULT_DETECTION_PATTERNS, Parallel, RateLimit, Retry,
    StaleDetection,
};
pub use extras::{
    AgentCard, AiReview, Bridge, Checkpoints, ConductorCard, Feedback, Grounding, GroundingHook, Logging,
    McpServer, SelfHealing, Spec, Technique, Trigger,
};
pub use inert::inert_keys;
pub use instruments::{Backend, InstrumentConfig, InstrumentDef, Movement, Ollama, OutputFormat};
pub use issue::{Issue, Severity};
pub use learning::{AutoApply, EntropyResponse, ExplorationBudget, Learning};
pub(crate) use load::inspect;
pub use load::{Loaded, Source, load, referenced_files};
pub use notification::{Address, Channel, Notice, Notification};
pub use prompt::{Extension, Prompt};
pub use rules::{Rule, RuleKind};
pub use sheet::{Condition, Injection, InjectionKind, InjectionSource, Sheet, SkipCommand};
pub(crate) use top::name as document_name;
pub use value::{Map, Value};

/// A loaded score. Fields are named as their keys.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// 1-128 characters; the id of the job is not this but the stem of the file.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// Absolute; default `workspace` beside the score.
    pub workspace: PathBuf,
    /// Directory that the relative paths of the score stand in.
    pub base: PathBuf,
    /// Instrument or alias for all sheets.
    pub instrument: Option<String>,
    /// Its settings.
    pub instrument_config: InstrumentConfig,
    /// Instruments tried in order when it cannot be used.
    pub instrument_fallbacks: Vec<String>,
    /// Aliases.
    pub instruments: BTreeMap<String, InstrumentDef>,
    /// Settings of stages.
    pub movements: BTreeMap<u32, Movement>,
    /// The older form of `instrument` and `instrument_config`.
    pub backend: Backend,
    /// Division into sheets.
    pub sheet: Sheet,
    /// What the instrument is told.
    pub prompt: Prompt,
    /// What must be true after a sheet.
    pub validations: Vec<Rule>,
    /// What must be true before the job.
    pub preconditions: Vec<Rule>,
    /// Retries.
    pub retry: Retry,
    /// Sheets side by side.
    pub parallel: Parallel,
    /// Waiting for an instrument.
    pub rate_limit: RateLimit,
    /// What a sheet sees of earlier ones.
    pub cross_sheet: Option<CrossSheet>,
    /// Programs without life.
    pub stale_detection: StaleDetection,
    /// Archives.
    pub workspace_lifecycle: WorkspaceLifecycle,
    /// Hooks after a completed job.
    pub on_success: Vec<Hook>,
    /// Hooks after a failed job.
    pub on_failure: Vec<Hook>,
    /// Chains.
    pub concert: Concert,
    /// Messages to people.
    pub notifications: Vec<Notification>,
    /// Worktrees.
    pub isolation: Isolation,
    /// Wait after a sheet before the next one, seconds. Default 0.
    pub pause_between_sheets_seconds: u64,
    /// Instruments that fail.
    pub circuit_breaker: CircuitBreaker,
    /// Cost.
    pub cost_limits: CostLimits,
    /// Learning.
    pub learning: Learning,
    /// Log of the job.
    pub logging: Logging,
    /// Feedback of agents.
    pub feedback: Feedback,
    /// Checksums.
    pub grounding: Grounding,
    /// Places where a person is asked.
    pub checkpoints: Checkpoints,
    /// Review.
    pub ai_review: AiReview,
    /// Who is responsible.
    pub conductor: ConductorCard,
    /// Fragments of a specification.
    pub spec: Spec,
    /// Techniques by name.
    pub techniques: BTreeMap<String, Technique>,
    /// Card of the agent.
    pub agent_card: Option<AgentCard>,
    /// Bridge.
    pub bridge: Option<Bridge>,
    /// Self-healing.
    pub self_healing: SelfHealing,
    /// Two jobs may share the workspace. Default false.
    pub allow_shared_workspace: bool,
    /// Hide secrets in kept output. Default false.
    pub redact_logs: bool,
    /// Sections that the document has, in its order: what was written, not what was defaulted.
    pub(crate) written: Vec<String>,
    /// Line and column of the keys that the plan may complain about.
    pub(crate) places: BTreeMap<String, (u32, u32)>,
}

impl Score {
    /// Line and column of a key, or of the nearest level above it that is known.
    #[must_use]
    pub fn place(&self, path: &str) -> Option<(u32, u32)> {
        let mut path = path;
        loop {
            if let Some(place) = self.places.get(path) {
                return Some(*place);
            }
            path = path.rsplit_once('.')?.0;
        }
    }
}
