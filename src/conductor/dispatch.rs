//! From ready sheets to attempts, and from reports back to the state machine.

use std::collections::HashMap;
use std::ops::ControlFlow;

use crate::exec::{AttemptReport, Input};
use crate::ids::{AttemptKey, AttemptNo, JobId, SheetNo, Token};
use crate::pressure::Level;
use crate::sched::{Candidate, Candidates, Pick, Throttle};
use crate::time::Now;

use super::core::Core;
use super::live::{Live, Running};

/// What the jobs offer to the scheduler.
struct Ready<'a> {
    jobs: &'a HashMap<JobId, Live>,
    now: Now,
}

impl Candidates for Ready<'_> {
    fn offer(&self, job: &JobId, visit: &mut dyn FnMut(Candidate<'_>) -> ControlFlow<()>) {
        // A job whose score is about to be replaced starts nothing under the old one.
        let Some(live) = self.jobs.get(job).filter(|live| live.modify.is_none()) else { return };
        for sheet in live.exec.runnable(self.now) {
            let candidate = Candidate {
                sheet,
                instrument: live.exec.instrument(sheet),
                depth: live.exec.depth(sheet),
                retries: live.exec.sheets()[sheet.index()].ledger.attempt_count,
            };
            if visit(candidate).is_break() {
                return;
            }
        }
    }
}

impl Core {
    /// Hands free slots to ready sheets, in the scheduler's order.
    pub(super) fn dispatch(&mut self, now: Now) {
        self.dispatch_at = None;
        if self.stopping.is_some() || self.registry.is_failing() {
            return;
        }
        let throttle = throttle(self.gauge.last().at(now.mono).level);
        loop {
            let ready = Ready { jobs: &self.jobs, now };
            match self.sched.pick(now, throttle, &ready) {
                Pick::Run(job, sheet) => self.start_attempt(now, &job, sheet),
                Pick::Wait(due) => {
                    self.dispatch_at = due;
                    return;
                }
                Pick::Nothing => return,
            }
        }
    }

    fn start_attempt(&mut self, now: Now, id: &JobId, sheet: SheetNo) {
        let Some(live) = self.jobs.get_mut(id) else { return };
        live.attempt_seq += 1;
        live.dirty.job = true;
        let attempt = AttemptNo(live.attempt_seq);
        let instrument = live.exec.instrument(sheet).clone();
        log::debug!("scheduler.sheet_dispatched job_id={id} sheet_num={sheet} attempt={attempt}");
        self.sched.started(now, id, sheet, &instrument);
        self.step(now, id, Input::Dispatch { sheet, attempt, token: new_token() });
        // Skipped, or asked about, instead of started.
        if self.jobs.get(id).is_none_or(|live| !live.is_current(sheet, attempt)) {
            self.sched.ended(id, sheet);
        }
    }

    /// The one report of an attempt.
    pub(super) fn reported(&mut self, now: Now, key: &AttemptKey, report: Box<AttemptReport>) {
        let Some(live) = self.jobs.get_mut(&key.job) else { return };
        // The lock of an attempt that was judged is kept until the verdict is committed.
        match live.running.remove(&key.attempt) {
            Some(Running::Judging(_, taken) | Running::Sweeping(taken)) => self.verdicts.extend(taken),
            Some(Running::Adopted(..)) => self.adopted -= 1,
            Some(Running::Here(_)) | None => (),
        }
        let current = live.is_current(key.sheet, key.attempt);
        let input = Input::AttemptEnded { sheet: key.sheet, attempt: key.attempt, report };
        // A rate limit is told to the scheduler by an effect of this step, before the slot is given back.
        self.step(now, &key.job, input);
        if current {
            self.sched.ended(&key.job, key.sheet);
        }
    }
}

/// What the level means for starting sheets.
fn throttle(level: Level) -> Throttle {
    if !level.may_start() {
        return Throttle::Stop;
    }
    let delay = level.dispatch_delay();
    if delay.is_zero() { Throttle::Free } else { Throttle::Delay(delay) }
}

/// A new mark for an attempt, from the operating system's randomness.
fn new_token() -> Token {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the kernel has randomness once it has booted");
    Token::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_delay_or_stop_starts() {
        assert_eq!(throttle(Level::None), Throttle::Free);
        assert_eq!(throttle(Level::Low), Throttle::LOW);
        assert_eq!(throttle(Level::Medium), Throttle::MEDIUM);
        assert_eq!(throttle(Level::High), Throttle::HIGH);
        assert_eq!(throttle(Level::Critical), Throttle::CRITICAL);
    }
}
