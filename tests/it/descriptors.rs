//! A conductor in the background keeps nothing of whoever started it.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::process::{Command, Stdio};

use crate::house::House;

#[test]
fn a_background_conductor_does_not_keep_the_files_of_its_caller() {
    let house = House::new("");
    let start = house.command(&["start"]);
    let lock = house.path("lock-of-the-caller");
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec 9> \"$1\"; shift; exec \"$@\"", "sh"]).arg(&lock);
    shell.arg(start.get_program()).args(start.get_args()).current_dir(house.path(""));
    for (name, value) in start.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    assert!(shell.stdin(Stdio::null()).stdout(Stdio::null()).status().unwrap().success());
    let pid = fs::read_to_string(house.path("pid")).unwrap().trim().to_owned();
    let open: Vec<_> = fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .collect();
    assert!(!open.is_empty() && !open.contains(&lock), "{open:?}");
    assert!(house.mozart(&["stop"]).status.success());
}
