//! Random jobs: graphs, budgets and limits of every kind, small enough to be tried by the thousand.

use std::sync::Arc;
use std::time::Duration;

use mozart::exec::{
    BreakerPolicy, Breakpoint, Budget, Escalation, Hook, Hooks, InstrumentRef, JobSpec, RateLimitPolicy,
    RetryPolicy, SheetSpec,
};
use mozart::ids::SheetNo;

use crate::random::Random;

/// What sheets run on.
pub(crate) const INSTRUMENTS: [&str; 3] = ["alpha", "beta", "gamma"];
/// Longest time that a program of a simulated sheet may run.
pub(crate) const SHEET_TIMEOUT: Duration = Duration::from_secs(1800);

/// A job of one to eight sheets.
pub(crate) fn job(random: &mut Random) -> JobSpec {
    let count = random.range(1, 8);
    let sheets: Vec<SheetSpec> = (1..=count).map(|num| sheet(random, num)).collect();
    let parallel = random.chance(60);
    JobSpec {
        name: "night".into(),
        workspace: "/tmp".into(),
        patience: None,
        sheets,
        movements: std::collections::BTreeMap::new(),
        max_parallel: if parallel { random.range(1, 4) } else { 1 },
        fail_fast: parallel && random.chance(30),
        retry: retry(random),
        rate_limit: RateLimitPolicy {
            max_waits: random.range(1, 4),
            max_quota_waits: random.range(1, 4),
            wait: random.chance(30).then(|| Duration::from_secs(60)),
            fallback_min_wait: Duration::from_secs(u64::from(random.range(0, 120))),
        },
        pause_between: if random.chance(15) { random.wait(Duration::from_secs(5)) } else { Duration::ZERO },
        stagger: if random.chance(15) { random.wait(Duration::from_secs(2)) } else { Duration::ZERO },
        timeout: random.chance(10).then(|| Duration::from_secs(u64::from(random.range(10, 20_000)))),
        start_sheet: random.chance(5).then(|| SheetNo(random.range(1, count))),
        seed: random.next(),
        budget: budget(random),
        healing: if random.chance(20) { random.range(1, 2) } else { 0 },
        escalation: random.chance(15).then(|| Escalation {
            patience: random.chance(80).then(|| Duration::from_secs(u64::from(random.range(1, 600)))),
        }),
        breaker: random.chance(70).then(|| BreakerPolicy {
            threshold: random.range(1, 5),
            recovery: Duration::from_secs(u64::from(random.range(1, 300))),
        }),
        set_up: random.chance(20),
        hooks: hooks(random),
        breakpoints: breakpoints(random, count),
    }
}

fn sheet(random: &mut Random, num: u32) -> SheetSpec {
    let after = (1..num).filter(|_| random.chance(30)).map(SheetNo).collect();
    let first = random.below(INSTRUMENTS.len() as u64);
    let chain = 1 + random.below(2) + u64::from(random.chance(10));
    let instruments = (0..chain).map(|at| {
        let at = usize::try_from((first + at) % INSTRUMENTS.len() as u64).expect("an index fits");
        InstrumentRef {
            name: INSTRUMENTS[at].into(),
            model: random.chance(30).then(|| if random.chance(50) { "small" } else { "large" }.into()),
        }
    });
    SheetSpec {
        after,
        instruments: instruments.collect(),
        description: "".into(),
        fingerprint: format!("f{num}").into(),
        stage: num,
        instance: 1,
        skip_when: None,
        skip_command: random.chance(10),
        timeout: SHEET_TIMEOUT,
        limits: vec![Duration::from_secs(1800)],
    }
}

fn retry(random: &mut Random) -> RetryPolicy {
    RetryPolicy {
        max_retries: random.range(0, 3),
        base_delay: Duration::from_secs(u64::from(random.range(1, 30))),
        max_delay: Duration::from_secs(u64::from(random.range(30, 600))),
        exponential_base: f64::from(random.range(11, 30)) / 10.0,
        explicit: random.chance(50),
        jitter: random.chance(50),
        max_completion_attempts: random.range(0, 3),
        completion_delay: Duration::from_secs(u64::from(random.range(0, 10))),
        completion_threshold: f64::from(random.range(1, 100)),
    }
}

fn budget(random: &mut Random) -> Budget {
    if !random.chance(20) {
        return Budget::default();
    }
    let mut limit = |most| random.chance(50).then(|| u64::from(random.range(1, most)));
    Budget {
        sheet_cost: limit(2_000_000),
        job_cost: limit(8_000_000),
        sheet_tokens: limit(20_000),
        job_tokens: limit(80_000),
        warn_at_percent: 80.0,
        no_reserve: random.chance(20),
    }
}

fn hooks(random: &mut Random) -> Hooks {
    if !random.chance(25) {
        return Hooks::default();
    }
    let list = |random: &mut Random| (0..random.below(3)).map(|_| hook(random)).collect();
    Hooks {
        on_success: list(random),
        on_failure: list(random),
        cooldown: Duration::from_secs(u64::from(random.range(0, 30))),
        abort_on_failure: random.chance(20),
    }
}

fn hook(random: &mut Random) -> Hook {
    let chains = random.chance(50);
    Hook {
        hook_type: if chains { "run_job" } else { "run_command" },
        chains,
        detached: chains && random.chance(50),
        pause_before: chains && random.chance(30),
        abort_on_failure: random.chance(30),
        timeout: Duration::from_secs(300),
        description: None,
    }
}

fn breakpoints(random: &mut Random, sheets: u32) -> Vec<Breakpoint> {
    if !random.chance(10) {
        return Vec::new();
    }
    vec![Breakpoint {
        name: "look".into(),
        sheets: random.chance(50).then(|| vec![SheetNo(random.range(1, sheets))]),
        min_retries: random.chance(50).then(|| random.range(0, 2)),
        confirm: random.chance(70),
        message: Arc::from(""),
    }]
}
