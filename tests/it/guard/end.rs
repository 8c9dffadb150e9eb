//! The end of an attempt: who asks for it, and that nothing is left.

use std::time::{Duration, Instant};

use mozart::executor::{self, End, StartError};
use mozart::process::Identity;

use super::support::{Bench, Decoy, over, program, token};
use crate::wait::{PATIENCE, wait_until};

const SHORT: Duration = Duration::from_millis(100);

/// Leaves one process of every kind that gets away easily, then goes on with `$1`.
const LITTER: &str = r#"
sleep 1000 & echo $! > plain
setsid sh -c 'echo $$ > session; exec sleep 1000' &
(setsid sh -c 'sh -c "echo \$\$ > daemon; exec sleep 1000" & exit' &)
env -i /usr/bin/setsid /bin/sh -c 'echo $$ > bare; exec /bin/sleep 1000' &
sh -c 'echo $$ > stopped; kill -STOP $$; exec sleep 1000' &
sh -c 'trap "" TERM HUP INT; echo $$ > deaf; while :; do sleep 1000; done' &
for file in plain session daemon bare stopped deaf; do while [ ! -s $file ]; do :; done; done
echo littered
"#;
const KINDS: [&str; 6] = ["plain", "session", "daemon", "bare", "stopped", "deaf"];

fn littering(then: &str) -> Bench {
    Bench::sh(&format!("{LITTER}{then}"))
}

#[track_caller]
fn assert_all_gone(bench: &Bench, litter: &[Identity]) {
    for (kind, identity) in KINDS.iter().zip(litter) {
        assert!(!identity.verify(), "{kind} is alive: {identity:?}");
    }
    bench.assert_nothing_left();
}

#[test]
fn nothing_outlives_the_end_of_its_program() {
    let bench = littering("while [ ! -e go ]; do sleep 0.01; done; exit 3");
    let running = bench.start();
    let litter = KINDS.map(|kind| bench.noted(kind));
    std::fs::write(bench.spec.cwd.join("go"), "").unwrap();
    let exit = over(running.wait(|_| ()));
    assert_eq!((exit.exit_code, exit.killed_by.as_deref()), (Some(3), None));
    assert!(exit.descendants_reaped >= 6, "{exit:?}");
    assert_eq!(exit.unkillable, Vec::<u32>::new());
    assert_all_gone(&bench, &litter);
}

// Invariant I77
#[test]
fn nothing_outlives_a_timeout_and_the_output_stays() {
    let mut bench = littering("trap '' TERM; while :; do sleep 1000; done");
    bench.spec.timeout = Some(Duration::from_secs(2));
    bench.spec.grace = SHORT;
    let running = bench.start();
    let litter = KINDS.map(|kind| bench.noted(kind));
    let exit = over(running.wait(|_| ()));
    assert_eq!((exit.signal, exit.killed_by.as_deref()), (Some(9), Some("timeout")));
    assert_eq!(bench.stdout_text(), "littered\n");
    assert_all_gone(&bench, &litter);
}

#[test]
fn nothing_outlives_a_cancel() {
    let bench = littering("while :; do sleep 1000; done");
    let running = bench.start();
    let litter = KINDS.map(|kind| bench.noted(kind));
    bench.control.cancel();
    let exit = over(running.wait(|_| ()));
    assert_eq!((exit.signal, exit.killed_by.as_deref()), (Some(15), Some("term")));
    assert_all_gone(&bench, &litter);
}

#[test]
fn a_program_may_end_in_order_during_its_grace() {
    let bench = Bench::sh("trap 'echo bye; exit 5' TERM; echo $$ > up; while :; do sleep 0.01; done");
    let running = bench.start();
    bench.noted("up");
    bench.control.cancel();
    let exit = over(running.wait(|_| ()));
    assert_eq!((exit.exit_code, exit.killed_by.as_deref()), (Some(5), Some("term")));
    assert_eq!(bench.stdout_text(), "bye\n");
}

#[test]
fn a_stopped_program_can_be_cancelled() {
    let bench = Bench::sh("echo $$ > up; kill -STOP $$; sleep 1000");
    let running = bench.start();
    let program = bench.noted("up");
    wait_until("the program is stopped", || {
        mozart::process::Stat::read(program.pid).is_some_and(|stat| stat.state == b'T')
    });
    bench.control.cancel();
    assert_eq!(over(running.wait(|_| ())).signal, Some(15));
}

