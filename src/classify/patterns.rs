//! What a profile says about the failures of its program, compiled.

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
    pub rate_limit: Vec<Regex>,
    /// Credentials.
    pub auth: Vec<Regex>,
    /// Overload of the provider.
    pub capacity: Vec<Regex>,
    /// Timeouts.
    pub timeout: Vec<Regex>,
    /// Crashes.
    pub crash: Vec<Regex>,
    /// No progress.
    pub stale: Vec<Regex>,
}

impl Default for Patterns {
    fn default() -> Self {
        Self {
            success_exit_codes: vec![0],
            rate_limit_exit_codes: Vec::new(),
            text_exit1_is_validation: false,
            rate_limit: Vec::new(),
            auth: Vec::new(),
            capacity: Vec::new(),
            timeout: Vec::new(),
            crash: Vec::new(),
            stale: Vec::new(),
        }
    }
}

impl Patterns {
    /// Compiles a list of patterns; the error names the first wrong one.
    pub fn compile(list: &[String]) -> Result<Vec<Regex>, String> {
        list.iter()
            .map(|text| pattern::compile(text, Flags { multi_line: true, ignore_case: true }))
            .collect()
    }
}
