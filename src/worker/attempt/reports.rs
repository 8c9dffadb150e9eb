//! Reports of attempts that ended before there was anything to judge.

use std::time::Duration;

use crate::classify::ErrorCode;
use crate::exec::{AttemptReport, Evidence, Failure, Outcome};

/// A failure that another attempt would meet again.
pub(super) fn refusal(code: ErrorCode, message: String) -> Failure {
    Failure { code, message, retriable: false, delay: Duration::ZERO }
}

pub(super) fn failed(failure: Failure, evidence: Evidence) -> AttemptReport {
    AttemptReport { outcome: Outcome::Failed(failure), evidence }
}

/// The worker itself is at fault.
pub(super) fn panicked() -> AttemptReport {
    let code = ErrorCode::E999;
    let message = "the worker panicked; please report this with the conductor's log".to_owned();
    let failure = Failure { code, message, retriable: true, delay: code.delay() };
    failed(failure, Evidence::default())
}

/// Nothing was started; the sheet is tried again without counting.
pub(crate) fn not_started(message: &str) -> AttemptReport {
    plain(Outcome::NotStarted { message: message.to_owned() })
}

/// It ran, and how it ended is not known.
pub(crate) fn interrupted(message: &str) -> AttemptReport {
    plain(Outcome::Interrupted { message: message.to_owned() })
}

/// It was asked to end before anything was started.
pub(crate) fn ended() -> AttemptReport {
    plain(Outcome::Ended)
}

pub(super) fn plain(outcome: Outcome) -> AttemptReport {
    AttemptReport { outcome, evidence: Evidence::default() }
}
