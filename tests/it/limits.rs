//! What keeps jobs and sheets back, and that it survives the conductor.

#![allow(clippy::unwrap_used)]

use std::fs;

use serde_json::json;

use crate::band::{Band, ONE, over};
use crate::house::{House, Role};
use crate::wait::wait_until;

/// What the words of these agents mean.
const LIMITS: &str = "errors: {rate_limit_patterns: ['rate.?limit']}";

/// Submits a score with a workspace that others have, too.
#[track_caller]
fn play_in(house: &House, workspace: &str, name: &str, text: &str) {
    let path = house.path(&format!("{name}.yaml"));
    fs::create_dir_all(house.work(workspace)).unwrap();
    let head = format!("name: {name}\nworkspace: {}\n", house.work(workspace).display());
    fs::write(&path, format!("{head}{text}")).unwrap();
    let answer = house.call("job.submit", json!({ "config_path": path }));
    assert_eq!(answer["status"], "accepted", "{answer}");
}

/// How many sheets of a job wait for this reason.
fn held(house: &House, job: &str, reason: &str) -> u64 {
    house.status(job)["held_back"][reason].as_u64().unwrap_or(0)
}

#[track_caller]
fn wait_held(house: &House, job: &str, reason: &str) {
    wait_until(&format!("{job} to be held back by {reason}"), || held(house, job, reason) > 0);
}

fn band(agents: &[(&str, &str, &str)], settings: &str) -> House {
    let mut house = House::new(settings);
    for (name, script, more) in agents {
        house.agent(name, script, more);
    }
    house.start();
    house
}

/// An agent that says its job by the workspace file that the prompt names.
const BY_PROMPT: &str = "job=$(sed -n 's/^job //p' prompt-$sheet-$nth | tail -1)\n\
                         touch \"begun-$job\"; gate \"go-$job\"\n";

fn named(job: &str, keys: &str) -> String {
    format!(
        "instrument: gated\nsheet: {{size: 1, total_items: 1}}\nprompt: {{template: \"job {job}\"}}\n{keys}"
    )
}

#[test]
fn a_workspace_has_one_job_at_a_time_and_nobody_else_waits_for_it() {
    let house = band(&[("gated", BY_PROMPT, "")], "");
    play_in(&house, "shared", "one", &named("one", ""));
    house.wait_file("shared/begun-one");
    // The same directory by another name.
    std::os::unix::fs::symlink(house.work("shared"), house.work("alias")).unwrap();
    play_in(&house, "alias", "two", &named("two", ""));
    play_in(&house, "own", "three", &named("three", ""));
    house.wait_file("own/begun-three");
    wait_held(&house, "two", "workspace_lock:one");
    assert_eq!(house.sheet("two", 1)["held_back"], "workspace_lock:one");
    assert!(!house.work("shared/begun-two").exists());
    house.touch("shared/go-one");
    over(&house, "one", "completed");
    house.touch("shared/go-two");
    over(&house, "two", "completed");
    house.touch("own/go-three");
    over(&house, "three", "completed");
}

#[test]
fn a_paused_job_keeps_its_workspace_over_a_restart_until_it_is_cancelled() {
    let mut house = band(&[("gated", BY_PROMPT, "")], "");
    let two = "instrument: gated\nsheet: {size: 1, total_items: 2}\nprompt: {template: \"job one\"}\n";
    play_in(&house, "shared", "one", two);
    house.wait_file("shared/begun-one");
    play_in(&house, "shared", "two", &named("two", ""));
    wait_held(&house, "two", "workspace_lock:one");
    house.call("job.pause", json!({ "job_id": "one" }));
    house.touch("shared/go-one");
    house.wait_status("one", "paused");
    assert_eq!(held(&house, "two", "workspace_lock:one"), 1);
    house.kill();
    house.start();
    wait_held(&house, "two", "workspace_lock:one");
    assert!(!house.work("shared/begun-two").exists());
    house.call("job.cancel", json!({ "job_id": "one" }));
    house.touch("shared/go-two");
    over(&house, "two", "completed");
}

#[test]
fn jobs_that_allow_it_share_a_workspace_and_one_that_does_not_gets_its_turn() {
    let house = band(&[("gated", BY_PROMPT, "")], "");
    let shares = "allow_shared_workspace: true\n";
    play_in(&house, "shared", "one", &named("one", shares));
    play_in(&house, "shared", "two", &named("two", shares));
    house.wait_file("shared/begun-one");
    house.wait_file("shared/begun-two");
    play_in(&house, "shared", "alone", &named("alone", ""));
    wait_until("alone to be held back", || {
        let held = house.status("alone")["held_back"].clone();
        held.as_object().is_some_and(|held| held.keys().any(|key| key.starts_with("workspace_lock:")))
    });
    // It could share with those that work there, but somebody waits for the place.
    play_in(&house, "shared", "late", &named("late", shares));
    wait_until("late to be held back", || house.status("late")["held_back"].is_object());
    house.touch("shared/go-one");
    house.touch("shared/go-two");
    house.wait_file("shared/begun-alone");
    assert!(!house.work("shared/begun-late").exists());
    house.touch("shared/go-alone");
    house.touch("shared/go-late");
    over(&house, "late", "completed");
}

