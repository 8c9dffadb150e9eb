//! The state machine of one job: `cargo bench --bench step`. Budget: 2 µs for one step.

use std::sync::Arc;
use std::time::Duration;

use divan::Bencher;
use divan::counter::ItemsCount;
use mozart::exec::{
    AttemptReport, Budget, Effect, Evidence, Execution, Hooks, Input, InstrumentRef, JobSpec, Outcome,
    RateLimitPolicy, RetryPolicy, SheetSpec,
};
use mozart::ids::{AttemptNo, SheetNo, Token};
use mozart::time::{Mono, Now, Wall};

fn main() {
    divan::main();
}

const NOW: Now = Now { mono: Mono(1_000_000_000), wall: Wall(1_700_000_000_000) };

/// `chained`: each sheet waits for the one before; otherwise all may run at once.
fn job(sheets: u32, chained: bool) -> Execution {
    let sheet = |num: u32| SheetSpec {
        after: if chained && num > 1 { vec![SheetNo(num - 1)] } else { Vec::new() },
        instruments: vec![InstrumentRef { name: "cli".into(), model: None }],
        description: "".into(),
        fingerprint: "f".into(),
        stage: num,
        instance: 1,
        skip_when: None,
        skip_command: false,
        timeout: Duration::from_secs(1800),
    };
    let spec = JobSpec {
        name: "test".into(),
        workspace: "/w".into(),
        sheets: (1..=sheets).map(sheet).collect(),
        max_parallel: if chained { 1 } else { 20 },
        fail_fast: true,
        retry: RetryPolicy {
            max_retries: 3,
            base_delay: Duration::from_secs(10),
            max_delay: Duration::from_secs(3600),
            exponential_base: 2.0,
            explicit: false,
            jitter: true,
            max_completion_attempts: 5,
            completion_delay: Duration::from_secs(5),
            completion_threshold: 50.0,
        },
        rate_limit: RateLimitPolicy {
            max_waits: 24,
            max_quota_waits: 48,
            wait: None,
            fallback_min_wait: Duration::from_secs(30),
        },
        pause_between: Duration::ZERO,
        stagger: Duration::ZERO,
        timeout: Some(Duration::from_secs(21_600)),
        start_sheet: None,
        seed: 7,
        budget: Budget::default(),
        healing: 0,
        escalation: None,
        patience: None,
        breaker: None,
        set_up: false,
        hooks: Hooks::default(),
        breakpoints: Vec::new(),
    };
    let mut job = Execution::new(Arc::new(spec), NOW);
    _ = job.step(NOW, Input::Begin);
    job
}

fn dispatch(sheet: SheetNo) -> Input {
    Input::Dispatch { sheet, attempt: AttemptNo(sheet.0), token: Token::from_bytes([7; 16]) }
}

fn ended(sheet: SheetNo) -> Input {
    let outcome = Outcome::Ran { passed: 2, executed: 2, total: 2 };
    let report = Box::new(AttemptReport { outcome, evidence: Evidence::default() });
    Input::AttemptEnded { sheet, attempt: AttemptNo(sheet.0), report }
}

/// One sheet of a large job gets its slot.
#[divan::bench(args = [10, 1_000, 10_000])]
fn dispatch_one(bencher: Bencher, sheets: u32) {
    bencher
        .with_inputs(|| (job(sheets, false), Some(dispatch(SheetNo(1)))))
        .bench_local_refs(|(job, input)| input.take().map(|input| job.step(NOW, input)));
}

/// One sheet of a large job is done, and the next one becomes ready.
#[divan::bench(args = [10, 1_000, 10_000])]
fn end_one(bencher: Bencher, sheets: u32) {
    bencher
        .with_inputs(|| {
            let mut job = job(sheets, true);
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
    bencher.counter(ItemsCount::new(3 * sheets)).with_inputs(|| job(sheets, true)).bench_local_refs(|job| {
        let mut effects = 0;
        while let Some(sheet) = first_runnable(job) {
            let attempt = AttemptNo(sheet.0);
            for input in [dispatch(sheet), Input::Spawned { sheet, attempt, pid: 4242 }, ended(sheet)] {
                effects +=
                    job.step(NOW, input).iter().filter(|it| matches!(it, Effect::SaveSheet(_))).count();
            }
        }
        effects
    });
}
