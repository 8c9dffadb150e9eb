//! A score made ready to run: loaded, expanded, its instruments looked up.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::exec::{InstrumentRef, JobSpec, RateLimitPolicy, RetryPolicy, SheetSpec};
use crate::instrument::{Profile, Registry};
use crate::plan::{self, Overrides, Plan};
use crate::score::{self, Issue, Score, Source};

/// What a job was submitted with: enough to load it again after a restart without any file.
/// Stored as the job's snapshot.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    pub(crate) source: Source,
    pub(crate) overrides: Overrides,
    /// `job_timeout_seconds` at the time of the submission; 0 = no limit.
    pub(crate) job_timeout_seconds: f64,
    /// `default_thinking_method` at that time.
    pub(crate) thinking_method: Option<String>,
    /// Seed of the job's jitter.
    pub(crate) seed: u64,
}

/// Everything about a job that does not change while it runs.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) snapshot: Snapshot,
    pub(crate) score: Score,
    pub(crate) plan: Plan,
    pub(crate) spec: Arc<JobSpec>,
    pub(crate) workspace: PathBuf,
    /// Profiles of all instruments and fallbacks that the plan names and that exist.
    pub(crate) profiles: BTreeMap<String, Arc<Profile>>,
}

impl Prepared {
    /// Loads the score of a snapshot and expands it. Pure but for nothing: files were read before.
    ///
    /// # Errors
    /// All problems of the score.
    pub(crate) fn new(snapshot: Snapshot, registry: &Registry) -> Result<Self, Vec<Issue>> {
        let loaded = score::load(&snapshot.source);
        let Some(score) = loaded.score else { return Err(loaded.issues) };
        let plan = plan::expand(&score, &snapshot.overrides)?;
        Ok(Self::assemble(snapshot, score, plan, registry))
    }

    /// Puts together what was loaded and expanded before.
    pub(crate) fn assemble(snapshot: Snapshot, score: Score, plan: Plan, registry: &Registry) -> Self {
        let mut profiles = BTreeMap::new();
        for sheet in &plan.sheets {
            for choice in std::iter::once(&sheet.instrument).chain(&sheet.fallbacks) {
                if !profiles.contains_key(&choice.name)
                    && let Some(profile) = registry.get(&choice.name)
                {
                    profiles.insert(choice.name.clone(), Arc::clone(profile));
                }
            }
        }
        let workspace = snapshot.overrides.workspace.clone().unwrap_or_else(|| score.workspace.clone());
        let spec = Arc::new(job_spec(&score, &plan, &snapshot, &profiles));
        Self { snapshot, score, plan, spec, workspace, profiles }
    }
}

fn job_spec(
    score: &Score,
    plan: &Plan,
    snapshot: &Snapshot,
    profiles: &BTreeMap<String, Arc<Profile>>,
) -> JobSpec {
    let parallel = score.parallel.enabled;
    let seconds = Duration::from_secs_f64;
    let instrument = |choice: &plan::InstrumentChoice| InstrumentRef {
        name: choice.name.as_str().into(),
        model: choice
            .config
            .model
            .as_deref()
            .or_else(|| profiles.get(&choice.name).and_then(|profile| profile.default_model.as_deref()))
            .map(Into::into),
    };
    let sheets = plan
        .sheets
        .iter()
        .map(|sheet| SheetSpec {
            after: sheet.after.clone(),
            instruments: std::iter::once(&sheet.instrument).chain(&sheet.fallbacks).map(instrument).collect(),
            description: sheet.description.as_deref().unwrap_or("").into(),
            fingerprint: sheet.fingerprint.as_str().into(),
            stage: sheet.stage,
            instance: sheet.instance,
        })
        .collect();
    JobSpec {
        sheets,
        max_parallel: if parallel { score.parallel.max_concurrent } else { 1 },
        fail_fast: parallel && score.parallel.fail_fast,
        retry: RetryPolicy {
            max_retries: score.retry.max_retries,
            base_delay: seconds(score.retry.base_delay_seconds),
            max_delay: seconds(score.retry.max_delay_seconds),
            exponential_base: score.retry.exponential_base,
            explicit: score.retry.explicit_delay,
            jitter: score.retry.jitter,
            max_completion_attempts: score.retry.max_completion_attempts,
            completion_delay: seconds(score.retry.completion_delay_seconds),
            completion_threshold: score.retry.completion_threshold_percent,
        },
        rate_limit: RateLimitPolicy {
            max_waits: score.rate_limit.max_waits,
            max_quota_waits: score.rate_limit.max_quota_waits,
            wait: score.rate_limit.wait_minutes.map(|minutes| Duration::from_secs(u64::from(minutes) * 60)),
        },
        pause_between: Duration::from_secs(score.pause_between_sheets_seconds),
        stagger: Duration::from_millis(u64::from(score.parallel.stagger_delay_ms)),
        timeout: (snapshot.job_timeout_seconds > 0.0).then(|| seconds(snapshot.job_timeout_seconds)),
        start_sheet: snapshot.overrides.start_sheet,
        seed: snapshot.seed,
    }
}