#[test]
fn a_rate_limit_survives_kill_9_with_its_end() {
    let limited = "echo 'rate limit exceeded, retry after 3000 seconds' >&2; exit 1\n";
    let mut house = band(&[("limited", limited, LIMITS), ("free", "true\n", "")], "");
    house.play("first", &format!("instrument: limited\n{ONE}"));
    let before = house.wait_sheet("first", 1, "waiting");
    house.play("second", &format!("instrument: limited\n{ONE}"));
    wait_held(&house, "second", "rate_limited:limited");
    house.kill();
    house.start();
    let after = house.wait_sheet("first", 1, "waiting");
    assert_eq!(after["resume_at"], before["resume_at"]);
    assert!(before["resume_at"].is_string(), "{before:#}");
    // Others go on; whoever wants this instrument stays where he is and does not try it.
    house.play_out("other", &format!("instrument: free\n{ONE}"), "completed");
    wait_held(&house, "second", "rate_limited:limited");
    assert_eq!(house.sheet("second", 1)["status"], "pending");
    assert!(!house.work("second/prompt-1-1").exists() && !house.work("first/prompt-1-2").exists());
}

#[test]
fn a_full_instrument_is_the_reason_and_the_job_of_another_one_runs() {
    let house = band(
        &[("gated", BY_PROMPT, ""), ("free", "true\n", "")],
        "instruments: { gated: { max_concurrent: 1 }, none: { max_concurrent: 0 } }\n",
    );
    play_in(&house, "a", "one", &named("one", ""));
    house.wait_file("a/begun-one");
    play_in(&house, "b", "two", &named("two", ""));
    wait_held(&house, "two", "instrument_concurrency:gated");
    house.play_out("other", &format!("instrument: free\n{ONE}"), "completed");
    house.touch("a/go-one");
    house.touch("b/go-two");
    over(&house, "two", "completed");
}

#[test]
fn an_attempt_whose_directory_is_deleted_is_ended_and_does_not_run_beside_its_successor() {
    for while_down in [true, false] {
        let script = "exec 9>>lock; flock -n 9 || echo overlap >> log\necho start >> log\n\
                      [ $nth = 1 ] && sleep 600\ntrue\n";
        let mut house = House::new("recovery: resume\n");
        house.agent("stuck", script, "");
        house.start();
        house.play("job", &format!("instrument: stuck\n{ONE}"));
        wait_until("the program", || house.read("job/log").contains("start"));
        let delete = |house: &House| fs::remove_dir_all(house.path("jobs/job/sheet-1")).unwrap();
        house.kill();
        if while_down {
            delete(&house);
        }
        house.start();
        if !while_down {
            delete(&house);
        }
        over(&house, "job", "completed");
        assert_eq!(house.read("job/log"), "start\nstart\n", "while down: {while_down}");
        assert!(house.log().contains("attempt.directory_gone"));
        assert!(!house.residents().iter().any(|resident| matches!(resident.role, Role::Guard(_))));
    }
}

/// An instrument that cannot be reached until there is a file `up` in the house; then it waits for its gate.
fn unreachable(house: &House) -> String {
    let up = house.path("up").display().to_string();
    format!(
        "echo run >> runs\n[ -e {up} ] || {{ echo 'connect: connection refused' >&2; exit 1; }}\ngate go\n"
    )
}

/// No retry, and a breaker that opens at the first failure.
fn breaker(recovery: u32) -> String {
    format!(
        "retry: {{max_retries: 0, max_completion_attempts: 0}}\n\
         circuit_breaker: {{enabled: true, failure_threshold: 1, recovery_timeout_seconds: {recovery}}}\n"
    )
}

