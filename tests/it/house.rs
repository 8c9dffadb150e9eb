//! A conductor of its own: the real program, in a directory of its own, with nothing of it left
//! when the test is over.
//!
//! Everything that a house starts inherits `MOZART_HOME`, which is a directory that exists once:
//! that is how its processes are found, whoever started them and whoever is their parent.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use mozart::client::{CONNECT_TIMEOUT, Client, ClientError};
use mozart::process::{self, Identity};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::wait::{PATIENCE, wait_for, wait_until};

/// A directory with settings, a socket, a state directory and a workspace, and its conductor.
pub(crate) struct House {
    root: TempDir,
    conductor: Option<Child>,
}

/// A process of a house.
#[derive(Debug, Clone)]
pub(crate) struct Resident {
    pub(crate) identity: Identity,
    pub(crate) role: Role,
}

/// What a process of a house is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Role {
    Conductor,
    /// The guard of the attempt in this directory.
    Guard(PathBuf),
    /// The guard of a command of the conductor's own.
    BoundGuard,
    /// Anything else: the program of a sheet, a validation command, what they started.
    Program,
}

impl House {
    /// A house whose conductor has these settings (YAML, "" = defaults). Nothing is started.
    pub(crate) fn new(settings: &str) -> Self {
        let root = tempfile::Builder::new().prefix("mz-house-").tempdir().unwrap();
        fs::create_dir(root.path().join("work")).unwrap();
        let house = Self { root, conductor: None };
        house.settings(settings);
        house
    }

    /// As [`Self::new`], with the conductor started.
    pub(crate) fn started(settings: &str) -> Self {
        let mut house = Self::new(settings);
        house.start();
        house
    }

    /// Replaces the settings; they count from the next start on.
    pub(crate) fn settings(&self, settings: &str) {
        fs::write(self.path("conductor.yaml"), settings).unwrap();
    }

    /// A path in the house.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// A path in the workspace that [`Self::submit`] puts into scores.
    pub(crate) fn work(&self, name: &str) -> PathBuf {
        self.path("work").join(name)
    }

