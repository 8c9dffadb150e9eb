//! Notifications on their way through the conductor: from the events of jobs to the side lane.

use std::sync::atomic::Ordering;

use crate::exec::{JobEvent, SheetState};
use crate::ids::{JobId, SheetNo};
use crate::notify::{Delivery, Note, Numbers, Outcome, notice_of};
use crate::score::Notice;
use crate::time::Now;

use super::core::{Core, Timer};
use super::live::Live;
use super::side::Errand;

impl Core {
    /// Keeps an event for the channels of its job that want it.
    pub(super) fn notice(&mut self, now: Now, id: &JobId, event: &JobEvent) {
        if !self.config.notifications.enabled {
            return;
        }
        let Some(live) = self.jobs.get(id) else { return };
        let channels = &live.prepared.score.notifications;
        if channels.is_empty() {
            return;
        }
        if let Some(note) = notice_of(event.name).and_then(|notice| note(now, live, notice, event)) {
            self.notifier.tell(channels, note);
        }
    }

    /// Hands out what can be sent, and comes back when more can.
    pub(super) fn send_notices(&mut self, now: Now) {
        if self.stopping.is_some() && self.is_at_rest() && !self.notifier.is_flushed(now) {
            let end = self.notifier.last_call(now);
            self.arm(end, Timer::Notices);
        }
        for delivery in self.notifier.due(now) {
            if let Err((errand, error)) = self.side.submit(Errand::Deliver(Box::new(delivery))) {
                let message = format!("no thread takes it: {error}");
                if let Errand::Deliver(delivery) = errand {
                    self.notifier.ended(now, &delivery, &Outcome::Failed { message, again: true });
                }
            }
        }
        if let Some(due) = self.notifier.next_due() {
            self.timers.retain(|(at, timer)| *timer != Timer::Notices || *at < due);
            self.arm(due, Timer::Notices);
        }
    }

    /// A delivery ended.
    pub(super) fn notified(&mut self, now: Now, delivery: &Delivery, outcome: &Outcome) {
        self.notifier.ended(now, delivery, outcome);
        let degraded = self.notifier.failures() >= self.config.notifications.degraded_after;
        self.view.notifications_degraded.store(degraded, Ordering::Release);
    }
}

/// `None` when the event is not what its name says: an attempt that failed is not a sheet that failed.
fn note(now: Now, live: &Live, notice: Notice, event: &JobEvent) -> Option<Note> {
    let sheet = (event.sheet > 0).then_some(event.sheet);
    let state = sheet.and_then(|number| live.exec.sheet(SheetNo(number)));
    if notice == Notice::SheetFailed && !matches!(state?.state, SheetState::Failed { .. }) {
        return None;
    }
    let data = event.facts.to_json();
    let text = |key: &str| data.get(key).and_then(serde_json::Value::as_str).map(str::to_owned);
    let error = match sheet {
        Some(_) if notice == Notice::SheetFailed || notice == Notice::RateLimitDetected => {
            state.and_then(|sheet| sheet.ledger.error.as_ref()).map(|error| error.message.clone())
        }
        _ => text("error_message").or_else(|| text("reason")),
    };
    let ledger = &live.exec.job().ledger;
    let counts = crate::exec::Counts::of(live.exec.sheets());
    let seconds = data.get("duration_seconds").and_then(serde_json::Value::as_f64).or_else(|| {
        let started = ledger.started.filter(|_| sheet.is_none() && notice != Notice::JobStart)?;
        Some(now.wall.since(started).as_secs_f64())
    });
    Some(Note {
        notice,
        job_id: live.id.to_string(),
        job_name: live.prepared.score.name.clone(),
        workspace: live.prepared.workspace.clone(),
        at: now.wall,
        sheet,
        numbers: Numbers {
            total: u32::try_from(live.exec.sheets().len()).unwrap_or(u32::MAX),
            succeeded: counts.satisfied(),
            failed: counts.failed + counts.blocked,
        },
        error,
        seconds,
        extra: data,
    })
}
