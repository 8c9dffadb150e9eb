//! The conductor thread: sole owner of job state.
//!
//! A turn takes events, applies them, begins queued jobs, dispatches ready sheets and then flushes:
//! one commit, then the published view, then replies, attempts and events. So nobody is told about,
//! and nothing runs, what a crash would forget. The thread never blocks on a send and does no file
//! or network I/O but its commit.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, select};

use crate::config::Config;
use serde_json::Value;

use crate::exec::{Effect, Input, InstrumentRef, JobEvent, JobStatus, Order};
use crate::executor::Taken;
use crate::ids::{AttemptKey, AttemptNo, JobId};
use crate::monitor::Gauge;
use crate::net::{self, Vital};
use crate::pressure::{FailureWindow, Pressure};
use crate::sched::Scheduler;
use crate::store::{Store, Write};
use crate::time::{Mono, Now};
use crate::worker::{Lane, Semaphore};

use super::clock::Clock;
use super::exchange::Exchange;
use super::live::{Live, Running};
use super::messages::{Answer, Event};
use super::registry::Registry;
use super::side::Errand;
use super::view::View;
use super::watch::Audience;
use crate::worker::attempt::Task;

/// A turn that takes longer is logged.
const SLOW_TURN: Duration = Duration::from_millis(50);
/// Most events that share a commit.
const EVENTS_PER_TURN: usize = 256;
/// How often the locks of adopted attempts are tried.
const ADOPTED_INTERVAL: Duration = Duration::from_millis(200);

pub(crate) struct Core {
    pub(super) clock: Clock,
    pub(super) config: Arc<Config>,
    pub(super) state_dir: PathBuf,
    pub(super) store: Store,
    pub(super) registry: Registry,
    /// Rows that belong to no live job.
    pub(super) further_writes: Vec<Write>,
    /// Locks of attempts whose verdict is not committed yet.
    pub(super) verdicts: Vec<Taken>,
    /// How the conductor calls itself in messages.
    pub(super) title: &'static str,
    pub(super) view: Arc<View>,
    pub(super) gauge: Gauge,
    pub(super) vital: Arc<Vital>,
    pub(super) jobs: HashMap<JobId, Live>,
    /// Jobs with another score waiting.
    pub(super) modifying: BTreeSet<JobId>,
    /// Whose output is followed.
    pub(super) listening: super::output::Listening,
    /// Jobs that wait for a permit, first come first served.
    pub(super) queue: VecDeque<JobId>,
    pub(super) permits: Semaphore,
    pub(super) workspaces: super::workspaces::Workspaces,
    pub(super) backstop: super::backstop::Backstop,
    pub(super) sched: Scheduler,
    /// Which version of the scheduler the view shows.
    pub(super) shown: Option<(u64, crate::sched::Throttle)>,
    pub(super) failures: FailureWindow,
    pub(super) audience: Audience,
    pub(super) notifier: crate::notify::Notifier,
    pub(super) timers: BTreeSet<(Mono, Timer)>,
    /// When the scheduler wants to be asked again.
    pub(super) dispatch_at: Option<Mono>,
    pub(super) shed: super::shed::Shedding,
    pub(super) around: super::around::Around,
    pub(super) stopping: Option<Stopping>,
    /// The end of this turn made room for something that no event will announce.
    pub(super) again: bool,
    pub(super) adopted: usize,
    pub(super) sweeping: usize,
    pub(super) outbox: Outbox,
    /// Jobs that changed in this turn.
    pub(super) touched: BTreeSet<JobId>,
    /// Jobs that may have something to be written or may be over.
    pub(super) unsettled: BTreeSet<JobId>,
    pub(super) sheets: Lane<Task>,
    pub(super) side: Lane<Errand>,
    pub(super) net: Option<net::Handle>,
    pub(super) requests: Sender<super::requests::Job>,
}

