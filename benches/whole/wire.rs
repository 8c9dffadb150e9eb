//! Answers over the socket, against the bare event loops.

use std::path::Path;

use anyhow::Result;
use serde_json::json;

use crate::Plan;
use crate::conductor::{Conductor, request};
use crate::echo::Echo;
use crate::load::{drive_for, latencies};
use crate::proc::{median, quantile, us};
use crate::report::{Budget, By, Report, Row};

pub(crate) fn measure(plan: &Plan, report: &mut Report) -> Result<()> {
    let conductor = Conductor::start(&plan.program, "")?;
    let socket = conductor.socket();

    let health = request("daemon.health", &json!(null));
    let reply = conductor.client()?.exchange(&health)?.len();
    let echo = Echo::start(reply, false)?;
    let count = plan.pick(30_000, 2_000);
    let reference = latencies(&echo.socket(), &health, count)?;
    let measured = latencies(&socket, &health, count)?;
    let row = |name: &str, value, reference, by, budget| Row {
        name: name.to_owned(),
        value,
        unit: "us",
        reference: Some(("bare event loop", reference)),
        by,
        budget,
    };
    report.row(row(
        "daemon.health, 1 client, median",
        us(median(&measured)),
        us(median(&reference)),
        By::Ratio,
        Budget::AtMost(1.3),
    ));
    let p99 = (us(quantile(&measured, 0.99)), us(quantile(&reference, 0.99)));
    report.row(row("daemon.health, 1 client, p99", p99.0, p99.1, By::Ratio, Budget::None));
    for clients in [1, 8, 64] {
        let budget = if clients == 64 { Budget::AtLeast(0.6) } else { Budget::None };
        let paths = (socket.as_path(), echo.socket());
        throughput(plan, report, "daemon.health", clients, paths, "bare event loop", budget)?;
    }
    drop(echo);

    let status = request("daemon.status", &json!(null));
    let reply = conductor.client()?.exchange(&status)?.len();
    let echo = Echo::start(reply, true)?;
    let paths = (socket.as_path(), echo.socket());
    throughput(plan, report, "daemon.status", 64, paths, "event loop and two workers", Budget::AtLeast(0.6))
}

fn throughput(
    plan: &Plan,
    report: &mut Report,
    method: &str,
    clients: usize,
    (measured, reference): (&Path, std::path::PathBuf),
    reference_name: &'static str,
    budget: Budget,
) -> Result<()> {
    let line = request(method, &json!(null));
    // In turns, so that a slow moment of the machine meets both.
    let mut best = (0.0_f64, 0.0_f64);
    for _ in 0..3 {
        let window = plan.window() / 3;
        best.1 = best.1.max(drive_for(&reference, clients, &line, window)?.rate());
        best.0 = best.0.max(drive_for(measured, clients, &line, window)?.rate());
    }
    let plural = if clients == 1 { "client" } else { "clients" };
    report.row(Row {
        name: format!("{method}, {clients} {plural}"),
        value: best.0,
        unit: "replies/s",
        reference: Some((reference_name, best.1)),
        by: By::Ratio,
        budget,
    });
    Ok(())
}
