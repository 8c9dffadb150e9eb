#![allow(clippy::unwrap_used)]

use std::fs;

use super::*;

struct Case {
    dir: tempfile::TempDir,
    workspace: PathBuf,
    ours: Environment,
}

impl Case {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let workspace = dir.path().join("ws");
        fs::create_dir(&workspace).unwrap();
        Self { dir, workspace, ours: Environment::new() }
    }

    fn context<'a>(&'a self, code: ErrorCode, message: &'a str) -> Context<'a> {
        Context {
            code,
            message,
            exit_code: Some(1),
            signal: None,
            stdout_tail: "",
            stderr_tail: "",
            workspace: &self.workspace,
            working_directory: &self.workspace,
            failed_paths: &[],
            written_paths: &[],
            known_names: &[],
            instrument: "agent",
            executable: Some("agent-program"),
            key_variables: &[],
            ours: &self.ours,
            retry_count: 0,
            previous_codes: &[],
            state_dir: None,
        }
    }
}

fn heal_one(context: &Context<'_>, name: &str) -> Option<Remedy> {
    heal(context, &Options::default()).into_iter().find(|remedy| remedy.name == name)
}

#[test]
fn a_missing_workspace_is_made_but_not_what_is_above_it() {
    let mut case = Case::new();
    case.workspace = case.dir.path().join("new");
    let context = case.context(ErrorCode::E601, "cannot use the workspace");
    let dry = heal(&context, &Options { dry_run: true, ..Options::default() });
    assert!(!dry[0].applied && !case.workspace.exists());
    let remedy = heal_one(&context, "create_missing_workspace").unwrap();
    assert!(remedy.applied && case.workspace.is_dir());
    assert_eq!(heal_one(&context, "create_missing_workspace"), None);
    case.workspace = case.dir.path().join("far/away");
    assert_eq!(heal_one(&case.context(ErrorCode::E601, "workspace"), "create_missing_workspace"), None);
}

#[test]
fn directories_of_missing_files_are_made_inside_the_workspace_only() {
    let case = Case::new();
    let outside = case.dir.path().join("outside/report.md");
    std::os::unix::fs::symlink(case.dir.path(), case.workspace.join("link")).unwrap();
    let failed = [
        case.workspace.join("out/deep/report.md"),
        outside.clone(),
        case.workspace.join("link/sneaky/report.md"),
        case.workspace.join("gone/../../sneaky/report.md"),
    ];
    let message = format!("file missing: '{}'", case.workspace.join("named/x.md").display());
    let context = Context { failed_paths: &failed, ..case.context(ErrorCode::E201, &message) };
    let remedy = heal_one(&context, "create_missing_parent_dirs").unwrap();
    assert!(remedy.applied, "{remedy:?}");
    assert!(case.workspace.join("out/deep").is_dir() && case.workspace.join("named").is_dir());
    assert!(!outside.parent().unwrap().exists() && !case.dir.path().join("sneaky").exists());
    assert_eq!(heal_one(&context, "create_missing_parent_dirs"), None, "nothing is missing any more");
    let other = Context { code: ErrorCode::E203, ..context };
    assert_eq!(heal_one(&other, "create_missing_parent_dirs"), None);
}

#[test]
fn backslashes_are_named_with_their_key() {
    let case = Case::new();
    let written = [("validations.0.path".to_owned(), r"out\report.md".to_owned())];
    let context = Context { written_paths: &written, ..case.context(ErrorCode::E201, "missing") };
    let remedy = heal_one(&context, "fix_path_separators").unwrap();
    assert!(!remedy.applied && remedy.message.contains("`out/report.md`"), "{remedy:?}");
}

#[test]
fn a_template_error_says_what_was_meant() {
    let case = Case::new();
    let known = ["workspace".to_owned(), "sheet_num".to_owned()];
    let advice = |message: &str| {
        let context = Context { known_names: &known, ..case.context(ErrorCode::E304, message) };
        heal_one(&context, "suggest_jinja_fix").map(|remedy| (remedy.message, remedy.confidence))
    };
    let (message, confidence) = advice("variable `worksapce` is undefined").unwrap();
    assert!(message.ends_with("write `workspace`"), "{message}");
    assert!((confidence - 0.85).abs() < 1e-9);
    assert!((advice("variable `elephants` is undefined").unwrap().1 - 0.70).abs() < 1e-9);
    assert!((advice("syntax error: unexpected end of input").unwrap().1 - 0.75).abs() < 1e-9);
    assert!((advice("syntax error: unexpected `}`").unwrap().1 - 0.80).abs() < 1e-9);
    assert_eq!(advice("division by zero"), None);
}