    /// The text of a file in the workspace; "" when there is none.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.work(name)).unwrap_or_default()
    }

    /// What the conductors of this house have logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("conductor.log")).unwrap_or_default()
    }

    /// The program, about this house.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.program(env!("CARGO_BIN_EXE_mozart"));
        command.args(args);
        command
    }

    /// Runs the program to its end.
    pub(crate) fn mozart(&self, args: &[&str]) -> Output {
        self.command(args).stdin(Stdio::null()).output().unwrap()
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.path("sock"), CONNECT_TIMEOUT).unwrap()
    }

    /// The status word of a job, as people see it: also `pausing`, `cancelling`, `failing`.
    #[track_caller]
    pub(crate) fn word(&self, job: &str) -> String {
        self.status(job)["display_status"].as_str().unwrap_or("").to_owned()
    }

    /// Any program, with the surroundings of this house.
    pub(crate) fn program(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.root.path())
            .env_remove("MOZART_CONFIG")
            .env_remove("MOZART_CLONE")
            .env("MOZART_HOME", self.root.path())
            .env("MOZART_SOCKET", self.path("sock"))
            .env("MOZART_PID_FILE", self.path("pid"));
        command
    }

    /// Starts the conductor and waits until it answers.
    pub(crate) fn start(&mut self) {
        self.start_by(self.command(&["start", "--foreground"]));
    }

    /// As [`Self::start`], by a command that becomes the conductor.
    pub(crate) fn start_by(&mut self, mut command: Command) {
        assert!(self.conductor.is_none(), "it runs already");
        let log = File::options().create(true).append(true).open(self.path("conductor.log")).unwrap();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let pid = child.id();
        self.conductor = Some(child);
        let until = Instant::now() + PATIENCE;
        while !self.answers(pid) {
            let ended = self.conductor.as_mut().and_then(|child| child.try_wait().unwrap());
            assert!(ended.is_none() && Instant::now() < until, "no conductor ({ended:?}):\n{}", self.log());
            std::thread::park_timeout(Duration::from_millis(3));
        }
    }

    fn answers(&self, pid: u32) -> bool {
        let Ok(mut client) = Client::connect(self.path("sock"), CONNECT_TIMEOUT) else { return false };
        client.call("daemon.health", Value::Null).is_ok_and(|health| health["pid"] == pid)
    }

    /// Pid of the conductor.
    #[track_caller]
    pub(crate) fn pid(&self) -> u32 {
        self.conductor.as_ref().expect("the conductor of this house runs").id()
    }

    /// Calls a method on a connection of its own.
    pub(crate) fn try_call(&self, method: &str, params: Value) -> Result<Value, ClientError> {
        Client::connect(self.path("sock"), CONNECT_TIMEOUT)?.call(method, params)
    }

    #[track_caller]
    pub(crate) fn call(&self, method: &str, params: Value) -> Value {
        self.try_call(method, params).unwrap_or_else(|error| panic!("{method}: {error}\n{}", self.log()))
    }

    /// Submits a score under this name. Name, workspace and instrument are put before its text.
    #[track_caller]
    pub(crate) fn submit(&self, name: &str, score: &str) {
        let path = self.path(&format!("{name}.yaml"));
        let work = self.path("work");
        let text = format!("name: {name}\nworkspace: {}\ninstrument: cli\n{score}", work.display());
        fs::write(&path, text).unwrap();
        let answer = self.call("job.submit", json!({ "config_path": path }));
        assert_eq!(answer["status"], "accepted", "{answer}");
    }

    /// The checkpoint of a job.
    #[track_caller]
    pub(crate) fn status(&self, job: &str) -> Value {
        self.call("job.status", json!({ "job_id": job }))
    }

    /// One sheet of a job.
    #[track_caller]
    pub(crate) fn sheet(&self, job: &str, num: u32) -> Value {
        self.status(job)["sheets"][num.to_string()].clone()
    }

    /// Waits until people see this status word. Returns the checkpoint.
    #[track_caller]
    pub(crate) fn wait_status(&self, job: &str, word: &str) -> Value {
        self.wait_job(job, &format!("to be {word}"), |status| status["display_status"] == word)
    }

    /// Waits until a sheet is in this state.
    #[track_caller]
    pub(crate) fn wait_sheet(&self, job: &str, num: u32, state: &str) -> Value {
        let num = num.to_string();
        self.wait_job(job, &format!("to have sheet {num} {state}"), |status| {
            status["sheets"][&num]["status"] == state
        })
    }

    #[track_caller]
    fn wait_job(&self, job: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let status = self.status(job);
            if holds(&status) {
                return status;
            }
            assert!(Instant::now() < until, "waited in vain for {job} {what}: {status:#}\n{}", self.log());
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// Waits for a file in the workspace.
    #[track_caller]
    pub(crate) fn wait_file(&self, name: &str) {
        wait_until(&format!("{name} in the workspace"), || self.work(name).exists());
    }

    /// Puts an empty file into the workspace, for which a program of a score waits.
    pub(crate) fn touch(&self, name: &str) {
        fs::write(self.work(name), "").unwrap();
    }

    /// `kill -9` of the conductor.
    pub(crate) fn kill(&mut self) {
        let mut child = self.conductor.take().expect("the conductor of this house runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Stops the conductor where it is (SIGSTOP), until it is killed.
    pub(crate) fn freeze(&self) {
        let conductor = Identity::of(self.pid()).unwrap();
        assert!(conductor.signal(Signal::SIGSTOP));
    }

    /// Forgets a conductor that was killed or stopped by other means, and waits for its end.
    pub(crate) fn await_end(&mut self) {
        let mut child = self.conductor.take().expect("the conductor of this house runs");
        wait_for("the end of the conductor", || child.try_wait().unwrap());
    }

    /// Asks the conductor to stop and waits until it has.
    pub(crate) fn stop(&mut self, graceful: bool) {
        self.call("daemon.shutdown", json!({ "graceful": graceful }));
        self.await_end();
    }

    /// Everything alive that belongs to this house.
    pub(crate) fn residents(&self) -> Vec<Resident> {
        let mark = format!("MOZART_HOME={}", self.root.path().display());
        let alive = process::list().into_iter().filter(|stat| !stat.is_dead());
        alive.filter_map(|stat| resident(stat.pid, &mark)).collect()
    }

    /// Everything alive of this house but its conductor.
    pub(crate) fn attempts(&self) -> Vec<Resident> {
        let mut residents = self.residents();
        residents.retain(|resident| resident.role != Role::Conductor);
        residents
    }

    /// Waits until nothing but the conductor is alive.
    #[track_caller]
    pub(crate) fn wait_empty(&self) {
        let until = Instant::now() + PATIENCE;
        loop {
            let left = self.attempts();
            if left.is_empty() {
                return;
            }
            assert!(Instant::now() < until, "left behind: {left:#?}\n{}", self.log());
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// `kill -9` of every process for which `chosen` says so. Returns how many there were.
    pub(crate) fn kill_where(&self, chosen: impl Fn(&Role) -> bool) -> usize {
        let residents = self.residents();
        let chosen = residents.iter().filter(|resident| chosen(&resident.role));
        chosen
            .map(|resident| resident.identity.signal(Signal::SIGKILL))
            .filter(|signalled| *signalled)
            .count()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if let Some(mut child) = self.conductor.take() {
            _ = child.kill();
            _ = child.wait();
        }
        let until = Instant::now() + PATIENCE;
        // A guard that is killed leaves its programs; they are found again by their environment.
        while self.kill_where(|_| true) > 0 && Instant::now() < until {
            std::thread::park_timeout(Duration::from_millis(5));
        }
        if std::thread::panicking() {
            use std::io::Write as _;
            _ = writeln!(std::io::stderr(), "log of the conductor:\n{}", self.log());
        }
    }
}

fn resident(pid: u32, mark: &str) -> Option<Resident> {
    let identity = Identity::of(pid)?;
    let environ = fs::read(format!("/proc/{pid}/environ")).ok()?;
    if pid == std::process::id() || !words(&environ).any(|entry| entry == mark.as_bytes()) {
        return None;
    }
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let args: Vec<String> = words(&line).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    let is_ours = args.first().is_some_and(|program| Path::new(program).ends_with("mozart"));
    let role = match args.get(1).map(String::as_str) {
        Some("__guard") => Role::Guard(args.get(2).map(PathBuf::from).unwrap_or_default()),
        Some("__bound") => Role::BoundGuard,
        Some("start") if is_ours => Role::Conductor,
        Some(_) | None => Role::Program,
    };
    Some(Resident { identity, role })
}

fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == 0)
}
