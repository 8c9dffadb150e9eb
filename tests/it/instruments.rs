//! `mozart instruments`: what there is, what would be executed, and probing a program.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::house::House;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// An instrument whose program is a script.
fn instrument(house: &House, folder: &str, name: &str, script: &str) {
    let folder = house.path(folder);
    fs::create_dir_all(&folder).unwrap();
    let program = house.path(&format!("{name}-program"));
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let profile = format!(
        "name: {name}\ndisplay_name: The {name}\nkind: cli\ndefault_model: big\nmodels:\n  - {{name: big, \
         context_window: 1000, cost_per_1k_input: 0.5, cost_per_1k_output: 1}}\ncli:\n  command:\n    executable: {}\n    \
         model_flag: --model\n    required_env: [SECRET_OF_TEST, OTHER_OF_TEST]\n  output: {{}}\n",
        program.display()
    );
    fs::write(folder.join(format!("{name}.yaml")), profile).unwrap();
}

fn mozart(house: &House, args: &[&str]) -> Output {
    house.command(args).env("SECRET_OF_TEST", "hush").env_remove("OTHER_OF_TEST").output().unwrap()
}

#[test]
fn all_instruments_are_listed_with_their_source() {
    let house = House::new("");
    instrument(&house, "instruments", "mine", "exit 0");
    instrument(&house, ".mozart/instruments", "ours", "exit 0");
    fs::write(house.path("instruments/broken.yaml"), "name: broken\n").unwrap();
    let listed = mozart(&house, &["instruments"]);
    assert!(listed.status.success());
    let out = text(&listed.stdout);
    let line = |name: &str| {
        out.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}\n{out}"))
    };
    assert!(line("cli ").contains("ready") && line("cli ").contains("built-in"), "{out}");
    assert!(line("mine ").contains("instruments/mine.yaml") && line("mine ").contains("big"), "{out}");
    assert!(line("ours ").contains(".mozart/instruments/ours.yaml"), "{out}");
    assert!(out.trim_end().lines().last().unwrap().starts_with("14 instruments configured ("), "{out}");
    assert!(text(&listed.stderr).contains("broken.yaml: profile skipped: "), "{}", text(&listed.stderr));

    let broken = text(&mozart(&house, &["instruments", "check", "broken"]).stderr);
    assert!(broken.contains("The profile of instrument 'broken' is broken: "), "{broken}");
    assert!(broken.contains("instruments/broken.yaml, then check again"), "{broken}");

    let rows: Value =
        serde_json::from_slice(&mozart(&house, &["instruments", "list", "--json"]).stdout).unwrap();
    let mine = rows.as_array().unwrap().iter().find(|row| row["name"] == "mine").unwrap();
    assert_eq!(
        (&mine["status"], &mine["ready"], &mine["kind"]),
        (&"ready".into(), &true.into(), &"cli".into())
    );
    let names = text(&mozart(&house, &["instruments", "--quiet"]).stdout);
    assert_eq!(names.lines().count(), 14);
}

#[test]
fn one_instrument_is_shown_with_what_would_be_executed() {
    let house = House::new("");
    instrument(&house, "instruments", "mine", "echo 'mine 1.2.3'");
    let shown = mozart(&house, &["instruments", "check", "mine", "--probe"]);
    let out = text(&shown.stdout);
    assert!(shown.status.success(), "{out}{}", text(&shown.stderr));
    for part in [
        "mine-program --model big\n",
        "mine 1.2.3",
        "SECRET_OF_TEST (set)",
        "OTHER_OF_TEST (not set)",
        "mine is ready.",
    ] {
        assert!(out.contains(part), "{part} is missing in\n{out}");
    }
    assert!(!out.contains("hush"), "{out}");
    let document: Value = serde_json::from_slice(
        &mozart(&house, &["instruments", "check", "mine", "--json", "--probe"]).stdout,
    )
    .unwrap();
    assert_eq!(document["probe"]["version"], "mine 1.2.3");
    assert_eq!(document["argv"][1], "--model");
    assert_eq!(document["required_env"]["OTHER_OF_TEST"], false);
    assert!(!document.to_string().contains("hush"));
}

#[test]
fn what_is_not_ready_says_why() {
    let house = House::new("");
    instrument(&house, "instruments", "gone", "exit 0");
    fs::remove_file(house.path("gone-program")).unwrap();
    let shown = mozart(&house, &["instruments", "check", "gone"]);
    assert_eq!(shown.status.code(), Some(1));
    let told = text(&shown.stderr);
    assert!(told.starts_with("Error: gone is not ready.\n") && told.contains("gone-program"), "{told}");
    let unknown = mozart(&house, &["instruments", "check", "nope"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert_eq!(
        text(&unknown.stderr),
        "Error: Unknown instrument: 'nope'\nRun 'mozart instruments list' to see available instruments\n"
    );
    let slip = mozart(&house, &["instruments", "check", "gemini-cil"]);
    assert!(text(&slip.stderr).contains("Did you mean 'gemini-cli'?"), "{}", text(&slip.stderr));
    instrument(&house, "instruments", "sulks", "echo no >&2; exit 3");
    let probed = mozart(&house, &["instruments", "check", "sulks", "--probe"]);
    assert_eq!(probed.status.code(), Some(1));
    assert!(
        text(&probed.stdout).contains("--version ended with exit code 3: no"),
        "{}",
        text(&probed.stdout)
    );
}

/// A program that leaves something behind: nothing of it outlives the probe.
#[test]
fn a_probe_leaves_nothing_behind() {
    let house = House::new("");
    let pid = house.path("left");
    let script = format!("sleep 600 >/dev/null 2>&1 & echo $! > {}; echo 'fork 1'", pid.display());
    instrument(&house, "instruments", "forks", &script);
    let probed = mozart(&house, &["instruments", "check", "forks", "--probe"]);
    assert!(probed.status.success(), "{}", text(&probed.stderr));
    let left = fs::read_to_string(&pid).unwrap();
    let status = Path::new("/proc").join(left.trim()).join("status");
    let alive = fs::read_to_string(status).is_ok_and(|text| !text.contains("State:\tZ"));
    assert!(!alive, "{left} is still there");
}
