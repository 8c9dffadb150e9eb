//! Our own children: started, found, adopted and reaped.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::Duration;

use nix::errno::Errno;

use super::stat::{Stat, list};

/// Waits before a start is tried again that failed for want of processes or memory.
pub(crate) const SPAWN_AGAIN: [Duration; 3] =
    [Duration::from_millis(50), Duration::from_millis(200), Duration::from_millis(1000)];

/// Whether [`become_subreaper`] was called. Set once, by the daemon binary.
static SUBREAPER: AtomicBool = AtomicBool::new(false);

/// Held for reading while a child is being started, for writing while strangers are looked for:
/// between the two a child of ours exists that nobody has written down yet. A message would not
/// do, because the start happens on many workers and the search must exclude exactly them.
static STARTING: RwLock<()> = RwLock::new(());

/// Children that this process started, or brought along, and has not reaped.
static STARTED: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// Makes this process the one to which orphans below it return (Linux; elsewhere it does nothing).
///
/// For the daemon binary only, at its start: afterwards every child that was not started through
/// [`crate::executor`] counts as the leftover of a killed guard and may be ended. Children that are
/// there already, as those of a shell that has replaced itself by this program, are nobody's
/// leftovers and are left alone. An embedding program never calls it.
pub fn become_subreaper() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        // They are never reaped here, so their numbers stay theirs.
        let me = std::process::id();
        let ours = list().into_iter().filter(|stat| stat.parent == me).map(|stat| stat.pid);
        STARTED.lock().unwrap_or_else(PoisonError::into_inner).extend(ours);
        nix::sys::prctl::set_child_subreaper(true)?;
        SUBREAPER.store(true, Ordering::SeqCst);
    }
    Ok(())
}

/// Whether [`become_subreaper`] took effect.
#[must_use]
pub fn is_subreaper() -> bool {
    SUBREAPER.load(Ordering::SeqCst)
}

/// Starts a guard and writes down that it is ours. Tries again for a while when the system is out
/// of processes or memory.
pub(crate) fn spawn(command: &mut Command) -> io::Result<Child> {
    for pause in SPAWN_AGAIN {
        match spawn_once(command) {
            Err(error)
                if matches!(
                    error.raw_os_error().map(Errno::from_raw),
                    Some(Errno::EAGAIN | Errno::ENOMEM)
                ) =>
            {
                super::wait_for(&mut [], Some(pause));
            }
            other => return other,
        }
    }
    spawn_once(command)
}

fn spawn_once(command: &mut Command) -> io::Result<Child> {
    let _starting = STARTING.read().unwrap_or_else(PoisonError::into_inner);
    let child = command.spawn()?;
    STARTED.lock().unwrap_or_else(PoisonError::into_inner).insert(child.id());
    Ok(child)
}

/// Waits for a guard and forgets it, in this order: a zombie that is not written down would be
/// taken for a stranger and reaped by somebody else.
pub(crate) fn reap(child: &mut Child) -> io::Result<ExitStatus> {
    let status = child.wait();
    STARTED.lock().unwrap_or_else(PoisonError::into_inner).remove(&child.id());
    status
}

/// Children that came to us because their guard was killed. Empty unless we are a subreaper.
pub(crate) fn strangers() -> Vec<Stat> {
    if !is_subreaper() {
        return Vec::new();
    }
    let _nobody_starts = STARTING.write().unwrap_or_else(PoisonError::into_inner);
    let started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
    let me = std::process::id();
    list().into_iter().filter(|stat| stat.parent == me && !started.contains(&stat.pid)).collect()
}

/// Direct children of this single-threaded process, unreaped ones included.
pub(crate) fn direct() -> Vec<u32> {
    let me = std::process::id();
    match std::fs::read_to_string(format!("/proc/self/task/{me}/children")) {
        Ok(text) => text.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect(),
        // A kernel without that file: look at everybody's parent.
        Err(_) => list().into_iter().filter(|stat| stat.parent == me).map(|stat| stat.pid).collect(),
    }
}

/// Every process below `root`, itself not included.
pub(crate) fn below(root: u32) -> Vec<Stat> {
    let mut by_parent: HashMap<u32, Vec<Stat>> = HashMap::new();
    for stat in list() {
        by_parent.entry(stat.parent).or_default().push(stat);
    }
    let mut found = by_parent.remove(&root).unwrap_or_default();
    let mut next = 0;
    while let Some(stat) = found.get(next).copied() {
        found.extend(by_parent.remove(&stat.pid).unwrap_or_default());
        next += 1;
    }
    found
}
