//! Every score in `examples/` is accepted, and does what its comments say, through the real program.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// A conductor in a temporary directory with a copy of the examples; dropping it ends it.
struct House {
    dir: tempfile::TempDir,
}

impl House {
    fn open() -> Self {
        let house = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::create_dir_all(house.dir.path().join("examples/workspace")).unwrap();
        for score in scores() {
            let copy = house.dir.path().join("examples").join(score.file_name().unwrap());
            std::fs::copy(&score, copy).unwrap();
        }
        house
    }

    fn start(&self) {
        self.mozart(&["start"]).expect_success();
    }

    fn mozart(&self, args: &[&str]) -> Finished {
        let home = self.dir.path();
        let mut command = Command::new(env!("CARGO_BIN_EXE_mozart"));
        command
            .args(args)
            .current_dir(home)
            .env_remove("MOZART_CONFIG")
            .env_remove("MOZART_CLONE")
            .env("MOZART_HOME", home)
            .env("MOZART_SOCKET", home.join("sock"))
            .env("MOZART_PID_FILE", home.join("pid"));
        Finished { line: args.join(" "), output: command.output().unwrap() }
    }

    /// Runs one example to its end.
    fn run(&self, name: &str) -> Finished {
        self.mozart(&["run", "--wait", &format!("examples/{name}.yaml")])
    }

    /// `mozart status NAME --json`.
    fn status(&self, name: &str) -> Value {
        let finished = self.mozart(&["status", name, "--json"]);
        finished.expect_success();
        serde_json::from_slice(&finished.output.stdout).unwrap()
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.workspace().join(file)).unwrap()
    }

    fn workspace(&self) -> PathBuf {
        self.dir.path().join("examples/workspace")
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.mozart(&["stop", "--force", "--yes"]);
    }
}

struct Finished {
    line: String,
    output: Output,
}

impl Finished {
    #[track_caller]
    fn expect_success(&self) {
        assert!(self.output.status.success(), "{}", self.told());
    }

    fn told(&self) -> String {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&self.output.stdout), text(&self.output.stderr));
        format!("`mozart {}`: {}\n{out}\n{err}", self.line, self.output.status)
    }
}

fn scores() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut paths: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    paths.sort();
    paths
}

#[test]
fn every_example_is_valid() {
    let house = House::open();
    for score in scores() {
        let name = format!("examples/{}", score.file_name().unwrap().to_str().unwrap());
        house.mozart(&["validate", &name]).expect_success();
    }
}

#[test]
fn every_example_runs_to_its_end() {
    let house = House::open();
    house.start();
    let mut seen = 0;
    for score in scores() {
        let name = score.file_stem().unwrap().to_str().unwrap();
        let finished = house.run(name);
        // The gate stops on purpose, see below.
        assert_eq!(finished.output.status.success(), name != "gate", "{}", finished.told());
        seen += 1;
    }
    assert!(seen >= 8);

    assert!(house.read("hello/all.txt").contains("Hello world, from sheet 1 of 3"));
    assert_eq!(house.read("fan-out/report.txt"), "10 words in 4 texts\n");
    assert_eq!(house.read("dependencies/program").lines().next(), Some("OPTIMISE=yes"));
    assert_eq!(house.read("retry/result.txt"), "it works after 2 failures\n");
    assert_eq!(house.status("retry")["sheets"]["1"]["attempt_count"], 3);
    assert_eq!(house.status("completion")["sheets"]["1"]["attempt_count"], 2);
    assert!(house.read("context/story.txt").contains("and then came sheet 2 with 1 note(s) in its bag"));

    // The gate: what is done is not done again.
    let gate = house.status("gate");
    assert_eq!((&gate["status"], &gate["progress"]["completed"]), (&"failed".into(), &1.into()), "{gate}");
    std::fs::write(house.workspace().join("gate/open"), "").unwrap();
    house.mozart(&["resume", "gate"]).expect_success();
    // Shows every change until the job is over.
    house.mozart(&["status", "gate", "--watch"]).expect_success();
    assert_eq!(house.status("gate")["status"], "completed");
    assert_eq!(house.read("gate/log.txt"), "prepared\npassed\nfinished\n");
}

/// What a newcomer copies from the README is what is tested here.
#[test]
fn the_readme_explains_the_first_example_as_it_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let hello = std::fs::read_to_string(root.join("examples/hello.yaml")).unwrap();
    let bare = |line: &str| line.split('#').next().unwrap_or_default().trim_end().to_owned();
    let block = readme.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let lines = |text: &str| -> Vec<String> {
        text.lines().map(bare).filter(|line| !line.trim().is_empty()).collect()
    };
    assert_eq!(lines(block), lines(&hello));
}
