#![allow(clippy::unwrap_used)]

mod around;
mod budgets;
mod commands;
mod invariants_attempts;
mod invariants_cost;
mod invariants_endings;
mod invariants_exhaustion;
mod invariants_more;
mod invariants_pauses;
mod properties;
mod recovery;
mod skips;

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::classify::ErrorCode;
use crate::ids::Token;
use crate::time::Wall;

/// A job under test, its clock and its counter of attempts.
struct World {
    exec: Execution,
    now: Now,
    attempts: u32,
    /// Begun minus released; 0 or 1.
    permits: i32,
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn instrument(name: &str) -> InstrumentRef {
    InstrumentRef { name: name.into(), model: None }
}

/// Sheets as `after` lists: `[&[], &[1]]` is a chain of two.
fn spec(after: &[&[u32]]) -> JobSpec {
    let sheets = after.iter().enumerate().map(|(at, after)| SheetSpec {
        after: after.iter().copied().map(SheetNo).collect(),
        instruments: vec![instrument("a")],
        description: "".into(),
        fingerprint: "f".into(),
        stage: u32::try_from(at + 1).unwrap(),
        instance: 1,
        skip_when: None,
        skip_command: false,
        timeout: Duration::from_secs(1800),
        limits: vec![Duration::from_secs(1800)],
    });
    JobSpec {
        name: "test".into(),
        workspace: "/w".into(),
        sheets: sheets.collect(),
        movements: std::collections::BTreeMap::new(),
        max_parallel: 1,
        fail_fast: false,
        retry: RetryPolicy {
            max_retries: 3,
            base_delay: seconds(10),
            max_delay: seconds(3600),
            exponential_base: 2.0,
            explicit: true,
            jitter: false,
            max_completion_attempts: 2,
            completion_delay: seconds(5),
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
        timeout: None,
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
    }
}

impl World {
    fn new(spec: JobSpec) -> Self {
        let now = Now { mono: Mono(1_000_000_000_000), wall: Wall(1_700_000_000_000) };
        Self { exec: Execution::new(Arc::new(spec), now), now, attempts: 0, permits: 0 }
    }

    /// A begun job.
    fn begun(spec: JobSpec) -> Self {
        let mut world = Self::new(spec);
        world.step(Input::Begin);
        world
    }

    fn step(&mut self, input: Input) -> Vec<Effect> {
        let queued = self.exec.status() == JobStatus::Queued;
        let begins = matches!(input, Input::Begin) && queued;
        let effects = self.exec.step(self.now, input);
        self.permits += i32::from(begins);
        self.permits -=
            i32::try_from(effects.iter().filter(|effect| **effect == Effect::Released).count()).unwrap();
        effects
    }

    fn pass(&mut self, time: Duration) {
        self.now = Now { mono: self.now.mono.after(time), wall: self.now.wall.after(time) };
    }

    /// Moves the clock to the next deadline and tells it.
    fn wait(&mut self) -> Duration {
        let due = self.exec.next_deadline().expect("something is waited for");
        let time = due.since(self.now.mono);
        // The wall clock has whole milliseconds.
        self.pass(time);
        self.step(Input::Tick);
        time
    }

    fn dispatch(&mut self, sheet: u32) -> Vec<Effect> {
        self.attempts += 1;
        let token = Token::from_bytes([0; 16]);
        self.step(Input::Dispatch { sheet: SheetNo(sheet), attempt: AttemptNo(self.attempts), token })
    }

    /// The report of the running attempt of a sheet.
    fn end(&mut self, sheet: u32, outcome: Outcome) -> Vec<Effect> {
        let running = self.exec.active().find(|&(num, _)| num == SheetNo(sheet));
        let (num, attempt) = running.expect("the sheet runs");
        let report = Box::new(AttemptReport { outcome, evidence: Evidence::default() });
        self.step(Input::AttemptEnded { sheet: num, attempt, report })
    }

    /// The report of the running attempt of a sheet, with what was seen of it.
    fn end_with(&mut self, sheet: u32, outcome: Outcome, evidence: Evidence) -> Vec<Effect> {
        let running = self.exec.active().find(|&(num, _)| num == SheetNo(sheet));
        let (num, attempt) = running.expect("the sheet runs");
        let report = Box::new(AttemptReport { outcome, evidence });
        self.step(Input::AttemptEnded { sheet: num, attempt, report })
    }

    /// Dispatch and report, with what was seen of it.
    fn run_with(&mut self, sheet: u32, outcome: Outcome, evidence: Evidence) -> Vec<Effect> {
        let effects = self.dispatch(sheet);
        assert!(order(&effects).is_some(), "{sheet} is not runnable: {}", self.line());
        self.end_with(sheet, outcome, evidence)
    }

    fn decide(&mut self, sheet: u32, decision: Decision) -> Vec<Effect> {
        self.step(Input::Decide { sheet: SheetNo(sheet), decision, prompt: None, note: None })
    }

    fn state(&self, sheet: u32) -> &'static str {
        self.exec.sheet(SheetNo(sheet)).unwrap().state.as_str()
    }

    fn flags(&self) -> Vec<&'static str> {
        self.exec.job().pause_flags.iter().map(|flag| flag.as_str()).collect()
    }

