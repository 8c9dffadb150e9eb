//! Reading `/proc/<pid>/stat` and `/proc/<pid>/environ`.

use std::fs::{self, File};
use std::io::Read;

/// One process at the moment of reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Process id.
    pub pid: u32,
    /// State letter: `R`, `S`, `D`, `T`, `Z`, ...
    pub state: u8,
    /// Parent.
    pub parent: u32,
    /// Process group.
    pub group: u32,
    /// Session.
    pub session: u32,
    /// CPU time of the process and of the children it has reaped, in ticks.
    pub cpu_ticks: u64,
    /// Start time in ticks after boot: with the pid and the boot id it names a process for ever.
    pub start_ticks: u64,
}

impl Stat {
    /// Reads one process; `None` when there is none or it cannot be read.
    #[must_use]
    pub fn read(pid: u32) -> Option<Self> {
        let mut text = [0_u8; 1024];
        let mut file = File::open(format!("/proc/{pid}/stat")).ok()?;
        let mut len = 0;
        loop {
            match file.read(&mut text[len..]) {
                Ok(0) => break,
                Ok(more) => len += more,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => (),
                Err(_) => return None,
            }
        }
        Self::parse(pid, &text[..len])
    }

    /// The name (second field) may hold anything, also spaces and brackets: fields count from its end.
    fn parse(pid: u32, text: &[u8]) -> Option<Self> {
        let name_end = memchr::memrchr(b')', text)?;
        let rest = std::str::from_utf8(text.get(name_end + 1..)?).ok()?;
        let mut fields = rest.split_ascii_whitespace();
        let state = *fields.next()?.as_bytes().first()?;
        let parent = fields.next()?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        let session = fields.next()?.parse().ok()?;
        // Fields 7 to 13 are terminal, flags and faults; 14 to 17 are the times.
        let mut fields = fields.skip(7);
        let mut cpu_ticks = 0_u64;
        for _ in 0..4 {
            cpu_ticks = cpu_ticks.saturating_add(fields.next()?.parse::<i64>().ok()?.max(0).unsigned_abs());
        }
        // 18 to 21: priority, nice, threads, interval timer.
        let start_ticks = fields.nth(4)?.parse().ok()?;
        Some(Self { pid, state, parent, group, session, cpu_ticks, start_ticks })
    }

    /// Ended, only its exit status is left.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x')
    }
}

/// Start time of a process in ticks after boot; `None` when there is no such process.
#[must_use]
pub fn start_ticks(pid: u32) -> Option<u64> {
    Stat::read(pid).map(|stat| stat.start_ticks)
}

/// All processes that can be seen now, in no particular order.
#[must_use]
pub fn list() -> Vec<Stat> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter_map(Stat::read)
        .collect()
}

/// Whether a process was started with exactly this `NAME=value` in its environment.
/// A process whose environment we may not read does not have it.
pub(crate) fn environ_has(pid: u32, entry: &[u8]) -> bool {
    fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|environ| environ.split(|byte| *byte == 0).any(|one| one == entry))
}

/// How often the system has killed a process for lack of memory since it was started; `None` where it does not say.
pub(crate) fn oom_kills() -> Option<u64> {
    counter(&fs::read_to_string("/proc/vmstat").ok()?, "oom_kill")
}

/// One line of `name value` lines.
fn counter(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn kills_for_lack_of_memory_are_counted_by_the_kernel() {
        assert_eq!(counter("oom_killer 3\nnr_dirty 5\noom_kill 12\n", "oom_kill"), Some(12));
        assert_eq!(counter("nr_dirty 5\n", "oom_kill"), None);
    }

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_shift_the_fields() {
        let line = b"7 (a) S 1 (b) R 3 4 5 0 -1 4194304 1 2 3 4 10 20 30 40 20 0 1 0 99887 1 2 3";
        let stat = Stat::parse(7, line).unwrap();
        let expected =
            Stat { pid: 7, state: b'R', parent: 3, group: 4, session: 5, cpu_ticks: 100, start_ticks: 99887 };
        assert_eq!(stat, expected);
    }

    #[test]
    fn broken_lines_are_nobody() {
        for line in [&b""[..], b"7 (a", b"7 (a) R", b"7 (a) R 1 2 3 4", b"7 (a) R x 2 3"] {
            assert_eq!(Stat::parse(7, line), None);
        }
    }

    #[test]
    fn we_see_ourselves() {
        let me = Stat::read(std::process::id()).unwrap();
        assert!(!me.is_dead());
        assert!(list().iter().any(|stat| stat.pid == me.pid && stat.start_ticks == me.start_ticks));
    }
}
