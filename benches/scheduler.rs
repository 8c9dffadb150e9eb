//! Which sheet runs next: `cargo bench --bench scheduler`.
//! Budget: 50 µs for one decision with 10,000 queued sheets in 100 jobs.

#[expect(unreachable_pub, reason = "shared by benchmarks")]
mod jobs;

use std::collections::BTreeMap;

use divan::Bencher;
use mozart::exec::{Execution, Input};
use mozart::ids::{AttemptNo, JobId, SheetNo};
use mozart::sched::{Candidate, Candidates, Limits, Pick, Registration, Scheduler, Throttle};
use mozart::time::Wall;

use jobs::{NOW, dispatch, ended, job};

fn main() {
    divan::main();
}

/// Jobs whose sheets are all ready or running.
struct Queue {
    jobs: BTreeMap<JobId, Execution>,
}

impl Queue {
    fn new(jobs: u32, sheets: u32, instruments: u32) -> Self {
        Self { jobs: (0..jobs).map(|num| (id(num), job(sheets, false, instruments))).collect() }
    }

    /// With `running` sheets started, each instrument allowing `per_instrument` of them.
    fn scheduler(&mut self, max_sheets: u32, per_instrument: u32, running: u32) -> Scheduler {
        let limits = Limits { max_sheets, per_instrument, instruments: BTreeMap::new() };
        let mut scheduler = Scheduler::new(limits);
        for (age, (id, job)) in (0..).zip(&self.jobs) {
            scheduler.register(id.clone(), Registration::of(job.spec(), 5, Wall(NOW.wall.0 - age)));
        }
        for _ in 0..running {
            let Pick::Run(job, sheet) = scheduler.pick(NOW, Throttle::Free, self) else { break };
            self.start(&mut scheduler, &job, sheet);
        }
        scheduler
    }

    fn start(&mut self, scheduler: &mut Scheduler, job: &JobId, sheet: SheetNo) {
        let Some(exec) = self.jobs.get_mut(job) else { return };
        let instrument = exec.instrument(sheet).clone();
        scheduler.started(NOW, job, sheet, &instrument);
        _ = exec.step(NOW, dispatch(sheet));
    }
}

impl Candidates for Queue {
    fn offer(&self, job: &JobId, visit: &mut dyn FnMut(Candidate<'_>)) {
        let Some(exec) = self.jobs.get(job) else { return };
        exec.heads(NOW).for_each(|head| visit(Candidate::of(exec, head)));
    }
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

/// As [`pick_one`], after every job has changed: all of them are looked at anew.
#[divan::bench(args = [(1, 10_000), (100, 100), (1_000, 10)])]
fn pick_one_after_changes(bencher: Bencher, (jobs, sheets): (u32, u32)) {
    let mut queue = Queue::new(jobs, sheets, 5);
    let mut scheduler = queue.scheduler(20, 10, 7);
    bencher.bench_local(|| pick_anew(&mut scheduler, &queue));
}

/// Every instrument is full although slots are free: the most that must be looked at.
#[divan::bench(args = [(1, 10_000), (100, 100), (1_000, 10)])]
fn nothing_fits(bencher: Bencher, (jobs, sheets): (u32, u32)) {
    let mut queue = Queue::new(jobs, sheets, 5);
    let mut scheduler = queue.scheduler(100, 2, 100);
    bencher.bench_local(|| scheduler.pick(NOW, Throttle::Free, &queue));
}

/// As [`nothing_fits`], after every job has changed.
#[divan::bench(args = [(1, 10_000), (100, 100), (1_000, 10)])]
fn nothing_fits_after_changes(bencher: Bencher, (jobs, sheets): (u32, u32)) {
    let mut queue = Queue::new(jobs, sheets, 5);
    let mut scheduler = queue.scheduler(100, 2, 100);
    bencher.bench_local(|| pick_anew(&mut scheduler, &queue));
}

fn pick_anew(scheduler: &mut Scheduler, queue: &Queue) -> Pick {
    for job in queue.jobs.keys() {
        scheduler.touched(job);
    }
    scheduler.pick(NOW, Throttle::Free, queue)
}

/// All slots are taken.
#[divan::bench(args = [(100, 100)])]
fn full(bencher: Bencher, (jobs, sheets): (u32, u32)) {
    let mut queue = Queue::new(jobs, sheets, 5);
    let mut scheduler = queue.scheduler(10, 10, 10);
    bencher.bench_local(|| scheduler.pick(NOW, Throttle::Free, &queue));
}

/// A slot becomes free and is given away again, with the two steps of the jobs and all that is counted.
#[divan::bench(args = [(100, 100)], sample_size = 1, sample_count = 1000)]
fn end_pick_start(bencher: Bencher, (jobs, sheets): (u32, u32)) {
    let mut queue = Queue::new(jobs, sheets, 5);
    let mut scheduler = queue.scheduler(10, 10, 9);
    bencher.bench_local(|| {
        let Pick::Run(job, sheet) = scheduler.pick(NOW, Throttle::Free, &queue) else { return false };
        queue.start(&mut scheduler, &job, sheet);
        let Some(exec) = queue.jobs.get_mut(&job) else { return false };
        _ = exec.step(NOW, Input::Spawned { sheet, attempt: AttemptNo(sheet.0), pid: 4242 });
        _ = exec.step(NOW, ended(sheet));
        scheduler.ended(NOW, &job, sheet);
        true
    });
}
