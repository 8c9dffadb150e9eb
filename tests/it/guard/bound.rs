//! Bound guards: commands that end with their conductor.

use std::fs;
use std::path::Path;
use std::time::Duration;

use mozart::executor::{BOUND_OUTPUT, BoundEnd, BoundSpec, Control, bound};

use super::support::{HOUR, in_role, marked, noted, program, role, token};
use crate::wait::wait_until;

fn spec(script: &str, cwd: &Path) -> BoundSpec {
    BoundSpec {
        argv: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
        cwd: cwd.to_owned(),
        env: vec![("PATH".into(), "/usr/bin:/bin".into())],
        token: Some(token()),
        timeout: Some(HOUR),
        grace: HOUR,
        output_cap: BOUND_OUTPUT,
        log: None,
    }
}

fn run(script: &str) -> BoundEnd {
    let dir = tempfile::tempdir().unwrap();
    bound(program(), &spec(script, dir.path()), &Control::new())
}

#[test]
fn both_streams_come_back_in_the_order_of_writing() {
    let end = run("echo one; echo two >&2; echo three; exit 3");
    assert_eq!(end.exit_code, Some(3));
    assert_eq!(String::from_utf8_lossy(&end.output), "one\ntwo\nthree\n");
    assert_eq!((end.total_bytes, end.timed_out, end.cancelled, end.lost), (14, false, false, false));
}

#[test]
fn of_much_output_the_beginning_and_the_end_come_back_and_all_of_it_is_in_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("hook.log");
    let mut spec = spec("echo begin; head -c 1000000 /dev/zero; echo end", dir.path());
    spec.log = Some(log.clone());
    let end = bound(program(), &spec, &Control::new());
    assert_eq!(end.total_bytes, 1_000_010);
    assert!(end.output.starts_with(b"begin\n") && end.output.ends_with(b"\0end\n"));
    let marker = format!("\n[mozart: {} bytes left out]\n", 1_000_010 - BOUND_OUTPUT);
    assert_eq!(end.output.len(), BOUND_OUTPUT + marker.len());
    assert_eq!(fs::metadata(log).unwrap().len(), 1_000_010);
}

#[test]
fn errors_and_limits_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let mut missing = spec("", dir.path());
    missing.argv = vec!["/nonexistent/tool".into()];
    let end = bound(program(), &missing, &Control::new());
    assert_eq!(end.spawn_error.unwrap().errno, 2);

    let end = bound(Path::new("/nonexistent/mozart"), &spec("exit 0", dir.path()), &Control::new());
    assert_eq!(end.spawn_error.unwrap().call, "start guard");

    let mut slow = spec("sleep 1000 & setsid sleep 1000 & echo up; wait", dir.path());
    slow.timeout = Some(Duration::from_millis(300));
    let end = bound(program(), &slow, &Control::new());
    assert_eq!((end.timed_out, end.signal, end.output.as_slice()), (true, Some(15), &b"up\n"[..]));
    assert_eq!(marked(slow.token.as_ref().unwrap()), Vec::<u32>::new());

    let control = Control::new();
    control.cancel();
    assert!(bound(program(), &spec("touch ran", dir.path()), &control).cancelled);
    assert!(!dir.path().join("ran").exists());
}

#[test]
fn a_running_command_can_be_cancelled_or_its_guard_killed() {
    for kill in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let control = Control::new();
        let spec = spec("setsid sleep 1000 & echo $$ > up; exec sleep 1000", dir.path());
        let end = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| bound(program(), &spec, &control));
            noted(&dir.path().join("up"));
            if kill {
                control.kill()
            } else {
                control.cancel()
            }
            waiting.join().unwrap()
        });
        assert_eq!((end.cancelled, end.lost), (true, kill));
        assert_eq!(marked(spec.token.as_ref().unwrap()), Vec::<u32>::new());
    }
}

/// Runs a long command when it is started in that role, and nothing in an ordinary test run.
#[test]
fn conductor() {
    let Some((role, root)) = role() else { return };
    assert_eq!(role, "bound");
    let script = "setsid sh -c 'echo $$ > session; exec sleep 1000' & echo $$ > up; exec sleep 1000";
    _ = bound(program(), &spec(script, &root), &Control::new());
}

#[test]
fn a_command_does_not_outlive_its_conductor() {
    let dir = tempfile::tempdir().unwrap();
    let mut conductor = in_role("guard::bound::conductor", "bound", dir.path());
    let processes = [noted(&dir.path().join("up")), noted(&dir.path().join("session"))];
    conductor.kill().unwrap();
    conductor.wait().unwrap();
    for identity in processes {
        wait_until("the command is gone", || !identity.verify());
    }
}
