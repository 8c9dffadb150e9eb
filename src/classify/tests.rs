#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn now() -> Zoned {
    "2025-11-21T20:00:00Z".parse::<jiff::Timestamp>().unwrap().to_zoned(jiff::tz::TimeZone::UTC)
}

fn agent() -> Patterns {
    let compiled = |list: &[&str]| PatternList::new(list.iter().map(|text| (*text).to_owned()).collect());
    Patterns {
        rate_limit: compiled(&["rate.?limit", "hit your limit"]),
        auth: compiled(&["login required"]),
        timeout: compiled(&["deadline.?exceeded"]),
        ..Patterns::default()
    }
}

/// An exit code (or `signal N`, or `killed WHY`), stdout and stderr; the verdict as one line.
fn judged(end: &str, stdout: &str, stderr: &str, patterns: &Patterns, structured: bool) -> String {
    let now = now();
    let (kind, rest) = end.split_once(' ').unwrap_or(("exit", end));
    let seen = Seen {
        exit_code: if kind == "exit" { rest.parse().ok() } else { None },
        signal: if kind == "signal" { rest.parse().ok() } else { None },
        killed_by: (kind == "killed").then_some(rest),
        spawn_error: None,
        oom_killed: false,
        stdout_tail: stdout,
        stderr_tail: stderr,
        extracted_error: None,
        marked: false,
        reported: None,
        structured,
        rate_limit_event: None,
        patterns,
        score_patterns: &[],
        now: &now,
    };
    match classify(&seen).verdict {
        Verdict::Success => "success".to_owned(),
        Verdict::Failed(failure) => {
            let retry = if failure.retriable { "retry" } else { "stop" };
            format!("{} {retry} {} {}", failure.code, failure.delay.as_secs(), failure.message)
        }
        Verdict::RateLimited { code, wait, message } => {
            format!("{code} wait {} {message}", wait.map_or(0, |wait| wait.as_secs()))
        }
    }
}

fn check(end: &str, stdout: &str, stderr: &str, expected: &str) {
    assert_eq!(judged(end, stdout, stderr, &agent(), false), expected, "{end} {stdout:?} {stderr:?}");
}

// Invariant I7, I55, I56
#[test]
fn exits_and_signals() {
    check("0", "", "rate limit", "success");
    check("1", "", "boom\n", "E009 retry 10 exit code 1: boom");
    check("7", "last words", "", "E009 retry 10 exit code 7: last words");
    check("2", "", "x: syntax error", "E009 stop 0 exit code 2: x: syntax error");
    check(
        "75",
        "",
        "busy",
        "E009 retry 30 exit code 75, a temporary failure by the program's own account: busy",
    );
    check("124", "", "", "E001 retry 60 exit code 124");
    check("126", "", "", "E505 stop 0 exit code 126, not executable");
    check("127", "", "", "E505 stop 0 exit code 127, command not found");
    check("137", "", "", "E002 retry 30 ended by signal 9 (KILL)");
    check("139", "", "", "E003 stop 0 ended by signal 11 (SEGV)");
    check("none", "", "", "E999 retry 10 ended without an exit code");
    check("none", "", "Killed", "E999 retry 60 ended without an exit code: Killed");
    check("signal 15", "", "rate limit", "E002 retry 10 ended by signal 15 (TERM)");
    check("signal 9", "", "oom-killer", "E005 stop 0 ended by signal 9 (KILL)");
    check("signal 2", "", "", "E004 stop 0 ended by signal 2 (INT)");
    check("killed timeout", "", "rate limit", "E001 retry 60 ended after its timeout");
    check("killed idle", "", "", "E006 retry 120 ended because it was silent for too long");
}

#[test]
fn programs_that_cannot_be_started() {
    for (call, errno, expected) in [
        ("execve", 2, "E505"),
        ("execve", 13, "E505"),
        ("execve", 8, "E505"),
        ("chdir", 2, "E603"),
        ("execve", 20, "E603"),
        ("execve", 7, "E602"),
        ("fork", 11, "E009"),
    ] {
        let finding = exit::spawn(&SpawnError { call, errno, message: "text" });
        assert_eq!(finding.code.to_string(), expected, "{call} {errno}");
    }
}

