//! What happens to the world: agents end, the conductor dies and comes back, a person intervenes.

use std::sync::Arc;
use std::time::Duration;

use mozart::checkpoint::{JobRecord, SheetRecord};
use mozart::classify::ErrorCode;
use mozart::exec::{
    AttemptReport, Decision, Evidence, Execution, HookResult, Input, JobStatus, Outcome, PauseFlag, SetUp,
    SheetError, SheetState,
};
use mozart::ids::{AttemptNo, JobId, SheetNo};
use mozart::sched::{Registration, Throttle};
use mozart::time::Wall;

use crate::conductor::{Conductor, Live, restored};
use crate::ground::Fate;
use crate::score::SHEET_TIMEOUT;
use crate::world::{Happening, HookRun, World};

/// Inputs that a restored copy of a job is compared for.
const SHADOWED: u32 = 25;

impl World {
    pub(crate) fn happen(&mut self, what: Happening) {
        match what {
            Happening::Submit(id) => self.submit(&id),
            Happening::Spawned(job, sheet, attempt) => {
                self.step(&job, Input::Spawned { sheet, attempt, pid: 4711 });
            }
            Happening::Ends(job, attempt) => self.ends(&job, attempt),
            Happening::Again(job, sheet, attempt, report) => {
                self.report(&job, sheet, attempt, *report);
            }
            Happening::Overdue(job, sheet, attempt) => {
                let input = Input::Lost { sheet, attempt };
                self.attempt_over(&job, sheet, attempt, input);
            }
            Happening::SetUpDone(boot, job) if boot == self.boots => {
                let result = if self.random.chance(85) {
                    Ok(SetUp::default())
                } else {
                    Err(SheetError { code: ErrorCode::E603, message: "no repository".into() }.into())
                };
                self.step(&job, Input::SetUpDone(result));
            }
            Happening::HookDone(boot, job, run) if boot == self.boots => self.hook_done(&job, run),
            // The process that would have told it is gone.
            Happening::SetUpDone(..) | Happening::HookDone(..) => {}
            Happening::Crash => self.crash(),
            Happening::Restart => self.restart(),
            Happening::DatabaseFails => {
                self.database.failing = true;
                let wait = self.random.wait(Duration::from_secs(600));
                self.plan(wait, Happening::DatabaseBack);
            }
            Happening::DatabaseBack => self.database.failing = false,
            Happening::ClockJump => self.clock_jump(),
            Happening::Pressure => self.pressure(),
            Happening::Person => self.person(),
        }
    }

    /// A client submits until the job is acknowledged, which is when it is committed.
    fn submit(&mut self, id: &JobId) {
        if self.database.jobs.contains_key(id) {
            return;
        }
        let now = self.now;
        let mut again = Duration::from_secs(60);
        if let Some(conductor) = &mut self.conductor
            && !self.database.failing
            && !conductor.jobs.contains_key(id)
        {
            let exec = Execution::new(Arc::clone(&self.specs[id]), now);
            conductor.enlist(id, Live::new(exec, 0).all_dirty());
            again = Duration::from_millis(1);
        }
        self.plan(again, Happening::Submit(id.clone()));
    }

    /// The program of an attempt is over.
    fn ends(&mut self, job: &JobId, attempt: AttemptNo) {
        let key = (job.clone(), attempt);
        let Some(program) = self.ground.programs.get_mut(&key) else { return };
        if program.state != Fate::Runs || program.ends > self.now.mono {
            return;
        }
        let (sheet, report) = (program.sheet, program.report.clone());
        if !program.adopted && self.random.below(60) == 0 {
            program.state = Fate::Vanished;
            let wait = SHEET_TIMEOUT + Duration::from_secs(60);
            return self.plan(wait, Happening::Overdue(job.clone(), sheet, attempt));
        }
        program.state = Fate::Over;
        self.report(job, sheet, attempt, report.clone());
        if self.random.chance(5) {
            let wait = self.random.wait(Duration::from_secs(600));
            self.plan(wait, Happening::Again(job.clone(), sheet, attempt, Box::new(report)));
        }
    }

    pub(crate) fn report(&mut self, job: &JobId, sheet: SheetNo, attempt: AttemptNo, report: AttemptReport) {
        let input = Input::AttemptEnded { sheet, attempt, report: Box::new(report) };
        self.attempt_over(job, sheet, attempt, input);
    }

    fn attempt_over(&mut self, job: &JobId, sheet: SheetNo, attempt: AttemptNo, input: Input) {
        let current = self
            .conductor
            .as_ref()
            .and_then(|conductor| conductor.jobs.get(job))
            .is_some_and(|live| live.is_current(sheet, attempt));
        let now = self.now;
        self.step(job, input);
        if current && let Some(conductor) = &mut self.conductor {
            conductor.sched.ended(now, job, sheet);
        }
    }

