//! Notifications: what arrives, what is tried again, and that nothing of it holds a job up.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use serde_json::{Value, json};

use crate::band::{Band, ONCE, ONE, QUICK, over};
use crate::house::House;
use crate::server::{Answer, Seen, Server};
use crate::wait::wait_until;

/// A house whose conductor has these variables and speaks to this machine without a proxy.
fn house(settings: &str, variables: &[(&str, &str)]) -> House {
    let mut house = House::new(settings);
    house.agent("worker", "echo done\n", "");
    house.agent("loser", "echo 'lost it' >&2; exit 9\n", "");
    let mut start = house.command(&["start", "--foreground"]);
    direct(&mut start);
    start.envs(variables.iter().copied());
    house.start_by(start);
    house
}

fn direct(command: &mut Command) {
    for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(name);
    }
}

fn events(seen: &[Seen]) -> Vec<String> {
    seen.iter().map(|seen| seen.json()["event_type"].as_str().unwrap().to_owned()).collect()
}

fn webhook(url: &str, more: &str) -> String {
    format!("notifications: [{{type: webhook, config: {{url: \"{url}\"{more}}}}}]\n")
}

#[test]
fn a_webhook_is_told_in_order_signed_and_with_its_headers() {
    let server = Server::start(|_, _| Answer::status(204));
    let house = house(
        "",
        &[("HOOK_TOKEN", "letmein"), ("HOOK_SECRET", "sesame"), ("HOOK_URL", &server.url("/in?k=v"))],
    );
    let text = format!(
        "instrument: worker\n{ONE}{ONCE}notifications:\n- type: webhook\n  on_events: [job_start, sheet_start, \
         sheet_complete, sheet_failed, job_complete, job_failed]\n  config: {{url_env: HOOK_URL, secret_env: HOOK_SECRET, headers: \
         {{X-Auth: \"token ${{HOOK_TOKEN}}\"}}}}\n"
    );
    house.play_out("told", &text, "completed");
    let seen = server.wait_seen(4);
    assert_eq!(events(&seen), ["job_start", "sheet_start", "sheet_complete", "job_complete"]);
    let last = &seen[3];
    assert_eq!((last.method.as_str(), last.path.as_str()), ("POST", "/in?k=v"));
    assert_eq!(last.header("x-auth"), Some("token letmein"));
    assert_eq!(last.header("content-type"), Some("application/json"));
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"sesame");
    let hex: String = ring::hmac::sign(&key, last.body.as_bytes())
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(last.header("x-mozart-signature"), Some(format!("sha256={hex}").as_str()));
    let body = last.json();
    assert_eq!(body["metadata"]["source"], "mozart");
    let context = &body["context"];
    assert_eq!((&context["job_id"], &context["success_count"]), (&json!("told"), &json!(1)));
    assert_eq!((&context["total_sheets"], &context["error_message"]), (&json!(1), &Value::Null));
    assert!(context["duration_seconds"].is_number() && context["timestamp"].is_string(), "{context:#}");
    assert_eq!(seen[2].json()["context"]["sheet_num"], 1);
    let log = house.log();
    assert!(!log.contains("letmein") && !log.contains("sesame") && !log.contains("/in"), "{log}");
}

#[test]
fn only_a_sheet_that_failed_for_good_is_told_as_failed() {
    let server = Server::start(|_, _| Answer::status(200));
    let house = house("", &[]);
    let text = format!(
        "instrument: loser\n{ONE}{QUICK}notifications:\n- type: webhook\n  on_events: [sheet_failed, job_failed]\n  \
         config: {{url: \"{}\", include_metadata: false}}\n",
        server.url("/")
    );
    house.play_out("lost", &text, "failed");
    let seen = server.wait_seen(2);
    assert_eq!(events(&seen), ["sheet_failed", "job_failed"], "three attempts, one sheet");
    let context = &seen[0].json()["context"];
    assert!(context["error_message"].as_str().unwrap().contains("lost it"), "{context:#}");
    assert_eq!(seen[0].json().get("metadata"), None);
}

