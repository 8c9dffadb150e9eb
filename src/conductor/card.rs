//! What identifies a job, beside what happens to it.

use std::path::PathBuf;

use serde_json::Value;

use crate::checkpoint::Meta;
use crate::ids::JobId;
use crate::score::Score;
use crate::store::JobRow;
use crate::time::Wall;

use super::around::Origin;
use super::messages::Submission;

/// Priority of a job that names none, 1 (first) to 10.
pub(crate) const DEFAULT_PRIORITY: u8 = 5;

/// A job's name and where it comes from. Replaced as a whole when another score takes over.
#[derive(Debug, Clone)]
pub(crate) struct Card {
    pub(crate) id: JobId,
    /// `name` of the score.
    pub(crate) name: String,
    pub(crate) config_path: String,
    pub(crate) workspace: PathBuf,
    pub(crate) submitted: Wall,
    pub(crate) priority: u8,
    pub(crate) chain_depth: Option<u32>,
    /// `parallel.enabled` of the score.
    pub(crate) parallel: bool,
    /// How it was submitted.
    pub(crate) origin: Origin,
    /// What its score says of people and agents.
    pub(crate) people: People,
}

/// `conductor` and `agent_card` of a score, for whoever looks at a job.
#[derive(Debug, Clone)]
pub(crate) struct People {
    conductor: Value,
    agent_card: Value,
}

impl People {
    pub(crate) fn of(score: &Score) -> Self {
        Self { conductor: score.conductor_json(), agent_card: score.agent_card_json() }
    }

    /// Adds both to a status; null where the score says nothing.
    pub(crate) fn put_into(&self, status: &mut Value) {
        status["conductor"] = self.conductor.clone();
        status["agent_card"] = self.agent_card.clone();
    }
}

impl Card {
    /// Of a score that was just submitted.
    pub(crate) fn of_submission(submission: &Submission, submitted: Wall, origin: Origin) -> Self {
        let prepared = &submission.prepared;
        Self {
            id: submission.id.clone(),
            name: prepared.score.name.clone(),
            config_path: submission.config_path.clone(),
            workspace: prepared.workspace.clone(),
            submitted,
            priority: submission.priority,
            chain_depth: submission.chain_depth,
            parallel: prepared.score.parallel.enabled,
            origin,
            people: People::of(&prepared.score),
        }
    }

    /// As the row of a job in the database has it.
    pub(crate) fn of_row(row: &JobRow, score: &Score) -> Self {
        let summary = &row.summary;
        Self {
            id: summary.job_id.clone(),
            name: summary.name.clone().unwrap_or_else(|| summary.job_id.to_string()),
            config_path: summary.config_path.clone(),
            workspace: PathBuf::from(&summary.workspace),
            submitted: summary.submitted_at,
            priority: u8::try_from(summary.priority).unwrap_or(DEFAULT_PRIORITY),
            chain_depth: summary.chain_depth,
            parallel: score.parallel.enabled,
            origin: Origin::of_row(row.held_chain_json.as_deref()),
            people: People::of(score),
        }
    }

    /// For the checkpoint object.
    pub(crate) fn meta(&self, pid: Option<u32>, boot_id: &str, config_hash: &str) -> Meta {
        let chain = self.origin.chain.as_ref();
        Meta {
            boot_id: boot_id.to_owned(),
            config_hash: config_hash.to_owned(),
            chain_depth: self.chain_depth.unwrap_or(0),
            parent: chain.map(|link| link.parent.clone()),
            concert: chain.map(|link| link.concert.clone()),
            job_id: self.id.clone(),
            config_path: self.config_path.clone(),
            workspace: self.workspace.display().to_string(),
            submitted: self.submitted,
            pid,
            parallel: self.parallel,
        }
    }
}
