//! The conductor's turn as in the real one: inputs, timers, queue, dispatch, one commit, then effects.
//! Only what blocks is replaced: the database is a map, programs and hooks are entries of an agenda.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use mozart::exec::{AttemptRecord, Effect, Execution, Input, InstrumentRef, JobEvent, JobStatus, Order};
use mozart::ids::{AttemptNo, JobId, SheetNo};
use mozart::sched::{Candidate, Candidates, Limits, Registration, Scheduler, Throttle};
use mozart::time::{Mono, Now};

/// Job permits.
pub(crate) const PERMITS: u32 = 3;
/// Sheets at once.
pub(crate) const SHEETS: u32 = 5;
/// Sheets at once on one instrument.
pub(crate) const PER_INSTRUMENT: u32 = 3;

/// What dies with the process.
pub(crate) struct Conductor {
    /// Number of this process life.
    pub(crate) boot: u32,
    pub(crate) jobs: BTreeMap<JobId, Live>,
    pub(crate) queue: VecDeque<JobId>,
    pub(crate) sched: Scheduler,
    pub(crate) free_permits: u32,
    /// Permits given to jobs that ran when an earlier life ended, beyond the number.
    pub(crate) over_limit: u32,
    pub(crate) dispatch_at: Option<Mono>,
    pub(crate) throttle: Throttle,
    pub(crate) outbox: Outbox,
}

/// One job in memory.
pub(crate) struct Live {
    pub(crate) exec: Execution,
    pub(crate) permit: bool,
    pub(crate) attempt_seq: u32,
    pub(crate) dirty: Dirty,
    /// A copy restored from the records, which must do the same from then on, for so many inputs.
    pub(crate) shadow: Option<(Execution, u32)>,
}

/// What the database does not have.
#[derive(Default)]
pub(crate) struct Dirty {
    pub(crate) job: bool,
    pub(crate) sheets: BTreeSet<SheetNo>,
    pub(crate) attempts: Vec<AttemptRecord>,
}

/// What leaves after the commit.
#[derive(Default)]
pub(crate) struct Outbox {
    pub(crate) orders: Vec<(JobId, Order)>,
    pub(crate) ends: Vec<(JobId, AttemptNo)>,
    pub(crate) released: Vec<JobId>,
    pub(crate) set_ups: Vec<JobId>,
    pub(crate) hooks: Vec<(JobId, usize, bool, u32)>,
    pub(crate) events: Vec<(JobId, JobEvent)>,
}

impl Live {
    pub(crate) fn new(exec: Execution, attempt_seq: u32) -> Self {
        Self { exec, permit: false, attempt_seq, dirty: Dirty::default(), shadow: None }
    }

    /// Everything is to be written.
    pub(crate) fn all_dirty(mut self) -> Self {
        self.dirty.job = true;
        self.dirty.sheets = self.exec.sheets().iter().map(|sheet| sheet.num).collect();
        self
    }

    pub(crate) fn is_clean(&self) -> bool {
        !self.dirty.job && self.dirty.sheets.is_empty() && self.dirty.attempts.is_empty()
    }

    pub(crate) fn is_current(&self, sheet: SheetNo, attempt: AttemptNo) -> bool {
        self.exec.active().any(|active| active == (sheet, attempt))
    }
}

struct Ready<'a> {
    jobs: &'a BTreeMap<JobId, Live>,
    now: Now,
    /// Sheets that keep their instrument although its breaker is open.
    steadfast: &'a BTreeSet<(JobId, SheetNo)>,
}

impl Candidates for Ready<'_> {
    fn offer(&self, job: &JobId, visit: &mut dyn FnMut(Candidate<'_>)) {
        let Some(live) = self.jobs.get(job) else { return };
        for head in live.exec.heads(self.now) {
            let stays = self.steadfast.contains(&(job.clone(), head.sheet));
            let candidate = Candidate::of(&live.exec, head);
            visit(Candidate { fallbacks: if stays { &[] } else { candidate.fallbacks }, ..candidate });
        }
    }
}

