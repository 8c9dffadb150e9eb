//! What each error code means: name, category, what follows from it, and one line of advice.

use std::fmt;
use std::time::Duration;

use super::ErrorCode;

/// How an error is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Category {
    /// Waited out; costs no retry.
    RateLimit,
    /// Tried again.
    Transient,
    /// The checks after the run failed.
    Validation,
    /// Credentials.
    Auth,
    /// Network.
    Network,
    /// Ran too long or was silent too long.
    Timeout,
    /// Ended by a signal.
    Signal,
    /// Not tried again.
    Fatal,
    /// The score or the machine must be changed.
    Configuration,
    /// Refused before the start.
    Preflight,
    /// Stored state.
    State,
    /// The instrument's service.
    Backend,
    /// A hook.
    Hook,
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RateLimit => "rate_limit",
            Self::Transient => "transient",
            Self::Validation => "validation",
            Self::Auth => "auth",
            Self::Network => "network",
            Self::Timeout => "timeout",
            Self::Signal => "signal",
            Self::Fatal => "fatal",
            Self::Configuration => "configuration",
            Self::Preflight => "preflight",
            Self::State => "state",
            Self::Backend => "backend",
            Self::Hook => "hook",
        })
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Somebody must act.
    Critical,
    /// The sheet failed.
    Error,
    /// It will probably pass by itself.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Critical => "critical",
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meaning {
    /// `EXECUTION_TIMEOUT`, ...
    pub name: &'static str,
    /// How it is treated.
    pub category: Category,
    /// May be tried again.
    pub retriable: bool,
    /// How bad it is.
    pub severity: Severity,
    /// Default wait before the next attempt, seconds.
    pub delay_seconds: u32,
    /// The lowest of several errors is the root cause.
    pub priority: u8,
    /// One line of advice.
    pub hint: &'static str,
}

