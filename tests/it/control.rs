//! Commands that change a job or look back at it, against the real program in each state of a job.

#![allow(clippy::unwrap_used)]

mod decisions;
mod limits;
mod modify;
mod output;
mod reports;
mod small;
mod wire;

use std::process::{Output, Stdio};

use serde_json::Value;

use crate::house::House;

/// Standard output of a command that must succeed.
#[track_caller]
fn said(house: &House, args: &[&str]) -> String {
    // Plain marks, whatever the surroundings of the test are.
    let output = house.command(args).env("LC_ALL", "C").stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", both(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Exit status and standard error of a command that must fail.
#[track_caller]
fn failed(house: &House, args: &[&str]) -> (i32, String) {
    let output = house.mozart(args);
    assert!(!output.status.success(), "{args:?}: {}", both(&output));
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// The one document of a command with `--json`.
#[track_caller]
fn document(house: &House, args: &[&str]) -> Value {
    let output = house.mozart(&[args, &["--json"]].concat());
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{args:?}: {error}: {}", both(&output)))
}

fn both(output: &Output) -> String {
    format!(
        "{} {}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
