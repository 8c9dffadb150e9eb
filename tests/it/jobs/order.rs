//! What runs when: dependencies, fan-out, limits, fairness, priority, the queue of jobs.

use std::fs;

use serde_json::{Value, json};

use crate::band::{Band, ONE, QUICK, over, states};
use crate::house::House;
use crate::wait::{wait_for, wait_until};

/// Says when it starts and ends, and waits for its gate in between.
const GATED: &str = "touch \"begun-$sheet\"; gate \"go-$sheet\"; echo \"$sheet\" >> ended\n";

fn running(house: &House, job: &str) -> Vec<u64> {
    let status = house.status(job);
    status["sheets_in_progress"].as_array().unwrap().iter().map(|num| num.as_u64().unwrap()).collect()
}

#[track_caller]
fn wait_running(house: &House, job: &str, expected: &[u64]) {
    wait_until(&format!("{expected:?} of {job} to run"), || running(house, job) == expected);
}

#[test]
fn fan_out_runs_in_the_order_of_its_dependencies() {
    let house = House::new("");
    house.agent("gated", GATED, "");
    let mut house = house;
    house.start();
    // Stages 2 and 3 have as many instances: instance i of 3 follows instance i of 2 alone.
    let text = "instrument: gated\nsheet: {size: 1, total_items: 4, fan_out: {2: 2, 3: 2}, \
                dependencies: {2: [1], 3: [2], 4: [3]}}\nprompt: {template: \"{{ stage }}.{{ instance }} of {{ fan_count }}\"}\n\
                parallel: {enabled: true, max_concurrent: 10}\n";
    house.play("fan", text);
    wait_running(&house, "fan", &[1]);
    house.touch("fan/go-1");
    wait_running(&house, "fan", &[2, 3]);
    house.touch("fan/go-3");
    wait_running(&house, "fan", &[2, 5]);
    house.touch("fan/go-5");
    wait_running(&house, "fan", &[2]);
    house.touch("fan/go-2");
    wait_running(&house, "fan", &[4]);
    house.touch("fan/go-4");
    wait_running(&house, "fan", &[6]);
    house.touch("fan/go-6");
    over(&house, "fan", "completed");
    assert_eq!(house.read("fan/ended"), "1\n3\n5\n2\n4\n6\n");
    let bodies: Vec<String> =
        (1..=6).map(|sheet| house.prompt("fan", sheet, 1).lines().last().unwrap().to_owned()).collect();
    assert_eq!(bodies, ["1.1 of 1", "2.1 of 2", "2.2 of 2", "3.1 of 2", "3.2 of 2", "4.1 of 1"]);
}

#[test]
fn a_job_without_parallel_runs_one_sheet_at_a_time() {
    let house = House::new("");
    house.agent("gated", GATED, "");
    let mut house = house;
    house.start();
    house.play(
        "single",
        "instrument: gated\nsheet: {size: 1, total_items: 3, dependencies: {3: []}}\nprompt: {template: x}\n",
    );
    for sheet in 1..=3 {
        wait_running(&house, "single", &[sheet]);
        house.touch(&format!("single/go-{sheet}"));
    }
    over(&house, "single", "completed");
}

#[test]
fn parallel_and_instrument_limits_hold() {
    let house = House::new("max_concurrent_sheets: 20\n");
    house.agent("gated", GATED, "");
    let mut house = house;
    house.start();
    let wide = |most: u32| {
        format!(
            "instrument: gated\nsheet: {{size: 1, total_items: 6, dependencies: {{1: []}}}}\nprompt: {{template: x}}\n\
             parallel: {{enabled: true, max_concurrent: {most}}}\n"
        )
    };
    house.play("narrow", &wide(2));
    wait_running(&house, "narrow", &[1, 2]);
    // Four of an instrument over all jobs: two are left.
    house.play("wide", &wide(10));
    wait_running(&house, "wide", &[1, 2]);
    for sheet in 1..=6 {
        house.touch(&format!("narrow/go-{sheet}"));
    }
    over(&house, "narrow", "completed");
    wait_running(&house, "wide", &[1, 2, 3, 4]);
    for sheet in 1..=6 {
        house.touch(&format!("wide/go-{sheet}"));
    }
    over(&house, "wide", "completed");
}

