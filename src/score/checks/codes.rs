//! What the codes of checks mean: for `mozart explain` and for `docs/checks.md`, which has the same table.

/// One code. Its texts are Markdown of one line, without a point at their end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckCode {
    /// `V101`.
    pub code: &'static str,
    /// `error`, `warning` or `info`, or the two that it may have.
    pub severity: &'static str,
    /// What is wrong.
    pub about: &'static str,
    /// What mends it; "" when nothing has to be mended.
    pub hint: &'static str,
}

const fn check(
    code: &'static str,
    severity: &'static str,
    about: &'static str,
    hint: &'static str,
) -> CheckCode {
    CheckCode { code, severity, about, hint }
}

/// All of them, in order.
#[rustfmt::skip]
pub const CODES: &[CheckCode] = &[
    check("V001", "error", "the template does not parse, nor one in `cross_sheet.capture_files` or in the path of an injection", "close `{{`, `{%`, `{#` and blocks"),
    check("V002", "error", "the directory above the workspace does not exist", "`mkdir -p`"),
    check("V003", "error", "`template_file` does not exist, is no file, or is not UTF-8", "correct the path"),
    check("V004", "error", "`system_prompt_file` does not exist", "correct the path"),
    check("V005", "error", "a working directory does not exist or is none", "`mkdir -p`, or correct the path"),
    check("V007", "error", "a regular expression does not compile", "see the suggestion"),
    check("V008", "error", "a required key of a rule is blank", "give it a value"),
    check("V009", "error, warning", "a file `NAME-vN.yaml` speaks of version N-1: an error in `name` and `workspace`, else a warning", "update it"),
    check("V101", "warning", "the template, or one of a path, uses a name that nothing defines", "correct it, or add it to `prompt.variables`"),
    check("V103", "warning", "a timeout below 60 s", "raise it"),
    check("V104", "info", "a timeout above 2 h", "split the work"),
    check("V106", "error, warning", "a content rule with an empty pattern, or with a blank one", "write the text"),
    check("V107", "warning", "a content rule names a fixed file that is not there", "make sure a sheet writes it"),
    check("V108", "warning, info", "a file or directory of prelude or cadenzas, or of `spec`, or the score of a `run_job` hook is not there", "create it, or correct the path"),
    check("V201", "warning", "`{{ name }}` in the path of a rule", "`{name}`"),
    check("V202", "warning", "`{name}` in a template", "`{{ name }}`"),
    check("V203", "warning", "no validations", "add one"),
    check("V204", "warning", "`skip_permissions: false` for a program that then asks", "`true`"),
    check("V205", "info", "all rules are `file_exists`: what an earlier run left passes", "add another kind"),
    check("V206", "info", "fan-out without dependencies", "add them"),
    check("V207", "info", "fan-out without `parallel.enabled`", "enable it"),
    check("V208", "warning", "a variable has the name of a built-in one and is never seen", "rename it"),
    check("V209", "info", "`disable_mcp: false`", "`true` unless it is needed"),
    check("V210", "warning", "an instrument that is not known", "correct the name, or add a profile"),
    check("V211", "warning", "a fallback that is not known", "the same"),
    check("V212", "warning", "a key of `skip_when` or `skip_when_command` that is no stage", "correct the number"),
    check("V213", "error, warning", "a condition that does not parse; one that asks for an unknown name, for a sheet or a field that does not exist, or compares a status with no status", "correct it"),
    check("V214", "error, warning", "an unknown placeholder in `path` or `working_directory` of a rule; the warning: braces in a command that look like one, or `${workspace}` in a path, where the `$` stays", "correct it"),
    check("V215", "warning", "a rule that applies to no sheet", "correct the condition or the number"),
    check("V216", "warning", "a path still says `[CHANGE THIS ...]`, `/path/to/...` or `<name>/...`, or begins with `~/`, which is not expanded", "write the path"),
    check("V217", "error", "the template fails for some sheets, whatever earlier sheets write", "see the suggestion"),
    check("V218", "warning", "sheets that may run at the same time are checked by the same file", "put `{instance}` or `{sheet_num}` into the path"),
    check("V219", "info", "sheets to which no rule applies", "add a rule"),
    check("V220", "error, warning", "a command that can destroy the machine (`rm -rf /`, `mkfs`, `dd of=`, ...): an error in a hook, where it is never run; a warning in a rule", "name the directory that is meant"),
    check("V221", "warning", "an unknown key in settings of an instrument or of a notification", "correct it"),
    check("V222", "info", "what the keys of maps keyed by sheets mean when there is fan-out", "look whether stages were meant"),
    check("V223", "warning", "a key of such a map, or a number of `checkpoints.triggers.*.sheet_nums`, that is no sheet", "correct the number"),
    check("V224", "warning", "a limit in dollars over a call whose cost nobody can tell: its model has no price, and its program does not say what it cost", "name a model with a price, or set `cost_limits.cost_per_1k_*`"),
    check("V225", "warning", "a command whose exit code is that of a `head`, `tail` or `tee` behind a pipe, so it passes whatever fails before", "`pipefail: true`, or leave the pipe out"),
    check("V230", "info", "keys that are accepted and have no effect, in one line; and settings of services over HTTP that reach only programs", ""),
    check("V301", "warning", "the file of a skill technique does not exist, or there is none at any of the usual places", "create it"),
    check("V302", "warning", "MCP techniques for an instrument that takes no MCP configuration", "another instrument"),
];

impl CheckCode {
    /// Reads a code as people write it: `V101`, `v101`.
    #[must_use]
    pub fn parse(text: &str) -> Option<&'static Self> {
        CODES.iter().find(|row| row.code.eq_ignore_ascii_case(text.trim()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guide_shows_the_table() {
        let guide = include_str!("../../../docs/checks.md");
        let shown: Vec<&str> = guide.lines().filter(|line| line.starts_with("| V")).collect();
        let line = |row: &CheckCode| {
            format!("| {} | {} | {} | {} |", row.code, row.severity, row.about, row.hint)
                .replace("|  |", "| |")
        };
        let expected: Vec<String> = CODES.iter().map(line).collect();
        assert_eq!(shown, expected, "docs/checks.md should contain:\n{}", expected.join("\n"));
    }

    #[test]
    fn codes_are_in_order_and_can_be_read() {
        assert!(CODES.is_sorted_by_key(|row| row.code));
        for row in CODES {
            assert_eq!(CheckCode::parse(&row.code.to_lowercase()), Some(row));
        }
        assert_eq!(CheckCode::parse("V999"), None);
    }
}
