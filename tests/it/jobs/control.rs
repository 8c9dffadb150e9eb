//! Pause, resume and cancel in every state of a job.

use serde_json::{Value, json};

use crate::band::{Band, ONE, QUICK, over, states};
use crate::house::House;
use crate::wait::wait_until;

const GATED: &str = "touch \"begun-$sheet-$nth\"; gate \"go-$sheet\"; echo \"$sheet\" >> ended\n";
const TWO: &str = "sheet: {size: 1, total_items: 2}\nprompt: {template: work}\n";

/// One agent that waits for its gate, one that fails, one that succeeds.
fn house(settings: &str) -> House {
    let mut house = House::new(settings);
    house.agent("gated", GATED, "");
    house.agent("bad", "exit 4\n", "");
    house.agent("good", ":\n", "");
    house.start();
    house
}

fn pause(house: &House, job: &str) -> Value {
    house.call("job.pause", json!({ "job_id": job }))
}

fn resume(house: &House, job: &str) -> Value {
    house.call("job.resume", json!({ "job_id": job }))
}

fn cancel(house: &House, job: &str) -> Value {
    house.call("job.cancel", json!({ "job_id": job }))
}

fn refused(message: &str) -> Value {
    json!({ "paused": false, "error": message })
}

// Invariant I23, I33
#[test]
fn a_job_that_nobody_knows() {
    let house = house("");
    assert_eq!(pause(&house, "none"), refused("Job 'none' not found"));
    assert_eq!(cancel(&house, "none"), json!({ "cancelled": false }));
    let answer = resume(&house, "none");
    assert_eq!(
        (&answer["status"], &answer["message"]),
        (&json!("rejected"), &json!("Score 'none' not found"))
    );
    let error = house.try_call("job.status", json!({ "job_id": "none" })).unwrap_err();
    assert_eq!(error.to_string(), "Job 'none' not found");
}

#[test]
fn a_queued_job() {
    let house = house("max_concurrent_jobs: 1\n");
    house.play("first", &format!("instrument: gated\n{ONE}"));
    house.wait_sheet("first", 1, "in_progress");
    house.play("queued", &format!("instrument: gated\n{ONE}"));
    assert_eq!(pause(&house, "queued"), refused("Job 'queued' is queued, not running"));
    let answer = resume(&house, "queued");
    assert_eq!(answer["reason"], "not_resumable");
    assert_eq!(
        answer["message"],
        "Score 'queued' is queued, only PAUSED, PAUSED_AT_CHAIN, FAILED, or CANCELLED scores can be resumed"
    );
    assert_eq!(cancel(&house, "queued"), json!({ "cancelled": true }));
    assert_eq!(house.status("queued")["status"], "cancelled");
    house.touch("first/go-1");
    over(&house, "first", "completed");
    assert!(!house.work("queued/begun-1-1").exists());
}

#[test]
fn a_running_job_is_paused_between_sheets_and_goes_on() {
    let house = house("");
    house.play("job", &format!("instrument: gated\n{TWO}"));
    house.wait_sheet("job", 1, "in_progress");
    assert_eq!(resume(&house, "job")["reason"], "not_resumable");
    assert_eq!(pause(&house, "job"), json!({ "paused": true }));
    assert_eq!(pause(&house, "job"), json!({ "paused": true }), "again, while it drains");
    let draining = house.status("job");
    assert_eq!((&draining["status"], &draining["display_status"]), (&json!("running"), &json!("pausing")));
    house.touch("job/go-1");
    let paused = house.wait_status("job", "paused");
    assert_eq!(states(&paused), ["completed", "pending"]);
    assert_eq!(paused["pause_flags"], json!(["user"]));
    assert_eq!(pause(&house, "job"), refused("Job 'job' is paused, not running"));
    assert_eq!(resume(&house, "job")["message"], "Job resume queued");
    house.touch("job/go-2");
    over(&house, "job", "completed");
    assert_eq!(house.read("job/ended"), "1\n2\n", "nothing ran twice");
    assert_eq!(pause(&house, "job"), refused("Job 'job' is completed, not running"));
    assert_eq!(resume(&house, "job")["reason"], "not_resumable");
    assert_eq!(cancel(&house, "job"), json!({ "cancelled": false }));
}

#[test]
fn a_pause_that_is_taken_back_while_the_job_drains() {
    let house = house("");
    house.play("job", &format!("instrument: gated\n{TWO}"));
    house.wait_sheet("job", 1, "in_progress");
    pause(&house, "job");
    assert_eq!(resume(&house, "job")["status"], "accepted");
    assert_eq!(house.word("job"), "running");
    house.touch("job/go-1");
    house.touch("job/go-2");
    over(&house, "job", "completed");
    assert_eq!(house.read("job/ended"), "1\n2\n");
}

