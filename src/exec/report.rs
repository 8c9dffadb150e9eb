//! What the one report of an attempt means for its sheet.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::out::Out;
use super::retry::{self, FALLBACK_MIN_WAIT, MAX_INTERRUPTIONS};
use super::sheet::push_bounded;
use super::{
    Active, AttemptEnd, AttemptReport, AttemptSummary, Closed, Effect, EndReason, Ending, ErrorEntry,
    Evidence, Execution, Failure, FallbackEntry, MAX_ATTEMPTS_KEPT, MAX_HISTORY, Mode, Outcome,
    PreviousFailure, SheetError, SheetState, event,
};
use crate::classify::ErrorCode;
use crate::ids::{AttemptNo, SheetNo};
use crate::time::{Deadline, Now};

/// Longest message of an error, in bytes.
const MAX_MESSAGE: usize = 4096;
/// What the next prompt may show of stderr, in characters.
const PREVIOUS_STDERR: usize = 2000;

/// What is recorded of an attempt, whatever it means.
struct End {
    outcome: AttemptEnd,
    error: Option<SheetError>,
    /// The error consumed the retry budget.
    counted: bool,
    share: Option<f64>,
}

impl Execution {
    pub(super) fn attempt_ended(
        &mut self,
        now: Now,
        num: SheetNo,
        attempt: AttemptNo,
        report: AttemptReport,
        out: &mut Out,
    ) {
        let Some(active) = self.current(num, attempt) else { return };
        let AttemptReport { outcome, evidence } = report;
        let evidence = Arc::new(evidence);
        let whole = matches!(outcome, Outcome::Ran { passed, executed, .. } if passed >= executed);
        let stop = self.job.ending.as_ref().and_then(Ending::reason).or(active.ending);
        match stop {
            Some(EndReason::Cancel | EndReason::JobTimeout | EndReason::JobFailed) => {
                self.uncount_if_not_started(num, &outcome);
                let end = End { outcome: AttemptEnd::Ended, error: None, counted: false, share: None };
                self.close(now, num, &active, end, &evidence, out);
                self.set_state(num, SheetState::Cancelled { at: now.wall }, out);
                return;
            }
            // Work is never thrown away: what was finished before the end reached it, counts.
            Some(EndReason::Pause | EndReason::Shutdown) if !whole => {
                self.uncount_if_not_started(num, &outcome);
                let end = End { outcome: AttemptEnd::Interrupted, error: None, counted: false, share: None };
                self.close(now, num, &active, end, &evidence, out);
                self.set_state(num, SheetState::Pending, out);
                return;
            }
            Some(EndReason::Pause | EndReason::Shutdown | EndReason::Cost) | None => {}
        }
        match outcome {
            Outcome::Ran { passed, executed, .. } if whole => {
                self.completed(now, num, &active, (passed, executed), &evidence, out);
            }
            Outcome::Ran { passed, executed, .. } => {
                self.partial(now, num, &active, (passed, executed), &evidence, out);
            }
            Outcome::Failed(failure) => self.failed(now, num, &active, failure, &evidence, out),
            Outcome::Accepted { failure, .. } => self.failed(now, num, &active, failure, &evidence, out),
            Outcome::Skip { message } => {
                self.interrupted(now, num, &active, message, &evidence, out);
            }
            Outcome::RateLimited { code, wait, message } => {
                self.rate_limited(now, num, &active, (code, wait, message), &evidence, out);
            }
            Outcome::Interrupted { message } => self.interrupted(now, num, &active, message, &evidence, out),
            // An end that nobody here has asked for is an interruption.
            Outcome::Ended => {
                let message = "ended by somebody else".to_owned();
                self.interrupted(now, num, &active, message, &evidence, out);
            }
            Outcome::NotStarted { message } => self.not_started(now, num, &active, message, &evidence, out),
        }
    }

    fn completed(
        &mut self,
        now: Now,
        num: SheetNo,
        active: &Active,
        (passed, executed): (u32, u32),
        evidence: &Arc<Evidence>,
        out: &mut Out,
    ) {
        let end = End { outcome: AttemptEnd::Completed, error: None, counted: false, share: Some(100.0) };
        self.close(now, num, active, end, evidence, out);
        self.count_result(num);
        self.ledger(num).previous = None;
        self.set_state(num, SheetState::Completed { at: now.wall }, out);
        self.pace(now, out);
        if executed > 0 {
            out.event(event::rules("sheet.validation_passed", num, 100.0, passed, executed));
        }
        let data = event::result(self, num, true, false);
        out.event(event::sheet("sheet.completed", num, data));
    }

