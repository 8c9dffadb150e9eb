//! `run_command` and `run_script`.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use super::{ended, lines, play, results, score, with_hooks};
use crate::band::Band;
use crate::house::House;
use crate::wait::wait_until;

#[test]
fn a_command_leaves_its_result_and_its_whole_output() {
    let house = House::started("");
    let hook = "  - type: run_command\n    description: talk\n    command: |\n      for i in $(seq 1 2000); do echo \
                \"line $i\"; done; echo last >&2\n";
    let end = play(&house, "talk", &with_hooks(hook), "completed");
    let result = &results(&end)[0];
    assert_eq!(result["hook_type"], "run_command");
    assert_eq!(result["description"], "talk");
    assert_eq!((&result["success"], &result["exit_code"]), (&json!(true), &json!(0)), "{result:#}");
    let output = result["output"].as_str().unwrap();
    assert!(output.chars().count() <= 2000 && output.ends_with("line 2000\nlast\n"), "{output}");
    let log = result["log_path"].as_str().unwrap();
    assert!(log.contains("/jobs/talk/hooks/run_command-"), "{log}");
    assert_eq!(fs::metadata(log).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(fs::read_to_string(log).unwrap().starts_with("line 1\nline 2\n"));
}

#[test]
fn a_hook_knows_where_it_is_and_quotes_what_it_is_told() {
    let house = House::started("");
    let work = house.path("my work");
    let text = format!(
        "name: place\nworkspace: \"{}\"\n{}",
        work.display(),
        score(
            "true",
            "on_success:\n  - type: run_command\n    command: echo {job_id} {sheet_count} {other} \
             \"$MOZART_JOB_ID\" > {workspace}/told; pwd >> told\n  - type: run_script\n    command: touch \
             '{workspace}/a {job_id}'\n"
        )
    );
    fs::write(house.path("place.yaml"), text).unwrap();
    house.offer("place", json!({}));
    let end = ended(&house, "place", "completed");
    assert!(results(&end).iter().all(|result| result["success"] == true), "{end:#}");
    let told = fs::read_to_string(work.join("told")).unwrap();
    assert_eq!(told, format!("place 1 {{other}} place\n{}\n", work.display()));
    assert!(work.join("a place").exists());
    assert!(house.log().contains("hook.unknown_placeholder"), "{}", house.log());
}

#[test]
fn a_hook_that_takes_too_long_is_ended_with_all_it_started() {
    let house = House::started("");
    let hook = "  - type: run_command\n    timeout_seconds: 0.4\n    command: sleep 1000 & sleep 1000 & touch begun; \
                wait\n  - type: run_command\n    command: touch next\n";
    let end = play(&house, "slow", &with_hooks(hook), "completed");
    let results = results(&end);
    assert_eq!(results[0]["success"], false);
    assert_eq!(results[0]["error_message"], "Timeout after 0.4s");
    assert_eq!(results[1]["success"], true, "{end:#}");
    assert!(house.work("slow/next").exists());
    assert!(end["hooks_failed"] == true, "{end:#}");
    house.wait_empty();
}

#[test]
fn what_a_hook_leaves_behind_is_ended_with_it() {
    let house = House::started("");
    play(
        &house,
        "leaver",
        &with_hooks("  - type: run_command\n    command: setsid sleep 1000 & touch begun\n"),
        "completed",
    );
    house.wait_empty();
}

#[test]
fn a_failed_hook_continues_or_aborts() {
    let house = House::started("");
    let two = |how: &str| {
        with_hooks(&format!(
            "  - type: run_command\n    on_failure: {how}\n    command: exit 3\n  - type: run_command\n    command: touch \
             next\n"
        ))
    };
    let end = play(&house, "goes-on", &two("continue"), "completed");
    assert_eq!(results(&end)[0]["exit_code"], 3);
    assert_eq!(results(&end)[0]["error_message"], "Exit code 3");
    assert!(house.work("goes-on/next").exists());
    let end = play(&house, "aborts", &two("abort"), "failed");
    assert!(!house.work("aborts/next").exists());
    assert_eq!(results(&end).len(), 1, "{end:#}");
    assert!(end.to_string().contains("E701"), "{end:#}");
}

#[test]
fn dangerous_commands_and_broken_scripts_are_refused() {
    let house = House::started("");
    // Never accepted, whatever the hook is called.
    for (command, pattern) in [("rm -rf /", "`rm -r... /`"), ("chmod -R 777 /", "`chmod -R NNN /`")] {
        let hook = with_hooks(&format!("  - {{type: run_command, command: \"{command}\"}}\n"));
        house.score("danger", &hook);
        let answer = house.offer("danger", json!({}));
        assert_eq!(answer["status"], "rejected", "{answer}");
        assert!(answer["message"].as_str().unwrap().contains(pattern), "{answer}");
    }
    let hooks = "  - {type: run_script, command: \"echo 'open\"}\n  - {type: run_script, command: \
                 no-such-program-anywhere}\n  - {type: run_command, command: \"true\", working_directory: \
                 no-such-place}\n";
    let end = play(&house, "broken", &with_hooks(hooks), "completed");
    let told: Vec<String> = results(&end)
        .iter()
        .map(|result| result["error_message"].as_str().unwrap_or("").to_owned())
        .collect();
    assert!(told[0].contains("quote"), "{told:?}");
    assert!(told[1].contains("there is no program `no-such-program-anywhere`"), "{told:?}");
    assert!(told[2].contains("working directory"), "{told:?}");
}

#[test]
fn hooks_run_once_after_work_and_those_of_failure_after_a_failure() {
    let house = House::started("");
    let text = with_hooks("  - type: run_command\n    command: echo x >> hooked\n");
    play(&house, "once", &text, "completed");
    let answer = house.offer("once", json!({}));
    assert_eq!(answer["status"], "accepted", "{answer}");
    ended(&house, "once", "completed");
    assert_eq!(lines(&house, "once/hooked"), 1, "nothing was done the second time");
    let answer = house.offer("once", json!({ "fresh": true }));
    assert_eq!(answer["status"], "accepted", "{answer}");
    wait_until("the hook of the fresh run", || lines(&house, "once/hooked") == 2);
    let text = score(
        "exit 1",
        "on_success:\n  - {type: run_command, command: touch good}\non_failure:\n  - {type: run_command, command: touch \
         bad}",
    );
    play(&house, "fails", &text, "failed");
    assert!(house.work("fails/bad").exists() && !house.work("fails/good").exists());
}

#[test]
fn a_cancelled_job_runs_no_hook_and_ends_the_one_that_runs() {
    let house = House::started("");
    let text = with_hooks(
        "  - {type: run_command, command: \"touch begun; sleep 1000\"}\n  - {type: run_command, command: touch next}\n",
    );
    house.play("stopped", &text);
    house.wait_file("stopped/begun");
    let answer = house.call("job.cancel", json!({ "job_id": "stopped" }));
    assert_eq!(answer["cancelled"], true, "{answer}");
    ended(&house, "stopped", "cancelled");
    house.wait_empty();
    assert!(!house.work("stopped/next").exists());
}

#[test]
fn long_hooks_do_not_hold_up_those_of_others() {
    let house = House::started("workers: {side: 1}\nmax_concurrent_sheets: 4\n");
    let gated = with_hooks(
        "  - {type: run_command, command: \"touch begun; until [ -e go ]; do sleep 0.02; done\"}\n",
    );
    for name in ["long-1", "long-2", "long-3"] {
        house.play(name, &gated);
    }
    for name in ["long-1", "long-2", "long-3"] {
        house.wait_file(&format!("{name}/begun"));
    }
    play(&house, "short", &with_hooks("  - {type: run_command, command: touch done}\n"), "completed");
    for name in ["long-1", "long-2", "long-3"] {
        house.touch(&format!("{name}/go"));
        let end = ended(&house, name, "completed");
        assert_eq!(results(&end)[0]["success"], true, "{end:#}");
    }
}

#[test]
fn more_hooks_than_may_run_wait_for_their_turn() {
    let house = House::started("max_concurrent_sheets: 1\n");
    let gated = with_hooks(
        "  - {type: run_command, command: \"touch begun; until [ -e go ]; do sleep 0.02; done\"}\n",
    );
    house.play("one", &gated);
    house.wait_file("one/begun");
    house.play("two", &gated);
    house.wait_status("two", "finishing");
    house.touch("one/go");
    ended(&house, "one", "completed");
    house.wait_file("two/begun");
    house.touch("two/go");
    ended(&house, "two", "completed");
}

#[test]
fn a_graceful_stop_waits_for_a_hook() {
    let mut house = House::started("");
    let text = with_hooks(
        "  - {type: run_command, command: \"touch begun; until [ -e go ]; do sleep 0.02; done; echo x >> hooked\"}\n",
    );
    house.play("waits", &text);
    house.wait_file("waits/begun");
    house.call("daemon.shutdown", json!({ "graceful": true }));
    house.touch("waits/go");
    house.await_end();
    house.start();
    let end = ended(&house, "waits", "completed");
    assert_eq!(results(&end)[0]["success"], true, "{end:#}");
    assert_eq!(lines(&house, "waits/hooked"), 1);
}

#[test]
fn a_stop_at_once_leaves_a_hook_whose_end_is_not_known() {
    let mut house = House::started("");
    let text = with_hooks(
        "  - {type: run_command, command: \"echo x >> begun; sleep 1000\"}\n  - {type: run_command, command: touch next}\n",
    );
    house.play("cut", &text);
    house.wait_file("cut/begun");
    house.stop(false);
    house.wait_empty();
    house.start();
    let end = ended(&house, "cut", "completed");
    assert_eq!(results(&end)[0]["success"], Value::Null, "{end:#}");
    assert_eq!(lines(&house, "cut/begun"), 1);
    assert!(house.work("cut/next").exists());
}
