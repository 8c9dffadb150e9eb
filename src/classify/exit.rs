//! What the way a program ended means, when nothing it said is known.

use super::{ErrorCode, Finding, Method, Seen, words};

/// How a signal is to be read.
pub(super) fn signal(number: i32, seen: &Seen<'_>) -> Finding {
    // Numbers that are the same on Linux and the BSDs, except SYS, BUS and USR, which are listed for Linux.
    let (code, delay) = match number {
        4 | 5 | 6 | 7 | 8 | 11 | 31 => (ErrorCode::E003, None),
        9 if seen.oom_killed || words::out_of_memory(seen.stderr_tail) => (ErrorCode::E005, None),
        1 | 13 | 15 => (ErrorCode::E002, Some(10)),
        2 | 3 => (ErrorCode::E004, None),
        _ => (ErrorCode::E002, Some(30)),
    };
    finding(code, None, delay, format!("ended by signal {number} ({})", signal_name(number)))
}

/// How an exit code is to be read. `said` is one line of the program, or nothing.
pub(super) fn code(number: Option<i32>, seen: &Seen<'_>, said: &str) -> Finding {
    let because = |what: String| if said.is_empty() { what } else { format!("{what}: {said}") };
    let Some(number) = number else {
        let delay = if words::killed_or_oom(seen.stderr_tail) { 60 } else { 10 };
        return finding(
            ErrorCode::E999,
            Some(true),
            Some(delay),
            because("ended without an exit code".to_owned()),
        );
    };
    let text = because(format!("exit code {number}"));
    match number {
        0 => finding(ErrorCode::E209, None, None, text),
        1 if seen.patterns.text_exit1_is_validation => finding(ErrorCode::E209, None, Some(0), text),
        1 | 2 if words::refused_input(seen.stderr_tail) => {
            finding(ErrorCode::E009, Some(false), Some(0), text)
        }
        // EX_TEMPFAIL: the program itself says that another attempt may succeed.
        75 => finding(
            ErrorCode::E009,
            Some(true),
            Some(30),
            because("exit code 75, a temporary failure by the program's own account".to_owned()),
        ),
        124 => finding(ErrorCode::E001, None, None, text),
        126 => finding(
            ErrorCode::E505,
            Some(false),
            Some(0),
            because("exit code 126, not executable".to_owned()),
        ),
        127 => finding(
            ErrorCode::E505,
            Some(false),
            Some(0),
            because("exit code 127, command not found".to_owned()),
        ),
        129..=159 => signal(number - 128, seen),
        _ if (-64..0).contains(&number) => signal(-number, seen),
        _ => finding(ErrorCode::E009, None, None, text),
    }
}

fn finding(code: ErrorCode, retriable: Option<bool>, delay: Option<u32>, message: String) -> Finding {
    let row = code.meaning();
    Finding {
        retriable: retriable.unwrap_or(row.retriable),
        delay_seconds: delay.unwrap_or(row.delay_seconds),
        ..Finding::new(code, Method::ExitCode, message)
    }
}

fn signal_name(number: i32) -> &'static str {
    match number {
        1 => "HUP",
        2 => "INT",
        3 => "QUIT",
        4 => "ILL",
        5 => "TRAP",
        6 => "ABRT",
        7 => "BUS",
        8 => "FPE",
        9 => "KILL",
        10 => "USR1",
        11 => "SEGV",
        12 => "USR2",
        13 => "PIPE",
        14 => "ALRM",
        15 => "TERM",
        24 => "XCPU",
        25 => "XFSZ",
        31 => "SYS",
        _ => "other",
    }
}

/// Why a program could not be started: the system call and its error number.
pub(super) fn spawn(error: &super::SpawnError<'_>) -> Finding {
    const ENOENT: i32 = 2;
    const E2BIG: i32 = 7;
    const ENOEXEC: i32 = 8;
    const EACCES: i32 = 13;
    const ENOTDIR: i32 = 20;
    let directory = error.call.contains("chdir") || error.call.contains("cwd");
    let (code, retriable, delay, why) = match error.errno {
        ENOENT | ENOTDIR | EACCES if directory => {
            (ErrorCode::E603, None, None, "the working directory cannot be entered")
        }
        ENOTDIR => (ErrorCode::E603, None, None, "a part of the path is not a directory"),
        // Its path was looked up before, so what is missing is rather what its first line names.
        ENOENT => {
            (ErrorCode::E505, None, None, "the program, or the interpreter in its first line, was not found")
        }
        EACCES => (ErrorCode::E505, None, None, "the program is not executable"),
        ENOEXEC => (
            ErrorCode::E505,
            None,
            None,
            "the program is of no kind that can be executed: does its first line name an interpreter (`#!`)?",
        ),
        E2BIG => (ErrorCode::E602, None, None, "the prompt is too large for the command line"),
        // EAGAIN, ENOMEM, EMFILE and whatever else the system lacks at the moment.
        _ => (ErrorCode::E009, Some(true), Some(30), "the program could not be started"),
    };
    let message = format!("{why} ({}: {})", error.call, error.message);
    Finding { method: Method::Record, ..finding(code, retriable, delay, message) }
}
