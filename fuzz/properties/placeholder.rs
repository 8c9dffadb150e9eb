//! Placeholders of rules: never a panic; text without braces is not touched; a value in a shell command is data
//! and never a command.

use std::process::Command;

use mozart::template::Vars;
use mozart::template::placeholders::{expand_command, expand_path};

/// The input is a text with placeholders; a NUL separates it from the value of `{value}`.
pub(crate) fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (text, value) = text.split_once('\0').unwrap_or((text, "it's \"a\" $HOME `id` \\ \n"));
    let mut vars = Vars::new();
    vars.set("value", value).set("n", 7_i64).set("workspace", "/w s/'x");
    let path = expand_path(text, &vars);
    let command = expand_command(text, &vars);
    if let Err(message) = &path {
        assert!(!message.trim().is_empty(), "a refusal that says nothing");
    }
    if !text.contains(['{', '}']) {
        assert_eq!(path.as_deref(), Ok(text));
        assert_eq!(command, text);
    }
    assert_eq!(expand_command(text, &Vars::new()), text, "unknown names are left alone");
}

/// What a shell makes of a value in each kind of quoting is the value. Starts a shell, so not for every input.
#[allow(dead_code, reason = "the fuzz target does not start shells")]
pub(crate) fn check_in_a_shell(value: &str) {
    let mut vars = Vars::new();
    vars.set("value", value);
    for template in ["printf %s {value}", "printf %s \"{value}\"", "printf %s '{value}'"] {
        let command = expand_command(template, &vars);
        let output = Command::new("sh").arg("-c").arg(&command).output().expect("a shell is there");
        assert_eq!(String::from_utf8_lossy(&output.stdout), value, "{command}");
    }
}