    fn partial(
        &mut self,
        now: Now,
        num: SheetNo,
        active: &Active,
        (passed, executed): (u32, u32),
        evidence: &Arc<Evidence>,
        out: &mut Out,
    ) {
        let share = f64::from(passed) * 100.0 / f64::from(executed.max(1));
        let (code, own) = retry::validation_code(evidence);
        let attempts = self.sheets[num.index()].ledger.attempt_count;
        let s = if attempts == 1 { "" } else { "s" };
        let message = format!("Validation failed ({share:.1}% pass rate) after {attempts} attempt{s}");
        let retry = self.spec.retry.clone();
        let most = share > retry.completion_threshold;
        let error = SheetError { code, message };
        let end =
            End { outcome: AttemptEnd::Partial, error: Some(error), counted: !most, share: Some(share) };
        self.close(now, num, active, end, evidence, out);
        self.count_result(num);
        self.remember(num, None, evidence);
        out.event(event::rules("sheet.validation_failed", num, share, passed, executed));
        let data = event::result(self, num, true, false);
        out.event(event::sheet("sheet.partial", num, data));

        let reason = if passed == 0 { "validation_failed" } else { "validation_incomplete" };
        let ledger = self.ledger(num);
        if most && ledger.completion_attempts < retry.max_completion_attempts {
            ledger.completion_attempts += 1;
            ledger.mode = Mode::Completion;
            self.schedule(now, num, retry.completion_delay, reason, out);
        } else if most {
            // The completion budget is used up: a fallback, else what is left of the retries.
            if self.fall_back(now, num, reason, out) {
                return;
            }
            if self.ledger(num).normal_attempts < retry.max_retries {
                self.ledger(num).normal_attempts += 1;
                self.retry(now, num, own, reason, out);
            } else {
                self.give_up(now, num, out);
            }
        } else {
            ledger.normal_attempts += 1;
            if ledger.normal_attempts <= retry.max_retries {
                self.retry(now, num, own, reason, out);
            } else {
                self.exhausted(now, num, reason, out);
            }
        }
    }

    fn failed(
        &mut self,
        now: Now,
        num: SheetNo,
        active: &Active,
        failure: Failure,
        evidence: &Arc<Evidence>,
        out: &mut Out,
    ) {
        let Failure { code, message, retriable, delay } = failure;
        let unusable = !retriable && matches!(code, ErrorCode::E502 | ErrorCode::E505);
        let error = SheetError { code, message: cut(message) };
        let end =
            End { outcome: AttemptEnd::Failed, error: Some(error.clone()), counted: !unusable, share: None };
        self.close(now, num, active, end, evidence, out);
        self.count_result(num);
        self.remember(num, Some(error), evidence);
        let data = event::result(self, num, false, false);
        out.event(event::sheet("sheet.failed", num, data));

        let reason = failure_reason(code);
        if unusable {
            self.exhausted(now, num, reason, out);
            return;
        }
        self.ledger(num).normal_attempts += 1;
        let left = self.sheets[num.index()].ledger.normal_attempts <= self.spec.retry.max_retries;
        let hopeless = self.has_fallback(num) && self.three_alike(num);
        if retriable && left && !hopeless {
            self.retry(now, num, delay, reason, out);
        } else {
            self.exhausted(now, num, reason, out);
        }
    }

    fn rate_limited(
        &mut self,
        now: Now,
        num: SheetNo,
        active: &Active,
        (code, parsed, message): (ErrorCode, Option<Duration>, String),
        evidence: &Arc<Evidence>,
        out: &mut Out,
    ) {
        let error = SheetError { code, message: cut(message) };
        let end = End { outcome: AttemptEnd::RateLimited, error: Some(error), counted: false, share: None };
        self.close(now, num, active, end, evidence, out);
        let policy = self.spec.rate_limit.clone();
        let quota = code == ErrorCode::E104;
        let ledger = self.ledger(num);
        ledger.crash_interruptions = 0;
        ledger.not_started = 0;
        let (used, most) = if quota {
            (&mut ledger.quota_waits, policy.max_quota_waits)
        } else {
            (&mut ledger.rate_limit_waits, policy.max_waits)
        };
        let exhausted = *used >= most;
        if !exhausted {
            *used += 1;
        }
        let nth = (*used).max(1);
        let wait = retry::limit_wait(code, parsed, policy.wait, nth);
        let mut data = event::result(self, num, false, true);
        data["seconds_remaining"] = json!(wait.as_secs_f64());
        out.event(event::sheet("rate_limit.active", num, data));
        let instrument = self.instrument(num).clone();
        out.act(Effect::Limited { instrument: instrument.name, model: instrument.model, wait, sheet: num });
        if exhausted {
            self.exhausted(now, num, "rate_limit_exhausted", out);
            return;
        }
        let totals = &mut self.job.ledger;
        if quota {
            totals.quota_waits += 1;
        } else {
            totals.rate_limit_waits += 1;
        }
        out.job();
        if wait >= FALLBACK_MIN_WAIT && self.fall_back(now, num, "rate_limit", out) {
            return;
        }
        let wait = retry::spread(wait, retry::next_unit(&mut self.job.ledger.random));
        self.set_state(num, SheetState::Waiting { until: Deadline::after(now, wait) }, out);
    }

