//! Parameters of the methods that change a job while it is under way: another score, a decision, a
//! second look at what failed.

use std::path::PathBuf;

use super::{Fields, Params, RpcError, absolute_cwd};
use crate::exec::Decision;
use crate::ids::{JobId, SheetNo};

/// Longest addition to a prompt and longest note, bytes.
const LONGEST_TEXT: usize = 64 * 1024;

/// `job.modify`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Modify {
    /// The job.
    pub job_id: JobId,
    /// Its new score. Without one the answer is a rejection, not an error.
    pub config_path: Option<PathBuf>,
    /// Another workspace.
    pub workspace: Option<PathBuf>,
    /// Absolute directory of the caller.
    pub client_cwd: Option<PathBuf>,
}

impl TryFrom<Params> for Modify {
    type Error = RpcError;

    fn try_from(params: Params) -> Result<Self, RpcError> {
        let mut fields = Fields::new(params)?;
        Ok(Self {
            job_id: fields.job_id()?,
            config_path: fields.path("config_path")?,
            workspace: fields.path("workspace")?,
            client_cwd: absolute_cwd(&mut fields)?,
        })
    }
}

/// `job.recover`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recover {
    /// The job.
    pub job_id: JobId,
    /// Show only this sheet; from 1.
    pub sheet_num: Option<SheetNo>,
    /// Only sheets from this one on; from 1.
    pub from_sheet: Option<SheetNo>,
    /// Given back. Nothing is ever changed with it. Default false.
    pub dry_run: bool,
    /// Check the rules of what did not succeed and record what passes. Default false: only show it.
    pub apply: bool,
    /// Send everything up to the hard limit of a line. Default false: up to 64 KiB.
    pub full: bool,
}

impl TryFrom<Params> for Recover {
    type Error = RpcError;

    fn try_from(params: Params) -> Result<Self, RpcError> {
        let mut fields = Fields::new(params)?;
        let recover = Self {
            job_id: fields.job_id()?,
            sheet_num: fields.integer32("sheet_num", 1)?.map(SheetNo),
            from_sheet: fields.integer32("from_sheet", 1)?.map(SheetNo),
            dry_run: fields.flag("dry_run", false)?,
            apply: fields.flag("apply", false)?,
            full: fields.flag("full", false)?,
        };
        if recover.apply && recover.dry_run {
            return Err(RpcError::param("apply", "'apply' and 'dry_run' exclude each other"));
        }
        if recover.apply && recover.sheet_num.is_some() {
            let detail = "'sheet_num' only selects what is shown; 'from_sheet' says where 'apply' begins";
            return Err(RpcError::param("sheet_num", detail));
        }
        Ok(recover)
    }
}

/// `job.approve`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approve {
    /// The job.
    pub job_id: JobId,
    /// The sheet; from 1.
    pub sheet_num: SheetNo,
    /// What becomes of it.
    pub decision: Decision,
    /// With `retry`: shown to the instrument after the prompt.
    pub prompt: Option<String>,
    /// Kept with the decision.
    pub note: Option<String>,
    /// With `fail`: the whole job fails with its sheet. Default false.
    pub fail_job: bool,
}

impl TryFrom<Params> for Approve {
    type Error = RpcError;

    fn try_from(params: Params) -> Result<Self, RpcError> {
        let mut fields = Fields::new(params)?;
        let job_id = fields.job_id()?;
        let sheet_num =
            fields.integer32("sheet_num", 1)?.map(SheetNo).ok_or(RpcError::MissingParam("sheet_num"))?;
        let decision = match fields.text("decision")?.as_deref() {
            Some("retry") => Decision::Retry,
            Some("skip") => Decision::Skip,
            Some("accept") => Decision::Accept,
            Some("fail") => Decision::Fail,
            Some(other) => {
                let detail = format!("unknown decision '{other}', expected one of retry, skip, accept, fail");
                return Err(RpcError::param("decision", detail));
            }
            None => return Err(RpcError::MissingParam("decision")),
        };
        let prompt = short(&mut fields, "prompt")?;
        if prompt.is_some() && decision != Decision::Retry {
            return Err(RpcError::param("prompt", "'prompt' goes with the decision 'retry' only"));
        }
        let fail_job = fields.flag("fail_job", false)?;
        if fail_job && decision != Decision::Fail {
            return Err(RpcError::param("fail_job", "'fail_job' goes with the decision 'fail' only"));
        }
        Ok(Self { job_id, sheet_num, decision, prompt, note: short(&mut fields, "note")?, fail_job })
    }
}

/// A text that is stored with the job; "" is none.
fn short(fields: &mut Fields, field: &'static str) -> Result<Option<String>, RpcError> {
    match fields.text(field)? {
        Some(text) if text.len() > LONGEST_TEXT => {
            Err(RpcError::param(field, format!("'{field}' must have at most {LONGEST_TEXT} bytes")))
        }
        other => Ok(other.filter(|text| !text.trim().is_empty())),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{Value, json};

    use super::*;

    fn named(value: Value) -> Params {
        match value {
            Value::Object(members) => Params::Named(members),
            _ => Params::Positional,
        }
    }

    // Invariant I36
    #[test]
    fn decisions_and_what_goes_with_them() {
        let approve = |value| Approve::try_from(named(value));
        let fine =
            approve(json!({"job_id": "x", "sheet_num": 2, "decision": "retry", "prompt": "p", "note": " "}));
        let fine = fine.unwrap();
        assert_eq!((fine.decision, fine.prompt.as_deref(), fine.note), (Decision::Retry, Some("p"), None));
        for (wrong, text) in [
            (json!({"job_id": "x", "sheet_num": 2}), "missing required field 'decision'"),
            (json!({"job_id": "x", "decision": "skip"}), "missing required field 'sheet_num'"),
            (json!({"job_id": "x", "sheet_num": 0, "decision": "skip"}), "'sheet_num' must be between 1"),
            (json!({"job_id": "x", "sheet_num": 1, "decision": "no"}), "unknown decision 'no'"),
            (json!({"job_id": "x", "sheet_num": 1, "decision": "skip", "prompt": "p"}), "'prompt' goes with"),
            (
                json!({"job_id": "x", "sheet_num": 1, "decision": "skip", "fail_job": true}),
                "'fail_job' goes with",
            ),
        ] {
            let error = approve(wrong.clone()).unwrap_err().to_string();
            assert!(error.contains(text), "{wrong}: {error}");
        }
    }

    #[test]
    fn a_recovery_is_shown_or_applied() {
        let recover = |value| Recover::try_from(named(value));
        assert!(recover(json!({"job_id": "x", "apply": true, "from_sheet": 3})).is_ok());
        assert!(recover(json!({"job_id": "x", "apply": true, "dry_run": true})).is_err());
        assert!(recover(json!({"job_id": "x", "apply": true, "sheet_num": 3})).is_err());
    }
}
