#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use super::*;

/// A directory with executables of these names.
fn programs(names: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in names {
        let file = folder.path().join(name);
        fs::write(&file, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    folder
}

struct Case {
    settings: Settings,
    prompt: String,
    ours: Vec<(&'static str, &'static str)>,
}

impl Default for Case {
    fn default() -> Self {
        Self { settings: Settings::default(), prompt: "do it".to_owned(), ours: Vec::new() }
    }
}

fn call(profile: &Profile, case: &Case) -> Result<Invocation, CommandError> {
    let folder =
        programs(&["claude", "gemini", "codex", "aider", "goose", "cline", "crush", "opencode", "bash", "x"]);
    let path = folder.path().to_string_lossy().into_owned();
    let mut ours: Environment =
        case.ours.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    ours.insert("PATH".to_owned(), path.clone());
    let mut invocation = command(&Call {
        profile,
        settings: &case.settings,
        prompt: &case.prompt,
        cwd: Path::new("/w"),
        prompt_file: Path::new("/a/script"),
        ours: &ours,
        own_program: Path::new("/bin/mozart"),
        identity: &[("MOZART_JOB_ID".to_owned(), "job".to_owned())],
    })?;
    invocation.argv[0] = invocation.argv[0].replace(&format!("{path}/"), "");
    Ok(invocation)
}

fn argv(name: &str, case: &Case) -> String {
    let registry = Registry::built_in();
    call(registry.get(name).unwrap(), case).unwrap().argv.join(" ")
}

#[test]
fn compiled_in_profiles_are_called_like_this() {
    let model =
        Case { settings: Settings { model: Some("M".to_owned()), ..Settings::default() }, ..Case::default() };
    for (name, expected) in [
        ("cli", "bash -c do it"),
        (
            "claude-code",
            r#"claude --dangerously-skip-permissions --output-format json --model M -p - --strict-mcp-config --mcp-config {"mcpServers":{}}"#,
        ),
        ("gemini-cli", "gemini --yolo -o json -m M --sandbox false"),
        ("codex-cli", "codex exec --full-auto --json --model M --skip-git-repo-check -"),
        ("aider", "aider --yes --model M --message do it --no-stream"),
        ("goose", "goose run --output-format json --model M -i - --no-session --quiet"),
        ("cline-cli", "cline --yolo --json -m M --timeout 1800 do it"),
        ("crush", "crush run --yolo --model M --cwd /w --quiet"),
        ("opencode", "opencode run --dangerously-skip-permissions --format json --model M"),
    ] {
        assert_eq!(argv(name, &model), expected);
    }
    assert!(!argv("claude-code", &Case::default()).contains("--model"));
    assert!(argv("gemini-cli", &Case::default()).contains("-m gemini-3.1-pro-preview"));
}

#[test]
fn settings_of_the_score_are_obeyed() {
    let settings = Settings {
        skip_permissions: false,
        disable_mcp: false,
        mcp_config: Some("/m.json".into()),
        allowed_tools: vec!["Read".to_owned(), "Edit".to_owned()],
        system_prompt_file: Some("/s.md".into()),
        output_format: Some("stream-json".to_owned()),
        extra_args: vec!["--verbose".to_owned()],
        timeout: Some(Duration::from_secs(90)),
        ..Settings::default()
    };
    let case = Case { settings, ..Case::default() };
    assert_eq!(
        argv("claude-code", &case),
        "claude --output-format stream-json --system-prompt-file /s.md --allowedTools Read,Edit -p - --mcp-config /m.json --verbose"
    );
    assert!(argv("cline-cli", &case).contains("--timeout 90"));
}

// Invariant I67
#[test]
fn what_one_sheet_wants_never_reaches_the_next() {
    let registry = Registry::built_in();
    let special = Case {
        settings: Settings {
            model: Some("M".to_owned()),
            allowed_tools: vec!["Read".to_owned()],
            extra_args: vec!["--verbose".to_owned()],
            env: [("OWN".to_owned(), "1".to_owned())].into_iter().collect(),
            timeout: Some(Duration::from_secs(9)),
            ..Settings::default()
        },
        prompt: "the first".to_owned(),
        ..Case::default()
    };
    for name in ["claude-code", "gemini-cli", "cline-cli", "cli"] {
        let profile = registry.get(name).unwrap();
        let made = |case: &Case| {
            let made = call(profile, case).unwrap();
            // Each call looks for its program in a directory of its own.
            let mut env = made.env;
            env.retain(|(name, _)| name != "PATH");
            (made.argv, env, made.stdin, made.prompt_file)
        };
        let before = made(&Case::default());
        assert_ne!(made(&special), before, "{name}");
        assert_eq!(made(&Case::default()), before, "{name}");
    }
}

fn custom(command: &str) -> Profile {
    Profile::parse(&format!(
        "name: x\ndisplay_name: X\nkind: cli\ncli:\n  command: {{executable: x, {command}}}\n  output: {{}}\n"
    ))
    .unwrap()
}

#[test]
fn the_prompt_travels_by_argument_stdin_or_file() {
    let long = "p".repeat(MAX_ARGUMENT + 1);
    let check = |profile: &Profile, prompt: &str, expected: &str, stdin: bool, file: bool| {
        let case = Case { prompt: prompt.to_owned(), ..Case::default() };
        let made = call(profile, &case).unwrap();
        assert_eq!(made.argv.join(" "), expected);
        assert_eq!(made.stdin, if stdin { StdinSource::Prompt(prompt.into()) } else { StdinSource::Null });
        assert_eq!(made.prompt_file.as_deref(), file.then_some(prompt));
    };
    check(&custom("prompt_flag: -p"), "hi", "x", true, false);
    check(&custom("prompt_flag: -p, stdin_sentinel: '-'"), "hi", "x -p -", true, false);
    check(&custom("stdin_sentinel: '-'"), "hi", "x -", true, false);
    check(&custom("prompt_via_stdin: false, prompt_flag: -p"), "hi", "x -p hi", false, false);
    check(&custom("prompt_via_stdin: false"), "hi", "x hi", false, false);
    check(&custom("prompt_via_stdin: false"), "-hi", "x -hi", false, false);
    check(&custom("prompt_via_stdin: false, positional_separator: true"), "-hi", "x -- -hi", false, false);
    check(&custom("prompt_via_stdin: false, prompt_flag: -p"), &long, "x", true, false);
    let registry = Registry::built_in();
    check(registry.get("cli").unwrap(), &long, "bash /a/script", false, true);
    check(
        registry.get("aider").unwrap(),
        &long,
        "aider --yes --message-file /a/script --no-stream",
        false,
        true,
    );
}

#[test]
fn the_environment_holds_what_the_program_may_see() {
    let ours = vec![
        ("HOME", "/h"),
        ("SECRET", "s"),
        ("KEY", "k"),
        ("CLAUDECODE", "1"),
        ("MOZART_SHEET_TOKEN", "old"),
    ];
    let settings =
        Settings { env: vec![("MODE".to_owned(), "${SECRET}!".to_owned())], ..Settings::default() };
    let case = Case { ours, settings, ..Case::default() };
    let names = |profile: &Profile| {
        let made = call(profile, &case).unwrap();
        made.env
            .iter()
            .filter(|(name, _)| name != "PATH")
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        names(&custom("env: {A: 1}")),
        ["A=1", "HOME=/h", "KEY=k", "MODE=s!", "MOZART_JOB_ID=job", "SECRET=s"]
    );
    assert_eq!(names(&custom("required_env: [KEY]")), ["HOME=/h", "KEY=k", "MODE=s!", "MOZART_JOB_ID=job"]);
}

#[test]
fn what_cannot_be_called_is_explained_before_a_start() {
    let missing = Profile { command: None, ..custom("subcommand: a") };
    assert_eq!(call(&missing, &Case::default()).unwrap_err().code().to_string(), "E301");
    let mut profile = custom("prompt_via_stdin: false");
    let nul = Case { prompt: "a\0b".to_owned(), ..Case::default() };
    assert_eq!(call(&profile, &nul).unwrap_err().code().to_string(), "E602");
    profile.command.as_mut().unwrap().executable = "not-there".to_owned();
    let error = call(&profile, &Case::default()).unwrap_err();
    assert_eq!(error.code().to_string(), "E505");
    assert!(error.to_string().contains("`not-there` was not found on PATH"), "{error}");
}

#[test]
fn sh_stands_in_for_a_missing_bash() {
    let folder = programs(&["sh"]);
    let registry = Registry::built_in();
    let path = folder.path().to_string_lossy().into_owned();
    let made = command(&Call {
        profile: registry.get("bash").unwrap(),
        settings: &Settings::default(),
        prompt: "true",
        cwd: Path::new("/"),
        prompt_file: Path::new("/a"),
        ours: &[("PATH".to_owned(), path.clone())].into(),
        own_program: Path::new("/bin/mozart"),
        identity: &[],
    })
    .unwrap();
    assert_eq!(made.argv, [format!("{path}/sh"), "-c".to_owned(), "true".to_owned()]);
    assert_eq!(made.warnings.len(), 1);
}

fn read(name: &str, success: bool, stdout: &str) -> Extracted {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(stdout.as_bytes()).unwrap();
    extract(Registry::built_in().get(name).unwrap(), false, success, file.path())
}

#[test]
fn json_results() {
    let good = r#"{"result": "done", "usage": {"input_tokens": 5, "output_tokens": 7.9}}"#;
    let found = read("claude-code", true, good);
    assert_eq!((found.result.as_str(), found.usage.input, found.usage.output), ("done", Some(5), Some(7)));
    assert!(found.structured && found.warnings.is_empty());
    assert_eq!(read("claude-code", true, &format!("Welcome {{\nhint\n{good}\nbye\n")).result, "done");
    assert_eq!(read("claude-code", true, "Banner\n{\n  \"result\": {\"a\": 1}\n}\n").result, r#"{"a":1}"#);
    let failed = read("claude-code", false, r#"{"error": {"message": "no"}, "usage": {"input_tokens": -1}}"#);
    assert_eq!((failed.error.as_deref(), failed.usage.input), (Some("no"), None));
    let limit = read("claude-code", false, r#"{"is_error": true, "result": "You've hit your limit"}"#);
    assert_eq!(limit.error.as_deref(), Some("You've hit your limit"));
    let text = read("claude-code", true, "plain");
    assert_eq!((text.result.as_str(), text.structured, text.warnings.len()), ("plain", false, 1));
    let gemini = r#"{"response": "r", "stats": {"models": {"a": {"tokens": {"prompt": 1}}, "b": {"tokens": {"prompt": 2}}}}}"#;
    assert_eq!(read("gemini-cli", true, gemini).usage.input, Some(3));
}

#[test]
fn jsonl_results() {
    let codex = concat!(
        r#"{"type":"item.completed","item":{"type":"agent_message","text":"one"}}"#,
        "\nnoise\n",
        r#"{"type":"item.completed","item":{"type":"reasoning","text":"no"}}"#,
        "\n",
        r#"{"type":"item.completed","item":{"type":"agent_message","text":"two"}}"#,
        "\n",
        r#"{"type":"turn.completed","usage":{"input_tokens":2}}"#,
        "\n",
        r#"{"type":"turn.completed","usage":{"input_tokens":3}}"#,
    );
    let found = read("codex-cli", true, codex);
    assert_eq!((found.result.as_str(), found.usage.input), ("two", Some(5)));
    let open =
        "{\"type\":\"text\",\"part\":{\"text\":\"a\"}}\n{\"type\":\"text\",\"part\":{\"text\":\"b\"}}\n";
    assert_eq!(read("opencode", true, open).result, "ab");
    let failed = read("opencode", false, "{\"type\":\"error\",\"error\":{\"message\":\"no\"}}\n");
    assert_eq!(failed.error.as_deref(), Some("no"));
    let none = read("opencode", true, "plain\n");
    assert_eq!((none.result.as_str(), none.structured, none.warnings.len()), ("plain\n", false, 1));
}

#[test]
fn huge_lines_and_missing_files_are_survived() {
    let long = format!("{{\"type\":\"text\",\"part\":{{\"text\":\"{}\"}}}}\n", "x".repeat(1100 * 1024));
    let found = read("opencode", true, &format!("{long}{{\"type\":\"text\",\"part\":{{\"text\":\"b\"}}}}\n"));
    assert_eq!(found.result, "b");
    assert!(found.warnings[0].contains("1 lines"));
    let registry = Registry::built_in();
    for name in registry.names() {
        let found = extract(registry.get(name).unwrap(), false, true, Path::new("/does/not/exist"));
        assert_eq!(found.result, "", "{name}");
    }
    assert_eq!(read("cli", true, &"é".repeat(1024 * 1024)).result.len(), 1024 * 1024);
}
