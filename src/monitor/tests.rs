#![allow(clippy::unwrap_used)]

use std::process::{Child, Command as Program, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, unbounded};

use super::sample::Sampler;
use super::*;
use crate::pressure::{Cause, Level};

const PLENTY: Limits = Limits { memory_mb: 1 << 20, processes: 10_000 };

struct Kid(Child);

impl Kid {
    /// A shell whose first argument is `word` and that waits for its stdin to close.
    fn shell(script: &str, word: &str) -> Self {
        let child = Program::new("sh")
            .args(["-c", script, word])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }
}

impl Drop for Kid {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        _ = self.0.wait();
    }
}

fn until(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "the condition did not come true");
        std::thread::yield_now();
    }
}

fn start(settings: Settings) -> (Monitor, Receiver<Pressure>, Arc<AtomicU64>) {
    let (changes, told) = unbounded();
    let clock = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&clock);
    let inputs = Inputs {
        live: Box::new(Live::default),
        clock: Box::new(move || Mono(seen.load(Ordering::SeqCst))),
        changes,
    };
    (Monitor::start(settings, inputs).unwrap(), told, clock)
}

fn hourly(limits: Limits) -> Settings {
    Settings { limits, scope: Scope::Tree, interval: Duration::from_secs(3600) }
}

#[test]
fn an_idle_conductor_is_itself_alone() {
    let sample = Sampler::default().sample(&Live::default(), Scope::Tree);
    assert_eq!(sample.processes, Some(0));
    assert!(sample.memory_mb.unwrap() > 0.1);
}

#[test]
fn descendants_count_and_guards_do_not() {
    // A child with a child of its own; then the same below a guard that is not known as our child.
    let kid = Kid::shell("cat; :", "plain");
    let live = Live { any: true, guards: Vec::new() };
    let mut sampler = Sampler::default();
    until(|| sampler.sample(&live, Scope::Tree).processes.unwrap() >= 2);
    let mine = |live: &Live| Sampler::default().sample(live, Scope::Tree).processes.unwrap();
    // Other tests of this program have children, too: only the difference is certain, and only
    // while they do not change.
    let named = Live { any: true, guards: vec![kid.0.id()] };
    until(|| mine(&live) == mine(&named) + 1);
    let gone = Live { any: true, guards: vec![u32::MAX / 2] };
    until(|| mine(&live) == mine(&gone));
    until(|| {
        let tree = sampler.sample(&live, Scope::Tree).memory_mb.unwrap();
        let own = sampler.sample(&live, Scope::Daemon).memory_mb.unwrap();
        tree > own
    });
}

#[test]
fn a_guard_is_known_by_its_first_argument() {
    // A script of that name has the word where a guard has it.
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("__guard");
    std::fs::write(&script, "cat\n:\n").unwrap();
    let child = Program::new("sh")
        .arg("__guard")
        .current_dir(directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let kid = Kid(child);
    let plain = Live { any: true, guards: Vec::new() };
    let named = Live { any: true, guards: vec![kid.0.id()] };
    let count = |live: &Live| Sampler::default().sample(live, Scope::Tree).processes.unwrap();
    until(|| count(&plain) == count(&named));
}

#[test]
fn the_first_reading_is_there_at_once_and_is_told() {
    let (monitor, told, _) = start(hourly(PLENTY));
    let reading = monitor.gauge().last();
    assert_eq!(reading.level, Level::None);
    assert_eq!(told.try_recv().unwrap(), reading);
    assert!(reading.accepting());
}

#[test]
fn new_limits_act_at_once_and_the_change_is_told() {
    let (monitor, told, _) = start(hourly(PLENTY));
    assert_eq!(told.recv_timeout(Duration::from_secs(20)).unwrap().level, Level::None);
    monitor.set(hourly(Limits { memory_mb: 1, processes: 10 }));
    let reading = told.recv_timeout(Duration::from_secs(20)).unwrap();
    assert_eq!(reading.level, Level::Critical);
    assert_eq!(reading.breached(), [Cause::Memory]);
    assert_eq!(monitor.gauge().last(), reading);
}

#[test]
fn a_fresh_reading_is_shared_for_a_second() {
    let (monitor, _told, clock) = start(hourly(PLENTY));
    let gauge = monitor.gauge();
    let first = gauge.fresh(Mono(999_999_999));
    assert_eq!(first.taken, Some(Mono(0)));
    clock.store(1_000_000_000, Ordering::SeqCst);
    let second = gauge.fresh(Mono(1_000_000_000));
    assert_eq!(second.taken, Some(Mono(1_000_000_000)));
}

#[test]
fn a_short_interval_checks_again_by_itself() {
    let (monitor, _told, clock) = start(Settings { interval: Duration::from_millis(5), ..hourly(PLENTY) });
    clock.store(7, Ordering::SeqCst);
    let gauge = monitor.gauge();
    until(|| gauge.last().taken == Some(Mono(7)));
}

#[test]
fn a_stopped_monitor_leaves_a_reading_that_grows_stale() {
    let (monitor, _told, _) = start(hourly(PLENTY));
    let gauge = monitor.gauge();
    drop(monitor);
    let later = Mono(0).after(Duration::from_secs(4 * 3600));
    let reading = gauge.fresh(later);
    assert!(reading.probe_failed());
    assert_eq!(reading.level, Level::Critical);
}

#[test]
fn a_monitor_that_breaks_is_degraded() {
    let (changes, told) = unbounded();
    let calls = AtomicU64::new(0);
    let live = move || match calls.fetch_add(1, Ordering::SeqCst) {
        0 => Live::default(),
        _ => panic!("the conductor is gone"),
    };
    let inputs = Inputs { live: Box::new(live), clock: Box::new(|| Mono(0)), changes };
    let monitor =
        Monitor::start(Settings { interval: Duration::from_millis(1), ..hourly(PLENTY) }, inputs).unwrap();
    assert_eq!(told.recv_timeout(Duration::from_secs(20)).unwrap().level, Level::None);
    assert!(told.recv_timeout(Duration::from_secs(20)).unwrap().degraded);
    assert!(monitor.gauge().last().degraded);
}