/// What the conductor waits for besides events.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// [`crate::exec::Execution::next_deadline`] of a job.
    Job(JobId),
    /// A `job.cancel` has waited long enough.
    CancelWait(JobId),
    /// An attempt that was asked to end has had its grace.
    Grace(JobId, AttemptNo),
    /// Try the locks of adopted attempts.
    Adopted,
    /// Programs and chained jobs of hooks.
    Around(super::around::Alarm),
    /// Look after attempts that should be over.
    Backstop,
    /// Try again to end what an attempt left behind.
    Leftovers(JobId, AttemptNo),
    /// Write again what could not be written.
    Registry,
    /// Jobs that were paused for pressure too often have waited long enough.
    Relief,
    /// Running attempts have had their time in a graceful stop.
    StopDeadline,
    /// Read what attempts that somebody listens to have printed.
    Output,
    /// Something that is shown (failure rate, rate limits) is over by now.
    Figures,
    /// A notification can be sent. Nothing is done then: every turn looks.
    Notices,
}

/// A stop that was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stopping {
    /// Running attempts have been told to end.
    pub(super) ending: bool,
    /// When the thread returns whatever still runs.
    pub(super) give_up: Option<Mono>,
}

/// What leaves after the commit.
#[derive(Default)]
pub(super) struct Outbox {
    pub(super) answers: Vec<(Exchange, Answer)>,
    /// Submissions that are acknowledged only when they are on the disk.
    pub(super) accepted: Vec<Accepted>,
    /// Commands that act even when they cannot be written; their answer then says so.
    pub(super) changed: Vec<(Exchange, Value)>,
    pub(super) orders: Vec<(JobId, Order)>,
    pub(super) ends: Vec<(JobId, AttemptNo)>,
    pub(super) events: Vec<(JobId, JobEvent)>,
    pub(super) released: Vec<JobId>,
}

/// A submission that waits for the commit.
pub(super) struct Accepted {
    pub(super) id: JobId,
    pub(super) exchange: Exchange,
    pub(super) answer: Value,
    /// The paused job that it replaces, which comes back when the commit fails.
    pub(super) replaced: Option<Live>,
}

/// Where events come from.
pub(crate) struct Inlets {
    pub(crate) events: Receiver<Event>,
    pub(crate) pressure: Receiver<Pressure>,
    pub(crate) net: Receiver<net::Event>,
}

impl Core {
    /// Runs until a stop is complete.
    pub(crate) fn run(mut self, inlets: &Inlets) {
        while !self.is_stopped() {
            let again = std::mem::take(&mut self.again);
            let woken = if again { None } else { self.wait(inlets) };
            let started = Instant::now();
            let now = self.clock.now();
            let kind = woken.as_ref().map_or("timer", Woken::name);
            if let Some(woken) = woken {
                self.take_guarded(now, woken);
            }
            for _ in 1..EVENTS_PER_TURN {
                let Ok(event) = inlets.events.try_recv() else { break };
                self.take_guarded(now, Woken::Event(event));
            }
            self.timers_due(now);
            self.swap_scores(now);
            self.begin_queued(now);
            self.dispatch(now);
            self.flush(now);
            let took = started.elapsed();
            if took > SLOW_TURN {
                log::warn!("conductor.slow_turn event={kind} milliseconds={}", took.as_millis());
            }
        }
        self.finish();
    }

    fn wait(&self, inlets: &Inlets) -> Option<Woken> {
        let timer = match self.next_timer() {
            Some(due) => crossbeam_channel::at(self.clock.instant(due)),
            None => crossbeam_channel::never(),
        };
        select! {
            recv(inlets.events) -> event => event.ok().map(Woken::Event),
            recv(inlets.pressure) -> level => level.ok().map(Woken::Pressure),
            recv(inlets.net) -> event => event.ok().map(Woken::Net),
            recv(timer) -> _ => None,
        }
    }

