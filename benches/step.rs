//! The state machine of one job: `cargo bench --bench step`.
//! Budget: 2 µs for one step with 10,000 queued sheets in 100 jobs.

#[expect(unreachable_pub, reason = "shared by benchmarks")]
mod jobs;

use divan::Bencher;
use divan::counter::ItemsCount;
use mozart::exec::{Effect, Execution, Input};
use mozart::ids::{AttemptNo, SheetNo};

use jobs::{NOW, dispatch, ended, job};

fn main() {
    divan::main();
}

/// One sheet of each of 100 jobs with 100 sheets gets its slot. Items are steps.
#[divan::bench]
fn dispatch_one_of_each(bencher: Bencher) {
    each(bencher, |_| (), |_| dispatch(SheetNo(1)));
}

/// One sheet of each of 100 jobs with 100 sheets is done, and the next one becomes ready. Items are steps.
#[divan::bench]
fn end_one_of_each(bencher: Bencher) {
    each(bencher, |job| _ = job.step(NOW, dispatch(SheetNo(1))), |_| ended(SheetNo(1)));
}

fn each(bencher: Bencher, prepare: impl Fn(&mut Execution), input: impl Fn(u32) -> Input) {
    let queue = || {
        let mut jobs: Vec<Execution> = (0..100).map(|_| job(100, true, 5)).collect();
        jobs.iter_mut().for_each(&prepare);
        let inputs: Vec<Input> = (0..100).map(&input).collect();
        (jobs, inputs, Vec::with_capacity(100))
    };
    bencher.counter(ItemsCount::new(100_u32)).with_inputs(queue).bench_local_refs(
        |(jobs, inputs, effects): &mut (Vec<_>, Vec<_>, Vec<Vec<Effect>>)| {
            for (job, input) in jobs.iter_mut().zip(inputs.drain(..)) {
                effects.push(job.step(NOW, input));
            }
        },
    );
}

/// One sheet of one large job gets its slot.
#[divan::bench(args = [10, 1_000, 10_000])]
fn dispatch_one(bencher: Bencher, sheets: u32) {
    bencher
        .with_inputs(|| (job(sheets, false, 5), Some(dispatch(SheetNo(1)))))
        .bench_local_refs(|(job, input)| input.take().map(|input| job.step(NOW, input)));
}

/// One sheet of one large job is done, and the next one becomes ready.
#[divan::bench(args = [10, 1_000, 10_000])]
fn end_one(bencher: Bencher, sheets: u32) {
    bencher
        .with_inputs(|| {
            let mut job = job(sheets, true, 5);
            _ = job.step(NOW, dispatch(SheetNo(1)));
            (job, Some(ended(SheetNo(1))))
        })
        .bench_local_refs(|(job, input)| input.take().map(|input| job.step(NOW, input)));
}

fn first_runnable(job: &Execution) -> Option<SheetNo> {
    job.runnable(NOW).next()
}

/// A chain from its first sheet to its last, the choice of the next sheet included. Items are steps.
#[divan::bench(args = [10, 1_000])]
fn whole_chain(bencher: Bencher, sheets: u32) {
    bencher.counter(ItemsCount::new(3 * sheets)).with_inputs(|| job(sheets, true, 5)).bench_local_refs(
        |job| {
            let mut effects = 0;
            while let Some(sheet) = first_runnable(job) {
                let attempt = AttemptNo(sheet.0);
                for input in [dispatch(sheet), Input::Spawned { sheet, attempt, pid: 4242 }, ended(sheet)] {
                    effects +=
                        job.step(NOW, input).iter().filter(|it| matches!(it, Effect::SaveSheet(_))).count();
                }
            }
            effects
        },
    );
}
