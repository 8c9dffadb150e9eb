//! Where a job comes from, and what it has started: what must survive a crash so that a chained job
//! is submitted once.
//!
//! Both are one text in the job's row, so that a child and its parent's note of it are one commit.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ids::JobId;
use crate::time::Wall;

/// Which hook of which run of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// Position in `on_success` or `on_failure`.
    pub(crate) hook: usize,
    /// Of `on_failure`.
    pub(crate) on_failure: bool,
    /// Run of the job.
    pub(crate) epoch: u32,
}

/// What a chained job was submitted by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Link {
    /// The job before it.
    pub(crate) parent: JobId,
    /// Its hook. With the parent, the key under which a child is submitted once.
    #[serde(flatten)]
    pub(crate) place: Place,
    /// The chain as a whole, named after its first job.
    pub(crate) concert: String,
}

/// How a job was submitted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Origin {
    /// With a clean state.
    pub(crate) fresh: bool,
    /// By a hook of another job, or of its own last run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) chain: Option<Link>,
}

/// The chained job that a hook has submitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Chained {
    /// The hook.
    pub(crate) place: Place,
    /// The job.
    pub(crate) child: JobId,
    /// Its score.
    pub(crate) path: String,
    /// Its workspace.
    pub(crate) workspace: String,
    /// When.
    pub(crate) at: Wall,
}

/// The next run of the same job, which begins when this one is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct NextRun {
    /// What it is submitted by.
    pub(crate) link: Link,
    /// Parameters of the submission.
    pub(crate) params: Map<String, Value>,
}

/// What the hooks of a job have submitted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Chains {
    /// By the newest chaining hook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last: Option<Chained>,
    /// By a hook that chains the job to itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<NextRun>,
}

/// Both, as the row has them.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    origin: Origin,
    chains: Chains,
}

impl Kept {
    /// Rows of older programs have none.
    fn of_row(text: Option<&str>) -> Self {
        text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }
}

impl Origin {
    /// As the row has it.
    pub(crate) fn of_row(text: Option<&str>) -> Self {
        Kept::of_row(text).origin
    }
}

impl Chains {
    /// As the row has it.
    pub(crate) fn of_row(text: Option<&str>) -> Self {
        Kept::of_row(text).chains
    }
}

/// For the row. Nothing for a plain job.
pub(crate) fn encode(origin: &Origin, chains: &Chains) -> Option<String> {
    let kept = Kept { origin: origin.clone(), chains: chains.clone() };
    let plain = *origin == Origin::default() && *chains == Chains::default();
    (!plain).then(|| serde_json::to_string(&kept).expect("a chain is plain data"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_a_job_comes_from_survives_its_row() {
        let place = Place { hook: 2, on_failure: false, epoch: 3 };
        let link = Link { parent: JobId::new("first").unwrap(), place, concert: "first-7".into() };
        let origin = Origin { fresh: true, chain: Some(link.clone()) };
        let chains = Chains {
            last: Some(Chained {
                place,
                child: JobId::new("second").unwrap(),
                path: "/s.yaml".into(),
                workspace: "/w".into(),
                at: Wall(5),
            }),
            next: Some(NextRun { link, params: Map::new() }),
        };
        let text = encode(&origin, &chains);
        assert_eq!(Origin::of_row(text.as_deref()), origin);
        assert_eq!(Chains::of_row(text.as_deref()), chains);
    }

    #[test]
    fn a_plain_job_needs_no_text_and_an_odd_text_is_a_plain_job() {
        assert_eq!(encode(&Origin::default(), &Chains::default()), None);
        assert_eq!(Origin::of_row(Some("{\"origin\":{\"fresh\":1}}")), Origin::default());
        assert_eq!(Chains::of_row(Some("null")), Chains::default());
    }
}
