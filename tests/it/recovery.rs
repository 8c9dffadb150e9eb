//! What a crash may not cost, whoever dies and whenever.
//!
//! The programs of these scores keep their own books in the workspace: every start and every end is
//! a line of `log`, and each sheet holds a lock file while anything of it lives, so that a second
//! start beside a living first one is seen by the program itself, not by a watcher that may miss it.

mod crash;
mod daemons;
mod random;
mod start;

use serde_json::{Value, json};

use crate::house::House;

/// Text of the job's error after a crash.
const RESTARTED: &str = "Conductor restarted while job was active";

/// The rest of a score: its sheets, and what each does between its two lines in the books.
fn score(sheets: u32, keys: &str, body: &str) -> String {
    let script = [
        "exec 9>>lock-{{ sheet_num }}",
        "flock -n 9 || echo \"overlap {{ sheet_num }}\" >> log",
        "echo \"start {{ sheet_num }}\" >> log",
        body,
        "echo \"end {{ sheet_num }}\" >> log",
    ]
    .join("\n");
    let script = script.replace('\n', "\n    ");
    format!("sheet: {{ size: 1, total_items: {sheets} }}\n{keys}\nprompt:\n  template: |\n    {script}\n")
}

/// How often the books have this line.
fn count(house: &House, line: &str) -> usize {
    house.read("log").lines().filter(|entry| *entry == line).count()
}

/// No sheet ever ran beside itself, and each result was recorded once.
#[track_caller]
fn check_books(house: &House, job: &str) {
    let log = house.read("log");
    assert!(!log.contains("overlap"), "a sheet ran twice at the same time:\n{log}");
    let status = house.status(job);
    for (num, sheet) in status["sheets"].as_object().unwrap() {
        let recorded = attempts(sheet, "completed");
        assert_eq!(sheet["status"], "completed", "sheet {num}: {sheet:#}");
        assert_eq!(recorded, 1, "sheet {num}: {sheet:#}");
        assert!(count(house, &format!("end {num}")) >= 1, "sheet {num} never ran to its end:\n{log}");
    }
}

/// How many attempts of a sheet ended so.
fn attempts(sheet: &Value, outcome: &str) -> usize {
    let attempts = sheet["attempts"].as_array().unwrap();
    attempts.iter().filter(|attempt| attempt["outcome"] == outcome).count()
}

#[track_caller]
fn resume(house: &House, job: &str) {
    let answer = house.call("job.resume", json!({ "job_id": job }));
    assert_eq!(answer["status"], "accepted", "{answer}");
}
