//! What a sheet costs when its program does nothing: in a chain, and eight side by side.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::Plan;
use crate::conductor::Conductor;
use crate::proc::ms;
use crate::report::{Budget, By, Report, Row};
use crate::submits;

const WIDTH: usize = 8;

pub(crate) fn measure(plan: &Plan, report: &mut Report) -> Result<()> {
    let count: usize = plan.pick(200, 40);
    #[expect(clippy::cast_precision_loss, reason = "hundreds")]
    let per = |took: Duration| ms(took) / count as f64;
    #[expect(clippy::cast_precision_loss, reason = "hundreds")]
    let rate = |took: Duration| count as f64 / took.as_secs_f64();
    let conductor = Conductor::start(
        &plan.program,
        "max_concurrent_sheets: 16\ninstruments: { cli: { max_concurrent: 16 } }\n\
         resource_limits: { max_processes: 1000 }\n",
    )?;

    // A sheet of a chain ends and the next one begins with a commit, so the disk is part of the answer.
    let dir = tempfile::Builder::new().prefix("mozart-commits-").tempdir()?;
    report.row(Row {
        name: "one fsynced SQLite commit, for orientation".to_owned(),
        value: 1e3 / submits::commits(dir.path(), count)?,
        unit: "ms",
        reference: None,
        by: By::Value,
        budget: Budget::None,
    });

    let chain = conductor.score("chain", &trivial("chain", &format!("total_items: {count}"), ""))?;
    let reference = best(3, || bare_chain(count))?;
    let measured = best_of_jobs(&conductor, &chain, "chain")?;
    report.row(Row {
        name: format!("trivial sheet in a chain of {count}"),
        value: per(measured),
        unit: "ms",
        reference: Some(("spawn and wait of `bash -c true`", per(reference))),
        by: By::Added,
        budget: Budget::AtMost(if plan.is_static { 2.0 } else { 3.0 }),
    });

    let wide = format!("parallel: {{ enabled: true, max_concurrent: {WIDTH} }}\n");
    let wide = trivial("wide", &format!("total_items: 1, fan_out: {{ 1: {count} }}"), &wide);
    let wide = conductor.score("wide", &wide)?;
    let reference = best(3, || xargs(count))?;
    let measured = best_of_jobs(&conductor, &wide, "wide")?;
    report.row(Row {
        name: format!("trivial sheets, {WIDTH} wide"),
        value: rate(measured),
        unit: "sheets/s",
        reference: Some(("xargs -P8 bash -c true", rate(reference))),
        by: By::Ratio,
        budget: Budget::AtLeast(if plan.is_static { 0.5 } else { 0.35 }),
    });
    Ok(())
}

fn trivial(name: &str, sheet: &str, more: &str) -> String {
    let mut text = String::new();
    _ = write!(
        text,
        "name: {name}\nworkspace: ./ws-{name}\ninstrument: cli\npause_between_sheets_seconds: 0\n\
         sheet: {{ size: 1, {sheet} }}\nprompt: {{ template: 'true' }}\n{more}"
    );
    text
}

fn best(times: usize, mut run: impl FnMut() -> Result<Duration>) -> Result<Duration> {
    let mut least = Duration::MAX;
    for _ in 0..times {
        least = least.min(run()?);
    }
    Ok(least)
}

/// The same score under three names: each is a new job.
fn best_of_jobs(conductor: &Conductor, score: &std::path::Path, name: &str) -> Result<Duration> {
    let mut round = 0;
    best(3, || {
        round += 1;
        conductor.run_to_end(score, &format!("{name}-{round}"))
    })
}

fn bare_chain(count: usize) -> Result<Duration> {
    let begin = Instant::now();
    for _ in 0..count {
        let status = Command::new("bash").args(["-c", "true"]).stdin(Stdio::null()).status()?;
        if !status.success() {
            bail!("`bash -c true` failed");
        }
    }
    Ok(begin.elapsed())
}

fn xargs(count: usize) -> Result<Duration> {
    let begin = Instant::now();
    let mut child = Command::new("xargs")
        .args(["-n1", &format!("-P{WIDTH}"), "bash", "-c", "true"])
        .stdin(Stdio::piped())
        .spawn()
        .context("cannot run xargs")?;
    let mut stdin = child.stdin.take().context("stdin is piped")?;
    for number in 0..count {
        writeln!(stdin, "{number}")?;
    }
    drop(stdin);
    if !child.wait()?.success() {
        bail!("xargs failed");
    }
    Ok(begin.elapsed())
}
