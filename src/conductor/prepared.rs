//! A score made ready to run: loaded, expanded, its instruments looked up.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::classify::PatternList;
use crate::exec::{
    BreakerPolicy, Breakpoint, Budget, Escalation, Hook, Hooks, InstrumentRef, JobSpec, RateLimitPolicy,
    RetryPolicy, SheetSpec, SkipRule,
};
use crate::ids::SheetNo;
use crate::instrument::{Profile, Registry};
use crate::plan::{self, Overrides, Plan};
use crate::score::{self, HookAction, Issue, Score, Source};

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

/// Limit of a sheet whose instrument is not known.
const USUAL_TIMEOUT: Duration = Duration::from_secs(1800);
/// Grace of an attempt whose score sets none.
const GRACE: Duration = Duration::from_secs(5);

/// Everything about a job that does not change while it runs.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) snapshot: Snapshot,
    pub(crate) score: Score,
    pub(crate) plan: Plan,
    pub(crate) spec: Arc<JobSpec>,
    pub(crate) workspace: PathBuf,
    /// The same without links: what a job locks.
    pub(crate) place: PathBuf,
    /// SHA-256 of the score's text, as `sha256sum` prints it.
    pub(crate) config_hash: Arc<str>,
    /// Profiles of all instruments and fallbacks that the plan names and that exist.
    pub(crate) profiles: BTreeMap<String, Arc<Profile>>,
    /// `rate_limit.detection_patterns`, compiled once for all attempts.
    pub(crate) limit_patterns: PatternList,
}

impl Prepared {
    /// Loads the score of a snapshot and expands it. Asks the file system for the real name of
    /// the workspace and nothing else: files were read before.
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
        let place = super::workspaces::real_path(&workspace);
        let digest = Sha256::digest(snapshot.source.text.as_bytes());
        let config_hash: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let own = score.rate_limit.detection_patterns.clone();
        let limit_patterns = PatternList::new(own.unwrap_or_default());
        Self {
            snapshot,
            score,
            plan,
            spec,
            workspace,
            place,
            config_hash: config_hash.into(),
            profiles,
            limit_patterns,
        }
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
            skip_when: skip_rule(score, plan, sheet),
            skip_command: sheet.skip_command.is_some(),
            timeout: longest(sheet, profiles),
            limits: limits(sheet, profiles).map(|(limit, _)| limit).collect(),
        })
        .collect();
    JobSpec {
        name: score.name.as_str().into(),
        workspace: plan.workspace.display().to_string().into(),
        sheets,
        movements: score
            .movements
            .iter()
            .filter_map(|(&stage, movement)| Some((stage, movement.name.as_deref()?.into())))
            .collect(),
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
            fallback_min_wait: seconds(score.rate_limit.fallback_min_wait_seconds),
        },
        pause_between: Duration::from_secs(score.pause_between_sheets_seconds),
        stagger: Duration::from_millis(u64::from(score.parallel.stagger_delay_ms)),
        timeout: (snapshot.job_timeout_seconds > 0.0).then(|| seconds(snapshot.job_timeout_seconds)),
        start_sheet: snapshot.overrides.start_sheet,
        seed: snapshot.seed,
        budget: budget(score),
        healing: if snapshot.overrides.self_healing || score.written.iter().any(|it| it == "self_healing") {
            score.self_healing.max_attempts
        } else {
            0
        },
        patience: patience(score),
        escalation: score.learning.escalation_enabled.then(|| Escalation { patience: patience(score) }),
        breaker: score.circuit_breaker.enabled.then(|| BreakerPolicy {
            threshold: score.circuit_breaker.failure_threshold,
            recovery: seconds(score.circuit_breaker.recovery_timeout_seconds),
        }),
        set_up: score.isolation.enabled
            || !score.preconditions.is_empty()
            || score.workspace_lifecycle.archive_on_fresh,
        hooks: hooks(score),
        breakpoints: breakpoints(score, plan),
    }
}

/// How long a person may take to answer.
fn patience(score: &Score) -> Option<Duration> {
    let seconds = score.conductor.escalation_response_timeout_seconds;
    (seconds > 0.0).then(|| Duration::from_secs_f64(seconds))
}

/// `skip_when` with the values that do not change during a run.
fn skip_rule(score: &Score, plan: &Plan, sheet: &plan::SheetPlan) -> Option<Arc<SkipRule>> {
    let when = sheet.skip_when.as_deref()?;
    let fixed = |name: &&str| !matches!(*name, "sheets" | "job");
    let names = when.expr.names().into_iter().filter(fixed);
    let values =
        names.filter_map(|name| Some((name.to_owned(), plan.condition_value(score, sheet, name)?))).collect();
    Some(Arc::new(SkipRule { text: when.text.as_str().into(), expr: when.expr.clone(), values }))
}

