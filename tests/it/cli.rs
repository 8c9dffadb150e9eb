//! The command line through the real programs: life of a conductor, texts, exit statuses, documents.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::wait::wait_until;

/// A home of its own for every test; dropping it ends its conductor.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(args)
            .current_dir(self.0.path())
            .env("MOZART_HOME", self.0.path())
            .env("MOZART_SOCKET", self.path("sock"))
            .env("MOZART_PID_FILE", self.path("pid"))
            .env("LANG", "C.UTF-8")
            .env_remove("LC_ALL")
            .env_remove("MOZART_CONFIG")
            .env_remove("MOZART_CLONE")
            .env_remove("DEBUG")
            .stdin(Stdio::null());
        command
    }

    fn mozart(&self, args: &[&str]) -> Done {
        Done::of(self.command(env!("CARGO_BIN_EXE_mozart"), args).output().unwrap())
    }

    fn mozartd(&self, args: &[&str]) -> Done {
        Done::of(self.command(env!("CARGO_BIN_EXE_mozartd"), args).output().unwrap())
    }

    /// A score of one sheet that runs a command in a shell.
    fn score(&self, name: &str, command: &str) -> PathBuf {
        fs::create_dir_all(self.path("workspace")).unwrap();
        let path = self.path(&format!("{name}.yaml"));
        let text = format!(
            "name: {name}\nworkspace: ./workspace\ninstrument: cli\nsheet: {{size: 1, total_items: 1}}\n\
             prompt:\n  template: |\n    {command}\nretry: {{max_retries: 0}}\n"
        );
        fs::write(&path, text).unwrap();
        path
    }

    fn pid(&self) -> i32 {
        fs::read_to_string(self.path("pid")).unwrap().trim().parse().unwrap()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if self.path("pid").exists() {
            _ = self.command(env!("CARGO_BIN_EXE_mozart"), &["stop", "--force"]).output();
        }
    }
}

/// How a command ended.
#[derive(Debug)]
struct Done {
    exit: i32,
    out: String,
    err: String,
}