impl ErrorCode {
    /// `rate_limit`; else `transient` for what may be tried again, `permanent` for what may not.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self.meaning() {
            _ if self.is_rate_limit() => "rate_limit",
            meaning if meaning.retriable => "transient",
            _ => "permanent",
        }
    }

    /// Every code, in order.
    pub const ALL: [Self; 43] = {
        use ErrorCode::*;
        [
            E001, E002, E003, E004, E005, E006, E007, E008, E009, E101, E102, E103, E104, E201, E202, E203,
            E204, E209, E301, E302, E303, E304, E305, E306, E401, E402, E403, E404, E501, E502, E503, E504,
            E505, E601, E602, E603, E604, E701, E901, E902, E903, E904, E999,
        ]
    };

    /// Whether it asks to wait for the instrument instead of failing.
    #[must_use]
    pub const fn is_rate_limit(self) -> bool {
        matches!(self, Self::E101 | Self::E102 | Self::E103 | Self::E104)
    }

    /// Default wait before the next attempt.
    #[must_use]
    pub fn delay(self) -> Duration {
        Duration::from_secs(u64::from(self.meaning().delay_seconds))
    }

    /// Its row of the table.
    #[must_use]
    #[rustfmt::skip]
    pub const fn meaning(self) -> Meaning {
        use Category as C;
        use Severity::{Critical, Error, Warning};
        const fn row(name: &'static str, category: C, retriable: bool, severity: Severity, delay_seconds: u32, priority: u8, hint: &'static str) -> Meaning {
            Meaning { name, category, retriable, severity, delay_seconds, priority, hint }
        }
        match self {
            Self::E001 => row("EXECUTION_TIMEOUT", C::Timeout, true, Error, 60, 60, "raise `timeout_seconds`, or split the sheet"),
            Self::E002 => row("EXECUTION_KILLED", C::Signal, true, Error, 30, 63, "something outside ended the program: look into the system log"),
            Self::E003 => row("EXECUTION_CRASHED", C::Fatal, false, Critical, 0, 62, "the program crashed: update it or report the crash"),
            Self::E004 => row("EXECUTION_INTERRUPTED", C::Fatal, false, Error, 0, 64, "the program was interrupted: resume the job when ready"),
            Self::E005 => row("EXECUTION_OOM", C::Fatal, false, Critical, 0, 61, "memory ran out: run fewer sheets at once, or raise the limit"),
            Self::E006 => row("EXECUTION_STALE", C::Timeout, true, Warning, 120, 60, "no output for too long: raise `stale_detection.idle_timeout_seconds`"),
            Self::E007 => row("EXECUTION_COST_LIMIT", C::Fatal, false, Error, 0, 59, "the cost limit was reached: raise `cost_limits.max_cost_per_sheet`"),
            Self::E008 => row("CONDUCTOR_INTERRUPTED", C::Signal, true, Warning, 0, 65, "the conductor was restarted during the attempt: it is run again"),
            Self::E009 => row("EXECUTION_UNKNOWN", C::Transient, true, Error, 10, 90, "read the end of the program's error output"),
            Self::E101 => row("RATE_LIMIT_API", C::RateLimit, true, Error, 3600, 50, "it goes on by itself; `mozart clear-rate-limits` ends the wait"),
            Self::E102 => row("RATE_LIMIT_CLI", C::RateLimit, true, Error, 900, 51, "it goes on by itself; `mozart clear-rate-limits` ends the wait"),
            Self::E103 => row("CAPACITY_EXCEEDED", C::RateLimit, true, Warning, 300, 52, "the provider is overloaded: it goes on by itself"),
            Self::E104 => row("QUOTA_EXHAUSTED", C::RateLimit, true, Error, 3600, 53, "the quota is used up: it goes on when the quota is renewed"),
            Self::E201 => row("VALIDATION_FILE_MISSING", C::Validation, true, Error, 5, 80, "say in the prompt that the file must be written, and where"),
            Self::E202 => row("VALIDATION_CONTENT_MISMATCH", C::Validation, true, Error, 5, 81, "compare the pattern with what the file says"),
            Self::E203 => row("VALIDATION_COMMAND_FAILED", C::Validation, true, Error, 10, 82, "run the command by hand in the workspace"),
            Self::E204 => row("VALIDATION_TIMEOUT", C::Validation, true, Warning, 30, 83, "raise the `timeout_seconds` of the rule"),
            Self::E209 => row("VALIDATION_GENERIC", C::Validation, true, Error, 5, 84, "look at the failed rules"),
            Self::E301 => row("CONFIG_INVALID", C::Configuration, false, Error, 0, 20, "check the score with `mozart validate`"),
            Self::E302 => row("CONFIG_MISSING_FIELD", C::Configuration, false, Error, 0, 21, "add the missing key"),
            Self::E303 => row("CONFIG_PATH_NOT_FOUND", C::Configuration, false, Error, 0, 13, "correct the path"),
            Self::E304 => row("CONFIG_PARSE_ERROR", C::Configuration, false, Error, 0, 22, "correct the YAML or the template at the line given"),
            Self::E305 => row("CONFIG_MCP_ERROR", C::Configuration, false, Error, 0, 23, "check the tool-server configuration and the variables it needs"),
            Self::E306 => row("CONFIG_CLI_MODE_ERROR", C::Configuration, false, Error, 0, 24, "the program does not support this output format or mode: choose another"),
            Self::E401 => row("STATE_CORRUPTION", C::State, false, Critical, 0, 70, "restore a backup, or start the job with `--fresh`"),
            Self::E402 => row("STATE_LOAD_FAILED", C::State, true, Error, 5, 72, "check the disk and the permissions of the state directory"),
            Self::E403 => row("STATE_SAVE_FAILED", C::State, true, Error, 5, 73, "is the disk full? free some space"),
            Self::E404 => row("STATE_VERSION_MISMATCH", C::State, false, Error, 0, 71, "a newer version wrote this state: upgrade"),
            Self::E501 => row("BACKEND_CONNECTION", C::Backend, true, Error, 30, 43, "the service cannot be reached: check its address and the network"),
            Self::E502 => row("BACKEND_AUTH", C::Auth, false, Critical, 0, 30, "log in, or set the key variable of the instrument"),
            Self::E503 => row("BACKEND_RESPONSE", C::Backend, true, Error, 15, 91, "the service answered with something unexpected"),
            Self::E504 => row("BACKEND_TIMEOUT", C::Backend, true, Error, 60, 54, "the service did not answer in time"),
            Self::E505 => row("BACKEND_NOT_FOUND", C::Configuration, false, Critical, 0, 10, "install the program, or add its directory to the PATH of the conductor"),
            Self::E601 => row("PREFLIGHT_PATH_MISSING", C::Preflight, false, Error, 0, 11, "create the path"),
            Self::E602 => row("PREFLIGHT_PROMPT_TOO_LARGE", C::Preflight, false, Error, 0, 85, "inject less text, or split the sheet"),
            Self::E603 => row("PREFLIGHT_WORKING_DIR_INVALID", C::Preflight, false, Error, 0, 12, "correct `working_directory`"),
            Self::E604 => row("PREFLIGHT_VALIDATION_SETUP", C::Preflight, false, Error, 0, 86, "correct the rule or argument that is named"),
            Self::E701 => row("HOOK_FAILED", C::Hook, false, Error, 0, 99, "read the log of the hook"),
            Self::E901 => row("NETWORK_CONNECTION_FAILED", C::Network, true, Error, 30, 40, "check the network"),
            Self::E902 => row("NETWORK_DNS_ERROR", C::Network, true, Error, 30, 41, "check name resolution"),
            Self::E903 => row("NETWORK_SSL_ERROR", C::Network, true, Error, 30, 42, "check the certificates and the clock"),
            Self::E904 => row("NETWORK_TIMEOUT", C::Network, true, Error, 60, 55, "check the network"),
            Self::E999 => row("UNKNOWN", C::Transient, true, Error, 30, 99, "read the end of the program's output"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line of `docs/errors.md` that belongs to a code.
    fn line(code: ErrorCode) -> String {
        let row = code.meaning();
        let retry = match (row.retriable, row.category) {
            (_, Category::RateLimit) => "wait",
            (true, _) => "yes",
            (false, _) => "no",
        };
        format!(
            "| {code} | {} | {} | {retry} | {} | {} | {} | {} |",
            row.name, row.category, row.severity, row.delay_seconds, row.priority, row.hint
        )
    }

    #[test]
    fn the_guide_shows_the_table() {
        let guide = include_str!("../../docs/errors.md");
        let shown: Vec<&str> = guide.lines().filter(|line| line.starts_with("| E")).collect();
        let expected: Vec<String> = ErrorCode::ALL.into_iter().map(line).collect();
        assert_eq!(shown, expected, "docs/errors.md should contain:\n{}", expected.join("\n"));
    }

    #[test]
    fn what_is_not_retried_needs_no_delay() {
        for code in ErrorCode::ALL {
            let row = code.meaning();
            assert!(row.retriable || row.delay_seconds == 0, "{code}");
            assert_eq!(row.category == Category::RateLimit, code.is_rate_limit(), "{code}");
        }
    }
}
