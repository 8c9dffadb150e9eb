//! Removes credentials from text before it is stored, sent, logged or put into a prompt.
//!
//! Runs before any truncation, because a key that was cut in half no longer looks like one.
//! Redacting twice gives the same text as redacting once.

use std::borrow::Cow;
use std::sync::OnceLock;

use regex::{Captures, Regex, RegexBuilder};

/// Kind of credential and how it looks. The order decides when two patterns start at the same place.
const PATTERNS: [(&str, &str); 9] = [
    ("ANTHROPIC_KEY", r"(?-u:\b)sk-ant-api[A-Za-z0-9_-]{8,}"),
    ("OPENAI_KEY", r"(?-u:\b)sk-proj-[A-Za-z0-9_-]{20,}"),
    ("API_KEY", r"(?-u:\b)sk-[A-Za-z0-9_-]{40,}"),
    ("GOOGLE_KEY", r"AIzaSy[A-Za-z0-9_-]{28,}"),
    ("AWS_KEY", r"AKIA[0-9A-Z]{16}"),
    ("BEARER_TOKEN", r"(?i-u:\bbearer)[ \t]+[A-Za-z0-9._~+/=-]{20,}"),
    ("GITHUB_TOKEN", r"(?:gh[opsur]_|github_pat_)[A-Za-z0-9_]{36,}"),
    ("SLACK_TOKEN", r"(?:xox[abprs]-|xapp-)[A-Za-z0-9-]{20,}"),
    ("HF_TOKEN", r"(?-u:\b)hf_[A-Za-z0-9]{20,}"),
];

/// A key block without an end was cut off: everything after its head goes.
const PRIVATE_KEY: &str =
    r"(?s)-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----|\z)";

fn scanner() -> &'static Regex {
    static SCANNER: OnceLock<Regex> = OnceLock::new();
    SCANNER.get_or_init(|| {
        let mut all = format!("({PRIVATE_KEY})");
        for (_, pattern) in PATTERNS {
            all.push_str("|(");
            all.push_str(pattern);
            all.push(')');
        }
        // Without this limit every thread that redacts may keep megabytes of its automaton.
        let built = RegexBuilder::new(&all).dfa_size_limit(128 << 10).build();
        built.expect("the patterns above are constants that a test compiles")
    })
}

/// Replaces every credential by `[REDACTED_<KIND>]`.
#[must_use]
pub fn redact(text: &str) -> String {
    if !may_hold_credential(text.as_bytes()) {
        return text.to_owned();
    }
    let mut text = Cow::Borrowed(text);
    // A replacement can end the word that hid another key: repeat until nothing is found.
    // Each round removes at least 16 characters that are never put back, so this ends.
    while let Cow::Owned(cleaner) = scanner().replace_all(&text, replacement) {
        text = Cow::Owned(cleaner);
    }
    text.into_owned()
}

/// Whether any pattern could match: a few searches that cost next to nothing, because nearly every
/// text holds none.
fn may_hold_credential(text: &[u8]) -> bool {
    const HEADS: [&[u8]; 9] =
        [b"sk-", b"AIzaSy", b"AKIA", b"gh", b"xox", b"xapp-", b"hf_", b"-----BEGIN", b"github_pat_"];
    let bearer = || {
        memchr::memchr2_iter(b'b', b'B', text)
            .any(|at| text.get(at..at + 6).is_some_and(|word| word.eq_ignore_ascii_case(b"bearer")))
    };
    HEADS.iter().any(|head| memchr::memmem::find(text, head).is_some()) || bearer()
}

fn replacement(found: &Captures<'_>) -> String {
    // Group 1 is the key block; group n+2 is pattern n.
    let kind = (0..PATTERNS.len()).find(|n| found.get(n + 2).is_some());
    format!("[REDACTED_{}]", kind.map_or("PRIVATE_KEY", |n| PATTERNS[n].0))
}

/// Whether a field of this name carries a secret and is shown as `[REDACTED]`.
/// Counters of tokens (`input_tokens`, `token_count`) are not secrets.
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    const MARKS: [&str; 9] = [
        "api_key",
        "apikey",
        "api-key",
        "secret",
        "password",
        "credential",
        "bearer",
        "authorization",
        "auth",
    ];
    let name = name.to_lowercase();
    let counter = name.contains("tokens") || name.contains("token_count");
    MARKS.iter().any(|mark| name.contains(mark)) || (name.contains("token") && !counter)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // Invariant I59
    #[test]
    fn every_kind_of_credential_disappears() {
        for (secret, kind) in [
            ("sk-ant-api03-abcdefghijkl", "ANTHROPIC_KEY"),
            ("sk-proj-abcdefghijklmnopqrstuv", "OPENAI_KEY"),
            (&format!("sk-{}", "a1".repeat(20)), "API_KEY"),
            (&format!("AIzaSy{}", "b".repeat(33)), "GOOGLE_KEY"),
            ("AKIAABCDEFGHIJKLMNOP", "AWS_KEY"),
            ("Bearer abcdefghijklmnopqrstuvwxyz", "BEARER_TOKEN"),
            (&format!("ghp_{}", "c".repeat(36)), "GITHUB_TOKEN"),
            (&format!("github_pat_{}", "c".repeat(40)), "GITHUB_TOKEN"),
            ("xoxb-1234567890-abcdefghij", "SLACK_TOKEN"),
            ("hf_abcdefghijklmnopqrstuv", "HF_TOKEN"),
            ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----", "PRIVATE_KEY"),
            ("-----BEGIN PRIVATE KEY-----\nabc", "PRIVATE_KEY"),
        ] {
            let clean = redact(&format!("before {secret}"));
            assert_eq!(clean, format!("before [REDACTED_{kind}]"), "{secret}");
        }
    }

    // Invariant I59
    #[test]
    fn ordinary_text_stays() {
        for text in ["task-list", "sk-short", "the bearer of bad news", "ask-me-anything", ""] {
            assert_eq!(redact(text), text);
        }
    }

    #[test]
    fn keys_that_hide_behind_each_other_are_all_found() {
        let two = "AKIAABCDEFGHIJKLMNOPhf_abcdefghijklmnopqrstuv";
        assert_eq!(redact(two), "[REDACTED_AWS_KEY][REDACTED_HF_TOKEN]");
    }

    #[test]
    fn names_of_secrets() {
        for name in ["OPENAI_API_KEY", "Authorization", "github_token", "db_password"] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["input_tokens", "token_count", "sheet", "workspace"] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    proptest! {
        // Invariant I59
        #[test]
        fn redacting_is_idempotent(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "AKIAABCDEFGHIJKLMNOP", "hf_abcdefghijklmnopqrstuv", "sk-", "sk-ant-api", "abcdefghijklmnopqrstuvwxyz0123",
                    "Bearer ", "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", "]", "_", " ", "ghp_", "é",
                ]),
                0..20,
            )
        ) {
            let once = redact(&parts.concat());
            prop_assert_eq!(redact(&once), once);
        }
    }
}
