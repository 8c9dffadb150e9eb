//! The end of a turn: one commit, then what only may happen after it. And the laws that hold there.

use std::time::Duration;

use mozart::checkpoint::JobRecord;
use mozart::exec::{AttemptReport, Evidence, JobStatus, Outcome, SheetState};
use mozart::ids::{AttemptNo, JobId};

use crate::agents;
use crate::conductor::{Live, PER_INSTRUMENT, PERMITS};
use crate::ground::{Fate, Program, Stored};
use crate::score::SHEET_TIMEOUT;
use crate::world::{Happening, HookRun, World};

impl World {
    /// Attempts that are to end before they were handed out never start.
    pub(crate) fn end_unstarted(&mut self) {
        let Some(conductor) = &mut self.conductor else { return };
        for (id, attempt) in conductor.outbox.ends.clone() {
            let Some(conductor) = &mut self.conductor else { return };
            let orders = &mut conductor.outbox.orders;
            let Some(at) = orders.iter().position(|(job, order)| *job == id && order.attempt == attempt)
            else {
                continue;
            };
            let (_, order) = orders.swap_remove(at);
            let report = AttemptReport { outcome: Outcome::Ended, evidence: Evidence::default() };
            self.report(&id, order.sheet, attempt, report);
        }
    }

    /// Everything that changed, in one transaction. False when nothing can be written.
    pub(crate) fn commit(&mut self) -> bool {
        if self.database.failing {
            return false;
        }
        let Some(conductor) = &mut self.conductor else { return false };
        for (id, live) in &mut conductor.jobs {
            if live.is_clean() {
                continue;
            }
            let stored = self.database.jobs.entry(id.clone()).or_insert_with(|| Stored {
                spec: std::sync::Arc::clone(live.exec.spec()),
                job: String::new(),
                sheets: std::collections::BTreeMap::new(),
                attempt_seq: 0,
                open: std::collections::BTreeSet::new(),
                closed: std::collections::BTreeMap::new(),
            });
            stored.job = live.exec.job_record().encode();
            stored.attempt_seq = live.attempt_seq;
            for num in std::mem::take(&mut live.dirty.sheets) {
                stored.sheets.insert(num, live.exec.sheet_record(num).encode());
                if matches!(live.exec.sheets()[num.index()].state, SheetState::Completed { .. }) {
                    self.done.insert((id.clone(), num));
                }
            }
            for record in std::mem::take(&mut live.dirty.attempts) {
                stored.attempt(&record);
            }
            live.dirty.job = false;
        }
        if let Some(changed) = conductor.sched.unstored() {
            self.database.instruments = changed;
            conductor.sched.stored();
        }
        true
    }

    /// Attempts, set-ups and hooks start.
    pub(crate) fn hand_out(&mut self) {
        let Some(conductor) = &mut self.conductor else { return };
        let boot = conductor.boot;
        let orders = std::mem::take(&mut conductor.outbox.orders);
        let set_ups = std::mem::take(&mut conductor.outbox.set_ups);
        let hooks = std::mem::take(&mut conductor.outbox.hooks);
        for (id, order) in orders {
            let Some(live) = self.conductor.as_ref().and_then(|conductor| conductor.jobs.get(&id)) else {
                continue;
            };
            if !live.is_current(order.sheet, order.attempt) {
                continue;
            }
            let instrument = live.exec.occupies(order.sheet).name.to_string();
            self.may_start(&id, &order, &instrument);
            let calm = self.is_calm();
            let report = agents::report(&mut self.random, &order, calm);
            let runs = self.random.wait(SHEET_TIMEOUT);
            self.plan(runs / 2, Happening::Spawned(id.clone(), order.sheet, order.attempt));
            self.plan(runs, Happening::Ends(id.clone(), order.attempt));
            let program = Program {
                sheet: order.sheet,
                instrument,
                ends: self.now.mono.after(runs),
                report,
                state: Fate::Runs,
                adopted: false,
            };
            self.tally.attempts += 1;
            let twice = self.ground.programs.insert((id, order.attempt), program);
            assert!(twice.is_none(), "the number of an attempt is used twice");
        }
        for id in set_ups {
            let wait = self.random.wait(Duration::from_secs(60));
            self.plan(wait, Happening::SetUpDone(boot, id));
        }
        for (id, hook, on_failure, epoch) in hooks {
            self.run_hook(boot, id, HookRun { hook, on_failure, epoch });
        }
    }

    fn run_hook(&mut self, boot: u32, id: JobId, run: HookRun) {
        let hooks = &self.specs[&id].hooks;
        let list = if run.on_failure { &hooks.on_failure } else { &hooks.on_success };
        let chains = list[run.hook].chains;
        let first = self.hooks_run.insert((id.clone(), run));
        // A chained job is looked for under its key before it is submitted; a program is just run.
        assert!(first || chains, "the program of a hook is run twice: {id} {run:?}");
        let wait = self.random.wait(Duration::from_secs(300));
        self.plan(wait, Happening::HookDone(boot, id, run));
    }

