//! Fermata: a sheet that waits for a person, and what the person decides.
//!
//! While a sheet waits its job is paused (what runs may end). The pause ends with the last
//! question; other pauses are not touched.

use serde_json::{Value, json};

use super::out::Out;
use super::{
    Decision, ErrorEntry, EscalationEntry, Execution, Mode, OutcomeCategory, PauseFlag, Question, SheetError,
    SheetState, SkipReason, event,
};
use crate::classify::ErrorCode;
use crate::ids::SheetNo;
use crate::time::{Deadline, Now};

use super::close::end_of;
use super::sheet::Ledger;

/// What a question repeats of the output, in characters.
const SAID: usize = 1000;
/// How many errors a question repeats.
const ERRORS: usize = 3;

/// What a person may decide.
pub(crate) const OPTIONS: [&str; 4] = ["retry", "skip", "accept", "fail"];

impl Execution {
    /// Asks a person about a sheet, when the score wants that. False when it does not.
    pub(super) fn ask(&mut self, now: Now, num: SheetNo, reason: &str, out: &mut Out) -> bool {
        let grounding =
            self.sheets[num.index()].ledger.evidence.as_ref().and_then(|it| it.grounding.as_ref());
        let grounded = grounding.is_some_and(|it| it.escalate && !it.passed);
        let patience = match &self.spec.escalation {
            Some(escalation) => escalation.patience,
            None if grounded => self.spec.patience,
            None => return false,
        };
        let ledger = &self.sheets[num.index()].ledger;
        let reason = match &ledger.error {
            Some(error) => format!("{} [{}]", error.message, error.code),
            None => reason.to_owned(),
        };
        let deadline = patience.map(|patience| Deadline::after(now, patience));
        let mut data = json!({
            "reason": reason,
            "options": OPTIONS,
            "deadline": deadline.map(|deadline| deadline.wall.to_string()),
            "attempt": ledger.attempt_count,
            "validation_pass_rate": ledger.pass_percentage,
            "error_classification": ledger.error.as_ref().map(|error| error.code),
            "validations": failed_rules(self, num),
        });
        for (name, value) in background(ledger) {
            data[name] = value;
        }
        out.event(event::sheet("escalation.needed", num, data));
        let ledger = self.ledger(num);
        ledger.last_activity = Some(now.wall);
        ledger.escalation = Some(Box::new(EscalationEntry {
            reason: reason.clone(),
            since: now.wall,
            deadline: deadline.map(|deadline| deadline.wall),
            decision: None,
            by: None,
            note: None,
            decided: None,
        }));
        let question = Question { reason, since: now.wall, deadline };
        self.set_state(num, SheetState::Fermata(Box::new(question)), out);
        self.job.pause_flags.insert(PauseFlag::Escalation);
        out.job();
        true
    }

    pub(super) fn decide(
        &mut self,
        now: Now,
        num: SheetNo,
        decision: Decision,
        (prompt, note): (Option<String>, Option<String>),
        out: &mut Out,
    ) {
        let asked = self.sheet(num).is_some_and(|sheet| matches!(sheet.state, SheetState::Fermata(_)));
        if !asked || self.job.status.is_terminal() {
            return;
        }
        let data = json!({ "decision": decision, "by": "person", "note": note });
        out.event(event::sheet("escalation.resolved", num, data));
        self.answered(now, num, decision, "person", note.clone());
        match decision {
            Decision::Retry => {
                let ledger = self.ledger(num);
                ledger.mode = Mode::Normal;
                ledger.granted = true;
                ledger.person_note = prompt.map(Into::into);
                self.set_state(num, SheetState::Pending, out);
            }
            Decision::Skip => {
                let note = note.unwrap_or_else(|| "skipped by a person".to_owned());
                self.ledger(num).outcome = Some(OutcomeCategory::SkippedByEscalation);
                self.skip_sheet(now, num, SkipReason::Operator, note, out);
            }
            Decision::Accept => {
                let ledger = self.ledger(num);
                ledger.error = None;
                ledger.previous = None;
                ledger.outcome = Some(OutcomeCategory::SuccessAccepted);
                ledger.note = note;
                self.complete(now, num, out);
                let data = event::result(self, num, true);
                out.event(event::sheet("sheet.completed", num, data));
            }
            Decision::Fail => {
                let data = event::result(self, num, false);
                out.event(event::sheet("sheet.failed", num, data));
                self.ledger(num).outcome = Some(OutcomeCategory::FailedExhausted);
                self.give_up(now, num, out);
            }
        }
    }