    fn next_timer(&self) -> Option<Mono> {
        let first = self.timers.first().map(|(due, _)| *due);
        match (first, self.dispatch_at) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// A bug in the handling of one event costs the job that it is about, not the conductor.
    fn take_guarded(&mut self, now: Now, woken: Woken) {
        let (kind, job) = (woken.name(), woken.job().cloned());
        if catch_unwind(AssertUnwindSafe(|| self.take(now, woken))).is_ok() {
            return;
        }
        log::error!(
            "conductor.event_failed event={kind} job_id={:?}",
            job.as_ref().map_or("", JobId::as_str)
        );
        let Some(job) = job else { return };
        let message = "internal error while handling this job; see the conductor's log [E401]".to_owned();
        if catch_unwind(AssertUnwindSafe(|| self.step(now, &job, Input::FailJob { message }))).is_err() {
            // Its state machine is beyond help: it leaves the memory, its rows stay as they are.
            log::error!("conductor.job_dropped job_id={job}");
            self.forget(&job);
        }
    }

    fn take(&mut self, now: Now, woken: Woken) {
        match woken {
            Woken::Event(Event::Command(command, exchange)) => self.command(now, command, exchange),
            Woken::Event(Event::Spawned(key, pid)) => {
                self.step(now, &key.job, Input::Spawned { sheet: key.sheet, attempt: key.attempt, pid });
            }
            Woken::Event(Event::Reported(key, report)) => self.reported(now, &key, report),
            Woken::Event(Event::AdoptedOver(key, over)) => {
                let (found, taken) = *over;
                self.adopted_over(now, &key, found, Some(taken));
            }
            Woken::Event(Event::AdoptedGone(key, leftovers)) => self.adopted_gone(now, &key, leftovers),
            Woken::Event(Event::Swept(key, alive)) => self.swept(now, &key, &alive),
            Woken::Event(Event::Notified(delivery, outcome)) => self.notified(now, &delivery, &outcome),
            Woken::Event(Event::Around(news)) => self.around_news(now, news),
            Woken::Event(Event::Printed(heard)) => self.printed(now, heard),
            Woken::Event(Event::Stop { graceful }) => self.stop(now, graceful),
            Woken::Pressure(reading) => self.pressure_changed(now, &reading),
            Woken::Net(net::Event::StreamClosed(conn)) => Audience::left(conn, &mut self.jobs),
        }
    }

    fn timers_due(&mut self, now: Now) {
        while let Some((due, timer)) = self.timers.first().cloned()
            && due <= now.mono
        {
            self.timers.pop_first();
            match timer {
                Timer::Job(id) => {
                    if let Some(live) = self.jobs.get_mut(&id) {
                        live.timer = None;
                    }
                    self.step(now, &id, Input::Tick);
                }
                Timer::CancelWait(id) => self.cancel_waited(now, &id),
                Timer::Grace(id, attempt) => self.end_attempt(&id, attempt),
                Timer::Adopted => self.try_adopted(now),
                Timer::Around(alarm) => self.around_alarm(now, &alarm),
                Timer::Backstop => self.look_after(now),
                Timer::Leftovers(job, attempt) => self.leftovers_due(now, &job, attempt),
                Timer::Registry => self.registry.retry_now(),
                Timer::Relief => self.relieve(now),
                Timer::StopDeadline => self.stop_deadline(now),
                Timer::Output => self.read_output(now),
                Timer::Figures => self.publish_figures(now),
                Timer::Notices => (),
            }
        }
    }

    pub(super) fn arm(&mut self, due: Mono, timer: Timer) {
        self.timers.insert((due, timer));
    }

    pub(super) fn arm_adopted(&mut self, now: Now) {
        if self.adopted > 0 && !self.timers.iter().any(|(_, timer)| *timer == Timer::Adopted) {
            self.arm(now.mono.after(ADOPTED_INTERVAL), Timer::Adopted);
        }
    }

    /// Feeds an input to a job and keeps what follows for the flush.
    pub(super) fn step(&mut self, now: Now, id: &JobId, input: Input) {
        let Some(live) = self.jobs.get_mut(id) else {
            log::debug!("conductor.unknown_job job_id={id}");
            return;
        };
        let effects = live.exec.step(now, input);
        self.apply(now, id, effects);
    }

    fn apply(&mut self, now: Now, id: &JobId, effects: Vec<Effect>) {
        let Some(live) = self.jobs.get_mut(id) else { return };
        let mut said = Vec::new();
        for effect in effects {
            match effect {
                Effect::SaveJob => live.dirty.job = true,
                Effect::SaveSheet(sheet) => {
                    live.dirty.sheets.insert(sheet);
                }
                Effect::SaveAttempt(record) => {
                    live.dirty.promised |= record.closed.is_some();
                    live.dirty.attempts.push(*record);
                }
                Effect::Run(order) => self.outbox.orders.push((id.clone(), order)),
                Effect::End { attempt, .. } => self.outbox.ends.push((id.clone(), attempt)),
                Effect::Limited { instrument, model, wait, sheet } => {
                    let on = InstrumentRef { name: instrument, model };
                    self.sched.limited(now, &on, wait, id, sheet);
                    self.timers.insert((now.mono.after(wait), Timer::Figures));
                }
                asked @ (Effect::SetUp | Effect::Hook { .. } | Effect::EndHook) => {
                    self.around.ask(id, &asked)
                }
                Effect::Instrument { instrument, model, sheet, result } => {
                    said.push((InstrumentRef { name: instrument, model }, result.is_ok(), sheet));
                }
                Effect::Released => self.outbox.released.push(id.clone()),
                Effect::Event(event) => self.outbox.events.push((id.clone(), event)),
            }
        }
        self.touched.insert(id.clone());
        let due = live.exec.next_deadline();
        if due != live.timer {
            if let Some(old) = live.timer.take() {
                self.timers.remove(&(old, Timer::Job(id.clone())));
            }
            live.timer = due;
            if let Some(due) = due {
                self.timers.insert((due, Timer::Job(id.clone())));
            }
        }
        if live.exec.status() == JobStatus::Queued && !self.queue.contains(id) {
            self.queue.push_back(id.clone());
        }
        for (on, works, sheet) in said {
            self.instrument_said(now, &on, works, id, sheet);
        }
    }

    /// TERM to the guard of an attempt, wherever it is.
    pub(super) fn end_attempt(&mut self, id: &JobId, attempt: AttemptNo) {
        let Some(live) = self.jobs.get(id) else { return };
        match live.running.get(&attempt) {
            Some(Running::Here(control) | Running::Judging(control, _)) => control.cancel(),
            Some(Running::Adopted(adopted, _)) => {
                self.errand(Errand::End(Arc::clone(adopted)));
            }
            Some(Running::Leftover(_)) => {
                // Decides whether the job waits for them.
                self.arm(self.clock.now().mono, Timer::Leftovers(id.clone(), attempt));
            }
            Some(Running::Sweeping(_)) | None => (),
        }
    }

    /// Attempts that were not handed out, because their orders could not be written, and are to end
    /// will never start. Before the commit, so that everything that follows is part of this turn.
    pub(super) fn end_unstarted(&mut self, now: Now) {
        for (id, attempt) in self.outbox.ends.clone() {
            let waiting = |(job, order): &(JobId, Order)| *job == id && order.attempt == attempt;
            let Some(at) = self.outbox.orders.iter().position(waiting) else { continue };
            let (job, order) = self.outbox.orders.swap_remove(at);
            let key = AttemptKey { job, sheet: order.sheet, attempt };
            self.reported(now, &key, Box::new(crate::worker::attempt::ended()));
        }
    }

    pub(super) fn errand(&self, errand: Errand) {
        if let Err((_, error)) = self.side.submit(errand) {
            // Every errand is asked for again: by the adopted timer, by a second cancel, by the next start.
            log::warn!("worker.errand_refused error={:?}", error.to_string());
        }
    }
}

enum Woken {
    Event(Event),
    Pressure(Pressure),
    Net(net::Event),
}

impl Woken {
    /// The job that an event of an attempt is about.
    fn job(&self) -> Option<&JobId> {
        match self {
            Self::Event(
                Event::Spawned(key, _)
                | Event::Reported(key, _)
                | Event::AdoptedOver(key, _)
                | Event::AdoptedGone(key, _)
                | Event::Swept(key, _),
            ) => Some(&key.job),
            Self::Event(Event::Around(news)) => Some(news.job()),
            Self::Event(
                Event::Command(..) | Event::Notified(..) | Event::Printed(_) | Event::Stop { .. },
            )
            | Self::Pressure(_)
            | Self::Net(_) => None,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Event(Event::Command(..)) => "command",
            Self::Event(Event::Spawned(..)) => "spawned",
            Self::Event(Event::Reported(..)) => "reported",
            Self::Event(Event::AdoptedOver(..)) => "adopted_over",
            Self::Event(Event::AdoptedGone(..)) => "adopted_gone",
            Self::Event(Event::Swept(..)) => "swept",
            Self::Event(Event::Notified(..)) => "notified",
            Self::Event(Event::Around(_)) => "around",
            Self::Event(Event::Printed(_)) => "printed",
            Self::Event(Event::Stop { .. }) => "stop",
            Self::Pressure(_) => "pressure",
            Self::Net(_) => "net",
        }
    }
}