#[test]
fn what_a_program_says_of_its_failure() {
    check("1", "", "spawn claude ENOENT", "E505 retry 30 spawn claude ENOENT");
    check("1", "", "error: 401 Unauthorized", "E502 stop 0 error: 401 Unauthorized");
    check("1", "", "authentication failed", "E502 stop 0 authentication failed");
    check("1", "", "Login required", "E502 stop 0 Login required");
    check("1", "", "deadline exceeded", "E001 retry 60 deadline exceeded");
    check("1", "", "getaddrinfo EAI_AGAIN api", "E902 retry 30 getaddrinfo EAI_AGAIN api");
    check(
        "1",
        "",
        "ssl certificate verification failed",
        "E903 retry 30 ssl certificate verification failed",
    );
    check("1", "", "connect: connection refused", "E901 retry 30 connect: connection refused");
    check(
        "1",
        "",
        "ls: cannot access 'x': No such file or directory",
        "E009 retry 10 exit code 1: ls: cannot access 'x': No such file or directory",
    );
    check("1", "", "line 401 of 403", "E009 retry 10 exit code 1: line 401 of 403");
}

#[test]
fn logins_in_many_words() {
    for text in [
        "Error: Not logged in. Run `claude login`",
        "OAuth token has expired. Please obtain a new token.",
        "Your organization does not have access. Please run /login",
        "error: You must be logged in to use this command",
        "Session expired, please log in again",
        "Error: OPENAI_API_KEY environment variable is not set",
        "Please set an Auth method in your settings.json",
        "your account has been disabled",
        "stream error: unexpected status 401 Unauthorized",
        r#"API Error: 401 {"error":{"type":"authentication_error"}}"#,
    ] {
        for (stdout, stderr) in [("", text), (text, "")] {
            let said = judged("1", stdout, stderr, &Patterns::default(), false);
            assert!(said.starts_with("E502 stop 0 "), "{text}: {said}");
        }
    }
    for text in [
        "src/login.rs:40: return Err(\"not logged in\")",
        "+ // 401 Unauthorized: run /login",
        "test_not_logged_in failed",
        "the API keys page is missing a title",
    ] {
        for (stdout, stderr) in [("", text), (text, "")] {
            let said = judged("1", stdout, stderr, &Patterns::default(), false);
            assert!(said.starts_with("E009 retry "), "{text}: {said}");
        }
    }
}

#[test]
fn networks_services_and_long_conversations() {
    for (text, expected) in [
        ("API Error: Connection error.", "E901 retry 30"),
        ("fetch failed", "E901 retry 30"),
        ("socket hang up", "E901 retry 30"),
        ("connect: no route to host", "E901 retry 30"),
        ("dial tcp: lookup api.example: no such host", "E902 retry 30"),
        ("net/http: TLS handshake timeout", "E904 retry 60"),
        ("dial tcp 10.0.0.1:443: i/o timeout", "E904 retry 60"),
        ("Request timed out.", "E904 retry 60"),
        ("API Error: 500 Internal Server Error", "E503 retry 15"),
        ("API Error: 502 Bad Gateway", "E503 retry 15"),
        ("API Error: 504 Gateway Timeout", "E504 retry 60"),
        ("API Error: 503 Service Unavailable", "E103 wait 0"),
        ("API Error: Repeated 529 Overloaded errors", "E103 wait 0"),
        ("Prompt is too long", "E602 retry 10"),
        ("input length and max_tokens exceed context limit: 198765 + 32000 > 200000", "E602 retry 10"),
        ("This model's maximum context length is 128000 tokens.", "E602 retry 10"),
        ("Error: MCP config file not found: /x/y.json", "E305 stop 0"),
        ("Credit balance is too low", "E104 wait 0"),
        ("insufficient_quota: check your plan", "E104 wait 0"),
        ("RESOURCE_EXHAUSTED", "E101 wait 0"),
        ("500 files, 504 lines", "E009 retry 10"),
    ] {
        let said = judged("1", "", text, &Patterns::default(), false);
        assert!(said.starts_with(expected), "{text}: {said}");
    }
}

