//! Jobs for the benchmarks.

use std::sync::Arc;
use std::time::Duration;

use mozart::exec::{
    AttemptReport, Budget, Evidence, Execution, Hooks, Input, InstrumentRef, JobSpec, Outcome,
    RateLimitPolicy, RetryPolicy, SheetSpec,
};
use mozart::ids::{AttemptNo, SheetNo, Token};
use mozart::time::{Mono, Now, Wall};

pub const NOW: Now = Now { mono: Mono(1_000_000_000_000), wall: Wall(1_700_000_000_000) };

/// A job that has begun. `chained`: each sheet waits for the one before; otherwise all may run at once.
/// `instruments` of them in turn, in runs of ten, as fan-out gives them.
pub fn job(sheets: u32, chained: bool, instruments: u32) -> Execution {
    let tools: Vec<InstrumentRef> = (0..instruments)
        .map(|num| InstrumentRef { name: format!("tool-{num}").into(), model: None })
        .collect();
    let sheet = |num: u32| SheetSpec {
        after: if chained && num > 1 { vec![SheetNo(num - 1)] } else { Vec::new() },
        instruments: vec![tools[(num / 10 % instruments) as usize].clone()],
        description: "".into(),
        fingerprint: "f".into(),
        stage: num,
        instance: 1,
        skip_when: None,
        skip_command: false,
        timeout: Duration::from_secs(1800),
        limits: vec![Duration::from_secs(1800)],
    };
    let spec = JobSpec {
        name: "test".into(),
        workspace: "/w".into(),
        sheets: (1..=sheets).map(sheet).collect(),
        movements: std::collections::BTreeMap::new(),
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

/// A sheet gets a slot.
pub fn dispatch(sheet: SheetNo) -> Input {
    Input::Dispatch { sheet, attempt: AttemptNo(sheet.0), token: Token::from_bytes([7; 16]) }
}

/// The attempt that [`dispatch`] opened has passed.
pub fn ended(sheet: SheetNo) -> Input {
    let outcome = Outcome::Ran { passed: 2, executed: 2, total: 2 };
    let evidence = Evidence { started: Some(NOW.wall), exit_code: Some(0), ..Evidence::default() };
    let report = Box::new(AttemptReport { outcome, evidence });
    Input::AttemptEnded { sheet, attempt: AttemptNo(sheet.0), report }
}
