//! What the codes of JSON-RPC errors mean to whoever gets one: for `mozart explain`.

/// One code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RpcCode {
    /// The number in `error.code`.
    pub code: i32,
    /// One word for it.
    pub name: &'static str,
    /// What has happened.
    pub about: &'static str,
    /// What to do.
    pub hint: &'static str,
}

const fn rpc(code: i32, name: &'static str, about: &'static str, hint: &'static str) -> RpcCode {
    RpcCode { code, name, about, hint }
}

/// All of them: those of the standard, then those of the conductor, downwards.
#[rustfmt::skip]
pub const CODES: &[RpcCode] = &[
    rpc(-32700, "PARSE_ERROR", "The line that a client sent is not strict JSON.",
        "send one JSON object, or an array of them, in UTF-8 on one line"),
    rpc(-32600, "INVALID_REQUEST", "The line is JSON but no request, or it is too long.",
        "send `jsonrpc`, `method`, `params` as an object and `id`, in no more than 1 MB"),
    rpc(-32601, "METHOD_NOT_FOUND", "The conductor has no method of that name.",
        "ask `rpc.discover` for the methods; an older conductor has fewer: mozart restart"),
    rpc(-32602, "INVALID_PARAMS", "A parameter is missing, or has a wrong type or an impossible value.",
        "correct the parameter that `data.field` names; docs/protocol.md has them all"),
    rpc(-32603, "INTERNAL_ERROR", "Something failed inside of the conductor.",
        "look into its log: mozart logs"),
    rpc(-32000, "JOB_NOT_FOUND", "There is no such job, or it refuses what was asked; `data.reason` says which.",
        "see the jobs: mozart list"),
    rpc(-32001, "RESOURCE_EXHAUSTED", "A limit of the conductor is reached.",
        "wait until something has ended, or raise the limit that the message names"),
    rpc(-32002, "JOB_ALREADY_RUNNING", "The job runs already. Reserved: no method answers with it.",
        "see the job: mozart status JOB"),
    rpc(-32003, "DAEMON_SHUTTING_DOWN", "The conductor is stopping and takes no more requests.",
        "wait for it to stop, then: mozart start"),
    rpc(-32004, "JOB_NOT_RESUMABLE", "The job cannot go on. Reserved: no method answers with it.",
        "run it anew: mozart run --fresh SCORE"),
    rpc(-32005, "WORKSPACE_NOT_FOUND", "The workspace does not exist. Reserved: no method answers with it.",
        "create it, or choose another one with --workspace"),
    rpc(-32006, "CONFIG_INVALID", "A configuration could not be loaded; the one before is in force.",
        "correct the line that `data` names: mozart config check"),
    rpc(-32007, "OVERLOADED", "As many streams are open as may be at once (`socket.max_streams`).",
        "close one, or raise the setting"),
];

impl RpcCode {
    /// Reads a code as people write it: `-32001`, `32001`, `RESOURCE_EXHAUSTED`.
    #[must_use]
    pub fn parse(text: &str) -> Option<&'static Self> {
        let text = text.trim();
        let number: Option<i32> = text.parse().ok();
        let is_it = |row: &&Self| {
            number.is_some_and(|number| number.checked_abs() == row.code.checked_abs())
                || row.name.eq_ignore_ascii_case(text)
        };
        CODES.iter().find(is_it)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_as_people_write_them() {
        for text in ["-32001", " 32001", "resource_exhausted"] {
            assert_eq!(RpcCode::parse(text).map(|row| row.code), Some(-32001), "{text}");
        }
        assert_eq!(RpcCode::parse("-32099"), None);
        assert_eq!(RpcCode::parse("-2147483648"), None);
    }

    #[test]
    fn the_table_has_what_the_program_assigns_and_what_the_guide_lists() {
        let numbers = |text: &str, before: &str| {
            let mut found: Vec<i32> = text
                .split(before)
                .skip(1)
                .filter_map(|rest| rest.split(|c: char| c != '-' && !c.is_ascii_digit()).next()?.parse().ok())
                .filter(|number| *number < 0)
                .collect();
            found.sort_unstable();
            found.dedup();
            found
        };
        let mut own: Vec<i32> = CODES.iter().map(|row| row.code).collect();
        own.sort_unstable();
        assert_eq!(own, numbers(include_str!("error.rs"), " => "));
        assert_eq!(own, numbers(include_str!("../../docs/protocol.md"), "\n| "));
    }
}