    fn hook_done(&mut self, job: &JobId, run: HookRun) {
        let result = HookResult {
            hook_type: "run_command".into(),
            success: Some(self.random.chance(70)),
            epoch: run.epoch,
            ..HookResult::default()
        };
        self.step(job, Input::HookEnded { hook: run.hook, epoch: run.epoch, result: Box::new(result) });
    }

    /// The process is killed. What runs under guards goes on, some guards die with it.
    pub(crate) fn crash(&mut self) {
        if self.conductor.take().is_none() {
            return;
        }
        self.tally.crashes += 1;
        self.say(|| "crash".into());
        for program in self.ground.programs.values_mut() {
            if program.state == Fate::Runs && self.random.chance(10) {
                program.state = Fate::Vanished;
            }
        }
        let wait = self.random.wait(Duration::from_secs(900));
        self.plan(wait, Happening::Restart);
    }

    /// A new process reads the database and looks at every open attempt.
    fn restart(&mut self) {
        self.boots += 1;
        let now = self.now;
        let mut conductor = Conductor::new(self.boots);
        let (limits, breakers) = self.database.instruments.clone();
        conductor.sched.restore(now, limits, breakers);
        self.conductor = Some(conductor);
        let ids: Vec<JobId> = self.database.jobs.keys().cloned().collect();
        let policy = self.random.below(3);
        for id in ids {
            self.recover(&id, policy);
        }
        if let Some(conductor) = &mut self.conductor {
            conductor.sched.settle(now);
        }
    }

    /// A stored job as a live one.
    fn revived(&self, id: &JobId) -> Live {
        let stored = &self.database.jobs[id];
        let job = JobRecord::decode(&stored.job).expect("a stored job is readable");
        let sheets = stored.sheets.values().map(|text| SheetRecord::decode(text).expect("readable"));
        let exec = Execution::restore(Arc::clone(&stored.spec), job, sheets.collect(), self.now);
        Live::new(exec, stored.attempt_seq)
    }

    fn recover(&mut self, id: &JobId, policy: u64) {
        let now = self.now;
        let mut live = self.revived(id);
        if live.exec.status().is_terminal() {
            return;
        }
        let running = live.exec.status() == JobStatus::Running;
        let was_active = live.exec.status() != JobStatus::Paused;
        let active: Vec<(SheetNo, AttemptNo)> = live.exec.active().collect();
        live.permit = running;
        let Some(conductor) = &mut self.conductor else { return };
        conductor.enlist(id, live);
        if running {
            conductor.take_permit_over_limit();
            let with = Registration::of(&self.specs[id], 5, now.wall);
            conductor.sched.register(id.clone(), with);
        }
        let mut orphaned = false;
        for (sheet, attempt) in active {
            orphaned |= self.recover_attempt(id, sheet, attempt);
        }
        let message = "restarted while job was active".to_owned();
        match policy {
            0 if was_active => self.step(id, Input::FailJob { message }),
            1 if orphaned => self.step(id, Input::Orphaned { message }),
            _ => {}
        }
        for flag in [PauseFlag::Pressure, PauseFlag::Shutdown] {
            self.step(id, Input::Unpause(flag));
        }
    }

    fn recover_attempt(&mut self, id: &JobId, sheet: SheetNo, attempt: AttemptNo) -> bool {
        let Some(conductor) = &mut self.conductor else { return false };
        let instrument = conductor.jobs[id].exec.occupies(sheet).clone();
        conductor.sched.adopted(id, sheet, &instrument);
        let plain = |outcome| AttemptReport { outcome, evidence: Evidence::default() };
        let found = self.ground.programs.get_mut(&(id.clone(), attempt));
        match found.map(|program| (program.state, program)) {
            None => {
                let outcome = Outcome::NotStarted { message: "never started".into() };
                self.report(id, sheet, attempt, plain(outcome));
                false
            }
            Some((Fate::Runs, program)) => {
                program.adopted = true;
                self.step(id, Input::Spawned { sheet, attempt, pid: 4711 });
                false
            }
            Some((Fate::Over, program)) => {
                let report = program.report.clone();
                self.report(id, sheet, attempt, report);
                false
            }
            Some((Fate::Vanished, _)) => {
                let outcome = Outcome::Interrupted { message: "its guard was killed".into() };
                self.report(id, sheet, attempt, plain(outcome));
                true
            }
        }
    }

    /// The wall clock is set; the monotonic one goes on.
    fn clock_jump(&mut self) {
        let by = i64::try_from(self.random.below(7_200_000)).expect("hours") - 3_600_000;
        self.now.wall = Wall(self.now.wall.0 + by);
        self.jumped = true;
        if let Some(conductor) = &mut self.conductor {
            for live in conductor.jobs.values_mut() {
                live.shadow = None;
            }
        }
    }