impl Done {
    fn of(output: Output) -> Self {
        Self {
            exit: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    fn expect(self, exit: i32) -> Self {
        assert_eq!(self.exit, exit, "{self:#?}");
        self
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error} in {self:#?}"))
    }
}

#[test]
fn a_conductor_starts_answers_and_stops() {
    let home = Home::new();
    let done = home.mozart(&["start"]).expect(0);
    assert_eq!(done.out, format!("Mozart conductor started (PID {})\n", home.pid()));
    let again = home.mozart(&["start"]).expect(1);
    assert_eq!(again.err, format!("Error: Mozart conductor is already running (PID {})\n", home.pid()));
    let status = home.mozart(&["conductor-status"]).expect(0);
    assert!(status.out.starts_with(&format!("Mozart conductor is running (PID {})\n  Uptime: ", home.pid())));
    assert!(status.out.contains("\n  Accepting work: True\n  Version: "), "{}", status.out);
    let document = home.mozart(&["conductor-status", "--json"]).expect(0).json();
    assert_eq!(document["state"], "Running");
    assert!(document["metrics"]["ipc_round_trip_ms"].is_number());
    assert!(home.mozart(&["ping"]).expect(0).out.starts_with("Pong! Round-trip: "));
    let pid = home.pid();
    let stopped = home.mozart(&["stop"]).expect(0);
    let subject = "Mozart conductor";
    assert_eq!(stopped.out, format!("Sent SIGTERM to {subject} (PID {pid})\n{subject} stopped gracefully\n"));
    assert!(!home.path("pid").exists() && !home.path("sock").exists());
    assert_eq!(home.mozart(&["stop"]).expect(1).out, "Mozart conductor is not running\n");
}

#[test]
fn without_a_conductor_the_two_lines_and_status_69() {
    let home = Home::new();
    for args in [&["list"][..], &["status"], &["pause", "x"], &["ping"]] {
        let done = home.mozart(args).expect(69);
        assert_eq!(done.err, "Error: Mozart conductor is not running.\nStart it with: mozart start\n");
        assert_eq!(done.out, "");
    }
    let document = home.mozart(&["list", "--json"]).expect(69).json();
    assert_eq!(document["error_code"], "conductor_not_running");
    assert_eq!(document["exit_code"], 69);
    home.mozart(&["conductor-status"]).expect(1);
    home.mozart(&["nonsense"]).expect(2);
    home.mozart(&["pause", "-bad"]).expect(2);
}

#[test]
fn two_conductors_never_share_a_state_directory() {
    let home = Home::new();
    home.mozart(&["start"]).expect(0);
    let other = home
        .command(env!("CARGO_BIN_EXE_mozart"), &["start", "--socket", "other.sock"])
        .env("MOZART_PID_FILE", home.path("other.pid"))
        .output()
        .unwrap();
    let done = Done::of(other).expect(1);
    assert!(done.err.starts_with("Error: State directory is in use by another conductor: "), "{}", done.err);
    assert!(!home.path("other.pid").exists());
}

#[test]
fn a_reader_that_goes_away_does_not_undo_the_command() {
    let home = Home::new();
    home.mozart(&["start"]).expect(0);
    let score = home.score("job", "true");
    let to_nobody = |args: &[&str]| {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        home.command(env!("CARGO_BIN_EXE_mozart"), args)
            .stdout(writer)
            .stderr(Stdio::null())
            .status()
            .unwrap();
    };
    to_nobody(&["run", &score.display().to_string()]);
    home.mozart(&["status", "job"]).expect(0);
    let pid = home.pid();
    to_nobody(&["restart", "--yes"]);
    home.mozart(&["ping"]).expect(0);
    assert_ne!(home.pid(), pid);
}

#[test]
fn stale_and_planted_files() {
    let home = Home::new();
    fs::write(home.path("pid"), "4194303\n").unwrap();
    let done = home.mozart(&["start"]).expect(0);
    assert_eq!(done.err, "Cleaned up stale PID file (PID 4194303 is no longer running)\n");
    let pid = home.pid();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
    wait_until("the killed conductor lets go", || home.mozart(&["conductor-status"]).exit == 1);
    home.mozart(&["start"]).expect(0);
    home.mozart(&["stop"]).expect(0);
    std::os::unix::fs::symlink(home.path("victim"), home.path("pid")).unwrap();
    let done = home.mozart(&["start"]).expect(1);
    assert!(done.err.starts_with("Error: PID file is a symlink (possible attack): "), "{}", done.err);
    fs::remove_file(home.path("pid")).unwrap();
    std::os::unix::fs::symlink(home.path("victim"), home.path("sock")).unwrap();
    let done = home.mozart(&["start"]).expect(1);
    assert!(done.err.starts_with("Error: Socket path is a symlink (possible attack): "), "{}", done.err);
}

#[test]
fn a_stop_never_touches_a_process_that_is_not_a_conductor() {
    let home = Home::new();
    let mut innocent = Command::new("sleep").arg("60").spawn().unwrap();
    fs::write(home.path("pid"), format!("{}\n", innocent.id())).unwrap();
    let done = home.mozart(&["stop", "--force"]).expect(1);
    assert_eq!(done.out, "Mozart conductor is not running\n");
    assert!(innocent.try_wait().unwrap().is_none(), "it lives");
    assert!(!home.path("pid").exists());
    innocent.kill().unwrap();
    innocent.wait().unwrap();
}

#[test]
fn the_foreground_logs_to_standard_error_and_leaves_on_term() {
    let home = Home::new();
    let mut child = home
        .command(env!("CARGO_BIN_EXE_mozart"), &["start", "--foreground"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains(" daemon.started pid=")));
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGHUP).unwrap();
    assert!(lines.any(|line| line.unwrap().contains(" daemon.sighup_log_reopened")));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert!(lines.any(|line| line.unwrap().contains(" daemon.stopped")));
    assert!(child.wait().unwrap().success());
}

#[test]
fn the_background_logs_json_lines_and_a_bad_configuration_is_told() {
    let home = Home::new();
    fs::write(home.path("conductor.yaml"), "max_concurent_jobs: 3\n").unwrap();
    let done = home.mozart(&["start"]).expect(1);
    assert!(done.err.contains("did you mean 'max_concurrent_jobs'"), "{}", done.err);
    assert!(home.mozart(&["start", "--config", "none.yaml"]).expect(1).err.contains("Config file not found"));
    fs::write(home.path("conductor.yaml"), "max_concurrent_jobs: 3\n").unwrap();
    home.mozart(&["start"]).expect(0);
    let text = fs::read_to_string(home.path("mozart.log")).unwrap();
    let first: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(first["event"], "daemon.starting");
    assert_eq!(first["pid"], home.pid());
    let shown = home.mozart(&["logs", "--conductor"]).expect(0);
    assert!(shown.out.contains(" INFO    daemon.started "), "{}", shown.out);
}

#[test]
fn a_job_runs_and_is_shown() {
    let home = Home::new();
    home.mozart(&["start"]).expect(0);
    let score = home.score("hello", "echo hello from the sheet");
    let plan = home.mozart(&["run", "--dry-run", "--json", "hello.yaml"]).expect(0).json();
    assert_eq!((plan["dry_run"].as_bool(), plan["total_sheets"].as_u64()), (Some(true), Some(1)));
    let done = home.mozart(&["run", "--wait", score.to_str().unwrap()]).expect(0);
    assert!(done.out.contains("Job submitted to conductor: hello\n"), "{}", done.out);
    let status = home.mozart(&["status", "hel", "--json"]).expect(0).json();
    assert_eq!(status["status"], "completed");
    assert_eq!(status["progress"]["percent"].as_f64(), Some(100.0));
    assert!(home.mozart(&["logs", "hello", "--sheet", "1"]).expect(0).out.contains("hello from the sheet"));
    assert_eq!(home.mozart(&["list"]).expect(0).out, "No active jobs. Use --all to see job history.\n");
    assert_eq!(home.mozart(&["list", "--all", "--quiet"]).expect(0).out, "hello\n");
    let unknown = home.mozart(&["status", "helo"]).expect(1);
    assert!(
        unknown.err.contains("Error: Job not found: helo\n") && unknown.err.contains("Did you mean: hello")
    );
}

#[test]
fn an_early_failure_is_told_by_the_same_command() {
    let home = Home::new();
    home.mozart(&["start"]).expect(0);
    home.score("broken", "exit 3");
    let done = home.mozart(&["run", "broken.yaml"]).expect(1);
    assert!(done.err.starts_with("Error: Job failed: broken\n"), "{}", done.err);
    let refused = home.mozart(&["run", "--escalation", "broken.yaml"]).expect(1);
    assert!(refused.err.contains("mozart approve"), "{}", refused.err);
}

#[test]
fn live_output_is_followed_until_the_job_ends() {
    let home = Home::new();
    home.mozart(&["start"]).expect(0);
    home.score("live", "echo first; while [ ! -e go ]; do sleep 0.01; done; echo second");
    home.mozart(&["run", "live.yaml"]).expect(0);
    let mut follow = home
        .command(env!("CARGO_BIN_EXE_mozart"), &["logs", "live", "--sheet", "1", "--follow"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "first");
    fs::write(home.path("workspace/go"), "").unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), "second");
    assert!(lines.next().is_none());
    assert!(follow.wait().unwrap().success());
}

