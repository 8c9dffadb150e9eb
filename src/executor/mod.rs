//! Running attempts and commands through guards.
//!
//! [`start`] makes the attempt directory and its guard, [`Running::wait`] waits for the end,
//! [`Control`] asks for it, [`examine`] says after a restart what became of an attempt, and
//! [`Leftovers`] ends what a killed guard left behind. [`bound()`] runs a command of the
//! conductor's own. The seam for running sheets elsewhere later is this module: the same guard and
//! the same directory, another way to start them.
//!
//! Not for deciding whether an attempt succeeded, and not for writing the database.
//!
//! Invariants: "not held" is judged only by taking the lock, and who takes it keeps it until the
//! verdict is committed; no process is signalled that was not matched by its lock, by its token,
//! or by pid, start time and boot; values of the environment are never written to disk.

mod bound;
mod control;
mod examine;
mod leftovers;
mod start;
mod sweep;

use std::path::{Path, PathBuf};

pub use crate::guard::record::{Exit, OutputCount, SpawnError, TOKEN_VARIABLE};
pub use bound::{BOUND_OUTPUT, BoundEnd, BoundRun, BoundSpec, begin_bound, bound, bound_with_input};
pub use control::Control;
pub use examine::{Adopted, Found, Taken, examine};
pub use leftovers::Leftovers;
pub use start::{End, Running, Spec, StartError, Stdin, start};
pub use sweep::{Stray, sweep};

use crate::guard::record::LockLines;
use crate::ids::AttemptKey;
use crate::process::Identity;

/// Directory of an attempt: `<state dir>/jobs/<job>/sheet-<n>/attempt-<k>`.
#[must_use]
pub fn dir(state_dir: &Path, key: &AttemptKey) -> PathBuf {
    let mut dir = state_dir.join("jobs");
    dir.push(key.job.as_str());
    dir.push(format!("sheet-{}", key.sheet));
    dir.push(format!("attempt-{}", key.attempt));
    dir
}

/// Who guards the attempt of this directory, once its guard has said so.
#[must_use]
pub fn guard_of(dir: &Path) -> Option<Identity> {
    LockLines::read(dir).ok()?.guard
}

/// Standard output of the program of an attempt, as it arrives. There is no file before the first byte.
#[must_use]
pub fn stdout_log(dir: &Path) -> PathBuf {
    dir.join(crate::guard::record::STDOUT)
}

/// Standard error of the program of an attempt, as it arrives. There is no file before the first byte.
#[must_use]
pub fn stderr_log(dir: &Path) -> PathBuf {
    dir.join(crate::guard::record::STDERR)
}
