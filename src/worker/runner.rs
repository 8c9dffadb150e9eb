//! Commands of a score that are not the program of a sheet: rules, preconditions, skip commands.
//!
//! They run under bound guards, so that nothing of them outlives the conductor.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::executor::{self, BoundSpec, Control};
use crate::ids::Token;
use crate::instrument::{Environment, environment};
use crate::validate::{Command, CommandEnd};

/// Between TERM and KILL of a command.
const GRACE: Duration = Duration::from_secs(2);
/// Runs of a command whose guard is killed each time.
const RUNS: u32 = 3;
/// How often a wait between repeated checks looks whether the attempt was cancelled.
const STEP: Duration = Duration::from_millis(50);

/// What commands need to run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Runner<'a> {
    /// The program of guards.
    pub(crate) guard_program: &'a Path,
    /// Environment of the conductor.
    pub(crate) ours: &'a Environment,
    /// Variables that say for whom the command runs.
    pub(crate) identity: &'a [(String, String)],
    /// Mark of the attempt that it belongs to.
    pub(crate) token: Option<&'a Token>,
    /// Ends it.
    pub(crate) control: &'a Control,
}

impl Runner<'_> {
    /// The shell for commands.
    pub(crate) fn shell(&self) -> String {
        crate::validate::shell(self.ours.get("PATH").map(String::as_str))
    }

    /// Runs a command to its end; again when its guard was killed, since that says nothing about the command.
    pub(crate) fn run(&self, command: &Command) -> CommandEnd {
        let mut env: Vec<(String, String)> = environment::for_command(self.ours).into_iter().collect();
        env.extend(self.identity.iter().cloned());
        let spec = BoundSpec {
            argv: command.argv.clone(),
            cwd: command.cwd.clone(),
            env,
            token: self.token.cloned(),
            timeout: Some(command.timeout),
            grace: GRACE,
            output_cap: executor::BOUND_OUTPUT,
            log: None,
        };
        let mut end = executor::bound(self.guard_program, &spec, self.control);
        for _ in 1..RUNS {
            if !end.lost || self.control.is_cancelled() {
                break;
            }
            log::warn!("command.repeated reason=\"its guard was killed\"");
            end = executor::bound(self.guard_program, &spec, self.control);
        }
        let spawn_error = match end.spawn_error {
            Some(error) => Some(error.message),
            None if end.lost => Some("its guard was killed".to_owned()),
            None if end.cancelled && end.exit_code.is_none() && end.signal.is_none() => {
                Some("cancelled before it started".to_owned())
            }
            None => None,
        };
        CommandEnd {
            exit_code: end.exit_code,
            signal: end.signal,
            timed_out: end.timed_out,
            spawn_error,
            output: end.output,
            total_bytes: end.total_bytes,
        }
    }

    /// Waits between repeated checks; false when the attempt was cancelled meanwhile.
    pub(crate) fn wait(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        while !self.control.is_cancelled() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            std::thread::park_timeout(left.min(STEP));
        }
        false
    }
}
