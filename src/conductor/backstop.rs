//! The last resort for attempts of which nothing is heard any more.
//!
//! The guard of an attempt keeps its time limits and its worker reports once, even if it panics. Should
//! both fail, the sheet would hang for ever; so each attempt has a moment after which somebody looks:
//! sheet timeout and grace, and a minute. One that a worker here still holds is looked at again a minute
//! later; one that nobody holds is ended by its token and counts as lost; an adopted one whose guard does
//! not keep its limits is told to end, then its guard is killed.
//!
//! Invariant: an attempt is given up only when it was found without a worker at two looks in a row, so
//! a report that is under way is never overtaken.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::executor::Leftovers;
use crate::ids::AttemptKey;
use crate::time::{Mono, Now};

use super::core::{Core, Timer};
use super::live::Running;
use super::side::Errand;

/// After the limits of a sheet until somebody looks, and between two looks.
pub(super) const LOOK: Duration = Duration::from_secs(60);

/// When which attempt is looked at.
#[derive(Debug, Default)]
pub(super) struct Backstop {
    watched: HashMap<AttemptKey, Watched>,
    /// The one timer.
    armed: Option<Mono>,
}

#[derive(Debug, Clone, Copy)]
struct Watched {
    due: Mono,
    /// Looks in a row at which it should have been over.
    overdue: u8,
}

/// What a look at an attempt says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// It is over, or not ours.
    Gone,
    /// Somebody has it.
    Held,
    /// Nobody has it.
    Alone,
    /// A guard of an earlier conductor has it.
    Adopted,
}

/// What follows from a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    /// No further look is needed.
    Forget,
    /// Look again; it was overdue at so many looks in a row.
    Again(u8),
    /// It is lost.
    GiveUp,
    /// Tell its guard to end it.
    End,
    /// End its guard.
    Kill,
}

impl Act {
    const fn of(look: Look, overdue: u8) -> Self {
        match (look, overdue) {
            (Look::Gone, _) => Self::Forget,
            (Look::Held, _) => Self::Again(0),
            // A report may be under way; the program of an adopted one began later than it was dispatched.
            (Look::Alone | Look::Adopted, 0) => Self::Again(1),
            (Look::Alone, _) => Self::GiveUp,
            (Look::Adopted, 1) => Self::End,
            (Look::Adopted, _) => Self::Kill,
        }
    }
}

impl Backstop {
    /// The attempt has reported.
    pub(super) fn forget(&mut self, key: &AttemptKey) {
        self.watched.remove(key);
    }
}

impl Core {
    /// An attempt began, or was found as one that began some time before.
    pub(super) fn watch_over(&mut self, now: Now, key: &AttemptKey, before: Duration) {
        let Some(live) = self.jobs.get(&key.job) else { return };
        let limit =
            live.exec.spec().sheets.get(key.sheet.index()).map_or(Duration::ZERO, |sheet| sheet.timeout);
        let due = now.mono.after((limit + LOOK).saturating_sub(before).max(LOOK));
        self.backstop.watched.insert(key.clone(), Watched { due, overdue: 0 });
        self.arm_backstop(due);
    }

    fn arm_backstop(&mut self, due: Mono) {
        if self.backstop.armed.is_some_and(|armed| armed <= due) {
            return;
        }
        if let Some(armed) = self.backstop.armed.replace(due) {
            self.timers.remove(&(armed, Timer::Backstop));
        }
        self.arm(due, Timer::Backstop);
    }

    /// Looks at every attempt whose time is over.
    pub(super) fn look_after(&mut self, now: Now) {
        self.backstop.armed = None;
        let due = self.backstop.watched.iter().filter(|(_, watched)| watched.due <= now.mono);
        let due: Vec<(AttemptKey, u8)> = due.map(|(key, watched)| (key.clone(), watched.overdue)).collect();
        for (key, overdue) in due {
            let again = self.look_at(now, &key, overdue);
            match again {
                Some(overdue) => {
                    let due = now.mono.after(LOOK);
                    self.backstop.watched.insert(key, Watched { due, overdue });
                }
                None => self.backstop.forget(&key),
            }
        }
        if let Some(next) = self.backstop.watched.values().map(|watched| watched.due).min() {
            self.arm_backstop(next);
        }
    }

    /// Acts on one attempt; says at how many looks it was overdue, or nothing when no look is needed.
    fn look_at(&mut self, now: Now, key: &AttemptKey, overdue: u8) -> Option<u8> {
        match Act::of(self.look(key), overdue) {
            Act::Forget => None,
            Act::Again(overdue) => Some(overdue),
            Act::GiveUp => {
                log::error!("attempt.lost attempt={key}");
                let token = self.jobs.get(&key.job)?.token_of(key.sheet)?;
                self.sweep(key, Leftovers::marked(&token), None, true);
                self.touched.insert(key.job.clone());
                Some(0)
            }
            act @ (Act::End | Act::Kill) => {
                let adopted = match self.jobs.get(&key.job)?.running.get(&key.attempt)? {
                    Running::Adopted(adopted, _) => Arc::clone(adopted),
                    Running::Here(_) | Running::Judging(..) | Running::Leftover(_) | Running::Sweeping(_) => {
                        return Some(0);
                    }
                };
                log::error!("attempt.overdue attempt={key} action={act:?}");
                self.errand(if act == Act::End { Errand::End(adopted) } else { Errand::Kill(adopted) });
                // What follows is found by the next look at its lock.
                self.arm_adopted(now);
                Some(overdue.saturating_add(1))
            }
        }
    }

    fn look(&self, key: &AttemptKey) -> Look {
        let Some(live) = self.jobs.get(&key.job).filter(|live| live.is_current(key.sheet, key.attempt))
        else {
            return Look::Gone;
        };
        match live.running.get(&key.attempt) {
            Some(Running::Here(control) | Running::Judging(control, _)) if control.is_shared() => Look::Held,
            Some(Running::Here(_) | Running::Judging(..)) => Look::Alone,
            Some(Running::Adopted(..)) => Look::Adopted,
            // Its leftovers are being ended, which has a timer of its own.
            Some(Running::Leftover(_) | Running::Sweeping(_)) => Look::Held,
            // Not handed out yet, because the database cannot be written.
            None if self
                .outbox
                .orders
                .iter()
                .any(|(job, order)| *job == key.job && order.attempt == key.attempt) =>
            {
                Look::Held
            }
            None => Look::Alone,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What follows when every look says the same.
    fn acts(look: Look) -> Vec<Act> {
        let mut overdue = 0;
        let mut acts = Vec::new();
        for _ in 0..4 {
            let act = Act::of(look, overdue);
            overdue = match act {
                Act::Again(overdue) => overdue,
                Act::Forget | Act::GiveUp | Act::End | Act::Kill => overdue + 1,
            };
            acts.push(act);
        }
        acts
    }

    #[test]
    fn a_live_worker_is_left_alone_for_ever() {
        assert_eq!(acts(Look::Held), [Act::Again(0); 4]);
        assert_eq!(Act::of(Look::Held, 3), Act::Again(0), "it had been overlooked before");
        assert_eq!(Act::of(Look::Gone, 0), Act::Forget);
    }

    #[test]
    fn what_nobody_holds_is_given_up_at_the_second_look() {
        assert_eq!(acts(Look::Alone)[..2], [Act::Again(1), Act::GiveUp]);
    }

    #[test]
    fn a_guard_that_keeps_no_limits_is_told_then_killed() {
        assert_eq!(acts(Look::Adopted), [Act::Again(1), Act::End, Act::Kill, Act::Kill]);
    }
}
