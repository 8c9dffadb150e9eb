//! Leaving the terminal: two process starts with `setsid` between them, before any thread exists.
//!
//! The front process starts `<program> __detach …`, which leads a new session, starts
//! `<program> __daemon …` in it and exits; the last one can never get a terminal back. A pipe, handed
//! on as standard output, carries one line back: ready, or why not.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, PipeReader, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::{Value, json};

use crate::daemon::Brand;

const DETACH: &str = "__detach";
const DAEMON: &str = "__daemon";

/// Which part of a background start this process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// What the user called.
    Front,
    /// Leads the new session and starts the last one.
    Detach,
    /// Becomes the conductor.
    Daemon,
}

impl Stage {
    /// Takes the mark of a stage out of the arguments.
    pub fn take(args: &mut Vec<OsString>) -> Self {
        let stage = match args.get(1).and_then(|mark| mark.to_str()) {
            Some(DETACH) => Self::Detach,
            Some(DAEMON) => Self::Daemon,
            Some(_) | None => return Self::Front,
        };
        args.remove(1);
        stage
    }
}

/// What came back from a background start.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It answers; what it says about itself.
    Ready(Value),
    /// It gave up; why, as the document of a failure.
    Failed(Value),
    /// It ended without a word.
    Silent,
    /// Nothing came in time. It may still become ready.
    TimedOut,
}

/// First stage, in the front process: starts the second one. The reader gets the one line.
pub fn launch(brand: Brand, args: &[OsString]) -> io::Result<PipeReader> {
    let (reader, writer) = io::pipe()?;
    let mut child =
        stage(brand, DETACH, args)?.stdin(Stdio::null()).stdout(writer).stderr(Stdio::null()).spawn()?;
    // It ends at once; waiting keeps it from becoming a zombie of the front process.
    child.wait()?;
    Ok(reader)
}

/// Second stage: leads a session of its own, starts the last stage in it and is done.
pub fn second_stage(brand: Brand, args: &[OsString]) -> io::Result<()> {
    // Fails only for the leader of a group, which then has no terminal to lose from a script's view;
    // the last stage is in a group of its own either way.
    _ = nix::unistd::setsid();
    let mut command = stage(brand, DAEMON, args)?;
    thrifty(&mut command);
    command.process_group(0).stdin(Stdio::null()).spawn()?;
    Ok(())
}

/// Twenty threads that seldom allocate need one heap, not one each: with the C library's default
/// a conductor that has run a few hundred jobs holds three times the memory. Who tunes it is obeyed.
fn thrifty(command: &mut Command) {
    const HEAP: [(&str, &str); 3] = [
        ("MALLOC_ARENA_MAX", "1"),
        ("MALLOC_TRIM_THRESHOLD_", "131072"),
        ("MALLOC_MMAP_THRESHOLD_", "131072"),
    ];
    if HEAP.iter().all(|(name, _)| std::env::var_os(name).is_none()) {
        // The mark tells the conductor to keep these from the programs that it starts.
        command.envs(HEAP).env(crate::instrument::environment::TUNED, "1");
    }
}

fn stage(brand: Brand, mark: &str, args: &[OsString]) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg0(brand.program()).arg(mark).args(args);
    Ok(command)
}

/// The way back to the front process. Dropping it without a word means that the start failed.
#[derive(Debug)]
pub struct Report(Option<File>);

impl Report {
    /// Takes the pipe out of standard output, which then leads nowhere, so that no child inherits it.
    pub fn take() -> io::Result<Self> {
        let pipe = io::stdout().as_fd().try_clone_to_owned()?;
        let null = OpenOptions::new().write(true).open("/dev/null")?;
        nix::unistd::dup2_stdout(&null)?;
        Ok(Self(Some(File::from(pipe))))
    }

    /// Says that the conductor answers.
    pub fn ready(self, about: &Value) {
        self.send(&json!({"ready": about}));
    }

    /// Says why it does not.
    pub fn failed(self, document: &Value) {
        self.send(&json!({"failed": document}));
    }

    fn send(mut self, message: &Value) {
        if let Some(mut pipe) = self.0.take() {
            // The front process may have been interrupted; the conductor lives on.
            _ = writeln!(pipe, "{message}");
        }
    }
}

/// Waits for the line of a background start.
pub fn wait(mut reader: PipeReader, until: Instant) -> Outcome {
    let mut line = Vec::new();
    while !line.contains(&b'\n') {
        if !readable(reader.as_fd(), until) {
            return Outcome::TimedOut;
        }
        let mut chunk = [0; 4096];
        match reader.read(&mut chunk) {
            Ok(0) => return Outcome::Silent,
            Ok(count) => line.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Outcome::Silent,
        }
    }
    let Ok(mut message) = serde_json::from_slice::<Value>(&line) else { return Outcome::Silent };
    if message.get("ready").is_some() {
        return Outcome::Ready(message["ready"].take());
    }
    Outcome::Failed(message["failed"].take())
}

fn readable(fd: BorrowedFd<'_>, until: Instant) -> bool {
    loop {
        let left = until.saturating_duration_since(Instant::now()).as_millis();
        let timeout =
            PollTimeout::try_from(i32::try_from(left).unwrap_or(i32::MAX)).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], timeout) {
            Ok(count) => return count > 0,
            Err(nix::errno::Errno::EINTR) => {}
            Err(_) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::time::Duration;

    fn said(text: &str) -> Outcome {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(text.as_bytes()).unwrap();
        drop(writer);
        wait(reader, Instant::now() + Duration::from_secs(5))
    }

    #[test]
    fn one_line_comes_back() {
        assert_eq!(said("{\"ready\":{\"pid\":1}}\n"), Outcome::Ready(json!({"pid": 1})));
        assert_eq!(said("{\"failed\":{\"error\":\"x\"}}\n"), Outcome::Failed(json!({"error": "x"})));
        assert_eq!(said("{\"rea"), Outcome::Silent);
        assert_eq!(said(""), Outcome::Silent);
    }

    #[test]
    fn silence_ends_with_the_deadline() {
        let (reader, writer) = io::pipe().unwrap();
        assert_eq!(wait(reader, Instant::now()), Outcome::TimedOut);
        drop(writer);
    }

    #[test]
    fn the_mark_of_a_stage_is_taken_out() {
        let mut args: Vec<OsString> = ["mozart", "__daemon", "start"].map(OsString::from).into();
        assert_eq!(Stage::take(&mut args), Stage::Daemon);
        assert_eq!(args, ["mozart", "start"]);
        assert_eq!(Stage::take(&mut args), Stage::Front);
    }
}
