//! A slot for a sheet: what is asked before its attempt is opened, and what the worker is told.
//!
//! Asked in this order: a checkpoint of the score (a person), `skip_when` (a condition), the budget
//! of the sheet. Whoever gave the slot sees in the state of the sheet whether an attempt was opened.

use serde_json::json;

use super::out::Out;
use super::{
    Active, AtCheckpoint, Effect, Execution, Heal, Left, Mode, Order, PauseFlag, SheetState, SkipReason,
    event,
};
use crate::ids::{AttemptNo, SheetNo, Token};
use crate::time::{Deadline, Now};

impl Execution {
    pub(super) fn dispatch(
        &mut self,
        now: Now,
        num: SheetNo,
        attempt: AttemptNo,
        token: Token,
        out: &mut Out,
    ) {
        if self.blocked(now).is_some() || !self.is_ready(num) {
            return;
        }
        let recovers = self.job.ledger.recovery.is_some();
        if !recovers
            && (self.stop_at_checkpoint(now, num, out)
                || self.skip_by_condition(now, num, out)
                || self.is_spent(now, num, out))
        {
            return;
        }
        if self.index.active.is_empty() {
            self.job.ledger.waves += 1;
            out.job();
        }
        if self.job.clock.is_none() {
            self.job.clock = Some(now);
            out.job();
        }
        self.job.hold = None;
        if !self.spec.stagger.is_zero() {
            self.job.hold = Some(Deadline::after(now, self.spec.stagger));
        }
        let order = self.order(num, attempt, token);
        let ledger = self.ledger(num);
        ledger.attempt_count += 1;
        ledger.error = None;
        ledger.evidence = None;
        ledger.pass_percentage = None;
        ledger.last_attempt = Some(attempt);
        ledger.last_activity = Some(now.wall);
        let active = Active { attempt, token, since: now.wall, pid: None, ending: None };
        out.attempt(self.attempt_record(num, &active, None));
        self.set_state(num, SheetState::Dispatched(active), out);
        out.act(Effect::Run(order));
    }

    /// What the worker is told.
    fn order(&self, num: SheetNo, attempt: AttemptNo, token: Token) -> Order {
        let ledger = &self.sheets[num.index()].ledger;
        Order {
            sheet: num,
            attempt,
            token,
            mode: ledger.mode,
            instrument_index: ledger.instrument_index as usize,
            retry_count: ledger.attempt_count,
            completion: match ledger.mode {
                Mode::Normal | Mode::Healing | Mode::Recover => (0, 0),
                Mode::Completion => (ledger.completion_attempts, self.spec.retry.max_completion_attempts),
            },
            previous: ledger.previous.clone(),
            skip_command: self.spec.sheets[num.index()].skip_command
                && !ledger.skip_checked
                && ledger.mode != Mode::Recover,
            heal: self.heal(num),
            note: ledger.person_note.clone(),
            left: self.left(num),
        }
    }

    /// Whether remedies can help at all after this attempt: a fallback is tried before them.
    fn heal(&self, num: SheetNo) -> Heal {
        let ledger = &self.sheets[num.index()].ledger;
        let retry = &self.spec.retry;
        if ledger.healing_attempts >= self.spec.healing
            || ledger.mode == Mode::Recover
            || self.has_fallback(num)
        {
            Heal::Never
        } else if ledger.normal_attempts >= retry.max_retries
            || ledger.completion_attempts >= retry.max_completion_attempts
        {
            Heal::Always
        } else {
            Heal::IfHopeless
        }
    }

    /// What the sheet may still spend.
    fn left(&self, num: SheetNo) -> Left {
        let spent = &self.sheets[num.index()].ledger.spent;
        let budget = &self.spec.budget;
        Left {
            cost: budget.sheet_cost.map(|limit| limit.saturating_sub(spent.cost_micro)),
            tokens: budget.sheet_tokens.map(|limit| limit.saturating_sub(spent.tokens())),
        }
    }

    /// A checkpoint of the score that is met for the first time. True when a person is asked.
    fn stop_at_checkpoint(&mut self, now: Now, num: SheetNo, out: &mut Out) -> bool {
        let ledger = &self.sheets[num.index()].ledger;
        let retries = ledger.attempt_count;
        let met = self.spec.breakpoints.iter().position(|point| {
            point.sheets.as_ref().is_none_or(|sheets| sheets.binary_search(&num).is_ok())
                && point.min_retries.is_none_or(|least| retries >= least)
        });
        let Some(at) = met else { return false };
        let mark = u32::try_from(at).unwrap_or(u32::MAX);
        if ledger.checkpoints_met.contains(&mark) {
            return false;
        }
        let point = self.spec.breakpoints[at].clone();
        self.ledger(num).checkpoints_met.push(mark);
        out.sheet(num);
        let data = json!({ "name": *point.name, "message": *point.message, "confirm": point.confirm });
        out.event(event::sheet("checkpoint.reached", num, data));
        if point.confirm {
            self.job.pause_flags.insert(PauseFlag::Checkpoint);
            self.job.ledger.checkpoint = Some(AtCheckpoint {
                sheet: num,
                name: point.name.as_ref().to_owned(),
                message: point.message.as_ref().to_owned(),
            });
            out.job();
        } else {
            let message = format!("checkpoint `{}`: {}", point.name, point.message);
            self.remark(now, Some(num), message, out);
        }
        point.confirm
    }

    /// `skip_when`, once per run of the sheet. True when the sheet is skipped.
    fn skip_by_condition(&mut self, now: Now, num: SheetNo, out: &mut Out) -> bool {
        let Some(rule) = self.spec.sheets[num.index()].skip_when.clone() else { return false };
        if self.sheets[num.index()].ledger.skip_checked {
            return false;
        }
        match self.holds(&rule, num) {
            Ok(true) => {
                let note = format!("skip_when holds: {}", rule.text);
                self.skip_sheet(now, num, SkipReason::Condition, note, out);
                true
            }
            Ok(false) => false,
            Err(why) => {
                let message =
                    format!("skip_when `{}` could not be evaluated, the sheet runs: {why}", rule.text);
                out.event(event::sheet("sheet.warning", num, json!({ "message": message })));
                self.remark(now, Some(num), message, out);
                false
            }
        }
    }

    /// Not saved: after a crash the attempt directory knows more than this.
    pub(super) fn spawned(&mut self, now: Now, num: SheetNo, attempt: AttemptNo, pid: u32, out: &mut Out) {
        let Some(mut active) = self.current(num, attempt) else { return };
        active.pid = Some(pid);
        let sheet = std::sync::Arc::make_mut(&mut self.sheets[num.index()]);
        sheet.state = SheetState::InProgress(active);
        sheet.ledger.started.get_or_insert(now.wall);
        sheet.ledger.last_activity = Some(now.wall);
        out.event(event::sheet_started(self, num, pid));
    }

    /// Skips a sheet on purpose.
    pub(super) fn skip_sheet(
        &mut self,
        now: Now,
        num: SheetNo,
        reason: SkipReason,
        note: String,
        out: &mut Out,
    ) {
        out.event(event::sheet("sheet.skipped", num, json!({ "reason": note })));
        let ledger = self.ledger(num);
        ledger.note = Some(note);
        ledger.error = None;
        ledger.skip_queued = false;
        ledger.before_recovery = None;
        ledger.last_activity = Some(now.wall);
        self.set_state(num, SheetState::Skipped { at: now.wall, reason }, out);
    }
}
