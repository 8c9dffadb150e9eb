//! What supervision costs: one attempt under a guard, beside a bare spawn and wait of the same program.
//! `cargo bench --bench guard`; the guard is the program cargo built, or `MOZART_BIN`.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run has nothing better to do")]

use std::cell::Cell;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use divan::Bencher;
use mozart::executor::{self, Control, End, Spec};
use mozart::ids::Token;

fn main() {
    divan::main();
}

fn guard_program() -> PathBuf {
    std::env::var_os("MOZART_BIN").map_or_else(|| env!("CARGO_BIN_EXE_mozart").into(), PathBuf::from)
}

/// Fork, exec and wait, and nothing else.
#[divan::bench(sample_count = 200, sample_size = 1)]
fn bare_spawn() {
    let status = Command::new("/bin/true").stdin(Stdio::null()).status().unwrap();
    assert!(status.success());
}

/// Directory, lock, guard, program, record, and the wait for all of them.
#[divan::bench(sample_count = 200, sample_size = 1)]
fn one_attempt(bencher: Bencher) {
    let guard = guard_program();
    let dir = tempfile::tempdir().unwrap();
    let number = Cell::new(0_u64);
    bencher.bench_local(|| {
        number.set(number.get() + 1);
        let attempt = dir.path().join(format!("attempt-{}", number.get()));
        let running =
            executor::start(&guard, &attempt, &spec(dir.path(), number.get()), &Control::new()).unwrap();
        match running.wait(|_| ()) {
            End::Over(exit) => assert_eq!(exit.exit_code, Some(0)),
            other => panic!("the attempt did not end by itself: {other:?}"),
        }
    });
}

fn spec(cwd: &std::path::Path, number: u64) -> Spec {
    let mut mark = [0; 16];
    mark[..8].copy_from_slice(&number.to_le_bytes());
    Spec {
        argv: vec!["/bin/true".to_owned()],
        cwd: cwd.to_owned(),
        env: std::env::vars().collect(),
        stdin: executor::Stdin::Null,
        timeout: Some(Duration::from_secs(60)),
        idle: None,
        grace: Duration::from_secs(1),
        output_cap: 1 << 20,
        token: Token::from_bytes(mark),
    }
}