    /// Nobody has answered in time.
    pub(super) fn unanswered(&mut self, now: Now, num: SheetNo, out: &mut Out) {
        self.answered(now, num, Decision::Fail, "timeout", None);
        let data = json!({ "decision": Decision::Fail, "by": "timeout" });
        out.event(event::sheet("escalation.resolved", num, data));
        let message = "Escalation timed out with no response".to_owned();
        let error = SheetError { code: ErrorCode::E999, message };
        let ledger = self.ledger(num);
        if let Some(attempt) = ledger.last_attempt {
            ledger.keep_error(now.wall, attempt, error.clone(), false, None);
        }
        ledger.error = Some(error);
        ledger.outcome = Some(OutcomeCategory::FailedExhausted);
        let data = event::result(self, num, false);
        out.event(event::sheet("sheet.failed", num, data));
        self.give_up(now, num, out);
    }

    fn answered(&mut self, now: Now, num: SheetNo, decision: Decision, by: &str, note: Option<String>) {
        let ledger = self.ledger(num);
        ledger.last_activity = Some(now.wall);
        if let Some(entry) = &mut ledger.escalation {
            entry.decision = Some(decision);
            entry.by = Some(by.to_owned());
            entry.note = note;
            entry.decided = Some(now.wall);
        }
    }

    /// The pause for questions ends with the last of them, however it went away.
    pub(super) fn end_escalation(&mut self, out: &mut Out) {
        if self.index.counts.fermata == 0 {
            self.unpause(PauseFlag::Escalation, out);
        }
    }

    /// A person skips a sheet. A running one is skipped when its attempt ends without success.
    pub(super) fn skip(&mut self, now: Now, num: SheetNo, out: &mut Out) {
        let Some(sheet) = self.sheet(num) else { return };
        if sheet.state.is_terminal() || self.job.status.is_terminal() || self.job.ending.is_some() {
            return;
        }
        if sheet.state.active().is_some() {
            if !sheet.ledger.skip_queued {
                self.ledger(num).skip_queued = true;
                out.sheet(num);
            }
            return;
        }
        if matches!(sheet.state, SheetState::Fermata(_)) {
            self.answered(now, num, Decision::Skip, "person", None);
            let data = json!({ "decision": Decision::Skip, "by": "person" });
            out.event(event::sheet("escalation.resolved", num, data));
            self.ledger(num).outcome = Some(OutcomeCategory::SkippedByEscalation);
        }
        self.skip_sheet(now, num, SkipReason::Operator, "skipped by a person".to_owned(), out);
    }
}

/// The rules that did not pass, as much of them as a message can carry.
fn failed_rules(exec: &Execution, num: SheetNo) -> Vec<Value> {
    let evidence = exec.sheets[num.index()].ledger.evidence.as_ref();
    let rules = evidence.map_or(&[][..], |evidence| &evidence.validations);
    let failed = rules.iter().filter(|rule| !rule.passed).take(10);
    failed.map(|rule| json!({ "type": rule.rule_type, "description": rule.description })).collect()
}

/// The newest errors of a sheet, oldest first.
/// What a person needs to decide: how sure the error is, what went wrong before, and where all of it is.
pub(crate) fn background(ledger: &Ledger) -> [(&'static str, Value); 4] {
    let seen = ledger.evidence.as_deref();
    [
        ("confidence", json!(seen.map(|seen| seen.error_confidence))),
        ("errors", json!(last_errors(ledger))),
        ("output", json!(seen.map(|seen| end_of(&seen.stdout_tail, SAID)))),
        ("directory", json!(seen.map(|seen| seen.directory.as_ref()))),
    ]
}

fn last_errors(ledger: &Ledger) -> Vec<Value> {
    let from = ledger.errors.len().saturating_sub(ERRORS);
    let error = |entry: &ErrorEntry| json!({ "attempt": entry.attempt, "code": entry.error.code, "message": entry.error.message });
    ledger.errors[from..].iter().map(error).collect()
}