#[test]
fn pause_now_ends_the_attempt_and_costs_nothing() {
    let house = house("");
    house.play("job", &format!("instrument: gated\n{ONE}{QUICK}"));
    house.wait_file("job/begun-1-1");
    house.wait_sheet("job", 1, "in_progress");
    assert_eq!(house.call("job.pause", json!({ "job_id": "job", "now": true })), json!({ "paused": true }));
    let paused = house.wait_status("job", "paused");
    house.wait_empty();
    let sheet = &paused["sheets"]["1"];
    assert_eq!(sheet["status"], "pending", "{sheet:#}");
    assert_eq!(sheet["normal_attempts"], 0);
    assert_eq!(sheet["attempts"][0]["outcome"], "interrupted");
    house.touch("job/go-1");
    resume(&house, "job");
    let end = over(&house, "job", "completed");
    assert_eq!(end["sheets"]["1"]["normal_attempts"], 0);
    assert_eq!(house.read("job/ended"), "1\n");
}

#[test]
fn a_draining_job_can_be_hurried() {
    let house = house("");
    house.play("job", &format!("instrument: gated\n{ONE}"));
    house.wait_sheet("job", 1, "in_progress");
    pause(&house, "job");
    assert_eq!(house.call("job.pause", json!({ "job_id": "job", "now": true })), json!({ "paused": true }));
    house.wait_status("job", "paused");
    house.wait_empty();
}

#[test]
fn a_paused_job_is_cancelled_and_can_be_resumed() {
    let house = house("");
    house.play("job", &format!("instrument: gated\n{TWO}"));
    house.wait_sheet("job", 1, "in_progress");
    pause(&house, "job");
    house.touch("job/go-1");
    house.wait_status("job", "paused");
    assert_eq!(cancel(&house, "job"), json!({ "cancelled": true }));
    let cancelled = house.status("job");
    assert_eq!(cancelled["status"], "cancelled");
    assert_eq!(states(&cancelled), ["completed", "cancelled"]);
    assert_eq!(cancel(&house, "job"), json!({ "cancelled": false }));
    assert_eq!(pause(&house, "job"), refused("Job 'job' is cancelled, not running"));
    house.touch("job/go-2");
    assert_eq!(resume(&house, "job")["status"], "accepted");
    let end = over(&house, "job", "completed");
    assert_eq!(end["error_message"], json!(null));
    assert_eq!(house.read("job/ended"), "1\n2\n");
}

#[test]
fn a_failed_job_goes_on_with_what_failed() {
    let house = house("");
    let score = |third: &str| {
        format!(
            "instrument: good\nsheet: {{size: 1, total_items: 3, per_sheet_instruments: {{2: {third}}}}}\n\
             prompt: {{template: work}}\nretry: {{max_retries: 0}}\n"
        )
    };
    let failed = house.play_out("job", &score("bad"), "failed");
    assert_eq!(states(&failed), ["completed", "failed", "skipped"]);
    assert_eq!(pause(&house, "job"), refused("Job 'job' is failed, not running"));
    assert_eq!(cancel(&house, "job"), json!({ "cancelled": false }));
    // The score is read again.
    house.score("job", &score("good"));
    assert_eq!(resume(&house, "job")["status"], "accepted");
    let end = over(&house, "job", "completed");
    assert_eq!(end["sheets"]["1"]["attempt_count"], 1, "what was done is not done again: {end:#}");
    assert_eq!(end["run_epoch"], 2);
}

#[test]
fn cancel_returns_when_everything_is_dead() {
    let house = House::new("");
    // Ignores TERM, and so do its children, in sessions of their own and without its environment.
    house.agent(
        "stubborn",
        "trap '' TERM\n\
         for i in 1 2 3; do setsid sh -c 'trap \"\" TERM; while :; do sleep 0.05; done' & done\n\
         (setsid sh -c 'trap \"\" TERM; sh -c \"trap \\\"\\\" TERM; sleep 1000\" & wait' &)\n\
         touch up; while :; do sleep 0.05; done\n",
        "",
    );
    let mut house = house;
    house.start();
    let text = format!("instrument: stubborn\ninstrument_config: {{kill_grace_seconds: 0.3}}\n{ONE}{QUICK}");
    house.play("job", &text);
    house.wait_file("job/up");
    assert_eq!(cancel(&house, "job"), json!({ "cancelled": true }));
    assert_eq!(house.attempts().len(), 0, "{:#?}", house.attempts());
    let end = house.status("job");
    assert_eq!(end["status"], "cancelled");
    assert_eq!(end["sheets"]["1"]["status"], "cancelled");
    assert_eq!(end["error_message"], json!(null));
}

#[test]
fn the_score_decides_about_a_long_grace_and_a_second_cancel_skips_it() {
    let house = House::new("");
    house.agent("stubborn", "trap '' TERM; touch up; while :; do sleep 0.05; done\n", "");
    let mut house = house;
    house.start();
    house.play("job", &format!("instrument: stubborn\ninstrument_config: {{kill_grace_seconds: 60}}\n{ONE}"));
    house.wait_file("job/up");
    let mut first = house.client();
    let waiting = std::thread::spawn(move || first.call("job.cancel", json!({ "job_id": "job" })).unwrap());
    wait_until("the job to be ending", || house.word("job") == "cancelling");
    assert_eq!(cancel(&house, "job"), json!({ "cancelled": true }));
    assert_eq!(waiting.join().unwrap(), json!({ "cancelled": true }));
    assert_eq!(house.attempts().len(), 0);
}

