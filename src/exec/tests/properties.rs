//! What holds after every sequence of inputs.

use proptest::prelude::*;

use super::*;

/// One thing that happens; numbers are taken modulo what there is.
#[derive(Debug, Clone)]
enum Act {
    Begin,
    Dispatch(u8),
    Spawn(u8),
    End(u8, u8),
    Late(u8, u8),
    Wait(u16),
    Due,
    Pause(u8, bool),
    Unpause(u8),
    Resume,
    Cancel,
    Clear,
    Fail,
    Orphan,
    Restart,
    Recover(u8),
    SetUp(bool),
    Hook(u8),
    Skip(u8),
    Decide(u8, u8),
    FallBack(u8),
    Lost(u8),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => Just(Act::Begin),
        12 => any::<u8>().prop_map(Act::Dispatch),
        2 => any::<u8>().prop_map(Act::Spawn),
        12 => (any::<u8>(), any::<u8>()).prop_map(|(sheet, how)| Act::End(sheet, how)),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(sheet, how)| Act::Late(sheet, how)),
        3 => any::<u16>().prop_map(Act::Wait),
        8 => Just(Act::Due),
        2 => (any::<u8>(), any::<bool>()).prop_map(|(flag, now)| Act::Pause(flag, now)),
        2 => any::<u8>().prop_map(Act::Unpause),
        3 => Just(Act::Resume),
        1 => Just(Act::Cancel),
        1 => Just(Act::Clear),
        1 => Just(Act::Fail),
        1 => Just(Act::Orphan),
        2 => Just(Act::Restart),
        2 => any::<u8>().prop_map(Act::Recover),
        6 => any::<bool>().prop_map(Act::SetUp),
        6 => any::<u8>().prop_map(Act::Hook),
        1 => any::<u8>().prop_map(Act::Skip),
        4 => (any::<u8>(), any::<u8>()).prop_map(|(sheet, how)| Act::Decide(sheet, how)),
        1 => any::<u8>().prop_map(Act::FallBack),
        1 => any::<u8>().prop_map(Act::Lost),
    ]
}

fn any_spec() -> impl Strategy<Value = JobSpec> {
    let graph = proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..3), 1..9);
    (graph, 1_u32..4, any::<bool>(), 0_u32..3, 0_usize..3, 0_u64..4, any::<u64>(), any::<bool>()).prop_map(
        |(graph, parallel, fail_fast, retries, fallbacks, pacing, seed, timeout)| {
            let after: Vec<Vec<u32>> = graph
                .iter()
                .enumerate()
                .map(|(at, links)| {
                    let above = links.iter().filter(|_| at > 0).map(|link| u32::from(*link) % at as u32 + 1);
                    let set: std::collections::BTreeSet<u32> = above.collect();
                    set.into_iter().collect()
                })
                .collect();
            let after: Vec<&[u32]> = after.iter().map(Vec::as_slice).collect();
            let mut spec = spec(&after);
            for sheet in &mut spec.sheets {
                sheet.instruments.extend(["b", "c"].into_iter().take(fallbacks).map(instrument));
            }
            spec.max_parallel = parallel;
            spec.fail_fast = fail_fast;
            spec.retry.max_retries = retries;
            spec.retry.jitter = seed % 2 == 0;
            spec.rate_limit.max_waits = 2;
            spec.pause_between = seconds(pacing);
            spec.stagger = seconds(pacing / 2);
            spec.timeout = timeout.then_some(seconds(400));
            spec.seed = seed;
            around(&mut spec, seed);
            spec
        },
    )
}

