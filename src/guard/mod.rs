//! The guard: the small process that runs one program and leaves nothing behind.
//!
//! Every program that Mozart starts has a guard between itself and the conductor. The guard
//! outlives the conductor (of a sheet) or ends with it (*bound*, for validations, hooks and git),
//! captures the output, keeps the limits and ends everything below it before it says that it is
//! over. It has one thread and one poll.
//!
//! Not for deciding what to run or what a result means, and not for starting guards: that is
//! [`crate::executor`].
//!
//! Invariants: the record of a sheet is written after nothing is left below the guard and before
//! its lock is free; no process but its own descendants is ever signalled.

mod bound;
mod idle;
pub(crate) mod lock;
mod log_file;
pub mod record;
mod sheet;
mod signals;
mod supervise;
mod tree;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) use bound::{BoundHeader, BoundOrders};
pub use log_file::LOG_TAIL;
pub(crate) use supervise::wall;

/// First argument of the guard of a sheet; the second is its attempt directory.
pub(crate) const SHEET: &str = "__guard";
/// First argument of a bound guard.
pub(crate) const BOUND: &str = "__bound";

/// Runs as a guard and exits, when this process was started as one; returns otherwise.
///
/// Must be the first statement of `main`, before threads, logging or anything else that costs
/// time or memory: it is part of the price of every sheet.
pub fn run_if_asked() {
    ASKED.store(true, Ordering::Relaxed);
    let mut args = std::env::args_os().skip(1);
    let Some(first) = args.next() else { return };
    let guard: fn(Option<OsString>) -> i32 = if first == SHEET {
        sheet::run
    } else if first == BOUND {
        |_| bound::run()
    } else if first == crate::http::ARGUMENT {
        crate::http::run_child
    } else {
        return;
    };
    close_inherited();
    std::process::exit(guard(args.next()));
}

/// This program has called [`run_if_asked`], so it can be its own guard.
static ASKED: AtomicBool = AtomicBool::new(false);

/// The program to start guards with: this executable when it is one of ours or has called
/// [`run_if_asked`], else `mozart` from `PATH`; `None` when there is neither.
#[must_use]
pub fn default_program() -> Option<PathBuf> {
    let own = std::env::current_exe().ok();
    let ours = own
        .as_deref()
        .and_then(|path| path.file_name())
        .is_some_and(|name| name == "mozart" || name == "mozartd");
    if ours || ASKED.load(Ordering::Relaxed) {
        return own;
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join("mozart"))
        .find(|file| file.is_file())
}

/// Closes everything but the three standard descriptors. What we open ourselves is never handed
/// on, but whoever started the conductor may have left it something, a lock for example, that
/// would then stay open in every program.
pub(crate) fn close_inherited() {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return };
    let inherited: Vec<i32> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|&fd| fd > 2)
        .collect();
    for fd in inherited {
        // One of them was the listing itself and is closed already.
        _ = nix::unistd::close(fd);
    }
}
