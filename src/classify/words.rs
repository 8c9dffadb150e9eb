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
      | no\s+(?:tokens|credits)\s+(?:left|remaining) | out\s+of\s+credits | insufficient[\s_](?:quota|credits?|balance|funds)
      | credit\s+balance\s+(?:is\s+)?too\s+low | token\s+allowance\s+(?:is\s+)?used | recharges?\s+(?:at|in)\s";
    /// Too much in too short a time.
    rate_limit = r"(?ix)
        rate.?limit | usage.?limit | \bquota\b | too\s+many\s+requests | (?:error|status|code|http)[^\w\n]{0,3}429\b | \b429[^\w\n]{1,3}(?:error|status|too)
      | try\s+again\s+later | \boverloaded\b | (?:at|over|insufficient|exceed\w*)\s+capacity | capacity\s+(?:exceeded|error)
      | hit.{0,10}limit | limit.{0,10}resets? | daily.{0,10}limit | (?:error|status|code|http)[^\w\n]{0,3}(?:503|529)\b
      | \b503\s+service\s+unavailable | resource.?exhausted";
    /// Of those: the provider has no room.
    capacity = r"(?i)capacity|try again later|overloaded|service.?unavailable|\b(?:503|529)\b";
    missing_program = r"(?i)command not found|not found in \$?PATH|spawn \S+ ENOENT|(?:exec|execvp|spawn|env)\b[^\n]{0,80}: no such file or directory";
    cli_mode = r"(?i)stream(?:ing)?[- ](?:mode|json)[^\n]{0,40}(?:not supported|unsupported|incompatible|requires)|output[- ]format[^\n]{0,40}(?:not supported|unsupported|incompatible|invalid)";
    auth = r#"(?ix)
        \bunauthorized\b | invalid.?api.?key | authentication_error | ^\W*(?:\w+:\s*)?login\s+required
      | \bnot\s+logged\s+in\b | \b(?:must|need\s+to)\s+(?:be\s+logged|log|sign)\s+in\b | \b(?:log|sign)\s?in\s+again\b
      | \brun\s+[`'"]?(?:/login\b | \w+\s+(?:auth\s+)?login\b)
      | \b(?:token|session|credentials?|login|api.?key)\s+(?:has\s+|have\s+|is\s+|are\s+)?(?:expired|revoked)\b
      | api.?key\s+(?:environment\s+variable\s+)?(?:is\s+|was\s+)?(?:not\s+set|unset|missing|required|not\s+found)\b | \b(?:missing|no|incorrect)\s+api.?key\b
      | \bset\s+an\s+auth\s+method\b | \baccount\s+(?:has\s+been\s+|is\s+|was\s+)?(?:disabled|deactivated|suspended)\b"#;
    auth_status = r"(?i)(?:error|status|code|http)[^\w\n]{0,3}(?:401|403)\b";
    auth_word = r"(?im)^(?:.*\bauthenticat\w*.*(?:error|failed|invalid|denied|required|expired).*|.*(?:error|failed|invalid|denied|required|expired).*\bauthenticat\w*.*)$";
    tool_server = r"(?i)mcp config[^\n]{0,40}not found|mcp[^\n]{0,40}(?:server )?(?:error|invalid config|failed to (?:start|connect))|missing environment variables:";
    dns = r"(?i)getaddrinfo|enotfound|no such host|name or service not known|could not resolve|name resolution|temporary failure in name|dns[^\n]{0,30}(?:error|fail)";
    ssl = r"(?i)(?:ssl|tls|certificate|x509)[^\n]{0,60}(?:error|fail|invalid|expired|unable|verif|denied)|(?:error|fail\w*|unable)[^\n]{0,60}(?:\bssl\b|\btls\b|certificate)|handshake[^\n]{0,30}fail";
    network = r"(?i)connection (?:refused|reset|error|aborted)|fetch failed|socket hang up|no route to host|disconnect/reset before headers|econnrefused|econnreset|etimedout|network (?:is )?unreachable|connection.?time(?:d )?out";
    network_timeout = r"(?i)\bi/o timeout|handshake timeout|\b(?:request|operation|read) (?:was )?timed.?out|timeout was reached";
    server_error = r"(?i)(?:error|status|code|http)[^\w\n]{0,3}50[02]\b|\b50[02] (?:internal server error|bad gateway)";
    gateway_timeout = r"(?i)(?:error|status|code|http)[^\w\n]{0,3}504\b|\b504 gateway time";
    too_long = r"(?i)(?:prompt|input) is too long|context_length_exceeded|maximum context length|exceeds?[^\n]{0,40}\bcontext (?:length|limit|window)|input token count[^\n]{0,40}exceeds";
    /// Says that something is over, not merely what it is about.
    asserts = r"(?i)exceed|reached|\bhit\b|too many|try again|retry|resets?\b|exhausted|overloaded|blocked|limited|\berror|fail|depleted|used up|(?:error|status|code|http)[^\w\n]{0,3}429\b";
    /// The work itself did not succeed.
    failed_work = r"(?i)\b(?:build|tests?|compil\w+|lint\w*|type.?check\w*|syntax|merge|assert\w*)\b[^\n]{0,40}\b(?:fail\w*|errors?|conflicts?|aborted)\b|assertion.?(?:error|failed)|panicked at|\b\d+ (?:tests? )?failed\b|error\[E\d{4}\]|\bnot pass\b";
    /// A line of source text, of a comparison, a listing or a quotation.
    quoted = r"(?x)
        ^\s*(?://|/\*|\#|\+|@@|>\s|```|\d+\s*[│|→\t]) | ^\s+\*\s | ^\s*\S*\w\.\w{1,5}:\d+(?::\d+)?[:\s]
      | ;\s*$ | \)\s*\{\s*$ | \s(?:==|!=|=>|:=|&&|\|\|)\s
      | ^\s*(?:\S+:\s+)?(?:pub\s+)?(?:fn|def|func|function|class|struct|enum|impl|const|let|var|return|import|assert\w*|elif)\s.*[(){}=:]";
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
    /// Also taken from plain output, when that is all that was printed.
    pub(super) plain: bool,
}

