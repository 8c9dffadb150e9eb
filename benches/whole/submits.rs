//! Durable submissions: every `accepted` is on the disk before it is sent.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use rusqlite::{Connection, params};

use crate::Plan;
use crate::conductor::{Conductor, accepted, request, submit};
use crate::load::drive;
use crate::report::{Budget, By, Report, Row};

const CLIENTS: usize = 32;

pub(crate) fn measure(plan: &Plan, report: &mut Report) -> Result<()> {
    let count = plan.pick(5_000, 300);
    let dir = tempfile::Builder::new().prefix("mozart-commits-").tempdir()?;
    let reference = commits(dir.path(), count)?;

    // One job holds the only permit, so that the others stay queued and nothing but submitting is measured.
    let conductor = Conductor::start(&plan.program, "max_concurrent_jobs: 1\n")?;
    let score = |name: &str, script: &str| {
        conductor.score(
            name,
            &format!(
                "name: {name}\nworkspace: ./ws-{name}\ninstrument: cli\n\
                 sheet: {{ size: 1, total_items: 1 }}\nprompt: {{ template: '{script}' }}\n"
            ),
        )
    };
    let blocker = score("blocker", "exec sleep 3600")?;
    conductor.client()?.call("job.submit", submit(&blocker, "blocker"))?;
    let trivial = score("trivial", "true")?;

    let mut number = 0;
    let next = || {
        number += 1;
        (number <= count).then(|| request("job.submit", &submit(&trivial, &format!("job-{number}"))))
    };
    let load = drive(&conductor.socket(), CLIENTS, next, accepted)?;
    report.row(Row {
        name: format!("durable submits, {CLIENTS} clients"),
        value: load.rate(),
        unit: "jobs/s",
        reference: Some(("bare fsynced SQLite commits", reference)),
        by: By::Ratio,
        budget: Budget::AtLeast(0.5),
    });
    Ok(())
}

/// Single-row transactions per second on one thread.
pub(crate) fn commits(dir: &Path, count: usize) -> Result<f64> {
    let db = Connection::open(dir.join("reference.db"))?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.execute("CREATE TABLE job (id INTEGER PRIMARY KEY, body BLOB NOT NULL)", [])?;
    let body = vec![7_u8; 1024];
    let mut insert = db.prepare("INSERT INTO job (body) VALUES (?1)")?;
    let begin = Instant::now();
    for _ in 0..count {
        // Outside of a transaction each statement is one of its own.
        insert.execute(params![body])?;
    }
    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    let count = count as f64;
    Ok(count / begin.elapsed().as_secs_f64())
}