    /// What must hold before a program is started.
    fn may_start(&self, id: &JobId, order: &mozart::exec::Order, instrument: &str) {
        let recovers = order.mode == mozart::exec::Mode::Recover;
        for ((job, attempt), program) in self.ground.running() {
            assert!(
                job != id || program.sheet != order.sheet,
                "sheet {} of {id} is started while attempt {attempt} of it runs",
                order.sheet
            );
        }
        let stored = &self.database.jobs[id];
        let sheet = &stored.sheets[&order.sheet];
        assert!(
            sheet.contains("dispatched") && stored.open.contains(&order.attempt),
            "attempt {} is started before its dispatch is committed",
            order.attempt
        );
        assert!(
            recovers || !self.done.contains(&(id.clone(), order.sheet)),
            "sheet {} of {id} runs again although its success is committed",
            order.sheet
        );
        let beside = self.ground.running().filter(|(_, program)| program.instrument == instrument);
        let adopted = self.ground.running().any(|(_, program)| program.adopted);
        assert!(
            adopted || beside.count() < PER_INSTRUMENT as usize,
            "more sheets than the instrument {instrument} allows"
        );
    }

    /// TERM to guards.
    pub(crate) fn end_told(&mut self) {
        let Some(conductor) = &mut self.conductor else { return };
        for (id, attempt) in std::mem::take(&mut conductor.outbox.ends) {
            self.end_program(&id, attempt);
        }
    }

    fn end_program(&mut self, id: &JobId, attempt: AttemptNo) {
        let Some(program) = self.ground.programs.get_mut(&(id.clone(), attempt)) else { return };
        if program.state != Fate::Runs {
            return;
        }
        let grace = self.random.wait(Duration::from_secs(5));
        let ends = self.now.mono.after(grace);
        if ends < program.ends {
            program.ends = ends;
            program.report = AttemptReport { outcome: Outcome::Ended, evidence: Evidence::default() };
            self.plan(grace, Happening::Ends(id.clone(), attempt));
        }
    }

    /// Jobs that are over and written leave the memory.
    pub(crate) fn retire(&mut self) {
        let Some(conductor) = &mut self.conductor else { return };
        let over = |live: &Live| {
            live.exec.status().is_terminal() && live.is_clean() && live.exec.active().next().is_none()
        };
        let ids: Vec<JobId> =
            conductor.jobs.iter().filter(|(_, live)| over(live)).map(|(id, _)| id.clone()).collect();
        for id in ids {
            let live = conductor.jobs.remove(&id).expect("it was found just now");
            assert!(!live.permit, "{id} is over and keeps its permit");
            if live.exec.status() == JobStatus::Completed {
                self.tally.completed += 1;
            }
        }
    }

    /// What holds after every turn.
    pub(crate) fn check_turn(&self) {
        let Some(conductor) = &self.conductor else { return };
        let held = u32::try_from(conductor.jobs.values().filter(|live| live.permit).count()).expect("few");
        assert_eq!(
            held + conductor.free_permits,
            PERMITS + conductor.over_limit,
            "permits are lost or made: {}",
            self.picture()
        );
        for (id, live) in &conductor.jobs {
            self.check_job(id, live);
        }
    }

    fn check_job(&self, id: &JobId, live: &Live) {
        let spec = live.exec.spec();
        for sheet in live.exec.sheets() {
            let ledger = &sheet.ledger;
            assert!(
                ledger.normal_attempts <= spec.retry.max_retries + 2,
                "{id} sheet {}: {} counted attempts",
                sheet.num,
                ledger.normal_attempts
            );
            assert!(ledger.completion_attempts <= spec.retry.max_completion_attempts);
            assert!(ledger.rate_limit_waits <= spec.rate_limit.max_waits);
            assert!(ledger.quota_waits <= spec.rate_limit.max_quota_waits);
        }
        let job = live.exec.job();
        if job.status.is_terminal() {
            assert!(live.exec.active().next().is_none(), "{id} is over and something of it runs");
            assert!(job.ledger.completed.is_some(), "{id} is over without an end");
        } else {
            assert!(job.ledger.completed.is_none(), "{id} runs and has an end");
        }
    }

    /// What holds when the night is over.
    pub(crate) fn check_end(&self) {
        for (id, stored) in &self.database.jobs {
            assert!(stored.open.is_empty(), "{id} is over with open attempts {:?}", stored.open);
            let job = JobRecord::decode(&stored.job).expect("a stored job is readable");
            let cost: u64 = stored.closed.values().sum();
            assert_eq!(job.ledger.spent.cost_micro, cost, "{id}: money is lost or counted twice");
        }
        let forgotten = self
            .ground
            .running()
            .filter(|((id, attempt), _)| !self.database.jobs[id].closed.contains_key(attempt));
        assert_eq!(forgotten.count(), 0, "programs run on when everything is over");
    }
}