/// What else a score may want, by the bits of a number.
fn around(spec: &mut JobSpec, bits: u64) {
    let on = |bit: u32| bits >> bit & 1 == 1;
    spec.set_up = on(4);
    spec.healing = u32::from(on(5));
    spec.escalation = on(6).then(|| Escalation { patience: on(7).then(|| seconds(300)) });
    if on(8) {
        spec.budget = Budget {
            sheet_cost: on(9).then_some(3000),
            job_cost: on(10).then_some(6000),
            job_tokens: on(11).then_some(900),
            warn_at_percent: 80.0,
            ..Budget::default()
        };
    }
    let hook = |chains: bool, bit: u32| Hook {
        hook_type: if chains { "run_job" } else { "run_command" },
        chains,
        detached: false,
        pause_before: chains && on(bit),
        abort_on_failure: on(bit + 1),
        timeout: seconds(300),
        description: None,
    };
    if on(12) {
        spec.hooks.on_success = vec![hook(true, 13), hook(on(15), 16)];
        spec.hooks.on_failure = vec![hook(on(18), 19)];
        spec.hooks.cooldown = seconds(if on(21) { 5 } else { 0 });
    }
    if on(22) {
        spec.breakpoints.push(Breakpoint {
            name: "look".into(),
            sheets: None,
            min_retries: on(23).then_some(1),
            confirm: on(24),
            message: "sure?".into(),
        });
    }
    for (at, sheet) in spec.sheets.iter_mut().enumerate() {
        sheet.skip_command = on(25);
        if on(26) && at % 3 == 1 {
            let text = if on(27) { "sheets[1].status == 'completed'" } else { "sheets[77].status == 1" };
            sheet.skip_when = Some(Arc::new(SkipRule {
                text: text.into(),
                expr: crate::score::expr::parse(text).unwrap(),
                values: Vec::new(),
            }));
        }
    }
}

/// What is seen of an attempt that ends so.
fn evidence(how: u8) -> Evidence {
    match how % 5 {
        0 => cost(u64::from(how) * 8),
        1 => mended(),
        _ => Evidence::default(),
    }
}

fn outcome(how: u8) -> Outcome {
    match how % 14 {
        0..=3 => ran(1, 1),
        4 => ran(3, 4),
        5 => ran(0, 4),
        6 => failure(ErrorCode::E009, true),
        7 => failure(ErrorCode::E502, false),
        8 => limited(ErrorCode::E101, (how > 127).then_some(20)),
        9 => interrupted(),
        10 => Outcome::NotStarted { message: "full".to_owned() },
        11 => Outcome::Skip { message: "not needed".to_owned() },
        12 => match failure(ErrorCode::E001, true) {
            Outcome::Failed(failure) => Outcome::Accepted { failure, executed: 1 },
            other => other,
        },
        _ => Outcome::Ended,
    }
}

fn nth<T>(mut of: impl Iterator<Item = T>, count: usize, nth: u8) -> Option<T> {
    if count == 0 { None } else { of.nth(usize::from(nth) % count) }
}

fn flag(of: u8) -> PauseFlag {
    [PauseFlag::User, PauseFlag::Pressure, PauseFlag::Shutdown][usize::from(of) % 3]
}

/// The input that an act means in a world, if any. Moves the clock.
fn input(world: &mut World, act: &Act) -> Option<Input> {
    let running: Vec<_> = world.exec.active().collect();
    Some(match act {
        Act::Begin => Input::Begin,
        Act::Dispatch(at) => {
            let ready = world.runnable();
            let sheet = SheetNo(nth(ready.iter().copied(), ready.len(), *at).unwrap_or(1));
            world.attempts += 1;
            Input::Dispatch { sheet, attempt: AttemptNo(world.attempts), token: Token::from_bytes([1; 16]) }
        }
        Act::Spawn(at) => {
            let (sheet, attempt) = nth(running.iter().copied(), running.len(), *at)?;
            Input::Spawned { sheet, attempt, pid: 7 }
        }
        Act::End(at, how) => {
            let (sheet, attempt) = nth(running.iter().copied(), running.len(), *at)?;
            let report = AttemptReport { outcome: outcome(*how), evidence: evidence(*how) };
            Input::AttemptEnded { sheet, attempt, report: Box::new(report) }
        }
        Act::Late(at, how) => {
            let sheet = SheetNo(u32::from(*at) % 9);
            let report = AttemptReport { outcome: outcome(*how), evidence: Evidence::default() };
            Input::AttemptEnded { sheet, attempt: AttemptNo(u32::MAX), report: Box::new(report) }
        }
        Act::Wait(millis) => {
            world.pass(Duration::from_millis(u64::from(*millis)));
            Input::Tick
        }
        Act::Due => {
            let due = world.exec.next_deadline()?;
            world.pass(due.since(world.now.mono));
            Input::Tick
        }
        Act::Pause(of, now) => pause(flag(*of), *now),
        Act::Unpause(of) => Input::Unpause(flag(*of)),
        Act::Resume => Input::Resume,
        Act::Cancel => Input::Cancel,
        Act::Clear => Input::LimitCleared { instrument: None },
        Act::Fail => Input::FailJob { message: "no more".to_owned() },
        Act::Orphan => Input::Orphaned { message: "restarted".to_owned() },
        Act::Restart => return None,
        Act::Recover(from) => Input::Recover { from: (*from > 200).then_some(SheetNo(2)) },
        Act::SetUp(true) => Input::SetUpDone(Ok(SetUp::default())),
        Act::SetUp(false) => {
            let message = "no".to_owned();
            Input::SetUpDone(Err(SheetError { code: ErrorCode::E601, message }.into()))
        }
        Act::Hook(how) => {
            let ledger = &world.exec.job().ledger;
            let hook = ledger.finishing.as_ref().map_or(0, |finishing| finishing.hook);
            let result = HookResult { success: Some(how % 3 > 0), ..HookResult::default() };
            Input::HookEnded { hook, epoch: ledger.run_epoch, result: Box::new(result) }
        }
        Act::Skip(at) => Input::Skip { sheet: SheetNo(u32::from(*at) % 10) },
        Act::Decide(at, how) => {
            let asked = world.exec.sheets().iter().filter(|it| matches!(it.state, SheetState::Fermata(_)));
            let asked: Vec<SheetNo> = asked.map(|sheet| sheet.num).collect();
            let sheet = nth(asked.iter().copied(), asked.len(), *at)?;
            let decisions = [Decision::Retry, Decision::Skip, Decision::Accept, Decision::Fail];
            let decision = decisions[usize::from(*how) % 4];
            Input::Decide { sheet, decision, prompt: None, note: None }
        }
        Act::FallBack(at) => Input::FallBack { sheet: SheetNo(u32::from(*at) % 10), reason: "unavailable" },
        Act::Lost(at) => {
            let (sheet, attempt) = nth(running.iter().copied(), running.len(), *at)?;
            Input::Lost { sheet, attempt }
        }
    })
}

