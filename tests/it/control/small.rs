//! Small things that once were wrong.

use std::io::Write;
use std::process::{Command, Stdio};

use nix::sys::stat::Mode;
use serde_json::json;

use super::{failed, said};
use crate::band::{Band, ONE};
use crate::house::House;

#[test]
fn help_explains_a_command() {
    let house = House::new("");
    let text = said(&house, &["help", "modify"]);
    assert!(text.contains("Usage: mozart modify"), "{text}");
    assert!(said(&house, &["help"]).contains("Conductor:\n"));
    assert_eq!(failed(&house, &["help", "no-such-command"]).0, 2);
}

#[test]
fn a_score_is_not_read_from_a_pipe_without_end() {
    let house = House::new("");
    let pipe = house.path("pipe.yaml");
    nix::unistd::mkfifo(&pipe, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    for command in ["validate", "run", "render"] {
        let (exit, error) = failed(&house, &[command, pipe.to_str().unwrap()]);
        assert_eq!(exit, 2, "{command}: {error}");
        assert!(error.contains("pipe.yaml is not a regular file"), "{command}: {error}");
    }
    let mut child = house
        .command(&["validate", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let score = format!("name: x\nworkspace: {}\ninstrument: cli\n{ONE}", house.work("x").display());
    child.stdin.take().unwrap().write_all(score.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_number_that_another_program_has_now_is_called_so() {
    let house = House::new("");
    let mut other = Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().unwrap();
    std::fs::write(house.path("pid"), format!("{}\n", other.id())).unwrap();
    let output = house.mozart(&["start"]);
    other.kill().unwrap();
    other.wait().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{error}");
    let stopped = house.mozart(&["stop", "--yes", "--wait", "30"]);
    assert!(error.contains(&format!("PID {} now belongs to another program", other.id())), "{error}");
    assert!(stopped.status.success());
}

#[test]
fn a_line_may_begin_with_one_mark_but_not_with_two() {
    use std::io::{BufRead, BufReader};
    let house = House::started("");
    let ask = |line: &str| {
        let mut socket = std::os::unix::net::UnixStream::connect(house.path("sock")).unwrap();
        socket.write_all(line.as_bytes()).unwrap();
        let mut answer = String::new();
        BufReader::new(socket).read_line(&mut answer).unwrap();
        answer
    };
    let request = "{\"jsonrpc\":\"2.0\",\"method\":\"rpc.discover\",\"id\":1}\n";
    assert!(ask(&format!("\u{feff}{request}")).contains("\"result\""));
    assert!(ask(&format!("\u{feff}\u{feff}{request}")).contains("-32700"));
}

#[test]
fn priorities_go_from_one_to_ten() {
    let mut house = House::new("");
    house.agent("good", ":\n", "");
    house.start();
    for (priority, fine) in [(0, true), (1, true), (10, true), (11, false)] {
        house.score("job", &format!("instrument: good\n{ONE}"));
        let params = json!({ "config_path": house.path("job.yaml"), "priority": priority, "dry_run": true });
        assert_eq!(house.try_call("job.submit", params).is_ok(), fine, "{priority}");
    }
}

#[test]
fn the_log_of_an_earlier_conductor_is_called_so() {
    let mut house = House::new("");
    std::fs::write(house.path("mozart.log"), "{\"ts\":1.0,\"level\":\"info\",\"event\":\"old\"}\n").unwrap();
    let past = std::time::SystemTime::now() - std::time::Duration::from_secs(7200);
    std::fs::File::options().write(true).open(house.path("mozart.log")).unwrap().set_modified(past).unwrap();
    let without = house.mozart(&["logs"]);
    assert!(without.stderr.is_empty(), "{}", String::from_utf8_lossy(&without.stderr));
    house.start();
    let output = house.mozart(&["logs"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("was written by an earlier conductor"), "{error}");
}

#[test]
fn a_status_names_the_movements() {
    let house = House::started("");
    let text = "instrument: cli\nmovements: {1: {name: Survey}, 2: {voices: 2}}\nsheet: {size: 1, total_items: 2}\nprompt: \
                {template: \"true\"}\n";
    house.play_out("named", text, "completed");
    let told = said(&house, &["status", "named"]);
    let line = |number: &str, end: &str| {
        told.lines().any(|line| line.trim_start().starts_with(number) && line.trim_end().ends_with(end))
    };
    assert!(told.contains("Survey") && line("1 ", "1/1") && line("2 ", "2/2"), "{told}");
    house.play_out("nameless", &format!("instrument: cli\n{}", ONE.replace("work", "\"true\"")), "completed");
    assert!(!said(&house, &["status", "nameless"]).contains("Movement"));
}
