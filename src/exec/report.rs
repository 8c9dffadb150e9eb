//! What the one report of an attempt means for its sheet.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::close::End;
use super::exhaust::Exhausted;
use super::out::Out;
use super::retry::{self, MAX_INTERRUPTIONS};
use super::{
    Active, AttemptEnd, AttemptReport, Effect, EndReason, Ending, Evidence, Execution, Failure, Mode,
    Outcome, OutcomeCategory, SheetError, SheetState, SkipReason, event,
};
use crate::classify::ErrorCode;
use crate::ids::{AttemptNo, SheetNo};
use crate::time::{Deadline, Now};

/// Longest message of an error, in bytes.
const MAX_MESSAGE: usize = 4096;
/// Delay that a crash asks for.
const CRASH_DELAY: Duration = Duration::from_secs(30);

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
        let decided = whole || matches!(outcome, Outcome::Accepted { .. } | Outcome::Skip { .. });
        let recovers = self.sheets[num.index()].ledger.mode == Mode::Recover;
        let stop = self.job.ending.as_ref().and_then(Ending::reason).or(active.ending);
        match stop {
            Some(EndReason::Cancel | EndReason::JobTimeout | EndReason::JobFailed) => {
                self.uncount_if_not_started(num, &outcome);
                let end = End::plain(AttemptEnd::Ended, None);
                self.close(now, num, &active, end, &evidence, out);
                if recovers {
                    self.not_recovered(num, now.wall, out);
                } else {
                    self.set_state(num, SheetState::Cancelled { at: now.wall }, out);
                }
                return;
            }
            // Work is never thrown away: what was finished before the end reached it, counts.
            Some(EndReason::Pause | EndReason::Shutdown) if !decided => {
                self.uncount_if_not_started(num, &outcome);
                self.close(now, num, &active, End::plain(AttemptEnd::Interrupted, None), &evidence, out);
                self.set_state(num, SheetState::Pending, out);
                self.skip_if_queued(now, num, out);
                return;
            }
            Some(EndReason::Pause | EndReason::Shutdown | EndReason::Cost) | None => {}
        }
        if recovers {
            self.recovered(now, num, &active, outcome, &evidence, out);
            return;
        }
        self.judge_instrument(num, &outcome, &evidence, out);
        match outcome {
            Outcome::Ran { passed, executed, .. } if whole => {
                self.completed(now, num, &active, (passed, executed), &evidence, out);
            }
            Outcome::Ran { passed, executed, .. } => {
                self.partial(now, num, &active, (passed, executed), &evidence, out);
            }
            Outcome::Failed(failure) => self.failed(now, num, &active, failure, &evidence, out),
            Outcome::Accepted { failure, executed } => {
                self.accepted(now, num, &active, (failure, executed), &evidence, out);
            }
            Outcome::Skip { message } => self.not_needed(now, num, &active, message, &evidence, out),
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
        let ledger = self.ledger(num);
        ledger.previous = None;
        ledger.outcome = Some(match (ledger.mode, ledger.attempt_count) {
            (Mode::Completion, _) => OutcomeCategory::SuccessCompletion,
            (Mode::Normal, 0 | 1) => OutcomeCategory::SuccessFirstTry,
            (Mode::Normal | Mode::Healing, _) => OutcomeCategory::SuccessRetry,
            (Mode::Recover, _) => OutcomeCategory::SuccessValidated,
        });
        self.complete(now, num, out);
        self.remark_excess(now, num, out);
        if executed > 0 {
            out.event(event::rules("sheet.validation_passed", num, 100.0, passed, executed));
        }
        let data = event::result(self, num, true);
        out.event(event::sheet("sheet.completed", num, data));
    }

    /// The program failed, but every rule passes and the score accepts that.
    fn accepted(
        &mut self,
        now: Now,
        num: SheetNo,
        active: &Active,
        (failure, executed): (Failure, u32),
        evidence: &Arc<Evidence>,
        out: &mut Out,
    ) {
        let error = SheetError { code: failure.code, message: cut(failure.message) };
        let end =
            End { outcome: AttemptEnd::Completed, error: Some(error), counted: false, share: Some(100.0) };
        self.close(now, num, active, end, evidence, out);
        self.count_result(num);
        let ledger = self.ledger(num);
        ledger.error = None;
        ledger.previous = None;
        ledger.outcome = Some(OutcomeCategory::SuccessValidated);
        self.complete(now, num, out);
        self.remark_excess(now, num, out);
        out.event(event::rules("sheet.validation_passed", num, 100.0, executed, executed));
        let data = event::result(self, num, true);
        out.event(event::sheet("sheet.completed", num, data));
    }

    /// The sheet is done.
    pub(super) fn complete(&mut self, now: Now, num: SheetNo, out: &mut Out) {
        let ledger = self.ledger(num);
        ledger.skip_queued = false;
        ledger.before_recovery = None;
        self.set_state(num, SheetState::Completed { at: now.wall }, out);
        self.job.ledger.completed_in_run = self.job.ledger.completed_in_run.saturating_add(1);
        out.job();
        self.pace(now, out);
    }

    /// A command has said that the sheet is not needed: no program was started.
    fn not_needed(
        &mut self,
        now: Now,
        num: SheetNo,
        active: &Active,
        message: String,
        evidence: &Arc<Evidence>,
        out: &mut Out,
    ) {
        self.close(now, num, active, End::plain(AttemptEnd::Skipped, None), evidence, out);
        self.uncount(num);
        self.skip_sheet(now, num, SkipReason::Command, cut(message), out);
    }

    /// A sheet that a person has skipped while it ran. True when it is over now.
    fn skip_if_queued(&mut self, now: Now, num: SheetNo, out: &mut Out) -> bool {
        if !self.sheets[num.index()].ledger.skip_queued {
            return false;
        }
        self.skip_sheet(now, num, SkipReason::Operator, "skipped by a person".to_owned(), out);
        true
    }

    /// Nothing of the attempt is known, and its worker is gone: a crash.
    pub(super) fn lost(&mut self, now: Now, num: SheetNo, attempt: AttemptNo, out: &mut Out) {
        let failure = Failure {
            code: ErrorCode::E006,
            message: "the attempt was lost: its worker ended without a report".to_owned(),
            retriable: true,
            delay: CRASH_DELAY,
        };
        let report = AttemptReport { outcome: Outcome::Failed(failure), evidence: Evidence::default() };
        self.attempt_ended(now, num, attempt, report, out);
    }

    /// Tells what the attempt says about its instrument, if anything.
    fn judge_instrument(&self, num: SheetNo, outcome: &Outcome, evidence: &Evidence, out: &mut Out) {
        let result = match outcome {
            Outcome::Ran { .. } => Ok(()),
            Outcome::Failed(failure) | Outcome::Accepted { failure, .. } => {
                let silent = evidence.stdout_bytes == 0 && evidence.stderr_bytes == 0;
                let script_ended =
                    evidence.scripted && (evidence.exit_code.is_some() || evidence.exit_signal.is_some());
                if script_ended || !blames_instrument(failure.code, silent) {
                    return;
                }
                Err(failure.code)
            }
            Outcome::Skip { .. }
            | Outcome::RateLimited { .. }
            | Outcome::Interrupted { .. }
            | Outcome::Ended
            | Outcome::NotStarted { .. } => return,
        };
        let instrument = self.instrument(num).clone();
        out.act(Effect::Instrument {
            instrument: instrument.name,
            model: instrument.model,
            sheet: num,
            result,
        });
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
        let mut message = format!("Validation failed ({share:.1}% pass rate) after {attempts} attempt{s}");
        if let Some(reason) = retry::first_failed(evidence) {
            message.push_str(": ");
            message.push_str(&reason);
        }
        let retry = self.spec.retry.clone();
        let most = share > retry.completion_threshold;
        let error = SheetError { code, message };
        let end = End {
            outcome: AttemptEnd::Partial,
            error: Some(error.clone()),
            counted: !most,
            share: Some(share),
        };
        self.close(now, num, active, end, evidence, out);
        self.count_result(num);
        self.remember(num, error, evidence);
        out.event(event::rules("sheet.validation_failed", num, share, passed, executed));
        let data = event::result(self, num, true);
        out.event(event::sheet("sheet.partial", num, data));

        if self.skip_if_queued(now, num, out) || self.fail_if_spent(now, num, Some(active.attempt), out) {
            return;
        }
        let reason = if passed == 0 { "validation_failed" } else { "validation_incomplete" };
        let ledger = self.ledger(num);
        if most && ledger.completion_attempts < retry.max_completion_attempts {
            ledger.completion_attempts += 1;
            ledger.mode = Mode::Completion;
            self.schedule(now, num, retry.completion_delay, reason, out);
        } else if most {
            self.exhausted(now, num, Exhausted { reason, leftover: Some(own), fatal: false }, out);
        } else {
            ledger.normal_attempts = ledger.normal_attempts.saturating_add(1);
            if ledger.normal_attempts <= retry.max_retries {
                self.retry(now, num, own, reason, out);
            } else {
                self.exhausted(now, num, Exhausted::after(reason), out);
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
        self.remember(num, error, evidence);
        let data = event::result(self, num, false);
        out.event(event::sheet("sheet.failed", num, data));

        if self.skip_if_queued(now, num, out) || self.fail_if_spent(now, num, Some(active.attempt), out) {
            return;
        }
        let reason = failure_reason(code);
        if unusable || code == ErrorCode::E007 {
            // The next instrument or nothing: neither a remedy nor a retry brings a login or money.
            if code == ErrorCode::E007 || !self.fall_back(now, num, reason, out) {
                self.ledger(num).outcome = Some(OutcomeCategory::FailedFatal);
                self.give_up(now, num, out);
            }
            return;
        }
        let ledger = self.ledger(num);
        ledger.normal_attempts = ledger.normal_attempts.saturating_add(1);
        let left = ledger.normal_attempts <= self.spec.retry.max_retries;
        let hopeless = self.has_fallback(num) && self.three_alike(num);
        if retriable && left && !hopeless {
            self.retry(now, num, delay, reason, out);
        } else {
            self.exhausted(now, num, Exhausted { reason, leftover: None, fatal: !retriable }, out);
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
        let end = End::plain(AttemptEnd::RateLimited, Some(error));
        self.close(now, num, active, end, evidence, out);
        let policy = self.spec.rate_limit.clone();
        let quota = code == ErrorCode::E104;
        let ledger = self.ledger(num);
        ledger.crash_interruptions = 0;
        ledger.not_started = 0;
        ledger.skip_checked = true;
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
        let facts = event::limited(self, num, wait.as_secs_f64());
        out.event(event::sheet("rate_limit.active", num, facts));
        let instrument = self.instrument(num).clone();
        out.act(Effect::Limited { instrument: instrument.name, model: instrument.model, wait, sheet: num });
        if self.skip_if_queued(now, num, out) || self.fail_if_spent(now, num, Some(active.attempt), out) {
            return;
        }
        if exhausted {
            let key = if quota { "max_quota_waits" } else { "max_waits" };
            let s = if most == 1 { "" } else { "s" };
            if let Some(error) = &mut self.ledger(num).error {
                error.message =
                    cut(format!("still limited after {most} wait{s} (rate_limit.{key}): {}", error.message));
            }
            self.exhausted(now, num, Exhausted::after("rate_limit_exhausted"), out);
            return;
        }
        let totals = &mut self.job.ledger;
        if quota {
            totals.quota_waits += 1;
        } else {
            totals.rate_limit_waits += 1;
        }
        out.job();
        if wait >= policy.fallback_min_wait && self.fall_back(now, num, "rate_limit", out) {
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
        let end = End::plain(AttemptEnd::Interrupted, Some(error));
        self.close(now, num, active, end, evidence, out);
        if self.skip_if_queued(now, num, out) {
            return;
        }
        let ledger = self.ledger(num);
        ledger.crash_interruptions += 1;
        if ledger.crash_interruptions < MAX_INTERRUPTIONS {
            let data =
                json!({ "attempt": ledger.attempt_count + 1, "delay_seconds": 0.0, "reason": "interrupted" });
            out.event(event::sheet("sheet.retrying", num, data));
            self.set_state(num, SheetState::Pending, out);
            return;
        }
        let message = format!(
            "interrupted {MAX_INTERRUPTIONS} times while this sheet ran: see in the logs of the system and of the conductor what ended it, then resume"
        );
        ledger.error = Some(SheetError { code: ErrorCode::E008, message });
        ledger.outcome = Some(OutcomeCategory::FailedFatal);
        let data = event::result(self, num, false);
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
        let end = End::plain(AttemptEnd::NotStarted, Some(error));
        self.close(now, num, active, end, evidence, out);
        self.uncount(num);
        if self.skip_if_queued(now, num, out) {
            return;
        }
        let ledger = self.ledger(num);
        ledger.not_started = ledger.not_started.saturating_add(1);
        let delay = retry::not_started_delay(ledger.not_started);
        self.set_state(num, SheetState::RetryScheduled { until: Deadline::after(now, delay) }, out);
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

/// Whether an error is the instrument's own fault. Rules that did not pass and work that took too
/// long say nothing about it, nor does a crash that printed what was wrong.
const fn blames_instrument(code: ErrorCode, silent: bool) -> bool {
    match code {
        ErrorCode::E002
        | ErrorCode::E003
        | ErrorCode::E501
        | ErrorCode::E503
        | ErrorCode::E504
        | ErrorCode::E505
        | ErrorCode::E901
        | ErrorCode::E902
        | ErrorCode::E903
        | ErrorCode::E904 => true,
        ErrorCode::E009 => silent,
        _ => false,
    }
}

/// At most 4 KiB, cut at a character.
pub(super) fn cut(mut message: String) -> String {
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
