//! What attempts cost, and what a job does about it.
//!
//! Money is counted in whole micro-dollars. A limit is exceeded when more is spent, not when as
//! much is. A sheet over its limit fails before it is tried again; what it has finished stays
//! finished. A job over its limit pauses; what runs may end.

use std::sync::Arc;

use serde_json::{Value, json};

use super::out::Out;
use super::sheet::push_bounded;
use super::{Evidence, Execution, MAX_HISTORY, OutcomeCategory, PauseFlag, Remark, SheetError, event};
use crate::classify::ErrorCode;
use crate::ids::{AttemptNo, SheetNo};
use crate::time::Now;

/// Shares of a budget in percent that are remarked besides the one that the score names.
const LEVELS: [f64; 2] = [90.0, 100.0];

/// Dollars as a number; for display only.
#[expect(clippy::cast_precision_loss, reason = "exact up to nine billion dollars")]
pub(crate) fn dollars(micro: u64) -> f64 {
    micro as f64 / 1e6
}

/// `$0.1234`.
fn money(micro: u64) -> String {
    let rounded = micro.saturating_add(50) / 100;
    format!("${}.{:04}", rounded / 10_000, rounded % 10_000)
}

impl Execution {
    /// Adds what an attempt has spent to its sheet, its instrument and its job.
    pub(super) fn account(&mut self, now: Now, num: SheetNo, evidence: &Evidence, out: &mut Out) {
        let tokens = evidence.input_tokens.is_some() || evidence.output_tokens.is_some();
        // No program ran: nothing is known to be free, and nothing was spent.
        if evidence.started.is_none() && evidence.cost_micro.is_none() && !tokens {
            return;
        }
        let name = Arc::clone(&self.instrument(num).name);
        let spent = &mut self.ledger(num).spent;
        let charged = spent.cost_micro > 0;
        spent.add(evidence);
        let newly = !charged && spent.cost_micro > 0;
        let dear = self.spec.budget.sheet_cost.is_some() || self.spec.budget.job_cost.is_some();
        let ledger = &mut self.job.ledger;
        ledger.sheets_charged += u32::from(newly);
        ledger.spent.add(evidence);
        let of_instrument = ledger.instruments.entry(Arc::clone(&name)).or_default();
        of_instrument.add(evidence);
        out.job();
        if dear && evidence.cost_micro.is_none() && of_instrument.unpriced == 1 {
            let message = "no price is known for this instrument: limits in dollars cannot be kept";
            let data = json!({ "instrument": *name, "message": message });
            out.event(event::sheet("cost.unpriced", num, data));
            self.remark(now, Some(num), format!("instrument `{name}`: {message}"), out);
        }
        if let Some(cost) = evidence.cost_micro.filter(|cost| *cost > 0) {
            out.event(event::cost_update(num, cost, self.job.ledger.spent.cost_micro));
        }
        self.watch_budget(out);
    }

