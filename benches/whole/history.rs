//! A conductor that has finished many jobs: what it keeps in memory and how fast it still answers.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::json;

use crate::Plan;
use crate::conductor::{Conductor, accepted, request, submit};
use crate::load::{drive, latencies};
use crate::proc::{ms, quantile, resident_mb};
use crate::report::{Budget, By, Report, Row};

pub(crate) fn measure(plan: &Plan, report: &mut Report) -> Result<()> {
    let jobs = plan.jobs;
    let conductor = Conductor::start(
        &plan.program,
        &format!(
            "max_concurrent_jobs: 16\nmax_concurrent_sheets: 16\nmax_job_history: {}\n\
             instruments: {{ cli: {{ max_concurrent: 16 }} }}\nresource_limits: {{ max_processes: 1000 }}\n",
            jobs.max(10)
        ),
    )?;
    let score = conductor.score(
        "one",
        "name: one\nworkspace: ./ws\nallow_shared_workspace: true\ninstrument: cli\n\
         sheet: { size: 1, total_items: 1 }\nprompt: { template: 'true' }\n",
    )?;
    let mut number = 0;
    let next = || {
        number += 1;
        (number <= jobs).then(|| request("job.submit", &submit(&score, &format!("job-{number}"))))
    };
    drive(&conductor.socket(), 32, next, accepted)?;
    drain(&conductor, jobs)?;

    let mut row = |name: String, value, unit, limit| {
        report.row(Row { name, value, unit, reference: None, by: By::Value, budget: Budget::AtMost(limit) });
    };
    row(format!("resident memory after {jobs} jobs"), resident_mb(conductor.pid)?, "MB", 16.0);
    let count = plan.pick(5_000, 500);
    for (method, params) in [("daemon.status", json!(null)), ("job.list", json!({ "limit": 100 }))] {
        let times = latencies(&conductor.socket(), &request(method, &params), count)?;
        row(format!("{method} after {jobs} jobs, p99"), ms(quantile(&times, 0.99)), "ms", 1.0);
    }
    Ok(())
}

/// Waits until nothing is queued or running any more.
fn drain(conductor: &Conductor, jobs: usize) -> Result<()> {
    let mut client = conductor.client()?;
    let end = Instant::now() + Duration::from_secs(60) + Duration::from_millis(50) * u32::try_from(jobs)?;
    loop {
        let status = client.call("daemon.status", json!(null))?;
        let count = |key: &str| status[key].as_u64().unwrap_or(0);
        if count("running_jobs") + count("queued_jobs") == 0 {
            return Ok(());
        }
        if Instant::now() > end {
            bail!("{} jobs are still not done", count("running_jobs") + count("queued_jobs"));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
