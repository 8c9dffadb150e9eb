//! `job.submit` and `job.resume`: everything that can be checked before the conductor is asked.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::unistd::{AccessFlags, access};
use serde_json::{Value, json};

use crate::exec::Rerun;
use crate::ids::JobId;
use crate::lint::{self, Admitted};
use crate::plan::Overrides;
use crate::rpc::{RpcError, params};
use crate::score::{self, Issue, Source};
use crate::store::StoredJob;
use crate::time::Wall;

use super::read_score::read_source;
use super::{Desk, Outcome};
use crate::conductor::card::DEFAULT_PRIORITY;
use crate::conductor::commands::rejection;
use crate::conductor::messages::{Command, Resumption, Submission};
use crate::conductor::prepared::{Prepared, Snapshot};
use crate::conductor::workspaces::real_path;

/// A score that was changed later than this after a job's end starts afresh.
const AUTO_FRESH_MARGIN_MS: i64 = 1000;

/// A refusal, as a result.
pub(super) struct Refused {
    id: String,
    reason: &'static str,
    message: String,
}

impl Refused {
    pub(super) fn new(id: &str, reason: &'static str, message: impl Into<String>) -> Self {
        Self { id: id.to_owned(), reason, message: message.into() }
    }

    pub(super) fn outcome(self) -> Outcome {
        Outcome::Answer(Ok(rejection(&self.id, self.reason, &self.message)))
    }
}

impl Desk {
    pub(super) fn job_submit(&mut self, submit: params::Submit) -> Result<Outcome, RpcError> {
        if submit.self_healing_auto_confirm {
            let detail = "'self_healing_auto_confirm' is not available: what only a person can agree to is proposed, \
                          not applied";
            return Err(RpcError::param("self_healing_auto_confirm", detail));
        }
        Ok(match self.prepare_submission(&submit) {
            Err(refused) => refused.outcome(),
            Ok(submission) if submit.dry_run => {
                let count = submission.prepared.spec.sheets.len();
                let mut answer = json!({
                    "job_id": submission.id.as_str(), "status": "accepted",
                    "message": format!("Valid: {count} sheets; nothing was submitted"),
                    "dry_run": true,
                });
                warn(&mut answer, &submission.warnings);
                Outcome::Answer(Ok(answer))
            }
            Ok(submission) => Outcome::Command(Command::Submit(Box::new(submission))),
        })
    }

