//! Whether a conductor runs, judged from outside.
//!
//! The lock of the PID file decides. Where it is free and the number belongs to a living process,
//! only an answer of `daemon.health` with that number counts: numbers are used again, and nothing
//! that is not ours is ever signalled.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::daemon::pidfile::{self, Seen};

/// Time for the answer that tells a conductor from somebody else's process.
const ANSWER: Duration = Duration::from_secs(5);

/// Time that a killed conductor has to let its lock go.
const DYING: Duration = Duration::from_secs(1);
/// Between two looks at it.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// What is known of a conductor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// There is no PID file, or none that names a process.
    None,
    /// The PID file is left over from this process.
    Stale(u32),
    /// The lock is held but no number is written yet.
    Starting,
    /// It runs; the number is missing only when nobody could be asked.
    Running(Option<u32>),
}

/// Looks at the PID file, its lock and, if need be, the socket.
#[must_use]
pub fn judge(pid_file: &Path, socket: &Path) -> Liveness {
    match pidfile::look(pid_file) {
        Seen::Nothing | Seen::Free(None) => Liveness::None,
        Seen::Held(Some(pid)) if pidfile::is_alive(pid) => Liveness::Running(Some(pid)),
        Seen::Held(_) => Liveness::Starting,
        Seen::Free(Some(pid)) if pidfile::is_alive(pid) && answering_pid(socket) == Some(pid) => {
            Liveness::Running(Some(pid))
        }
        Seen::Free(Some(pid)) => Liveness::Stale(pid),
    }
}

/// As [`judge`], for somebody who is about to start a conductor: one that holds the lock and does not answer may
/// be dying (it was killed a moment ago), and so may a child of it that was about to become a guard. They get a
/// second for that.
#[must_use]
pub fn settled(pid_file: &Path, socket: &Path) -> Liveness {
    let until = Instant::now() + DYING;
    loop {
        let found = judge(pid_file, socket);
        match found {
            Liveness::Starting => {}
            Liveness::Running(Some(pid)) if answering_pid(socket) != Some(pid) => {}
            _ => return found,
        }
        if Instant::now() >= until {
            return found;
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
}

/// Removes a PID file that names nobody who lives. Returns the number it named.
pub fn clean_up(pid_file: &Path) -> Option<u32> {
    match pidfile::look(pid_file) {
        Seen::Free(pid) => {
            pidfile::remove_stale(pid_file, pid);
            pid
        }
        Seen::Nothing | Seen::Held(_) => None,
    }
}

/// The pid that the conductor behind a socket says it has.
#[must_use]
pub fn answering_pid(socket: &Path) -> Option<u32> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(ANSWER)).ok()?;
    stream.set_write_timeout(Some(ANSWER)).ok()?;
    stream.write_all(b"{\"jsonrpc\":\"2.0\",\"method\":\"daemon.health\",\"id\":1}\n").ok()?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).ok()?;
    let answer: Value = serde_json::from_str(&line).ok()?;
    answer["result"]["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::daemon::pidfile::PidFile;

    #[test]
    fn a_living_process_that_is_not_ours_is_stale() {
        let directory = tempfile::tempdir().unwrap();
        let pid_file = directory.path().join("mozart.pid");
        let socket = directory.path().join("mozart.sock");
        assert_eq!(judge(&pid_file, &socket), Liveness::None);
        // Our own process lives but holds no lock and answers nothing.
        std::fs::write(&pid_file, format!("{}\n", std::process::id())).unwrap();
        assert_eq!(judge(&pid_file, &socket), Liveness::Stale(std::process::id()));
        assert_eq!(clean_up(&pid_file), Some(std::process::id()));
        assert!(!pid_file.exists());
        let own = PidFile::acquire(&pid_file).unwrap();
        assert_eq!(judge(&pid_file, &socket), Liveness::Running(Some(std::process::id())));
        drop(own);
    }
}