// Invariant I7
#[test]
fn quotations_are_no_limits() {
    let work = "one\ntwo\nthree\nfour\nfive\n";
    for text in [
        "reading src/rate_limit_1.rs",
        "src/limit.rs: if status == 429 { return Err(\"rate limit exceeded\") }",
        "+ // you have hit your limit, resets 9pm",
        "FAILED tests/test_api.py::test_rate_limit",
        "    12\trate limit exceeded",
        "> rate limit exceeded, try again later",
        "see https://docs.example/rate-limit",
    ] {
        let said = judged("1", &format!("{work}{text}\n"), "", &agent(), false);
        assert!(said.starts_with("E009 retry "), "printed {text}: {said}");
        let said = judged("1", "", &format!("{text}\nassertion failed\n"), &agent(), false);
        assert!(said.starts_with("E009 retry "), "said {text}: {said}");
    }
    // Prose about limits, and the failure of the work itself as the last word.
    for text in ["our API has a rate limit of 60 per minute", "rate limit exceeded\n2 tests failed"] {
        let said = judged("1", &format!("{work}{text}\n"), "", &agent(), false);
        assert!(said.starts_with("E009 retry "), "{text}: {said}");
    }
    // What it said long before its end.
    let session: String = (0..60).map(|n| format!("step {n}\n")).collect();
    let said = judged("1", "", &format!("rate limit exceeded\n{session}boom\n"), &agent(), false);
    assert!(said.starts_with("E009 retry "), "{said}");
    let said = judged("1", "", &format!("{session}rate limit exceeded, try again in 20s\n"), &agent(), false);
    assert!(said.starts_with("E101 wait 20 "), "{said}");
}

#[test]
fn a_small_agent_without_patterns_meets_limits_too() {
    for text in [
        "You've hit your limit · resets 9pm (UTC)",
        "Claude usage limit reached|1763758800",
        "API Error: 529 overloaded, try again in 1 hour",
        "Credit balance is too low, try again in 1 hour",
    ] {
        let said = judged("1", text, "", &Patterns::default(), false);
        assert!(said.contains(" wait 3600 "), "{text}: {said}");
    }
}

#[test]
fn rate_limits() {
    check(
        "1",
        "",
        "Error: rate limit, try again in 20s",
        "E103 wait 0 Error: rate limit, try again in 20s".replace("E103 wait 0", "E101 wait 20").as_str(),
    );
    check("1", "", "HTTP 429", "E101 wait 0 HTTP 429");
    check("1", "", "overloaded, try again later", "E103 wait 0 overloaded, try again later");
    check("1", "You've hit your limit. resets 9pm", "", "E104 wait 3600 You've hit your limit. resets 9pm");
    check(
        "1",
        "",
        "daily usage limit reached; resets in 3 hours",
        "E104 wait 10800 daily usage limit reached; resets in 3 hours",
    );
    check(
        "1",
        "",
        "processed 429 files over 503 pages",
        "E009 retry 10 exit code 1: processed 429 files over 503 pages",
    );
}

// Invariant I7
#[test]
fn work_about_rate_limits_is_not_a_rate_limit() {
    let source = "fn rate_limit() {\n    // 429: too many requests, quota exceeded, capacity\n    authentication();\n}\n1\n2\n3\n4\ntests failed\n";
    check("1", source, "", "E009 retry 10 exit code 1: tests failed");
    check("0", source, "", "success");
    assert_eq!(judged("1", "{\"result\": \"rate limit\"}", "", &agent(), true), "E009 retry 10 exit code 1");
    // Without patterns of its own, an instrument's plain output is no evidence at all.
    assert_eq!(
        judged("1", "rate limit", "", &Patterns::default(), false),
        "E009 retry 10 exit code 1: rate limit"
    );
}

#[test]
fn structured_errors_and_the_root_cause() {
    let json = |kind: &str, message: &str| {
        format!("banner\n{{\"errors\": [{{\"type\": \"{kind}\", \"message\": \"{message}\"}}]}}")
    };
    check("1", &json("system", "Rate limit: 429"), "", "E101 wait 0 Rate limit: 429");
    check("1", &json("system", "quota, overloaded"), "", "E103 wait 0 quota, overloaded");
    check("1", &json("tool", "MCP server down"), "", "E305 stop 0 MCP server down");
    check("1", &json("tool", "bad"), "", "E203 retry 10 bad");
    check("1", &json("user", "no such file"), "", "E303 stop 0 no such file");
    check("1", &json("x", "request timed out"), "", "E001 retry 60 request timed out");
    let both = format!("{}\n", json("system", "rate limit"));
    check("1", &both, &json("system", "unauthorized"), "E502 stop 0 unauthorized");
    check("1", &json("user", "ENOENT"), "rate limit", "E505 retry 30 ENOENT");
}

