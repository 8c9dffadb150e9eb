//! Processes as the kernel shows them: who they are, what is below them, how they are signalled.
//!
//! Not for starting programs (that is [`crate::guard`]) and not for measuring load (that is
//! [`crate::monitor`]). Linux only where `/proc` is read.
//!
//! Invariant: nothing here signals a bare process id. A signal needs an [`Identity`] that is
//! checked right before, or a child that has not been reaped and whose id therefore cannot be
//! somebody else's.

mod children;
mod identity;
mod stat;

pub(crate) use children::{SPAWN_AGAIN, below, direct, reap, spawn, strangers};
pub use children::{become_subreaper, is_subreaper};
pub use identity::{Identity, boot_id};
pub use stat::{Stat, list, start_ticks};
pub(crate) use stat::{environ_has, oom_kills};

use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollTimeout, poll};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, getpgrp};

/// Clock ticks per second of the CPU times in `/proc/<pid>/stat`; the same on every Linux platform.
pub const TICKS_PER_SECOND: u64 = 100;

/// Signals a process group that the caller leads through an unreaped child.
///
/// Groups 0 and 1 and the caller's own are refused: 1 would be "everything of this user".
/// A group that is gone is not an error.
pub(crate) fn signal_group(leader: Pid, signal: Signal) -> Result<(), Errno> {
    if leader.as_raw() <= 1 || leader == getpgrp() {
        return Err(Errno::EPERM);
    }
    match killpg(leader, signal) {
        Err(Errno::ESRCH) => Ok(()),
        other => other,
    }
}

/// Signals a child of this process that has not been reaped. One that is gone is not an error.
pub(crate) fn signal_child(child: Pid, signal: Signal) -> Result<(), Errno> {
    if child.as_raw() <= 1 {
        return Err(Errno::EPERM);
    }
    match kill(child, signal) {
        Err(Errno::ESRCH) => Ok(()),
        other => other,
    }
}

/// Waits for one of the descriptors, at most so long; `None` = without limit.
/// Early returns are normal: the caller looks at its conditions again.
pub(crate) fn wait_for(fds: &mut [PollFd<'_>], limit: Option<Duration>) {
    let timeout = match limit {
        None => PollTimeout::NONE,
        // Rounded up: a wait cut to zero milliseconds would spin until its deadline.
        Some(limit) => {
            let millis = limit.as_millis().saturating_add(u128::from(limit.subsec_nanos() % 1_000_000 != 0));
            PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)
        }
    };
    // An interrupted wait is an early return.
    _ = poll(fds, timeout);
}

#[cfg(test)]
mod tests {
    use super::*;

    // Invariant I69
    #[test]
    fn neither_everybody_nor_our_own_group_is_ever_signalled() {
        for group in [i32::MIN, -2, -1, 0, 1, getpgrp().as_raw()] {
            // A signal that nobody minds, should it ever be sent.
            assert_eq!(signal_group(Pid::from_raw(group), Signal::SIGURG), Err(Errno::EPERM), "{group}");
        }
        for child in [i32::MIN, -1, 0, 1] {
            assert_eq!(signal_child(Pid::from_raw(child), Signal::SIGURG), Err(Errno::EPERM), "{child}");
        }
    }
}
