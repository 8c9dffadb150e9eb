//! `job.modify`, `job.approve` and `job.recover`: everything that can be checked before the
//! conductor is asked.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::checkpoint::StoredState;
use crate::ids::{JobId, SheetNo};
use crate::rpc::{RpcError, budget, params};

use super::submit::{Refused, absolute, parse_failure, summary};
use super::{Desk, Outcome};
use crate::conductor::control::not_recoverable;
use crate::conductor::live;
use crate::conductor::messages::{Command, Modification, Recovery, Ruling};
use crate::conductor::prepared::{Prepared, Snapshot};
use crate::store::StoredJob;

impl Desk {
    pub(super) fn job_modify(&mut self, modify: params::Modify) -> Result<Outcome, RpcError> {
        let id = &modify.job_id;
        let refused = |reason, message: String| Ok(Refused::new(id.as_str(), reason, message).outcome());
        let Some(path) = modify.config_path.as_deref() else {
            return refused("no_config", "config_path required".to_owned());
        };
        let path = absolute(path, modify.client_cwd.as_deref());
        let stored = match self.stored(id) {
            Ok(stored) => stored,
            Err(error) => return refused("registry", error),
        };
        if stored.is_none() && self.view.live(id).is_none() {
            return refused("not_found", format!("Job '{id}' not found"));
        }
        let workspace = modify.workspace.as_deref().map(|dir| absolute(dir, modify.client_cwd.as_deref()));
        let prepared = match self.reload(id, &path, stored.as_ref(), workspace) {
            Ok(prepared) => prepared,
            Err((reason, message)) => return refused(reason, message),
        };
        Ok(Outcome::Command(Command::Modify(Box::new(Modification {
            id: modify.job_id,
            stored: stored.map(Box::new),
            prepared: Arc::new(prepared),
            config_path: path.to_string_lossy().into_owned(),
        }))))
    }