    /// Remarks how much of the job's budget is used, and pauses the job when it is used up.
    fn watch_budget(&mut self, out: &mut Out) {
        let share = self.share_of_budget();
        if share <= 0.0 {
            return;
        }
        let warn = self.spec.budget.warn_at_percent;
        for level in [warn, LEVELS[0], LEVELS[1]] {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "percentages of a score lie between 0 and 100"
            )]
            let mark = level.round() as u32;
            let remarks = &mut self.job.ledger.budget_remarks;
            if level > 0.0 && share >= level && !remarks.contains(&mark) {
                remarks.push(mark);
                out.job();
                out.event(event::job("cost.warning", self.budget_facts(level, share)));
            }
        }
        if self.is_over_budget() && !self.job.status.is_terminal() && self.job.ending.is_none() {
            self.job.pause_flags.insert(PauseFlag::Cost);
            out.job();
        }
    }

    fn budget_facts(&self, level: f64, share: f64) -> Value {
        let (budget, spent) = (&self.spec.budget, &self.job.ledger.spent);
        json!({
            "scope": "job",
            "level": level,
            "percent": (share * 10.0).round() / 10.0,
            "total_cost_usd": dollars(spent.cost_micro),
            "limit_usd": budget.job_cost.map(dollars),
            "total_tokens": spent.tokens(),
            "limit_tokens": budget.job_tokens,
        })
    }

    /// Percent of the job's budget that is used, of the limit that is nearer. A limit of zero is
    /// used up by the first cent.
    #[expect(clippy::cast_precision_loss, reason = "a percentage for people")]
    fn share_of_budget(&self) -> f64 {
        let (budget, spent) = (&self.spec.budget, &self.job.ledger.spent);
        let share = |used: u64, limit: Option<u64>| match limit {
            None => 0.0,
            Some(0) if used > 0 => 100.0,
            Some(limit) => used as f64 * 100.0 / limit.max(1) as f64,
        };
        share(spent.cost_micro, budget.job_cost).max(share(spent.tokens(), budget.job_tokens))
    }

    /// The job has spent more than its score allows.
    pub(super) fn is_over_budget(&self) -> bool {
        let (budget, spent) = (&self.spec.budget, &self.job.ledger.spent);
        budget.job_cost.is_some_and(|limit| spent.cost_micro > limit)
            || budget.job_tokens.is_some_and(|limit| spent.tokens() > limit)
    }

    /// What the running sheets will cost, going by the average, is all that is left.
    pub(super) fn is_reserved(&self) -> bool {
        let budget = &self.spec.budget;
        let Some(limit) = budget.job_cost.filter(|_| !budget.no_reserve) else { return false };
        let ledger = &self.job.ledger;
        let running = self.index.active.len() as u64;
        if running == 0 || ledger.sheets_charged == 0 {
            return false;
        }
        let average = ledger.spent.cost_micro / u64::from(ledger.sheets_charged);
        ledger.spent.cost_micro.saturating_add(average.saturating_mul(running)) >= limit
    }

    /// Why a sheet may not be tried again, if it has spent too much.
    fn excess(&self, num: SheetNo) -> Option<String> {
        let (budget, spent) = (&self.spec.budget, &self.sheets[num.index()].ledger.spent);
        if let Some(limit) = budget.sheet_cost.filter(|limit| spent.cost_micro > *limit) {
            let (cost, limit) = (money(spent.cost_micro), money(limit));
            return Some(format!(
                "The sheet has cost {cost}, more than its limit of {limit}; raise cost_limits.max_cost_per_sheet and resume"
            ));
        }
        let limit = budget.sheet_tokens.filter(|limit| spent.tokens() > *limit)?;
        Some(format!(
            "The sheet has used {} tokens, more than its limit of {limit}; raise cost_limits.max_tokens_per_sheet and resume",
            spent.tokens()
        ))
    }

    /// A sheet that has spent too much fails instead of being started. True when it did.
    pub(super) fn is_spent(&mut self, now: Now, num: SheetNo, out: &mut Out) -> bool {
        !self.sheets[num.index()].ledger.granted && self.fail_if_spent(now, num, None, out)
    }

    /// A sheet that has spent too much is not tried again. True when it was failed.
    pub(super) fn fail_if_spent(
        &mut self,
        now: Now,
        num: SheetNo,
        attempt: Option<AttemptNo>,
        out: &mut Out,
    ) -> bool {
        let Some(message) = self.excess(num) else { return false };
        let error = SheetError { code: ErrorCode::E007, message };
        let ledger = self.ledger(num);
        // An attempt that was ended for it has said so itself.
        if let Some(attempt) = attempt.or(ledger.last_attempt)
            && !ledger
                .errors
                .last()
                .is_some_and(|entry| entry.attempt == attempt && entry.error.code == ErrorCode::E007)
        {
            ledger.keep_error(now.wall, attempt, error.clone(), false, None);
        }
        ledger.error = Some(error);
        ledger.outcome = Some(OutcomeCategory::FailedFatal);
        let data = event::result(self, num, false);
        out.event(event::sheet("sheet.failed", num, data));
        self.give_up(now, num, out);
        true
    }

    /// A sheet that succeeded keeps its success however much it cost; that is only remarked.
    pub(super) fn remark_excess(&mut self, now: Now, num: SheetNo, out: &mut Out) {
        let Some(message) = self.excess(num) else { return };
        let (budget, spent) = (&self.spec.budget, &self.sheets[num.index()].ledger.spent);
        let data = json!({
            "scope": "sheet",
            "level": 100.0,
            "total_cost_usd": dollars(spent.cost_micro),
            "limit_usd": budget.sheet_cost.map(dollars),
            "total_tokens": spent.tokens(),
            "limit_tokens": budget.sheet_tokens,
        });
        out.event(event::sheet("cost.warning", num, data));
        self.remark(now, Some(num), message, out);
    }

    /// Which limit of the job must be raised before it goes on; `None` when it may go on.
    #[must_use]
    pub fn budget_obstacle(&self) -> Option<String> {
        let (budget, spent) = (&self.spec.budget, &self.job.ledger.spent);
        if let Some(limit) = budget.job_cost.filter(|limit| spent.cost_micro > *limit) {
            return Some(format!(
                "the job has cost {} and may cost {}: raise cost_limits.max_cost_per_job",
                money(spent.cost_micro),
                money(limit)
            ));
        }
        let limit = budget.job_tokens.filter(|limit| spent.tokens() > *limit)?;
        Some(format!(
            "the job has used {} tokens and may use {limit}: raise cost_limits.max_tokens_per_job",
            spent.tokens()
        ))
    }

    /// Keeps something for people that is no error. The same is kept once.
    pub(super) fn remark(&mut self, now: Now, sheet: Option<SheetNo>, message: String, out: &mut Out) {
        let remarks = &mut self.job.ledger.remarks;
        if !remarks.iter().any(|known| known.sheet == sheet && known.message == message) {
            push_bounded(remarks, Remark { at: now.wall, sheet, message }, MAX_HISTORY);
            out.job();
        }
    }
}
