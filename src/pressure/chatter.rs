//! Jobs that are paused for pressure and let go again and again.
//!
//! A job that is itself what presses would otherwise be started and stopped for ever.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::Mono;

/// Pauses older than this say nothing any more.
const MEMORY: Duration = Duration::from_secs(600);
/// Pauses within this time make the next relief wait.
const RECENT: Duration = Duration::from_secs(300);
/// So many recent pauses are nothing unusual.
const USUAL: usize = 3;
/// After more pauses than this within [`MEMORY`] only a person lets jobs go.
const MOST: usize = 10;
/// The first wait; each further pause doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(30);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// When jobs were paused for pressure.
#[derive(Debug, Default)]
pub struct Chatter {
    pauses: VecDeque<Mono>,
}

/// When paused jobs may go on, once the pressure is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relief {
    /// Now.
    AtOnce,
    /// After a wait without pressure.
    After(Duration),
    /// When a person resumes them.
    ByHand,
}

impl Chatter {
    /// A job was paused.
    pub fn record(&mut self, now: Mono) {
        self.pauses.push_back(now);
        while self.pauses.front().is_some_and(|first| now.since(*first) > MEMORY)
            || self.pauses.len() > MOST + 1
        {
            self.pauses.pop_front();
        }
    }

    /// What the pauses until now mean for the next relief.
    #[must_use]
    pub fn relief(&self, now: Mono) -> Relief {
        let within = |time: Duration| self.pauses.iter().filter(|pause| now.since(**pause) <= time).count();
        if within(MEMORY) > MOST {
            return Relief::ByHand;
        }
        let Some(doublings) = within(RECENT).checked_sub(USUAL + 1) else { return Relief::AtOnce };
        Relief::After((FIRST_WAIT * (1 << doublings.min(8))).min(LONGEST_WAIT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono(0).after(Duration::from_secs(seconds))
    }

    #[test]
    fn repeated_pauses_wait_longer_and_longer() {
        let mut chatter = Chatter::default();
        let seconds = |relief| match relief {
            Relief::AtOnce => Some(0),
            Relief::After(wait) => Some(wait.as_secs()),
            Relief::ByHand => None,
        };
        let waits: Vec<_> = (0..12)
            .map(|nth| {
                chatter.record(at(nth));
                seconds(chatter.relief(at(nth)))
            })
            .collect();
        let expected = [0, 0, 0, 30, 60, 120, 240, 300, 300, 300];
        assert_eq!(waits[..10], expected.map(Some));
        assert_eq!(waits[10..], [None, None]);
        assert_eq!(chatter.relief(at(700)), Relief::AtOnce, "all of it is forgotten");
    }
}