    /// Dispatch and report.
    fn run(&mut self, sheet: u32, outcome: Outcome) -> Vec<Effect> {
        let effects = self.dispatch(sheet);
        assert!(effects.iter().any(|effect| matches!(effect, Effect::Run(_))), "{sheet} is not runnable");
        self.end(sheet, outcome)
    }

    fn ledger(&self, sheet: u32) -> &Ledger {
        &self.exec.sheet(SheetNo(sheet)).unwrap().ledger
    }

    fn runnable(&self) -> Vec<u32> {
        self.exec.runnable(self.now).map(|num| num.0).collect()
    }

    /// The job in a line: its state, then the state of each sheet.
    fn line(&self) -> String {
        let words = self.exec.sheets().iter().map(|sheet| match &sheet.state {
            SheetState::Skipped { reason, .. } => reason.as_str(),
            state => state.as_str(),
        });
        let words: Vec<&str> = std::iter::once(self.exec.display_status()).chain(words).collect();
        words.join(" ")
    }

    fn restored(&self, now: Now) -> Self {
        let sheets = self.exec.sheets().iter().map(|sheet| {
            let text = self.exec.sheet_record(sheet.num).encode();
            crate::checkpoint::SheetRecord::decode(&text).unwrap()
        });
        let job = crate::checkpoint::JobRecord::decode(&self.exec.job_record().encode()).unwrap();
        let exec = Execution::restore(Arc::clone(self.exec.spec()), job, sheets.collect(), now);
        Self { exec, now, attempts: self.attempts, permits: self.permits }
    }
}

/// The order that a step has given.
fn order(effects: &[Effect]) -> Option<&Order> {
    effects.iter().find_map(|effect| if let Effect::Run(order) = effect { Some(order) } else { None })
}

/// What a program leaves that has cost so many micro-dollars.
fn cost(micro: u64) -> Evidence {
    Evidence {
        cost_micro: Some(micro),
        cost_confidence: 1.0,
        input_tokens: Some(100),
        output_tokens: Some(10),
        ..Evidence::default()
    }
}

/// What is seen when a remedy has changed something.
fn mended() -> Evidence {
    let remedy = Remedy { name: "create_missing_workspace".to_owned(), applied: true, ..Remedy::default() };
    Evidence { remedies: vec![remedy], ..Evidence::default() }
}

fn ran(passed: u32, executed: u32) -> Outcome {
    Outcome::Ran { passed, executed, total: executed }
}

fn failure(code: ErrorCode, retriable: bool) -> Outcome {
    let message = "it broke".to_owned();
    Outcome::Failed(Failure { code, message, retriable, delay: Duration::ZERO })
}

fn limited(code: ErrorCode, wait: Option<u64>) -> Outcome {
    Outcome::RateLimited { code, wait: wait.map(seconds), message: "slow down".to_owned() }
}

