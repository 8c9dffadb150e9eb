//! Instrument profiles: never a panic; what is taken has a name, a program or none because it is a server, and
//! builds a command line that begins with an absolute program.

use std::path::Path;

use mozart::instrument::{Call, Environment, Profile, Settings, command};

/// The input is the text of a profile file.
pub(crate) fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let profile = match Profile::parse(text) {
        Ok(profile) => profile,
        Err(message) => {
            assert!(!message.trim().is_empty(), "a refusal that says nothing");
            return;
        }
    };
    assert!(!profile.name.is_empty() && !profile.default_timeout.is_zero());
    _ = profile.patterns.check();
    let ours: Environment = [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into_iter().collect();
    let call = Call {
        profile: &profile,
        settings: &Settings::default(),
        prompt: "a prompt",
        cwd: Path::new("/"),
        prompt_file: Path::new("/prompt"),
        ours: &ours,
        own_program: std::path::Path::new("mozart"),
        identity: &[],
    };
    match command(&call) {
        Ok(invocation) => {
            assert!(invocation.argv[0].starts_with('/'), "{:?}", invocation.argv);
            assert!(invocation.argv.iter().all(|argument| !argument.contains('\0')));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
