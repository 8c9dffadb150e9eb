//! The validation rules of a sheet: from the score to what is checked, and the commands among them.

use std::time::{Duration, Instant};

use crate::exec::RuleResult;
use crate::executor::{self, BoundSpec};
use crate::instrument::environment;
use crate::score;
use crate::template::prompt::Requirement;
use crate::validate::{self, Check, Command, CommandEnd, Rule, RuleKind, Snapshot};

use super::Attempt;

/// Between TERM and KILL of a validation command.
const GRACE: Duration = Duration::from_secs(2);
/// Output of a command that is kept, in the middle of which something may be missing.
const OUTPUT_CAP: usize = 72 << 10;
/// How often a wait between repeated checks looks whether the attempt was cancelled.
const STEP: Duration = Duration::from_millis(50);

/// The rules that apply to a sheet.
pub(super) struct Rules {
    rules: Vec<Rule>,
    requirements: Vec<Requirement>,
}

impl Rules {
    pub(super) fn of(attempt: &Attempt<'_>) -> Self {
        let brief = attempt.brief();
        let requirements = brief.requirements(&attempt.vars);
        Self { rules: brief.rules().into_iter().map(convert).collect(), requirements }
    }

    pub(super) fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    pub(super) fn snapshot(&self, attempt: &Attempt<'_>) -> Snapshot {
        Snapshot::take(&self.rules, &attempt.vars, &attempt.prepared.workspace)
    }

    /// Checks all rules; commands run under bound guards, which end with the conductor.
    pub(super) fn check(&self, attempt: &Attempt<'_>, snapshot: &Snapshot) -> Vec<RuleResult> {
        if self.rules.is_empty() {
            return Vec::new();
        }
        let shell = validate::shell(attempt.worker.ours.get("PATH").map(String::as_str));
        let given = Check {
            rules: &self.rules,
            vars: &attempt.vars,
            workspace: &attempt.prepared.workspace,
            snapshot,
            shell: &shell,
        };
        validate::check(&given, &|command| run(attempt, command), &|time| wait(attempt, time))
    }
}

fn convert(rule: &score::Rule) -> Rule {
    let kind = match rule.kind {
        score::RuleKind::FileExists => RuleKind::FileExists,
        score::RuleKind::FileModified => RuleKind::FileModified,
        score::RuleKind::ContentContains => RuleKind::ContentContains,
        score::RuleKind::ContentRegex => RuleKind::ContentRegex,
        score::RuleKind::CommandSucceeds => RuleKind::CommandSucceeds,
    };
    let command = rule
        .command
        .as_ref()
        .map(|command| if rule.pipefail { format!("set -o pipefail; {command}") } else { command.clone() });
    Rule {
        path: rule.path.clone(),
        pattern: rule.pattern.clone(),
        command,
        working_directory: rule.working_directory.clone(),
        description: rule.description.clone(),
        stage: rule.stage,
        retry_count: Some(rule.retry_count),
        retry_delay: Duration::from_millis(u64::from(rule.retry_delay_ms)),
        timeout: Duration::from_secs_f64(rule.timeout_seconds),
        ..Rule::new(kind)
    }
}

fn run(attempt: &Attempt<'_>, command: &Command) -> CommandEnd {
    let mut env: Vec<(String, String)> = environment::for_command(&attempt.worker.ours).into_iter().collect();
    env.extend(attempt.identity_of(attempt.key.attempt));
    let spec = BoundSpec {
        argv: command.argv.clone(),
        cwd: command.cwd.clone(),
        env,
        token: Some(attempt.token.clone()),
        timeout: Some(command.timeout),
        grace: GRACE,
        output_cap: OUTPUT_CAP,
        log: None,
    };
    let end = executor::bound(&attempt.worker.guard_program, &spec, attempt.control);
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
fn wait(attempt: &Attempt<'_>, time: Duration) -> bool {
    let until = Instant::now() + time;
    while !attempt.control.is_cancelled() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        std::thread::park_timeout(left.min(STEP));
    }
    false
}