    fn interrupted(
        &mut self,
        now: Now,
        num: SheetNo,
        active: &Active,
        message: String,
        evidence: &Arc<Evidence>,
        out: &mut Out,
    ) {
        let error = SheetError { code: ErrorCode::E008, message: cut(message) };
        let end = End { outcome: AttemptEnd::Interrupted, error: Some(error), counted: false, share: None };
        self.close(now, num, active, end, evidence, out);
        let ledger = self.ledger(num);
        ledger.crash_interruptions += 1;
        if ledger.crash_interruptions < MAX_INTERRUPTIONS {
            let data =
                json!({ "attempt": ledger.attempt_count + 1, "delay_seconds": 0.0, "reason": "interrupted" });
            out.event(event::sheet("sheet.retrying", num, data));
            self.set_state(num, SheetState::Pending, out);
            return;
        }
        let message = format!("interrupted {MAX_INTERRUPTIONS} times while this sheet ran");
        ledger.error = Some(SheetError { code: ErrorCode::E008, message });
        let data = event::result(self, num, false, false);
        out.event(event::sheet("sheet.failed", num, data));
        self.give_up(now, num, out);
    }

    fn not_started(
        &mut self,
        now: Now,
        num: SheetNo,
        active: &Active,
        message: String,
        evidence: &Arc<Evidence>,
        out: &mut Out,
    ) {
        let error = SheetError { code: ErrorCode::E403, message: cut(message) };
        let end = End { outcome: AttemptEnd::NotStarted, error: Some(error), counted: false, share: None };
        self.close(now, num, active, end, evidence, out);
        self.uncount(num);
        let ledger = self.ledger(num);
        ledger.not_started = ledger.not_started.saturating_add(1);
        let delay = retry::not_started_delay(ledger.not_started);
        self.set_state(num, SheetState::RetryScheduled { until: Deadline::after(now, delay) }, out);
    }

    /// The dispatch counted the attempt; one that was never started does not count.
    fn uncount(&mut self, num: SheetNo) {
        let ledger = self.ledger(num);
        ledger.attempt_count = ledger.attempt_count.saturating_sub(1);
    }

    fn uncount_if_not_started(&mut self, num: SheetNo, outcome: &Outcome) {
        if matches!(outcome, Outcome::NotStarted { .. }) {
            self.uncount(num);
        }
    }