    /// Another score for a job, with the variables that the job was submitted with.
    fn reload(
        &mut self,
        id: &JobId,
        path: &Path,
        stored: Option<&StoredJob>,
        workspace: Option<PathBuf>,
    ) -> Result<Prepared, (&'static str, String)> {
        let source = super::read_score::read_source(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                ("config_not_found", format!("Config file not found: {}", path.display()))
            }
            _ => ("config_invalid", parse_failure(path, &error.to_string())),
        })?;
        let snapshot = stored
            .and_then(|stored| stored.snapshot.as_deref())
            .and_then(|text| serde_json::from_str::<Snapshot>(text).ok());
        let mut overrides = snapshot.map(|snapshot| snapshot.overrides).unwrap_or_default();
        let given = workspace.is_some();
        if given {
            overrides.workspace = workspace;
        }
        // Its warnings are for who wrote it: `mozart modify` has checked it before.
        let (prepared, _) = self
            .admit(source, overrides)
            .map_err(|issues| ("config_invalid", parse_failure(path, &summary(&issues))))?;
        self.check_same_job(id, stored, &prepared, given)?;
        Ok(prepared)
    }

    /// A score under another name is another job, and files of completed sheets do not move.
    pub(super) fn check_same_job(
        &self,
        id: &JobId,
        stored: Option<&StoredJob>,
        prepared: &Prepared,
        workspace_given: bool,
    ) -> Result<(), (&'static str, String)> {
        let (name, workspace) = match (self.view.live(id), stored) {
            (Some(live), _) => (live.card.name.clone(), live.card.workspace.clone()),
            (None, Some(stored)) => {
                let summary = &stored.row.summary;
                let Some(name) = summary.name.clone() else { return Ok(()) };
                (name, PathBuf::from(&summary.workspace))
            }
            (None, None) => return Ok(()),
        };
        if prepared.score.name != name {
            let message = format!(
                "Job '{id}' plays the score '{name}', and this one is named '{}': that is another job. Submit it \
                 with 'mozart run', or give it the same name",
                prepared.score.name
            );
            return Err(("other_job", message));
        }
        if workspace_given && prepared.workspace != workspace && !prepared.workspace.is_dir() {
            let message = format!(
                "There is no directory {}: a workspace that is given here says where the files of the completed \
                 sheets of job '{id}' are now. They were in {}",
                prepared.workspace.display(),
                workspace.display()
            );
            return Err(("workspace", message));
        }
        if prepared.workspace != workspace && !workspace_given {
            let message = format!(
                "The workspace of job '{id}' is {}, and this score says {}, where the files of its completed sheets \
                 are not. Change it back, or say --workspace {} to mean it",
                workspace.display(),
                prepared.workspace.display(),
                prepared.workspace.display()
            );
            return Err(("workspace", message));
        }
        Ok(())
    }

    pub(super) fn job_approve(&mut self, approve: params::Approve) -> Result<Outcome, RpcError> {
        let params::Approve { job_id: id, sheet_num: sheet, decision, prompt, note, fail_job } = approve;
        let refused = |reason, message: String| Ok(Refused::new(id.as_str(), reason, message).outcome());
        if self.view.live(&id).is_none() && self.view.ended(&id).is_none() {
            return match self.reader.job(id.as_str()) {
                Ok(Some(row)) => {
                    let status = row.summary.status;
                    refused(
                        "not_waiting",
                        format!("Job '{id}' is {status}; none of its sheets waits for a decision"),
                    )
                }
                Ok(None) => refused("not_found", format!("Job '{id}' not found")),
                Err(error) => refused("registry", error.to_string()),
            };
        }
        Ok(Outcome::Command(Command::Decide(Box::new(Ruling {
            id,
            sheet,
            decision,
            prompt,
            note,
            fail_job,
        }))))
    }

    pub(super) fn job_recover(&mut self, recover: params::Recover) -> Result<Outcome, RpcError> {
        let id = recover.job_id.clone();
        let unknown = || RpcError::Job {
            message: format!("No state found for job '{id}'"),
            job: id.clone(),
            reason: "not_found",
        };
        let stored =
            self.reader.job_state(id.as_str()).map_err(super::job::unreadable)?.ok_or_else(unknown)?;
        if recover.apply {
            return self.apply_recovery(recover, stored);
        }
        let state = self.status_value(&id)?;
        let wanted = |num: u32| {
            recover.sheet_num.is_none_or(|only| only.0 == num)
                && recover.from_sheet.is_none_or(|from| num >= from.0)
        };
        if let Some(only) = recover.sheet_num
            && state["sheets"].is_object()
            && state["sheets"].get(only.to_string()).is_none()
        {
            let message = format!("Sheet {only} not found in job '{id}'");
            return Err(RpcError::Job { message, job: id, reason: "no_such_sheet" });
        }
        let sheets: Vec<Value> = state["sheets"]
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(_, sheet)| {
                sheet["status"] == "failed"
                    || (sheet["status"] == "cancelled" && sheet["attempt_count"].as_u64() > Some(0))
            })
            .filter(|(number, _)| number.parse().is_ok_and(wanted))
            .map(|(_, sheet)| {
                json!({
                    "sheet_num": sheet["sheet_num"], "error_code": sheet["error_code"],
                    "error_message": sheet["error_message"], "failed": sheet["failed_validations"],
                })
            })
            .collect();
        let limit = if recover.full { budget::HARD } else { budget::PREFERRED };
        let mut answer = json!({
            "state": null, "workspace": stored.row.summary.workspace, "dry_run": recover.dry_run,
            "sheet_num": recover.sheet_num, "from_sheet": recover.from_sheet, "sheets": sheets,
        });
        let rest = budget::size(&answer);
        answer["state"] = budget::fit(state, limit.saturating_sub(rest));
        Ok(Outcome::Answer(Ok(answer)))
    }

    fn apply_recovery(&mut self, recover: params::Recover, stored: StoredJob) -> Result<Outcome, RpcError> {
        let id = recover.job_id;
        let refused = |reason, message: String| Ok(Refused::new(id.as_str(), reason, message).outcome());
        let status = match self.view.live(&id) {
            Some(live) => live.status.as_str().to_owned(),
            None => stored.row.summary.status.clone(),
        };
        if status != "failed" {
            return refused("not_recoverable", not_recoverable(&id, &status));
        }
        let (_, sheets) = match live::records(&stored) {
            Ok(records) => records,
            Err(reason) => {
                return refused(
                    "state",
                    format!("No state found for job '{id}' ({reason}); run it again with --fresh"),
                );
            }
        };
        let failed: Vec<SheetNo> = sheets
            .iter()
            .filter(|sheet| match &sheet.state {
                StoredState::Failed { .. } => true,
                // Ended with its job while it ran.
                StoredState::Cancelled { .. } => sheet.ledger.attempt_count > 0,
                _ => false,
            })
            .map(|sheet| sheet.num)
            .filter(|num| recover.from_sheet.is_none_or(|from| *num >= from))
            .collect();
        if failed.is_empty() {
            let where_ = recover.from_sheet.map_or_else(String::new, |from| format!(" from sheet {from} on"));
            return refused("nothing_failed", format!("No failed sheets to recover in job '{id}'{where_}"));
        }
        let prepared = match self.prepared_of(&stored) {
            Ok(prepared) => prepared,
            Err(reason) => return refused("state", format!("Cannot recover job '{id}': {reason}")),
        };
        Ok(Outcome::Command(Command::Recover(Box::new(Recovery {
            id: id.clone(),
            stored: Box::new(stored),
            prepared: Arc::new(prepared),
            from: recover.from_sheet,
            sheets: failed,
        }))))
    }
}
