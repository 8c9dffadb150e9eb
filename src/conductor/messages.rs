//! What others tell the conductor thread.

use std::sync::Arc;

use serde_json::Value;

use crate::exec::{AttemptReport, Rerun};
use crate::executor::{Found, Leftovers, Taken};
use crate::ids::{AttemptKey, JobId};
use crate::rpc::RpcError;
use crate::store::StoredJob;

use super::exchange::Exchange;
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
    /// Something around the sheets of a job.
    Around(super::around::News),
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
    /// `job.watch`.
    Watch { id: JobId, from_seq: Option<u64> },
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
    /// Said to the client when the job is accepted.
    pub(crate) remark: Option<String>,
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

/// Answer of one call.
pub(crate) type Answer = Result<Value, RpcError>;