#[test]
fn a_server_error_is_tried_again_and_a_refusal_is_not() {
    let server = Server::start(|number, _| Answer::status(if number == 1 { 500 } else { 200 }));
    let refuses = Server::start(|_, _| Answer::status(404));
    let house = house("", &[]);
    let text = format!(
        "instrument: worker\n{ONE}notifications:\n- {{type: webhook, config: {{url: \"{}\", retry_delay: 0}}}}\n\
         - {{type: webhook, config: {{url: \"{}\", retry_delay: 0}}}}\n",
        server.url("/a"),
        refuses.url("/services/hush")
    );
    house.play_out("again", &text, "completed");
    let seen = server.wait_seen(2);
    assert_eq!(seen[0].body, seen[1].body);
    wait_until("the refusal in the log", || house.log().contains("notify.failed"));
    let log = house.log();
    assert!(log.contains("answered with status 404") && !log.contains("hush"), "{log}");
    assert_eq!(refuses.seen().len(), 1);
}

#[test]
fn a_server_that_hangs_holds_nothing_up() {
    let server = Server::start(|_, _| Answer::Hang);
    let mut house = house("workers: {side: 1}\n", &[]);
    let text = format!("instrument: worker\n{ONE}{}", webhook(&server.url("/"), ""));
    for job in ["one", "two", "three"] {
        house.play_out(job, &text, "completed");
    }
    server.wait_seen(1);
    house.stop(true);
    assert_eq!(server.seen().len(), 1, "one on its way, the others waited");
    assert!(house.log().contains("notify.abandoned count=3"), "{}", house.log());
    house.wait_empty();
}

#[test]
fn redirects_end_and_bodies_are_cut() {
    let server = Server::start(|number, seen| match seen.path.as_str() {
        "/loop" => Answer::redirect("/loop"),
        "/moved" => Answer::redirect("/endless"),
        "/file" => Answer::redirect("file:///etc/passwd"),
        _ => {
            assert!(number > 0);
            Answer::Endless
        }
    });
    let house = house("", &[]);
    for (job, path) in [("loop", "/loop"), ("moved", "/moved"), ("file", "/file")] {
        let text = format!("instrument: worker\n{ONE}{}", webhook(&server.url(path), ""));
        house.play_out(job, &text, "completed");
    }
    wait_until("both failures", || house.log().matches("notify.failed").count() == 2);
    let log = house.log();
    assert!(log.contains("redirects more than 3 times"), "{log}");
    assert!(log.contains("redirects to an address that is not http or https"), "{log}");
    let seen = server.wait_seen(7);
    let count = |path: &str| seen.iter().filter(|seen| seen.path == path).count();
    assert_eq!((count("/loop"), count("/moved"), count("/endless")), (4, 1, 1));
    let moved = seen.iter().find(|seen| seen.path == "/endless").unwrap();
    assert_eq!(moved.method, "POST");
    assert_eq!(moved.json()["context"]["job_id"], "moved");
}

#[test]
fn headers_do_not_follow_a_redirect_to_another_server() {
    let elsewhere = Server::start(|_, _| Answer::status(200));
    let target = elsewhere.url("/");
    let server = Server::start(move |_, _| Answer::redirect(&target));
    let house = house("", &[]);
    let more = ", headers: {Authorization: \"Bearer hush\", X-Key: hush}";
    house.play_out(
        "away",
        &format!("instrument: worker\n{ONE}{}", webhook(&server.url("/"), more)),
        "completed",
    );
    let seen = elsewhere.wait_seen(1);
    assert_eq!((seen[0].header("authorization"), seen[0].header("x-key")), (None, None));
    assert_eq!(server.seen()[0].header("x-key"), Some("hush"));
}

