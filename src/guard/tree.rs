//! Ending everything below a guard.
//!
//! The guard is the subreaper of its tree: whatever loses its parent becomes its direct child.
//! So: KILL the direct children and reap, again and again, until there are none; `ECHILD` proves
//! that nothing is left. No search by name, parent or user.

use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;

use super::signals::Signals;
use crate::process;

/// How long a process may exist after KILL before it is named and left (it hangs in the kernel).
const KILL_PATIENCE: Duration = Duration::from_secs(2);
/// Longest wait before the children are looked at again without news.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What the end of a tree showed.
#[derive(Debug, Default)]
pub(super) struct Ended {
    /// How the program ended; `None` when it could not be killed.
    pub(super) status: Option<ExitStatus>,
    pub(super) reaped: u32,
    pub(super) unkillable: Vec<u32>,
}

/// Whether the program has ended. It is not reaped: until then its number and its group stay ours.
pub(super) fn has_ended(main: Pid) -> bool {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    match waitid(Id::Pid(main), flags) {
        Ok(WaitStatus::StillAlive) | Err(Errno::EINTR) => false,
        // An end by a real-time signal, which nix has no name for, is EINVAL.
        Ok(_) | Err(_) => true,
    }
}

/// Reaps what came back to us and has ended, the program excepted. Returns how many.
pub(super) fn reap_adopted(main: Pid) -> u32 {
    let mut reaped = 0;
    loop {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        let ended = match waitid(Id::All, flags) {
            Ok(status) => status.pid(),
            Err(Errno::EINTR) => continue,
            // One that ended by a signal without a name: it is found again at the end of the tree.
            Err(_) => None,
        };
        match ended {
            // The program itself is looked at by its own name; the others wait for their turn.
            Some(pid) if pid != main => {
                _ = waitpid(pid, Some(WaitPidFlag::WNOHANG));
                reaped += 1;
            }
            _ => return reaped,
        }
    }
}

/// Ends the program, if it still runs, and everything below this process.
pub(super) fn end(main: &mut Child, signals: &Signals) -> Ended {
    let mut ended = Ended::default();
    let pid = Pid::from_raw(i32::try_from(main.id()).expect("a pid fits"));
    // The group at once, while the unreaped program keeps its number ours: a signal to a group
    // also reaches who is just forking.
    _ = process::signal_group(pid, Signal::SIGKILL);
    _ = process::signal_child(pid, Signal::SIGKILL);
    let since = Instant::now();
    ended.status = loop {
        match main.try_wait() {
            Ok(Some(status)) => break Some(status),
            Ok(None) if since.elapsed() < KILL_PATIENCE => wait(signals),
            Ok(None) | Err(_) => break None,
        }
    };
    end_children(&mut ended, signals);
    ended
}

/// KILL and reap until there are no children, or only such that do not react.
fn end_children(ended: &mut Ended, signals: &Signals) {
    let mut killed: Vec<(u32, Instant)> = Vec::new();
    let begun = Instant::now();
    loop {
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => break,
                Err(Errno::ECHILD) => return,
                Err(Errno::EINTR) => (),
                // EINVAL: reaped, by a signal that nix has no name for.
                Ok(_) | Err(_) => ended.reaped += 1,
            }
        }
        let children = process::direct();
        killed.retain(|(pid, _)| children.contains(pid));
        let mut fresh = false;
        for pid in &children {
            if !killed.iter().any(|(known, _)| known == pid) {
                fresh = true;
                killed.push((*pid, Instant::now()));
            }
            _ = process::signal_child(Pid::from_raw((*pid).cast_signed()), Signal::SIGKILL);
        }
        let all_old = killed.iter().all(|(_, since)| since.elapsed() >= KILL_PATIENCE);
        if all_old && begun.elapsed() >= KILL_PATIENCE {
            ended.unkillable = children;
            return;
        }
        if !fresh {
            wait(signals);
        }
    }
}

fn wait(signals: &Signals) {
    process::wait_for(&mut [PollFd::new(signals.children(), PollFlags::POLLIN)], Some(LOOK_AGAIN));
    signals.clear_children();
}
