//! Phrases that programs print when something is wrong, and the code they mean.
//!
//! A bare number is evidence only beside a word such as `error` or `status`, and words that also occur in
//! ordinary work (`quota`, `authentication`) only where the caller looks: in what the program says of its failure.

use std::sync::OnceLock;

use regex::Regex;

use super::ErrorCode;

fn regex(cell: &'static OnceLock<Regex>, pattern: &str) -> &'static Regex {
    cell.get_or_init(|| Regex::new(pattern).expect("a constant pattern that a test compiles"))
}

macro_rules! phrases {
    ($($(#[$doc:meta])* $name:ident = $pattern:expr;)*) => {$(
        $(#[$doc])*
        pub(super) fn $name(text: &str) -> bool {
            static CELL: OnceLock<Regex> = OnceLock::new();
            regex(&CELL, $pattern).is_match(text)
        }
    )*};
}

phrases! {
    /// The allowance of a period is used up.
    quota = r"(?ix)
        tokens?\s+(?:are\s+|is\s+)?exhausted | token\s+budget\s+(?:is\s+|was\s+)?(?:used|exhausted|depleted)
      | usage\s+(?:will\s+)?resets?\s+(?:at|in) | resets?\s+(?:at\s+)?\d{1,2}(?::\d\d)?\s*[ap]m
      | resets?\s+in\s+(?:about\s+)?\d+\s*(?:h|m|hours?|minutes?)\b
      | (?:daily|hourly|weekly|monthly)\s+(?:token|usage)\s+limit | (?:used|consumed)\s+all\s+(?:your\s+|of\s+your\s+)?(?:tokens|credits)
      | no\s+(?:tokens|credits)\s+(?:left|remaining) | token\s+allowance\s+(?:is\s+)?used | recharges?\s+(?:at|in)\s";
    /// Too much in too short a time.
    rate_limit = r"(?ix)
        rate.?limit | usage.?limit | \bquota\b | too\s+many\s+requests | (?:error|status|code|http)[^\w\n]{0,3}429\b | \b429[^\w\n]{1,3}(?:error|status|too)
      | try\s+again\s+later | \boverloaded\b | (?:at|over|insufficient|exceed\w*)\s+capacity | capacity\s+(?:exceeded|error)
      | hit.{0,10}limit | limit.{0,10}resets? | daily.{0,10}limit | (?:error|status|code|http)[^\w\n]{0,3}529\b";
    /// Of those: the provider has no room.
    capacity = r"(?i)capacity|try again later|overloaded|service.?unavailable|\b(?:503|529)\b";
    missing_program = r"(?i)command not found|not found in \$?PATH|spawn \S+ ENOENT|(?:exec|execvp|spawn|env)\b[^\n]{0,80}: no such file or directory";
    cli_mode = r"(?i)stream(?:ing)?[- ](?:mode|json)[^\n]{0,40}(?:not supported|unsupported|incompatible|requires)|output[- ]format[^\n]{0,40}(?:not supported|unsupported|incompatible|invalid)";
    auth = r"(?i)\bunauthorized\b|invalid.?api.?key";
    auth_status = r"(?i)(?:error|status|code|http)[^\w\n]{0,3}(?:401|403)\b";
    auth_word = r"(?im)^(?:.*\bauthenticat\w*.*(?:error|failed|invalid|denied|required|expired).*|.*(?:error|failed|invalid|denied|required|expired).*\bauthenticat\w*.*)$";
    tool_server = r"(?i)mcp[^\n]{0,40}(?:server )?(?:error|invalid config|failed to (?:start|connect))|missing environment variables:";
    dns = r"(?i)getaddrinfo|enotfound|could not resolve|name resolution|temporary failure in name|dns[^\n]{0,30}(?:error|fail)";
    ssl = r"(?i)(?:ssl|tls|certificate|x509)[^\n]{0,60}(?:error|fail|invalid|expired|unable|verif|denied)|(?:error|fail\w*|unable)[^\n]{0,60}(?:\bssl\b|\btls\b|certificate)|handshake[^\n]{0,30}fail";
    network = r"(?i)connection (?:refused|reset)|econnrefused|econnreset|etimedout|network (?:is )?unreachable|connection.?time(?:d )?out";
    refused_input = r"(?i)permission denied|access denied|not permitted|validation failed|invalid argument|syntax error";
    out_of_memory = r"(?i)\boom\b|out of memory|oom-?kill|cannot allocate memory|memory cgroup";
    killed_or_oom = r"(?i)\bkilled\b|\boom\b|out of memory|cannot allocate";
}

/// Kind of rate limit that a text speaks of.
pub(super) fn limit_kind(text: &str) -> ErrorCode {
    if quota(text) {
        ErrorCode::E104
    } else if capacity(text) {
        ErrorCode::E103
    } else {
        ErrorCode::E101
    }
}

/// A kind of failure that is known by what programs say.
pub(super) struct Cause {
    /// Whether a line says it.
    pub(super) matches: fn(&str) -> bool,
    /// What it means.
    pub(super) code: ErrorCode,
    /// Delay before a retry, where it differs from the table.
    pub(super) delay: Option<u32>,
    /// Shown as evidence.
    pub(super) rule: &'static str,
    /// Not taken from a line that speaks of a rate limit.
    pub(super) weak: bool,
}

const fn cause(rule: &'static str, matches: fn(&str) -> bool, code: ErrorCode) -> Cause {
    Cause { matches, code, delay: None, rule, weak: false }
}

/// In the order in which they are looked for.
pub(super) static CAUSES: [Cause; 9] = [
    Cause { delay: Some(30), ..cause("missing program", missing_program, ErrorCode::E505) },
    cause("output mode", cli_mode, ErrorCode::E306),
    cause("login refused", auth, ErrorCode::E502),
    Cause { weak: true, ..cause("login refused", auth_status, ErrorCode::E502) },
    Cause { weak: true, ..cause("login refused", auth_word, ErrorCode::E502) },
    cause("tool server", tool_server, ErrorCode::E305),
    cause("name resolution", dns, ErrorCode::E902),
    cause("certificate", ssl, ErrorCode::E903),
    cause("network", network, ErrorCode::E901),
];

/// A line about a rate limit or a used-up quota.
pub(super) fn speaks_of_limit(line: &str) -> bool {
    quota(line) || rate_limit(line)
}

/// Kind of a rate limit that was reported as such: only a used-up quota is told apart.
pub(super) fn limit_kind_of_error(text: &str) -> ErrorCode {
    if quota(text) { ErrorCode::E104 } else { ErrorCode::E101 }
}
