//! Notifications: what a score wants to be told about its job, on the way to people and programs.
//!
//! [`Notifier`] decides what is sent when; it is owned by the conductor and touches nothing.
//! [`deliver()`] sends one message and is called on the side lane. Not for events of the protocol
//! (`job.watch`) and not for hooks: a notification never changes a job and never waits for one.
//!
//! Invariants: at most one message of a channel is on its way, and so many of all channels that a
//! thread of the side lane stays free for other errands; what waits is bounded and the end of a job
//! is dropped last; an address, a header or a secret is never logged.

mod body;
mod deliver;
mod note;
mod queue;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::executor::Control;
use crate::score::{Channel, Notification};
use crate::time::{Mono, Now};

pub use deliver::deliver;
pub use note::{Note, Numbers, notice_of};
pub use queue::WAITING;

use queue::{Ended, Queue};

/// How long a stopping conductor waits for what is still to be sent.
pub const FLUSH: Duration = Duration::from_secs(3);

/// One message on its way.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Where to.
    pub channel: Arc<Channel>,
    /// What.
    pub note: Arc<Note>,
    /// Tries before this one.
    pub tries: u32,
    /// Ends it early.
    pub control: Control,
    /// `mozart`: guards the program that delivers, and is the one that sends requests.
    pub program: Arc<PathBuf>,
}

/// How a delivery ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It arrived.
    Delivered,
    /// It did not.
    Failed {
        /// One line, without secrets.
        message: String,
        /// Another try may do better.
        again: bool,
    },
    /// This machine has no way to show it; said once.
    Absent {
        /// One line.
        message: String,
    },
}

/// Everything that is still to be told.
#[derive(Debug)]
pub struct Notifier {
    queue: Queue,
    program: Arc<PathBuf>,
    under_way: Vec<Delivery>,
    /// Deliveries at once.
    most: usize,
    /// Deliveries in a row that failed, whatever their channel.
    failures: u32,
    /// From then on nothing more is sent.
    last_call: Option<Mono>,
}

impl Notifier {
    /// For a conductor whose side lane has so many threads and whose guards are this program.
    #[must_use]
    pub fn new(program: PathBuf, side_threads: usize) -> Self {
        Self {
            queue: Queue::default(),
            program: Arc::new(program),
            under_way: Vec::new(),
            most: side_threads.saturating_sub(1).max(1),
            failures: 0,
            last_call: None,
        }
    }

    /// Tells a note to every channel that wants it.
    pub fn tell(&mut self, channels: &[Notification], note: Note) {
        let note = Arc::new(note);
        for notification in channels.iter().filter(|channel| channel.on_events.contains(&note.notice)) {
            if let Some(lost) = self.queue.push(&notification.channel, &note) {
                log::warn!("notify.dropped job_id={} event_name={}", lost.job_id, lost.notice.as_str());
            }
        }
    }

    /// What can be sent now. Each must be answered with [`Notifier::ended`].
    pub fn due(&mut self, now: Now) -> Vec<Delivery> {
        let mut due = Vec::new();
        if self.last_call.is_some_and(|end| end <= now.mono) {
            return due;
        }
        while self.under_way.len() < self.most
            && let Some((channel, note, tries)) = self.queue.take(now.mono)
        {
            let program = Arc::clone(&self.program);
            let delivery = Delivery { channel, note, tries, control: Control::new(), program };
            self.under_way.push(delivery.clone());
            due.push(delivery);
        }
        due
    }

    /// A delivery ended.
    pub fn ended(&mut self, now: Now, delivery: &Delivery, outcome: &Outcome) {
        self.under_way.retain(|other| !Arc::ptr_eq(&other.channel, &delivery.channel));
        let (job, kind) = (&delivery.note.job_id, delivery.channel.kind());
        let event = delivery.note.notice.as_str();
        match self.queue.ended(now.mono, delivery, outcome) {
            Ended::Delivered => {
                self.failures = 0;
                log::debug!("notify.delivered job_id={job} channel={kind} event_name={event}");
            }
            Ended::Again => (),
            Ended::GivenUp { resting } => {
                self.failures = self.failures.saturating_add(1);
                let message = match outcome {
                    Outcome::Failed { message, .. } | Outcome::Absent { message } => message.as_str(),
                    Outcome::Delivered => "",
                };
                let tries = delivery.tries + 1;
                log::warn!(
                    "notify.failed job_id={job} channel={kind} event_name={event} tries={tries} resting={resting} \
                     error={message:?}"
                );
            }
            Ended::SwitchedOff => {
                if let Outcome::Absent { message } = outcome {
                    log::warn!("notify.channel_absent channel={kind} error={message:?}");
                }
            }
        }
    }

    /// When [`Notifier::due`] will have something that it has not now, without anybody telling.
    #[must_use]
    pub fn next_due(&self) -> Option<Mono> {
        if self.under_way.len() < self.most { self.queue.next_due() } else { None }
    }

    /// So many deliveries in a row have failed.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// The conductor stops: what waits has [`FLUSH`] from the first call on. Returns when that is over.
    pub fn last_call(&mut self, now: Now) -> Mono {
        *self.last_call.get_or_insert_with(|| now.mono.after(FLUSH))
    }

    /// Nothing is on its way, and nothing can be sent any more.
    #[must_use]
    pub fn is_flushed(&self, now: Now) -> bool {
        let Some(end) = self.last_call else { return self.under_way.is_empty() && self.queue.is_empty() };
        let later = || self.queue.next_due().is_none_or(|due| due >= end);
        end <= now.mono || (self.under_way.is_empty() && (self.queue.is_empty() || later()))
    }

    /// Ends what is on its way and forgets the rest. Returns how many were not sent.
    pub fn abandon(&mut self) -> usize {
        for delivery in &self.under_way {
            delivery.control.cancel();
        }
        self.under_way.len() + self.queue.clear()
    }
}

#[cfg(test)]
mod tests;
