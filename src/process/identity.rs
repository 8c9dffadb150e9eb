//! Who a process is, beyond its number.

use std::fs;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::stat::Stat;

/// Name of this boot of the machine; empty where the system has none.
#[must_use]
pub fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

/// A process that cannot be confused with a later one of the same number.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// Process id.
    pub pid: u32,
    /// Start time in ticks after boot.
    pub start_ticks: u64,
    /// The boot in which both hold.
    pub boot_id: String,
}

impl Identity {
    /// The process that has this number now.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        let stat = Stat::read(pid)?;
        Some(Self { pid, start_ticks: stat.start_ticks, boot_id: boot_id() })
    }

    /// Whether this very process exists now and has not ended (a zombie has).
    #[must_use]
    pub fn verify(&self) -> bool {
        !self.boot_id.is_empty() && self.boot_id == boot_id() && self.runs()
    }

    /// Signals the process if it still is the one meant; `false` when it is not or may not be signalled.
    pub fn signal(&self, signal: Signal) -> bool {
        self.verify() && self.send(signal)
    }

    /// As [`Self::verify`], for an identity that was read in this boot.
    pub(crate) fn runs(&self) -> bool {
        Stat::read(self.pid).is_some_and(|stat| stat.start_ticks == self.start_ticks && !stat.is_dead())
    }

    fn send(&self, signal: Signal) -> bool {
        let Ok(pid) = i32::try_from(self.pid) else { return false };
        if pid <= 1 || self.pid == std::process::id() {
            return false;
        }
        match kill(Pid::from_raw(pid), signal) {
            Ok(()) => true,
            Err(Errno::ESRCH) => false,
            Err(errno) => {
                log::warn!("process.signal_refused pid={pid} signal={signal} error={errno}");
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn another_start_time_or_boot_is_another_process() {
        let me = Identity::of(std::process::id()).unwrap();
        assert!(me.verify());
        assert!(!Identity { start_ticks: me.start_ticks + 1, ..me.clone() }.verify());
        assert!(!Identity { boot_id: "another".into(), ..me.clone() }.verify());
        assert!(!Identity { boot_id: String::new(), ..me }.verify());
    }

    // Invariant I69
    #[test]
    fn neither_init_nor_ourselves_are_ever_signalled() {
        for pid in [0, 1, std::process::id(), u32::MAX] {
            let start_ticks = Stat::read(pid).map_or(0, |stat| stat.start_ticks);
            assert!(!Identity { pid, start_ticks, boot_id: boot_id() }.signal(Signal::SIGCONT), "{pid}");
        }
    }
}
