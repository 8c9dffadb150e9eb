//! From ready sheets to attempts, and from reports back to the state machine.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use crate::exec::{AttemptReport, Input};
use crate::ids::{AttemptKey, AttemptNo, JobId, SheetNo, Token};
use crate::pressure::Level;
use crate::sched::{Candidate, Candidates, Pick, Throttle, Unusable};
use crate::time::{Mono, Now};

use super::core::Core;
use super::live::{Live, Running};

/// What the jobs offer to the scheduler.
struct Ready<'a> {
    jobs: &'a HashMap<JobId, Live>,
    now: Now,
    /// Sheets that did not change their instrument when they were told to.
    steadfast: &'a BTreeSet<(JobId, SheetNo)>,
}

impl Candidates for Ready<'_> {
    fn offer(&self, job: &JobId, visit: &mut dyn FnMut(Candidate<'_>)) {
        // A job whose score is about to be replaced starts nothing under the old one.
        let Some(live) = self.jobs.get(job).filter(|live| live.modify.is_none()) else { return };
        for head in live.exec.heads(self.now) {
            let stays = !self.steadfast.is_empty() && self.steadfast.contains(&(job.clone(), head.sheet));
            let candidate = Candidate::of(&live.exec, head);
            visit(Candidate { fallbacks: if stays { &[] } else { candidate.fallbacks }, ..candidate });
        }
    }
}

impl Core {
    /// Hands free slots to ready sheets, in the scheduler's order.
    pub(super) fn dispatch(&mut self, now: Now) {
        self.dispatch_at = None;
        let throttle = throttle(self.gauge.last().at(now.mono).level);
        if self.stopping.is_none() && !self.registry.is_failing() {
            for id in &self.touched {
                self.sched.touched(id);
            }
            self.dispatch_at = self.hand_slots(now, throttle);
        }
        let shown = (self.sched.version(), throttle);
        if self.shown != Some(shown) {
            self.shown = Some(shown);
            self.view.set_standing(self.sched.standing(now, throttle));
        }
    }

    /// Says when to look again.
    fn hand_slots(&mut self, now: Now, throttle: Throttle) -> Option<Mono> {
        let mut steadfast = BTreeSet::new();
        loop {
            let ready = Ready { jobs: &self.jobs, now, steadfast: &steadfast };
            match self.sched.pick(now, throttle, &ready) {
                Pick::Run(job, sheet) => self.start_attempt(now, &job, sheet),
                Pick::FallBack(job, sheet, why) => {
                    if !self.fall_back(now, &job, sheet, why) {
                        steadfast.insert((job, sheet));
                    }
                }
                Pick::Wait(due) => return due,
                Pick::Nothing => return None,
            }
        }
    }

    /// The instrument of a ready sheet cannot be used for a while: it changes to the next one of its
    /// chain. Says whether it has.
    fn fall_back(&mut self, now: Now, id: &JobId, sheet: SheetNo, why: Unusable) -> bool {
        let at = |core: &Self| core.jobs.get(id).map(|live| live.instrument_index(sheet));
        let before = at(self);
        self.step(now, id, Input::FallBack { sheet, reason: why.as_str() });
        self.sched.touched(id);
        at(self) != before
    }

    fn start_attempt(&mut self, now: Now, id: &JobId, sheet: SheetNo) {
        let Some(live) = self.jobs.get_mut(id) else { return };
        live.attempt_seq += 1;
        live.dirty.job = true;
        let attempt = AttemptNo(live.attempt_seq);
        let instrument = live.exec.occupies(sheet).clone();
        log::debug!("scheduler.sheet_dispatched job_id={id} sheet_num={sheet} attempt={attempt}");
        self.sched.started(now, id, sheet, &instrument);
        self.step(now, id, Input::Dispatch { sheet, attempt, token: new_token() });
        // Skipped, or asked about, instead of started.
        if self.jobs.get(id).is_none_or(|live| !live.is_current(sheet, attempt)) {
            return self.sched.ended(now, id, sheet);
        }
        self.watch_over(now, &AttemptKey { job: id.clone(), sheet, attempt }, Duration::ZERO);
    }

    /// The one report of an attempt.
    pub(super) fn reported(&mut self, now: Now, key: &AttemptKey, report: Box<AttemptReport>) {
        self.backstop.forget(key);
        let Some(live) = self.jobs.get_mut(&key.job) else { return };
        // The lock of an attempt that was judged is kept until the verdict is committed.
        match live.running.remove(&key.attempt) {
            Some(Running::Judging(_, taken) | Running::Sweeping(taken)) => self.verdicts.extend(taken),
            Some(Running::Adopted(..)) => self.adopted -= 1,
            Some(Running::Leftover(_) | Running::Here(_)) | None => (),
        }
        let current = live.is_current(key.sheet, key.attempt);
        let input = Input::AttemptEnded { sheet: key.sheet, attempt: key.attempt, report };
        // A rate limit is told to the scheduler by an effect of this step, before the slot is given back.
        self.step(now, &key.job, input);
        if current {
            self.sched.ended(now, &key.job, key.sheet);
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
