//! The program as a file and as a command: size, start, and what a person waits for.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::Plan;
use crate::conductor::Conductor;
use crate::proc::{median, ms};
use crate::report::{Budget, By, Report, Row};

pub(crate) fn measure(plan: &Plan, report: &mut Report) -> Result<()> {
    let size = |path: &std::path::Path| -> Result<f64> {
        #[expect(clippy::cast_precision_loss, reason = "megabytes")]
        let bytes = std::fs::metadata(path)?.len() as f64;
        Ok(bytes / 1e6)
    };
    let value_row = |name: &str, value, unit, limit| Row {
        name: name.to_owned(),
        value,
        unit,
        reference: None,
        by: By::Value,
        budget: Budget::AtMost(limit),
    };
    report.row(value_row("program file", size(&plan.program)?, "MB", 9.0));
    // Built apart, see docs/building.md; measured when it is there.
    let min = plan.program.parent().and_then(|dir| dir.parent()).map(|dir| dir.join("min/mozart"));
    if let Some(min) = min.filter(|path| path.exists()) {
        report.row(value_row("program file, profile min, cli only", size(&min)?, "MB", 5.0));
    }

    let count = plan.pick(50, 10);
    let bare = spawns(count, || Command::new("true"))?;
    let version = spawns(count, || {
        let mut command = Command::new(&plan.program);
        command.arg("--version");
        command
    })?;
    let against_true = |name: &str, value, limit| Row {
        name: name.to_owned(),
        value: ms(value),
        unit: "ms",
        reference: Some(("spawn of `true`", ms(bare))),
        by: By::Value,
        budget: Budget::AtMost(limit),
    };
    report.row(against_true("mozart --version", version, 5.0));

    let scores = tempfile::tempdir()?;
    let score = scores.path().join("long.yaml");
    std::fs::write(&score, crate::texts::long())?;
    let validate = spawns(count, || {
        let mut command = Command::new(&plan.program);
        command.arg("validate").arg(&score);
        command
    })?;
    report.row(against_true("mozart validate, 1,000 lines", validate, 10.0));

    let mut starts = Vec::new();
    for _ in 0..plan.pick(10, 2) {
        starts.push(Conductor::start(&plan.program, "")?.start);
    }
    starts.sort_unstable();
    report.row(against_true("mozart start, until it answers", median(&starts), 50.0));

    let conductor = Conductor::start(&plan.program, "")?;
    let status = spawns(count, || conductor.command(&["status"]))?;
    report.row(against_true("mozart status", status, 10.0));

    let mut client = conductor.client()?;
    let known = client.call("rpc.discover", serde_json::json!({}))?;
    let is_known =
        |method: &str| known["methods"].as_array().is_some_and(|all| all.iter().any(|it| it == method));
    if !is_known("daemon.reload") {
        return Ok(());
    }
    let mut reloads = Vec::new();
    for _ in 0..count {
        let begin = Instant::now();
        client.call("daemon.reload", serde_json::json!({}))?;
        reloads.push(begin.elapsed());
    }
    reloads.sort_unstable();
    report.row(value_row("configuration reload", ms(median(&reloads)), "ms", 10.0));
    Ok(())
}

/// Median time of a command from spawn to end.
fn spawns(count: usize, command: impl Fn() -> Command) -> Result<Duration> {
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let mut command = command();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let begin = Instant::now();
        let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
        times.push(begin.elapsed());
        if !status.success() {
            bail!("{command:?} failed: {status}");
        }
    }
    times.sort_unstable();
    Ok(median(&times))
}
