//! Classification: never a panic, the same verdict twice; a success only where exit code and output say so, a rate
//! limit only of a failed program and never of one that a signal ended; messages are single clean lines, waits are
//! between a second and a day.

use std::sync::OnceLock;
use std::time::Duration;

use mozart::classify::{Judgement, Seen, Verdict, classify};
use mozart::instrument::Registry;

/// First byte: flags and instrument. Second: exit code. Then stdout, a zero byte, stderr, a zero byte, the error.
pub(crate) fn check(bytes: &[u8]) {
    let [flags, code, rest @ ..] = bytes else { return };
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    let registry = REGISTRY.get_or_init(Registry::built_in);
    let name = ["claude-code", "cli", "codex-cli", "claude_cli"][usize::from(flags & 3)];
    let profile = registry.get(name).expect("an instrument that is built in");
    let mut parts = rest.splitn(3, |byte| *byte == 0).map(String::from_utf8_lossy);
    let [stdout, stderr, error] = [(); 3].map(|()| parts.next().unwrap_or_default());
    let flag = |bit: u8| flags & bit != 0;
    let now = jiff::Timestamp::from_second(1_763_755_200).expect("a time").to_zoned(jiff::tz::TimeZone::UTC);
    let seen = Seen {
        exit_code: (!flag(4)).then_some(i32::from(code.cast_signed())),
        signal: (flag(4) && flag(8)).then_some(i32::from(*code)),
        killed_by: (flags & 0xf0 == 0xf0).then_some("timeout"),
        spawn_error: None,
        oom_killed: flag(16) && flag(32),
        stdout_tail: &stdout,
        stderr_tail: &stderr,
        extracted_error: flag(16).then_some(&*error),
        marked: flag(32),
        reported: None,
        structured: flag(64),
        rate_limit_event: (flags & 0xc0 == 0xc0).then_some(&*error),
        patterns: &profile.patterns,
        score_patterns: &[],
        now: &now,
    };
    let found = classify(&seen);
    assert_eq!(found, classify(&seen), "another verdict the second time");
    judge(&seen, &found);
}

fn judge(seen: &Seen<'_>, found: &Judgement) {
    let clean = |text: &str| {
        assert!(text.chars().count() <= 500, "{} characters", text.chars().count());
        assert!(!text.contains(char::is_control), "{text:?}");
    };
    assert!((0.0..=1.0).contains(&found.confidence), "{}", found.confidence);
    found.evidence.iter().for_each(|text| clean(text));
    found.further.iter().for_each(|error| clean(&error.message));
    assert_eq!(found.method.is_none(), found.verdict == Verdict::Success);
    match &found.verdict {
        Verdict::Success => {
            assert!(!seen.marked && seen.signal.is_none() && seen.killed_by.is_none());
            assert_eq!(seen.exit_code, Some(0));
        }
        Verdict::Failed(failure) => {
            clean(&failure.message);
            assert!(!failure.code.is_rate_limit(), "{failure:?}");
        }
        Verdict::RateLimited { code, wait, message } => {
            clean(message);
            assert!(code.is_rate_limit() && seen.killed_by.is_none());
            let day = Duration::from_secs(86_400);
            assert!(wait.is_none_or(|wait| (Duration::from_secs(1)..=day).contains(&wait)), "{wait:?}");
        }
    }
}
