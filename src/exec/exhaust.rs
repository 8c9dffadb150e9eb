//! What comes after an attempt that did not finish its sheet: a retry, another instrument,
//! a remedy, a person, the end.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::out::Out;
use super::retry;
use super::sheet::push_bounded;
use super::{Execution, FallbackEntry, MAX_HISTORY, Mode, OutcomeCategory, SheetState, SkipReason, event};
use crate::ids::SheetNo;
use crate::time::{Deadline, Now};

/// How the attempts of one kind were used up.
pub(super) struct Exhausted {
    /// Label of a change of the instrument.
    pub(super) reason: &'static str,
    /// The completion attempts are used up, retries may be left: the delay that the error asks for.
    pub(super) leftover: Option<Duration>,
    /// The error is not worth a retry.
    pub(super) fatal: bool,
}

impl Exhausted {
    pub(super) const fn after(reason: &'static str) -> Self {
        Self { reason, leftover: None, fatal: false }
    }
}

impl Execution {
    pub(super) fn retry(&mut self, now: Now, num: SheetNo, own: Duration, reason: &str, out: &mut Out) {
        let spec = Arc::clone(&self.spec);
        let unit = if spec.retry.jitter { retry::next_unit(&mut self.job.ledger.random) } else { 0.0 };
        let rapid = self.rapid(num);
        let ledger = self.ledger(num);
        ledger.mode = Mode::Normal;
        let delay = retry::retry_delay(&spec.retry, ledger.normal_attempts, own, rapid, unit);
        self.schedule(now, num, delay, reason, out);
    }

    pub(super) fn schedule(&mut self, now: Now, num: SheetNo, delay: Duration, reason: &str, out: &mut Out) {
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

    /// No attempt of the present kind is left. Exactly one branch is taken, in this order: the next
    /// instrument, one more attempt because a remedy has changed something, a person, what is left
    /// of the retries, failure.
    pub(super) fn exhausted(&mut self, now: Now, num: SheetNo, end: Exhausted, out: &mut Out) {
        if self.fall_back(now, num, end.reason, out)
            || self.heal_again(now, num, out)
            || self.ask(now, num, end.reason, out)
        {
            return;
        }
        if let Some(own) = end.leftover
            && self.sheets[num.index()].ledger.normal_attempts < self.spec.retry.max_retries
        {
            self.ledger(num).normal_attempts += 1;
            self.retry(now, num, own, end.reason, out);
            return;
        }
        let category =
            if end.fatal { OutcomeCategory::FailedFatal } else { OutcomeCategory::FailedExhausted };
        self.ledger(num).outcome = Some(category);
        self.give_up(now, num, out);
    }

    /// Another attempt at once, because a remedy has changed something.
    fn heal_again(&mut self, now: Now, num: SheetNo, out: &mut Out) -> bool {
        let most = self.spec.healing;
        let ledger = self.ledger(num);
        let mended =
            ledger.evidence.as_ref().is_some_and(|it| it.remedies.iter().any(|remedy| remedy.applied));
        if !mended || ledger.healing_attempts >= most {
            return false;
        }
        ledger.healing_attempts += 1;
        ledger.mode = Mode::Healing;
        self.schedule(now, num, Duration::ZERO, "healing", out);
        true
    }

    /// A ready sheet changes its instrument because the present one cannot be used.
    pub(super) fn fall_back_unused(&mut self, now: Now, num: SheetNo, reason: &'static str, out: &mut Out) {
        let pending = self.sheet(num).is_some_and(|sheet| sheet.state == SheetState::Pending);
        if pending && !self.job.status.is_terminal() && self.job.ledger.recovery.is_none() {
            self.fall_back(now, num, reason, out);
        }
    }

    /// The sheet fails, or is skipped if a person wanted that while it ran.
    pub(super) fn give_up(&mut self, now: Now, num: SheetNo, out: &mut Out) {
        let ledger = self.ledger(num);
        ledger.person_note = None;
        if ledger.skip_queued {
            ledger.outcome = None;
            let note = "skipped by a person".to_owned();
            self.skip_sheet(now, num, SkipReason::Operator, note, out);
        } else {
            self.fail_sheet(num, now.wall, out);
        }
        self.pace(now, out);
    }

    pub(super) fn has_fallback(&self, num: SheetNo) -> bool {
        let next = self.sheets[num.index()].ledger.instrument_index as usize + 1;
        next < self.spec.sheets[num.index()].instruments.len()
    }

    /// Moves a sheet to its next instrument, with fresh budgets. False when there is none.
    pub(super) fn fall_back(&mut self, now: Now, num: SheetNo, reason: &str, out: &mut Out) -> bool {
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
    pub(super) fn three_alike(&self, num: SheetNo) -> bool {
        let ledger = &self.sheets[num.index()].ledger;
        let mut last = ledger.errors.iter().rev().filter(|entry| entry.counted).map(|entry| entry.error.code);
        let Some(code) = last.next() else { return false };
        ledger.normal_attempts >= 3
            && !retry::is_validation(code)
            && last.next() == Some(code)
            && last.next() == Some(code)
    }

    /// The pause between sheets, when nothing else of the job runs.
    pub(super) fn pace(&mut self, now: Now, out: &mut Out) {
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