#[test]
fn fail_fast_starts_nothing_more() {
    let house = House::new("");
    house.agent("gated", "[ $sheet != 1 ] || exit 5\ntouch begun-$sheet; gate go-$sheet\n", "");
    let mut house = house;
    house.start();
    let text = "instrument: gated\nsheet: {size: 1, total_items: 4, dependencies: {1: []}}\nprompt: {template: x}\n\
                parallel: {enabled: true, max_concurrent: 2}\nretry: {max_retries: 0}\n";
    house.play("fast", text);
    house.wait_file("fast/begun-2");
    house.wait_sheet("fast", 1, "failed");
    house.wait_sheet("fast", 4, "skipped");
    house.touch("fast/go-2");
    house.touch("fast/go-3");
    let end = over(&house, "fast", "failed");
    assert_eq!(end["sheets"]["2"]["status"], "completed", "what ran has finished: {:?}", states(&end));
    assert_eq!(end["sheets"]["4"]["error_message"], "fail_fast after sheet 1");
}

// Invariant I80
#[test]
fn a_small_job_gets_the_next_free_slot() {
    let house = House::new("max_concurrent_sheets: 4\n");
    house.agent("gated", GATED, "");
    let mut house = house;
    house.start();
    let text = "instrument: gated\nsheet: {size: 1, total_items: 50, dependencies: {1: []}}\nprompt: {template: x}\n\
                parallel: {enabled: true, max_concurrent: 20}\n";
    house.play("big", text);
    wait_running(&house, "big", &[1, 2, 3, 4]);
    house.play("small", &format!("instrument: gated\n{ONE}"));
    assert_eq!(running(&house, "small"), [0; 0]);
    house.touch("big/go-1");
    wait_running(&house, "small", &[1]);
    assert_eq!(running(&house, "big"), [2, 3, 4]);
    house.touch("small/go-1");
    over(&house, "small", "completed");
    house.call("job.cancel", json!({ "job_id": "big" }));
}

// Invariant I24
#[test]
fn jobs_wait_for_a_permit_in_their_order() {
    let house = House::new("max_concurrent_jobs: 1\n");
    house.agent("gated", "echo \"$MOZART_JOB_ID\" >> ../order; gate go\n", "");
    let mut house = house;
    house.start();
    let score = format!("instrument: gated\n{ONE}");
    for job in ["one", "two", "three"] {
        house.play(job, &score);
    }
    house.wait_sheet("one", 1, "in_progress");
    assert_eq!(house.status("two")["status"], "pending", "clients of the first generation know no `queued`");
    let status = house.call("daemon.status", Value::Null);
    assert_eq!((&status["running_jobs"], &status["queued_jobs"]), (&json!(1), &json!(2)), "{status}");
    assert_eq!(status["total_jobs_active"], 3);
    let refused = house.offer("two", json!({}));
    assert_eq!(refused["status"], "rejected");
    assert_eq!(
        refused["message"],
        "Job 'two' is already queued. Use 'mozart pause' or 'mozart cancel' first, or wait for it to finish."
    );
    house.touch("one/go");
    house.wait_sheet("two", 1, "in_progress");
    house.touch("two/go");
    house.touch("three/go");
    over(&house, "three", "completed");
    assert_eq!(fs::read_to_string(house.work("order")).unwrap(), "one\ntwo\nthree\n");
}

