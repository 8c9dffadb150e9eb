//! What a conductor finds at its start besides jobs: locks, stale files, damaged and newer databases.

use std::fs;
use std::os::unix::net::UnixListener;
use std::process::Command;

use serde_json::Value;

use super::{check_books, score};
use crate::house::House;

fn stderr(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(!output.status.success(), "it started");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_second_conductor_of_the_same_place_is_refused() {
    let house = House::started("");
    let pid = house.pid();
    let text = stderr(&mut house.command(&["start", "--foreground"]));
    assert!(text.contains(&format!("already running (PID {pid})")), "{text}");
    // Another socket and PID file do not help: the state directory is taken.
    let mut elsewhere = house.command(&["start", "--foreground"]);
    elsewhere.env("MOZART_SOCKET", house.path("sock2")).env("MOZART_PID_FILE", house.path("pid2"));
    let text = stderr(&mut elsewhere);
    assert!(text.contains("State directory is in use by another conductor"), "{text}");
    assert!(!house.path("sock2").exists() && !house.path("pid2").exists());
    assert_eq!(house.call("daemon.health", Value::Null)["pid"], pid);
}

#[test]
fn stale_files_do_not_prevent_a_start() {
    let mut house = House::started("");
    house.kill();
    assert!(house.path("pid").exists() && house.path("sock").exists());
    house.start();
    house.kill();
    // A number that now belongs to somebody else, who lives.
    fs::write(house.path("pid"), format!("{}\n", std::process::id())).unwrap();
    house.start();
    house.stop(true);
    assert!(!house.path("pid").exists() && !house.path("sock").exists());
    // A socket that somebody listened on once.
    drop(UnixListener::bind(house.path("sock")).unwrap());
    fs::write(house.path("pid"), "no number\n").unwrap();
    house.start();
}

#[test]
fn a_damaged_database_is_replaced_and_kept() {
    let mut house = House::started("");
    house.submit("job", &score(1, "", "touch running\nuntil [ -e go ]; do sleep 0.01; done"));
    house.wait_file("running");
    house.kill();
    let database = house.path("daemon-state.db");
    for companion in ["-wal", "-shm"] {
        _ = fs::remove_file(house.path(&format!("daemon-state.db{companion}")));
    }
    fs::write(&database, "this is no database, and it is longer than its header would be ".repeat(40))
        .unwrap();
    house.start();
    // Nobody knows this attempt any more, so it is ended.
    house.wait_empty();
    let kept = fs::read_dir(house.path(""))
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains(".corrupt-"))
        .count();
    assert_eq!(kept, 1);
    let reported = house.log().lines().any(|line| line.contains("ERROR") && line.contains(".corrupt-"));
    assert!(reported, "{}", house.log());
    house.touch("go");
    house.submit("job", &score(1, "", "true"));
    house.wait_status("job", "completed");
    check_books(&house, "job");
}

#[test]
fn a_newer_database_is_refused_untouched() {
    let mut house = House::started("");
    house.stop(true);
    let database = house.path("daemon-state.db");
    let db = rusqlite::Connection::open(&database).unwrap();
    db.pragma_update(None, "user_version", 9999).unwrap();
    db.pragma_update(None, "journal_mode", "DELETE").unwrap();
    drop(db);
    let before = fs::read(&database).unwrap();
    let text = stderr(&mut house.command(&["start", "--foreground"]));
    assert!(text.contains("State database is newer than this version"), "{text}");
    assert_eq!(fs::read(&database).unwrap(), before);
    assert!(!house.path("pid").exists() && !house.path("sock").exists());
}

#[test]
fn an_acknowledged_job_is_there_after_a_kill() {
    let mut house = House::started("");
    for round in 0..5 {
        let name = format!("job-{round}");
        house.submit(&name, &score(1, "", "true"));
        house.kill();
        house.start();
        assert_ne!(house.status(&name)["status"], "failed");
    }
    for round in 0..5 {
        house.wait_status(&format!("job-{round}"), "completed");
    }
}
