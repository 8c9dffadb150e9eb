//! Asking a running attempt to end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::process;

/// The brake of one attempt, shared by the worker that runs it and the one who may stop it.
/// It acts on whatever guard the attempt has at the moment: the sheet's, or that of a validation.
///
/// A lock and not a message: "the guard is not reaped yet" and "signal it" must be one step, or
/// the signal could reach a stranger with the same number. It is held for a system call at most.
#[derive(Debug, Clone, Default)]
pub struct Control(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    asked: u32,
    guard: Option<Pid>,
}

impl Control {
    /// A brake that nobody has pulled.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for the end: TERM now, KILL after the grace; once more skips the grace.
    /// Before a start it prevents the start. Never blocks.
    pub fn cancel(&self) {
        let mut state = self.state();
        state.asked = state.asked.saturating_add(1);
        if let Some(guard) = state.guard {
            // A guard counts both; another signal the second time, because two of the same that
            // come close together arrive as one.
            let signal = if state.asked == 1 { Signal::SIGTERM } else { Signal::SIGINT };
            _ = process::signal_child(guard, signal);
        }
    }

    /// Kills the guard itself, which does not react any more. The waiting worker then ends what it
    /// leaves behind and reports it as lost.
    pub fn kill(&self) {
        let mut state = self.state();
        state.asked = state.asked.saturating_add(1);
        if let Some(guard) = state.guard {
            _ = process::signal_child(guard, Signal::SIGKILL);
        }
    }

    /// Whether the end was asked for.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.state().asked > 0
    }

    /// Whether anybody else has it: a worker that still runs the attempt.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// A guard was started. What was asked for meanwhile reaches it now.
    pub(super) fn attach(&self, guard: Pid) {
        let mut state = self.state();
        state.guard = Some(guard);
        if state.asked > 0 {
            _ = process::signal_child(guard, Signal::SIGTERM);
        }
        if state.asked > 1 {
            _ = process::signal_child(guard, Signal::SIGINT);
        }
    }

    /// The guard has ended and is about to be reaped.
    pub(super) fn detach(&self) {
        self.state().guard = None;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
