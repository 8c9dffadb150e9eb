//! What is recorded of an attempt when it ends, whatever it means for its sheet.

use std::sync::Arc;

use super::out::Out;
use super::sheet::push_bounded;
use super::{
    Active, AttemptEnd, AttemptSummary, Closed, Evidence, Execution, MAX_ATTEMPTS_KEPT, Outcome,
    PreviousFailure, Seen, SheetError,
};
use crate::ids::SheetNo;
use crate::time::Now;

/// What the next prompt may show of stderr, in characters.
const PREVIOUS_STDERR: usize = 2000;
/// What an entry of the error history keeps of each stream, in characters.
const SEEN_TAIL: usize = 500;

/// What is recorded of an attempt.
pub(super) struct End {
    pub(super) outcome: AttemptEnd,
    pub(super) error: Option<SheetError>,
    /// The error consumed the retry budget.
    pub(super) counted: bool,
    pub(super) share: Option<f64>,
}

impl End {
    /// An end that says nothing about the rules.
    pub(super) const fn plain(outcome: AttemptEnd, error: Option<SheetError>) -> Self {
        Self { outcome, error, counted: false, share: None }
    }
}

impl Execution {
    /// The dispatch counted the attempt; one that was never started does not count.
    pub(super) fn uncount(&mut self, num: SheetNo) {
        let ledger = self.ledger(num);
        ledger.attempt_count = ledger.attempt_count.saturating_sub(1);
    }

    pub(super) fn uncount_if_not_started(&mut self, num: SheetNo, outcome: &Outcome) {
        if matches!(outcome, Outcome::NotStarted { .. } | Outcome::Skip { .. }) {
            self.uncount(num);
        }
    }

    /// Records the end of an attempt. The state of the sheet is set by the caller.
    pub(super) fn close(
        &mut self,
        now: Now,
        num: SheetNo,
        active: &Active,
        end: End,
        evidence: &Arc<Evidence>,
        out: &mut Out,
    ) {
        // No program ran: nothing was spent, and there is nothing to list.
        let ran = !matches!(end.outcome, AttemptEnd::NotStarted | AttemptEnd::Skipped);
        if ran {
            self.account(now, num, evidence, out);
        }
        let instrument = self.instrument(num).clone();
        let ledger = self.ledger(num);
        ledger.last_activity = Some(now.wall);
        ledger.error.clone_from(&end.error);
        ledger.pass_percentage = end.share;
        ledger.evidence = Some(Arc::clone(evidence));
        ledger.total_duration_seconds += evidence.duration_seconds;
        for (total, seen) in [
            (&mut ledger.input_tokens, evidence.input_tokens),
            (&mut ledger.output_tokens, evidence.output_tokens),
        ] {
            if let Some(seen) = seen.filter(|_| ran) {
                *total = Some(total.unwrap_or(0).saturating_add(seen));
            }
        }
        if let Some(error) = &end.error {
            ledger.keep_error(now.wall, active.attempt, error.clone(), end.counted, Some(seen(evidence)));
        }
        if ran {
            let summary = AttemptSummary {
                attempt: active.attempt,
                mode: ledger.mode,
                instrument: instrument.name,
                model: instrument.model,
                started: active.since,
                ended: now.wall,
                outcome: end.outcome,
                error_code: end.error.as_ref().map(|error| error.code),
                exit_code: evidence.exit_code,
                signal: evidence.exit_signal,
                input_tokens: evidence.input_tokens,
                output_tokens: evidence.output_tokens,
                cost_micro: evidence.cost_micro,
                pass_percentage: end.share,
                log: Arc::clone(&evidence.directory),
            };
            push_bounded(&mut ledger.attempts, summary, MAX_ATTEMPTS_KEPT);
        }
        let closed = Closed {
            at: now.wall,
            outcome: end.outcome.as_str().into(),
            error: end.error,
            pass_percentage: end.share,
            evidence: Arc::clone(evidence),
        };
        out.attempt(self.attempt_record(num, active, Some(closed)));
    }

    /// A real result ends every row of waits and interruptions.
    pub(super) fn count_result(&mut self, num: SheetNo) {
        let ledger = self.ledger(num);
        ledger.crash_interruptions = 0;
        ledger.rate_limit_waits = 0;
        ledger.quota_waits = 0;
        ledger.not_started = 0;
        ledger.skip_checked = true;
        ledger.granted = false;
        ledger.person_note = None;
    }

    /// Keeps what the next prompt says about this attempt.
    pub(super) fn remember(&mut self, num: SheetNo, error: SheetError, evidence: &Evidence) {
        self.ledger(num).previous = Some(Arc::new(PreviousFailure {
            error: Some(error),
            stderr_tail: end_of(&evidence.stderr_tail, PREVIOUS_STDERR).to_owned(),
            validations: evidence.validations.clone(),
        }));
    }
}

/// How and where the error of an attempt was seen.
fn seen(evidence: &Evidence) -> Box<Seen> {
    Box::new(Seen {
        method: evidence.error_method.clone(),
        evidence: evidence.error_evidence.clone(),
        exit_code: evidence.exit_code,
        exit_signal: evidence.exit_signal,
        further: evidence.further_errors.clone(),
        remedies: evidence.remedies.clone(),
        stdout_tail: end_of(&evidence.stdout_tail, SEEN_TAIL).to_owned(),
        stderr_tail: end_of(&evidence.stderr_tail, SEEN_TAIL).to_owned(),
    })
}

/// The last characters of a text.
pub(super) fn end_of(text: &str, characters: usize) -> &str {
    let from = text.char_indices().rev().nth(characters.saturating_sub(1)).map_or(0, |(at, _)| at);
    &text[from..]
}
