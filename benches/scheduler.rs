//! Which sheet runs next: `cargo bench --bench scheduler`.
//! Budget: 50 µs for one decision with 10,000 queued sheets in 100 jobs.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use divan::Bencher;
use mozart::exec::InstrumentRef;
use mozart::ids::{JobId, SheetNo};
use mozart::sched::{Candidate, Candidates, Limits, Pick, Registration, Scheduler, Throttle};
use mozart::time::{Mono, Now, Wall};

fn main() {
    divan::main();
}

const NOW: Now = Now { mono: Mono(1_000_000_000_000), wall: Wall(1_700_000_000_000) };

/// Jobs whose sheets are all ready or running.
struct Queue {
    sheets: BTreeMap<JobId, Vec<Sheet>>,
}

struct Sheet {
    instrument: InstrumentRef,
    runs: bool,
}

impl Queue {
    /// `instruments` of them in turn, in runs, as fan-out gives them.
    fn new(jobs: u32, sheets: u32, instruments: u32) -> Self {
        let sheet = |num: u32| {
            let name = format!("tool-{}", num / 10 % instruments).into();
            Sheet { instrument: InstrumentRef { name, model: None }, runs: false }
        };
        Self { sheets: (0..jobs).map(|job| (id(job), (0..sheets).map(sheet).collect())).collect() }
    }

    /// With `running` sheets started, each instrument allowing `per_instrument` of them.
    fn scheduler(&mut self, max_sheets: u32, per_instrument: u32, running: u32) -> Scheduler {
        let limits =
            Limits { max_sheets, per_instrument, instruments: BTreeMap::new(), models: BTreeMap::new() };
        let mut scheduler = Scheduler::new(limits);
        for (age, job) in (0..).zip(self.sheets.keys()) {
            scheduler.register(job.clone(), registration(Wall(NOW.wall.0 - age)));
        }
        for _ in 0..running {
            let Pick::Run(job, sheet) = scheduler.pick(NOW, Throttle::Free, self) else { break };
            let Some(picked) = self.sheets.get_mut(&job).map(|sheets| &mut sheets[sheet.index()]) else {
                break;
            };
            picked.runs = true;
            scheduler.started(NOW, &job, sheet, &picked.instrument);
        }
        scheduler
    }
}

impl Candidates for Queue {
    fn offer(&self, job: &JobId, visit: &mut dyn FnMut(Candidate<'_>) -> ControlFlow<()>) {
        let Some(sheets) = self.sheets.get(job) else { return };
        for (index, Sheet { instrument, .. }) in sheets.iter().enumerate().filter(|(_, sheet)| !sheet.runs) {
            let sheet = SheetNo::from_index(index);
            if visit(Candidate { sheet, instrument, fallbacks: &[], depth: 0, retries: 0 }).is_break() {
                return;
            }
        }
    }
}

fn registration(submitted: Wall) -> Registration {
    Registration { priority: 5, submitted, breaker: None, instruments: BTreeSet::new() }
}

fn id(job: u32) -> JobId {
    JobId::new(&format!("job-{job:05}")).expect("letters, a hyphen and digits")
}

/// Some slots are free: the usual decision. Arguments: jobs, sheets per job.
#[divan::bench(args = [(1, 10_000), (100, 100), (1_000, 10)])]
fn pick_one(bencher: Bencher, (jobs, sheets): (u32, u32)) {
    let mut queue = Queue::new(jobs, sheets, 5);
    let mut scheduler = queue.scheduler(20, 10, 7);
    bencher.bench_local(|| scheduler.pick(NOW, Throttle::Free, &queue));
}

/// Every instrument is full although slots are free: the most that must be looked at.
#[divan::bench(args = [(1, 10_000), (100, 100), (1_000, 10)])]
fn nothing_fits(bencher: Bencher, (jobs, sheets): (u32, u32)) {
    let mut queue = Queue::new(jobs, sheets, 5);
    let mut scheduler = queue.scheduler(100, 2, 100);
    bencher.bench_local(|| scheduler.pick(NOW, Throttle::Free, &queue));
}

/// As [`nothing_fits`], after every job has changed: all of them are looked at anew.
#[divan::bench(args = [(100, 100)])]
fn nothing_fits_after_changes(bencher: Bencher, (jobs, sheets): (u32, u32)) {
    let mut queue = Queue::new(jobs, sheets, 5);
    let mut scheduler = queue.scheduler(100, 2, 100);
    bencher.bench_local(|| {
        for job in queue.sheets.keys() {
            scheduler.touched(job);
        }
        scheduler.pick(NOW, Throttle::Free, &queue)
    });
}

/// All slots are taken.
#[divan::bench(args = [(100, 100)])]
fn full(bencher: Bencher, (jobs, sheets): (u32, u32)) {
    let mut queue = Queue::new(jobs, sheets, 5);
    let mut scheduler = queue.scheduler(10, 10, 10);
    bencher.bench_local(|| scheduler.pick(NOW, Throttle::Free, &queue));
}

/// A slot becomes free and is given away again, with all that is counted for it.
#[divan::bench(args = [(100, 100)])]
fn end_pick_start(bencher: Bencher, (jobs, sheets): (u32, u32)) {
    let mut queue = Queue::new(jobs, sheets, 5);
    let mut scheduler = queue.scheduler(10, 10, 9);
    bencher.bench_local(|| {
        let Pick::Run(job, sheet) = scheduler.pick(NOW, Throttle::Free, &queue) else { return false };
        scheduler.started(NOW, &job, sheet, &queue.sheets[&job][sheet.index()].instrument);
        scheduler.ended(NOW, &job, sheet);
        true
    });
}