#[test]
fn a_channel_that_keeps_failing_rests_and_shows_as_degraded() {
    let house = house("notifications: {degraded_after: 2}\n", &[]);
    let text = format!(
        "instrument: worker\n{ONE}notifications: [{{type: slack, on_events: [job_start, sheet_start, sheet_complete, \
         job_complete], config: {{webhook_url_env: NOT_SET_ANYWHERE}}}}]\n"
    );
    house.play_out("deaf", &text, "completed");
    wait_until("three failures", || house.log().matches("notify.failed").count() == 3);
    let log = house.log();
    assert!(log.contains("NOT_SET_ANYWHERE") && log.contains("resting=true"), "{log}");
    wait_until("the flag", || house.call("daemon.ready", Value::Null)["notifications_degraded"] == true);
    assert_eq!(house.log().matches("notify.failed").count(), 3, "the fourth waits for the rest to end");
}

#[test]
fn slack_gets_an_attachment() {
    let server = Server::start(|_, _| Answer::status(200));
    let house = house("", &[("SLACK_WEBHOOK_URL", &server.url("/services/x"))]);
    let text = format!(
        "instrument: loser\n{ONE}{ONCE}notifications: [{{type: slack, config: {{webhook_url_env: SLACK_WEBHOOK_URL, \
         channel: \"#ops\"}}}}]\n"
    );
    house.play_out("bad", &text, "failed");
    let seen = server.wait_seen(1);
    let body = seen[0].json();
    assert_eq!(
        (&body["channel"], &body["attachments"][0]["title"]),
        (&json!("#ops"), &json!("Job failed: bad"))
    );
}

#[test]
fn a_command_reads_the_event_and_runs_in_the_workspace() {
    let house = house("", &[]);
    let text = format!(
        "instrument: worker\n{ONE}notifications:\n- type: command\n  config: {{command: \"cat > event.json; echo \
         $MOZART_EVENT $MOZART_JOB_ID \\\"$MOZART_MESSAGE\\\" > words\"}}\n- type: command\n  config: {{command: \"cat \
         >/dev/null; echo my excuse; exit 3\"}}\n"
    );
    house.play_out("ring", &text, "completed");
    wait_until("the words", || house.read("ring/words").ends_with('\n'));
    assert!(
        house.read("ring/words").starts_with("job_complete ring Job completed: ring | "),
        "{}",
        house.read("ring/words")
    );
    let event: Value = serde_json::from_str(&house.read("ring/event.json")).unwrap();
    assert_eq!((&event["event"], &event["job_id"]), (&json!("job_complete"), &json!("ring")));
    wait_until("the excuse", || house.log().contains("exit code 3: my excuse"));
    assert_eq!(house.status("ring")["status"], "completed");
}

#[test]
fn a_command_for_the_start_runs_in_the_workspace_that_is_not_there_yet() {
    let house = house("", &[]);
    let text = format!(
        "instrument: worker\n{ONE}notifications:\n- type: command\n  on_events: [job_start]\n  config: {{command: \"pwd > {}\"}}\n",
        house.path("where").display()
    );
    house.score("begin", &text);
    assert_eq!(house.offer("begin", json!({}))["status"], "accepted");
    let place = || std::fs::read_to_string(house.path("where")).unwrap_or_default();
    wait_until("the place", || place().ends_with('\n'));
    assert!(place().trim().ends_with("/begin"), "{}", place());
}