    fn prepare_submission(&mut self, submit: &params::Submit) -> Result<Submission, Refused> {
        if self.view.flag(&self.view.stopping) {
            return Err(Refused::new("", "shutdown", "Daemon is shutting down"));
        }
        if let Some(reason) = self.gauge.last().at(self.clock.now().mono).rejection_reason() {
            log::info!("backpressure.job_rejected reason={}", reason.word());
            return Err(Refused::new("", "pressure", "System under high pressure — try again later"));
        }
        let path = absolute(&submit.config_path, submit.client_cwd.as_deref());
        let stem = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        let name = submit.name.clone().unwrap_or(stem);
        let id = JobId::new(&name).map_err(|error| {
            Refused::new("", "invalid_name", format!("Invalid job name '{name}': {error}"))
        })?;
        let shown = path.display();
        let source = read_source(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                Refused::new(&name, "config_not_found", format!("Config file not found: {shown}"))
            }
            _ => Refused::new(&name, "config_invalid", parse_failure(&path, &error.to_string())),
        })?;
        let overrides = Overrides {
            workspace: submit.workspace.as_deref().map(|dir| absolute(dir, submit.client_cwd.as_deref())),
            start_sheet: submit.start_sheet,
            self_healing: submit.self_healing,
            variables: submit
                .variables
                .iter()
                .map(|(key, value)| (key.as_str(), score_value(value)))
                .collect(),
        };
        let (prepared, warnings) = self.admit(source, overrides).map_err(|issues| {
            Refused::new(&name, "config_invalid", parse_failure(&path, &summary(&issues)))
        })?;
        check_workspace(&prepared.workspace).map_err(|message| Refused::new(&name, "workspace", message))?;
        let earlier = self
            .stored(&id)
            .map_err(|error| Refused::new(&name, "registry", format!("Cannot record job '{id}': {error}")))?;
        let mut fresh = submit.fresh;
        let mut remark = None;
        if let Some(earlier) = &earlier {
            if !fresh && changed_since_completion(earlier, &path) {
                log::info!(
                    "auto_fresh.score_changed job_id={id} config_path={:?}",
                    path.display().to_string()
                );
                fresh = true;
                remark = Some("Score file modified since last completed run — starting fresh".to_owned());
            }
            if earlier.row.summary.config_path != path.to_string_lossy() {
                remark = Some(format!("replaces the job of {}", earlier.row.summary.config_path));
            }
        }
        let earlier_place =
            earlier.as_ref().map(|earlier| real_path(Path::new(&earlier.row.summary.workspace)));
        Ok(Submission {
            id,
            config_path: path.to_string_lossy().into_owned(),
            prepared: Arc::new(prepared),
            fresh,
            priority: submit.priority.unwrap_or(DEFAULT_PRIORITY),
            chain_depth: submit.chain_depth,
            earlier: earlier.map(Box::new),
            earlier_place,
            remark,
            warnings,
        })
    }

    pub(super) fn job_resume(&mut self, resume: params::Resume) -> Result<Outcome, RpcError> {
        let id = &resume.job_id;
        let refused = |reason, message: String| Ok(Refused::new(id.as_str(), reason, message).outcome());
        let stored = match self.stored(id) {
            Ok(stored) => stored,
            Err(error) => return refused("registry", error),
        };
        if stored.is_none() && self.view.live(id).is_none() {
            return refused("not_found", format!("Score '{id}' not found"));
        }
        let own_path = stored.as_ref().map(|stored| PathBuf::from(&stored.row.summary.config_path));
        let given = resume.config_path.as_deref().map(|path| absolute(path, resume.client_cwd.as_deref()));
        let snapshot = stored
            .as_ref()
            .and_then(|stored| stored.snapshot.as_deref())
            .and_then(|text| serde_json::from_str::<Snapshot>(text).ok());
        let mut overrides = snapshot.as_ref().map(|snapshot| snapshot.overrides.clone()).unwrap_or_default();
        if let Some(workspace) = resume.workspace.as_deref() {
            overrides.workspace = Some(absolute(workspace, resume.client_cwd.as_deref()));
        }
        overrides.self_healing |= resume.self_healing;
        if resume.start_sheet.is_some() {
            overrides.start_sheet = resume.start_sheet;
        }
        let path = given.clone().or(own_path);
        let source = match (path, snapshot) {
            (_, Some(snapshot)) if resume.no_reload => snapshot.source,
            (_, None) if resume.no_reload => {
                return refused("no_config", "Cannot resume: no config available".into());
            }
            (Some(path), snapshot) => match (read_source(&path), snapshot) {
                (Ok(source), _) => source,
                (Err(error), _) if given.is_some() => {
                    return refused("config_invalid", parse_failure(&path, &error.to_string()));
                }
                (Err(error), Some(snapshot)) => {
                    log::warn!("job.resume_from_snapshot job_id={id} error={:?}", error.to_string());
                    snapshot.source
                }
                (Err(_), None) => return refused("no_config", "Cannot resume: no config available".into()),
            },
            (None, Some(snapshot)) => snapshot.source,
            (None, None) => return refused("no_config", "Cannot resume: no config available".into()),
        };
        let shown = source.path.clone().unwrap_or_default();
        let prepared = match self.prepare(source, overrides) {
            Ok(prepared) => prepared,
            Err(issues) => return refused("config_invalid", parse_failure(&shown, &summary(&issues))),
        };
        if let Err((reason, message)) =
            self.check_same_job(id, stored.as_ref(), &prepared, resume.workspace.is_some())
        {
            return refused(reason, message);
        }
        Ok(Outcome::Command(Command::Resume(Box::new(Resumption {
            id: resume.job_id,
            stored: stored.map(Box::new),
            prepared: Arc::new(prepared),
            config_path: given.map(|path| path.to_string_lossy().into_owned()),
            rerun: Rerun {
                from: resume.from_sheet,
                start: resume.start_sheet,
                changed: resume.rerun_changed,
            },
        }))))
    }

    /// Loads and checks a score as `mozart validate` does; with the warnings.
    pub(super) fn admit(
        &mut self,
        source: Source,
        overrides: Overrides,
    ) -> Result<(Prepared, Vec<Issue>), Vec<Issue>> {
        let registry = self.instruments.for_directory(&source.base);
        let Admitted { score, plan, warnings } = lint::admit(&source, &overrides, &registry)?;
        let snapshot = self.snapshot(source, overrides);
        Ok((Prepared::assemble(snapshot, score, plan, &registry), warnings))
    }

    pub(super) fn prepare(&mut self, source: Source, overrides: Overrides) -> Result<Prepared, Vec<Issue>> {
        let registry = self.instruments.for_directory(&source.base);
        Prepared::new(self.snapshot(source, overrides), &registry)
    }

    fn snapshot(&self, source: Source, overrides: Overrides) -> Snapshot {
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).expect("the kernel has randomness once it has booted");
        Snapshot {
            source,
            overrides,
            job_timeout_seconds: self.config.job_timeout_seconds,
            thinking_method: self.config.default_thinking_method.clone(),
            seed: u64::from_le_bytes(seed),
        }
    }

    /// The job as the database has it. A database that cannot be read is the conductor's to report.
    pub(super) fn stored(&mut self, id: &JobId) -> Result<Option<StoredJob>, String> {
        self.reader.job_state(id.as_str()).map_err(|error| error.to_string())
    }
}

