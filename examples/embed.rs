//! A conductor inside your own program: submits a score, prints its events, waits for its end.
//!
//! `cargo run --example embed -- examples/hello.yaml`

#![allow(clippy::print_stdout)]

use std::path::PathBuf;

use mozart::conductor::Conductor;
use serde_json::json;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Every attempt is supervised by a small process, and that process is this program: when it is
    // started as a guard, this call does the work and never returns. So it comes first.
    mozart::guard::run_if_asked();

    let score = std::env::args().nth(1).map_or_else(|| PathBuf::from("examples/hello.yaml"), PathBuf::from);
    let score = std::path::absolute(score)?;
    let state = std::env::temp_dir().join(format!("mozart-embed-{}", std::process::id()));

    let mut builder = Conductor::builder().state_dir(&state);
    let events = builder.events();
    // No socket: only this process talks to it. `Builder::socket` adds one.
    let conductor = builder.start()?;

    let answer = conductor.call("job.submit", &json!({ "config_path": score, "fresh": true }))?;
    println!("{answer}");
    if answer["status"] != "accepted" {
        return Err(answer["message"].to_string().into());
    }
    for event in &events {
        println!("sheet {}: {}", event["sheet_num"], event["event"]);
        if ["job.completed", "job.failed", "job.cancelled"].iter().any(|end| event["event"] == **end) {
            break;
        }
    }
    let status = conductor.call("job.status", &json!({ "job_id": answer["job_id"] }))?;
    println!("{} of {} sheets are completed", status["completed_count"], status["total_sheets"]);

    // Lets running sheets end first; `false` would end them now.
    conductor.stop(true);
    conductor.wait()?;
    std::fs::remove_dir_all(&state)?;
    Ok(())
}
