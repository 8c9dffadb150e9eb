//! Starting: results, errors, and what the program sees.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use mozart::executor::{self, End, StartError, Stdin};

use super::support::{Bench, program};

#[test]
fn an_exit_code_or_a_signal_is_the_result() {
    for (script, code, signal) in [
        ("exit 0", Some(0), None),
        ("exit 7", Some(7), None),
        ("kill -TERM $$", None, Some(15)),
        ("kill -KILL $$", None, Some(9)),
        // A real-time signal has no name.
        ("kill -35 $$", None, Some(35)),
    ] {
        let bench = Bench::sh(script);
        let mut pid = 0;
        let End::Over(exit) = bench.start().wait(|spawned| pid = spawned) else {
            panic!("{script}: no record")
        };
        assert_eq!((exit.exit_code, exit.signal), (code, signal), "{script}");
        assert_eq!((exit.spawn_error, exit.killed_by), (None, None), "{script}");
        assert!(pid > 1 && exit.ended >= exit.started);
    }
}

#[test]
fn an_attempt_is_few_files_and_only_its_owner_can_read_them() {
    let bench = Bench::sh("echo hello");
    bench.run();
    let mut names = Vec::new();
    for entry in fs::read_dir(bench.dir()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{entry:?}");
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["exit.json", "lock", "spec.json", "stdout.log"]);
    assert_eq!(fs::metadata(bench.dir()).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_program_that_cannot_be_started_is_a_record_with_call_and_errno() {
    let bench = Bench::argv(&["/nonexistent/tool", "x"]);
    let error = bench.run().spawn_error.unwrap();
    assert_eq!((error.call.as_str(), error.errno), ("exec", 2));
    assert_eq!(error.message, "cannot exec `/nonexistent/tool`: No such file or directory (os error 2)");

    let bench = Bench::argv(&["/etc/passwd"]);
    let error = bench.run().spawn_error.unwrap();
    assert_eq!((error.call.as_str(), error.errno), ("exec", 13));

    let mut bench = Bench::sh("exit 0");
    bench.spec.cwd = "/nonexistent".into();
    let error = bench.run().spawn_error.unwrap();
    assert_eq!((error.call.as_str(), error.errno), ("chdir", 2));

    let bench = Bench::argv(&["/bin/echo", "a\0b"]);
    assert_eq!(bench.run().spawn_error.unwrap().errno, 22);
}

#[test]
fn a_directory_that_cannot_be_made_starts_nothing() {
    let bench = Bench::sh("touch ran");
    fs::write(bench.root.path().join("state"), "in the way").unwrap();
    let error = executor::start(program(), &bench.dir(), &bench.spec, &bench.control).unwrap_err();
    assert!(matches!(error, StartError::Directory { .. }), "{error:?}");
    assert!(!bench.spec.cwd.join("ran").exists());
}

#[test]
fn no_attempt_runs_in_the_directory_of_another() {
    let bench = Bench::sh("echo run >> runs");
    bench.run();
    let error = executor::start(program(), &bench.dir(), &bench.spec, &bench.control).unwrap_err();
    assert!(matches!(error, StartError::Directory { call: "create", .. }), "{error:?}");
    assert_eq!(fs::read_to_string(bench.spec.cwd.join("runs")).unwrap(), "run\n");
}

#[test]
fn a_guard_program_that_is_missing_is_named() {
    let bench = Bench::sh("exit 0");
    let missing = std::path::Path::new("/nonexistent/mozart");
    let error = executor::start(missing, &bench.dir(), &bench.spec, &bench.control).unwrap_err();
    assert_eq!(error.to_string(), "cannot start the guard program `/nonexistent/mozart`");
}

#[test]
fn a_guard_without_its_lock_starts_nothing() {
    let bench = Bench::sh("echo run >> runs");
    bench.run();
    let lock = fs::File::options().read(true).write(true).open(bench.dir().join("lock")).unwrap();
    for (stdin, why) in [
        (std::process::Stdio::null(), "standard input is not the lock file"),
        (lock.into(), "the attempt is already over"),
    ] {
        let mut command = std::process::Command::new(program());
        let output = command.arg("__guard").arg(bench.dir()).stdin(stdin).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.starts_with("error ") && said.contains(why), "{said}");
        assert_eq!(output.status.code(), Some(1));
    }
    assert_eq!(fs::read_to_string(bench.spec.cwd.join("runs")).unwrap(), "run\n");
}

#[test]
fn the_program_has_three_descriptors_and_none_of_them_is_the_lock() {
    // Something that this process, the conductor of the test, got from its own parent.
    let inherited = fs::File::open("/dev/null").unwrap();
    nix::fcntl::fcntl(&inherited, nix::fcntl::F_SETFD(nix::fcntl::FdFlag::empty())).unwrap();
    let bench = Bench::sh("ls /proc/$$/fd; readlink /proc/$$/fd/0; pwd");
    bench.run();
    let cwd = bench.spec.cwd.display().to_string();
    assert_eq!(bench.stdout_text(), format!("0\n1\n2\n/dev/null\n{cwd}\n"));
}

#[test]
fn the_program_has_an_empty_mask_and_default_handlers() {
    let bench = Bench::argv(&["/bin/cat", "/proc/self/status"]);
    bench.run();
    let text = bench.stdout_text();
    let mask = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        u64::from_str_radix(line.trim(), 16).unwrap()
    };
    assert_eq!(mask("SigBlk:"), 0);
    // INT, PIPE, TERM and CHLD.
    assert_eq!(mask("SigIgn:") & ((1 << 1) | (1 << 12) | (1 << 14) | (1 << 16)), 0);
}

#[test]
fn the_environment_is_exactly_what_was_ordered_and_not_on_disk() {
    let mut bench = Bench::argv(&["/usr/bin/env"]);
    bench.spec.env = vec![("B".into(), "secret value".into()), ("A".into(), "1".into())];
    bench.run();
    let text = bench.stdout_text();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    let token = format!("MOZART_SHEET_TOKEN={}", bench.spec.token);
    assert_eq!(lines, ["A=1", "B=secret value", &token]);
    let orders = fs::read_to_string(bench.dir().join("spec.json")).unwrap();
    assert!(orders.contains(r#""env":["B","A"]"#) && !orders.contains("secret"), "{orders}");
}

#[test]
fn the_program_is_in_its_own_group_and_session() {
    let bench = Bench::argv(&["/bin/cat", "/proc/self/stat"]);
    let mut pid = 0;
    let running = bench.start();
    let guard = running.guard_pid();
    running.wait(|spawned| pid = spawned);
    let text = bench.stdout_text();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap().split_whitespace().collect();
    assert_eq!(fields[1..4], [guard.to_string(), pid.to_string(), guard.to_string()]);
}

#[test]
fn standard_input_is_the_prompt() {
    let mut bench = Bench::argv(&["/bin/cat"]);
    bench.spec.stdin = Stdin::Prompt(b"do it\n".to_vec());
    bench.run();
    assert_eq!(bench.stdout(), b"do it\n");
}

#[test]
fn usage_is_measured() {
    let bench = Bench::sh("i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done");
    let exit = bench.run();
    assert!(exit.cpu_user_ms + exit.cpu_system_ms > 0 && exit.max_rss_kib > 100, "{exit:?}");
}