/// What is offered are the most urgent of the sheets that may run.
fn check_heads(world: &World) -> Result<(), TestCaseError> {
    let exec = &world.exec;
    let urgency = |num: SheetNo| {
        let retries = exec.sheet(num).map_or(0, |sheet| sheet.ledger.attempt_count);
        (i64::from(exec.depth(num)) - i64::from(retries.min(10)) * 5, num)
    };
    let wants = |num: SheetNo| {
        let at = exec.sheet(num).map_or(0, |sheet| sheet.ledger.instrument_index as usize);
        exec.spec().sheets[num.index()].instruments.get(at..)
    };
    let runnable: Vec<SheetNo> = exec.runnable(world.now).collect();
    let heads: Vec<Head> = exec.heads(world.now).collect();
    prop_assert_eq!(heads.iter().map(|head| head.count as usize).sum::<usize>(), runnable.len());
    for &num in &runnable {
        let alike = runnable.iter().copied().filter(|&other| wants(other) == wants(num));
        let first = alike.min_by_key(|&num| urgency(num));
        prop_assert!(heads.iter().any(|head| Some(head.sheet) == first), "{num} waits behind nobody");
    }
    prop_assert!(heads.iter().all(|head| runnable.contains(&head.sheet)));
    Ok(())
}

/// What holds in every state.
fn check_state(world: &World) -> Result<(), TestCaseError> {
    let exec = &world.exec;
    let spec = exec.spec();
    let running = exec.active().count();
    prop_assert_eq!(exec.counts(), Counts::of(exec.sheets()), "the counts are read off the sheets");
    prop_assert_eq!(exec.counts().active as usize, running);
    prop_assert_eq!(&exec.index, &Index::build(spec, exec.sheets()), "the index is read off the sheets");
    check_heads(world)?;
    let holds = i32::from(exec.status() == JobStatus::Running);
    prop_assert_eq!(world.permits, holds, "a permit is held exactly while running: {}", world.line());
    if exec.status() == JobStatus::Running {
        let deadline = exec.next_deadline().is_some();
        let set_up = exec.blocked(world.now) == Some(Blocked::SettingUp) || exec.set_up_runs;
        let alive = running > 0 || exec.runnable(world.now).next().is_some() || deadline || set_up;
        prop_assert!(alive, "zombie: {}", world.line());
    } else {
        prop_assert_eq!(running, 0, "only a running job has attempts: {}", world.line());
    }
    if exec.status() == JobStatus::Completed {
        prop_assert!(exec.sheets().iter().all(|sheet| sheet.state.satisfies()));
    }
    let ledger = &exec.job().ledger;
    prop_assert_eq!(
        ledger.finishing.is_some(),
        matches!(exec.status(), JobStatus::Finishing | JobStatus::PausedAtChain),
        "hooks have a phase of their own"
    );
    if exec.status() == JobStatus::Finishing {
        let held = !exec.job().pause_flags.is_empty() || exec.next_deadline().is_some();
        prop_assert!(exec.hook_runs || held, "nobody works on the hooks");
    }
    let open = ledger.hook_results.iter().rev().skip(1).filter(|result| {
        result.success.is_none() && result.error_message.is_none() && result.epoch == ledger.run_epoch
    });
    prop_assert_eq!(open.count(), 0, "one hook at a time");
    let asked = exec.counts().fermata > 0;
    prop_assert!(
        !asked || exec.job().pause_flags.contains(&PauseFlag::Escalation) || exec.job().ending.is_some(),
        "a question pauses its job"
    );
    let paid: u64 = exec.sheets().iter().map(|sheet| sheet.ledger.spent.cost_micro).sum();
    prop_assert_eq!(ledger.spent.cost_micro, paid, "the job pays what its sheets spend");
    let ended = exec.job().ledger.completed.is_some();
    prop_assert_eq!(ended, exec.status().is_terminal());
    prop_assert!(running <= spec.max_parallel as usize);
    for (sheet, planned) in exec.sheets().iter().zip(&spec.sheets) {
        let ledger = &sheet.ledger;
        let mended = ledger.healing_attempts;
        let wanted = ledger.escalation.is_some() || spec.escalation.is_some();
        prop_assert!(wanted || ledger.normal_attempts <= spec.retry.max_retries + 1 + mended);
        prop_assert!(mended <= spec.healing);
        prop_assert!(ledger.completion_attempts <= spec.retry.max_completion_attempts);
        prop_assert!(ledger.rate_limit_waits <= spec.rate_limit.max_waits);
        prop_assert!((ledger.instrument_index as usize) < planned.instruments.len());
        let below = |num: &SheetNo| &exec.sheets()[num.index()].state;
        if sheet.state.active().is_some() && ledger.mode != Mode::Recover {
            prop_assert!(planned.after.iter().all(|num| below(num).satisfies()), "started too early");
        }
        let recovers = ledger.mode == Mode::Recover || exec.job().ledger.recovery.is_some();
        if sheet.state == SheetState::Pending && !exec.status().is_terminal() && !recovers {
            let blocked = planned.after.iter().any(|num| below(num).is_terminal() && !below(num).satisfies());
            prop_assert!(!blocked, "sheet {} waits for ever: {}", sheet.num, world.line());
        }
    }
    Ok(())
}

