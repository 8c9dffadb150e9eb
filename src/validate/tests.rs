#![allow(clippy::unwrap_used)]

use std::cell::RefCell;
use std::fs;

use super::*;

struct Bench {
    folder: tempfile::TempDir,
    vars: Vars,
    waits: RefCell<Vec<Duration>>,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("a b").tempdir().unwrap();
        let mut vars = Vars::new();
        vars.set("workspace", folder.path().to_str().unwrap()).set("sheet_num", 3);
        Self { folder, vars, waits: RefCell::default() }
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// Checks rules after `between`; one line per rule.
    fn check_after(&self, rules: &[Rule], between: impl FnOnce()) -> Vec<String> {
        let snapshot = Snapshot::take(rules, &self.vars, self.folder.path());
        between();
        let given = Check {
            rules,
            vars: &self.vars,
            workspace: self.folder.path(),
            snapshot: &snapshot,
            shell: &shell(None),
        };
        let wait = |delay: Duration| {
            self.waits.borrow_mut().push(delay);
            true
        };
        let results = check(&given, &run, &wait);
        assert_eq!(results.len(), rules.len());
        let place = format!("{}", self.folder.path().display());
        let line = |result: &RuleResult| match &result.failure_category {
            None => "passed".to_owned(),
            Some(category) => {
                format!("{category}: {}", result.failure_reason.clone().unwrap().replace(&place, "W"))
            }
        };
        results.iter().map(line).collect()
    }

    fn check(&self, rules: &[Rule]) -> Vec<String> {
        self.check_after(rules, || ())
    }
}

/// Runs a command the simple way; the real one runs under a guard.
fn run(command: &Command) -> CommandEnd {
    let ended = std::process::Command::new(&command.argv[0])
        .args(&command.argv[1..])
        .current_dir(&command.cwd)
        .output()
        .unwrap();
    let output = [ended.stdout, ended.stderr].concat();
    CommandEnd {
        exit_code: ended.status.code(),
        total_bytes: output.len() as u64,
        output,
        ..CommandEnd::default()
    }
}

/// A rule of a kind with all defaults, which loading would refuse for the lack of its fields.
fn blank_rule(kind: RuleKind) -> Rule {
    Rule {
        kind,
        path: None,
        pattern: None,
        command: None,
        working_directory: None,
        description: None,
        stage: 1,
        condition: None,
        sheet: None,
        retry_count: if kind == RuleKind::CommandSucceeds { 0 } else { 3 },
        retry_delay_ms: 200,
        timeout_seconds: 3600.0,
        pipefail: false,
    }
}

fn file(kind: RuleKind, path: &str) -> Rule {
    Rule { path: Some(path.to_owned()), ..blank_rule(kind) }
}

fn content(kind: RuleKind, path: &str, pattern: &str) -> Rule {
    Rule { pattern: Some(pattern.to_owned()), ..file(kind, path) }
}

fn shell_rule(command: &str) -> Rule {
    Rule { command: Some(command.to_owned()), ..blank_rule(RuleKind::CommandSucceeds) }
}

#[test]
fn files_that_exist() {
    let bench = Bench::new();
    bench.write("sheet-03.md", "x");
    fs::create_dir(bench.folder.path().join("dir")).unwrap();
    std::os::unix::fs::symlink("sheet-03.md", bench.folder.path().join("link")).unwrap();
    let rules =
        ["{workspace}/sheet-{sheet_num:02d}.md", "./dir/../sheet-03.md", "link", "dir", "none", "{nope}"];
    let rules: Vec<Rule> = rules.iter().map(|path| file(RuleKind::FileExists, path)).collect();
    assert_eq!(
        bench.check(&rules),
        [
            "passed",
            "passed",
            "passed",
            "missing: 'W/dir' is not a regular file",
            "missing: File 'W/none' does not exist",
            "error: unknown placeholder {nope} in path",
        ]
    );
    // Two rules could still have come true, three times each; the broken one could not.
    assert_eq!(*bench.waits.borrow(), [Duration::from_millis(200); 6]);
}