fn interrupted() -> Outcome {
    Outcome::Interrupted { message: "guard gone".to_owned() }
}

fn pause(flag: PauseFlag, now: bool) -> Input {
    Input::Pause { flag, now }
}

fn events(effects: &[Effect]) -> Vec<&'static str> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Event(event) => Some(event.name),
            _ => None,
        })
        .collect()
}

#[test]
fn a_chain_runs_to_its_end_in_order() {
    let mut world = World::begun(spec(&[&[], &[1], &[2]]));
    for sheet in 1..=3 {
        assert_eq!(world.runnable(), [sheet]);
        world.run(sheet, ran(1, 1));
    }
    assert_eq!(world.line(), "completed completed completed completed");
    assert_eq!(world.permits, 0);
    assert_eq!(world.exec.next_deadline(), None);
}

#[test]
fn an_attempt_is_saved_before_it_runs_and_the_permit_goes_last() {
    let mut world = World::begun(spec(&[&[]]));
    let kinds = |effects: &[Effect]| -> Vec<&'static str> {
        effects
            .iter()
            .map(|effect| match effect {
                Effect::SaveJob => "job",
                Effect::SaveSheet(_) => "sheet",
                Effect::SaveAttempt(record) if record.closed.is_some() => "closed",
                Effect::SaveAttempt(_) => "opened",
                Effect::Run(_) => "run",
                Effect::End { .. } => "end",
                Effect::Limited { .. } => "limited",
                Effect::Instrument { .. } => "instrument",
                Effect::SetUp => "set_up",
                Effect::Hook { .. } => "hook",
                Effect::EndHook => "end_hook",
                Effect::Released => "released",
                Effect::Event(event) => event.name,
            })
            .collect()
    };
    assert_eq!(kinds(&world.dispatch(1)), ["opened", "sheet", "job", "run"]);
    let spawned = Input::Spawned { sheet: SheetNo(1), attempt: AttemptNo(1), pid: 42 };
    assert_eq!(kinds(&world.step(spawned)), ["sheet.started"]);
    assert_eq!(world.line(), "running in_progress");
    assert_eq!(
        kinds(&world.end(1, ran(2, 2))),
        [
            "closed",
            "sheet",
            "job",
            "instrument",
            "sheet.validation_passed",
            "sheet.completed",
            "job.progress",
            "job.completed",
            "released"
        ]
    );
}

// Invariant I78
#[test]
fn reports_of_other_attempts_change_nothing() {
    let mut world = World::begun(spec(&[&[]]));
    world.dispatch(1);
    for (sheet, attempt) in [(1, 2), (1, 0), (2, 1), (0, 1), (u32::MAX, 1)] {
        let report = Box::new(AttemptReport { outcome: ran(1, 1), evidence: Evidence::default() });
        let late = Input::AttemptEnded { sheet: SheetNo(sheet), attempt: AttemptNo(attempt), report };
        assert_eq!(world.step(late), []);
    }
    assert_eq!(world.line(), "running dispatched");
    world.end(1, ran(1, 1));
    let report = Box::new(AttemptReport { outcome: ran(0, 1), evidence: Evidence::default() });
    let twice = Input::AttemptEnded { sheet: SheetNo(1), attempt: AttemptNo(1), report };
    assert_eq!(world.step(twice), []);
}

// Invariant I26, I28
#[test]
fn a_failure_blocks_exactly_what_depends_on_it() {
    // 1 -> 2, 3 -> 4 is a diamond; 5 stands alone; 6 needs both.
    let mut spec = spec(&[&[], &[1], &[1], &[2, 3], &[], &[4, 5]]);
    spec.retry.max_retries = 0;
    spec.max_parallel = 3;
    let mut world = World::begun(spec);
    assert_eq!(world.runnable(), [1, 5]);
    world.run(1, ran(1, 1));
    world.run(2, failure(ErrorCode::E009, true));
    let up = "upstream_failed";
    assert_eq!(world.line(), format!("running completed failed pending {up} pending {up}"));
    assert_eq!(world.ledger(6).note.as_deref(), Some("Blocked by failed dependency: sheet 2"));
    world.run(3, ran(1, 1));
    world.run(5, ran(1, 1));
    assert_eq!(world.line(), format!("failed completed failed completed {up} completed {up}"));
    let error = world.exec.job().ledger.error.as_deref();
    assert_eq!(error, Some("Sheet 2 failed: it broke [E009]"));
}