/// What one step may do.
fn check_step(
    before: &[Arc<Sheet>],
    (status, recovering): (JobStatus, bool),
    input: &Input,
    world: &World,
    effects: &[Effect],
) -> Result<(), TestCaseError> {
    let reopened = matches!(input, Input::Recover { .. }) || recovering;
    if !matches!(input, Input::Resume) && !reopened {
        for (old, new) in before.iter().zip(world.exec.sheets()) {
            if old.state.is_terminal() {
                prop_assert_eq!(&old.state, &new.state, "terminal sheets stay");
            }
            let (was, is) = (old.ledger.instrument_index, new.ledger.instrument_index);
            prop_assert!(was <= is, "a sheet goes on along its chain, never back");
        }
        if status.is_terminal() {
            prop_assert_eq!(status, world.exec.status());
        }
    }
    for (old, new) in before.iter().zip(world.exec.sheets()) {
        let ran = effects
            .iter()
            .filter(|effect| matches!(effect, Effect::Run(order) if order.sheet == new.num))
            .count();
        prop_assert!(ran <= usize::from(old.state.active().is_none()), "two attempts of one sheet");
        let saved = effects.contains(&Effect::SaveSheet(new.num));
        let spawned = matches!(input, Input::Spawned { .. });
        prop_assert!(saved || spawned || old == new, "sheet {} changed and was not saved", new.num);
    }
    Ok(())
}

