//! One simulated night: a few jobs, a clock, faults, a person; until everything is over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use mozart::exec::{AttemptReport, Input, JobSpec};
use mozart::ids::{AttemptNo, JobId, SheetNo};
use mozart::time::{Mono, Now, Wall};

use crate::conductor::Conductor;
use crate::ground::{Database, Ground};
use crate::random::Random;
use crate::score;

/// Faults and commands come within this time; then the night is calm.
const STORM: Duration = Duration::from_secs(4 * 3600);
/// More turns than any night needs.
const MOST_TURNS: u64 = 50_000;

/// What happens at a moment.
#[derive(Debug)]
pub(crate) enum Happening {
    Submit(JobId),
    Spawned(JobId, SheetNo, AttemptNo),
    Ends(JobId, AttemptNo),
    /// A report that comes a second time.
    Again(JobId, SheetNo, AttemptNo, Box<AttemptReport>),
    /// The backstop of an attempt that never reports.
    Overdue(JobId, SheetNo, AttemptNo),
    /// In that life of the conductor, for that run of the job.
    SetUpDone(u32, JobId),
    HookDone(u32, JobId, HookRun),
    Crash,
    Restart,
    DatabaseFails,
    DatabaseBack,
    ClockJump,
    Pressure,
    Person,
}

/// One run of one hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HookRun {
    pub(crate) hook: usize,
    pub(crate) on_failure: bool,
    pub(crate) epoch: u32,
}

/// What a night came to.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Tally {
    pub(crate) jobs: u64,
    pub(crate) turns: u64,
    pub(crate) attempts: u64,
    pub(crate) crashes: u64,
    pub(crate) completed: u64,
}

impl Tally {
    pub(crate) const fn add(&mut self, other: &Self) {
        self.jobs += other.jobs;
        self.turns += other.turns;
        self.attempts += other.attempts;
        self.crashes += other.crashes;
        self.completed += other.completed;
    }
}

/// Everything of one night.
pub(crate) struct World {
    pub(crate) random: Random,
    pub(crate) now: Now,
    storm_ends: Mono,
    agenda: BTreeMap<(Mono, u64), Happening>,
    sequence: u64,
    pub(crate) database: Database,
    pub(crate) ground: Ground,
    /// `None` while it is dead.
    pub(crate) conductor: Option<Conductor>,
    pub(crate) boots: u32,
    pub(crate) specs: BTreeMap<JobId, Arc<JobSpec>>,
    /// Programs of hooks that were started, and chained jobs that were submitted.
    pub(crate) hooks_run: BTreeSet<(JobId, HookRun)>,
    /// Sheets whose success is committed.
    pub(crate) done: BTreeSet<(JobId, SheetNo)>,
    /// How often a person has helped a job on after the storm.
    pub(crate) helped: BTreeMap<JobId, u32>,
    pub(crate) tally: Tally,
    /// The wall clock was set.
    pub(crate) jumped: bool,
    trace: bool,
}

impl World {
    pub(crate) fn new(seed: u64, trace: bool) -> Self {
        let mut random = Random::new(seed);
        let now = Now { mono: Mono(1_000_000_000_000), wall: Wall(1_700_000_000_000) };
        let mut world = Self {
            random: Random::new(random.next()),
            now,
            storm_ends: now.mono.after(STORM),
            agenda: BTreeMap::new(),
            sequence: 0,
            database: Database::default(),
            ground: Ground::default(),
            conductor: Some(Conductor::new(1)),
            boots: 1,
            specs: BTreeMap::new(),
            hooks_run: BTreeSet::new(),
            done: BTreeSet::new(),
            helped: BTreeMap::new(),
            tally: Tally::default(),
            jumped: false,
            trace,
        };
        for at in 1..=random.range(1, 4) {
            let id = JobId::new(&format!("job{at}")).expect("a plain name");
            world.specs.insert(id.clone(), Arc::new(score::job(&mut random)));
            let wait = random.wait(Duration::from_secs(600));
            world.plan(wait, Happening::Submit(id));
            world.tally.jobs += 1;
        }
        let faults: [(u64, fn() -> Happening); 5] = [
            (3, || Happening::Crash),
            (2, || Happening::DatabaseFails),
            (2, || Happening::ClockJump),
            (3, || Happening::Pressure),
            (10, || Happening::Person),
        ];
        for (most, fault) in faults {
            for _ in 0..random.below(most + 1) {
                world.plan(random.wait(STORM), fault());
            }
        }
        world
    }