#[test]
fn a_validation_command_is_cancelled_too() {
    let house = house("");
    let text = format!(
        "instrument: good\n{ONE}validations: [{{type: command_succeeds, command: \"touch checking; sleep 1000\"}}]\n"
    );
    house.play("job", &text);
    house.wait_file("job/checking");
    assert_eq!(cancel(&house, "job"), json!({ "cancelled": true }));
    assert_eq!(house.attempts().len(), 0);
    assert_eq!(house.status("job")["status"], "cancelled");
}

#[test]
fn jobs_that_wait_for_a_retry_or_a_limit_are_paused_and_cancelled_at_once() {
    let house = House::new("");
    house.agent("bad", "exit 4\n", "");
    house.agent(
        "limited",
        "echo 'rate limit, retry after 3000 seconds' >&2; exit 1\n",
        "errors: {rate_limit_patterns: ['rate.?limit']}",
    );
    let mut house = house;
    house.start();
    house.play("retrying", &format!("instrument: bad\n{ONE}retry: {{base_delay_seconds: 1000}}\n"));
    house.play("waiting", &format!("instrument: limited\n{ONE}"));
    for (job, state) in [("retrying", "retry_scheduled"), ("waiting", "waiting")] {
        house.wait_sheet(job, 1, state);
        assert_eq!(pause(&house, job), json!({ "paused": true }));
        let paused = house.wait_status(job, "paused");
        assert_eq!(states(&paused), [state]);
        assert_eq!(resume(&house, job)["status"], "accepted");
        wait_until("the job to run again", || house.word(job) == "running");
        assert_eq!(cancel(&house, job), json!({ "cancelled": true }));
        assert_eq!(states(&house.status(job)), ["cancelled"]);
    }
}

const THREE: &str = "sheet: {size: 1, total_items: 3}\nretry: {max_retries: 0}\n";

#[test]
fn a_resume_may_leave_the_first_sheets_out() {
    let house = house("");
    house.agent("second", "echo \"$sheet\" >> ran; [ $sheet != 1 ] || exit 4\n", "");
    let text = format!("instrument: second\n{THREE}prompt: {{template: work}}\n");
    house.play_out("job", &text, "failed");
    let wrong = house.call("job.resume", json!({ "job_id": "job", "start_sheet": 9 }));
    assert_eq!(wrong["status"], "rejected", "{wrong}");
    let answer = house.call("job.resume", json!({ "job_id": "job", "start_sheet": 2 }));
    assert_eq!(answer["status"], "accepted", "{answer}");
    let end = over(&house, "job", "completed");
    assert_eq!(states(&end), ["skipped", "completed", "completed"]);
    assert_eq!(end["sheets"]["1"]["skip_reason"], "start_sheet");
    assert_eq!(house.read("job/ran"), "1\n2\n3\n");
}

#[test]
fn changed_sheets_run_again_only_when_that_is_asked_for() {
    let house = house("");
    house.agent("noting", "echo \"$sheet\" >> ran; [ -e ok ] || [ $sheet != 3 ] || exit 4\n", "");
    let score = |word: &str| format!("instrument: noting\n{THREE}prompt: {{template: {word}}}\n");
    house.play_out("job", &score("one"), "failed");
    house.score("job", &score("two"));
    assert_eq!(resume(&house, "job")["status"], "accepted");
    crate::wait::wait_until("the second run", || house.read("job/ran") == "1\n2\n3\n3\n");
    let failed = over(&house, "job", "failed");
    assert_eq!(failed["sheets"]["1"]["changed_since_run"], true, "{failed:#}");
    house.touch("job/ok");
    let answer = house.call("job.resume", json!({ "job_id": "job", "rerun_changed": true }));
    assert_eq!(answer["status"], "accepted");
    let end = over(&house, "job", "completed");
    assert_eq!(house.read("job/ran"), "1\n2\n3\n3\n1\n2\n3\n");
    assert_eq!(end["sheets"]["1"]["changed_since_run"], false, "{end:#}");
}

#[test]
fn a_resume_from_a_sheet_leaves_earlier_failures_alone() {
    let house = house("");
    house.agent("noting", "echo \"$sheet\" >> ran; [ -e ok ] || exit 4\n", "");
    let text = "instrument: noting\nsheet: {size: 1, total_items: 3, dependencies: {3: [2]}}\n\
                prompt: {template: work}\nretry: {max_retries: 0}\n";
    house.play_out("job", text, "failed");
    house.touch("job/ok");
    let answer = house.call("job.resume", json!({ "job_id": "job", "from_sheet": 2 }));
    assert_eq!(answer["status"], "accepted");
    crate::wait::wait_until("the second run", || house.read("job/ran") == "1\n2\n2\n3\n");
    let end = over(&house, "job", "failed");
    assert_eq!(states(&end), ["failed", "completed", "completed"]);
}