/// A job's record with its run time as one number: how much of it was before the restart differs.
fn comparable(world: &World) -> (crate::checkpoint::JobRecord, Duration) {
    let mut record = world.exec.job_record();
    record.clock = None;
    record.ledger.ran_ms = 0;
    // A restored job asks anew for its set-up and its hook, which is no change.
    record.ledger.updated = Wall(0);
    (record, world.exec.job().ran(world.now))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    // Invariant I9, I14, I21, I28, I31, I70
    #[test]
    fn no_sequence_breaks_a_promise(spec in any_spec(), acts in proptest::collection::vec(act(), 0..120)) {
        let mut world = World::new(spec);
        check_state(&world)?;
        for act in &acts {
            if matches!(act, Act::Restart) {
                world = world.restored(world.now);
                // As the conductor does: a restored job gets a turn at once.
                world.step(Input::Tick);
                check_state(&world)?;
                continue;
            }
            let Some(input) = input(&mut world, act) else { continue };
            let before = world.exec.sheets().to_vec();
            let was = (world.exec.status(), world.exec.job().ledger.recovery.is_some());
            let effects = world.step(input.clone());
            check_step(&before, was, &input, &world, &effects)?;
            check_state(&world)?;
        }
    }

    #[test]
    fn a_restored_job_goes_on_as_the_one_that_was_stored(
        spec in any_spec(),
        acts in proptest::collection::vec(act(), 0..60),
        cut in 0_usize..60,
    ) {
        let mut spec = spec;
        // Whether a program has done its work is not known after a restart; a chained job's key is.
        for hook in spec.hooks.on_success.iter_mut().chain(&mut spec.hooks.on_failure) {
            (hook.chains, hook.hook_type) = (true, "run_job");
        }
        let mut world = World::new(spec);
        let mut twin: Option<World> = None;
        for (at, act) in acts.iter().enumerate() {
            // A set-up or hook that runs dies with the process, so the future is another one.
            if at == cut && !world.exec.set_up_runs && !world.exec.hook_runs {
                let mut restored = world.restored(world.now);
                // A restored job may be over already and asks for one turn; the other gets it too.
                restored.step(Input::Tick);
                world.step(Input::Tick);
                twin = Some(restored);
            }
            let Some(input) = input(&mut world, act) else { continue };
            let one = world.step(input.clone());
            if let Some(twin) = &mut twin {
                twin.now = world.now;
                let two = twin.step(input);
                prop_assert_eq!(one, two);
                prop_assert_eq!(world.exec.sheets(), twin.exec.sheets());
                prop_assert_eq!(world.runnable(), twin.runnable());
                prop_assert_eq!(world.exec.next_deadline(), twin.exec.next_deadline());
                prop_assert_eq!(comparable(&world), comparable(twin));
            }
        }
    }

    // Invariant I19, I30
    #[test]
    fn every_job_can_be_brought_to_an_end(spec in any_spec(), hows in proptest::collection::vec(any::<u8>(), 1..40)) {
        let mut world = World::begun(spec);
        let mut hows = hows.into_iter().cycle();
        for _ in 0..2000 {
            if world.exec.status().is_terminal() {
                break;
            }
            let running = world.exec.active().next();
            if let Some(&sheet) = world.runnable().first() {
                world.dispatch(sheet);
            } else if world.exec.set_up_runs {
                world.step(Input::SetUpDone(Ok(SetUp::default())));
            } else if world.exec.hook_runs {
                let how = hows.next().unwrap();
                let input = input(&mut world, &Act::Hook(how)).unwrap();
                world.step(input);
            } else if world.exec.status() == JobStatus::Queued {
                world.step(Input::Begin);
            } else if let Some((sheet, _)) = running {
                // Interruptions and failed starts alone may go on for ever; mostly it is something else.
                let how = hows.next().unwrap();
                let how = if how % 14 == 10 { 0 } else { how };
                world.end_with(sheet.0, outcome(how), evidence(how));
            } else if let Some(input) = input(&mut world, &Act::Decide(0, 3)) {
                world.step(input);
            } else if world.exec.job().pause_flags.contains(&PauseFlag::Cost) {
                world.step(Input::Cancel);
            } else if matches!(world.exec.status(), JobStatus::Paused | JobStatus::PausedAtChain) {
                let refusals = world.exec.job().ledger.hook_results.len();
                world.step(if refusals > 3 { Input::Cancel } else { Input::Resume });
            } else {
                world.wait();
            }
        }
        prop_assert!(world.exec.status().is_terminal(), "{}", world.line());
        prop_assert_eq!(world.permits, 0);
    }
}