// Invariant I74
#[test]
fn modified_means_modified_by_this_attempt() {
    let bench = Bench::new();
    bench.write("old", "x");
    bench.write("same-size", "x");
    let names = ["old", "same-size", "new", "none"];
    let rules: Vec<Rule> =
        names.iter().map(|path| Rule { retry_count: 0, ..file(RuleKind::FileModified, path) }).collect();
    let results = bench.check_after(&rules, || {
        bench.write("new", "");
        // A rename within the same clock tick: only the inode differs.
        bench.write("other", "x");
        fs::rename(bench.folder.path().join("other"), bench.folder.path().join("same-size")).unwrap();
    });
    assert_eq!(
        results,
        [
            "stale: File 'W/old' was not modified during execution",
            "passed",
            "passed",
            "missing: File 'W/none' does not exist"
        ]
    );
}

#[test]
fn contents() {
    let bench = Bench::new();
    bench.write("a", b"first\nDONE: \xff 12\nlast");
    let rules = [
        content(RuleKind::ContentContains, "a", "DONE: \u{fffd}"),
        content(RuleKind::ContentContains, "a", "done"),
        content(RuleKind::ContentRegex, "a", r"^DONE: .* \d+$"),
        content(RuleKind::ContentRegex, "a", r"(?i)^done"),
        content(RuleKind::ContentRegex, "a", r"last\Z"),
        content(RuleKind::ContentRegex, "a", "^nope$"),
        content(RuleKind::ContentRegex, "a", "(?=x)"),
        content(RuleKind::ContentContains, "a", ""),
    ];
    let results = bench.check(&rules);
    assert_eq!(results[0], "passed");
    assert_eq!(results[1], "incomplete: File 'W/a' does not contain `done`");
    assert_eq!(results[2..5], ["passed"; 3]);
    assert_eq!(results[5], "malformed: File 'W/a' does not match the pattern `^nope$`");
    assert!(
        results[6].starts_with("error: `(?=x)` cannot be used: pattern uses look-around"),
        "{}",
        results[6]
    );
    assert_eq!(results[7], "error: Validation type 'content_contains' requires 'pattern' field");
}

#[test]
fn huge_files_are_not_read() {
    let bench = Bench::new();
    fs::File::create(bench.folder.path().join("huge")).unwrap().set_len(65 * 1024 * 1024).unwrap();
    let results = bench.check(&[content(RuleKind::ContentContains, "huge", "x")]);
    assert_eq!(results, ["error: file too large to inspect: 'W/huge' has more than 64 MiB"]);
    assert!(bench.waits.borrow().is_empty());
}