impl Conductor {
    pub(crate) fn new(boot: u32) -> Self {
        let limits = Limits { max_sheets: SHEETS, per_instrument: PER_INSTRUMENT, ..Limits::default() };
        Self {
            boot,
            jobs: BTreeMap::new(),
            queue: VecDeque::new(),
            sched: Scheduler::new(limits),
            free_permits: PERMITS,
            over_limit: 0,
            dispatch_at: None,
            throttle: Throttle::Free,
            outbox: Outbox::default(),
        }
    }

    /// Takes a job into the memory.
    pub(crate) fn enlist(&mut self, id: &JobId, live: Live) {
        if live.exec.status() == JobStatus::Queued {
            self.queue.push_back(id.clone());
        }
        self.jobs.insert(id.clone(), live);
    }

    /// A job that ran when an earlier life ended goes on, whether there is room or not.
    pub(crate) const fn take_permit_over_limit(&mut self) {
        if self.free_permits > 0 {
            self.free_permits -= 1;
        } else {
            self.over_limit += 1;
        }
    }

    /// The next moment at which the conductor wakes by itself.
    pub(crate) fn next_timer(&self) -> Option<Mono> {
        let jobs = self.jobs.values().filter_map(|live| live.exec.next_deadline());
        jobs.chain(self.dispatch_at).min()
    }

    /// Feeds an input to a job.
    pub(crate) fn step(&mut self, now: Now, id: &JobId, input: Input) {
        let Some(live) = self.jobs.get_mut(id) else { return };
        let before = live.exec.status();
        let begins = matches!(input, Input::Begin);
        let shadow_input = live.shadow.is_some().then(|| input.clone());
        let effects = live.exec.step(now, input);
        if let (Some((mut shadow, left)), Some(input)) = (live.shadow.take(), shadow_input) {
            let same = shadow.step(now, input.clone());
            for (ours, theirs) in effects.iter().zip(&same) {
                assert_eq!(ours, theirs, "a restored job does something else after {input:?}");
            }
            assert_eq!(effects.len(), same.len(), "a restored job does more or less after {input:?}");
            live.shadow = (left > 1).then_some((shadow, left - 1));
        }
        let released = effects.iter().filter(|effect| **effect == Effect::Released).count();
        assert!(released <= 1, "a step gives a permit back twice");
        if begins && before == JobStatus::Queued {
            assert!(live.permit, "a job begins without a permit");
        }
        for effect in effects {
            match effect {
                Effect::SaveJob => live.dirty.job = true,
                Effect::SaveSheet(sheet) => _ = live.dirty.sheets.insert(sheet),
                Effect::SaveAttempt(record) => live.dirty.attempts.push(*record),
                Effect::Run(order) => self.outbox.orders.push((id.clone(), order)),
                Effect::End { attempt, .. } => self.outbox.ends.push((id.clone(), attempt)),
                Effect::Limited { instrument, model, wait, sheet } => {
                    let on = InstrumentRef { name: instrument, model };
                    self.sched.limited(now, &on, wait, id, sheet);
                }
                Effect::Instrument { instrument, model, sheet, result } => {
                    let on = InstrumentRef { name: instrument, model };
                    self.sched.instrument_said(now, &on, result.is_ok(), id, sheet);
                }
                Effect::SetUp => self.outbox.set_ups.push(id.clone()),
                Effect::Hook { hook, on_failure, epoch } => {
                    self.outbox.hooks.push((id.clone(), hook, on_failure, epoch));
                }
                Effect::EndHook => {}
                Effect::Released => self.outbox.released.push(id.clone()),
                Effect::Event(event) => self.outbox.events.push((id.clone(), event)),
            }
        }
        if live.exec.status() == JobStatus::Queued && !self.queue.contains(id) {
            self.queue.push_back(id.clone());
        }
        self.sched.touched(id);
    }