#[test]
fn rate_limit_exit_codes_and_events() {
    let patterns =
        Patterns { rate_limit_exit_codes: vec![75], text_exit1_is_validation: true, ..Patterns::default() };
    assert_eq!(judged("75", "", "later please", &patterns, false), "E101 wait 0 later please");
    assert_eq!(judged("1", "", "", &patterns, false), "E209 retry 0 exit code 1");
}

// Invariant I55
#[test]
fn a_signal_may_pass_and_plain_output_says_nothing_of_logins() {
    for end in ["signal 15", "signal 1", "none"] {
        let said = judged(end, "", "", &agent(), false);
        assert!(said.contains(" retry "), "{end}: {said}");
    }
    for text in ["LOGIN REQUIRED", "Login required", "login required", "UNAUTHORIZED", "Invalid API Key"] {
        let said = judged("1", "", text, &agent(), false);
        assert!(said.starts_with("E502 stop"), "{text}: {said}");
        // The same words as the end of some work: what was printed while working is no evidence.
        let printed = format!("one\ntwo\nthree\nfour\n{text}\nfive\nsix\nseven\neight\nnine\n");
        let said = judged("1", &printed, "", &agent(), false);
        assert!(said.starts_with("E009 retry"), "{text}: {said}");
    }
}

// Invariant I57
#[test]
fn a_rate_limit_is_found_beside_a_structured_error_and_told_once() {
    let now = now();
    let patterns = agent();
    let judge = |kind: &str, message: &str, stderr: &str| {
        let stdout = format!("{{\"errors\": [{{\"type\": \"{kind}\", \"message\": \"{message}\"}}]}}");
        classify(&Seen {
            exit_code: Some(1),
            signal: None,
            killed_by: None,
            spawn_error: None,
            oom_killed: false,
            stdout_tail: &stdout,
            stderr_tail: stderr,
            extracted_error: None,
            marked: false,
            reported: None,
            structured: true,
            rate_limit_event: None,
            patterns: &patterns,
            score_patterns: &[],
            now: &now,
        })
    };
    let limits = |judgement: &Judgement| {
        let root = usize::from(matches!(judgement.verdict, Verdict::RateLimited { .. }));
        root + judgement.further.iter().filter(|error| error.code.is_rate_limit()).count()
    };
    // Beside a failure of less weight the limit decides.
    let judgement = judge("tool", "bad", "rate limit, try again in 20s");
    assert!(matches!(judgement.verdict, Verdict::RateLimited { .. }), "{judgement:?}");
    assert_eq!((limits(&judgement), judgement.further.len()), (1, 1));
    // Beside one of more weight it is told.
    let judgement = judge("user", "ENOENT", "rate limit");
    assert!(matches!(&judgement.verdict, Verdict::Failed(failure) if failure.code == ErrorCode::E505));
    assert_eq!(limits(&judgement), 1, "{judgement:?}");
    // One that the program reported itself is not found a second time.
    let judgement = judge("system", "rate limit: 429", "rate limit exceeded");
    assert_eq!((limits(&judgement), judgement.further.len()), (1, 0), "{judgement:?}");
}

// Invariant I59
#[test]
fn messages_are_clean_single_lines() {
    check(
        "1",
        "",
        "\u{1b}[31mkey sk-ant-api03-abcdefghijkl\u{1b}[0m\twrong",
        "E009 retry 10 exit code 1: key [REDACTED_ANTHROPIC_KEY] wrong",
    );
}

proptest! {
    // Invariant I58
    #[test]
    fn classification_is_total(
        stdout in "(\\PC|\n|\\{\"errors\": \\[|rate limit|resets 9pm){0,30}",
        stderr: String,
        code in proptest::option::of(any::<i32>()),
        signal in proptest::option::of(any::<i32>()),
    ) {
        let now = now();
        let patterns = agent();
        let seen = Seen {
            exit_code: code, signal, killed_by: None, spawn_error: None, oom_killed: false,
            stdout_tail: &stdout, stderr_tail: &stderr, extracted_error: Some(&stdout), marked: false, reported: None, structured: false,
            rate_limit_event: None, patterns: &patterns, score_patterns: &[], now: &now,
        };
        prop_assert_eq!(classify(&seen), classify(&seen), "the same text, the same verdict");
        match classify(&seen).verdict {
            Verdict::Success => prop_assert!(code == Some(0) && signal.is_none()),
            Verdict::Failed(failure) => prop_assert!(!failure.message.contains('\n') && !failure.code.is_rate_limit()),
            Verdict::RateLimited { code, .. } => prop_assert!(code.is_rate_limit()),
        }
    }
}