#[test]
fn credentials_are_diagnosed_without_showing_any() {
    let mut case = Case::new();
    let keys = ["AGENT_API_KEY".to_owned()];
    let context = Context { key_variables: &keys, ..case.context(ErrorCode::E502, "401") };
    let remedy = heal_one(&context, "diagnose_auth_error").unwrap();
    assert!(remedy.message.contains("AGENT_API_KEY is not set"), "{remedy:?}");
    case.ours.insert("AGENT_API_KEY".into(), "very-secret".into());
    let context = Context {
        key_variables: &keys,
        stderr_tail: "Error: Not logged in",
        ..case.context(ErrorCode::E009, "exit code 1")
    };
    let remedy = heal_one(&context, "diagnose_auth_error").unwrap();
    assert!(remedy.message.contains("is set") && !remedy.message.contains("secret"), "{remedy:?}");
    assert_eq!(heal_one(&case.context(ErrorCode::E009, "exit code 1"), "diagnose_auth_error"), None);
}

#[test]
fn a_missing_program_is_named_with_the_path_that_was_searched() {
    let mut case = Case::new();
    case.ours.insert("PATH".into(), "/nowhere:/nowhere/else".into());
    let remedy = heal_one(&case.context(ErrorCode::E505, "not found"), "diagnose_missing_cli").unwrap();
    assert!(remedy.message.contains("`agent-program`"), "{remedy:?}");
    assert!(remedy.message.contains("/nowhere:/nowhere/else"), "{remedy:?}");
}

#[test]
fn a_full_disk_is_explained_by_sizes() {
    let case = Case::new();
    fs::create_dir(case.workspace.join("archive")).unwrap();
    fs::write(case.workspace.join("archive/big"), vec![0; 3 * 1024 * 1024]).unwrap();
    let context = Context {
        stderr_tail: "write: No space left on device (os error 28)",
        ..case.context(ErrorCode::E009, "exit code 1")
    };
    let remedy = heal_one(&context, "free_disk_hint").unwrap();
    assert!(remedy.message.contains("of which archives: 3"), "{remedy:?}");
}

#[test]
fn a_lock_that_git_left_is_found_in_a_worktree_too() {
    let case = Case::new();
    let context = case.context(ErrorCode::E009, "exit code 128");
    assert_eq!(hints::left_lock(&context), None);
    let record = case.dir.path().join("repo/.git/worktrees/ws");
    fs::create_dir_all(&record).unwrap();
    fs::write(case.workspace.join(".git"), format!("gitdir: {}\n", record.display())).unwrap();
    fs::write(record.join("index.lock"), "").unwrap();
    assert_eq!(hints::left_lock(&context), Some(record.join("index.lock")));
}

#[test]
fn a_remedy_that_panics_does_not_stop_the_others() {
    fn broken(_: &Context<'_>, _: &Options<'_>) -> Option<Finding> {
        panic!("a test")
    }
    fn weak(_: &Context<'_>, _: &Options<'_>) -> Option<Finding> {
        Some(Finding { applied: false, message: "weak".into(), confidence: 0.5 })
    }
    fn strong(_: &Context<'_>, _: &Options<'_>) -> Option<Finding> {
        Some(Finding { applied: true, message: "strong".into(), confidence: 0.9 })
    }
    let case = Case::new();
    let rows: [Row; 4] = [("broken", broken), ("weak", weak), ("off", strong), ("strong", strong)];
    let disabled = ["off".to_owned()];
    let options = Options { disabled: &disabled, ..Options::default() };
    let remedies = run(&rows, &case.context(ErrorCode::E009, ""), &options);
    let names: Vec<&str> = remedies.iter().map(|remedy| remedy.name.as_str()).collect();
    assert_eq!(names, ["strong", "weak", "broken"]);
    assert!(!remedies[2].applied && remedies[2].message.contains("panicked"));
}
