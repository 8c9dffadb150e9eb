//! What happens around the sheets of a job: hooks, chains, set-up, tear-down, and what a crash may not cost them.

#![allow(clippy::unwrap_used)]

mod chains;
mod crash;
mod page;
mod programs;
mod set_up;

use serde_json::{Value, json};

use crate::band::Band;
use crate::house::House;
use crate::wait::wait_for;

/// A score of one sheet: a shell script, and hooks and whatever else.
fn score(script: &str, more: &str) -> String {
    let script = script.replace('\n', "\n    ");
    format!(
        "instrument: cli\nsheet: {{size: 1, total_items: 1}}\nretry: {{max_retries: 0, max_completion_attempts: \
         0}}\nprompt:\n  template: |\n    {script}\n{more}\n"
    )
}

/// A score that succeeds, with these lines under `on_success`, and no pause before chained jobs.
fn with_hooks(hooks: &str) -> String {
    score("echo ran >> runs", &format!("concert: {{cooldown_between_jobs_seconds: 0}}\non_success:\n{hooks}"))
}

/// Waits until the job has an end of this kind. Returns its checkpoint.
#[track_caller]
fn ended(house: &House, job: &str, status: &str) -> Value {
    let end = wait_for(&format!("the end of {job}"), || {
        let now = house.status(job);
        ["completed", "failed", "cancelled"].contains(&now["status"].as_str()?).then_some(now)
    });
    assert_eq!(end["status"], status, "{end:#}\n{}", house.log());
    end
}

/// Results of the hooks.
fn results(status: &Value) -> Vec<Value> {
    status["hook_results"].as_array().cloned().unwrap_or_default()
}

/// Writes, submits and waits for the end of a job.
#[track_caller]
fn play(house: &House, name: &str, text: &str, status: &str) -> Value {
    house.play(name, text);
    ended(house, name, status)
}

/// How many lines a file in the workspace has.
fn lines(house: &House, file: &str) -> usize {
    house.read(file).lines().count()
}

#[track_caller]
fn resume(house: &House, job: &str) -> Value {
    let answer = house.call("job.resume", json!({ "job_id": job }));
    assert_eq!(answer["status"], "accepted", "{answer}");
    answer
}
