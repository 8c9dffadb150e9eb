//! One attempt in a temporary directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mozart::executor::{self, Control, End, Exit, Running, Spec, Stdin};
use mozart::ids::Token;
use mozart::process::Identity;
use tempfile::TempDir;

use crate::wait::wait_for;

pub(super) const HOUR: Duration = Duration::from_secs(3600);

pub(super) fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_mozart"))
}

pub(super) fn token() -> Token {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&std::process::id().to_le_bytes());
    bytes[4..12].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_le_bytes());
    let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().subsec_nanos();
    bytes[12..].copy_from_slice(&nanos.to_le_bytes());
    Token::from_bytes(bytes)
}

/// An attempt that is about to run: `work` is its working directory, `dir` its attempt directory.
pub(super) struct Bench {
    pub(super) root: TempDir,
    pub(super) spec: Spec,
    pub(super) control: Control,
}

impl Bench {
    pub(super) fn sh(script: &str) -> Self {
        Self::argv(&["/bin/sh", "-c", script])
    }

    pub(super) fn argv(argv: &[&str]) -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("work")).unwrap();
        let spec = Spec {
            argv: argv.iter().map(|&word| word.to_owned()).collect(),
            cwd: root.path().join("work"),
            env: vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())],
            stdin: Stdin::Null,
            timeout: Some(HOUR),
            idle: None,
            grace: HOUR,
            output_cap: 1 << 20,
            token: token(),
        };
        Self { root, spec, control: Control::new() }
    }

    pub(super) fn dir(&self) -> PathBuf {
        self.root.path().join("state/jobs/a/sheet-1/attempt-1")
    }

    pub(super) fn start(&self) -> Running {
        executor::start(program(), &self.dir(), &self.spec, &self.control).unwrap()
    }

    /// Runs to the end, which must have a record.
    pub(super) fn run(&self) -> Exit {
        over(self.start().wait(|_| ()))
    }

    pub(super) fn stdout(&self) -> Vec<u8> {
        fs::read(executor::stdout_log(&self.dir())).unwrap_or_default()
    }

    pub(super) fn stdout_text(&self) -> String {
        String::from_utf8(self.stdout()).unwrap()
    }

    /// The process whose pid the script writes into this file of its working directory.
    pub(super) fn noted(&self, file: &str) -> Identity {
        noted(&self.spec.cwd.join(file))
    }

    /// Nothing that carries the token is alive.
    #[track_caller]
    pub(super) fn assert_nothing_left(&self) {
        assert_eq!(marked(&self.spec.token), Vec::<u32>::new());
    }
}

#[track_caller]
pub(super) fn over(end: End) -> Exit {
    match end {
        End::Over(exit) => exit,
        other => panic!("no record: {other:?}"),
    }
}

/// Waits for a pid in a file. The process must exist.
#[track_caller]
pub(super) fn noted(path: &Path) -> Identity {
    let read = || fs::read_to_string(path).ok()?.strip_suffix('\n')?.trim().parse::<u32>().ok();
    let pid = wait_for("a pid in a file", read);
    Identity::of(pid).unwrap_or_else(|| panic!("{pid} of {} is not there", path.display()))
}

/// Living processes with the token in their environment.
pub(super) fn marked(token: &Token) -> Vec<u32> {
    let mark = format!("MOZART_SHEET_TOKEN={token}");
    let has_mark = |pid: u32| {
        fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|environ| environ.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes()))
    };
    let alive = mozart::process::list().into_iter().filter(|stat| !stat.is_dead());
    alive.map(|stat| stat.pid).filter(|&pid| has_mark(pid)).collect()
}

/// A process of ours that is none of Mozart's business. Killed and reaped when dropped.
pub(super) struct Decoy(Child);

impl Decoy {
    pub(super) fn start(token: &Token) -> Self {
        let mut command = Command::new("/bin/sleep");
        Self(command.arg("1000").env("MOZART_SHEET_TOKEN", token.as_str()).spawn().unwrap())
    }

    pub(super) fn pid(&self) -> u32 {
        self.0.id()
    }

    #[track_caller]
    pub(super) fn assert_alive(&mut self) {
        assert_eq!(self.0.try_wait().unwrap(), None, "the decoy was ended");
    }
}

impl Drop for Decoy {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// Runs one test function of this binary as a process of its own, in a role.
pub(super) fn in_role(test: &str, role: &str, root: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env("MOZART_TEST_ROLE", role)
        .env("MOZART_TEST_ROOT", root)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap()
}

/// The role and the directory of this process; `None` in an ordinary test run.
pub(super) fn role() -> Option<(String, PathBuf)> {
    Some((std::env::var("MOZART_TEST_ROLE").ok()?, std::env::var("MOZART_TEST_ROOT").ok()?.into()))
}