#[test]
fn case_20_a_workspace_with_a_space_and_other_commands() {
    let bench = Bench::new();
    bench.write("a b.txt", "x");
    let elsewhere = Rule { working_directory: Some("gone".to_owned()), ..shell_rule("true") };
    let rules = [
        shell_rule(r#"test -f "{workspace}/a b.txt" && test -f {workspace}/'a b.txt'"#),
        shell_rule("echo; echo why; exit 3"),
        shell_rule("exit 4"),
        elsewhere,
    ];
    assert_eq!(
        bench.check(&rules),
        [
            "passed",
            "error: Command failed (exit 3): why",
            "error: Command failed (exit 4)",
            "error: working directory 'W/gone' does not exist",
        ]
    );
    assert!(bench.waits.borrow().is_empty(), "commands are not repeated unless the score says so");
    let counted = Rule { retry_count: 2, ..shell_rule("echo x >> n; test $(wc -l < n) = 3") };
    assert_eq!(bench.check(&[counted]), ["passed"]);
}

#[test]
fn ends_of_commands_are_told_apart() {
    let judged = |end: CommandEnd| {
        let bench = Bench::new();
        let rules = [shell_rule("x")];
        let given = Check {
            rules: &rules,
            vars: &bench.vars,
            workspace: bench.folder.path(),
            snapshot: &Snapshot::default(),
            shell: "/bin/sh",
        };
        let results = check(&given, &|_| end.clone(), &|_| true);
        (results[0].failure_reason.clone().unwrap_or_default(), results[0].output.clone().unwrap_or_default())
    };
    assert_eq!(
        judged(CommandEnd { timed_out: true, signal: Some(15), ..CommandEnd::default() }).0,
        "Command timed out after 3600 seconds"
    );
    assert_eq!(
        judged(CommandEnd { signal: Some(9), ..CommandEnd::default() }).0,
        "Command ended by signal 9"
    );
    let error = CommandEnd { spawn_error: Some("no memory".to_owned()), ..CommandEnd::default() };
    assert_eq!(judged(error).0, "Command could not be started: no memory");
    let secret = CommandEnd {
        exit_code: Some(1),
        output: b"key sk-ant-api03-abcdefghijkl".to_vec(),
        ..CommandEnd::default()
    };
    assert_eq!(judged(secret).0, "Command failed (exit 1): key [REDACTED_ANTHROPIC_KEY]");
    let long = CommandEnd {
        exit_code: Some(0),
        output: "é".repeat(3000).into_bytes(),
        total_bytes: 6000,
        ..CommandEnd::default()
    };
    let output = judged(long).1;
    assert_eq!(output.chars().filter(|c| *c == 'é').count(), 2500);
    assert!(output.contains("[6000 bytes in total]"));
}

#[test]
fn a_pipe_may_fail_in_the_middle() {
    let bench = Bench::new();
    let rules = [shell_rule("false | true"), Rule { pipefail: true, ..shell_rule("false | true") }];
    assert_eq!(bench.check(&rules), ["passed", "error: Command failed (exit 1)"]);
}

#[test]
fn what_cannot_be_checked_is_found_before_the_run() {
    let bench = Bench::new();
    let broken = |rule: &Rule| broken(rule, &bench.vars, bench.folder.path()).unwrap_or_default();
    assert_eq!(broken(&file(RuleKind::FileExists, "{workspace}/a")), "");
    assert_eq!(broken(&file(RuleKind::FileExists, "{nope}")), "path: unknown placeholder {nope} in path");
    assert!(broken(&content(RuleKind::ContentRegex, "a", "(")).starts_with("pattern: unclosed group"));
    let elsewhere = Rule { working_directory: Some("{nope}".to_owned()), ..shell_rule("true") };
    assert!(broken(&elsewhere).starts_with("working_directory: "));
}

#[test]
fn case_21_variables_of_the_shell_are_left_to_the_shell() {
    let bench = Bench::new();
    let said = shell_rule("test \"$(echo ${workspace:-none})\" = none");
    assert_eq!(bench.check(&[said]), ["passed"]);
}

#[test]
fn case_23_a_failed_stage_skips_the_later_ones() {
    let bench = Bench::new();
    let staged = |stage: u8, command: &str| Rule { stage, ..shell_rule(command) };
    let rules = [staged(2, "true"), staged(1, "true"), staged(1, "false"), staged(7, "true")];
    let snapshot = Snapshot::default();
    let given = Check {
        rules: &rules,
        vars: &bench.vars,
        workspace: bench.folder.path(),
        snapshot: &snapshot,
        shell: &shell(None),
    };
    let results = check(&given, &run, &|_| true);
    let passed: Vec<bool> = results.iter().map(|result| result.passed).collect();
    assert_eq!(passed, [false, true, false, false]);
    assert_eq!(results[0].failure_reason.as_deref(), Some("Skipped: Stage 1 failed"));
    assert_eq!(count(&results), (1, 2));
    assert_eq!(count(&[]), (0, 0));
}

#[test]
fn a_cancelled_wait_ends_the_checks() {
    let bench = Bench::new();
    let rules = [file(RuleKind::FileExists, "none"), shell_rule("true")];
    let snapshot = Snapshot::default();
    let given = Check {
        rules: &rules,
        vars: &bench.vars,
        workspace: bench.folder.path(),
        snapshot: &snapshot,
        shell: "/bin/sh",
    };
    let results = check(&given, &run, &|_| false);
    assert_eq!(results[0].failure_category.as_deref(), Some("missing"));
    assert_eq!(results[0].actual_value.as_deref(), Some("missing"));
    assert_eq!(results[1].failure_reason.as_deref(), Some("Skipped: the attempt was cancelled"));
}
