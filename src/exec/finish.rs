//! Before the first sheet and after the last one: the set-up, and the hooks.
//!
//! A hook is recorded before it is asked for, so after a crash it is known which one was begun.
//! Whether a program that was begun has done its work cannot be known: it is not run again. A
//! chained job is asked for again; who submits it knows it by job, hook and run.
//! Hooks need no permit. A pause holds them between two hooks; a cancellation ends the one that
//! runs.

use serde_json::json;

use super::out::Out;
use super::{
    Effect, Ending, Execution, Finishing, Hook, HookResult, JobStatus, PauseFlag, SetUp, SetUpFailure, event,
};
use crate::classify::ErrorCode;
use crate::time::{Deadline, Now};

impl Execution {
    /// What the score wants before the first sheet of this run is not done yet.
    pub(super) fn needs_set_up(&self) -> bool {
        let ledger = &self.job.ledger;
        self.spec.set_up && ledger.recovery.is_none() && ledger.set_up_epoch != ledger.run_epoch
    }

    /// Asks for the set-up, once in this life of the process. True while it runs.
    pub(super) fn set_up(&mut self, out: &mut Out) -> bool {
        let wanted = self.job.status == JobStatus::Running
            && self.needs_set_up()
            && self.job.ending.is_none()
            && self.job.pause_flags.is_empty();
        if wanted && !self.set_up_runs {
            self.set_up_runs = true;
            out.act(Effect::SetUp);
        }
        self.set_up_runs
    }

    pub(super) fn set_up_done(&mut self, now: Now, result: Result<SetUp, Box<SetUpFailure>>, out: &mut Out) {
        if !std::mem::take(&mut self.set_up_runs) {
            return;
        }
        out.job();
        match result {
            Ok(done) => {
                for warning in &done.warnings {
                    self.remark(now, None, warning.clone(), out);
                }
                self.job.ledger.set_up = Some(done);
                self.job.ledger.set_up_epoch = self.job.ledger.run_epoch;
            }
            Err(failure) => {
                let SetUpFailure { error, made } = *failure;
                if let Some(mut made) = made {
                    for warning in &made.warnings {
                        self.remark(now, None, warning.clone(), out);
                    }
                    // The worktree is there, and whoever ends the job must know of it.
                    let earlier = self.job.ledger.set_up.take().and_then(|set_up| set_up.worktree);
                    made.worktree = made.worktree.or(earlier);
                    self.job.ledger.set_up = Some(made);
                }
                if self.job.ending.is_none() {
                    self.job.ledger.error_code = Some(error.code);
                }
                self.end_job(now, Ending::Fail { message: error.message }, out);
            }
        }
    }

    /// All sheets are over, or the job failed as a whole: its hooks come before its end.
    pub(super) fn after_sheets(&mut self, now: Now, error: Option<String>, failed: bool, out: &mut Out) {
        let hooks = if failed { &self.spec.hooks.on_failure } else { &self.spec.hooks.on_success };
        // A job without new work never starts another one, or chains would turn in circles.
        let count = if failed || self.job.ledger.completed_in_run > 0 { hooks.len() } else { 0 };
        if count == 0 {
            let status = if failed { JobStatus::Failed } else { JobStatus::Completed };
            self.finish(now, status, error, out);
            return;
        }
        if self.job.status == JobStatus::Running {
            out.released();
        }
        self.job.stop_clock(now);
        self.job.status = JobStatus::Finishing;
        self.job.ending = None;
        self.job.hold = None;
        // These are about sheets.
        for flag in [PauseFlag::Cost, PauseFlag::Escalation, PauseFlag::Checkpoint] {
            self.job.pause_flags.remove(&flag);
        }
        let ledger = &mut self.job.ledger;
        ledger.recovery = None;
        ledger.error.clone_from(&error);
        ledger.finishing = Some(Finishing { failed, error, code: ledger.error_code, ..Finishing::default() });
        out.job();
        let data = json!({ "all_success": !failed, "hooks": count });
        out.event(event::job("job.finishing", data));
        self.run_hooks(now, out);
    }

    /// The next hook, if it is time for it; the end of the job after the last one.
    pub(super) fn run_hooks(&mut self, now: Now, out: &mut Out) {
        if self.hook_runs {
            return;
        }
        match self.job.ending.take() {
            Some(Ending::Cancel) => return self.finish(now, JobStatus::Cancelled, None, out),
            Some(Ending::Timeout { message } | Ending::Fail { message }) => {
                return self.finish(now, JobStatus::Failed, Some(message), out);
            }
            // Its sheets are over: nothing of it was lost.
            Some(Ending::Orphaned { .. }) | None => {}
        }
        if self.job.status != JobStatus::Finishing {
            return;
        }
        self.take_up_hook(now, out);
        while !self.hook_runs && self.job.status == JobStatus::Finishing && self.job.pause_flags.is_empty() {
            if !self.next_hook(now, out) {
                return;
            }
        }
    }

    /// A hook that an earlier life of the process has begun.
    fn take_up_hook(&mut self, now: Now, out: &mut Out) {
        let Some(finishing) = self.job.ledger.finishing.clone().filter(|it| it.running) else { return };
        let hook = self.hook(&finishing).cloned();
        if hook.as_ref().is_some_and(|hook| hook.chains) {
            self.ask_for_hook(&finishing, out);
            return;
        }
        let mut result = self.job.ledger.hook_results.pop().unwrap_or_default();
        result.error_message = Some("the conductor ended while it ran; it is not run again".to_owned());
        let message = format!("hook {} may not have done its work", finishing.hook + 1);
        self.remark(now, None, message, out);
        self.record_hook(&finishing, result, out);
    }