    /// Records the end of an attempt. The state of the sheet is set by the caller.
    fn close(
        &mut self,
        now: Now,
        num: SheetNo,
        active: &Active,
        end: End,
        evidence: &Arc<Evidence>,
        out: &mut Out,
    ) {
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
            if let Some(seen) = seen {
                *total = Some(total.unwrap_or(0).saturating_add(seen));
            }
        }
        if let Some(error) = &end.error {
            let entry = ErrorEntry {
                at: now.wall,
                attempt: active.attempt,
                attempt_count: ledger.attempt_count,
                error: error.clone(),
                counted: end.counted,
            };
            push_bounded(&mut ledger.errors, entry, MAX_HISTORY);
        }
        if end.outcome != AttemptEnd::NotStarted {
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
                pass_percentage: end.share,
                log: evidence.directory.as_str().into(),
            };
            push_bounded(&mut ledger.attempts, summary, MAX_ATTEMPTS_KEPT);
        }
        let closed = Closed {
            at: now.wall,
            outcome: end.outcome.as_str().to_owned(),
            error: end.error,
            pass_percentage: end.share,
            evidence: Arc::clone(evidence),
        };
        out.attempt(self.attempt_record(num, active, Some(closed)));
    }

    /// A real result ends every row of waits and interruptions.
    fn count_result(&mut self, num: SheetNo) {
        let ledger = self.ledger(num);
        ledger.crash_interruptions = 0;
        ledger.rate_limit_waits = 0;
        ledger.quota_waits = 0;
        ledger.not_started = 0;
    }

    /// Keeps what the next prompt says about this attempt.
    fn remember(&mut self, num: SheetNo, error: Option<SheetError>, evidence: &Evidence) {
        let stderr = &evidence.stderr_tail;
        let from = stderr.char_indices().rev().nth(PREVIOUS_STDERR - 1).map_or(0, |(at, _)| at);
        self.ledger(num).previous = Some(Arc::new(PreviousFailure {
            error,
            stderr_tail: stderr[from..].to_owned(),
            validations: evidence.validations.clone(),
        }));
    }

    fn retry(&mut self, now: Now, num: SheetNo, own: Duration, reason: &str, out: &mut Out) {
        let spec = Arc::clone(&self.spec);
        let unit = if spec.retry.jitter { retry::next_unit(&mut self.job.ledger.random) } else { 0.0 };
        let rapid = self.rapid(num);
        let ledger = self.ledger(num);
        ledger.mode = Mode::Normal;
        let delay = retry::retry_delay(&spec.retry, ledger.normal_attempts, own, rapid, unit);
        self.schedule(now, num, delay, reason, out);
    }

    fn schedule(&mut self, now: Now, num: SheetNo, delay: Duration, reason: &str, out: &mut Out) {
        self.job.ledger.total_retry_count += 1;
        out.job();
        self.set_state(num, SheetState::RetryScheduled { until: Deadline::after(now, delay) }, out);
        let data = json!({
            "attempt": self.sheets[num.index()].ledger.attempt_count + 1,
            "delay_seconds": delay.as_secs_f64(),
            "reason": reason,
        });
        out.event(event::sheet("sheet.retrying", num, data));
    }

    fn exhausted(&mut self, now: Now, num: SheetNo, reason: &str, out: &mut Out) {
        if !self.fall_back(now, num, reason, out) {
            self.give_up(now, num, out);
        }
    }

    fn give_up(&mut self, now: Now, num: SheetNo, out: &mut Out) {
        self.fail_sheet(num, now.wall, out);
        self.pace(now, out);
    }

    fn has_fallback(&self, num: SheetNo) -> bool {
        let next = self.sheets[num.index()].ledger.instrument_index as usize + 1;
        next < self.spec.sheets[num.index()].instruments.len()
    }

    /// Moves a sheet to its next instrument, with fresh budgets. False when there is none.
    fn fall_back(&mut self, now: Now, num: SheetNo, reason: &str, out: &mut Out) -> bool {
        if !self.has_fallback(num) {
            return false;
        }
        let from = Arc::clone(&self.instrument(num).name);
        self.ledger(num).instrument_index += 1;
        let to = Arc::clone(&self.instrument(num).name);
        let data = json!({ "from": *from, "to": *to, "reason": reason });
        let ledger = self.ledger(num);
        ledger.normal_attempts = 0;
        ledger.completion_attempts = 0;
        ledger.rate_limit_waits = 0;
        ledger.quota_waits = 0;
        ledger.mode = Mode::Normal;
        let entry = FallbackEntry { from, to, reason: reason.to_owned(), at: now.wall };
        push_bounded(&mut ledger.fallbacks, entry, MAX_HISTORY);
        out.event(event::sheet("sheet.fallback", num, data));
        self.set_state(num, SheetState::Pending, out);
        true
    }

    /// The last three counted failures, all on this instrument, came within a minute.
    fn rapid(&self, num: SheetNo) -> bool {
        let ledger = &self.sheets[num.index()].ledger;
        if ledger.normal_attempts < 3 {
            return false;
        }
        let mut last = ledger.errors.iter().rev().filter(|entry| entry.counted).map(|entry| entry.at);
        match (last.next(), last.nth(1)) {
            (Some(newest), Some(third)) => newest.since(third) <= Duration::from_secs(60),
            _ => false,
        }
    }

    /// The last three failures on this instrument have the same code: another one may do better.
    fn three_alike(&self, num: SheetNo) -> bool {
        let ledger = &self.sheets[num.index()].ledger;
        let mut last = ledger.errors.iter().rev().filter(|entry| entry.counted).map(|entry| entry.error.code);
        let Some(code) = last.next() else { return false };
        ledger.normal_attempts >= 3
            && !retry::is_validation(code)
            && last.next() == Some(code)
            && last.next() == Some(code)
    }

    /// The pause between sheets, when nothing else of the job runs.
    fn pace(&mut self, now: Now, out: &mut Out) {
        if self.spec.pause_between.is_zero() || !self.index.active.is_empty() {
            return;
        }
        let pause = Deadline::after(now, self.spec.pause_between);
        if self.job.hold.is_none_or(|hold| hold.mono < pause.mono) {
            self.job.hold = Some(pause);
            out.job();
        }
    }
}

/// Why the next instrument takes over after a failure.
const fn failure_reason(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::E001 => "execution_timeout",
        ErrorCode::E006 => "execution_stale",
        ErrorCode::E002 | ErrorCode::E003 | ErrorCode::E004 | ErrorCode::E005 => "execution_crashed",
        ErrorCode::E502 => "auth_failure",
        ErrorCode::E505 => "unavailable",
        _ => "execution_failed",
    }
}

/// At most 4 KiB, cut at a character.
fn cut(mut message: String) -> String {
    if message.len() > MAX_MESSAGE {
        let mut at = MAX_MESSAGE - '…'.len_utf8();
        while !message.is_char_boundary(at) {
            at -= 1;
        }
        message.truncate(at);
        message.push('…');
    }
    message
}
