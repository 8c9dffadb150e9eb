//! Commands that a hook never runs, whatever its score says: the one place of the rule, for the check of a score
//! and for the engine.
//!
//! A safety net for typing errors and for what an agent wrote into a score, not a sandbox: whoever
//! wants to get around it can.

use std::sync::OnceLock;

use regex::bytes::Regex;

/// A pattern: its name as it is told, a word without which nothing matches, and what it matches, in bytes.
const PATTERNS: [(&str, &str, &str); 6] = [
    ("rm -r... /", "rm", r#"(?m-u)\brm\s+(?:-\S+\s+)+(?:\S+\s+)*["']?/+(?:[.*]{0,2}["']?)(?:\s|$|[;&|)])"#),
    ("mkfs.", "mkfs", r"(?m-u)(?:^|[\s;&|(/])mkfs(?:\.\w+)?\s"),
    ("dd if=/of=", "dd", r"(?m-u)(?:^|[\s;&|(/])dd\s+(?:\S+\s+)*(?:if|of)="),
    (":(){ :|:& };:", "{", r"(?-u)(\w+|:)\s*\(\s*\)\s*\{[^}]*\|[^}]*&[^}]*\}\s*;"),
    ("> /dev/sd", "/dev/", r"(?-u)>\s*/dev/(?:sd|hd|vd|xvd|nvme|mmcblk|disk)"),
    (
        "chmod -R NNN /",
        "chmod",
        r#"(?m-u)\bchmod\s+(?:-\S+\s+)*-(?:R|-recursive|[a-zA-Z]*R)\S*\s+\S+\s+["']?/+\*?["']?(?:\s|$|[;&|)])"#,
    ),
];

/// The name of the pattern that a command matches; `None` for a command that may run.
#[must_use]
pub fn pattern(command: &str) -> Option<&'static str> {
    static COMPILED: [OnceLock<Regex>; PATTERNS.len()] = [const { OnceLock::new() }; PATTERNS.len()];
    let found = PATTERNS.iter().zip(&COMPILED).find(|((_, word, text), compiled)| {
        // Most commands hold none of the words, and compiling costs more than everything else here.
        command.contains(word)
            && compiled
                .get_or_init(|| Regex::new(text).expect("each pattern is tested"))
                .is_match(command.as_bytes())
    });
    found.map(|((name, ..), _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_destroys_a_machine_is_named() {
        for (command, name) in [
            ("rm -rf /", "rm -r... /"),
            ("cd x && rm -r -f / ", "rm -r... /"),
            ("rm -rf '/'; true", "rm -r... /"),
            ("rm -rf /*", "rm -r... /"),
            ("rm -rf --no-preserve-root /", "rm -r... /"),
            ("rm -rf build /", "rm -r... /"),
            ("mkfs.ext4 /dev/sda1", "mkfs."),
            ("sudo /sbin/mkfs.xfs -f /dev/sda", "mkfs."),
            ("dd if=/dev/zero of=/dev/sda", "dd if=/of="),
            ("sudo dd bs=1M of=/dev/sda", "dd if=/of="),
            (":(){ :|:& };:", ":(){ :|:& };:"),
            ("bomb() { bomb | bomb & }; bomb", ":(){ :|:& };:"),
            ("echo x > /dev/sda", "> /dev/sd"),
            ("cat image >/dev/nvme0n1", "> /dev/sd"),
            ("chmod -R 777 /", "chmod -R NNN /"),
            ("chmod -fR 000 /;", "chmod -R NNN /"),
        ] {
            assert_eq!(pattern(command), Some(name), "{command}");
        }
    }

    #[test]
    fn what_people_write_every_day_passes() {
        for command in [
            "rm -rf /srv/build/out",
            "rm -rf ./build",
            "rm file /tmp/x",
            "git add -A && git commit -m 'done' && git push",
            "echo mkfs.txt",
            "add if=1",
            "chmod -R 755 /srv/www",
            "chmod 600 secret",
            "make > /dev/null 2>&1",
            "f() { cat | grep x; }; f",
        ] {
            assert_eq!(pattern(command), None, "{command}");
        }
    }
}
