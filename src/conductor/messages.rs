//! What others tell the conductor thread.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use crate::exec::{AttemptReport, Decision, Rerun};
use crate::executor::{Found, Leftovers, Taken};
use crate::ids::{AttemptKey, JobId, SheetNo};
use crate::notify::{Delivery, Outcome};
use crate::rpc::{RpcError, params};
use crate::store::StoredJob;

use super::exchange::Exchange;
use super::output::Heard;
use super::prepared::Prepared;

/// Everything that wakes the conductor, but for time, pressure and the network.
pub(crate) enum Event {
    /// A request that changes something, with the way back to its client.
    Command(Command, Exchange),
    /// The program of an attempt runs.
    Spawned(AttemptKey, u32),
    /// The one report of an attempt.
    Reported(AttemptKey, Box<AttemptReport>),
    /// An adopted attempt is over: its record, or none when its guard was killed.
    AdoptedOver(AttemptKey, Box<(Found, Taken)>),
    /// The directory of an adopted attempt does not exist any more; this may still run.
    AdoptedGone(AttemptKey, Leftovers),
    /// What an interrupted attempt left behind has been ended, but for these processes.
    Swept(AttemptKey, Vec<u32>),
    /// A notification was delivered, or not.
    Notified(Box<Delivery>, Outcome),
    /// Something around the sheets of a job.
    Around(super::around::News),
    /// What attempts that somebody listens to have printed.
    Printed(Vec<Heard>),
    /// Stop, after what runs (`true`) or at once.
    Stop { graceful: bool },
}

/// A change that somebody asks for. Parameters are checked; files are read.
pub(crate) enum Command {
    /// `job.submit`.
    Submit(Box<Submission>),
    /// `job.pause`.
    Pause { id: JobId, now: bool },
    /// `job.resume`.
    Resume(Box<Resumption>),
    /// `job.cancel`.
    Cancel { id: JobId },
    /// `job.modify`.
    Modify(Box<Modification>),
    /// `job.approve`.
    Decide(Box<Ruling>),
    /// `job.recover`, to be applied.
    Recover(Box<Recovery>),
    /// `job.watch`, with what the attempts that run have printed by now.
    Watch(params::Watch, Vec<(AttemptKey, [u64; 2])>),
    /// `daemon.clear_rate_limits`.
    ClearRateLimits { instrument: Option<String> },
    /// `daemon.shutdown`.
    Shutdown { graceful: bool },
}

/// A score that is ready to run under a name.
pub(crate) struct Submission {
    pub(crate) id: JobId,
    pub(crate) config_path: String,
    pub(crate) prepared: Arc<Prepared>,
    pub(crate) fresh: bool,
    pub(crate) priority: u8,
    pub(crate) chain_depth: Option<u32>,
    /// What the database knows of an earlier run under this name.
    pub(crate) earlier: Option<Box<StoredJob>>,
    /// Where that run worked, without links.
    pub(crate) earlier_place: Option<PathBuf>,
    /// Said to the client when the job is accepted.
    pub(crate) remark: Option<String>,
    /// What is doubtful about the score.
    pub(crate) warnings: Vec<crate::score::Issue>,
}

/// A job to go on with.
pub(crate) struct Resumption {
    pub(crate) id: JobId,
    /// The job as the database has it, when it was not live.
    pub(crate) stored: Option<Box<StoredJob>>,
    /// The score to go on with.
    pub(crate) prepared: Arc<Prepared>,
    /// Where the score is from now on, when that changes.
    pub(crate) config_path: Option<String>,
    /// Which sheets run again.
    pub(crate) rerun: Rerun,
}

/// A job to go on with another score.
pub(crate) struct Modification {
    pub(crate) id: JobId,
    /// The job as the database has it.
    pub(crate) stored: Option<Box<StoredJob>>,
    /// The new score.
    pub(crate) prepared: Arc<Prepared>,
    /// Where it is.
    pub(crate) config_path: String,
}

/// What a person decides about a sheet.
pub(crate) struct Ruling {
    pub(crate) id: JobId,
    pub(crate) sheet: SheetNo,
    pub(crate) decision: Decision,
    /// Shown to the instrument after the prompt.
    pub(crate) prompt: Option<String>,
    /// Kept with the decision.
    pub(crate) note: Option<String>,
    /// The job fails with its sheet.
    pub(crate) fail_job: bool,
}

/// A failed job whose rules are checked again.
pub(crate) struct Recovery {
    pub(crate) id: JobId,
    /// The job as the database has it.
    pub(crate) stored: Box<StoredJob>,
    /// Its score.
    pub(crate) prepared: Arc<Prepared>,
    /// Only sheets from this one on.
    pub(crate) from: Option<SheetNo>,
    /// The sheets that are looked at, for the answer.
    pub(crate) sheets: Vec<SheetNo>,
}

/// Answer of one call.
pub(crate) type Answer = Result<Value, RpcError>;
