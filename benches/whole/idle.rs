//! A conductor that has nothing to do, and a guard that waits for its program.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::Plan;
use crate::conductor::{Conductor, submit};
use crate::proc::{descendant_with_argument, private_mb, resident_mb, usage};
use crate::report::{Budget, By, Report, Row};

/// Default of `monitor_interval_seconds`.
const MONITOR_INTERVAL: f64 = 15.0;

pub(crate) fn measure(plan: &Plan, report: &mut Report) -> Result<()> {
    let conductor = Conductor::start(&plan.program, "")?;
    let pid = conductor.pid;
    // The start itself is over when `mozart start` returns; what it left to do settles in a moment.
    std::thread::sleep(Duration::from_secs(1));
    let window = plan.pick(Duration::from_secs(45), Duration::from_secs(3));
    let before = usage(pid)?;
    let begin = Instant::now();
    std::thread::sleep(window);
    let after = usage(pid)?;
    let seconds = begin.elapsed().as_secs_f64();
    let mut row = |name: &str, value, unit, limit| {
        report.row(Row {
            name: name.to_owned(),
            value,
            unit,
            reference: None,
            by: By::Value,
            budget: Budget::AtMost(limit),
        });
    };
    row("resident memory at rest", resident_mb(pid)?, "MB", 8.0);
    let cpu = after.cpu.saturating_sub(before.cpu).as_secs_f64();
    row("CPU at rest", 100.0 * cpu / seconds, "%", 0.05);
    let busiest = after
        .wakeups
        .iter()
        .map(|(tid, count)| count.saturating_sub(before.wakeups.get(tid).copied().unwrap_or(0)))
        .max()
        .unwrap_or(0);
    #[expect(clippy::cast_precision_loss, reason = "a small count")]
    let busiest = busiest as f64;
    // One more than fits: the window does not begin with a tick.
    let allowed = (seconds / MONITOR_INTERVAL).floor() + 1.0;
    row("wake-ups at rest, busiest thread, in the window", busiest, "", allowed);
    #[expect(clippy::cast_precision_loss, reason = "a small count")]
    let threads = after.wakeups.len() as f64;
    report.row(Row {
        name: "threads".to_owned(),
        value: threads,
        unit: "",
        reference: None,
        by: By::Value,
        budget: Budget::None,
    });
    guard(plan, &conductor, report)
}

/// Private memory of a guard while its program runs.
fn guard(plan: &Plan, conductor: &Conductor, report: &mut Report) -> Result<()> {
    let score = conductor.score(
        "guarded",
        "name: guarded\nworkspace: ./ws\ninstrument: cli\nsheet: { size: 1, total_items: 1 }\n\
         prompt: { template: 'exec sleep 600' }\n",
    )?;
    let mut client = conductor.client()?;
    client.call("job.submit", submit(&score, "guarded"))?;
    let end = Instant::now() + Duration::from_secs(10);
    // The program below the guard runs: the guard has done all its setting up.
    while descendant_with_argument(conductor.pid, "600").is_none() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(10));
    }
    let guard = descendant_with_argument(conductor.pid, "__guard").context("no guard was started")?;
    report.row(Row {
        name: "private memory of a guard".to_owned(),
        value: private_mb(guard)?,
        unit: "MB",
        reference: None,
        by: By::Value,
        budget: Budget::AtMost(if plan.is_static { 0.25 } else { 0.5 }),
    });
    client.call("job.cancel", json!({ "job_id": "guarded" }))?;
    Ok(())
}