#[test]
fn a_forced_stop_ends_what_jobs_left_running() {
    let home = Home::new();
    home.mozart(&["start"]).expect(0);
    home.score("long", "echo $$ > pid; sleep 600");
    home.mozart(&["run", "long.yaml"]).expect(0);
    let file = home.path("workspace/pid");
    wait_until("the sheet runs", || fs::read_to_string(&file).is_ok_and(|text| text.ends_with('\n')));
    let pid = fs::read_to_string(&file).unwrap().trim().to_owned();
    let stopped = home.mozart(&["stop", "--force", "--json"]).expect(0).json();
    assert_eq!(stopped["signal"], "SIGKILL");
    assert_eq!(stopped["attempts_ended"], 1);
    assert!(!Path::new("/proc").join(pid).exists());
    assert!(!home.path("pid").exists() && !home.path("sock").exists());
}

#[test]
fn mozartd_speaks_of_itself() {
    let home = Home::new();
    let done = home.mozartd(&["start"]).expect(0);
    assert_eq!(done.out, format!("mozartd started (PID {})\n", home.pid()));
    assert!(home.mozartd(&["status"]).expect(0).out.starts_with("mozartd is running (PID "));
    home.mozartd(&["stop"]).expect(0);
    assert_eq!(home.mozartd(&["status"]).expect(1).out, "mozartd is not running\n");
}

#[test]
fn scores_are_checked_without_a_conductor() {
    let home = Home::new();
    home.score("good", "true");
    let done = home.mozart(&["validate", "good.yaml"]).expect(0);
    assert!(
        done.out.starts_with("Validating good...\n\n✓ YAML syntax valid\n✓ Schema validation passed\n"),
        "{}",
        done.out
    );
    fs::write(home.path("bad.yaml"), "name: [\n").unwrap();
    home.mozart(&["validate", "bad.yaml"]).expect(2);
    home.mozart(&["validate", "missing.yaml"]).expect(2);
}

#[test]
fn every_logged_event_is_documented() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let documentation = fs::read_to_string(root.join("docs/logs.md")).unwrap();
    let pattern =
        regex::Regex::new(r#"log::(?:debug|info|warn|error)!\(\s*"([a-z_]+(?:\.[a-z_]+)+)"#).unwrap();
    let mut missing = Vec::new();
    for text in sources(&root.join("src")) {
        for found in pattern.captures_iter(&text) {
            if !documentation.contains(&format!("`{}`", &found[1])) {
                missing.push(found[1].to_owned());
            }
        }
    }
    assert!(missing.is_empty(), "not in docs/logs.md: {missing:?}");
}

fn sources(directory: &Path) -> Vec<String> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            texts.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            texts.push(fs::read_to_string(path).unwrap());
        }
    }
    texts
}
