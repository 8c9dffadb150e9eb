//! What each code means in a sentence, and where an attempt may differ from its row: for `mozart explain` and the page
//! on errors.

use super::ErrorCode;

impl ErrorCode {
    /// Reads a code as people write it: `E101`, `e101`, `101`, `RATE_LIMIT_API`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let digits = text.strip_prefix(['E', 'e']).unwrap_or(text);
        let is_it =
            |code: &Self| code.to_string()[1..] == *digits || code.meaning().name.eq_ignore_ascii_case(text);
        Self::ALL.into_iter().find(is_it)
    }

    /// What has happened, one or two sentences.
    #[must_use]
    #[rustfmt::skip]
    pub const fn about(self) -> &'static str {
        match self {
            Self::E001 => "The program ran longer than the timeout of its sheet and was ended.",
            Self::E002 => "A signal ended the program, and it was not the conductor that sent it.",
            Self::E003 => "The program crashed: segmentation fault, abort, illegal instruction or the like.",
            Self::E004 => "The program was interrupted from a keyboard or by another program.",
            Self::E005 => "The system ended the program because memory ran out.",
            Self::E006 => "The program printed nothing and used no processor for longer than it may be silent.",
            Self::E007 => "The sheet has spent more than its score allows. What it had done is kept.",
            Self::E008 => "The conductor or the guard of the attempt was ended while the program ran. It costs no retry.",
            Self::E009 => "The program failed and said nothing that is known.",
            Self::E101 => "The service behind the instrument limits how much it may be used.",
            Self::E102 => "The program itself limits how much it may be used.",
            Self::E103 => "The service behind the instrument has no room for more work at the moment.",
            Self::E104 => "The allowance of an hour, a day or a week is used up.",
            Self::E201 => "The program succeeded, and a file that a rule asks for is not there.",
            Self::E202 => "The program succeeded, and a file does not say what a rule asks for.",
            Self::E203 => "The program succeeded, and the command of a rule failed.",
            Self::E204 => "The program succeeded, and the command of a rule took too long.",
            Self::E209 => "The program succeeded, and rules of several kinds do not hold.",
            Self::E301 => "The score or the profile asks for something that cannot be done.",
            Self::E302 => "A key that is needed is missing.",
            Self::E303 => "A file or directory that is named does not exist.",
            Self::E304 => "The score is not readable YAML, or its template cannot be rendered.",
            Self::E305 => "A tool server of the instrument does not start or is configured wrongly.",
            Self::E306 => "The program does not know the output format or mode in which it was called.",
            Self::E401 => "What was stored about the job contradicts itself.",
            Self::E402 => "What was stored about the job could not be read.",
            Self::E403 => "The directory of the attempt could not be written. Nothing was started and nothing is counted.",
            Self::E404 => "What was stored about the job has a form that this version does not know.",
            Self::E501 => "The service behind the instrument cannot be reached.",
            Self::E502 => "The instrument is not logged in, or its login was refused.",
            Self::E503 => "The service behind the instrument answered with something that makes no sense.",
            Self::E504 => "The service behind the instrument did not answer in time.",
            Self::E505 => "The program of the instrument does not exist or cannot be executed.",
            Self::E601 => "Something that must be there before the job begins is not: the workspace, or a precondition of the score.",
            Self::E602 => "The prompt is larger than allowed, than the model takes or than fits on a command line.",
            Self::E603 => "The directory in which the program should work cannot be used.",
            Self::E604 => "A rule or an argument cannot be used as it is written, whatever the program does.",
            Self::E701 => "A hook after the job failed, and the score says that this matters.",
            Self::E901 => "The network refused or lost a connection.",
            Self::E902 => "A name could not be resolved.",
            Self::E903 => "A certificate was not accepted.",
            Self::E904 => "The network took too long.",
            Self::E999 => "Nothing is known of the end of the attempt, or a question to a person was not answered in time.",
        }
    }

    /// Where an attempt may differ from the row of its code.
    #[must_use]
    pub const fn variants(self) -> &'static [&'static str] {
        match self {
            Self::E002 => &["after TERM, HUP or PIPE: delay 10"],
            Self::E009 => &[
                "a script that refuses its input (`permission denied`, `syntax error`, ...) with exit code 1 or 2: not tried again",
                "exit code 75 (EX_TEMPFAIL), a temporary failure by the program's own account: delay 30; look at what it waits for if it goes on",
                "the system could not start the program: delay 30",
            ],
            Self::E104 => {
                &["the delay is the time until the renewal when the message names one, at most a day"]
            }
            Self::E602 => &["the model itself calls the prompt too long: tried again after 10"],
            Self::E505 => &["a running program says that another program is missing: tried again after 30"],
            Self::E999 => {
                &["the error output speaks of memory: delay 60", "ended without an exit code: delay 10"]
            }
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_as_people_write_them() {
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::parse(&code.to_string()), Some(code));
        }
        assert_eq!(ErrorCode::parse(" e101 "), Some(ErrorCode::E101));
        assert_eq!(ErrorCode::parse("101"), Some(ErrorCode::E101));
        assert_eq!(ErrorCode::parse("rate_limit_api"), Some(ErrorCode::E101));
        for wrong in ["", "E", "E1", "E1011", "EE101", "V101"] {
            assert_eq!(ErrorCode::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_guide_says_what_each_code_means() {
        let guide = include_str!("../../docs/errors.md");
        let lines: Vec<String> =
            ErrorCode::ALL.into_iter().map(|code| format!("- {code}: {}", code.about())).collect();
        let shown: Vec<&str> = guide
            .lines()
            .filter(|line| line.starts_with("- E") && line.contains(": ") && line.as_bytes()[6] == b':')
            .collect();
        assert_eq!(shown, lines, "docs/errors.md should contain:\n{}", lines.join("\n"));
        for variant in ErrorCode::ALL.into_iter().flat_map(ErrorCode::variants) {
            assert!(guide.contains(variant), "docs/errors.md should contain: {variant}");
        }
    }
}
