//! What waits to be told, and which channel may be tried when. Pure.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::{Delivery, Note, Outcome};
use crate::score::Channel;
use crate::time::Mono;

/// Messages that wait; beyond that the oldest of a sheet goes first, then the oldest of a job.
pub const WAITING: usize = 256;
/// Ends of jobs are kept beyond [`WAITING`], but not without end: nobody reads thousands at once.
const ENDS: usize = 16 * WAITING;
/// Deliveries in a row that fail before a channel rests.
const STRIKES: u32 = 3;
/// Channels whose failures are remembered while nothing waits for them.
const KNOWN: usize = 256;
/// How long it rests.
const REST: Duration = Duration::from_secs(60);

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Delivered,
    /// It waits for another try.
    Again,
    /// It is lost; the channel rests, or goes on with the next.
    GivenUp {
        resting: bool,
    },
    /// Nothing of this channel is sent any more. Only the first time.
    SwitchedOff,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Item>,
    /// Channels that are busy, have failed, or have something waiting.
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Item {
    channel: Arc<Channel>,
    note: Arc<Note>,
    tries: u32,
}

#[derive(Debug)]
struct Line {
    channel: Arc<Channel>,
    busy: bool,
    off: bool,
    failures: u32,
    not_before: Mono,
}

impl Queue {
    /// Adds a message. Returns the one that had to go for it.
    pub(super) fn push(&mut self, channel: &Channel, note: &Arc<Note>) -> Option<Arc<Note>> {
        let known = self.lines.iter().find(|line| *line.channel == *channel);
        let channel = match known {
            Some(line) if line.off => return None,
            Some(line) => Arc::clone(&line.channel),
            None => {
                let channel = Arc::new(channel.clone());
                self.lines.push(Line {
                    channel: Arc::clone(&channel),
                    busy: false,
                    off: false,
                    failures: 0,
                    not_before: Mono(0),
                });
                channel
            }
        };
        let lost = if self.waiting.len() >= WAITING { self.make_room(note) } else { Ok(None) };
        match lost {
            Ok(lost) => {
                self.waiting.push_back(Item { channel, note: Arc::clone(note), tries: 0 });
                lost
            }
            Err(refused) => Some(refused),
        }
    }

    /// The message that goes; `Err` when it is the new one itself.
    fn make_room(&mut self, new: &Arc<Note>) -> Result<Option<Arc<Note>>, Arc<Note>> {
        let small = self.waiting.iter().position(|item| item.note.is_small());
        let goes = small.or_else(|| self.waiting.iter().position(|item| !item.note.is_end()));
        match goes {
            // A small one never takes the place of something larger.
            Some(_) if small.is_none() && new.is_small() => Err(Arc::clone(new)),
            Some(at) => Ok(self.waiting.remove(at).map(|item| item.note)),
            None if !new.is_end() => Err(Arc::clone(new)),
            None if self.waiting.len() >= ENDS => Ok(self.waiting.pop_front().map(|item| item.note)),
            None => Ok(None),
        }
    }

    /// The oldest message whose channel is free.
    pub(super) fn take(&mut self, now: Mono) -> Option<(Arc<Channel>, Arc<Note>, u32)> {
        let at = self.waiting.iter().position(|item| {
            let line = self.lines.iter().find(|line| Arc::ptr_eq(&line.channel, &item.channel));
            line.is_some_and(|line| !line.busy && line.not_before <= now)
        })?;
        let item = self.waiting.remove(at)?;
        if let Some(line) = self.line(&item.channel) {
            line.busy = true;
        }
        Some((item.channel, item.note, item.tries))
    }

    pub(super) fn ended(&mut self, now: Mono, delivery: &Delivery, outcome: &Outcome) -> Ended {
        let channel = &delivery.channel;
        let Some(line) = self.line(channel) else { return Ended::GivenUp { resting: false } };
        line.busy = false;
        let ended = match outcome {
            Outcome::Delivered => {
                line.failures = 0;
                Ended::Delivered
            }
            Outcome::Absent { .. } => {
                let first = !line.off;
                line.off = true;
                self.waiting.retain(|item| !Arc::ptr_eq(&item.channel, channel));
                return if first { Ended::SwitchedOff } else { Ended::Again };
            }
            Outcome::Failed { again, .. } => match policy(channel) {
                (retries, delay) if *again && delivery.tries < retries => {
                    line.not_before = now.after(delay);
                    let (channel, note) = (Arc::clone(channel), Arc::clone(&delivery.note));
                    self.waiting.push_front(Item { channel, note, tries: delivery.tries + 1 });
                    Ended::Again
                }
                _ => {
                    line.failures = line.failures.saturating_add(1);
                    let resting = line.failures >= STRIKES;
                    if resting {
                        line.not_before = now.after(REST);
                    }
                    Ended::GivenUp { resting }
                }
            },
        };
        self.tidy(now);
        ended
    }

    /// Channels that nothing is known of and nothing waits for are forgotten: jobs come and go.
    fn tidy(&mut self, now: Mono) {
        let waiting = &self.waiting;
        let mut many = self.lines.len();
        self.lines.retain(|line| {
            let used = waiting.iter().any(|item| Arc::ptr_eq(&item.channel, &line.channel));
            let known = line.failures > 0 && many <= KNOWN;
            let stays = line.busy || line.off || used || line.not_before > now || known;
            many -= usize::from(!stays);
            stays
        });
    }

    /// The first moment at which a channel that is not busy may be tried again.
    pub(super) fn next_due(&self) -> Option<Mono> {
        let free = self.lines.iter().filter(|line| !line.busy && !line.off);
        let needed =
            free.filter(|line| self.waiting.iter().any(|item| Arc::ptr_eq(&item.channel, &line.channel)));
        needed.map(|line| line.not_before).min()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Forgets what waits. Returns how many.
    pub(super) fn clear(&mut self) -> usize {
        self.waiting.drain(..).count()
    }

    fn line(&mut self, channel: &Arc<Channel>) -> Option<&mut Line> {
        self.lines.iter_mut().find(|line| Arc::ptr_eq(&line.channel, channel))
    }
}

/// Further tries of a channel, and the time between them.
fn policy(channel: &Channel) -> (u32, Duration) {
    match channel {
        Channel::Webhook { max_retries, retry_delay, .. } => {
            (*max_retries, Duration::from_secs_f64(*retry_delay))
        }
        Channel::Desktop { .. } | Channel::Slack { .. } | Channel::Command { .. } => (0, Duration::ZERO),
    }
}