    /// Begins the next hook. False when it has to wait, or the job is over.
    fn next_hook(&mut self, now: Now, out: &mut Out) -> bool {
        let Some(finishing) = self.job.ledger.finishing.clone() else { return false };
        let Some(hook) = self.hook(&finishing).cloned() else {
            self.end_hooks(now, out);
            return false;
        };
        if hook.pause_before && !finishing.confirmed {
            self.job.status = JobStatus::PausedAtChain;
            out.job();
            out.event(event::job("job.paused", json!({ "reason": "chain", "hook": finishing.hook })));
            return false;
        }
        if hook.chains && !finishing.cooled && !self.spec.hooks.cooldown.is_zero() {
            self.job.hold = Some(Deadline::after(now, self.spec.hooks.cooldown));
            if let Some(finishing) = &mut self.job.ledger.finishing {
                finishing.cooled = true;
            }
            out.job();
        }
        if self.job.hold.is_some_and(|hold| !hold.is_due(now)) {
            return false;
        }
        self.job.hold = None;
        let ledger = &mut self.job.ledger;
        ledger.hook_results.push(HookResult {
            hook_type: hook.hook_type.to_owned(),
            description: hook.description.as_deref().map(str::to_owned),
            epoch: ledger.run_epoch,
            ..HookResult::default()
        });
        if let Some(finishing) = &mut ledger.finishing {
            finishing.running = true;
        }
        let data = json!({
            "hook": finishing.hook,
            "hook_type": hook.hook_type,
            "description": hook.description.as_deref(),
            "on_failure": finishing.failed,
        });
        out.event(event::job("hook.started", data));
        self.ask_for_hook(&finishing, out);
        true
    }

    fn ask_for_hook(&mut self, finishing: &Finishing, out: &mut Out) {
        self.hook_runs = true;
        out.job();
        out.act(Effect::Hook {
            hook: finishing.hook,
            on_failure: finishing.failed,
            epoch: self.job.ledger.run_epoch,
        });
    }

    pub(super) fn hook_ended(
        &mut self,
        now: Now,
        hook: usize,
        epoch: u32,
        result: HookResult,
        out: &mut Out,
    ) {
        let Some(finishing) = self.job.ledger.finishing.clone() else { return };
        if !self.hook_runs || finishing.hook != hook || self.job.ledger.run_epoch != epoch {
            return;
        }
        self.hook_runs = false;
        let failed = result.success == Some(false);
        let reason = result.error_message.clone();
        let Some(planned) = self.hook(&finishing).cloned() else { return };
        let refused = planned.pause_before && failed && result.chained_job_id.is_none();
        self.job.ledger.hook_results.pop();
        self.record_hook(&finishing, HookResult { epoch, ..result }, out);
        if self.job.ending.is_some() {
            return;
        }
        if refused {
            // A person has said when, and it was not possible: the same person is asked again.
            self.job.ledger.finishing = Some(Finishing { running: false, confirmed: false, ..finishing });
            self.job.status = JobStatus::PausedAtChain;
            out.event(event::job("job.paused", json!({ "reason": "chain", "hook": hook })));
        } else if failed && (planned.abort_on_failure || self.spec.hooks.abort_on_failure) {
            if !finishing.failed {
                let why = reason.unwrap_or_else(|| "no reason is known".to_owned());
                let name = planned.description.as_deref().map_or(String::new(), |name| format!(" ({name})"));
                self.job.ledger.error_code = Some(ErrorCode::E701);
                let error = Some(format!("Hook {}{name} failed: {why}", hook + 1));
                return self.finish(now, JobStatus::Failed, error, out);
            }
            self.end_hooks(now, out);
        }
    }

    /// Keeps the result of the hook that ran and goes on to the next.
    fn record_hook(&mut self, finishing: &Finishing, result: HookResult, out: &mut Out) {
        let name = if result.success == Some(true) { "hook.completed" } else { "hook.failed" };
        let data = json!({
            "hook": finishing.hook,
            "hook_type": result.hook_type,
            "description": result.description,
            "success": result.success,
            "exit_code": result.exit_code,
            "error_message": result.error_message,
            "duration_seconds": result.duration_seconds,
            "chained_job_id": result.chained_job_id,
        });
        out.event(event::job(name, data));
        self.job.ledger.hook_results.push(result);
        self.job.ledger.finishing = Some(Finishing {
            hook: finishing.hook + 1,
            running: false,
            confirmed: false,
            cooled: false,
            ..finishing.clone()
        });
        out.job();
    }

    fn hook(&self, finishing: &Finishing) -> Option<&Hook> {
        let hooks = &self.spec.hooks;
        if finishing.failed { &hooks.on_failure } else { &hooks.on_success }.get(finishing.hook)
    }

    /// No hook is left: the job ends as its sheets did.
    fn end_hooks(&mut self, now: Now, out: &mut Out) {
        let Some(finishing) = self.job.ledger.finishing.take() else { return };
        let status = if finishing.failed { JobStatus::Failed } else { JobStatus::Completed };
        self.job.ledger.error_code = finishing.code;
        self.finish(now, status, finishing.error, out);
    }

    /// Hooks of the present run that failed.
    #[must_use]
    pub fn failed_hooks(&self) -> usize {
        self.job.ledger.failed_hooks()
    }
}