    /// Runs until all jobs are over.
    pub(crate) fn run(mut self) -> Tally {
        while !self.is_over() {
            self.tally.turns += 1;
            assert!(self.tally.turns < MOST_TURNS, "the night never ends");
            self.advance();
            self.turn();
            self.check_turn();
        }
        self.check_end();
        self.tally
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.now.mono >= self.storm_ends
    }

    fn is_over(&self) -> bool {
        self.is_calm()
            && self.conductor.is_some()
            && self.specs.keys().all(|id| self.database.jobs.contains_key(id))
            && self.conductor.as_ref().is_some_and(|conductor| conductor.jobs.is_empty())
    }

    pub(crate) fn plan(&mut self, wait: Duration, what: Happening) {
        self.sequence += 1;
        self.agenda.insert((self.now.mono.after(wait), self.sequence), what);
    }

    pub(crate) fn say(&self, text: impl FnOnce() -> String) {
        if self.trace {
            eprintln!("{:>10.3}s  {}", self.now.mono.since(Mono(1_000_000_000_000)).as_secs_f64(), text());
        }
    }

    /// Moves the clocks to the next thing that happens, and lets it happen.
    fn advance(&mut self) {
        let agenda = self.agenda.first_key_value().map(|((at, _), _)| *at);
        let timer = self.conductor.as_ref().and_then(Conductor::next_timer);
        let Some(next) = agenda.into_iter().chain(timer).min() else {
            return self.nothing_left();
        };
        // Whole milliseconds, so that what is stored is what was meant.
        let step = next.since(self.now.mono).as_nanos().div_ceil(1_000_000);
        let step = Duration::from_millis(u64::try_from(step).expect("a night is short"));
        self.now = Now { mono: self.now.mono.after(step), wall: self.now.wall.after(step) };
        while let Some(entry) = self.agenda.first_entry() {
            if entry.key().0 > self.now.mono {
                break;
            }
            let what = entry.remove();
            self.say(|| format!("{what:?}"));
            self.happen(what);
        }
    }

    /// Nothing is planned and no timer runs: the rest is for a person.
    fn nothing_left(&mut self) {
        self.now.mono = self.now.mono.max(self.storm_ends);
        let Some(conductor) = &self.conductor else { panic!("the conductor is dead for ever") };
        let waiting: Vec<JobId> = conductor.jobs.keys().cloned().collect();
        if waiting.is_empty() {
            return;
        }
        let mut helped = false;
        for id in waiting {
            helped |= self.help(&id);
        }
        assert!(helped, "jobs wait for nothing: {}", self.picture());
    }

    /// The conductor's turn.
    fn turn(&mut self) {
        let now = self.now;
        let crash_before = !self.is_calm() && self.random.below(3000) == 0;
        let crash_after = !self.is_calm() && self.random.below(3000) == 0;
        let Some(conductor) = &mut self.conductor else { return };
        conductor.timers_due(now);
        if !self.database.failing {
            conductor.begin_queued(now);
            let random = &mut self.random;
            conductor.dispatch(now, &mut || mozart::ids::Token::from_bytes(random.bytes()));
        }
        self.end_unstarted();
        if crash_before {
            return self.crash();
        }
        let written = self.commit();
        if crash_after {
            return self.crash();
        }
        if written {
            self.hand_out();
        }
        self.end_told();
        let Some(conductor) = &mut self.conductor else { return };
        conductor.give_back(now);
        if written {
            self.retire();
        }
    }

    pub(crate) fn step(&mut self, id: &JobId, input: Input) {
        self.say(|| format!("  {id} <- {input:?}"));
        let now = self.now;
        if let Some(conductor) = &mut self.conductor {
            conductor.step(now, id, input);
        }
    }

    pub(crate) fn picture(&self) -> String {
        let Some(conductor) = &self.conductor else { return "no conductor".into() };
        let mut text = String::new();
        for (id, live) in &conductor.jobs {
            use std::fmt::Write as _;
            let job = live.exec.job();
            _ = writeln!(
                text,
                "\n{id}: {:?} flags {:?} ending {:?} blocked {:?} reason {:?}",
                job.status,
                job.pause_flags,
                job.ending,
                live.exec.blocked(self.now),
                conductor.sched.reasons(self.now, conductor.throttle, id),
            );
            for sheet in live.exec.sheets() {
                _ = writeln!(text, "  {} {:?}", sheet.num, sheet.state);
            }
        }
        text
    }
}
