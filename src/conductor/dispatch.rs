//! From ready sheets to attempts, and from reports back to the state machine.

use crate::exec::{AttemptReport, EndReason, Execution, Input, InstrumentRef, JobStatus, Outcome};
use crate::ids::{AttemptKey, AttemptNo, JobId, SheetNo, Token};
use crate::sched::{Candidates, Pick};
use crate::time::Now;

use super::core::Core;
use super::live::{Live, Running};

/// Ready sheets of one job that the scheduler looks at in one decision.
const LOOK_AHEAD: usize = 32;

struct Ready<'a> {
    jobs: &'a std::collections::HashMap<JobId, Live>,
    now: Now,
}

impl Candidates for Ready<'_> {
    fn runnable(&self, job: &JobId, visit: &mut dyn FnMut(SheetNo, &InstrumentRef) -> bool) {
        let Some(live) = self.jobs.get(job) else { return };
        for sheet in live.exec.runnable(self.now).take(LOOK_AHEAD) {
            if visit(sheet, live.exec.instrument(sheet)) {
                return;
            }
        }
    }
}

impl Core {
    /// Hands free slots to ready sheets, in the scheduler's order.
    pub(super) fn dispatch(&mut self, now: Now) {
        if self.stopping.is_some() || self.registry.is_failing() {
            return;
        }
        let pressure = self.pressure_now();
        loop {
            let ready = Ready { jobs: &self.jobs, now };
            match self.sched.pick(now, &pressure, &ready) {
                Pick::Run(job, sheet) => self.start_attempt(now, &job, sheet),
                Pick::Wait(due) => {
                    self.dispatch_at = Some(due);
                    return;
                }
                Pick::Nothing => {
                    self.dispatch_at = None;
                    return;
                }
            }
        }
    }

    fn start_attempt(&mut self, now: Now, id: &JobId, sheet: SheetNo) {
        let Some(live) = self.jobs.get_mut(id) else { return };
        live.attempt_seq += 1;
        live.dirty.job = true;
        let attempt = AttemptNo(live.attempt_seq);
        let token = new_token();
        log::debug!("scheduler.sheet_dispatched job_id={id} sheet={sheet} attempt={attempt}");
        self.step(now, id, Input::Dispatch { sheet, attempt, token });
    }

    /// The one report of an attempt.
    pub(super) fn reported(&mut self, now: Now, key: &AttemptKey, report: Box<AttemptReport>) {
        if let Some(live) = self.jobs.get_mut(&key.job) {
            // The lock of an attempt that was judged is kept until the verdict is committed.
            match live.running.remove(&key.attempt) {
                Some(Running::Judging(_, taken) | Running::Sweeping(taken)) => self.verdicts.push(taken),
                Some(Running::Adopted(_)) => self.adopted -= 1,
                Some(Running::Here(_)) | None => (),
            }
        }
        self.sched.ended(&key.job, key.sheet);
        let input = Input::AttemptEnded { sheet: key.sheet, attempt: key.attempt, report };
        self.step(now, &key.job, input);
    }
}

/// A new mark for an attempt, from the operating system's randomness.
fn new_token() -> Token {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the kernel has randomness once it has booted");
    Token::from_bytes(bytes)
}