    /// Jobs whose moment has come.
    pub(crate) fn timers_due(&mut self, now: Now) {
        for _ in 0..100 {
            let due = |live: &Live| live.exec.next_deadline().is_some_and(|at| at <= now.mono);
            let Some(id) = self.jobs.iter().find(|(_, live)| due(live)).map(|(id, _)| id.clone()) else {
                return;
            };
            self.step(now, &id, Input::Tick);
        }
        panic!("a job is due again and again without getting anywhere");
    }

    /// Queued jobs start as permits are free.
    pub(crate) fn begin_queued(&mut self, now: Now) {
        while let Some(id) = self.queue.front().cloned() {
            let Some(live) = self.jobs.get_mut(&id) else {
                self.queue.pop_front();
                continue;
            };
            if live.exec.status() != JobStatus::Queued {
                self.queue.pop_front();
                continue;
            }
            if !live.permit {
                if self.free_permits == 0 {
                    return;
                }
                self.free_permits -= 1;
                live.permit = true;
            }
            self.queue.pop_front();
            let with = Registration::of(live.exec.spec(), 5, now.wall);
            self.sched.register(id.clone(), with);
            self.step(now, &id, Input::Begin);
        }
    }

    /// Hands free slots to ready sheets.
    pub(crate) fn dispatch(&mut self, now: Now, token: &mut dyn FnMut() -> mozart::ids::Token) {
        self.dispatch_at = None;
        let mut steadfast = BTreeSet::new();
        for _ in 0..1000 {
            let ready = Ready { jobs: &self.jobs, now, steadfast: &steadfast };
            match self.sched.pick(now, self.throttle, &ready) {
                mozart::sched::Pick::Run(id, sheet) => {
                    let live = self.jobs.get_mut(&id).expect("the scheduler picks registered jobs");
                    live.attempt_seq += 1;
                    live.dirty.job = true;
                    let attempt = AttemptNo(live.attempt_seq);
                    let instrument = live.exec.occupies(sheet).clone();
                    self.sched.started(now, &id, sheet, &instrument);
                    self.step(now, &id, Input::Dispatch { sheet, attempt, token: token() });
                    if !self.jobs[&id].is_current(sheet, attempt) {
                        // Skipped instead of started.
                        self.sched.ended(now, &id, sheet);
                    }
                }
                mozart::sched::Pick::FallBack(id, sheet, why) => {
                    let before = self.jobs[&id].exec.instrument(sheet).clone();
                    self.step(now, &id, Input::FallBack { sheet, reason: why.as_str() });
                    if *self.jobs[&id].exec.instrument(sheet) == before {
                        steadfast.insert((id, sheet));
                    }
                }
                mozart::sched::Pick::Wait(due) => {
                    self.dispatch_at = due;
                    return;
                }
                mozart::sched::Pick::Nothing => return,
            }
        }
        panic!("dispatch never comes to an end");
    }

    /// Permits of jobs that need none any more.
    pub(crate) fn give_back(&mut self, now: Now) {
        for id in std::mem::take(&mut self.outbox.released) {
            let Some(live) = self.jobs.get_mut(&id) else { continue };
            if live.exec.status() != JobStatus::Running {
                if std::mem::take(&mut live.permit) {
                    if self.over_limit > 0 {
                        self.over_limit -= 1;
                    } else {
                        self.free_permits += 1;
                    }
                }
                self.sched.deregister(now, &id);
            }
        }
    }
}

/// A copy of a job as its records tell it.
pub(crate) fn restored(live: &Live, now: Now) -> Execution {
    let exec = &live.exec;
    let job =
        mozart::checkpoint::JobRecord::decode(&exec.job_record().encode()).expect("a record is readable");
    let sheets = exec.sheets().iter().map(|sheet| {
        let text = exec.sheet_record(sheet.num).encode();
        mozart::checkpoint::SheetRecord::decode(&text).expect("a record is readable")
    });
    Execution::restore(Arc::clone(exec.spec()), job, sheets.collect(), now)
}