#[test]
fn the_desktop_is_told_by_the_program_for_it_and_missed_once() {
    let mut house = House::new("");
    house.agent("worker", "echo done\n", "");
    let bin = house.path("bin");
    fs::create_dir(&bin).unwrap();
    for program in ["sh", "bash", "cat"] {
        let found = ["/bin", "/usr/bin"].iter().map(|dir| format!("{dir}/{program}"));
        symlink(found.into_iter().find(|path| fs::exists(path).unwrap()).unwrap(), bin.join(program))
            .unwrap();
    }
    let start = |house: &House| {
        let mut start = house.command(&["start", "--foreground"]);
        start.env("PATH", &bin);
        start
    };
    house.start_by(start(&house));
    let text = format!(
        "instrument: worker\n{ONE}notifications: [{{type: desktop, on_events: [job_start, job_complete], config: \
         {{app_name: Orchestra, timeout: 3}}}}]\n"
    );
    house.play_out("silent", &text, "completed");
    house.play_out("silent2", &text, "completed");
    wait_until("the warning", || house.log().contains("notify.channel_absent"));
    house.stop(true);
    assert_eq!(house.log().matches("notify.channel_absent").count(), 1, "{}", house.log());

    let notify = bin.join("notify-send");
    let file = house.path("bubbles");
    fs::write(
        &notify,
        format!("#!/bin/sh\nfor word in \"$@\"; do echo \"$word\"; done >> {}\n", file.display()),
    )
    .unwrap();
    fs::set_permissions(&notify, fs::Permissions::from_mode(0o755)).unwrap();
    house.start_by(start(&house));
    house.play_out("loud", &text, "completed");
    wait_until("two bubbles", || {
        fs::read_to_string(&file).unwrap_or_default().matches("--app-name=Orchestra").count() == 2
    });
    let shown = fs::read_to_string(&file).unwrap();
    for part in
        ["--expire-time=3000", "--\nJob started: loud\n", "--\nJob completed: loud\n", "1 of 1 sheets"]
    {
        assert!(shown.contains(part), "{part} is missing in\n{shown}");
    }
}

#[test]
fn what_is_still_to_be_told_is_told_before_the_conductor_goes() {
    let server = Server::start(|_, _| Answer::status(200));
    let mut house = house("", &[]);
    house.agent("slow", "gate go\n", "");
    let text = format!("instrument: slow\n{ONE}{}", webhook(&server.url("/"), ""));
    house.play("last", &text);
    house.wait_sheet("last", 1, "in_progress");
    house.call("daemon.shutdown", json!({ "graceful": true }));
    house.touch("last/go");
    house.await_end();
    assert_eq!(events(&server.seen()), ["job_complete"]);
}

#[test]
fn the_conductor_can_be_told_to_keep_silent() {
    let server = Server::start(|_, _| Answer::status(200));
    let mut house = house("notifications: {enabled: false}\n", &[]);
    house.play_out(
        "mute",
        &format!("instrument: worker\n{ONE}{}", webhook(&server.url("/"), "")),
        "completed",
    );
    house.stop(true);
    assert!(server.seen().is_empty());
}

#[test]
fn a_rate_limit_and_a_pause_are_told() {
    let server = Server::start(|_, _| Answer::status(200));
    let house = house("", &[]);
    house.agent(
        "limited",
        "echo 'rate limit reached, retry after 3600 seconds' >&2; exit 1\n",
        "errors: {rate_limit_patterns: ['rate.?limit']}",
    );
    let text = format!(
        "instrument: limited\n{ONE}notifications:\n- {{type: webhook, on_events: [rate_limit_detected, job_paused, \
         job_resumed], config: {{url: \"{}\"}}}}\n",
        server.url("/")
    );
    house.play("limits", &text);
    let seen = server.wait_seen(1);
    assert_eq!(events(&seen), ["rate_limit_detected"]);
    assert!(seen[0].json()["context"]["extra"]["instrument"] == "limited", "{}", seen[0].body);
    house.call("job.pause", json!({ "job_id": "limits" }));
    assert_eq!(events(&server.wait_seen(2))[1], "job_paused");
    house.call("job.resume", json!({ "job_id": "limits" }));
    assert_eq!(events(&server.wait_seen(3))[2], "job_resumed");
    house.call("job.cancel", json!({ "job_id": "limits" }));
    over(&house, "limits", "cancelled");
}
