//! What a score asks to be written and shown about its job: `logging`, `conductor`, `agent_card`.

use serde_json::{Value, json};

use crate::band::{Band, ONCE, ONE};
use crate::house::House;
use crate::wait::wait_for;

#[test]
fn a_job_has_the_log_that_its_score_asks_for() {
    let mut house = House::new("");
    house.agent("loser", "echo 'lost it' >&2; exit 9\n", "");
    house.start();
    let text = format!(
        "instrument: loser\n{ONE}{ONCE}logging: {{format: both, file_path: out/told.log, level: WARNING}}\n"
    );
    house.play_out("told", &text, "failed");
    let whole = wait_for("the last line of the log", || {
        let text = std::fs::read_to_string(house.path("out/told.log")).ok()?;
        text.contains(" job.failed ").then_some(text)
    });
    assert!(whole.lines().all(|line| line.contains("job=told") && !line.contains("INFO")), "{whole}");
    assert!(whole.contains(" sheet.failed job=told sheet=1 "), "{whole}");
    let lines = wait_for("the lines of JSON", || {
        let text = std::fs::read_to_string(house.path("out/told.log.jsonl")).ok()?;
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (lines.len() == whole.lines().count()).then_some(lines)
    });
    assert_eq!(lines.last().unwrap()["event"], "job.failed");

    // Without the section there is no log.
    house.play_out("silent", &format!("instrument: loser\n{ONE}{ONCE}"), "failed");
    house.stop(true);
    assert!(!house.path("state/jobs/silent/job.log").exists());
}

#[test]
fn who_is_responsible_is_shown_while_the_job_lives_and_after() {
    let mut house = House::new("");
    house.agent("worker", "gate go; echo done\n", "");
    house.start();
    let cards = "conductor: {name: Ada, role: ai}\nagent_card: {name: writer, description: writes}\n";
    house.play("carded", &format!("instrument: worker\n{ONE}{cards}"));
    let shown = |status: &Value| {
        json!([status["conductor"]["name"], status["conductor"]["role"], status["agent_card"]["name"]])
    };
    let running = house.wait_sheet("carded", 1, "in_progress");
    drop(running);
    assert_eq!(shown(&house.status("carded")), json!(["Ada", "ai", "writer"]));
    house.touch("carded/go");
    let over = house.wait_status("carded", "completed");
    assert_eq!(shown(&over), json!(["Ada", "ai", "writer"]));
}