    fn pressure(&mut self) {
        let levels = [Throttle::Free, Throttle::LOW, Throttle::MEDIUM, Throttle::HIGH, Throttle::CRITICAL];
        let level = *self.random.pick(&levels);
        let Some(conductor) = &mut self.conductor else { return };
        conductor.throttle = level;
        if level != Throttle::Free {
            let wait = self.random.wait(Duration::from_secs(900));
            self.plan(wait, Happening::Pressure);
        }
        if self.is_calm()
            && let Some(conductor) = &mut self.conductor
        {
            conductor.throttle = Throttle::Free;
        }
        if level == Throttle::CRITICAL
            && let Some(id) = self.some_job()
        {
            self.step(&id, Input::Pause { flag: PauseFlag::Pressure, now: true });
        } else if let Some(id) = self.some_job() {
            self.step(&id, Input::Unpause(PauseFlag::Pressure));
        }
    }

    fn some_job(&mut self) -> Option<JobId> {
        let ids: Vec<JobId> = self.conductor.as_ref()?.jobs.keys().cloned().collect();
        if ids.is_empty() { None } else { Some(self.random.pick(&ids).clone()) }
    }

    /// A person does something, sensible or not.
    fn person(&mut self) {
        let Some(conductor) = &self.conductor else { return };
        let stored: Vec<JobId> =
            self.database.jobs.keys().filter(|id| !conductor.jobs.contains_key(*id)).cloned().collect();
        if !stored.is_empty() && self.random.chance(30) && !self.database.failing {
            let id = self.random.pick(&stored).clone();
            return self.wake(&id);
        }
        let Some(id) = self.some_job() else { return };
        let sheets = u32::try_from(self.specs[&id].sheets.len()).expect("small");
        let sheet = SheetNo(self.random.range(1, sheets));
        let input = match self.random.below(9) {
            0 | 1 => Input::Pause { flag: PauseFlag::User, now: self.random.chance(50) },
            2 | 3 => Input::Resume,
            4 => Input::Cancel,
            5 => Input::Skip { sheet },
            6 => Input::Decide { sheet, decision: self.decision(), prompt: None, note: None },
            7 => return self.look_back(&id),
            _ => {
                if let Some(conductor) = &mut self.conductor {
                    conductor.sched.rates_mut().clear(self.now, None);
                }
                Input::LimitCleared { instrument: None }
            }
        };
        self.step(&id, input);
    }

    /// A job that is over is resumed or recovered.
    fn wake(&mut self, id: &JobId) {
        let live = self.revived(id);
        let Some(conductor) = &mut self.conductor else { return };
        conductor.enlist(id, live);
        let input = if self.random.chance(50) { Input::Resume } else { Input::Recover { from: None } };
        self.step(id, input);
    }

    /// From now on a copy made of the records does the same. How long a job has run is told by the
    /// wall clock after a restart, so a copy differs in that once that clock was set.
    fn look_back(&mut self, id: &JobId) {
        let now = self.now;
        if self.jumped {
            return;
        }
        let Some(live) = self.conductor.as_mut().and_then(|conductor| conductor.jobs.get_mut(id)) else {
            return;
        };
        let finishing = matches!(live.exec.status(), JobStatus::Finishing | JobStatus::PausedAtChain);
        let ledger = &live.exec.job().ledger;
        let setting_up = live.exec.spec().set_up && ledger.set_up_epoch != ledger.run_epoch;
        if finishing || setting_up {
            // What runs outside is asked for again after a restart.
            return;
        }
        let mut shadow = restored(live, now);
        for sheet in live.exec.sheets() {
            if let SheetState::InProgress(active) = &sheet.state {
                let pid = active.pid.unwrap_or(4711);
                shadow.step(now, Input::Spawned { sheet: sheet.num, attempt: active.attempt, pid });
            }
        }
        live.exec.step(now, Input::Tick);
        shadow.step(now, Input::Tick);
        live.shadow = Some((shadow, SHADOWED));
    }

    fn decision(&mut self) -> Decision {
        *self.random.pick(&[Decision::Retry, Decision::Skip, Decision::Accept, Decision::Fail])
    }

    /// After the storm a person helps a job that waits for one. False when it waits for nobody.
    pub(crate) fn help(&mut self, id: &JobId) -> bool {
        let Some(live) = self.conductor.as_ref().and_then(|conductor| conductor.jobs.get(id)) else {
            return false;
        };
        let job = live.exec.job();
        let held = live.exec.sheets().iter().find(|sheet| matches!(sheet.state, SheetState::Fermata(_)));
        let held = held.map(|sheet| sheet.num);
        let waits = held.is_some() || !job.pause_flags.is_empty() || job.status == JobStatus::PausedAtChain;
        if !waits {
            return false;
        }
        let times = self.helped.entry(id.clone()).or_insert(0);
        *times += 1;
        let input = if *times > 30 {
            Input::Cancel
        } else if let Some(sheet) = held {
            Input::Decide { sheet, decision: self.decision(), prompt: None, note: None }
        } else {
            Input::Resume
        };
        self.step(id, input);
        true
    }
}