const fn cause(rule: &'static str, matches: fn(&str) -> bool, code: ErrorCode) -> Cause {
    Cause { matches, code, delay: None, rule, weak: false, plain: false }
}

/// In the order in which they are looked for.
pub(super) static CAUSES: [Cause; 13] = [
    Cause { delay: Some(30), ..cause("missing program", missing_program, ErrorCode::E505) },
    cause("output mode", cli_mode, ErrorCode::E306),
    Cause { plain: true, ..cause("login refused", auth, ErrorCode::E502) },
    Cause { weak: true, plain: true, ..cause("login refused", auth_status, ErrorCode::E502) },
    Cause { weak: true, ..cause("login refused", auth_word, ErrorCode::E502) },
    cause("tool server", tool_server, ErrorCode::E305),
    // A conversation that has grown too long begins anew with the next attempt.
    Cause { delay: Some(10), plain: true, ..cause("prompt too long", too_long, ErrorCode::E602) },
    Cause { plain: true, ..cause("name resolution", dns, ErrorCode::E902) },
    Cause { plain: true, ..cause("certificate", ssl, ErrorCode::E903) },
    Cause { plain: true, ..cause("network", network, ErrorCode::E901) },
    Cause { plain: true, ..cause("network timeout", network_timeout, ErrorCode::E904) },
    Cause { plain: true, ..cause("server error", server_error, ErrorCode::E503) },
    Cause { plain: true, ..cause("gateway timeout", gateway_timeout, ErrorCode::E504) },
];

/// Names of files, tests and functions, and addresses.
pub(super) fn names() -> &'static Regex {
    static CELL: OnceLock<Regex> = OnceLock::new();
    regex(
        &CELL,
        r"(?ix)https?://\S+ | \btest_\w+ | \b\w+\(
        | [\w./@~+-]*\w\.(?:rs|py|jsx?|tsx?|go|c|h|cc|cpp|hpp|java|kt|rb|php|sh|md|txt|json|ya?ml|toml|lock|log|html|css|sql|xml|csv|swift|exs?)\b",
    )
}

/// A line about a rate limit or a used-up quota.
pub(super) fn speaks_of_limit(line: &str) -> bool {
    quota(line) || rate_limit(line)
}

/// Kind of a rate limit that was reported as such: only a used-up quota is told apart.
pub(super) fn limit_kind_of_error(text: &str) -> ErrorCode {
    if quota(text) { ErrorCode::E104 } else { ErrorCode::E101 }
}