#[test]
fn a_second_request_skips_the_grace() {
    let bench = Bench::sh("trap 'echo heard' TERM; echo $$ > up; while :; do sleep 0.01; done");
    let running = bench.start();
    bench.noted("up");
    bench.control.cancel();
    wait_until("TERM was heard", || bench.stdout() == b"heard\n");
    bench.control.cancel();
    let exit = over(running.wait(|_| ()));
    assert_eq!((exit.signal, exit.killed_by.as_deref()), (Some(9), Some("term")));
}

#[test]
fn a_cancel_before_the_start_prevents_it() {
    let bench = Bench::sh("touch ran");
    bench.control.cancel();
    let error = executor::start(program(), &bench.dir(), &bench.spec, &bench.control).unwrap_err();
    assert!(matches!(error, StartError::Cancelled));
    assert!(!bench.dir().exists());
}

#[test]
fn a_cancel_at_any_moment_of_the_start_leaves_nothing() {
    for _ in 0..20 {
        let bench = Bench::sh("exec sleep 1000");
        let running = bench.start();
        bench.control.cancel();
        match running.wait(|_| ()) {
            End::Over(exit) => assert_eq!(exit.killed_by.as_deref(), Some("term")),
            End::NotStarted { .. } => (),
            End::Lost { left } => panic!("lost: {left:?}"),
        }
        bench.assert_nothing_left();
    }
}

// Invariant I76
#[test]
fn a_grandchild_with_the_output_open_does_not_keep_the_sheet() {
    let bench = Bench::sh("sleep 1000 & echo done");
    let begun = Instant::now();
    let exit = bench.run();
    assert_eq!((exit.exit_code, exit.descendants_reaped), (Some(0), 1));
    assert_eq!(bench.stdout_text(), "done\n");
    assert!(begun.elapsed() < PATIENCE);
}

#[test]
fn who_forks_and_leaves_its_session_again_and_again_is_caught() {
    let bench = Bench::sh("echo 'setsid sh ./chain & exit' > chain; sh ./chain; sh ./chain; exit 0");
    let exit = bench.run();
    assert_eq!(exit.exit_code, Some(0));
    bench.assert_nothing_left();
}

#[test]
fn silence_is_ended() {
    let mut bench = Bench::sh("echo up; exec sleep 1000");
    bench.spec.idle = Some((SHORT, false));
    let exit = bench.run();
    assert_eq!((exit.signal, exit.killed_by.as_deref()), (Some(15), Some("idle")));

    // Sleeping is silence also where CPU time counts.
    let mut bench = Bench::sh("exec sleep 1000");
    bench.spec.idle = Some((4 * SHORT, true));
    assert_eq!(bench.run().killed_by.as_deref(), Some("idle"));
}

#[test]
fn cpu_time_is_not_silence_when_it_counts() {
    let mut bench = Bench::sh("timeout 3 sh -c 'while :; do :; done'; exit 6");
    bench.spec.idle = Some((Duration::from_millis(1500), true));
    let exit = bench.run();
    assert_eq!((exit.exit_code, exit.killed_by), (Some(6), None));
}

#[test]
fn a_killed_guard_is_a_lost_attempt_and_leaves_nothing() {
    let bench = Bench::sh(
        "setsid sh -c 'echo $$ > session; exec sleep 1000' &
         echo $$ > up; exec sleep 1000",
    );
    let mut decoy = Decoy::start(&token());
    let running = bench.start();
    let processes = [bench.noted("up"), bench.noted("session")];
    bench.control.kill();
    let end = running.wait(|_| ());
    assert!(matches!(&end, End::Lost { left } if left.is_empty()), "{end:?}");
    for identity in processes {
        assert!(!identity.verify());
    }
    bench.assert_nothing_left();
    decoy.assert_alive();
    let record = std::fs::read_to_string(bench.dir().join("exit.json")).unwrap();
    assert!(record.starts_with(r#"{"interrupted":"#), "{record}");
}
