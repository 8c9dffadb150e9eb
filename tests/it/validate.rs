//! Checking, rendering and planning scores through the real program, without a conductor.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod acceptance;
mod mutations;
mod rendering;

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

/// A directory of its own for every test.
struct Desk(tempfile::TempDir);

/// How a command ended.
#[derive(Debug)]
struct Done {
    exit: i32,
    out: String,
    err: String,
}

impl Done {
    #[track_caller]
    fn expect(self, exit: i32) -> Self {
        assert_eq!(self.exit, exit, "{self:#?}");
        self
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error} in {self:#?}"))
    }
}

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn run(&self, args: &[&str], input: &str) -> Done {
        let mut child = Command::new(env!("CARGO_BIN_EXE_mozart"))
            .args(args)
            .current_dir(self.0.path())
            .env("MOZART_HOME", self.path("home"))
            .env("LANG", "C.UTF-8")
            .env_remove("LC_ALL")
            .env_remove("MOZART_CONFIG")
            .env_remove("MOZART_CLONE")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A program that does not read its input closes it.
        _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        Done {
            exit: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn mozart(&self, args: &[&str]) -> Done {
        self.run(args, "")
    }
}

const GOOD: &str = "name: good\ninstrument: cli\nsheet: {size: 1, total_items: 2}\nprompt: {template: echo}\n\
    validations: [{type: file_modified, path: \"{workspace}/{sheet_num}\"}]\n";

#[test]
fn exit_statuses_tell_the_three_outcomes_apart() {
    let desk = Desk::new();
    desk.write("good.yaml", GOOD);
    desk.write("warns.yaml", &GOOD.replace("cli", "clii"));
    desk.write("fails.yaml", &GOOD.replace("echo", "\"{{ nope }}\""));
    desk.write("schema.yaml", &GOOD.replace("size: 1", "size: 0"));
    desk.write("syntax.yaml", "name: [\n");
    fs::write(desk.path("binary.yaml"), [0xff, 0xfe, 0x00]).unwrap();
    let done = desk.mozart(&["validate", "good.yaml"]).expect(0);
    assert!(done.out.contains("✓ Configuration valid: good\n"), "{}", done.out);
    assert!(done.out.contains("  Level 0: 1\n  Level 1: 2\n  Max concurrency: 1 sheet\n"), "{}", done.out);
    assert!(done.out.contains("  Prompt of sheet 1 of 2:\n    echo\n"), "{}", done.out);
    let done = desk.mozart(&["validate", "warns.yaml"]).expect(0);
    assert!(done.out.contains("Validation: PASSED (with warnings)"), "{}", done.out);
    desk.mozart(&["validate", "--strict", "warns.yaml"]).expect(1);
    let done = desk.mozart(&["validate", "fails.yaml"]).expect(1);
    assert!(
        done.out.contains("Summary: 1 error (must fix)") && done.out.contains("Validation: FAILED"),
        "{}",
        done.out
    );
    for file in ["schema.yaml", "syntax.yaml"] {
        let done = desk.mozart(&["validate", file]).expect(2);
        assert!(done.out.contains("✗ Config validation failed:\n"), "{}", done.out);
    }
    for file in ["binary.yaml", "missing.yaml"] {
        let done = desk.mozart(&["validate", file]).expect(2);
        assert!(done.err.starts_with("Error: "), "{done:?}");
    }
    let done = desk.mozart(&["validate", "--json", "missing.yaml"]).expect(2);
    assert!(done.json()["error"].is_string() || done.json()["message"].is_string(), "{}", done.out);
}

#[test]
fn a_problem_is_shown_with_its_line_and_a_caret() {
    let desk = Desk::new();
    desk.write(
        "a.yaml",
        &GOOD.replace("size: 1,", "size: 1, sise: 2,").replace("total_items: 2", "total_items: two"),
    );
    let done = desk.mozart(&["validate", "a.yaml"]).expect(2);
    let expected = "  ✗ [schema] Line 3: Schema validation failed: sheet.sise: Extra inputs are not permitted\n      \
        --> a.yaml:3:18\n      3 | sheet: {size: 1, sise: 2, total_items: two}\n        |                  ^\n      \
        Suggestion: Unknown field 'sise' - did you mean 'size'?\n";
    assert!(done.out.contains(expected), "{}", done.out);
    assert!(done.out.contains("a.yaml:3:40"), "all problems at once: {}", done.out);
}

#[test]
fn the_document_has_the_promised_members() {
    let desk = Desk::new();
    desk.write(
        "a.yaml",
        &GOOD.replace(
            "sheet: {size: 1, total_items: 2}",
            "workspace: ./no/ws\nsheet: {size: 1, total_items: 2, fan_out: {2: 2}}",
        ),
    );
    let document = desk.mozart(&["validate", "--json", "a.yaml"]).expect(1).json();
    assert_eq!(document["valid"], false);
    assert_eq!(
        (&document["error_count"], &document["warning_count"], &document["info_count"]),
        (&1.into(), &0.into(), &2.into())
    );
    let issue = &document["issues"][0];
    assert_eq!(
        (&issue["check_id"], &issue["severity"], &issue["line"]),
        (&"V002".into(), &"error".into(), &3.into())
    );
    assert_eq!((&issue["auto_fixable"], &issue["context"]), (&true.into(), &"workspace: ./no/ws".into()));
    assert!(issue["suggestion"].as_str().unwrap().starts_with("mkdir -p "));
    let info = &document["issues"][1];
    assert_eq!(info["severity"], "info");
    assert!(info.get("auto_fixable").is_none() && info.get("metadata").is_none());
    let rendering = &document["rendering"];
    assert_eq!(
        (&rendering["total_sheets"], &rendering["has_fan_out"], &rendering["has_dependencies"]),
        (&3.into(), &true.into(), &false.into())
    );
    let sheet = &rendering["sheets"][2];
    assert_eq!(
        (&sheet["sheet_num"], &sheet["stage"], &sheet["instance"], &sheet["fan_count"]),
        (&3.into(), &2.into(), &2.into(), &2.into())
    );
    assert_eq!(
        (&sheet["item_range"], &sheet["prompt_snippet"]),
        (&serde_json::json!([2, 2]), &"echo".into())
    );
    let rule = &sheet["validations"][0];
    assert_eq!((&rule["type"], &rule["applicable"]), (&"file_modified".into(), &true.into()));
    assert!(rule["expanded_path"].as_str().unwrap().ends_with("/no/ws/3"));
}

#[test]
fn files_directories_and_standard_input_are_checked() {
    let desk = Desk::new();
    desk.write("scores/a.yaml", GOOD);
    desk.write("scores/b.yml", &GOOD.replace("size: 1", "size: 0"));
    desk.write("scores/fleet.yaml", "name: f\ntype: fleet\nscores: [{path: a.yaml}]\n");
    desk.write("scores/conductor.yaml", "max_concurrent_jobs: 3\n");
    desk.write("scores/other.yaml", "hello: world\n");
    desk.write("scores/notes.txt", "not looked at");
    let done = desk.mozart(&["validate", "scores"]).expect(2);
    assert!(done.out.ends_with("5 files: 3 valid, 1 failed, 1 passed over\n"), "{}", done.out);
    assert!(
        done.out.contains("✓ Config is valid") && done.out.contains("Passed over: scores/other.yaml"),
        "{}",
        done.out
    );
    let documents = desk.mozart(&["validate", "--json", "scores"]).expect(2).json();
    assert_eq!(documents.as_array().map(Vec::len), Some(5));
    let done = desk.mozart(&["validate", "scores/a.yaml", "missing.yaml"]).expect(2);
    assert!(done.out.ends_with("2 files: 1 valid, 1 failed\n"), "{}", done.out);
    let done = desk.run(&["validate", "-"], GOOD).expect(0);
    assert!(done.out.contains("Configuration valid: good"), "{}", done.out);
    desk.run(&["validate", "-"], "name: x\n").expect(2);
    let done = desk.mozart(&["validate", "scores/fleet.yaml"]).expect(0);
    assert!(done.out.contains("Fleet file is valid"), "{}", done.out);
    desk.write("scores/broken-fleet.yaml", "name: f\ntype: fleet\nscores: [{path: gone.yaml}]\n");
    let done = desk.mozart(&["validate", "scores/broken-fleet.yaml"]).expect(1);
    assert!(done.out.contains("gone.yaml"), "{}", done.out);
    desk.write("empty/x.txt", "");
    desk.mozart(&["validate", "empty"]).expect(2);
    desk.write("bad.yaml", "max_concurrent_jobs: none\n");
    let done = desk.mozart(&["validate", "bad.yaml"]).expect(2);
    assert!(done.out.contains("✗ Config validation failed:"), "{}", done.out);
}

#[test]
fn what_a_score_names_is_looked_for() {
    let desk = Desk::new();
    let text = "name: x\nworkspace: ./no/ws\ninstrument: cli\ninstrument_config:\n  working_directory: ./gone\n  \
        system_prompt_file: gone.md\nsheet:\n  size: 1\n  total_items: 1\n  prelude:\n    - {file: gone.md, as: skill}\n    \
        - {directory: gone, as: context}\nprompt: {template_file: gone.j2}\nvalidations:\n  - {type: content_contains, path: gone.md, pattern: a}\n\
        techniques: {t: {kind: skill, phases: [all], config: {path: gone.md}}}\n";
    desk.write("a.yaml", text);
    let document = desk.mozart(&["validate", "--json", "a.yaml"]).expect(1).json();
    let found: Vec<(String, String, u64)> = document["issues"]
        .as_array()
        .unwrap()
        .iter()
        .map(|issue| {
            let text = |key: &str| issue[key].as_str().unwrap().to_owned();
            assert!(!text("suggestion").is_empty());
            (text("check_id"), text("severity"), issue["line"].as_u64().unwrap())
        })
        .collect();
    for (code, severity, line) in [
        ("V002", "error", 2),
        ("V003", "error", 13),
        ("V004", "error", 6),
        ("V005", "error", 5),
        ("V107", "warning", 15),
        ("V108", "warning", 11),
        ("V108", "info", 12),
        ("V301", "warning", 16),
    ] {
        assert!(
            found.contains(&(code.into(), severity.into(), line)),
            "{code} {severity} {line} in {found:?}"
        );
    }
    fs::create_dir(desk.path("gone.j2")).unwrap();
    let done = desk.mozart(&["validate", "a.yaml"]).expect(1);
    assert!(done.out.contains("Template path is not a file: "), "{}", done.out);
}

#[test]
fn the_plan_is_a_table_and_a_tree() {
    let desk = Desk::new();
    desk.write(
        "a.yaml",
        &GOOD.replace(
            "sheet: {size: 1, total_items: 2}",
            "sheet: {size: 1, total_items: 3, fan_out: {2: 2}}\nmovements: {2: {name: Review}}",
        ),
    );
    let done = desk.mozart(&["run", "--dry-run", "a.yaml"]).expect(0);
    for part in [
        "Dry run - not executing\n\nSheet   Items   Validations   Instrument\n1       1-1     1             cli\n",
        "Stage 1: sheet 1\nStage 2 Review: 2 instances\n  ├─ sheet 2 after 1 instance 1\n  └─ sheet 3 after 1 instance 2\n",
        "Stage 3: sheet 4 after 2, 3\n",
        "Sheet 4 depends on: 2, 3\n",
        "Prompt of sheet 1:\n  echo\n",
    ] {
        assert!(done.out.contains(part), "{part}\nin\n{}", done.out);
    }
}

#[test]
fn a_dry_run_warns_as_validate_does() {
    let desk = Desk::new();
    desk.write("a.yaml", &GOOD.replace("instrument: cli", "instrument: clj"));
    let done = desk.mozart(&["run", "--dry-run", "a.yaml"]).expect(0);
    assert!(
        done.err.contains("Warning: [V210] line ") && done.err.contains("Did you mean 'cli'?"),
        "{}",
        done.err
    );
    assert!(!done.out.contains("V210"), "{}", done.out);
    let checked = desk.mozart(&["validate", "--json", "a.yaml"]).expect(0).json();
    let warned: Vec<&Value> = checked["issues"].as_array().unwrap().iter().collect();
    let shown = desk.mozart(&["--json", "run", "--dry-run", "a.yaml"]).expect(0).json();
    let shown = shown["warnings"].as_array().unwrap();
    assert_eq!(shown.len(), warned.iter().filter(|issue| issue["severity"] == "warning").count());
    assert!(shown.iter().any(|issue| issue["check_id"] == "V210" && issue["line"].is_u64()), "{shown:?}");
}