#[test]
fn a_sheet_takes_its_next_instrument_while_the_breaker_of_the_first_is_open() {
    let mut house = House::new("");
    house.agent("bad", &unreachable(&house), "");
    house.agent("good", "touch done\n", "");
    house.start();
    let keys = breaker(300);
    house.play_out("opens", &format!("instrument: bad\n{ONE}{keys}"), "failed");
    assert!(house.log().contains("breaker.opened"));
    house.play("waits", &format!("instrument: bad\n{ONE}{keys}"));
    wait_held(&house, "waits", "circuit_breaker:bad");
    let shown = house.status("waits")["circuit_breakers"][0].clone();
    assert_eq!((&shown["instrument"], &shown["state"]), (&json!("bad"), &json!("open")), "{shown}");
    assert_eq!(shown["consecutive_failures"], 1, "{shown}");
    let text = String::from_utf8(house.mozart(&["status", "waits"]).stdout).unwrap();
    assert!(text.contains("Circuit breaker of bad: open after a failure — next try in "), "{text}");
    let told = house.sheet("waits", 1)["held_back"].as_str().unwrap().to_owned();
    assert!(told.starts_with("circuit_breaker:bad, probe in "), "{told}");
    let end = house.play_out(
        "changes",
        &format!("instrument: bad\ninstrument_fallbacks: [good]\n{ONE}{keys}"),
        "completed",
    );
    assert_eq!(end["sheets"]["1"]["instrument_name"], "good", "{end:#}");
    assert_eq!(end["sheets"]["1"]["attempt_count"], 1);
    assert!(house.work("changes/done").exists() && !house.work("changes/runs").exists());
    // It is as open after a crash, and a job without a breaker does not ask for it.
    house.kill();
    house.start();
    wait_held(&house, "waits", "circuit_breaker:bad");
    assert!(!house.work("waits/runs").exists());
    let off = "retry: {max_retries: 0}\ncircuit_breaker: {enabled: false}\n";
    house.play_out("bold", &format!("instrument: bad\n{ONE}{off}"), "failed");
    assert_eq!(house.read("bold/runs"), "run\n");
    assert!(!house.work("waits/runs").exists());
}

#[test]
fn one_sheet_probes_and_the_others_follow_its_success() {
    let mut house = House::new("");
    house.agent("bad", &unreachable(&house), "");
    house.start();
    house.play_out("opens", &format!("instrument: bad\n{ONE}{}", breaker(2)), "failed");
    fs::write(house.path("up"), "").unwrap();
    let wide = format!(
        "instrument: bad\nsheet: {{size: 1, total_items: 1, fan_out: {{1: 3}}}}\nprompt: {{template: work}}\n\
         parallel: {{enabled: true, max_concurrent: 3}}\n{}",
        breaker(2)
    );
    house.play("wide", &wide);
    wait_until("the probe", || house.work("wide/runs").exists());
    wait_until("the others to wait for it", || held(&house, "wide", "circuit_breaker:bad") == 2);
    let status = house.status("wide");
    assert_eq!(status["sheets_in_progress"].as_array().unwrap().len(), 1, "{status:#}");
    assert_eq!(status["sheets"]["2"]["held_back"], "circuit_breaker:bad, probe running");
    house.touch("wide/go");
    over(&house, "wide", "completed");
    assert_eq!(house.read("wide/runs"), "run\nrun\nrun\n");
    assert!(house.log().contains("breaker.closed"));
}

#[test]
fn a_long_limit_sends_every_sheet_to_the_next_instrument_and_not_only_the_one_that_met_it() {
    let mut house = House::new("");
    let limited = "echo run >> runs; echo 'rate limit: try again in 30 minutes' >&2; exit 1\n";
    house.agent("bad", limited, LIMITS);
    house.agent("worse", limited, LIMITS);
    house.agent("good", "touch done-$sheet\n", "");
    house.start();
    let chain = "instrument: bad\ninstrument_fallbacks: [worse, good]\nprompt: {template: work}\n\
                 sheet: {size: 1, total_items: 3}\n";
    let end = house.play_out("first", chain, "completed");
    assert_eq!(house.read("first/runs"), "run\nrun\n", "each limited instrument was asked once");
    for sheet in ["1", "2", "3"] {
        let sheet = &end["sheets"][sheet];
        assert_eq!(sheet["instrument_name"], "good", "{end:#}");
        let history = sheet["instrument_fallback_history"].as_array().unwrap();
        assert!(history.iter().all(|entry| entry["reason"] == "rate_limit"), "{history:#?}");
        assert_eq!(history.len(), 2);
    }
    // A job that comes later does not ask them at all.
    let later = house.play_out("later", chain, "completed");
    assert_eq!(later["sheets"]["1"]["attempt_count"], 1, "{later:#}");
    assert!(!house.work("later/runs").exists());
}

#[test]
fn a_model_has_the_places_that_its_profile_gives_it() {
    let mut house = House::new("");
    house.agent("agent", "touch begun-$sheet; gate go\n", "");
    let profile = house.path("instruments/agent.yaml");
    let models = "default_model: big\nmodels:\n  - {name: big, context_window: 1000, cost_per_1k_input: 0, \
                  cost_per_1k_output: 0, max_concurrent: 1}\n";
    fs::write(&profile, fs::read_to_string(&profile).unwrap() + models).unwrap();
    house.start();
    let wide = "instrument: agent\nsheet: {size: 1, total_items: 1, fan_out: {1: 3}}\nprompt: {template: work}\n\
                parallel: {enabled: true, max_concurrent: 3}\n";
    house.play("wide", wide);
    house.wait_file("wide/begun-1");
    wait_until("two to wait for it", || held(&house, "wide", "model_concurrency:agent:big") == 2);
    house.touch("wide/go");
    over(&house, "wide", "completed");
}
