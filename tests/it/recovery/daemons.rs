//! Programs that leave their session, their group and their parent, and must not be left behind.

use serde_json::json;

use super::score;
use crate::house::{House, Role};
use crate::wait::{wait_for, wait_until};

/// Three ways out: another session, a double fork, and both with an empty environment, which is
/// how daemons escape those who look for marks. Each says that it lives by a growing file.
const ESCAPE: &str = "\
alive() { echo 'trap \"\" TERM HUP; while :; do echo >> '\"$PWD/$1\"'; sleep 0.01; done'; }
setsid bash -c \"$(alive one)\" </dev/null >/dev/null 2>&1 9>&- &
( ( bash -c \"$(alive two)\" </dev/null >/dev/null 2>&1 9>&- & ) & )
( setsid env -i PATH=\"$PATH\" bash -c \"cd /; $(alive three)\" </dev/null >/dev/null 2>&1 9>&- & )
until [ -s one ] && [ -s two ] && [ -s three ]; do sleep 0.01; done
touch escaped";

/// None of the three writes any more. Their processes are not asked: one hides its mark.
#[track_caller]
fn assert_nothing_lives(house: &House) {
    house.wait_empty();
    let sizes = || ["one", "two", "three"].map(|name| house.read(name).len());
    let before = sizes();
    assert!(before.iter().all(|size| *size > 0));
    // Each writes every ten milliseconds while it lives; this is no wait for an event.
    let until = std::time::Instant::now() + std::time::Duration::from_millis(150);
    wait_until("some time", || std::time::Instant::now() >= until);
    assert_eq!(sizes(), before, "somebody still writes");
}

#[test]
fn when_the_sheet_ends() {
    let house = House::started("");
    house.submit("job", &score(1, "", ESCAPE));
    house.wait_status("job", "completed");
    assert_nothing_lives(&house);
}

#[test]
fn when_it_is_cancelled() {
    let house = House::started("");
    let keys = "instrument_config: { kill_grace_seconds: 0.2 }";
    house.submit("job", &score(1, keys, &format!("{ESCAPE}\nuntil [ -e go ]; do sleep 0.01; done")));
    house.wait_file("escaped");
    let answer = house.call("job.cancel", json!({ "job_id": "job" }));
    assert_eq!(answer, json!({ "cancelled": true }));
    house.wait_status("job", "cancelled");
    assert_nothing_lives(&house);
}

#[test]
fn when_it_runs_too_long() {
    let house = House::started("");
    let keys =
        "retry: { max_retries: 0 }\ninstrument_config: { timeout_seconds: 1, kill_grace_seconds: 0.2 }";
    house.submit("job", &score(1, keys, &format!("{ESCAPE}\nuntil [ -e go ]; do sleep 0.01; done")));
    house.wait_status("job", "failed");
    assert_eq!(house.sheet("job", 1)["error_code"], "E001");
    assert_nothing_lives(&house);
}

#[test]
fn when_its_guard_is_killed() {
    let house = House::started("");
    let body = format!("[ -e escaped ] || {{ {ESCAPE}\n}}\nuntil [ -e go ]; do sleep 0.01; done");
    house.submit("job", &score(1, "", &body));
    house.wait_file("escaped");
    let killed = house.kill_where(|role| matches!(role, Role::Guard(_)));
    assert_eq!(killed, 1);
    house.touch("go");
    house.wait_status("job", "completed");
    assert_nothing_lives(&house);
}

#[test]
fn what_the_conductor_brought_along_is_left_alone() {
    let mut house = House::new("");
    let mut shell = house.program("/bin/sh");
    // The shell's child becomes the conductor's, which nobody has told about it.
    shell.args(["-c", "sleep 1000 & echo $! > work/brought; exec \"$0\" start --foreground"]);
    shell.arg(env!("CARGO_BIN_EXE_mozart"));
    house.start_by(shell);
    let brought: u32 = house.read("brought").trim().parse().unwrap();
    let brought = mozart::process::Identity::of(brought).unwrap();
    house.submit("job", &score(1, "", "echo >> runs\nuntil [ -e go ]; do sleep 0.01; done"));
    house.wait_file("runs");
    assert_eq!(house.kill_where(|role| matches!(role, Role::Guard(_))), 1);
    wait_for("the second run", || (house.read("runs").len() == 2).then_some(()));
    assert!(brought.verify(), "it was ended:\n{}", house.log());
    house.touch("go");
    house.wait_status("job", "completed");
}