// Invariant I33
#[test]
fn a_paused_job_gives_its_permit_to_the_next() {
    let house = House::new("max_concurrent_jobs: 1\n");
    house.agent("gated", GATED, "");
    let mut house = house;
    house.start();
    let two = "instrument: gated\nsheet: {size: 1, total_items: 2}\nprompt: {template: x}\n";
    house.play("first", two);
    house.wait_sheet("first", 1, "in_progress");
    house.play("second", two);
    assert_eq!(house.call("job.pause", json!({ "job_id": "first" }))["paused"], true);
    assert_eq!(house.word("first"), "pausing");
    assert_eq!(house.word("second"), "queued");
    house.touch("first/go-1");
    house.wait_status("first", "paused");
    house.wait_sheet("second", 1, "in_progress");
    assert_eq!(house.call("job.resume", json!({ "job_id": "first" }))["status"], "accepted");
    assert_eq!(house.word("first"), "queued");
    for file in ["second/go-1", "second/go-2", "first/go-2"] {
        house.touch(file);
    }
    over(&house, "second", "completed");
    over(&house, "first", "completed");
}

#[test]
fn a_more_urgent_job_goes_first() {
    let house = House::new("max_concurrent_sheets: 1\n");
    house.agent("gated", "echo \"$MOZART_JOB_ID\" >> ../order; gate go\n", "");
    let mut house = house;
    house.start();
    let score = format!("instrument: gated\n{ONE}");
    house.play("blocker", &score);
    house.wait_sheet("blocker", 1, "in_progress");
    for (job, priority) in [("late", 9), ("usual", 5), ("urgent", 1)] {
        house.score(job, &score);
        assert_eq!(house.offer(job, json!({ "priority": priority }))["status"], "accepted");
        house.touch_in(job, "go");
    }
    house.touch("blocker/go");
    over(&house, "late", "completed");
    assert_eq!(fs::read_to_string(house.work("order")).unwrap(), "blocker\nurgent\nusual\nlate\n");
}

#[test]
fn a_hundred_small_sheets_run_once_each() {
    let house = House::new("max_concurrent_sheets: 10\ninstruments: {tick: {max_concurrent: 10}}\n");
    house.agent("tick", "echo \"$sheet\" >> ran\n", "");
    let mut house = house;
    house.start();
    let text = format!(
        "instrument: tick\nsheet: {{size: 1, total_items: 60, dependencies: {{60: [1]}}}}\nprompt: {{template: x}}\n\
         parallel: {{enabled: true, max_concurrent: 20}}\n{QUICK}"
    );
    house.play_out("many", &text, "completed");
    let mut ran: Vec<u32> = house.read("many/ran").lines().map(|line| line.parse().unwrap()).collect();
    ran.sort_unstable();
    assert_eq!(ran, (1..=60).collect::<Vec<_>>());
}

trait TouchIn {
    fn touch_in(&self, job: &str, name: &str);
}

impl TouchIn for House {
    /// Into the workspace of a job that has not begun.
    fn touch_in(&self, job: &str, name: &str) {
        fs::create_dir_all(self.work(job)).unwrap();
        self.touch(&format!("{job}/{name}"));
    }
}

#[test]
fn a_sheet_whose_condition_failed_upstream_is_not_run_after_a_wait() {
    let house = House::new("");
    house.agent("limited", "if [ $sheet = 1 ]; then gate go; exit 4; fi\necho 'rate limit, retry after 3000 seconds' >&2; exit 1\n", "errors: {rate_limit_patterns: ['rate.?limit']}");
    let mut house = house;
    house.start();
    let text = "instrument: limited\nsheet: {size: 1, total_items: 3, dependencies: {3: [1, 2]}}\nprompt: {template: x}\n\
                parallel: {enabled: true, fail_fast: true}\nretry: {max_retries: 0}\n";
    house.play("held", text);
    house.wait_sheet("held", 2, "waiting");
    house.touch("held/go");
    // The failure of sheet 1 ends the job although sheet 2 would wait for most of an hour.
    let end = wait_for("the end", || {
        let status = house.status("held");
        (status["status"] == "failed").then_some(status)
    });
    assert_eq!(states(&end), ["failed", "skipped", "skipped"]);
}
