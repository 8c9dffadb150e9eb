//! The environment of an instrument: what it inherits, what its profile and score add.
//! Values are secrets: nothing here logs or stores them.

use std::collections::BTreeMap;

use super::profile::Command;

/// Variables by name, in order.
pub type Environment = BTreeMap<String, String>;

/// What every program may see, also one whose profile lists the variables it needs.
const USUAL: [&str; 26] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "TERM",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TMPDIR",
    "TMP",
    "TEMP",
    "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_CACHE_HOME",
    "TZ",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "ALL_PROXY",
];

/// Marks of an outer agent or conductor, and what belongs to a service manager's child alone.
const NEVER: [&str; 12] = [
    "CLAUDECODE",
    "CLAUDE_CODE_ENTRYPOINT",
    "MOZART_JOB_ID",
    "MOZART_SHEET_NUM",
    "MOZART_ATTEMPT",
    "MOZART_WORKSPACE",
    "MOZART_SHEET_TOKEN",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
];

/// Says that the `MALLOC_` variables of this process are for the conductor alone.
pub const TUNED: &str = "MOZART_HEAP_TUNED";

/// The environment of this process. Variables that are not UTF-8 are left out.
#[must_use]
pub fn ours() -> Environment {
    let mut ours: Environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    if ours.remove(TUNED).is_some() {
        ours.retain(|name, _| !name.starts_with("MALLOC_"));
    }
    ours
}

/// What a shell command of a score gets of `ours`.
#[must_use]
pub fn for_command(ours: &Environment) -> Environment {
    ours.iter()
        .filter(|(name, _)| !NEVER.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// What the program of a profile gets of `ours`, without what anybody adds.
#[must_use]
pub fn inherited(command: &Command, ours: &Environment) -> Environment {
    limited(ours, command.required_env.as_deref())
}

/// The usual variables of `ours` and the required ones; without a list everything.
#[must_use]
pub fn limited(ours: &Environment, required: Option<&[String]>) -> Environment {
    let allowed = |name: &str| match required {
        Some(required) => USUAL.contains(&name) || required.iter().any(|wanted| wanted == name),
        None => true,
    };
    ours.iter()
        .filter(|(name, _)| allowed(name) && !NEVER.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Replaces `${VAR}`; an unknown variable becomes empty and is named in `warnings`.
#[must_use]
pub fn expand(text: &str, ours: &Environment, warnings: &mut Vec<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        let end = after
            .find('}')
            .filter(|end| after[..*end].bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
        let Some(end) = end.filter(|end| *end > 0) else {
            out.push_str("${");
            rest = after;
            continue;
        };
        match ours.get(&after[..end]) {
            Some(value) => out.push_str(value),
            None => {
                warnings.push(format!("environment variable `{}` is not set: used as empty", &after[..end]))
            }
        }
        rest = &after[end + 1..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_expanded_once_and_unknown_ones_are_empty() {
        let ours =
            [("A", "1"), ("B", "${A}")].map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let mut warnings = Vec::new();
        assert_eq!(expand("x${A}y${B}${NOPE}$A${}${a b}", &ours, &mut warnings), "x1y${A}$A${}${a b}");
        assert_eq!(warnings, ["environment variable `NOPE` is not set: used as empty"]);
    }
}