/// Adds what is doubtful about a score to the answer.
pub(crate) fn warn(answer: &mut Value, warnings: &[Issue]) {
    if !warnings.is_empty() {
        answer["warnings"] = warnings.iter().map(|issue| Value::Object(issue.document())).collect();
    }
}

/// A value of the wire as a score would write it.
fn score_value(value: &Value) -> score::Value {
    serde_json::from_value(value.clone()).unwrap_or_default()
}

pub(super) fn absolute(path: &Path, client_cwd: Option<&Path>) -> PathBuf {
    if path.is_absolute() {
        return path.to_owned();
    }
    let base = client_cwd.map(Path::to_owned).or_else(|| std::env::current_dir().ok());
    base.unwrap_or_else(|| PathBuf::from("/")).join(path)
}

pub(super) fn parse_failure(path: &Path, reason: &str) -> String {
    format!(
        "Failed to parse config file: {} ({reason}). Cannot determine workspace. Fix the config or pass \
         --workspace explicitly.",
        path.display()
    )
}

pub(super) fn summary(issues: &[Issue]) -> String {
    let texts: Vec<String> = issues.iter().take(5).map(ToString::to_string).collect();
    let more = issues.len().saturating_sub(5);
    let tail = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!("{}{tail}", texts.join("; "))
}

fn check_workspace(workspace: &Path) -> Result<(), String> {
    if workspace.is_dir() {
        return Ok(());
    }
    if workspace.exists() {
        return Err(format!(
            "Workspace is not a directory: {}. Remove the file or change the workspace path.",
            workspace.display()
        ));
    }
    let parent = workspace.parent().unwrap_or(workspace);
    let shown = parent.display();
    if !parent.is_dir() {
        return Err(format!(
            "Workspace parent directory does not exist: {shown}. Create the parent directory or change the \
             workspace path."
        ));
    }
    access(parent, AccessFlags::W_OK).map_err(|_| {
        format!(
            "Workspace parent directory is not writable: {shown}. Fix permissions or change the workspace path."
        )
    })
}

fn changed_since_completion(earlier: &StoredJob, path: &Path) -> bool {
    let summary = &earlier.row.summary;
    let (Some(completed), "completed") = (summary.completed_at, summary.status.as_str()) else {
        return false;
    };
    let modified = std::fs::metadata(path).and_then(|meta| meta.modified()).ok();
    let modified = modified.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    modified.is_some_and(|since| {
        let millis = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        Wall(millis) > Wall(completed.0 + AUTO_FRESH_MARGIN_MS)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths_follow_the_client() {
        assert_eq!(
            absolute(Path::new("a/b.yaml"), Some(Path::new("/home/u"))),
            Path::new("/home/u/a/b.yaml")
        );
        assert_eq!(absolute(Path::new("/x.yaml"), Some(Path::new("/home/u"))), Path::new("/x.yaml"));
    }

    #[test]
    fn a_workspace_needs_a_parent_that_exists() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        assert_eq!(check_workspace(&dir.path().join("new")), Ok(()));
        let message = check_workspace(&dir.path().join("no/new")).expect_err("its parent is missing");
        assert!(message.starts_with("Workspace parent directory does not exist: "), "{message}");
    }
}
