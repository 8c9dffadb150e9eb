//! Ending what a killed guard left behind.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use crate::guard::record::{LockLines, TOKEN_VARIABLE};
use crate::ids::Token;
use crate::process::{self, Identity, boot_id};

/// Between TERM and KILL.
const GRACE: Duration = Duration::from_secs(5);
/// Between KILL and giving up.
const PATIENCE: Duration = Duration::from_secs(2);
/// Wait between two looks at the processes of the machine.
const LOOK: Duration = Duration::from_millis(20);

/// How to recognise the processes of an attempt whose guard is gone.
///
/// A process is the attempt's when it carries the token in its environment, when it is the program
/// itself (pid, start time and boot), when it is in the session of the guard while that guard is
/// an unreaped child of ours, or when it came back to us as the orphan of a guard (daemon only).
/// Nothing else is ever signalled.
#[derive(Debug, Clone)]
pub struct Leftovers {
    /// `NAME=value` of the token.
    mark: Option<String>,
    child: Option<Identity>,
    guard: Option<Identity>,
    /// Set only while the guard is a zombie of ours.
    pub(super) session: Option<u32>,
}

impl Leftovers {
    pub(super) fn new(token: &Token, lines: LockLines) -> Self {
        Self { mark: mark(token.as_str()), child: lines.child, guard: lines.guard, session: None }
    }

    /// What carries the token of an attempt that is over: commands of a conductor that was killed
    /// while it checked the rules.
    #[must_use]
    pub fn marked(token: &Token) -> Self {
        Self::new(token, LockLines::default())
    }

    /// What a bound guard left that is a zombie of ours.
    pub(super) fn of_bound(guard: u32, token: Option<&Token>) -> Self {
        Self {
            mark: token.and_then(|token| mark(token.as_str())),
            child: None,
            guard: None,
            session: Some(guard),
        }
    }

    /// The program, as far as it is known.
    #[must_use]
    pub fn child(&self) -> Option<&Identity> {
        self.child.as_ref()
    }

    /// The processes that are alive now.
    #[must_use]
    pub fn find(&self) -> Vec<Identity> {
        let boot_id = boot_id();
        if self.guard.as_ref().is_some_and(|guard| guard.boot_id != boot_id) {
            return Vec::new();
        }
        let adopted = strangers();
        let is_ours = |stat: &process::Stat| {
            let is_child = |child: &Identity| {
                child.pid == stat.pid && child.start_ticks == stat.start_ticks && child.boot_id == boot_id
            };
            self.session == Some(stat.session)
                || self.child.as_ref().is_some_and(is_child)
                || adopted.contains(&(stat.pid, stat.start_ticks))
                || self.mark.as_ref().is_some_and(|mark| process::environ_has(stat.pid, mark.as_bytes()))
        };
        let me = std::process::id();
        process::list()
            .into_iter()
            .filter(|stat| stat.pid > 1 && stat.pid != me && !stat.is_dead() && is_ours(stat))
            .map(|stat| Identity { pid: stat.pid, start_ticks: stat.start_ticks, boot_id: boot_id.clone() })
            .collect()
    }

    /// TERM, five seconds, KILL, two seconds; blocks so long at most. Returns who is still alive.
    /// Costs one look at the processes of the machine when there is nothing.
    #[must_use]
    pub fn end(&self) -> Vec<u32> {
        let left = self.press(Signal::SIGTERM, GRACE);
        if left.is_empty() {
            return left;
        }
        let left = self.press(Signal::SIGKILL, PATIENCE);
        if !left.is_empty() {
            log::error!("attempt.leftovers_remain pids={left:?}");
        }
        left
    }

    /// Signals each process once for TERM and at every look for KILL, until there is none.
    fn press(&self, signal: Signal, limit: Duration) -> Vec<u32> {
        let until = Instant::now() + limit;
        let mut told: HashSet<(u32, u64)> = HashSet::new();
        loop {
            let found = self.find();
            if found.is_empty() || Instant::now() >= until {
                return found.into_iter().map(|identity| identity.pid).collect();
            }
            for identity in found {
                // A new process may have come between two looks, so this is asked for each.
                if told.insert((identity.pid, identity.start_ticks)) || signal == Signal::SIGKILL {
                    log::info!("attempt.leftover pid={} signal={signal}", identity.pid);
                    identity.signal(signal);
                    if signal == Signal::SIGTERM {
                        // A stopped process could not react.
                        identity.signal(Signal::SIGCONT);
                    }
                }
            }
            process::wait_for(&mut [], Some(LOOK));
        }
    }
}

/// What a process of this token has in its environment. A text that is not a whole token, read
/// from a damaged file, would match strangers.
fn mark(token: &str) -> Option<String> {
    let whole = token.len() == 32 && token.bytes().all(|digit| digit.is_ascii_hexdigit());
    whole.then(|| format!("{TOKEN_VARIABLE}={token}"))
}

/// Orphans of killed guards that came to this process; the dead ones are reaped on the way.
fn strangers() -> HashSet<(u32, u64)> {
    let mut alive = HashSet::new();
    for stat in process::strangers() {
        if stat.is_dead() {
            _ = waitpid(Pid::from_raw(stat.pid.cast_signed()), Some(WaitPidFlag::WNOHANG));
        } else {
            alive.insert((stat.pid, stat.start_ticks));
        }
    }
    alive
}
