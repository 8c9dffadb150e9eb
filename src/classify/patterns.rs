//! What a profile says about the failures of its program, compiled.

use std::ops::Deref;
use std::sync::OnceLock;

use regex::Regex;

use crate::util::pattern::{self, Flags};

/// Exit codes and patterns of one instrument. All patterns ignore case.
#[derive(Debug, Clone)]
pub struct Patterns {
    /// Exit codes that mean success. Default `[0]`.
    pub success_exit_codes: Vec<i32>,
    /// Exit codes that mean "come back later".
    pub rate_limit_exit_codes: Vec<i32>,
    /// Exit code 1 of a text-mode program means that its work did not pass.
    pub text_exit1_is_validation: bool,
    /// Rate limits.
    pub rate_limit: PatternList,
    /// Credentials.
    pub auth: PatternList,
    /// Overload of the provider.
    pub capacity: PatternList,
    /// Timeouts.
    pub timeout: PatternList,
    /// Crashes.
    pub crash: PatternList,
    /// No progress.
    pub stale: PatternList,
}

impl Default for Patterns {
    fn default() -> Self {
        Self {
            success_exit_codes: vec![0],
            rate_limit_exit_codes: Vec::new(),
            text_exit1_is_validation: false,
            rate_limit: PatternList::default(),
            auth: PatternList::default(),
            capacity: PatternList::default(),
            timeout: PatternList::default(),
            crash: PatternList::default(),
            stale: PatternList::default(),
        }
    }
}

/// Patterns that are compiled when something fails for the first time: a conductor knows a hundred
/// of them and most nights needs none. Each would hold some 50 KB.
#[derive(Debug, Clone, Default)]
pub struct PatternList {
    texts: Vec<String>,
    compiled: OnceLock<Vec<Regex>>,
}

impl PatternList {
    /// Takes patterns as they are. One that does not compile never matches, see [`PatternList::check`].
    #[must_use]
    pub const fn new(texts: Vec<String>) -> Self {
        Self { texts, compiled: OnceLock::new() }
    }

    /// Compiles all and keeps nothing; the error names the first wrong one.
    ///
    /// # Errors
    /// The reason why a pattern is wrong.
    pub fn check(&self) -> Result<(), String> {
        self.texts.iter().try_for_each(|text| compile(text).map(drop))
    }

    /// There are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }
}

impl Deref for PatternList {
    type Target = [Regex];
    fn deref(&self) -> &[Regex] {
        self.compiled.get_or_init(|| self.texts.iter().filter_map(|text| compile(text).ok()).collect())
    }
}

fn compile(text: &str) -> Result<Regex, String> {
    pattern::compile(text, Flags { multi_line: true, ignore_case: true })
}

impl Patterns {
    /// Checks every list.
    ///
    /// # Errors
    /// The key of a list and the reason why one of its patterns is wrong.
    pub fn check(&self) -> Result<(), String> {
        let lists = [
            ("rate_limit_patterns", &self.rate_limit),
            ("auth_error_patterns", &self.auth),
            ("capacity_patterns", &self.capacity),
            ("timeout_patterns", &self.timeout),
            ("crash_patterns", &self.crash),
            ("stale_patterns", &self.stale),
        ];
        lists
            .iter()
            .try_for_each(|(key, list)| list.check().map_err(|error| format!("`cli.errors.{key}`: {error}")))
    }
}
