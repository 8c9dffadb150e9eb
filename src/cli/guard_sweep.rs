//! Ending what a killed conductor left running: `mozart stop --force`.
//!
//! Attempts are found by their directories and judged by their locks; nothing is signalled that was
//! not matched by lock, token or start time (the executor's business).

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::cli::context::Context;
use crate::executor::{self, Found, Stray};

/// How long guards may take to end their programs after the second request, which skips the grace.
const LIMIT: Duration = Duration::from_secs(10);
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// Ends every attempt below the state directory whose guard lives, and what dead guards left.
/// Returns how many there were. The caller has made sure that no conductor runs.
pub(crate) fn end_all(cx: &Context, state_dir: &Path) -> usize {
    let strays = executor::sweep(state_dir, &HashSet::new());
    let count = strays.len();
    let mut alive = Vec::new();
    for stray in &strays {
        if let Found::Held(adopted) = &stray.found {
            adopted.cancel();
            adopted.cancel();
        }
    }
    let until = Instant::now() + LIMIT;
    for stray in strays {
        alive.extend(end(stray, until));
    }
    if !alive.is_empty() {
        let pids: Vec<String> = alive.iter().map(ToString::to_string).collect();
        cx.out.warn(&format!("these processes could not be ended: {}", pids.join(", ")));
    }
    count
}

/// Sees one attempt to its end. Returns processes that are still there.
fn end(stray: Stray, until: Instant) -> Vec<u32> {
    match stray.found {
        Found::Over(_) | Found::NeverStarted => Vec::new(),
        Found::Interrupted(leftovers) => leftovers.end(),
        Found::Held(adopted) => loop {
            match adopted.try_over() {
                // The lock is held while the leftovers are ended, so that no conductor starts over them.
                Ok(Some((Found::Interrupted(leftovers), _taken))) => return leftovers.end(),
                Ok(Some(_)) | Err(_) => return Vec::new(),
                Ok(None) if Instant::now() < until => {
                    // A guard that had not written its line yet heard nothing before.
                    adopted.cancel();
                    std::thread::sleep(BETWEEN_LOOKS);
                }
                Ok(None) => {
                    // It does not react any more; what it leaves is found by its token.
                    adopted.kill();
                    return match adopted.try_over() {
                        Ok(Some((Found::Interrupted(leftovers), _taken))) => leftovers.end(),
                        Ok(_) | Err(_) => adopted.child_pid().into_iter().collect(),
                    };
                }
            }
        },
    }
}
