//! Scripted agents for the houses: shell scripts behind instrument profiles, and scores for them.
//!
//! An agent is a script that gets its prompt on stdin and works in the workspace of its job. Before
//! it runs, it keeps its prompt as `prompt-<sheet>-<nth>`; `$sheet` and `$nth` (which attempt of the
//! sheet this is, from 1) are set, and `gate NAME` waits for a file in the workspace.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::house::House;

/// Retries that come at once.
pub(crate) const QUICK: &str = "retry: {max_retries: 2, base_delay_seconds: 0.01, max_delay_seconds: 0.02, \
                                jitter: false, completion_delay_seconds: 0}\n";
/// No retry at all.
pub(crate) const ONCE: &str = "retry: {max_retries: 0, max_completion_attempts: 0}\n";
/// One sheet.
pub(crate) const ONE: &str = "sheet: {size: 1, total_items: 1}\nprompt: {template: work}\n";

const HEAD: &str = r#"sheet=$MOZART_SHEET_NUM
nth=1
while [ -e "prompt-$sheet-$nth" ]; do nth=$((nth + 1)); done
cat > "prompt-$sheet-$nth"
gate() { until [ -e "$1" ]; do sleep 0.02; done; }
"#;

/// Instruments and jobs.
pub(crate) trait Band {
    /// Adds an instrument whose program is this script. `more` is YAML for the `cli` section of its
    /// profile, one setting per line.
    fn agent(&self, name: &str, script: &str, more: &str);
    /// Writes a score: its name and workspace (of its own, below `work`) are put before the text.
    fn score(&self, name: &str, text: &str) -> PathBuf;
    /// `job.submit` of a score that was written, with further parameters. Returns the answer.
    fn offer(&self, name: &str, more: Value) -> Value;
    /// Writes and submits a score that must be accepted.
    fn play(&self, name: &str, text: &str);
    /// As [`Self::play`], until the job is over.
    fn play_out(&self, name: &str, text: &str, status: &str) -> Value;
    /// Prompt of an attempt, as the agent got it.
    fn prompt(&self, job: &str, sheet: u32, nth: u32) -> String;
}

impl Band for House {
    fn agent(&self, name: &str, script: &str, more: &str) {
        let (agents, profiles) = (self.path("agents"), self.path("instruments"));
        fs::create_dir_all(&agents).unwrap();
        fs::create_dir_all(&profiles).unwrap();
        let program = agents.join(format!("{name}.sh"));
        fs::write(&program, format!("{HEAD}{script}")).unwrap();
        let more: String = more.lines().map(|line| format!("  {line}\n")).collect();
        let output = if more.contains("output:") { "" } else { "  output: {format: text}\n" };
        // The shell reads the script: a program that was written just now may be busy.
        let profile = format!(
            "name: {name}\ndisplay_name: {name}\nkind: cli\ncli:\n  command:\n    executable: sh\n    \
             subcommand: {}\n    prompt_via_stdin: true\n{output}{more}",
            program.display()
        );
        fs::write(profiles.join(format!("{name}.yaml")), profile).unwrap();
    }

    fn score(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(&format!("{name}.yaml"));
        let text = format!("name: {name}\nworkspace: {}\n{text}", self.work(name).display());
        fs::write(&path, text).unwrap();
        path
    }

    fn offer(&self, name: &str, more: Value) -> Value {
        let mut params = json!({ "config_path": self.path(&format!("{name}.yaml")) });
        for (key, value) in more.as_object().into_iter().flatten() {
            params[key] = value.clone();
        }
        self.call("job.submit", params)
    }

    #[track_caller]
    fn play(&self, name: &str, text: &str) {
        self.score(name, text);
        // For gates that are opened before the first sheet runs.
        fs::create_dir_all(self.work(name)).unwrap();
        let answer = self.offer(name, json!({}));
        assert_eq!(answer["status"], "accepted", "{answer}");
    }

    #[track_caller]
    fn play_out(&self, name: &str, text: &str, status: &str) -> Value {
        self.play(name, text);
        over(self, name, status)
    }

    fn prompt(&self, job: &str, sheet: u32, nth: u32) -> String {
        self.read(&format!("{job}/prompt-{sheet}-{nth}"))
    }
}

/// Waits for the end of a job, which must be this one. Returns its checkpoint.
#[track_caller]
pub(crate) fn over(house: &House, job: &str, status: &str) -> Value {
    let end = crate::wait::wait_for(&format!("the end of {job}"), || {
        let now = house.status(job);
        ["completed", "failed", "cancelled"].contains(&now["status"].as_str()?).then_some(now)
    });
    assert_eq!(end["status"], status, "{end:#}");
    end
}

/// States of all sheets, in order.
pub(crate) fn states(status: &Value) -> Vec<String> {
    let total = status["total_sheets"].as_u64().unwrap();
    (1..=total).map(|num| status["sheets"][num.to_string()]["status"].as_str().unwrap().to_owned()).collect()
}