/// How long an attempt may run on each instrument of a sheet, and the grace after that.
fn limits<'a>(
    sheet: &'a plan::SheetPlan,
    profiles: &'a BTreeMap<String, Arc<Profile>>,
) -> impl Iterator<Item = (Duration, Duration)> + 'a {
    let chain = std::iter::once(&sheet.instrument).chain(&sheet.fallbacks);
    chain.map(|choice| {
        let own = choice.config.timeout_seconds.map(Duration::from_secs_f64);
        let usual = || profiles.get(&choice.name).map_or(USUAL_TIMEOUT, |it| it.default_timeout);
        let grace = choice.config.kill_grace_seconds.map_or(GRACE, Duration::from_secs_f64);
        (own.unwrap_or_else(usual), grace)
    })
}

/// The longest that a limit of the sheet lets an attempt live, over its instruments.
fn longest(sheet: &plan::SheetPlan, profiles: &BTreeMap<String, Arc<Profile>>) -> Duration {
    let lives = limits(sheet, profiles).map(|(limit, grace)| limit.saturating_add(grace));
    lives.max().unwrap_or(USUAL_TIMEOUT)
}

/// `cost_limits` in whole micro-dollars.
fn budget(score: &Score) -> Budget {
    let limits = &score.cost_limits;
    if !limits.enabled {
        return Budget::default();
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "limits are positive, and a float as large as this ends at the largest number"
    )]
    let micro = |dollars: f64| (dollars * 1e6).round() as u64;
    Budget {
        sheet_cost: limits.max_cost_per_sheet.map(micro),
        job_cost: limits.max_cost_per_job.map(micro),
        sheet_tokens: limits.max_tokens_per_sheet,
        job_tokens: limits.max_tokens_per_job,
        warn_at_percent: limits.warn_at_percent,
        no_reserve: !score.parallel.budget_partition,
    }
}

fn hooks(score: &Score) -> Hooks {
    let hook = |hook: &score::Hook| {
        let (hook_type, detached, pause_before) = match &hook.action {
            HookAction::Job { detached, pause_before_chain, .. } => {
                ("run_job", *detached, *pause_before_chain)
            }
            HookAction::Command(_) => ("run_command", false, false),
            HookAction::Script(_) => ("run_script", false, false),
        };
        Hook {
            hook_type,
            chains: matches!(hook.action, HookAction::Job { .. }),
            detached,
            pause_before,
            abort_on_failure: hook.abort_on_failure,
            timeout: Duration::from_secs_f64(hook.timeout_seconds),
            description: hook.description.as_deref().map(Into::into),
        }
    };
    Hooks {
        on_success: score.on_success.iter().map(hook).collect(),
        on_failure: score.on_failure.iter().map(hook).collect(),
        cooldown: Duration::from_secs_f64(score.concert.cooldown_between_jobs_seconds),
        abort_on_failure: score.concert.abort_concert_on_hook_failure,
    }
}

/// `checkpoints.triggers` and the sheets that each of them is about.
fn breakpoints(score: &Score, plan: &Plan) -> Vec<Breakpoint> {
    if !score.checkpoints.enabled {
        return Vec::new();
    }
    let point = |trigger: &score::Trigger| {
        let said = says(score, plan, &trigger.prompt_contains);
        let wanted = |num: SheetNo| trigger.sheet_nums.is_empty() || trigger.sheet_nums.contains(&num.0);
        let all = said && trigger.sheet_nums.is_empty();
        let some = || plan.sheets.iter().map(|it| it.num).filter(|&num| said && wanted(num)).collect();
        Breakpoint {
            name: trigger.name.as_str().into(),
            sheets: (!all).then(some),
            min_retries: trigger.min_retry_count,
            confirm: trigger.requires_confirmation,
            message: trigger.message.as_str().into(),
        }
    };
    score.checkpoints.triggers.iter().map(point).collect()
}

/// Whether the prompt of the score, as written, has one of these words. No words: yes.
///
/// What is written is the same for all sheets; what a template makes of it is known only when a
/// sheet runs, and a person must be asked before.
fn says(score: &Score, plan: &Plan, words: &[String]) -> bool {
    if words.is_empty() {
        return true;
    }
    let extension = |it: &score::Extension| match it {
        score::Extension::Text(text) => text.to_lowercase(),
        score::Extension::File(path) => path.display().to_string().to_lowercase(),
    };
    let variables = serde_json::to_string(&plan.user_variables).unwrap_or_default().to_lowercase();
    let mut texts: Vec<String> = score.prompt.prompt_extensions.iter().map(extension).collect();
    texts.extend(score.prompt.template.iter().chain(&score.prompt.stakes).map(|text| text.to_lowercase()));
    texts.push(variables);
    words.iter().map(|word| word.to_lowercase()).any(|word| texts.iter().any(|text| text.contains(&word)))
}