// Invariant I30
#[test]
fn a_job_ends_in_the_turn_in_which_its_last_sheets_are_blocked() {
    let mut spec = spec(&[&[], &[1], &[2]]);
    spec.retry.max_retries = 0;
    let mut world = World::begun(spec);
    let effects = world.run(1, failure(ErrorCode::E009, true));
    assert_eq!(events(&effects), ["sheet.failed", "sheet.skipped", "sheet.skipped", "job.failed"]);
    assert_eq!(world.permits, 0);
}

#[test]
fn sheets_below_the_start_are_skipped_and_count_as_done() {
    let mut spec = spec(&[&[], &[1], &[2]]);
    spec.start_sheet = Some(SheetNo(3));
    let mut world = World::begun(spec);
    assert_eq!(world.runnable(), [3]);
    world.run(3, ran(0, 0));
    assert_eq!(world.line(), "completed start_sheet start_sheet completed");
}

#[test]
fn fail_fast_skips_the_rest_and_lets_running_sheets_end() {
    let mut spec = spec(&[&[], &[], &[], &[]]);
    spec.fail_fast = true;
    spec.max_parallel = 2;
    spec.retry.max_retries = 0;
    let mut world = World::begun(spec);
    world.dispatch(1);
    world.dispatch(2);
    world.end(1, failure(ErrorCode::E009, true));
    assert_eq!(world.line(), "running failed dispatched upstream_failed upstream_failed");
    assert_eq!(world.ledger(4).note.as_deref(), Some("fail_fast after sheet 1"));
    world.end(2, ran(1, 1));
    assert_eq!(world.line(), "failed failed completed upstream_failed upstream_failed");
}

#[test]
fn pacing_and_stagger_hold_a_job_but_never_longer_than_said() {
    let mut spec = spec(&[&[], &[], &[]]);
    spec.max_parallel = 2;
    spec.stagger = seconds(2);
    spec.pause_between = seconds(10);
    let mut world = World::begun(spec);
    world.dispatch(1);
    assert_eq!(world.runnable(), [0; 0]);
    assert!(matches!(world.exec.blocked(world.now), Some(Blocked::Pacing(_))));
    assert_eq!(world.wait(), seconds(2));
    assert_eq!(world.runnable(), [2, 3]);
    world.dispatch(2);
    world.end(1, ran(1, 1));
    assert_eq!(world.wait(), seconds(2), "no pause while a sibling runs");
    world.end(2, ran(1, 1));
    assert_eq!(world.runnable(), [0; 0]);
    assert_eq!(world.wait(), seconds(10));
    assert_eq!(world.runnable(), [3]);
}

// Invariant I73
#[test]
fn ten_thousand_sheets_are_no_burden() {
    // A hundred stages of a hundred sheets, each stage after the whole stage before.
    let mut spec = spec(&[&[]]);
    let one = spec.sheets.remove(0);
    spec.max_parallel = 100;
    for at in 0..10_000_u32 {
        let stage = at / 100;
        let after = if stage == 0 { 0..0 } else { (stage - 1) * 100 + 1..stage * 100 + 1 };
        spec.sheets.push(SheetSpec {
            after: after.map(SheetNo).collect(),
            stage: stage + 1,
            instance: at % 100 + 1,
            ..one.clone()
        });
    }
    let mut world = World::begun(spec);
    assert_eq!(world.exec.depth(SheetNo(10_000)), 99);
    for stage in 0..100 {
        let ready = world.runnable();
        assert_eq!(ready.len(), 100, "stage {stage}");
        for sheet in ready {
            world.run(sheet, ran(1, 1));
        }
    }
    assert_eq!(world.exec.status(), JobStatus::Completed);
}
